// Code that appears, changes and goes while other threads run code: what a JIT does to the engine's
// cache. Argument: the rounds of each test.
#define STRESS_ROUNDS 2000
#include "check.h"
#include <pthread.h>

#ifdef __aarch64__
static void emit(void *at, unsigned v) {
    uint32_t code[2] = {0x52800000 | v << 5, 0xd65f03c0}; // mov w0, #v; ret
    memcpy(at, code, sizeof code);
    __builtin___clear_cache(at, (char *)at + 8);
}
#else
static void emit(void *at, unsigned v) {
    unsigned char code[8] = {0xb8, v, v >> 8, 0, 0, 0xc3, 0x90, 0x90};
    memcpy(at, code, sizeof code);
    __builtin___clear_cache(at, (char *)at + 8);
}
#endif

typedef unsigned function(void);

static char *code_pages(size_t length) {
    char *p =
        mmap(NULL, length, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    return p;
}

static void *own_pages(void *arg) {
    unsigned id = (unsigned)(uintptr_t)arg;
    for (long i = 0; i < rounds; i++) {
        char *p = code_pages(8192);
        for (int k = 0; k < 8; k++)
            emit(p + k * 512, (id + i + k) & 0xffff);
        for (int k = 0; k < 8; k++)
            if (((function *)(p + k * 512))() != ((id + i + k) & 0xffff))
                FAIL("thread %u round %ld", id, i);
        if (i & 1)
            mprotect(p, 8192, PROT_READ);
        munmap(p, 8192);
    }
    return NULL;
}

TEST(threads_with_their_own_code) {
    pthread_t t[3];
    for (uintptr_t i = 0; i < 3; i++)
        REQUIRE(pthread_create(&t[i], NULL, own_pages, (void *)(i * 1000)) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
}

enum { SLOTS = 256 };
static char *shared;
static atomic_int stop;

static void *run_shared(void *arg) {
    unsigned slot = 0;
    while (!atomic_load(&stop)) {
        slot = (slot * 5 + 1) % SLOTS;
        unsigned v = ((function *)(shared + slot * 64))();
        // A slot's values are its number plus a multiple of SLOTS; anything else is torn or
        // foreign.
        if (v % SLOTS != slot)
            FAIL("slot %u returned %u", slot, v);
    }
    return arg;
}

TEST(rewriting_under_running_threads) {
    shared = code_pages(SLOTS * 64);
    for (unsigned i = 0; i < SLOTS; i++)
        emit(shared + i * 64, i);
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&t[i], NULL, run_shared, NULL) == 0);
    for (long i = 0; i < rounds * 5; i++) {
        unsigned slot = (i * 7919) % SLOTS, v = (slot + SLOTS * (i % 200)) & 0xffff;
        // One aligned word is replaced at once, as Arm ARM B2.2.5 allows for concurrent execution.
#ifdef __aarch64__
        __atomic_store_n((uint32_t *)(shared + slot * 64), 0x52800000 | v << 5, __ATOMIC_RELEASE);
#else
        __atomic_store_n((uint64_t *)(shared + slot * 64), 0x9090c300000000b8 | (uint64_t)v << 8,
                         __ATOMIC_RELEASE);
#endif
        __builtin___clear_cache(shared + slot * 64, shared + slot * 64 + 8);
        REQUIRE(((function *)(shared + slot * 64))() == v);
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}

TEST(much_code) {
    // More code than fits a small cache: 1 MB of functions, each called several times.
    enum { FUNCTIONS = 16384 };
    char *p = code_pages(FUNCTIONS * 64);
    for (unsigned i = 0; i < FUNCTIONS; i++)
        emit(p + i * 64, i);
    for (long pass = 0; pass < 1 + rounds / 200; pass++)
        for (unsigned i = 0; i < FUNCTIONS; i++)
            REQUIRE(((function *)(p + i * 64))() == i);
}

TEST(code_and_fork) {
    char *p = code_pages(4096);
    for (long i = 0; i < rounds / 4; i++) {
        emit(p, i & 0xffff);
        REQUIRE(((function *)p)() == (i & 0xffff));
        pid_t pid = CHILD({
            unsigned before = ((function *)p)();
            emit(p, 7);
            _exit(before == (i & 0xffff) && ((function *)p)() == 7 ? 0 : 1);
        });
        REQUIRE(CHECK_EXITS(pid, 0));
        REQUIRE(((function *)p)() == (i & 0xffff));
    }
}
