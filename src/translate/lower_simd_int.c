/*
 * lower_simd_int.c - Advanced SIMD integer arithmetic, comparison and logic, lane by lane (Arm ARM
 * C4.1.97: three same, two-register miscellaneous, and their scalar forms on 64 bits). Shifts,
 * widening and narrowing, pairwise and across lanes are in files of their own.
 *
 * A _scalar form of 64 bits is the vector form on the low half: `bytes` is 8 for both.
 */
#include "translate/lower_simd.h"

/* ---- add, subtract, logic ---- */

LOWER(ADD_vec) {
    v_binary(l, v_add_op[a64_size(w)], a64_Rd(w), a64_Rn(w), a64_Rm(w), v_bytes(w));
}
LOWER(SUB_vec) {
    v_binary(l, v_sub_op[a64_size(w)], a64_Rd(w), a64_Rn(w), a64_Rm(w), v_bytes(w));
}
LOWER(ADD_scalar) {
    v_binary(l, V_PADDQ, a64_Rd(w), a64_Rn(w), a64_Rm(w), 8);
}
LOWER(SUB_scalar) {
    v_binary(l, V_PSUBQ, a64_Rd(w), a64_Rn(w), a64_Rm(w), 8);
}
LOWER(AND_vec) {
    v_binary(l, V_PAND, a64_Rd(w), a64_Rn(w), a64_Rm(w), v_bytes(w));
}
LOWER(BIC_vec) {
    v_binary(l, V_PANDN, a64_Rd(w), a64_Rm(w), a64_Rn(w), v_bytes(w));
}

LOWER(ORR_vec) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w);
    if (n != m) {
        v_binary(l, V_POR, d, n, m, v_bytes(w));
        return;
    }
    unsigned dst = v_dst(d, VT0);
    x64_v2(l->a, a64_Q(w) ? V_MOVAPS : V_MOVQ, 16, dst, vr(n));
    v_commit(l, d, dst);
}

LOWER(EOR_vec) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w);
    if (n != m) {
        v_binary(l, V_PXOR, d, n, m, v_bytes(w));
        return;
    }
    unsigned dst = v_dst(d, VT0);
    v_zero(l, dst);
    v_commit(l, d, dst);
}

LOWER(ORN_vec) {
    v_not(l, VT0, v_read(l, a64_Rm(w), VT0));
    v_last(l, V_POR, a64_Rd(w), VT0, vr(a64_Rn(w)), v_bytes(w));
}

LOWER(NOT_vec) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    v_not(l, dst, v_read(l, a64_Rn(w), VT0));
    v_finish(l, d, dst, v_bytes(w));
}

/* V<d> = V<mask> ? V<yes> : V<no> by bit. One of the three is V<d>, for which AVX-512 has it in one
 * instruction. */
static void select(struct lower *l, uint32_t w, unsigned mask, unsigned yes, unsigned no,
                   uint8_t ternary) {
    unsigned d = a64_Rd(w);
    if (l->a->feat.avx512) { /* ternary: as a function of d, n, m */
        unsigned dst = v_read(l, d, VT0), n = v_read(l, a64_Rn(w), VT1);
        x64_v3_i(l->a, V_VPTERNLOGD, 16, dst, n, vr(a64_Rm(w)), ternary);
        v_finish(l, d, dst, v_bytes(w));
        return;
    }
    v_op_rm(l, V_PAND, VT0, vr(mask), vr(yes));
    v_op_rm(l, V_PANDN, VT1, vr(mask), vr(no));
    v_last(l, V_POR, d, VT0, x64_r(VT1), v_bytes(w));
}
LOWER(BSL_vec) {
    select(l, w, a64_Rd(w), a64_Rn(w), a64_Rm(w), 0xca);
}
LOWER(BIT_vec) {
    select(l, w, a64_Rm(w), a64_Rn(w), a64_Rd(w), 0xd8);
}
LOWER(BIF_vec) {
    select(l, w, a64_Rm(w), a64_Rd(w), a64_Rn(w), 0xe4);
}

static void negate(struct lower *l, unsigned d, unsigned n, unsigned size, unsigned bytes) {
    v_zero(l, VT0);
    unsigned dst = v_dst(d, VT0);
    v_op(l, v_sub_op[size], dst, VT0, vr(n));
    v_finish(l, d, dst, bytes);
}
LOWER(NEG_vec) {
    negate(l, a64_Rd(w), a64_Rn(w), a64_size(w), v_bytes(w));
}
LOWER(NEG_scalar) {
    negate(l, a64_Rd(w), a64_Rn(w), 3, 8);
}

static void absolute(struct lower *l, unsigned d, unsigned n, unsigned size, unsigned bytes) {
    static const uint16_t op[] = {V_PABSB, V_PABSW, V_PABSD};
    unsigned dst = v_dst(d, VT0);
    if (size < 3) {
        x64_v2(l->a, op[size], 16, dst, vr(n));
    } else { /* (x ^ sign) - sign */
        unsigned src = v_read(l, n, VT0);
        v_sign64(l, VT1, src);
        v_op(l, V_PXOR, dst, src, x64_r(VT1));
        x64_v3(l->a, V_PSUBQ, 16, dst, dst, x64_r(VT1));
    }
    v_finish(l, d, dst, bytes);
}
LOWER(ABS_vec) {
    absolute(l, a64_Rd(w), a64_Rn(w), a64_size(w), v_bytes(w));
}
LOWER(ABS_scalar) {
    absolute(l, a64_Rd(w), a64_Rn(w), 3, 8);
}

/* ---- multiply ---- */

/* dst = n * m by element; dst is a scratch but not VT2. Bytes: odd and even separately, in 16 bits.
 */
static void multiply(struct lower *l, unsigned size, unsigned dst, x64_rm n, x64_rm m) {
    if (size) {
        v_op_rm(l, size == 1 ? V_PMULLW : V_PMULLD, dst, n, m);
        return;
    }
    unsigned odd = dst == VT0 ? VT1 : VT0;
    v_load(l, odd, n);
    v_load(l, VT2, m);
    v_op_rm(l, V_PMULLW, dst, x64_r(odd), x64_r(VT2));
    x64_vshift_i(l->a, V_PSRLW, 16, odd, odd, 8);
    x64_vshift_i(l->a, V_PSRLW, 16, VT2, VT2, 8);
    x64_v3(l->a, V_PMULLW, 16, odd, odd, x64_r(VT2));
    x64_vshift_i(l->a, V_PSLLW, 16, odd, odd, 8);
    x64_v3(l->a, V_PAND, 16, dst, dst, v_splat(l, 1, 0xff));
    x64_v3(l->a, V_POR, 16, dst, dst, x64_r(odd));
}

LOWER(MUL_vec) {
    unsigned d = a64_Rd(w), size = a64_size(w);
    if (size) {
        v_binary(l, size == 1 ? V_PMULLW : V_PMULLD, d, a64_Rn(w), a64_Rm(w), v_bytes(w));
    } else {
        multiply(l, size, VT0, vr(a64_Rn(w)), vr(a64_Rm(w)));
        v_finish(l, d, VT0, v_bytes(w));
    }
}

/* V<d> = V<d> op VT0 */
static void accumulate(struct lower *l, enum x64_vop op, unsigned d, unsigned bytes) {
    unsigned acc = v_read(l, d, VT1);
    x64_v3(l->a, op, 16, acc, acc, x64_r(VT0));
    v_finish(l, d, acc, bytes);
}

LOWER(MLA_vec) {
    multiply(l, a64_size(w), VT0, vr(a64_Rn(w)), vr(a64_Rm(w)));
    accumulate(l, v_add_op[a64_size(w)], a64_Rd(w), v_bytes(w));
}
LOWER(MLS_vec) {
    multiply(l, a64_size(w), VT0, vr(a64_Rn(w)), vr(a64_Rm(w)));
    accumulate(l, v_sub_op[a64_size(w)], a64_Rd(w), v_bytes(w));
}

/* By element: size 1 is H:L:M of V<m & 15>, size 2 is H:L of V<m>. VT0 = V<n> * element. */
static void multiply_element(struct lower *l, uint32_t w) {
    unsigned size = a64_size(w), h = bits(w, 11, 1), hl = h << 1 | bits(w, 21, 1);
    unsigned m = a64_Rm(w);
    if (size == 1)
        v_splat_element(l, 1, VT0, m & 15, hl << 1 | bits(w, 20, 1));
    else
        v_splat_element(l, 2, VT0, m, hl);
    x64_v3(l->a, size == 1 ? V_PMULLW : V_PMULLD, 16, VT0, VT0, vr(a64_Rn(w)));
}
LOWER(MUL_elem) {
    multiply_element(l, w);
    v_finish(l, a64_Rd(w), VT0, v_bytes(w));
}
LOWER(MLA_elem) {
    multiply_element(l, w);
    accumulate(l, v_add_op[a64_size(w)], a64_Rd(w), v_bytes(w));
}
LOWER(MLS_elem) {
    multiply_element(l, w);
    accumulate(l, v_sub_op[a64_size(w)], a64_Rd(w), v_bytes(w));
}

/* ---- maximum, minimum, absolute difference ---- */

static const uint16_t smax[] = {V_PMAXSB, V_PMAXSW, V_PMAXSD},
                      smin[] = {V_PMINSB, V_PMINSW, V_PMINSD};
static const uint16_t umax[] = {V_PMAXUB, V_PMAXUW, V_PMAXUD},
                      umin[] = {V_PMINUB, V_PMINUW, V_PMINUD};

LOWER(SMAX_vec) {
    v_binary(l, smax[a64_size(w)], a64_Rd(w), a64_Rn(w), a64_Rm(w), v_bytes(w));
}
LOWER(SMIN_vec) {
    v_binary(l, smin[a64_size(w)], a64_Rd(w), a64_Rn(w), a64_Rm(w), v_bytes(w));
}
LOWER(UMAX_vec) {
    v_binary(l, umax[a64_size(w)], a64_Rd(w), a64_Rn(w), a64_Rm(w), v_bytes(w));
}
LOWER(UMIN_vec) {
    v_binary(l, umin[a64_size(w)], a64_Rd(w), a64_Rn(w), a64_Rm(w), v_bytes(w));
}

/* VT0 = |V<n> - V<m>| = max - min */
static void difference(struct lower *l, uint32_t w, bool sign) {
    unsigned size = a64_size(w);
    x64_rm n = vr(a64_Rn(w)), m = vr(a64_Rm(w));
    v_op_rm(l, sign ? smax[size] : umax[size], VT0, n, m);
    v_op_rm(l, sign ? smin[size] : umin[size], VT1, n, m);
    x64_v3(l->a, v_sub_op[size], 16, VT0, VT0, x64_r(VT1));
}
static void difference_to(struct lower *l, uint32_t w, bool sign, bool add) {
    difference(l, w, sign);
    if (add)
        accumulate(l, v_add_op[a64_size(w)], a64_Rd(w), v_bytes(w));
    else
        v_finish(l, a64_Rd(w), VT0, v_bytes(w));
}
LOWER(SABD_vec) {
    difference_to(l, w, true, false);
}
LOWER(UABD_vec) {
    difference_to(l, w, false, false);
}
LOWER(SABA_vec) {
    difference_to(l, w, true, true);
}
LOWER(UABA_vec) {
    difference_to(l, w, false, true);
}

/* ---- halving add and subtract ---- */

/*
 * Unsigned: PAVG rounds up, so URHADD is PAVG for bytes and halfwords; UHADD and the others go by
 * (n & m) + ((n ^ m) >> 1), and URHADD by (n | m) - ((n ^ m) >> 1). Signed numbers become unsigned
 * by flipping the sign bit, before and after. UHSUB: n - m + 2^k, halved, is uhadd(n, ~m + ...) =
 * (n ^ m) >> 1 with the borrow: (n >> 1) - (m >> 1) - (~n & m & 1).
 */
static void half_shift(struct lower *l, unsigned size, bool sign, unsigned reg) {
    static const uint16_t sra[] = {V_NONE, V_PSRAW, V_PSRAD};
    if (size) {
        x64_vshift_i(l->a, sign ? sra[size] : v_shr_op[size], 16, reg, reg, 1);
        return;
    }
    x64_vshift_i(l->a, V_PSRLW, 16, reg, reg, 1);
    x64_v3(l->a, V_PAND, 16, reg, reg, v_splat(l, 0, 0x7f));
    if (sign) { /* copy bit 6 into bit 7: (x ^ 0x40) - 0x40 */
        x64_v3(l->a, V_PXOR, 16, reg, reg, v_splat(l, 0, 0x40));
        x64_v3(l->a, V_PSUBB, 16, reg, reg, v_splat(l, 0, 0x40));
    }
}

static void halving_add(struct lower *l, uint32_t w, bool sign, bool round) {
    unsigned d = a64_Rd(w), size = a64_size(w);
    x64_rm n = vr(a64_Rn(w)), m = vr(a64_Rm(w));
    if (round && !sign && size < 2) {
        v_binary(l, size ? V_PAVGW : V_PAVGB, d, a64_Rn(w), a64_Rm(w), v_bytes(w));
        return;
    }
    v_op_rm(l, V_PXOR, VT0, n, m);
    half_shift(l, size, sign, VT0);
    v_op_rm(l, round ? V_POR : V_PAND, VT1, n, m);
    x64_v3(l->a, round ? v_sub_op[size] : v_add_op[size], 16, VT1, VT1, x64_r(VT0));
    v_finish(l, d, VT1, v_bytes(w));
}
LOWER(SHADD_vec) {
    halving_add(l, w, true, false);
}
LOWER(UHADD_vec) {
    halving_add(l, w, false, false);
}
LOWER(SRHADD_vec) {
    halving_add(l, w, true, true);
}
LOWER(URHADD_vec) {
    halving_add(l, w, false, true);
}

static void halving_sub(struct lower *l, uint32_t w, bool sign) { /* ((n ^ m) >> 1) - (~n & m) */
    unsigned size = a64_size(w);
    x64_rm n = vr(a64_Rn(w)), m = vr(a64_Rm(w));
    v_op_rm(l, V_PXOR, VT0, n, m);
    half_shift(l, size, sign, VT0);
    v_op_rm(l, V_PANDN, VT1, n, m);
    v_last(l, v_sub_op[size], a64_Rd(w), VT0, x64_r(VT1), v_bytes(w));
}
LOWER(SHSUB_vec) {
    halving_sub(l, w, true);
}
LOWER(UHSUB_vec) {
    halving_sub(l, w, false);
}

/* ---- compare ---- */

/* V<d> = all ones where V<n> > V<m>, else zero; `invert` for the opposite. */
static void compare_greater(struct lower *l, unsigned size, unsigned d, unsigned n, unsigned m,
                            bool invert, unsigned bytes) {
    if (!invert) {
        v_binary(l, v_cmpgt_op[size], d, n, m, bytes);
        return;
    }
    v_op_rm(l, v_cmpgt_op[size], VT0, vr(n), vr(m));
    v_ones(l, VT1);
    v_last(l, V_PXOR, d, VT0, x64_r(VT1), bytes);
}

/* V<d> = V<n> >= V<m> unsigned: max(n, m) == n. `invert`: less. */
static void compare_higher_same(struct lower *l, unsigned size, unsigned d, unsigned n, unsigned m,
                                bool invert, unsigned bytes) {
    if (size == 3) { /* m > n after flipping the sign bits; both or neither inverted */
        x64_rm sign = v_const2(l, 1ull << 63);
        v_op_rm(l, V_PXOR, VT0, vr(m), sign);
        v_op_rm(l, V_PXOR, VT1, vr(n), sign);
        x64_v3(l->a, V_PCMPGTQ, 16, VT0, VT0, x64_r(VT1));
        invert = !invert;
    } else {
        v_op_rm(l, umax[size], VT0, vr(n), vr(m));
        x64_v3(l->a, v_cmpeq_op[size], 16, VT0, VT0, vr(n));
    }
    if (invert) {
        v_ones(l, VT1);
        x64_v3(l->a, V_PXOR, 16, VT0, VT0, x64_r(VT1));
    }
    v_finish(l, d, VT0, bytes);
}

LOWER(CMEQ_vec) {
    v_binary(l, v_cmpeq_op[a64_size(w)], a64_Rd(w), a64_Rn(w), a64_Rm(w), v_bytes(w));
}
LOWER(CMGT_vec) {
    compare_greater(l, a64_size(w), a64_Rd(w), a64_Rn(w), a64_Rm(w), false, v_bytes(w));
}
LOWER(CMGE_vec) {
    compare_greater(l, a64_size(w), a64_Rd(w), a64_Rm(w), a64_Rn(w), true, v_bytes(w));
}
LOWER(CMHS_vec) {
    compare_higher_same(l, a64_size(w), a64_Rd(w), a64_Rn(w), a64_Rm(w), false, v_bytes(w));
}
LOWER(CMHI_vec) {
    compare_higher_same(l, a64_size(w), a64_Rd(w), a64_Rm(w), a64_Rn(w), true, v_bytes(w));
}
LOWER(CMEQ_scalar) {
    v_binary(l, V_PCMPEQQ, a64_Rd(w), a64_Rn(w), a64_Rm(w), 8);
}
LOWER(CMGT_scalar) {
    compare_greater(l, 3, a64_Rd(w), a64_Rn(w), a64_Rm(w), false, 8);
}
LOWER(CMGE_scalar) {
    compare_greater(l, 3, a64_Rd(w), a64_Rm(w), a64_Rn(w), true, 8);
}
LOWER(CMHS_scalar) {
    compare_higher_same(l, 3, a64_Rd(w), a64_Rn(w), a64_Rm(w), false, 8);
}
LOWER(CMHI_scalar) {
    compare_higher_same(l, 3, a64_Rd(w), a64_Rm(w), a64_Rn(w), true, 8);
}

static void compare_test(struct lower *l, unsigned size, uint32_t w, unsigned bytes) {
    unsigned n = a64_Rn(w), m = a64_Rm(w);
    v_zero(l, VT1);
    v_op_rm(l, V_PAND, VT0, vr(n), vr(m));
    x64_v3(l->a, v_cmpeq_op[size], 16, VT0, VT0, x64_r(VT1));
    v_ones(l, VT1);
    v_last(l, V_PXOR, a64_Rd(w), VT0, x64_r(VT1), bytes);
}
LOWER(CMTST_vec) {
    compare_test(l, a64_size(w), w, v_bytes(w));
}
LOWER(CMTST_scalar) {
    compare_test(l, 3, w, 8);
}

enum zero_compare { EQ_ZERO, GT_ZERO, GE_ZERO, LT_ZERO, LE_ZERO };

static void compare_zero(struct lower *l, enum zero_compare how, unsigned size, uint32_t w,
                         unsigned bytes) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    x64_rm n = vr(a64_Rn(w));
    switch (how) {
    case EQ_ZERO:
        v_zero(l, VT1);
        v_op_rm(l, v_cmpeq_op[size], dst, n, x64_r(VT1));
        break;
    case GT_ZERO:
        v_zero(l, VT1);
        v_op_rm(l, v_cmpgt_op[size], dst, n, x64_r(VT1));
        break;
    case GE_ZERO: /* > -1 */
        v_ones(l, VT1);
        v_op_rm(l, v_cmpgt_op[size], dst, n, x64_r(VT1));
        break;
    case LT_ZERO:
        v_zero(l, VT0);
        v_op(l, v_cmpgt_op[size], dst, VT0, n);
        break;
    case LE_ZERO: /* 1 > n */
        v_load(l, VT0, v_splat(l, size, 1));
        v_op(l, v_cmpgt_op[size], dst, VT0, n);
        break;
    }
    v_finish(l, d, dst, bytes);
}
LOWER(CMEQ_zero_vec) {
    compare_zero(l, EQ_ZERO, a64_size(w), w, v_bytes(w));
}
LOWER(CMGT_zero_vec) {
    compare_zero(l, GT_ZERO, a64_size(w), w, v_bytes(w));
}
LOWER(CMGE_zero_vec) {
    compare_zero(l, GE_ZERO, a64_size(w), w, v_bytes(w));
}
LOWER(CMLT_zero_vec) {
    compare_zero(l, LT_ZERO, a64_size(w), w, v_bytes(w));
}
LOWER(CMLE_zero_vec) {
    compare_zero(l, LE_ZERO, a64_size(w), w, v_bytes(w));
}
LOWER(CMEQ_zero_scalar) {
    compare_zero(l, EQ_ZERO, 3, w, 8);
}
LOWER(CMGT_zero_scalar) {
    compare_zero(l, GT_ZERO, 3, w, 8);
}
LOWER(CMGE_zero_scalar) {
    compare_zero(l, GE_ZERO, 3, w, 8);
}
LOWER(CMLT_zero_scalar) {
    compare_zero(l, LT_ZERO, 3, w, 8);
}
LOWER(CMLE_zero_scalar) {
    compare_zero(l, LE_ZERO, 3, w, 8);
}

/* ---- bits within bytes, byte order ---- */

/* V<d> = low[n & 15] op high[n >> 4] by byte. */
static void by_nibble(struct lower *l, uint32_t w, enum x64_vop op, x64_rm low, x64_rm high) {
    x64_rm mask = v_splat(l, 0, 15);
    v_load(l, VT0, vr(a64_Rn(w)));
    v_shift(l, V_PSRLW, VT1, VT0, 4);
    x64_v3(l->a, V_PAND, 16, VT0, VT0, mask);
    x64_v3(l->a, V_PAND, 16, VT1, VT1, mask);
    v_load(l, VT2, low);
    x64_v3(l->a, V_PSHUFB, 16, VT2, VT2, x64_r(VT0));
    v_load(l, VT0, high);
    x64_v3(l->a, V_PSHUFB, 16, VT0, VT0, x64_r(VT1));
    v_last(l, op, a64_Rd(w), VT0, x64_r(VT2), v_bytes(w));
}

LOWER(CNT_vec) {
    x64_rm table = v_const(l, 0x0302020102010100, 0x0403030203020201);
    by_nibble(l, w, V_PADDB, table, table);
}
LOWER(RBIT_vec) {
    by_nibble(l, w, V_POR, v_const(l, 0xe060a020c0408000, 0xf070b030d0509010),
              v_const(l, 0x0e060a020c040800, 0x0f070b030d050901));
}

/* Reverses elements of `size` within groups of `group` (log2). */
static void reverse(struct lower *l, uint32_t w, unsigned group, unsigned size) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    x64_rm n = vr(a64_Rn(w));
    if (group == 3 && size == 2) {
        x64_v2_i(l->a, V_PSHUFD, 16, dst, n, 0xb1);
    } else {
        uint64_t lo = 0, hi = 0;
        unsigned flip = (1u << group) - (1u << size); /* reversing is XOR of the element's number */
        for (unsigned i = 0; i < 8; i++) {
            lo |= (uint64_t)(i ^ flip) << i * 8;
            hi |= (uint64_t)((i ^ flip) + 8) << i * 8;
        }
        v_op_rm(l, V_PSHUFB, dst, n, v_const(l, lo, hi));
    }
    v_finish(l, d, dst, v_bytes(w));
}
LOWER(REV64_vec) {
    reverse(l, w, 3, a64_size(w));
}
LOWER(REV32_vec) {
    reverse(l, w, 2, a64_size(w));
}
LOWER(REV16_vec) {
    reverse(l, w, 1, 0);
}
