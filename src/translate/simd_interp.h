/* simd_interp.h - Advanced SIMD integer instructions executed in C, lane by lane (simd_interp.c).
 */
#ifndef ELFUSE_TRANSLATE_SIMD_INTERP_H
#define ELFUSE_TRANSLATE_SIMD_INTERP_H

#include "engine/cpu.h"

/* For emit_helper with vregs: executes the word on cpu->v, FPSR.QC included. */
void simd_helper(struct cpu *cpu, uint64_t word);

#endif
