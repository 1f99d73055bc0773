/*
 * lower_dp_imm.c - data processing with immediates (Arm ARM C4.1.92): constants, add/subtract,
 * logic, bit fields.
 *
 * Sequences that build a constant (MOVZ MOVK MOVK..., ADRP ADD) are folded: an instruction whose
 * result the next one only completes emits nothing, and the last one sets the whole value. That is
 * exact because nothing can stop between them: no access, no branch target.
 */
#include "translate/lower_int.h"

/* ---- shared pieces ---- */

void emit_zero(struct lower *l, unsigned r) {
    if (r == XZR)
        return;
    x64_rm d = xr(r);
    if (!d.is_mem && flags_free(l)) {
        flags_clobber(l);
        x64_alu_r_rm(l->a, ALU_XOR, 4, d.base, d);
    } else {
        x_set(l, r, 0);
    }
}

void emit_move(struct lower *l, unsigned size, unsigned d, unsigned n) {
    if (d == XZR || (d == n && size == 8))
        return;
    if (n == XZR) {
        emit_zero(l, d);
        return;
    }
    unsigned dst = x_dst(d, RAX);
    if (!x_pinned(d) && x_pinned(n) && size == 8) {
        x64_mov_rm_r(l->a, 8, xr(d), xr(n).base);
        return;
    }
    x64_mov_r_rm(l->a, size, dst, xr(n));
    x_commit(l, d, dst);
}

bool shifts_keep_flags(struct lower *l) {
    if (!flags_free(l) && l->a->feat.bmi2)
        return true;
    flags_clobber(l);
    return false;
}

void emit_shift(struct lower *l, bool keep, enum x64_shift op, unsigned size, unsigned dst,
                x64_rm src, unsigned count) {
    struct x64_asm *a = l->a;
    bool in_place = x64_is_reg(src, dst);
    if (count == 0) {
        if (!in_place || size == 4)
            x64_mov_r_rm(a, size, dst, src);
        return;
    }
    if (op == SH_ROR && a->feat.bmi2 && (keep || !in_place)) {
        x64_rorx(a, size, dst, src, count);
        return;
    }
    if (op == SH_SHL && count <= 3 && !src.is_mem && (keep || !in_place)) {
        if (count == 1)
            x64_lea(a, size, dst, x64_mx(src.base, src.base, 0, 0));
        else
            x64_lea(a, size, dst, x64_mx(X64_NOREG, src.base, count, 0));
        return;
    }
    if (keep) {
        x64_mov_ri(a, RDX, count);
        if (op == SH_SHL)
            x64_shlx(a, size, dst, src, RDX);
        else if (op == SH_SHR)
            x64_shrx(a, size, dst, src, RDX);
        else
            x64_sarx(a, size, dst, src, RDX);
        return;
    }
    if (!in_place)
        x64_mov_r_rm(a, size, dst, src);
    x64_shift_i(a, op, size, x64_r(dst), count);
}

/* ---- constants ---- */

static uint64_t move_wide_value(enum a64_op op, uint32_t w, uint64_t before) {
    unsigned shift = bits(w, 21, 2) * 16;
    uint64_t imm = (uint64_t)bits(w, 5, 16) << shift, value;
    if (op == A64_MOVK)
        value = (before & ~((uint64_t)0xffff << shift)) | imm;
    else
        value = op == A64_MOVN ? ~imm : imm;
    return a64_sf(w) ? value : (uint32_t)value;
}

static uint64_t adrp_value(guest_addr pc, uint32_t w) {
    int64_t imm = (int64_t)((uint64_t)sbits(w, 5, 19) << 2 | bits(w, 29, 2));
    return ALIGN_DOWN(pc, PAGE_BYTES) + ((uint64_t)imm << 12);
}

/* The mask of a logical immediate; a64.def lets no reserved one through. */
static uint64_t logical_mask(uint32_t w) {
    uint64_t mask = 0;
    a64_logical_immediate(bits(w, 22, 1), bits(w, 10, 6), bits(w, 16, 6), a64_sf(w), &mask);
    return mask;
}

bool known_constant(const struct lower *l, const struct insn *in, unsigned r, uint64_t *value) {
    const struct insn *p = insn_before(l, in);
    if (!p || a64_Rd(p->word) != r || r == XZR)
        return false;
    uint64_t before;
    switch (p->op) {
    case A64_ADRP:
        *value = adrp_value(p->pc, p->word);
        return true;
    case A64_MOVZ:
    case A64_MOVN:
        *value = move_wide_value(p->op, p->word, 0);
        return true;
    case A64_ORR_imm:
        if (a64_Rn(p->word) != XZR)
            return false;
        *value = logical_mask(p->word);
        return true;
    case A64_MOVK:
        if (!known_constant(l, p, r, &before))
            return false;
        *value = move_wide_value(A64_MOVK, p->word, before);
        return true;
    default:
        return false;
    }
}

/* Does the next instruction complete the constant this one leaves in X<r>? */
static bool constant_goes_on(const struct lower *l, unsigned r) {
    const struct insn *n = insn_after(l, l->insn);
    return n && n->op == A64_MOVK && a64_Rd(n->word) == r;
}

static void set_constant(struct lower *l, unsigned r, uint64_t value) {
    if (r == XZR || constant_goes_on(l, r))
        return;
    if (value == 0)
        emit_zero(l, r);
    else
        x_set(l, r, value);
}

LOWER(MOVZ) {
    set_constant(l, a64_Rd(w), move_wide_value(A64_MOVZ, w, 0));
}

LOWER(MOVN) {
    set_constant(l, a64_Rd(w), move_wide_value(A64_MOVN, w, 0));
}

LOWER(MOVK) {
    unsigned d = a64_Rd(w), shift = bits(w, 21, 2) * 16, size = op_size(w), imm = bits(w, 5, 16);
    uint64_t before;
    if (d == XZR)
        return;
    if (known_constant(l, l->insn, d, &before)) {
        set_constant(l, d, move_wide_value(A64_MOVK, w, before));
        return;
    }
    unsigned dst = x_dst(d, RAX);
    if (shift == 0) {
        x_copy(l, dst, d, size);
        x64_mov_rm_i(l->a, 2, x64_r(dst), (int16_t)imm);
    } else {
        bool keep = shifts_keep_flags(l);
        emit_shift(l, keep, SH_ROR, size, RAX, xr(d), shift);
        x64_mov_rm_i(l->a, 2, x64_r(RAX), (int16_t)imm);
        emit_shift(l, keep, SH_ROR, size, dst, x64_r(RAX), size * 8 - shift);
    }
    x_commit(l, d, dst);
}

LOWER(ADR) {
    int64_t imm = (int64_t)((uint64_t)sbits(w, 5, 19) << 2 | bits(w, 29, 2));
    x_set(l, a64_Rd(w), l->pc + (uint64_t)imm);
}

LOWER(ADRP) {
    unsigned d = a64_Rd(w);
    const struct insn *n = insn_after(l, l->insn);
    if (n && n->op == A64_ADD_imm && a64_sf(n->word) && a64_Rn(n->word) == d &&
        a64_Rd(n->word) == d)
        return; /* that ADD sets the sum */
    x_set(l, d, adrp_value(l->pc, w));
}

/* ---- add and subtract ---- */

static int32_t add_immediate(uint32_t w) {
    return (int32_t)bits(w, 10, 12) << (bits(w, 22, 1) ? 12 : 0);
}

static void alu_immediate(struct x64_asm *a, enum x64_alu op, unsigned size, x64_rm rm,
                          int32_t imm) {
    if (imm == 128 && (op == ALU_ADD || op == ALU_SUB)) /* -128 fits in a byte; CF differs */
        x64_alu_rm_i(a, op == ALU_ADD ? ALU_SUB : ALU_ADD, size, rm, -128);
    else
        x64_alu_rm_i(a, op, size, rm, imm);
}

/* X<d> = X<n>|SP + imm, no flags. d = 31 is SP. */
static void add_constant(struct lower *l, unsigned size, unsigned d, unsigned n, int32_t imm) {
    struct x64_asm *a = l->a;
    x64_rm src = xr_sp(n);
    uint64_t page;
    if (size == 8 && n != 31 && known_constant(l, l->insn, n, &page)) {
        unsigned dst = x_dst_sp(d, RAX);
        x64_mov_ri(a, dst, page + (uint64_t)(int64_t)imm);
        x_commit_sp(l, d, dst);
        return;
    }
    if (d == n && imm != 0 && (size == 8 || !src.is_mem) && flags_free(l)) {
        flags_clobber(l);
        alu_immediate(a, ALU_ADD, size, src, imm);
        return;
    }
    unsigned dst = x_dst_sp(d, RAX);
    if (imm == 0) {
        if (size == 8 && d == n)
            return;
        x64_mov_r_rm(a, size, dst, src);
    } else if (!src.is_mem) {
        x64_lea(a, size, dst, x64_m(src.base, imm));
    } else if (flags_free(l)) {
        flags_clobber(l);
        x64_mov_r_rm(a, size, dst, src);
        alu_immediate(a, ALU_ADD, size, x64_r(dst), imm);
    } else {
        x64_mov_r_rm(a, size, dst, src);
        x64_lea(a, size, dst, x64_m(dst, imm));
    }
    x_commit_sp(l, d, dst);
}

LOWER(ADD_imm) {
    add_constant(l, op_size(w), a64_Rd(w), a64_Rn(w), add_immediate(w));
}

LOWER(SUB_imm) {
    add_constant(l, op_size(w), a64_Rd(w), a64_Rn(w), -add_immediate(w));
}

LOWER(SUBS_imm) {
    struct x64_asm *a = l->a;
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w);
    int32_t imm = add_immediate(w);
    x64_rm src = xr_sp(n);
    if (!l->flags_live_out) {
        if (d != XZR)
            add_constant(l, size, d, n, -imm);
        return;
    }
    flags_clobber(l);
    if (d == XZR) {
        if (imm == 0 && !src.is_mem) /* the same flags */
            x64_test_rm_r(a, size, src, src.base);
        else
            x64_alu_rm_i(a, ALU_CMP, size, src, imm);
    } else if (d == n && (size == 8 || !src.is_mem)) {
        x64_alu_rm_i(a, ALU_SUB, size, src, imm);
    } else {
        unsigned dst = x_dst(d, RAX);
        x64_mov_r_rm(a, size, dst, src);
        x64_alu_rm_i(a, ALU_SUB, size, x64_r(dst), imm);
        x_commit(l, d, dst);
    }
    flags_set(l, FLAGS_SUB);
}

LOWER(ADDS_imm) {
    struct x64_asm *a = l->a;
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w);
    int32_t imm = add_immediate(w);
    x64_rm src = xr_sp(n);
    if (!l->flags_live_out) {
        if (d != XZR)
            add_constant(l, size, d, n, imm);
        return;
    }
    flags_clobber(l);
    if (d == n && d != XZR && (size == 8 || !src.is_mem)) {
        x64_alu_rm_i(a, ALU_ADD, size, src, imm);
    } else {
        unsigned dst = x_dst(d, RAX);
        x64_mov_r_rm(a, size, dst, src);
        x64_alu_rm_i(a, ALU_ADD, size, x64_r(dst), imm);
        x_commit(l, d, dst);
    }
    flags_set(l, FLAGS_ADD);
}

/* ---- logic ---- */

/* rm = rm op mask, in EFLAGS too. A constant that is no imm32 goes through RCX. */
static void logic_mask(struct x64_asm *a, enum x64_alu op, unsigned size, x64_rm rm, uint64_t mask,
                       bool want_flags) {
    if (size == 4 || fits_i32(mask)) {
        x64_alu_rm_i(a, op, size, rm, (int32_t)mask);
    } else if (op == ALU_AND && mask <= 0xffffffff && !rm.is_mem && !want_flags) {
        x64_alu_rm_i(a, op, 4, rm, (int32_t)mask);
    } else if (op == ALU_AND && __builtin_popcountll(~mask) == 1 && !rm.is_mem && !want_flags) {
        x64_bt_i(a, BT_BTR, 8, rm, (unsigned)__builtin_ctzll(~mask));
    } else if (op != ALU_AND && __builtin_popcountll(mask) == 1 && !rm.is_mem) {
        x64_bt_i(a, op == ALU_OR ? BT_BTS : BT_BTC, 8, rm, (unsigned)__builtin_ctzll(mask));
    } else {
        x64_mov_ri(a, RCX, mask);
        x64_alu_rm_r(a, op, 8, rm, RCX);
    }
}

/* X<d> = X<n> op mask, no flags. d = 31 is SP, n = 31 is zero. */
static void logic_constant(struct lower *l, enum x64_alu op, unsigned size, unsigned d, unsigned n,
                           uint64_t mask) {
    struct x64_asm *a = l->a;
    unsigned dst = x_dst_sp(d, RAX);
    if (n == XZR) {
        x64_mov_ri(a, dst, op == ALU_AND ? 0 : mask);
        x_commit_sp(l, d, dst);
        return;
    }
    x64_rm src = xr(n);
    if (op == ALU_AND && (mask == 0xff || mask == 0xffff || mask == 0xffffffff)) {
        unsigned bytes = mask == 0xff ? 1 : mask == 0xffff ? 2 : 4;
        x64_movzx(a, dst, bytes, src);
        x_commit_sp(l, d, dst);
        return;
    }
    flags_clobber(l);
    if (d == n && (!src.is_mem || (size == 8 && fits_i32(mask)))) {
        logic_mask(a, op, size, src, mask, false);
        return;
    }
    if (op == ALU_AND && mask <= 0x7fffffff)
        size = 4;
    x64_mov_r_rm(a, size, dst, src);
    logic_mask(a, op, size, x64_r(dst), mask, false);
    x_commit_sp(l, d, dst);
}

LOWER(AND_imm) {
    logic_constant(l, ALU_AND, op_size(w), a64_Rd(w), a64_Rn(w), logical_mask(w));
}

LOWER(ORR_imm) {
    unsigned d = a64_Rd(w);
    if (a64_Rn(w) == XZR && d != XZR && constant_goes_on(l, d))
        return;
    logic_constant(l, ALU_OR, op_size(w), d, a64_Rn(w), logical_mask(w));
}

LOWER(EOR_imm) {
    logic_constant(l, ALU_XOR, op_size(w), a64_Rd(w), a64_Rn(w), logical_mask(w));
}

void emit_test_mask(struct lower *l, unsigned size, x64_rm n, uint64_t mask) {
    struct x64_asm *a = l->a;
    bool one_bit = __builtin_popcountll(mask) == 1;
    unsigned bit = (unsigned)__builtin_ctzll(mask);
    if (n.is_mem && one_bit && (bit % 8 != 7 || bit == size * 8 - 1)) { /* its byte; SF is N */
        n.disp += (int32_t)(bit / 8);
        x64_test_rm_i(a, 1, n, (int8_t)(1 << bit % 8));
    } else if (mask < 0x80) {
        x64_test_rm_i(a, 1, n, (int32_t)mask);
    } else if (size == 4 || mask < 0x80000000) {
        x64_test_rm_i(a, 4, n, (int32_t)mask);
    } else if (fits_i32(mask)) {
        x64_test_rm_i(a, 8, n, (int32_t)mask);
    } else {
        x64_mov_ri(a, RCX, mask);
        x64_test_rm_r(a, 8, n, RCX);
    }
}

LOWER(ANDS_imm) {
    struct x64_asm *a = l->a;
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w);
    uint64_t mask = logical_mask(w);
    if (!l->flags_live_out) {
        if (d != XZR)
            logic_constant(l, ALU_AND, size, d, n, mask);
        return;
    }
    flags_clobber(l);
    if (n == XZR) {
        x64_alu_r_rm(a, ALU_XOR, 4, RAX, x64_r(RAX));
        x_set(l, d, 0);
    } else if (d == XZR) {
        emit_test_mask(l, size, xr(n), mask);
    } else {
        unsigned dst = x_dst(d, RAX);
        if (mask < 0x80000000) /* bit 31 of the result is 0 as is bit 63 */
            size = 4;
        if (d != n || !x_pinned(d))
            x64_mov_r_rm(a, size, dst, xr(n));
        logic_mask(a, ALU_AND, size, x64_r(dst), mask, true);
        x_commit(l, d, dst);
    }
    flags_set(l, FLAGS_ADD);
}

/* ---- bit fields ---- */

struct field {
    unsigned size; /* of the operation */
    unsigned from; /* lowest bit in the source */
    unsigned to;   /* lowest bit in the destination; from or to is 0 */
    unsigned width;
};

static struct field bit_field(uint32_t w) {
    unsigned r = bits(w, 16, 6), s = bits(w, 10, 6), size = op_size(w);
    if (s >= r)
        return (struct field){size, r, 0, s - r + 1};
    return (struct field){size, 0, size * 8 - r, s + 1};
}

/* 1, 2 or 4 when the field is as wide as a MOVZX/MOVSX source; else 0. */
static unsigned field_bytes(struct field f) {
    if (f.width == f.size * 8)
        return 0;
    return f.width == 8 ? 1 : f.width == 16 ? 2 : f.width == 32 ? 4 : 0;
}

static void extend(struct x64_asm *a, bool sign, unsigned size, unsigned dst, unsigned bytes,
                   x64_rm src) {
    if (sign)
        x64_movsx(a, size, dst, bytes, src);
    else
        x64_movzx(a, dst, bytes, src);
}

/* dst = the field of src, moved to its place, zeroes or sign around it. src is X<n>'s place. */
static void emit_field(struct lower *l, bool keep, bool sign, struct field f, unsigned dst,
                       x64_rm src) {
    struct x64_asm *a = l->a;
    unsigned all = f.size * 8, bytes = field_bytes(f);
    enum x64_shift right = sign ? SH_SAR : SH_SHR;
    if (bytes && f.to == 0 && (f.from == 0 || (src.is_mem && f.from % 8 == 0))) {
        src.disp += (int32_t)(src.is_mem ? f.from / 8 : 0);
        extend(a, sign, f.size, dst, bytes, src);
    } else if (f.from + f.width == all) {
        emit_shift(l, keep, right, f.size, dst, src, f.from);
    } else if (f.to + f.width == all) {
        emit_shift(l, keep, SH_SHL, f.size, dst, src, f.to);
    } else if (bytes && f.from > 0) {
        emit_shift(l, keep, a->feat.bmi2 ? SH_ROR : SH_SHR, f.size, dst, src, f.from);
        extend(a, sign, f.size, dst, bytes, x64_r(dst));
    } else if (bytes) {
        extend(a, sign, f.size, dst, bytes, src);
        emit_shift(l, keep, SH_SHL, f.size, dst, x64_r(dst), f.to);
    } else if (sign || keep || f.width >= 32) {
        unsigned top = all - f.from - f.width;
        if (f.to)
            top = all - f.width;
        emit_shift(l, keep, SH_SHL, f.size, dst, src, top);
        emit_shift(l, keep, right, f.size, dst, x64_r(dst), all - f.width - f.to);
    } else {
        int32_t mask = (int32_t)((1u << f.width) - 1);
        if (f.from || !x64_is_reg(src, dst))
            emit_shift(l, false, SH_SHR, f.from + f.width <= 32 ? 4 : f.size, dst, src, f.from);
        x64_alu_rm_i(a, ALU_AND, 4, x64_r(dst), mask);
        if (f.to)
            emit_shift(l, false, SH_SHL, f.size, dst, x64_r(dst), f.to);
    }
}

static void lower_extract(struct lower *l, uint32_t w, bool sign) {
    unsigned d = a64_Rd(w), n = a64_Rn(w);
    struct field f = bit_field(w);
    if (d == XZR)
        return;
    if (n == XZR) {
        emit_zero(l, d);
        return;
    }
    bool shift_in_memory = d == n && !x_pinned(d) && f.size == 8 && flags_free(l);
    if (shift_in_memory && f.from && f.from + f.width == 64 && !field_bytes(f)) {
        flags_clobber(l);
        x64_shift_i(l->a, sign ? SH_SAR : SH_SHR, 8, xr(d), f.from);
        return;
    }
    if (shift_in_memory && f.to && f.to + f.width == 64) {
        flags_clobber(l);
        x64_shift_i(l->a, SH_SHL, 8, xr(d), f.to);
        return;
    }
    bool moves_only = field_bytes(f) && f.from == 0 && f.to == 0;
    bool keep = moves_only || shifts_keep_flags(l);
    unsigned dst = x_dst(d, RAX);
    emit_field(l, keep, sign, f, dst, xr(n));
    x_commit(l, d, dst);
}

LOWER(UBFM) {
    lower_extract(l, w, false);
}

LOWER(SBFM) {
    lower_extract(l, w, true);
}

/* Clears the field's place in dst. */
static void clear_place(struct x64_asm *a, struct field f, unsigned dst) {
    uint64_t ones = f.width == 64 ? ~0ull : (1ull << f.width) - 1;
    uint64_t mask = ~(ones << f.to);
    if (f.size == 4)
        mask = (uint32_t)mask;
    if (mask == 0xffff || mask == 0xff)
        x64_movzx(a, dst, mask == 0xff ? 1 : 2, x64_r(dst));
    else if (mask == 0xffffffff)
        x64_mov_r_rm(a, 4, dst, x64_r(dst));
    else if (f.size == 8 && !fits_i32(mask)) {
        x64_mov_ri(a, RDX, mask);
        x64_alu_r_rm(a, ALU_AND, 8, dst, x64_r(RDX));
    } else
        x64_alu_rm_i(a, ALU_AND, f.size, x64_r(dst), (int32_t)mask);
}

LOWER(BFM) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), n = a64_Rn(w);
    struct field f = bit_field(w);
    if (d == XZR)
        return;
    if (f.width == f.size * 8) {
        emit_move(l, f.size, d, n);
        return;
    }
    unsigned dst = x_dst(d, RAX), bytes = field_bytes(f);
    if (f.to == 0 && (bytes == 1 || bytes == 2) && f.from == 0 && n != XZR) { /* a partial MOV */
        x_copy(l, dst, d, f.size);
        x64_mov_rm_r(a, bytes, x64_r(dst), x_read(l, n, 4, RCX));
        x_commit(l, d, dst);
        return;
    }
    flags_clobber(l);
    if (n != XZR)
        emit_field(l, false, false, f, RCX, xr(n));
    x_copy(l, dst, d, f.size);
    clear_place(a, f, dst);
    if (n != XZR)
        x64_alu_r_rm(a, ALU_OR, f.size, dst, x64_r(RCX));
    x_commit(l, d, dst);
}

LOWER(EXTR) {
    struct x64_asm *a = l->a;
    unsigned size = op_size(w), d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w), lsb = bits(w, 10, 6);
    if (d == XZR)
        return;
    if (lsb == 0) {
        emit_move(l, size, d, m);
        return;
    }
    unsigned dst = x_dst(d, RAX);
    if (n == m && n != XZR) {
        bool keep = shifts_keep_flags(l);
        emit_shift(l, keep, SH_ROR, size, dst, xr(n), lsb);
    } else if (n == XZR || m == XZR) {
        bool keep = shifts_keep_flags(l);
        if (n == m)
            x64_mov_ri(a, dst, 0);
        else if (n == XZR)
            emit_shift(l, keep, SH_SHR, size, dst, xr(m), lsb);
        else
            emit_shift(l, keep, SH_SHL, size, dst, xr(n), size * 8 - lsb);
    } else {
        flags_clobber(l);
        unsigned high = x_read(l, n, size, RCX);
        unsigned low =
            d == n && d != m ? RAX : dst; /* the high half must outlive the copy of the low */
        x_copy(l, low, m, size);
        x64_shrd_i(a, size, x64_r(low), high, lsb);
        x64_mov_r_rm(a, 8, dst, x64_r(low));
    }
    x_commit(l, d, dst);
}
