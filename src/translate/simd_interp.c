/*
 * simd_interp.c - Advanced SIMD integer instructions without a short x86 sequence, executed in C
 * lane by lane after the Arm ARM's pseudocode: saturating and rounding shifts by register,
 * saturating doubling multiplies, narrowing with saturation and the like.
 */
#include "translate/simd_interp.h"

#include "a64/a64.h"
#include "engine/fpstate.h"

typedef __int128 wide; /* holds every intermediate result of 64-bit lanes */

struct context {
    struct cpu *cpu;
    uint32_t w;
    enum a64_op op;
    unsigned size; /* log2 of the element's bytes */
    unsigned lanes;
    struct vreg result;
    bool saturated;
};

static bool is_scalar(uint32_t w) {
    return bits(w, 28, 1);
} /* SIMD scalar encodings */

static uint64_t lane(const struct vreg *v, unsigned size, unsigned i) {
    unsigned width = 8u << size, bit = i * width;
    uint64_t d = v->d[bit / 64] >> bit % 64;
    return width == 64 ? d : d & ((1ull << width) - 1);
}
static int64_t signed_lane(const struct vreg *v, unsigned size, unsigned i) {
    unsigned shift = 64 - (8u << size);
    return (int64_t)(lane(v, size, i) << shift) >> shift;
}
static wide get(const struct vreg *v, unsigned size, unsigned i, bool is_unsigned) {
    return is_unsigned ? (wide)lane(v, size, i) : (wide)signed_lane(v, size, i);
}
static void set(struct vreg *v, unsigned size, unsigned i, uint64_t value) {
    unsigned width = 8u << size, bit = i * width;
    uint64_t mask = width == 64 ? ~0ull : (1ull << width) - 1;
    v->d[bit / 64] = (v->d[bit / 64] & ~(mask << bit % 64)) | (value & mask) << bit % 64;
}

static const struct vreg *reg_n(const struct context *c) {
    return &c->cpu->v[a64_Rn(c->w)];
}
static const struct vreg *reg_m(const struct context *c) {
    return &c->cpu->v[a64_Rm(c->w)];
}
static const struct vreg *reg_d(const struct context *c) {
    return &c->cpu->v[a64_Rd(c->w)];
}

/* SatQ to `size`. */
static uint64_t saturate(struct context *c, wide value, unsigned size, bool is_unsigned) {
    unsigned width = 8u << size;
    wide top = is_unsigned ? ((wide)1 << width) - 1 : ((wide)1 << (width - 1)) - 1;
    wide bottom = is_unsigned ? 0 : -top - 1;
    if (value > top || value < bottom) {
        c->saturated = true;
        return (uint64_t)(value > top ? top : bottom);
    }
    return (uint64_t)value;
}

/* ---- shifts by a register ---- */

/* value shifted left by `shift`, which may be negative, rounding when it is. Saturated or cut by
 * the caller. */
static wide shift_value(wide value, int shift, bool round) {
    if (shift >= 0)
        return shift >= 64 ? (value ? (value < 0 ? -((wide)1 << 100) : (wide)1 << 100) : 0)
                           : value << shift;
    shift = -shift;
    if (round)
        value += shift > 100 ? 0 : (wide)1 << (shift - 1);
    if (shift > 100)
        return round ? 0 : value >> 100;
    return value >> shift;
}

static void shift_by_register(struct context *c, bool is_unsigned, bool round, bool saturating) {
    for (unsigned i = 0; i < c->lanes; i++) {
        int shift = (int)signed_lane(reg_m(c), 0, i << c->size); /* the element's lowest byte */
        wide value = get(reg_n(c), c->size, i, is_unsigned);
        uint64_t r;
        if (saturating)
            r = saturate(c, shift_value(value, shift, round), c->size, is_unsigned);
        else
            r = shift >= 8 << c->size ? 0 : (uint64_t)shift_value(value, shift, round);
        set(&c->result, c->size, i, r);
    }
}

static bool register_shift(struct context *c) {
    switch (c->op) {
    case A64_SSHL_vec:
    case A64_SSHL_scalar:
        shift_by_register(c, false, false, false);
        return true;
    case A64_USHL_vec:
    case A64_USHL_scalar:
        shift_by_register(c, true, false, false);
        return true;
    case A64_SRSHL_vec:
    case A64_SRSHL_scalar:
        shift_by_register(c, false, true, false);
        return true;
    case A64_URSHL_vec:
    case A64_URSHL_scalar:
        shift_by_register(c, true, true, false);
        return true;
    case A64_SQSHL_vec:
    case A64_SQSHL_scalar:
        shift_by_register(c, false, false, true);
        return true;
    case A64_UQSHL_vec:
    case A64_UQSHL_scalar:
        shift_by_register(c, true, false, true);
        return true;
    case A64_SQRSHL_vec:
    case A64_SQRSHL_scalar:
        shift_by_register(c, false, true, true);
        return true;
    case A64_UQRSHL_vec:
    case A64_UQRSHL_scalar:
        shift_by_register(c, true, true, true);
        return true;
    default:
        return false;
    }
}

/* ---- shifts by an immediate ---- */

static bool immediate_shift(struct context *c) {
    bool round = false, from_signed = true, to_unsigned = false, narrow = true;
    switch (c->op) {
    case A64_SQSHL_imm_vec:
    case A64_SQSHL_imm_scalar:
        narrow = false;
        break;
    case A64_UQSHL_imm_vec:
    case A64_UQSHL_imm_scalar:
        narrow = from_signed = false;
        to_unsigned = true;
        break;
    case A64_SQSHLU_vec:
    case A64_SQSHLU_scalar:
        narrow = false;
        to_unsigned = true;
        break;
    case A64_SQSHRN_vec:
    case A64_SQSHRN_scalar:
        break;
    case A64_SQRSHRN_vec:
    case A64_SQRSHRN_scalar:
        round = true;
        break;
    case A64_SQSHRUN_vec:
    case A64_SQSHRUN_scalar:
        to_unsigned = true;
        break;
    case A64_SQRSHRUN_vec:
    case A64_SQRSHRUN_scalar:
        round = to_unsigned = true;
        break;
    case A64_UQSHRN_vec:
    case A64_UQSHRN_scalar:
        from_signed = false;
        to_unsigned = true;
        break;
    case A64_UQRSHRN_vec:
    case A64_UQRSHRN_scalar:
        from_signed = false;
        round = to_unsigned = true;
        break;
    default:
        return false;
    }
    unsigned imm = bits(c->w, 16, 7);
    c->size = 31 - (unsigned)__builtin_clz(imm >> 3);
    unsigned esize = 8u << c->size, high = narrow && !is_scalar(c->w) && a64_Q(c->w);
    int shift = narrow ? -(int)(2 * esize - imm) : (int)(imm - esize);
    unsigned n = is_scalar(c->w) ? 1 : narrow ? 8u >> c->size : (8u << a64_Q(c->w)) >> c->size;
    if (high)
        c->result.d[0] = reg_d(c)->d[0];
    for (unsigned i = 0; i < n; i++) {
        wide value = get(reg_n(c), c->size + narrow, i, !from_signed);
        set(&c->result, c->size, high * n + i,
            saturate(c, shift_value(value, shift, round), c->size, to_unsigned));
    }
    return true;
}

/* ---- saturating add, subtract, absolute, negate, narrow ---- */

static bool saturating(struct context *c) {
    for (unsigned i = 0; i < c->lanes; i++) {
        wide sn = get(reg_n(c), c->size, i, false), un = get(reg_n(c), c->size, i, true);
        wide sm = get(reg_m(c), c->size, i, false), um = get(reg_m(c), c->size, i, true);
        wide sd = get(reg_d(c), c->size, i, false), ud = get(reg_d(c), c->size, i, true);
        wide value;
        bool is_unsigned = false;
        switch (c->op) {
        case A64_SQADD_vec:
        case A64_SQADD_scalar:
            value = sn + sm;
            break;
        case A64_UQADD_vec:
        case A64_UQADD_scalar:
            value = un + um;
            is_unsigned = true;
            break;
        case A64_SQSUB_vec:
        case A64_SQSUB_scalar:
            value = sn - sm;
            break;
        case A64_UQSUB_vec:
        case A64_UQSUB_scalar:
            value = un - um;
            is_unsigned = true;
            break;
        case A64_SUQADD_vec:
        case A64_SUQADD_scalar:
            value = sd + un;
            break;
        case A64_USQADD_vec:
        case A64_USQADD_scalar:
            value = ud + sn;
            is_unsigned = true;
            break;
        case A64_SQABS_vec:
        case A64_SQABS_scalar:
            value = sn < 0 ? -sn : sn;
            break;
        case A64_SQNEG_vec:
        case A64_SQNEG_scalar:
            value = -sn;
            break;
        default:
            return false;
        }
        set(&c->result, c->size, i, saturate(c, value, c->size, is_unsigned));
    }
    return true;
}

static bool saturating_narrow(struct context *c) {
    bool from_unsigned = false, to_unsigned = true;
    switch (c->op) {
    case A64_SQXTN_vec:
    case A64_SQXTN_scalar:
        to_unsigned = false;
        break;
    case A64_UQXTN_vec:
    case A64_UQXTN_scalar:
        from_unsigned = true;
        break;
    case A64_SQXTUN_vec:
    case A64_SQXTUN_scalar:
        break;
    default:
        return false;
    }
    unsigned high = !is_scalar(c->w) && a64_Q(c->w), n = is_scalar(c->w) ? 1 : 8u >> c->size;
    if (high)
        c->result.d[0] = reg_d(c)->d[0];
    for (unsigned i = 0; i < n; i++) {
        wide value = get(reg_n(c), c->size + 1, i, from_unsigned);
        set(&c->result, c->size, high * n + i, saturate(c, value, c->size, to_unsigned));
    }
    return true;
}

/* ---- saturating doubling multiplies ---- */

/* By element: bit 24 set and bit 10 clear. */
static wide operand_m(const struct context *c, unsigned i) {
    if (!bits(c->w, 24, 1) || bits(c->w, 10, 1))
        return get(reg_m(c), c->size, i, false);
    unsigned hl = bits(c->w, 11, 1) << 1 | bits(c->w, 21, 1), m = a64_Rm(c->w);
    if (c->size == 1)
        return get(&c->cpu->v[m & 15], 1, hl << 1 | bits(c->w, 20, 1), false);
    return get(reg_m(c), 2, hl, false);
}

static bool doubling_high(struct context *c) {
    bool round = true;
    int accumulate = 0;
    switch (c->op) {
    case A64_SQDMULH_vec:
    case A64_SQDMULH_scalar:
    case A64_SQDMULH_elem:
    case A64_SQDMULH_elem_scalar:
        round = false;
        break;
    case A64_SQRDMULH_vec:
    case A64_SQRDMULH_scalar:
    case A64_SQRDMULH_elem:
    case A64_SQRDMULH_elem_scalar:
        break;
    case A64_SQRDMLAH_vec:
    case A64_SQRDMLAH_scalar:
    case A64_SQRDMLAH_elem:
    case A64_SQRDMLAH_elem_scalar:
        accumulate = 1;
        break;
    case A64_SQRDMLSH_vec:
    case A64_SQRDMLSH_scalar:
    case A64_SQRDMLSH_elem:
    case A64_SQRDMLSH_elem_scalar:
        accumulate = -1;
        break;
    default:
        return false;
    }
    unsigned esize = 8u << c->size;
    for (unsigned i = 0; i < c->lanes; i++) {
        wide product = 2 * get(reg_n(c), c->size, i, false) * operand_m(c, i);
        wide sum = accumulate ? (get(reg_d(c), c->size, i, false) << esize) + accumulate * product
                              : product;
        if (round)
            sum += (wide)1 << (esize - 1);
        set(&c->result, c->size, i, saturate(c, sum >> esize, c->size, false));
    }
    return true;
}

static bool doubling_long(struct context *c) {
    int accumulate = 0;
    switch (c->op) {
    case A64_SQDMULL_vec:
    case A64_SQDMULL_scalar:
    case A64_SQDMULL_elem:
    case A64_SQDMULL_elem_scalar:
        break;
    case A64_SQDMLAL_vec:
    case A64_SQDMLAL_scalar:
    case A64_SQDMLAL_elem:
    case A64_SQDMLAL_elem_scalar:
        accumulate = 1;
        break;
    case A64_SQDMLSL_vec:
    case A64_SQDMLSL_scalar:
    case A64_SQDMLSL_elem:
    case A64_SQDMLSL_elem_scalar:
        accumulate = -1;
        break;
    default:
        return false;
    }
    bool scalar = is_scalar(c->w);
    unsigned n = scalar ? 1 : 8u >> c->size, high = !scalar && a64_Q(c->w) ? n : 0;
    bool element = bits(c->w, 24, 1) && !bits(c->w, 10, 1);
    for (unsigned i = 0; i < n; i++) {
        wide m = element ? operand_m(c, i) : get(reg_m(c), c->size, high + i, false);
        wide product = 2 * get(reg_n(c), c->size, high + i, false) * m;
        product = (int64_t)saturate(c, product, c->size + 1, false);
        if (c->size == 1)
            product = (int32_t)product;
        if (accumulate)
            product = get(reg_d(c), c->size + 1, i, false) + accumulate * product;
        set(&c->result, c->size + 1, i, saturate(c, product, c->size + 1, false));
    }
    return true;
}

/* ---- bit counts, polynomial multiply ---- */

static uint64_t polynomial(uint64_t a, uint64_t b) {
    uint64_t r = 0;
    for (unsigned i = 0; i < 8; i++)
        if (b >> i & 1)
            r ^= a << i;
    return r;
}

static bool bit_operations(struct context *c) {
    unsigned esize = 8u << c->size, n = 8, high = a64_Q(c->w) ? 8 : 0;
    switch (c->op) {
    case A64_CLS_vec:
    case A64_CLZ_vec:
        for (unsigned i = 0; i < c->lanes; i++) {
            uint64_t x = lane(reg_n(c), c->size, i);
            bool cls = c->op == A64_CLS_vec;
            if (cls) { /* leading bits that equal the sign, without it */
                int64_t s = signed_lane(reg_n(c), c->size, i);
                x = (uint64_t)(s ^ (int64_t)((uint64_t)s << 1)) &
                    (esize == 64 ? ~0ull : (1ull << esize) - 1);
                x = x >> 1 << 1;
            }
            unsigned count = x ? (unsigned)__builtin_clzll(x) - (64 - esize) : esize;
            set(&c->result, c->size, i, cls ? MIN(count, esize - 1) : count);
        }
        return true;
    case A64_PMUL_vec:
        for (unsigned i = 0; i < c->lanes; i++)
            set(&c->result, 0, i, polynomial(lane(reg_n(c), 0, i), lane(reg_m(c), 0, i)));
        return true;
    case A64_PMULL_8:
        for (unsigned i = 0; i < n; i++)
            set(&c->result, 1, i,
                polynomial(lane(reg_n(c), 0, high + i), lane(reg_m(c), 0, high + i)));
        return true;
    default:
        return false;
    }
}

/* ---- dot products, matrix multiply ---- */

static bool dot(struct context *c) {
    bool n_unsigned = false, m_unsigned = false, element = bits(c->w, 24, 1) && !bits(c->w, 10, 1);
    switch (c->op) {
    case A64_SDOT_vec:
    case A64_SDOT_elem:
    case A64_SMMLA:
        break;
    case A64_UDOT_vec:
    case A64_UDOT_elem:
    case A64_UMMLA:
        n_unsigned = m_unsigned = true;
        break;
    case A64_USDOT_vec:
    case A64_USDOT_elem:
    case A64_USMMLA:
        n_unsigned = true;
        break;
    case A64_SUDOT_elem:
        m_unsigned = true;
        break;
    default:
        return false;
    }
    bool matrix = c->op == A64_SMMLA || c->op == A64_UMMLA || c->op == A64_USMMLA;
    unsigned index = bits(c->w, 11, 1) << 1 | bits(c->w, 21, 1), terms = matrix ? 8 : 4;
    for (unsigned i = 0; i < 2u << a64_Q(c->w); i++) {
        uint64_t sum = lane(reg_d(c), 2, i);
        unsigned row = matrix ? i / 2 * 8 : i * 4, column = matrix    ? i % 2 * 8
                                                            : element ? index * 4
                                                                      : i * 4;
        for (unsigned k = 0; k < terms; k++)
            sum += (uint64_t)(get(reg_n(c), 0, row + k, n_unsigned) *
                              get(reg_m(c), 0, column + k, m_unsigned));
        set(&c->result, 2, i, sum);
    }
    return true;
}

void simd_helper(struct cpu *cpu, uint64_t word) {
    uint32_t w = (uint32_t)word;
    struct context c = {.cpu = cpu, .w = w, .op = a64_decode(w), .size = a64_size(w)};
    c.lanes = is_scalar(w) ? 1 : (8u << a64_Q(w)) >> c.size;
    if (register_shift(&c) || immediate_shift(&c) || doubling_high(&c) || doubling_long(&c) ||
        saturating_narrow(&c) || bit_operations(&c) || dot(&c) || saturating(&c)) {
        cpu->v[a64_Rd(w)] = c.result;
        if (c.saturated)
            cpu->fpsr |= FPSR_QC;
    }
}
