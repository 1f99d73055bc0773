// No lost wake-up: a signal sent at any moment around ppoll, pselect, epoll_pwait, sigsuspend,
// sigtimedwait or a blocking read is either seen before the call or interrupts it.
//
// The sender is another process, paced by an acknowledgement for every signal, so each round is one
// signal that races with the entry of one call. A lost wake-up shows as a call that times out.
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>

enum { ROUNDS = 3000 };

static volatile sig_atomic_t got;
static void on_signal(int sig) {
    (void)sig, got++;
}

// Forks a process that sends SIGUSR1 to us, one for each byte we write to the returned descriptor,
// after a varying short delay.
static int start_sender(pid_t *sender) {
    int p[2];
    REQUIRE(pipe(p) == 0);
    pid_t target = getpid();
    *sender = CHILD({
        close(p[1]);
        char c;
        unsigned delay = 1;
        while (read(p[0], &c, 1) == 1) {
            for (volatile unsigned i = 0; i < delay; i++)
                ;
            delay = (delay * 1103515245 + 12345) % 6000;
            kill(target, SIGUSR1);
        }
    });
    close(p[0]);
    return p[1];
}

static void block_usr1(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

// Rounds of: ask for a signal, enter CALL with the signal let in; it must come back with EINTR.
#define RACE(CALL)                                                                                \
    do {                                                                                          \
        pid_t sender;                                                                             \
        handle(SIGUSR1, on_signal, 0);                                                            \
        block_usr1();                                                                             \
        sigset_t none;                                                                            \
        sigemptyset(&none);                                                                       \
        struct timespec limit = {5, 0};                                                           \
        (void)limit;                                                                              \
        int ask = start_sender(&sender), lost = 0;                                                \
        for (int i = 0; i < ROUNDS && !lost; i++) {                                               \
            REQUIRE(write(ask, "s", 1) == 1);                                                     \
            errno = 0;                                                                            \
            long r = (CALL);                                                                      \
            if (!(r == -1 && errno == EINTR && got == i + 1)) {                                   \
                FAIL("round %d: result %ld errno %d, %d signals handled", i, r, errno, (int)got); \
                lost = 1;                                                                         \
            }                                                                                     \
        }                                                                                         \
        close(ask);                                                                               \
        CHECK_EXITS(sender, 0);                                                                   \
    } while (0)

TEST(ppoll_race) {
    RACE(ppoll(NULL, 0, &limit, &none));
}

TEST(pselect_race) {
    RACE(pselect(0, NULL, NULL, NULL, &limit, &none));
}

TEST(epoll_pwait_race) {
    int ep = epoll_create1(0);
    struct epoll_event e;
    RACE(epoll_pwait(ep, &e, 1, 5000, &none));
}

TEST(sigsuspend_race) {
    RACE(sigsuspend(&none));
}

TEST(sigtimedwait_race) {
    pid_t sender;
    handle(SIGUSR1, on_signal, 0);
    block_usr1();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    struct timespec limit = {5, 0};
    int ask = start_sender(&sender);
    for (int i = 0; i < ROUNDS; i++) {
        REQUIRE(write(ask, "s", 1) == 1);
        siginfo_t si;
        REQUIRE(sigtimedwait(&set, &si, &limit) == SIGUSR1);
        REQUIRE(si.si_pid == sender && si.si_code == SI_USER);
    }
    close(ask);
    CHECK_EXITS(sender, 0);
    CHECK_EQ(got, 0);
}

// The self-pipe trick: the handler writes to a pipe, the main loop blocks in read.
static int self_pipe[2];
static void to_pipe(int sig) {
    int saved = errno;
    (void)sig;
    got++;
    if (write(self_pipe[1], "p", 1) != 1)
        _exit(3);
    errno = saved;
}

TEST(self_pipe_race) {
    pid_t sender;
    REQUIRE(pipe(self_pipe) == 0);
    handle(SIGUSR1, to_pipe, SA_RESTART);
    int ask = start_sender(&sender);
    for (int i = 0; i < ROUNDS; i++) {
        char c;
        REQUIRE(write(ask, "s", 1) == 1);
        REQUIRE(read(self_pipe[0], &c, 1) == 1);
        REQUIRE(got == i + 1);
    }
    close(ask);
    CHECK_EXITS(sender, 0);
}

// A busy loop must be interrupted too: no system call, only the flag.
TEST(busy_loop_race) {
    pid_t sender;
    handle(SIGUSR1, on_signal, 0);
    int ask = start_sender(&sender);
    for (int i = 0; i < ROUNDS; i++) {
        REQUIRE(write(ask, "s", 1) == 1);
        while (got == i)
            ;
        REQUIRE(got == i + 1);
    }
    close(ask);
    CHECK_EXITS(sender, 0);
}

// Every return of an interruptible call is either complete or EINTR, never a half: data is not
// lost.
TEST(interrupted_reads_lose_no_byte) {
    enum { BYTES = 20000 };
    int p[2];
    REQUIRE(pipe(p) == 0);
    handle(SIGUSR1, on_signal, 0);
    pid_t target = getpid();
    pid_t writer = CHILD({
        for (int i = 0; i < BYTES; i++) {
            unsigned char c = i * 7;
            REQUIRE(write(p[1], &c, 1) == 1);
            if (i % 16 == 0)
                kill(target, SIGUSR1);
        }
    });
    close(p[1]);
    int next = 0;
    unsigned char buffer[64];
    for (;;) {
        ssize_t n = read(p[0], buffer, sizeof buffer);
        if (n == -1) {
            REQUIRE(errno == EINTR);
            continue;
        }
        if (n == 0)
            break;
        for (int i = 0; i < n; i++, next++)
            REQUIRE(buffer[i] == (unsigned char)(next * 7));
    }
    CHECK_EQ(next, BYTES);
    CHECK_EXITS(writer, 0);
    CHECK(got > 0);
}
