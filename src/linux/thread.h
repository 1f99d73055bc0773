/*
 * thread.h - what system-call handlers are given: the thread (engine/thread.h) and how they call
 * the host.
 */
#ifndef ELFUSE_LINUX_THREAD_H
#define ELFUSE_LINUX_THREAD_H

#include "engine/thread.h"
#include "linux/abi.h"

/* Internal result of a handler: the call did not start because a signal is waiting; deliver it,
 * then run the SVC again. */
#define ERESTART_ENGINE 512
#define SVC_BYTES       4

/*
 * A system-call handler: a[0..5] are X0..X5. Returns the result or -errno, or -ERESTART_ENGINE as
 * guest_syscall gave it (then it must have had no effect).
 */
typedef int64_t syscall_fn(struct thread *t, const uint64_t *a);
#define SYSCALL(name) int64_t sys_##name(struct thread *t, const uint64_t *a)

/*
 * The guest's own system call on the host, interruptible exactly as Linux's: no signal is lost
 * between the check and the call. Returns the kernel's value, or -ERESTART_ENGINE when a signal
 * came first or the kernel would restart the call (SA_RESTART). Use it for every call that may
 * block; plain hostcall() otherwise.
 */
int64_t guest_syscall(struct thread *t, long host_nr, uint64_t a0, uint64_t a1, uint64_t a2,
                      uint64_t a3, uint64_t a4, uint64_t a5);

/* linux/dispatch.c: executes the SVC of t (X8 = number) and sets X0 or arranges the restart. */
void syscall_dispatch(struct thread *t);

/* linux/signal.c */
void signal_init(void);
/* Takes async_info to the guest: frame, or default action. */
void signal_deliver_pending(struct thread *t);
/* Takes fault_info to the guest, or dies of it. */
void signal_deliver_fault(struct thread *t);
/* Fills fault_info for a synchronous fault found by the engine itself (SIGILL, SIGTRAP, SIGSEGV)
 * and delivers it. */
void signal_raise(struct thread *t, int sig, int code, guest_addr addr);

#endif
