// What Linux promises of masks, counts and actions, under many signals. Argument: the rounds of
// each test.
#define STRESS_ROUNDS 1000
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/time.h>
#include <ucontext.h>

static void timer(int which, long us) {
    struct itimerval every = {{0, us}, {0, us}};
    REQUIRE(setitimer(which, &every, NULL) == 0);
}

static volatile sig_atomic_t violations;
// The mask a handler's frame keeps is the interrupted code's, which let the signal through.
static void check_mask(int sig, void *context) {
    violations += sigismember(&((ucontext_t *)context)->uc_sigmask, sig);
}

static void handle_masking(int sig, void (*handler)(int, siginfo_t *, void *), int flags,
                           int masked) {
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    sigemptyset(&sa.sa_mask);
    if (masked)
        sigaddset(&sa.sa_mask, masked);
    REQUIRE(sigaction(sig, &sa, NULL) == 0);
}

static volatile unsigned sink;
static void compute(unsigned n) {
    for (unsigned i = 0; i < n; i++)
        sink += i * sink;
}

// ---- masks ----

static volatile sig_atomic_t in_fault, faults, alarms;
static char *page;

static void on_fault(int sig, siginfo_t *si, void *context) {
    (void)si;
    check_mask(sig, context);
    in_fault = 1;
    compute(30);
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
    compute(30);
    faults++;
    in_fault = 0;
}

static void on_alarm(int sig, siginfo_t *si, void *context) {
    (void)si;
    check_mask(sig, context);
    violations += in_fault;
    alarms++;
}

// A fault's handler masks the alarm: the alarm never runs inside it, however close the two came.
TEST(fault_handler_masks_the_alarm) {
    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    handle_masking(SIGSEGV, on_fault, SA_RESTART, SIGALRM);
    handle_masking(SIGALRM, on_alarm, SA_RESTART, 0);
    timer(ITIMER_REAL, 50);
    for (long i = 0; i < rounds * 20; i++) {
        mprotect(page, 4096, PROT_NONE);
        compute(i % 97);
        *(volatile char *)page = 1;
        REQUIRE(faults == i + 1);
    }
    timer(ITIMER_REAL, 0);
    CHECK(alarms > 0);
    CHECK_EQ(violations, 0);
}

static volatile sig_atomic_t usr1, usr2;
static void on_usr2(int sig, siginfo_t *si, void *context) {
    (void)si;
    check_mask(sig, context);
    usr2++;
}

// Opens the mask for SIGUSR2, which is blocked again once it has returned.
static void on_usr1(int sig, siginfo_t *si, void *context) {
    (void)si;
    check_mask(sig, context);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    compute(usr1 % 50);
    usr1++;
}

static atomic_int stop;
static pthread_t target;
static void *send_both(void *arg) {
    while (!atomic_load(&stop)) {
        pthread_kill(target, SIGUSR1);
        pthread_kill(target, SIGUSR2);
        compute(50);
    }
    return arg;
}

TEST(mask_restored_by_sigreturn) {
    pthread_t t;
    sigset_t set;
    target = pthread_self();
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    handle_masking(SIGUSR1, on_usr1, SA_RESTART, 0);
    handle_masking(SIGUSR2, on_usr2, SA_RESTART, SIGUSR1);
    REQUIRE(pthread_create(&t, NULL, send_both, NULL) == 0);
    while (usr1 < rounds * 10)
        compute(20);
    stop = 1;
    pthread_join(t, NULL);
    CHECK(usr2 > 0);
    CHECK_EQ(violations, 0);
}

// ---- counts ----

static atomic_long handled;
static void count(int sig) {
    (void)sig;
    atomic_fetch_add(&handled, 1);
}

static void *leave_at_once(void *arg) {
    compute((unsigned)(uintptr_t)arg % 64);
    return arg;
}

// Signals to the process find threads that are about to end; none may take one with it.
TEST(exiting_threads_lose_no_signal) {
    int sig = SIGRTMIN + 1;
    handle(sig, count, SA_RESTART);
    pid_t parent = getpid();
    long sent = rounds * 4;
    pid_t sender = CHILD({
        for (long i = 0; i < sent; i++) {
            while (sigqueue(parent, sig, (union sigval){0}) == -1)
                sched_yield();
            compute(200);
        }
    });
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    int status = -1;
    for (uintptr_t i = 0; waitpid(sender, &status, WNOHANG) == 0; i++) {
        pthread_t t[4];
        for (uintptr_t k = 0; k < 4; k++)
            REQUIRE(pthread_create(&t[k], NULL, leave_at_once, (void *)(i + k)) == 0);
        // Leaves the signals to the others.
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        for (int k = 0; k < 4; k++)
            pthread_join(t[k], NULL);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    CHECK_EQ(status, 0);
    CHECK(WAIT_FOR(handled == sent, 20000));
    CHECK_EQ(handled, sent);
}

// Signals the hardware also raises, sent by others while blocked, beside ordinary ones.
static void *send_kinds(void *arg) {
    for (long i = 0; i < rounds * 10; i++) {
        static const int kinds[] = {SIGTRAP, SIGFPE, SIGILL, SIGBUS, SIGSEGV};
        pthread_kill(target, kinds[i % 5]);
        while (pthread_kill(target, SIGRTMIN) == EAGAIN)
            sched_yield();
        compute(50);
    }
    stop = 1;
    return arg;
}

static atomic_long hardware;
static void count_hardware(int sig) {
    (void)sig;
    atomic_fetch_add(&hardware, 1);
}

TEST(hardware_signals_sent_by_others) {
    pthread_t t;
    sigset_t set;
    target = pthread_self();
    sigemptyset(&set);
    static const int kinds[] = {SIGTRAP, SIGFPE, SIGILL, SIGBUS, SIGSEGV};
    for (int i = 0; i < 5; i++) {
        sigaddset(&set, kinds[i]);
        handle(kinds[i], count_hardware, SA_RESTART);
    }
    handle(SIGRTMIN, count, SA_RESTART);
    REQUIRE(pthread_create(&t, NULL, send_kinds, NULL) == 0);
    while (!atomic_load(&stop)) {
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        long before = hardware;
        compute(40);
        CHECK_EQ(hardware, before);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        compute(40);
    }
    pthread_join(t, NULL);
    CHECK_EQ(handled, rounds * 10);
    CHECK(hardware > 0);
}

// A blocked signal interrupts nothing and is there for sigtimedwait and sigsuspend, whichever it
// is.
static void *send_trap(void *arg) {
    while (!atomic_load(&stop)) {
        pthread_kill(target, SIGTRAP);
        usleep(500);
    }
    return arg;
}

TEST(blocked_trap) {
    pthread_t t;
    sigset_t set, none;
    target = pthread_self();
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGTRAP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    handle(SIGTRAP, count_hardware, 0);
    REQUIRE(pthread_create(&t, NULL, send_trap, NULL) == 0);
    struct timespec brief = {0, 100000}, second = {5, 0};
    for (long i = 0; i < rounds; i++) {
        REQUIRE(nanosleep(&brief, NULL) == 0);
        CHECK_EQ(hardware, i);
        REQUIRE(sigtimedwait(&set, NULL, &second) == SIGTRAP);
        CHECK_EQ(hardware, i);
        REQUIRE(sigsuspend(&none) == -1 && errno == EINTR);
        CHECK_EQ(hardware, i + 1);
    }
    stop = 1;
    pthread_join(t, NULL);
}

// ---- actions ----

static void first(int sig, siginfo_t *si, void *context) {
    (void)si;
    check_mask(sig, context);
}
static void second(int sig, siginfo_t *si, void *context) {
    (void)si;
    check_mask(sig, context);
}

static void *change_action(void *arg) {
    for (long i = 0; !atomic_load(&stop); i++)
        handle_masking(SIGUSR1, i & 1 ? first : second, i & 1 ? SA_RESTART : SA_ONSTACK,
                       i & 1 ? SIGHUP : SIGTERM);
    return arg;
}

// fork copies an action whole, the old or the new one, and the child acts by it.
TEST(fork_beside_sigaction) {
    pthread_t t;
    handle_masking(SIGUSR1, first, SA_RESTART, SIGHUP);
    REQUIRE(pthread_create(&t, NULL, change_action, NULL) == 0);
    for (long i = 0; i < rounds; i++) {
        pid_t pid = CHILD({
            struct sigaction sa;
            sigaction(SIGUSR1, NULL, &sa);
            bool one = sa.sa_sigaction == first && sa.sa_flags & SA_RESTART &&
                       sigismember(&sa.sa_mask, SIGHUP) && !sigismember(&sa.sa_mask, SIGTERM);
            bool two = sa.sa_sigaction == second && sa.sa_flags & SA_ONSTACK &&
                       sigismember(&sa.sa_mask, SIGTERM) && !sigismember(&sa.sa_mask, SIGHUP);
            raise(SIGUSR1);
            _exit(one != two ? 0 : 1);
        });
        REQUIRE(CHECK_EXITS(pid, 0));
    }
    stop = 1;
    pthread_join(t, NULL);
}

// ---- a flood while computing ----

static uint64_t checksum(void) {
    uint64_t h = 1469598103934665603;
    char text[32];
    double d = 0.5;
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "%d %.9g", i, d);
        for (char *p = text; *p; p++)
            h = (h ^ (unsigned char)*p) * 1099511628211u;
        d = d * 3.7 * (1 - d);
    }
    return h;
}

TEST(checksums_under_three_timers) {
    uint64_t want = checksum();
    handle(SIGALRM, count, SA_RESTART);
    handle(SIGVTALRM, count, SA_RESTART);
    handle(SIGPROF, count, SA_RESTART);
    timer(ITIMER_REAL, 130);
    timer(ITIMER_VIRTUAL, 1000);
    timer(ITIMER_PROF, 1000);
    for (long i = 0; i < rounds; i++)
        REQUIRE(checksum() == want);
    timer(ITIMER_REAL, 0);
    timer(ITIMER_VIRTUAL, 0);
    timer(ITIMER_PROF, 0);
    CHECK(handled > rounds / 10);
}
