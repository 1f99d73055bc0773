/*
 * decode.c - which row of the instruction table a word is, and the immediates that need more than a
 * shift.
 *
 * Everything here is a pure function of its arguments. The decoder walks a tree of bit windows
 * generated from the table (the root indexes by the top eleven bits; seldom more than two steps) to
 * a short list of candidate rows, most fixed bits first, and takes the first whose fixed bits and
 * where expression fit.
 */
#include "a64/a64.h"

struct candidate {
    uint32_t mask, value;
    uint16_t op;    /* A64_UNALLOCATED ends a list; its mask of 0 matches every word */
    uint16_t where; /* number of the restriction, 0 for none */
};

struct node {
    uint16_t first; /* of its 1 << width entries */
    uint8_t shift, width;
};

#define ENTRY_LEAF 0x8000u /* the rest is an index of candidates, else of nodes */

#include "a64_tables.inc"

enum a64_op a64_decode(uint32_t word) {
    unsigned entry = 0;
    do {
        const struct node *n = &nodes[entry];
        entry = entries[n->first + bits(word, n->shift, n->width)];
    } while (!(entry & ENTRY_LEAF));
    const struct candidate *c = &candidates[entry & ~ENTRY_LEAF];
    while ((word & c->mask) != c->value || (c->where && !where_holds(c->where, word)))
        c++;
    return (enum a64_op)c->op;
}

static uint64_t xorshift(uint64_t *rng) {
    uint64_t x = *rng;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *rng = x;
}

uint32_t a64_random_word(enum a64_op op, uint64_t *rng) {
    const struct a64_row *row = &a64_rows[op];
    uint32_t word;
    do {
        word = row->value | ((uint32_t)(xorshift(rng) >> 16) & ~row->mask);
    } while (a64_decode(word) != op);
    return word;
}

static uint64_t ones(unsigned n) {
    return n >= 64 ? ~0ull : (1ull << n) - 1;
}

/* Repeats the low width bits (a power of two) of element over 64 bits. */
static uint64_t replicate(uint64_t element, unsigned width) {
    for (; width < 64; width *= 2)
        element |= element << width;
    return element;
}

/* Arm ARM J1.1, DecodeBitMasks with immediate = TRUE. */
bool a64_logical_immediate(unsigned N, unsigned imms, unsigned immr, bool is64, uint64_t *mask) {
    unsigned selector = N << 6 | (~imms & 63); /* its highest set bit is log2 of the element size */
    if (selector < 2 || (N && !is64))
        return false;
    unsigned esize = 1u << (31 - __builtin_clz(selector));
    unsigned S = imms & (esize - 1), R = immr & (esize - 1);
    if (S == esize - 1)
        return false;
    uint64_t element = ones(S + 1);
    if (R)
        element = (element >> R | element << (esize - R)) & ones(esize);
    element = replicate(element, esize);
    *mask = is64 ? element : (uint32_t)element;
    return true;
}

/* Arm ARM J1.1, AdvSIMDExpandImm. */
uint64_t a64_simd_immediate(unsigned op, unsigned cmode, unsigned imm8) {
    uint64_t imm = imm8;
    if (cmode < 8) /* 32-bit, shifted by 0, 8, 16 or 24 */
        return replicate(imm << (cmode >> 1) * 8, 32);
    if (cmode < 12) /* 16-bit, shifted by 0 or 8 */
        return replicate(imm << (cmode >> 1 & 1) * 8, 16);
    switch (cmode) {
    case 12: /* 32-bit, ones shifted in */
        return replicate(imm << 8 | 0xff, 32);
    case 13:
        return replicate(imm << 16 | 0xffff, 32);
    case 14:
        if (!op)
            return replicate(imm, 8);
        uint64_t bytes = 0; /* each bit of imm8 becomes a byte */
        for (unsigned i = 0; i < 8; i++)
            bytes |= (imm >> i & 1 ? 0xffull : 0) << i * 8;
        return bytes;
    default:
        return op ? a64_fp_immediate(imm8, 64) : replicate(a64_fp_immediate(imm8, 32), 32);
    }
}

/* Arm ARM J1.1, VFPExpandImm: sign, exponent NOT(b):bbb..:cd, fraction efgh. */
uint64_t a64_fp_immediate(unsigned imm8, unsigned width_bits) {
    unsigned exponent_bits = width_bits == 16 ? 5 : width_bits == 32 ? 8 : 11;
    unsigned fraction_bits = width_bits - exponent_bits - 1;
    uint64_t sign = imm8 >> 7 & 1, b = imm8 >> 6 & 1;
    uint64_t exponent =
        (b ? ones(exponent_bits - 3) << 2 : 1ull << (exponent_bits - 1)) | (imm8 >> 4 & 3);
    return sign << (width_bits - 1) | exponent << fraction_bits |
           (uint64_t)(imm8 & 15) << (fraction_bits - 4);
}
