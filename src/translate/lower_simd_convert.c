/*
 * lower_simd_convert.c - Advanced SIMD conversions between FP and integer lanes and between
 * precisions, vector and scalar (Arm ARM C4.1.97). AVX-512 has most of them; else 64-bit lanes go
 * one by one through RAX, and what is rare by fp_helper. Out of range and NaN trap (fptrap.c),
 * which is why nothing here may convert a lane that is not the instruction's.
 */
#include "translate/fp_interp.h"
#include "translate/lower_simd.h"

static void by_helper(struct lower *l, uint32_t w) {
    emit_helper(l, fp_helper, w, true);
}

enum shape { VECTOR, SCALAR };

static unsigned result_bytes(enum shape shape, uint32_t w) {
    return shape == SCALAR ? fp_bytes(w) : v_bytes(w);
}

/* The operand of a packed conversion: unused lanes hold copies, which raise nothing of their own.
 */
static x64_rm source(struct lower *l, uint32_t w, enum shape shape) {
    unsigned n = a64_Rn(w);
    if (shape == VECTOR)
        return a64_Q(w) ? vr(n) : x64_r(v_read_folded(l, w, n, VT0));
    v_splat_element(l, 2 + fp_double(w), VT0, n, 0);
    return x64_r(VT0);
}

/* ---- integer to FP ---- */

/* Doubleword i of V<n> as a general register or memory operand. May use RAX. */
static x64_rm doubleword(struct lower *l, unsigned n, unsigned i) {
    x64_rm rm = vr(n);
    if (rm.is_mem) {
        rm.disp += (int32_t)i * 8;
        return rm;
    }
    if (i)
        x64_vst_i(l->a, V_PEXTRQ, 16, x64_r(RAX), rm.base, 1);
    else
        x64_vst(l->a, V_MOVD64, 16, x64_r(RAX), rm.base);
    return x64_r(RAX);
}

/* Signed doublewords, one by one. */
static void from_signed64(struct lower *l, uint32_t w, enum shape shape) {
    struct x64_asm *a = l->a;
    unsigned n = a64_Rn(w);
    v_zero(l, VT0);
    x64_v3(a, V_CVTSI2SD64, 16, VT0, VT0, doubleword(l, n, 0));
    if (shape == VECTOR) {
        v_zero(l, VT1);
        x64_v3(a, V_CVTSI2SD64, 16, VT1, VT1, doubleword(l, n, 1));
        x64_v3(a, V_PUNPCKLQDQ, 16, VT0, VT0, x64_r(VT1));
    }
    v_finish(l, a64_Rd(w), VT0, 16);
}

/* Unsigned words: the upper half's value and the lower half's are exact, their sum is rounded once.
 */
static void from_unsigned32(struct lower *l, uint32_t w, enum shape shape) {
    struct x64_asm *a = l->a;
    v_load(l, VT1, source(l, w, shape));
    v_op(l, V_PAND, VT0, VT1, v_splat(l, 2, 0xffff));
    x64_vshift_i(a, V_PSRLD, 16, VT1, VT1, 16);
    x64_v2(a, V_CVTDQ2PS, 16, VT0, x64_r(VT0));
    x64_v2(a, V_CVTDQ2PS, 16, VT1, x64_r(VT1));
    x64_v3(a, V_MULPS, 16, VT1, VT1, v_splat(l, 2, 0x47800000)); /* 2^16 */
    x64_v3(a, V_ADDPS, 16, VT0, VT0, x64_r(VT1));
    v_finish(l, a64_Rd(w), VT0, result_bytes(shape, w));
}

/*
 * Unsigned doublewords: the halves put under the exponents of 2^52 and 2^84; taking 2^84 + 2^52
 * from the upper is exact, adding the lower rounds once. Rounding down makes 0 of it -0, so that
 * zeros are cleared.
 */
static void from_unsigned64(struct lower *l, uint32_t w, enum shape shape) {
    struct x64_asm *a = l->a;
    v_load(l, VT1, source(l, w, shape));
    v_zero(l, VT2);
    x64_v3(a, V_PCMPEQQ, 16, VT2, VT2, x64_r(VT1));
    v_op_i(l, V_PBLENDW, VT0, VT1, v_const2(l, 0x4330000000000000), 0xcc);
    x64_vshift_i(a, V_PSRLQ, 16, VT1, VT1, 32);
    x64_v3(a, V_POR, 16, VT1, VT1, v_const2(l, 0x4530000000000000));
    x64_v3(a, V_SUBPD, 16, VT1, VT1, v_const2(l, 0x4530000000100000));
    x64_v3(a, V_ADDPD, 16, VT1, VT1, x64_r(VT0));
    x64_v3(a, V_PANDN, 16, VT2, VT2, x64_r(VT1));
    v_move(l, VT0, VT2);
    v_finish(l, a64_Rd(w), VT0, result_bytes(shape, w));
}

static void from_integer(struct lower *l, uint32_t w, enum shape shape, bool is_unsigned) {
    bool dbl = fp_double(w), packed = l->a->feat.avx512 || (!is_unsigned && !dbl);
    if (fp_strict(l)) {
        by_helper(l, w);
    } else if (packed) {
        unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
        enum x64_vop op = dbl ? (is_unsigned ? V_VCVTUQQ2PD : V_VCVTQQ2PD)
                              : (is_unsigned ? V_VCVTUDQ2PS : V_CVTDQ2PS);
        x64_v2(l->a, op, 16, dst, source(l, w, shape));
        v_finish(l, d, dst, result_bytes(shape, w));
    } else if (!is_unsigned) {
        from_signed64(l, w, shape);
    } else if (dbl) {
        from_unsigned64(l, w, shape);
    } else {
        from_unsigned32(l, w, shape);
    }
}
LOWER(SCVTF_vec) {
    from_integer(l, w, VECTOR, false);
}
LOWER(UCVTF_vec) {
    from_integer(l, w, VECTOR, true);
}
LOWER(SCVTF_scalar) {
    from_integer(l, w, SCALAR, false);
}
LOWER(UCVTF_scalar) {
    from_integer(l, w, SCALAR, true);
}

/* ---- FP to integer ---- */

/* Towards zero to signed doublewords, one by one. */
static void to_signed64(struct lower *l, uint32_t w, enum shape shape) {
    struct x64_asm *a = l->a;
    x64_rm n = vr(a64_Rn(w)), high = n;
    x64_v2(a, V_CVTTSD2SI64, 16, RAX, n);
    x64_v2(a, V_MOVD64, 16, VT0, x64_r(RAX));
    if (shape == VECTOR) {
        if (n.is_mem) {
            high.disp += 8;
        } else {
            x64_v2_i(a, V_PSHUFD, 16, VT1, n, 0xee);
            high = x64_r(VT1);
        }
        x64_v2(a, V_CVTTSD2SI64, 16, RAX, high);
        x64_v3_i(a, V_PINSRQ, 16, VT0, VT0, x64_r(RAX), 1);
    }
    v_finish(l, a64_Rd(w), VT0, 16);
}

/*
 * mode: ROUNDPS's, 4: ties away. Other modes than towards zero round first; a second rounding, into
 * VT1 as fptrap.c knows, raises inexact.
 */
static void to_integer(struct lower *l, uint32_t w, enum shape shape, bool is_unsigned,
                       unsigned mode) {
    bool dbl = fp_double(w), packed = l->a->feat.avx512 || (!is_unsigned && !dbl);
    if (fp_strict(l) || fp_traps(l) || mode == 4 || (!packed && (is_unsigned || mode != 3))) {
        by_helper(l, w);
        return;
    }
    if (!packed) {
        to_signed64(l, w, shape);
        return;
    }
    enum x64_vop op =
        is_unsigned ? (dbl ? V_VCVTTPD2UQQ : V_VCVTTPS2UDQ) : (dbl ? V_VCVTTPD2QQ : V_CVTTPS2DQ);
    x64_rm src = source(l, w, shape);
    if (mode == 3) {
        unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
        x64_v2(l->a, op, 16, dst, src);
        v_finish(l, d, dst, result_bytes(shape, w));
        return;
    }
    x64_v2_i(l->a, V_ROUNDPS + dbl, 16, VT2, src, (uint8_t)(8 | mode));
    x64_v2(l->a, op, 16, VT2, x64_r(VT2));
    x64_v2_i(l->a, V_ROUNDPS + dbl, 16, VT1, src, (uint8_t)mode);
    v_finish(l, a64_Rd(w), VT2, result_bytes(shape, w));
}
#define TO_INTEGER(letter, mode)               \
    LOWER(FCVT##letter##S_vec) {               \
        to_integer(l, w, VECTOR, false, mode); \
    }                                          \
    LOWER(FCVT##letter##U_vec) {               \
        to_integer(l, w, VECTOR, true, mode);  \
    }                                          \
    LOWER(FCVT##letter##S_scalar) {            \
        to_integer(l, w, SCALAR, false, mode); \
    }                                          \
    LOWER(FCVT##letter##U_scalar) {            \
        to_integer(l, w, SCALAR, true, mode);  \
    }
TO_INTEGER(N, 0)
TO_INTEGER(M, 1)
TO_INTEGER(P, 2)
TO_INTEGER(Z, 3)
TO_INTEGER(A, 4)

/*
 * Fixed point, 32-bit lanes, and 64-bit ones with AVX-512. Scaling by a power of two is exact,
 * except that to an integer it could overflow: x is first brought into +-2^63, where it saturates
 * all the same.
 */
static void fixed(struct lower *l, uint32_t w, enum shape shape, bool is_unsigned,
                  bool to_integer_lanes) {
    struct x64_asm *a = l->a;
    unsigned size = immh_size(w), fbits = right_amount(w),
             bytes = shape == SCALAR ? 1u << size : v_bytes(w);
    bool dbl = size == 3;
    if (size < 2 || fp_strict(l) || fp_traps(l) || ((is_unsigned || dbl) && !a->feat.avx512)) {
        by_helper(l, w);
        return;
    }
    if (shape == SCALAR)
        v_splat_element(l, size, VT0, a64_Rn(w), 0);
    else
        v_move(l, VT0, v_read_folded(l, w, a64_Rn(w), VT0));
    if (to_integer_lanes) {
        uint64_t limit = dbl ? 0x43e0000000000000 : 0x5f000000, sign = dbl ? 1ull << 63 : 1u << 31;
        uint64_t scale = dbl ? (uint64_t)(1023 + fbits) << 52 : (uint64_t)(127 + fbits) << 23;
        x64_v3(a, V_MINPS + dbl, 16, VT0, VT0, v_splat(l, size, limit));
        x64_v3(a, V_MAXPS + dbl, 16, VT0, VT0, v_splat(l, size, limit | sign));
        x64_v3(a, V_MULPS + dbl, 16, VT0, VT0, v_splat(l, size, scale));
        x64_v2(a,
               is_unsigned ? (dbl ? V_VCVTTPD2UQQ : V_VCVTTPS2UDQ)
                           : (dbl ? V_VCVTTPD2QQ : V_CVTTPS2DQ),
               16, VT0, x64_r(VT0));
    } else {
        uint64_t scale = dbl ? (uint64_t)(1023 - fbits) << 52 : (uint64_t)(127 - fbits) << 23;
        x64_v2(a,
               is_unsigned ? (dbl ? V_VCVTUQQ2PD : V_VCVTUDQ2PS) : (dbl ? V_VCVTQQ2PD : V_CVTDQ2PS),
               16, VT0, x64_r(VT0));
        x64_v3(a, V_MULPS + dbl, 16, VT0, VT0, v_splat(l, size, scale));
    }
    v_finish(l, a64_Rd(w), VT0, bytes);
}
LOWER(SCVTF_vec_fix) {
    fixed(l, w, VECTOR, false, false);
}
LOWER(UCVTF_vec_fix) {
    fixed(l, w, VECTOR, true, false);
}
LOWER(SCVTF_scalar_fix) {
    fixed(l, w, SCALAR, false, false);
}
LOWER(UCVTF_scalar_fix) {
    fixed(l, w, SCALAR, true, false);
}
LOWER(FCVTZS_vec_fix) {
    fixed(l, w, VECTOR, false, true);
}
LOWER(FCVTZU_vec_fix) {
    fixed(l, w, VECTOR, true, true);
}
LOWER(FCVTZS_scalar_fix) {
    fixed(l, w, SCALAR, false, true);
}
LOWER(FCVTZU_scalar_fix) {
    fixed(l, w, SCALAR, true, true);
}

/* Half to single and back: FPCR.AHP chooses another format, by the helper. */
static void convert_half(struct lower *l, uint32_t w, bool to_half) {
    struct x64_asm *a = l->a;
    struct x64_label slow = X64_LABEL, done = X64_LABEL;
    if (!a->feat.f16c || fp_strict(l) || fp_traps(l)) {
        by_helper(l, w);
        return;
    }
    v_jump_if_ahp(l, &slow);
    if (to_half) {
        x64_vst_i(a, V_VCVTPS2PH, 16, x64_r(VT0), v_read(l, a64_Rn(w), VT0), 4);
        v_finish_narrow(l, w, VT0);
    } else {
        unsigned d = a64_Rd(w), n = a64_Rn(w), dst = v_dst(d, VT0);
        x64_rm src = vr(n);
        if (a64_Q(w)) {
            x64_v2_i(a, V_PSHUFD, 16, VT0, src, 0xee);
            src = x64_r(VT0);
        }
        x64_v2(a, V_VCVTPH2PS, 16, dst, src);
        v_commit(l, d, dst);
    }
    x64_jmp(a, &done);
    x64_bind(a, &slow);
    by_helper(l, w);
    x64_bind(a, &done);
}

LOWER(FCVTL) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), dst = v_dst(d, VT0);
    if (!fp_double(w)) {
        convert_half(l, w, false);
        return;
    }
    if (fp_strict(l) || fp_traps(l)) {
        by_helper(l, w);
        return;
    }
    x64_rm src = vr(n);
    if (a64_Q(w)) {
        x64_v2_i(l->a, V_PSHUFD, 16, VT0, src, 0xee);
        src = x64_r(VT0);
    }
    x64_v2(l->a, V_CVTPS2PD, 16, dst, src);
    v_commit(l, d, dst);
}
LOWER(FCVTN) {
    if (!fp_double(w)) {
        convert_half(l, w, true);
        return;
    }
    if (fp_strict(l) || fp_traps(l)) {
        by_helper(l, w);
        return;
    }
    x64_v2(l->a, V_CVTPD2PS, 16, VT0, vr(a64_Rn(w)));
    v_finish_narrow(l, w, VT0);
}
LOWER(FCVTXN_vec) {
    by_helper(l, w);
}
LOWER(FCVTXN_scalar) {
    by_helper(l, w);
}
