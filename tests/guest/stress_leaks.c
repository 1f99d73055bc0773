// Memory and descriptors after thousands of threads and processes are what they were after a few.
// Argument: the rounds of each test.
#define STRESS_ROUNDS 1000
#include "check.h"
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>

extern char **environ;

int helper(int argc, char **argv) {
    return argc > 2 ? atoi(argv[2]) : 0;
}

struct usage {
    long pages, resident, descriptors, mappings;
};

static struct usage usage(void) {
    struct usage u = {0, 0, 0, 0};
    char line[512];
    FILE *f = fopen("/proc/self/statm", "r");
    REQUIRE(f && fscanf(f, "%ld %ld", &u.pages, &u.resident) == 2);
    fclose(f);
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        u.descriptors++;
    closedir(d);
    f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, f))
        u.mappings++;
    fclose(f);
    return u;
}

// Does `once` as often as it takes until all memory that is kept for reuse exists (an engine may
// fill its tables late), then `rounds` times, and compares.
static void flat(void (*once)(long)) {
    for (long i = 0; i < 50 + rounds; i++)
        once(i);
    usage(); // its own first use maps code and buffers
    struct usage before = usage();
    for (long i = 0; i < rounds; i++)
        once(i);
    struct usage after = usage();
    CHECK_EQ(after.descriptors, before.descriptors);
    // An engine's tables fill as code is translated, 4 MB at most; a thread lost is ten pages.
    if (after.resident - before.resident > 1200 + rounds / 10)
        FAIL("resident: %ld pages, then %ld", before.resident, after.resident);
    if (after.pages - before.pages > 2000)
        FAIL("mapped: %ld pages, then %ld", before.pages, after.pages);
    if (after.mappings - before.mappings > 20)
        FAIL("mappings: %ld, then %ld", before.mappings, after.mappings);
}

static void *nothing(void *arg) {
    return arg;
}

static void one_thread(long i) {
    (void)i;
    pthread_t t;
    REQUIRE(pthread_create(&t, NULL, nothing, NULL) == 0);
    pthread_join(t, NULL);
}

static void some_threads(long i) {
    pthread_t t[8];
    for (int k = 0; k < 8; k++)
        REQUIRE(pthread_create(&t[k], NULL, nothing, NULL) == 0);
    for (int k = 0; k < 8; k++)
        pthread_join(t[(k + i) % 8], NULL);
}

static void one_fork(long i) {
    pid_t pid = CHILD(_exit(i & 63));
    REQUIRE(CHECK_EXITS(pid, (i & 63)));
}

static void *fork_here(void *arg) {
    one_fork((long)arg);
    return NULL;
}

static void fork_in_thread(long i) {
    pthread_t t;
    REQUIRE(pthread_create(&t, NULL, fork_here, (void *)i) == 0);
    pthread_join(t, NULL);
}

static void one_spawn(long i) {
    char number[16];
    snprintf(number, sizeof number, "%ld", i & 63);
    char *argv[] = {"p", "helper:", number, NULL};
    pid_t pid;
    if (i % 5 == 0)
        REQUIRE(posix_spawn(&pid, "/absent", NULL, NULL, argv, environ) == ENOENT);
    REQUIRE(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) == 0);
    REQUIRE(CHECK_EXITS(pid, (i & 63)));
}

static char *argv_exec[] = {"p", "helper:", "9", NULL};
static int in_memory(void *arg) {
    if ((long)arg % 3 == 0)
        syscall(SYS_exit, 9);
    if ((long)arg % 3 == 1)
        execve("/proc/self/exe", argv_exec, environ);
    syscall(SYS_exit_group, 9);
    return 0;
}

// A process in this memory that exits, executes, or is killed.
static void one_clone_vm(long i) {
    static char stack[65536] __attribute__((aligned(16)));
    pid_t pid = clone(in_memory, stack + sizeof stack, CLONE_VM | SIGCHLD, (void *)i);
    REQUIRE(pid > 0);
    REQUIRE(CHECK_EXITS(pid, 9));
    if (i % 4 == 0 && (pid = vfork()) == 0)
        for (;;)
            kill(getpid(), SIGKILL);
    if (i % 4 == 0)
        REQUIRE(CHECK_KILLED(pid, SIGKILL));
}

static void failing_calls(long i) {
    (void)i;
    char *argv[] = {"p", NULL};
    CHECK_ERRNO(execve("/absent", argv, environ), ENOENT);
    CHECK_ERRNO(execve("/proc/self/maps", argv, environ), EACCES);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_VM | CLONE_THREAD, 0, 0, 0, 0), EINVAL);
}

TEST(threads) {
    flat(one_thread);
}
TEST(threads_together) {
    flat(some_threads);
}
TEST(forks) {
    flat(one_fork);
}
TEST(forks_in_threads) {
    flat(fork_in_thread);
}
TEST(spawns) {
    flat(one_spawn);
}
TEST(processes_in_this_memory) {
    flat(one_clone_vm);
}
TEST(failures) {
    flat(failing_calls);
}
