/*
 * thread.h - a guest thread.
 *
 * Each thread has one area in the runtime's range: shadow stack, C stack, signal stack and this
 * structure, with guard pages. The FS base points at it (fs:0 is `self`), so `current()` is one
 * load, in signal handlers as well.
 */
#ifndef ELFUSE_ENGINE_THREAD_H
#define ELFUSE_ENGINE_THREAD_H

#include "base/base.h"
#include "engine/cpu.h"

/* siginfo_t: the same 128 bytes on arm64 and x86-64. */
struct guest_siginfo {
    int32_t si_signo, si_errno, si_code, pad;
    union {
        uint64_t words[14];
        uint64_t addr; /* SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP */
        struct {
            int32_t pid;
            uint32_t uid;
            uint64_t value;
        } kill;
    };
};

struct guest_stack_t {
    guest_addr ss_sp;
    int32_t ss_flags, pad;
    uint64_t ss_size;
};

struct thread {
    struct thread *self; /* at fs:0 */
    struct cpu cpu;
    struct thread *next, *prev; /* all threads of this address space, under threads_lock */
    int32_t pid, tid;           /* host ids of the task that runs on it */
    bool cleared_handlers; /* made with CLONE_CLEAR_SIGHAND: its first act is to put the engine's
                              back */
    bool freed_by_parent;  /* a vfork child: its parent takes the area back */
    bool kicked;           /* was kicked before (engine/hostsig.c) */
    bool own_process;      /* not a thread of the process that made it */
    bool tells_end;        /* the kernel clears `alive` when it leaves this memory */
    uint32_t alive;        /* with tells_end, 0: it has left, by its end or by execve */
    uint32_t area_state;   /* AREA_FREE, AREA_USED: written last by the exiting task */

    /* ---- signals (linux/signal.c, engine/hostsig.c) ---- */
    uint64_t sigmask;   /* the guest's blocked mask: bit n-1 = signal n */
    uint64_t temp_mask; /* mask of the rt_sigsuspend/ppoll/pselect/epoll_pwait being executed */
    bool temp_mask_active;
    struct guest_stack_t altstack; /* the guest's sigaltstack */
    struct guest_siginfo
        async_info;   /* the one asynchronous signal taken by the host handler, undelivered */
    bool async_taken; /* async_info is valid; the host blocks all signals until it is delivered */
    uint64_t forced_pending;         /* sent SIGSEGV/BUS/ILL/FPE/TRAP that the guest blocks */
    uint64_t fault_tag;              /* bits 63..56 of the address the faulting access used */
    uint64_t fault_rax, fault_error; /* the host's RAX and page-fault error code at the fault */
    guest_addr fp_site;              /* PENDING_FP_SITE: the instruction */
    struct sighand *sighand;         /* linux/signal.h */
    struct guest_siginfo forced_info[32]; /* of forced_pending's signals */
    struct guest_siginfo fault_info;      /* the synchronous signal of EXIT_FAULT */

    /* ---- system calls ---- */
    uint64_t syscall_nr; /* being executed */
    uint64_t syscall_x0; /* X0 at entry, for restarts */
    uint64_t trace_start_ns;
    void *exec_scratch; /* argv of an execve under way (linux/exec.c) */
    uint64_t exec_scratch_bytes;
    /* ---- its area (engine/space.c) ---- */
    void *c_stack_top, *shadow_low, *signal_stack, *area;
    uint64_t area_bytes;
    struct thread *area_next;
};

static inline struct thread *current(void) {
    struct thread *t;
    __asm__("movq %%fs:0, %0" : "=r"(t));
    return t;
}

/*
 * What the engine asks of the layers above it, set once at start-up. Each may change t->cpu as it
 * likes.
 */
struct engine_hooks {
    void (*system_call)(struct thread *t);     /* the SVC before cpu.pc */
    void (*deliver_pending)(struct thread *t); /* PENDING_SIGNAL: takes async_info to the guest, or
                                                  its default action */
    void (*deliver_fault)(struct thread *t);   /* takes fault_info to the guest, or dies of it */
    bool (*in_vdso)(guest_addr pc);            /* is HLT at pc a call of the runtime? */
    void (*vdso_call)(struct cpu *cpu, uint64_t immediate);
};
extern struct engine_hooks engine_hooks;

/* Raises a synchronous signal the engine found itself (SIGILL, SIGTRAP, SIGSEGV, SIGBUS) at the
 * guest's present pc. */
void engine_raise(struct thread *t, int sig, int code, guest_addr addr);

#endif
