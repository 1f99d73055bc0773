/*
 * lower_fp16.c - half-precision arithmetic (FEAT_FP16) and BFloat16: moves in line, the rest by
 * helpers. The guest is not told of the feature; this is for programs built for processors that
 * have it.
 */
#include "translate/bf16_interp.h"
#include "translate/fp_interp.h"
#include "translate/lower_simd.h"

static void by_helper(struct lower *l, uint32_t w) {
    emit_helper(l, fp_helper, w, true);
}

/* ---- moves, sign ---- */

static void masked(struct lower *l, uint32_t w, enum x64_vop op, uint64_t mask) {
    unsigned d = a64_Rd(w);
    v_op_rm(l, V_PAND, VT0, vr(a64_Rn(w)), v_const(l, 0xffff, 0));
    if (mask)
        x64_v3(l->a, op, 16, VT0, VT0, v_const(l, mask, 0));
    v_finish(l, d, VT0, 16);
}
LOWER(FMOV_reg_h) {
    masked(l, w, V_PAND, 0);
}
LOWER(FABS_scalar_h) {
    masked(l, w, V_PAND, 0x7fff);
}
LOWER(FNEG_scalar_h) {
    masked(l, w, V_PXOR, 0x8000);
}
LOWER(FMOV_imm_h) {
    v_set(l, a64_Rd(w), a64_fp_immediate(bits(w, 13, 8), 16), 0);
}
LOWER(FABS_vec_h) {
    v_op_rm(l, V_PAND, VT0, vr(a64_Rn(w)), v_splat(l, 1, 0x7fff)),
        v_finish(l, a64_Rd(w), VT0, v_bytes(w));
}
LOWER(FNEG_vec_h) {
    v_op_rm(l, V_PXOR, VT0, vr(a64_Rn(w)), v_splat(l, 1, 0x8000)),
        v_finish(l, a64_Rd(w), VT0, v_bytes(w));
}

/* dst = V<n>'s lowest halfword, zero-extended */
static void halfword(struct lower *l, unsigned dst, unsigned n) {
    if (v_pinned(n))
        x64_vst_i(l->a, V_PEXTRW, 16, x64_r(dst), host_v[n], 0);
    else
        x64_movzx(l->a, dst, 2, vr(n));
}

LOWER(FMOV_to_gpr_h) {
    unsigned d = a64_Rd(w), dst = x_dst(d, RAX);
    halfword(l, dst, a64_Rn(w));
    x_commit(l, d, dst);
}
LOWER(FMOV_from_gpr_h) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), dst = v_dst(d, VT0);
    if (n == XZR)
        x64_mov_ri(l->a, RAX, 0);
    else
        x64_movzx(l->a, RAX, 2, xr(n));
    x64_v2(l->a, V_MOVD32, 16, dst, x64_r(RAX));
    v_commit(l, d, dst);
}

LOWER(FCSEL_h) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    struct x64_label done = X64_LABEL;
    struct cond c = flags_cond(l, bits(w, 12, 4));
    halfword(l, RAX, a64_Rn(w));
    if (c.join != COND_ALWAYS) {
        cond_jump(l, c, &done);
        halfword(l, RAX, a64_Rm(w));
        x64_bind(l->a, &done);
    }
    x64_v2(l->a, V_MOVD32, 16, dst, x64_r(RAX));
    v_commit(l, d, dst);
}

/* ---- comparison ---- */

static bool condition_holds(uint16_t f, unsigned cond) {
    uint32_t nzcv = nzcv_pack(f);
    bool n = nzcv >> 31 & 1, z = nzcv >> 30 & 1, c = nzcv >> 29 & 1, v = nzcv >> 28 & 1, r = false;
    switch (cond >> 1) {
    case 0:
        r = z;
        break;
    case 1:
        r = c;
        break;
    case 2:
        r = n;
        break;
    case 3:
        r = v;
        break;
    case 4:
        r = c && !z;
        break;
    case 5:
        r = n == v;
        break;
    case 6:
        r = n == v && !z;
        break;
    default:
        return true;
    }
    return r != (cond & 1);
}

/* FCMP and FCCMP in all their half-precision forms; bit 4 of the word says signalling (E). */
static void compare_helper(struct cpu *cpu, uint64_t word) {
    static const uint32_t flags[] = {0x8u << 28, 0x6u << 28, 0x2u << 28, 0x3u << 28};
    uint32_t w = (uint32_t)word;
    bool conditional = bits(w, 10, 2) == 1, zero = !conditional && bits(w, 3, 1);
    if (conditional && !condition_holds(cpu->nzcv, bits(w, 12, 4))) {
        cpu->nzcv = nzcv_unpack(bits(w, 0, 4) << 28);
        return;
    }
    struct fp_env env = {cpu->fpcr, 0, false};
    uint64_t n = cpu->v[a64_Rn(w)].d[0] & 0xffff, m = zero ? 0 : cpu->v[a64_Rm(w)].d[0] & 0xffff;
    cpu->nzcv = nzcv_unpack(flags[1 + fp_compare(&env, FP_HALF, n, m, bits(w, 4, 1))]);
    cpu->fpsr |= env.fpsr;
}

static void compare(struct lower *l, uint32_t w) {
    flags_get_ax(l);
    emit_helper(l, compare_helper, w, true);
    x64_movzx(l->a, RAX, 2, x64_m(RBP, CPU_OFFSET(nzcv)));
    flags_set_ax(l);
}
LOWER(FCMP_h) {
    compare(l, w);
}
LOWER(FCMP_zero_h) {
    compare(l, w);
}
LOWER(FCMPE_h) {
    compare(l, w);
}
LOWER(FCMPE_zero_h) {
    compare(l, w);
}
LOWER(FCCMP_h) {
    compare(l, w);
}
LOWER(FCCMPE_h) {
    compare(l, w);
}

/* ---- the rest ---- */

#define BY_HELPER(id)    \
    LOWER(id) {          \
        by_helper(l, w); \
    }
BY_HELPER(FSQRT_scalar_h)
BY_HELPER(FRINTN_scalar_h)
BY_HELPER(FRINTP_scalar_h)
BY_HELPER(FRINTM_scalar_h)
BY_HELPER(FRINTZ_scalar_h)
BY_HELPER(FRINTA_scalar_h)
BY_HELPER(FRINTX_scalar_h)
BY_HELPER(FRINTI_scalar_h)
BY_HELPER(FMUL_scalar_h)
BY_HELPER(FDIV_scalar_h)
BY_HELPER(FADD_scalar_h)
BY_HELPER(FSUB_scalar_h)
BY_HELPER(FMAX_scalar_h)
BY_HELPER(FMIN_scalar_h)
BY_HELPER(FMAXNM_scalar_h)
BY_HELPER(FMINNM_scalar_h)
BY_HELPER(FNMUL_scalar_h)
BY_HELPER(FMADD_h)
BY_HELPER(FMSUB_h)
BY_HELPER(FNMADD_h)
BY_HELPER(FNMSUB_h)
BY_HELPER(FCVTNS_gpr_h)
BY_HELPER(FCVTNU_gpr_h)
BY_HELPER(FCVTPS_gpr_h)
BY_HELPER(FCVTPU_gpr_h)
BY_HELPER(FCVTMS_gpr_h)
BY_HELPER(FCVTMU_gpr_h)
BY_HELPER(FCVTZS_gpr_h)
BY_HELPER(FCVTZU_gpr_h)
BY_HELPER(FCVTAS_gpr_h)
BY_HELPER(SCVTF_gpr_h)
BY_HELPER(FCVTAU_gpr_h)
BY_HELPER(UCVTF_gpr_h)
BY_HELPER(FCVTZS_gpr_fix_h)
BY_HELPER(SCVTF_gpr_fix_h)
BY_HELPER(FCVTZU_gpr_fix_h)
BY_HELPER(UCVTF_gpr_fix_h)
BY_HELPER(FMAXNM_vec_h)
BY_HELPER(FMLA_vec_h)
BY_HELPER(FADD_vec_h)
BY_HELPER(FMULX_vec_h)
BY_HELPER(FMULX_scalar_h)
BY_HELPER(FCMEQ_vec_h)
BY_HELPER(FCMEQ_scalar_h)
BY_HELPER(FMAX_vec_h)
BY_HELPER(FRECPS_vec_h)
BY_HELPER(FRECPS_scalar_h)
BY_HELPER(FMINNM_vec_h)
BY_HELPER(FMLS_vec_h)
BY_HELPER(FSUB_vec_h)
BY_HELPER(FMIN_vec_h)
BY_HELPER(FRSQRTS_vec_h)
BY_HELPER(FRSQRTS_scalar_h)
BY_HELPER(FMAXNMP_vec_h)
BY_HELPER(FADDP_vec_h)
BY_HELPER(FMUL_vec_h)
BY_HELPER(FCMGE_vec_h)
BY_HELPER(FCMGE_scalar_h)
BY_HELPER(FACGE_vec_h)
BY_HELPER(FACGE_scalar_h)
BY_HELPER(FMAXP_vec_h)
BY_HELPER(FDIV_vec_h)
BY_HELPER(FMINNMP_vec_h)
BY_HELPER(FABD_vec_h)
BY_HELPER(FABD_scalar_h)
BY_HELPER(FCMGT_vec_h)
BY_HELPER(FCMGT_scalar_h)
BY_HELPER(FACGT_vec_h)
BY_HELPER(FACGT_scalar_h)
BY_HELPER(FMINP_vec_h)
BY_HELPER(FRINTN_vec_h)
BY_HELPER(FRINTM_vec_h)
BY_HELPER(FRINTP_vec_h)
BY_HELPER(FRINTZ_vec_h)
BY_HELPER(FRINTA_vec_h)
BY_HELPER(FRINTX_vec_h)
BY_HELPER(FRINTI_vec_h)
BY_HELPER(FSQRT_vec_h)
BY_HELPER(FCVTNS_vec_h)
BY_HELPER(FCVTNS_scalar_h)
BY_HELPER(FCVTMS_vec_h)
BY_HELPER(FCVTMS_scalar_h)
BY_HELPER(FCVTAS_vec_h)
BY_HELPER(FCVTAS_scalar_h)
BY_HELPER(FCVTPS_vec_h)
BY_HELPER(FCVTPS_scalar_h)
BY_HELPER(FCVTZS_vec_h)
BY_HELPER(FCVTZS_scalar_h)
BY_HELPER(SCVTF_vec_h)
BY_HELPER(SCVTF_scalar_h)
BY_HELPER(FCVTNU_vec_h)
BY_HELPER(FCVTNU_scalar_h)
BY_HELPER(FCVTMU_vec_h)
BY_HELPER(FCVTMU_scalar_h)
BY_HELPER(FCVTAU_vec_h)
BY_HELPER(FCVTAU_scalar_h)
BY_HELPER(FCVTPU_vec_h)
BY_HELPER(FCVTPU_scalar_h)
BY_HELPER(FCVTZU_vec_h)
BY_HELPER(FCVTZU_scalar_h)
BY_HELPER(UCVTF_vec_h)
BY_HELPER(UCVTF_scalar_h)
BY_HELPER(FCMGT_zero_vec_h)
BY_HELPER(FCMGT_zero_scalar_h)
BY_HELPER(FCMEQ_zero_vec_h)
BY_HELPER(FCMEQ_zero_scalar_h)
BY_HELPER(FCMLT_zero_vec_h)
BY_HELPER(FCMLT_zero_scalar_h)
BY_HELPER(FCMGE_zero_vec_h)
BY_HELPER(FCMGE_zero_scalar_h)
BY_HELPER(FCMLE_zero_vec_h)
BY_HELPER(FCMLE_zero_scalar_h)
BY_HELPER(FRECPE_vec_h)
BY_HELPER(FRECPE_scalar_h)
BY_HELPER(FRSQRTE_vec_h)
BY_HELPER(FRSQRTE_scalar_h)
BY_HELPER(FRECPX_scalar_h)
BY_HELPER(FMAXNMV_h)
BY_HELPER(FMINNMV_h)
BY_HELPER(FMAXV_h)
BY_HELPER(FMINV_h)
BY_HELPER(FMAXNMP_scalar_h)
BY_HELPER(FADDP_scalar_h)
BY_HELPER(FMAXP_scalar_h)
BY_HELPER(FMINNMP_scalar_h)
BY_HELPER(FMINP_scalar_h)
BY_HELPER(FMLA_elem_h)
BY_HELPER(FMLA_elem_scalar_h)
BY_HELPER(FMLS_elem_h)
BY_HELPER(FMLS_elem_scalar_h)
BY_HELPER(FMUL_elem_h)
BY_HELPER(FMUL_elem_scalar_h)
BY_HELPER(FMULX_elem_h)
BY_HELPER(FMULX_elem_scalar_h)
BY_HELPER(SCVTF_vec_fix_h)
BY_HELPER(SCVTF_scalar_fix_h)
BY_HELPER(UCVTF_vec_fix_h)
BY_HELPER(UCVTF_scalar_fix_h)
BY_HELPER(FCVTZS_vec_fix_h)
BY_HELPER(FCVTZS_scalar_fix_h)
BY_HELPER(FCVTZU_vec_fix_h)
BY_HELPER(FCVTZU_scalar_fix_h)
BY_HELPER(FCMLA_vec)
BY_HELPER(FCMLA_vec_h)
BY_HELPER(FCMLA_elem)
BY_HELPER(FCMLA_elem_h)
BY_HELPER(FCADD_vec)
BY_HELPER(FCADD_vec_h)
BY_HELPER(FMLAL_vec)
BY_HELPER(FMLSL_vec)
BY_HELPER(FMLAL2_vec)
BY_HELPER(FMLSL2_vec)
BY_HELPER(FMLAL_elem)
BY_HELPER(FMLSL_elem)
BY_HELPER(FMLAL2_elem)
BY_HELPER(FMLSL2_elem)

#define BY_BF16_HELPER(id)                    \
    LOWER(id) {                               \
        emit_helper(l, bf16_helper, w, true); \
    }
BY_BF16_HELPER(BFCVT)
BY_BF16_HELPER(BFCVTN)
BY_BF16_HELPER(BFDOT_vec)
BY_BF16_HELPER(BFDOT_elem)
BY_BF16_HELPER(BFMLAL_vec)
BY_BF16_HELPER(BFMLAL_elem)
BY_BF16_HELPER(BFMMLA)
