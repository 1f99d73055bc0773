/*
 * lower_simd_long.c - widening and narrowing arithmetic, pairwise and across-lane operations (Arm
 * ARM C4.1.97: three different, across lanes, the pairwise ones of three same). Q selects the upper
 * half of the narrow sources, or of the narrow result ("...2" mnemonics).
 */
#include "translate/lower_simd.h"

static const uint16_t smax[] = {V_PMAXSB, V_PMAXSW, V_PMAXSD},
                      smin[] = {V_PMINSB, V_PMINSW, V_PMINSD};
static const uint16_t umax[] = {V_PMAXUB, V_PMAXUW, V_PMAXUD},
                      umin[] = {V_PMINUB, V_PMINUW, V_PMINUD};

/* ---- add and subtract long and wide ---- */

static void add_long(struct lower *l, uint32_t w, bool sign, const uint16_t *op) {
    unsigned d = a64_Rd(w), size = a64_size(w);
    v_extend(l, VT0, a64_Rn(w), size, sign, a64_Q(w));
    v_extend(l, VT1, a64_Rm(w), size, sign, a64_Q(w));
    unsigned dst = v_dst(d, VT0);
    v_op(l, op[size + 1], dst, VT0, x64_r(VT1));
    v_commit(l, d, dst);
}
LOWER(SADDL) {
    add_long(l, w, true, v_add_op);
}
LOWER(UADDL) {
    add_long(l, w, false, v_add_op);
}
LOWER(SSUBL) {
    add_long(l, w, true, v_sub_op);
}
LOWER(USUBL) {
    add_long(l, w, false, v_sub_op);
}

static void add_wide(struct lower *l, uint32_t w, bool sign, const uint16_t *op) {
    unsigned d = a64_Rd(w), size = a64_size(w), dst = v_dst(d, VT0);
    v_extend(l, VT1, a64_Rm(w), size, sign, a64_Q(w));
    v_op_rm(l, op[size + 1], dst, vr(a64_Rn(w)), x64_r(VT1));
    v_commit(l, d, dst);
}
LOWER(SADDW) {
    add_wide(l, w, true, v_add_op);
}
LOWER(UADDW) {
    add_wide(l, w, false, v_add_op);
}
LOWER(SSUBW) {
    add_wide(l, w, true, v_sub_op);
}
LOWER(USUBW) {
    add_wide(l, w, false, v_sub_op);
}

/* ---- absolute difference long ---- */

/* V<d> (+)= |n - m|, which as an unsigned number fits the narrow element. */
static void difference_long(struct lower *l, uint32_t w, bool sign, bool add) {
    static const uint16_t zx[] = {V_PMOVZXBW, V_PMOVZXWD, V_PMOVZXDQ};
    unsigned d = a64_Rd(w), size = a64_size(w);
    x64_rm n = vr(a64_Rn(w)), m = vr(a64_Rm(w));
    v_op_rm(l, sign ? smax[size] : umax[size], VT0, n, m);
    v_op_rm(l, sign ? smin[size] : umin[size], VT1, n, m);
    x64_v3(l->a, v_sub_op[size], 16, VT0, VT0, x64_r(VT1));
    if (a64_Q(w))
        x64_vshift_i(l->a, V_PSRLDQ, 16, VT0, VT0, 8);
    x64_v2(l->a, zx[size], 16, VT0, x64_r(VT0));
    if (add)
        v_last(l, v_add_op[size + 1], d, VT0, vr(d), 16);
    else
        v_finish(l, d, VT0, 16);
}
LOWER(SABDL) {
    difference_long(l, w, true, false);
}
LOWER(UABDL) {
    difference_long(l, w, false, false);
}
LOWER(SABAL) {
    difference_long(l, w, true, true);
}
LOWER(UABAL) {
    difference_long(l, w, false, true);
}

/* ---- multiply long ---- */

/*
 * VT0 = V<n> * src of twice the width, of the low or high halves. src is V<m> or a register with
 * copies of an element (then `splat`).
 */
void v_multiply_long(struct lower *l, unsigned size, bool sign, bool high, unsigned n, x64_rm src) {
    struct x64_asm *a = l->a;
    switch (size) {
    case 0: /* products of extended bytes fit 16 bits */
        v_extend(l, VT0, n, 0, sign, high);
        if (high) {
            x64_v2_i(a, V_PSHUFD, 16, VT1, src, 0xee);
            src = x64_r(VT1);
        }
        x64_v2(a, sign ? V_PMOVSXBW : V_PMOVZXBW, 16, VT1, src);
        x64_v3(a, V_PMULLW, 16, VT0, VT0, x64_r(VT1));
        break;
    case 1:
        if (sign) { /* PMADDWD with zeros beside V<n>'s elements gives the single products */
            if (high)
                v_zero(l, VT2);
            if (high)
                v_op_rm(l, V_PUNPCKHWD, VT0, vr(n), x64_r(VT2));
            else
                x64_v2(a, V_PMOVZXWD, 16, VT0, vr(n));
            if (high)
                v_op_rm(l, V_PUNPCKHWD, VT1, src, x64_r(VT2));
            else
                x64_v2(a, V_PMOVZXWD, 16, VT1, src);
            x64_v3(a, V_PMADDWD, 16, VT0, VT0, x64_r(VT1));
            break;
        }
        /* low and high halves of the products, interleaved */
        v_load(l, VT1, src);
        v_op_rm(l, V_PMULLW, VT0, vr(n), x64_r(VT1));
        x64_v3(a, V_PMULHUW, 16, VT1, VT1, vr(n));
        x64_v3(a, high ? V_PUNPCKHWD : V_PUNPCKLWD, 16, VT0, VT0, x64_r(VT1));
        break;
    default: /* PMULDQ takes elements 0 and 2 */
        x64_v2_i(a, V_PSHUFD, 16, VT0, vr(n), high ? 0xfa : 0x50);
        x64_v2_i(a, V_PSHUFD, 16, VT1, src, high ? 0xfa : 0x50);
        x64_v3(a, sign ? V_PMULDQ : V_PMULUDQ, 16, VT0, VT0, x64_r(VT1));
    }
}

enum accumulate { ACC_NONE, ACC_ADD, ACC_SUB };

/* V<d> = VT0, V<d> + VT0 or V<d> - VT0, elements of `size`. */
static void finish_accumulating(struct lower *l, unsigned d, unsigned size, enum accumulate acc) {
    if (acc == ACC_NONE) {
        v_finish(l, d, VT0, 16);
        return;
    }
    unsigned dst = v_read(l, d, VT1);
    x64_v3(l->a, acc == ACC_ADD ? v_add_op[size] : v_sub_op[size], 16, dst, dst, x64_r(VT0));
    v_commit(l, d, dst);
}

static void multiply_long_vec(struct lower *l, uint32_t w, bool sign, enum accumulate acc) {
    v_multiply_long(l, a64_size(w), sign, a64_Q(w), a64_Rn(w), vr(a64_Rm(w)));
    finish_accumulating(l, a64_Rd(w), a64_size(w) + 1, acc);
}
LOWER(SMULL_vec) {
    multiply_long_vec(l, w, true, ACC_NONE);
}
LOWER(UMULL_vec) {
    multiply_long_vec(l, w, false, ACC_NONE);
}
LOWER(SMLAL_vec) {
    multiply_long_vec(l, w, true, ACC_ADD);
}
LOWER(UMLAL_vec) {
    multiply_long_vec(l, w, false, ACC_ADD);
}
LOWER(SMLSL_vec) {
    multiply_long_vec(l, w, true, ACC_SUB);
}
LOWER(UMLSL_vec) {
    multiply_long_vec(l, w, false, ACC_SUB);
}

static void multiply_long_elem(struct lower *l, uint32_t w, bool sign, enum accumulate acc) {
    unsigned size = a64_size(w), hl = bits(w, 11, 1) << 1 | bits(w, 21, 1), m = a64_Rm(w);
    if (size == 1)
        v_splat_element(l, 1, VT1, m & 15, hl << 1 | bits(w, 20, 1));
    else
        v_splat_element(l, 2, VT1, m, hl);
    v_multiply_long(l, size, sign, a64_Q(w), a64_Rn(w), x64_r(VT1));
    finish_accumulating(l, a64_Rd(w), size + 1, acc);
}
LOWER(SMULL_elem) {
    multiply_long_elem(l, w, true, ACC_NONE);
}
LOWER(UMULL_elem) {
    multiply_long_elem(l, w, false, ACC_NONE);
}
LOWER(SMLAL_elem) {
    multiply_long_elem(l, w, true, ACC_ADD);
}
LOWER(UMLAL_elem) {
    multiply_long_elem(l, w, false, ACC_ADD);
}
LOWER(SMLSL_elem) {
    multiply_long_elem(l, w, true, ACC_SUB);
}
LOWER(UMLSL_elem) {
    multiply_long_elem(l, w, false, ACC_SUB);
}

/* ---- add and subtract, high half narrow ---- */

static void add_high(struct lower *l, uint32_t w, const uint16_t *op, bool round) {
    unsigned size = a64_size(w), esize = 8u << size;
    v_op_rm(l, op[size + 1], VT0, vr(a64_Rn(w)), vr(a64_Rm(w)));
    if (round)
        x64_v3(l->a, v_add_op[size + 1], 16, VT0, VT0, v_splat(l, size + 1, 1ull << (esize - 1)));
    v_shift(l, v_shr_op[size + 1], VT0, VT0, esize);
    v_truncate(l, size, VT0, VT0);
    v_finish_narrow(l, w, VT0);
}
LOWER(ADDHN) {
    add_high(l, w, v_add_op, false);
}
LOWER(SUBHN) {
    add_high(l, w, v_sub_op, false);
}
LOWER(RADDHN) {
    add_high(l, w, v_add_op, true);
}
LOWER(RSUBHN) {
    add_high(l, w, v_sub_op, true);
}

/* ---- pairwise ---- */

/*
 * Bytes and halfwords: the first of each pair go to the low half of the register, the second to the
 * high half, then the halves of V<n> and V<m> are joined. When both are the same register, the two
 * halves of the result are too.
 */
static void pairwise_small(struct lower *l, uint32_t w, enum x64_vop op, unsigned size) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w);
    x64_rm split = size ? v_const(l, 0x0d0c090805040100, 0x0f0e0b0a07060302)
                        : v_const(l, 0x0e0c0a0806040200, 0x0f0d0b0907050301);
    if (!a64_Q(w)) {
        v_join_low(l, VT0, n, m);
        x64_v3(l->a, V_PSHUFB, 16, VT0, VT0, split);
        x64_v2_i(l->a, V_PSHUFD, 16, VT1, x64_r(VT0), 0xee);
    } else if (n == m) {
        v_op_rm(l, V_PSHUFB, VT0, vr(n), split);
        x64_v2_i(l->a, V_PSHUFD, 16, VT1, x64_r(VT0), 0x4e);
    } else {
        v_op_rm(l, V_PSHUFB, VT1, vr(n), split);
        v_op_rm(l, V_PSHUFB, VT2, vr(m), split);
        v_op(l, V_PUNPCKLQDQ, VT0, VT1, x64_r(VT2));
        x64_v3(l->a, V_PUNPCKHQDQ, 16, VT1, VT1, x64_r(VT2));
    }
    v_last(l, op, d, VT0, x64_r(VT1), v_bytes(w));
}

static void pairwise(struct lower *l, uint32_t w, enum x64_vop op) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w), size = a64_size(w);
    if (size < 2) {
        pairwise_small(l, w, op, size);
        return;
    }
    if (size == 3 && n == m) {
        x64_v2_i(l->a, V_PSHUFD, 16, VT0, vr(n), 0x4e);
        v_last(l, op, d, VT0, vr(n), 16);
        return;
    }
    if (a64_Q(w)) {
        v_unzip(l, size, false, VT0, vr(n), vr(m));
        v_unzip(l, size, true, VT1, vr(n), vr(m));
    } else {
        v_join_low(l, VT1, n, m);
        v_unzip(l, size, false, VT0, x64_r(VT1), x64_r(VT1));
        v_unzip(l, size, true, VT1, x64_r(VT1), x64_r(VT1));
    }
    v_last(l, op, d, VT0, x64_r(VT1), v_bytes(w));
}
LOWER(ADDP_vec) {
    pairwise(l, w, v_add_op[a64_size(w)]);
}
LOWER(SMAXP_vec) {
    pairwise(l, w, smax[a64_size(w)]);
}
LOWER(SMINP_vec) {
    pairwise(l, w, smin[a64_size(w)]);
}
LOWER(UMAXP_vec) {
    pairwise(l, w, umax[a64_size(w)]);
}
LOWER(UMINP_vec) {
    pairwise(l, w, umin[a64_size(w)]);
}

LOWER(ADDP_scalar) {
    unsigned d = a64_Rd(w), n = a64_Rn(w);
    x64_v2_i(l->a, V_PSHUFD, 16, VT0, vr(n), 0xee);
    v_last(l, V_PADDQ, d, VT0, vr(n), 8);
}

/* dst = sums of neighbours in src, elements twice as wide. Uses VT2; dst is not src. */
static void add_pairs_long(struct lower *l, unsigned size, bool sign, unsigned dst, unsigned src) {
    struct x64_asm *a = l->a;
    if (size == 0 && sign) { /* PMADDUBSW: the first source is unsigned */
        v_load(l, dst, v_splat(l, 0, 1));
        x64_v3(a, V_PMADDUBSW, 16, dst, dst, x64_r(src));
    } else if (size == 0) {
        v_op(l, V_PMADDUBSW, dst, src, v_splat(l, 0, 1));
    } else if (size == 1 && sign) {
        v_op(l, V_PMADDWD, dst, src, v_splat(l, 1, 1));
    } else if (size == 1) {
        x64_vshift_i(a, V_PSRLD, 16, VT2, src, 16);
        v_op(l, V_PAND, dst, src, v_splat(l, 2, 0xffff));
        x64_v3(a, V_PADDD, 16, dst, dst, x64_r(VT2));
    } else {
        x64_v2_i(a, V_PSHUFD, 16, dst, x64_r(src), 0x08);
        x64_v2(a, sign ? V_PMOVSXDQ : V_PMOVZXDQ, 16, dst, x64_r(dst));
        x64_v2_i(a, V_PSHUFD, 16, VT2, x64_r(src), 0x0d);
        x64_v2(a, sign ? V_PMOVSXDQ : V_PMOVZXDQ, 16, VT2, x64_r(VT2));
        x64_v3(a, V_PADDQ, 16, dst, dst, x64_r(VT2));
    }
}

static void add_pairwise_long(struct lower *l, uint32_t w, bool sign, bool accumulate) {
    unsigned d = a64_Rd(w), size = a64_size(w);
    add_pairs_long(l, size, sign, VT0, v_read(l, a64_Rn(w), VT1));
    if (accumulate)
        v_last(l, v_add_op[size + 1], d, VT0, vr(d), v_bytes(w));
    else
        v_finish(l, d, VT0, v_bytes(w));
}
LOWER(SADDLP_vec) {
    add_pairwise_long(l, w, true, false);
}
LOWER(UADDLP_vec) {
    add_pairwise_long(l, w, false, false);
}
LOWER(SADALP_vec) {
    add_pairwise_long(l, w, true, true);
}
LOWER(UADALP_vec) {
    add_pairwise_long(l, w, false, true);
}

/* ---- across lanes ---- */

/* Folds VT0's upper lanes onto its lowest element of `size`: VT0 op= VT0 >> 8, 4, .. bytes. Uses
 * VT1. */
static void fold(struct lower *l, enum x64_vop op, unsigned size, unsigned from_bytes) {
    for (unsigned shift = from_bytes; shift >= 1u << size; shift /= 2) {
        x64_vshift_i(l->a, V_PSRLDQ, 16, VT1, VT0, (uint8_t)shift);
        x64_v3(l->a, op, 16, VT0, VT0, x64_r(VT1));
    }
}

/*
 * Minimum or maximum of bytes or halfwords by PHMINPOSUW, which finds the least unsigned halfword:
 * `flip` makes the wanted one the least (the sign bit for signed numbers, the others for a
 * maximum). Words and the rest: by folding.
 */
static void across(struct lower *l, uint32_t w, enum x64_vop op, uint16_t flip) {
    unsigned d = a64_Rd(w), size = a64_size(w), src = v_read_folded(l, w, a64_Rn(w), VT0);
    if (size == 2) {
        v_move(l, VT0, src);
        fold(l, op, 2, 8);
        v_finish(l, d, VT0, 4);
        return;
    }
    x64_rm mask = v_splat(l, size, size ? flip : flip >> 8);
    if (flip) {
        v_op(l, V_PXOR, VT0, src, mask);
        src = VT0;
    }
    if (size == 0) { /* the lesser byte of each pair, zero-extended */
        x64_vshift_i(l->a, V_PSRLW, 16, VT1, src, 8);
        v_op(l, V_PMINUB, VT0, src, x64_r(VT1));
        src = VT0;
    }
    x64_v2(l->a, V_PHMINPOSUW, 16, VT0, x64_r(src));
    if (flip)
        x64_v3(l->a, V_PXOR, 16, VT0, VT0, mask);
    v_finish(l, d, VT0, 1u << size);
}
LOWER(UMINV) {
    across(l, w, umin[a64_size(w)], 0);
}
LOWER(UMAXV) {
    across(l, w, umax[a64_size(w)], 0xffff);
}
LOWER(SMINV) {
    across(l, w, smin[a64_size(w)], a64_size(w) ? 0x8000 : 0x8080);
}
LOWER(SMAXV) {
    across(l, w, smax[a64_size(w)], a64_size(w) ? 0x7fff : 0x7f7f);
}

LOWER(ADDV) {
    unsigned d = a64_Rd(w), size = a64_size(w);
    if (a64_Q(w))
        v_copy(l, VT0, a64_Rn(w));
    else
        x64_v2(l->a, V_MOVQ, 16, VT0, vr(a64_Rn(w)));
    if (size == 0) {
        v_zero(l, VT1);
        x64_v3(l->a, V_PSADBW, 16, VT0, VT0, x64_r(VT1));
        fold(l, V_PADDQ, 3, 8);
    } else {
        fold(l, v_add_op[size], size, 8);
    }
    v_finish(l, d, VT0, 1u << size);
}

static void add_long_across(struct lower *l, uint32_t w, bool sign) {
    unsigned d = a64_Rd(w), size = a64_size(w), src = VT1;
    if (a64_Q(w))
        src = v_read(l, a64_Rn(w), VT1);
    else
        x64_v2(l->a, V_MOVQ, 16, VT1, vr(a64_Rn(w)));
    add_pairs_long(l, size, sign, VT0, src);
    fold(l, v_add_op[size + 1], size + 1, 8);
    v_finish(l, d, VT0, 2u << size);
}
LOWER(SADDLV) {
    add_long_across(l, w, true);
}
LOWER(UADDLV) {
    add_long_across(l, w, false);
}
