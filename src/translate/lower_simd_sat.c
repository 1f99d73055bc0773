/*
 * lower_simd_sat.c - saturating arithmetic and shifts, shifts by a register, dot products: those
 * with an x86 sequence worth having, the others by simd_interp.c.
 *
 * What differs between a saturated result and the plain one goes to QC_ACC (v_saturated).
 */
#include "translate/lower_simd.h"
#include "translate/simd_interp.h"

static void by_helper(struct lower *l, uint32_t w) {
    emit_helper(l, simd_helper, w, true);
}

/* ---- add and subtract ---- */

/* VT0 = V<n> op V<m> saturated, bytes and halfwords. */
static void saturate_small(struct lower *l, uint32_t w, enum x64_vop op, enum x64_vop plain,
                           unsigned bytes) {
    x64_rm n = vr(a64_Rn(w)), m = vr(a64_Rm(w));
    v_op_rm(l, op, VT0, n, m);
    v_op_rm(l, plain, VT1, n, m);
    x64_v3(l->a, V_PXOR, 16, VT1, VT1, x64_r(VT0));
    v_saturated(l, VT1, bytes);
}

/* Words: overflow is where the sum's sign differs from both operands' (the difference's from n's,
 * and n's from m's). */
static void saturate_words(struct lower *l, uint32_t w, bool subtract, unsigned bytes) {
    struct x64_asm *a = l->a;
    x64_rm n = vr(a64_Rn(w)), m = vr(a64_Rm(w)), sign = v_splat(l, 2, 1u << 31);
    v_op_rm(l, subtract ? V_PSUBD : V_PADDD, VT0, n, m);
    v_op_rm(l, V_PXOR, VT1, n, x64_r(VT0));
    if (subtract)
        v_op_rm(l, V_PXOR, VT2, n, m);
    else
        v_op_rm(l, V_PXOR, VT2, x64_r(VT0), m);
    x64_v3(a, V_PAND, 16, VT1, VT1, x64_r(VT2));
    x64_vshift_i(a, V_PSRAD, 16, VT1, VT1, 31);
    x64_vshift_i(a, V_PSRAD, 16, VT2, VT0, 31);
    x64_v3(a, V_PXOR, 16, VT2, VT2, sign); /* the extreme of the sign the sum should have had */
    x64_v3(a, V_PXOR, 16, VT2, VT2, x64_r(VT0));
    x64_v3(a, V_PAND, 16, VT2, VT2, x64_r(VT1));
    x64_v3(a, V_PXOR, 16, VT0, VT0, x64_r(VT2));
    v_saturated(l, VT1, bytes);
}

/* Unsigned words: n + m by ORing ones where the sum wrapped, n - m as max(n, m) - m. */
static void saturate_words_unsigned(struct lower *l, uint32_t w, bool subtract, unsigned bytes) {
    struct x64_asm *a = l->a;
    x64_rm n = vr(a64_Rn(w)), m = vr(a64_Rm(w));
    if (subtract) {
        v_op_rm(l, V_PMAXUD, VT0, n, m);
        v_op_rm(l, V_PXOR, VT1, x64_r(VT0), n);
        x64_v3(a, V_PSUBD, 16, VT0, VT0, m);
    } else {
        v_op_rm(l, V_PADDD, VT0, n, m);
        v_op_rm(l, V_PMAXUD, VT1, n, x64_r(VT0));
        x64_v3(a, V_PCMPEQD, 16, VT1, VT1, x64_r(VT0));
        v_ones(l, VT2);
        x64_v3(a, V_PXOR, 16, VT1, VT1, x64_r(VT2));
        x64_v3(a, V_POR, 16, VT0, VT0, x64_r(VT1));
    }
    v_saturated(l, VT1, bytes);
}

static void saturating_add(struct lower *l, uint32_t w, bool is_unsigned, bool subtract,
                           bool scalar) {
    static const uint16_t op[2][2][2] = {{{V_PADDSB, V_PADDSW}, {V_PSUBSB, V_PSUBSW}},
                                         {{V_PADDUSB, V_PADDUSW}, {V_PSUBUSB, V_PSUBUSW}}};
    unsigned size = a64_size(w), bytes = scalar ? 1u << size : v_bytes(w);
    if (size == 3) {
        by_helper(l, w);
        return;
    }
    if (size < 2)
        saturate_small(l, w, op[is_unsigned][subtract][size],
                       (subtract ? v_sub_op : v_add_op)[size], bytes);
    else if (is_unsigned)
        saturate_words_unsigned(l, w, subtract, bytes);
    else
        saturate_words(l, w, subtract, bytes);
    v_finish(l, a64_Rd(w), VT0, bytes);
}
LOWER(SQADD_vec) {
    saturating_add(l, w, false, false, false);
}
LOWER(SQSUB_vec) {
    saturating_add(l, w, false, true, false);
}
LOWER(UQADD_vec) {
    saturating_add(l, w, true, false, false);
}
LOWER(UQSUB_vec) {
    saturating_add(l, w, true, true, false);
}
LOWER(SQADD_scalar) {
    saturating_add(l, w, false, false, true);
}
LOWER(SQSUB_scalar) {
    saturating_add(l, w, false, true, true);
}
LOWER(UQADD_scalar) {
    saturating_add(l, w, true, false, true);
}
LOWER(UQSUB_scalar) {
    saturating_add(l, w, true, true, true);
}

/* ---- narrowing ---- */

enum narrow { SIGNED, SIGNED_TO_UNSIGNED, UNSIGNED };

/* V<d> = VT0's elements of twice `size` (0 or 1) saturated to `size`. */
static void saturate_narrow(struct lower *l, uint32_t w, unsigned size, enum narrow how,
                            bool scalar) {
    static const uint16_t pack[2][2] = {{V_PACKSSWB, V_PACKSSDW}, {V_PACKUSWB, V_PACKUSDW}};
    static const uint16_t widen[2][2] = {{V_PMOVSXBW, V_PMOVSXWD}, {V_PMOVZXBW, V_PMOVZXWD}};
    struct x64_asm *a = l->a;
    if (how == UNSIGNED) {
        v_op(l, size ? V_PMINUD : V_PMINUW, VT1, VT0, v_splat(l, size + 1, size ? 0xffff : 0xff));
        x64_v3(a, V_PXOR, 16, VT0, VT0, x64_r(VT1));
        v_saturated(l, VT0, scalar ? 2u << size : 16);
        v_op(l, pack[1][size], VT0, VT1, x64_r(VT1));
    } else {
        bool to_unsigned = how == SIGNED_TO_UNSIGNED;
        v_op(l, pack[to_unsigned][size], VT1, VT0, x64_r(VT0));
        x64_v2(a, widen[to_unsigned][size], 16, VT2, x64_r(VT1));
        x64_v3(a, V_PXOR, 16, VT0, VT0, x64_r(VT2));
        v_saturated(l, VT0, scalar ? 2u << size : 16);
        v_move(l, VT0, VT1);
    }
    if (scalar)
        v_finish(l, a64_Rd(w), VT0, 1u << size);
    else
        v_finish_narrow(l, w, VT0);
}

static void extract_narrow(struct lower *l, uint32_t w, enum narrow how, bool scalar) {
    if (a64_size(w) > 1) {
        by_helper(l, w);
        return;
    }
    v_copy(l, VT0, a64_Rn(w));
    saturate_narrow(l, w, a64_size(w), how, scalar);
}
LOWER(SQXTN_vec) {
    extract_narrow(l, w, SIGNED, false);
}
LOWER(SQXTN_scalar) {
    extract_narrow(l, w, SIGNED, true);
}
LOWER(SQXTUN_vec) {
    extract_narrow(l, w, SIGNED_TO_UNSIGNED, false);
}
LOWER(SQXTUN_scalar) {
    extract_narrow(l, w, SIGNED_TO_UNSIGNED, true);
}
LOWER(UQXTN_vec) {
    extract_narrow(l, w, UNSIGNED, false);
}
LOWER(UQXTN_scalar) {
    extract_narrow(l, w, UNSIGNED, true);
}

static void shift_narrow(struct lower *l, uint32_t w, enum narrow how, bool round, bool scalar) {
    unsigned size = immh_size(w);
    if (size > 1) {
        by_helper(l, w);
        return;
    }
    unsigned src = v_read(l, a64_Rn(w), VT1);
    if (round)
        v_shift_right_rounding(l, how != UNSIGNED, size + 1, VT0, src, right_amount(w));
    else
        v_shift_right(l, how != UNSIGNED, size + 1, VT0, src, right_amount(w));
    saturate_narrow(l, w, size, how, scalar);
}
LOWER(SQSHRN_vec) {
    shift_narrow(l, w, SIGNED, false, false);
}
LOWER(SQSHRN_scalar) {
    shift_narrow(l, w, SIGNED, false, true);
}
LOWER(SQRSHRN_vec) {
    shift_narrow(l, w, SIGNED, true, false);
}
LOWER(SQRSHRN_scalar) {
    shift_narrow(l, w, SIGNED, true, true);
}
LOWER(SQSHRUN_vec) {
    shift_narrow(l, w, SIGNED_TO_UNSIGNED, false, false);
}
LOWER(SQSHRUN_scalar) {
    shift_narrow(l, w, SIGNED_TO_UNSIGNED, false, true);
}
LOWER(SQRSHRUN_vec) {
    shift_narrow(l, w, SIGNED_TO_UNSIGNED, true, false);
}
LOWER(SQRSHRUN_scalar) {
    shift_narrow(l, w, SIGNED_TO_UNSIGNED, true, true);
}
LOWER(UQSHRN_vec) {
    shift_narrow(l, w, UNSIGNED, false, false);
}
LOWER(UQSHRN_scalar) {
    shift_narrow(l, w, UNSIGNED, false, true);
}
LOWER(UQRSHRN_vec) {
    shift_narrow(l, w, UNSIGNED, true, false);
}
LOWER(UQRSHRN_scalar) {
    shift_narrow(l, w, UNSIGNED, true, true);
}

/* ---- saturating doubling multiply ---- */

/*
 * VT0 = the high half of 2 * n * m. m may be VT1, then in `splat` form. Only the product of two
 * most negative numbers does not fit; it comes out as the most negative number, which nothing else
 * gives, and is inverted.
 */
static void doubling_high(struct lower *l, unsigned size, bool round, x64_rm n, x64_rm m,
                          bool splat, unsigned bytes) {
    struct x64_asm *a = l->a;
    if (size == 1 && round) {
        v_op_rm(l, V_PMULHRSW, VT0, n, m);
    } else if (size == 1) {
        v_op_rm(l, V_PMULHW, VT0, n, m);
        v_op_rm(l, V_PMULLW, VT2, n, m);
        x64_vshift_i(a, V_PSLLW, 16, VT0, VT0, 1);
        x64_vshift_i(a, V_PSRLW, 16, VT2, VT2, 15);
        x64_v3(a, V_POR, 16, VT0, VT0, x64_r(VT2));
    } else { /* products of the even words in VT0, of the odd ones in VT2 */
        x64_rm half = v_splat(l, 3, 1ull << 30);
        v_op_rm(l, V_PMULDQ, VT0, n, m);
        if (!splat)
            x64_v2_i(a, V_PSHUFD, 16, VT1, m, 0xf5);
        x64_v2_i(a, V_PSHUFD, 16, VT2, n, 0xf5);
        x64_v3(a, V_PMULDQ, 16, VT2, VT2, x64_r(VT1));
        if (round) {
            x64_v3(a, V_PADDQ, 16, VT0, VT0, half);
            x64_v3(a, V_PADDQ, 16, VT2, VT2, half);
        }
        x64_vshift_i(a, V_PSRLQ, 16, VT0, VT0, 31);
        x64_vshift_i(a, V_PSLLQ, 16, VT2, VT2, 1);
        x64_v3_i(a, V_PBLENDW, 16, VT0, VT0, x64_r(VT2), 0xcc);
    }
    v_op(l, v_cmpeq_op[size], VT1, VT0, v_splat(l, size, 1ull << ((8u << size) - 1)));
    x64_v3(a, V_PXOR, 16, VT0, VT0, x64_r(VT1));
    v_saturated(l, VT1, bytes);
}

/* VT1 = the element of V<m> in all lanes. */
static void splat_m(struct lower *l, uint32_t w) {
    unsigned hl = bits(w, 11, 1) << 1 | bits(w, 21, 1), m = a64_Rm(w);
    if (a64_size(w) == 1)
        v_splat_element(l, 1, VT1, m & 15, hl << 1 | bits(w, 20, 1));
    else
        v_splat_element(l, 2, VT1, m, hl);
}

static void doubling_high_insn(struct lower *l, uint32_t w, bool round, bool element, bool scalar) {
    unsigned size = a64_size(w), bytes = scalar ? 1u << size : v_bytes(w);
    if (element)
        splat_m(l, w);
    doubling_high(l, size, round, vr(a64_Rn(w)), element ? x64_r(VT1) : vr(a64_Rm(w)), element,
                  bytes);
    v_finish(l, a64_Rd(w), VT0, bytes);
}
LOWER(SQDMULH_vec) {
    doubling_high_insn(l, w, false, false, false);
}
LOWER(SQDMULH_scalar) {
    doubling_high_insn(l, w, false, false, true);
}
LOWER(SQDMULH_elem) {
    doubling_high_insn(l, w, false, true, false);
}
LOWER(SQDMULH_elem_scalar) {
    doubling_high_insn(l, w, false, true, true);
}
LOWER(SQRDMULH_vec) {
    doubling_high_insn(l, w, true, false, false);
}
LOWER(SQRDMULH_scalar) {
    doubling_high_insn(l, w, true, false, true);
}
LOWER(SQRDMULH_elem) {
    doubling_high_insn(l, w, true, true, false);
}
LOWER(SQRDMULH_elem_scalar) {
    doubling_high_insn(l, w, true, true, true);
}

/* Halfwords to words; words to doublewords by the helper. */
static void doubling_long(struct lower *l, uint32_t w, bool element) {
    struct x64_asm *a = l->a;
    if (a64_size(w) != 1) {
        by_helper(l, w);
        return;
    }
    if (element)
        splat_m(l, w);
    v_multiply_long(l, 1, true, a64_Q(w), a64_Rn(w), element ? x64_r(VT1) : vr(a64_Rm(w)));
    x64_v3(a, V_PADDD, 16, VT0, VT0, x64_r(VT0));
    v_op(l, V_PCMPEQD, VT1, VT0, v_splat(l, 2, 1u << 31));
    x64_v3(a, V_PXOR, 16, VT0, VT0, x64_r(VT1));
    v_saturated(l, VT1, 16);
    v_finish(l, a64_Rd(w), VT0, 16);
}
LOWER(SQDMULL_vec) {
    doubling_long(l, w, false);
}
LOWER(SQDMULL_elem) {
    doubling_long(l, w, true);
}

/* ---- shifts by a register ---- */

/*
 * The count is the signed low byte of each element of V<m>. The AVX2 shifts give 0 for counts
 * beyond the element, so with counts m & 255 to the left and -m & 255 to the right at most one of
 * both is not 0, or both are n; for the arithmetic shift the sign of the byte chooses.
 */
static void shift_by_register(struct lower *l, uint32_t w, bool sign, bool scalar) {
    static const uint16_t left[] = {0, V_VPSLLVW, V_VPSLLVD, V_VPSLLVQ};
    static const uint16_t logical[] = {0, V_VPSRLVW, V_VPSRLVD, V_VPSRLVQ};
    static const uint16_t arithmetic[] = {0, V_VPSRAVW, V_VPSRAVD, V_VPSRAVQ};
    struct x64_asm *a = l->a;
    unsigned size = scalar ? 3 : a64_size(w), bytes = scalar ? 8 : v_bytes(w);
    bool wide_only = size == 1 || (size == 3 && sign); /* AVX-512 */
    if (size == 0 || !a->feat.avx || (wide_only && !a->feat.avx512) || (size == 1 && sign)) {
        by_helper(l, w);
        return;
    }
    x64_rm mask = v_splat(l, size, 0xff);
    unsigned n = v_read(l, a64_Rn(w), VT2);
    v_zero(l, VT1);
    x64_v3(a, v_sub_op[size], 16, VT1, VT1, vr(a64_Rm(w)));
    x64_v3(a, V_PAND, 16, VT1, VT1, mask);
    x64_v3(a, sign ? arithmetic[size] : logical[size], 16, VT1, n, x64_r(VT1));
    v_op_rm(l, V_PAND, VT0, vr(a64_Rm(w)), mask);
    x64_v3(a, left[size], 16, VT0, n, x64_r(VT0));
    if (sign) {
        unsigned m = v_read(l, a64_Rm(w), VT2);
        x64_vshift_i(a, v_shl_op[size], 16, VT2, m, (uint8_t)((8u << size) - 8));
        x64_vblendv(a, size == 2 ? V_BLENDVPS : V_BLENDVPD, 16, VT0, VT0, x64_r(VT1), VT2);
    } else {
        x64_v3(a, V_POR, 16, VT0, VT0, x64_r(VT1));
    }
    v_finish(l, a64_Rd(w), VT0, bytes);
}
LOWER(SSHL_vec) {
    shift_by_register(l, w, true, false);
}
LOWER(USHL_vec) {
    shift_by_register(l, w, false, false);
}
LOWER(SSHL_scalar) {
    shift_by_register(l, w, true, true);
}
LOWER(USHL_scalar) {
    shift_by_register(l, w, false, true);
}

/* ---- dot products ---- */

/* V<d> += sums of four byte products: bytes extended to halfwords, PMADDWD, then the pairs added.
 */
static void dot(struct lower *l, uint32_t w, bool n_signed, bool m_signed, bool element) {
    struct x64_asm *a = l->a;
    enum x64_vop extend_n = n_signed ? V_PMOVSXBW : V_PMOVZXBW,
                 extend_m = m_signed ? V_PMOVSXBW : V_PMOVZXBW;
    x64_rm n = vr(a64_Rn(w)), m = vr(a64_Rm(w)), copies = x64_m(RBP, CPU_OFFSET(vscratch[0]));
    if (element) {
        v_splat_element(l, 2, VT0, a64_Rm(w), bits(w, 11, 1) << 1 | bits(w, 21, 1));
        x64_vst(a, V_MOVAPS, 16, copies, VT0);
        m = copies;
    }
    x64_v2(a, extend_n, 16, VT0, n);
    x64_v2(a, extend_m, 16, VT1, m);
    x64_v3(a, V_PMADDWD, 16, VT0, VT0, x64_r(VT1));
    x64_v2_i(a, V_PSHUFD, 16, VT1, n, 0xee);
    x64_v2(a, extend_n, 16, VT1, x64_r(VT1));
    x64_v2_i(a, V_PSHUFD, 16, VT2, m, 0xee);
    x64_v2(a, extend_m, 16, VT2, x64_r(VT2));
    x64_v3(a, V_PMADDWD, 16, VT1, VT1, x64_r(VT2));
    x64_v3(a, V_PHADDD, 16, VT0, VT0, x64_r(VT1));
    v_last(l, V_PADDD, a64_Rd(w), VT0, vr(a64_Rd(w)), v_bytes(w));
}
LOWER(SDOT_vec) {
    dot(l, w, true, true, false);
}
LOWER(UDOT_vec) {
    dot(l, w, false, false, false);
}
LOWER(USDOT_vec) {
    dot(l, w, false, true, false);
}
LOWER(SDOT_elem) {
    dot(l, w, true, true, true);
}
LOWER(UDOT_elem) {
    dot(l, w, false, false, true);
}
LOWER(USDOT_elem) {
    dot(l, w, false, true, true);
}
LOWER(SUDOT_elem) {
    dot(l, w, true, false, true);
}

/* ---- leading zeros ---- */

/*
 * VT0 = leading zeros of elements of `size`, from those of the halves in VT0: the upper half's
 * count, and where that is all of it, the lower half's too.
 */
static void join_counts(struct lower *l, unsigned size) {
    struct x64_asm *a = l->a;
    unsigned half = 4u << size;
    v_shift(l, v_shr_op[size], VT1, VT0, half);
    v_op(l, v_cmpeq_op[size], VT2, VT1, v_splat(l, size, half));
    x64_v3(a, V_PAND, 16, VT0, VT0, x64_r(VT2));
    x64_v3(a, V_PAND, 16, VT0, VT0, v_splat(l, size, (1ull << half) - 1));
    x64_v3(a, v_add_op[size], 16, VT0, VT0, x64_r(VT1));
}

LOWER(CLZ_vec) {
    struct x64_asm *a = l->a;
    x64_rm nibble = v_splat(l, 0, 15), table = v_const(l, 0x0101010102020304, 0);
    unsigned size = a64_size(w);
    v_load(l, VT0, vr(a64_Rn(w)));
    v_shift(l, V_PSRLW, VT1, VT0, 4);
    x64_v3(a, V_PAND, 16, VT0, VT0, nibble);
    x64_v3(a, V_PAND, 16, VT1, VT1, nibble);
    v_load(l, VT2, table);
    x64_v3(a, V_PSHUFB, 16, VT2, VT2, x64_r(VT1)); /* of the upper nibble */
    v_load(l, VT1, table);
    x64_v3(a, V_PSHUFB, 16, VT1, VT1, x64_r(VT0));
    v_op(l, V_PCMPEQB, VT0, VT2, v_splat(l, 0, 4));
    x64_v3(a, V_PAND, 16, VT0, VT0, x64_r(VT1));
    x64_v3(a, V_PADDB, 16, VT0, VT0, x64_r(VT2));
    for (unsigned i = 1; i <= size; i++)
        join_counts(l, i);
    v_finish(l, a64_Rd(w), VT0, v_bytes(w));
}

/* ---- by the helper ---- */

#define BY_HELPER(id)    \
    LOWER(id) {          \
        by_helper(l, w); \
    }
BY_HELPER(SRSHL_vec)
BY_HELPER(SRSHL_scalar)
BY_HELPER(URSHL_vec)
BY_HELPER(URSHL_scalar)
BY_HELPER(SQSHL_vec)
BY_HELPER(SQSHL_scalar)
BY_HELPER(UQSHL_vec)
BY_HELPER(UQSHL_scalar)
BY_HELPER(SQRSHL_vec)
BY_HELPER(SQRSHL_scalar)
BY_HELPER(UQRSHL_vec)
BY_HELPER(UQRSHL_scalar)
BY_HELPER(SQSHL_imm_vec)
BY_HELPER(SQSHL_imm_scalar)
BY_HELPER(UQSHL_imm_vec)
BY_HELPER(UQSHL_imm_scalar)
BY_HELPER(SQSHLU_vec)
BY_HELPER(SQSHLU_scalar)
BY_HELPER(SUQADD_vec)
BY_HELPER(SUQADD_scalar)
BY_HELPER(USQADD_vec)
BY_HELPER(USQADD_scalar)
BY_HELPER(SQABS_vec)
BY_HELPER(SQABS_scalar)
BY_HELPER(SQNEG_vec)
BY_HELPER(SQNEG_scalar)
BY_HELPER(SQRDMLAH_vec)
BY_HELPER(SQRDMLAH_scalar)
BY_HELPER(SQRDMLAH_elem)
BY_HELPER(SQRDMLAH_elem_scalar)
BY_HELPER(SQRDMLSH_vec)
BY_HELPER(SQRDMLSH_scalar)
BY_HELPER(SQRDMLSH_elem)
BY_HELPER(SQRDMLSH_elem_scalar)
BY_HELPER(SQDMULL_scalar)
BY_HELPER(SQDMULL_elem_scalar)
BY_HELPER(SQDMLAL_vec)
BY_HELPER(SQDMLAL_scalar)
BY_HELPER(SQDMLAL_elem)
BY_HELPER(SQDMLAL_elem_scalar)
BY_HELPER(SQDMLSL_vec)
BY_HELPER(SQDMLSL_scalar)
BY_HELPER(SQDMLSL_elem)
BY_HELPER(SQDMLSL_elem_scalar)
BY_HELPER(CLS_vec)
BY_HELPER(PMUL_vec)
BY_HELPER(PMULL_8)
BY_HELPER(SMMLA)
BY_HELPER(UMMLA)
BY_HELPER(USMMLA)
