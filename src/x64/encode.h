/*
 * encode.h - what asm.c and simd.c share: bytes, ModRM/SIB and the VEX prefix. Private to x64/.
 *
 * Every emitting function first calls x64_room(), which keeps 15 bytes (the longest x86
 * instruction) free; after that the x64_put functions store without checks. So an instruction is
 * written whole or not at all.
 */
#ifndef ELFUSE_X64_ENCODE_H
#define ELFUSE_X64_ENCODE_H

#include "x64/asm.h"

#define X64_MAX_INSN 15

/* True if one more instruction fits; else marks the overflow. */
static inline bool x64_room(struct x64_asm *a) {
    if (UNLIKELY(a->overflow || a->end - a->p < X64_MAX_INSN)) {
        a->overflow = true;
        return false;
    }
    return true;
}

static inline void x64_put8(struct x64_asm *a, unsigned v) {
    *a->p++ = (uint8_t)v;
}

static inline void x64_put16(struct x64_asm *a, uint16_t v) {
    memcpy(a->p, &v, 2);
    a->p += 2;
}

static inline void x64_put32(struct x64_asm *a, uint32_t v) {
    memcpy(a->p, &v, 4);
    a->p += 4;
}

static inline void x64_put64(struct x64_asm *a, uint64_t v) {
    memcpy(a->p, &v, 8);
    a->p += 8;
}

/* Bit 3 of the r/m register or base, and of the index (REX.B, REX.X). */
static inline unsigned x64_b(x64_rm rm) {
    return rm.base < 32 ? rm.base >> 3 & 1 : 0;
}
static inline unsigned x64_x(x64_rm rm) {
    return rm.index < 16 ? rm.index >> 3 : 0;
}

/*
 * An index without a base costs a 4-byte displacement (SDM vol. 2, table 2-3), so index*1 becomes a
 * base and index*2 becomes index + index. Applied before the prefix, which holds base's bit 3.
 */
static inline x64_rm x64_shortest(x64_rm rm) {
    if (rm.is_mem && rm.base == X64_NOREG && rm.index != X64_NOREG && rm.shift < 2) {
        rm.base = rm.index;
        if (rm.shift == 0) {
            rm.index = X64_NOREG;
        }
        rm.shift = 0;
    }
    return rm;
}

/*
 * ModRM, SIB and displacement. `tail` bytes of immediate follow (a rip-relative displacement counts
 * from the end of the instruction). disp8 counts in units of 1 << disp8_shift bytes: 1 but for
 * EVEX.
 */
static inline void x64_put_modrm(struct x64_asm *a, unsigned reg, x64_rm rm, unsigned tail,
                                 unsigned disp8_shift) {
    unsigned mod;
    int32_t scaled = rm.disp >> disp8_shift;
    bool disp8 = scaled >= -128 && scaled <= 127 && scaled * (1 << disp8_shift) == rm.disp;

    reg = (reg & 7) << 3;
    if (!rm.is_mem) {
        x64_put8(a, 0xc0 | reg | (rm.base & 7));
        return;
    }
    if (rm.base == X64_RIP) {
        x64_put8(a, reg | 5);
        x64_put32(a, (uint32_t)rm.disp - (x64_pos(a) + 4 + tail));
        return;
    }
    ASSERT(rm.index != RSP);
    if (rm.base == X64_NOREG) {
        x64_put8(a, reg | 4);
        x64_put8(a, (unsigned)rm.shift << 6 | (rm.index == X64_NOREG ? 4 : rm.index & 7) << 3 | 5);
        x64_put32(a, (uint32_t)rm.disp);
        return;
    }
    /* mod 0 with base 5 (RBP, R13) means rip-relative or no base. */
    mod = rm.disp == 0 && (rm.base & 7) != 5 ? 0 : disp8 ? 1 : 2;
    if (rm.index != X64_NOREG || (rm.base & 7) == 4) {
        x64_put8(a, mod << 6 | reg | 4);
        x64_put8(a, (unsigned)rm.shift << 6 | (rm.index == X64_NOREG ? 4 : rm.index & 7) << 3 |
                        (rm.base & 7));
    } else {
        x64_put8(a, mod << 6 | reg | (rm.base & 7));
    }
    if (mod == 1) {
        x64_put8(a, (uint8_t)scaled);
    } else if (mod == 2) {
        x64_put32(a, (uint32_t)rm.disp);
    }
}

/* VEX prefix; map 1 0F, 2 0F38, 3 0F3A; pp 0 none, 1 66, 2 F3, 3 F2; nds: vvvv, 0 if unused. */
static inline void x64_put_vex(struct x64_asm *a, unsigned map, unsigned pp, unsigned w, unsigned l,
                               unsigned reg, unsigned nds, x64_rm rm) {
    unsigned last = (~nds & 15) << 3 | l << 2 | pp;
    unsigned r = reg >> 3 & 1;

    if (map == 1 && !w && !x64_x(rm) && !x64_b(rm)) {
        x64_put8(a, 0xc5);
        x64_put8(a, (r ^ 1) << 7 | last);
        return;
    }
    x64_put8(a, 0xc4);
    x64_put8(a, (r ^ 1) << 7 | (x64_x(rm) ^ 1) << 6 | (x64_b(rm) ^ 1) << 5 | map);
    x64_put8(a, w << 7 | last);
}

#endif
