/*
 * trace.h - what the Linux layer tells --trace. Called only when options.trace_fd >= 0; done by
 * src/debug/trace.c.
 */
#ifndef ELFUSE_LINUX_TRACE_H
#define ELFUSE_LINUX_TRACE_H

#include "engine/engine.h"
#include "linux/thread.h"

static inline bool trace_on(void) {
    return UNLIKELY(options.trace_fd >= 0);
}

/* A call begins: shows those that do not return, and those that may wait for long. */
void trace_syscall_enter(struct thread *t, uint32_t nr, const uint64_t a[6]);
/* A call ended with result (or -errno, or -ERESTART_ENGINE). */
void trace_syscall_exit(struct thread *t, uint32_t nr, const uint64_t a[6], int64_t result);
/* A signal is taken to the guest: a handler, or the default action, follows. */
void trace_signal(struct thread *t, const struct guest_siginfo *info);

#endif
