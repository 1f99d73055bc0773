// Queueing and waiting: real-time order and values, the limit, sigsuspend, sigtimedwait,
// sigwaitinfo, pending sets, signals directed at threads.
#include "check.h"
#include <pthread.h>
#include <sys/resource.h>

static volatile int taken[512][2], entries;
static void record(int sig, siginfo_t *si, void *context) {
    (void)context;
    if (entries < 512) {
        taken[entries][0] = sig;
        taken[entries][1] = si->si_value.sival_int;
    }
    entries++;
}

static sigset_t set_of(int first, int last) {
    sigset_t set;
    sigemptyset(&set);
    for (int sig = first; sig <= last; sig++)
        sigaddset(&set, sig);
    return set;
}

static void queue(int sig, int value) {
    REQUIRE(sigqueue(getpid(), sig, (union sigval){.sival_int = value}) == 0);
}

TEST(real_time_signals_arrive_lowest_first_then_in_order) {
    int low = SIGRTMIN + 1, mid = SIGRTMIN + 2, high = SIGRTMIN + 3;
    sigset_t set = set_of(low, high);
    for (int sig = low; sig <= high; sig++) {
        struct sigaction sa = {.sa_sigaction = record, .sa_flags = SA_SIGINFO, .sa_mask = set};
        sigaction(sig, &sa, NULL);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 10; i++) {
        queue(high, i);
        queue(low, 100 + i);
        queue(mid, 200 + i);
    }
    CHECK_EQ(entries, 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK_EQ(entries, 30);
    // The handlers mask all three, so each runs to its end before the next; every one is delivered
    // by number, and equal numbers in the order sent.
    for (int i = 0; i < 30; i++) {
        int expected = i < 10 ? low : i < 20 ? mid : high;
        CHECK_EQ(taken[i][0], expected);
        CHECK_EQ(taken[i][1] % 100, i % 10);
    }
}

TEST(standard_signals_do_not_queue) {
    sigset_t set = set_of(SIGUSR1, SIGUSR1);
    handle(SIGUSR1, record, SA_SIGINFO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 5; i++)
        queue(SIGUSR1, i + 10);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK_EQ(entries, 1);
    CHECK_EQ(taken[0][1], 10); // the first one's value
}

TEST(the_queue_has_a_limit) {
    struct rlimit limit = {20, 20};
    if (geteuid() != 0 && setrlimit(RLIMIT_SIGPENDING, &limit) == -1)
        SKIP("cannot lower the limit");
    pid_t pid = CHILD({
        // The count is per user: be one nobody else is.
        if (geteuid() == 0 && (setrlimit(RLIMIT_SIGPENDING, &limit) || setuid(54321)))
            _exit(SKIPPED_STATUS);
        int sig = SIGRTMIN + 1, sent = 0;
        sigset_t set = set_of(sig, sig);
        sigprocmask(SIG_BLOCK, &set, NULL);
        while (sent < 100 && sigqueue(getpid(), sig, (union sigval){.sival_int = sent}) == 0)
            sent++;
        CHECK_EQ(errno, EAGAIN);
        CHECK(sent > 0 && sent <= 20);
        struct timespec zero = {0, 0};
        siginfo_t si;
        for (int i = 0; i < sent; i++)
            CHECK(sigtimedwait(&set, &si, &zero) == sig && si.si_value.sival_int == i);
        CHECK_ERRNO(sigtimedwait(&set, &si, &zero), EAGAIN);
    });
    int status = wait_status(pid);
    CHECK(status == 0 || WEXITSTATUS(status) == SKIPPED_STATUS);
}

TEST(sigwaitinfo_takes_without_a_handler) {
    sigset_t set = set_of(SIGUSR1, SIGUSR2);
    handle(SIGUSR1, record, SA_SIGINFO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    siginfo_t si;
    queue(SIGUSR1, 5);
    memset(&si, 0, sizeof si);
    CHECK_EQ(sigwaitinfo(&set, &si), SIGUSR1);
    CHECK(si.si_signo == SIGUSR1 && si.si_code == SI_QUEUE && si.si_value.sival_int == 5);
    CHECK(si.si_pid == getpid());
    raise(SIGUSR1);
    int sig = 0;
    CHECK_EQ(sigwait(&set, &sig), 0);
    CHECK_EQ(sig, SIGUSR1);
    CHECK_EQ(entries, 0);
    struct timespec ts = {0, 20000000};
    int64_t start = now_ns();
    CHECK_ERRNO(sigtimedwait(&set, &si, &ts), EAGAIN);
    CHECK(now_ns() - start >= 20000000);
    ts.tv_nsec = 1000000000;
    CHECK_ERRNO(sigtimedwait(&set, &si, &ts), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &set, &si, NULL, 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, (void *)8, &si, NULL, 8), EFAULT);
    pid_t parent = getpid();
    pid_t pid = CHILD(sleep_ms(20); kill(parent, SIGUSR2));
    ts = (struct timespec){5, 0};
    CHECK_EQ(sigtimedwait(&set, &si, &ts), SIGUSR2);
    CHECK_EQ(si.si_pid, pid);
    wait_status(pid);
}

TEST(sigsuspend_swaps_the_mask) {
    sigset_t usr1 = set_of(SIGUSR1, SIGUSR1), both = set_of(SIGUSR1, SIGUSR2), now;
    (void)usr1;
    handle(SIGUSR1, record, SA_SIGINFO);
    handle(SIGUSR2, record, SA_SIGINFO);
    sigprocmask(SIG_BLOCK, &both, NULL);
    raise(SIGUSR1);
    raise(SIGUSR2);
    sigset_t only_usr1_open = set_of(SIGUSR2, SIGUSR2);
    CHECK_ERRNO(sigsuspend(&only_usr1_open), EINTR);
    CHECK_EQ(entries, 1);
    CHECK_EQ(taken[0][0], SIGUSR1);
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR1) && sigismember(&now, SIGUSR2));
    sigpending(&now);
    CHECK(sigismember(&now, SIGUSR2) && !sigismember(&now, SIGUSR1));
    CHECK_ERRNO(syscall(SYS_rt_sigsuspend, &both, 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigsuspend, (void *)8, 8), EFAULT);
}

static atomic_int ready, release;
static _Thread_local volatile int mine;
static void count_mine(int sig) {
    (void)sig, mine++;
}

static void *counting_thread(void *arg) {
    int expected = *(int *)arg;
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&release))
        sleep_ms(1);
    CHECK_EQ(mine, expected);
    return NULL;
}

TEST(directed_signals_reach_their_thread) {
    enum { N = 4 };
    pthread_t t[N];
    int expected[N];
    handle(SIGUSR1, count_mine, SA_RESTART);
    for (int i = 0; i < N; i++) {
        expected[i] = i;
        REQUIRE(pthread_create(&t[i], NULL, counting_thread, &expected[i]) == 0);
    }
    WAIT_FOR(ready == N, 5000);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++) {
            CHECK_EQ(pthread_kill(t[i], SIGUSR1), 0);
            sleep_ms(10);
        }
    CHECK_EQ(mine, 0);
    release = 1;
    for (int i = 0; i < N; i++)
        pthread_join(t[i], NULL);
}

static void *blocks_all(void *arg) {
    sigset_t set = set_of(SIGUSR1, SIGUSR1), pending;
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    atomic_store(&ready, 1);
    while (!atomic_load(&release))
        sleep_ms(1);
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGUSR1)); // its own pending signal
    *(int *)arg = mine;
    return NULL;
}

TEST(a_directed_signal_waits_for_its_thread) {
    pthread_t t;
    int inside = -1;
    handle(SIGUSR1, count_mine, SA_RESTART);
    REQUIRE(pthread_create(&t, NULL, blocks_all, &inside) == 0);
    WAIT_FOR(ready == 1, 5000);
    CHECK_EQ(pthread_kill(t, SIGUSR1), 0);
    sigset_t pending;
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGUSR1)); // not pending for this thread
    sleep_ms(10);
    CHECK_EQ(mine, 0);
    release = 1;
    pthread_join(t, NULL);
    CHECK_EQ(inside, 0);
}

TEST(a_process_signal_goes_to_a_thread_that_takes_it) {
    pthread_t t;
    int inside = -1;
    handle(SIGUSR1, count_mine, SA_RESTART);
    handle(SIGUSR2, count_mine, SA_RESTART);
    REQUIRE(pthread_create(&t, NULL, blocks_all, &inside) == 0);
    WAIT_FOR(ready == 1, 5000);
    kill(getpid(), SIGUSR1); // only the main thread has it open
    CHECK_EQ(mine, 1);
    pthread_kill(t, SIGUSR1);
    release = 1;
    pthread_join(t, NULL);
}

static void *waits(void *arg) {
    sigset_t set = set_of(SIGUSR1, SIGUSR1);
    siginfo_t si;
    struct timespec limit = {5, 0};
    atomic_fetch_add(&ready, 1);
    // The kernel may wake a second waiter for a signal the first one takes: that one sees EINTR.
    do
        *(int *)arg = sigtimedwait(&set, &si, &limit);
    while (*(int *)arg == -1 && errno == EINTR);
    return NULL;
}

TEST(a_process_signal_wakes_one_sigwaiter) {
    enum { N = 3 };
    pthread_t t[N];
    int result[N];
    sigset_t set = set_of(SIGUSR1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < N; i++)
        REQUIRE(pthread_create(&t[i], NULL, waits, &result[i]) == 0);
    WAIT_FOR(ready == N, 5000);
    sleep_ms(20);
    for (int i = 0; i < N; i++) {
        kill(getpid(), SIGUSR1);
        sleep_ms(20);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(t[i], NULL);
        CHECK_EQ(result[i], SIGUSR1);
    }
}

TEST(pthread_sigmask_reports_the_old_mask) {
    sigset_t set = set_of(SIGUSR1, SIGUSR2), old;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    CHECK(!sigismember(&old, SIGUSR1));
    CHECK_EQ(pthread_sigmask(77, &set, NULL), EINVAL);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &old, &set), 0);
    CHECK(sigismember(&set, SIGUSR1) && sigismember(&set, SIGUSR2));
}
