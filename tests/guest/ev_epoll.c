// epoll: struct epoll_event's layout (packed on x86-64, not on arm64), triggers, masks, errors.
#include "check.h"
#include <pthread.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int watch(int ep, int fd, uint32_t events, uint64_t data) {
    struct epoll_event e = {.events = events, .data.u64 = data};
    return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

TEST(layout_is_the_architectures) {
#ifdef __x86_64__
    CHECK_EQ(sizeof(struct epoll_event), 12);
#else
    CHECK_EQ(sizeof(struct epoll_event), 16);
#endif
}

TEST(data_of_many_events_round_trips) {
    enum { N = 64 };
    int ep = CHECK_OK(epoll_create1(EPOLL_CLOEXEC)), fds[N];
    CHECK_EQ(fcntl(ep, F_GETFD), FD_CLOEXEC);
    for (int i = 0; i < N; i++) {
        fds[i] = eventfd(1, 0);
        CHECK_EQ(watch(ep, fds[i], EPOLLIN, 0x123456789abcdef0ull + ((uint64_t)i << 56) + i), 0);
    }
    struct {
        uint64_t before;
        struct epoll_event e[N];
        uint64_t after;
    } got;
    memset(&got, 0xa5, sizeof got);
    CHECK_EQ(epoll_wait(ep, got.e, N, 0), N);
    CHECK(got.before == 0xa5a5a5a5a5a5a5a5ull && got.after == 0xa5a5a5a5a5a5a5a5ull);
    uint64_t seen = 0;
    for (int i = 0; i < N; i++) {
        int which = got.e[i].data.u64 & 0xff;
        which -= 0xf0;
        which &= 63;
        CHECK_EQ(got.e[i].data.u64, 0x123456789abcdef0ull + ((uint64_t)which << 56) + which);
        CHECK_EQ(got.e[i].events, EPOLLIN);
        seen |= 1ull << which;
    }
    CHECK_EQ(seen, ~0ull);
    // Fewer slots than events: only those are written.
    memset(&got, 0xa5, sizeof got);
    CHECK_EQ(epoll_wait(ep, got.e, 3, 0), 3);
    CHECK_EQ(((unsigned char *)&got.e[3])[0], 0xa5);
    int room = 1;
    CHECK_EQ(epoll_wait(ep, got.e, room, 0), 1);
}

TEST(control_operations) {
    int ep = epoll_create1(0), p[2];
    REQUIRE(pipe(p) == 0 && write(p[1], "x", 1) == 1);
    struct epoll_event e = {.events = EPOLLOUT, .data.fd = 77}, got;
    CHECK_EQ(watch(ep, p[0], 0, 5), 0);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
    CHECK_ERRNO(watch(ep, p[0], EPOLLIN, 5), EEXIST);
    e.events = EPOLLIN;
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e), 0);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
    CHECK_EQ(got.data.fd, 77);
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL), 0);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL), ENOENT);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e), ENOENT);
    CHECK_ERRNO(epoll_ctl(ep, 9, p[0], &e), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, -1, &e), EBADF);
    CHECK_ERRNO(epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &e), EINVAL);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], (void *)8), EFAULT);
    int file = open("f", O_RDWR | O_CREAT, 0600);
    CHECK_ERRNO(watch(ep, file, EPOLLIN, 0), EPERM);
    CHECK_ERRNO(epoll_create1(99), EINVAL);
    CHECK_ERRNO(epoll_create(0), EINVAL);
    CHECK_ERRNO(epoll_wait(ep, &got, 0, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(ep, &got, -1, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(p[0], &got, 1, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(-1, &got, 1, 0), EBADF);
    CHECK_EQ(watch(ep, p[0], EPOLLIN, 1), 0);
    CHECK_ERRNO(epoll_pwait(ep, (void *)8, 1, 0, NULL), EFAULT);
}

TEST(level_edge_and_oneshot) {
    int ep = epoll_create1(0), s[2];
    struct epoll_event e, got;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    CHECK_EQ(watch(ep, s[0], EPOLLIN, 1), 0);
    REQUIRE(write(s[1], "ab", 2) == 2);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
    e.events = EPOLLIN | EPOLLET, e.data.u64 = 2;
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, s[0], &e), 0);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
    REQUIRE(write(s[1], "c", 1) == 1);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
    CHECK_EQ(got.data.u64, 2);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
    e.events = EPOLLIN | EPOLLONESHOT;
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, s[0], &e), 0);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
    REQUIRE(write(s[1], "d", 1) == 1);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, s[0], &e), 0);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
    e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, s[0], &e), 0);
    close(s[1]);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
    CHECK_EQ(got.events, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    close(s[0]);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
}

TEST(exclusive_wakes_only_some) {
    int ep = epoll_create1(0), fd = eventfd(0, EFD_SEMAPHORE);
    CHECK_EQ(watch(ep, fd, EPOLLIN | EPOLLEXCLUSIVE, 1), 0);
    struct epoll_event e = {.events = EPOLLIN}, got;
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e), EINVAL);
    e.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, dup(fd), &e), EINVAL);
    uint64_t one = 1;
    REQUIRE(write(fd, &one, 8) == 8);
    CHECK_EQ(epoll_wait(ep, &got, 1, 100), 1);
}

TEST(nested_epoll_and_loops) {
    int outer = epoll_create1(0), inner = epoll_create1(0), fd = eventfd(1, 0);
    struct epoll_event got;
    CHECK_EQ(watch(outer, inner, EPOLLIN, 42), 0);
    CHECK_EQ(epoll_wait(outer, &got, 1, 0), 0);
    CHECK_EQ(watch(inner, fd, EPOLLIN, 1), 0);
    CHECK_EQ(epoll_wait(outer, &got, 1, 0), 1);
    CHECK_EQ(got.data.u64, 42);
    CHECK_ERRNO(watch(inner, outer, EPOLLIN, 0), ELOOP);
    struct pollfd p = {outer, POLLIN, 0};
    CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
}

TEST(timeouts) {
    int ep = epoll_create1(0);
    struct epoll_event got;
    int64_t start = now_ns();
    CHECK_EQ(epoll_wait(ep, &got, 1, 30), 0);
    CHECK(now_ns() - start >= 30000000);
    struct timespec ts = {0, 20000000};
    start = now_ns();
    long r = syscall(SYS_epoll_pwait2, ep, &got, 1, &ts, NULL, 0);
    if (r == -1 && errno == ENOSYS) {
        QEMU_WRONG("no epoll_pwait2");
        FAIL("epoll_pwait2 is missing");
    }
    CHECK_EQ(r, 0);
    CHECK(now_ns() - start >= 20000000);
    ts.tv_nsec = 1000000000;
    CHECK_ERRNO(syscall(SYS_epoll_pwait2, ep, &got, 1, &ts, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_pwait2, ep, &got, 1, (void *)8, NULL, 0), EFAULT);
    int fd = eventfd(1, 0);
    watch(ep, fd, EPOLLIN, 0x1122334455667788ull);
    CHECK_EQ(syscall(SYS_epoll_pwait2, ep, &got, 1, NULL, NULL, 0), 1);
    CHECK_EQ(got.data.u64, 0x1122334455667788ull);
}

static volatile sig_atomic_t signals;
static void count(int sig) {
    (void)sig, signals++;
}

TEST(pwait_mask_lets_a_pending_signal_in) {
    int ep = epoll_create1(0);
    struct epoll_event got;
    sigset_t blocked, none, now;
    handle(SIGUSR1, count, SA_RESTART);
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGUSR1);
    CHECK_EQ(epoll_wait(ep, &got, 1, 10), 0);
    CHECK_EQ(signals, 0);
    // Never restarted, even with SA_RESTART (man 7 signal).
    CHECK_ERRNO(epoll_pwait(ep, &got, 1, 5000, &none), EINTR);
    CHECK_EQ(signals, 1);
    sigprocmask(SIG_SETMASK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR1));
    // A ready event is not given up for a pending signal that stays blocked.
    raise(SIGUSR1);
    int fd = eventfd(1, 0);
    watch(ep, fd, EPOLLIN, 3);
    CHECK_EQ(epoll_pwait(ep, &got, 1, 0, &blocked), 1);
    CHECK_EQ(signals, 1);
    CHECK_ERRNO(syscall(SYS_epoll_pwait, ep, &got, 1, 0, &none, 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_pwait, ep, &got, 1, 0, (void *)8, 8), EFAULT);
}

static int shared_ep;
static void *wait_one(void *arg) {
    struct epoll_event got;
    int n = epoll_wait(shared_ep, &got, 1, 5000);
    *(uint64_t *)arg = n == 1 ? got.data.u64 : 0;
    return NULL;
}

TEST(a_watch_added_while_waiting_counts) {
    shared_ep = epoll_create1(0);
    pthread_t t;
    uint64_t data = 0;
    REQUIRE(pthread_create(&t, NULL, wait_one, &data) == 0);
    sleep_ms(20);
    CHECK_EQ(watch(shared_ep, eventfd(1, 0), EPOLLIN, 99), 0);
    pthread_join(t, NULL);
    CHECK_EQ(data, 99);
}

TEST(pingpong_through_epoll) {
    enum { ROUNDS = 2000 };
    int ping[2], pong[2];
    REQUIRE(pipe(ping) == 0 && pipe(pong) == 0);
    pid_t pid = CHILD({
        int ep = epoll_create1(0);
        watch(ep, ping[0], EPOLLIN | EPOLLET, 1);
        for (int i = 0; i < ROUNDS; i++) {
            struct epoll_event e;
            uint16_t v;
            REQUIRE(epoll_wait(ep, &e, 1, 5000) == 1 && read(ping[0], &v, 2) == 2);
            REQUIRE(v == i && write(pong[1], &v, 2) == 2);
        }
    });
    int ep = epoll_create1(0);
    watch(ep, pong[0], EPOLLIN, 2);
    for (int i = 0; i < ROUNDS; i++) {
        uint16_t v = i;
        struct epoll_event e;
        REQUIRE(write(ping[1], &v, 2) == 2 && epoll_wait(ep, &e, 1, 5000) == 1);
        REQUIRE(read(pong[0], &v, 2) == 2 && v == i);
    }
    CHECK_EXITS(pid, 0);
}
