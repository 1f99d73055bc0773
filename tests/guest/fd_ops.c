// Descriptors: dup family, close, close_range, fcntl flags, limits, ioctl on plain descriptors.
#include "check.h"
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <linux/close_range.h>
#include <poll.h>

TEST(dup_family) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int copy = CHECK_OK(dup(fd));
    CHECK_EQ(fcntl(copy, F_GETFD), 0);
    CHECK_EQ(dup2(fd, 100), 100);
    CHECK_EQ(fcntl(100, F_GETFD), 0);
    CHECK_EQ(dup2(fd, fd), fd);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(dup3(fd, 101, O_CLOEXEC), 101);
    CHECK_EQ(fcntl(101, F_GETFD), FD_CLOEXEC);
    CHECK_ERRNO(dup3(fd, fd, 0), EINVAL);
    CHECK_ERRNO(dup3(fd, 102, O_NONBLOCK), EINVAL);
    CHECK_ERRNO(dup2(-1, 50), EBADF);
    CHECK_ERRNO(dup2(fd, -1), EBADF);
    CHECK_ERRNO(dup2(fd, 1 << 30), EBADF);
    CHECK_ERRNO(dup(-1), EBADF);
    CHECK_EQ(fcntl(fd, F_DUPFD, 200), 200);
    CHECK_EQ(fcntl(fd, F_DUPFD, 200), 201);
    CHECK_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 300), 300);
    CHECK_EQ(fcntl(300, F_GETFD), FD_CLOEXEC);
    CHECK_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_DUPFD, 1 << 30), EINVAL);
    CHECK_ERRNO(fcntl(fd, 9999), EINVAL);
    CHECK_ERRNO(fcntl(-1, F_GETFD), EBADF);
    CHECK_EQ(fcntl(fd, F_SETFD, 0), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_EQ(close(fd), 0);
    CHECK_ERRNO(close(fd), EBADF);
}

TEST(status_flags_are_shared_by_copies) {
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    int copy = dup(pipes[0]);
    CHECK_EQ(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
    CHECK(fcntl(copy, F_GETFL) & O_NONBLOCK);
    int off = 0, on = 1;
    CHECK_EQ(ioctl(copy, FIONBIO, &off), 0);
    CHECK_EQ(fcntl(pipes[0], F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(ioctl(copy, FIONBIO, &on), 0);
    CHECK(fcntl(pipes[0], F_GETFL) & O_NONBLOCK);
    CHECK_ERRNO(ioctl(copy, FIONBIO, (void *)8), EFAULT);
    CHECK_EQ(ioctl(copy, FIOCLEX), 0);
    CHECK_EQ(fcntl(copy, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(ioctl(copy, FIONCLEX), 0);
    CHECK_EQ(fcntl(copy, F_GETFD), 0);
    int pending = -1;
    REQUIRE(write(pipes[1], "12345", 5) == 5);
    CHECK_EQ(ioctl(copy, FIONREAD, &pending), 0);
    CHECK_EQ(pending, 5);
    CHECK_ERRNO(ioctl(copy, FIONREAD, (void *)8), EFAULT);
    CHECK_ERRNO(ioctl(copy, TIOCGWINSZ, &pending), ENOTTY);
    CHECK_ERRNO(ioctl(-1, FIONREAD, &pending), EBADF);
    CHECK_ERRNO(ioctl(open(".", O_PATH), FIONREAD, &pending), EBADF);
}

static int open_count(int from, int to) {
    int n = 0;
    for (int fd = from; fd <= to; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

TEST(close_range_closes_or_marks) {
    for (int fd = 50; fd < 60; fd++)
        REQUIRE(dup2(0, fd) == fd);
    CHECK_EQ(syscall(SYS_close_range, 52, 54, 0), 0);
    CHECK_EQ(open_count(50, 59), 7);
    CHECK_EQ(syscall(SYS_close_range, 55, 56, CLOSE_RANGE_CLOEXEC), 0);
    CHECK_EQ(fcntl(55, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(56, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(57, F_GETFD), 0);
    CHECK_ERRNO(syscall(SYS_close_range, 9, 8, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_close_range, 50, 51, 0x80), EINVAL);
    CHECK_EQ(syscall(SYS_close_range, 50, ~0u, CLOSE_RANGE_UNSHARE), 0);
    CHECK_EQ(open_count(50, 59), 0);
    CHECK_EQ(fcntl(2, F_GETFD), 0);
    // Everything above stderr may go: what the engine itself holds open must survive or be hidden.
    CHECK_EQ(syscall(SYS_close_range, 3, ~0u, 0), 0);
    int fd = open("/dev/null", O_RDONLY);
    CHECK_EQ(fd, 3);
    pid_t pid = CHILD(_exit(9));
    CHECK_EXITS(pid, 9);
}

TEST(closing_everything_is_harmless) {
    // Daemons close all descriptors up to the limit one by one.
    struct rlimit limit;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    int top = limit.rlim_cur > 65536 ? 65536 : (int)limit.rlim_cur;
    for (int fd = 3; fd < top; fd++)
        close(fd);
    CHECK_EQ(open("/dev/null", O_RDONLY), 3);
    CHECK_EQ(fcntl(3, F_DUPFD, top - 1), top - 1);
    write_file("f", "x", 0600);
    pid_t pid = CHILD(_exit(access("f", R_OK) == 0 ? 3 : 4));
    CHECK_EXITS(pid, 3);
}

TEST(descriptor_limit) {
    struct rlimit limit;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 40;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int fd, last = -1;
    while ((fd = open("/dev/null", O_RDONLY)) != -1)
        last = fd;
    CHECK_EQ(errno, EMFILE);
    CHECK_EQ(last, 39);
    CHECK_ERRNO(dup(0), EMFILE);
    CHECK_ERRNO(dup2(0, 40), EBADF);
    CHECK_ERRNO(fcntl(0, F_DUPFD, 40), EINVAL);
    int pipes[2] = {-7, -7};
    close(39);
    CHECK_ERRNO(pipe(pipes), EMFILE);
    CHECK(pipes[0] == -7 && pipes[1] == -7);
    CHECK_EQ(open("/dev/null", O_RDONLY), 39);
}

TEST(proc_self_fd_shows_only_the_programs) {
    int fd = open("/dev/null", O_RDONLY);
    char path[64], target[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_EQ(readlink(path, target, sizeof target - 1), 9);
    CHECK_STR(target, "/dev/null");
    // The next descriptor is the next number: the engine occupies none of the low ones.
    CHECK_EQ(dup(fd), fd + 1);
    CHECK_EQ(fd, 3);
}

TEST(pty_and_terminal_ioctls) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master == -1)
        SKIP("no ptys");
    REQUIRE(grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = CHECK_OK(open(ptsname(master), O_RDWR | O_NOCTTY));
    CHECK(isatty(slave) == 1 && isatty(0) == 0);
    struct winsize size = {24, 80, 1, 2}, got;
    CHECK_EQ(ioctl(slave, TIOCSWINSZ, &size), 0);
    CHECK_EQ(ioctl(master, TIOCGWINSZ, &got), 0);
    CHECK(memcmp(&size, &got, sizeof size) == 0);
    CHECK_EQ(write(master, "line\n", 5), 5);
    char b[16] = "";
    CHECK_EQ(read(slave, b, sizeof b), 5);
    CHECK_STR(b, "line\n");
    CHECK_EQ(write(slave, "x\n", 2), 2);
    memset(b, 0, sizeof b);
    CHECK(read(master, b, sizeof b) > 0);
    close(slave);
    struct pollfd p = {master, POLLIN, 0};
    CHECK(poll(&p, 1, 1000) == 1 && (p.revents & POLLHUP));
}
