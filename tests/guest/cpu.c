// What the instruction tester cannot see: atomics against other threads, the identification
// registers against AT_HWCAP, the counter against the clock, DC ZVA against DCZID_EL0, misaligned
// exclusives.
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/auxv.h>

#ifdef __aarch64__

enum { THREADS = 4, ROUNDS = 40000 };

static struct {
    uint8_t exclusive8;
    uint16_t lse16;
    uint32_t lse32, maximum, bits;
    uint64_t exclusive64, lock, under_lock;
    uint64_t pair[2] __attribute__((aligned(16)));
} counters;

static void exclusive_add(void) {
    uint64_t value;
    uint32_t failed;
    do {
        __asm__ volatile("ldaxr %0, [%2]\n\tadd %0, %0, #1\n\tstlxr %w1, %0, [%2]"
                         : "=&r"(value), "=&r"(failed)
                         : "r"(&counters.exclusive64)
                         : "memory");
    } while (failed);
    do {
        __asm__ volatile("ldxrb %w0, [%2]\n\tadd %w0, %w0, #1\n\tstxrb %w1, %w0, [%2]"
                         : "=&r"(value), "=&r"(failed)
                         : "r"(&counters.exclusive8)
                         : "memory");
    } while (failed);
}

// Adds 1 to the low and 3 to the high half; each thread takes turns with the two ways.
static void exclusive_pair_add(void) {
    uint64_t low, high;
    uint32_t failed;
    do {
        __asm__ volatile(
            "ldaxp %0, %1, [%3]\n\tadd %0, %0, #1\n\tadd %1, %1, #3\n\tstlxp %w2, %0, %1, [%3]"
            : "=&r"(low), "=&r"(high), "=&r"(failed)
            : "r"(counters.pair)
            : "memory");
    } while (failed);
}

static void compare_and_swap_pair_add(void) {
    register uint64_t low __asm__("x4") = counters.pair[0], high __asm__("x5") = counters.pair[1];
    register uint64_t new_low __asm__("x2"), new_high __asm__("x3");
    uint64_t old_low, old_high;
    do {
        old_low = low;
        old_high = high;
        new_low = low + 1;
        new_high = high + 3;
        __asm__ volatile(".arch armv8.1-a\n\tcaspal %0, %1, %2, %3, [%4]"
                         : "+r"(low), "+r"(high)
                         : "r"(new_low), "r"(new_high), "r"(counters.pair)
                         : "memory");
    } while (low != old_low || high != old_high);
}

#define LSE(instruction, value, place)                                  \
    __asm__ volatile(".arch armv8.1-a\n\t" instruction " %w0, w9, [%1]" \
                     :                                                  \
                     : "r"(value), "r"(place)                           \
                     : "memory", "x9")

static void *add_in_all_ways(void *arg) {
    uint32_t id = (uint32_t)(uintptr_t)arg;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        exclusive_add();
        if (i & 1)
            exclusive_pair_add();
        else
            compare_and_swap_pair_add();
        LSE("ldaddalh", 1, &counters.lse16);
        __asm__ volatile(".arch armv8.1-a\n\tstadd %w0, [%1]"
                         :
                         : "r"(1), "r"(&counters.lse32)
                         : "memory");
        LSE("ldumaxal", i * THREADS + id, &counters.maximum);
        LSE("ldsetal", 1u << (id + i % 7 * 4), &counters.bits);
        LSE("ldclral", 1u << (id + i % 7 * 4), &counters.bits);
        uint64_t taken;
        do {
            taken = 1;
            __asm__ volatile(".arch armv8.1-a\n\tswpa %0, %0, [%1]"
                             : "+r"(taken)
                             : "r"(&counters.lock)
                             : "memory");
        } while (taken);
        counters.under_lock++;
        __asm__ volatile("stlr xzr, [%0]" : : "r"(&counters.lock) : "memory");
    }
    return NULL;
}

TEST(atomics_of_all_kinds_lose_no_update) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, add_in_all_ways, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(counters.exclusive64, THREADS * ROUNDS);
    CHECK_EQ(counters.exclusive8, (uint8_t)(THREADS * ROUNDS));
    CHECK_EQ(counters.pair[0], THREADS * ROUNDS);
    CHECK_EQ(counters.pair[1], 3 * THREADS * ROUNDS);
    CHECK_EQ(counters.lse16, (uint16_t)(THREADS * ROUNDS));
    CHECK_EQ(counters.lse32, THREADS * ROUNDS);
    CHECK_EQ(counters.maximum, THREADS * ROUNDS - 1);
    CHECK_EQ(counters.bits, 0);
    CHECK_EQ(counters.under_lock, THREADS * ROUNDS);
}

TEST(a_store_exclusive_fails_after_another_write) {
    static uint64_t place = 5;
    uint64_t value;
    uint32_t failed;
    __asm__ volatile("ldxr %0, [%2]\n\tstr %3, [%2]\n\tstxr %w1, %0, [%2]"
                     : "=&r"(value), "=&r"(failed)
                     : "r"(&place), "r"(6ull)
                     : "memory");
    CHECK_EQ(failed, 1);
    CHECK_EQ(place, 6);
    __asm__ volatile("ldxr %0, [%2]\n\tclrex\n\tstxr %w1, %0, [%2]"
                     : "=&r"(value), "=&r"(failed)
                     : "r"(&place)
                     : "memory");
    CHECK_EQ(failed, 1);
}

static sigjmp_buf back;
static siginfo_t caught;

static void on_signal(int sig, siginfo_t *info, void *context) {
    (void)sig;
    (void)context;
    caught = *info;
    siglongjmp(back, 1);
}

TEST(a_misaligned_exclusive_raises_sigbus) {
    static uint64_t place[2];
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    char *misaligned = (char *)place + 1;
    uint64_t value;
    REQUIRE(sigaction(SIGBUS, &action, NULL) == 0);
    if (!sigsetjmp(back, 1)) {
        __asm__ volatile("ldxr %0, [%1]" : "=r"(value) : "r"(misaligned) : "memory");
        FAIL("it loaded %lx", (unsigned long)value);
    } else {
        CHECK_EQ(caught.si_code, BUS_ADRALN);
        CHECK(caught.si_addr == (void *)misaligned);
    }
}

#define READ_REGISTER(name)                               \
    ({                                                    \
        uint64_t value_;                                  \
        __asm__ volatile("mrs %0, " name : "=r"(value_)); \
        value_;                                           \
    })

TEST(identification_registers_agree_with_hwcap) {
    uint64_t hwcap = getauxval(AT_HWCAP), isar0, isar1;
    if (!(hwcap & 1 << 11 /* HWCAP_CPUID */))
        SKIP("the kernel does not emulate them");
    isar0 = READ_REGISTER("S3_0_C0_C6_0");
    isar1 = READ_REGISTER("S3_0_C0_C6_1");
    CHECK_EQ((isar0 >> 4 & 15) >= 1, !!(hwcap & 1 << 3));   // AES
    CHECK_EQ((isar0 >> 4 & 15) >= 2, !!(hwcap & 1 << 4));   // PMULL
    CHECK_EQ((isar0 >> 8 & 15) >= 1, !!(hwcap & 1 << 5));   // SHA1
    CHECK_EQ((isar0 >> 12 & 15) >= 1, !!(hwcap & 1 << 6));  // SHA2
    CHECK_EQ((isar0 >> 16 & 15) >= 1, !!(hwcap & 1 << 7));  // CRC32
    CHECK_EQ((isar0 >> 20 & 15) >= 2, !!(hwcap & 1 << 8));  // ATOMICS
    CHECK_EQ((isar0 >> 44 & 15) >= 1, !!(hwcap & 1 << 20)); // ASIMDDP
    CHECK_EQ((isar1 >> 12 & 15) >= 1, !!(hwcap & 1 << 13)); // JSCVT
    CHECK_EQ((isar1 >> 20 & 15) >= 1, !!(hwcap & 1 << 15)); // LRCPC
    if (!under_qemu())                                      // shows a reserved implementer
        CHECK(READ_REGISTER("MIDR_EL1") >> 24 != 0);
}

TEST(the_counter_advances_at_its_frequency) {
    struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    uint64_t frequency = READ_REGISTER("CNTFRQ_EL0"), start = READ_REGISTER("CNTVCT_EL0");
    CHECK(frequency >= 1000000);
    nanosleep(&pause, NULL);
    uint64_t ticks = READ_REGISTER("CNTVCT_EL0") - start;
    CHECK(ticks >= frequency / 20);
    CHECK(ticks < frequency * 5);
}

TEST(dc_zva_clears_exactly_its_block) {
    static unsigned char area[4096] __attribute__((aligned(2048)));
    uint64_t id = READ_REGISTER("DCZID_EL0");
    if (id & 16)
        SKIP("DC ZVA is prohibited");
    size_t block = 4u << (id & 15);
    REQUIRE(block <= sizeof area / 4);
    memset(area, 0xff, sizeof area);
    __asm__ volatile("dc zva, %0" : : "r"(area + block + block / 2 + 3) : "memory");
    for (size_t i = 0; i < sizeof area; i++)
        if (area[i] != (i / block == 1 ? 0 : 0xff)) {
            FAIL("byte %zu is %#x", i, area[i]);
            break;
        }
}

TEST(a_register_that_is_not_for_user_space_is_undefined) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    REQUIRE(sigaction(SIGILL, &action, NULL) == 0);
    if (!sigsetjmp(back, 1))
        FAIL("SCTLR_EL1 reads as %lx", (unsigned long)READ_REGISTER("SCTLR_EL1"));
    else
        CHECK_EQ(caught.si_signo, SIGILL);
}

#else

TEST(only_for_arm64) {
    SKIP("tests AArch64 instructions");
}

#endif
