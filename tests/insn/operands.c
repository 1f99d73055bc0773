/*
 * operands.c - what the tester must know of a word to run it usefully: its address, its control
 * flow, and whether the architecture defines its result. By encoding class (Arm ARM C4.1), not by
 * instruction.
 */
#include "tester.h"

static unsigned field(uint32_t w, unsigned lsb, unsigned width) {
    return bits(w, lsb, width);
}

static struct access simple_access(int base, unsigned bytes) {
    return (struct access){
        .exists = true, .base = base, .base_lsb = 5, .index = -1, .bytes = bytes};
}

/* C4.1.94: size 111 V xx ...: single register with all its addressing modes, atomics, prefetch. */
static struct access single_register_access(uint32_t w) {
    bool is_vector = field(w, 26, 1);
    unsigned log2 = field(w, 30, 2);
    if (is_vector && log2 == 0 && field(w, 23, 1))
        log2 = 4;
    struct access a = simple_access(a64_Rn(w), 1u << log2);
    if (field(w, 24, 1)) {
        a.imm_lsb = 10, a.imm_bits = 12;
        a.offset = (int64_t)field(w, 10, 12) << log2;
    } else if (!field(w, 21, 1)) {
        a.imm_lsb = 12, a.imm_bits = 9;
        a.offset = field(w, 10, 2) == 1 ? 0 : sbits(w, 12, 9);
    } else if (field(w, 10, 2) == 2) {
        a.index = a64_Rm(w);
        a.index_added = true;
        a.extend = field(w, 13, 3);
        a.shift = field(w, 12, 1) ? log2 : 0;
    } else if (field(w, 10, 2) == 0) {
        a.ordered = true;
        if (log2 == 3 && !is_vector) /* LD64B family: 64 bytes */
            a.bytes = field(w, 12, 3) == 1 && field(w, 15, 1) ? 64 : 8;
    }
    return a;
}

static struct access pair_access(uint32_t w) {
    unsigned log2 = field(w, 26, 1) ? 2 + field(w, 30, 2) : field(w, 31, 1) ? 3 : 2;
    if (!field(w, 26, 1) && field(w, 30, 2) == 1 && !field(w, 22, 1))
        log2 = 4; /* STGP */
    struct access a = simple_access(a64_Rn(w), 2u << log2);
    a.imm_lsb = 15, a.imm_bits = 7;
    a.offset = field(w, 23, 2) == 1 ? 0 : sbits(w, 15, 7) << log2;
    return a;
}

static struct access exclusive_access(uint32_t w) {
    bool pair = field(w, 21, 1) && !field(w, 23, 1);
    bool casp = pair && !field(w, 31, 1);
    unsigned log2 = casp ? 2 + field(w, 30, 1) : field(w, 30, 2);
    struct access a = simple_access(a64_Rn(w), (pair ? 2u : 1u) << log2);
    a.ordered = true;
    a.exclusive = !field(w, 23, 1) && !casp;
    a.store_exclusive = a.exclusive && !field(w, 22, 1);
    a.compares = casp || (field(w, 23, 1) && field(w, 21, 1));
    a.compares_pair = casp;
    a.compared = a64_Rs(w);
    return a;
}

static struct access simd_structure_access(uint32_t w) {
    struct access a = simple_access(a64_Rn(w), 64);
    if (field(w, 23, 1) && a64_Rm(w) != 31)
        a.index = a64_Rm(w);
    return a;
}

struct access analyse_access(uint32_t w) {
    if ((w & 0xfff80000) == 0xd5080000 && field(w, 12, 4) == 7) { /* SYS with CRn 7: DC, IC */
        struct access a = simple_access(a64_Rt(w), 64);
        a.base_lsb = 0;
        a.cache_operation = field(w, 8, 4) != 4;
        return a;
    }
    if (field(w, 27, 1) != 1 || field(w, 25, 1) != 0)
        return (struct access){0};
    switch (field(w, 27, 3)) {
    case 1: /* x001: exclusives and SIMD structures */
        return field(w, 26, 1) ? simd_structure_access(w) : exclusive_access(w);
    case 3:
        if (!field(w, 24, 1))
            return (struct access){
                .exists = true, .literal = true, .base = -1, .index = -1, .bytes = 16};
        struct access a = simple_access(a64_Rn(w), 1u << field(w, 30, 2)); /* LDAPUR, STLUR */
        a.ordered = true;
        a.imm_lsb = 12, a.imm_bits = 9;
        a.offset = sbits(w, 12, 9);
        return a;
    case 5:
        return pair_access(w);
    case 7:
        return single_register_access(w);
    }
    return (struct access){0};
}

int64_t index_value(const struct access *a, uint64_t x) {
    switch (a->extend) {
    case 2: /* UXTW */
        x = (uint32_t)x;
        break;
    case 6: /* SXTW */
        x = (uint64_t)(int64_t)(int32_t)x;
        break;
    }
    return (int64_t)(x << a->shift);
}

/* Arm ARM K1.2: write-back over a transfer register, pairs to one register, exclusives that
 * overlap. */
bool is_unpredictable(uint32_t w) {
    unsigned Rt = a64_Rt(w), Rn = a64_Rn(w), Rt2 = a64_Rt2(w), Rs = a64_Rs(w);
    struct access a = analyse_access(w);
    if ((w & 0xffe0001f) == 0xd4400000 && field(w, 5, 16) == 0xf000)
        return true; /* HLT 0xf000: qemu's semihosting */
    if (!a.exists || a.literal)
        return false;
    if (a.base_lsb == 0)
        return a.base == 31; /* a null pointer: faults, but not under qemu */
    bool vector = field(w, 26, 1);
    switch (field(w, 27, 3)) {
    case 5: { /* pairs */
        bool writeback = field(w, 23, 1), load = field(w, 22, 1);
        if (load && Rt == Rt2)
            return true;
        return writeback && !vector && Rn != 31 && (Rn == Rt || Rn == Rt2);
    }
    case 7: {
        bool indexed = !field(w, 24, 1) && !field(w, 21, 1) && field(w, 10, 1);
        return indexed && !vector && Rn != 31 && Rn == Rt;
    }
    case 1:
        if (vector || !a.exclusive)
            return false;
        bool pair = field(w, 21, 1);
        if (!a.store_exclusive)
            return pair && Rt == Rt2;
        return Rs == Rt || (pair && Rs == Rt2) || (Rs == Rn && Rn != 31);
    }
    return false;
}

bool writes_sp(uint32_t w) {
    if (a64_Rd(w) != 31)
        return false;
    if ((w & 0x1f800000) == 0x11000000 ||
        (w & 0x1fe00000) == 0x0b200000) /* ADD/SUB imm, extended */
        return !field(w, 29, 1);
    return (w & 0x1f800000) == 0x12000000 && field(w, 29, 2) != 3; /* logical immediate but ANDS */
}

uint32_t unknown_v_after_fault(uint32_t w) {
    if ((w & 0xbe000000) == 0x0c000000) { /* LD1-LD4 */
        uint32_t mask = 0;
        for (unsigned i = 0; i < 4; i++)
            mask |= 1u << ((a64_Rt(w) + i) & 31);
        return mask;
    }
    if ((w & 0x3e400000) == 0x2c400000) /* LDP of vector registers */
        return 1u << a64_Rt(w) | 1u << a64_Rt2(w);
    if ((w & 0x3f000000) == 0x3c000000 || (w & 0x3f000000) == 0x3d000000) /* LDR Q: two halves */
        return 1u << a64_Rt(w);
    return 0;
}

uint32_t unknown_x_after_fault(uint32_t w) {
    uint32_t mask = 0;
    if ((w & 0x3e400000) == 0x28400000) /* LDP, LDPSW, LDNP */
        mask = 1u << a64_Rt(w) | 1u << a64_Rt2(w);
    return mask & ~(1u << a64_Rn(w)) & 0x7fffffff;
}

enum control control_of(uint32_t w) {
    if ((w & 0x7c000000) == 0x14000000)
        return CONTROL_IMM26;
    if ((w & 0xff000000) == 0x54000000 || (w & 0x7e000000) == 0x34000000)
        return CONTROL_IMM19;
    if ((w & 0x7e000000) == 0x36000000)
        return CONTROL_IMM14;
    if ((w & 0xff9ffc1f) == 0xd61f0000 && field(w, 21, 2) != 3)
        return CONTROL_REG;
    if ((w & 0xfe000000) == 0xd6000000)
        return CONTROL_EXCEPTION; /* ERET, DRPS: undefined at EL0; pointer-authenticated ones too */
    if ((w & 0xffe0001f) == 0xd4000001)
        return CONTROL_SVC;
    if ((w & 0xff000000) == 0xd4000000 || (w & 0xffff0000) == 0)
        return CONTROL_EXCEPTION;
    return CONTROL_NONE;
}

uint32_t set_branch(uint32_t w, int words) {
    switch (control_of(w)) {
    case CONTROL_IMM26:
        return (w & 0xfc000000) | (words & 0x3ffffff);
    case CONTROL_IMM19:
        return (w & 0xff00001f) | (words & 0x7ffff) << 5;
    case CONTROL_IMM14:
        return (w & 0xfff8001f) | (words & 0x3fff) << 5;
    default:
        return w;
    }
}

bool writes_link(uint32_t w) {
    return (w & 0xfc000000) == 0x94000000 || (control_of(w) == CONTROL_REG && field(w, 21, 2) == 1);
}

bool is_system_move(uint32_t w, bool *reads) {
    *reads = field(w, 21, 1);
    return (w & 0xffd00000) == 0xd5100000;
}

uint64_t system_value_mask(uint32_t w) {
    switch (field(w, 5, 15) | 1u << 15) {
    case 0xda20:
        return 0x07c80000; /* FPCR: AHP, DN, FZ, RMode, FZ16. Others are RES0 or need features no
                              side has. */
    case 0xda21:
        return 0x0800009f; /* FPSR: QC and the cumulative bits */
    default:
        return ~0ull;
    }
}
