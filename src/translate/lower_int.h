/*
 * lower_int.h - what the lowerings of integer, load/store, atomic and system instructions share
 * beyond lower.h.
 *
 * EFLAGS: a lowering asks flags_free() first. When they are free it calls flags_clobber() and emits
 * the plain x86 instruction; when they hold a live NZCV it may have a form that keeps them (LEA,
 * NOT, BMI2 shifts), which is far cheaper than saving and reloading.
 */
#ifndef ELFUSE_TRANSLATE_LOWER_INT_H
#define ELFUSE_TRANSLATE_LOWER_INT_H

#include "translate/region.h"

/* Operand size in bytes of a data-processing instruction. */
static inline unsigned op_size(uint32_t w) {
    return a64_sf(w) ? 8 : 4;
}

/* May EFLAGS be changed at no cost? */
static inline bool flags_free(const struct lower *l) {
    return !l->flags_live || l->flags == FLAGS_NONE;
}

static inline bool fits_i32(uint64_t v) {
    return (int64_t)v == (int32_t)v;
}

static inline bool rm_same(x64_rm a, x64_rm b) {
    return a.is_mem == b.is_mem && a.base == b.base && a.disp == b.disp && a.index == b.index;
}

/*
 * The instruction before (in->next leads here) or after this one in straight-line code that nothing
 * else enters, or NULL. No signal is taken and no fault can happen between two such instructions
 * that do not access memory.
 */
static inline const struct insn *insn_before(const struct lower *l, const struct insn *in) {
    const struct insn *before = in - 1;
    if (in->leader || before->next < 0 || &l->region->insns[before->next] != in)
        return NULL;
    return before;
}
static inline const struct insn *insn_after(const struct lower *l, const struct insn *in) {
    if (in->next < 0 || &l->region->insns[in->next] != in + 1 || in[1].leader)
        return NULL;
    return in + 1;
}

/* ---- lower_dp_imm.c ---- */
/* Is X<r> known to hold a constant before insn in, set by the MOVZ/MOVN/MOVK/ADRP just before it?
 */
bool known_constant(const struct lower *l, const struct insn *in, unsigned r, uint64_t *value);
/*
 * dst = src shifted by count, 0 <= count < 8 * size, for SHL, SHR, SAR and ROR. When `keep`, EFLAGS
 * are kept (needs BMI2, uses RDX). src may be dst.
 */
void emit_shift(struct lower *l, bool keep, enum x64_shift op, unsigned size, unsigned dst,
                x64_rm src, unsigned count);
/* Must the shifts of this instruction keep EFLAGS? When not, this calls flags_clobber. */
bool shifts_keep_flags(struct lower *l);
/* X<r> = 0 */
void emit_zero(struct lower *l, unsigned r);
/* X<d> (31: none) = X<n> (31: zero) */
void emit_move(struct lower *l, unsigned size, unsigned d, unsigned n);
/* EFLAGS = those of AND with mask, as FLAGS_ADD. X<n> = xr(n). */
void emit_test_mask(struct lower *l, unsigned size, x64_rm n, uint64_t mask);

/* ---- lower_dp_reg.c ---- */
/* X<n> as an r/m operand; the zero register becomes `scratch`, zeroed. */
x64_rm operand(struct lower *l, unsigned n, unsigned scratch);
/* The register that holds rm: its own, or `scratch` loaded with it. */
unsigned in_register(struct lower *l, unsigned size, x64_rm rm, unsigned scratch);
/* Can a result for the place d be formed there by a read-modify-write? */
bool writes_in_place(unsigned size, x64_rm d);
/* X<d> = n + m and X<d> = -m; d is not the zero register. `keep`: EFLAGS are kept. */
void emit_add(struct lower *l, bool keep, unsigned size, unsigned d, x64_rm n, x64_rm m);
void emit_negate(struct lower *l, bool keep, unsigned size, unsigned d, x64_rm m);
/* dst = ~m. EFLAGS are kept. */
void emit_not(struct lower *l, unsigned size, unsigned dst, x64_rm m);
/* EFLAGS = those of n - m. */
void emit_compare(struct lower *l, unsigned size, x64_rm n, x64_rm m);
/* The result in RAX goes to X<d>. */
void commit_rax(struct lower *l, unsigned d);

/* ---- lower_ldst.c ---- */
/* [Xn|SP + offset]; uses RAX. An address loaded to RAX stays there. */
x64_rm ldst_address(struct lower *l, unsigned rn, int32_t offset);
/* Xn|SP += offset, after the access. */
void ldst_write_back(struct lower *l, unsigned rn, x64_rm address, int32_t offset);
/* The operand at a constant guest address; may use RAX. */
x64_rm ldst_literal(struct lower *l, guest_addr address);
/* Xn|SP += X<rm>, after the access. */
void ldst_write_back_reg(struct lower *l, unsigned rn, unsigned rm);
/* Loads or stores X<rt>; log2 is of the bytes. May use RCX (load), RDX (store). */
void ldst_load(struct lower *l, unsigned log2, unsigned rt, x64_rm address);
void ldst_store(struct lower *l, unsigned log2, unsigned rt, x64_rm address);

#endif
