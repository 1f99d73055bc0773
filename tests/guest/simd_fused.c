// Sequences of cryptographic instructions that a translator may join, interrupted by signals at
// every point: AES rounds, SHA-256 and SHA-1 rounds. The handler spoils all the registers they use;
// the result must be that without signals.
#include "check.h"

#ifndef __aarch64__

TEST(only_on_aarch64) {
    SKIP("the tests are AArch64 instructions");
}

#else

#include <sys/time.h>

struct q {
    uint64_t lo, hi;
};

// insns work on v0-v7, loaded from and stored to r[0..7].
#define WITH_V(r, insns)                                                                      \
    __asm__ volatile(".arch armv8-a+crypto\n\tldp q0, q1, [%0]\n\tldp q2, q3, [%0, #32]\n\t"  \
                     "ldp q4, q5, [%0, #64]\n\tldp q6, q7, [%0, #96]\n\t" insns               \
                     "stp q0, q1, [%0]\n\tstp q2, q3, [%0, #32]\n\tstp q4, q5, [%0, #64]\n\t" \
                     "stp q6, q7, [%0, #96]" ::"r"(r)                                         \
                     : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v30", "memory")

static void encrypt(struct q *r) {
    WITH_V(r, "aese v0.16b, v1.16b\n\taesmc v0.16b, v0.16b\n\taese v0.16b, v2.16b\n\taesmc v0.16b, "
              "v0.16b\n\t"
              "aese v0.16b, v3.16b\n\taesmc v0.16b, v0.16b\n\taese v0.16b, v4.16b\n\teor v0.16b, "
              "v0.16b, v5.16b\n\t"
              "aesd v6.16b, v1.16b\n\taesimc v6.16b, v6.16b\n\taesd v6.16b, v2.16b\n\taesimc "
              "v6.16b, v6.16b\n\t"
              "aesd v6.16b, v0.16b\n\taesmc v7.16b, v7.16b\n\taesimc v7.16b, v6.16b\n\t");
}

static void hash(struct q *r) {
    WITH_V(r,
           "mov v30.16b, v0.16b\n\tsha256h q0, q1, v2.4s\n\tsha256h2 q1, q30, v2.4s\n\t"
           "sha256su0 v2.4s, v3.4s\n\tsha256su1 v2.4s, v4.4s, v5.4s\n\t"
           "mov v30.16b, v0.16b\n\tsha256h q0, q1, v3.4s\n\tsha256h2 q1, q30, v3.4s\n\t"
           "sha1h s30, s6\n\tsha1c q6, s7, v2.4s\n\tsha1p q6, s30, v3.4s\n\tsha1m q6, s7, v4.4s\n\t"
           "sha1su0 v7.4s, v2.4s, v3.4s\n\tsha1su1 v7.4s, v5.4s\n\t");
}

static volatile int ticks;
static void on_tick(int sig) {
    (void)sig;
    ticks++;
    __asm__ volatile("movi v0.16b, #1\n\tmovi v1.16b, #2\n\tmovi v2.16b, #3\n\tmovi v3.16b, "
                     "#4\n\tmovi v4.16b, #5\n\t"
                     "movi v5.16b, #6\n\tmovi v6.16b, #7\n\tmovi v7.16b, #8\n\tmovi v30.16b, #9" ::
                         : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v30");
}

static void start(struct q *r) {
    for (int i = 0; i < 8; i++)
        r[i] = (struct q){0x0123456789abcdef * (i + 1), 0xfedcba9876543210 ^ (uint64_t)i << 40};
}

static void compare(void (*work)(struct q *)) {
    enum { STEPS = 2000 };
    struct itimerval every = {{0, 150}, {0, 150}}, stop = {{0, 0}, {0, 0}};
    struct q want[8], got[8];
    start(want);
    for (int i = 0; i < STEPS; i++)
        work(want);
    signal(SIGALRM, on_tick);
    setitimer(ITIMER_REAL, &every, NULL);
    for (int round = 0; round < 1000 || ticks < 300; round++) {
        start(got);
        for (int i = 0; i < STEPS; i++)
            work(got);
        if (memcmp(got, want, sizeof(want))) {
            FAIL("round %d, %d signals: %#lx %#lx, want %#lx %#lx", round, ticks, (long)got[0].lo,
                 (long)got[6].lo, (long)want[0].lo, (long)want[6].lo);
            break;
        }
        if (round >= 1000 && ticks == 0)
            break;
    }
    setitimer(ITIMER_REAL, &stop, NULL);
    CHECK(ticks > 0);
}

TEST(aes_rounds) {
    compare(encrypt);
}
TEST(sha_rounds) {
    compare(hash);
}

#endif
