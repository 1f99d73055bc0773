/*
 * exec.h - how execve hands this process's options to the runtime it executes.
 */
#ifndef ELFUSE_LINUX_EXEC_H
#define ELFUSE_LINUX_EXEC_H

#include "base/base.h"

#define EXEC_FORWARD_MAX 20

/* Arguments for the runtime, to be followed by the program's argv[1] on; text holds those that are
 * made. */
struct exec_forward {
    char *arg[EXEC_FORWARD_MAX];
    char text[9][40];
};

/*
 * Fills f with `elfuse OPTIONS --exec-fd FD --argv0 ARGV0 -- PATH` and returns the number of
 * pointers in arg. Descriptors named in them must be inherited (fd_hidden_inherit). The command
 * line's own module provides it (src/main.c sets it).
 */
typedef int exec_forward_fn(struct exec_forward *f, int exec_fd, uint64_t sigmask,
                            const char *argv0, const char *path);
extern exec_forward_fn *exec_forward_options;

#endif
