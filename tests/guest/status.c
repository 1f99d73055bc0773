// What the parent of the whole program sees: output, arguments, exit status, fatal signal.
//
// Not a check.h program: the manifest lists it once per outcome, and the runner asserts that the
// engine's own exit status and fatal signal are the guest's.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc < 2) {
        puts("hello");
        return 0;
    }
    if (strcmp(argv[1], "args") == 0) {
        for (int i = 1; i < argc; i++)
            printf("[%s]", argv[i]);
        puts("");
        return 0;
    }
    if (strcmp(argv[1], "exit") == 0)
        return atoi(argv[2]);
    if (strcmp(argv[1], "_exit") == 0)
        syscall(SYS_exit_group, atoi(argv[2]));
    if (strcmp(argv[1], "exit-thread") == 0)
        syscall(SYS_exit, atoi(argv[2]));
    if (strcmp(argv[1], "raise") == 0)
        kill(getpid(), atoi(argv[2]));
    if (strcmp(argv[1], "abort") == 0)
        abort();
    if (strcmp(argv[1], "null") == 0)
        *(volatile int *)8 = 1;
    if (strcmp(argv[1], "jump") == 0)
        ((void (*)(void))0x10)();
    if (strcmp(argv[1], "undefined") == 0)
        __builtin_trap();
    return 99;
}
