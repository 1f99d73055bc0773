// The harness of the guest programs: assertions, per-test processes and timeouts.
//
// A program is a list of TEST(name) { ... } bodies; this header supplies main. Each test runs in
// its own forked process (own process group, own empty scratch directory as its working directory,
// own timeout), so a crash or a hang in one is reported as that test's failure and the others still
// run. Counters live in shared memory: an assertion that fails in a grandchild fails the test.
//
//   PROGRAM            run all tests; exit 0 if all passed, 1 otherwise
//   PROGRAM -v NAME    only tests whose name contains NAME, each one announced
//   PROGRAM -n NAME    the same without forking: for a debugger or an engine that cannot fork yet
//   PROGRAM N          a stress program (it defines STRESS_ROUNDS first): N rounds of each test
//   PROGRAM helper:... runs the program's helper() instead: what the exec tests execute
//
// Linux is the oracle: every program must pass natively. Where qemu-user answers differently from
// the manual, the test says so with QEMU_WRONG("why") and is skipped under that runner only.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef TEST_TIMEOUT_S
#ifdef STRESS_ROUNDS
#define TEST_TIMEOUT_S 3600
#else
#define TEST_TIMEOUT_S 10
#endif
#endif
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define UNUSED       __attribute__((unused))

enum { SKIPPED_STATUS = 77 };

struct check_shared {
    atomic_int checks, failures;
};

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

static struct check_shared *check_shared;
static struct test *check_tests, **check_tests_tail = &check_tests;
static bool check_verbose;
#ifdef STRESS_ROUNDS
static long rounds = STRESS_ROUNDS;
#endif

// A program may define it (see PROGRAM helper: above); argv[1] starts with "helper:".
__attribute__((weak)) int helper(int argc, char **argv);

#define TEST(name)                                                   \
    static void test_##name(void);                                   \
    static struct test entry_##name = {#name, test_##name, NULL};    \
    __attribute__((constructor)) static void register_##name(void) { \
        *check_tests_tail = &entry_##name;                           \
        check_tests_tail = &entry_##name.next;                       \
    }                                                                \
    static void test_##name(void)

__attribute__((format(printf, 5, 6))) UNUSED static bool
check_report(bool ok, const char *file, int line, const char *expression, const char *format, ...) {
    int saved = errno;
    if (check_shared)
        atomic_fetch_add(&check_shared->checks, 1);
    if (!ok) {
        char detail[512];
        va_list ap;
        va_start(ap, format);
        vsnprintf(detail, sizeof detail, format, ap);
        va_end(ap);
        if (check_shared)
            atomic_fetch_add(&check_shared->failures, 1);
        dprintf(2, "%s:%d: failed: %s%s\n", file, line, expression, detail);
    }
    errno = saved;
    return ok;
}

// Asserts and goes on. REQUIRE ends the process when it fails: for what later assertions stand on.
#define CHECK(cond)   check_report(!!(cond), __FILE__, __LINE__, #cond, " (errno %d)", errno)
#define REQUIRE(cond) ((void)(CHECK(cond) || (_exit(1), 0)))
#define FAIL(...)     check_report(false, __FILE__, __LINE__, "", __VA_ARGS__)

#define CHECK_EQ(a, b)                                                                  \
    ({                                                                                  \
        long long a_ = (long long)(a), b_ = (long long)(b);                             \
        check_report(a_ == b_, __FILE__, __LINE__, #a " == " #b,                        \
                     " (%lld vs %lld, %#llx vs %#llx)", a_, b_, (unsigned long long)a_, \
                     (unsigned long long)b_);                                           \
    })
#define CHECK_STR(a, b)                                                                            \
    ({                                                                                             \
        const char *a_ = (a), *b_ = (b);                                                           \
        check_report(strcmp(a_, b_) == 0, __FILE__, __LINE__, #a " is " #b, " (\"%s\" vs \"%s\")", \
                     a_, b_);                                                                      \
    })
// The call must return -1 and set errno to E.
#define CHECK_ERRNO(call, E)                                                             \
    ({                                                                                   \
        errno = 0;                                                                       \
        long r_ = (long)(call);                                                          \
        int e_ = errno;                                                                  \
        check_report(r_ == -1 && e_ == (E), __FILE__, __LINE__, #call " fails with " #E, \
                     " (returned %ld, errno %d %s)", r_, e_, strerror(e_));              \
    })
// The call must not return -1; the value is its result.
#define CHECK_OK(call)                                                                            \
    ({                                                                                            \
        __typeof__(call) r_ = (call);                                                             \
        int e_ = errno;                                                                           \
        check_report((long)r_ != -1, __FILE__, __LINE__, #call " succeeds", " (errno %d %s)", e_, \
                     strerror(e_));                                                               \
        r_;                                                                                       \
    })

#define SKIP(...)                \
    do {                         \
        dprintf(2, "skip: ");    \
        dprintf(2, __VA_ARGS__); \
        dprintf(2, "\n");        \
        _exit(SKIPPED_STATUS);   \
    } while (0)

// True when run by `tests/guest/run qemu`: the runner says so in the environment.
UNUSED static bool under_qemu(void) {
    const char *runner = getenv("GUEST_RUNNER");
    return runner && strcmp(runner, "qemu") == 0;
}

#define QEMU_WRONG(why)                                    \
    do {                                                   \
        if (under_qemu())                                  \
            SKIP("qemu-user differs from Linux: %s", why); \
    } while (0)

UNUSED static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

UNUSED static void sleep_ms(long ms) {
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&ts, &ts) == -1 && errno == EINTR)
        ;
}

// Runs the statements in a child that exits 0 after it; the value is the child's pid.
#define CHILD(...)             \
    ({                         \
        pid_t child_ = fork(); \
        if (child_ == 0) {     \
            __VA_ARGS__;       \
            _exit(0);          \
        }                      \
        child_;                \
    })

// Waits for PID through EINTR; returns its wait status, -1 when there is no such child.
UNUSED static int wait_status(pid_t pid) {
    int status;
    pid_t got;
    do
        got = waitpid(pid, &status, 0);
    while (got == -1 && errno == EINTR);
    return got == pid ? status : -1;
}

#define CHECK_EXITS(pid, code)                                                                   \
    ({                                                                                           \
        int s_ = wait_status(pid);                                                               \
        check_report(s_ != -1 && WIFEXITED(s_) && WEXITSTATUS(s_) == (code), __FILE__, __LINE__, \
                     #pid " exits with " #code, " (status %#x)", s_);                            \
    })
#define CHECK_KILLED(pid, sig)                                                                 \
    ({                                                                                         \
        int s_ = wait_status(pid);                                                             \
        check_report(s_ != -1 && WIFSIGNALED(s_) && WTERMSIG(s_) == (sig), __FILE__, __LINE__, \
                     #pid " is killed by " #sig, " (status %#x)", s_);                         \
    })

// Polls COND every millisecond for at most MS; true as soon as it holds.
#define WAIT_FOR(cond, ms)                            \
    ({                                                \
        int64_t until_ = now_ns() + (ms)*1000000LL;   \
        bool met_;                                    \
        while (!(met_ = (cond)) && now_ns() < until_) \
            sleep_ms(1);                              \
        met_;                                         \
    })

// Installs HANDLER for SIG with FLAGS and an empty mask.
UNUSED static void handle(int sig, void *handler, int flags) {
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    if (flags & SA_SIGINFO)
        sa.sa_sigaction = (void (*)(int, siginfo_t *, void *))handler;
    else
        sa.sa_handler = (void (*)(int))handler;
    sa.sa_flags = flags;
    REQUIRE(sigaction(sig, &sa, NULL) == 0);
}

// The state letter of /proc/PID/task/TID/stat ('S' asleep, 'R' running, 'T' stopped, 'Z' zombie), 0
// if gone.
UNUSED static char task_state(pid_t pid, pid_t tid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    char *after_name = strrchr(text, ')');
    return after_name ? after_name[2] : 0;
}

// Writes TEXT to a new file PATH with MODE.
UNUSED static void write_file(const char *path, const char *text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    REQUIRE(fd != -1);
    REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    fchmod(fd, mode);
    close(fd);
}

UNUSED static int check_remove(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

// Runs T in its own process and scratch directory. Returns 0 passed, 1 failed, 2 skipped.
static int check_run(struct test *t, bool fork_it) {
    char dir[PATH_MAX];
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/guest-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) {
        perror(dir);
        return 1;
    }
    if (check_verbose)
        dprintf(2, "test %s\n", t->name);
    int failures = atomic_load(&check_shared->failures), status = -1;
    pid_t pid = fork_it ? fork() : 0;
    if (pid == 0) {
        if (fork_it)
            setpgid(0, 0);
        if (chdir(dir) == -1)
            _exit(1);
        t->run();
        fflush(NULL);
        if (fork_it)
            _exit(0);
        status = 0;
    } else {
        // Only wait4, nanosleep and the clock: the harness must not depend on what is being tested.
        int64_t until = now_ns() + TEST_TIMEOUT_S * 1000000000LL;
        long pause_us = 100;
        setpgid(pid, pid);
        while (waitpid(pid, &status, WNOHANG) == 0) {
            if (now_ns() > until) {
                dprintf(2, "%s: no end after %d s\n", t->name, TEST_TIMEOUT_S);
                kill(-pid, SIGKILL);
                kill(pid, SIGKILL);
                waitpid(pid, &status, 0);
                break;
            }
            usleep(pause_us);
            if (pause_us < 4000)
                pause_us *= 2;
        }
        kill(-pid, SIGKILL);
    }
    nftw(dir, check_remove, 16, FTW_DEPTH | FTW_PHYS);
    bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED_STATUS;
    if (atomic_load(&check_shared->failures) != failures || (status != 0 && !skipped)) {
        dprintf(2, "FAILED %s (status %#x)\n", t->name, status);
        return 1;
    }
    return skipped ? 2 : 0;
}

int main(int argc, char **argv) {
    check_shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (check_shared == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    if (argc > 1 && strncmp(argv[1], "helper:", 7) == 0 && helper) {
        int status = helper(argc, argv);
        return atomic_load(&check_shared->failures) ? 1 : status;
    }
    bool fork_it = true;
    int first = 1, counts[3] = {0, 0, 0};
    for (; first < argc && argv[first][0] == '-'; first++) {
        check_verbose = true;
        if (argv[first][1] == 'n')
            fork_it = false;
    }
#ifdef STRESS_ROUNDS
    if (first < argc)
        rounds = atol(argv[first++]);
#endif
    for (struct test *t = check_tests; t; t = t->next)
        if (first >= argc || strstr(t->name, argv[first]))
            counts[check_run(t, fork_it)]++;
#ifdef STRESS_ROUNDS
    printf("%ld rounds, %d failures\n", rounds * counts[0] + rounds * counts[1], counts[1]);
#endif
    printf("%d passed, %d failed, %d skipped, %d checks\n", counts[0], counts[1], counts[2],
           atomic_load(&check_shared->checks));
    return counts[1] != 0 || counts[0] + counts[2] == 0;
}
