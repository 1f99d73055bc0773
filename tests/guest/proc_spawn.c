// posix_spawn: its errors come back to the caller, its attributes and file actions take effect.
//
// (Not run under qemu-user: its vfork is a fork, so errors are lost, and it cannot exec its own
// kind.)
#include "check.h"
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>

extern char **environ;

int helper(int argc, char **argv) {
    if (!strcmp(argv[1], "helper:exit"))
        return argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(argv[1], "helper:out")) {
        printf("out %s", argv[2]);
        fflush(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "helper:state")) {
        sigset_t mask;
        struct sigaction sa;
        sigprocmask(SIG_BLOCK, NULL, &mask);
        sigaction(SIGUSR1, NULL, &sa);
        printf("%d %d %d %d", getpgrp() == getpid(), getsid(0) == getpid(),
               sigismember(&mask, SIGUSR2), sa.sa_handler == SIG_DFL);
        fflush(stdout);
        return 0;
    }
    return 99;
}

static char self[] = "/proc/self/exe";

TEST(errors_come_back) {
    pid_t pid = -7;
    char *argv[] = {"p", NULL};
    setenv("PATH", "/usr/bin:/bin", 1);
    CHECK_EQ(posix_spawn(&pid, "/no/such/file", NULL, NULL, argv, environ), ENOENT);
    CHECK_EQ(posix_spawnp(&pid, "no-such-command", NULL, NULL, argv, environ), ENOENT);
    write_file("noexec", "#!/bin/sh\n", 0600);
    CHECK_EQ(posix_spawn(&pid, "./noexec", NULL, NULL, argv, environ), EACCES);
    write_file("text", "text", 0700);
    CHECK_EQ(posix_spawn(&pid, "./text", NULL, NULL, argv, environ), ENOEXEC);
    CHECK_ERRNO(waitpid(-1, NULL, 0), ECHILD); // the failed child has been reaped
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 5, "/no/such/file", O_RDONLY, 0);
    CHECK_EQ(posix_spawn(&pid, self, &actions, NULL, argv, environ), ENOENT);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, 777, 5);
    CHECK_EQ(posix_spawn(&pid, self, &actions, NULL, argv, environ), EBADF);
}

TEST(a_spawned_program_runs) {
    char *argv[] = {"p", "helper:exit", "23", NULL};
    for (int i = 0; i < 50; i++) {
        pid_t pid = -1;
        CHECK_EQ(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
        CHECK_EXITS(pid, 23);
    }
}

static char output[256];
static void collect(int fd) {
    ssize_t n, total = 0;
    while ((n = read(fd, output + total, sizeof output - 1 - total)) > 0)
        total += n;
    output[total] = 0;
    close(fd);
}

TEST(file_actions) {
    int p[2];
    pid_t pid;
    REQUIRE(pipe2(p, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, p[1], 1);
    posix_spawn_file_actions_addclose(&actions, 0);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    char *argv[] = {"p", "helper:out", "spawned", NULL};
    CHECK_EQ(posix_spawn(&pid, self, &actions, NULL, argv, environ), 0);
    close(p[1]);
    collect(p[0]);
    CHECK_STR(output, "out spawned");
    CHECK_EXITS(pid, 0);
}

static void handler(int sig) {
    (void)sig;
}

TEST(attributes) {
    int p[2];
    pid_t pid;
    REQUIRE(pipe2(p, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, p[1], 1);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t mask, defaults;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGUSR1);
    posix_spawnattr_setsigmask(&attributes, &mask);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    handle(SIGUSR1, SIG_IGN, 0);
    char *argv[] = {"p", "helper:state", NULL};
    CHECK_EQ(posix_spawn(&pid, self, &actions, &attributes, argv, environ), 0);
    close(p[1]);
    collect(p[0]);
    CHECK_STR(output, "1 0 1 1");
    CHECK_EXITS(pid, 0);
    handle(SIGUSR1, handler, 0);
    // The caller's own mask and handlers are as before.
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(!sigismember(&now, SIGUSR2));
    struct sigaction sa;
    sigaction(SIGUSR1, NULL, &sa);
    CHECK(sa.sa_handler == handler);
    REQUIRE(pipe2(p, O_CLOEXEC) == 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, p[1], 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    CHECK_EQ(posix_spawn(&pid, self, &actions, &attributes, argv, environ), 0);
    close(p[1]);
    collect(p[0]);
    CHECK_STR(output, "1 1 0 1");
    CHECK_EXITS(pid, 0);
}
