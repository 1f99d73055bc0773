/*
 * start.c - what the kernel left on the initial stack: argc, argv, envp, auxv, each ended by a null
 * word.
 */
#include "loader/loader.h"

void host_start_read(struct host_start *s, uint64_t *initial_stack) {
    s->stack = (guest_addr)initial_stack;
    s->argc = (int)initial_stack[0];
    s->argv = (char **)(initial_stack + 1);
    s->envp = s->argv + s->argc + 1;
    char **end = s->envp;
    while (*end)
        end++;
    s->auxv = (const uint64_t *)(end + 1);
}

uint64_t host_auxv(const struct host_start *s, uint64_t type, uint64_t fallback) {
    for (const uint64_t *entry = s->auxv; entry[0]; entry += 2)
        if (entry[0] == type)
            return entry[1];
    return fallback;
}
