/*
 * table.c - which rows of the instruction table have a lowering: those for which a function
 * lower_<ID> exists.
 */
#include "translate/region.h"

#define INSN(id, ...) __attribute__((weak)) lower_fn lower_##id;
#include "a64/a64.def"
#undef INSN

lower_fn *const lower_table[A64_OP_COUNT] = {
#define INSN(id, ...) [A64_##id] = lower_##id,
#include "a64/a64.def"
#undef INSN
};
