/*
 * lower_fp_convert.c - scalar conversions: between FP and general registers, between precisions
 * (Arm ARM C4.1.97).
 *
 * Out of range and NaN: the x86 conversion traps and fptrap.c saturates. What it relies on: the
 * conversion to an integer is one CVTT instruction, perhaps of a value already rounded in VT0; a
 * ROUND into VT1 that follows only raises inexact, and is left out when the conversion trapped.
 */
#include "translate/fp_interp.h"
#include "translate/lower_simd.h"

static void by_helper(struct lower *l, uint32_t w) {
    emit_helper(l, fp_helper, w, true);
}

/* ---- integer to FP ---- */

/*
 * dst = (double or float) unsigned RAX. Above the signed range: half of it with the lost bit kept
 * sticky, doubled. EFLAGS are lost. Uses RCX.
 */
static void convert_unsigned64(struct lower *l, unsigned dst, bool dbl) {
    struct x64_asm *a = l->a;
    enum x64_vop op = dbl ? V_CVTSI2SD64 : V_CVTSI2SS64;
    x64_test_rm_r(a, 8, x64_r(RAX), RAX);
    uint32_t large = x64_jcc_short(a, CC_S);
    x64_v3(a, op, 16, dst, dst, x64_r(RAX));
    uint32_t done = x64_jmp_short(a);
    x64_short_bind(a, large);
    x64_mov_r_rm(a, 4, RCX, x64_r(RAX));
    x64_shift_i(a, SH_SHR, 8, x64_r(RAX), 1);
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RCX), 1);
    x64_alu_r_rm(a, ALU_OR, 8, RAX, x64_r(RCX));
    x64_v3(a, op, 16, dst, dst, x64_r(RAX));
    x64_v3(a, dbl ? V_ADDSD : V_ADDSS, 16, dst, dst, x64_r(dst));
    x64_short_bind(a, done);
}

static void from_integer(struct lower *l, uint32_t w, bool is_unsigned, unsigned fbits) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), n = a64_Rn(w), dst = v_dst(d, VT0);
    bool dbl = fp_double(w), wide = a64_sf(w);
    if (fp_strict(l)) {
        by_helper(l, w);
        return;
    }
    if (n == XZR) {
        v_zero(l, dst);
        v_commit(l, d, dst);
        return;
    }
    if (is_unsigned && wide && !a->feat.avx512) {
        flags_clobber(l);
        x64_mov_r_rm(a, 8, RAX, xr(n));
        v_zero(l, dst);
        convert_unsigned64(l, dst, dbl);
    } else if (is_unsigned && wide) {
        v_zero(l, dst);
        x64_v3(a, dbl ? V_VCVTUSI2SD64 : V_VCVTUSI2SS64, 16, dst, dst, xr(n));
    } else if (is_unsigned) {
        x64_mov_r_rm(a, 4, RAX, xr(n));
        v_zero(l, dst);
        x64_v3(a, dbl ? V_CVTSI2SD64 : V_CVTSI2SS64, 16, dst, dst, x64_r(RAX));
    } else {
        v_zero(l, dst);
        x64_v3(a, (dbl ? V_CVTSI2SD32 : V_CVTSI2SS32) + wide, 16, dst, dst, xr(n));
    }
    if (fbits) { /* scaling by a power of two is exact: the result is far from denormal */
        uint64_t scale = dbl ? (uint64_t)(1023 - fbits) << 52 : (uint64_t)(127 - fbits) << 23;
        x64_v3(a, dbl ? V_MULSD : V_MULSS, 16, dst, dst, v_const(l, scale, 0));
    }
    v_commit(l, d, dst);
}
LOWER(SCVTF_gpr) {
    from_integer(l, w, false, 0);
}
LOWER(UCVTF_gpr) {
    from_integer(l, w, true, 0);
}
LOWER(SCVTF_gpr_fix) {
    from_integer(l, w, false, 64 - bits(w, 10, 6));
}
LOWER(UCVTF_gpr_fix) {
    from_integer(l, w, true, 64 - bits(w, 10, 6));
}

/* ---- FP to integer ---- */

/*
 * X<d> = integer of src towards zero, by a conversion that cannot trap: exponent and sign, taken as
 * one number, are those of 0 <= x < 2^63 (2^32), or for a signed result the exponent of |x| < 2^63
 * (2^31). All else goes to the helper.
 */
static void to_integer_checked(struct lower *l, uint32_t w, bool is_unsigned, x64_rm src) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), dst = x_dst(d, RAX);
    bool dbl = fp_double(w), wide = a64_sf(w);
    flags_clobber(l);
    if (src.is_mem)
        x64_mov_r_rm(a, dbl ? 8 : 4, RAX, src);
    else
        x64_vst(a, dbl ? V_MOVD64 : V_MOVD32, 16, x64_r(RAX), src.base);
    x64_shift_i(a, SH_SHR, dbl ? 8 : 4, x64_r(RAX), dbl ? 52 : 23);
    if (!is_unsigned)
        x64_alu_rm_i(a, ALU_AND, 4, x64_r(RAX), dbl ? 0x7ff : 0xff);
    x64_alu_rm_i(a, ALU_CMP, 4, x64_r(RAX),
                 (dbl ? 1023 : 127) + (wide          ? 63
                                       : is_unsigned ? 32
                                                     : 31));
    struct x64_label slow = X64_LABEL, done = X64_LABEL;
    x64_jcc(a, CC_AE, &slow);
    if (is_unsigned)
        x64_v2(a, dbl ? V_CVTTSD2SI64 : V_CVTTSS2SI64, 16, dst, src);
    else
        x64_v2(a, (dbl ? V_CVTTSD2SI32 : V_CVTTSS2SI32) + wide, 16, dst, src);
    x_commit(l, d, dst);
    x64_jmp(a, &done);
    x64_bind(a, &slow);
    by_helper(l, w);
    x64_bind(a, &done);
}

/* mode: 0 nearest even, 1 down, 2 up, 3 zero, 4 nearest away */
static void to_integer(struct lower *l, uint32_t w, bool is_unsigned, unsigned mode) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), dst = x_dst(d, RAX);
    bool dbl = fp_double(w), wide = a64_sf(w);
    x64_rm n = vr(a64_Rn(w)), src = n;
    if (fp_strict(l)) {
        by_helper(l, w);
        return;
    }
    if ((is_unsigned && !a->feat.avx512) || fp_traps(l)) {
        if (mode == 3)
            to_integer_checked(l, w, is_unsigned, src);
        else
            by_helper(l, w);
        return;
    }
    if (mode == 4) {
        fp_round_away(l, false, dbl, src);
        src = x64_r(VT0);
    } else if (mode != 3) {
        v_zero(l, VT0);
        x64_v3_i(a, dbl ? V_ROUNDSD : V_ROUNDSS, 16, VT0, VT0, src, (uint8_t)(8 | mode));
        src = x64_r(VT0);
    }
    enum x64_vop op;
    if (is_unsigned)
        op = (dbl ? V_VCVTTSD2USI32 : V_VCVTTSS2USI32) + wide;
    else
        op = (dbl ? V_CVTTSD2SI32 : V_CVTTSS2SI32) + wide;
    x64_v2(a, op, 16, dst, src);
    if (mode != 3) /* the inexact exception */
        x64_v3_i(a, dbl ? V_ROUNDSD : V_ROUNDSS, 16, VT1, VT1, n, 3);
    x_commit(l, d, dst);
}
LOWER(FCVTNS_gpr) {
    to_integer(l, w, false, 0);
}
LOWER(FCVTNU_gpr) {
    to_integer(l, w, true, 0);
}
LOWER(FCVTMS_gpr) {
    to_integer(l, w, false, 1);
}
LOWER(FCVTMU_gpr) {
    to_integer(l, w, true, 1);
}
LOWER(FCVTPS_gpr) {
    to_integer(l, w, false, 2);
}
LOWER(FCVTPU_gpr) {
    to_integer(l, w, true, 2);
}
LOWER(FCVTZS_gpr) {
    to_integer(l, w, false, 3);
}
LOWER(FCVTZU_gpr) {
    to_integer(l, w, true, 3);
}
LOWER(FCVTAS_gpr) {
    to_integer(l, w, false, 4);
}
LOWER(FCVTAU_gpr) {
    to_integer(l, w, true, 4);
}

/*
 * Fixed point: x * 2^fbits, which is exact unless it overflows; so x is first brought into +-2^63,
 * where it saturates all the same. A NaN traps in MIN, stays one, and traps in the conversion.
 */
static void to_fixed(struct lower *l, uint32_t w, bool is_unsigned) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), dst = x_dst(d, RAX), fbits = 64 - bits(w, 10, 6);
    bool dbl = fp_double(w), wide = a64_sf(w);
    if (fp_strict(l) || fp_traps(l) || (is_unsigned && !a->feat.avx512)) {
        by_helper(l, w);
        return;
    }
    uint64_t limit = dbl ? 0x43e0000000000000 : 0x5f000000, sign = dbl ? 1ull << 63 : 1u << 31;
    uint64_t scale = dbl ? (uint64_t)(1023 + fbits) << 52 : (uint64_t)(127 + fbits) << 23;
    v_scalar(l, VT0, a64_Rn(w), fp_bytes(w));
    x64_v3(a, dbl ? V_MINSD : V_MINSS, 16, VT0, VT0, v_const(l, limit, 0));
    x64_v3(a, dbl ? V_MAXSD : V_MAXSS, 16, VT0, VT0, v_const(l, limit | sign, 0));
    x64_v3(a, dbl ? V_MULSD : V_MULSS, 16, VT0, VT0, v_const(l, scale, 0));
    enum x64_vop op = is_unsigned ? (dbl ? V_VCVTTSD2USI32 : V_VCVTTSS2USI32)
                                  : (dbl ? V_CVTTSD2SI32 : V_CVTTSS2SI32);
    x64_v2(a, op + wide, 16, dst, x64_r(VT0));
    x_commit(l, d, dst);
}
LOWER(FCVTZS_gpr_fix) {
    to_fixed(l, w, false);
}
LOWER(FCVTZU_gpr_fix) {
    to_fixed(l, w, true);
}

/* ---- between precisions ---- */

/*
 * To and from half precision. FPCR.AHP chooses another format, and double to half must round once:
 * those by the helper.
 */
static void convert_half(struct lower *l, uint32_t w, bool to_half, bool dbl) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    struct x64_label slow = X64_LABEL, done = X64_LABEL;
    if (!a->feat.f16c || fp_strict(l) || fp_traps(l) || (to_half && dbl)) {
        by_helper(l, w);
        return;
    }
    v_jump_if_ahp(l, &slow);
    if (to_half) {
        v_scalar(l, VT0, a64_Rn(w), 4);
        x64_vst_i(a, V_VCVTPS2PH, 16, x64_r(VT0), VT0, 4);
    } else {
        v_op_rm(l, V_PAND, VT0, vr(a64_Rn(w)), v_const(l, 0xffff, 0));
        x64_v2(a, V_VCVTPH2PS, 16, VT0, x64_r(VT0));
        if (dbl)
            x64_v3(a, V_CVTSS2SD, 16, VT0, VT0, x64_r(VT0));
    }
    v_move(l, dst, VT0);
    v_commit(l, d, dst);
    x64_jmp(a, &done);
    x64_bind(a, &slow);
    by_helper(l, w);
    x64_bind(a, &done);
}

LOWER(FCVT) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0), from = bits(w, 22, 2), to = bits(w, 15, 2);
    x64_rm n = vr(a64_Rn(w));
    if (from == 3 || to == 3) {
        convert_half(l, w, to == 3, (from == 3 ? to : from) == 1);
        return;
    }
    if (fp_strict(l) || fp_traps(l)) {
        by_helper(l, w);
        return;
    }
    enum x64_vop op = to ? V_CVTSS2SD : V_CVTSD2SS;
    if (x64_is_reg(n, dst)) { /* the rest of dst is not zero, and must not be converted */
        v_zero(l, VT0);
        x64_v3(l->a, op, 16, VT0, VT0, n);
        v_move(l, dst, VT0);
    } else {
        v_zero(l, dst);
        x64_v3(l->a, op, 16, dst, dst, n);
    }
    v_commit(l, d, dst);
}

/* ---- JavaScript's ToInt32 ---- */

static void js_helper(struct cpu *cpu, uint64_t word) {
    uint32_t w = (uint32_t)word;
    struct fp_env env = {cpu->fpcr, 0, false};
    bool exact;
    uint32_t r = fp_to_js(&env, cpu->v[a64_Rn(w)].d[0], &exact);
    if (a64_Rd(w) != XZR)
        cpu->x[a64_Rd(w)] = r;
    cpu->fpsr |= env.fpsr;
    cpu->nzcv = nzcv_unpack(exact ? 1u << 30 : 0);
}

/*
 * Z says that the result is the operand's value, which -0 is not. Magnitudes of 2^31 and up by the
 * helper; an exact result converts back to the same bits.
 */
LOWER(FJCVTZS) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), n = a64_Rn(w);
    struct x64_label slow = X64_LABEL, done = X64_LABEL;
    flags_clobber(l);
    if (v_pinned(n))
        x64_vst(a, V_MOVD64, 16, x64_r(RAX), host_v[n]);
    else
        x64_mov_r_rm(a, 8, RAX, vr(n));
    x64_mov_r_rm(a, 8, RCX, x64_r(RAX));
    x64_shift_i(a, SH_SHR, 8, x64_r(RCX), 52);
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RCX), 0x7ff);
    x64_alu_rm_i(a, ALU_CMP, 4, x64_r(RCX), 1023 + 31);
    x64_jcc(a, CC_AE, &slow);
    if (fp_strict(l))
        x64_jmp(a, &slow);
    x64_v2(a, V_CVTTSD2SI32, 16, RCX, vr(n));
    v_zero(l, VT0);
    x64_v3(a, V_CVTSI2SD32, 16, VT0, VT0, x64_r(RCX));
    x64_vst(a, V_MOVD64, 16, x64_r(RDX), VT0);
    x64_alu_r_rm(a, ALU_CMP, 8, RDX, x64_r(RAX));
    x64_setcc(a, CC_E, x64_r(RAX));
    x64_movzx(a, RAX, 1, x64_r(RAX));
    x64_shift_i(a, SH_SHL, 4, x64_r(RAX), 14);
    x64_mov_rm_r(a, 2, x64_m(RBP, CPU_OFFSET(nzcv)), RAX);
    if (d != XZR)
        x64_mov_rm_r(a, xr(d).is_mem ? 8 : 4, xr(d), RCX);
    x64_jmp(a, &done);
    x64_bind(a, &slow);
    emit_helper(l, js_helper, w, true);
    x64_bind(a, &done);
    x64_movzx(a, RAX, 2, x64_m(RBP, CPU_OFFSET(nzcv)));
    flags_set_ax(l);
}
