/*
 * softfp.c - the Arm ARM's floating-point functions in integers. softfp.h says what for.
 *
 * A finite number is unpacked to sign, exponent and a 64-bit significand with bit 63 set:
 * 2^exponent * mant / 2^63. Results come as such a significand whose bit 0 also stands for all bits
 * lost below it, which rounding needs no more of, and go through fp_round.
 */
#include "translate/softfp.h"

#include "engine/fpstate.h"

typedef unsigned __int128 u128;

enum class { CLASS_ZERO, CLASS_FINITE, CLASS_INF, CLASS_QNAN, CLASS_SNAN };

struct unpacked {
    enum class class;
    bool sign;
    int exponent;
    uint64_t mant;
};

static unsigned fraction_bits(enum fp_type t) {
    return t == FP_DOUBLE ? 52 : t == FP_SINGLE ? 23 : 10;
}
static int exponent_max(enum fp_type t) {
    return t == FP_DOUBLE ? 0x7ff : t == FP_SINGLE ? 0xff : 0x1f;
}
static int minimum_exponent(enum fp_type t) {
    return t == FP_DOUBLE ? -1022 : t == FP_SINGLE ? -126 : -14;
}

uint64_t fp_sign_bit(enum fp_type t) {
    return 1ull << (fp_width(t) - 1);
}
static uint64_t signed_bits(enum fp_type t, bool sign, uint64_t bits) {
    return bits | (sign ? fp_sign_bit(t) : 0);
}
static uint64_t infinity(enum fp_type t, bool sign) {
    return signed_bits(t, sign, (uint64_t)exponent_max(t) << fraction_bits(t));
}
static uint64_t quiet_bit(enum fp_type t) {
    return 1ull << (fraction_bits(t) - 1);
}
static uint64_t default_nan(enum fp_type t) {
    return infinity(t, false) | quiet_bit(t);
}
static uint64_t max_normal(enum fp_type t, bool sign) {
    return infinity(t, sign) - 1;
}
static uint64_t one(enum fp_type t) {
    return ((uint64_t)exponent_max(t) >> 1) << fraction_bits(t);
}
static uint64_t two(enum fp_type t) {
    return (((uint64_t)exponent_max(t) >> 1) + 1) << fraction_bits(t);
}
static uint64_t one_and_half(enum fp_type t) {
    return one(t) | quiet_bit(t);
}

bool fp_is_nan(enum fp_type t, uint64_t a) {
    return fp_abs(t, a) > infinity(t, false);
}

static bool flushes(const struct fp_env *env, enum fp_type t) {
    return env->fpcr & (t == FP_HALF ? FPCR_FZ16 : FPCR_FZ);
}

/* significand << shift until bit 63 is set; m != 0 */
static void normalise(struct unpacked *u, uint64_t m, int exponent_of_bit63) {
    int shift = __builtin_clzll(m);
    u->mant = m << shift;
    u->exponent = exponent_of_bit63 - shift;
}

/* FPUnpack; `convert`: FPUnpackCV, which knows alternative half precision and does not flush half
 * precision. */
static struct unpacked unpack_mode(struct fp_env *env, enum fp_type t, uint64_t a, bool convert) {
    unsigned f = fraction_bits(t);
    int exponent = (int)(a >> f & (uint64_t)exponent_max(t));
    uint64_t fraction = a & ((1ull << f) - 1);
    struct unpacked u = {CLASS_FINITE, (a & fp_sign_bit(t)) != 0, 0, 0};
    bool alternative = convert && t == FP_HALF && (env->fpcr & FPCR_AHP);
    if (exponent == exponent_max(t) && !alternative) {
        u.class = fraction == 0 ? CLASS_INF : fraction & quiet_bit(t) ? CLASS_QNAN : CLASS_SNAN;
    } else if (exponent != 0) {
        u.mant = (fraction | 1ull << f) << (63 - f);
        u.exponent = exponent - 1 + minimum_exponent(t);
    } else if (fraction == 0) {
        u.class = CLASS_ZERO;
    } else if (flushes(env, t) && !(convert && t == FP_HALF)) {
        u.class = CLASS_ZERO;
        if (t != FP_HALF)
            env->fpsr |= FPSR_IDC;
    } else {
        normalise(&u, fraction << (63 - f), minimum_exponent(t));
    }
    return u;
}

static struct unpacked unpack(struct fp_env *env, enum fp_type t, uint64_t a) {
    return unpack_mode(env, t, a, false);
}

static bool is_nan(const struct unpacked *u) {
    return u->class >= CLASS_QNAN;
}

static uint64_t invalid(struct fp_env *env, enum fp_type t) {
    env->fpsr |= FPSR_IOC;
    return default_nan(t);
}

/* FPProcessNaN */
static uint64_t process_nan(struct fp_env *env, enum fp_type t, const struct unpacked *u,
                            uint64_t a) {
    if (u->class == CLASS_SNAN)
        env->fpsr |= FPSR_IOC;
    return env->fpcr & FPCR_DN ? default_nan(t) : a | quiet_bit(t);
}

/* FPProcessNaNs, FPProcessNaNs3: the first signalling one, else the first. */
static bool process_nans(struct fp_env *env, enum fp_type t, const struct unpacked *u,
                         const uint64_t *a, unsigned n, uint64_t *result) {
    for (unsigned class = CLASS_SNAN; class >= CLASS_QNAN; class --)
        for (unsigned i = 0; i < n; i++)
            if (u[i].class == class) {
                *result = process_nan(env, t, &u[i], a[i]);
                return true;
            }
    return false;
}

static uint64_t jam_right(uint64_t m, unsigned shift) {
    if (shift == 0)
        return m;
    return shift >= 64 ? m != 0 : m >> shift | ((m << (64 - shift)) != 0);
}

/* FPRoundBase. mant has bit 63 set, bit 0 is sticky. */
static uint64_t round_mode(struct fp_env *env, enum fp_type t, bool sign, int exponent,
                           uint64_t mant, enum fp_rounding r, bool flush) {
    unsigned f = fraction_bits(t);
    int minimum = minimum_exponent(t);
    if (flush && exponent < minimum) {
        env->fpsr |= FPSR_UFC;
        return signed_bits(t, sign, 0);
    }
    int biased = MAX(exponent - minimum + 1, 0);
    if (biased == 0)
        mant = jam_right(mant, (unsigned)MIN(minimum - exponent, 64));
    uint64_t kept = mant >> (63 - f), lost = mant << (f + 1); /* 0.5 is bit 63 of lost */
    if (biased == 0 && lost)
        env->fpsr |= FPSR_UFC;
    bool up = false, to_infinity = false;
    switch (r) {
    case ROUND_TIEEVEN:
        up = lost > 1ull << 63 || (lost == 1ull << 63 && (kept & 1));
        to_infinity = true;
        break;
    case ROUND_TIEAWAY:
        up = lost >= 1ull << 63;
        to_infinity = true;
        break;
    case ROUND_POSINF:
        up = lost && !sign;
        to_infinity = !sign;
        break;
    case ROUND_NEGINF:
        up = lost && sign;
        to_infinity = sign;
        break;
    case ROUND_ZERO:
        break;
    case ROUND_ODD:
        kept |= lost != 0;
        to_infinity = env->bf16;
        break;
    }
    if (up) {
        kept++;
        if (kept == 1ull << f)
            biased = 1;
        if (kept == 2ull << f) {
            biased++;
            kept >>= 1;
        }
    }
    if (t == FP_HALF && (env->fpcr & FPCR_AHP)) {
        if (biased >= 32) {
            env->fpsr |= FPSR_IOC;
            return signed_bits(t, sign, 0x7fff);
        }
    } else if (biased >= exponent_max(t)) {
        env->fpsr |= FPSR_OFC | FPSR_IXC;
        return to_infinity ? infinity(t, sign) : max_normal(t, sign);
    }
    if (lost)
        env->fpsr |= FPSR_IXC;
    return signed_bits(t, sign, ((uint64_t)biased << f) | (kept & ((1ull << f) - 1)));
}

/* FPRound for arithmetic, where alternative half precision does not count. */
static uint64_t round_result(struct fp_env *env, enum fp_type t, bool sign, int exponent,
                             uint64_t mant) {
    uint32_t fpcr = env->fpcr;
    env->fpcr &= ~FPCR_AHP;
    enum fp_rounding r = env->bf16 ? ROUND_ODD : fp_rounding_mode(env);
    uint64_t result = round_mode(env, t, sign, exponent, mant, r, flushes(env, t));
    env->fpcr = fpcr;
    return result;
}

/* A wide significand (not 0) whose bit 127 has weight 2^exponent. */
static uint64_t round_wide(struct fp_env *env, enum fp_type t, bool sign, int exponent, u128 m) {
    int shift = (uint64_t)(m >> 64) ? __builtin_clzll((uint64_t)(m >> 64))
                                    : 64 + __builtin_clzll((uint64_t)m);
    m <<= shift;
    return round_result(env, t, sign, exponent - shift, (uint64_t)(m >> 64) | ((uint64_t)m != 0));
}

static uint64_t zero_sum(struct fp_env *env, enum fp_type t) {
    return signed_bits(t, fp_rounding_mode(env) == ROUND_NEGINF, 0);
}

/* Sum of two non-zero terms given as wide significands with bit 126 the highest that can be set. */
static uint64_t add_terms(struct fp_env *env, enum fp_type t, bool sign_a, int exp_a, u128 a,
                          bool sign_b, int exp_b, u128 b) {
    if (exp_a < exp_b) {
        bool s = sign_a;
        int e = exp_a;
        u128 m = a;
        sign_a = sign_b, exp_a = exp_b, a = b;
        sign_b = s, exp_b = e, b = m;
    }
    unsigned shift = (unsigned)(exp_a - exp_b);
    if (shift >= 128)
        b = b != 0;
    else if (shift)
        b = b >> shift | ((b << (128 - shift)) != 0);
    u128 sum;
    bool sign = sign_a;
    if (sign_a == sign_b) {
        sum = a + b;
    } else if (a >= b) {
        sum = a - b;
    } else {
        sum = b - a;
        sign = sign_b;
    }
    return sum ? round_wide(env, t, sign, exp_a + 1, sum) : zero_sum(env, t);
}

uint64_t fp_add(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    struct unpacked u[2] = {unpack(env, t, a), unpack(env, t, b)};
    uint64_t result;
    if (process_nans(env, t, u, (uint64_t[]){a, b}, 2, &result))
        return result;
    if (u[0].class == CLASS_INF && u[1].class == CLASS_INF && u[0].sign != u[1].sign)
        return invalid(env, t);
    if (u[0].class == CLASS_INF)
        return infinity(t, u[0].sign);
    if (u[1].class == CLASS_INF)
        return infinity(t, u[1].sign);
    if (u[0].class == CLASS_ZERO && u[1].class == CLASS_ZERO)
        return u[0].sign == u[1].sign ? signed_bits(t, u[0].sign, 0) : zero_sum(env, t);
    for (int i = 0; i < 2; i++) /* a zero term must not decide the alignment */
        if (u[i].class == CLASS_ZERO)
            u[i].exponent = u[!i].exponent;
    return add_terms(env, t, u[0].sign, u[0].exponent, (u128)u[0].mant << 63, u[1].sign,
                     u[1].exponent, (u128)u[1].mant << 63);
}

/* FPSub is not FPAdd of the negation: a NaN keeps its sign. */
uint64_t fp_sub(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return fp_add(env, t, a, fp_is_nan(t, b) ? b : fp_neg(t, b));
}

static uint64_t multiply(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b,
                         bool extended) {
    struct unpacked u[2] = {unpack(env, t, a), unpack(env, t, b)};
    uint64_t result;
    if (process_nans(env, t, u, (uint64_t[]){a, b}, 2, &result))
        return result;
    bool sign = u[0].sign != u[1].sign, inf = u[0].class == CLASS_INF || u[1].class == CLASS_INF;
    bool zero = u[0].class == CLASS_ZERO || u[1].class == CLASS_ZERO;
    if (inf && zero)
        return extended ? signed_bits(t, sign, two(t)) : invalid(env, t);
    if (inf)
        return infinity(t, sign);
    if (zero)
        return signed_bits(t, sign, 0);
    return round_wide(env, t, sign, u[0].exponent + u[1].exponent + 1, (u128)u[0].mant * u[1].mant);
}

uint64_t fp_mul(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return multiply(env, t, a, b, false);
}
uint64_t fp_mulx(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return multiply(env, t, a, b, true);
}

uint64_t fp_div(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    struct unpacked u[2] = {unpack(env, t, a), unpack(env, t, b)};
    uint64_t result;
    if (process_nans(env, t, u, (uint64_t[]){a, b}, 2, &result))
        return result;
    bool sign = u[0].sign != u[1].sign;
    if ((u[0].class == CLASS_INF && u[1].class == CLASS_INF) ||
        (u[0].class == CLASS_ZERO && u[1].class == CLASS_ZERO))
        return invalid(env, t);
    if (u[0].class == CLASS_INF || u[1].class == CLASS_ZERO) {
        if (u[0].class != CLASS_INF)
            env->fpsr |= FPSR_DZC;
        return infinity(t, sign);
    }
    if (u[0].class == CLASS_ZERO || u[1].class == CLASS_INF)
        return signed_bits(t, sign, 0);
    /* The quotient of (a << 62) by b has 62 or 63 bits. */
    u128 dividend = (u128)u[0].mant << 62;
    uint64_t quotient = (uint64_t)(dividend / u[1].mant);
    bool rest = dividend % u[1].mant != 0;
    return round_wide(env, t, sign, u[0].exponent - u[1].exponent + 1,
                      (u128)quotient << 64 | (uint64_t)rest << 1);
}

uint64_t fp_sqrt(struct fp_env *env, enum fp_type t, uint64_t a) {
    struct unpacked u = unpack(env, t, a);
    if (is_nan(&u))
        return process_nan(env, t, &u, a);
    if (u.class == CLASS_ZERO)
        return signed_bits(t, u.sign, 0);
    if (u.sign)
        return invalid(env, t);
    if (u.class == CLASS_INF)
        return infinity(t, false);
    /* mant / 2^63 * 2^exponent, or mant / 2^64 * 2^(exponent + 1): the power that is even; then the
     * integer root */
    bool odd = u.exponent & 1;
    u128 square = (u128)u.mant << (odd ? 62 : 63);
    uint64_t root = 0;
    for (int i = 63; i >= 0; i--) {
        uint64_t candidate = root | 1ull << i;
        if ((u128)candidate * candidate <= square)
            root = candidate;
    }
    bool inexact = (u128)root * root != square;
    return round_wide(env, t, false, (u.exponent + odd) / 2, (u128)root << 64 | inexact);
}

/* FPConvertNaN: the sign and the top of the fraction. */
static uint64_t convert_nan(enum fp_type from, enum fp_type to, uint64_t a) {
    uint64_t fraction = a & (quiet_bit(from) * 2 - 1);
    int shift = (int)fraction_bits(to) - (int)fraction_bits(from);
    fraction = shift >= 0 ? fraction << shift : fraction >> -shift;
    return infinity(to, (a & fp_sign_bit(from)) != 0) | quiet_bit(to) | fraction;
}

/* addend + a * b, the factors also unpacked, perhaps from a narrower type; NaNs a and b are of type
 * t. */
static uint64_t multiply_add(struct fp_env *env, enum fp_type t, uint64_t addend, uint64_t a,
                             uint64_t b, const struct unpacked *factors) {
    struct unpacked u[3] = {unpack(env, t, addend), factors[0], factors[1]};
    bool inf = u[1].class == CLASS_INF || u[2].class == CLASS_INF;
    bool zero = u[1].class == CLASS_ZERO || u[2].class == CLASS_ZERO;
    bool inf_zero = (u[1].class == CLASS_INF && u[2].class == CLASS_ZERO) ||
                    (u[1].class == CLASS_ZERO && u[2].class == CLASS_INF);
    uint64_t result;
    bool nan = process_nans(env, t, u, (uint64_t[]){addend, a, b}, 3, &result);
    if (u[0].class == CLASS_QNAN && inf_zero)
        return invalid(env, t);
    if (nan)
        return result;
    bool sign = u[1].sign != u[2].sign;
    if (inf_zero || (u[0].class == CLASS_INF && inf && u[0].sign != sign))
        return invalid(env, t);
    if (u[0].class == CLASS_INF)
        return infinity(t, u[0].sign);
    if (inf)
        return infinity(t, sign);
    if (zero && u[0].class == CLASS_ZERO)
        return u[0].sign == sign ? signed_bits(t, sign, 0) : zero_sum(env, t);
    u128 product = zero ? 0 : (u128)u[1].mant * u[2].mant;
    int exponent = u[1].exponent + u[2].exponent + 1; /* of bit 127 */
    if (u[0].class == CLASS_ZERO)
        return round_wide(env, t, sign, exponent, product);
    u128 term = (u128)u[0].mant << 63;
    if (zero)
        return round_wide(env, t, u[0].sign, u[0].exponent + 1, term);
    /* Significands of double have 53 bits, so the product's lowest 22 bits are zero. */
    return add_terms(env, t, u[0].sign, u[0].exponent, term, sign, exponent, product >> 1);
}

uint64_t fp_muladd(struct fp_env *env, enum fp_type t, uint64_t addend, uint64_t a, uint64_t b) {
    struct unpacked factors[2] = {unpack(env, t, a), unpack(env, t, b)};
    return multiply_add(env, t, addend, a, b, factors);
}

uint64_t fp_muladd_half(struct fp_env *env, uint64_t addend, uint64_t a, uint64_t b) {
    struct unpacked factors[2] = {unpack(env, FP_HALF, a), unpack(env, FP_HALF, b)};
    /* FPProcessNaNs3H: a NaN factor is converted, signalling or not */
    uint64_t wide[2] = {a, b};
    for (int i = 0; i < 2; i++)
        if (is_nan(&factors[i]))
            wide[i] = convert_nan(FP_HALF, FP_SINGLE, wide[i]);
    return multiply_add(env, FP_SINGLE, addend, wide[0], wide[1], factors);
}

static uint64_t step(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b, uint64_t constant,
                     uint64_t exact, int scale) {
    a = fp_neg(t, a);
    struct unpacked u[2] = {unpack(env, t, a), unpack(env, t, b)};
    uint64_t result;
    if (process_nans(env, t, u, (uint64_t[]){a, b}, 2, &result))
        return result;
    bool inf = u[0].class == CLASS_INF || u[1].class == CLASS_INF;
    bool zero = u[0].class == CLASS_ZERO || u[1].class == CLASS_ZERO;
    if (inf && zero)
        return exact;
    if (inf)
        return infinity(t, u[0].sign != u[1].sign);
    struct unpacked c = unpack(env, t, constant);
    bool sign = u[0].sign != u[1].sign;
    if (zero)
        return round_result(env, t, false, c.exponent - scale, c.mant);
    return add_terms(env, t, false, c.exponent - scale, (u128)c.mant << 63, sign,
                     u[0].exponent + u[1].exponent + 1 - scale, (u128)u[0].mant * u[1].mant >> 1);
}

uint64_t fp_recps(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return step(env, t, a, b, two(t), two(t), 0);
}
uint64_t fp_rsqrts(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return step(env, t, a, b, two(t) | quiet_bit(t), one_and_half(t), 1); /* 3.0 */
}

/* ---- minimum, maximum, comparison ---- */

static int order(const struct unpacked *a, const struct unpacked *b) {
    if (a->class == CLASS_ZERO && b->class == CLASS_ZERO)
        return 0;
    bool sa = a->class != CLASS_ZERO && a->sign, sb = b->class != CLASS_ZERO && b->sign;
    if (a->class == CLASS_ZERO)
        return sb ? 1 : -1;
    if (b->class == CLASS_ZERO)
        return sa ? -1 : 1;
    if (sa != sb)
        return sa ? -1 : 1;
    int magnitude;
    if (a->class == CLASS_INF || b->class == CLASS_INF)
        magnitude = (a->class == CLASS_INF) - (b->class == CLASS_INF);
    else if (a->exponent != b->exponent)
        magnitude = a->exponent < b->exponent ? -1 : 1;
    else
        magnitude = (a->mant > b->mant) - (a->mant < b->mant);
    return sa ? -magnitude : magnitude;
}

int fp_compare(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b, bool signal_all) {
    struct unpacked u[2] = {unpack(env, t, a), unpack(env, t, b)};
    if (is_nan(&u[0]) || is_nan(&u[1])) {
        if (signal_all || u[0].class == CLASS_SNAN || u[1].class == CLASS_SNAN)
            env->fpsr |= FPSR_IOC;
        return 2;
    }
    return order(&u[0], &u[1]);
}

static uint64_t extreme(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b, bool maximum) {
    struct unpacked u[2] = {unpack(env, t, a), unpack(env, t, b)};
    uint64_t result;
    if (process_nans(env, t, u, (uint64_t[]){a, b}, 2, &result))
        return result;
    if (u[0].class == CLASS_ZERO && u[1].class == CLASS_ZERO)
        return signed_bits(t, maximum ? u[0].sign && u[1].sign : u[0].sign || u[1].sign, 0);
    bool first = (order(&u[0], &u[1]) > 0) == maximum;
    const struct unpacked *r = first ? &u[0] : &u[1];
    if (r->class == CLASS_INF)
        return infinity(t, r->sign);
    if (r->class == CLASS_ZERO)
        return signed_bits(t, r->sign, 0);
    return round_result(env, t, r->sign, r->exponent, r->mant);
}

uint64_t fp_max(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return extreme(env, t, a, b, true);
}
uint64_t fp_min(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return extreme(env, t, a, b, false);
}

/* A single quiet NaN loses against any number: it becomes the infinity that cannot win. */
static uint64_t extreme_number(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b,
                               bool maximum) {
    bool qa = fp_is_nan(t, a) && (a & quiet_bit(t)), qb = fp_is_nan(t, b) && (b & quiet_bit(t));
    if (qa && !fp_is_nan(t, b))
        a = infinity(t, maximum);
    else if (qb && !fp_is_nan(t, a))
        b = infinity(t, maximum);
    return extreme(env, t, a, b, maximum);
}
uint64_t fp_maxnm(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return extreme_number(env, t, a, b, true);
}
uint64_t fp_minnm(struct fp_env *env, enum fp_type t, uint64_t a, uint64_t b) {
    return extreme_number(env, t, a, b, false);
}

/* ---- conversions ---- */

/* |u| * 2^fbits rounded to an integer (capped at 2^65), *inexact set when it was not one. */
static u128 to_integer(const struct unpacked *u, int fbits, enum fp_rounding r, bool *inexact) {
    *inexact = false;
    if (u->class != CLASS_FINITE)
        return 0;
    int exponent = u->exponent + fbits; /* of bit 63 */
    if (exponent >= 65)
        return (u128)2 << 64;
    u128 m = u->mant; /* value = m * 2^(exponent - 63) */
    if (exponent >= 63)
        return m << (exponent - 63);
    unsigned shift = (unsigned)MIN(63 - exponent, 100);
    u128 whole = m >> shift, rest = m & (((u128)1 << shift) - 1), half = (u128)1 << (shift - 1);
    *inexact = rest != 0;
    bool up = false;
    switch (r) {
    case ROUND_TIEEVEN:
        up = rest > half || (rest == half && (whole & 1));
        break;
    case ROUND_TIEAWAY:
        up = rest >= half;
        break;
    case ROUND_POSINF:
        up = rest && !u->sign;
        break;
    case ROUND_NEGINF:
        up = rest && u->sign;
        break;
    default:
        break;
    }
    return whole + up;
}

uint64_t fp_to_fixed(struct fp_env *env, enum fp_type t, uint64_t a, unsigned fbits, unsigned width,
                     bool is_unsigned, enum fp_rounding r) {
    struct unpacked u = unpack(env, t, a);
    uint64_t mask = width == 64 ? ~0ull : (1ull << width) - 1, top = 1ull << (width - 1);
    bool inexact = false, overflow = is_nan(&u);
    if (overflow) {
        env->fpsr |= FPSR_IOC;
        return 0;
    }
    u128 m = u.class == CLASS_INF ? (u128)2 << 64 : to_integer(&u, (int)fbits, r, &inexact);
    uint64_t result;
    if (is_unsigned) {
        overflow = u.sign ? m != 0 : m > mask;
        result = u.sign ? 0 : overflow ? mask : (uint64_t)m;
    } else {
        overflow = u.sign ? m > top : m >= top;
        result = overflow ? (u.sign ? top : top - 1) : u.sign ? -(uint64_t)m : (uint64_t)m;
    }
    if (overflow)
        env->fpsr |= FPSR_IOC;
    else if (inexact)
        env->fpsr |= FPSR_IXC;
    return result & mask;
}

uint64_t fp_from_fixed(struct fp_env *env, enum fp_type t, uint64_t value, unsigned fbits,
                       bool is_unsigned) {
    bool sign = !is_unsigned && (int64_t)value < 0;
    if (value == 0)
        return 0;
    struct unpacked u;
    normalise(&u, sign ? -value : value, 63 - (int)fbits);
    uint32_t fpcr = env->fpcr;
    env->fpcr &= ~FPCR_AHP;
    uint64_t result =
        round_mode(env, t, sign, u.exponent, u.mant, fp_rounding_mode(env), flushes(env, t));
    env->fpcr = fpcr;
    return result;
}

uint64_t fp_round_int(struct fp_env *env, enum fp_type t, uint64_t a, enum fp_rounding r,
                      bool exact) {
    struct unpacked u = unpack(env, t, a);
    if (is_nan(&u))
        return process_nan(env, t, &u, a);
    if (u.class == CLASS_INF)
        return infinity(t, u.sign);
    if (u.class == CLASS_ZERO)
        return signed_bits(t, u.sign, 0);
    if (u.exponent >= (int)fraction_bits(t))
        return a;
    bool inexact;
    uint64_t m = (uint64_t)to_integer(&u, 0, r, &inexact);
    if (inexact && exact)
        env->fpsr |= FPSR_IXC;
    if (m == 0)
        return signed_bits(t, u.sign, 0);
    struct unpacked v;
    normalise(&v, m, 63);
    struct fp_env quiet = {0, 0, false};
    return round_mode(&quiet, t, u.sign, v.exponent, v.mant, ROUND_TIEEVEN, false);
}

uint64_t fp_round_int_n(struct fp_env *env, enum fp_type t, uint64_t a, enum fp_rounding r,
                        unsigned size) {
    struct unpacked u = unpack(env, t, a);
    bool inexact = false, overflow = is_nan(&u) || u.class == CLASS_INF;
    uint64_t result = 0;
    if (!overflow) {
        if (u.class == CLASS_ZERO)
            return signed_bits(t, u.sign, 0);
        u128 m = to_integer(&u, 0, r, &inexact), top = (u128)1 << (size - 1);
        overflow = u.sign ? m > top : m >= top;
        if (!overflow && m == 0) {
            result = signed_bits(t, u.sign, 0);
        } else if (!overflow) {
            struct fp_env quiet = {0, 0, false};
            struct unpacked v;
            normalise(&v, (uint64_t)m, 63);
            result = round_mode(&quiet, t, u.sign, v.exponent, v.mant, ROUND_TIEEVEN, false);
        }
    }
    if (overflow) { /* the most negative integer */
        env->fpsr |= FPSR_IOC;
        struct fp_env quiet = {0, 0, false};
        return round_mode(&quiet, t, true, (int)size - 1, 1ull << 63, ROUND_TIEEVEN, false);
    }
    if (inexact)
        env->fpsr |= FPSR_IXC;
    return result;
}

uint64_t fp_convert(struct fp_env *env, enum fp_type from, enum fp_type to, uint64_t a,
                    enum fp_rounding r) {
    struct unpacked u = unpack_mode(env, from, a, true);
    bool alternative = to == FP_HALF && (env->fpcr & FPCR_AHP);
    if (is_nan(&u)) {
        if (u.class == CLASS_SNAN || alternative)
            env->fpsr |= FPSR_IOC;
        if (alternative)
            return signed_bits(to, u.sign, 0);
        return env->fpcr & FPCR_DN ? default_nan(to) : convert_nan(from, to, a);
    }
    if (u.class == CLASS_INF) {
        if (!alternative)
            return infinity(to, u.sign);
        env->fpsr |= FPSR_IOC;
        return signed_bits(to, u.sign, 0x7fff);
    }
    if (u.class == CLASS_ZERO)
        return signed_bits(to, u.sign, 0);
    return round_mode(env, to, u.sign, u.exponent, u.mant, r, to != FP_HALF && flushes(env, to));
}

/* BFloat16 has single's exponents, so that rounding is that of the lower half of the bits. */
uint64_t fp_to_bf16(struct fp_env *env, uint64_t a) {
    struct unpacked u = unpack(env, FP_SINGLE, a);
    if (is_nan(&u)) {
        if (u.class == CLASS_SNAN)
            env->fpsr |= FPSR_IOC;
        return env->fpcr & FPCR_DN ? 0x7fc0 : a >> 16 | 0x40;
    }
    if (u.class == CLASS_ZERO)
        return a >> 16 & 0x8000;
    uint64_t kept = a >> 16, lost = a & 0xffff;
    enum fp_rounding r = fp_rounding_mode(env);
    bool up = r == ROUND_TIEEVEN  ? lost > 0x8000 || (lost == 0x8000 && (kept & 1))
              : r == ROUND_POSINF ? lost && !u.sign
              : r == ROUND_NEGINF ? lost && u.sign
                                  : false;
    if (lost && fp_abs(FP_SINGLE, a) < 1u << 23)
        env->fpsr |= FPSR_UFC;
    if (lost)
        env->fpsr |= FPSR_IXC;
    kept += up;
    if (up && (kept & 0x7fff) == 0x7f80)
        env->fpsr |= FPSR_OFC;
    return kept;
}

uint32_t fp_to_js(struct fp_env *env, uint64_t a, bool *exact) {
    struct unpacked u = unpack(env, FP_DOUBLE, a);
    *exact = false;
    if (is_nan(&u) || u.class == CLASS_INF) {
        env->fpsr |= FPSR_IOC;
        return 0;
    }
    if (u.class == CLASS_ZERO) {
        *exact = !u.sign;
        return 0;
    }
    /* modulo 2^32 of the truncated value */
    bool inexact = false;
    uint64_t m;
    int exponent = u.exponent;
    if (exponent >= 63) {
        unsigned shift = (unsigned)(exponent - 63);
        m = shift >= 32 ? 0 : u.mant << shift;
    } else {
        m = (uint64_t)to_integer(&u, 0, ROUND_ZERO, &inexact);
    }
    uint32_t result = (uint32_t)(u.sign ? -m : m);
    bool overflow = exponent >= 32 || (u.sign ? m > 1ull << 31 : m >= 1ull << 31);
    if (overflow)
        env->fpsr |= FPSR_IOC;
    else if (inexact)
        env->fpsr |= FPSR_IXC;
    *exact = !overflow && !inexact && !(m == 0 && u.sign);
    return result;
}

/* ---- estimates ---- */

/* RecipEstimate of a in 256..511, RecipSqrtEstimate of a in 128..511, by the manual's integer
 * definition */
static unsigned recip_estimate(unsigned a) {
    a = a * 2 + 1;
    unsigned b = (1u << 19) / a;
    return (b + 1) / 2;
}
static unsigned recip_sqrt_estimate(unsigned a) {
    if (a < 256)
        a = a * 2 + 1;
    else
        a = ((a >> 1 << 1) + 1) * 2;
    unsigned b = 512;
    while (a * (b + 1) * (b + 1) < 1u << 28)
        b++;
    return (b + 1) / 2;
}

uint64_t fp_recpe(struct fp_env *env, enum fp_type t, uint64_t a) {
    struct unpacked u = unpack(env, t, a);
    if (is_nan(&u))
        return process_nan(env, t, &u, a);
    if (u.class == CLASS_INF)
        return signed_bits(t, u.sign, 0);
    if (u.class == CLASS_ZERO) {
        env->fpsr |= FPSR_DZC;
        return infinity(t, u.sign);
    }
    int minimum = minimum_exponent(t);
    if (u.exponent < minimum - 2) { /* the result overflows */
        env->fpsr |= FPSR_OFC | FPSR_IXC;
        enum fp_rounding r = fp_rounding_mode(env);
        bool inf =
            r == ROUND_TIEEVEN || (r == ROUND_POSINF && !u.sign) || (r == ROUND_NEGINF && u.sign);
        return inf ? infinity(t, u.sign) : max_normal(t, u.sign);
    }
    if (flushes(env, t) && u.exponent >= -minimum) { /* the result would be denormal */
        env->fpsr |= FPSR_UFC;
        return signed_bits(t, u.sign, 0);
    }
    unsigned estimate =
        recip_estimate((unsigned)(u.mant >> 55)); /* 0.1bbbbbbbb scaled to 256..511 */
    int result_exponent = -1 - u.exponent;
    uint64_t fraction = (uint64_t)(estimate & 0xff) << (fraction_bits(t) - 8);
    int biased = result_exponent - minimum + 1;
    if (biased == 0)
        fraction = fraction >> 1 | quiet_bit(t);
    else if (biased == -1) {
        fraction = fraction >> 2 | quiet_bit(t) >> 1;
        biased = 0;
    }
    return signed_bits(t, u.sign, (uint64_t)biased << fraction_bits(t) | fraction);
}

uint64_t fp_rsqrte(struct fp_env *env, enum fp_type t, uint64_t a) {
    struct unpacked u = unpack(env, t, a);
    if (is_nan(&u))
        return process_nan(env, t, &u, a);
    if (u.class == CLASS_ZERO) {
        env->fpsr |= FPSR_DZC;
        return infinity(t, u.sign);
    }
    if (u.sign)
        return invalid(env, t);
    if (u.class == CLASS_INF)
        return 0;
    /* scaled to 0.25 <= x < 1 by an even power of two */
    bool odd = u.exponent & 1; /* 1.x * 2^odd -> 0.1x (of 2^(odd+1)); of 2^even -> 0.01x */
    unsigned scaled =
        odd ? 0x100 | (unsigned)(u.mant >> 55 & 0xff) : 0x80 | (unsigned)(u.mant >> 56 & 0x7f);
    unsigned estimate = recip_sqrt_estimate(scaled);
    int exponent = -(u.exponent + (odd ? 1 : 2)) / 2;
    int biased = exponent - minimum_exponent(t) + 1;
    return (uint64_t)biased << fraction_bits(t) | (uint64_t)(estimate & 0xff)
                                                      << (fraction_bits(t) - 8);
}

uint64_t fp_recpx(struct fp_env *env, enum fp_type t, uint64_t a) {
    struct unpacked u = unpack(env, t, a);
    if (is_nan(&u))
        return process_nan(env, t, &u, a);
    uint64_t top = (uint64_t)exponent_max(t), exponent = a >> fraction_bits(t) & top;
    uint64_t result = exponent == 0 ? top - 1 : ~exponent & top;
    return signed_bits(t, u.sign, result << fraction_bits(t));
}

uint32_t fp_recpe_u32(uint32_t a) {
    return a >> 31 ? recip_estimate(a >> 23) << 23 : ~0u;
}
uint32_t fp_rsqrte_u32(uint32_t a) {
    return a >> 30 ? recip_sqrt_estimate(a >> 23) << 23 : ~0u;
}
