/* bf16_interp.h - BFloat16 instructions executed in C (bf16_interp.c). */
#ifndef ELFUSE_TRANSLATE_BF16_INTERP_H
#define ELFUSE_TRANSLATE_BF16_INTERP_H

#include "engine/cpu.h"

/* For emit_helper with vregs: executes the word on cpu, FPSR included. */
void bf16_helper(struct cpu *cpu, uint64_t word);

#endif
