// Top-byte-ignore: on arm64 an access ignores bits 63:56 of the address. (x86-64: such a pointer is
// non-canonical and faults, which is asserted instead.)
#include "check.h"
#include <setjmp.h>
#include <sys/prctl.h>
#include <sys/uio.h>

static sigjmp_buf env;
static siginfo_t seen;
static void leave(int sig, siginfo_t *si, void *context) {
    (void)context;
    seen = *si;
    siglongjmp(env, sig);
}

static void *tag(const void *p, unsigned t) {
    return (void *)(((uintptr_t)p & 0x00ffffffffffffff) | (uintptr_t)t << 56);
}

#ifdef __aarch64__
#ifndef PR_SET_TAGGED_ADDR_CTRL
#define PR_SET_TAGGED_ADDR_CTRL 55
#define PR_GET_TAGGED_ADDR_CTRL 56
#define PR_TAGGED_ADDR_ENABLE   1
#endif

TEST(integer_accesses_ignore_the_tag) {
    uint64_t word = 0x1122334455667788;
    for (unsigned t = 0; t < 256; t++) {
        volatile uint64_t *p = tag(&word, t);
        CHECK_EQ(*p, word);
        *p = word + 1;
        CHECK_EQ(*(volatile uint32_t *)p, (uint32_t)word);
        CHECK_EQ(*(volatile uint16_t *)p, (uint16_t)word);
        CHECK_EQ(*(volatile uint8_t *)p, (uint8_t)word);
        CHECK_EQ(*(volatile int8_t *)((char *)p + 7), 0x11);
        *(volatile uint8_t *)((char *)p + 7) = 0x11;
    }
    CHECK_EQ(word, 0x1122334455667788 + 256);
}

TEST(pairs_indexed_and_vector_accesses_ignore_the_tag) {
    static uint64_t block[64] __attribute__((aligned(64)));
    for (int i = 0; i < 64; i++)
        block[i] = i * 0x0101010101010101;
    uint64_t a, b, *p = tag(block, 0x5a);
    __asm__ volatile("ldp %0, %1, [%2, #16]" : "=&r"(a), "=&r"(b) : "r"(p) : "memory");
    CHECK(a == block[2] && b == block[3]);
    __asm__ volatile("stp %0, %1, [%2, #32]" ::"r"(a), "r"(b), "r"(p) : "memory");
    CHECK(block[4] == block[2] && block[5] == block[3]);
    uint64_t *q = p;
    __asm__ volatile("ldr %0, [%1], #8" : "=r"(a), "+r"(q)::"memory");
    CHECK(a == block[0] && q == p + 1); // the written-back base keeps its tag
    __asm__ volatile("ldr %0, [%1, #8]!" : "=r"(a), "+r"(q)::"memory");
    CHECK(a == block[2] && q == p + 2);
    __asm__ volatile("ldr %0, [%1, %2, lsl #3]" : "=r"(a) : "r"(p), "r"(9l) : "memory");
    CHECK_EQ(a, block[9]);
    // The tag of the sum of base and index is what is ignored.
    __asm__ volatile("ldr %0, [%1, %2]"
                     : "=r"(a)
                     : "r"(block), "r"(0x7700000000000008l)
                     : "memory");
    CHECK_EQ(a, block[1]);
    __asm__ volatile("ldr q0, [%2, #64]\n mov %0, v0.d[0]\n mov %1, v0.d[1]"
                     : "=&r"(a), "=&r"(b)
                     : "r"(p)
                     : "v0", "memory");
    CHECK(a == block[8] && b == block[9]);
    __asm__ volatile("ldp q0, q1, [%0, #128]\n stp q1, q0, [%0, #160]" ::"r"(p)
                     : "v0", "v1", "memory");
    CHECK(block[20] == 18 * 0x0101010101010101 && block[22] == 16 * 0x0101010101010101);
    __asm__ volatile("ld1 {v0.16b, v1.16b}, [%0]\n st1 {v1.16b}, [%1]" ::"r"(p), "r"(p + 32)
                     : "v0", "v1", "memory");
    CHECK(block[32] == block[2] && block[33] == block[3]);
    __asm__ volatile("ld2 {v0.2d, v1.2d}, [%0]\n st2 {v0.2d, v1.2d}, [%1]" ::"r"(p + 8), "r"(p + 40)
                     : "v0", "v1", "memory");
    CHECK(block[40] == block[8] && block[43] == block[11]);
    memset(tag(block, 0x33), 0, sizeof block);
    CHECK(block[0] == 0 && block[63] == 0);
    memcpy(tag(block, 0x11), tag("some text that is long enough for vectors", 0x99), 40);
    CHECK(memcmp(block, "some text that is long enough for vectors", 40) == 0);
    CHECK_EQ(strlen(tag("0123456789abcdef", 0xf1)), 16);
}

TEST(atomics_ignore_the_tag) {
    uint64_t word = 5, status, v;
    uint64_t *p = tag(&word, 0xc3);
    __asm__ volatile("1: ldxr %0, [%2]\n add %0, %0, #1\n stxr %w1, %0, [%2]\n cbnz %w1, 1b"
                     : "=&r"(v), "=&r"(status)
                     : "r"(p)
                     : "memory");
    CHECK_EQ(word, 6);
    __asm__ volatile("1: ldaxr %0, [%2]\n add %0, %0, #1\n stlxr %w1, %0, [%2]\n cbnz %w1, 1b"
                     : "=&r"(v), "=&r"(status)
                     : "r"(p)
                     : "memory");
    CHECK_EQ(word, 7);
    __asm__ volatile("ldar %0, [%1]" : "=r"(v) : "r"(p) : "memory");
    CHECK_EQ(v, 7);
    __asm__ volatile("stlr %0, [%1]" ::"r"(v + 1), "r"(p) : "memory");
    CHECK_EQ(word, 8);
    CHECK_EQ(__atomic_fetch_add(p, 3, __ATOMIC_SEQ_CST), 8); // outlined: LSE where advertised
    CHECK_EQ(__atomic_exchange_n(p, 100, __ATOMIC_SEQ_CST), 11);
    uint64_t expected = 100;
    CHECK(
        __atomic_compare_exchange_n(p, &expected, 200, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    CHECK_EQ(word, 200);
    static uint64_t zeroed[64] __attribute__((aligned(256)));
    uint64_t dczid;
    memset(zeroed, 0xff, sizeof zeroed);
    __asm__("mrs %0, dczid_el0" : "=r"(dczid));
    if (!(dczid & 16)) {
        __asm__ volatile("dc zva, %0" ::"r"(tag(zeroed, 0x42)) : "memory");
        CHECK_EQ(zeroed[0], 0);
    }
    __asm__ volatile("prfm pldl1keep, [%0]" ::"r"(tag(zeroed, 0x42)));
}

static int seven(void) {
    return 7;
}

TEST(branches_ignore_the_tag) {
    int (*f)(void) = tag((void *)seven, 0x3c);
    int (*volatile g)(void) = f;
    CHECK_EQ(g(), 7);
}

TEST(a_loop_over_tagged_memory) {
    enum { N = 100000 };
    uint32_t *plain = malloc(N * sizeof *plain), *p = tag(plain, 0xb4);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < N; i++)
        p[i] = i;
    for (uint32_t i = 0; i < N; i++)
        sum += plain[i];
    CHECK_EQ(sum, (uint64_t)N * (N - 1) / 2);
}

TEST(faults_through_tagged_pointers_hide_the_tag) {
    char *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    handle(SIGSEGV, leave, SA_SIGINFO);
    if (sigsetjmp(env, 1) == 0)
        (void)*(volatile char *)tag(p + 9, 0x77);
    CHECK_EQ(seen.si_code, SEGV_ACCERR);
    if (!under_qemu()) // leaves the tag in
        CHECK_EQ((uintptr_t)seen.si_addr, (uintptr_t)p + 9);
    // Bits 55:48 are not a tag: such an address is not mapped.
    if (sigsetjmp(env, 1) == 0)
        (void)*(volatile char *)((uintptr_t)p | 0x0001000000000000);
    CHECK_EQ(seen.si_code, SEGV_MAPERR);
}

TEST(expose_tagbits_shows_the_tag) {
    QEMU_WRONG("no SA_EXPOSE_TAGBITS");
    char *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    handle(SIGSEGV, leave, SA_SIGINFO | 0x800);
    if (sigsetjmp(env, 1) == 0)
        (void)*(volatile char *)tag(p + 9, 0x77);
    CHECK_EQ((uintptr_t)seen.si_addr, (uintptr_t)tag(p + 9, 0x77));
}

TEST(system_calls_take_tagged_pointers_once_enabled) {
    // Documentation/arm64/tagged-address-abi.rst: off by default, then EFAULT.
    int p[2];
    char b[4] = "";
    REQUIRE(pipe(p) == 0 && write(p[1], "abcd", 4) == 4);
    CHECK_EQ(prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0), 0);
    CHECK_ERRNO(read(p[0], tag(b, 0x55), 2), EFAULT);
    CHECK_EQ(prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0) & PR_TAGGED_ADDR_ENABLE, 1);
    CHECK_EQ(read(p[0], tag(b, 0x55), 2), 2);
    CHECK(memcmp(b, "ab", 2) == 0);
    struct stat st;
    CHECK_EQ(stat(tag("/dev/null", 0x22), tag(&st, 0x33)), 0);
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(write(p[1], tag("efgh", 0x44), 4), 4);
    struct iovec v = {b, 2};
    CHECK_EQ(readv(p[0], tag(&v, 0x66), 1), 2);
    // mmap and munmap take no tags (except munmap, mprotect, madvise under the relaxed ABI).
    CHECK_ERRNO(prctl(PR_SET_TAGGED_ADDR_CTRL, ~0ul, 0, 0, 0), EINVAL);
}
#else
TEST(a_tagged_pointer_faults) {
    handle(SIGSEGV, leave, SA_SIGINFO);
    uint64_t word = 1;
    if (sigsetjmp(env, 1) == 0) {
        (void)*(volatile uint64_t *)tag(&word, 0x5a);
        FAIL("no fault");
    }
    CHECK_EQ(seen.si_signo, SIGSEGV);
    int p[2];
    REQUIRE(pipe(p) == 0 && write(p[1], "abcd", 4) == 4);
    CHECK_ERRNO(read(p[0], tag(&word, 0x55), 2), EFAULT);
    CHECK_ERRNO(prctl(56, 0, 0, 0, 0), EINVAL);
}
#endif
