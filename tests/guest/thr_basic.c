// Threads: creation by the thousand, TLS, ending in every way, ids, fork from a thread, exit_group.
#include "check.h"
#include <pthread.h>
#include <sys/resource.h>
#include <dirent.h>
#include <sched.h>

static _Thread_local int tls_number = 5;
static _Thread_local char tls_block[3000];

static void *return_plus(void *arg) {
    CHECK_EQ(tls_number, 5);
    tls_number = (int)(intptr_t)arg;
    tls_block[2999] = 1;
    CHECK(gettid() != getpid());
    return (void *)((intptr_t)arg + 1);
}

TEST(three_thousand_in_turn) {
    for (intptr_t i = 0; i < 3000; i++) {
        pthread_t t;
        void *r;
        REQUIRE(pthread_create(&t, NULL, return_plus, (void *)i) == 0);
        REQUIRE(pthread_join(t, &r) == 0);
        REQUIRE((intptr_t)r == i + 1);
    }
    CHECK_EQ(tls_number, 5);
}

static atomic_int waiting, go;
static void *wait_for_go(void *arg) {
    (void)arg;
    atomic_fetch_add(&waiting, 1);
    while (!atomic_load(&go))
        syscall(SYS_futex, &go, 128, 0, NULL); // FUTEX_WAIT_PRIVATE
    return NULL;
}

static int task_count(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

TEST(a_thousand_at_once) {
    enum { N = 1000 };
    static pthread_t t[N];
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 65536);
    for (int i = 0; i < N; i++)
        REQUIRE(pthread_create(&t[i], &a, wait_for_go, NULL) == 0);
    CHECK(WAIT_FOR(waiting == N, 8000));
    if (!under_qemu()) // has a thread of its own
        CHECK_EQ(task_count(), N + 1);
    go = 1;
    syscall(SYS_futex, &go, 129, INT_MAX); // FUTEX_WAKE_PRIVATE
    for (int i = 0; i < N; i++)
        REQUIRE(pthread_join(t[i], NULL) == 0);
    if (!under_qemu())
        CHECK(WAIT_FOR(task_count() == 1, 2000));
}

static pthread_key_t key;
static atomic_int destroyed;
static void destroy(void *v) {
    atomic_fetch_add(&destroyed, (int)(intptr_t)v);
}
static void *sets_key(void *arg) {
    pthread_setspecific(key, arg);
    pthread_exit((void *)17);
}

TEST(keys_are_destroyed_and_exit_values_kept) {
    pthread_t t;
    void *r;
    CHECK_EQ(pthread_key_create(&key, destroy), 0);
    for (intptr_t i = 1; i <= 10; i++) {
        REQUIRE(pthread_create(&t, NULL, sets_key, (void *)i) == 0);
        CHECK_EQ(pthread_join(t, &r), 0);
        CHECK_EQ((intptr_t)r, 17);
    }
    CHECK_EQ(destroyed, 55);
}

static void clean(void *arg) {
    *(int *)arg += 1;
}
static void *cancelled(void *arg) {
    pthread_cleanup_push(clean, arg);
    waiting = 1;
    for (;;)
        pause();
    pthread_cleanup_pop(0);
    return NULL;
}
static void *busy(void *arg) {
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    waiting = 2;
    for (volatile unsigned i = 0;; i++)
        ;
    return arg;
}

TEST(cancellation) {
    pthread_t t;
    void *r;
    int cleaned = 0;
    REQUIRE(pthread_create(&t, NULL, cancelled, &cleaned) == 0);
    WAIT_FOR(waiting == 1, 5000);
    CHECK_EQ(pthread_cancel(t), 0);
    CHECK_EQ(pthread_join(t, &r), 0);
    CHECK(r == PTHREAD_CANCELED && cleaned == 1);
    REQUIRE(pthread_create(&t, NULL, busy, NULL) == 0);
    WAIT_FOR(waiting == 2, 5000);
    CHECK_EQ(pthread_cancel(t), 0);
    CHECK_EQ(pthread_join(t, &r), 0);
    CHECK(r == PTHREAD_CANCELED);
}

static void *detached(void *arg) {
    atomic_fetch_add((atomic_int *)arg, 1);
    return NULL;
}

TEST(detached_threads_vanish) {
    atomic_int n = 0;
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 500; i++) {
        pthread_t t;
        REQUIRE(pthread_create(&t, &a, detached, &n) == 0);
    }
    CHECK(WAIT_FOR(n == 500, 5000));
}

static void *outlive(void *arg) {
    (void)arg;
    sleep_ms(30);
    _exit(21);
}

static void *leaves_later(void *arg) {
    sleep_ms(20);
    return arg;
}

TEST(the_main_thread_may_leave_first) {
    pid_t pid = CHILD(pthread_t t; pthread_create(&t, NULL, outlive, NULL); pthread_exit(NULL));
    CHECK_EXITS(pid, 21);
    // And the last thread's plain exit ends the process with the status 0.
    pid = CHILD(pthread_t t; pthread_create(&t, NULL, leaves_later, NULL); pthread_exit(NULL));
    CHECK_EXITS(pid, 0);
}

static void *exits_all(void *arg) {
    sleep_ms(5);
    exit((int)(intptr_t)arg);
}

TEST(exit_from_a_thread_ends_all) {
    for (int i = 0; i < 20; i++) {
        pid_t pid = CHILD(pthread_t t[4]; for (int k = 0; k < 3; k++)
                              pthread_create(&t[k], NULL, k == 2 ? busy : wait_for_go, NULL);
                          pthread_create(&t[3], NULL, exits_all, (void *)(intptr_t)(i + 30));
                          for (;;) pause());
        CHECK_EXITS(pid, i + 30);
    }
    // All of them at once, each with another status: one wins.
    for (int i = 0; i < 20; i++) {
        pid_t pid = CHILD(pthread_t t; for (int k = 0; k < 6; k++)
                              pthread_create(&t, NULL, exits_all, (void *)(intptr_t)(40 + k));
                          for (;;) pause());
        int status = wait_status(pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) >= 40 && WEXITSTATUS(status) < 46);
    }
}

TEST(a_fatal_signal_ends_all_threads) {
    for (int i = 0; i < 20; i++) {
        pid_t pid = CHILD({
            pthread_t t;
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            for (int k = 0; k < 4; k++)
                pthread_create(&t, NULL, k & 1 ? busy : wait_for_go, NULL);
            sleep_ms(2);
            if (i & 1)
                kill(getpid(), SIGKILL);
            pthread_kill(t, SIGTERM);
            sleep_ms(8000);
        });
        CHECK_KILLED(pid, i & 1 ? SIGKILL : SIGTERM);
    }
}

static void *forks(void *arg) {
    for (int i = 0; i < 20; i++) {
        pid_t pid = CHILD({
            // Only the forking thread exists in the child; it is its main thread now.
            if (getpid() != syscall(SYS_gettid))
                _exit(1);
            char *p = malloc(1000);
            memset(p, 1, 1000);
            free(p);
            pthread_t t;
            void *r;
            if (pthread_create(&t, NULL, return_plus, (void *)4) || pthread_join(t, &r) ||
                r != (void *)5)
                _exit(2);
            _exit(50 + i % 10);
        });
        if (!CHECK_EXITS(pid, 50 + i % 10))
            break;
    }
    return arg;
}

static void *allocates(void *arg) {
    while (!atomic_load(&go)) {
        void *p = malloc(1 + rand() % 5000);
        free(p);
    }
    return arg;
}

TEST(fork_from_a_thread) {
    QEMU_WRONG("a fork beside running threads now and then leaves its child stuck");
    pthread_t t[3], a;
    REQUIRE(pthread_create(&a, NULL, allocates, NULL) == 0);
    for (int i = 0; i < 3; i++)
        REQUIRE(pthread_create(&t[i], NULL, forks, NULL) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    go = 1;
    pthread_join(a, NULL);
}

TEST(set_tid_address_and_ids) {
    QEMU_WRONG("version 7.2 has no robust lists");
    int word = 0;
    CHECK_EQ(syscall(SYS_set_tid_address, &word), gettid());
    CHECK_EQ(syscall(SYS_gettid), getpid());
    void *head = NULL;
    size_t length = 0;
    CHECK_EQ(syscall(SYS_get_robust_list, 0, &head, &length), 0);
    CHECK(length == 24);
    CHECK_ERRNO(syscall(SYS_set_robust_list, &word, 10), EINVAL);
}

static void *check_stack(void *arg) {
    pthread_attr_t a;
    void *low;
    size_t size;
    char here;
    CHECK_EQ(pthread_getattr_np(pthread_self(), &a), 0);
    CHECK_EQ(pthread_attr_getstack(&a, &low, &size), 0);
    CHECK(&here > (char *)low && &here < (char *)low + size);
    // Nearly all of it can be used.
    volatile char *p = __builtin_alloca(size - 20000);
    p[0] = 1;
    return arg;
}

TEST(stacks_have_their_size) {
    pthread_t t;
    pthread_attr_t a;
    static const size_t sizes[] = {131072 + 8192, 1 << 20, 16 << 20};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        pthread_attr_init(&a);
        CHECK_EQ(pthread_attr_setstacksize(&a, sizes[i]), 0);
        REQUIRE(pthread_create(&t, &a, check_stack, NULL) == 0);
        pthread_join(t, NULL);
    }
    char *own = mmap(NULL, 1 << 18, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_init(&a);
    CHECK_EQ(pthread_attr_setstack(&a, own, 1 << 18), 0);
    REQUIRE(pthread_create(&t, &a, check_stack, NULL) == 0);
    pthread_join(t, NULL);
}

static void *reports_uid(void *arg) {
    waiting++;
    while (!atomic_load(&go))
        sleep_ms(1);
    *(uid_t *)arg = syscall(SYS_getuid);
    return NULL;
}

TEST(setuid_reaches_every_thread) {
    if (geteuid() != 0)
        SKIP("needs root");
    pid_t pid = CHILD({
        pthread_t t[4];
        uid_t uid[4];
        for (int i = 0; i < 4; i++)
            REQUIRE(pthread_create(&t[i], NULL, reports_uid, &uid[i]) == 0);
        WAIT_FOR(waiting == 4, 5000);
        CHECK_EQ(setresuid(4321, 4321, 4321), 0);
        go = 1;
        for (int i = 0; i < 4; i++) {
            pthread_join(t[i], NULL);
            CHECK_EQ(uid[i], 4321);
        }
    });
    CHECK_EXITS(pid, 0);
}

TEST(a_stop_halts_every_thread) {
    volatile uint64_t *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = CHILD({
        pthread_t t;
        pthread_create(&t, NULL, busy, NULL);
        for (;;)
            (*shared)++;
    });
    for (int i = 0; i < 5; i++) {
        uint64_t before = *shared;
        CHECK(WAIT_FOR(*shared > before, 5000));
        kill(pid, SIGSTOP);
        int status;
        CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
        CHECK(WIFSTOPPED(status));
        before = *shared;
        sleep_ms(5);
        CHECK_EQ(*shared, before);
        kill(pid, SIGCONT);
    }
    kill(pid, SIGKILL);
    CHECK_KILLED(pid, SIGKILL);
}

static uint64_t counter;
static void *adds(void *arg) {
    for (int i = 0; i < 20000; i++)
        __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
    return arg;
}

TEST(atomic_additions_are_not_lost) {
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, adds, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(counter, 80000);
}

// Message passing and store buffering with acquire/release and sequentially consistent accesses.
static uint64_t data_word, flag_word, x_word, y_word;
static atomic_int round_a, round_b;
static uint64_t seen_x, seen_y;
enum { LITMUS = 5000 };

// Between looks at a word the other thread is to write. On a busy machine both may share one CPU,
// and each look would then last a time slice.
static void look_again(unsigned *looks) {
    if (++*looks % 1000 == 0)
        sched_yield();
}

static void *litmus_a(void *arg) {
    unsigned looks = 0;
    for (int i = 1; i <= LITMUS; i++) {
        while (atomic_load(&round_a) < i)
            look_again(&looks);
        __atomic_store_n(&x_word, i, __ATOMIC_SEQ_CST);
        seen_y = __atomic_load_n(&y_word, __ATOMIC_SEQ_CST);
        __atomic_store_n(&data_word, i * 3, __ATOMIC_RELAXED);
        __atomic_store_n(&flag_word, i, __ATOMIC_RELEASE);
        atomic_fetch_add(&round_b, 1);
    }
    return arg;
}

TEST(memory_ordering) {
    pthread_t t;
    unsigned looks = 0;
    REQUIRE(pthread_create(&t, NULL, litmus_a, NULL) == 0);
    for (uint64_t i = 1; i <= LITMUS; i++) {
        atomic_store(&round_a, i);
        __atomic_store_n(&y_word, i, __ATOMIC_SEQ_CST);
        seen_x = __atomic_load_n(&x_word, __ATOMIC_SEQ_CST);
        uint64_t f;
        while ((f = __atomic_load_n(&flag_word, __ATOMIC_ACQUIRE)) < i)
            look_again(&looks);
        REQUIRE(__atomic_load_n(&data_word, __ATOMIC_RELAXED) >= f * 3);
        while (atomic_load(&round_b) < (int)i)
            look_again(&looks);
        // At least one of the two saw the other's store (no store-to-load reordering).
        // qemu-user 7.2 lets an LDAR pass an earlier STLR.
        REQUIRE(seen_x == i || seen_y == i || under_qemu());
    }
    pthread_join(t, NULL);
}
