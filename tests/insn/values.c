/*
 * values.c - random numbers and the values worth testing with.
 *
 * Uniformly random 64-bit values hardly ever overflow, saturate, round or compare equal, so most
 * values come from lists of edges, from small numbers, and from their neighbours.
 */
#include "tester.h"

/* xorshift64*, Vigna 2016. The state is never 0. */
uint64_t rng_next(uint64_t *rng) {
    uint64_t x = *rng;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *rng = x;
    return x * 0x2545f4914f6cdd1dull;
}

uint32_t rng_below(uint64_t *rng, uint32_t n) {
    return (uint32_t)(((rng_next(rng) >> 32) * n) >> 32);
}

bool chance(uint64_t *rng, unsigned percent) {
    return rng_below(rng, 100) < percent;
}

uint64_t value_integer(uint64_t *rng) {
    static const uint64_t edges[] = {
        0,
        1,
        2,
        3,
        0x7f,
        0x80,
        0xff,
        0x100,
        0x7fff,
        0x8000,
        0xffff,
        0x10000,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x100000000,
        0x7fffffffffffffff,
        0x8000000000000000,
        0x5555555555555555,
        0xaaaaaaaaaaaaaaaa,
        0x00ff00ff00ff00ff,
        0x0102040810204080,
        0x8080808080808080,
        0x7f7f7f7f7f7f7f7f,
        0x7fff7fff7fff7fff,
        0x8000800080008000,
        0x7fffffff7fffffff,
        0x8000000080000000,
    };
    uint64_t edge = edges[rng_below(rng, ARRAY_SIZE(edges))];
    switch (rng_below(rng, 8)) {
    case 0:
        return edge;
    case 1:
        return -edge;
    case 2:
        return edge + rng_below(rng, 5) - 2;
    case 3:
        return (int64_t)rng_below(rng, 129) - 64;
    case 4:
        return 1ull << rng_below(rng, 64);
    case 5:
        return (1ull << rng_below(rng, 64)) - 1;
    case 6:
        return rng_next(rng) >> rng_below(rng, 64);
    default:
        return rng_next(rng);
    }
}

/* A number whose significand ends near a rounding boundary of a narrower format or of an integer.
 */
static uint64_t float_near_boundary(uint64_t *rng, unsigned exponent_bits, unsigned fraction_bits) {
    unsigned bias = (1u << (exponent_bits - 1)) - 1;
    uint64_t fraction_mask = (1ull << fraction_bits) - 1;
    /* 2^e with e up to the width of an integer, plus or minus a half or a quarter, plus or minus an
     * ulp */
    unsigned e = rng_below(rng, MIN(66u, bias));
    uint64_t fraction = rng_next(rng);
    unsigned keep = rng_below(rng, fraction_bits + 1);
    fraction = (fraction & fraction_mask) >> keep << keep;
    if (keep && chance(rng, 70))
        fraction |= 1ull << (keep - 1); /* the tie */
    fraction += rng_below(rng, 3) - 1;
    return ((uint64_t)(bias + e) << fraction_bits) + (fraction & fraction_mask);
}

uint64_t value_float(uint64_t *rng, unsigned width_bits) {
    unsigned exponent_bits = width_bits == 64 ? 11 : width_bits == 32 ? 8 : 5;
    unsigned fraction_bits = width_bits - 1 - exponent_bits;
    uint64_t mask = width_bits == 64 ? ~0ull : (1ull << width_bits) - 1;
    uint64_t infinity = ((1ull << exponent_bits) - 1) << fraction_bits;
    uint64_t one = ((1ull << (exponent_bits - 1)) - 1) << fraction_bits;
    uint64_t quiet = 1ull << (fraction_bits - 1);
    uint64_t v;
    switch (rng_below(rng, 16)) {
    case 0:
        v = 0;
        break;
    case 1:
        v = infinity;
        break;
    case 2: /* quiet NaN with a payload */
        v = infinity | quiet | (chance(rng, 30) ? 0 : rng_next(rng) & (quiet - 1));
        break;
    case 3: /* signalling NaN */
        v = infinity | 1 | (rng_next(rng) & (quiet - 1));
        break;
    case 4: /* denormals: smallest, largest, any */
        v = chance(rng, 30) ? 1 : chance(rng, 30) ? quiet * 2 - 1 : rng_next(rng) & (quiet * 2 - 1);
        break;
    case 5: /* around the smallest normal */
        v = quiet * 2 + rng_below(rng, 3);
        break;
    case 6: /* around the largest */
        v = infinity - 1 - rng_below(rng, 3);
        break;
    case 7:
        v = one;
        break;
    case 8: /* near one: cancellation */
        v = one + rng_below(rng, 9) - 4;
        break;
    case 9: { /* small integers and halves */
        unsigned shift = rng_below(rng, 5);
        v = one + ((uint64_t)shift << fraction_bits) +
            ((rng_next(rng) & 15) << (fraction_bits - 4));
        break;
    }
    case 10:
    case 11:
    case 12:
        v = float_near_boundary(rng, exponent_bits, fraction_bits);
        break;
    case 13: /* moderate exponents, full significand */
        v = one + (((uint64_t)rng_below(rng, 16) - 8) << fraction_bits) +
            (rng_next(rng) & (quiet * 2 - 1));
        break;
    default:
        v = rng_next(rng);
        break;
    }
    if (chance(rng, 40))
        v ^= 1ull << (width_bits - 1);
    return v & mask;
}

/* One 64-bit half of a vector register or 8 bytes of memory: lanes of one kind. */
static uint64_t value_lanes(uint64_t *rng, unsigned kind) {
    uint64_t v = 0;
    switch (kind) {
    case 0:
        return value_float(rng, 64);
    case 1:
        return value_float(rng, 32) | value_float(rng, 32) << 32;
    case 2:
        for (unsigned i = 0; i < 64; i += 16)
            v |= value_float(rng, 16) << i;
        return v;
    case 3:
        for (unsigned i = 0; i < 64; i += 8)
            v |= (value_integer(rng) & 0xff) << i;
        return v;
    case 4:
        for (unsigned i = 0; i < 64; i += 16)
            v |= (value_integer(rng) & 0xffff) << i;
        return v;
    case 5:
        return (value_integer(rng) & 0xffffffff) | value_integer(rng) << 32;
    case 6:
        return value_integer(rng);
    default:
        return rng_next(rng);
    }
}

void fill_state(struct insn_state *s, uint64_t *rng, uint64_t fpcr_mask) {
    memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < 31; i++) {
        s->x[i] = value_integer(rng);
        if (chance(rng, 8)) /* FMOV, SCVTF and friends move floats through X registers */
            s->x[i] = value_lanes(rng, rng_below(rng, 3));
        if (i && chance(rng, 8))
            s->x[i] = s->x[rng_below(rng, i)];
    }
    s->sp = SCRATCH_BASE + 16 * (64 + rng_below(rng, SCRATCH_RW_BYTES / 16 - 128));
    s->nzcv = (uint64_t)rng_below(rng, 16) << 28;
    /* AHP, DN, FZ, RMode, FZ16 */
    if (chance(rng, 50))
        s->fpcr = rng_next(rng) & (chance(rng, 50) ? 0x00c00000 : 0x07c80000) & fpcr_mask;
    if (chance(rng, 25))
        s->fpsr = rng_next(rng) & 0x0800009f;
    s->tpidr = rng_next(rng);
    /* One lane kind for all registers most of the time, so that operands of one instruction match.
     */
    unsigned kind = rng_below(rng, 8);
    bool mixed = chance(rng, 25);
    for (unsigned i = 0; i < 32; i++) {
        if (mixed)
            kind = rng_below(rng, 8);
        s->v[i][0] = value_lanes(rng, kind);
        s->v[i][1] = chance(rng, 10) ? 0 : value_lanes(rng, kind);
        if (i && chance(rng, 8)) {
            unsigned j = rng_below(rng, i);
            s->v[i][0] = s->v[j][0];
            s->v[i][1] = s->v[j][1];
        }
    }
}

void fill_scratch(void *image, uint64_t *rng) {
    uint64_t *words = image;
    for (unsigned i = 0; i < SCRATCH_IMAGE_BYTES / 8; i++)
        words[i] = value_lanes(rng, rng_below(rng, 8));
}
