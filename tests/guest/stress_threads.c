// Thread churn, signals against threads, futex traffic, fork and exec from a process full of
// threads. Argument: the rounds of each test.
#define STRESS_ROUNDS 1000
#include "check.h"
#include <pthread.h>
#include <sched.h>

extern char **environ;

int helper(int argc, char **argv) {
    (void)argc;
    return atoi(argv[2]);
}

static _Thread_local long tls = 11;

static void *churn(void *arg) {
    long n = (long)(intptr_t)arg;
    if (tls != 11)
        FAIL("TLS is not fresh");
    tls = n;
    char *p = malloc(100 + n % 5000);
    memset(p, (int)n, 100);
    long sum = 0;
    for (int i = 0; i < 200; i++)
        sum += p[i % 100];
    free(p);
    sched_yield();
    if (tls != n || sum != 200 * (long)(char)n)
        FAIL("thread %ld lost its state", n);
    return (void *)(n ^ 0x55);
}

TEST(create_and_join) {
    for (long i = 0; i < rounds; i++) {
        pthread_t t[4];
        for (long k = 0; k < 4; k++)
            REQUIRE(pthread_create(&t[k], NULL, churn, (void *)(i * 4 + k)) == 0);
        for (long k = 0; k < 4; k++) {
            void *r;
            REQUIRE(pthread_join(t[k], &r) == 0);
            REQUIRE((long)r == ((i * 4 + k) ^ 0x55));
        }
    }
}

static atomic_long detached_done;
static void *vanish(void *arg) {
    atomic_fetch_add(&detached_done, 1);
    return arg;
}

TEST(detached_threads) {
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&a, 1 << 17);
    for (long i = 0; i < rounds; i++) {
        pthread_t t;
        REQUIRE(pthread_create(&t, &a, vanish, NULL) == 0);
        while (i - atomic_load(&detached_done) > 50)
            sched_yield();
    }
    CHECK(WAIT_FOR(detached_done == rounds, 20000));
}

static atomic_int stop;
static atomic_long handled;
static _Thread_local volatile long mine;
static void on_signal(int sig) {
    (void)sig;
    mine++;
    atomic_fetch_add(&handled, 1);
}

// Computes the same thing over and over: a signal at a bad moment shows as another result.
static void *compute(void *arg) {
    uint64_t first = 0;
    double first_d = 0;
    do {
        uint64_t h = 14695981039346656037ull;
        double d = 1;
        for (int i = 0; i < 2000; i++) {
            h = (h ^ i) * 1099511628211ull;
            d = d * 1.0000001 + (double)(h & 7);
        }
        char text[64];
        snprintf(text, sizeof text, "%lx", h);
        if (strtoul(text, NULL, 16) != h)
            FAIL("libc gave another number");
        if (!first)
            first = h, first_d = d;
        if (h != first || d != first_d)
            FAIL("the computation changed: %lx %lx %g %g", h, first, d, first_d);
    } while (!atomic_load(&stop));
    return arg;
}

TEST(signals_against_computing_threads) {
    enum { N = 4 };
    pthread_t t[N];
    int sig = SIGRTMIN + 2;
    handle(sig, on_signal, SA_RESTART);
    for (int i = 0; i < N; i++)
        REQUIRE(pthread_create(&t[i], NULL, compute, NULL) == 0);
    long sent = 0;
    for (long i = 0; i < rounds * 10; i++) {
        int e = pthread_kill(t[i % N], sig);
        REQUIRE(e == 0 || e == EAGAIN); // a full queue
        sent += e == 0;
        if (i % 16 == 0)
            sched_yield();
        while (sent - atomic_load(&handled) > 200)
            sched_yield();
    }
    CHECK(WAIT_FOR(handled == sent, 20000)); // real-time signals: none lost
    CHECK_EQ(handled, sent);
    stop = 1;
    for (int i = 0; i < N; i++)
        pthread_join(t[i], NULL);
}

static int pipes[2];
static void *blocks(void *arg) {
    char c;
    long got = 0;
    for (;;) {
        ssize_t n = read(pipes[0], &c, 1);
        if (n == 1)
            got++;
        else if (n == 0)
            break;
        else if (errno != EINTR)
            FAIL("read: %d", errno);
    }
    *(long *)arg = got;
    return NULL;
}

TEST(signals_against_blocked_threads) {
    enum { N = 4 };
    pthread_t t[N];
    long got[N] = {0};
    REQUIRE(pipe(pipes) == 0);
    handle(SIGUSR1, on_signal, 0);
    for (int i = 0; i < N; i++)
        REQUIRE(pthread_create(&t[i], NULL, blocks, &got[i]) == 0);
    for (long i = 0; i < rounds * 4; i++) {
        REQUIRE(pthread_kill(t[i % N], SIGUSR1) == 0);
        REQUIRE(write(pipes[1], "x", 1) == 1);
    }
    close(pipes[1]);
    long total = 0;
    for (int i = 0; i < N; i++) {
        pthread_join(t[i], NULL);
        total += got[i];
    }
    CHECK_EQ(total, rounds * 4); // no byte lost to an interruption
    CHECK(handled > 0);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long turn;
static void *relay(void *arg) {
    long me = (long)(intptr_t)arg;
    for (long i = 0; i < rounds; i++) {
        pthread_mutex_lock(&mutex);
        while (turn % 3 != me)
            pthread_cond_wait(&cond, &mutex);
        turn++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
        if (i % 8 == 0)
            kill(getpid(), SIGUSR2);
    }
    return NULL;
}

TEST(condition_relay_under_signals) {
    pthread_t t[3];
    handle(SIGUSR2, on_signal, SA_RESTART);
    for (long i = 0; i < 3; i++)
        REQUIRE(pthread_create(&t[i], NULL, relay, (void *)i) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(turn, rounds * 3);
}

static void *allocate(void *arg) {
    unsigned seed = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&stop)) {
        void *p[8];
        for (int i = 0; i < 8; i++)
            p[i] = malloc(1 + (seed = seed * 1103515245 + 12345) % 20000);
        for (int i = 0; i < 8; i++)
            free(p[i]);
    }
    return NULL;
}

TEST(fork_beside_running_threads) {
    pthread_t t[3];
    int sig = SIGUSR1;
    handle(sig, on_signal, SA_RESTART);
    for (long i = 0; i < 3; i++)
        REQUIRE(pthread_create(&t[i], NULL, i == 2 ? compute : allocate, (void *)i) == 0);
    for (long i = 0; i < rounds; i++) {
        pthread_kill(t[i % 3], sig);
        pid_t pid = CHILD({
            char *p = malloc(5000);
            memset(p, 1, 5000);
            free(p);
            _exit((getpid() == gettid() ? 0 : 64) + i % 60);
        });
        REQUIRE(pid > 0);
        REQUIRE(CHECK_EXITS(pid, (i % 60)));
    }
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
}

static atomic_long forks_done;
static void *forks(void *arg) {
    for (long i = 0; i < rounds / 4; i++) {
        pid_t pid = CHILD(_exit(i % 100));
        if (!CHECK_EXITS(pid, (i % 100)))
            break;
        atomic_fetch_add(&forks_done, 1);
    }
    return arg;
}

TEST(fork_from_many_threads_at_once) {
    pthread_t t[4], a;
    REQUIRE(pthread_create(&a, NULL, allocate, NULL) == 0);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, forks, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    stop = 1;
    pthread_join(a, NULL);
    CHECK_EQ(forks_done, rounds / 4 * 4);
}

TEST(exec_beside_running_threads) {
    pthread_t t[2];
    for (long i = 0; i < 2; i++)
        REQUIRE(pthread_create(&t[i], NULL, i ? compute : allocate, (void *)i) == 0);
    char text[16];
    for (long i = 0; i < rounds; i++) {
        snprintf(text, sizeof text, "%ld", i % 100);
        char *argv[] = {"p", "helper:", text, NULL};
        pid_t pid = i & 1 ? vfork() : fork();
        if (pid == 0) {
            execve("/proc/self/exe", argv, environ);
            _exit(127);
        }
        REQUIRE(CHECK_EXITS(pid, (i % 100)));
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}

static void *exec_here(void *arg) {
    char *argv[] = {"p", "helper:", arg, NULL};
    execve("/proc/self/exe", argv, environ);
    _exit(126);
}
static void *exit_here(void *arg) {
    exit(atoi(arg));
}

// A process with busy threads ends in every way: exec from one, exit from one, a signal.
TEST(ends_of_threaded_processes) {
    for (long i = 0; i < rounds / 2; i++) {
        char text[16];
        snprintf(text, sizeof text, "%ld", i % 100);
        pid_t pid = CHILD({
            pthread_t t;
            for (long k = 0; k < 3; k++)
                pthread_create(&t, NULL, k & 1 ? compute : allocate, (void *)k);
            if (i % 3 == 0)
                pthread_create(&t, NULL, exec_here, text);
            else if (i % 3 == 1)
                pthread_create(&t, NULL, exit_here, text);
            else
                kill(getpid(), SIGKILL);
            for (;;)
                pause();
        });
        if (i % 3 == 2)
            REQUIRE(CHECK_KILLED(pid, SIGKILL));
        else
            REQUIRE(CHECK_EXITS(pid, (i % 100)));
    }
}
