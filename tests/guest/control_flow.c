// Calls and returns that are not a neat stack: deep recursion, longjmp, coroutines, hand-made stack
// switches, returns to elsewhere, tail calls, calls without returns, wide indirect calls,
// unwinding.
//
// A translator that maps guest calls onto host calls must come through all of these with the right
// values; none may depend on its prediction being right.
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unwind.h>

// --- depth
// -----------------------------------------------------------------------------------------

static __attribute__((noinline)) uint64_t descend(uint64_t n, uint64_t a) {
    if (n == 0)
        return a;
    uint64_t r = descend(n - 1, a * 3 + n);
    __asm__ volatile("" : "+r"(r)); // keeps it a call
    return r + n;
}

static uint64_t descend_loop(uint64_t n) {
    uint64_t a = 1, sum = 0;
    for (uint64_t i = n; i > 0; i--)
        a = a * 3 + i, sum += i;
    return a + sum;
}

static void *run_on_big_stack(void *arg) {
    uint64_t n = (uintptr_t)arg;
    CHECK_EQ(descend(n, 1), descend_loop(n));
    return NULL;
}

TEST(a_million_frames_deep) {
    pthread_t t;
    pthread_attr_t a;
    pthread_attr_init(&a);
    REQUIRE(pthread_attr_setstacksize(&a, 256 << 20) == 0);
    for (uintptr_t n = 1000; n <= 1000000; n *= 10) {
        REQUIRE(pthread_create(&t, &a, run_on_big_stack, (void *)n) == 0);
        pthread_join(t, NULL);
    }
}

TEST(deep_recursion_many_times) {
    for (int i = 0; i < 200; i++)
        CHECK_EQ(descend(5000 + i, 1), descend_loop(5000 + i));
}

static __attribute__((noinline)) int even(unsigned n);
static __attribute__((noinline)) int odd(unsigned n) {
    return n == 0 ? 0 : even(n - 1);
}
static __attribute__((noinline)) int even(unsigned n) {
    return n == 0 ? 1 : odd(n - 1);
}

static __attribute__((noinline)) uint64_t ackermann(uint64_t m, uint64_t n) {
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

TEST(mutual_and_nested_recursion) {
    for (unsigned n = 0; n < 2000; n += 7)
        CHECK_EQ(even(n), n % 2 == 0);
    CHECK_EQ(ackermann(2, 300), 603);
    CHECK_EQ(ackermann(3, 5), 253);
}

// --- longjmp
// ---------------------------------------------------------------------------------------

static jmp_buf env;
static __attribute__((noinline)) int dive_and_jump(int n) {
    if (n == 0)
        longjmp(env, 77);
    if (n < 0)
        return 0;
    int r = dive_and_jump(n - 1);
    __asm__ volatile("" : "+r"(r));
    return r + 1;
}

TEST(longjmp_over_many_frames) {
    for (volatile int i = 0; i < 20000; i++) {
        volatile int depth = i % 50;
        int r = setjmp(env);
        if (r == 0) {
            dive_and_jump(depth);
            FAIL("returned");
        }
        CHECK_EQ(r, 77);
    }
    for (volatile int i = 0; i < 20; i++)
        if (setjmp(env) == 0)
            dive_and_jump(20000);
}

static jmp_buf outer_env;
static __attribute__((noinline)) void inner_jumps(int n) {
    jmp_buf mine;
    if (setjmp(mine) == 0)
        longjmp(mine, 1);
    if (n == 0)
        longjmp(outer_env, 5);
    if (n < 0)
        return;
    inner_jumps(n - 1);
}

TEST(nested_setjmp) {
    for (volatile int i = 0; i < 500; i++) {
        int r = setjmp(outer_env);
        if (r == 0)
            inner_jumps(30);
        CHECK_EQ(r, 5);
    }
}

// --- other stacks
// ----------------------------------------------------------------------------------

enum { COROUTINES = 50, STACK = 65536 };
static ucontext_t scheduler, coroutine[COROUTINES];
static uint64_t work[COROUTINES];
static __attribute__((noinline)) void yield_at(int i, int depth) {
    if (depth > 0) {
        yield_at(i, depth - 1);
        __asm__ volatile("");
        work[i]++;
        return;
    }
    swapcontext(&coroutine[i], &scheduler);
}
static void body(int i) {
    for (int k = 0;; k++)
        yield_at(i, (i + k) % 20);
}

TEST(coroutines_interleave_deep_stacks) {
    char *stacks =
        mmap(NULL, COROUTINES * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < COROUTINES; i++) {
        getcontext(&coroutine[i]);
        coroutine[i].uc_stack.ss_sp = stacks + i * STACK;
        coroutine[i].uc_stack.ss_size = STACK;
        makecontext(&coroutine[i], (void (*)(void))body, 1, i);
    }
    uint64_t expected[COROUTINES] = {0};
    for (int round = 0; round < 400; round++)
        for (int k = 0; k < COROUTINES; k++) {
            int i = (k * 17 + round) % COROUTINES;
            swapcontext(&scheduler, &coroutine[i]);
            if (round > 0)
                expected[i] += (i + round - 1) % 20;
        }
    for (int i = 0; i < COROUTINES; i++)
        CHECK_EQ(work[i], expected[i]);
}

// --- calls and returns by hand
// ---------------------------------------------------------------------

#ifdef __aarch64__
extern uint64_t return_elsewhere(uint64_t), call_without_return(uint64_t), return_by_br(uint64_t),
    return_by_other_register(uint64_t), call_next(uint64_t), blr_to_x30(uint64_t),
    skip_frames(uint64_t), call_through_chain(uint64_t), return_twice_to_loop(uint64_t),
    tail_calls(uint64_t), stack_switch(uint64_t, void *), thunk_target(uint64_t),
    computed_branch(uint64_t), swap_return_addresses(uint64_t);
__asm__(".text\n .balign 16\n"
        // The callee changes x30 so that it returns behind the caller's next instruction.
        "return_elsewhere:\n"
        "  stp x29, x30, [sp, #-16]!\n"
        "  bl 1f\n"
        "  add x0, x0, #1000\n" // must be skipped
        "  add x0, x0, #1\n"
        "  ldp x29, x30, [sp], #16\n"
        "  ret\n"
        "1: add x30, x30, #4\n"
        "  ret\n"
        // BL used as a way to get an address; the value is never returned to.
        "call_without_return:\n"
        "  mov x9, x30\n"
        "  mov x10, #0\n"
        "2: bl 3f\n"
        "3: add x10, x10, #1\n"
        "  subs x0, x0, #1\n"
        "  b.ne 2b\n"
        "  mov x0, x10\n"
        "  br x9\n"
        "return_by_br:\n"
        "  stp x29, x30, [sp, #-16]!\n"
        "  bl 4f\n"
        "  add x0, x0, #2\n"
        "  ldp x29, x30, [sp], #16\n"
        "  br x30\n"
        "4: add x0, x0, #3\n"
        "  br x30\n"
        "return_by_other_register:\n"
        "  mov x11, x30\n"
        "  bl 5f\n"
        "  add x0, x0, #5\n"
        "  ret x11\n"
        "5: mov x12, x30\n"
        "  bl 6f\n"
        "  add x0, x0, #7\n"
        "  ret x12\n"
        "6: add x0, x0, #11\n"
        "  ret\n"
        "call_next:\n"
        "  mov x9, x30\n"
        "  bl . + 4\n"
        "  bl . + 4\n"
        "  bl . + 4\n"
        "  add x0, x0, #9\n"
        "  ret x9\n"
        // BLR through x30 itself: the target is read before x30 is written.
        "blr_to_x30:\n"
        "  mov x9, x30\n"
        "  adr x30, 7f\n"
        "  blr x30\n"
        "  add x0, x0, #1\n"
        "  ret x9\n"
        "7: add x0, x0, #20\n"
        "  ret\n"
        // The innermost callee returns to the outermost caller, dropping two frames.
        "skip_frames:\n"
        "  stp x29, x30, [sp, #-16]!\n"
        "  mov x9, sp\n"
        "  bl 8f\n"
        "  add x0, x0, #1\n" // dropped
        "8: bl 9f\n"
        "  add x0, x0, #2\n" // dropped
        "9: bl 10f\n"
        "  add x0, x0, #4\n" // dropped
        "10: add x0, x0, #100\n"
        "  mov sp, x9\n"
        "  ldp x29, x30, [sp], #16\n"
        "  ret\n"
        // Twenty calls deep, then one return each.
        "call_through_chain:\n"
        "  mov x10, #20\n"
        "11: stp x10, x30, [sp, #-16]!\n"
        "  subs x10, x10, #1\n"
        "  b.eq 12f\n"
        "  bl 11b\n"
        "12: ldp x10, x30, [sp], #16\n"
        "  add x0, x0, x10\n"
        "  ret\n"
        // One call, the same return address used many times (a loop made of RETs).
        "return_twice_to_loop:\n"
        "  mov x9, x30\n"
        "  mov x10, x0\n"
        "  mov x0, #0\n"
        "  bl 13f\n"
        "  add x0, x0, #3\n"
        "  subs x10, x10, #1\n"
        "  b.eq 14f\n"
        "  ret\n" // x30 still holds the address after the BL
        "13: ret\n"
        "14: ret x9\n"
        // B instead of BL + RET.
        "tail_calls:\n"
        "  cbz x0, 15f\n"
        "  sub x0, x0, #1\n"
        "  b tail_calls_2\n"
        "15: mov x0, #123\n"
        "  ret\n"
        "tail_calls_2:\n"
        "  cbz x0, 15b\n"
        "  sub x0, x0, #1\n"
        "  b tail_calls\n"
        // Runs the callee on another stack.
        "stack_switch:\n"
        "  stp x29, x30, [sp, #-16]!\n"
        "  mov x29, sp\n"
        "  mov sp, x1\n"
        "  bl thunk_target\n"
        "  mov sp, x29\n"
        "  ldp x29, x30, [sp], #16\n"
        "  ret\n"
        "thunk_target:\n"
        "  stp x0, x30, [sp, #-16]!\n"
        "  cbz x0, 16f\n"
        "  sub x0, x0, #1\n"
        "  bl thunk_target\n"
        "16: ldp x1, x30, [sp], #16\n"
        "  add x0, x0, x1\n"
        "  ret\n"
        // A branch table by address arithmetic: falls into the middle of a straight run.
        "computed_branch:\n"
        "  adr x9, 17f\n"
        "  and x10, x0, #15\n"
        "  add x9, x9, x10, lsl #2\n"
        "  mov x0, #0\n"
        "  br x9\n"
        "17:\n"
        "  .rept 16\n"
        "  add x0, x0, #1\n"
        "  .endr\n"
        "  ret\n"
        // Two callees swap their return addresses through the stack.
        "swap_return_addresses:\n"
        "  stp x29, x30, [sp, #-16]!\n"
        "  bl 18f\n"
        "  add x0, x0, #1\n"
        "  ldp x29, x30, [sp], #16\n"
        "  ret\n"
        "18: str x30, [sp, #-16]!\n"
        "  bl 19f\n"
        "  add x0, x0, #10\n"
        "  ldr x30, [sp], #16\n"
        "  ret\n"
        "19: ldr x9, [sp]\n" // the outer return address
        "  str x30, [sp]\n"
        "  mov x30, x9\n"
        "  ldr x9, [sp], #16\n"
        "  add x0, x0, #100\n"
        "  ret\n" // straight to the outermost caller
);

TEST(returns_that_do_not_match_their_call) {
    for (uint64_t i = 1; i < 3000; i++) {
        CHECK_EQ(return_elsewhere(i), i + 1);
        CHECK_EQ(call_without_return(i % 100 + 1), i % 100 + 1);
        CHECK_EQ(return_by_br(i), i + 5);
        CHECK_EQ(return_by_other_register(i), i + 23);
        CHECK_EQ(call_next(i), i + 9);
        CHECK_EQ(blr_to_x30(i), i + 21);
        CHECK_EQ(skip_frames(i), i + 100);
        CHECK_EQ(call_through_chain(i), i + 210);
        CHECK_EQ(return_twice_to_loop(i % 50 + 1), (i % 50 + 1) * 3);
        CHECK_EQ(tail_calls(i), 123);
        CHECK_EQ(computed_branch(i), 16 - (i & 15));
        CHECK_EQ(swap_return_addresses(i), i + 101);
    }
}

TEST(calls_on_another_stack) {
    static char stack[65536] __attribute__((aligned(16)));
    for (uint64_t i = 0; i < 1000; i++)
        CHECK_EQ(stack_switch(i, stack + sizeof stack), i * (i + 1) / 2);
}

// Exclusives: a store without its load fails, CLREX forgets, a changed value is noticed.
TEST(exclusive_accesses) {
    uint64_t word = 5, pair[2] __attribute__((aligned(16))) = {1, 2}, v, w;
    uint32_t status;
    __asm__ volatile("ldxr %0, [%2]\n clrex\n stxr %w1, %3, [%2]"
                     : "=&r"(v), "=&r"(status)
                     : "r"(&word), "r"(9l)
                     : "memory");
    CHECK(v == 5 && status == 1 && word == 5);
    __asm__ volatile("1: ldaxr %0, [%2]\n add %0, %0, #1\n stlxr %w1, %0, [%2]\n cbnz %w1, 1b"
                     : "=&r"(v), "=&r"(status)
                     : "r"(&word)
                     : "memory");
    CHECK(status == 0 && word == 6);
    // Without a load since: fails.
    __asm__ volatile("stxr %w0, %2, [%1]" : "=&r"(status) : "r"(&word), "r"(77l) : "memory");
    CHECK(status == 1 && word == 6);
    __asm__ volatile("1: ldxp %0, %1, [%3]\n add %0, %0, #10\n add %1, %1, #20\n"
                     "stxp %w2, %0, %1, [%3]\n cbnz %w2, 1b"
                     : "=&r"(v), "=&r"(w), "=&r"(status)
                     : "r"(pair)
                     : "memory");
    CHECK(pair[0] == 11 && pair[1] == 22);
    uint8_t byte = 200;
    uint16_t half = 65000;
    __asm__ volatile("1: ldxrb %w0, [%2]\n add %w0, %w0, #100\n stxrb %w1, %w0, [%2]\n cbnz %w1, 1b"
                     : "=&r"(v), "=&r"(status)
                     : "r"(&byte)
                     : "memory");
    CHECK_EQ(byte, 44);
    __asm__ volatile(
        "1: ldaxrh %w0, [%2]\n add %w0, %w0, #2000\n stlxrh %w1, %w0, [%2]\n cbnz %w1, 1b"
        : "=&r"(v), "=&r"(status)
        : "r"(&half)
        : "memory");
    CHECK_EQ(half, 1464);
}
#endif

// --- indirect calls
// --------------------------------------------------------------------------------

#define FUNCTIONS(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define DEFINE(n)                                                \
    static __attribute__((noinline)) uint64_t f##n(uint64_t x) { \
        return x * (2 * n + 3) + n;                              \
    }
FUNCTIONS(DEFINE)
#define NAME(n) f##n,
static uint64_t (*const table[])(uint64_t) = {FUNCTIONS(NAME)};

TEST(indirect_calls_with_many_targets) {
    uint64_t x = 1, y = 1;
    for (uint64_t i = 0; i < 100000; i++) {
        unsigned k = (i * 7 + (i >> 5)) % 16;
        x = table[k](x);
        y = y * (2 * k + 3) + k;
    }
    CHECK_EQ(x, y);
}

TEST(a_bytecode_interpreter) {
    static const unsigned char code[] = {0, 1, 2, 0, 3, 1, 2, 4};
    static void *const label[] = {&&add, &&multiply, &&shift, &&swap, &&loop};
    uint64_t a = 1, b = 7, n = 20000;
    const unsigned char *pc = code;
    goto *label[*pc++];
add:
    a += b;
    goto *label[*pc++];
multiply:
    b = b * 5 + a;
    goto *label[*pc++];
shift:
    a ^= b >> 3;
    goto *label[*pc++];
swap : {
    uint64_t t = a;
    a = b;
    b = t;
    goto *label[*pc++];
}
loop:
    if (--n) {
        pc = code;
        goto *label[*pc++];
    }
    uint64_t c = 1, d = 7;
    for (int i = 0; i < 20000; i++) {
        c += d;
        d = d * 5 + c;
        c ^= d >> 3;
        c += d;
        uint64_t t = c;
        c = d;
        d = t;
        d = d * 5 + c;
        c ^= d >> 3;
    }
    CHECK(a == c && b == d);
}

// --- unwinding
// -------------------------------------------------------------------------------------

static int frames, saw_test;
static void *test_function;
static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *arg) {
    (void)arg;
    if (_Unwind_FindEnclosingFunction((void *)_Unwind_GetIP(context)) == test_function)
        saw_test++;
    return ++frames > 100 ? _URC_END_OF_STACK : _URC_NO_REASON;
}
static void unwind_here(int sig) {
    (void)sig;
    _Unwind_Backtrace(count_frame, NULL);
}

static __attribute__((noinline)) int unwind_from_signal(int n) {
    if (n > 0)
        return unwind_from_signal(n - 1) + 1;
    raise(SIGUSR1);
    return 0;
}

TEST(unwinding_passes_through_a_signal_frame) {
    QEMU_WRONG("its trampoline has no unwind information");
    test_function = (void *)unwind_from_signal;
    handle(SIGUSR1, unwind_here, 0);
    CHECK_EQ(unwind_from_signal(5), 5);
    CHECK(saw_test >= 1);
    CHECK(frames > 6 && frames < 40);
    // From a fault as well.
    handle(SIGSEGV, unwind_here, SA_RESETHAND);
    frames = saw_test = 0;
    pid_t pid = CHILD(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); *(volatile int *)16 = 1);
    CHECK_KILLED(pid, SIGSEGV);
}

static __attribute__((noinline)) int exit_deep(int n) {
    if (n == 0)
        pthread_exit((void *)33);
    if (n < 0)
        return 0;
    int r = exit_deep(n - 1);
    __asm__ volatile("" : "+r"(r));
    return r;
}
static void *deep_exit(void *arg) {
    return (void *)(intptr_t)exit_deep((int)(intptr_t)arg);
}

TEST(pthread_exit_from_deep_inside) {
    for (intptr_t i = 0; i < 200; i++) {
        pthread_t t;
        void *r;
        REQUIRE(pthread_create(&t, NULL, deep_exit, (void *)(i * 10)) == 0);
        REQUIRE(pthread_join(t, &r) == 0);
        CHECK_EQ((intptr_t)r, 33);
    }
}

// --- signals into all of this
// ----------------------------------------------------------------------

static volatile sig_atomic_t ticks;
static void tick(int sig) {
    (void)sig;
    ticks++;
    if (descend(50, 1) != descend_loop(50))
        FAIL("recursion in the handler");
}

TEST(signals_during_deep_recursion) {
    timer_t t;
    struct itimerspec often = {{0, 500000}, {0, 500000}}, off = {{0, 0}, {0, 0}};
    handle(SIGALRM, tick, 0);
    REQUIRE(timer_create(CLOCK_MONOTONIC, NULL, &t) == 0 && timer_settime(t, 0, &often, NULL) == 0);
    int64_t until = now_ns() + 300000000;
    while (now_ns() < until) {
        CHECK_EQ(descend(3000, 1), descend_loop(3000));
        volatile int depth = 100;
        if (setjmp(env) == 0)
            dive_and_jump(depth);
    }
    timer_settime(t, 0, &off, NULL);
    CHECK(ticks > 20);
}

static void jump_from_tick(int sig) {
    (void)sig;
    ticks++;
    longjmp(env, 1);
}

TEST(longjmp_from_an_asynchronous_signal) {
    timer_t t;
    struct itimerspec soon = {{0, 0}, {0, 200000}};
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    handle(SIGALRM, jump_from_tick, SA_NODEFER);
    REQUIRE(timer_create(CLOCK_MONOTONIC, NULL, &t) == 0);
    for (volatile int i = 0; i < 300; i++) {
        if (setjmp(env) == 0) {
            timer_settime(t, 0, &soon, NULL);
            for (volatile uint64_t n = 1000;; n++)
                if (descend(n % 500, 1) != descend_loop(n % 500))
                    FAIL("recursion");
        }
    }
    CHECK_EQ(ticks, 300);
}
