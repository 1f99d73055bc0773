/*
 * simd_row.h - simd.def as a C table; the columns are described there. Private to x64/ and its
 * test.
 */
#ifndef ELFUSE_X64_SIMD_ROW_H
#define ELFUSE_X64_SIMD_ROW_H

#include "x64/asm.h"

enum simd_prefix { PN, P66, PF3, PF2 }; /* as in VEX.pp */
enum simd_map { M0F = 1, M38, M3A };    /* as in VEX.mmmmm */
enum simd_w { W0, W1, VW1 };
enum simd_form { XX, XXX, XR, XXR, RX, MX, MR, SH, BLV };
enum simd_mem { M1, M2, M4, M8, M16, VL, VL2, VL4, VL8, DUP };
enum simd_evex { EN, E0, E1 };
enum simd_flag {
    LIG = 1,
    IMM = 2,
    COMM = 4,
    NARROW = 8,
    MEMONLY = 16,
    REGONLY = 32,
    LOADS = 64,
    LEN32 = 128,
    VEXONLY = 256,
    EVEXONLY = 512,
    SSEONLY = 1024,
};

struct simd_row {
    uint8_t prefix, map, opcode, w;
    uint8_t form, mem, evex;
    uint8_t alt_high; /* ST: prefix, SHI: /digit */
    uint8_t alt;      /* opcode of the other form */
    bool can_store;   /* alt is a store */
    bool can_shift_i; /* alt is a shift by an immediate */
    uint16_t flags;
};

/* Initialisers of the alt column: the four members from alt_high on. */
#define SIMD_ALT_0          0, 0, false, false
#define SIMD_ALT_ST(p, op)  p, op, true, false
#define SIMD_ALT_SHI(op, n) n, op, false, true
#define SIMD_ALT_VEXOP(op)  0, op, false, false
#define SIMD_ROW(prefix, map, op, w, form, mem, evex, alt, flags) \
    {prefix, map, op, w, form, mem, evex, SIMD_ALT_##alt, flags},

/* Bytes of a memory operand of the row at this len. */
static inline unsigned simd_mem_bytes(const struct simd_row *row, unsigned len) {
    switch ((enum simd_mem)row->mem) {
    case VL:
        return len;
    case VL2:
        return len / 2;
    case VL4:
        return len / 4;
    case VL8:
        return len / 8;
    case DUP:
        return len == 16 ? 8 : 32;
    default:
        return 1u << row->mem;
    }
}

#endif
