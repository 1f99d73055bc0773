// Mutexes, condition variables, barriers, rwlocks, semaphores; robust and priority-inheriting
// mutexes; and the futex operations below them with their errors.
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>

static long futex(void *word, int op, uint32_t value, const void *timeout, void *word2,
                  uint32_t value3) {
    return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int counter, turn;

static void *increments(void *arg) {
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

TEST(mutex_excludes) {
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, increments, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(counter, 80000);
}

static void *takes_turns(void *arg) {
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != me)
            pthread_cond_wait(&cond, &mutex);
        turn = (me + 1) % 3;
        counter++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

TEST(condition_variables_take_turns) {
    pthread_t t[3];
    for (intptr_t i = 0; i < 3; i++)
        REQUIRE(pthread_create(&t[i], NULL, takes_turns, (void *)i) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(counter, 3000);
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += 20000000;
    if (ts.tv_nsec >= 1000000000)
        ts.tv_sec++, ts.tv_nsec -= 1000000000;
    pthread_mutex_lock(&mutex);
    CHECK_EQ(pthread_cond_timedwait(&cond, &mutex, &ts), ETIMEDOUT);
    CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
    CHECK_EQ(pthread_mutex_timedlock(&mutex, &ts), ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
}

TEST(mutex_kinds) {
    pthread_mutexattr_t a;
    pthread_mutex_t m;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&m, &a);
    CHECK_EQ(pthread_mutex_lock(&m), 0);
    CHECK_EQ(pthread_mutex_lock(&m), EDEADLK);
    CHECK_EQ(pthread_mutex_unlock(&m), 0);
    CHECK_EQ(pthread_mutex_unlock(&m), EPERM);
    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&m, &a);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(pthread_mutex_lock(&m), 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(pthread_mutex_unlock(&m), 0);
}

static pthread_barrier_t barrier;
static atomic_int phases[50], serial;
static void *phase(void *arg) {
    for (int i = 0; i < 50; i++) {
        atomic_fetch_add(&phases[i], 1);
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            atomic_fetch_add(&serial, 1);
        if (phases[i] != 4)
            FAIL("phase %d has %d", i, phases[i]);
    }
    return arg;
}

TEST(barriers_hold_everyone) {
    pthread_t t[4];
    REQUIRE(pthread_barrier_init(&barrier, NULL, 4) == 0);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, phase, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(serial, 50);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static volatile int guarded[2];
static void *reads_or_writes(void *arg) {
    for (int i = 0; i < 3000; i++) {
        if (arg) {
            pthread_rwlock_wrlock(&rwlock);
            guarded[0]++;
            guarded[1]++;
        } else {
            pthread_rwlock_rdlock(&rwlock);
            if (guarded[0] != guarded[1])
                FAIL("a reader saw half a write");
        }
        pthread_rwlock_unlock(&rwlock);
    }
    return NULL;
}

TEST(rwlocks_separate_readers_and_writers) {
    pthread_t t[4];
    for (intptr_t i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, reads_or_writes, (void *)(i & 1)) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(guarded[0], 6000);
}

TEST(semaphores_between_processes) {
    sem_t *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(sem_init(s, 1, 0) == 0 && sem_init(s + 1, 1, 0) == 0);
    pid_t pid = CHILD(for (int i = 0; i < 1000; i++) {
        sem_wait(s);
        sem_post(s + 1);
    });
    for (int i = 0; i < 1000; i++) {
        sem_post(s);
        REQUIRE(sem_wait(s + 1) == 0);
    }
    CHECK_EXITS(pid, 0);
    CHECK_ERRNO(sem_trywait(s), EAGAIN);
    char name[32];
    snprintf(name, sizeof name, "/guest-%d", getpid());
    sem_t *n = sem_open(name, O_CREAT | O_EXCL, 0600, 2);
    if (n != SEM_FAILED) {
        CHECK_EQ(sem_wait(n), 0);
        CHECK(sem_open(name, O_CREAT | O_EXCL, 0600, 2) == SEM_FAILED && errno == EEXIST);
        CHECK_EQ(sem_unlink(name), 0);
    }
}

static pthread_mutex_t *robust;
static void make_robust(int shared, int protocol) {
    pthread_mutexattr_t a;
    robust = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&a, shared ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE);
    CHECK_EQ(pthread_mutexattr_setprotocol(&a, protocol), 0);
    CHECK_EQ(pthread_mutex_init(robust, &a), 0);
}

static void *dies_holding(void *arg) {
    pthread_mutex_lock(robust);
    return arg;
}

TEST(robust_mutex_tells_of_a_dead_thread) {
    QEMU_WRONG("version 7.2 keeps the robust list from the kernel");
    for (int protocol = 0; protocol < 2; protocol++) {
        make_robust(0, protocol ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE);
        pthread_t t;
        REQUIRE(pthread_create(&t, NULL, dies_holding, NULL) == 0);
        pthread_join(t, NULL);
        CHECK_EQ(pthread_mutex_lock(robust), EOWNERDEAD);
        CHECK_EQ(pthread_mutex_consistent(robust), 0);
        CHECK_EQ(pthread_mutex_unlock(robust), 0);
        CHECK_EQ(pthread_mutex_lock(robust), 0);
        CHECK_EQ(pthread_mutex_unlock(robust), 0);
        REQUIRE(pthread_create(&t, NULL, dies_holding, NULL) == 0);
        pthread_join(t, NULL);
        CHECK_EQ(pthread_mutex_lock(robust), EOWNERDEAD);
        CHECK_EQ(pthread_mutex_unlock(robust), 0); // without making it consistent
        CHECK_EQ(pthread_mutex_lock(robust), ENOTRECOVERABLE);
    }
}

TEST(robust_mutex_tells_of_a_killed_process) {
    QEMU_WRONG("version 7.2 keeps the robust list from the kernel");
    make_robust(1, PTHREAD_PRIO_NONE);
    int p[2];
    char c;
    REQUIRE(pipe(p) == 0);
    pid_t pid = CHILD(pthread_mutex_lock(robust); REQUIRE(write(p[1], "l", 1) == 1); pause());
    REQUIRE(read(p[0], &c, 1) == 1);
    CHECK_EQ(pthread_mutex_trylock(robust), EBUSY);
    // A waiter is woken by the death.
    pid_t waiter = CHILD(CHECK_EQ(pthread_mutex_lock(robust), EOWNERDEAD);
                         CHECK_EQ(pthread_mutex_consistent(robust), 0);
                         CHECK_EQ(pthread_mutex_unlock(robust), 0));
    CHECK(WAIT_FOR(task_state(waiter, waiter) == 'S', 5000));
    kill(pid, SIGKILL);
    wait_status(pid);
    CHECK_EXITS(waiter, 0);
    CHECK_EQ(pthread_mutex_lock(robust), 0);
}

static pthread_mutex_t pi;
static void *pi_increments(void *arg) {
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&pi);
        counter++;
        pthread_mutex_unlock(&pi);
    }
    return arg;
}

TEST(priority_inheritance_mutex) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    int e = pthread_mutex_init(&pi, &a);
    if (e == ENOTSUP)
        SKIP("no PI futexes");
    CHECK_EQ(e, 0);
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        REQUIRE(pthread_create(&t[i], NULL, pi_increments, NULL) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(counter, 15000);
    CHECK_EQ(pthread_mutex_lock(&pi), 0);
    CHECK_EQ(pthread_mutex_trylock(&pi), EBUSY);
    uint32_t word = gettid();
    CHECK_ERRNO(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
    word = 0;
    CHECK_EQ(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    CHECK_EQ(word & FUTEX_TID_MASK, gettid());
    CHECK_EQ(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    CHECK_EQ(word, 0);
    CHECK_ERRNO(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EPERM);
}

TEST(futex_errors_and_timeouts) {
    uint32_t word = 5;
    struct timespec ts = {0, 20000000};
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 6, NULL, NULL, 0), EAGAIN);
    int64_t start = now_ns();
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 5, &ts, NULL, 0), ETIMEDOUT);
    CHECK(now_ns() - start >= 20000000);
    CHECK_EQ(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
    CHECK_ERRNO(futex((char *)&word + 1, FUTEX_WAIT, 5, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(futex(&word, 99, 5, NULL, NULL, 0), ENOSYS);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0), EINVAL);
    ts.tv_nsec = 1000000000;
    if (!under_qemu()) // does not look at the timeout
        CHECK_ERRNO(futex(&word, FUTEX_WAIT, 5, &ts, NULL, 0), EINVAL);
    // WAIT_BITSET takes an absolute time, of the clock asked for.
    clock_gettime(CLOCK_MONOTONIC, &ts);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 5, &ts, NULL, ~0u), ETIMEDOUT);
    clock_gettime(CLOCK_REALTIME, &ts);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 5, &ts, NULL, ~0u),
                ETIMEDOUT);
}

static uint32_t words[2];
static atomic_int sleeping, awake;
static void *waits(void *arg) {
    atomic_fetch_add(&sleeping, 1);
    if (futex(&words[0], FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (uint32_t)(uintptr_t)arg) == 0)
        atomic_fetch_add(&awake, 1);
    return NULL;
}

static void start_waiters(pthread_t *t, int n, bool bits) {
    for (int i = 0; i < n; i++)
        REQUIRE(pthread_create(&t[i], NULL, waits, (void *)(uintptr_t)(bits ? 1u << i : ~0u)) == 0);
    WAIT_FOR(sleeping == n, 5000);
    sleep_ms(30);
}

TEST(wake_counts) {
    pthread_t t[5];
    start_waiters(t, 5, false);
    CHECK_EQ(futex(&words[0], FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0), 2);
    CHECK(WAIT_FOR(awake == 2, 5000));
    CHECK_EQ(futex(&words[0], FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0), 3);
    for (int i = 0; i < 5; i++)
        pthread_join(t[i], NULL);
}

TEST(wake_by_bitset) {
    pthread_t t[4];
    start_waiters(t, 4, true);
    CHECK_EQ(futex(&words[0], FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 0x5), 2);
    CHECK(WAIT_FOR(awake == 2, 5000));
    CHECK_EQ(futex(&words[0], FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 0x5), 0);
    CHECK_EQ(futex(&words[0], FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, ~0u), 2);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
}

TEST(requeue_moves_waiters) {
    pthread_t t[4];
    start_waiters(t, 4, false);
    CHECK_ERRNO(futex(&words[0], FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &words[1], 77), EAGAIN);
    // Wakes one, moves two: three affected.
    CHECK_EQ(futex(&words[0], FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &words[1], 0), 3);
    CHECK(WAIT_FOR(awake == 1, 5000));
    CHECK_EQ(futex(&words[1], FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 2);
    CHECK_EQ(futex(&words[0], FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(awake, 4);
}

TEST(wake_op_changes_a_word) {
    uint32_t a = 0, b = 5;
    // b = b + 3; wake on b if its old value was 5.
    int op = FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5);
    CHECK_EQ(futex(&a, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &b, op), 0);
    CHECK_EQ(b, 8);
}

TEST(shared_futex_by_two_mappings) {
    int fd = memfd_create("f", 0);
    REQUIRE(fd != -1 && ftruncate(fd, 4096) == 0);
    uint32_t *a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    uint32_t *b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pid_t pid =
        CHILD(struct timespec ts = {5, 0}; CHECK_EQ(futex(a, FUTEX_WAIT, 0, &ts, NULL, 0), 0));
    CHECK(WAIT_FOR(task_state(pid, pid) == 'S', 5000));
    sleep_ms(20);
    CHECK_EQ(futex(b, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
    CHECK_EXITS(pid, 0);
}

TEST(futex_waitv_waits_for_any) {
    struct {
        uint64_t value, address;
        uint32_t flags, reserved;
    } v[2] = {{0, (uintptr_t)&words[0], 2 | 128, 0}, {0, (uintptr_t)&words[1], 2 | 128, 0}};
    struct timespec past;
    clock_gettime(CLOCK_MONOTONIC, &past);
    long r = syscall(SYS_futex_waitv, v, 2, 0, &past, CLOCK_MONOTONIC);
    if (r == -1 && errno == ENOSYS)
        SKIP("no futex_waitv");
    CHECK_EQ(r, -1);
    CHECK_EQ(errno, ETIMEDOUT);
    words[1] = 1;
    CHECK_ERRNO(syscall(SYS_futex_waitv, v, 2, 0, &past, CLOCK_MONOTONIC), EAGAIN);
    CHECK_ERRNO(syscall(SYS_futex_waitv, v, 0, 0, &past, CLOCK_MONOTONIC), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex_waitv, v, 2, 1, &past, CLOCK_MONOTONIC), EINVAL);
}
