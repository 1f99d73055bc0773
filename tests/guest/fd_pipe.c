// Pipes: pipe2 flags, capacity, atomicity, SIGPIPE, FIFOs, splice, tee, vmsplice.
#include "check.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

TEST(pipe2_flags) {
    int p[2];
    CHECK_EQ(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(p[1], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(p[0], F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
    CHECK_EQ(fcntl(p[1], F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY | O_NONBLOCK);
    char c;
    CHECK_ERRNO(read(p[0], &c, 1), EAGAIN);
    CHECK_ERRNO(read(p[1], &c, 1), EBADF);
    CHECK_ERRNO(write(p[0], &c, 1), EBADF);
    // O_DIRECT (another value on arm64) makes packets.
    CHECK_EQ(pipe2(p, O_DIRECT), 0);
    char b[16];
    CHECK_EQ(write(p[1], "ab", 2), 2);
    CHECK_EQ(write(p[1], "cde", 3), 3);
    CHECK_EQ(read(p[0], b, sizeof b), 2);
    CHECK_EQ(read(p[0], b, 1), 1);
    CHECK(fcntl(p[1], F_GETFL) & O_DIRECT);
    CHECK_EQ(fcntl(p[1], F_SETFL, O_NONBLOCK), 0);
    CHECK_ERRNO(pipe2(p, O_DIRECTORY), EINVAL);
    CHECK_ERRNO(pipe2(p, O_NOFOLLOW), EINVAL);
    CHECK_ERRNO(pipe2(p, O_APPEND), EINVAL);
    CHECK_ERRNO(pipe2((int *)8, 0), EFAULT);
}

TEST(capacity) {
    int p[2];
    REQUIRE(pipe2(p, O_NONBLOCK) == 0);
    int size = fcntl(p[0], F_GETPIPE_SZ);
    CHECK_EQ(size, 65536);
    static char block[4096];
    int total = 0;
    ssize_t n;
    while ((n = write(p[1], block, sizeof block)) > 0)
        total += n;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(total, size);
    int pending;
    CHECK(ioctl(p[0], FIONREAD, &pending) == 0 && pending == size);
    CHECK_ERRNO(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
    CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 100000), 131072);
    CHECK_EQ(fcntl(p[0], F_GETPIPE_SZ), 131072);
    CHECK_EQ(write(p[1], block, sizeof block), 4096);
    int q[2];
    REQUIRE(pipe(q) == 0);
    CHECK_EQ(fcntl(q[1], F_SETPIPE_SZ, 1), 4096);
    CHECK_ERRNO(fcntl(q[1], F_SETPIPE_SZ, -1), EINVAL);
    CHECK_ERRNO(fcntl(0, F_GETPIPE_SZ), EBADF);
}

TEST(end_of_file_and_sigpipe) {
    int p[2];
    char c;
    REQUIRE(pipe(p) == 0 && write(p[1], "x", 1) == 1);
    close(p[1]);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(read(p[0], &c, 1), 0);
    struct pollfd pf = {p[0], POLLIN, 0};
    CHECK(poll(&pf, 1, 0) == 1 && pf.revents == POLLHUP);
    REQUIRE(pipe(p) == 0);
    close(p[0]);
    pid_t pid = CHILD(handle(SIGPIPE, SIG_DFL, 0); if (write(p[1], "x", 1) != -5) _exit(1));
    CHECK_KILLED(pid, SIGPIPE);
    handle(SIGPIPE, SIG_IGN, 0);
    CHECK_ERRNO(write(p[1], "x", 1), EPIPE);
    pf.fd = p[1], pf.events = POLLOUT;
    CHECK(poll(&pf, 1, 0) == 1 && pf.revents == (POLLOUT | POLLERR));
}

TEST(writes_up_to_pipe_buf_are_atomic) {
    enum { WRITERS = 3, RECORDS = 200 };
    int p[2];
    REQUIRE(pipe(p) == 0);
    pid_t pids[WRITERS];
    for (int w = 0; w < WRITERS; w++)
        pids[w] = CHILD({
            char record[PIPE_BUF / 2];
            memset(record, 'a' + w, sizeof record);
            for (int i = 0; i < RECORDS; i++)
                CHECK_EQ(write(p[1], record, sizeof record), (ssize_t)sizeof record);
        });
    close(p[1]);
    char record[PIPE_BUF / 2];
    int records = 0;
    for (;;) {
        size_t have = 0;
        ssize_t n = 1;
        while (have < sizeof record && (n = read(p[0], record + have, sizeof record - have)) > 0)
            have += n;
        if (have == 0)
            break;
        records++;
        bool whole = true;
        for (size_t i = 1; i < sizeof record; i++)
            whole &= record[i] == record[0];
        CHECK(whole && have == sizeof record);
    }
    CHECK_EQ(records, WRITERS * RECORDS);
    for (int w = 0; w < WRITERS; w++)
        CHECK_EXITS(pids[w], 0);
}

TEST(blocked_reader_and_writer_wake) {
    int p[2];
    static char block[65536];
    REQUIRE(pipe(p) == 0);
    pid_t reader = CHILD(char c; CHECK_EQ(read(p[0], &c, 1), 1));
    CHECK(WAIT_FOR(task_state(reader, reader) == 'S', 5000));
    REQUIRE(write(p[1], "x", 1) == 1);
    CHECK_EXITS(reader, 0);
    REQUIRE(write(p[1], block, sizeof block) == sizeof block);
    pid_t writer = CHILD(CHECK_EQ(write(p[1], "y", 1), 1));
    CHECK(WAIT_FOR(task_state(writer, writer) == 'S', 5000));
    CHECK_EQ(read(p[0], block, sizeof block), (ssize_t)sizeof block);
    CHECK_EXITS(writer, 0);
}

TEST(fifo_open_pairs_up) {
    REQUIRE(mkfifo("fifo", 0600) == 0);
    pid_t pid = CHILD(int fd = open("fifo", O_WRONLY); CHECK_EQ(write(fd, "hi", 2), 2));
    int fd = CHECK_OK(open("fifo", O_RDONLY));
    char b[8] = "";
    CHECK_EQ(read(fd, b, sizeof b), 2);
    CHECK_EQ(read(fd, b, sizeof b), 0);
    CHECK_EXITS(pid, 0);
}

TEST(splice_moves_between_pipe_and_file) {
    int p[2], in = open("in", O_RDWR | O_CREAT, 0600), out = open("out", O_RDWR | O_CREAT, 0600);
    REQUIRE(pipe(p) == 0 && write(in, "0123456789", 10) == 10);
    off_t from = 2, to = 4;
    CHECK_EQ(splice(in, &from, p[1], NULL, 6, 0), 6);
    CHECK_EQ(from, 8);
    CHECK_EQ(splice(p[0], NULL, out, &to, 100, SPLICE_F_MOVE), 6);
    CHECK_EQ(to, 10);
    char b[16] = "";
    CHECK_EQ(pread(out, b, 16, 0), 10);
    CHECK(memcmp(b,
                 "\0\0\0\0"
                 "234567",
                 10) == 0);
    CHECK_ERRNO(splice(p[0], NULL, out, NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO(splice(in, NULL, out, NULL, 10, 0), EINVAL);
    CHECK_ERRNO(splice(p[0], &from, out, NULL, 10, 0), ESPIPE);
    CHECK_ERRNO(splice(-1, NULL, p[1], NULL, 10, 0), EBADF);
    CHECK_ERRNO(splice(in, (off64_t *)8, p[1], NULL, 10, 0), EFAULT);
    CHECK_ERRNO(splice(in, NULL, p[1], NULL, 10, 0x100), EINVAL);
}

TEST(tee_duplicates) {
    int a[2], b[2];
    char text[8] = "";
    REQUIRE(pipe(a) == 0 && pipe(b) == 0 && write(a[1], "copy", 4) == 4);
    CHECK_EQ(tee(a[0], b[1], 100, 0), 4);
    CHECK_EQ(read(b[0], text, sizeof text), 4);
    CHECK_STR(text, "copy");
    CHECK_EQ(read(a[0], text, sizeof text), 4);
    CHECK_ERRNO(tee(a[0], b[1], 100, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO(tee(a[0], a[1], 100, 0), EINVAL);
    CHECK_ERRNO(tee(0, b[1], 100, 0), EINVAL);
}

TEST(vmsplice_maps_user_pages) {
    int p[2];
    REQUIRE(pipe(p) == 0);
    struct iovec v[2] = {{"ab", 2}, {"cde", 3}};
    CHECK_EQ(vmsplice(p[1], v, 2, 0), 5);
    char b[8] = "";
    struct iovec in = {b, sizeof b};
    CHECK_EQ(vmsplice(p[0], &in, 1, 0), 5);
    CHECK_STR(b, "abcde");
    CHECK_ERRNO(vmsplice(0, v, 1, 0), EBADF);
    CHECK_ERRNO(vmsplice(p[1], (struct iovec *)8, 1, 0), EFAULT);
}
