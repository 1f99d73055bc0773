/*
 * a64.h - the A64 instruction set as data, and what is generated from it.
 *
 * a64.def is the one table: a row is an instruction (one encoding class of the Arm ARM), its
 * encoding as a 32-character pattern, its operand format, architectural feature, group and
 * properties. From it come the decoder, the disassembler, the random-encoding generator of the
 * tests and docs/instructions.md.
 *
 * A decoded instruction is its row (op) and its word; operands are fields of the word, read with
 * the accessors below, which carry the Arm ARM's field names.
 */
#ifndef ELFUSE_A64_H
#define ELFUSE_A64_H

#include "base/base.h"

enum a64_op {
    A64_UNALLOCATED, /* also: reserved, or of a feature we do not know */
#define INSN(name, ...) A64_##name,
#include "a64/a64.def"
#undef INSN
    A64_OP_COUNT
};

enum a64_group {
    GROUP_DP_IMM,    /* data processing, immediate */
    GROUP_DP_REG,    /* data processing, register */
    GROUP_BRANCH,    /* branches, exception generation */
    GROUP_SYSTEM,    /* MSR/MRS, hints, barriers, SYS */
    GROUP_LDST,      /* loads and stores of general registers, literals, prefetch */
    GROUP_ATOMIC,    /* exclusives, acquire/release, LSE */
    GROUP_LDST_FP,   /* loads and stores of SIMD&FP registers, LD1-LD4/ST1-ST4 */
    GROUP_FP,        /* scalar floating point, conversions with general registers */
    GROUP_SIMD_INT,  /* Advanced SIMD integer, vector and scalar */
    GROUP_SIMD_FP,   /* Advanced SIMD floating point, vector and scalar */
    GROUP_SIMD_MOVE, /* DUP/INS/UMOV/SMOV/EXT/ZIP/UZP/TRN/TBL, modified immediates */
    GROUP_CRYPTO,    /* AES, SHA1, SHA2, SHA3, SHA512, SM3, SM4, PMULL */
};

/* Architecture features. Rows of FEATURE_BASE are Armv8.0 integer; FP and SIMD are in every
 * application core. */
enum a64_feature {
    FEATURE_BASE,
    FEATURE_FP,
    FEATURE_SIMD,
    FEATURE_AES,
    FEATURE_PMULL,
    FEATURE_SHA1,
    FEATURE_SHA256,
    FEATURE_CRC32,
    FEATURE_LOR,
    FEATURE_LSE,
    FEATURE_RDM,
    FEATURE_FP16,
    FEATURE_DPB,
    FEATURE_DPB2,
    FEATURE_FCMA,
    FEATURE_JSCVT,
    FEATURE_LRCPC,
    FEATURE_LRCPC2,
    FEATURE_PAUTH,
    FEATURE_DOTPROD,
    FEATURE_FHM,
    FEATURE_SHA3,
    FEATURE_SHA512,
    FEATURE_SM3,
    FEATURE_SM4,
    FEATURE_DIT,
    FEATURE_FLAGM,
    FEATURE_FLAGM2,
    FEATURE_FRINTTS,
    FEATURE_SB,
    FEATURE_SSBS,
    FEATURE_BTI,
    FEATURE_RNG,
    FEATURE_BF16,
    FEATURE_I8MM,
    FEATURE_WFXT,
    FEATURE_MOPS,
    FEATURE_CSSC,
    FEATURE_COUNT,
};

enum a64_property {
    A64_READS_NZCV = 1 << 0,
    A64_WRITES_NZCV =
        1 << 1, /* all four flags, unconditionally; one that keeps some of them also READS_NZCV */
    A64_ENDS_BLOCK =
        1 << 2, /* control does not (only) fall through: branches, SVC, BRK, ERET, ... */
    A64_LOADS = 1 << 3,
    A64_STORES = 1 << 4,
};

/* Arrays instead of pointers: a table of pointers would have to be relocated at every start. */
struct a64_row {
    char name[12];      /* mnemonic, lower case */
    char id[24];        /* the row's name */
    char pattern[33];   /* 32 characters, bit 31 first: 0, 1, or a field letter */
    uint8_t group;      /* enum a64_group */
    uint8_t feature;    /* enum a64_feature */
    uint8_t properties; /* enum a64_property bits */
    uint32_t mask, value;
};
extern const struct a64_row a64_rows[A64_OP_COUNT];

/* The row a word belongs to, or A64_UNALLOCATED. A pure function of the word. */
enum a64_op a64_decode(uint32_t word);

/*
 * Writes the word's assembly text (as GNU objdump prints it, without symbols) at dst. pc is the
 * instruction's address, for branch and literal targets. Returns the length wanted, as snprintf.
 * Unallocated: ".inst 0x...".
 */
int a64_disassemble(char *dst, size_t size, uint32_t word, guest_addr pc);

/*
 * A random word that decodes to op: its letters filled from the xorshift state *rng until the row's
 * restrictions hold. Advances *rng, which must not be 0. op must not be A64_UNALLOCATED.
 */
uint32_t a64_random_word(enum a64_op op, uint64_t *rng);

/* Fields, by their Arm ARM names. */
static inline unsigned a64_Rd(uint32_t w) {
    return w & 31;
}
static inline unsigned a64_Rt(uint32_t w) {
    return w & 31;
}
static inline unsigned a64_Rn(uint32_t w) {
    return (w >> 5) & 31;
}
static inline unsigned a64_Rm(uint32_t w) {
    return (w >> 16) & 31;
}
static inline unsigned a64_Rs(uint32_t w) {
    return (w >> 16) & 31;
}
static inline unsigned a64_Ra(uint32_t w) {
    return (w >> 10) & 31;
}
static inline unsigned a64_Rt2(uint32_t w) {
    return (w >> 10) & 31;
}
static inline unsigned a64_sf(uint32_t w) {
    return w >> 31;
}
static inline unsigned a64_Q(uint32_t w) {
    return (w >> 30) & 1;
}
static inline unsigned a64_size(uint32_t w) {
    return (w >> 22) & 3;
} /* SIMD element size field */

/*
 * DecodeBitMasks(N, imms, immr) of the Arm ARM for a logical immediate: the mask for a datasize of
 * 64 (N may be 1) or 32 (result in the low half). Returns false when the encoding is reserved.
 */
bool a64_logical_immediate(unsigned N, unsigned imms, unsigned immr, bool is64, uint64_t *mask);
/* AdvSIMDExpandImm(op, cmode, imm8): the 64-bit pattern. */
uint64_t a64_simd_immediate(unsigned op, unsigned cmode, unsigned imm8);
/* VFPExpandImm(imm8) for 16, 32 or 64 bits. */
uint64_t a64_fp_immediate(unsigned imm8, unsigned width_bits);

#endif
