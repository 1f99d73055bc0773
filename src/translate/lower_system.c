/*
 * lower_system.c - system registers, hints, barriers and cache maintenance that EL0 may use (Arm
 * ARM C4.1.94).
 *
 * Pointer authentication is not announced, so its hint-space instructions are the NOPs they are on
 * such a CPU. Barriers: x86 orders everything but a store before a later load, so the load-only and
 * store-only kinds cost nothing and the full ones are one locked instruction.
 */
#include "base/hostcall.h"
#include "engine/fpstate.h"
#include "engine/thread.h"
#include "translate/hypercall.h"
#include "translate/idregs.h"
#include "translate/lower_int.h"

#include <linux/time.h>

#define SCRATCH(i) x64_m(RBP, CPU_OFFSET(scratch) + 8 * (i))

/* ---- hints ---- */

#define NOP_ROW(id) \
    LOWER(id) {     \
        (void)l;    \
        (void)w;    \
    }

NOP_ROW(HINT)
NOP_ROW(NOP)
NOP_ROW(SEV)
NOP_ROW(SEVL)
NOP_ROW(DGH)
NOP_ROW(ESB)
NOP_ROW(PSB_CSYNC)
NOP_ROW(TSB_CSYNC)
NOP_ROW(CSDB)
NOP_ROW(BTI)
NOP_ROW(XPACLRI)
NOP_ROW(PACIA1716)
NOP_ROW(PACIB1716)
NOP_ROW(AUTIA1716)
NOP_ROW(AUTIB1716)
NOP_ROW(PACIAZ)
NOP_ROW(PACIASP)
NOP_ROW(PACIBZ)
NOP_ROW(PACIBSP)
NOP_ROW(AUTIAZ)
NOP_ROW(AUTIASP)
NOP_ROW(AUTIBZ)
NOP_ROW(AUTIBSP)

/* Waiting may end at any time, so it is only a pause. */
#define PAUSE_ROW(id)    \
    LOWER(id) {          \
        (void)w;         \
        x64_pause(l->a); \
    }

PAUSE_ROW(YIELD)
PAUSE_ROW(WFE)
PAUSE_ROW(WFI)

/* ---- barriers ---- */

static void lower_barrier(struct lower *l, uint32_t w) {
    unsigned kind = bits(w, 8, 2); /* of CRm: 1 loads, 2 stores */
    if (kind != 1 && kind != 2)
        x64_xchg_rm_r(l->a, 8, SCRATCH(3), RAX);
}

LOWER(DMB) {
    lower_barrier(l, w);
}

LOWER(DSB) {
    lower_barrier(l, w);
}

NOP_ROW(ISB) /* what IC IVAU dropped is gone already */
NOP_ROW(SB)

/* ---- cache maintenance ---- */

/* RAX = X<t> without a tag. Changes EFLAGS. */
static void emit_untagged(struct lower *l, unsigned t) {
    flags_clobber(l);
    x_copy(l, RAX, t, 8);
    x64_shift_i(l->a, SH_SHL, 8, x64_r(RAX), 8);
    x64_shift_i(l->a, SH_SAR, 8, x64_r(RAX), 8);
}

/* Caches are coherent; what is left is the access check. */
static void lower_clean(struct lower *l, uint32_t w) {
    emit_untagged(l, a64_Rt(w));
    x64_movzx(l->a, RCX, 1, x64_m(RAX, 0));
}

LOWER(DC_CVAC) {
    lower_clean(l, w);
}

LOWER(DC_CVAU) {
    lower_clean(l, w);
}

LOWER(DC_CIVAC) {
    lower_clean(l, w);
}

LOWER(IC_IVAU) {
    emit_untagged(l, a64_Rt(w));
    x64_mov_rm_r(l->a, 8, SCRATCH(0), RAX);
    emit_exit(l, EXIT_INVALIDATE);
}

LOWER(DC_ZVA) {
    struct x64_asm *a = l->a;
    flags_clobber(l);
    if (l->mask_tags)
        emit_untagged(l, a64_Rt(w));
    else
        x_copy(l, RAX, a64_Rt(w), 8);
    x64_alu_rm_i(a, ALU_AND, 8, x64_r(RAX), -64);
    unsigned len = a->feat.avx ? 32 : 16;
    x64_v3(a, V_PXOR, 16, 13, 13, x64_r(13));
    for (unsigned i = 0; i < 64; i += len)
        x64_vst(a, V_MOVUPS, len, x64_m(RAX, (int32_t)i), 13);
}

/* ---- system registers ---- */

LOWER(MRS) { /* those without a row of their own: identification, the rest is not for EL0 */
    uint64_t value;
    bool identification = bits(w, 12, 4) == 0 && bits(w, 16, 3) == 0 && bits(w, 19, 1);
    if (identification && id_register(bits(w, 8, 4), bits(w, 5, 3), &value))
        x_set(l, a64_Rt(w), value);
    else
        emit_exit(l, EXIT_UNDEFINED);
}

LOWER(MRS_CTR_EL0) {
    x_set(l, a64_Rt(w), GUEST_CTR);
}

LOWER(MRS_DCZID_EL0) {
    x_set(l, a64_Rt(w), GUEST_DCZID);
}

LOWER(MRS_CNTFRQ_EL0) {
    x_set(l, a64_Rt(w), GUEST_CNTFRQ);
}

LOWER(MRS_TPIDR_EL0) {
    unsigned t = a64_Rt(w), dst = x_dst(t, RAX);
    x64_mov_r_rm(l->a, 8, dst, x64_m(RBP, CPU_OFFSET(tpidr_el0)));
    x_commit(l, t, dst);
}

LOWER(MSR_TPIDR_EL0) {
    x64_mov_rm_r(l->a, 8, x64_m(RBP, CPU_OFFSET(tpidr_el0)), x_read(l, a64_Rt(w), 8, RAX));
}

LOWER(MRS_TPIDRRO_EL0) {
    x_set(l, a64_Rt(w), 0);
}

static void set_x(struct cpu *cpu, uint64_t w, uint64_t value) {
    if (a64_Rt((uint32_t)w) != XZR)
        cpu->x[a64_Rt((uint32_t)w)] = value;
}

static uint64_t get_x(const struct cpu *cpu, uint64_t w) {
    return a64_Rt((uint32_t)w) == XZR ? 0 : cpu->x[a64_Rt((uint32_t)w)];
}

/* The counter is CLOCK_MONOTONIC, read as the guest's vDSO reads it: without a system call. */
static void read_counter(struct cpu *cpu, uint64_t w) {
    uint64_t x0 = cpu->x[0], x2 = cpu->x[2], x3 = cpu->x[3];
    cpu->x[0] = CLOCK_MONOTONIC;
    engine_hooks.vdso_call(cpu, HYPERCALL_CLOCK_GETTIME);
    struct {
        uint64_t seconds, nanoseconds;
    } now = {cpu->x[2], cpu->x[3]};
    if (cpu->x[0] != 0)
        hostcall(__NR_clock_gettime, CLOCK_MONOTONIC, &now);
    cpu->x[0] = x0;
    cpu->x[2] = x2;
    cpu->x[3] = x3;
    set_x(cpu, w, now.seconds * GUEST_CNTFRQ + now.nanoseconds);
}

LOWER(MRS_CNTVCT_EL0) {
    emit_helper(l, read_counter, w, false);
}

/* Linux lets EL0 read only the virtual counter, unless the kernel itself runs without EL2: as on
 * most hosts, both. */
LOWER(MRS_CNTPCT_EL0) {
    emit_helper(l, read_counter, w, false);
}

/* ---- FPCR, FPSR: held in MXCSR, see engine/fpstate.h ---- */

LOWER(MRS_FPCR) {
    unsigned t = a64_Rt(w), dst = x_dst(t, RAX);
    x64_mov_r_rm(l->a, 4, dst, x64_m(RBP, CPU_OFFSET(fpcr)));
    x_commit(l, t, dst);
}

static void write_fpcr(struct cpu *cpu, uint64_t w) {
    fpcr_write(cpu, (uint32_t)get_x(cpu, w));
}

LOWER(MSR_FPCR) {
    emit_helper(l, write_fpcr, w, false);
}

static void read_fpsr(struct cpu *cpu, uint64_t w) {
    set_x(cpu, w, fpsr_read(cpu));
}

LOWER(MRS_FPSR) {
    emit_helper(l, read_fpsr, w, false);
}

static void write_fpsr(struct cpu *cpu, uint64_t w) {
    fpsr_write(cpu, (uint32_t)get_x(cpu, w));
}

LOWER(MSR_FPSR) {
    emit_helper(l, write_fpsr, w, false);
}

/* ---- NZCV: bits 15, 14, 8, 0 of cpu->nzcv are bits 31, 30, 29, 28 of the register ---- */

LOWER(MRS_NZCV) {
    struct x64_asm *a = l->a;
    unsigned t = a64_Rt(w), dst = x_dst(t, RDX);
    if (t == XZR)
        return;
    flags_get_ax(l);
    x64_mov_r_rm(a, 4, RCX, x64_r(RAX));
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RCX), 0xc000);
    x64_shift_i(a, SH_SHL, 4, x64_r(RCX), 16);
    x64_mov_r_rm(a, 4, dst, x64_r(RAX));
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(dst), 0x100);
    x64_shift_i(a, SH_SHL, 4, x64_r(dst), 21);
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RAX), 1);
    x64_shift_i(a, SH_SHL, 4, x64_r(RAX), 28);
    x64_alu_r_rm(a, ALU_OR, 4, dst, x64_r(RCX));
    x64_alu_r_rm(a, ALU_OR, 4, dst, x64_r(RAX));
    x_commit(l, t, dst);
}

LOWER(MSR_NZCV) {
    struct x64_asm *a = l->a;
    flags_clobber(l);
    x_copy(l, RCX, a64_Rt(w), 4);
    x64_mov_r_rm(a, 4, RAX, x64_r(RCX));
    x64_shift_i(a, SH_SHR, 4, x64_r(RAX), 16);
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RAX), 0xc000);
    x64_mov_r_rm(a, 4, RDX, x64_r(RCX));
    x64_shift_i(a, SH_SHR, 4, x64_r(RDX), 21);
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RDX), 0x100);
    x64_alu_r_rm(a, ALU_OR, 4, RAX, x64_r(RDX));
    x64_shift_i(a, SH_SHR, 4, x64_r(RCX), 28);
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RCX), 1);
    x64_alu_r_rm(a, ALU_OR, 4, RAX, x64_r(RCX));
    flags_set_ax(l);
}
