/*
 * lower_ldst.c - loads and stores of general registers, and prefetches (Arm ARM C4.1.96).
 *
 * An access with a pinned base and data register is one MOV. Base registers change only after the
 * last access. The registers of a faulting load pair are UNKNOWN to the guest, except the base, so
 * the first half is loaded straight into its register unless that is the base.
 */
#include "translate/lower_int.h"

/* ---- addresses ---- */

x64_rm ldst_address(struct lower *l, unsigned rn, int32_t offset) {
    uint64_t value;
    if (l->mask_tags)
        return ea_base(l, rn, offset);
    if (rn != 31 && !x_pinned(rn) && known_constant(l, l->insn, rn, &value)) {
        x64_mov_ri(l->a, RAX, value); /* ADRP's page: sooner there than through memory */
        return x64_m(RAX, offset);
    }
    return x64_m(x_read_sp(l, rn, 8, RAX), offset);
}

void ldst_write_back(struct lower *l, unsigned rn, x64_rm address, int32_t offset) {
    struct x64_asm *a = l->a;
    if (offset == 0)
        return;
    unsigned dst = x_dst_sp(rn, RAX);
    if (x_pinned(rn))
        x64_lea(a, 8, dst, x64_m(dst, offset));
    else if (l->mask_tags) {
        x_copy_sp(l, RAX, rn, 8);
        x64_lea(a, 8, RAX, x64_m(RAX, offset));
    } else /* the base is still in RAX */
        x64_lea(a, 8, RAX, x64_m(address.base, offset));
    x_commit_sp(l, rn, dst);
}

void ldst_write_back_reg(struct lower *l, unsigned rn, unsigned rm) {
    unsigned dst = x_dst_sp(rn, RAX), base = x_read_sp(l, rn, 8, RAX),
             index = x_read(l, rm, 8, RCX);
    x64_lea(l->a, 8, dst, x64_mx(base, index, 0, 0));
    x_commit_sp(l, rn, dst);
}

x64_rm ldst_literal(struct lower *l, guest_addr address) {
    if (address <= 0x7fffffff)
        return x64_m(X64_NOREG, (int32_t)address);
    x64_mov_ri(l->a, RAX, address);
    return x64_m(RAX, 0);
}

static x64_rm offset_by(x64_rm m, int32_t more) {
    m.disp += more;
    return m;
}

/* ---- one access ---- */

void ldst_load(struct lower *l, unsigned log2, unsigned rt, x64_rm address) {
    unsigned dst = x_dst(rt, RCX);
    if (log2 >= 2)
        x64_mov_r_rm(l->a, 1u << log2, dst, address);
    else
        x64_movzx(l->a, dst, 1u << log2, address);
    x_commit(l, rt, dst);
}

/* A sign-extending load to size bytes. */
static void load_signed(struct lower *l, unsigned log2, unsigned size, unsigned rt,
                        x64_rm address) {
    unsigned dst = x_dst(rt, RCX);
    x64_movsx(l->a, size, dst, 1u << log2, address);
    x_commit(l, rt, dst);
}

void ldst_store(struct lower *l, unsigned log2, unsigned rt, x64_rm address) {
    if (rt == XZR)
        x64_mov_rm_i(l->a, 1u << log2, address, 0);
    else
        x64_mov_rm_r(l->a, 1u << log2, address, x_read(l, rt, log2 == 3 ? 8 : 4, RDX));
}

/* What a load or store instruction does with its data register. */
enum access { STORE, LOAD, LOAD_SIGNED_32, LOAD_SIGNED_64, PREFETCH };

static void prefetch(struct lower *l, unsigned operation, x64_rm address) {
    bool streaming = operation & 1;
    switch (operation >> 3) {
    case 0: /* PLD: L1, L2, L3 are T0, T1, T2 */
        x64_prefetch(l->a, streaming ? 0 : MIN((operation >> 1 & 3) + 1, 3u), address);
        break;
    case 2: /* PST */
        x64_prefetch(l->a, 4, address);
        break;
    default: /* PLI, or reserved: a NOP */
        break;
    }
}

static void access_register(struct lower *l, enum access kind, unsigned log2, unsigned rt,
                            x64_rm address) {
    switch (kind) {
    case STORE:
        ldst_store(l, log2, rt, address);
        break;
    case LOAD:
        ldst_load(l, log2, rt, address);
        break;
    case LOAD_SIGNED_32:
        load_signed(l, log2, 4, rt, address);
        break;
    case LOAD_SIGNED_64:
        load_signed(l, log2, 8, rt, address);
        break;
    case PREFETCH:
        prefetch(l, rt, address);
        break;
    }
}

/* Bit 22 of the sign-extending loads of bytes and halfwords: the result is 32 bits. */
static enum access signed_kind(uint32_t w) {
    return bits(w, 22, 1) ? LOAD_SIGNED_32 : LOAD_SIGNED_64;
}

/* ---- the addressing modes ---- */

static void lower_scaled(struct lower *l, uint32_t w, enum access kind) { /* [Xn, #imm12 << size] */
    unsigned log2 = w >> 30;
    x64_rm address = ldst_address(l, a64_Rn(w), (int32_t)(bits(w, 10, 12) << log2));
    access_register(l, kind, log2, a64_Rt(w), address);
}

static void lower_unscaled(struct lower *l, uint32_t w, enum access kind) { /* [Xn, #simm9] */
    x64_rm address = ldst_address(l, a64_Rn(w), (int32_t)sbits(w, 12, 9));
    access_register(l, kind, w >> 30, a64_Rt(w), address);
}

/* [Xn, #simm9]! and [Xn], #simm9. A load into its own base: the base's new value stays. */
static void lower_indexed(struct lower *l, uint32_t w, enum access kind, bool pre) {
    unsigned rn = a64_Rn(w), rt = a64_Rt(w);
    int32_t offset = (int32_t)sbits(w, 12, 9);
    x64_rm address = ldst_address(l, rn, pre ? offset : 0);
    access_register(l, kind, w >> 30, kind != STORE && rt == rn && rn != 31 ? XZR : rt, address);
    ldst_write_back(l, rn, address, offset);
}

static void lower_register_offset(struct lower *l, uint32_t w, enum access kind) {
    unsigned log2 = w >> 30;
    x64_rm address =
        ea_extended(l, a64_Rn(w), a64_Rm(w), bits(w, 13, 3), bits(w, 12, 1) ? log2 : 0);
    access_register(l, kind, log2, a64_Rt(w), address);
}

#define FORMS(imm, post, pre, reg, unscaled, unprivileged, kind) \
    LOWER(imm) {                                                 \
        lower_scaled(l, w, kind);                                \
    }                                                            \
    LOWER(post) {                                                \
        lower_indexed(l, w, kind, false);                        \
    }                                                            \
    LOWER(pre) {                                                 \
        lower_indexed(l, w, kind, true);                         \
    }                                                            \
    LOWER(reg) {                                                 \
        lower_register_offset(l, w, kind);                       \
    }                                                            \
    LOWER(unscaled) {                                            \
        lower_unscaled(l, w, kind);                              \
    }                                                            \
    LOWER(unprivileged) { /* at EL0 an ordinary access */        \
        lower_unscaled(l, w, kind);                              \
    }

FORMS(STR_imm, STR_imm_post, STR_imm_pre, STR_reg, STUR, STTR, STORE)
FORMS(LDR_imm, LDR_imm_post, LDR_imm_pre, LDR_reg, LDUR, LDTR, LOAD)
FORMS(LDRSB_imm, LDRSB_imm_post, LDRSB_imm_pre, LDRSB_reg, LDURSB, LDTRSB, signed_kind(w))
FORMS(LDRSH_imm, LDRSH_imm_post, LDRSH_imm_pre, LDRSH_reg, LDURSH, LDTRSH, signed_kind(w))
FORMS(LDRSW_imm, LDRSW_imm_post, LDRSW_imm_pre, LDRSW_reg, LDURSW, LDTRSW, LOAD_SIGNED_64)

LOWER(PRFM_imm) {
    lower_scaled(l, w, PREFETCH);
}

LOWER(PRFM_reg) {
    lower_register_offset(l, w, PREFETCH);
}

LOWER(PRFUM) {
    lower_unscaled(l, w, PREFETCH);
}

/* ---- literals ---- */

static guest_addr literal_address(const struct lower *l, uint32_t w) {
    return l->pc + (uint64_t)(sbits(w, 5, 19) * 4);
}

LOWER(LDR_lit) {
    ldst_load(l, bits(w, 30, 1) ? 3 : 2, a64_Rt(w), ldst_literal(l, literal_address(l, w)));
}

LOWER(LDRSW_lit) {
    load_signed(l, 2, 8, a64_Rt(w), ldst_literal(l, literal_address(l, w)));
}

LOWER(PRFM_lit) {
    prefetch(l, a64_Rt(w), ldst_literal(l, literal_address(l, w)));
}

/* ---- pairs ---- */

enum index_mode { OFFSET, PRE, POST };

static void lower_load_pair(struct lower *l, uint32_t w, enum index_mode mode, bool sign) {
    unsigned log2 = !sign && bits(w, 31, 1) ? 3 : 2, size = 1u << log2;
    unsigned rn = a64_Rn(w), rt = a64_Rt(w), rt2 = a64_Rt2(w);
    int32_t offset = (int32_t)sbits(w, 15, 7) * (int32_t)size;
    enum access kind = sign ? LOAD_SIGNED_64 : LOAD;
    x64_rm first = ldst_address(l, rn, mode == POST ? 0 : offset);
    x64_rm second = offset_by(first, (int32_t)size);
    bool into_base = rt == rn && rn != 31;
    if (mode != OFFSET && rn != 31) { /* the base's new value stays */
        rt = rt == rn ? XZR : rt;
        rt2 = rt2 == rn ? XZR : rt2;
    }
    if (into_base && mode == OFFSET) { /* the base outlives the first half */
        if (sign)
            x64_movsx(l->a, 8, RDX, 4, first);
        else
            x64_mov_r_rm(l->a, size, RDX, first);
        access_register(l, kind, log2, rt2, second);
        if (rt2 != rt)
            x64_mov_rm_r(l->a, 8, xr(rt), RDX);
    } else {
        access_register(l, kind, log2, rt, first);
        access_register(l, kind, log2, rt2, second);
    }
    if (mode != OFFSET)
        ldst_write_back(l, rn, first, offset);
}

static void lower_store_pair(struct lower *l, uint32_t w, enum index_mode mode) {
    unsigned log2 = bits(w, 31, 1) ? 3 : 2, size = 1u << log2, rn = a64_Rn(w);
    int32_t offset = (int32_t)sbits(w, 15, 7) * (int32_t)size;
    x64_rm first = ldst_address(l, rn, mode == POST ? 0 : offset);
    ldst_store(l, log2, a64_Rt(w), first);
    ldst_store(l, log2, a64_Rt2(w), offset_by(first, (int32_t)size));
    if (mode != OFFSET)
        ldst_write_back(l, rn, first, offset);
}

LOWER(LDP_off) {
    lower_load_pair(l, w, OFFSET, false);
}

LOWER(LDP_pre) {
    lower_load_pair(l, w, PRE, false);
}

LOWER(LDP_post) {
    lower_load_pair(l, w, POST, false);
}

LOWER(LDNP) {
    lower_load_pair(l, w, OFFSET, false);
}

LOWER(LDPSW_off) {
    lower_load_pair(l, w, OFFSET, true);
}

LOWER(LDPSW_pre) {
    lower_load_pair(l, w, PRE, true);
}

LOWER(LDPSW_post) {
    lower_load_pair(l, w, POST, true);
}

LOWER(STP_off) {
    lower_store_pair(l, w, OFFSET);
}

LOWER(STP_pre) {
    lower_store_pair(l, w, PRE);
}

LOWER(STP_post) {
    lower_store_pair(l, w, POST);
}

LOWER(STNP) {
    lower_store_pair(l, w, OFFSET);
}

/* ---- acquire and release with an offset (FEAT_LRCPC2): x86 loads acquire; the store must not pass
 * later loads ---- */

LOWER(LDAPUR) {
    lower_unscaled(l, w, LOAD);
}

LOWER(LDAPURSB) {
    lower_unscaled(l, w, signed_kind(w));
}

LOWER(LDAPURSH) {
    lower_unscaled(l, w, signed_kind(w));
}

LOWER(LDAPURSW) {
    lower_unscaled(l, w, LOAD_SIGNED_64);
}

LOWER(STLUR) {
    x64_rm address = ldst_address(l, a64_Rn(w), (int32_t)sbits(w, 12, 9));
    x_copy(l, RCX, a64_Rt(w), 8);
    x64_xchg_rm_r(l->a, 1u << (w >> 30), address, RCX);
}
