// How nginx's master makes its workers, call for call (its ngx_spawn_process and ngx_channel):
// socketpair, FIONBIO, FIOASYNC, F_SETOWN, FD_CLOEXEC, fork; then messages with descriptors over
// the channel, the worker waiting in epoll, the master in sigsuspend, SIGIO and SIGCHLD caught.
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { OPEN_CHANNEL = 1, CLOSE_CHANNEL = 2, QUIT = 3, TERMINATE = 4, REOPEN = 5 };
enum { WORKERS = 4 };

typedef struct {
    unsigned long command;
    pid_t pid;
    long slot;
    int fd;
} message;

static struct {
    pid_t pid;
    int channel[2];
} workers[WORKERS];

static volatile sig_atomic_t sigio_seen, reaped;

static void on_sigio(int sig) {
    (void)sig, sigio_seen++;
}

static void on_sigchld(int sig) {
    int saved = errno, status;
    pid_t pid;
    (void)sig;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            FAIL("worker %d ended with status %#x", pid, status);
        reaped++;
    }
    errno = saved;
}

static int send_message(int s, message *m) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {m, sizeof *m};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
    if (m->fd != -1) {
        h.msg_control = &control;
        h.msg_controllen = sizeof control;
        memset(&control, 0, sizeof control);
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(&control.header), &m->fd, sizeof(int));
    }
    return sendmsg(s, &h, 0);
}

static ssize_t receive_message(int s, message *m) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {m, sizeof *m};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(s, &h, 0);
    if (n <= 0)
        return n;
    CHECK_EQ(n, sizeof *m);
    CHECK_EQ(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
    if (m->command == OPEN_CHANNEL) {
        CHECK(control.header.cmsg_len >= CMSG_LEN(sizeof(int)));
        CHECK(control.header.cmsg_level == SOL_SOCKET && control.header.cmsg_type == SCM_RIGHTS);
        memcpy(&m->fd, CMSG_DATA(&control.header), sizeof(int));
    }
    return n;
}

// What nginx does to each end; every failure there gives up the worker.
static void arm_channel(int channel[2]) {
    int on = 1;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, channel) != -1);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(ioctl(channel[i], FIONBIO, &on), 0);
    CHECK_EQ(ioctl(channel[0], FIOASYNC, &on), 0);
    CHECK_EQ(fcntl(channel[0], F_SETOWN, getpid()), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(fcntl(channel[i], F_SETFD, FD_CLOEXEC), 0);
}

static void worker(int slot, int reports) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    handle(SIGCHLD, SIG_IGN, 0);
    for (int i = 0; i < slot; i++)
        close(workers[i].channel[1]);
    close(workers[slot].channel[0]);
    int in = workers[slot].channel[1], ep = epoll_create(512), opened = 0;
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = workers};
    REQUIRE(epoll_ctl(ep, EPOLL_CTL_ADD, in, &e) == 0);
    for (;;) {
        REQUIRE(epoll_wait(ep, &e, 1, 8000) == 1 && e.data.ptr == workers);
        message m;
        ssize_t n;
        while ((n = receive_message(in, &m)) > 0) {
            if (m.command == OPEN_CHANNEL) {
                // A descriptor for the new worker's channel: prove it works by using it.
                CHECK(m.slot > slot && m.slot < WORKERS && m.fd > 0);
                message hello = {.command = REOPEN, .pid = getpid(), .slot = slot, .fd = -1};
                CHECK_EQ(send_message(m.fd, &hello), (int)sizeof hello);
                close(m.fd);
                opened++;
            } else if (m.command == REOPEN) {
                CHECK(m.slot < slot);
                opened++;
            } else if (m.command == QUIT) {
                message bye = {.command = CLOSE_CHANNEL, .pid = getpid(), .slot = slot, .fd = -1};
                // From every elder a greeting, for every younger a channel.
                CHECK_EQ(opened, WORKERS - 1);
                CHECK_EQ(write(in, &bye, sizeof bye), (ssize_t)sizeof bye);
                CHECK_EQ(write(reports, &slot, sizeof slot), (ssize_t)sizeof slot);
                _exit(0);
            } else {
                FAIL("command %lu", m.command);
            }
        }
        CHECK(n == -1 && errno == EAGAIN);
    }
}

TEST(master_and_workers) {
    sigset_t set, none;
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGALRM);
    sigaddset(&set, SIGIO);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    handle(SIGCHLD, on_sigchld, 0);
    handle(SIGIO, on_sigio, 0);
    REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    int reports[2];
    REQUIRE(pipe(reports) == 0);
    for (int slot = 0; slot < WORKERS; slot++) {
        arm_channel(workers[slot].channel);
        pid_t pid = fork();
        REQUIRE(pid != -1);
        if (pid == 0)
            worker(slot, reports[1]);
        workers[slot].pid = pid;
        // Tell the workers there are about the new one.
        for (int i = 0; i < slot; i++) {
            message m = {OPEN_CHANNEL, pid, slot, workers[slot].channel[0]};
            CHECK_EQ(send_message(workers[i].channel[0], &m), (int)sizeof m);
        }
    }
    sleep_ms(50);
    for (int slot = 0; slot < WORKERS; slot++) {
        message m = {.command = QUIT, .fd = -1};
        CHECK_EQ(send_message(workers[slot].channel[0], &m), (int)sizeof m);
    }
    int64_t until = now_ns() + 8000000000;
    while (reaped < WORKERS && now_ns() < until)
        sigsuspend(&none);
    CHECK_EQ(reaped, WORKERS);
    int sum = 0, slot;
    for (int i = 0; i < WORKERS; i++) {
        CHECK_EQ(read(reports[0], &slot, sizeof slot), (ssize_t)sizeof slot);
        sum += slot;
    }
    CHECK_EQ(sum, WORKERS * (WORKERS - 1) / 2);
    // The goodbyes made the armed ends readable: SIGIO came to the master, their owner.
    sigprocmask(SIG_SETMASK, &none, NULL);
    CHECK(sigio_seen > 0);
    for (slot = 0; slot < WORKERS; slot++) {
        message m;
        CHECK_EQ(receive_message(workers[slot].channel[0], &m), (ssize_t)sizeof m);
        CHECK(m.command == CLOSE_CHANNEL && m.slot == slot && m.pid == workers[slot].pid);
        CHECK_EQ(receive_message(workers[slot].channel[0], &m), -1 + (slot < 0));
    }
}

TEST(the_same_arming_on_a_tcp_socket) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    REQUIRE(bind(listener, (void *)&a, n) == 0 && listen(listener, 511) == 0);
    REQUIRE(getsockname(listener, (void *)&a, &n) == 0);
    handle(SIGIO, on_sigio, 0);
    CHECK_EQ(ioctl(listener, FIONBIO, &on), 0);
    CHECK_EQ(ioctl(listener, FIOASYNC, &on), 0);
    CHECK_EQ(fcntl(listener, F_SETOWN, getpid()), 0);
    CHECK_EQ(fcntl(listener, F_SETFD, FD_CLOEXEC), 0);
    pid_t pid = CHILD(int s = socket(AF_INET, SOCK_STREAM, 0);
                      CHECK_EQ(connect(s, (void *)&a, sizeof a), 0);
                      CHECK_EQ(write(s, "req", 3), 3); char b[4]; CHECK_EQ(read(s, b, 4), 4));
    CHECK(WAIT_FOR(sigio_seen > 0, 5000));
    int conn = CHECK_OK(accept4(listener, NULL, NULL, SOCK_NONBLOCK));
    // An accepted socket does not inherit the arming.
    CHECK_EQ(fcntl(conn, F_GETFL) & O_ASYNC, 0);
    CHECK_EQ(fcntl(conn, F_GETOWN), 0);
    CHECK_EQ(ioctl(conn, FIOASYNC, &on), 0);
    CHECK_EQ(fcntl(conn, F_SETOWN, getpid()), 0);
    char b[8];
    CHECK(WAIT_FOR(read(conn, b, sizeof b) == 3, 5000));
    CHECK_EQ(write(conn, "resp", 4), 4);
    CHECK_EXITS(pid, 0);
}

TEST(arming_a_thousand_channels) {
    for (int i = 0; i < 1000; i++) {
        int channel[2];
        arm_channel(channel);
        if (i % 50 == 0) {
            pid_t pid = CHILD(CHECK_EQ(fcntl(channel[0], F_GETOWN), getppid()));
            CHECK_EXITS(pid, 0);
        }
        close(channel[0]);
        close(channel[1]);
    }
}
