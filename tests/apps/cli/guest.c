/*
 * guest.c - the guest of the command-line tests: each verb does one thing that can be seen from outside.
 * Built for AArch64, static and dynamic, and for x86-64.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

extern char **environ;

#ifdef __aarch64__
#define MACHINE "aarch64"
#else
#define MACHINE "x86_64"
#endif

static int execute(char **argv)
{
    execve(argv[0], argv, environ);
    printf("execve: %s\n", strerror(errno));
    return errno;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (!strcmp(verb, "exit"))
        return atoi(argv[2]);
    if (!strcmp(verb, "raise")) {
        /* No core files in the working directory. */
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        raise(atoi(argv[2]));
        return 0;
    }
    if (!strcmp(verb, "arguments")) {
        for (int i = 0; i < argc; i++)
            printf("[%s]", argv[i]);
        puts("");
        return 0;
    }
    if (!strcmp(verb, "environment")) {
        for (char **e = environ; *e; e++)
            puts(*e);
        return 0;
    }
    if (!strcmp(verb, "machine")) {
        puts(MACHINE);
        return 0;
    }
    if (!strcmp(verb, "exe")) {
        char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
        if (n < 0)
            return 1;
        path[n] = 0;
        puts(path);
        return 0;
    }
    if (!strcmp(verb, "copy")) {
        int c;
        while ((c = getchar()) != EOF)
            putchar(c);
        return 0;
    }
    if (!strcmp(verb, "exec"))
        return execute(argv + 2);
    if (!strcmp(verb, "undefined")) {
#ifdef __aarch64__
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        __asm__ volatile(".inst 0x00000000"); /* UDF #0 */
#endif
        return 0;
    }
    fprintf(stderr, "unknown verb %s\n", verb);
    return 99;
}
