/* fpstate.h - FPCR and FPSR of the running thread, held in MXCSR while the guest runs (fpstate.c).
 */
#ifndef ELFUSE_ENGINE_FPSTATE_H
#define ELFUSE_ENGINE_FPSTATE_H

#include "engine/cpu.h"

#define FPCR_FZ16  (1u << 19)
#define FPCR_RMODE (3u << 22)
#define FPCR_FZ    (1u << 24)
#define FPCR_DN    (1u << 25)
#define FPCR_AHP   (1u << 26)
#define FPCR_BITS \
    (FPCR_FZ16 | FPCR_RMODE | FPCR_FZ | FPCR_DN | FPCR_AHP) /* those that can be set */
#define FPSR_IOC  (1u << 0)
#define FPSR_DZC  (1u << 1)
#define FPSR_OFC  (1u << 2)
#define FPSR_UFC  (1u << 3)
#define FPSR_IXC  (1u << 4)
#define FPSR_IDC  (1u << 7)
#define FPSR_QC   (1u << 27)
#define FPSR_BITS (FPSR_IOC | FPSR_DZC | FPSR_OFC | FPSR_UFC | FPSR_IXC | FPSR_IDC | FPSR_QC)

/* cpu->vscratch[VSCRATCH_QC] is not zero when FPSR.QC has to be set: saturating instructions OR
 * into it. The same for VSCRATCH_IOC and FPSR.IOC. */
enum { VSCRATCH_IOC = 2, VSCRATCH_QC = 3 };

/* MXCSR's exception masks while guest code runs: all but invalid, see translate/fptrap.c. */
#define MXCSR_MASKS 0x1f00u

uint32_t fpsr_read(struct cpu *cpu);
void fpsr_write(struct cpu *cpu, uint32_t value);
void fpcr_write(struct cpu *cpu, uint32_t value);
#endif
