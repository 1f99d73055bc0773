/* signal.h - guest signal state shared by signal.c, sigframe.c and process.c. */
#ifndef ELFUSE_LINUX_SIGNAL_H
#define ELFUSE_LINUX_SIGNAL_H

#include "linux/thread.h"

enum {
    G_SIGILL = 4,
    G_SIGTRAP = 5,
    G_SIGBUS = 7,
    G_SIGFPE = 8,
    G_SIGKILL = 9,
    G_SIGSEGV = 11,
    G_SIGCHLD = 17,
    G_SIGCONT = 18,
    G_SIGSTOP = 19,
    G_SIGURG = 23,
    G_SIGWINCH = 28,
    G_SIGRTMIN = 32,
    G_NSIG = 64,
};

#define G_SA_SIGINFO        4u
#define G_SA_EXPOSE_TAGBITS 0x800u
#define G_SA_RESTORER       0x04000000u
#define G_SA_ONSTACK        0x08000000u
#define G_SA_RESTART        0x10000000u
#define G_SA_NODEFER        0x40000000u
#define G_SA_RESETHAND      0x80000000u
#define G_SIG_DFL           0
#define G_SIG_IGN           1

#define SIG_BIT(sig)    (1ull << ((sig)-1))
#define SIG_UNBLOCKABLE (SIG_BIT(G_SIGKILL) | SIG_BIT(G_SIGSTOP))

/* The actions of the tasks that share them (CLONE_SIGHAND). */
struct sighand {
    struct lock lock;
    uint32_t users;
    struct guest_sigaction action[G_NSIG + 1];
};

/* A copy for a task that does not share; NULL: no memory. */
struct sighand *sighand_copy(struct sighand *from);
struct sighand *sighand_share(struct sighand *h);
void sighand_release(struct sighand *h);
/* CLONE_CLEAR_SIGHAND: what is handled becomes default, what is ignored stays so. The host has done
 * the same. */
void sighand_clear(struct sighand *h);

/* Makes the thread's blocked mask `mask` here and on the host. */
void signal_set_mask(struct thread *t, uint64_t mask);
/* The same, unless a signal was taken that must be delivered under the present mask: 0, or
 * -ERESTART_ENGINE. */
int64_t signal_try_mask(struct thread *t, uint64_t mask);
/* Takes a sent synchronous signal the guest blocked until now, if `mask` lets one through. */
bool signal_take_forced(struct thread *t, uint64_t mask);
/* Sets the host's mask alone (to block what is in it), unless a signal was taken already: 0, or
 * -ERESTART_ENGINE. Ends with signal_set_mask. */
int64_t signal_block_host(struct thread *t, uint64_t host_mask);
/*
 * Before execve replaces the runtime: the ignored signals a new program inherits are ignored on the
 * host too, and with `mask` the guest's mask is the host's. signal_exec_failed undoes it.
 */
void signal_exec_prepare(struct thread *t, bool mask);
void signal_exec_failed(struct thread *t);

/* sigaltstack(2) for a stack pointer of sp: the flags it reports; setting it: 0, -EPERM, -EINVAL,
 * -ENOMEM. */
int32_t altstack_flags(const struct thread *t, guest_addr sp);
int64_t altstack_set(struct thread *t, const struct guest_stack_t *s, guest_addr sp);

/* ---- exec.c: what an execve that replaced a vfork child left in this address space ---- */
void exec_scratch_free(struct thread *t);

/* ---- sigframe.c ---- */
/*
 * Pushes arm64's rt_sigframe for the action and points the thread at the handler. saved_mask goes
 * into the frame. Returns 0, or -EFAULT when the stack cannot be written.
 */
int64_t sigframe_push(struct thread *t, const struct guest_sigaction *action,
                      const struct guest_siginfo *info, uint64_t saved_mask);
/* Pops the frame at SP. Returns 0, -EFAULT or -EINVAL for a bad frame, or -ERESTART_ENGINE as
 * signal_try_mask. */
int64_t sigframe_pop(struct thread *t);

#endif
