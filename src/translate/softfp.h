/*
 * softfp.h - floating point by the Arm ARM's pseudocode (shared/functions/float), in integers: what
 * the host's instructions do not give exactly. The slow path of NaNs and invalid operations, half
 * precision, estimates.
 *
 * Values are the bits of the format, in the low part of a uint64_t. Exceptions are OR-ed into
 * env->fpsr.
 */
#ifndef ELFUSE_TRANSLATE_SOFTFP_H
#define ELFUSE_TRANSLATE_SOFTFP_H

#include "base/base.h"

enum fp_type { FP_HALF, FP_SINGLE, FP_DOUBLE };
enum fp_rounding {
    ROUND_TIEEVEN,
    ROUND_POSINF,
    ROUND_NEGINF,
    ROUND_ZERO,
    ROUND_TIEAWAY,
    ROUND_ODD
}; /* 0-3 as FPCR.RMode */

struct fp_env {
    uint32_t fpcr, fpsr;
    bool bf16; /* the rounding of BFDOT: to odd, but to infinity (BFRound) */
};

static inline enum fp_rounding fp_rounding_mode(const struct fp_env *env) {
    return (enum fp_rounding)(env->fpcr >> 22 & 3);
}
static inline unsigned fp_width(enum fp_type t) {
    return 16u << t;
}
uint64_t fp_sign_bit(enum fp_type t);
static inline uint64_t fp_neg(enum fp_type t, uint64_t a) {
    return a ^ fp_sign_bit(t);
}
static inline uint64_t fp_abs(enum fp_type t, uint64_t a) {
    return a & ~fp_sign_bit(t);
}
bool fp_is_nan(enum fp_type t, uint64_t a);

uint64_t fp_add(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);
uint64_t fp_sub(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);
uint64_t fp_mul(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);
uint64_t fp_mulx(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);
uint64_t fp_div(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);
uint64_t fp_sqrt(struct fp_env *env, enum fp_type t, uint64_t a);
/* addend + a * b */
uint64_t fp_muladd(struct fp_env *env, enum fp_type t, uint64_t addend, uint64_t a, uint64_t b);
/* FPMulAddH: a single addend, half-precision factors. */
uint64_t fp_muladd_half(struct fp_env *env, uint64_t addend, uint64_t a, uint64_t b);
/* FPRecipStepFused: 2 - a * b; FPRSqrtStepFused: (3 - a * b) / 2 */
uint64_t fp_recps(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);
uint64_t fp_rsqrts(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);
uint64_t fp_recpe(struct fp_env *env, enum fp_type t, uint64_t a);
uint64_t fp_rsqrte(struct fp_env *env, enum fp_type t, uint64_t a);
uint64_t fp_recpx(struct fp_env *env, enum fp_type t, uint64_t a);
uint32_t fp_recpe_u32(uint32_t a);
uint32_t fp_rsqrte_u32(uint32_t a);
uint64_t fp_max(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);
uint64_t fp_min(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);
uint64_t fp_maxnm(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);
uint64_t fp_minnm(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b);

/* -1, 0, 1; 2: unordered. A quiet NaN raises IOC when `signal_all`, a signalling one always. */
int fp_compare(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b, bool signal_all);

uint64_t fp_round_int(struct fp_env *env, enum fp_type t, uint64_t a, enum fp_rounding r,
                      bool exact);
/* FPRoundIntN (FRINT32*, FRINT64*): size 32 or 64. */
uint64_t fp_round_int_n(struct fp_env *env, enum fp_type t, uint64_t a, enum fp_rounding r,
                        unsigned size);
uint64_t fp_convert(struct fp_env *env, enum fp_type from, enum fp_type to, uint64_t a,
                    enum fp_rounding r);
/* FPConvertBF: single to BFloat16 */
uint64_t fp_to_bf16(struct fp_env *env, uint64_t a);
/* FPToFixed: a * 2^fbits as an integer of `width` bits, saturated. */
uint64_t fp_to_fixed(struct fp_env *env, enum fp_type t, uint64_t a, unsigned fbits, unsigned width,
                     bool is_unsigned, enum fp_rounding r);
/* FixedToFP: value is sign- or zero-extended to 64 bits. */
uint64_t fp_from_fixed(struct fp_env *env, enum fp_type t, uint64_t value, unsigned fbits,
                       bool is_unsigned);
/* FPToFixedJS; *exact is the Z flag. */
uint32_t fp_to_js(struct fp_env *env, uint64_t a, bool *exact);

#endif
