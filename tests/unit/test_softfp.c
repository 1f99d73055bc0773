/*
 * test_softfp.c - softfp.c against the host's FPU: arithmetic, conversions and rounding of single
 * and double in all four rounding modes, results and exceptions; half precision through its values;
 * NaN rules by hand. Where x86 and A64 differ (NaNs, and the underflow exception of a result that
 * rounds up to the least normal number) the host is not asked.
 */
#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/fpstate.h"
#include "translate/softfp.h"

enum { ROUNDS = 200000 };

static uint64_t rng = 0x9e3779b97f4a7c15;
static uint64_t random_bits(void) {
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

/* Numbers near the interesting ones more often than not. */
static uint64_t random_number(enum fp_type t) {
    unsigned fraction = t == FP_DOUBLE ? 52 : 23;
    uint64_t top = t == FP_DOUBLE ? 0x7ff : 0xff, mask = (1ull << fraction) - 1,
             bits = random_bits();
    uint64_t exponent;
    switch (random_bits() % 6) {
    case 0:
        exponent = random_bits() % 3;
        break;
    case 1:
        exponent = top - random_bits() % 3;
        break;
    case 2:
        exponent = random_bits() % (top + 1);
        break;
    default:
        exponent = top / 2 + random_bits() % 60 - 30;
    }
    uint64_t f = bits & mask;
    if (random_bits() % 3 == 0)
        f = random_bits() % 2 ? 0 : f & ~(mask >> (random_bits() % fraction));
    return (bits >> 63) << (fp_width(t) - 1) | exponent << fraction | f;
}

static double as_double(uint64_t a) {
    double d;
    memcpy(&d, &a, 8);
    return d;
}
static float as_float(uint64_t a) {
    uint32_t w = (uint32_t)a;
    float f;
    memcpy(&f, &w, 4);
    return f;
}
static uint64_t double_bits(double d) {
    uint64_t a;
    memcpy(&a, &d, 8);
    return a;
}
static uint64_t float_bits(float f) {
    uint32_t a;
    memcpy(&a, &f, 4);
    return a;
}

static uint32_t host_exceptions(void) {
    int e = fetestexcept(FE_ALL_EXCEPT);
    return (e & FE_INVALID ? FPSR_IOC : 0) | (e & FE_DIVBYZERO ? FPSR_DZC : 0) |
           (e & FE_OVERFLOW ? FPSR_OFC : 0) | (e & FE_UNDERFLOW ? FPSR_UFC : 0) |
           (e & FE_INEXACT ? FPSR_IXC : 0);
}

static const int host_modes[4] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

static void expect(const char *what, enum fp_type t, const uint64_t in[3], unsigned mode,
                   uint64_t got, uint32_t got_flags, uint64_t want, uint32_t want_flags) {
    uint64_t least = t == FP_DOUBLE ? 1ull << 52 : 1ull << 23;
    if (fp_is_nan(t, want) && fp_is_nan(t, got))
        want = got;
    if (fp_abs(t, want) == least) {
        got_flags &= ~FPSR_UFC;
        want_flags &= ~FPSR_UFC;
    }
    if (got == want && got_flags == want_flags)
        return;
    print_error("%s mode %u of %#lx %#lx %#lx: %#lx flags %#x, the host says %#lx %#x\n", what,
                mode, (unsigned long)in[0], (unsigned long)in[1], (unsigned long)in[2],
                (unsigned long)got, got_flags, (unsigned long)want, want_flags);
    fail();
}

/* Calls for one operation: `soft` on bits, `d` and `f` on host numbers. */
#define COMPARE(what, t, soft, d, f)                                                             \
    do {                                                                                         \
        struct fp_env env = {mode << 22, 0, false};                                              \
        uint64_t got = soft, want;                                                               \
        fesetround(host_modes[mode]);                                                            \
        feclearexcept(FE_ALL_EXCEPT);                                                            \
        if (t == FP_DOUBLE) {                                                                    \
            volatile double x = as_double(in[0]), y = as_double(in[1]), z = as_double(in[2]), r; \
            (void)y, (void)z;                                                                    \
            r = d;                                                                               \
            want = double_bits(r);                                                               \
        } else {                                                                                 \
            volatile float x = as_float(in[0]), y = as_float(in[1]), z = as_float(in[2]), r;     \
            (void)y, (void)z;                                                                    \
            r = f;                                                                               \
            want = float_bits(r);                                                                \
        }                                                                                        \
        uint32_t flags = host_exceptions();                                                      \
        fesetround(FE_TONEAREST);                                                                \
        expect(what, t, in, mode, got, env.fpsr, want, flags);                                   \
    } while (0)

static void test_arithmetic(void **state) {
    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        enum fp_type t = i % 2 ? FP_DOUBLE : FP_SINGLE;
        unsigned mode = i / 2 % 4;
        uint64_t in[3] = {random_number(t), random_number(t), random_number(t)};
        if (fp_is_nan(t, in[0]) || fp_is_nan(t, in[1]) || fp_is_nan(t, in[2]))
            continue;
        COMPARE("add", t, fp_add(&env, t, in[0], in[1]), x + y, x + y);
        COMPARE("sub", t, fp_sub(&env, t, in[0], in[1]), x - y, x - y);
        COMPARE("mul", t, fp_mul(&env, t, in[0], in[1]), x * y, x * y);
        COMPARE("div", t, fp_div(&env, t, in[0], in[1]), x / y, x / y);
        COMPARE("sqrt", t, fp_sqrt(&env, t, in[0]), sqrt(x), sqrtf(x));
        COMPARE("muladd", t, fp_muladd(&env, t, in[2], in[0], in[1]), fma(x, y, z), fmaf(x, y, z));
        COMPARE("round", t, fp_round_int(&env, t, in[0], fp_rounding_mode(&env), true), rint(x),
                rintf(x));
    }
}

static void test_conversions(void **state) {
    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned mode = i % 4;
        struct fp_env env = {mode << 22, 0, false};
        uint64_t d = random_number(FP_DOUBLE), f = random_number(FP_SINGLE),
                 n = random_bits() >> random_bits() % 64;
        if (fp_is_nan(FP_DOUBLE, d) || fp_is_nan(FP_SINGLE, f))
            continue;
        volatile double vd = as_double(d), rd;
        volatile float vf = as_float(f), rf;
        volatile int64_t vn = (int64_t)n;
        uint64_t in[3] = {d, f, n};
        fesetround(host_modes[mode]);
        feclearexcept(FE_ALL_EXCEPT);
        rf = (float)vd;
        uint32_t flags = host_exceptions();
        uint64_t got = fp_convert(&env, FP_DOUBLE, FP_SINGLE, d, fp_rounding_mode(&env));
        expect("narrow", FP_SINGLE, in, mode, got, env.fpsr, float_bits(rf), flags);
        feclearexcept(FE_ALL_EXCEPT);
        rd = (double)vn;
        flags = host_exceptions();
        env.fpsr = 0;
        got = fp_from_fixed(&env, FP_DOUBLE, n, 0, false);
        expect("from integer", FP_DOUBLE, in, mode, got, env.fpsr, double_bits(rd), flags);
        feclearexcept(FE_ALL_EXCEPT);
        rf = (float)vn;
        flags = host_exceptions();
        env.fpsr = 0;
        got = fp_from_fixed(&env, FP_SINGLE, n, 0, false);
        expect("from integer", FP_SINGLE, in, mode, got, env.fpsr, float_bits(rf), flags);
        fesetround(FE_TONEAREST);
        assert_int_equal(fp_convert(&env, FP_SINGLE, FP_DOUBLE, f, ROUND_TIEEVEN),
                         double_bits((double)vf));
        env.fpsr = 0;
        uint64_t integer = fp_to_fixed(&env, FP_DOUBLE, d, 0, 64, false, ROUND_ZERO);
        if (fabs(vd) < 0x1p63) {
            assert_int_equal(integer, (int64_t)vd);
            assert_int_equal(env.fpsr, (double)(int64_t)vd == vd ? 0 : FPSR_IXC);
        } else if (vd != -0x1p63) {
            assert_int_equal(integer, vd < 0 ? INT64_MIN : INT64_MAX);
            assert_int_equal(env.fpsr, FPSR_IOC);
        }
    }
}

/* Every half-precision number to double and back; its value by the definition. */
static void test_half(void **state) {
    (void)state;
    struct fp_env env = {0, 0, false};
    for (unsigned h = 0; h < 0x10000; h++) {
        int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 0x3ff);
        uint64_t d = fp_convert(&env, FP_HALF, FP_DOUBLE, h, ROUND_TIEEVEN);
        if (exponent < 31) {
            double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
            assert_int_equal(d, double_bits(h & 0x8000 ? -value : value));
        }
        if (exponent < 31 || fraction == 0 || (fraction & 0x200))
            assert_int_equal(fp_convert(&env, FP_DOUBLE, FP_HALF, d, ROUND_TIEEVEN), h);
    }
    env.fpsr = 0;
    assert_int_equal(fp_convert(&env, FP_DOUBLE, FP_HALF, double_bits(65520), ROUND_TIEEVEN),
                     0x7c00);
    assert_int_equal(env.fpsr, FPSR_OFC | FPSR_IXC);
    assert_int_equal(fp_convert(&env, FP_DOUBLE, FP_HALF, double_bits(65519), ROUND_TIEEVEN),
                     0x7bff);
}

#define SIGNALLING 0x7ff0000000000123ull
#define QNAN1      0x7ff8000000000111ull
#define QNAN2      0xfff8000000000222ull
#define DNAN       0x7ff8000000000000ull
#define INF        0x7ff0000000000000ull
#define ONE        0x3ff0000000000000ull

static void test_nans(void **state) {
    (void)state;
    struct fp_env env = {0, 0, false};
    assert_int_equal(fp_add(&env, FP_DOUBLE, QNAN1, QNAN2), QNAN1);
    assert_int_equal(fp_add(&env, FP_DOUBLE, ONE, QNAN2), QNAN2);
    assert_int_equal(env.fpsr, 0);
    assert_int_equal(fp_add(&env, FP_DOUBLE, QNAN1, SIGNALLING), SIGNALLING | 1ull << 51);
    assert_int_equal(env.fpsr, FPSR_IOC);
    env.fpsr = 0;
    assert_int_equal(fp_sub(&env, FP_DOUBLE, INF, INF), DNAN);
    assert_int_equal(env.fpsr, FPSR_IOC);
    env.fpsr = 0;
    assert_int_equal(fp_muladd(&env, FP_DOUBLE, QNAN1, QNAN2, ONE), QNAN1);
    assert_int_equal(env.fpsr, 0);
    assert_int_equal(fp_muladd(&env, FP_DOUBLE, QNAN1, INF, 0), DNAN);
    assert_int_equal(env.fpsr, FPSR_IOC);
    env.fpsr = 0;
    assert_int_equal(fp_mulx(&env, FP_DOUBLE, INF, 1ull << 63), 0xc000000000000000);
    assert_int_equal(fp_maxnm(&env, FP_DOUBLE, QNAN1, ONE), ONE);
    assert_int_equal(fp_max(&env, FP_DOUBLE, QNAN1, ONE), QNAN1);
    assert_int_equal(fp_min(&env, FP_DOUBLE, 0, 1ull << 63), 1ull << 63);
    assert_int_equal(env.fpsr, 0);
    env.fpcr = FPCR_DN;
    assert_int_equal(fp_add(&env, FP_DOUBLE, QNAN1, QNAN2), DNAN);
    env.fpcr = FPCR_FZ;
    assert_int_equal(fp_add(&env, FP_DOUBLE, 1, 0), 0);
    assert_int_equal(env.fpsr, FPSR_IDC);
    env.fpsr = 0;
    assert_int_equal(fp_mul(&env, FP_DOUBLE, 1ull << 52, 0x3fe0000000000000), 0);
    assert_int_equal(env.fpsr, FPSR_UFC);
}

static void test_integers(void **state) {
    (void)state;
    struct fp_env env = {0, 0, false};
    bool exact;
    assert_int_equal(fp_to_fixed(&env, FP_DOUBLE, double_bits(-0.5), 0, 32, true, ROUND_ZERO), 0);
    assert_int_equal(env.fpsr, FPSR_IXC);
    env.fpsr = 0;
    assert_int_equal(fp_to_fixed(&env, FP_DOUBLE, double_bits(-1.5), 0, 32, true, ROUND_ZERO), 0);
    assert_int_equal(env.fpsr, FPSR_IOC);
    assert_int_equal(fp_to_fixed(&env, FP_DOUBLE, double_bits(2.5), 0, 32, false, ROUND_TIEAWAY),
                     3);
    assert_int_equal(fp_to_fixed(&env, FP_DOUBLE, double_bits(2.5), 0, 32, false, ROUND_TIEEVEN),
                     2);
    assert_int_equal(fp_to_fixed(&env, FP_DOUBLE, double_bits(1.25), 4, 32, false, ROUND_ZERO), 20);
    assert_int_equal(fp_to_js(&env, double_bits(4294967297.0), &exact), 1);
    assert_false(exact);
    assert_int_equal(fp_to_js(&env, double_bits(-7), &exact), (uint32_t)-7);
    assert_true(exact);
    assert_int_equal(fp_to_js(&env, double_bits(-0.0), &exact), 0);
    assert_false(exact);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic), cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_half),       cmocka_unit_test(test_nans),
        cmocka_unit_test(test_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
