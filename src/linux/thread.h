/*
 * thread.h - a guest thread, and what system-call handlers are given.
 *
 * Each thread has one area in the runtime's range: shadow stack, C stack, signal stack and this structure, with guard
 * pages. The FS base points at it (fs:0 is `self`), so `current()` is one load, in signal handlers as well.
 */
#ifndef ELFUSE_LINUX_THREAD_H
#define ELFUSE_LINUX_THREAD_H

#include "base/base.h"
#include "engine/cpu.h"
#include "linux/abi.h"

struct thread {
    struct thread *self; /* at fs:0 */
    struct cpu cpu;
    struct thread *next, *prev; /* all threads of this address space, under threads_lock */
    int32_t pid, tid;           /* host ids of the task that runs on it */
    uint32_t area_state;        /* AREA_FREE, AREA_USED: written last by the exiting task */

    /* ---- signals (linux/signal.c, engine/hostsig.c) ---- */
    uint64_t sigmask;           /* the guest's blocked mask: bit n-1 = signal n */
    uint64_t temp_mask;         /* mask of the rt_sigsuspend/ppoll/pselect/epoll_pwait being executed */
    bool temp_mask_active;
    struct guest_stack_t altstack; /* the guest's sigaltstack */
    struct guest_siginfo async_info; /* the one asynchronous signal taken by the host handler, undelivered */
    bool async_taken;               /* async_info is valid; the host blocks all signals until it is delivered */
    struct guest_siginfo fault_info; /* the synchronous signal of EXIT_FAULT */
    uint64_t forced_pending;        /* kill()-sent SIGSEGV/BUS/ILL/FPE/TRAP that the guest blocks */

    /* ---- system calls ---- */
    uint64_t syscall_nr;   /* being executed */
    uint64_t syscall_x0;   /* X0 at entry, for restarts */
    uint64_t trace_start_ns;
    void *c_stack_top, *shadow_low, *area;
    uint64_t area_bytes;
};

static inline struct thread *current(void) {
    struct thread *t;
    __asm__("movq %%fs:0, %0" : "=r"(t));
    return t;
}

/* Internal result of a handler: the call did not start because a signal is waiting; deliver it, then run the SVC again. */
#define ERESTART_ENGINE 512

/*
 * A system-call handler: a[0..5] are X0..X5. Returns the result or -errno, or -ERESTART_ENGINE as guest_syscall gave it
 * (then it must have had no effect).
 */
typedef int64_t syscall_fn(struct thread *t, const uint64_t *a);
#define SYSCALL(name) int64_t sys_##name(struct thread *t, const uint64_t *a)

/*
 * The guest's own system call on the host, interruptible exactly as Linux's: no signal is lost between the check and the
 * call. Returns the kernel's value, or -ERESTART_ENGINE when a signal came first or the kernel would restart the call (SA_RESTART).
 * Use it for every call that may block; plain hostcall() otherwise.
 */
int64_t guest_syscall(struct thread *t, long host_nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                      uint64_t a5);

/* linux/dispatch.c: executes the SVC of t (X8 = number) and sets X0 or arranges the restart. */
void syscall_dispatch(struct thread *t);

/* linux/signal.c */
void signal_init(void);
void signal_deliver_pending(struct thread *t); /* takes async_info to the guest: frame, or default action */
void signal_deliver_fault(struct thread *t);   /* takes fault_info to the guest, or dies of it */
/* Fills fault_info for a synchronous fault found by the engine itself (SIGILL, SIGTRAP, SIGSEGV) and delivers it. */
void signal_raise(struct thread *t, int sig, int code, guest_addr addr);

#endif
