/*
 * lower_simd.h - what the lowerings of SIMD and FP instructions share beyond lower.h.
 *
 * Conventions:
 *  - VT0-VT2 are the three scratch vector registers. v_op may destroy VT2 (only on hosts without
 * AVX, when the second source is the destination), so a value that must survive a v_op lies in VT0
 * or VT1 or in its own register.
 *  - A lowering computes into v_dst(d, VT0) only with its last operation that reads the sources,
 * for V<d> may be any of them; then v_finish gives V<d> its upper part.
 *  - Values are whole 16-byte registers; lanes above the instruction's own are computed too and
 * dropped at the end, which integer operations do not mind.
 *  - Saturation: instead of FPSR.QC, lowerings OR what differs into QC_ACC; fpsr_read makes the bit
 * of it.
 */
#ifndef ELFUSE_TRANSLATE_LOWER_SIMD_H
#define ELFUSE_TRANSLATE_LOWER_SIMD_H

#include "engine/fpstate.h"
#include "translate/lower.h"

enum { VT0 = 13, VT1, VT2 };
enum { V_NONE = V_MOVAPS }; /* in tables of operations by element size: there is none */

#define QC_ACC x64_m(RBP, CPU_OFFSET(vscratch[VSCRATCH_QC]))

/* dst = op(s1, s2), whatever coincides. */
void v_op(struct lower *l, enum x64_vop op, unsigned dst, unsigned s1, x64_rm s2);
void v_op_i(struct lower *l, enum x64_vop op, unsigned dst, unsigned s1, x64_rm s2, uint8_t imm);
/* dst = src shifted; nothing but a copy when count is 0. */
void v_shift(struct lower *l, enum x64_vop op, unsigned dst, unsigned src, unsigned count);
void v_move(struct lower *l, unsigned dst, unsigned src);
void v_zero(struct lower *l, unsigned dst);
void v_ones(struct lower *l, unsigned dst);
/* dst = ~src */
void v_not(struct lower *l, unsigned dst, unsigned src);
/* A constant that repeats `pattern` of `size` (log2) bytes, and one of 64 bits twice. */
x64_rm v_splat(struct lower *l, unsigned size, uint64_t pattern);
x64_rm v_const2(struct lower *l, uint64_t twice);

/* V<d> = the low `bytes` (1, 2, 4, 8 or 16) of reg, zero above. reg is v_dst(d, ..) or a scratch.
 */
void v_finish(struct lower *l, unsigned d, unsigned reg, unsigned bytes);
/* V<d> = op(s1, s2), `bytes` as above: the last operation, for V<d> may be s2. */
void v_last(struct lower *l, enum x64_vop op, unsigned d, unsigned s1, x64_rm s2, unsigned bytes);
static inline unsigned v_bytes(uint32_t w) {
    return 8u << a64_Q(w);
}

/* V<d> = op(V<n>, V<m>), `bytes` as above. */
void v_binary(struct lower *l, enum x64_vop op, unsigned d, unsigned n, unsigned m, unsigned bytes);

/* dst = V<n> with the low half in both halves when Q is 0. */
unsigned v_read_folded(struct lower *l, uint32_t w, unsigned n, unsigned scratch);
/* dst = the even (odd) elements of size `size` (log2) of n, then those of m. Uses VT2. dst is not
 * m, unless n is too. */
void v_unzip(struct lower *l, unsigned size, bool odd, unsigned dst, x64_rm n, x64_rm m);
/* dst = low half of V<n>, low half of V<m>. */
void v_join_low(struct lower *l, unsigned dst, unsigned n, unsigned m);
/* dst = rm */
void v_load(struct lower *l, unsigned dst, x64_rm rm);
/* dst = op(s1, s2) where s1 may be in memory; dst is not s2. */
void v_op_rm(struct lower *l, enum x64_vop op, unsigned dst, x64_rm s1, x64_rm s2);
/* dst = the low (high) 8 bytes of V<n>, elements widened to twice `size` (log2). */
void v_extend(struct lower *l, unsigned dst, unsigned n, unsigned size, bool sign, bool high);
/* Narrow result: the low 8 bytes of reg (not v_dst(d)) to the low half of V<d>, or with Q to its
 * upper half. */
void v_finish_narrow(struct lower *l, uint32_t w, unsigned reg);
/* dst = src, each element of twice `size` truncated, in the low half; zero above. */
void v_truncate(struct lower *l, unsigned size, unsigned dst, unsigned src);
/* QC_ACC |= reg's low `bytes`; reg is destroyed. */
void v_saturated(struct lower *l, unsigned reg, unsigned bytes);
/* dst = every element = element i of V<m>, size log2. */
void v_splat_element(struct lower *l, unsigned size, unsigned dst, unsigned m, unsigned i);
/* dst = 64-bit lanes: all ones where src is negative. dst != src. */
void v_sign64(struct lower *l, unsigned dst, unsigned src);

/* V<d> = lo, hi */
void v_set(struct lower *l, unsigned d, uint64_t lo, uint64_t hi);
/* Is V<n> known to be zero above its low `bytes` (8, 4)? See vzero.c. */
bool v_upper_zero(struct lower *l, unsigned n, unsigned bytes);
/* dst = the low `bytes` (4 or 8) of V<n>, zero above. */
void v_scalar(struct lower *l, unsigned dst, unsigned n, unsigned bytes);

/* immh:immb of a shift by immediate: the element size (log2 of bytes), and 2 * esize - the amount
 * of a right shift. */
static inline unsigned immh_size(uint32_t w) {
    return 31 - (unsigned)__builtin_clz(bits(w, 19, 4));
}
static inline unsigned right_amount(uint32_t w) {
    return (16u << immh_size(w)) - bits(w, 16, 7);
}
/* dst = src >> count by element, 1 <= count <= esize; rounding: + the last bit shifted out, and dst
 * is not src. Both use VT2. */
void v_shift_right(struct lower *l, bool sign, unsigned size, unsigned dst, unsigned src,
                   unsigned count);
void v_shift_right_rounding(struct lower *l, bool sign, unsigned size, unsigned dst, unsigned src,
                            unsigned count);
/* VT0 = V<n> * src, of twice the width, of the low or high halves. src is V<m>, or VT1 with copies
 * of an element. */
void v_multiply_long(struct lower *l, unsigned size, bool sign, bool high, unsigned n, x64_rm src);

/* ---- scalar FP: bit 22 of the word says double ---- */
static inline bool fp_double(uint32_t w) {
    return bits(w, 22, 1);
}
static inline unsigned fp_bytes(uint32_t w) {
    return fp_double(w) ? 8 : 4;
}
/*
 * Strict mode: some thread uses FPCR.DN or FZ. Then a NaN result must trap whatever the operands
 * were, for which it is compared with itself (fp_check) before V<d> is written; so it is computed
 * in fp_dst. What neither traps on NaNs nor on denormals goes by fp_helper.
 */
bool fp_strict(const struct lower *l);
unsigned fp_dst(struct lower *l, unsigned d);
void fp_check(struct lower *l, bool packed, bool dbl, unsigned reg);
/*
 * Has this instruction trapped often, for NaNs or numbers out of range? Then it is lowered so that
 * those do not trap, by a branch to the helper or an IOC of its own, or by the helper altogether.
 * 2: and trapped often nevertheless, so that only the helper will do.
 */
unsigned fp_traps(const struct lower *l);
/* Jumps to slow when FPCR.AHP is set. EFLAGS are lost. */
void v_jump_if_ahp(struct lower *l, struct x64_label *slow);
#define IOC_ACC x64_m(RBP, CPU_OFFSET(vscratch[VSCRATCH_IOC]))
/* dst = src rounded to an integral value, ties away from zero, without exceptions but that of a
 * signalling NaN. Uses all scratch registers; dst is VT0, src is none of them. */
void fp_round_away(struct lower *l, bool packed, bool dbl, x64_rm src);

/* dst += or -= etc: the element-wise integer operations by size. */
extern const uint16_t v_add_op[4], v_sub_op[4], v_cmpeq_op[4], v_cmpgt_op[4], v_shl_op[4],
    v_shr_op[4], v_unpack_low[4], v_unpack_high[4];

#endif
