// Code made at run time: writable-and-executable memory, write-then-protect, dual mappings,
// rewriting under running threads, unmapping and mapping other code at the same address, patching
// the program.
#include "check.h"
#include <pthread.h>
#include <setjmp.h>

// Code that returns V (0..65535), then code that adds V to its argument.
#ifdef __aarch64__
enum { CODE = 8 };
static void emit_return(void *at, unsigned v) {
    uint32_t code[2] = {0x52800000 | v << 5, 0xd65f03c0}; // mov w0, #v; ret
    memcpy(at, code, sizeof code);
}
static void emit_add(void *at, unsigned v) {
    uint32_t code[2] = {0x11000000 | v << 10, 0xd65f03c0}; // add w0, w0, #v; ret
    memcpy(at, code, sizeof code);
}
// mov w0, #v in one instruction word: what a JIT patches in place.
static void patch_return(void *at, unsigned v) {
    __atomic_store_n((uint32_t *)at, 0x52800000 | v << 5, __ATOMIC_RELEASE);
}
#else
enum { CODE = 8 };
static void emit_return(void *at, unsigned v) {
    unsigned char code[8] = {0xb8, v, v >> 8, 0, 0, 0xc3, 0x90, 0x90};
    memcpy(at, code, sizeof code);
}
static void emit_add(void *at, unsigned v) {
    unsigned char code[8] = {0x8d, 0x87, v, v >> 8, 0, 0, 0xc3, 0x90};
    memcpy(at, code, sizeof code);
}
static void patch_return(void *at, unsigned v) {
    uint64_t code = 0xc300000000b8 | (uint64_t)v << 8;
    __atomic_store_n((uint64_t *)at, 0x9090000000000000 | code, __ATOMIC_RELEASE);
}
#endif

typedef unsigned function(unsigned);

static void flush(void *at, size_t length) {
    __builtin___clear_cache(at, (char *)at + length);
}

static char *code_memory(size_t length, int prot) {
    char *p = mmap(NULL, length, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    return p;
}

TEST(rewriting_writable_code) {
    char *p = code_memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (unsigned i = 0; i < 3000; i++) {
        emit_return(p, i);
        flush(p, CODE);
        CHECK_EQ(((function *)p)(0), i);
    }
}

TEST(write_then_protect) {
    char *p = code_memory(4096, PROT_READ | PROT_WRITE);
    for (unsigned i = 0; i < 500; i++) {
        REQUIRE(mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0);
        emit_add(p + 64, i);
        flush(p + 64, CODE);
        REQUIRE(mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0);
        CHECK_EQ(((function *)(p + 64))(1000), 1000 + i);
    }
}

TEST(many_functions_on_one_page_are_independent) {
    char *p = code_memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    enum { N = 4096 / CODE };
    for (unsigned i = 0; i < N; i++)
        emit_return(p + i * CODE, i);
    flush(p, 4096);
    for (unsigned i = 0; i < N; i++)
        CHECK_EQ(((function *)(p + i * CODE))(0), i);
    // Rewrite every other one: its neighbours stay.
    for (unsigned i = 0; i < N; i += 2) {
        emit_return(p + i * CODE, i + 5000);
        flush(p + i * CODE, CODE);
        CHECK_EQ(((function *)(p + i * CODE))(0), i + 5000);
        CHECK_EQ(((function *)(p + (i + 1) * CODE))(0), i + 1);
    }
}

TEST(two_mappings_of_the_same_code) {
    QEMU_WRONG("finds changed code by the written page, not by IC IVAU");
    int fd = memfd_create("code", 0);
    REQUIRE(fd != -1 && ftruncate(fd, 4096) == 0);
    char *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *x = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    REQUIRE(w != MAP_FAILED && x != MAP_FAILED);
    for (unsigned i = 0; i < 1000; i++) {
        emit_return(w, i);
        // Arm ARM B2.4.4: maintenance is by the address that executes; data side by either.
        flush(w, CODE);
        flush(x, CODE);
        CHECK_EQ(((function *)x)(0), i);
    }
}

TEST(other_code_mapped_at_the_same_address) {
    char *p = code_memory(8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (unsigned i = 0; i < 300; i++) {
        emit_return(p, i);
        flush(p, CODE);
        CHECK_EQ(((function *)p)(0), i);
        REQUIRE(munmap(p, 8192) == 0);
        char *q = mmap(p, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        REQUIRE(q == p);
    }
    // Without an unmap between, and from files.
    for (unsigned i = 0; i < 20; i++) {
        char name[16], code[CODE];
        snprintf(name, sizeof name, "code%u", i);
        int fd = open(name, O_RDWR | O_CREAT, 0700);
        emit_return(code, i + 100);
        REQUIRE(write(fd, code, CODE) == CODE);
        REQUIRE(mmap(p, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0) == p);
        close(fd);
        CHECK_EQ(((function *)p)(0), i + 100);
    }
    // mremap moves code, and what was there before is gone.
    char *from = code_memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    emit_return(from, 777);
    flush(from, CODE);
    CHECK_EQ(((function *)from)(0), 777);
    REQUIRE(mremap(from, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
    CHECK_EQ(((function *)p)(0), 777);
}

TEST(code_on_discarded_pages_is_gone) {
    char *p = code_memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    for (unsigned i = 1; i < 100; i++) {
        emit_return(p + 128, i);
        flush(p + 128, CODE);
        CHECK_EQ(((function *)(p + 128))(0), i);
        REQUIRE(madvise(p, 4096, MADV_DONTNEED) == 0);
        CHECK_EQ(p[128], 0);
    }
}

static sigjmp_buf env;
static siginfo_t seen;
static void leave(int sig, siginfo_t *si, void *context) {
    (void)context;
    seen = *si;
    siglongjmp(env, sig);
}

TEST(code_up_to_the_last_byte_of_a_page) {
    char *p = code_memory(8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    REQUIRE(munmap(p + 4096, 4096) == 0);
    emit_return(p + 4096 - CODE, 31);
    flush(p + 4096 - CODE, CODE);
    CHECK_EQ(((function *)(p + 4096 - CODE))(0), 31);
    // The same below a page that cannot be executed, then one that can.
    char *q = code_memory(8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    REQUIRE(mprotect(q + 4096, 4096, PROT_NONE) == 0);
    emit_return(q + 4096 - CODE, 32);
    flush(q + 4096 - CODE, CODE);
    CHECK_EQ(((function *)(q + 4096 - CODE))(0), 32);
}

#ifdef __aarch64__
TEST(running_off_the_end_faults_there) {
    char *p = code_memory(8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    REQUIRE(munmap(p + 4096, 4096) == 0);
    uint32_t *at = (uint32_t *)(p + 4096) - 3;
    at[0] = 0x11000400; // add w0, w0, #1
    at[1] = 0x11000400;
    at[2] = 0x11000400;
    flush(at, 12);
    handle(SIGSEGV, leave, SA_SIGINFO);
    for (volatile int i = 0; i < 100; i++) {
        if (sigsetjmp(env, 1) == 0) {
            ((function *)at)(0);
            FAIL("no fault");
        }
        CHECK_EQ((uintptr_t)seen.si_addr, (uintptr_t)p + 4096);
        CHECK_EQ(seen.si_code, SEGV_MAPERR);
    }
    // Map the next page: now it continues there.
    REQUIRE(mmap(p + 4096, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + 4096);
    emit_add(p + 4096, 100);
    flush(p + 4096, CODE);
    CHECK_EQ(((function *)at)(5), 108);
    // And an instruction of it rewritten changes what falls into it.
    emit_add(p + 4096, 200);
    flush(p + 4096, CODE);
    CHECK_EQ(((function *)at)(5), 208);
}

TEST(entering_a_translated_loop_in_its_middle) {
    char *p = code_memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    // 0: mov w1, #0; 4: add w1, w1, w0; 8: subs w0, w0, #1; 12: b.ne 4; 16: mov w0, w1; 20: ret
    uint32_t code[] = {0x52800001, 0x0b000021, 0x71000400, 0x54ffffc1, 0x2a0103e0, 0xd65f03c0};
    memcpy(p, code, sizeof code);
    flush(p, sizeof code);
    typedef unsigned two(unsigned, unsigned);
    for (unsigned n = 1; n < 100; n++) {
        CHECK_EQ(((two *)p)(n, 55), n * (n + 1) / 2);
        CHECK_EQ(((two *)(p + 4))(n, 1000), 1000 + n * (n + 1) / 2);
        CHECK_EQ(((two *)(p + 8))(n + 1, 7), 7 + n * (n + 1) / 2);
        CHECK_EQ(((two *)(p + 16))(n, n * 9), n * 9);
    }
}
#endif

TEST(code_that_loses_its_permission) {
    char *p = code_memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    handle(SIGSEGV, leave, SA_SIGINFO);
    emit_return(p, 5);
    flush(p, CODE);
    for (volatile int i = 0; i < 100; i++) {
        REQUIRE(mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0);
        CHECK_EQ(((function *)p)(0), 5);
        REQUIRE(mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0);
        if (sigsetjmp(env, 1) == 0) {
            ((function *)p)(0);
            FAIL("ran without PROT_EXEC");
        }
        CHECK(seen.si_code == SEGV_ACCERR && seen.si_addr == p);
    }
    munmap(p, 4096);
    if (sigsetjmp(env, 1) == 0) {
        ((function *)p)(0);
        FAIL("ran after munmap");
    }
    CHECK(seen.si_code == SEGV_MAPERR && seen.si_addr == p);
}

static char *shared_code;
static atomic_uint lowest;
static atomic_int stop;

static void *runs(void *arg) {
    unsigned last = 0;
    uint64_t *calls = arg;
    while (!atomic_load(&stop)) {
        unsigned floor = atomic_load(&lowest), v = ((function *)shared_code)(0);
        // Never older than what had been published before the call, never going back.
        if (v < floor || v < last) {
            FAIL("ran %u after %u, published %u", v, last, floor);
            return NULL;
        }
        last = v;
        ++*calls;
    }
    return NULL;
}

TEST(patching_under_a_running_thread) {
    shared_code = code_memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    emit_return(shared_code, 0);
    flush(shared_code, CODE);
    pthread_t t[2];
    uint64_t calls[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&t[i], NULL, runs, &calls[i]) == 0);
    int64_t until = now_ns() + 500000000;
    unsigned v = 1;
    for (; v < 60000 && now_ns() < until; v++) {
        patch_return(shared_code, v);
        flush(shared_code, CODE);
        // Published: calls that start from now on must return at least this value. Arm ARM B2.4.4:
        // DSB and IC IVAU reach every core; another core's branch sees it in finite time.
        if (v % 64 == 0) {
            sleep_ms(1);
            atomic_store(&lowest, v - 1);
        }
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++) {
        pthread_join(t[i], NULL);
        CHECK(calls[i] > 0);
    }
    CHECK_EQ(((function *)shared_code)(0), v - 1);
    CHECK(v > 64);
}

static void *own_code(void *arg) {
    unsigned id = (uintptr_t)arg;
    for (unsigned i = 0; i < 300; i++) {
        char *p = code_memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
        emit_return(p, (id * 300 + i) & 0xffff);
        flush(p, CODE);
        if (((function *)p)(0) != ((id * 300 + i) & 0xffff))
            FAIL("thread %u round %u", id, i);
        munmap(p, 4096);
    }
    return NULL;
}

TEST(threads_make_and_drop_code_at_once) {
    pthread_t t[4];
    for (uintptr_t i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, own_code, (void *)i) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
}

__attribute__((noinline, aligned(64))) static unsigned patched_function(unsigned x) {
    __asm__ volatile("" : "+r"(x));
    return x * 3 + 1;
}

TEST(patching_the_programs_own_code) {
    unsigned (*volatile f)(unsigned) = patched_function;
    CHECK_EQ(f(5), 16);
    char *page = (char *)((uintptr_t)patched_function & ~4095ul);
    REQUIRE(mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    emit_return((void *)patched_function, 4321);
    flush((void *)patched_function, CODE);
    CHECK_EQ(f(5), 4321);
    // A child has its own copy.
    pid_t pid = CHILD(emit_return((void *)patched_function, 99);
                      flush((void *)patched_function, CODE); CHECK_EQ(f(5), 99));
    CHECK_EXITS(pid, 0);
    CHECK_EQ(f(5), 4321);
}

TEST(code_made_before_a_fork_runs_after_it) {
    char *p = code_memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    emit_return(p, 11);
    flush(p, CODE);
    CHECK_EQ(((function *)p)(0), 11);
    pid_t pid = CHILD(CHECK_EQ(((function *)p)(0), 11); emit_return(p, 22); flush(p, CODE);
                      CHECK_EQ(((function *)p)(0), 22));
    CHECK_EXITS(pid, 0);
    CHECK_EQ(((function *)p)(0), 11);
}

#ifdef __aarch64__
// A function that rewrites the instruction behind itself, as self-modifying code proper does.
TEST(a_function_that_rewrites_itself) {
    char *p = code_memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    // str w0, [x1]; dc cvau, x1; dsb ish; ic ivau, x1; dsb ish; isb; SLOT; ret
    uint32_t code[] = {0xb9000020, 0xd50b7b21, 0xd5033b9f, 0xd50b7521,
                       0xd5033b9f, 0xd5033fdf, 0x52800000, 0xd65f03c0};
    memcpy(p, code, sizeof code);
    flush(p, sizeof code);
    for (unsigned i = 0; i < 2000; i++)
        CHECK_EQ(((unsigned (*)(unsigned, void *))p)(0x52800000 | i << 5, p + 24), i);
}

TEST(a_loop_that_rewrites_its_own_body) {
    // x0 = rounds, x1 = slot; each round patches `add w3, w3, #imm` to the round's number.
    char *p = code_memory(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    uint32_t code[] = {
        0x52800003, // mov w3, #0
        0x11000463, // again: add w3, w3, #1    <- slot
        0x53165402, // lsl w2, w0, #10
        0x11018c42, // add w2, w2, #99  (0x63 = the rd and rn fields of the slot)
        0x52a22004, // mov w4, #0x11000000
        0x2a040042, // orr w2, w2, w4
        0xb9000022, // str w2, [x1]
        0xd50b7b21, // dc cvau, x1
        0xd5033b9f, // dsb ish
        0xd50b7521, // ic ivau, x1
        0xd5033b9f, // dsb ish
        0xd5033fdf, // isb
        0x71000400, // subs w0, w0, #1
        0x54fffe81, // b.ne again
        0x2a0303e0, // mov w0, w3
        0xd65f03c0, // ret
    };
    memcpy(p, code, sizeof code);
    flush(p, sizeof code);
    // The first round adds 1, each later one what the round before patched in: 1 + n + ... + 2.
    CHECK_EQ(((unsigned (*)(unsigned, void *))p)(100, p + 4), 1 + 100 * 101 / 2 - 1);
}
#endif
