// Floating point where x86 and AArch64 differ: NaN results, saturating conversions, minimum and
// maximum, FPCR.DN and FZ, the exceptions in FPSR. Each instruction runs many times at one place,
// since an emulator may treat a place that trapped often differently; the result must stay the
// same. Also with signals arriving meanwhile, and with threads of different FPCR.
#include "check.h"

#ifndef __aarch64__

TEST(only_on_aarch64) {
    SKIP("the tests are AArch64 instructions");
}

#else

#include <pthread.h>
#include <sys/time.h>

#define SNAN  0x7ff0000000000123ul
#define QNAN  0x7ff8000000000111ul
#define QNAN2 0xfff8000000000222ul
#define DNAN  0x7ff8000000000000ul
#define INF   0x7ff0000000000000ul
#define ONE   0x3ff0000000000000ul
#define TWO   0x4000000000000000ul
#define MINUS (1ul << 63)

enum {
    IOC = 1,
    DZC = 2,
    OFC = 4,
    UFC = 8,
    IXC = 16,
    IDC = 128,
    DN = 1 << 25,
    FZ = 1 << 24,
    TIMES = 300
};

static void set_fpcr(uint64_t v) {
    __asm__ volatile("msr fpcr, %0\n\tisb" ::"r"(v));
}
static void set_fpsr(uint64_t v) {
    __asm__ volatile("msr fpsr, %0" ::"r"(v));
}
static uint64_t get_fpsr(void) {
    uint64_t v;
    __asm__ volatile("mrs %0, fpsr" : "=r"(v));
    return v;
}

// insn on d0 = a, d1 = b, d2 = c; the result in d0, and NZCV.
#define RUN(insn, a, b, c)                                                                 \
    __asm__ volatile("fmov d0, %2\n\tfmov d1, %3\n\tfmov d2, %4\n\tmsr nzcv, xzr\n\t" insn \
                     "\n\tfmov %0, d0\n\tmrs %1, nzcv"                                     \
                     : "=&r"(result), "=&r"(nzcv)                                          \
                     : "r"(a), "r"(b), "r"(c)                                              \
                     : "v0", "v1", "v2", "cc")

#define EXPECT(insn, a, b, c, want, want_flags)                                             \
    do {                                                                                    \
        uint64_t result = 0, nzcv = 0;                                                      \
        for (int i = 0; i < TIMES; i++) {                                                   \
            set_fpsr(0);                                                                    \
            RUN(insn, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c));                         \
            uint64_t flags = get_fpsr();                                                    \
            if (result != (uint64_t)(want) || flags != (want_flags)) {                      \
                FAIL("%s round %d: %#lx flags %#lx, want %#lx %#lx", insn, i, (long)result, \
                     (long)flags, (long)(want), (long)(want_flags));                        \
                break;                                                                      \
            }                                                                               \
        }                                                                                   \
    } while (0)

#define EXPECT_NZCV(insn, a, b, want, want_flags)                                            \
    do {                                                                                     \
        uint64_t result = 0, nzcv = 0;                                                       \
        for (int i = 0; i < TIMES; i++) {                                                    \
            set_fpsr(0);                                                                     \
            RUN(insn, (uint64_t)(a), (uint64_t)(b), 0ul);                                    \
            uint64_t flags = get_fpsr();                                                     \
            if (nzcv != (uint64_t)(want) << 28 || flags != (want_flags)) {                   \
                FAIL("%s round %d: nzcv %#lx flags %#lx", insn, i, (long)nzcv, (long)flags); \
                break;                                                                       \
            }                                                                                \
        }                                                                                    \
    } while (0)

static void arithmetic(void) {
    EXPECT("fsub d0, d0, d1", INF, INF, 0, DNAN, IOC);
    EXPECT("fmul d0, d0, d1", INF, 0, 0, DNAN, IOC);
    EXPECT("fdiv d0, d0, d1", 0, 0, 0, DNAN, IOC);
    EXPECT("fdiv d0, d0, d1", ONE, MINUS, 0, INF | MINUS, DZC);
    EXPECT("fsqrt d0, d0", ONE | MINUS, 0, 0, DNAN, IOC);
    EXPECT("fnmul d0, d0, d1", INF, 0, 0, DNAN | MINUS, IOC);
    EXPECT("fadd d0, d0, d1", QNAN, QNAN2, 0, QNAN, 0);
    EXPECT("fadd d0, d0, d1", QNAN, SNAN, 0, SNAN | 1ul << 51, IOC);
    EXPECT("fadd d0, d1, d0", ONE, QNAN2, 0, QNAN2, 0);
    EXPECT("fmadd d0, d0, d1, d2", QNAN, ONE, QNAN2, QNAN2, 0);
    EXPECT("fmadd d0, d0, d1, d2", INF, 0, QNAN, DNAN, IOC);
    EXPECT("fmsub d0, d0, d1, d2", QNAN, ONE, ONE, QNAN | MINUS, 0);
    EXPECT("fmadd d0, d0, d1, d2", INF, ONE, INF | MINUS, DNAN, IOC);
    EXPECT("fmulx d0, d0, d1", INF, MINUS, 0, TWO | MINUS, 0);
    EXPECT("frintz d0, d0", SNAN, 0, 0, SNAN | 1ul << 51, IOC);
    EXPECT("frinta d0, d0", 0x4004000000000000, 0, 0, 0x4008000000000000, 0); // 2.5 -> 3
    EXPECT("frinta d0, d0", 0x3fdfffffffffffff, 0, 0, 0, 0);                  // just below 0.5
    EXPECT("fcvt s0, d0", SNAN, 0, 0, 0x7fc00000, IOC);
}
TEST(arithmetic) {
    arithmetic();
}

TEST(minimum_and_maximum) {
    EXPECT("fmax d0, d0, d1", MINUS, 0, 0, 0, 0);
    EXPECT("fmax d0, d0, d1", 0, MINUS, 0, 0, 0);
    EXPECT("fmin d0, d0, d1", 0, MINUS, 0, MINUS, 0);
    EXPECT("fmax d0, d0, d1", ONE, QNAN, 0, QNAN, 0);
    EXPECT("fmaxnm d0, d0, d1", ONE, QNAN, 0, ONE, 0);
    EXPECT("fminnm d0, d0, d1", QNAN, TWO, 0, TWO, 0);
    EXPECT("fminnm d0, d0, d1", SNAN, TWO, 0, SNAN | 1ul << 51, IOC);
}

TEST(comparisons) {
    EXPECT_NZCV("fcmp d0, d1", ONE, QNAN, 3, 0);
    EXPECT_NZCV("fcmpe d0, d1", ONE, QNAN, 3, IOC);
    EXPECT_NZCV("fcmp d0, d1", ONE, SNAN, 3, IOC);
    EXPECT_NZCV("fcmpe d0, d1", ONE, TWO, 8, 0);
    EXPECT_NZCV("fcmpe d0, #0.0", MINUS, 0, 6, 0);
    EXPECT_NZCV("fccmpe d0, d1, #0, ne", QNAN, TWO, 3, IOC);
    EXPECT("fcmgt d0, d0, d1", QNAN, ONE, 0, 0, IOC);
    EXPECT("fcmeq d0, d0, d1", QNAN, QNAN, 0, 0, 0);
    EXPECT("fcmge v0.2s, v0.2s, v1.2s", 0x7fc000003f800000, 0x3f8000003f800000, 0, 0xffffffff, IOC);
}

TEST(conversions) {
    EXPECT("fcvtzs x9, d0\n\tfmov d0, x9", QNAN, 0, 0, 0, IOC);
    EXPECT("fcvtzs x9, d0\n\tfmov d0, x9", INF, 0, 0, ~MINUS, IOC);
    EXPECT("fcvtzs w9, d0\n\tfmov d0, x9", 0xc1f0000000000000, 0, 0, 0x80000000, IOC); // -2^32
    EXPECT("fcvtzu x9, d0\n\tfmov d0, x9", 0xbff8000000000000, 0, 0, 0, IOC);          // -1.5
    EXPECT("fcvtzu x9, d0\n\tfmov d0, x9", 0xbfe0000000000000, 0, 0, 0, IXC);          // -0.5
    EXPECT("fcvtzu x9, d0\n\tfmov d0, x9", 0x43e8000000000000, 0, 0, 0xc000000000000000, 0);
    EXPECT("fcvtns x9, d0\n\tfmov d0, x9", 0x4004000000000000, 0, 0, 2, IXC); // 2.5
    EXPECT("fcvtas x9, d0\n\tfmov d0, x9", 0x4004000000000000, 0, 0, 3, IXC);
    EXPECT("fcvtms x9, d0\n\tfmov d0, x9", 0x43f0000000000000, 0, 0, ~MINUS, IOC);
    EXPECT("fcvtzs v0.2s, v0.2s", 0x7fc000004f000000, 0, 0, 0x7fffffff, IOC);
    EXPECT("ucvtf d0, d0", ~0ul, 0, 0, 0x43f0000000000000, IXC);
}

static void default_nan(void) {
    set_fpcr(DN);
    EXPECT("fadd d0, d0, d1", QNAN2, ONE, 0, DNAN, 0);
    EXPECT("fmadd d0, d0, d1, d2", QNAN2, ONE, ONE, DNAN, 0);
    EXPECT("fmin d0, d0, d1", QNAN2, ONE, 0, DNAN, 0);
    EXPECT("frintz d0, d0", QNAN2, 0, 0, DNAN, 0);
    EXPECT("fcvt s0, d0", QNAN2, 0, 0, 0x7fc00000, 0);
    EXPECT("fneg d0, d0", QNAN2, 0, 0, QNAN2 & ~MINUS, 0);
    set_fpcr(0);
}
TEST(default_nan_mode) {
    default_nan();
}

TEST(flush_to_zero) {
    set_fpcr(FZ);
    EXPECT("fadd d0, d0, d1", 1, 0, 0, 0, IDC);
    EXPECT("fmul d0, d0, d1", 1ul << 52, 0x3fe0000000000000, 0, 0, UFC);
    EXPECT("fdiv d0, d0, d1", 1, 0, 0, DNAN, IDC | IOC);
    EXPECT("fcvtps x9, d0\n\tfmov d0, x9", 1, 0, 0, 0, IDC);
    EXPECT("frintp d0, d0", MINUS | 1, 0, 0, MINUS, IDC);
    EXPECT_NZCV("fcmp d0, d1", 1, 2, 6, IDC);
    EXPECT("fdiv d0, d0, d1", ONE, 0x4008000000000000, 0, 0x3fd5555555555555, IXC);
    set_fpcr(0);
    EXPECT("fadd d0, d0, d1", 1, 0, 0, 1, 0);
    EXPECT("fmul d0, d0, d1", 1ul << 52, 0x3fe0000000000000, 0, 1ul << 51, 0);
}

TEST(rounding_modes) {
    static const uint64_t third[4] = {0x3fd5555555555555, 0x3fd5555555555556, 0x3fd5555555555555,
                                      0x3fd5555555555555};
    for (unsigned long mode = 0; mode < 4; mode++) {
        set_fpcr(mode << 22);
        EXPECT("fdiv d0, d0, d1", ONE, 0x4008000000000000, 0, third[mode], IXC);
        EXPECT("fadd d0, d0, d1", ONE, ONE | MINUS, 0, mode == 2 ? MINUS : 0, 0);
        EXPECT("frinti d0, d0", 0x4004000000000000, 0, 0, mode == 1 ? 0x4008000000000000 : TWO, 0);
        EXPECT("ucvtf v0.2d, v0.2d", 0, 0, 0, 0, 0);
    }
    set_fpcr(0);
}

static volatile int ticks;
static void on_tick(int sig) {
    (void)sig;
    ticks++;
    __asm__ volatile("fmov d0, #1.0\n\tfmov d1, d0\n\tfmov d2, d0" ::: "v0", "v1", "v2");
}

TEST(with_signals_arriving) {
    struct itimerval every = {{0, 300}, {0, 300}}, stop = {{0, 0}, {0, 0}};
    signal(SIGALRM, on_tick);
    setitimer(ITIMER_REAL, &every, NULL);
    for (int i = 0; i < 40 || ticks < 50; i++) {
        arithmetic();
        default_nan();
    }
    setitimer(ITIMER_REAL, &stop, NULL);
    CHECK(ticks >= 50);
}

static void *in_default_nan_mode(void *arg) {
    (void)arg;
    for (int i = 0; i < 30; i++)
        default_nan();
    return NULL;
}

TEST(threads_of_different_modes) {
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&t[i], NULL, in_default_nan_mode, NULL) == 0);
    for (int i = 0; i < 30; i++)
        arithmetic();
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}

#endif
