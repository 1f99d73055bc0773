/*
 * fpstate.c - FPCR and FPSR by MXCSR: the rounding mode is MXCSR's while guest code runs, and the
 * cumulative exception bits are MXCSR's sticky bits plus cpu->fpsr.
 *
 * FPCR.FZ is not MXCSR's FTZ and DAZ, which raise other exceptions. With FZ, denormal operands and
 * results trap, and translate/fptrap.c flushes them; a division by zero does, for a denormal
 * dividend is to make it invalid; and an inexact result does until IXC is set, for a trap on an
 * underflow sets MXCSR.PE although a flushed result is not inexact.
 */
#include "engine/fpstate.h"
#include "engine/cache.h"
#include "engine/stubs.h"

#define MXCSR_FZ_MASKS 0x0b00u /* DM, ZM, UM: unmasked with FZ */
#define MXCSR_PM       0x1000u

/* Sets MXCSR for cpu->fpcr and cpu->fpsr, no sticky bits set. */
static void load_mxcsr(const struct cpu *cpu) {
    static const uint8_t rounding[4] = {0, 2, 1,
                                        3}; /* RN RP RM RZ -> x86 nearest, up, down, zero */
    uint32_t m = MXCSR_MASKS | (uint32_t)rounding[cpu->fpcr >> 22 & 3] << 13;
    if (cpu->fpcr & FPCR_FZ) {
        m &= ~MXCSR_FZ_MASKS;
        if (!(cpu->fpsr & FPSR_IXC))
            m &= ~MXCSR_PM;
    }
    mxcsr_set(m);
}

/* IE DE ZE OE UE PE -> IOC DZC OFC UFC IXC; x86's DE has no counterpart (IDC is for flushed inputs
 * only). */
static uint32_t sticky_to_fpsr(uint32_t mxcsr) {
    return (mxcsr & 1) | (mxcsr >> 2 & 1) << 1 | (mxcsr >> 3 & 1) << 2 | (mxcsr >> 4 & 1) << 3 |
           (mxcsr >> 5 & 1) << 4;
}

static bool is_set(const struct vreg *v) {
    return v->d[0] | v->d[1];
}

uint32_t fpsr_read(struct cpu *cpu) {
    uint32_t value = cpu->fpsr | sticky_to_fpsr(mxcsr_get());
    if (is_set(&cpu->vscratch[VSCRATCH_QC]))
        value |= FPSR_QC;
    return is_set(&cpu->vscratch[VSCRATCH_IOC]) ? value | FPSR_IOC : value;
}

void fpsr_write(struct cpu *cpu, uint32_t value) {
    cpu->fpsr = value & FPSR_BITS;
    cpu->vscratch[VSCRATCH_QC] = cpu->vscratch[VSCRATCH_IOC] = (struct vreg){{0, 0}};
    load_mxcsr(cpu);
}

void fpcr_write(struct cpu *cpu, uint32_t value) {
    cpu->fpsr = fpsr_read(cpu);
    cpu->fpcr = value & FPCR_BITS;
    load_mxcsr(cpu);
    if ((value & (FPCR_DN | FPCR_FZ)) && !cache_is_strict_fp())
        __atomic_fetch_or(&cpu->pending, PENDING_STRICT_FP, __ATOMIC_SEQ_CST);
}
