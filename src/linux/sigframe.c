/*
 * sigframe.c - arm64's rt_sigframe (arch/arm64/kernel/signal.c, uapi asm/sigcontext.h), byte for
 * byte:
 *
 *   sp -> siginfo, ucontext { mcontext { fault_address, regs, sp, pc, pstate, __reserved[4096] } }
 *   frame record { fp, lr } above it, to which the handler's x29 points
 *
 * __reserved holds a list of records: fpsimd_context always, esr_context after a memory fault, then
 * a null one.
 */
#include <linux/errno.h>

#include "engine/engine.h"
#include "engine/fpstate.h"
#include "linux/signal.h"
#include "loader/loader.h"

#define FPSIMD_MAGIC  0x46508001u
#define ESR_MAGIC     0x45535201u
#define EXTRA_MAGIC   0x45585401u
#define PSTATE_NZCV   0xf0000000u
#define SS_AUTODISARM (1u << 31)

struct context_head {
    uint32_t magic, size;
};

struct fpsimd_context {
    struct context_head head;
    uint32_t fpsr, fpcr;
    struct {
        uint64_t d[2];
    } vregs[32];
};

struct esr_context {
    struct context_head head;
    uint64_t esr;
};

struct guest_sigcontext {
    uint64_t fault_address, regs[31], sp, pc, pstate, pad;
    uint8_t reserved[4096];
};

struct guest_ucontext {
    uint64_t uc_flags, uc_link;
    struct guest_stack_t uc_stack;
    uint64_t uc_sigmask;
    uint8_t unused[120], pad[8];
    struct guest_sigcontext uc_mcontext;
};

struct guest_rt_sigframe {
    struct guest_siginfo info;
    struct guest_ucontext uc;
};
_Static_assert(offsetof(struct guest_ucontext, uc_mcontext) == 176, "ucontext of arm64");
_Static_assert(offsetof(struct guest_sigcontext, reserved) == 288, "sigcontext of arm64");
_Static_assert(sizeof(struct guest_rt_sigframe) == 4688, "rt_sigframe of arm64");
_Static_assert(sizeof(struct fpsimd_context) == 0x210, "fpsimd_context");

/*
 * ESR_EL1 of a data abort from EL0, for handlers that decode it: write or read from the host's
 * page-fault error code, translation or permission fault at level 3 (Arm ARM D17.2.37).
 */
static uint64_t fault_esr(const struct thread *t, const struct guest_siginfo *info) {
    if (info->si_code <= 0 || (info->si_signo != G_SIGSEGV && info->si_signo != G_SIGBUS))
        return 0;
    uint64_t esr = 0x24ull << 26 | 1ull << 25;
    if (t->fault_error & 2)
        esr |= 1u << 6; /* WnR */
    if (info->si_signo == G_SIGBUS)
        return esr | (info->si_code == 1 ? 0x21 : 0x10); /* alignment; external abort */
    return esr | (info->si_code == 2 ? 0x0f : 0x07);
}

static guest_addr stack_for(const struct thread *t, const struct guest_sigaction *action) {
    guest_addr sp = t->cpu.x[31];
    if ((action->flags & G_SA_ONSTACK) && altstack_flags(t, sp) == 0)
        return t->altstack.ss_sp + t->altstack.ss_size;
    return sp;
}

static void fill_frame(struct guest_rt_sigframe *f, struct thread *t,
                       const struct guest_siginfo *info, uint64_t saved_mask) {
    struct cpu *cpu = &t->cpu;
    uint64_t esr = fault_esr(t, info);
    memset(f, 0,
           offsetof(struct guest_rt_sigframe, uc.uc_mcontext.reserved) +
               sizeof(struct fpsimd_context) + 64);
    f->info = *info;
    f->uc.uc_stack = t->altstack;
    f->uc.uc_stack.ss_flags =
        altstack_flags(t, cpu->x[31]) | (t->altstack.ss_flags & (int32_t)SS_AUTODISARM);
    f->uc.uc_sigmask = saved_mask;
    struct guest_sigcontext *mc = &f->uc.uc_mcontext;
    mc->fault_address = esr ? info->addr : 0;
    memcpy(mc->regs, cpu->x, sizeof(mc->regs));
    mc->sp = cpu->x[31];
    mc->pc = cpu->pc;
    mc->pstate = nzcv_pack(cpu->nzcv);
    vregs_store(cpu);
    struct fpsimd_context *fp = (struct fpsimd_context *)mc->reserved;
    fp->head = (struct context_head){FPSIMD_MAGIC, sizeof(*fp)};
    fp->fpsr = fpsr_read(cpu);
    fp->fpcr = cpu->fpcr;
    memcpy(fp->vregs, cpu->v, sizeof(fp->vregs));
    if (esr) {
        struct esr_context *e = (struct esr_context *)(fp + 1);
        e->head = (struct context_head){ESR_MAGIC, sizeof(*e)};
        e->esr = esr;
    }
}

int64_t sigframe_push(struct thread *t, const struct guest_sigaction *action,
                      const struct guest_siginfo *info, uint64_t saved_mask) {
    struct cpu *cpu = &t->cpu;
    guest_addr sp = stack_for(t, action);
    guest_addr record = ALIGN_DOWN(sp - 16, 16);
    guest_addr frame = record - sizeof(struct guest_rt_sigframe);
    struct guest_rt_sigframe image;
    fill_frame(&image, t, info, saved_mask);
    uint64_t used = offsetof(struct guest_rt_sigframe, uc.uc_mcontext.reserved) +
                    sizeof(struct fpsimd_context) + sizeof(struct esr_context) +
                    sizeof(struct context_head);
    const uint64_t fp_lr[2] = {cpu->x[29], cpu->x[30]};
    if (copy_to_guest(frame, &image, used) || copy_to_guest(record, fp_lr, sizeof(fp_lr)))
        return -EFAULT;
    if ((uint32_t)t->altstack.ss_flags & SS_AUTODISARM)
        t->altstack = (struct guest_stack_t){.ss_flags = 2 /* SS_DISABLE */};
    cpu->x[0] = (uint64_t)info->si_signo;
    if (action->flags & G_SA_SIGINFO) {
        cpu->x[1] = frame + offsetof(struct guest_rt_sigframe, info);
        cpu->x[2] = frame + offsetof(struct guest_rt_sigframe, uc);
    }
    cpu->x[31] = frame;
    cpu->x[29] = record;
    cpu->x[30] = action->flags & G_SA_RESTORER ? action->restorer : vdso_sigreturn;
    cpu->pc = action->handler;
    cpu->exclusive_address = ~0ull; /* an exception return clears the monitor */
    return 0;
}

/* Finds the fpsimd record. Returns false for a list arm64 would refuse. */
static bool find_fpsimd(const struct guest_sigcontext *mc, struct fpsimd_context *fp) {
    bool found = false;
    for (uint64_t at = 0; at + sizeof(struct context_head) <= sizeof(mc->reserved);) {
        struct context_head head;
        memcpy(&head, mc->reserved + at, sizeof(head));
        if (head.magic == 0)
            return head.size == 0 && found;
        if (head.size < sizeof(head) || head.size % 16 || at + head.size > sizeof(mc->reserved))
            return false;
        if (head.magic == FPSIMD_MAGIC) {
            if (found || head.size != sizeof(*fp))
                return false;
            memcpy(fp, mc->reserved + at, sizeof(*fp));
            found = true;
        } else if (head.magic != ESR_MAGIC && head.magic != EXTRA_MAGIC) {
            return false;
        }
        at += head.size;
    }
    return false;
}

int64_t sigframe_pop(struct thread *t) {
    struct cpu *cpu = &t->cpu;
    struct guest_rt_sigframe f;
    struct fpsimd_context fp;
    guest_addr frame = cpu->x[31];
    if ((frame & 15) || copy_from_guest(&f, frame, sizeof(f)))
        return -EFAULT;
    const struct guest_sigcontext *mc = &f.uc.uc_mcontext;
    int64_t ret = signal_try_mask(t, f.uc.uc_sigmask);
    if (ret) /* the signal that waits is the present mask's */
        return ret;
    memcpy(cpu->x, mc->regs, sizeof(mc->regs));
    cpu->x[31] = mc->sp;
    cpu->pc = mc->pc;
    cpu->nzcv = nzcv_unpack((uint32_t)mc->pstate);
    cpu->exclusive_address = ~0ull;
    if ((mc->pstate & 0x1f) || !find_fpsimd(mc, &fp)) /* another mode than EL0t */
        return -EINVAL;
    memcpy(cpu->v, fp.vregs, sizeof(fp.vregs));
    vregs_load(cpu);
    fpcr_write(cpu, fp.fpcr);
    fpsr_write(cpu, fp.fpsr);
    altstack_set(t, &f.uc.uc_stack, cpu->x[31]);
    return 0;
}
