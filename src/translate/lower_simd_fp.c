/*
 * lower_simd_fp.c - Advanced SIMD floating point on single and double lanes, and its scalar forms
 * (Arm ARM C4.1.97). The rules on NaNs and traps are those of lower_fp.c. A 64-bit vector's lanes
 * are duplicated into the upper half, so that what is computed there raises nothing of its own.
 */
#include "translate/fp_interp.h"
#include "translate/lower_simd.h"

static void by_helper(struct lower *l, uint32_t w) {
    emit_helper(l, fp_helper, w, true);
}

enum shape { VECTOR, SCALAR };

/* Lane operations come in rows of four: SS, SD, PS, PD. */
static enum x64_vop op_of(enum x64_vop ss, enum shape shape, uint32_t w) {
    return ss + (shape == VECTOR ? 2 : 0) + fp_double(w);
}
static unsigned result_bytes(enum shape shape, uint32_t w) {
    return shape == SCALAR ? fp_bytes(w) : v_bytes(w);
}

/* V<n> in a register, its unused lanes harmless. */
static unsigned source(struct lower *l, enum shape shape, uint32_t w, unsigned n,
                       unsigned scratch) {
    return shape == SCALAR ? v_read(l, n, scratch) : v_read_folded(l, w, n, scratch);
}
static x64_rm source_rm(struct lower *l, enum shape shape, uint32_t w, unsigned n,
                        unsigned scratch) {
    if (shape == SCALAR || a64_Q(w))
        return vr(n);
    return x64_r(v_read_folded(l, w, n, scratch));
}

/* ---- two operands ---- */

/* dst = V<n> op V<m> */
static void lanes(struct lower *l, uint32_t w, enum x64_vop ss, enum shape shape, unsigned dst) {
    unsigned n = source(l, shape, w, a64_Rn(w), VT0);
    v_op(l, op_of(ss, shape, w), dst, n, source_rm(l, shape, w, a64_Rm(w), VT1));
}

/* At a site that traps often the helper does it all; true if it did. */
static bool avoided_trap(struct lower *l, uint32_t w) {
    if (!fp_traps(l))
        return false;
    by_helper(l, w);
    return true;
}

static void arithmetic(struct lower *l, uint32_t w, enum x64_vop ss, enum shape shape) {
    if (avoided_trap(l, w))
        return;
    unsigned d = a64_Rd(w), dst = fp_dst(l, d);
    lanes(l, w, ss, shape, dst);
    fp_check(l, shape == VECTOR, fp_double(w), dst);
    v_finish(l, d, dst, result_bytes(shape, w));
}
LOWER(FADD_vec) {
    arithmetic(l, w, V_ADDSS, VECTOR);
}
LOWER(FSUB_vec) {
    arithmetic(l, w, V_SUBSS, VECTOR);
}
LOWER(FMUL_vec) {
    arithmetic(l, w, V_MULSS, VECTOR);
}
LOWER(FDIV_vec) {
    arithmetic(l, w, V_DIVSS, VECTOR);
}
LOWER(FMULX_vec) {
    arithmetic(l, w, V_MULSS, VECTOR);
} /* infinity times zero traps */
LOWER(FMULX_scalar) {
    arithmetic(l, w, V_MULSS, SCALAR);
}

static void difference(struct lower *l, uint32_t w, enum shape shape) {
    if (avoided_trap(l, w))
        return;
    lanes(l, w, V_SUBSS, shape, VT0);
    fp_check(l, shape == VECTOR, fp_double(w), VT0);
    v_last(l, V_PAND, a64_Rd(w), VT0,
           v_splat(l, 2 + fp_double(w), ~0ull >> (fp_double(w) ? 1 : 33)), result_bytes(shape, w));
}
LOWER(FABD_vec) {
    difference(l, w, VECTOR);
}
LOWER(FABD_scalar) {
    difference(l, w, SCALAR);
}

/* VT0 = MIN or MAX of VT0 and VT1, in both orders: see lower_fp.c. Uses VT2. */
static void both_orders(struct lower *l, enum x64_vop ss, enum x64_vop op) {
    v_move(l, VT2, VT0);
    x64_v3(l->a, op, 16, VT0, VT0, x64_r(VT1));
    x64_v3(l->a, op, 16, VT1, VT1, x64_r(VT2));
    x64_v3(l->a, ss == V_MINSS ? V_POR : V_PAND, 16, VT0, VT0, x64_r(VT1));
}

static void finish_min_max(struct lower *l, enum x64_vop ss, enum x64_vop op, unsigned d,
                           unsigned bytes) {
    both_orders(l, ss, op);
    v_finish(l, d, VT0, bytes);
}

static void min_max(struct lower *l, uint32_t w, enum x64_vop ss) {
    if (avoided_trap(l, w))
        return;
    v_move(l, VT0, v_read_folded(l, w, a64_Rn(w), VT0));
    v_move(l, VT1, v_read_folded(l, w, a64_Rm(w), VT1));
    finish_min_max(l, ss, op_of(ss, VECTOR, w), a64_Rd(w), v_bytes(w));
}
LOWER(FMAX_vec) {
    min_max(l, w, V_MAXSS);
}
LOWER(FMIN_vec) {
    min_max(l, w, V_MINSS);
}
LOWER(FMAXNM_vec) {
    min_max(l, w, V_MAXSS);
}
LOWER(FMINNM_vec) {
    min_max(l, w, V_MINSS);
}

/* ---- pairwise and across ---- */

/* VT0, VT1 = first and second of each pair of V<n>:V<m>. */
static void pairs(struct lower *l, uint32_t w) {
    unsigned size = 2 + fp_double(w);
    x64_rm n = vr(a64_Rn(w)), m = vr(a64_Rm(w));
    if (!a64_Q(w)) {
        v_join_low(l, VT1, a64_Rn(w), a64_Rm(w));
        n = m = x64_r(VT1);
    }
    v_unzip(l, size, false, VT0, n, m);
    v_unzip(l, size, true, VT1, n, m);
}
LOWER(FADDP_vec) {
    if (avoided_trap(l, w))
        return;
    pairs(l, w);
    x64_v3(l->a, op_of(V_ADDSS, VECTOR, w), 16, VT0, VT0, x64_r(VT1));
    fp_check(l, true, fp_double(w), VT0);
    v_finish(l, a64_Rd(w), VT0, v_bytes(w));
}
static void min_max_pairs(struct lower *l, uint32_t w, enum x64_vop ss) {
    if (avoided_trap(l, w))
        return;
    pairs(l, w);
    finish_min_max(l, ss, op_of(ss, VECTOR, w), a64_Rd(w), v_bytes(w));
}
LOWER(FMAXP_vec) {
    min_max_pairs(l, w, V_MAXSS);
}
LOWER(FMINP_vec) {
    min_max_pairs(l, w, V_MINSS);
}
LOWER(FMAXNMP_vec) {
    min_max_pairs(l, w, V_MAXSS);
}
LOWER(FMINNMP_vec) {
    min_max_pairs(l, w, V_MINSS);
}

/* VT0 = V<n>, VT1 = its second element down at the first. */
static void scalar_pair(struct lower *l, uint32_t w) {
    x64_v2_i(l->a, V_PSHUFD, 16, VT1, vr(a64_Rn(w)), fp_double(w) ? 0xee : 0x55);
    v_copy(l, VT0, a64_Rn(w));
}
LOWER(FADDP_scalar) {
    if (avoided_trap(l, w))
        return;
    scalar_pair(l, w);
    x64_v3(l->a, op_of(V_ADDSS, SCALAR, w), 16, VT0, VT0, x64_r(VT1));
    fp_check(l, false, fp_double(w), VT0);
    v_finish(l, a64_Rd(w), VT0, fp_bytes(w));
}
static void min_max_scalar_pair(struct lower *l, uint32_t w, enum x64_vop ss) {
    if (avoided_trap(l, w))
        return;
    scalar_pair(l, w);
    finish_min_max(l, ss, op_of(ss, SCALAR, w), a64_Rd(w), fp_bytes(w));
}
LOWER(FMAXP_scalar) {
    min_max_scalar_pair(l, w, V_MAXSS);
}
LOWER(FMINP_scalar) {
    min_max_scalar_pair(l, w, V_MINSS);
}
LOWER(FMAXNMP_scalar) {
    min_max_scalar_pair(l, w, V_MAXSS);
}
LOWER(FMINNMP_scalar) {
    min_max_scalar_pair(l, w, V_MINSS);
}

/* Of four singles: the pairs first, then their results. */
static void across(struct lower *l, uint32_t w, enum x64_vop ss) {
    if (avoided_trap(l, w))
        return;
    v_copy(l, VT0, a64_Rn(w));
    x64_v2_i(l->a, V_PSHUFD, 16, VT1, x64_r(VT0), 0xb1);
    both_orders(l, ss, ss + 2);
    x64_v2_i(l->a, V_PSHUFD, 16, VT1, x64_r(VT0), 0x4e);
    both_orders(l, ss, ss + 2);
    v_finish(l, a64_Rd(w), VT0, 4);
}
LOWER(FMAXV) {
    across(l, w, V_MAXSS);
}
LOWER(FMINV) {
    across(l, w, V_MINSS);
}
LOWER(FMAXNMV) {
    across(l, w, V_MAXSS);
}
LOWER(FMINNMV) {
    across(l, w, V_MINSS);
}

/* ---- by element ---- */

/* scratch = the element of V<m> in every lane. */
static void element(struct lower *l, uint32_t w, unsigned scratch) {
    unsigned h = bits(w, 11, 1), low = bits(w, 21, 1);
    v_splat_element(l, 2 + fp_double(w), scratch, a64_Rm(w), fp_double(w) ? h : h << 1 | low);
}

static void multiply_element(struct lower *l, uint32_t w, enum shape shape) {
    if (avoided_trap(l, w))
        return;
    unsigned d = a64_Rd(w), dst = fp_dst(l, d);
    element(l, w, VT1);
    v_op(l, op_of(V_MULSS, shape, w), dst, source(l, shape, w, a64_Rn(w), VT0), x64_r(VT1));
    fp_check(l, shape == VECTOR, fp_double(w), dst);
    v_finish(l, d, dst, result_bytes(shape, w));
}
LOWER(FMUL_elem) {
    multiply_element(l, w, VECTOR);
}
LOWER(FMUL_elem_scalar) {
    multiply_element(l, w, SCALAR);
}
LOWER(FMULX_elem) {
    multiply_element(l, w, VECTOR);
}
LOWER(FMULX_elem_scalar) {
    multiply_element(l, w, SCALAR);
}

/* ---- multiply and add ---- */

/* The NaN check of lower_fp.c on VT0, which then becomes V<d>. */
static void finish_checked(struct lower *l, uint32_t w, enum shape shape) {
    struct x64_asm *a = l->a;
    enum x64_vop compare = op_of(V_CMPSS, shape, w);
    if (!fp_traps(l)) {
        x64_v3_i(a, compare, 16, VT2, VT0, x64_r(VT0), 1);
        v_finish(l, a64_Rd(w), VT0, result_bytes(shape, w));
        return;
    }
    struct x64_label nan = X64_LABEL, done = X64_LABEL;
    flags_clobber(l);
    if (shape == SCALAR) {
        x64_v2(a, V_UCOMISS + fp_double(w), 16, VT0, x64_r(VT0));
        x64_jcc(a, CC_P, &nan);
    } else {
        x64_v3_i(a, compare, 16, VT2, VT0, x64_r(VT0), 3); /* unordered, quietly */
        x64_v2(a, V_MOVMSKPS, 16, RAX, x64_r(VT2));
        x64_test_rm_r(a, 4, x64_r(RAX), RAX);
        x64_jcc(a, CC_NE, &nan);
    }
    v_finish(l, a64_Rd(w), VT0, result_bytes(shape, w));
    x64_jmp(a, &done);
    x64_bind(a, &nan);
    by_helper(l, w);
    x64_bind(a, &done);
}

/* VT0 = VT0 +- V<n> * m */
static void multiply_add(struct lower *l, uint32_t w, bool subtract, enum shape shape, x64_rm m) {
    unsigned n = source(l, shape, w, a64_Rn(w), VT2);
    x64_v3(l->a, op_of(subtract ? V_VFNMADD231SS : V_VFMADD231SS, shape, w), 16, VT0, n, m);
}

static void multiply_add_insn(struct lower *l, uint32_t w, bool subtract, enum shape shape,
                              bool by_element) {
    if (!l->a->feat.fma || fp_traps(l) > 1) {
        by_helper(l, w);
        return;
    }
    v_move(l, VT0, source(l, shape, w, a64_Rd(w), VT0));
    x64_rm m;
    if (by_element) {
        element(l, w, VT1);
        m = x64_r(VT1);
    } else {
        m = source_rm(l, shape, w, a64_Rm(w), VT1);
    }
    multiply_add(l, w, subtract, shape, m);
    finish_checked(l, w, shape);
}
LOWER(FMLA_vec) {
    multiply_add_insn(l, w, false, VECTOR, false);
}
LOWER(FMLS_vec) {
    multiply_add_insn(l, w, true, VECTOR, false);
}
LOWER(FMLA_elem) {
    multiply_add_insn(l, w, false, VECTOR, true);
}
LOWER(FMLS_elem) {
    multiply_add_insn(l, w, true, VECTOR, true);
}
LOWER(FMLA_elem_scalar) {
    multiply_add_insn(l, w, false, SCALAR, true);
}
LOWER(FMLS_elem_scalar) {
    multiply_add_insn(l, w, true, SCALAR, true);
}

static void recip_step(struct lower *l, uint32_t w, enum shape shape) { /* 2 - n * m */
    if (!l->a->feat.fma || fp_traps(l) > 1) {
        by_helper(l, w);
        return;
    }
    v_load(l, VT0, v_splat(l, 2 + fp_double(w), fp_double(w) ? 0x4000000000000000 : 0x40000000));
    multiply_add(l, w, true, shape, source_rm(l, shape, w, a64_Rm(w), VT1));
    finish_checked(l, w, shape);
}
LOWER(FRECPS_vec) {
    recip_step(l, w, VECTOR);
}
LOWER(FRECPS_scalar) {
    recip_step(l, w, SCALAR);
}
LOWER(FRSQRTS_vec) {
    by_helper(l, w);
} /* halving after rounding is not the same when the result is denormal */
LOWER(FRSQRTS_scalar) {
    by_helper(l, w);
}
LOWER(FRECPE_vec) {
    by_helper(l, w);
}
LOWER(FRECPE_scalar) {
    by_helper(l, w);
}
LOWER(FRSQRTE_vec) {
    by_helper(l, w);
}
LOWER(FRSQRTE_scalar) {
    by_helper(l, w);
}
LOWER(FRECPX_scalar) {
    by_helper(l, w);
}
LOWER(URECPE) {
    by_helper(l, w);
}
LOWER(URSQRTE) {
    by_helper(l, w);
}

/* ---- compare ---- */

enum {
    CMP_EQ,
    CMP_LT,
    CMP_LE
}; /* CMPPS's predicates; LT and LE trap on any NaN, EQ on a signalling one, as A64's do */

/* V<d> = a predicate b by lane; `absolute`: of the magnitudes. */
static void compare(struct lower *l, uint32_t w, enum shape shape, uint8_t predicate, unsigned a,
                    x64_rm b) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    if (fp_strict(l) && predicate == CMP_EQ) { /* a denormal beside a quiet NaN would not trap */
        by_helper(l, w);
        return;
    }
    enum x64_vop op = op_of(V_CMPSS, shape, w);
    if (predicate != CMP_EQ && fp_traps(l)) {
        if (fp_strict(l) || !l->a->feat.avx || fp_traps(l) > 1) {
            by_helper(l, w);
            return;
        }
        x64_v3_i(l->a, op, 16, VT2, a, b,
                 3); /* unordered, quietly: IOC; then the quiet predicate */
        if (shape == SCALAR)
            v_op(l, V_PAND, VT2, VT2, v_const(l, ~0ull >> (fp_double(w) ? 0 : 32), 0));
        x64_v3(l->a, V_POR, 16, VT2, VT2, IOC_ACC);
        x64_vst(l->a, V_MOVAPS, 16, IOC_ACC, VT2);
        predicate += 0x10;
    }
    v_op_i(l, op, dst, a, b, predicate);
    v_finish(l, d, dst, result_bytes(shape, w));
}
static void compare_regs(struct lower *l, uint32_t w, enum shape shape, uint8_t predicate,
                         unsigned a, unsigned b) {
    unsigned ra = source(l, shape, w, a, VT0);
    compare(l, w, shape, predicate, ra, source_rm(l, shape, w, b, VT1));
}
static void compare_zero(struct lower *l, uint32_t w, enum shape shape, uint8_t predicate,
                         bool swap) {
    v_zero(l, VT1);
    if (swap)
        compare(l, w, shape, predicate, VT1, source_rm(l, shape, w, a64_Rn(w), VT0));
    else
        compare(l, w, shape, predicate, source(l, shape, w, a64_Rn(w), VT0), x64_r(VT1));
}
static void compare_absolute(struct lower *l, uint32_t w, enum shape shape, uint8_t predicate) {
    x64_rm mask = v_splat(l, 2 + fp_double(w), ~0ull >> (fp_double(w) ? 1 : 33));
    v_op(l, V_PAND, VT0, source(l, shape, w, a64_Rm(w), VT0), mask);
    v_op(l, V_PAND, VT1, source(l, shape, w, a64_Rn(w), VT1), mask);
    compare(l, w, shape, predicate, VT0, x64_r(VT1));
}
LOWER(FCMEQ_vec) {
    compare_regs(l, w, VECTOR, CMP_EQ, a64_Rn(w), a64_Rm(w));
}
LOWER(FCMGE_vec) {
    compare_regs(l, w, VECTOR, CMP_LE, a64_Rm(w), a64_Rn(w));
}
LOWER(FCMGT_vec) {
    compare_regs(l, w, VECTOR, CMP_LT, a64_Rm(w), a64_Rn(w));
}
LOWER(FCMEQ_scalar) {
    compare_regs(l, w, SCALAR, CMP_EQ, a64_Rn(w), a64_Rm(w));
}
LOWER(FCMGE_scalar) {
    compare_regs(l, w, SCALAR, CMP_LE, a64_Rm(w), a64_Rn(w));
}
LOWER(FCMGT_scalar) {
    compare_regs(l, w, SCALAR, CMP_LT, a64_Rm(w), a64_Rn(w));
}
LOWER(FCMEQ_zero_vec) {
    compare_zero(l, w, VECTOR, CMP_EQ, false);
}
LOWER(FCMGE_zero_vec) {
    compare_zero(l, w, VECTOR, CMP_LE, true);
}
LOWER(FCMGT_zero_vec) {
    compare_zero(l, w, VECTOR, CMP_LT, true);
}
LOWER(FCMLE_zero_vec) {
    compare_zero(l, w, VECTOR, CMP_LE, false);
}
LOWER(FCMLT_zero_vec) {
    compare_zero(l, w, VECTOR, CMP_LT, false);
}
LOWER(FCMEQ_zero_scalar) {
    compare_zero(l, w, SCALAR, CMP_EQ, false);
}
LOWER(FCMGE_zero_scalar) {
    compare_zero(l, w, SCALAR, CMP_LE, true);
}
LOWER(FCMGT_zero_scalar) {
    compare_zero(l, w, SCALAR, CMP_LT, true);
}
LOWER(FCMLE_zero_scalar) {
    compare_zero(l, w, SCALAR, CMP_LE, false);
}
LOWER(FCMLT_zero_scalar) {
    compare_zero(l, w, SCALAR, CMP_LT, false);
}
LOWER(FACGE_vec) {
    compare_absolute(l, w, VECTOR, CMP_LE);
}
LOWER(FACGT_vec) {
    compare_absolute(l, w, VECTOR, CMP_LT);
}
LOWER(FACGE_scalar) {
    compare_absolute(l, w, SCALAR, CMP_LE);
}
LOWER(FACGT_scalar) {
    compare_absolute(l, w, SCALAR, CMP_LT);
}

/* ---- one operand ---- */

LOWER(FABS_vec) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    v_op_rm(l, V_PAND, dst, vr(a64_Rn(w)),
            v_splat(l, 2 + fp_double(w), ~0ull >> (fp_double(w) ? 1 : 33)));
    v_finish(l, d, dst, v_bytes(w));
}
LOWER(FNEG_vec) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    v_op_rm(l, V_PXOR, dst, vr(a64_Rn(w)),
            v_splat(l, 2 + fp_double(w), fp_double(w) ? 1ull << 63 : 1ull << 31));
    v_finish(l, d, dst, v_bytes(w));
}
LOWER(FSQRT_vec) {
    if (avoided_trap(l, w))
        return;
    unsigned d = a64_Rd(w), dst = fp_dst(l, d);
    x64_v2(l->a, V_SQRTPS + fp_double(w), 16, dst, source_rm(l, VECTOR, w, a64_Rn(w), VT0));
    fp_check(l, true, fp_double(w), dst);
    v_finish(l, d, dst, v_bytes(w));
}

static void round_integral(struct lower *l, uint32_t w, uint8_t imm) {
    if (fp_strict(l)) {
        by_helper(l, w);
        return;
    }
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    x64_v2_i(l->a, V_ROUNDPS + fp_double(w), 16, dst, source_rm(l, VECTOR, w, a64_Rn(w), VT0), imm);
    v_finish(l, d, dst, v_bytes(w));
}
LOWER(FRINTN_vec) {
    round_integral(l, w, 8);
}
LOWER(FRINTM_vec) {
    round_integral(l, w, 9);
}
LOWER(FRINTP_vec) {
    round_integral(l, w, 10);
}
LOWER(FRINTZ_vec) {
    round_integral(l, w, 11);
}
LOWER(FRINTX_vec) {
    round_integral(l, w, 4);
}
LOWER(FRINTI_vec) {
    round_integral(l, w, 12);
}
LOWER(FRINTA_vec) {
    if (fp_strict(l)) {
        by_helper(l, w);
        return;
    }
    x64_rm n = vr(a64_Rn(w));
    if (!a64_Q(w)) { /* fp_round_away has no register to spare: V<n> duplicated in memory */
        x64_v2(l->a, V_MOVDDUP, 16, VT0, n);
        n = x64_m(RBP, CPU_OFFSET(vscratch[0]));
        x64_vst(l->a, V_MOVAPS, 16, n, VT0);
    }
    fp_round_away(l, true, fp_double(w), n);
    v_finish(l, a64_Rd(w), VT0, v_bytes(w));
}

LOWER(FRINT32Z_vec) {
    by_helper(l, w);
}
LOWER(FRINT32X_vec) {
    by_helper(l, w);
}
LOWER(FRINT64Z_vec) {
    by_helper(l, w);
}
LOWER(FRINT64X_vec) {
    by_helper(l, w);
}
