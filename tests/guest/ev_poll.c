// poll, ppoll, select, pselect6: results, timeouts, masks, errors.
#include "check.h"
#include <poll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>

static volatile sig_atomic_t signals;
static void count(int sig) {
    (void)sig, signals++;
}

TEST(poll_results) {
    int p[2], q[2];
    REQUIRE(pipe(p) == 0 && pipe(q) == 0);
    struct pollfd f[5] = {{p[0], POLLIN, 7},
                          {p[1], POLLOUT, 7},
                          {-1, POLLIN, 7},
                          {999, POLLIN, 7},
                          {q[0], POLLIN, 7}};
    CHECK_EQ(poll(f, 5, 0), 2);
    CHECK_EQ(f[0].revents, 0);
    CHECK_EQ(f[1].revents, POLLOUT);
    CHECK_EQ(f[2].revents, 0);
    CHECK_EQ(f[3].revents, POLLNVAL);
    REQUIRE(write(p[1], "x", 1) == 1);
    close(q[1]);
    f[0].events = POLLIN | POLLRDNORM | POLLPRI;
    CHECK_EQ(poll(f, 5, -1), 4);
    CHECK_EQ(f[0].revents, POLLIN | POLLRDNORM);
    CHECK_EQ(f[4].revents, POLLHUP);
    f[0].events = 0;
    CHECK_EQ(poll(f, 1, 0), 0);
    int64_t start = now_ns();
    CHECK_EQ(poll(NULL, 0, 25), 0);
    CHECK(now_ns() - start >= 25000000);
    CHECK_ERRNO(poll((struct pollfd *)8, 1, 0), EFAULT);
    struct rlimit limit = {20, 20};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    static struct pollfd many[30];
    CHECK_ERRNO(poll(many, 30, 0), EINVAL);
}

TEST(ppoll_timeout_is_not_changed_by_libc_but_by_the_kernel) {
    struct timespec ts = {0, 20000000};
    CHECK_EQ(syscall(SYS_ppoll, NULL, 0, &ts, NULL, 8), 0);
    CHECK(ts.tv_sec == 0 && ts.tv_nsec == 0); // the remaining time, man 2 ppoll
    int p[2];
    REQUIRE(pipe(p) == 0 && write(p[1], "x", 1) == 1);
    struct pollfd f = {p[0], POLLIN, 0};
    ts = (struct timespec){5, 0};
    CHECK_EQ(syscall(SYS_ppoll, &f, 1, &ts, NULL, 8), 1);
    CHECK(ts.tv_sec == 4 && ts.tv_nsec > 0);
    ts.tv_nsec = -1;
    CHECK_ERRNO(ppoll(&f, 1, &ts, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_ppoll, &f, 1, NULL, (void *)8, 8), EFAULT);
    sigset_t set;
    sigemptyset(&set);
    CHECK_ERRNO(syscall(SYS_ppoll, &f, 1, NULL, &set, 7), EINVAL);
}

TEST(select_results) {
    int p[2];
    REQUIRE(pipe(p) == 0);
    int high = fcntl(p[0], F_DUPFD, 900);
    fd_set r, w, e;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_ZERO(&e);
    FD_SET(high, &r), FD_SET(p[1], &w), FD_SET(high, &e);
    struct timeval tv = {5, 0};
    CHECK_EQ(select(high + 1, &r, &w, &e, &tv), 1);
    CHECK(!FD_ISSET(high, &r) && FD_ISSET(p[1], &w) && !FD_ISSET(high, &e));
    CHECK(tv.tv_sec == 4); // Linux leaves the remaining time
    REQUIRE(write(p[1], "x", 1) == 1);
    FD_SET(high, &r), FD_SET(p[1], &w);
    CHECK_EQ(select(high + 1, &r, &w, NULL, NULL), 2);
    CHECK(FD_ISSET(high, &r));
    FD_ZERO(&r);
    FD_SET(800, &r);
    CHECK_ERRNO(select(801, &r, NULL, NULL, &tv), EBADF);
    tv = (struct timeval){0, 20000};
    int64_t start = now_ns();
    CHECK_EQ(select(0, NULL, NULL, NULL, &tv), 0);
    CHECK(now_ns() - start >= 20000000);
    CHECK_ERRNO(select(-1, NULL, NULL, NULL, &tv), EINVAL);
    tv.tv_sec = -1;
    CHECK_ERRNO(select(0, NULL, NULL, NULL, &tv), EINVAL);
    CHECK_ERRNO(select(5, (fd_set *)8, NULL, NULL, NULL), EFAULT);
}

TEST(pselect_swaps_the_mask) {
    sigset_t blocked, none, now;
    handle(SIGUSR1, count, SA_RESTART);
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGUSR1);
    struct timespec ts = {5, 0};
    CHECK_ERRNO(pselect(0, NULL, NULL, NULL, &ts, &none), EINTR);
    CHECK_EQ(signals, 1);
    raise(SIGUSR1);
    CHECK_ERRNO(ppoll(NULL, 0, &ts, &none), EINTR);
    CHECK_EQ(signals, 2);
    sigprocmask(SIG_SETMASK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR1));
    raise(SIGUSR1);
    ts = (struct timespec){0, 1000000};
    CHECK_EQ(ppoll(NULL, 0, &ts, NULL), 0);
    CHECK_EQ(signals, 2);
    struct {
        const sigset_t *set;
        size_t size;
    } argument = {&none, 3};
    CHECK_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, &argument), EINVAL);
    argument.set = (void *)8, argument.size = 8;
    CHECK_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, &argument), EFAULT);
    CHECK_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, (void *)8), EFAULT);
}

TEST(the_handler_runs_with_the_temporary_mask_lifted_after) {
    // The handler of a signal let in by ppoll's mask runs before the old mask is back,
    // and inside it its own signal is blocked.
    sigset_t blocked, none;
    handle(SIGUSR1, count, 0);
    handle(SIGUSR2, count, 0);
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGUSR1);
    raise(SIGUSR2);
    CHECK_ERRNO(ppoll(NULL, 0, NULL, &none), EINTR);
    CHECK_EQ(signals, 2); // both were deliverable, both handlers run before the call returns
    sigset_t pending;
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGUSR1) && !sigismember(&pending, SIGUSR2));
}

TEST(poll_is_interrupted_and_not_restarted) {
    handle(SIGUSR1, count, SA_RESTART);
    pid_t parent = getpid();
    pid_t pid = CHILD({
        WAIT_FOR(task_state(parent, parent) == 'S', 5000);
        sleep_ms(10);
        kill(parent, SIGUSR1);
    });
    CHECK_ERRNO(poll(NULL, 0, 5000), EINTR);
    CHECK_EQ(signals, 1);
    CHECK_EXITS(pid, 0);
}

TEST(poll_continues_after_stop) {
    // man 7 signal: stopping and continuing without a handler does not end poll.
    pid_t pid = CHILD(CHECK_EQ(poll(NULL, 0, 500), 0));
    CHECK(WAIT_FOR(task_state(pid, pid) == 'S', 5000));
    kill(pid, SIGSTOP);
    int status;
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    kill(pid, SIGCONT);
    CHECK_EXITS(pid, 0);
}
