// Code is invalidated all the time, which makes the engine stop the other threads: these must
// notice nothing, whatever they are at. Argument: the rounds of each test.
#define STRESS_ROUNDS 500
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <linux/futex.h>

extern char **environ;

int helper(int argc, char **argv) {
    return argc > 2 ? atoi(argv[2]) : 0;
}

#ifdef __aarch64__
static void emit(void *at, unsigned v) {
    uint32_t code[2] = {0x52800000 | v << 5, 0xd65f03c0}; // mov w0, #v; ret
    memcpy(at, code, sizeof code);
    __builtin___clear_cache(at, (char *)at + 8);
}
#else
static void emit(void *at, unsigned v) {
    unsigned char code[8] = {0xb8, v, v >> 8, 0, 0, 0xc3, 0x90, 0x90};
    memcpy(at, code, sizeof code);
    __builtin___clear_cache(at, (char *)at + 8);
}
#endif

typedef unsigned function(void);

static char *code_pages(size_t length) {
    char *p =
        mmap(NULL, length, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    return p;
}

static atomic_int stop;
static atomic_long rewritten;

// Writes code, runs it, writes it anew.
static void *rewrite(void *arg) {
    char *p = code_pages(4096);
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        emit(p, i & 0xffff);
        if (((function *)p)() != (i & 0xffff))
            FAIL("old code runs");
        atomic_fetch_add(&rewritten, 1);
    }
    return arg;
}

static pthread_t rewriter;
static void start_rewriter(void) {
    REQUIRE(pthread_create(&rewriter, NULL, rewrite, NULL) == 0);
    while (!atomic_load(&rewritten))
        sched_yield();
}
static void end_rewriter(void) {
    stop = 1;
    pthread_join(rewriter, NULL);
}

static volatile unsigned sink;
static void compute(unsigned n) {
    for (unsigned i = 0; i < n; i++)
        sink += i * sink;
}

// No handler is installed and no signal sent, so no call may be interrupted.
TEST(no_call_is_interrupted) {
    start_rewriter();
    int p[2], ep = epoll_create1(0);
    REQUIRE(pipe(p) == 0);
    struct epoll_event event = {.events = EPOLLIN}, got;
    REQUIRE(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event) == 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct timespec brief = {0, 50000};
    static int word;
    for (long i = 0; i < rounds * 10; i++) {
        struct pollfd fd = {p[0], POLLIN, 0};
        compute(i % 97);
        REQUIRE(nanosleep(&brief, NULL) == 0);
        compute(i % 89);
        REQUIRE(ppoll(&fd, 1, &brief, &set) == 0);
        compute(i % 83);
        if (i % 16 == 0)
            REQUIRE(epoll_wait(ep, &got, 1, 1) == 0);
        compute(i % 79);
        REQUIRE(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &brief) == -1 && errno == ETIMEDOUT);
        compute(i % 73);
        REQUIRE(sigtimedwait(&set, NULL, &brief) == -1 && errno == EAGAIN);
    }
    end_rewriter();
}

static int pipes[2];
static void *write_bytes(void *arg) {
    for (long i = 0; i < rounds * 20; i++) {
        compute(i % 61);
        REQUIRE(write(pipes[1], "x", 1) == 1);
    }
    return arg;
}

TEST(no_read_is_interrupted) {
    start_rewriter();
    pthread_t t;
    REQUIRE(pipe(pipes) == 0);
    REQUIRE(pthread_create(&t, NULL, write_bytes, NULL) == 0);
    char c;
    for (long i = 0; i < rounds * 20; i++)
        REQUIRE(read(pipes[0], &c, 1) == 1);
    pthread_join(t, NULL);
    end_rewriter();
}

// The engine's own signals find the queue full: RLIMIT_SIGPENDING is used up by blocked ones.
TEST(full_signal_queue) {
    sigset_t set;
    struct rlimit limit = {20, 20};
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    REQUIRE(setrlimit(RLIMIT_SIGPENDING, &limit) == 0);
    while (sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0)
        ;
    CHECK_EQ(errno, EAGAIN);
    start_rewriter();
    long until = rewritten + rounds * 4;
    while (rewritten < until)
        compute(1000);
    end_rewriter();
}

// ---- children in the same memory ----

static _Atomic pid_t child_pid;
static char *fresh;

// Never-ending code, new every time: the child is translating, or in a system call, or computing.
static void busy_child(long round) {
    atomic_store(&child_pid, getpid());
    for (unsigned i = 0;; i = (i + 1) % 2048) {
        if (round % 2)
            sink += ((function *)(fresh + i * 32))();
        if (round % 4 == 2)
            getppid();
        sink++;
    }
}

static void *vforks(void *arg) {
    for (volatile long i = 0; i < rounds; i++) {
        pid_t pid = vfork();
        if (pid == 0)
            busy_child(i);
        REQUIRE(CHECK_KILLED(pid, i % 3 ? SIGKILL : SIGTERM));
    }
    return arg;
}

TEST(vfork_children_killed) {
    pthread_t t;
    fresh = code_pages(2048 * 32);
    for (unsigned i = 0; i < 2048; i++)
        emit(fresh + i * 32, i);
    start_rewriter();
    REQUIRE(pthread_create(&t, NULL, vforks, NULL) == 0);
    for (long i = 0; i < rounds; i++) {
        pid_t pid;
        while ((pid = atomic_exchange(&child_pid, 0)) == 0)
            sched_yield();
        if (i % 2 && i % 8 != 7) // its code goes and comes again
            mprotect(fresh, 2048 * 32, PROT_READ | PROT_WRITE | PROT_EXEC);
        compute(i * 7919 % 5000);
        REQUIRE(kill(pid, i % 3 ? SIGKILL : SIGTERM) == 0);
    }
    pthread_join(t, NULL);
    end_rewriter();
}

static char *stacks;
static int clone_child(void *arg) {
    long round = (long)arg;
    if (round % 3 == 0)
        busy_child(round);
    if (round % 3 == 1) {
        char *argv[] = {"p", "helper:", "3", NULL};
        execve("/proc/self/exe", argv, environ);
    }
    syscall(SYS_exit_group, 3);
    return 0;
}

// Processes that share memory without being threads: killed, executing, exiting. A killed one is
// not waited for until other code has been invalidated.
TEST(clone_vm_children) {
    enum { STACK = 65536 };
    stacks = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fresh = code_pages(2048 * 32);
    for (unsigned i = 0; i < 2048; i++)
        emit(fresh + i * 32, i);
    start_rewriter();
    for (long i = 0; i < rounds; i++) {
        child_pid = 0;
        pid_t pid = clone(clone_child, stacks + STACK, CLONE_VM | SIGCHLD, (void *)i);
        REQUIRE(pid > 0);
        if (i % 3 == 0) {
            while (!atomic_load(&child_pid))
                sched_yield();
            compute(i * 7919 % 5000);
            REQUIRE(kill(pid, SIGKILL) == 0);
            long until = rewritten + 10;
            while (rewritten < until)
                sched_yield();
            REQUIRE(CHECK_KILLED(pid, SIGKILL));
        } else {
            REQUIRE(CHECK_EXITS(pid, 3));
        }
    }
    end_rewriter();
}

// ---- mappings that change below running code ----

static void *run_mapping(void *arg) {
    function *f = arg;
    while (!atomic_load(&stop)) {
        unsigned v = f();
        if (v != 1 && v != 2)
            FAIL("the mapping's function returned %u", v);
    }
    return NULL;
}

// Two files' pages take turns at one address, and protections change, while threads run what is
// there.
TEST(mappings_replaced_under_running_threads) {
    int fd = memfd_create("code", 0);
    REQUIRE(ftruncate(fd, 8192) == 0);
    char *w = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    emit(w, 1);
    emit(w + 4096, 2);
    char *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&t[i], NULL, run_mapping, p) == 0);
    for (long i = 0; i < rounds * 10; i++) {
        if (i % 3 == 2)
            REQUIRE(mprotect(p, 4096, PROT_READ | PROT_EXEC | (i % 2 ? PROT_WRITE : 0)) == 0);
        else
            REQUIRE(mmap(p, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd,
                         (i % 2) * 4096) == p);
        if (i % 3 != 2)
            REQUIRE(((function *)p)() == 1 + i % 2);
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}

// ---- threads ----

static void *short_life(void *arg) {
    compute(100);
    return arg;
}

TEST(threads_come_and_go) {
    start_rewriter();
    for (long i = 0; i < rounds * 10; i++) {
        pthread_t t;
        REQUIRE(pthread_create(&t, NULL, short_life, NULL) == 0);
        pthread_join(t, NULL);
    }
    end_rewriter();
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int arrived;
static void *wait_at_gate(void *arg) {
    atomic_fetch_add(&arrived, 1);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return arg;
}

TEST(two_thousand_threads_alive) {
    enum { N = 2000 };
    static pthread_t t[N];
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 1 << 16);
    start_rewriter();
    for (long r = 0; r < 1 + rounds / 250; r++) {
        arrived = 0;
        pthread_mutex_lock(&gate);
        for (int i = 0; i < N; i++)
            REQUIRE(pthread_create(&t[i], &a, wait_at_gate, NULL) == 0);
        while (atomic_load(&arrived) < N)
            sched_yield();
        pthread_mutex_unlock(&gate);
        for (int i = 0; i < N; i++)
            pthread_join(t[i], NULL);
    }
    end_rewriter();
}

// The leader ends first; its threads fork, execute and are stopped as before.
static char exe[PATH_MAX]; // /proc/self is the leader's
static void *outlives(void *arg) {
    (void)arg;
    while (task_state(getpid(), getpid()) != 'Z')
        sched_yield();
    start_rewriter();
    for (int i = 0; i < 10; i++) {
        pid_t pid = CHILD(_exit(5));
        REQUIRE(CHECK_EXITS(pid, 5));
    }
    char *argv[] = {"p", "helper:", "9", NULL};
    execve(exe, argv, environ);
    _exit(126);
}

TEST(leader_ends_first) {
    REQUIRE(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    for (long i = 0; i < rounds / 4; i++) {
        pid_t pid = CHILD({
            pthread_t t;
            pthread_create(&t, NULL, outlives, NULL);
            pthread_exit(NULL);
        });
        REQUIRE(CHECK_EXITS(pid, 9));
    }
}
