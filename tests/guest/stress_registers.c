// Registers under a storm of signals: X, V, NZCV, FPCR and FPSR at arbitrary instructions, in code
// of every kind the translator treats differently; and no signal waits for the code to leave its
// loop. Argument: the rounds of each test.
#define STRESS_ROUNDS 200
#include "check.h"
#include <pthread.h>
#include <sys/time.h>
#include <ucontext.h>

#ifdef __aarch64__
// A kernel is void kernel(uint64_t n, struct state *): all registers from *state, n rounds of its
// body with X28 counting down, all registers back to *state.
struct state {
    uint64_t x[31], nzcv, fpcr, fpsr;
    uint64_t v[64];
};

// The body lies between BEGIN and END; [sp, #512] to [sp, #1024) is free for it.
__asm__(".text\n"
        ".arch_extension crc\n .arch_extension crypto\n"
        ".macro BEGIN name\n"
        ".globl \\name\n"
        "\\name:\n"
        "stp x29, x30, [sp, #-160]!\n"
        "stp x19, x20, [sp, #16]\n stp x21, x22, [sp, #32]\n stp x23, x24, [sp, #48]\n"
        "stp x25, x26, [sp, #64]\n stp x27, x28, [sp, #80]\n stp d8, d9, [sp, #96]\n"
        "stp d10, d11, [sp, #112]\n stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
        "sub sp, sp, #1024\n"
        "stp x1, x0, [sp]\n"
        "add x2, x1, #272\n"
        "ld1 {v0.2d-v3.2d}, [x2], #64\n ld1 {v4.2d-v7.2d}, [x2], #64\n"
        "ld1 {v8.2d-v11.2d}, [x2], #64\n ld1 {v12.2d-v15.2d}, [x2], #64\n"
        "ld1 {v16.2d-v19.2d}, [x2], #64\n ld1 {v20.2d-v23.2d}, [x2], #64\n"
        "ld1 {v24.2d-v27.2d}, [x2], #64\n ld1 {v28.2d-v31.2d}, [x2], #64\n"
        "add x3, sp, #512\n mov x4, #32\n"
        "0: stp xzr, xzr, [x3], #16\n subs x4, x4, #1\n b.ne 0b\n"
        "mov x30, x1\n"
        "ldr x0, [x30, #256]\n msr fpcr, x0\n ldr x0, [x30, #264]\n msr fpsr, x0\n"
        "ldr x0, [x30, #248]\n msr nzcv, x0\n"
        "ldp x0, x1, [x30]\n ldp x2, x3, [x30, #16]\n ldp x4, x5, [x30, #32]\n"
        "ldp x6, x7, [x30, #48]\n ldp x8, x9, [x30, #64]\n ldp x10, x11, [x30, #80]\n"
        "ldp x12, x13, [x30, #96]\n ldp x14, x15, [x30, #112]\n ldp x16, x17, [x30, #128]\n"
        "ldp x18, x19, [x30, #144]\n ldp x20, x21, [x30, #160]\n ldp x22, x23, [x30, #176]\n"
        "ldp x24, x25, [x30, #192]\n ldp x26, x27, [x30, #208]\n ldr x29, [x30, #232]\n"
        "ldr x30, [x30, #240]\n"
        "ldr x28, [sp, #8]\n"
        "1:\n"
        ".endm\n"
        ".macro END\n"
        "sub x28, x28, #1\n"
        "cbnz x28, 1b\n"
        "str x30, [sp, #256]\n"
        "ldr x30, [sp]\n"
        "stp x0, x1, [x30]\n stp x2, x3, [x30, #16]\n stp x4, x5, [x30, #32]\n"
        "stp x6, x7, [x30, #48]\n stp x8, x9, [x30, #64]\n stp x10, x11, [x30, #80]\n"
        "stp x12, x13, [x30, #96]\n stp x14, x15, [x30, #112]\n stp x16, x17, [x30, #128]\n"
        "stp x18, x19, [x30, #144]\n stp x20, x21, [x30, #160]\n stp x22, x23, [x30, #176]\n"
        "stp x24, x25, [x30, #192]\n stp x26, x27, [x30, #208]\n stp x28, x29, [x30, #224]\n"
        "ldr x0, [sp, #256]\n str x0, [x30, #240]\n"
        "mrs x0, nzcv\n str x0, [x30, #248]\n mrs x0, fpcr\n str x0, [x30, #256]\n"
        "mrs x0, fpsr\n str x0, [x30, #264]\n"
        "msr fpcr, xzr\n"
        "add x2, x30, #272\n"
        "st1 {v0.2d-v3.2d}, [x2], #64\n st1 {v4.2d-v7.2d}, [x2], #64\n"
        "st1 {v8.2d-v11.2d}, [x2], #64\n st1 {v12.2d-v15.2d}, [x2], #64\n"
        "st1 {v16.2d-v19.2d}, [x2], #64\n st1 {v20.2d-v23.2d}, [x2], #64\n"
        "st1 {v24.2d-v27.2d}, [x2], #64\n st1 {v28.2d-v31.2d}, [x2], #64\n"
        "add sp, sp, #1024\n"
        "ldp x19, x20, [sp, #16]\n ldp x21, x22, [sp, #32]\n ldp x23, x24, [sp, #48]\n"
        "ldp x25, x26, [sp, #64]\n ldp x27, x28, [sp, #80]\n ldp d8, d9, [sp, #96]\n"
        "ldp d10, d11, [sp, #112]\n ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n"
        "ldp x29, x30, [sp], #160\n"
        "ret\n"
        ".endm\n"

        // Flags from instruction to instruction, over branches and the loop's own edge.
        "BEGIN flags\n"
        "adcs x0, x0, x1\n adcs x1, x1, x2\n sbcs x2, x2, x3\n csel x3, x3, x4, hi\n"
        "ccmp x3, x5, #5, ge\n csinc x4, x4, x3, lt\n b.vs 2f\n add x5, x5, #7\n"
        "2: eor x5, x5, x0, ror #13\n tst x5, #0xff00\n csneg x19, x19, x20, mi\n"
        "subs w20, w20, w5\n cinv x20, x20, cc\n cbz x20, 3f\n ccmn x19, #3, #10, ne\n"
        "3: b.ls 4f\n eor x6, x6, x19\n tbnz x6, #37, 4f\n adds x7, x7, x6, lsl #3\n"
        "4: csinv x8, x8, x7, gt\n adc x9, x9, x8\n negs x10, x9\n ngc x11, x11\n"
        "bics x12, x12, x11\n cset x13, eq\n sub x14, x14, x13\n"
        // Instructions that are translated together.
        "mov x15, #0x1234\n movk x15, #0x5678, lsl #16\n movk x15, #0x9abc, lsl #48\n"
        "eor x16, x16, x15\n adrp x17, flags\n add x17, x17, #8\n adrp x18, flags\n"
        "sub x17, x17, x18\n rbit x21, x16\n clz x21, x21\n add x22, x22, x21\n mov x18, #0\n"
        "cmp w14, w0, sxtb #1\n"
        "END\n"

        // A loop that wants other host registers than the fixed ones.
        "BEGIN other_registers\n"
        "add x6, x6, x7\n eor x7, x7, x8, ror #7\n add x8, x8, x9, lsl #2\n sub x9, x9, x10\n"
        "orr x10, x10, x11, lsr #5\n add x11, x11, x12\n eor x12, x12, x13, ror #19\n"
        "madd x13, x14, x15, x13\n add x14, x14, x16\n eor x15, x15, x17, asr #3\n"
        "mov x18, #20\n"
        "2: add x16, x16, x21\n eor x17, x17, x16, ror #11\n adds x21, x21, x22\n"
        "adc x22, x22, x23\n csel x23, x23, x24, cs\n ror x24, x24, #9\n umulh x25, x24, x22\n"
        "add x26, x26, x25\n add x27, x27, x26, uxtw #1\n subs x18, x18, #1\n b.ne 2b\n"
        "cmp x26, x27\n cinc x6, x6, hi\n"
        "END\n"

        // Calls, returns, returns that do not match their calls, jumps through registers.
        "BEGIN calls\n"
        "bl 5f\n"
        "adr x9, 5f\n blr x9\n"
        "adr x30, 2f\n ret\n"
        "2: adr x10, 3f\n br x10\n"
        "nop\n"
        "3: add x0, x0, x30\n and x0, x0, #0xffffffff\n adr x9, flags\n sub x0, x0, x9\n"
        "mov x11, #6\n bl 6f\n"
        "b 8f\n"
        "5: adds x1, x1, x2\n cinc x3, x3, cs\n eor x2, x2, x1, ror #3\n ret\n"
        "6: stp x29, x30, [sp, #-16]!\n mov x29, sp\n subs x11, x11, #1\n b.eq 7f\n bl 6b\n"
        "7: eor x4, x4, x11\n add x5, x5, x4, lsl #1\n ldp x29, x30, [sp], #16\n ret\n"
        "8: mov x29, #0\n mov x30, #0\n mov x9, #0\n mov x10, #0\n mov x0, #0\n"
        "END\n"

        // Floating point: flags of compares, traps into C for NaNs, infinities and conversions.
        "BEGIN floating\n"
        "fadd d0, d0, d1\n fmul d2, d1, d3\n fmadd d4, d2, d3, d4\n fcmp d0, d4\n"
        "fcsel d5, d5, d6, gt\n cset x0, le\n fccmp d5, d2, #3, ne\n csinc x1, x1, x0, vc\n"
        "fdiv d7, d1, d30\n fsub d8, d7, d7\n fcmp d8, d8\n cset x2, vs\n fsqrt d9, d10\n"
        "fcvtzs x3, d7\n fcvtzu w4, d4\n scvtf d11, x3\n fmla v12.2d, v13.2d, v14.2d\n"
        "fmin v15.4s, v16.4s, v17.4s\n fmaxnm v18.4s, v19.4s, v20.4s\n frintx d21, d4\n"
        "fadd v22.4s, v22.4s, v23.4s\n fmul v24.2d, v24.2d, v25.2d\n fcmgt v26.2d, v4.2d, v0.2d\n"
        "bsl v26.16b, v27.16b, v28.16b\n fmov x5, d22\n eor x6, x6, x5\n"
        "END\n"

        // Vector integer, permutations, crypto, saturation.
        "BEGIN vectors\n"
        "add v0.4s, v0.4s, v1.4s\n sqadd v2.8h, v2.8h, v3.8h\n uqsub v4.16b, v4.16b, v5.16b\n"
        "tbl v6.16b, {v7.16b, v8.16b}, v9.16b\n ext v10.16b, v10.16b, v11.16b, #5\n"
        "mla v12.4s, v13.4s, v14.4s\n umull v15.2d, v16.2s, v17.2s\n addv s18, v0.4s\n"
        "zip1 v19.8h, v20.8h, v21.8h\n uzp2 v22.4s, v23.4s, v24.4s\n cnt v25.16b, v26.16b\n"
        "ushl v27.2d, v28.2d, v29.2d\n eor v30.16b, v30.16b, v0.16b\n umov x0, v30.d[1]\n"
        "ins v31.d[0], x0\n sshr v13.4s, v0.4s, #3\n xtn v26.8b, v0.8h\n rev64 v23.4s, v0.4s\n"
        "aese v3.16b, v5.16b\n aesmc v3.16b, v3.16b\n eor v7.16b, v7.16b, v3.16b\n"
        "aesd v7.16b, v9.16b\n aesimc v7.16b, v7.16b\n"
        "cmhi v20.16b, v0.16b, v4.16b\n uaddlv d21, v0.4s\n adds x1, x1, x0\n adc x2, x2, x1\n"
        "END\n"

        // Memory: write-back, pairs, structures, exclusives.
        "BEGIN memory\n"
        "add x9, sp, #512\n"
        "stp x0, x1, [x9], #16\n str x2, [x9, #8]!\n stp q0, q1, [x9, #16]!\n"
        "ldp x3, x4, [x9, #-24]!\n ldr x5, [x9], #8\n ldr q2, [x9, #16]\n"
        "add x10, sp, #640\n st4 {v3.4s-v6.4s}, [x10], #64\n sub x10, x10, #64\n"
        "ld3 {v7.8h-v9.8h}, [x10], #48\n st1 {v10.b}[3], [x10], #1\n ld1r {v11.2d}, [x10]\n"
        "add x11, sp, #768\n"
        "2: ldxr x12, [x11]\n add x12, x12, #3\n stxr w13, x12, [x11]\n cbnz w13, 2b\n"
        "add x14, sp, #784\n"
        "3: ldaxp x15, x16, [x14]\n adds x15, x15, x12\n adc x16, x16, x15\n"
        "stlxp w13, x15, x16, [x14]\n cbnz w13, 3b\n"
        "stlr x16, [x14, #0]\n ldar x17, [x11]\n ldrsb x18, [x14, #1]\n prfm pldl1keep, [x14]\n"
        "ldur w19, [x14, #3]\n adds x0, x0, x19\n cinc x1, x1, cs\n eor x2, x2, x15, ror #5\n"
        "mov x9, #0\n mov x10, #0\n mov x11, #0\n mov x14, #0\n"
        "END\n"

        // Instructions done in C, in a loop that never leaves translated code.
        "BEGIN helpers\n"
        "mrs x9, cntvct_el0\n mov x9, #0\n mrs x10, fpsr\n orr x10, x10, #8\n msr fpsr, x10\n"
        "mrs x11, fpcr\n eor x11, x11, #0x400000\n msr fpcr, x11\n fadd d0, d0, d1\n"
        "mrs x12, nzcv\n eor x12, x12, #0x20000000\n msr nzcv, x12\n adcs x0, x0, x1\n"
        "csel x2, x2, x0, mi\n mrs x9, cntvct_el0\n mov x9, #0\n crc32x w3, w3, x0\n"
        "END\n"
        ".globl kernels_end\n"
        "kernels_end: nop\n");

typedef void kernel(uint64_t n, struct state *);
extern kernel flags, other_registers, calls, floating, vectors, memory, helpers;
extern char kernels_end[];
static const struct {
    kernel *run;
    const char *name;
    uint64_t n;
} kernels[] = {
    {flags, "flags", 20000},     {other_registers, "other_registers", 1000},
    {calls, "calls", 4000},      {floating, "floating", 1000},
    {vectors, "vectors", 10000}, {memory, "memory", 6000},
    {helpers, "helpers", 1500},
};

static void fill(struct state *s, unsigned seed) {
    uint64_t *p = (uint64_t *)s, h = seed * 0x9e3779b97f4a7c15 + 1;
    for (unsigned i = 0; i < sizeof *s / 8; i++) {
        h ^= h << 13, h ^= h >> 7, h ^= h << 17;
        p[i] = h;
    }
    s->nzcv &= 0xf0000000;
    s->fpcr = (uint64_t)(seed & 3) << 22;
    s->fpsr = 0;
    static const double number[6] = {1.5, 1e-3, -7.25, 0.999, 1e10, -0.5};
    for (unsigned i = 0; i < 64; i += 3)
        memcpy(&s->v[i], &number[i % 6], 8);
    s->v[60] = 0; // D30: the divisor
}

static atomic_long handled, inside;
static void spoil(int sig, siginfo_t *si, void *context) {
    (void)sig, (void)si;
    ucontext_t *u = context;
    atomic_fetch_add(&handled, 1);
    if (u->uc_mcontext.pc >= (uintptr_t)flags && u->uc_mcontext.pc < (uintptr_t)kernels_end)
        atomic_fetch_add(&inside, 1);
    __asm__ volatile("msr fpcr, %0\n msr fpsr, %0\n movi v0.16b, #0x55\n"
                     "mov v1.16b, v0.16b\n mov v2.16b, v0.16b\n mov v3.16b, v0.16b\n"
                     "mov v4.16b, v0.16b\n mov v5.16b, v0.16b\n mov v6.16b, v0.16b\n"
                     "mov v7.16b, v0.16b\n mov v8.16b, v0.16b\n mov v12.16b, v0.16b\n"
                     "mov v16.16b, v0.16b\n mov v17.16b, v0.16b\n mov v18.16b, v0.16b\n"
                     "mov v19.16b, v0.16b\n mov v20.16b, v0.16b\n mov v25.16b, v0.16b\n"
                     "mov v31.16b, v0.16b\n"
                     "mov x1, #1\n mov x2, #2\n mov x3, #3\n mov x4, #4\n mov x5, #5\n"
                     "mov x6, #6\n mov x7, #7\n mov x8, #8\n mov x9, #9\n mov x10, #10\n"
                     "mov x11, #11\n mov x12, #12\n mov x13, #13\n mov x14, #14\n mov x15, #15\n"
                     "mov x16, #16\n mov x17, #17\n mov x19, #19\n mov x20, #20\n mov x21, #21\n"
                     "mov x22, #22\n mov x23, #23\n mov x24, #24\n mov x25, #25\n mov x26, #26\n"
                     "mov x27, #27\n mov x28, #28\n adds xzr, x1, x2\n"
                     :
                     : "r"(0x400000ul)
                     : "cc", "memory", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10",
                       "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x19", "x20", "x21", "x22",
                       "x23", "x24", "x25", "x26", "x27", "x28", "v0", "v1", "v2", "v3", "v4", "v5",
                       "v6", "v7", "v8", "v12", "v16", "v17", "v18", "v19", "v20", "v25", "v31");
}

static bool same(const struct state *got, const struct state *want, const char *name) {
    const uint64_t *g = (const uint64_t *)got, *w = (const uint64_t *)want;
    bool ok = true;
    for (unsigned i = 0; i < sizeof *got / 8; i++)
        if (g[i] != w[i]) {
            const char *kind = i < 31 ? "x" : i == 31 ? "nzcv" : i == 32 ? "fpcr" : "fpsr";
            if (i < 34)
                FAIL("%s: %s%u is %#lx, not %#lx", name, kind, i, g[i], w[i]);
            else
                FAIL("%s: v%u.d[%u] is %#lx, not %#lx", name, (i - 34) / 2, i & 1, g[i], w[i]);
            ok = false;
        }
    return ok;
}

// Runs each kernel without signals, then again and again with them.
static void run_kernels(void (*storm)(bool on)) {
    enum { STATES = 4, N = sizeof kernels / sizeof *kernels };
    static struct state in[STATES], want[N][STATES];
    for (unsigned i = 0; i < STATES; i++) {
        fill(&in[i], i);
        for (unsigned k = 0; k < N; k++) {
            want[k][i] = in[i];
            kernels[k].run(kernels[k].n, &want[k][i]);
        }
    }
    storm(true);
    for (long r = 0; r < rounds; r++)
        for (unsigned k = 0; k < N; k++) {
            struct state s = in[r % STATES];
            kernels[k].run(kernels[k].n, &s);
            if (!same(&s, &want[k][r % STATES], kernels[k].name))
                _exit(1);
        }
    storm(false);
    CHECK(handled > rounds);
    CHECK(inside > handled / 4);
}

static void timer_storm(bool on) {
    struct itimerval every = {{0, on ? 100 : 0}, {0, on ? 100 : 0}};
    REQUIRE(setitimer(ITIMER_REAL, &every, NULL) == 0);
}

TEST(registers_under_setitimer) {
    handle(SIGALRM, spoil, SA_SIGINFO | SA_RESTART);
    run_kernels(timer_storm);
}

// Two POSIX timers whose handlers nest.
static void posix_timers(bool on) {
    static timer_t timer[2];
    for (int i = 0; i < 2; i++) {
        struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + i};
        if (on)
            REQUIRE(timer_create(CLOCK_MONOTONIC, &e, &timer[i]) == 0);
        struct itimerspec every = {{0, on ? 150000 + i * 37000 : 0}, {0, on ? 1000 : 0}};
        REQUIRE(timer_settime(timer[i], 0, &every, NULL) == 0);
    }
}

TEST(registers_under_nested_timers) {
    handle(SIGRTMIN, spoil, SA_SIGINFO | SA_RESTART | SA_NODEFER);
    handle(SIGRTMIN + 1, spoil, SA_SIGINFO | SA_RESTART | SA_NODEFER);
    run_kernels(posix_timers);
}

// One signal after the other at a thread that never leaves its loop: each must be taken at once.
static atomic_int stop;
static void acknowledge(int sig, siginfo_t *si, void *context) {
    spoil(sig, si, context);
    if (atomic_load(&stop))
        ((ucontext_t *)context)->uc_mcontext.regs[28] = 1;
}

static void *endless(void *arg) {
    struct state s;
    fill(&s, 1);
    ((kernel *)arg)(1ull << 60, &s);
    return NULL;
}

TEST(no_signal_waits) {
    handle(SIGUSR1, acknowledge, SA_SIGINFO);
    for (unsigned k = 0; k < ARRAY_LEN(kernels); k++) {
        pthread_t t;
        handled = stop = 0;
        REQUIRE(pthread_create(&t, NULL, endless, (void *)kernels[k].run) == 0);
        for (long i = 0; i < rounds * 5; i++) {
            if (i == rounds * 5 - 1) {
                sleep_ms(1); // in the loop by now, so that the last one ends it
                stop = 1;
            }
            REQUIRE(pthread_kill(t, SIGUSR1) == 0);
            int64_t until = now_ns() + 5000000000;
            while (atomic_load(&handled) <= i && now_ns() < until)
                ;
            if (handled <= i) {
                FAIL("%s: signal %ld is not taken", kernels[k].name, i);
                _exit(1);
            }
        }
        pthread_join(t, NULL);
    }
}
#else
TEST(registers) {
    SKIP("the kernels are A64 code");
}
#endif
