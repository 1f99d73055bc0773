/*
 * lower_dp_cond.c - conditional select and compare (Arm ARM C4.1.95), and the instructions on the
 * flags themselves (FEAT_FlagM, FEAT_FlagM2).
 *
 * A condition is answered from EFLAGS as they are (flags_cond). What a conditional instruction
 * emits between that and the use of the condition must keep EFLAGS.
 */
#include "translate/lower_int.h"

/* ---- conditional ---- */

static struct cond cond_inverse(struct cond c) {
    switch (c.join) {
    case COND_AND:
        c.join = COND_OR;
        break;
    case COND_OR:
        c.join = COND_AND;
        break;
    default:
        break;
    }
    c.cc = x64_cc_not(c.cc);
    c.cc2 = x64_cc_not(c.cc2);
    return c;
}

/* AL and NV both hold always. */
static bool always(unsigned arm_cond) {
    return arm_cond >= 14;
}

LOWER(CSEL) {
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w), cc = bits(w, 12, 4);
    if (d == XZR)
        return;
    if (always(cc) || n == m) {
        emit_move(l, size, d, n);
        return;
    }
    struct cond c = flags_cond(l, cc);
    unsigned dst = x_dst(d, RAX);
    if (x_pinned(d) && d == n) {
        x64_rm other = operand(l, m, RCX);
        cond_move(l, cond_inverse(c), size, dst, other);
    } else {
        x64_rm taken = operand(l, n, RCX);
        if (m == XZR)
            x64_mov_ri(l->a, dst, 0);
        else if (!x64_is_reg(xr(m), dst))
            x64_mov_r_rm(l->a, size, dst, xr(m));
        cond_move(l, c, size, dst, taken);
    }
    x_commit(l, d, dst);
}

enum otherwise { INCREMENT, INVERT, NEGATE };

/* dst = the second operand of CSINC, CSINV, CSNEG. EFLAGS kept. */
static void emit_otherwise(struct lower *l, enum otherwise kind, unsigned size, unsigned dst,
                           unsigned m) {
    struct x64_asm *a = l->a;
    if (m == XZR) {
        x64_mov_ri(a, dst,
                   kind == INCREMENT ? 1
                   : kind == NEGATE  ? 0
                   : size == 8       ? ~0ull
                                     : 0xffffffff);
        return;
    }
    if (kind == INCREMENT) {
        x64_lea(a, size, dst, x64_m(in_register(l, size, xr(m), dst), 1));
        return;
    }
    emit_not(l, size, dst, xr(m));
    if (kind == NEGATE)
        x64_lea(a, size, dst, x64_m(dst, 1));
}

static void lower_select(struct lower *l, uint32_t w, enum otherwise kind) {
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w), cc = bits(w, 12, 4);
    if (d == XZR)
        return;
    if (always(cc)) {
        emit_move(l, size, d, n);
        return;
    }
    struct cond c = flags_cond(l, cc);
    unsigned dst = x_dst(d, RAX);
    if (n == XZR && m == XZR && kind != NEGATE) { /* CSET, CSETM: of the inverse condition */
        if (kind == INCREMENT) {
            cond_set(l, cond_inverse(c), dst);
        } else { /* 1 or 0, minus 1 */
            cond_set(l, c, dst);
            x64_lea(l->a, size, dst, x64_m(dst, -1));
        }
    } else if (x_pinned(d) && d == n) {
        emit_otherwise(l, kind, size, RAX, m);
        cond_move(l, cond_inverse(c), size, dst, x64_r(RAX));
    } else {
        emit_otherwise(l, kind, size, dst, m);
        cond_move(l, c, size, dst, operand(l, n, RCX));
    }
    x_commit(l, d, dst);
}

LOWER(CSINC) {
    lower_select(l, w, INCREMENT);
}

LOWER(CSINV) {
    lower_select(l, w, INVERT);
}

LOWER(CSNEG) {
    lower_select(l, w, NEGATE);
}

/* NZCV (bits 3..0) of the 8-bit a - b or a + b, as the x86 flags of `kind` encode it. */
static unsigned byte_nzcv(enum flags_kind kind, unsigned x, unsigned y) {
    unsigned r = kind == FLAGS_SUB ? x - y : x + y;
    unsigned carry = kind == FLAGS_SUB ? x >= y : r > 0xff;
    unsigned overflow = ((kind == FLAGS_SUB ? (x ^ y) & (x ^ r) : ~(x ^ y) & (x ^ r)) >> 7) & 1;
    return ((r >> 7) & 1) << 3 | ((r & 0xff) == 0) << 2 | carry << 1 | overflow;
}

/* Leaves the constant nzcv in EFLAGS in the given form: with one CMP or ADD of constants if there
 * is a pair, else SAHF. */
static void emit_flags_constant(struct lower *l, enum flags_kind kind, unsigned nzcv) {
    static const uint8_t values[] = {0, 1, 2, 0x7f, 0x80, 0x81, 0xff};
    struct x64_asm *a = l->a;
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
        for (unsigned j = 0; j < ARRAY_SIZE(values); j++)
            if (byte_nzcv(kind, values[i], values[j]) == nzcv) {
                x64_mov_ri(a, RAX, values[i]);
                x64_alu_rm_i(a, kind == FLAGS_SUB ? ALU_CMP : ALU_ADD, 1, x64_r(RAX),
                             (int8_t)values[j]);
                return;
            }
    unsigned carry = (nzcv >> 1) & 1;
    unsigned ah = (nzcv & 8) << 4 | (nzcv & 4) << 4 | 2 | (kind == FLAGS_SUB ? !carry : carry);
    x64_mov_ri(a, RAX, ah << 8 | (nzcv & 1 ? 0x7f : 0)); /* + 1 sets OF for 0x7f */
    x64_alu_rm_i(a, ALU_ADD, 1, x64_r(RAX), 1);
    x64_sahf(a);
}

static bool nzcv_satisfies(unsigned nzcv, unsigned arm_cond) {
    bool n = nzcv & 8, z = nzcv & 4, c = nzcv & 2, v = nzcv & 1, result;
    switch (arm_cond >> 1) {
    case 0:
        result = z;
        break;
    case 1:
        result = c;
        break;
    case 2:
        result = n;
        break;
    case 3:
        result = v;
        break;
    case 4:
        result = c && !z;
        break;
    case 5:
        result = n == v;
        break;
    case 6:
        result = n == v && !z;
        break;
    default:
        return true;
    }
    return result != (arm_cond & 1);
}

/* The compare (or CMN) of a conditional compare. */
static void emit_conditional_compare(struct lower *l, uint32_t w, enum flags_kind kind,
                                     bool immediate) {
    struct x64_asm *a = l->a;
    unsigned size = op_size(w);
    x64_rm n = operand(l, a64_Rn(w), RCX);
    int32_t imm = (int32_t)bits(w, 16, 5);
    if (kind == FLAGS_ADD) {
        x64_mov_r_rm(a, size, RAX, n);
        if (immediate)
            x64_alu_rm_i(a, ALU_ADD, size, x64_r(RAX), imm);
        else
            x64_alu_r_rm(a, ALU_ADD, size, RAX, operand(l, a64_Rm(w), RDX));
    } else if (!immediate) {
        emit_compare(l, size, n, operand(l, a64_Rm(w), RDX));
    } else if (imm == 0 && !n.is_mem) {
        x64_test_rm_r(a, size, n, n.base);
    } else {
        x64_alu_rm_i(a, ALU_CMP, size, n, imm);
    }
}

/*
 * A conditional compare whose flags only the B.cond behind it reads: when the condition fails,
 * where that branch goes is known, so go there at once. Returns false if it is not so.
 */
static bool fuse_with_branch(struct lower *l, uint32_t w, struct cond c) {
    const struct insn *branch = insn_after(l, l->insn);
    if (!branch || branch->op != A64_B_cond || branch->live_out)
        return false;
    bool taken = nzcv_satisfies(bits(w, 0, 4), branch->word & 15);
    guest_addr target;
    branch_target(A64_B_cond, branch->word, branch->pc, &target);
    if (taken)
        edge_cond(l, cond_inverse(c), branch->target, target, false);
    else if (branch->next >= 0 && l->region->insns[branch->next].leader)
        edge_cond(l, cond_inverse(c), branch->next, branch->pc + 4, false);
    else
        return false;
    return true;
}

static void lower_conditional_compare(struct lower *l, uint32_t w, enum flags_kind kind,
                                      bool immediate) {
    if (!l->flags_live_out)
        return;
    struct cond c = flags_cond(l, bits(w, 12, 4));
    if (c.join == COND_ALWAYS) {
        flags_clobber(l);
        emit_conditional_compare(l, w, kind, immediate);
        flags_set(l, kind);
        return;
    }
    if (fuse_with_branch(l, w, c)) {
        emit_conditional_compare(l, w, kind, immediate);
        flags_set(l, kind);
        return;
    }
    struct x64_label constant = X64_LABEL;
    uint32_t skip = 0;
    if (c.join == COND_ONE)
        skip = x64_jcc_short(l->a, x64_cc_not(c.cc));
    else
        cond_jump_not(l, c, &constant);
    emit_conditional_compare(l, w, kind, immediate);
    uint32_t done = x64_jmp_short(l->a);
    if (c.join == COND_ONE)
        x64_short_bind(l->a, skip);
    else
        x64_bind(l->a, &constant);
    emit_flags_constant(l, kind, bits(w, 0, 4));
    x64_short_bind(l->a, done);
    flags_set(l, kind);
}

LOWER(CCMP_reg) {
    lower_conditional_compare(l, w, FLAGS_SUB, false);
}

LOWER(CCMP_imm) {
    lower_conditional_compare(l, w, FLAGS_SUB, true);
}

LOWER(CCMN_reg) {
    lower_conditional_compare(l, w, FLAGS_ADD, false);
}

LOWER(CCMN_imm) {
    lower_conditional_compare(l, w, FLAGS_ADD, true);
}

/* ---- flag manipulation (FEAT_FlagM, FlagM2) ---- */

#define LAHF_N 0x8000
#define LAHF_Z 0x4000
#define LAHF_C 0x0100
#define LAHF_V 0x0001

LOWER(CFINV) {
    (void)w;
    if (l->flags == FLAGS_SUB ||
        l->flags == FLAGS_ADD) { /* the other form reads CF the other way */
        flags_set(l, l->flags == FLAGS_SUB ? FLAGS_ADD : FLAGS_SUB);
        return;
    }
    flags_get_ax(l);
    x64_alu_rm_i(l->a, ALU_XOR, 4, x64_r(RAX), LAHF_C);
    flags_set_ax(l);
}

LOWER(RMIF) {
    static const uint16_t bit[4] = {LAHF_V, LAHF_C, LAHF_Z, LAHF_N};
    struct x64_asm *a = l->a;
    unsigned mask = bits(w, 0, 4), lsb = bits(w, 15, 6);
    flags_get_ax(l);
    x_copy(l, RDX, a64_Rn(w), 8);
    if (lsb)
        x64_shift_i(a, SH_ROR, 8, x64_r(RDX), lsb);
    for (unsigned i = 0; i < 4; i++) {
        if (!(mask & 1u << i))
            continue;
        x64_mov_r_rm(a, 4, RCX, x64_r(RDX));
        if (i)
            x64_shift_i(a, SH_SHL, 4, x64_r(RCX), (unsigned)__builtin_ctz(bit[i]) - i);
        x64_alu_rm_i(a, ALU_AND, 4, x64_r(RCX), bit[i]);
        x64_alu_rm_i(a, ALU_AND, 4, x64_r(RAX), ~bit[i]);
        x64_alu_r_rm(a, ALU_OR, 4, RAX, x64_r(RCX));
    }
    flags_set_ax(l);
}

/* SETF8, SETF16: N, Z of the low `width` bits; V = carry out of them into the next one; C stays. */
static void lower_setf(struct lower *l, uint32_t w, unsigned width) {
    struct x64_asm *a = l->a;
    flags_get_ax(l);
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RAX), LAHF_C);
    x_copy(l, RDX, a64_Rn(w), 4);
    x64_mov_r_rm(a, 4, RCX, x64_r(RDX));
    x64_shift_i(a, SH_SHR, 4, x64_r(RCX), 1);
    x64_alu_r_rm(a, ALU_XOR, 4, RCX, x64_r(RDX));
    x64_shift_i(a, SH_SHR, 4, x64_r(RCX), width - 1);
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RCX), LAHF_V);
    x64_alu_r_rm(a, ALU_OR, 4, RAX, x64_r(RCX));
    x64_shift_i(a, SH_SHL, 4, x64_r(RDX), 32 - width);
    x64_mov_r_rm(a, 4, RCX, x64_r(RDX));
    x64_shift_i(a, SH_SHR, 4, x64_r(RCX), 16);
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RCX), LAHF_N);
    x64_alu_r_rm(a, ALU_OR, 4, RAX, x64_r(RCX));
    x64_test_rm_r(a, 4, x64_r(RDX), RDX);
    x64_setcc(a, CC_E, x64_r(RCX));
    x64_movzx(a, RCX, 1, x64_r(RCX));
    x64_shift_i(a, SH_SHL, 4, x64_r(RCX), 14);
    x64_alu_r_rm(a, ALU_OR, 4, RAX, x64_r(RCX));
    flags_set_ax(l);
}

LOWER(SETF8) {
    lower_setf(l, w, 8);
}

LOWER(SETF16) {
    lower_setf(l, w, 16);
}

/* RCX = the bit `from_mask` of RAX moved to the bit `to_mask`, the rest 0 */
static void emit_take_bit(struct x64_asm *a, uint32_t from_mask, uint32_t to_mask) {
    unsigned from = (unsigned)__builtin_ctz(from_mask), to = (unsigned)__builtin_ctz(to_mask);
    x64_mov_r_rm(a, 4, RCX, x64_r(RAX));
    if (from > to)
        x64_shift_i(a, SH_SHR, 4, x64_r(RCX), from - to);
    else if (to > from)
        x64_shift_i(a, SH_SHL, 4, x64_r(RCX), to - from);
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RCX), (int32_t)to_mask);
}

LOWER(AXFLAG) { /* N = 0, Z = Z | V, C = C & !V, V = 0 */
    struct x64_asm *a = l->a;
    (void)w;
    flags_get_ax(l);
    emit_take_bit(a, LAHF_V, LAHF_Z);
    x64_alu_r_rm(a, ALU_OR, 4, RAX, x64_r(RCX));
    emit_take_bit(a, LAHF_V, LAHF_C);
    x64_unary(a, UN_NOT, 4, x64_r(RCX));
    x64_alu_r_rm(a, ALU_AND, 4, RAX, x64_r(RCX));
    x64_alu_rm_i(a, ALU_AND, 4, x64_r(RAX), LAHF_Z | LAHF_C);
    flags_set_ax(l);
}

LOWER(XAFLAG) { /* N = !C & !Z, Z = C & Z, C = C | Z, V = !C & Z */
    struct x64_asm *a = l->a;
    (void)w;
    flags_get_ax(l);
    emit_take_bit(a, LAHF_Z, LAHF_C);
    x64_mov_r_rm(a, 4, RDX, x64_r(RCX)); /* Z at C's place */
    emit_take_bit(a, LAHF_C, LAHF_C);
    x64_mov_r_rm(a, 4, RAX, x64_r(RCX));
    x64_alu_r_rm(a, ALU_OR, 4, RAX, x64_r(RDX));  /* the new C */
    x64_alu_r_rm(a, ALU_AND, 4, RCX, x64_r(RDX)); /* C & Z */
    x64_alu_r_rm(a, ALU_XOR, 4, RDX, x64_r(RCX)); /* Z & !C */
    x64_shift_i(a, SH_SHR, 4, x64_r(RDX), 8);
    x64_alu_r_rm(a, ALU_OR, 4, RDX, x64_r(RAX)); /* V and C */
    x64_alu_rm_i(a, ALU_XOR, 4, x64_r(RAX), LAHF_C);
    x64_shift_i(a, SH_SHL, 4, x64_r(RAX), 7); /* N = !C' */
    x64_shift_i(a, SH_SHL, 4, x64_r(RCX), 6);
    x64_alu_r_rm(a, ALU_OR, 4, RAX, x64_r(RCX));
    x64_alu_r_rm(a, ALU_OR, 4, RAX, x64_r(RDX));
    flags_set_ax(l);
}
