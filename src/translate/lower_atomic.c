/*
 * lower_atomic.c - exclusives, acquire/release and the LSE atomics (Arm ARM C4.1.96, "Memory order"
 * in docs/design.md).
 *
 * LDXR notes address and value; STXR succeeds when a compare-exchange finds that value at that
 * address. (A store of the same value by another thread in between goes unseen, as in every
 * translator without hardware monitors; guests' lock-free code relies on the value, or runs its ABA
 * counters through it.) The address noted is the register's, so that a tagged pointer meets itself
 * again.
 *
 * x86 loads acquire and stores release; what STLR adds is that a later LDAR does not pass it: XCHG.
 * Locked instructions order everything, so the A and R bits of LSE need nothing more.
 *
 * A misaligned exclusive or LSE access leaves with EXIT_ALIGNMENT before anything is done, its
 * address in cpu->scratch[0].
 */
#include "translate/lower_int.h"

#define EXCLUSIVE_ADDRESS  x64_m(RBP, CPU_OFFSET(exclusive_address))
#define EXCLUSIVE_VALUE(i) x64_m(RBP, CPU_OFFSET(exclusive_value) + 8 * (i))
#define SCRATCH(i)         x64_m(RBP, CPU_OFFSET(scratch) + 8 * (i))

static x64_rm second_half(x64_rm m, unsigned size) {
    m.disp += (int32_t)size;
    return m;
}

/*
 * [Xn|SP], checked to be a multiple of `bytes`. Base in its register, or in `scratch` (RCX or RDX).
 * EFLAGS must be free. With tags masked, RAX is used on the way.
 */
static x64_rm aligned_address(struct lower *l, unsigned rn, unsigned bytes, unsigned scratch) {
    unsigned base;
    if (l->mask_tags) {
        ea_to_rax(l, ea_base(l, rn, 0));
        x64_mov_r_rm(l->a, 8, scratch, x64_r(RAX));
        base = scratch;
    } else {
        base = x_read_sp(l, rn, 8, scratch);
    }
    if (bytes > 1) { /* a store on the way is cheaper than a jump around it */
        x64_mov_rm_r(l->a, 8, SCRATCH(0), base);
        struct cold *misaligned = cold_add(l->region, COLD_EXIT);
        misaligned->target = l->pc;
        misaligned->reason = EXIT_ALIGNMENT;
        x64_test_rm_i(l->a, 1, x64_r(base), (int32_t)bytes - 1);
        x64_jcc(l->a, CC_NE, &misaligned->label);
    }
    return x64_m(base, 0);
}

/* dst = the element at address, zero-extended. */
static void emit_load(struct x64_asm *a, unsigned size, unsigned dst, x64_rm address) {
    if (size >= 4)
        x64_mov_r_rm(a, size, dst, address);
    else
        x64_movzx(a, dst, size, address);
}

/* X<t> = reg, of which only the low `size` bytes count. */
static void commit_narrow(struct lower *l, unsigned size, unsigned t, unsigned reg) {
    if (t == XZR)
        return;
    if (size < 4)
        x64_movzx(l->a, reg, size, x64_r(reg));
    x64_mov_rm_r(l->a, 8, xr(t), reg);
}

/* ---- exclusives ---- */

static void lower_load_exclusive(struct lower *l, uint32_t w) {
    struct x64_asm *a = l->a;
    unsigned size = 1u << (w >> 30), rn = a64_Rn(w);
    flags_clobber(l);
    x64_rm address = aligned_address(l, rn, size, RDX);
    emit_load(a, size, RCX, address);
    x64_mov_rm_r(a, 8, EXCLUSIVE_VALUE(0), RCX);
    x64_mov_rm_r(a, 8, EXCLUSIVE_ADDRESS, x_read_sp(l, rn, 8, RDX));
    if (a64_Rt(w) != XZR)
        x64_mov_rm_r(a, 8, xr(a64_Rt(w)), RCX);
}

LOWER(LDXR) {
    lower_load_exclusive(l, w);
}

LOWER(LDAXR) {
    lower_load_exclusive(l, w);
}

/* The status: 0 when ZF, else 1. Opens the monitor. */
static void finish_store_exclusive(struct lower *l, unsigned rs) {
    struct x64_asm *a = l->a;
    x64_setcc(a, CC_NE, x64_r(RAX));
    x64_movzx(a, RAX, 1, x64_r(RAX));
    x64_mov_rm_i(a, 8, EXCLUSIVE_ADDRESS, -1);
    if (rs != XZR)
        x64_mov_rm_r(a, 8, xr(rs), RAX);
}

/* Jumps to the result with ZF clear unless the monitor holds Xn|SP. */
static uint32_t emit_monitor_check(struct lower *l, unsigned rn) {
    x64_alu_r_rm(l->a, ALU_CMP, 8, x_read_sp(l, rn, 8, RAX), EXCLUSIVE_ADDRESS);
    return x64_jcc_short(l->a, CC_NE);
}

static void lower_store_exclusive(struct lower *l, uint32_t w) {
    struct x64_asm *a = l->a;
    unsigned size = 1u << (w >> 30), rn = a64_Rn(w), rt = a64_Rt(w);
    flags_clobber(l);
    x64_rm address = aligned_address(l, rn, size, RDX);
    uint32_t failed = emit_monitor_check(l, rn);
    unsigned value = x_read(l, rt, size < 4 ? 4 : size, RCX);
    x64_mov_r_rm(a, 8, RAX, EXCLUSIVE_VALUE(0));
    x64_lock(a);
    x64_cmpxchg(a, size, address, value);
    x64_short_bind(a, failed);
    finish_store_exclusive(l, a64_Rs(w));
}

LOWER(STXR) {
    lower_store_exclusive(l, w);
}

LOWER(STLXR) {
    lower_store_exclusive(l, w);
}

static void lower_load_exclusive_pair(struct lower *l, uint32_t w) {
    struct x64_asm *a = l->a;
    unsigned size = bits(w, 30, 1) ? 8 : 4, rn = a64_Rn(w), rt = a64_Rt(w), rt2 = a64_Rt2(w);
    flags_clobber(l);
    x64_rm address = aligned_address(l, rn, size * 2, RDX);
    if (size == 4) { /* one access */
        x64_mov_r_rm(a, 8, RCX, address);
        x64_mov_rm_r(a, 8, EXCLUSIVE_VALUE(0), RCX);
        x64_mov_rm_r(a, 8, EXCLUSIVE_ADDRESS, x_read_sp(l, rn, 8, RAX));
        x64_mov_r_rm(a, 4, RAX, x64_r(RCX));
        x64_shift_i(a, SH_SHR, 8, x64_r(RCX), 32);
    } else { /* two; if they are torn the store fails */
        x64_mov_r_rm(a, 8, RAX, address);
        x64_mov_r_rm(a, 8, RCX, second_half(address, 8));
        x64_mov_rm_r(a, 8, EXCLUSIVE_VALUE(0), RAX);
        x64_mov_rm_r(a, 8, EXCLUSIVE_VALUE(1), RCX);
        x64_mov_rm_r(a, 8, EXCLUSIVE_ADDRESS, x_read_sp(l, rn, 8, RDX));
    }
    if (rt != XZR)
        x64_mov_rm_r(a, 8, xr(rt), RAX);
    if (rt2 != XZR)
        x64_mov_rm_r(a, 8, xr(rt2), RCX);
}

LOWER(LDXP) {
    lower_load_exclusive_pair(l, w);
}

LOWER(LDAXP) {
    lower_load_exclusive_pair(l, w);
}

/* dst = X<high> : X<low>, 32 bits each. Uses RAX. */
static void emit_join(struct lower *l, unsigned dst, unsigned low, unsigned high) {
    x_copy(l, dst, high, 4);
    x64_shift_i(l->a, SH_SHL, 8, x64_r(dst), 32);
    x_copy(l, RAX, low, 4);
    x64_alu_r_rm(l->a, ALU_OR, 8, dst, x64_r(RAX));
}

/* ---- 16 bytes ---- */

/* dst = X<r> while RBX and RSI are saved in SCRATCH(0) and SCRATCH(1). */
static void copy_saved(struct lower *l, unsigned dst, unsigned r) {
    if (r != XZR && x64_is_reg(xr(r), RBX))
        x64_mov_r_rm(l->a, 8, dst, SCRATCH(0));
    else if (r != XZR && x64_is_reg(xr(r), RSI))
        x64_mov_r_rm(l->a, 8, dst, SCRATCH(1));
    else
        x_copy(l, dst, r, 8);
}

/* Where the expected value of a 16-byte compare-exchange is: X<r>, X<r + 1>, or with r =
 * EXPECT_MONITOR the monitor. */
#define EXPECT_MONITOR 32

/*
 * LOCK CMPXCHG16B at address, new value X<t>, X<t2>. Leaves the old value in RDX:RAX and ZF. It
 * takes RBX and, for the address, RSI from the guest, which must be whole if the access faults: so
 * the access is tried first. (Another thread that unmaps the page between the two would still be
 * seen wrongly.)
 */
static void emit_compare_exchange_16(struct lower *l, x64_rm address, unsigned expect, unsigned t,
                                     unsigned t2) {
    struct x64_asm *a = l->a;
    x64_lock(a);
    x64_alu_rm_i(a, ALU_ADD, 4, address, 0);
    x64_mov_rm_r(a, 8, SCRATCH(0), RBX);
    x64_mov_rm_r(a, 8, SCRATCH(1), RSI);
    x64_mov_r_rm(a, 8, RSI, x64_r(address.base));
    if (expect == EXPECT_MONITOR) {
        x64_mov_r_rm(a, 8, RAX, EXCLUSIVE_VALUE(0));
        x64_mov_r_rm(a, 8, RDX, EXCLUSIVE_VALUE(1));
    } else {
        copy_saved(l, RAX, expect);
        copy_saved(l, RDX, expect + 1);
    }
    copy_saved(l, RCX, t2);
    copy_saved(l, RBX, t);
    x64_lock(a);
    x64_cmpxchg16b(a, x64_m(RSI, 0));
    x64_mov_r_rm(a, 8, RBX, SCRATCH(0));
    x64_mov_r_rm(a, 8, RSI, SCRATCH(1));
}

static void lower_store_exclusive_pair(struct lower *l, uint32_t w) {
    struct x64_asm *a = l->a;
    unsigned size = bits(w, 30, 1) ? 8 : 4, rn = a64_Rn(w), rt = a64_Rt(w), rt2 = a64_Rt2(w);
    flags_clobber(l);
    x64_rm address = aligned_address(l, rn, size * 2, RDX);
    uint32_t failed = emit_monitor_check(l, rn);
    if (size == 4) {
        emit_join(l, RCX, rt, rt2);
        x64_mov_r_rm(a, 8, RAX, EXCLUSIVE_VALUE(0));
        x64_lock(a);
        x64_cmpxchg(a, 8, address, RCX);
    } else {
        emit_compare_exchange_16(l, address, EXPECT_MONITOR, rt, rt2);
    }
    x64_short_bind(a, failed);
    finish_store_exclusive(l, a64_Rs(w));
}

LOWER(STXP) {
    lower_store_exclusive_pair(l, w);
}

LOWER(STLXP) {
    lower_store_exclusive_pair(l, w);
}

LOWER(CLREX) {
    (void)w;
    x64_mov_rm_i(l->a, 8, EXCLUSIVE_ADDRESS, -1);
}

/* ---- acquire and release ---- */

static void lower_load_acquire(struct lower *l, uint32_t w) {
    ldst_load(l, w >> 30, a64_Rt(w), ldst_address(l, a64_Rn(w), 0));
}

static void lower_store_release(struct lower *l, uint32_t w) {
    x64_rm address = ldst_address(l, a64_Rn(w), 0);
    x_copy(l, RCX, a64_Rt(w), 8);
    x64_xchg_rm_r(l->a, 1u << (w >> 30), address, RCX);
}

LOWER(LDAR) {
    lower_load_acquire(l, w);
}

LOWER(LDAPR) {
    lower_load_acquire(l, w);
}

LOWER(LDLAR) {
    lower_load_acquire(l, w);
}

LOWER(STLR) {
    lower_store_release(l, w);
}

LOWER(STLLR) {
    lower_store_release(l, w);
}

/* ---- compare and swap ---- */

LOWER(CAS) {
    struct x64_asm *a = l->a;
    unsigned size = 1u << (w >> 30), rs = a64_Rs(w);
    flags_clobber(l);
    x64_rm address = aligned_address(l, a64_Rn(w), size, RDX);
    unsigned value = x_read(l, a64_Rt(w), size < 4 ? 4 : size, RCX);
    x_copy(l, RAX, rs, size < 4 ? 4 : size);
    x64_lock(a);
    x64_cmpxchg(a, size, address, value);
    commit_narrow(l, size, rs, RAX);
}

LOWER(CASP) {
    struct x64_asm *a = l->a;
    unsigned size = bits(w, 30, 1) ? 8 : 4, rs = a64_Rs(w), rt = a64_Rt(w);
    unsigned high = RDX;
    flags_clobber(l);
    x64_rm address = aligned_address(l, a64_Rn(w), size * 2, RDX);
    if (size == 4) {
        emit_join(l, RCX, rt, rt + 1);
        x64_mov_rm_r(a, 8, SCRATCH(0), RCX);
        emit_join(l, RCX, rs, rs + 1);
        x64_mov_r_rm(a, 8, RAX, x64_r(RCX));
        x64_mov_r_rm(a, 8, RCX, SCRATCH(0));
        x64_lock(a);
        x64_cmpxchg(a, 8, address, RCX);
        x64_mov_r_rm(a, 8, RCX, x64_r(RAX));
        x64_shift_i(a, SH_SHR, 8, x64_r(RCX), 32);
        x64_mov_r_rm(a, 4, RAX, x64_r(RAX));
        high = RCX;
    } else {
        emit_compare_exchange_16(l, address, rs, rt, rt + 1);
    }
    commit_narrow(l, 8, rs, RAX);
    commit_narrow(l, 8, rs + 1, high);
}

/* ---- LSE read-modify-write ---- */

/* The operand X<rs>: as it is, or a zero in memory. */
static x64_rm atomic_operand(struct lower *l, unsigned rs) {
    if (rs != XZR)
        return xr(rs);
    x64_mov_rm_i(l->a, 8, SCRATCH(0), 0);
    return SCRATCH(0);
}

LOWER(SWP) {
    unsigned size = 1u << (w >> 30);
    flags_clobber(l);
    x64_rm address = aligned_address(l, a64_Rn(w), size, RDX);
    x_copy(l, RCX, a64_Rs(w), 8);
    x64_xchg_rm_r(l->a, size, address, RCX);
    commit_narrow(l, size, a64_Rt(w), RCX);
}

LOWER(LDADD) {
    struct x64_asm *a = l->a;
    unsigned size = 1u << (w >> 30), rt = a64_Rt(w);
    flags_clobber(l);
    x64_rm address = aligned_address(l, a64_Rn(w), size, RDX);
    if (rt == XZR) {
        unsigned value = x_read(l, a64_Rs(w), 8, RCX);
        x64_lock(a);
        x64_alu_rm_r(a, ALU_ADD, size, address, value);
        return;
    }
    x_copy(l, RCX, a64_Rs(w), 8);
    x64_lock(a);
    x64_xadd(a, size, address, RCX);
    commit_narrow(l, size, rt, RCX);
}

enum atomic_op { CLEAR, XOR, SET, SIGNED_MAX, SIGNED_MIN, UNSIGNED_MAX, UNSIGNED_MIN };

/* RDX = the new value: RAX (old) op operand. */
static void emit_new_value(struct x64_asm *a, enum atomic_op op, unsigned size, x64_rm operand) {
    static const uint8_t keeps_old[] = {
        [SIGNED_MAX] = CC_G, [SIGNED_MIN] = CC_L, [UNSIGNED_MAX] = CC_A, [UNSIGNED_MIN] = CC_B};
    unsigned wide = size < 4 ? 4 : size;
    switch (op) {
    case CLEAR: /* (old | x) ^ x */
        x64_mov_r_rm(a, wide, RDX, x64_r(RAX));
        x64_alu_r_rm(a, ALU_OR, wide, RDX, operand);
        x64_alu_r_rm(a, ALU_XOR, wide, RDX, operand);
        break;
    case XOR:
    case SET:
        x64_mov_r_rm(a, wide, RDX, x64_r(RAX));
        x64_alu_r_rm(a, op == XOR ? ALU_XOR : ALU_OR, wide, RDX, operand);
        break;
    default:
        x64_mov_r_rm(a, wide, RDX, operand);
        x64_alu_r_rm(a, ALU_CMP, size, RAX, x64_r(RDX));
        x64_cmov(a, (enum x64_cc)keeps_old[op], wide, RDX, x64_r(RAX));
        break;
    }
}

/* One locked instruction when the old value is not wanted; else a compare-exchange loop. */
static void lower_atomic(struct lower *l, uint32_t w, enum atomic_op op) {
    struct x64_asm *a = l->a;
    unsigned size = 1u << (w >> 30), rs = a64_Rs(w), rt = a64_Rt(w);
    flags_clobber(l);
    x64_rm address = aligned_address(l, a64_Rn(w), size, RCX);
    if (rt == XZR && op <= SET) {
        unsigned value = x_read(l, rs, 8, RAX);
        if (op == CLEAR) {
            x_copy(l, RAX, rs, 8);
            x64_unary(a, UN_NOT, 8, x64_r(RAX));
            value = RAX;
        }
        x64_lock(a);
        x64_alu_rm_r(a, op == CLEAR ? ALU_AND : op == XOR ? ALU_XOR : ALU_OR, size, address, value);
        return;
    }
    x64_rm operand = atomic_operand(l, rs);
    emit_load(a, size, RAX, address);
    struct x64_label again = X64_LABEL;
    x64_bind(a, &again);
    emit_new_value(a, op, size, operand);
    x64_lock(a);
    x64_cmpxchg(a, size, address, RDX);
    x64_jcc(a, CC_NE, &again);
    commit_narrow(l, size, rt, RAX);
}

LOWER(LDCLR) {
    lower_atomic(l, w, CLEAR);
}

LOWER(LDEOR) {
    lower_atomic(l, w, XOR);
}

LOWER(LDSET) {
    lower_atomic(l, w, SET);
}

LOWER(LDSMAX) {
    lower_atomic(l, w, SIGNED_MAX);
}

LOWER(LDSMIN) {
    lower_atomic(l, w, SIGNED_MIN);
}

LOWER(LDUMAX) {
    lower_atomic(l, w, UNSIGNED_MAX);
}

LOWER(LDUMIN) {
    lower_atomic(l, w, UNSIGNED_MIN);
}
