/*
 * lower_branch.c - branches, calls, returns, and the instructions that enter the runtime.
 *
 * A guest call is a host call: BL sets X30 and calls; behind the call, the code compares X30 with
 * the return address it stands for, which a host return to it must have brought, and goes to
 * STUB_RETURN when it differs (longjmp, coroutines, edited return addresses). The shadow stack is a
 * prediction, never trusted.
 */
#include "translate/region.h"

static void lower_compare_branch(struct lower *l, struct cond c) {
    guest_addr target;
    branch_target(l->insn->op, l->word, l->pc, &target);
    edge_cond(l, c, l->insn->target, target, l->insn->target_reads_flags);
}

LOWER(B) {
    guest_addr target;
    branch_target(A64_B, w, l->pc, &target);
    edge_jump(l, l->insn->target, target, l->insn->target_reads_flags);
}

LOWER(B_cond) {
    lower_compare_branch(l, flags_cond(l, w & 15));
}

/*
 * CBZ/CBNZ where NZCV lives on in EFLAGS: JRCXZ reads no flag, but reaches 127 bytes only, so it
 * jumps around the way to the target. That way may save flags; the way on has not.
 */
static void lower_cbz_keeping_flags(struct lower *l, unsigned rt, unsigned size,
                                    bool jump_if_zero) {
    guest_addr target;
    branch_target(l->insn->op, l->word, l->pc, &target);
    x_copy(l, RCX, rt, size);
    uint32_t zero = x64_jrcxz_short(l->a), over = 0;
    if (jump_if_zero) {
        over = x64_jmp_short(l->a);
        x64_short_bind(l->a, zero);
    }
    struct lower before = *l;
    edge_jump(l, l->insn->target, target, l->insn->target_reads_flags);
    l->flags = before.flags;
    l->flags_saved = before.flags_saved;
    x64_short_bind(l->a, jump_if_zero ? over : zero);
}

static void lower_cbz(struct lower *l, uint32_t w, enum x64_cc cc) {
    unsigned size = a64_sf(w) ? 8 : 4, rt = a64_Rt(w);
    if (rt == XZR) {
        struct cond always = {0, 0, COND_ALWAYS};
        if (cc == CC_E)
            lower_compare_branch(l, always);
        return;
    }
    if (l->flags != FLAGS_NONE && l->flags_live && !l->flags_saved && edge_is_short(l)) {
        lower_cbz_keeping_flags(l, rt, size, cc == CC_E);
        return;
    }
    flags_clobber(l);
    if (x_pinned(rt))
        x64_test_rm_r(l->a, size, xr(rt), xr(rt).base);
    else
        x64_alu_rm_i(l->a, ALU_CMP, size, xr(rt), 0);
    lower_compare_branch(l, (struct cond){cc, 0, COND_ONE});
}

LOWER(CBZ) {
    lower_cbz(l, w, CC_E);
}

LOWER(CBNZ) {
    lower_cbz(l, w, CC_NE);
}

static void lower_tbz(struct lower *l, uint32_t w, bool jump_if_set) {
    unsigned bit = bits(w, 31, 1) << 5 | bits(w, 19, 5), rt = a64_Rt(w);
    enum x64_cc cc = jump_if_set ? CC_NE : CC_E;
    if (rt == XZR) {
        if (!jump_if_set)
            lower_compare_branch(l, (struct cond){0, 0, COND_ALWAYS});
        return;
    }
    flags_clobber(l);
    x64_rm reg = xr(rt);
    if (reg.is_mem) { /* the byte that holds the bit */
        reg.disp += (int32_t)(bit / 8);
        x64_test_rm_i(l->a, 1, reg, (int8_t)(1 << bit % 8));
    } else if (bit < 7) {
        x64_test_rm_i(l->a, 1, reg, 1 << bit);
    } else if (bit == 63 || bit == 31) {
        x64_test_rm_r(l->a, bit == 63 ? 8 : 4, reg, reg.base);
        cc = jump_if_set ? CC_S : CC_NS;
    } else if (bit < 31) {
        x64_test_rm_i(l->a, 4, reg, (int32_t)(1u << bit));
    } else {
        x64_bt_i(l->a, BT_BT, 8, reg, bit);
        cc = jump_if_set ? CC_B : CC_AE;
    }
    lower_compare_branch(l, (struct cond){cc, 0, COND_ONE});
}

LOWER(TBZ) {
    lower_tbz(l, w, false);
}

LOWER(TBNZ) {
    lower_tbz(l, w, true);
}

/* ---- calls and returns ---- */

/* The code behind a host call: a host return came here; was it the guest's return to pc + 4? */
static void emit_return_point(struct lower *l) {
    struct region_builder *b = l->region;
    struct cold *mismatch = cold_add(b, COLD_RETURN);
    guest_addr return_pc = l->pc + 4;
    if ((int64_t)return_pc == (int32_t)return_pc) {
        x64_alu_rm_i(l->a, ALU_CMP, 8, xr(30), (int32_t)return_pc);
    } else {
        x64_mov_ri(l->a, RAX, return_pc);
        x64_alu_rm_r(l->a, ALU_CMP, 8, xr(30), RAX);
    }
    x64_jcc(l->a, CC_NE, &mismatch->label);
    if (b->entry_count < REGION_MAX_ENTRIES)
        b->entries[b->entry_count++] = (struct region_entry){return_pc, x64_pos(l->a)};
    l->flags = FLAGS_NONE;
    l->flags_saved = true;
}

LOWER(BL) {
    guest_addr target;
    branch_target(A64_BL, w, l->pc, &target);
    flags_save_for(l, l->insn->target_reads_flags);
    x_set(l, 30, l->pc + 4);
    struct cold *c = cold_add(l->region, COLD_LINK);
    c->target = target;
    c->field = x64_call_abs(l->a, l->a->p);
    emit_return_point(l);
}

/* Looks RAX up in the thread's jump cache: jumps to `miss` unless found, else leaves the entry's
 * offset in RCX. */
static x64_rm emit_jump_cache_lookup(struct lower *l, struct x64_label *miss) {
    x64_mov_r_rm(l->a, 4, RCX, x64_r(RAX));
    x64_alu_rm_i(l->a, ALU_AND, 4, x64_r(RCX), (JUMP_CACHE_ENTRIES - 1) << 2);
    x64_alu_r_rm(l->a, ALU_CMP, 8, RAX, x64_mx(RBP, RCX, 2, CPU_OFFSET(jump_cache)));
    x64_jcc(l->a, CC_NE, miss);
    return x64_mx(RBP, RCX, 2,
                  CPU_OFFSET(jump_cache) + (int32_t)offsetof(struct jump_cache_entry, host));
}

static void lower_indirect_jump(struct lower *l, unsigned rn) {
    flags_save_for(l, true);
    x_copy(l, RAX, rn, 8);
    struct cold *miss = cold_add(l->region, COLD_DISPATCH);
    x64_jmp_rm(l->a, emit_jump_cache_lookup(l, &miss->label));
}

LOWER(BR) {
    lower_indirect_jump(l, a64_Rn(w));
}

LOWER(BLR) {
    flags_save_for(l, true);
    x_copy(l, RAX, a64_Rn(w), 8);
    x64_mov_ri(l->a, host_x[30], l->pc + 4);
    struct cold *miss = cold_add(l->region, COLD_DISPATCH_CALL);
    x64_call_rm(l->a, emit_jump_cache_lookup(l, &miss->label));
    x64_bind(l->a, &miss->back);
    emit_return_point(l);
}

LOWER(RET) {
    if (a64_Rn(w) != 30) {
        lower_indirect_jump(l, a64_Rn(w));
        return;
    }
    flags_save_for(l, true);
    x64_ret(l->a);
}

/* ---- into the runtime ---- */

LOWER(SVC) {
    (void)w;
    flags_clobber(l);
    struct x64_label data = X64_LABEL;
    x64_lea_label(l->a, RAX, &data);
    x64_jmp_rm(l->a, x64_m(RBP, STUB_OFFSET(STUB_SVC)));
    x64_bind(l->a, &data);
    x64_dq(l->a, l->pc + 4);
    l->flags_saved = true;
}

LOWER(BRK) {
    (void)w;
    emit_exit(l, EXIT_BRK);
}

/* In the guest's vDSO HLT asks the runtime for the time; anywhere else it is undefined at EL0. */
LOWER(HLT) {
    struct region_builder *b = l->region;
    if (b->in_vdso && b->in_vdso(l->pc))
        emit_helper(l, b->vdso_call, bits(w, 5, 16), false);
    else
        emit_exit(l, EXIT_UNDEFINED);
}
