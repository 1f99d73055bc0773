// eventfd, signalfd, timerfd.
#include "check.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

TEST(eventfd_counts) {
    int fd = CHECK_OK(eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    uint64_t v = 0, add = 4;
    CHECK_EQ(write(fd, &add, 8), 8);
    CHECK_EQ(read(fd, &v, 8), 8);
    CHECK_EQ(v, 7);
    CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
    CHECK_ERRNO(read(fd, &v, 4), EINVAL);
    CHECK_ERRNO(write(fd, &v, 4), EINVAL);
    v = ~0ull;
    CHECK_ERRNO(write(fd, &v, 8), EINVAL);
    v = ~0ull - 1;
    CHECK_EQ(write(fd, &v, 8), 8);
    struct pollfd p = {fd, POLLIN | POLLOUT, 0};
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    v = 1;
    CHECK_ERRNO(write(fd, &v, 8), EAGAIN);
    CHECK_EQ(read(fd, &v, 8), 8);
    CHECK_EQ(v, ~0ull - 1);
    fd = CHECK_OK(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    CHECK(read(fd, &v, 8) == 8 && v == 1);
    CHECK(read(fd, &v, 8) == 8 && v == 1);
    CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
    CHECK_ERRNO(eventfd(0, 0x1234), EINVAL);
    CHECK_ERRNO(read(eventfd(1, 0), (void *)8, 8), EFAULT);
}

static void block(int sig) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

TEST(signalfd_delivers) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 2);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = CHECK_OK(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    struct signalfd_siginfo si[4];
    CHECK_EQ(sizeof si[0], 128);
    CHECK_ERRNO(read(fd, si, sizeof si), EAGAIN);
    CHECK_ERRNO(read(fd, si, 100), EINVAL);
    kill(getpid(), SIGUSR1);
    sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 1234});
    sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 5678});
    struct pollfd p = {fd, POLLIN, 0};
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    CHECK_EQ(read(fd, si, sizeof si), 3 * 128);
    CHECK_EQ(si[0].ssi_signo, SIGUSR1);
    CHECK_EQ(si[0].ssi_code, SI_USER);
    CHECK_EQ(si[0].ssi_pid, getpid());
    CHECK_EQ(si[0].ssi_uid, getuid());
    CHECK_EQ(si[1].ssi_signo, SIGRTMIN + 2);
    CHECK_EQ(si[1].ssi_code, SI_QUEUE);
    CHECK_EQ(si[1].ssi_int, 1234);
    CHECK_EQ(si[2].ssi_int, 5678);
    pid_t pid = CHILD(_exit(6));
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(read(fd, si, sizeof si), 128);
    CHECK_EQ(si[0].ssi_signo, SIGCHLD);
    CHECK_EQ(si[0].ssi_pid, pid);
    CHECK_EQ(si[0].ssi_status, 6);
    CHECK_EQ(si[0].ssi_code, CLD_EXITED);
    wait_status(pid);
    // The mask of an existing descriptor changes.
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    block(SIGUSR2);
    CHECK_EQ(signalfd(fd, &set, 0), fd);
    raise(SIGUSR1);
    CHECK_ERRNO(read(fd, si, sizeof si), EAGAIN);
    raise(SIGUSR2);
    CHECK_EQ(read(fd, si, sizeof si), 128);
    CHECK_EQ(si[0].ssi_signo, SIGUSR2);
    CHECK_ERRNO(signalfd(0, &set, 0), EINVAL);
    CHECK_ERRNO(signalfd(999, &set, 0), EBADF);
    CHECK_ERRNO(signalfd(-1, &set, 0x55), EINVAL);
    if (!under_qemu()) // takes any size
        CHECK_ERRNO(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
}

TEST(blocking_signalfd_read) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, 0);
    pid_t parent = getpid();
    pid_t pid = CHILD(WAIT_FOR(task_state(parent, parent) == 'S', 5000); kill(parent, SIGUSR1));
    struct signalfd_siginfo si;
    CHECK_EQ(read(fd, &si, sizeof si), 128);
    CHECK_EQ(si.ssi_pid, pid);
    CHECK_EXITS(pid, 0);
}

TEST(timerfd_expires) {
    int fd = CHECK_OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    struct itimerspec t = {{0, 5000000}, {0, 10000000}}, got;
    uint64_t n = 0;
    CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
    CHECK_EQ(timerfd_settime(fd, 0, &t, NULL), 0);
    CHECK_EQ(timerfd_gettime(fd, &got), 0);
    CHECK(got.it_interval.tv_nsec == 5000000 && got.it_value.tv_nsec <= 10000000);
    struct pollfd p = {fd, POLLIN, 0};
    CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLIN);
    sleep_ms(20);
    CHECK_EQ(read(fd, &n, 8), 8);
    CHECK(n >= 3 && n < 1000);
    CHECK_ERRNO(read(fd, &n, 4), EINVAL);
    struct itimerspec off = {{0, 0}, {0, 0}}, old;
    CHECK_EQ(timerfd_settime(fd, 0, &off, &old), 0);
    CHECK_EQ(old.it_interval.tv_nsec, 5000000);
    CHECK_EQ(timerfd_gettime(fd, &got), 0);
    CHECK(got.it_value.tv_sec == 0 && got.it_value.tv_nsec == 0);
    // An absolute time in the past expires at once.
    struct itimerspec past = {{0, 0}, {0, 1}};
    CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &past, NULL), 0);
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK(read(fd, &n, 8) == 8 && n == 1);
    fd = CHECK_OK(timerfd_create(CLOCK_REALTIME, 0));
    past.it_value = (struct timespec){0, 3000000};
    CHECK_EQ(timerfd_settime(fd, 0, &past, NULL), 0);
    CHECK(read(fd, &n, 8) == 8 && n == 1);
    CHECK_ERRNO(timerfd_create(99, 0), EINVAL);
    CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 0x77), EINVAL);
    past.it_value.tv_nsec = 1000000000;
    CHECK_ERRNO(timerfd_settime(fd, 0, &past, NULL), EINVAL);
    CHECK_ERRNO(timerfd_settime(0, 0, &t, NULL), EINVAL);
    CHECK_ERRNO(timerfd_settime(999, 0, &t, NULL), EBADF);
    CHECK_ERRNO(timerfd_settime(fd, 0, (void *)8, NULL), EFAULT);
    CHECK_ERRNO(timerfd_gettime(fd, (void *)8), EFAULT);
}
