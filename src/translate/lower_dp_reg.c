/*
 * lower_dp_reg.c - data processing with registers (Arm ARM C4.1.95): add/subtract, logic, bit
 * operations, variable shifts. Conditional instructions and those on flags are in lower_dp_cond.c,
 * multiply and divide in lower_dp_mul.c, CRC32 in lower_crc32.c.
 *
 * Operands are taken as x86 r/m operands wherever one instruction can use them in memory. A result
 * for a register that lives in memory is computed in RAX and stored, or in place when the operation
 * is a 64-bit read-modify-write.
 */
#include "translate/lower_int.h"

/* ---- operands ---- */

/* X<n> as an r/m operand; the zero register becomes `scratch`, zeroed. */
x64_rm operand(struct lower *l, unsigned n, unsigned scratch) {
    if (n != XZR)
        return xr(n);
    x64_mov_ri(l->a, scratch, 0);
    return x64_r(scratch);
}

/* The same, certainly a register. */
unsigned in_register(struct lower *l, unsigned size, x64_rm rm, unsigned scratch) {
    if (!rm.is_mem)
        return rm.base;
    x64_mov_r_rm(l->a, size, scratch, rm);
    return scratch;
}

/* X<m> shifted by the word's shift and imm6 fields, in place or in RCX. `keep`: EFLAGS are kept. */
static x64_rm shifted_operand(struct lower *l, bool keep, unsigned size, uint32_t w) {
    static const enum x64_shift op[] = {SH_SHL, SH_SHR, SH_SAR, SH_ROR};
    unsigned m = a64_Rm(w), amount = bits(w, 10, 6);
    if (m == XZR || amount == 0)
        return operand(l, m, RCX);
    emit_shift(l, keep, op[bits(w, 22, 2)], size, RCX, xr(m), amount);
    return x64_r(RCX);
}

/* X<m> extended and shifted left by the word's option and imm3 fields, in place or in RCX. */
static x64_rm extended_operand(struct lower *l, bool keep, unsigned size, uint32_t w) {
    unsigned m = a64_Rm(w), option = bits(w, 13, 3), amount = bits(w, 10, 3);
    if (m == XZR)
        return operand(l, m, RCX);
    unsigned bytes = 1u << (option & 3);
    x64_rm rm = xr(m);
    if (bytes < size) {
        if (option & 4)
            x64_movsx(l->a, size, RCX, bytes, rm);
        else
            x64_movzx(l->a, RCX, bytes, rm);
        rm = x64_r(RCX);
    }
    if (amount) {
        emit_shift(l, keep, SH_SHL, size, RCX, rm, amount);
        rm = x64_r(RCX);
    }
    return rm;
}

/* rm = rm op src, where both may be in memory. Uses RAX. */
static void alu_rm_rm(struct lower *l, enum x64_alu op, unsigned size, x64_rm rm, x64_rm src) {
    if (!rm.is_mem)
        x64_alu_r_rm(l->a, op, size, rm.base, src);
    else
        x64_alu_rm_r(l->a, op, size, rm, in_register(l, size, src, RAX));
}

bool writes_in_place(unsigned size, x64_rm d) {
    return size == 8 || !d.is_mem;
}

/* X<d> = n op m for ADD, AND, OR, XOR; EFLAGS are those of the operation. m may be in RCX. */
static void emit_commutative(struct lower *l, enum x64_alu op, unsigned size, unsigned d, x64_rm n,
                             x64_rm m) {
    if (d != XZR && writes_in_place(size, xr(d))) {
        if (rm_same(xr(d), n)) {
            alu_rm_rm(l, op, size, n, m);
            return;
        }
        if (rm_same(xr(d), m)) {
            alu_rm_rm(l, op, size, m, n);
            return;
        }
    }
    unsigned dst = x_dst(d, RAX);
    x64_mov_r_rm(l->a, size, dst, n);
    x64_alu_r_rm(l->a, op, size, dst, m);
    x_commit(l, d, dst);
}

/* X<d> = n - m (- borrow for SBB); EFLAGS are those of the operation. m may be in RCX. d may be SP
 * when `sp`. */
static void emit_subtract(struct lower *l, enum x64_alu op, unsigned size, unsigned d, bool sp,
                          x64_rm n, x64_rm m) {
    bool none = d == XZR && !sp;
    x64_rm place = none ? x64_r(RAX) : xr_sp(d);
    if (!none && writes_in_place(size, place) && rm_same(place, n)) {
        alu_rm_rm(l, op, size, n, m);
        return;
    }
    unsigned dst = none || place.is_mem || rm_same(place, m) ? RAX : place.base;
    x64_mov_r_rm(l->a, size, dst, n);
    x64_alu_r_rm(l->a, op, size, dst, m);
    if (!none && !x64_is_reg(place, dst))
        x64_mov_rm_r(l->a, 8, place, dst);
}

/* EFLAGS = n - m */
void emit_compare(struct lower *l, unsigned size, x64_rm n, x64_rm m) {
    if (!n.is_mem)
        x64_alu_r_rm(l->a, ALU_CMP, size, n.base, m);
    else
        x64_alu_rm_r(l->a, ALU_CMP, size, n, in_register(l, size, m, RAX));
}

/* ---- add and subtract ---- */

/* X<d>|SP = n + (m << shift), EFLAGS kept. d = 31: SP. */
static void emit_lea_add(struct lower *l, unsigned size, unsigned d, x64_rm n, x64_rm m,
                         unsigned shift) {
    unsigned dst = x_dst_sp(d, RAX);
    unsigned base = in_register(l, size, n, RAX), index = in_register(l, size, m, RCX);
    x64_lea(l->a, size, dst, x64_mx(base, index, shift, 0));
    x_commit_sp(l, d, dst);
}

/* X<d>|SP = n + m. d = 31: SP. `keep`: EFLAGS are kept, else they are free. */
void emit_add(struct lower *l, bool keep, unsigned size, unsigned d, x64_rm n, x64_rm m) {
    x64_rm place = xr_sp(d);
    bool in_place = writes_in_place(size, place) && (rm_same(place, n) || rm_same(place, m));
    if (keep || (!n.is_mem && !m.is_mem && !in_place))
        emit_lea_add(l, size, d, n, m, 0);
    else if (d != 31)
        emit_commutative(l, ALU_ADD, size, d, n, m);
    else if (rm_same(place, n) && !place.is_mem)
        x64_alu_r_rm(l->a, ALU_ADD, size, place.base, m);
    else
        emit_lea_add(l, size, d, n, m, 0);
}

/* X<d>|SP = n - m. `keep`: EFLAGS are kept (n + ~m + 1), else they are free. m may be in RCX. */
static void emit_sub(struct lower *l, bool keep, unsigned size, unsigned d, x64_rm n, x64_rm m) {
    struct x64_asm *a = l->a;
    x64_rm place = xr_sp(d);
    if (keep) {
        unsigned dst = x_dst_sp(d, RAX);
        x64_mov_r_rm(a, size, RCX, m);
        x64_unary(a, UN_NOT, size, x64_r(RCX));
        x64_lea(a, size, dst, x64_mx(in_register(l, size, n, RAX), RCX, 0, 1));
        x_commit_sp(l, d, dst);
    } else if (!place.is_mem && rm_same(place, m) && !rm_same(place, n)) {
        x64_unary(a, UN_NEG, size, place);
        x64_alu_r_rm(a, ALU_ADD, size, place.base, n);
    } else {
        emit_subtract(l, ALU_SUB, size, d, d == 31, n, m);
    }
}

/* X<d> = -m */
void emit_negate(struct lower *l, bool keep, unsigned size, unsigned d, x64_rm m) {
    struct x64_asm *a = l->a;
    if (!keep && rm_same(xr(d), m) && writes_in_place(size, m)) {
        x64_unary(a, UN_NEG, size, m);
        return;
    }
    unsigned dst = x_dst(d, RAX);
    x64_mov_r_rm(a, size, dst, m);
    x64_unary(a, keep ? UN_NOT : UN_NEG, size, x64_r(dst));
    if (keep)
        x64_lea(a, size, dst, x64_m(dst, 1));
    x_commit(l, d, dst);
}

/* ADD/SUB (shifted register) without live flags. */
static void lower_add_sub_plain(struct lower *l, uint32_t w, bool subtract) {
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w);
    unsigned amount = bits(w, 10, 6), kind = bits(w, 22, 2);
    if (d == XZR)
        return;
    if (m == XZR) {
        emit_move(l, size, d, n);
        return;
    }
    if (!subtract && n == XZR && amount == 0) {
        emit_move(l, size, d, m);
        return;
    }
    if (!subtract && n != XZR && kind == 0 && amount >= 1 && amount <= 3) {
        emit_lea_add(l, size, d, xr(n), xr(m), amount);
        return;
    }
    bool keep = !flags_free(l);
    if (!keep)
        flags_clobber(l);
    else if (amount && !l->a->feat.bmi2) {
        flags_clobber(l);
        keep = false;
    }
    x64_rm rm = shifted_operand(l, keep, size, w);
    if (n == XZR && subtract)
        emit_negate(l, keep, size, d, rm);
    else if (subtract)
        emit_sub(l, keep, size, d, xr(n), rm);
    else if (n == XZR) {
        x64_mov_rm_r(l->a, 8, xr(d), rm.base); /* shifted, so it is in RCX */
    } else
        emit_add(l, keep, size, d, xr(n), rm);
}

LOWER(ADD_reg) {
    lower_add_sub_plain(l, w, false);
}

LOWER(SUB_reg) {
    lower_add_sub_plain(l, w, true);
}

LOWER(ADDS_reg) {
    if (!l->flags_live_out) {
        lower_add_sub_plain(l, w, false);
        return;
    }
    flags_clobber(l);
    unsigned size = op_size(w);
    x64_rm m = shifted_operand(l, false, size, w);
    emit_commutative(l, ALU_ADD, size, a64_Rd(w), operand(l, a64_Rn(w), RAX), m);
    flags_set(l, FLAGS_ADD);
}

LOWER(SUBS_reg) {
    if (!l->flags_live_out) {
        lower_add_sub_plain(l, w, true);
        return;
    }
    struct x64_asm *a = l->a;
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w);
    flags_clobber(l);
    if (d == XZR && a64_Rm(w) == XZR && n != XZR) {
        if (x_pinned(n))
            x64_test_rm_r(a, size, xr(n), xr(n).base);
        else
            x64_alu_rm_i(a, ALU_CMP, size, xr(n), 0);
    } else if (n == XZR && d != XZR && a64_Rm(w) != XZR) { /* NEGS */
        emit_negate(l, false, size, d, shifted_operand(l, false, size, w));
    } else {
        x64_rm rm = shifted_operand(l, false, size, w), rn = operand(l, n, RAX);
        if (d == XZR)
            emit_compare(l, size, rn, rm);
        else
            emit_subtract(l, ALU_SUB, size, d, false, rn, rm);
    }
    flags_set(l, FLAGS_SUB);
}

/* ADD/SUB (extended register) without live flags; d and n may be SP. */
static void lower_extended_plain(struct lower *l, uint32_t w, bool subtract) {
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w), amount = bits(w, 10, 3);
    bool keep = !flags_free(l);
    if (!keep || (amount > 3 && !l->a->feat.bmi2)) {
        flags_clobber(l);
        keep = false;
    }
    if (!subtract && amount <= 3) { /* the shift goes into the address */
        x64_rm m = extended_operand(l, keep, size, w & ~(7u << 10));
        if (amount)
            emit_lea_add(l, size, d, xr_sp(n), m, amount);
        else
            emit_add(l, keep, size, d, xr_sp(n), m);
        return;
    }
    x64_rm m = extended_operand(l, keep, size, w);
    if (subtract)
        emit_sub(l, keep, size, d, xr_sp(n), m);
    else
        emit_add(l, keep, size, d, xr_sp(n), m);
}

LOWER(ADD_ext) {
    lower_extended_plain(l, w, false);
}

LOWER(SUB_ext) {
    lower_extended_plain(l, w, true);
}

LOWER(ADDS_ext) {
    if (!l->flags_live_out) {
        if (a64_Rd(w) != XZR)
            lower_extended_plain(l, w, false);
        return;
    }
    flags_clobber(l);
    unsigned size = op_size(w);
    x64_rm m = extended_operand(l, false, size, w);
    emit_commutative(l, ALU_ADD, size, a64_Rd(w), xr_sp(a64_Rn(w)), m);
    flags_set(l, FLAGS_ADD);
}

LOWER(SUBS_ext) {
    if (!l->flags_live_out) {
        if (a64_Rd(w) != XZR)
            lower_extended_plain(l, w, true);
        return;
    }
    flags_clobber(l);
    unsigned size = op_size(w), d = a64_Rd(w);
    x64_rm m = extended_operand(l, false, size, w), n = xr_sp(a64_Rn(w));
    if (d == XZR)
        emit_compare(l, size, n, m);
    else
        emit_subtract(l, ALU_SUB, size, d, false, n, m);
    flags_set(l, FLAGS_SUB);
}

/* ---- with carry ---- */

/*
 * CF = C (or !C when `inverted`), before an ADC or SBB. EFLAGS may change otherwise. The state of a
 * live NZCV is dealt with first, so that the caller only emits moves and the operation.
 */
static void emit_carry_in(struct lower *l, bool inverted) {
    struct x64_asm *a = l->a;
    enum flags_kind kind = l->flags;
    if (kind == FLAGS_FP) {
        flags_get_ax(l);
        x64_bt_i(a, BT_BT, 4, x64_r(RAX), 8);
        kind = FLAGS_ADD;
    } else {
        bool saves = l->flags_live && !l->flags_saved && kind != FLAGS_NONE;
        flags_clobber(l);
        if (saves) /* storing leaves EFLAGS as FLAGS_ADD */
            kind = FLAGS_ADD;
        if (kind == FLAGS_NONE) {
            x64_bt_i(a, BT_BT, 2, x64_m(RBP, CPU_OFFSET(nzcv)), 8);
            kind = FLAGS_ADD;
        }
    }
    if ((kind == FLAGS_SUB) != inverted)
        x64_cmc(a);
}

static void lower_add_carry(struct lower *l, uint32_t w, bool sets) {
    unsigned size = op_size(w), d = a64_Rd(w);
    if (d == XZR && !(sets && l->flags_live_out))
        return;
    emit_carry_in(l, false);
    x64_rm m = operand(l, a64_Rm(w), RCX);
    emit_commutative(l, ALU_ADC, size, d, operand(l, a64_Rn(w), RAX), m);
    if (sets)
        flags_set(l, FLAGS_ADD);
}

static void lower_sub_carry(struct lower *l, uint32_t w, bool sets) {
    unsigned size = op_size(w), d = a64_Rd(w);
    if (d == XZR && !(sets && l->flags_live_out))
        return;
    emit_carry_in(l, true);
    x64_rm m = operand(l, a64_Rm(w), RCX);
    emit_subtract(l, ALU_SBB, size, d, false, operand(l, a64_Rn(w), RAX), m);
    if (sets)
        flags_set(l, FLAGS_SUB);
}

LOWER(ADC) {
    lower_add_carry(l, w, false);
}

LOWER(ADCS) {
    lower_add_carry(l, w, true);
}

LOWER(SBC) {
    lower_sub_carry(l, w, false);
}

LOWER(SBCS) {
    lower_sub_carry(l, w, true);
}

/* ---- logic ---- */

/* dst = ~m, EFLAGS kept */
void emit_not(struct lower *l, unsigned size, unsigned dst, x64_rm m) {
    x64_mov_r_rm(l->a, size, dst, m);
    x64_unary(l->a, UN_NOT, size, x64_r(dst));
}

/* MOV and MVN with or without shift. */
static void lower_move_shifted(struct lower *l, uint32_t w, bool invert) {
    unsigned size = op_size(w), d = a64_Rd(w), m = a64_Rm(w), amount = bits(w, 10, 6);
    static const enum x64_shift op[] = {SH_SHL, SH_SHR, SH_SAR, SH_ROR};
    if (d == XZR)
        return;
    if (m == XZR) {
        if (invert)
            x_set(l, d, size == 8 ? ~0ull : 0xffffffff);
        else
            emit_zero(l, d);
        return;
    }
    if (amount == 0 && !invert) {
        emit_move(l, size, d, m);
        return;
    }
    if (amount == 0 && d == m && writes_in_place(size, xr(d))) {
        x64_unary(l->a, UN_NOT, size, xr(d));
        return;
    }
    unsigned dst = x_dst(d, RAX);
    bool keep = amount ? shifts_keep_flags(l) : true;
    emit_shift(l, keep, op[bits(w, 22, 2)], size, dst, xr(m), amount);
    if (invert)
        x64_unary(l->a, UN_NOT, size, x64_r(dst));
    x_commit(l, d, dst);
}

/* X<d> = n op m or n op ~m; EFLAGS are those of AND for the flag setters. */
static void emit_logic(struct lower *l, enum x64_alu op, bool invert, unsigned size, uint32_t w) {
    unsigned d = a64_Rd(w);
    x64_rm m = shifted_operand(l, false, size, w);
    x64_rm n = operand(l, a64_Rn(w), RAX);
    if (invert && op == ALU_AND && l->a->feat.bmi1) {
        unsigned dst = x_dst(d, RAX);
        x64_andn(l->a, size, dst, in_register(l, size, m, RCX), n);
        x_commit(l, d, dst);
        return;
    }
    if (invert) {
        emit_not(l, size, RCX, m);
        m = x64_r(RCX);
    }
    emit_commutative(l, op, size, d, n, m);
}

static void lower_logic(struct lower *l, uint32_t w, enum x64_alu op, bool invert) {
    if (a64_Rd(w) == XZR)
        return;
    if (op == ALU_OR && a64_Rn(w) == XZR) {
        lower_move_shifted(l, w, invert);
        return;
    }
    flags_clobber(l);
    emit_logic(l, op, invert, op_size(w), w);
}

LOWER(AND_reg) {
    lower_logic(l, w, ALU_AND, false);
}

LOWER(BIC_reg) {
    lower_logic(l, w, ALU_AND, true);
}

LOWER(ORR_reg) {
    lower_logic(l, w, ALU_OR, false);
}

LOWER(ORN_reg) {
    lower_logic(l, w, ALU_OR, true);
}

LOWER(EOR_reg) {
    lower_logic(l, w, ALU_XOR, false);
}

LOWER(EON_reg) {
    lower_logic(l, w, ALU_XOR, true);
}

LOWER(ANDS_reg) {
    struct x64_asm *a = l->a;
    unsigned size = op_size(w);
    if (!l->flags_live_out) {
        lower_logic(l, w, ALU_AND, false);
        return;
    }
    flags_clobber(l);
    if (a64_Rd(w) != XZR) {
        emit_logic(l, ALU_AND, false, size, w);
    } else {
        x64_rm m = shifted_operand(l, false, size, w), n = operand(l, a64_Rn(w), RAX);
        if (!n.is_mem)
            x64_test_rm_r(a, size, m, n.base);
        else if (rm_same(n, m))
            x64_alu_rm_i(a, ALU_CMP, size, n, 0);
        else
            x64_test_rm_r(a, size, n, in_register(l, size, m, RAX));
    }
    flags_set(l, FLAGS_ADD);
}

LOWER(BICS_reg) {
    if (!l->flags_live_out) {
        lower_logic(l, w, ALU_AND, true);
        return;
    }
    flags_clobber(l);
    emit_logic(l, ALU_AND, true, op_size(w), w);
    flags_set(l, FLAGS_ADD);
}

/* ---- bits and bytes ---- */

/* Is X<n> the RBIT of another register by the instruction before, which then emitted nothing? */
static const struct insn *rbit_before(const struct lower *l, const struct insn *in) {
    const struct insn *p = insn_before(l, in);
    bool fused = p && p->op == A64_RBIT && l->a->feat.bmi1 && in->op == A64_CLZ &&
                 a64_sf(p->word) == a64_sf(in->word) && a64_Rd(p->word) == a64_Rn(in->word) &&
                 a64_Rd(in->word) == a64_Rn(in->word) && a64_Rn(p->word) != XZR;
    return fused ? p : NULL;
}

/* Swaps groups of `shift` bits in RAX, where mask has the low group of every two. Uses RCX and RDX.
 */
static void emit_swap_groups(struct x64_asm *a, unsigned size, unsigned shift, uint64_t mask) {
    x64_mov_r_rm(a, size, RCX, x64_r(RAX));
    x64_shift_i(a, SH_SHR, size, x64_r(RAX), shift);
    if (size == 8) {
        x64_mov_ri(a, RDX, mask);
        x64_alu_r_rm(a, ALU_AND, 8, RAX, x64_r(RDX));
        x64_alu_r_rm(a, ALU_AND, 8, RCX, x64_r(RDX));
    } else {
        x64_alu_rm_i(a, ALU_AND, 4, x64_r(RAX), (int32_t)mask);
        x64_alu_rm_i(a, ALU_AND, 4, x64_r(RCX), (int32_t)mask);
    }
    if (shift <= 2) {
        x64_lea(a, size, RAX, x64_mx(RAX, RCX, shift, 0));
    } else {
        x64_shift_i(a, SH_SHL, size, x64_r(RCX), shift);
        x64_alu_r_rm(a, ALU_OR, size, RAX, x64_r(RCX));
    }
}

/* The result in RAX goes to X<d>. */
void commit_rax(struct lower *l, unsigned d) {
    if (d != XZR)
        x64_mov_rm_r(l->a, 8, xr(d), RAX);
}

LOWER(RBIT) {
    struct x64_asm *a = l->a;
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w);
    const struct insn *next = insn_after(l, l->insn);
    if (d == XZR || (next && rbit_before(l, next)))
        return;
    flags_clobber(l);
    x_copy(l, RAX, n, size);
    x64_bswap(a, size, RAX);
    emit_swap_groups(a, size, 4, 0x0f0f0f0f0f0f0f0f);
    emit_swap_groups(a, size, 2, 0x3333333333333333);
    emit_swap_groups(a, size, 1, 0x5555555555555555);
    commit_rax(l, d);
}

LOWER(REV) {
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w);
    if (d == XZR)
        return;
    unsigned dst = x_dst(d, RAX);
    if (n == XZR || d != n || !x_pinned(d))
        x_copy(l, dst, n, size);
    x64_bswap(l->a, size, dst);
    x_commit(l, d, dst);
}

LOWER(REV16) {
    unsigned size = op_size(w), d = a64_Rd(w);
    if (d == XZR)
        return;
    flags_clobber(l);
    x_copy(l, RAX, a64_Rn(w), size);
    if (size == 4) { /* reversing all four bytes swaps the halfwords too */
        x64_bswap(l->a, 4, RAX);
        x64_shift_i(l->a, SH_ROL, 4, x64_r(RAX), 16);
    } else {
        emit_swap_groups(l->a, 8, 8, 0x00ff00ff00ff00ff);
    }
    commit_rax(l, d);
}

LOWER(REV32) {
    unsigned d = a64_Rd(w);
    if (d == XZR)
        return;
    bool keep = shifts_keep_flags(l);
    unsigned dst = x_dst(d, RAX);
    x_copy(l, dst, a64_Rn(w), 8);
    x64_bswap(l->a, 8, dst);
    emit_shift(l, keep, SH_ROR, 8, dst, x64_r(dst), 32);
    x_commit(l, d, dst);
}

/* dst = leading zeros of rm. May use RCX. dst is not RCX. */
static void emit_count_leading_zeros(struct lower *l, unsigned size, unsigned dst, x64_rm rm) {
    struct x64_asm *a = l->a;
    unsigned top = size * 8 - 1;
    if (a->feat.lzcnt) {
        x64_lzcnt(a, size, dst, rm);
        return;
    }
    x64_bsr(a, size, RAX, rm); /* ZF and no result for 0: then (2 * top + 1) ^ top is the width */
    x64_mov_ri(a, RCX, 2 * top + 1);
    x64_cmov(a, CC_E, 4, RAX, x64_r(RCX));
    x64_alu_rm_i(a, ALU_XOR, 4, x64_r(RAX), (int32_t)top);
    x64_mov_r_rm(a, 8, dst, x64_r(RAX));
}

LOWER(CLZ) {
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w);
    if (d == XZR)
        return;
    flags_clobber(l);
    unsigned dst = x_dst(d, RAX);
    const struct insn *rbit = rbit_before(l, l->insn);
    if (rbit)
        x64_tzcnt(l->a, size, dst, xr(a64_Rn(rbit->word)));
    else
        emit_count_leading_zeros(l, size, dst, operand(l, n, RCX));
    x_commit(l, d, dst);
}

LOWER(CLS) { /* of x ^ (x >> 63 arithmetic), less the sign bit */
    struct x64_asm *a = l->a;
    unsigned size = op_size(w), d = a64_Rd(w);
    if (d == XZR)
        return;
    flags_clobber(l);
    x_copy(l, RDX, a64_Rn(w), size);
    x64_mov_r_rm(a, size, RAX, x64_r(RDX));
    x64_shift_i(a, SH_SAR, size, x64_r(RAX), size * 8 - 1);
    x64_alu_r_rm(a, ALU_XOR, size, RDX, x64_r(RAX));
    emit_count_leading_zeros(l, size, RAX, x64_r(RDX));
    x64_lea(a, 4, RAX, x64_m(RAX, -1));
    commit_rax(l, d);
}

/* ---- variable shifts ---- */

static void lower_shift_variable(struct lower *l, uint32_t w, enum x64_shift op) {
    struct x64_asm *a = l->a;
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w);
    if (d == XZR)
        return;
    if (n == XZR || m == XZR) {
        emit_move(l, size, d, n);
        return;
    }
    unsigned dst = x_dst(d, RAX);
    if (a->feat.bmi2 && op != SH_ROR) { /* the count is taken modulo the size on both machines */
        unsigned count = in_register(l, 4, xr(m), RCX);
        if (op == SH_SHL)
            x64_shlx(a, size, dst, xr(n), count);
        else if (op == SH_SHR)
            x64_shrx(a, size, dst, xr(n), count);
        else
            x64_sarx(a, size, dst, xr(n), count);
    } else {
        flags_clobber(l);
        x64_mov_r_rm(a, 4, RCX, xr(m));
        x64_mov_r_rm(a, size, dst, xr(n));
        x64_shift_cl(a, op, size, x64_r(dst));
        if (size == 4) /* a count of 0 does not zero-extend on every x86 */
            x64_mov_r_rm(a, 4, dst, x64_r(dst));
    }
    x_commit(l, d, dst);
}

LOWER(LSLV) {
    lower_shift_variable(l, w, SH_SHL);
}

LOWER(LSRV) {
    lower_shift_variable(l, w, SH_SHR);
}

LOWER(ASRV) {
    lower_shift_variable(l, w, SH_SAR);
}

LOWER(RORV) {
    lower_shift_variable(l, w, SH_ROR);
}
