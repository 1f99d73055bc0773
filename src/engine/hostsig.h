/* hostsig.h - host signal handling: see hostsig.c. */
#ifndef ELFUSE_ENGINE_HOSTSIG_H
#define ELFUSE_ENGINE_HOSTSIG_H

#include "base/base.h"

struct thread;

/* Signals the host never blocks: the engine needs them for faults and kicks. Bit n-1 = signal n. */
#define ENGINE_SIGNALS                                        \
    ((1ull << 10) | (1ull << 6) | (1ull << 3) | (1ull << 7) | \
     (1ull << 4)) /* SEGV BUS ILL FPE TRAP */

/* Installs the fault handlers, and this thread's signal stack. */
void hostsig_init(void);
void hostsig_thread_init(struct thread *t);
/*
 * Sets the host's action for sig: handled by us (then restart tells whether the guest wants
 * SA_RESTART, flags may also hold SA_NOCLDSTOP and SA_NOCLDWAIT), or the default or ignoring one
 * (handler 0 or 1). For ENGINE_SIGNALS always handled.
 */
int64_t hostsig_set_action(int sig, uint64_t handler, uint64_t flags);
/* Makes t leave translated code soon. Returns -ESRCH when its task is gone, or another error. */
int64_t hostsig_kick(struct thread *t);
/* Dies of sig with the default action (core dump included if its action has one). */
NORETURN void hostsig_die(int sig);

#endif
