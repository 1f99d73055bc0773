/* crypto_interp.h - cryptographic instructions executed in C (crypto_interp.c). */
#ifndef ELFUSE_TRANSLATE_CRYPTO_INTERP_H
#define ELFUSE_TRANSLATE_CRYPTO_INTERP_H

#include "engine/cpu.h"

/* For emit_helper with vregs: executes the word on cpu->v. */
void crypto_helper(struct cpu *cpu, uint64_t word);

#endif
