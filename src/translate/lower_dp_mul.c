/*
 * lower_dp_mul.c - multiply and divide (Arm ARM C4.1.95). None of them touches NZCV: where EFLAGS
 * hold a live NZCV the products are formed by MULX and LEA, which keep EFLAGS. Factors that are the
 * zero register are decided here, so that xr() is only asked for real registers.
 */
#include "translate/lower_int.h"

/* ---- multiply ---- */

/* dst = low half of n * m; dst is not m's register unless n == m. `keep` needs BMI2, uses RCX and
 * RDX. */
static void emit_multiply(struct lower *l, bool keep, unsigned size, unsigned dst, x64_rm n,
                          x64_rm m) {
    if (keep) {
        x64_mov_r_rm(l->a, size, RDX, n);
        x64_mulx(l->a, size, RCX, dst, m);
    } else {
        if (!x64_is_reg(n, dst))
            x64_mov_r_rm(l->a, size, dst, n);
        x64_imul_r_rm(l->a, size, dst, m);
    }
}

/* X<d> = X<ra> + or - RAX */
static void emit_accumulate(struct lower *l, bool keep, bool subtract, unsigned size, unsigned d,
                            unsigned ra) {
    x64_rm product = x64_r(RAX);
    if (ra == XZR && subtract) {
        emit_negate(l, keep, size, d, product);
    } else if (ra == XZR) {
        commit_rax(l, d);
    } else if (subtract && keep) {
        x64_unary(l->a, UN_NOT, size, product);
        unsigned dst = x_dst(d, RCX);
        x64_lea(l->a, size, dst, x64_mx(in_register(l, size, xr(ra), RCX), RAX, 0, 1));
        x_commit(l, d, dst);
    } else if (subtract) {
        x64_rm place = xr(d);
        if (d == ra && writes_in_place(size, place)) {
            x64_alu_rm_r(l->a, ALU_SUB, size, place, RAX);
            return;
        }
        unsigned dst = x_dst(d, RCX);
        x64_mov_r_rm(l->a, size, dst, xr(ra));
        x64_alu_r_rm(l->a, ALU_SUB, size, dst, product);
        x_commit(l, d, dst);
    } else if (keep) {
        unsigned dst = x_dst(d, RAX);
        x64_lea(l->a, size, dst, x64_mx(in_register(l, size, xr(ra), RCX), RAX, 0, 0));
        x_commit(l, d, dst);
    } else {
        emit_add(l, false, size, d, product, xr(ra));
    }
}

static void lower_multiply_add(struct lower *l, uint32_t w, bool subtract) {
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w), ra = a64_Ra(w);
    if (d == XZR)
        return;
    bool keep = shifts_keep_flags(l);
    if (n == XZR || m == XZR) {
        emit_move(l, size, d, ra);
        return;
    }
    if (ra == XZR && !subtract) {
        if (x_pinned(d) && d == m) { /* dst is to be the first factor */
            m = n;
            n = d;
        }
        unsigned dst = x_dst(d, RAX);
        emit_multiply(l, keep, size, dst, xr(n), xr(m));
        x_commit(l, d, dst);
        return;
    }
    emit_multiply(l, keep, size, RAX, xr(n), xr(m));
    emit_accumulate(l, keep, subtract, size, d, ra);
}

LOWER(MADD) {
    lower_multiply_add(l, w, false);
}

LOWER(MSUB) {
    lower_multiply_add(l, w, true);
}

/* The four that multiply 32-bit factors to 64 bits. */
static void lower_multiply_long(struct lower *l, uint32_t w, bool sign, bool subtract) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w), ra = a64_Ra(w);
    if (d == XZR)
        return;
    bool keep = shifts_keep_flags(l);
    if (n == XZR || m == XZR) {
        emit_move(l, 8, d, ra);
        return;
    }
    bool direct = !keep && ra == XZR && !subtract && x_pinned(d) && d != m;
    unsigned first = keep ? RDX : direct ? xr(d).base : RAX;
    if (sign) {
        x64_movsx(a, 8, first, 4, xr(n));
        x64_movsx(a, 8, RCX, 4, xr(m));
    } else {
        x64_mov_r_rm(a, 4, first, xr(n));
        x64_mov_r_rm(a, 4, RCX, xr(m));
    }
    if (keep)
        x64_mulx(a, 8, RCX, RAX, x64_r(RCX));
    else
        x64_imul_r_rm(a, 8, first, x64_r(RCX));
    if (!direct)
        emit_accumulate(l, keep, subtract, 8, d, ra);
}

LOWER(SMADDL) {
    lower_multiply_long(l, w, true, false);
}

LOWER(SMSUBL) {
    lower_multiply_long(l, w, true, true);
}

LOWER(UMADDL) {
    lower_multiply_long(l, w, false, false);
}

LOWER(UMSUBL) {
    lower_multiply_long(l, w, false, true);
}

LOWER(UMULH) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w);
    if (d == XZR)
        return;
    if (n == XZR || m == XZR) {
        emit_zero(l, d);
        return;
    }
    unsigned dst = x_dst(d, RAX);
    if (a->feat.bmi2) { /* one register for both halves gets the high one */
        x64_mov_r_rm(a, 8, RDX, xr(n));
        x64_mulx(a, 8, dst, dst, xr(m));
    } else {
        flags_clobber(l);
        x64_mov_r_rm(a, 8, RAX, xr(n));
        x64_unary(a, UN_MUL, 8, xr(m));
        x64_mov_r_rm(a, 8, dst, x64_r(RDX));
    }
    x_commit(l, d, dst);
}

LOWER(SMULH) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w);
    if (d == XZR)
        return;
    if (n == XZR || m == XZR) {
        emit_zero(l, d);
        return;
    }
    flags_clobber(l);
    x64_mov_r_rm(a, 8, RAX, xr(n));
    x64_unary(a, UN_IMUL, 8, xr(m));
    x64_mov_rm_r(a, 8, xr(d), RDX);
}

/* ---- divide ---- */

LOWER(UDIV) { /* division by zero gives 0 */
    struct x64_asm *a = l->a;
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w);
    if (d == XZR)
        return;
    if (n == XZR || m == XZR) {
        emit_zero(l, d);
        return;
    }
    flags_clobber(l);
    unsigned divisor = in_register(l, size, xr(m), RCX);
    x64_alu_r_rm(a, ALU_XOR, 4, RAX, x64_r(RAX));
    x64_test_rm_r(a, size, x64_r(divisor), divisor);
    uint32_t zero = x64_jcc_short(a, CC_E);
    x64_alu_r_rm(a, ALU_XOR, 4, RDX, x64_r(RDX));
    x64_mov_r_rm(a, size, RAX, xr(n));
    x64_unary(a, UN_DIV, size, x64_r(divisor));
    x64_short_bind(a, zero);
    commit_rax(l, d);
}

LOWER(SDIV) { /* by 0 gives 0; the smallest number by -1 gives itself: for both divisors n * m */
    struct x64_asm *a = l->a;
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w);
    if (d == XZR)
        return;
    if (n == XZR || m == XZR) {
        emit_zero(l, d);
        return;
    }
    flags_clobber(l);
    unsigned divisor = in_register(l, size, xr(m), RCX);
    x64_mov_r_rm(a, size, RAX, xr(n));
    x64_lea(a, size, RDX, x64_m(divisor, 1));
    x64_alu_rm_i(a, ALU_CMP, size, x64_r(RDX), 1);
    uint32_t divide = x64_jcc_short(a, CC_A);
    x64_imul_r_rm(a, size, RAX, x64_r(divisor));
    uint32_t done = x64_jmp_short(a);
    x64_short_bind(a, divide);
    x64_cdq(a, size);
    x64_unary(a, UN_IDIV, size, x64_r(divisor));
    x64_short_bind(a, done);
    commit_rax(l, d);
}
