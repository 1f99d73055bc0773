/*
 * bf16_interp.c - FEAT_BF16 in C: conversions, BFMLAL, and the dot products, which round to odd,
 * flush denormals, give default NaNs and raise nothing (Arm ARM, BFDotAdd).
 */
#include "translate/bf16_interp.h"

#include "a64/a64.h"
#include "engine/fpstate.h"
#include "translate/softfp.h"

static uint64_t single(const struct vreg *v, unsigned i) {
    return (uint32_t)(v->d[i / 2] >> i % 2 * 32);
}
static uint64_t half(const struct vreg *v, unsigned i) {
    return v->d[i / 4] >> i % 4 * 16 & 0xffff;
}
static void set_single(struct vreg *v, unsigned i, uint64_t value) {
    v->d[i / 2] = (v->d[i / 2] & ~(0xffffffffull << i % 2 * 32)) | (uint64_t)(uint32_t)value
                                                                       << i % 2 * 32;
}
static void set_half(struct vreg *v, unsigned i, uint64_t value) {
    v->d[i / 4] = (v->d[i / 4] & ~(0xffffull << i % 4 * 16)) | (value & 0xffff) << i % 4 * 16;
}

/* BFloat16 is the upper half of a single. */
static uint64_t widen(uint64_t a) {
    return a << 16;
}

/* sum + n[i] * m[j] + n[i + 1] * m[j + 1] */
static uint64_t dot_add(uint64_t sum, const struct vreg *n, unsigned i, const struct vreg *m,
                        unsigned j) {
    struct fp_env env = {FPCR_FZ | FPCR_DN, 0, true};
    uint64_t x = fp_mul(&env, FP_SINGLE, widen(half(n, i)), widen(half(m, j)));
    uint64_t y = fp_mul(&env, FP_SINGLE, widen(half(n, i + 1)), widen(half(m, j + 1)));
    return fp_add(&env, FP_SINGLE, sum, fp_add(&env, FP_SINGLE, x, y));
}

void bf16_helper(struct cpu *cpu, uint64_t word) {
    uint32_t w = (uint32_t)word;
    struct fp_env env = {cpu->fpcr, 0, false};
    struct vreg d = cpu->v[a64_Rd(w)], n = cpu->v[a64_Rn(w)], m = cpu->v[a64_Rm(w)], r = {{0, 0}};
    unsigned high = a64_Q(w), index = bits(w, 11, 1) << 1 | bits(w, 21, 1);
    enum a64_op op = a64_decode(w);
    switch (op) {
    case A64_BFCVT:
        r.d[0] = fp_to_bf16(&env, single(&n, 0));
        break;
    case A64_BFCVTN:
        if (high)
            r.d[0] = d.d[0];
        for (unsigned i = 0; i < 4; i++)
            set_half(&r, high * 4 + i, fp_to_bf16(&env, single(&n, i)));
        break;
    case A64_BFDOT_vec:
    case A64_BFDOT_elem:
        for (unsigned i = 0; i < 2u << high; i++)
            set_single(
                &r, i,
                dot_add(single(&d, i), &n, i * 2, &m, op == A64_BFDOT_elem ? index * 2 : i * 2));
        break;
    case A64_BFMMLA:
        for (unsigned i = 0; i < 4; i++) {
            uint64_t sum = dot_add(single(&d, i), &n, i / 2 * 4, &m, i % 2 * 4);
            set_single(&r, i, dot_add(sum, &n, i / 2 * 4 + 2, &m, i % 2 * 4 + 2));
        }
        break;
    default: /* BFMLAL: the even (odd) elements */
        index = index << 1 | bits(w, 20, 1);
        if (op == A64_BFMLAL_elem)
            m = cpu->v[a64_Rm(w) & 15];
        for (unsigned i = 0; i < 4; i++) {
            uint64_t y = widen(half(&m, op == A64_BFMLAL_elem ? index : i * 2 + high));
            set_single(&r, i,
                       fp_muladd(&env, FP_SINGLE, single(&d, i), widen(half(&n, i * 2 + high)), y));
        }
    }
    cpu->v[a64_Rd(w)] = r;
    cpu->fpsr |= env.fpsr;
}
