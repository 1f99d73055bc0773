/*
 * hostsig.c - host signals: faults of translated code become guest faults, asynchronous signals are
 * taken to a point where the guest can see them, threads are kicked out of translated code.
 *
 * Asynchronous signals: the handler keeps the siginfo (one; it leaves all signals blocked, so the
 * kernel queues the rest) and sets PENDING_SIGNAL. Then, by where it interrupted the thread:
 *  - translated code at an instruction boundary: the state is complete; the thread leaves at once.
 *  - translated code inside an instruction: it single-steps (EFLAGS.TF) to the next boundary.
 * Nothing polls.
 *  - guest_enter or guest_syscall before the point of no return: it takes their abort path.
 *  - C: the flag is seen before guest code runs again.
 * A signal that the guest does not see at once (a kick, or one of ENGINE_SIGNALS that the guest
 * blocks) interrupts no system call of the guest: SIGTRAP always restarts calls on the host, and a
 * call that ends with EINTR all the same is run again.
 * So a signal is never lost between a check and a blocking call, and delivery needs no work in
 * translated code.
 *
 * Faults: the boundary table tells the guest instruction; the fixed map makes the registers a copy.
 */
#include "engine/hostsig.h"

#include <linux/errno.h>

#include "base/hostcall.h"
#include "engine/cache.h"
#include "engine/space.h"
#include "engine/stubs.h"
#include "engine/thread.h"
#include "translate/fptrap.h"

enum { H_SIGILL = 4, H_SIGTRAP = 5, H_SIGBUS = 7, H_SIGFPE = 8, H_SIGSEGV = 11 };

#define SA_NOCLDSTOP  1u
#define SA_NOCLDWAIT  2u
#define SA_SIGINFO    4u
#define SA_RESTORER   0x04000000u
#define SA_ONSTACK    0x08000000u
#define SA_RESTART    0x10000000u
#define SI_USER       0
#define SI_KERNEL     0x80
#define TRAP_TRACE    2
#define SI_KICK       (-0x656c66) /* si_code of our own kicks: no kernel or libc uses it */
#define EFLAGS_TF     0x100u
#define EFLAGS_DF     0x400u
#define AFTER_SYSCALL ((uint64_t)guest_syscall_insn + 2)

/* The kernel's x86-64 rt_sigframe, from ucontext on (arch/x86 uapi asm/ucontext.h,
 * asm/sigcontext.h). */
struct host_ucontext {
    uint64_t uc_flags, uc_link;
    struct {
        uint64_t ss_sp;
        uint32_t ss_flags, pad;
        uint64_t ss_size;
    } uc_stack;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip,
        eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2;
    void *fpstate;
    uint64_t reserved[8];
    uint64_t uc_sigmask;
};

struct host_sigaction {
    uint64_t handler, flags, restorer, mask;
};

static bool trap_restarts; /* the guest's own SIGTRAP action has SA_RESTART */

static uint64_t *context_reg(struct host_ucontext *uc, unsigned reg) {
    uint64_t *const regs[16] = {&uc->rax, &uc->rcx, &uc->rdx, &uc->rbx, &uc->rsp, &uc->rbp,
                                &uc->rsi, &uc->rdi, &uc->r8,  &uc->r9,  &uc->r10, &uc->r11,
                                &uc->r12, &uc->r13, &uc->r14, &uc->r15};
    return regs[reg];
}

static bool in_range(const void *p, const uint8_t *start, const uint8_t *end) {
    return (const uint8_t *)p >= start && (const uint8_t *)p < end;
}

/* EFLAGS of the given kind, in lahf form (cpu.h). */
static uint16_t nzcv_of_eflags(uint64_t eflags, enum flags_kind kind) {
    unsigned cf = eflags & 1, pf = eflags >> 2 & 1, zf = eflags >> 6 & 1, sf = eflags >> 7 & 1,
             of = eflags >> 11 & 1;
    unsigned n = sf, z = zf, c = cf, v = of;
    if (kind == FLAGS_SUB)
        c = !cf;
    if (kind == FLAGS_FP) {
        n = cf && !pf;
        z = zf && !pf;
        c = !cf || pf;
        v = pf;
    }
    return (uint16_t)(n << 15 | z << 14 | c << 8 | v);
}

/* Puts the guest state at boundary b into t->cpu, and makes the interrupted context return from
 * guest_enter with reason. */
static void leave_at(struct thread *t, struct host_ucontext *uc, const struct region *r,
                     const struct boundary *b, enum exit_reason reason) {
    struct cpu *cpu = &t->cpu;
    const uint8_t *map = boundary_map(r, b);
    for (unsigned i = 0; i < 32; i++)
        if (map[i] != 0xff)
            cpu->x[i] = *context_reg(uc, map[i]);
    cpu->pc = boundary_pc(r, b);
    if (boundary_flags(b) != FLAGS_NONE && !boundary_saved(b))
        cpu->nzcv = nzcv_of_eflags(uc->eflags, boundary_flags(b));
    cpu->shadow_sp = (void *)uc->rsp;
    uc->rax = reason;
    uc->rip = (uint64_t)stub_leave;
    uc->eflags &= ~(uint64_t)(EFLAGS_TF | EFLAGS_DF);
}

/* PENDING_* is set: takes the thread out of translated code as soon as the guest state is complete.
 */
static void leave_soon(struct thread *t, struct host_ucontext *uc) {
    const void *rip = (const void *)uc->rip;
    uc->eflags &= ~(uint64_t)EFLAGS_TF;
    if (in_range(rip, guest_enter_check, guest_enter_end)) {
        uc->rip = (uint64_t)guest_enter_abort;
        return;
    }
    if (in_range(rip, stub_lookup_start, stub_lookup_end) ||
        in_range(rip, helper_return, helper_return_end)) {
        uc->eflags |= EFLAGS_TF;
        return;
    }
    const struct region *r = cache_region_at(rip);
    if (!r)
        return; /* C, or on the way into it */
    bool exact = false;
    const struct boundary *b = cache_boundary(r, rip, &exact);
    /* Instructions folded into the next one's code share its offset: nothing of them has been done.
     */
    while (exact && b > r->boundaries && b[-1].host == b->host)
        b--;
    if (exact)
        leave_at(t, uc, r, b, EXIT_PENDING);
    else
        uc->eflags |= EFLAGS_TF;
}

/* The guest's call ended with EINTR only because of a signal that the guest does not see. */
static void hide_interruption(const struct thread *t, struct host_ucontext *uc) {
    if (uc->rip == AFTER_SYSCALL && (int64_t)uc->rax == -EINTR && !t->async_taken)
        uc->rip = (uint64_t)guest_syscall_interrupted;
}

static bool in_guest_syscall(const struct host_ucontext *uc) {
    return in_range((const void *)uc->rip, guest_syscall_check, guest_syscall_insn + 1);
}

/* One of ENGINE_SIGNALS, which cannot be blocked on the host: signal.c brings it when the guest
 * unblocks it or waits for it. */
static void keep_for_later(struct thread *t, const struct guest_siginfo *info,
                           struct host_ucontext *uc) {
    int sig = info->si_signo;
    ASSERT(1ull << (sig - 1) & ENGINE_SIGNALS);
    t->forced_info[sig] = *info;
    __atomic_fetch_or(&t->forced_pending, 1ull << (sig - 1), __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&t->cpu.pending, PENDING_SIGNAL, __ATOMIC_SEQ_CST);
    hide_interruption(t, uc);
    if (in_guest_syscall(uc)) /* it may be rt_sigtimedwait */
        uc->rip = (uint64_t)guest_syscall_interrupted;
}

static void take_async(struct thread *t, const struct guest_siginfo *info,
                       struct host_ucontext *uc) {
    int sig = info->si_signo;
    uint64_t bit = 1ull << (sig - 1), mask = t->temp_mask_active ? t->temp_mask : t->sigmask;
    if (t->async_taken || ((bit & ENGINE_SIGNALS) && (mask & bit))) {
        keep_for_later(t, info, uc);
        if (t->async_taken)
            leave_soon(t, uc);
        return;
    }
    t->async_info = *info;
    t->async_taken = true;
    __atomic_fetch_or(&t->cpu.pending, PENDING_SIGNAL, __ATOMIC_SEQ_CST);
    uc->uc_sigmask = ~ENGINE_SIGNALS;
    if (!in_guest_syscall(uc)) {
        leave_soon(t, uc);
    } else if (sig == H_SIGTRAP && uc->rcx == AFTER_SYSCALL && !trap_restarts) {
        /* SYSCALL leaves its return address in RCX: the call had begun, and the host put it back
         * for an SA_RESTART that is not the guest's. */
        uc->rax = (uint64_t)-EINTR;
        uc->rip = AFTER_SYSCALL;
    } else {
        uc->rip = (uint64_t)guest_syscall_interrupted;
    }
}

/* ---- faults ---- */

static bool in_copy(struct host_ucontext *uc) {
    const void *rip = (const void *)uc->rip;
    return in_range(rip, copy_start, copy_end) || in_range(rip, clear_start, clear_end) ||
           in_range(rip, load_start, load_end);
}

NORETURN static void report_crash(int sig, const struct guest_siginfo *info,
                                  const struct host_ucontext *uc) {
    guest_addr lo, hi;
    space_range(&lo, &hi);
    fmt_fd(2,
           "elfuse: internal error: signal %d (code %d, address %#lx) in the runtime at %#lx (base "
           "+ %#lx), guest pc %#lx\n",
           sig, info->si_code, (unsigned long)info->addr, (unsigned long)uc->rip,
           (unsigned long)(uc->rip - lo), (unsigned long)current()->cpu.pc);
    hostsig_die(sig);
}

static void guest_fault(struct thread *t, int sig, const struct guest_siginfo *info,
                        struct host_ucontext *uc) {
    const struct region *r = cache_region_at((const void *)uc->rip);
    if (!r)
        report_crash(sig, info, uc);
    if (sig == H_SIGSEGV && uc->rsp - (uint64_t)t->shadow_low < 8 && info->addr == uc->rsp - 8) {
        /* The shadow stack is full: drop it and repeat the call. Returns will go by look-up. */
        uc->rsp = (uint64_t)t->cpu.shadow_top - 8;
        return;
    }
    bool exact;
    const struct boundary *b = cache_boundary(r, (const void *)uc->rip, &exact);
    if (!b)
        report_crash(sig, info, uc);
    if (sig == H_SIGFPE) {
        struct fp_trap trap = {.pc = boundary_pc(r, b),
                               .host_pc = uc->rip,
                               .fpstate = uc->fpstate,
                               .eflags = &uc->eflags,
                               .cpu = &t->cpu};
        for (unsigned i = 0; i < 16; i++)
            trap.reg[i] = context_reg(uc, i);
        if (fp_trap_handle(&trap)) {
            uc->rip = trap.host_pc;
            if (trap.often) { /* out at the next instruction, to have this one translated anew */
                t->fp_site = trap.pc;
                __atomic_fetch_or(&t->cpu.pending, PENDING_FP_SITE, __ATOMIC_SEQ_CST);
                uc->eflags |= EFLAGS_TF;
            }
            return;
        }
    }
    t->fault_info = *info;
    t->fault_error = uc->err;
    t->fault_rax = uc->rax; /* where a tag-masking access keeps its address */
    leave_at(t, uc, r, b, EXIT_FAULT);
}

static void take_fault(struct thread *t, int sig, const struct guest_siginfo *info,
                       struct host_ucontext *uc) {
    if (sig == H_SIGTRAP && info->si_code == TRAP_TRACE) {
        uc->eflags &= ~(uint64_t)EFLAGS_TF;
        if (t->cpu.pending)
            leave_soon(t, uc);
        return;
    }
    if (in_copy(uc)) {
        uc->rip = (uint64_t)copy_fault;
        return;
    }
    guest_fault(t, sig, info, uc);
}

/* Sent by somebody (kill, sigqueue, timer), not raised by an instruction. */
static bool is_asynchronous(int sig, const struct guest_siginfo *info) {
    if (!(1ull << (sig - 1) & ENGINE_SIGNALS))
        return true;
    return info->si_code <= SI_USER;
}

/*
 * A kick whose sender found the user's signal queue full (RLIMIT_SIGPENDING) arrives without its
 * siginfo; the kernel then says SI_USER from process 0. `kicked` stays set, for another kick may be
 * on its way. (A SIGTRAP from outside this pid namespace looks like that, too.)
 */
static bool is_kick(const struct thread *t, const struct guest_siginfo *info) {
    return info->si_code == SI_KICK || (info->si_code == SI_USER && info->kill.pid == 0 &&
                                        __atomic_load_n(&t->kicked, __ATOMIC_SEQ_CST));
}

static void host_handler(int sig, struct guest_siginfo *info, struct host_ucontext *uc) {
    struct thread *t = current();
    if (sig == H_SIGTRAP && is_kick(t, info)) {
        hide_interruption(t, uc);
        if (t->cpu.pending)
            leave_soon(t, uc);
    } else if (is_asynchronous(sig, info)) {
        take_async(t, info, uc);
    } else {
        take_fault(t, sig, info, uc);
    }
}

/* ---- set-up ---- */

int64_t hostsig_set_action(int sig, uint64_t handler, uint64_t flags) {
    struct host_sigaction sa = {handler, flags & (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_RESTART), 0,
                                ~0ull};
    if (handler > 1 || ((1ull << (sig - 1)) & ENGINE_SIGNALS)) {
        sa.handler = (uint64_t)host_handler;
        sa.flags |= SA_SIGINFO | SA_ONSTACK;
    }
    if (sig == H_SIGTRAP) {
        trap_restarts = flags & SA_RESTART;
        sa.flags |= SA_RESTART;
    }
    sa.flags |= SA_RESTORER;
    sa.restorer = (uint64_t)host_sigreturn;
    return hostcall(__NR_rt_sigaction, sig, &sa, 0, 8);
}

int64_t hostsig_kick(struct thread *t) {
    struct guest_siginfo info = {.si_signo = H_SIGTRAP, .si_code = SI_KICK};
    if (!t->tid) /* not started yet: not in guest code */
        return 0;
    __atomic_store_n(&t->kicked, true, __ATOMIC_SEQ_CST);
    return hostcall(__NR_rt_tgsigqueueinfo, t->pid, t->tid, H_SIGTRAP, &info);
}

void hostsig_thread_init(struct thread *t) {
    struct guest_stack_t stack = {(guest_addr)t->signal_stack, 0, 0, SIGNAL_STACK_BYTES};
    hostcall(__NR_sigaltstack, &stack, 0);
}

void hostsig_init(void) {
    for (int sig = 1; sig <= 64; sig++)
        if (1ull << (sig - 1) & ENGINE_SIGNALS)
            hostsig_set_action(sig, 0, 0);
    uint64_t engine = ENGINE_SIGNALS;
    hostcall(__NR_rt_sigprocmask, 1 /* SIG_UNBLOCK */, &engine, 0, 8);
}

NORETURN void hostsig_die(int sig) {
    struct host_sigaction sa = {0, SA_RESTORER, (uint64_t)host_sigreturn, 0};
    hostcall(__NR_rt_sigaction, sig, &sa, 0, 8);
    uint64_t only = ~(1ull << (sig - 1));
    hostcall(__NR_rt_sigprocmask, 2, &only, 0, 8);
    hostcall(__NR_tgkill, hostcall(__NR_getpid), hostcall(__NR_gettid), sig);
    for (;;)
        hostcall(__NR_exit_group, 128 + sig);
}
