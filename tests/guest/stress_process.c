// Thousands of fork, vfork, exec and wait, in every mixture, with data through pipes and signals
// between parent and child. Argument: the rounds of each test.
#define STRESS_ROUNDS 2000
#include "check.h"
#include <spawn.h>

extern char **environ;

int helper(int argc, char **argv) {
    // Prints its argument back and leaves with the number in it.
    if (argc > 2)
        dprintf(1, "<%s>", argv[2]);
    return argc > 2 ? atoi(argv[2]) & 0x7f : 0;
}

TEST(fork_and_wait) {
    for (long i = 0; i < rounds; i++) {
        pid_t pid = CHILD(_exit(i & 0x7f));
        REQUIRE(pid > 0);
        REQUIRE(CHECK_EXITS(pid, (i & 0x7f)));
    }
}

TEST(fork_touching_memory) {
    enum { PAGES = 64 };
    char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (long i = 0; i < rounds; i++) {
        p[(i % PAGES) * 4096] = i;
        pid_t pid = CHILD({
            char seen = p[(i % PAGES) * 4096];
            for (int k = 0; k < PAGES; k++)
                p[k * 4096] = ~(char)i;
            char *q = malloc(20000);
            memset(q, 1, 20000);
            free(q);
            _exit(seen == (char)i ? 0 : 1);
        });
        REQUIRE(CHECK_EXITS(pid, 0));
        REQUIRE(p[(i % PAGES) * 4096] == (char)i);
    }
}

TEST(vfork_and_exec) {
    char text[16], back[32];
    for (volatile long i = 0; i < rounds; i++) {
        int p[2];
        REQUIRE(pipe2(p, O_CLOEXEC) == 0);
        snprintf(text, sizeof text, "%ld", i);
        char *argv[] = {"p", "helper:", text, NULL};
        pid_t pid = i & 1 ? vfork() : fork();
        if (pid == 0) {
            dup2(p[1], 1);
            execve("/proc/self/exe", argv, environ);
            _exit(127);
        }
        close(p[1]);
        ssize_t n = read(p[0], back, sizeof back - 1);
        REQUIRE(n > 0);
        back[n] = 0;
        close(p[0]);
        snprintf(text, sizeof text, "<%ld>", i);
        REQUIRE(CHECK_STR(back, text));
        REQUIRE(CHECK_EXITS(pid, (i & 0x7f)));
    }
}

TEST(spawn) {
    char text[16];
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, null, 1);
    for (long i = 0; i < rounds; i++) {
        snprintf(text, sizeof text, "%ld", i);
        char *argv[] = {"p", "helper:", text, NULL};
        pid_t pid;
        if (i % 8 == 0)
            REQUIRE(posix_spawn(&pid, "/absent", &actions, NULL, argv, environ) == ENOENT);
        REQUIRE(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ) == 0);
        REQUIRE(CHECK_EXITS(pid, (i & 0x7f)));
    }
}

TEST(many_children_alive) {
    enum { N = 20 };
    for (long i = 0; i < rounds; i += N) {
        pid_t pids[N];
        int gate[2], status;
        char c;
        REQUIRE(pipe(gate) == 0);
        for (int k = 0; k < N; k++)
            pids[k] = CHILD(close(gate[1]); _exit(read(gate[0], &c, 1) == 0 ? k : 99));
        close(gate[0]);
        close(gate[1]);
        int sum = 0;
        for (int k = 0; k < N; k++) {
            REQUIRE(wait(&status) > 0);
            sum += WEXITSTATUS(status);
        }
        REQUIRE(CHECK_EQ(sum, N * (N - 1) / 2));
        (void)pids;
    }
}

static volatile sig_atomic_t children;
static void on_child(int sig) {
    int saved = errno, status;
    (void)sig;
    while (waitpid(-1, &status, WNOHANG) > 0)
        children += status == 0 ? 1 : 1000000;
    errno = saved;
}

TEST(sigchld_handler_reaps_all) {
    sigset_t chld, none;
    sigemptyset(&none);
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    handle(SIGCHLD, on_child, 0);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    for (long i = 0; i < rounds; i++) {
        if (i % 4 != 3)
            (void)CHILD(_exit(0));
        else
            (void)CHILD(sigprocmask(SIG_SETMASK, &none, NULL); sched_yield());
        while (i - children > 10)
            sigsuspend(&none);
    }
    while (children < rounds)
        sigsuspend(&none);
    CHECK_EQ(children, rounds);
}

TEST(killing_children_at_any_moment) {
    for (long i = 0; i < rounds; i++) {
        pid_t pid = CHILD(for (volatile unsigned k = 0;; k++) if (k % 64 == 0) getppid());
        for (volatile long k = 0; k < (i * 7919) % 20000; k++)
            ;
        kill(pid, i & 1 ? SIGKILL : SIGTERM);
        REQUIRE(CHECK_KILLED(pid, i & 1 ? SIGKILL : SIGTERM));
    }
}
