/*
 * fp_interp.c - FP instructions executed in C on the guest state: the slow path of the FP lowerings
 * and of FP traps, and the only path of half precision. Lane by lane with softfp.c.
 */
#include "translate/fp_interp.h"

#include "a64/a64.h"
#include "engine/fpstate.h"

typedef uint64_t binary_fn(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);

/* ---- lanes ---- */

static uint64_t lane(const struct vreg *v, enum fp_type t, unsigned i) {
    unsigned width = fp_width(t), bit = i * width;
    uint64_t d = v->d[bit / 64] >> bit % 64;
    return width == 64 ? d : d & ((1ull << width) - 1);
}

static void set_lane(struct vreg *v, enum fp_type t, unsigned i, uint64_t value) {
    unsigned width = fp_width(t), bit = i * width;
    uint64_t mask = width == 64 ? ~0ull : (1ull << width) - 1;
    v->d[bit / 64] = (v->d[bit / 64] & ~(mask << bit % 64)) | (value & mask) << bit % 64;
}

struct context {
    const struct cpu *cpu;
    struct fp_env *env;
    uint32_t w;
    enum a64_op op;
    enum fp_type t;
    unsigned lanes;
    struct vreg *result;
};

static bool is_scalar(enum a64_op op, uint32_t w) {
    return a64_rows[op].group == GROUP_FP || bits(w, 28, 1); /* SIMD scalar has bit 28 set */
}

static const struct vreg *reg_n(const struct context *c) {
    return &c->cpu->v[a64_Rn(c->w)];
}
static const struct vreg *reg_m(const struct context *c) {
    return &c->cpu->v[a64_Rm(c->w)];
}

/* ---- two operands ---- */

static uint64_t fp_abd(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return fp_abs(t, fp_sub(env, t, a, b));
}
static uint64_t fp_nmul(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return fp_neg(t, fp_mul(env, t, a, b));
}
static uint64_t mask_if(enum fp_type t, bool condition) {
    return condition ? ~0ull >> (64 - fp_width(t)) : 0;
}
static uint64_t fp_cmeq(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return mask_if(t, fp_compare(env, t, a, b, false) == 0);
}
static uint64_t fp_cmge(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    int o = fp_compare(env, t, a, b, true);
    return mask_if(t, o == 0 || o == 1);
}
static uint64_t fp_cmgt(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return mask_if(t, fp_compare(env, t, a, b, true) == 1);
}
static uint64_t fp_cmle(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return fp_cmge(env, t, b, a);
}
static uint64_t fp_cmlt(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return fp_cmgt(env, t, b, a);
}
static uint64_t fp_acge(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return fp_cmge(env, t, fp_abs(t, a), fp_abs(t, b));
}
static uint64_t fp_acgt(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return fp_cmgt(env, t, fp_abs(t, a), fp_abs(t, b));
}

static binary_fn *binary_of(enum a64_op op) {
    switch (op) {
    case A64_FADD_scalar:
    case A64_FADD_scalar_h:
    case A64_FADD_vec:
    case A64_FADD_vec_h:
        return fp_add;
    case A64_FSUB_scalar:
    case A64_FSUB_scalar_h:
    case A64_FSUB_vec:
    case A64_FSUB_vec_h:
        return fp_sub;
    case A64_FMUL_scalar:
    case A64_FMUL_scalar_h:
    case A64_FMUL_vec:
    case A64_FMUL_vec_h:
    case A64_FMUL_elem:
    case A64_FMUL_elem_h:
    case A64_FMUL_elem_scalar:
    case A64_FMUL_elem_scalar_h:
        return fp_mul;
    case A64_FNMUL_scalar:
    case A64_FNMUL_scalar_h:
        return fp_nmul;
    case A64_FMULX_scalar:
    case A64_FMULX_scalar_h:
    case A64_FMULX_vec:
    case A64_FMULX_vec_h:
    case A64_FMULX_elem:
    case A64_FMULX_elem_h:
    case A64_FMULX_elem_scalar:
    case A64_FMULX_elem_scalar_h:
        return fp_mulx;
    case A64_FDIV_scalar:
    case A64_FDIV_scalar_h:
    case A64_FDIV_vec:
    case A64_FDIV_vec_h:
        return fp_div;
    case A64_FABD_scalar:
    case A64_FABD_scalar_h:
    case A64_FABD_vec:
    case A64_FABD_vec_h:
        return fp_abd;
    case A64_FMAX_scalar:
    case A64_FMAX_scalar_h:
    case A64_FMAX_vec:
    case A64_FMAX_vec_h:
        return fp_max;
    case A64_FMIN_scalar:
    case A64_FMIN_scalar_h:
    case A64_FMIN_vec:
    case A64_FMIN_vec_h:
        return fp_min;
    case A64_FMAXNM_scalar:
    case A64_FMAXNM_scalar_h:
    case A64_FMAXNM_vec:
    case A64_FMAXNM_vec_h:
        return fp_maxnm;
    case A64_FMINNM_scalar:
    case A64_FMINNM_scalar_h:
    case A64_FMINNM_vec:
    case A64_FMINNM_vec_h:
        return fp_minnm;
    case A64_FRECPS_scalar:
    case A64_FRECPS_scalar_h:
    case A64_FRECPS_vec:
    case A64_FRECPS_vec_h:
        return fp_recps;
    case A64_FRSQRTS_scalar:
    case A64_FRSQRTS_scalar_h:
    case A64_FRSQRTS_vec:
    case A64_FRSQRTS_vec_h:
        return fp_rsqrts;
    case A64_FCMEQ_scalar:
    case A64_FCMEQ_scalar_h:
    case A64_FCMEQ_vec:
    case A64_FCMEQ_vec_h:
        return fp_cmeq;
    case A64_FCMGE_scalar:
    case A64_FCMGE_scalar_h:
    case A64_FCMGE_vec:
    case A64_FCMGE_vec_h:
        return fp_cmge;
    case A64_FCMGT_scalar:
    case A64_FCMGT_scalar_h:
    case A64_FCMGT_vec:
    case A64_FCMGT_vec_h:
        return fp_cmgt;
    case A64_FACGE_scalar:
    case A64_FACGE_scalar_h:
    case A64_FACGE_vec:
    case A64_FACGE_vec_h:
        return fp_acge;
    case A64_FACGT_scalar:
    case A64_FACGT_scalar_h:
    case A64_FACGT_vec:
    case A64_FACGT_vec_h:
        return fp_acgt;
    default:
        return NULL;
    }
}

static binary_fn *zero_compare_of(enum a64_op op) {
    switch (op) {
    case A64_FCMEQ_zero_vec:
    case A64_FCMEQ_zero_vec_h:
    case A64_FCMEQ_zero_scalar:
    case A64_FCMEQ_zero_scalar_h:
        return fp_cmeq;
    case A64_FCMGE_zero_vec:
    case A64_FCMGE_zero_vec_h:
    case A64_FCMGE_zero_scalar:
    case A64_FCMGE_zero_scalar_h:
        return fp_cmge;
    case A64_FCMGT_zero_vec:
    case A64_FCMGT_zero_vec_h:
    case A64_FCMGT_zero_scalar:
    case A64_FCMGT_zero_scalar_h:
        return fp_cmgt;
    case A64_FCMLE_zero_vec:
    case A64_FCMLE_zero_vec_h:
    case A64_FCMLE_zero_scalar:
    case A64_FCMLE_zero_scalar_h:
        return fp_cmle;
    case A64_FCMLT_zero_vec:
    case A64_FCMLT_zero_vec_h:
    case A64_FCMLT_zero_scalar:
    case A64_FCMLT_zero_scalar_h:
        return fp_cmlt;
    default:
        return NULL;
    }
}

static binary_fn *pairwise_of(enum a64_op op) {
    switch (op) {
    case A64_FADDP_scalar:
    case A64_FADDP_scalar_h:
    case A64_FADDP_vec:
    case A64_FADDP_vec_h:
        return fp_add;
    case A64_FMAXP_scalar:
    case A64_FMAXP_scalar_h:
    case A64_FMAXP_vec:
    case A64_FMAXP_vec_h:
        return fp_max;
    case A64_FMINP_scalar:
    case A64_FMINP_scalar_h:
    case A64_FMINP_vec:
    case A64_FMINP_vec_h:
        return fp_min;
    case A64_FMAXNMP_scalar:
    case A64_FMAXNMP_scalar_h:
    case A64_FMAXNMP_vec:
    case A64_FMAXNMP_vec_h:
        return fp_maxnm;
    case A64_FMINNMP_scalar:
    case A64_FMINNMP_scalar_h:
    case A64_FMINNMP_vec:
    case A64_FMINNMP_vec_h:
        return fp_minnm;
    default:
        return NULL;
    }
}

static binary_fn *across_of(enum a64_op op) {
    switch (op) {
    case A64_FMAXV:
    case A64_FMAXV_h:
        return fp_max;
    case A64_FMINV:
    case A64_FMINV_h:
        return fp_min;
    case A64_FMAXNMV:
    case A64_FMAXNMV_h:
        return fp_maxnm;
    case A64_FMINNMV:
    case A64_FMINNMV_h:
        return fp_minnm;
    default:
        return NULL;
    }
}

/* By element: bits 28 to 24 are 01111 (vector) or 11111 (SIMD scalar) with bit 10 clear. */
static bool by_element(const struct context *c) {
    return a64_rows[c->op].group == GROUP_SIMD_FP && bits(c->w, 24, 4) == 15 && !bits(c->w, 10, 1);
}

/* The second operand of lane i: V<m>'s lane, or the element. */
static uint64_t operand_m(const struct context *c, unsigned i) {
    if (!by_element(c))
        return lane(reg_m(c), c->t, i);
    unsigned h = bits(c->w, 11, 1), low = bits(c->w, 21, 1), m = a64_Rm(c->w);
    switch (c->t) {
    case FP_HALF:
        return lane(&c->cpu->v[m & 15], FP_HALF, h << 2 | low << 1 | bits(c->w, 20, 1));
    case FP_SINGLE:
        return lane(reg_m(c), FP_SINGLE, h << 1 | low);
    default:
        return lane(reg_m(c), FP_DOUBLE, h);
    }
}

static void each_binary(struct context *c, binary_fn *fn) {
    for (unsigned i = 0; i < c->lanes; i++)
        set_lane(c->result, c->t, i, fn(c->env, c->t, lane(reg_n(c), c->t, i), operand_m(c, i)));
}

static void each_pair(struct context *c, binary_fn *fn) {
    if (is_scalar(c->op, c->w)) {
        set_lane(c->result, c->t, 0,
                 fn(c->env, c->t, lane(reg_n(c), c->t, 0), lane(reg_n(c), c->t, 1)));
        return;
    }
    for (unsigned i = 0; i < c->lanes; i++) {
        unsigned first = 2 * i % c->lanes;
        const struct vreg *from = 2 * i < c->lanes ? reg_n(c) : reg_m(c);
        set_lane(c->result, c->t, i,
                 fn(c->env, c->t, lane(from, c->t, first), lane(from, c->t, first + 1)));
    }
}

/* Reduce: the halves first. */
static uint64_t across(struct context *c, binary_fn *fn, unsigned first, unsigned n) {
    if (n == 1)
        return lane(reg_n(c), c->t, first);
    uint64_t low = across(c, fn, first, n / 2), high = across(c, fn, first + n / 2, n / 2);
    return fn(c->env, c->t, low, high);
}

/* ---- three operands ---- */

static bool multiply_add(struct context *c) {
    bool negate_a = false, negate_n = false, scalar_a = false;
    switch (c->op) {
    case A64_FMADD:
    case A64_FMADD_h:
        scalar_a = true;
        break;
    case A64_FMSUB:
    case A64_FMSUB_h:
        scalar_a = negate_n = true;
        break;
    case A64_FNMADD:
    case A64_FNMADD_h:
        scalar_a = negate_a = negate_n = true;
        break;
    case A64_FNMSUB:
    case A64_FNMSUB_h:
        scalar_a = negate_a = true;
        break;
    case A64_FMLA_vec:
    case A64_FMLA_vec_h:
    case A64_FMLA_elem:
    case A64_FMLA_elem_h:
    case A64_FMLA_elem_scalar:
    case A64_FMLA_elem_scalar_h:
        break;
    case A64_FMLS_vec:
    case A64_FMLS_vec_h:
    case A64_FMLS_elem:
    case A64_FMLS_elem_h:
    case A64_FMLS_elem_scalar:
    case A64_FMLS_elem_scalar_h:
        negate_n = true;
        break;
    default:
        return false;
    }
    const struct vreg *addend = &c->cpu->v[scalar_a ? a64_Ra(c->w) : a64_Rd(c->w)];
    for (unsigned i = 0; i < c->lanes; i++) {
        uint64_t a = lane(addend, c->t, i), n = lane(reg_n(c), c->t, i);
        if (negate_a)
            a = fp_neg(c->t, a);
        if (negate_n)
            n = fp_neg(c->t, n);
        set_lane(c->result, c->t, i, fp_muladd(c->env, c->t, a, n, operand_m(c, i)));
    }
    return true;
}

/* ---- one operand ---- */

static bool unary(struct context *c, uint64_t a, uint64_t *result) {
    struct fp_env *env = c->env;
    enum fp_type t = c->t;
    switch (c->op) {
    case A64_FSQRT_scalar:
    case A64_FSQRT_scalar_h:
    case A64_FSQRT_vec:
    case A64_FSQRT_vec_h:
        *result = fp_sqrt(env, t, a);
        return true;
    case A64_FABS_scalar:
    case A64_FABS_scalar_h:
    case A64_FABS_vec:
    case A64_FABS_vec_h:
        *result = fp_abs(t, a);
        return true;
    case A64_FNEG_scalar:
    case A64_FNEG_scalar_h:
    case A64_FNEG_vec:
    case A64_FNEG_vec_h:
        *result = fp_neg(t, a);
        return true;
    case A64_FRINTN_scalar:
    case A64_FRINTN_scalar_h:
    case A64_FRINTN_vec:
    case A64_FRINTN_vec_h:
        *result = fp_round_int(env, t, a, ROUND_TIEEVEN, false);
        return true;
    case A64_FRINTP_scalar:
    case A64_FRINTP_scalar_h:
    case A64_FRINTP_vec:
    case A64_FRINTP_vec_h:
        *result = fp_round_int(env, t, a, ROUND_POSINF, false);
        return true;
    case A64_FRINTM_scalar:
    case A64_FRINTM_scalar_h:
    case A64_FRINTM_vec:
    case A64_FRINTM_vec_h:
        *result = fp_round_int(env, t, a, ROUND_NEGINF, false);
        return true;
    case A64_FRINTZ_scalar:
    case A64_FRINTZ_scalar_h:
    case A64_FRINTZ_vec:
    case A64_FRINTZ_vec_h:
        *result = fp_round_int(env, t, a, ROUND_ZERO, false);
        return true;
    case A64_FRINTA_scalar:
    case A64_FRINTA_scalar_h:
    case A64_FRINTA_vec:
    case A64_FRINTA_vec_h:
        *result = fp_round_int(env, t, a, ROUND_TIEAWAY, false);
        return true;
    case A64_FRINTX_scalar:
    case A64_FRINTX_scalar_h:
    case A64_FRINTX_vec:
    case A64_FRINTX_vec_h:
        *result = fp_round_int(env, t, a, fp_rounding_mode(env), true);
        return true;
    case A64_FRINTI_scalar:
    case A64_FRINTI_scalar_h:
    case A64_FRINTI_vec:
    case A64_FRINTI_vec_h:
        *result = fp_round_int(env, t, a, fp_rounding_mode(env), false);
        return true;
    case A64_FRINT32Z_scalar:
    case A64_FRINT32Z_vec:
        *result = fp_round_int_n(env, t, a, ROUND_ZERO, 32);
        return true;
    case A64_FRINT32X_scalar:
    case A64_FRINT32X_vec:
        *result = fp_round_int_n(env, t, a, fp_rounding_mode(env), 32);
        return true;
    case A64_FRINT64Z_scalar:
    case A64_FRINT64Z_vec:
        *result = fp_round_int_n(env, t, a, ROUND_ZERO, 64);
        return true;
    case A64_FRINT64X_scalar:
    case A64_FRINT64X_vec:
        *result = fp_round_int_n(env, t, a, fp_rounding_mode(env), 64);
        return true;
    case A64_FRECPE_scalar:
    case A64_FRECPE_scalar_h:
    case A64_FRECPE_vec:
    case A64_FRECPE_vec_h:
        *result = fp_recpe(env, t, a);
        return true;
    case A64_FRSQRTE_scalar:
    case A64_FRSQRTE_scalar_h:
    case A64_FRSQRTE_vec:
    case A64_FRSQRTE_vec_h:
        *result = fp_rsqrte(env, t, a);
        return true;
    case A64_FRECPX_scalar:
    case A64_FRECPX_scalar_h:
        *result = fp_recpx(env, t, a);
        return true;
    default:
        return false;
    }
}

/* ---- conversions with integers ---- */

struct conversion {
    enum { TO_INTEGER, FROM_INTEGER } kind;
    bool is_unsigned;
    enum fp_rounding rounding;
};

static bool conversion_of(enum a64_op op, struct conversion *k) {
    switch (op) {
    case A64_FCVTNS_scalar:
    case A64_FCVTNS_scalar_h:
    case A64_FCVTNS_vec:
    case A64_FCVTNS_vec_h:
    case A64_FCVTNS_gpr:
    case A64_FCVTNS_gpr_h:
        *k = (struct conversion){TO_INTEGER, false, ROUND_TIEEVEN};
        return true;
    case A64_FCVTNU_scalar:
    case A64_FCVTNU_scalar_h:
    case A64_FCVTNU_vec:
    case A64_FCVTNU_vec_h:
    case A64_FCVTNU_gpr:
    case A64_FCVTNU_gpr_h:
        *k = (struct conversion){TO_INTEGER, true, ROUND_TIEEVEN};
        return true;
    case A64_FCVTPS_scalar:
    case A64_FCVTPS_scalar_h:
    case A64_FCVTPS_vec:
    case A64_FCVTPS_vec_h:
    case A64_FCVTPS_gpr:
    case A64_FCVTPS_gpr_h:
        *k = (struct conversion){TO_INTEGER, false, ROUND_POSINF};
        return true;
    case A64_FCVTPU_scalar:
    case A64_FCVTPU_scalar_h:
    case A64_FCVTPU_vec:
    case A64_FCVTPU_vec_h:
    case A64_FCVTPU_gpr:
    case A64_FCVTPU_gpr_h:
        *k = (struct conversion){TO_INTEGER, true, ROUND_POSINF};
        return true;
    case A64_FCVTMS_scalar:
    case A64_FCVTMS_scalar_h:
    case A64_FCVTMS_vec:
    case A64_FCVTMS_vec_h:
    case A64_FCVTMS_gpr:
    case A64_FCVTMS_gpr_h:
        *k = (struct conversion){TO_INTEGER, false, ROUND_NEGINF};
        return true;
    case A64_FCVTMU_scalar:
    case A64_FCVTMU_scalar_h:
    case A64_FCVTMU_vec:
    case A64_FCVTMU_vec_h:
    case A64_FCVTMU_gpr:
    case A64_FCVTMU_gpr_h:
        *k = (struct conversion){TO_INTEGER, true, ROUND_NEGINF};
        return true;
    case A64_FCVTZS_scalar:
    case A64_FCVTZS_scalar_h:
    case A64_FCVTZS_vec:
    case A64_FCVTZS_vec_h:
    case A64_FCVTZS_vec_fix:
    case A64_FCVTZS_vec_fix_h:
    case A64_FCVTZS_scalar_fix:
    case A64_FCVTZS_scalar_fix_h:
    case A64_FCVTZS_gpr:
    case A64_FCVTZS_gpr_h:
    case A64_FCVTZS_gpr_fix:
    case A64_FCVTZS_gpr_fix_h:
        *k = (struct conversion){TO_INTEGER, false, ROUND_ZERO};
        return true;
    case A64_FCVTZU_scalar:
    case A64_FCVTZU_scalar_h:
    case A64_FCVTZU_vec:
    case A64_FCVTZU_vec_h:
    case A64_FCVTZU_vec_fix:
    case A64_FCVTZU_vec_fix_h:
    case A64_FCVTZU_scalar_fix:
    case A64_FCVTZU_scalar_fix_h:
    case A64_FCVTZU_gpr:
    case A64_FCVTZU_gpr_h:
    case A64_FCVTZU_gpr_fix:
    case A64_FCVTZU_gpr_fix_h:
        *k = (struct conversion){TO_INTEGER, true, ROUND_ZERO};
        return true;
    case A64_FCVTAS_scalar:
    case A64_FCVTAS_scalar_h:
    case A64_FCVTAS_vec:
    case A64_FCVTAS_vec_h:
    case A64_FCVTAS_gpr:
    case A64_FCVTAS_gpr_h:
        *k = (struct conversion){TO_INTEGER, false, ROUND_TIEAWAY};
        return true;
    case A64_FCVTAU_scalar:
    case A64_FCVTAU_scalar_h:
    case A64_FCVTAU_vec:
    case A64_FCVTAU_vec_h:
    case A64_FCVTAU_gpr:
    case A64_FCVTAU_gpr_h:
        *k = (struct conversion){TO_INTEGER, true, ROUND_TIEAWAY};
        return true;
    case A64_SCVTF_scalar:
    case A64_SCVTF_scalar_h:
    case A64_SCVTF_vec:
    case A64_SCVTF_vec_h:
    case A64_SCVTF_vec_fix:
    case A64_SCVTF_vec_fix_h:
    case A64_SCVTF_scalar_fix:
    case A64_SCVTF_scalar_fix_h:
    case A64_SCVTF_gpr:
    case A64_SCVTF_gpr_h:
    case A64_SCVTF_gpr_fix:
    case A64_SCVTF_gpr_fix_h:
        *k = (struct conversion){FROM_INTEGER, false, ROUND_ZERO};
        return true;
    case A64_UCVTF_scalar:
    case A64_UCVTF_scalar_h:
    case A64_UCVTF_vec:
    case A64_UCVTF_vec_h:
    case A64_UCVTF_vec_fix:
    case A64_UCVTF_vec_fix_h:
    case A64_UCVTF_scalar_fix:
    case A64_UCVTF_scalar_fix_h:
    case A64_UCVTF_gpr:
    case A64_UCVTF_gpr_h:
    case A64_UCVTF_gpr_fix:
    case A64_UCVTF_gpr_fix_h:
        *k = (struct conversion){FROM_INTEGER, true, ROUND_ZERO};
        return true;
    default:
        return false;
    }
}

static uint64_t extend(uint64_t value, unsigned width, bool is_unsigned) {
    unsigned shift = 64 - width;
    return is_unsigned ? value << shift >> shift : (uint64_t)((int64_t)(value << shift) >> shift);
}

static void convert_gpr(struct context *c, struct conversion k) {
    unsigned width = a64_sf(c->w) ? 64 : 32, fbits = bits(c->w, 21, 1) ? 0 : 64 - bits(c->w, 10, 6);
    if (k.kind == TO_INTEGER) {
        c->result->d[0] = fp_to_fixed(c->env, c->t, lane(reg_n(c), c->t, 0), fbits, width,
                                      k.is_unsigned, k.rounding);
        return;
    }
    uint64_t value = a64_Rn(c->w) == 31 ? 0 : c->cpu->x[a64_Rn(c->w)];
    set_lane(
        c->result, c->t, 0,
        fp_from_fixed(c->env, c->t, extend(value, width, k.is_unsigned), fbits, k.is_unsigned));
}

/* Shift by immediate class: bit 23 clear, immh:immb is 2 * esize - fbits. */
static void convert_lanes(struct context *c, struct conversion k) {
    bool fixed = a64_rows[c->op].group == GROUP_SIMD_FP &&
                 bits(c->w, 23, 6) == (bits(c->w, 28, 1) ? 0x3e : 0x1e);
    unsigned fbits = 0;
    if (fixed) {
        c->t = bits(c->w, 22, 1) ? FP_DOUBLE : bits(c->w, 21, 1) ? FP_SINGLE : FP_HALF;
        c->lanes = is_scalar(c->op, c->w) ? 1 : (64u << a64_Q(c->w)) / fp_width(c->t);
        fbits = 2 * fp_width(c->t) - bits(c->w, 16, 7);
    }
    unsigned width = fp_width(c->t);
    for (unsigned i = 0; i < c->lanes; i++) {
        uint64_t a = lane(reg_n(c), c->t, i);
        uint64_t r = k.kind == TO_INTEGER
                         ? fp_to_fixed(c->env, c->t, a, fbits, width, k.is_unsigned, k.rounding)
                         : fp_from_fixed(c->env, c->t, extend(a, width, k.is_unsigned), fbits,
                                         k.is_unsigned);
        set_lane(c->result, c->t, i, r);
    }
}

/* ---- conversions of precision ---- */

static bool convert_precision(struct context *c) {
    static const enum fp_type types[4] = {FP_SINGLE, FP_DOUBLE, FP_SINGLE, FP_HALF};
    enum fp_rounding r = fp_rounding_mode(c->env);
    unsigned high = a64_Q(c->w);
    enum fp_type wide = bits(c->w, 22, 1) ? FP_DOUBLE : FP_SINGLE,
                 narrow = wide == FP_DOUBLE ? FP_SINGLE : FP_HALF;
    unsigned n = 128 / fp_width(wide);
    switch (c->op) {
    case A64_FCVT: {
        enum fp_type from = types[bits(c->w, 22, 2)], to = types[bits(c->w, 15, 2)];
        set_lane(c->result, to, 0, fp_convert(c->env, from, to, lane(reg_n(c), from, 0), r));
        return true;
    }
    case A64_FCVTL:
        for (unsigned i = 0; i < n; i++)
            set_lane(c->result, wide, i,
                     fp_convert(c->env, narrow, wide, lane(reg_n(c), narrow, high * n + i), r));
        return true;
    case A64_FCVTXN_vec:
    case A64_FCVTN: {
        struct vreg source = *reg_n(c);
        if (c->op == A64_FCVTXN_vec)
            r = ROUND_ODD;
        if (high)
            c->result->d[0] = c->cpu->v[a64_Rd(c->w)].d[0];
        for (unsigned i = 0; i < n; i++)
            set_lane(c->result, narrow, high * n + i,
                     fp_convert(c->env, wide, narrow, lane(&source, wide, i), r));
        return true;
    }
    case A64_FCVTXN_scalar:
        set_lane(c->result, FP_SINGLE, 0,
                 fp_convert(c->env, FP_DOUBLE, FP_SINGLE, lane(reg_n(c), FP_DOUBLE, 0), ROUND_ODD));
        return true;
    default:
        return false;
    }
}

/* ---- complex numbers, products of halves (FEAT_FCMA, FEAT_FHM) ---- */

static enum fp_type complex_type(const struct context *c) {
    switch (bits(c->w, 22, 2)) {
    case 1:
        return FP_HALF;
    case 2:
        return FP_SINGLE;
    default:
        return FP_DOUBLE;
    }
}

/* Pairs (real, imaginary): FCADD adds m turned by 90 or 270 degrees. */
static void complex_add(struct context *c) {
    enum fp_type t = complex_type(c);
    unsigned n = (64u << a64_Q(c->w)) / fp_width(t);
    bool turn270 = bits(c->w, 12, 1);
    for (unsigned i = 0; i < n; i += 2) {
        uint64_t real = lane(reg_m(c), t, i), imaginary = lane(reg_m(c), t, i + 1);
        if (turn270)
            real = fp_neg(t, real);
        else
            imaginary = fp_neg(t, imaginary);
        set_lane(c->result, t, i, fp_add(c->env, t, lane(reg_n(c), t, i), imaginary));
        set_lane(c->result, t, i + 1, fp_add(c->env, t, lane(reg_n(c), t, i + 1), real));
    }
}

static void complex_multiply_add(struct context *c) {
    enum fp_type t = complex_type(c);
    bool element = by_element(c);
    unsigned n = (64u << a64_Q(c->w)) / fp_width(t),
             rotation = element ? bits(c->w, 13, 2) : bits(c->w, 11, 2);
    unsigned index = t == FP_HALF ? bits(c->w, 11, 1) << 1 | bits(c->w, 21, 1) : bits(c->w, 11, 1);
    const struct vreg *d = &c->cpu->v[a64_Rd(c->w)];
    for (unsigned i = 0; i < n; i += 2) {
        unsigned at = element ? index * 2 : i;
        uint64_t a = lane(reg_n(c), t, i + (rotation & 1)), real = lane(reg_m(c), t, at),
                 imaginary = lane(reg_m(c), t, at + 1), x, y;
        switch (rotation) {
        case 0:
            x = real, y = imaginary;
            break;
        case 1:
            x = fp_neg(t, imaginary), y = real;
            break;
        case 2:
            x = fp_neg(t, real), y = fp_neg(t, imaginary);
            break;
        default:
            x = imaginary, y = fp_neg(t, real);
        }
        set_lane(c->result, t, i, fp_muladd(c->env, t, lane(d, t, i), a, x));
        set_lane(c->result, t, i + 1, fp_muladd(c->env, t, lane(d, t, i + 1), a, y));
    }
}

/* FPMulAddH: halves become singles exactly, so their product is fused into the sum as FMLA does. */
static void multiply_add_long(struct context *c, bool subtract, bool upper) {
    bool element = by_element(c);
    unsigned n = 2u << a64_Q(c->w), first = upper ? n : 0;
    unsigned index = bits(c->w, 11, 1) << 2 | bits(c->w, 21, 1) << 1 | bits(c->w, 20, 1);
    const struct vreg *m = element ? &c->cpu->v[a64_Rm(c->w) & 15] : reg_m(c),
                      *d = &c->cpu->v[a64_Rd(c->w)];
    for (unsigned i = 0; i < n; i++) {
        uint64_t x = lane(reg_n(c), FP_HALF, first + i),
                 y = lane(m, FP_HALF, element ? index : first + i);
        if (subtract)
            x = fp_neg(FP_HALF, x);
        set_lane(c->result, FP_SINGLE, i, fp_muladd_half(c->env, lane(d, FP_SINGLE, i), x, y));
    }
}

static bool other(struct context *c) {
    switch (c->op) {
    case A64_FCADD_vec:
    case A64_FCADD_vec_h:
        complex_add(c);
        return true;
    case A64_FCMLA_vec:
    case A64_FCMLA_vec_h:
    case A64_FCMLA_elem:
    case A64_FCMLA_elem_h:
        complex_multiply_add(c);
        return true;
    case A64_FMLAL_vec:
    case A64_FMLAL_elem:
        multiply_add_long(c, false, false);
        return true;
    case A64_FMLAL2_vec:
    case A64_FMLAL2_elem:
        multiply_add_long(c, false, true);
        return true;
    case A64_FMLSL_vec:
    case A64_FMLSL_elem:
        multiply_add_long(c, true, false);
        return true;
    case A64_FMLSL2_vec:
    case A64_FMLSL2_elem:
        multiply_add_long(c, true, true);
        return true;
    default:
        return false;
    }
}

/* ---- whole instructions ---- */

bool fp_execute(const struct cpu *cpu, struct fp_env *env, uint32_t w, struct vreg *result) {
    enum a64_op op = a64_decode(w);
    struct context c = {.cpu = cpu, .env = env, .w = w, .op = op, .result = result};
    c.t = a64_rows[op].feature == FEATURE_FP16 ? FP_HALF : bits(w, 22, 1) ? FP_DOUBLE : FP_SINGLE;
    c.lanes = is_scalar(op, w) ? 1 : (64u << a64_Q(w)) / fp_width(c.t);
    *result = (struct vreg){{0, 0}};
    binary_fn *fn;
    struct conversion k;
    if ((fn = binary_of(op))) {
        each_binary(&c, fn);
    } else if ((fn = zero_compare_of(op))) {
        for (unsigned i = 0; i < c.lanes; i++)
            set_lane(result, c.t, i, fn(env, c.t, lane(reg_n(&c), c.t, i), 0));
    } else if ((fn = pairwise_of(op))) {
        each_pair(&c, fn);
    } else if ((fn = across_of(op))) {
        set_lane(result, c.t, 0, across(&c, fn, 0, c.lanes));
    } else if (conversion_of(op, &k)) {
        if (a64_rows[op].group == GROUP_FP)
            convert_gpr(&c, k);
        else
            convert_lanes(&c, k);
    } else if (op == A64_URECPE || op == A64_URSQRTE) {
        for (unsigned i = 0; i < 2u << a64_Q(w); i++) {
            uint32_t a = (uint32_t)lane(reg_n(&c), FP_SINGLE, i);
            set_lane(result, FP_SINGLE, i, op == A64_URECPE ? fp_recpe_u32(a) : fp_rsqrte_u32(a));
        }
    } else if (!multiply_add(&c) && !convert_precision(&c) && !other(&c)) {
        for (unsigned i = 0; i < c.lanes; i++) {
            uint64_t r;
            if (!unary(&c, lane(reg_n(&c), c.t, i), &r))
                return false;
            set_lane(result, c.t, i, r);
        }
    }
    return true;
}

void fp_helper(struct cpu *cpu, uint64_t word) {
    uint32_t w = (uint32_t)word;
    struct fp_env env = {cpu->fpcr, 0, false};
    struct vreg result;
    struct conversion k;
    enum a64_op op = a64_decode(w);
    if (!fp_execute(cpu, &env, w, &result))
        return;
    cpu->fpsr |= env.fpsr;
    if (a64_rows[op].group == GROUP_FP && conversion_of(op, &k) && k.kind == TO_INTEGER) {
        if (a64_Rd(w) != 31)
            cpu->x[a64_Rd(w)] = result.d[0];
    } else {
        cpu->v[a64_Rd(w)] = result;
    }
}
