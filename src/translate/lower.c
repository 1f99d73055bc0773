/*
 * lower.c - the vocabulary of the lowerings: where guest registers are, where NZCV is, how a guest
 * address becomes an x86 operand, how C is called. See lower.h for the rules.
 *
 * Flags: l->flags says what EFLAGS hold, l->flags_saved whether cpu->nzcv is current. When neither,
 * NZCV is dead at this point (the liveness analysis promises that nobody reads it).
 */
#include "translate/region.h"

#define NONE 0xff

/*
 * The fixed map. X0-X5, X19-X21, SP and X30 are what compilers use most; RDI, RSI and RBX need no
 * REX prefix for 32-bit forms, R13 as SP's base always takes a displacement, R12 would take a SIB
 * byte. Measured over the kernels of bench/: X21 in place of X29 makes those that call 4 to 9%
 * faster; X22 in place of X5 helps recursion 4% more and costs interpreters 7%.
 */
const uint8_t host_x[32] = {
    [0] = RDI,   [1] = RSI,   [2] = RBX,   [3] = R8,    [4] = R9,    [5] = R10,   [6] = NONE,
    [7] = NONE,  [8] = NONE,  [9] = NONE,  [10] = NONE, [11] = NONE, [12] = NONE, [13] = NONE,
    [14] = NONE, [15] = NONE, [16] = NONE, [17] = NONE, [18] = NONE, [19] = R11,  [20] = R12,
    [21] = R14,  [22] = NONE, [23] = NONE, [24] = NONE, [25] = NONE, [26] = NONE, [27] = NONE,
    [28] = NONE, [29] = NONE, [30] = R15,  [31] = R13,
};

/* V0-V7 and V16-V20 in XMM0-XMM12. */
const uint8_t host_v[32] = {
    0, 1, 2,  3,  4,  5,    6,    7,    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    8, 9, 10, 11, 12, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
};

/* ---- general registers ---- */

/* The map in use: host_x, or a loop's. One translation runs at a time (engine_lock). */
static const uint8_t *x_map = host_x;

void x_use_map(const uint8_t map[32]) {
    x_map = map;
}

x64_rm x_slot(unsigned r) {
    return x64_m(RBP, (int32_t)(r * 8) - CPU_BIAS);
}

x64_rm xr_sp(unsigned r) {
    return x_map[r] != NONE ? x64_r(x_map[r]) : x_slot(r);
}

x64_rm xr(unsigned r) {
    ASSERT(r != XZR);
    return xr_sp(r);
}

bool x_pinned(unsigned r) {
    return x_map[r] != NONE;
}

unsigned x_read_sp(struct lower *l, unsigned r, unsigned size, unsigned scratch) {
    if (x_map[r] != NONE)
        return x_map[r];
    x64_mov_r_rm(l->a, size, scratch, xr_sp(r));
    return scratch;
}

unsigned x_read(struct lower *l, unsigned r, unsigned size, unsigned scratch) {
    if (r == XZR) {
        x64_mov_ri(l->a, scratch, 0);
        return scratch;
    }
    return x_read_sp(l, r, size, scratch);
}

void x_copy_sp(struct lower *l, unsigned dst, unsigned r, unsigned size) {
    x64_mov_r_rm(l->a, size, dst, xr_sp(r));
}

void x_copy(struct lower *l, unsigned dst, unsigned r, unsigned size) {
    if (r == XZR)
        x64_mov_ri(l->a, dst, 0);
    else
        x_copy_sp(l, dst, r, size);
}

unsigned x_dst_sp(unsigned r, unsigned scratch) {
    return x_map[r] != NONE ? x_map[r] : scratch;
}

unsigned x_dst(unsigned r, unsigned scratch) {
    return r == XZR ? scratch : x_dst_sp(r, scratch);
}

void x_commit_sp(struct lower *l, unsigned r, unsigned reg) {
    x64_rm dst = xr_sp(r);
    if (dst.is_mem)
        x64_mov_rm_r(l->a, 8, dst, reg);
    else
        ASSERT(dst.base == reg);
}

void x_commit(struct lower *l, unsigned r, unsigned reg) {
    if (r != XZR)
        x_commit_sp(l, r, reg);
}

void x_set(struct lower *l, unsigned r, uint64_t imm) {
    if (r == XZR)
        return;
    x64_rm dst = xr(r);
    if (!dst.is_mem) {
        x64_mov_ri(l->a, dst.base, imm);
    } else if ((int64_t)imm == (int32_t)imm) {
        x64_mov_rm_i(l->a, 8, dst, (int32_t)imm);
    } else {
        x64_mov_ri(l->a, RAX, imm);
        x64_mov_rm_r(l->a, 8, dst, RAX);
    }
}

/* ---- vector registers ---- */

bool v_pinned(unsigned r) {
    return host_v[r] != NONE;
}

x64_rm vr(unsigned r) {
    if (host_v[r] != NONE)
        return x64_r(host_v[r]);
    return x64_m(RBP, CPU_OFFSET(v) + (int32_t)r * 16);
}

x64_rm vr_hi(unsigned r) {
    ASSERT(!v_pinned(r));
    return x64_m(RBP, CPU_OFFSET(v) + (int32_t)r * 16 + 8);
}

unsigned v_read(struct lower *l, unsigned r, unsigned scratch) {
    if (v_pinned(r))
        return host_v[r];
    x64_v2(l->a, V_MOVAPS, 16, scratch, vr(r));
    return scratch;
}

void v_copy(struct lower *l, unsigned dst, unsigned r) {
    if (!v_pinned(r) || host_v[r] != dst)
        x64_v2(l->a, V_MOVAPS, 16, dst, vr(r));
}

unsigned v_dst(unsigned r, unsigned scratch) {
    return v_pinned(r) ? host_v[r] : scratch;
}

void v_commit(struct lower *l, unsigned r, unsigned reg) {
    if (!v_pinned(r))
        x64_vst(l->a, V_MOVAPS, 16, vr(r), reg);
    else
        ASSERT(host_v[r] == reg);
}

x64_rm v_const(struct lower *l, uint64_t lo, uint64_t hi) {
    return l->region->constant(l->a, lo, hi);
}

/* ---- flags ---- */

#define NZCV_MEM x64_m(RBP, CPU_OFFSET(nzcv))

/*
 * Stores NZCV out of EFLAGS of the given kind. Uses RAX (and RCX for FP). Afterwards EFLAGS hold it
 * as FLAGS_ADD, or for FP still as FLAGS_FP.
 */
static void emit_save_flags(struct x64_asm *a, enum flags_kind kind) {
    switch (kind) {
    case FLAGS_NONE:
        return;
    case FLAGS_SUB:
        x64_cmc(a);
        __attribute__((fallthrough));
    case FLAGS_ADD:
        x64_lahf(a);
        x64_setcc(a, CC_O, x64_r(RAX));
        break;
    case FLAGS_FP: /* greater: C; less: N; equal: Z C; unordered: C V (Arm ARM, FPCompare) */
        x64_mov_ri(a, RAX, 0x0100);
        x64_mov_ri(a, RCX, 0x8000);
        x64_cmov(a, CC_B, 4, RAX, x64_r(RCX));
        x64_mov_ri(a, RCX, 0x4100);
        x64_cmov(a, CC_E, 4, RAX, x64_r(RCX));
        x64_mov_ri(a, RCX, 0x0101);
        x64_cmov(a, CC_P, 4, RAX, x64_r(RCX));
        break;
    }
    x64_mov_rm_r(a, 2, NZCV_MEM, RAX);
}

/* EFLAGS = NZCV of cpu->nzcv, as FLAGS_ADD: 1 + 0x7f overflows, so OF = V; SAHF sets the others.
 * Uses RAX. */
static void emit_load_flags(struct x64_asm *a) {
    x64_movzx(a, RAX, 2, NZCV_MEM);
    x64_alu_rm_i(a, ALU_ADD, 1, x64_r(RAX), 0x7f);
    x64_sahf(a);
}

/* Makes cpu->nzcv current, EFLAGS staying valid. */
static void flags_save(struct lower *l) {
    if (l->flags_saved || l->flags == FLAGS_NONE)
        return;
    emit_save_flags(l->a, l->flags);
    l->flags_saved = true;
    if (l->flags == FLAGS_SUB)
        l->flags = FLAGS_ADD;
}

void flags_clobber(struct lower *l) {
    if (l->flags == FLAGS_NONE)
        return;
    if (l->flags_live)
        flags_save(l);
    l->flags = FLAGS_NONE;
    /* A fault further on must not look for NZCV in EFLAGS. An instruction that reads them (ADCS)
     * has them there still, perhaps nowhere else, and none of those can fault. */
    if (!(a64_rows[l->insn->op].properties & A64_READS_NZCV))
        mark_boundary(l);
}

void flags_set(struct lower *l, enum flags_kind kind) {
    l->flags = kind;
    l->flags_saved = false;
}

void flags_set_ax(struct lower *l) {
    x64_mov_rm_r(l->a, 2, NZCV_MEM, RAX);
    l->flags = FLAGS_NONE;
    l->flags_saved = true;
}

void flags_get_ax(struct lower *l) {
    flags_save(l);
    l->flags = FLAGS_NONE;
    x64_movzx(l->a, RAX, 2, NZCV_MEM);
}

struct cond flags_cond(struct lower *l, unsigned arm_cond) {
    static const struct {
        uint8_t sub, add;
        uint8_t fp, fp2, join;
    } table[8] = {
        {CC_E, CC_E, CC_E, CC_NP, COND_AND}, /* EQ */
        {CC_AE, CC_B, CC_AE, CC_P, COND_OR}, /* CS: greater, equal or unordered */
        {CC_S, CC_S, CC_B, CC_NP, COND_AND}, /* MI: less */
        {CC_O, CC_O, CC_P, 0, COND_ONE},     /* VS: unordered */
        {CC_A, CC_A, CC_A, CC_P, COND_OR},   /* HI: greater or unordered */
        {CC_GE, CC_GE, CC_AE, 0, COND_ONE},  /* GE */
        {CC_G, CC_G, CC_A, 0, COND_ONE},     /* GT */
        {0, 0, 0, 0, COND_ALWAYS},           /* AL */
    };
    unsigned pair = arm_cond >> 1;
    bool invert = arm_cond & 1;
    if (pair == 7)
        return (struct cond){0, 0, COND_ALWAYS};
    if (l->flags == FLAGS_NONE) {
        emit_load_flags(l->a);
        l->flags = FLAGS_ADD;
        l->flags_saved = true;
        mark_boundary(l);
    }
    if (l->flags == FLAGS_FP) {
        struct cond c = {table[pair].fp, table[pair].fp2, table[pair].join};
        if (invert) {
            c.cc = x64_cc_not(c.cc);
            c.cc2 = x64_cc_not(c.cc2);
            if (c.join != COND_ONE)
                c.join = c.join == COND_AND ? COND_OR : COND_AND;
        }
        return c;
    }
    if (pair == 4 && l->flags == FLAGS_ADD) { /* HI and LS need CF = !C beside ZF */
        x64_cmc(l->a);
        l->flags = FLAGS_SUB;
        mark_boundary(l);
    }
    enum x64_cc cc = l->flags == FLAGS_SUB ? table[pair].sub : table[pair].add;
    return (struct cond){invert ? x64_cc_not(cc) : cc, 0, COND_ONE};
}

void cond_jump(struct lower *l, struct cond c, struct x64_label *target) {
    uint32_t skip;
    switch (c.join) {
    case COND_ALWAYS:
        x64_jmp(l->a, target);
        return;
    case COND_ONE:
        x64_jcc(l->a, c.cc, target);
        return;
    case COND_OR:
        x64_jcc(l->a, c.cc, target);
        x64_jcc(l->a, c.cc2, target);
        return;
    case COND_AND:
        skip = x64_jcc_short(l->a, x64_cc_not(c.cc2));
        x64_jcc(l->a, c.cc, target);
        x64_short_bind(l->a, skip);
        return;
    }
}

static struct cond cond_not(struct cond c) {
    static const uint8_t join[] = {COND_ALWAYS, COND_ONE, COND_OR, COND_AND};
    return (struct cond){x64_cc_not(c.cc), x64_cc_not(c.cc2), join[c.join]};
}

void cond_jump_not(struct lower *l, struct cond c, struct x64_label *target) {
    if (c.join != COND_ALWAYS)
        cond_jump(l, cond_not(c), target);
}

void cond_move(struct lower *l, struct cond c, unsigned size, unsigned dst, x64_rm src) {
    uint32_t skip, skip2;
    switch (c.join) {
    case COND_ALWAYS:
        x64_mov_r_rm(l->a, size, dst, src);
        return;
    case COND_ONE:
        x64_cmov(l->a, c.cc, size, dst, src);
        return;
    case COND_OR:
        x64_cmov(l->a, c.cc, size, dst, src);
        x64_cmov(l->a, c.cc2, size, dst, src);
        return;
    case COND_AND:
        skip = x64_jcc_short(l->a, x64_cc_not(c.cc));
        skip2 = x64_jcc_short(l->a, x64_cc_not(c.cc2));
        x64_mov_r_rm(l->a, size, dst, src);
        x64_short_bind(l->a, skip);
        x64_short_bind(l->a, skip2);
        if (size == 4) /* the untaken path must zero-extend as CMOV does */
            x64_mov_r_rm(l->a, 4, dst, x64_r(dst));
        return;
    }
}

void cond_set(struct lower *l, struct cond c, unsigned dst) {
    if (c.join == COND_ALWAYS) {
        x64_mov_ri(l->a, dst, 1);
        return;
    }
    if (c.join == COND_ONE) {
        x64_setcc(l->a, c.cc, x64_r(dst));
        x64_movzx(l->a, dst, 1, x64_r(dst));
        return;
    }
    /* dst = join == OR ? cc2 : 0, then 1 (OR) or cc2 (AND) where cc holds: moves only, EFLAGS are
     * kept */
    x64_setcc(l->a, c.cc2, x64_r(dst));
    x64_movzx(l->a, dst, 1, x64_r(dst));
    x64_mov_ri(l->a, RCX, c.join == COND_OR);
    x64_cmov(l->a, c.join == COND_OR ? c.cc : x64_cc_not(c.cc), 4, dst, x64_r(RCX));
}

/* ---- memory operands ---- */

/* An access seen to use tagged addresses: the address with bits 63..56 copied from bit 55. EFLAGS
 * are free here. */
static x64_rm ea_untag(struct lower *l, x64_rm ea) {
    if (!l->mask_tags)
        return ea;
    x64_lea(l->a, 8, RAX, ea);
    x64_mov_rm_r(l->a, 8, x64_m(RBP, CPU_OFFSET(scratch[1])),
                 RAX); /* a fault may have to show the tag */
    x64_shift_i(l->a, SH_SHL, 8, x64_r(RAX), 8);
    x64_shift_i(l->a, SH_SAR, 8, x64_r(RAX), 8);
    return x64_m(RAX, 0);
}

x64_rm ea_base(struct lower *l, unsigned rn, int64_t offset) {
    unsigned base = x_read_sp(l, rn, 8, RAX);
    return ea_untag(l, x64_m(base, (int32_t)offset));
}

x64_rm ea_extended(struct lower *l, unsigned rn, unsigned rm, unsigned option, unsigned shift) {
    unsigned base = x_read_sp(l, rn, 8, RAX);
    if (rm == XZR)
        return ea_untag(l, x64_m(base, 0));
    unsigned index;
    switch (option) {
    case 2: /* UXTW */
        x64_mov_r_rm(l->a, 4, RCX, xr(rm));
        index = RCX;
        break;
    case 6: /* SXTW */
        x64_movsx(l->a, 8, RCX, 4, xr(rm));
        index = RCX;
        break;
    default:
        index = x_read(l, rm, 8, RCX);
    }
    if (shift == 4) { /* times 16: LEA keeps EFLAGS */
        x64_lea(l->a, 8, RCX, x64_mx(X64_NOREG, index, 3, 0));
        index = RCX;
        shift = 1;
    }
    return ea_untag(l, x64_mx(base, index, shift, 0));
}

void ea_to_rax(struct lower *l, x64_rm ea) {
    if (ea.index == X64_NOREG && ea.disp == 0)
        x64_mov_r_rm(l->a, 8, RAX, x64_r(ea.base));
    else
        x64_lea(l->a, 8, RAX, ea);
}

/* ---- calls into C and exits ---- */

void emit_helper(struct lower *l, helper_fn *fn, uint64_t word, bool vregs) {
    flags_clobber(l);
    emit_map_change(l->region, l->insn->map, 0);
    x64_mov_ri(l->a, RAX, (uint64_t)((const uint8_t *)(uintptr_t)fn - l->region->image_base));
    x64_alu_r_rm(l->a, ALU_ADD, 8, RAX, x64_m(RBP, CPU_OFFSET(image_base)));
    x64_mov_ri(l->a, RDX, word);
    x64_call_rm(l->a, x64_m(RBP, STUB_OFFSET(vregs ? STUB_HELPER_V : STUB_HELPER)));
    emit_map_change(l->region, 0, l->insn->map);
}

void emit_exit(struct lower *l, enum exit_reason reason) {
    flags_save(l);
    struct cold *c = cold_add(l->region, COLD_EXIT);
    c->target = l->pc;
    c->map = l->insn->map;
    c->reason = reason;
    x64_jmp(l->a, &c->label);
}

void flags_save_for(struct lower *l, bool reads_flags) {
    if (reads_flags)
        flags_save(l);
}

void emit_flags_change(struct x64_asm *a, enum flags_kind from, bool saved, enum flags_kind to) {
    if (to == FLAGS_NONE) {
        if (!saved)
            emit_save_flags(a, from);
        return;
    }
    if (from == FLAGS_FP && from != to) {
        if (!saved)
            emit_save_flags(a, from);
        from = FLAGS_NONE;
    }
    if (from == FLAGS_NONE) {
        emit_load_flags(a);
        from = FLAGS_ADD;
    }
    if (from != to)
        x64_cmc(a);
}
