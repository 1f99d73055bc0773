/* fp_interp.h - whole FP instructions executed in C, from the guest state in memory (fp_interp.c).
 */
#ifndef ELFUSE_TRANSLATE_FP_INTERP_H
#define ELFUSE_TRANSLATE_FP_INTERP_H

#include "engine/cpu.h"
#include "translate/softfp.h"

/*
 * Executes w, which writes one V register (*result, all 128 bits) or one X register (*result's
 * d[0]), on cpu->v and cpu->x. Exceptions go to env->fpsr. Returns false for a word it does not
 * know.
 */
bool fp_execute(const struct cpu *cpu, struct fp_env *env, uint32_t w, struct vreg *result);

/* For emit_helper with vregs: executes the word on cpu, FPSR included. */
void fp_helper(struct cpu *cpu, uint64_t word);

#endif
