// Moving data: read/write in all their forms, offsets, truncation, allocation, and the in-kernel
// copies.
#include "check.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

static const char digits[] = "0123456789";

static int digits_file(const char *name) {
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    REQUIRE(fd != -1 && write(fd, digits, 10) == 10);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

TEST(read_and_write_move_the_offset) {
    int fd = digits_file("f");
    char b[16] = "";
    CHECK_EQ(read(fd, b, 4), 4);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
    CHECK_EQ(pread(fd, b, 2, 8), 2);
    CHECK(b[0] == '8' && b[1] == '9');
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
    CHECK_EQ(pwrite(fd, "X", 1, 4), 1);
    CHECK_EQ(read(fd, b, sizeof b), 6);
    CHECK_EQ(b[0], 'X');
    CHECK_EQ(read(fd, b, sizeof b), 0);
    CHECK_EQ(lseek(fd, -3, SEEK_END), 7);
    CHECK_EQ(lseek(fd, 20, SEEK_SET), 20);
    CHECK_EQ(write(fd, "Z", 1), 1);
    CHECK_EQ(pread(fd, b, 1, 15), 1);
    CHECK_EQ(b[0], 0);
    CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERRNO(lseek(fd, 0, 77), EINVAL);
    CHECK_ERRNO(pread(fd, b, 1, -1), EINVAL);
    CHECK_ERRNO(pwrite(fd, b, 1, -1), EINVAL);
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    CHECK_ERRNO(lseek(pipes[0], 0, SEEK_CUR), ESPIPE);
    CHECK_ERRNO(pread(pipes[0], b, 1, 0), ESPIPE);
    CHECK_ERRNO(write(open("f", O_RDONLY), b, 1), EBADF);
    CHECK_ERRNO(read(open("f", O_WRONLY), b, 1), EBADF);
    lseek(fd, 0, SEEK_SET);
    CHECK_ERRNO(read(fd, (void *)8, 1), EFAULT);
    CHECK_ERRNO(write(fd, (void *)8, 1), EFAULT);
    CHECK_EQ(read(fd, (void *)8, 0), 0);
}

TEST(descriptors_share_or_own_the_offset) {
    int fd = digits_file("f"), copy = dup(fd), other = open("f", O_RDONLY);
    char c;
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_EQ(read(copy, &c, 1), 1);
    CHECK_EQ(c, '1');
    CHECK_EQ(read(other, &c, 1), 1);
    CHECK_EQ(c, '0');
    pid_t pid = CHILD(CHECK(read(fd, &c, 1) == 1 && c == '2'));
    CHECK_EXITS(pid, 0);
    CHECK(read(fd, &c, 1) == 1 && c == '3');
}

TEST(vectors) {
    int fd = digits_file("f");
    char a[4] = "", b[4] = "", c[16] = "";
    struct iovec in[4] = {{a, 3}, {NULL, 0}, {b, 2}, {c, 16}};
    CHECK_EQ(readv(fd, in, 4), 10);
    CHECK_STR(a, "012");
    CHECK_STR(b, "34");
    CHECK_STR(c, "56789");
    CHECK_EQ(preadv(fd, in, 3, 5), 5);
    CHECK_STR(a, "567");
    struct iovec out[2] = {{"ab", 2}, {"cde", 3}};
    CHECK_EQ(pwritev(fd, out, 2, 1), 5);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(writev(fd, out, 2), 5);
    CHECK_EQ(writev(fd, out, 0), 0);
    CHECK_ERRNO(writev(fd, out, -1), EINVAL);
    CHECK_ERRNO(syscall(SYS_readv, fd, in, 1025), EINVAL);
    CHECK_ERRNO(readv(fd, (struct iovec *)8, 2), EFAULT);
    CHECK_ERRNO(preadv(fd, in, 1, -1), EINVAL);
    struct iovec bad[2] = {{a, 2}, {(void *)8, 2}};
    lseek(fd, 0, SEEK_SET);
    // The transfer up to the bad element counts.
    CHECK_EQ(readv(fd, bad, 2), 2);
    bad[0].iov_base = (void *)8;
    CHECK_ERRNO(readv(fd, bad, 2), EFAULT);
    bad[0].iov_len = (size_t)-1;
    CHECK_ERRNO(readv(fd, bad, 2), EINVAL);
}

TEST(preadv2_and_pwritev2_flags) {
    QEMU_WRONG("ignores or rejects every RWF_ flag");
    int fd = digits_file("f");
    char a[16] = "";
    struct iovec v = {a, 4};
    CHECK_EQ(preadv2(fd, &v, 1, 2, 0), 4);
    CHECK_STR(a, "2345");
    CHECK_EQ(preadv2(fd, &v, 1, -1, 0), 4);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
    v = (struct iovec){"zz", 2};
    CHECK_EQ(pwritev2(fd, &v, 1, 0, RWF_APPEND), 2);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 12);
    CHECK_EQ(pwritev2(fd, &v, 1, 0, RWF_DSYNC), 2);
    CHECK_EQ(pwritev2(fd, &v, 1, -1, RWF_SYNC), 2);
    CHECK_ERRNO(pwritev2(fd, &v, 1, 0, 0x40000000), EOPNOTSUPP);
    v = (struct iovec){a, 4};
    CHECK_ERRNO(preadv2(fd, &v, 1, 0, 0x40000000), EOPNOTSUPP);
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    CHECK_ERRNO(preadv2(pipes[0], &v, 1, -1, RWF_NOWAIT), EAGAIN);
}

TEST(offsets_beyond_32_bits) {
    int fd = open("big", O_RDWR | O_CREAT, 0600);
    off_t far = (1LL << 33) + 7;
    if (pwrite(fd, "far", 3, far) != 3)
        SKIP("no large files here");
    char b[4] = "";
    CHECK_EQ(pread(fd, b, 3, far), 3);
    CHECK_STR(b, "far");
    struct iovec v = {b, 3};
    CHECK_EQ(preadv(fd, &v, 1, far - 1), 3);
    CHECK(b[0] == 0 && b[1] == 'f');
    CHECK_EQ(pwritev(fd, &v, 1, far + 10), 3);
    CHECK_EQ(lseek(fd, far, SEEK_SET), far);
    CHECK_EQ(lseek(fd, 0, SEEK_END), far + 13);
    CHECK_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, far, 4096) == 0 || errno == EOPNOTSUPP, 1);
    CHECK_EQ(posix_fadvise(fd, far, 4096, POSIX_FADV_DONTNEED), 0);
    CHECK_EQ(sync_file_range(fd, far, 4096, SYNC_FILE_RANGE_WRITE), 0);
    CHECK_EQ(readahead(fd, far, 4096), 0);
}

TEST(truncation) {
    int fd = digits_file("f");
    struct stat st;
    CHECK_EQ(ftruncate(fd, 4), 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 4);
    CHECK_EQ(truncate("f", 100), 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 100);
    char b[100];
    CHECK_EQ(pread(fd, b, 100, 0), 100);
    CHECK(b[3] == '3' && b[4] == 0 && b[99] == 0);
    CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
    CHECK_ERRNO(truncate("absent", 1), ENOENT);
    CHECK_ERRNO(ftruncate(open("f", O_RDONLY), 1), EINVAL);
    REQUIRE(mkdir("d", 0700) == 0);
    CHECK_ERRNO(truncate("d", 1), EISDIR);
    CHECK_ERRNO(ftruncate(9999, 1), EBADF);
}

TEST(allocation_and_holes) {
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    if (fallocate(fd, 0, 0, 65536) == -1)
        SKIP("file system without fallocate");
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && st.st_size == 65536 && st.st_blocks >= 128);
    CHECK_EQ(fallocate(fd, FALLOC_FL_KEEP_SIZE, 65536, 4096), 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 65536);
    char block[4096];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 16; i++)
        CHECK_EQ(pwrite(fd, block, 4096, i * 4096), 4096);
    CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 8192), 0);
    CHECK(pread(fd, block, 4096, 8192) == 4096 && block[0] == 0 && block[4095] == 0);
    CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 8192);
    CHECK_EQ(lseek(fd, 8192, SEEK_DATA), 16384);
    CHECK_ERRNO(lseek(fd, 65536, SEEK_DATA), ENXIO);
    CHECK_ERRNO(fallocate(fd, 0, -1, 10), EINVAL);
    CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(open("f", O_RDONLY), 0, 0, 10), EBADF);
    CHECK_EQ(posix_fallocate(fd, 0, 100000), 0);
    CHECK(fstat(fd, &st) == 0 && st.st_size == 100000);
}

TEST(copy_file_range_copies) {
    int in = digits_file("in"), out = open("out", O_RDWR | O_CREAT, 0600);
    off_t from = 2, to = 5;
    if (copy_file_range(in, &from, out, &to, 4, 0) == -1 && (errno == EXDEV || errno == EOPNOTSUPP))
        SKIP("file system without copy_file_range");
    CHECK_EQ(from, 6);
    CHECK_EQ(to, 9);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
    CHECK_EQ(copy_file_range(in, NULL, out, NULL, 100, 0), 10);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 10);
    CHECK_EQ(copy_file_range(in, NULL, out, NULL, 100, 0), 0);
    char b[16] = "";
    CHECK_EQ(pread(out, b, 16, 0), 10);
    CHECK_STR(b, digits);
    from = 0, to = 2;
    CHECK_ERRNO(copy_file_range(in, &from, in, &to, 5, 0), EINVAL); // overlap
    CHECK_ERRNO(copy_file_range(in, NULL, out, NULL, 5, 1), EINVAL);
    CHECK_ERRNO(copy_file_range(in, NULL, open("out", O_RDONLY), NULL, 5, 0), EBADF);
}

TEST(sendfile_copies) {
    int in = digits_file("in"), out = open("out", O_RDWR | O_CREAT, 0600), pipes[2];
    off_t at = 3;
    CHECK_EQ(sendfile(out, in, &at, 4), 4);
    CHECK_EQ(at, 7);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 0);
    CHECK_EQ(sendfile(out, in, NULL, 100), 10);
    CHECK_EQ(lseek(in, 0, SEEK_CUR), 10);
    CHECK_EQ(sendfile(out, in, NULL, 100), 0);
    char b[32] = "";
    CHECK_EQ(pread(out, b, 32, 0), 14);
    CHECK_STR(b, "34560123456789");
    REQUIRE(pipe(pipes) == 0);
    at = 0;
    CHECK_EQ(sendfile(pipes[1], in, &at, 10), 10);
    CHECK_EQ(read(pipes[0], b, 32), 10);
    CHECK_ERRNO(sendfile(out, pipes[0], &at, 10), ESPIPE);
    CHECK_ERRNO(sendfile(open("out", O_WRONLY | O_APPEND), in, &at, 10), EINVAL);
    CHECK_ERRNO(sendfile(open("out", O_RDONLY), in, &at, 10), EBADF);
    CHECK_ERRNO(sendfile(out, in, (off_t *)8, 10), EFAULT);
    at = -1;
    CHECK_ERRNO(sendfile(out, in, &at, 10), EINVAL);
}

TEST(sync_calls) {
    int fd = digits_file("f"), pipes[2];
    REQUIRE(pipe(pipes) == 0);
    CHECK_EQ(fsync(fd), 0);
    CHECK_EQ(fdatasync(fd), 0);
    CHECK_ERRNO(fsync(pipes[0]), EINVAL);
    CHECK_ERRNO(fsync(9999), EBADF);
    CHECK_ERRNO(sync_file_range(fd, 0, 1, 0x80), EINVAL);
    CHECK_ERRNO(sync_file_range(pipes[0], 0, 1, SYNC_FILE_RANGE_WRITE), ESPIPE);
    CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
    CHECK_EQ(posix_fadvise(fd, 0, 0, 99), EINVAL);
    CHECK_EQ(posix_fadvise(pipes[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
}

TEST(file_size_limit_raises_sigxfsz) {
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    pid_t pid = CHILD({
        struct rlimit {
            unsigned long cur, max;
        } limit = {100, 100};
        if (syscall(SYS_prlimit64, 0, 1, &limit, NULL))
            _exit(1);
        char b[200] = {0};
        CHECK_EQ(write(fd, b, 200), 100);
        handle(SIGXFSZ, SIG_IGN, 0);
        CHECK_ERRNO(write(fd, b, 1), EFBIG);
        handle(SIGXFSZ, SIG_DFL, 0);
        if (write(fd, b, 1))
            _exit(1);
    });
    CHECK_KILLED(pid, SIGXFSZ);
}
