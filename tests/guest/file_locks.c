// Advisory locks: flock, fcntl record locks (also open-file-description ones), leases.
#include "check.h"
#include <sys/file.h>

static struct flock region(short type, off_t start, off_t length) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return l;
}

TEST(flock_belongs_to_the_open_file) {
    int a = open("f", O_RDWR | O_CREAT, 0600), b = open("f", O_RDWR), copy = dup(a);
    CHECK_EQ(flock(a, LOCK_EX), 0);
    CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_ERRNO(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK_EQ(flock(copy, LOCK_EX | LOCK_NB), 0);
    CHECK_EQ(flock(copy, LOCK_SH), 0);
    CHECK_EQ(flock(b, LOCK_SH | LOCK_NB), 0);
    CHECK_ERRNO(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    close(b);
    CHECK_EQ(flock(a, LOCK_EX | LOCK_NB), 0);
    pid_t pid = CHILD(CHECK_EQ(flock(a, LOCK_EX | LOCK_NB), 0);
                      CHECK_ERRNO(flock(open("f", O_RDWR), LOCK_SH | LOCK_NB), EWOULDBLOCK));
    CHECK_EXITS(pid, 0);
    CHECK_EQ(flock(a, LOCK_UN), 0);
    CHECK_EQ(flock(open("f", O_RDWR), LOCK_EX | LOCK_NB), 0);
    CHECK_ERRNO(flock(a, 0), EINVAL);
    CHECK_ERRNO(flock(-1, LOCK_SH), EBADF);
}

TEST(blocking_flock_waits) {
    int a = open("f", O_RDWR | O_CREAT, 0600), started[2];
    REQUIRE(pipe(started) == 0 && flock(a, LOCK_EX) == 0);
    pid_t pid = CHILD({
        int b = open("f", O_RDWR);
        if (write(started[1], "x", 1) != 1)
            _exit(1);
        CHECK_EQ(flock(b, LOCK_EX), 0);
    });
    char c;
    CHECK_EQ(read(started[0], &c, 1), 1);
    CHECK(WAIT_FOR(task_state(pid, pid) == 'S', 5000));
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
    CHECK_EQ(flock(a, LOCK_UN), 0);
    CHECK_EXITS(pid, 0);
}

TEST(record_locks_belong_to_the_process) {
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    struct flock l = region(F_WRLCK, 10, 20);
    CHECK_EQ(fcntl(fd, F_SETLK, &l), 0);
    l = region(F_RDLCK, 50, 0);
    CHECK_EQ(fcntl(fd, F_SETLK, &l), 0);
    l = region(F_WRLCK, 0, 0);
    CHECK_EQ(fcntl(fd, F_GETLK, &l), 0); // one's own locks do not conflict
    CHECK_EQ(l.l_type, F_UNLCK);
    pid_t pid = CHILD({
        int other = open("f", O_RDWR);
        struct flock q = region(F_WRLCK, 0, 0);
        CHECK_EQ(fcntl(other, F_GETLK, &q), 0);
        CHECK_EQ(q.l_type, F_WRLCK);
        CHECK_EQ(q.l_whence, SEEK_SET);
        CHECK_EQ(q.l_start, 10);
        CHECK_EQ(q.l_len, 20);
        CHECK_EQ(q.l_pid, getppid());
        q = region(F_WRLCK, 29, 1);
        CHECK_ERRNO(fcntl(fd, F_SETLK, &q), EAGAIN);
        q = region(F_WRLCK, 30, 20);
        CHECK_EQ(fcntl(other, F_SETLK, &q), 0);
        q = region(F_RDLCK, 1000, 5);
        CHECK_EQ(fcntl(other, F_SETLK, &q), 0);
        q.l_type = F_WRLCK;
        CHECK_ERRNO(fcntl(other, F_SETLK, &q), EAGAIN);
    });
    CHECK_EXITS(pid, 0);
    // Closing any descriptor of the file drops the process's locks.
    close(open("f", O_RDWR));
    pid = CHILD(struct flock q = region(F_WRLCK, 0, 0); CHECK_EQ(fcntl(fd, F_SETLK, &q), 0));
    CHECK_EXITS(pid, 0);
    l = region(F_WRLCK, -5, 0);
    CHECK_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
    l = region(9, 0, 0);
    CHECK_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
    l = region(F_WRLCK, 0, 0);
    CHECK_ERRNO(fcntl(open("f", O_RDONLY), F_SETLK, &l), EBADF);
    CHECK_ERRNO(fcntl(fd, F_SETLK, (void *)8), EFAULT);
    CHECK_ERRNO(fcntl(fd, F_GETLK, (void *)8), EFAULT);
}

TEST(setlkw_waits_and_detects_deadlock) {
    int fd = open("f", O_RDWR | O_CREAT, 0600), ready[2];
    REQUIRE(pipe(ready) == 0);
    struct flock a = region(F_WRLCK, 0, 1), b = region(F_WRLCK, 1, 1);
    REQUIRE(fcntl(fd, F_SETLK, &a) == 0);
    pid_t pid = CHILD({
        CHECK_EQ(fcntl(fd, F_SETLK, &b), 0);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        CHECK_EQ(fcntl(fd, F_SETLKW, &a), 0);
    });
    char c;
    CHECK_EQ(read(ready[0], &c, 1), 1);
    CHECK(WAIT_FOR(task_state(pid, pid) == 'S', 5000));
    CHECK_ERRNO(fcntl(fd, F_SETLKW, &b), EDEADLK);
    a.l_type = F_UNLCK;
    CHECK_EQ(fcntl(fd, F_SETLK, &a), 0);
    CHECK_EXITS(pid, 0);
}

static void ignore_signal(int sig) {
    (void)sig;
}

TEST(setlkw_is_interrupted) {
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    struct flock l = region(F_WRLCK, 0, 0);
    REQUIRE(fcntl(fd, F_SETLK, &l) == 0);
    pid_t pid = CHILD({
        handle(SIGUSR1, ignore_signal, 0);
        struct flock q = region(F_WRLCK, 0, 0);
        CHECK_ERRNO(fcntl(fd, F_SETLKW, &q), EINTR);
    });
    CHECK(WAIT_FOR(task_state(pid, pid) == 'S', 5000));
    sleep_ms(20);
    kill(pid, SIGUSR1);
    CHECK_EXITS(pid, 0);
}

TEST(ofd_locks_belong_to_the_open_file) {
    int a = open("f", O_RDWR | O_CREAT, 0600), b = open("f", O_RDWR);
    struct flock l = region(F_WRLCK, 0, 10);
    CHECK_EQ(fcntl(a, F_OFD_SETLK, &l), 0);
    CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
    struct flock q = region(F_RDLCK, 5, 1);
    CHECK_EQ(fcntl(b, F_OFD_GETLK, &q), 0);
    CHECK_EQ(q.l_type, F_WRLCK);
    CHECK_EQ(q.l_pid, -1);
    CHECK_EQ(q.l_len, 10);
    close(open("f", O_RDWR));
    CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
    close(a);
    CHECK_EQ(fcntl(b, F_OFD_SETLKW, &l), 0);
    l.l_pid = 1;
    CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &l), EINVAL);
}

static volatile sig_atomic_t lease_fd;
static void on_lease(int sig, siginfo_t *si, void *context) {
    (void)sig, (void)context;
    lease_fd = si->si_fd;
}

TEST(lease_break_is_signalled) {
    write_file("f", "x", 0600);
    int fd = open("f", O_RDONLY);
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == -1)
        SKIP("file system without leases");
    CHECK_EQ(fcntl(fd, F_GETLEASE), F_RDLCK);
    int sig = SIGRTMIN + 3;
    handle(sig, on_lease, SA_SIGINFO);
    CHECK_EQ(fcntl(fd, F_SETSIG, sig), 0);
    CHECK_EQ(fcntl(fd, F_GETSIG), sig);
    lease_fd = -1;
    CHECK_ERRNO(open("f", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
    CHECK(WAIT_FOR(lease_fd == fd, 5000));
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
    close(CHECK_OK(open("f", O_WRONLY | O_NONBLOCK)));
    CHECK_ERRNO(fcntl(fd, F_SETLEASE, 77), EINVAL);
}
