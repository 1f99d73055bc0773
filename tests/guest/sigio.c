// Signal-driven I/O: FIOASYNC, F_SETOWN, F_GETOWN, F_SETOWN_EX, F_GETOWN_EX, F_SETSIG, F_GETSIG on
// socketpairs, TCP sockets, pipes and ptys; delivery to the owning process, thread and group.
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

// The raw call: libc's fcntl turns F_GETOWN into F_GETOWN_EX.
static long raw_fcntl(int fd, int command, unsigned long argument) {
    return syscall(SYS_fcntl, fd, command, argument);
}

enum kind { SOCKETPAIR, TCP, PIPE, PTY, KINDS };
static const char *kind_name[] = {"socketpair", "TCP", "pipe", "pty"};

// Opens a connected pair: what is written to fds[1] becomes readable at fds[0].
static bool open_pair(enum kind kind, int fds[2]) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int listener;
    switch (kind) {
    case SOCKETPAIR:
        return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
    case TCP:
        listener = socket(AF_INET, SOCK_STREAM, 0);
        fds[1] = socket(AF_INET, SOCK_STREAM, 0);
        REQUIRE(bind(listener, (void *)&a, n) == 0 && listen(listener, 1) == 0);
        REQUIRE(getsockname(listener, (void *)&a, &n) == 0);
        REQUIRE(connect(fds[1], (void *)&a, n) == 0);
        fds[0] = accept(listener, NULL, NULL);
        close(listener);
        return fds[0] != -1;
    case PIPE:
        return pipe(fds) == 0;
    default:
        fds[1] = posix_openpt(O_RDWR | O_NOCTTY);
        if (fds[1] == -1 || grantpt(fds[1]) || unlockpt(fds[1]))
            return false;
        fds[0] = open(ptsname(fds[1]), O_RDWR | O_NOCTTY);
        return fds[0] != -1;
    }
}

// Runs the statements for each kind of pair with `fds` open, naming the kind when an assertion in
// it fails.
#define EACH_KIND(...)                                             \
    for (enum kind kind = 0; kind < KINDS; kind++) {               \
        int fds[2], before = atomic_load(&check_shared->failures); \
        if (!open_pair(kind, fds))                                 \
            continue;                                              \
        __VA_ARGS__;                                               \
        if (atomic_load(&check_shared->failures) != before)        \
            dprintf(2, "  (on a %s)\n", kind_name[kind]);          \
        close(fds[0]);                                             \
        close(fds[1]);                                             \
    }

TEST(fioasync_sets_and_clears_o_async) {
    int on = 1, off = 0;
    EACH_KIND({
        CHECK_EQ(fcntl(fds[0], F_GETFL) & O_ASYNC, 0);
        CHECK_EQ(ioctl(fds[0], FIOASYNC, &on), 0);
        CHECK_EQ(fcntl(fds[0], F_GETFL) & O_ASYNC, O_ASYNC);
        CHECK_EQ(ioctl(fds[0], FIOASYNC, &on), 0);
        CHECK_EQ(ioctl(fds[0], FIOASYNC, &off), 0);
        CHECK_EQ(fcntl(fds[0], F_GETFL) & O_ASYNC, 0);
        CHECK_EQ(fcntl(fds[0], F_SETFL, O_ASYNC | O_NONBLOCK), 0);
        CHECK_EQ(fcntl(fds[0], F_GETFL) & (O_ASYNC | O_NONBLOCK), O_ASYNC | O_NONBLOCK);
        CHECK_EQ(fcntl(fds[1], F_GETFL) & O_ASYNC, 0);
        CHECK_ERRNO(ioctl(fds[0], FIOASYNC, (void *)8), EFAULT);
        CHECK_ERRNO(ioctl(fds[0], FIONBIO, (void *)8), EFAULT);
    });
    CHECK_ERRNO(ioctl(-1, FIOASYNC, &on), EBADF);
    CHECK_ERRNO(ioctl(999, FIOASYNC, &on), EBADF);
    int file = open("f", O_RDWR | O_CREAT, 0600);
    CHECK_ERRNO(ioctl(file, FIOASYNC, &on), ENOTTY);
    CHECK_EQ(ioctl(file, FIOASYNC, &off), 0); // no change asked for, nothing refused
    CHECK_EQ(fcntl(file, F_GETFL) & O_ASYNC, 0);
}

TEST(owner_round_trips) {
    EACH_KIND({
        CHECK_EQ(raw_fcntl(fds[0], F_GETOWN, 0), 0);
        CHECK_EQ(fcntl(fds[0], F_SETOWN, getpid()), 0);
        CHECK_EQ(raw_fcntl(fds[0], F_GETOWN, 0), getpid());
        CHECK_EQ(fcntl(fds[0], F_GETOWN), getpid());
        CHECK_EQ(fcntl(fds[0], F_SETOWN, -getpgrp()), 0);
        CHECK_EQ(fcntl(fds[0], F_GETOWN), -getpgrp());
        struct f_owner_ex owner = {-7, -7};
        CHECK_EQ(fcntl(fds[0], F_GETOWN_EX, &owner), 0);
        CHECK(owner.type == F_OWNER_PGRP && owner.pid == getpgrp());
        owner = (struct f_owner_ex){F_OWNER_TID, gettid()};
        CHECK_EQ(fcntl(fds[0], F_SETOWN_EX, &owner), 0);
        owner = (struct f_owner_ex){-7, -7};
        CHECK_EQ(fcntl(fds[0], F_GETOWN_EX, &owner), 0);
        CHECK(owner.type == F_OWNER_TID && owner.pid == gettid());
        owner = (struct f_owner_ex){F_OWNER_PID, getppid()};
        CHECK_EQ(fcntl(fds[0], F_SETOWN_EX, &owner), 0);
        CHECK_EQ(fcntl(fds[0], F_GETOWN), getppid());
        CHECK_EQ(fcntl(fds[1], F_GETOWN), 0);
        CHECK_EQ(fcntl(fds[0], F_SETOWN, 0), 0);
        CHECK_EQ(fcntl(fds[0], F_GETOWN), 0);
    });
}

TEST(owner_errors) {
    EACH_KIND({
        CHECK_ERRNO(raw_fcntl(fds[0], F_SETOWN, 0x7fffffff), ESRCH);
        CHECK_ERRNO(raw_fcntl(fds[0], F_SETOWN, (unsigned)INT_MIN), EINVAL);
        struct f_owner_ex owner = {55, getpid()};
        CHECK_ERRNO(fcntl(fds[0], F_SETOWN_EX, &owner), EINVAL);
        owner = (struct f_owner_ex){F_OWNER_PID, 0x7fffffff};
        CHECK_ERRNO(fcntl(fds[0], F_SETOWN_EX, &owner), ESRCH);
        CHECK_ERRNO(raw_fcntl(fds[0], F_SETOWN_EX, 8), EFAULT);
        CHECK_ERRNO(raw_fcntl(fds[0], F_GETOWN_EX, 8), EFAULT);
    });
    struct f_owner_ex owner = {F_OWNER_PID, getpid()};
    CHECK_ERRNO(fcntl(-1, F_SETOWN, getpid()), EBADF);
    CHECK_ERRNO(raw_fcntl(999, F_GETOWN, 0), EBADF);
    CHECK_ERRNO(fcntl(999, F_SETOWN_EX, &owner), EBADF);
    CHECK_ERRNO(fcntl(999, F_SETSIG, SIGIO), EBADF);
    CHECK_ERRNO(fcntl(open(".", O_PATH), F_SETOWN, getpid()), EBADF);
}

TEST(signal_choice_round_trips) {
    QEMU_WRONG("keeps two real-time signals for itself");
    EACH_KIND({
        CHECK_EQ(fcntl(fds[0], F_GETSIG), 0);
        for (int sig = 0; sig <= 64; sig++) {
            CHECK_EQ(fcntl(fds[0], F_SETSIG, sig), 0);
            CHECK_EQ(fcntl(fds[0], F_GETSIG), sig);
        }
        CHECK_ERRNO(fcntl(fds[0], F_SETSIG, 65), EINVAL);
        CHECK_ERRNO(fcntl(fds[0], F_SETSIG, -1), EINVAL);
        CHECK_EQ(fcntl(fds[0], F_GETSIG), 64);
    });
}

TEST(fork_keeps_the_owner) {
    int s[2], on = 1;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    REQUIRE(ioctl(s[0], FIOASYNC, &on) == 0 && fcntl(s[0], F_SETOWN, getpid()) == 0);
    pid_t parent = getpid();
    pid_t pid =
        CHILD(CHECK_EQ(fcntl(s[0], F_GETOWN), parent); CHECK(fcntl(s[0], F_GETFL) & O_ASYNC);
              CHECK_EQ(fcntl(s[0], F_SETOWN, getpid()), 0));
    int owner = pid;
    CHECK_EXITS(pid, 0);
    // The owner is the open file's; once that process is gone, F_GETOWN says 0.
    CHECK(fcntl(s[0], F_GETOWN) == 0 || fcntl(s[0], F_GETOWN) == owner);
}

static volatile sig_atomic_t count, seen_fd, seen_code, seen_sig, seen_tid;
static volatile long seen_band;
static void on_io(int sig, siginfo_t *si, void *context) {
    (void)context;
    seen_sig = sig;
    seen_fd = si->si_fd;
    seen_code = si->si_code;
    seen_band = si->si_band;
    seen_tid = syscall(SYS_gettid);
    count++;
}

static void arm(int fd, int sig) {
    int on = 1;
    CHECK_EQ(fcntl(fd, F_SETOWN, getpid()), 0);
    CHECK_EQ(fcntl(fd, F_SETSIG, sig), 0);
    CHECK_EQ(ioctl(fd, FIOASYNC, &on), 0);
}

TEST(plain_sigio_arrives) {
    handle(SIGIO, on_io, SA_SIGINFO);
    EACH_KIND({
        count = 0;
        arm(fds[0], 0);
        REQUIRE(write(fds[1], "x\n", 2) == 2);
        CHECK(WAIT_FOR(count > 0, 3000));
        CHECK_EQ(seen_sig, SIGIO);
        CHECK_EQ(seen_code, SI_KERNEL);
    });
}

TEST(chosen_signal_carries_descriptor_and_band) {
    int sig = SIGRTMIN + 5;
    handle(sig, on_io, SA_SIGINFO);
    EACH_KIND({
        count = 0;
        arm(fds[0], sig);
        CHECK_EQ(count, 0);
        REQUIRE(write(fds[1], "x\n", 2) == 2);
        CHECK(WAIT_FOR(count > 0, 3000));
        CHECK_EQ(seen_sig, sig);
        CHECK_EQ(seen_fd, fds[0]);
        CHECK_EQ(seen_code, POLL_IN);
        CHECK_EQ(seen_band, POLLIN | POLLRDNORM);
    });
}

TEST(chosen_sigio_carries_them_too) {
    QEMU_WRONG("converts the siginfo of SIGIO by its number, not its code");
    handle(SIGIO, on_io, SA_SIGINFO);
    EACH_KIND({
        count = 0;
        arm(fds[0], SIGIO);
        REQUIRE(write(fds[1], "x\n", 2) == 2);
        CHECK(WAIT_FOR(count > 0, 3000));
        CHECK_EQ(seen_fd, fds[0]);
        CHECK_EQ(seen_code, POLL_IN);
    });
}

TEST(nothing_arrives_without_owner_or_flag) {
    int off = 0;
    handle(SIGIO, on_io, SA_SIGINFO);
    EACH_KIND({
        count = 0;
        arm(fds[0], 0);
        CHECK_EQ(ioctl(fds[0], FIOASYNC, &off), 0);
        REQUIRE(write(fds[1], "x\n", 2) == 2);
        sleep_ms(10);
        CHECK_EQ(count, 0);
        arm(fds[0], 0);
        CHECK_EQ(fcntl(fds[0], F_SETOWN, 0), 0);
        REQUIRE(write(fds[1], "y\n", 2) == 2);
        sleep_ms(10);
        CHECK_EQ(count, 0);
    });
}

TEST(hangup_is_reported) {
    int sig = SIGRTMIN + 6, s[2];
    handle(sig, on_io, SA_SIGINFO);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    arm(s[0], sig);
    close(s[1]);
    CHECK(WAIT_FOR(count > 0, 3000));
    CHECK_EQ(seen_fd, s[0]);
    CHECK_EQ(seen_code, POLL_HUP);
    CHECK_EQ(seen_band, POLLHUP | POLLERR);
}

TEST(default_action_of_sigio_kills) {
    int s[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    pid_t pid = CHILD(handle(SIGIO, SIG_DFL, 0); arm(s[0], 0);
                      if (write(s[1], "x", 1) == 1) sleep_ms(3000));
    CHECK_KILLED(pid, SIGIO);
}

TEST(blocked_sigio_is_taken_by_sigwaitinfo) {
    int s[2], sig = SIGRTMIN + 1;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    sigprocmask(SIG_BLOCK, &set, NULL);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    arm(s[0], sig);
    REQUIRE(write(s[1], "x", 1) == 1);
    siginfo_t si;
    struct timespec limit = {3, 0};
    CHECK_EQ(sigtimedwait(&set, &si, &limit), sig);
    CHECK(si.si_fd == s[0] && si.si_band == (POLLIN | POLLRDNORM));
}

static atomic_int thread_tid, thread_stop;
static void *idle(void *arg) {
    (void)arg;
    atomic_store(&thread_tid, gettid());
    while (!atomic_load(&thread_stop))
        sleep_ms(1);
    return NULL;
}

TEST(a_thread_can_own_it) {
    int sig = SIGRTMIN + 7;
    pthread_t t;
    handle(sig, on_io, SA_SIGINFO | SA_RESTART);
    REQUIRE(pthread_create(&t, NULL, idle, NULL) == 0);
    CHECK(WAIT_FOR(thread_tid != 0, 3000));
    EACH_KIND({
        struct f_owner_ex owner;
        for (int which = 0; which < 2; which++) {
            count = 0;
            arm(fds[0], sig);
            owner = (struct f_owner_ex){F_OWNER_TID, which ? thread_tid : gettid()};
            CHECK_EQ(fcntl(fds[0], F_SETOWN_EX, &owner), 0);
            REQUIRE(write(fds[1], "x\n", 2) == 2);
            CHECK(WAIT_FOR(count > 0, 3000));
            CHECK_EQ(seen_tid, owner.pid);
        }
    });
    atomic_store(&thread_stop, 1);
    pthread_join(t, NULL);
}

TEST(another_process_can_own_it) {
    int s[2], ready[2], on = 1;
    char c;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(ready) == 0);
    pid_t pid = CHILD({
        handle(SIGIO, on_io, SA_SIGINFO);
        REQUIRE(write(ready[1], "r", 1) == 1);
        CHECK(WAIT_FOR(count > 0, 3000));
    });
    REQUIRE(read(ready[0], &c, 1) == 1);
    CHECK_EQ(fcntl(s[0], F_SETOWN, pid), 0);
    CHECK_EQ(ioctl(s[0], FIOASYNC, &on), 0);
    REQUIRE(write(s[1], "x", 1) == 1);
    CHECK_EXITS(pid, 0);
}

TEST(a_group_can_own_it) {
    int s[2], ready[2], on = 1;
    char c;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(ready) == 0);
    handle(SIGIO, on_io, SA_SIGINFO);
    pid_t group = 0, pids[3];
    for (int i = 0; i < 3; i++) {
        pids[i] = CHILD({
            setpgid(0, group);
            REQUIRE(write(ready[1], "r", 1) == 1);
            CHECK(WAIT_FOR(count > 0, 3000));
        });
        setpgid(pids[i], group);
        if (!group)
            group = pids[0];
        REQUIRE(read(ready[0], &c, 1) == 1);
    }
    CHECK_EQ(fcntl(s[0], F_SETOWN, -group), 0);
    CHECK_EQ(ioctl(s[0], FIOASYNC, &on), 0);
    REQUIRE(write(s[1], "x", 1) == 1);
    for (int i = 0; i < 3; i++)
        CHECK_EXITS(pids[i], 0);
    CHECK_EQ(count, 0);
}

TEST(real_time_signals_queue_one_per_event) {
    enum { EVENTS = 50 };
    int s[2], sig = SIGRTMIN + 8;
    char c;
    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    handle(sig, on_io, SA_SIGINFO);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    sigprocmask(SIG_BLOCK, &set, NULL);
    arm(s[0], sig);
    for (int i = 0; i < 8; i++)
        REQUIRE(write(s[1], "d", 1) == 1);
    CHECK_EQ(count, 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK_EQ(count, 8);
    for (int i = 0; i < EVENTS; i++) {
        REQUIRE(read(s[0], &c, 1) == 1 && write(s[1], "d", 1) == 1);
        CHECK(count >= 8 + i + 1);
    }
}
