/*
 * lower_fp.c - scalar floating point, single and double (Arm ARM C4.1.97, C7.2). Conversions are in
 * lower_fp_convert.c, half precision in helpers.
 *
 * MXCSR has FPCR's rounding mode and FZ, and the invalid exception unmasked: wherever x86 would
 * give another result than A64 for a NaN or an operation without a result, the instruction traps
 * and fptrap.c completes it. It knows what it has to compute from the host instruction's operands,
 * which therefore stand in A64's order; what else it relies on is marked "fptrap.c" here.
 *
 * An instruction writes V<d> zero above the scalar. SSE takes the upper part of a result from its
 * first source, so that nothing needs clearing when that is known to be zero.
 */
#include "translate/fp_interp.h"
#include "translate/lower_simd.h"

/* ---- moves, sign ---- */

LOWER(FMOV_reg) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    v_scalar(l, dst, a64_Rn(w), fp_bytes(w));
    v_commit(l, d, dst);
}

LOWER(FMOV_imm) {
    v_set(l, a64_Rd(w), a64_fp_immediate(bits(w, 13, 8), fp_bytes(w) * 8), 0);
}

LOWER(FABS_scalar) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    v_op_rm(l, V_PAND, dst, vr(a64_Rn(w)), v_const(l, ~0ull >> (fp_double(w) ? 1 : 33), 0));
    v_commit(l, d, dst);
}

static x64_rm sign_bit(struct lower *l, uint32_t w) {
    return v_const(l, fp_double(w) ? 1ull << 63 : 1ull << 31, 0);
}

LOWER(FNEG_scalar) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    v_scalar(l, dst, a64_Rn(w), fp_bytes(w));
    x64_v3(l->a, V_PXOR, 16, dst, dst, sign_bit(l, w));
    v_commit(l, d, dst);
}

LOWER(FMOV_to_gpr) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), dst = x_dst(d, RAX), size = a64_sf(w) ? 8 : 4;
    if (v_pinned(n))
        x64_vst(l->a, size == 8 ? V_MOVD64 : V_MOVD32, 16, x64_r(dst), host_v[n]);
    else
        x64_mov_r_rm(l->a, size, dst, vr(n));
    x_commit(l, d, dst);
}

LOWER(FMOV_from_gpr) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), dst = v_dst(d, VT0);
    if (n == XZR)
        v_zero(l, dst);
    else
        x64_v2(l->a, a64_sf(w) ? V_MOVD64 : V_MOVD32, 16, dst, xr(n));
    v_commit(l, d, dst);
}

LOWER(FMOV_top_to_gpr) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), dst = x_dst(d, RAX);
    if (v_pinned(n))
        x64_vst_i(l->a, V_PEXTRQ, 16, x64_r(dst), host_v[n], 1);
    else
        x64_mov_r_rm(l->a, 8, dst, vr_hi(n));
    x_commit(l, d, dst);
}

LOWER(FMOV_top_from_gpr) {
    unsigned d = a64_Rd(w), src = x_read(l, a64_Rn(w), 8, RAX);
    if (v_pinned(d))
        x64_v3_i(l->a, V_PINSRQ, 16, host_v[d], host_v[d], x64_r(src), 1);
    else
        x64_mov_rm_r(l->a, 8, vr_hi(d), src);
}

/* ---- arithmetic ---- */

/* reg = V<n>, its scalar: a register to read, with zero above it when it was in memory. */
static unsigned read_scalar(struct lower *l, unsigned n, unsigned scratch, unsigned bytes) {
    if (v_pinned(n))
        return host_v[n];
    v_scalar(l, scratch, n, bytes);
    return scratch;
}

/* reg = V<n> op V<m>; true when it is zero above the scalar. */
static bool scalar_op(struct lower *l, uint32_t w, enum x64_vop ss, unsigned dst) {
    unsigned n = a64_Rn(w), s1 = read_scalar(l, n, VT0, fp_bytes(w));
    bool zero = !v_pinned(n) || v_upper_zero(l, n, fp_bytes(w));
    v_op(l, ss + fp_double(w), dst, s1, vr(a64_Rm(w)));
    return zero;
}

static void binary(struct lower *l, uint32_t w, enum x64_vop ss) {
    if (fp_traps(l)) {
        emit_helper(l, fp_helper, w, true);
        return;
    }
    unsigned d = a64_Rd(w), dst = fp_dst(l, d);
    bool zero = scalar_op(l, w, ss, dst);
    fp_check(l, false, fp_double(w), dst);
    v_finish(l, d, dst, zero ? 16 : fp_bytes(w));
}
LOWER(FADD_scalar) {
    binary(l, w, V_ADDSS);
}
LOWER(FSUB_scalar) {
    binary(l, w, V_SUBSS);
}
LOWER(FMUL_scalar) {
    binary(l, w, V_MULSS);
}
LOWER(FDIV_scalar) {
    binary(l, w, V_DIVSS);
}

LOWER(FNMUL_scalar) { /* the sign of a NaN is flipped too */
    if (fp_strict(l) || fp_traps(l)) {
        emit_helper(l, fp_helper, w, true);
        return;
    }
    scalar_op(l, w, V_MULSS, VT0);
    v_last(l, V_PXOR, a64_Rd(w), VT0, sign_bit(l, w), fp_bytes(w));
}

/* V<d> = op(src), zero above. */
static void unary(struct lower *l, uint32_t w, enum x64_vop ss, int imm, x64_rm src) {
    unsigned d = a64_Rd(w), dst = fp_dst(l, d);
    bool same = x64_is_reg(src, dst);
    enum x64_vop op = ss + fp_double(w);
    if (!same)
        v_zero(l, dst);
    if (imm >= 0)
        x64_v3_i(l->a, op, 16, dst, dst, src, (uint8_t)imm);
    else
        x64_v3(l->a, op, 16, dst, dst, src);
    fp_check(l, false, fp_double(w), dst);
    v_finish(l, d, dst, same && !v_upper_zero(l, d, fp_bytes(w)) ? fp_bytes(w) : 16);
}

LOWER(FSQRT_scalar) {
    if (fp_traps(l))
        emit_helper(l, fp_helper, w, true);
    else
        unary(l, w, V_SQRTSS, -1, vr(a64_Rn(w)));
}

/* ROUNDSS's immediate: mode 0 nearest, 1 down, 2 up, 3 zero; 4: MXCSR's; 8: no inexact exception.
 */
static void round_integral(struct lower *l, uint32_t w, int imm) {
    if (fp_strict(l))
        emit_helper(l, fp_helper, w, true);
    else
        unary(l, w, V_ROUNDSS, imm, vr(a64_Rn(w)));
}
LOWER(FRINTN_scalar) {
    round_integral(l, w, 8);
}
LOWER(FRINTM_scalar) {
    round_integral(l, w, 9);
}
LOWER(FRINTP_scalar) {
    round_integral(l, w, 10);
}
LOWER(FRINTZ_scalar) {
    round_integral(l, w, 11);
}
LOWER(FRINTX_scalar) {
    round_integral(l, w, 4);
}
LOWER(FRINTI_scalar) {
    round_integral(l, w, 12);
}

/*
 * t = trunc(x); where x is so small that it can have a fraction, t += copysign(1, x) if |x - t| >=
 * 0.5. Both are exact. The compares are integer ones, so that neither NaN nor infinity is touched;
 * the sign of a zero is x's.
 */
void fp_round_away(struct lower *l, bool packed, bool dbl, x64_rm src) {
    struct x64_asm *a = l->a;
    unsigned size = dbl ? 3 : 2;
    uint64_t sign = dbl ? 1ull << 63 : 1ull << 31;
    uint64_t half = dbl ? 0x3fe0000000000000 - 1 : 0x3f000000 - 1;
    uint64_t one = dbl ? 0x3ff0000000000000 : 0x3f800000;
    uint64_t integral = dbl ? 0x4330000000000000 : 0x4b000000; /* 2^52, 2^23 */
    enum x64_vop round = (packed ? V_ROUNDPS : V_ROUNDSS) + dbl;
    if (packed) {
        x64_v2_i(a, round, 16, VT0, src, 11);
    } else {
        v_zero(l, VT0);
        x64_v3_i(a, round, 16, VT0, VT0, src, 11);
    }
    v_op_rm(l, V_PAND, VT1, packed ? src : x64_r(VT0), v_splat(l, size, ~sign));
    /* VT2: may have a fraction */
    v_load(l, VT2, v_splat(l, size, integral));
    x64_v3(a, v_cmpgt_op[size], 16, VT2, VT2, x64_r(VT1));
    if (!packed)
        v_load(l, VT1, src);
    else
        x64_v2(a, V_MOVAPS, 16, VT1, src);
    x64_v3(a, V_PAND, 16, VT1, VT1, x64_r(VT2));
    x64_v3(a, V_PAND, 16, VT2, VT2, x64_r(VT0));
    x64_v3(a, (packed ? V_SUBPS : V_SUBSS) + dbl, 16, VT1, VT1, x64_r(VT2)); /* x - t */
    x64_v3(a, V_PAND, 16, VT1, VT1, v_splat(l, size, ~sign));
    x64_v3(a, v_cmpgt_op[size], 16, VT1, VT1, v_splat(l, size, half));
    x64_v3(a, V_PAND, 16, VT1, VT1, v_splat(l, size, one));
    v_load(l, VT2, v_splat(l, size, sign));
    x64_v3(a, V_PAND, 16, VT2, VT2, x64_r(VT0));
    x64_v3(a, V_POR, 16, VT1, VT1, x64_r(VT2)); /* 1 or 0 with x's sign: t has it even when zero */
    x64_v3(a, (packed ? V_ADDPS : V_ADDSS) + dbl, 16, VT0, VT0, x64_r(VT1));
}

LOWER(FRINTA_scalar) {
    if (fp_strict(l)) {
        emit_helper(l, fp_helper, w, true);
        return;
    }
    fp_round_away(l, false, fp_double(w), vr(a64_Rn(w)));
    v_finish(l, a64_Rd(w), VT0, fp_bytes(w));
}

/* Code that jumps here, to `slow`, has the helper do the instruction; the other goes on behind it.
 */
static void finish_by_helper(struct lower *l, uint32_t w, struct x64_label *slow,
                             struct x64_label *done) {
    x64_jmp(l->a, done);
    x64_bind(l->a, slow);
    emit_helper(l, fp_helper, w, true);
    x64_bind(l->a, done);
}

/*
 * x86 MIN and MAX return the second operand for two zeros; both orders joined give the zero A64
 * wants. NaNs trap in both; fptrap.c takes the operands of an operation into VT1 as exchanged.
 */
static void min_max(struct lower *l, uint32_t w, enum x64_vop ss) {
    unsigned n = a64_Rn(w), m = a64_Rm(w), bytes = fp_bytes(w);
    enum x64_vop op = ss + fp_double(w);
    struct x64_label nan = X64_LABEL, done = X64_LABEL;
    bool branch = fp_traps(l);
    if (branch) {
        flags_clobber(l);
        x64_v2(l->a, V_UCOMISS + fp_double(w), 16, read_scalar(l, n, VT0, bytes), vr(m));
        x64_jcc(l->a, CC_P, &nan);
    }
    v_op(l, op, VT0, read_scalar(l, n, VT0, bytes), vr(m));
    v_op(l, op, VT1, read_scalar(l, m, VT1, bytes), vr(n));
    v_last(l, ss == V_MINSS ? V_POR : V_PAND, a64_Rd(w), VT0, x64_r(VT1), bytes);
    if (branch)
        finish_by_helper(l, w, &nan, &done);
}
LOWER(FMAX_scalar) {
    min_max(l, w, V_MAXSS);
}
LOWER(FMIN_scalar) {
    min_max(l, w, V_MINSS);
}
LOWER(FMAXNM_scalar) {
    min_max(l, w, V_MAXSS);
}
LOWER(FMINNM_scalar) {
    min_max(l, w, V_MINSS);
}

/*
 * a + n * m with the signs of the mnemonic. Of several quiet NaNs x86 takes another than A64,
 * without a trap: so a NaN result is made to trap, by comparing it with itself; fptrap.c then
 * recomputes it from the guest's operands.
 */
static void multiply_add(struct lower *l, uint32_t w, enum x64_vop ss) {
    unsigned bytes = fp_bytes(w);
    if (!l->a->feat.fma || fp_traps(l) > 1) {
        emit_helper(l, fp_helper, w, true);
        return;
    }
    bool branch = fp_traps(l);
    if (branch)
        flags_clobber(l);
    v_scalar(l, VT0, a64_Ra(w), bytes);
    x64_v3(l->a, ss + fp_double(w), 16, VT0, read_scalar(l, a64_Rn(w), VT1, bytes), vr(a64_Rm(w)));
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    if (!branch) {
        x64_v3_i(l->a, V_CMPSS + fp_double(w), 16, VT1, VT0, x64_r(VT0), 1);
        v_move(l, dst, VT0);
        v_commit(l, d, dst);
        return;
    }
    struct x64_label nan = X64_LABEL, done = X64_LABEL;
    x64_v2(l->a, V_UCOMISS + fp_double(w), 16, VT0, x64_r(VT0));
    x64_jcc(l->a, CC_P, &nan);
    v_move(l, dst, VT0);
    v_commit(l, d, dst);
    finish_by_helper(l, w, &nan, &done);
}
LOWER(FMADD) {
    multiply_add(l, w, V_VFMADD231SS);
}
LOWER(FMSUB) {
    multiply_add(l, w, V_VFNMADD231SS);
}
LOWER(FNMADD) {
    multiply_add(l, w, V_VFNMSUB231SS);
}
LOWER(FNMSUB) {
    multiply_add(l, w, V_VFMSUB231SS);
}

/* ---- compare, select ---- */

static void compare(struct lower *l, uint32_t w, enum x64_vop ss, bool zero) {
    unsigned n = read_scalar(l, a64_Rn(w), VT0, fp_bytes(w));
    x64_rm m = vr(a64_Rm(w));
    if (zero) {
        v_zero(l, VT1);
        m = x64_r(VT1);
    }
    if (!fp_strict(l) && ss == V_COMISS && fp_traps(l)) { /* quiet NaNs raise IOC in software */
        x64_v2(l->a, V_UCOMISS + fp_double(w), 16, n, m);
        uint32_t ordered = x64_jcc_short(l->a, CC_NP);
        x64_mov_rm_i(l->a, 1, IOC_ACC, 1);
        x64_short_bind(l->a, ordered);
        return;
    }
    if (fp_strict(
            l)) /* a denormal beside a quiet NaN counts: any NaN traps, fptrap.c goes by the word */
        ss = V_COMISS;
    x64_v2(l->a, ss + fp_double(w), 16, n, m);
}

static void compare_flags(struct lower *l, uint32_t w, enum x64_vop ss, bool zero) {
    flags_clobber(l);
    compare(l, w, ss, zero);
    flags_set(l, FLAGS_FP);
}
LOWER(FCMP) {
    compare_flags(l, w, V_UCOMISS, false);
}
LOWER(FCMPE) {
    compare_flags(l, w, V_COMISS, false);
}
LOWER(FCMP_zero) {
    compare_flags(l, w, V_UCOMISS, true);
}
LOWER(FCMPE_zero) {
    compare_flags(l, w, V_COMISS, true);
}

/* AX = NZCV of a comparison in EFLAGS, in lahf form. Uses RCX. */
static void compare_to_ax(struct lower *l) {
    struct x64_asm *a = l->a;
    x64_mov_ri(a, RAX, 0x0100);
    x64_mov_ri(a, RCX, 0x8000);
    x64_cmov(a, CC_B, 4, RAX, x64_r(RCX));
    x64_mov_ri(a, RCX, 0x4100);
    x64_cmov(a, CC_E, 4, RAX, x64_r(RCX));
    x64_mov_ri(a, RCX, 0x0101);
    x64_cmov(a, CC_P, 4, RAX, x64_r(RCX));
}

static void conditional_compare(struct lower *l, uint32_t w, enum x64_vop ss) {
    struct x64_label otherwise = X64_LABEL, done = X64_LABEL;
    struct cond c = flags_cond(l, bits(w, 12, 4));
    if (c.join == COND_ALWAYS) {
        compare_flags(l, w, ss, false);
        return;
    }
    cond_jump_not(l, c, &otherwise);
    compare(l, w, ss, false);
    compare_to_ax(l);
    x64_jmp(l->a, &done);
    x64_bind(l->a, &otherwise);
    x64_mov_ri(l->a, RAX, nzcv_unpack(bits(w, 0, 4) << 28));
    x64_bind(l->a, &done);
    flags_set_ax(l);
}
LOWER(FCCMP) {
    conditional_compare(l, w, V_UCOMISS);
}
LOWER(FCCMPE) {
    conditional_compare(l, w, V_COMISS);
}

/* By CMOV, for the choice is often not predictable. Two conditions of which either is enough take
 * two of them. */
LOWER(FCSEL) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w), bytes = fp_bytes(w), dst = v_dst(d, VT0);
    struct cond c = flags_cond(l, bits(w, 12, 4));
    if (c.join == COND_ALWAYS) {
        v_scalar(l, dst, n, bytes);
        v_commit(l, d, dst);
        return;
    }
    if (c.join == COND_AND) { /* not both: the other one */
        c = (struct cond){x64_cc_not(c.cc), x64_cc_not(c.cc2), COND_OR};
        n = a64_Rm(w);
        m = a64_Rn(w);
    }
    enum x64_vop move = bytes == 8 ? V_MOVD64 : V_MOVD32;
    x64_rm chosen = vr(n);
    if (v_pinned(m))
        x64_vst(a, move, 16, x64_r(RAX), host_v[m]);
    else
        x64_mov_r_rm(a, bytes, RAX, vr(m));
    if (v_pinned(n)) {
        x64_vst(a, move, 16, x64_r(RCX), host_v[n]);
        chosen = x64_r(RCX);
    }
    cond_move(l, c, bytes, RAX, chosen);
    x64_v2(a, move, 16, dst, x64_r(RAX));
    v_commit(l, d, dst);
}

/* ---- FEAT_FRINTTS ---- */

LOWER(FRINT32Z_scalar) {
    emit_helper(l, fp_helper, w, true);
}
LOWER(FRINT32X_scalar) {
    emit_helper(l, fp_helper, w, true);
}
LOWER(FRINT64Z_scalar) {
    emit_helper(l, fp_helper, w, true);
}
LOWER(FRINT64X_scalar) {
    emit_helper(l, fp_helper, w, true);
}
