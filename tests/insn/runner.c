/*
 * runner.c - the guest side of the instruction tester: runs each case of a file, writes the
 * results.
 *
 *   runner CASES RESULTS FIRST
 *
 * Freestanding and without vector registers, so it needs next to nothing of the emulator under
 * test: a few system calls, plain integer code, and signals. A fault in a case is part of its
 * result. A fault anywhere else ends the runner with status 99; the host tool then knows from
 * `current` which case did it.
 */
#include <linux/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <stddef.h>

#include "case.h"

void enter_case(const struct insn_state *before, uint64_t entry);
void signal_return(void);
extern const char exit_stub[], exit_stub_end[], after_fault[];
int runner_main(const uint64_t *initial_stack);

_Static_assert(offsetof(struct insn_state, sp) == 248, "runner_asm.S");
_Static_assert(offsetof(struct insn_state, nzcv) == 264, "runner_asm.S");
_Static_assert(offsetof(struct insn_state, fpcr) == 272, "runner_asm.S");
_Static_assert(offsetof(struct insn_state, fpsr) == 280, "runner_asm.S");
_Static_assert(offsetof(struct insn_state, tpidr) == 288, "runner_asm.S");
_Static_assert(offsetof(struct insn_state, v) == 304, "runner_asm.S");
_Static_assert(sizeof(struct insn_result) % 8 == 0, "compared in words");

struct insn_state run_after; /* the exit stub stores here */
static struct insn_result *result;
static volatile int inside_case;
static char signal_stack[65536] __attribute__((aligned(16)));

static long call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    register uint64_t x8 __asm__("x8") = nr;
    register uint64_t x0 __asm__("x0") = a;
    register uint64_t x1 __asm__("x1") = b;
    register uint64_t x2 __asm__("x2") = c;
    register uint64_t x3 __asm__("x3") = d;
    register uint64_t x4 __asm__("x4") = e;
    register uint64_t x5 __asm__("x5") = f;
    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return (long)x0;
}

static void fail(const char *message) {
    uint64_t length = 0;
    while (message[length])
        length++;
    call(__NR_write, 2, (uint64_t)message, length, 0, 0, 0);
    call(__NR_exit_group, 99, 0, 0, 0, 0, 0);
}

static void copy_words(volatile uint32_t *dst, const uint32_t *src, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        dst[i] = src[i];
}

static void *map_file(const char *path, int prot, int flags) {
    long fd = call(__NR_openat, AT_FDCWD, (uint64_t)path, flags, 0, 0, 0);
    if (fd < 0)
        fail("runner: cannot open a file\n");
    /* The host tool made both files at their full size; past the end nobody touches. */
    struct {
        uint64_t words[16];
    } stat_buffer;
    if (call(__NR_fstat, fd, (uint64_t)&stat_buffer, 0, 0, 0, 0) < 0)
        fail("runner: fstat failed\n");
    long p = call(__NR_mmap, 0, stat_buffer.words[6], prot, MAP_SHARED, fd, 0); /* [6] is st_size */
    if (p < 0 && p > -4096)
        fail("runner: cannot map a file\n");
    return (void *)p;
}

static void map_fixed(uint64_t address, uint64_t length, int prot) {
    long p = call(__NR_mmap, address, length, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if ((uint64_t)p != address)
        fail("runner: cannot map memory at a fixed address\n");
}

/* Arm ARM B2.4.4: clean to the point of unification, then invalidate the instruction cache. */
static void publish_code(uint64_t start, uint64_t end) {
    uint64_t ctr;
    __asm__ volatile("mrs %0, ctr_el0" : "=r"(ctr));
    uint64_t dline = 4ull << ((ctr >> 16) & 15), iline = 4ull << (ctr & 15);
    for (uint64_t p = start & -dline; p < end; p += dline)
        __asm__ volatile("dc cvau, %0" ::"r"(p) : "memory");
    __asm__ volatile("dsb ish" ::: "memory");
    for (uint64_t p = start & -iline; p < end; p += iline)
        __asm__ volatile("ic ivau, %0" ::"r"(p) : "memory");
    __asm__ volatile("dsb ish\n\tisb" ::: "memory");
}

static void on_signal(int signal, struct siginfo *info, struct ucontext *context) {
    struct sigcontext *sc = &context->uc_mcontext;
    if (!inside_case)
        fail("runner: fault outside of a case\n");
    inside_case = 0;
    struct insn_state *s = &result->after;
    result->signal = signal;
    result->code = info->si_code;
    result->fault_address = (uint64_t)info->si_addr;
    for (int i = 0; i < 31; i++)
        s->x[i] = sc->regs[i];
    s->sp = sc->sp;
    s->pc = sc->pc;
    s->nzcv = sc->pstate & 0xf0000000;
    struct fpsimd_context *fp = (struct fpsimd_context *)sc->__reserved;
    while (fp->head.magic && fp->head.magic != FPSIMD_MAGIC)
        fp = (struct fpsimd_context *)((char *)fp + fp->head.size);
    if (fp->head.magic != FPSIMD_MAGIC)
        fail("runner: signal frame without FPSIMD state\n");
    s->fpcr = fp->fpcr;
    s->fpsr = fp->fpsr;
    const uint64_t *v = (const uint64_t *)fp->vregs;
    for (int i = 0; i < 64; i++)
        s->v[i / 2][i % 2] = v[i];
    sc->pc = (uint64_t)after_fault;
    sc->pstate &= ~0xf0000000ull;
}

static void catch_signals(void) {
    static const int signals[] = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV};
    struct {
        void *sp;
        int flags;
        uint64_t size;
    } stack = {signal_stack, 0, sizeof signal_stack};
    if (call(__NR_sigaltstack, (uint64_t)&stack, 0, 0, 0, 0, 0) < 0)
        fail("runner: sigaltstack failed\n");
    struct {
        void (*handler)(int, struct siginfo *, struct ucontext *);
        uint64_t flags;
        void (*restorer)(void);
        uint64_t mask;
    } action = {on_signal, SA_SIGINFO | SA_ONSTACK | SA_RESTORER, signal_return, 0};
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (call(__NR_rt_sigaction, signals[i], (uint64_t)&action, 0, 8, 0, 0) < 0)
            fail("runner: rt_sigaction failed\n");
}

/* A store that runs into a page it may not write can leave what lies before the page written, or
 * not: PARTIAL_BYTES of it. */
#define PARTIAL_BYTES 128

static int may_be_partial(uint64_t address) {
    if (result->signal != 11 && result->signal != 7)
        return 0;
    uint64_t page = result->fault_address & ~4095ull;
    return address < page && page - address <= PARTIAL_BYTES;
}

/* Notes what the case changed in scratch memory, and undoes it. */
static void collect_memory(const uint64_t *image) {
    volatile uint64_t *scratch = (volatile uint64_t *)SCRATCH_BASE;
    uint64_t hash = 0xcbf29ce484222325ull;
    uint32_t count = 0;
    for (uint64_t i = 0; i < SCRATCH_RW_BYTES / 8; i++) {
        uint64_t now = scratch[i];
        if (now == image[i])
            continue;
        scratch[i] = image[i];
        if (may_be_partial(SCRATCH_BASE + i * 8))
            continue;
        hash = (hash ^ i) * 0x100000001b3ull;
        hash = (hash ^ now ^ (now >> 29)) * 0x100000001b3ull;
        if (count < RESULT_MEMORY_WORDS) {
            result->memory[count].offset = i * 8;
            result->memory[count].value = now;
        }
        count++;
    }
    result->memory_count = count;
    result->memory_hash = hash;
}

static void write_code(const struct insn_case *c) {
    copy_words((uint32_t *)(CODE_BASE + c->slot_offset), c->code, c->slot_words);
}

static void run_once(const struct insn_case *c, const uint64_t *image) {
    result->signal = 0;
    inside_case = 1;
    enter_case(&c->before, CODE_BASE + c->slot_offset);
    if (inside_case) { /* came through the exit stub */
        inside_case = 0;
        const uint64_t *from = (const uint64_t *)&run_after;
        uint64_t *to = (uint64_t *)&result->after;
        for (unsigned i = 0; i < sizeof run_after / 8; i++)
            to[i] = from[i];
    }
    collect_memory(image);
    result->done = 1;
}

static void run_case(const struct insn_case *c, struct insn_result *first, const uint64_t *image,
                     uint32_t repeat) {
    static struct insn_result again;
    uint32_t unstable = 0;
    result = first;
    run_once(c, image);
    for (uint32_t n = 1; n < repeat; n++) {
        for (unsigned i = 0; i < sizeof again / 8; i++)
            ((volatile uint64_t *)&again)[i] = 0;
        result = &again;
        run_once(c, image);
        for (unsigned i = 0; i < sizeof again / 8; i++)
            if (((uint64_t *)&again)[i] != ((uint64_t *)first)[i])
                unstable = 1;
    }
    first->unstable = unstable;
}

static uint64_t parse_number(const char *s) {
    uint64_t n = 0;
    for (; *s >= '0' && *s <= '9'; s++)
        n = n * 10 + (*s - '0');
    return n;
}

int runner_main(const uint64_t *initial_stack) {
    const char *const *argv = (const char *const *)(initial_stack + 1);
    if (initial_stack[0] != 4)
        fail("usage: runner CASES RESULTS FIRST\n");
    const struct batch_header *header = map_file(argv[1], PROT_READ, O_RDONLY);
    struct batch_progress *progress = map_file(argv[2], PROT_READ | PROT_WRITE, O_RDWR);
    uint64_t first = parse_number(argv[3]);
    const uint64_t *image = (const uint64_t *)(header + 1);
    const struct insn_case *cases =
        (const struct insn_case *)((const char *)image + SCRATCH_IMAGE_BYTES);
    struct insn_result *results = (struct insn_result *)(progress + 1);
    if (header->magic != BATCH_MAGIC)
        fail("runner: not a case file\n");

    map_fixed(SCRATCH_BASE - 0x1000, SCRATCH_IMAGE_BYTES + 0x2000, PROT_NONE);
    map_fixed(SCRATCH_BASE, SCRATCH_IMAGE_BYTES, PROT_READ | PROT_WRITE);
    for (uint64_t i = 0; i < SCRATCH_IMAGE_BYTES / 8; i++)
        ((volatile uint64_t *)SCRATCH_BASE)[i] = image[i];
    if (call(__NR_mprotect, SCRATCH_BASE + SCRATCH_RW_BYTES, SCRATCH_RO_BYTES, PROT_READ, 0, 0, 0) <
        0)
        fail("runner: mprotect failed\n");

    map_fixed(CODE_BASE, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
    copy_words((uint32_t *)CODE_BASE, (const uint32_t *)exit_stub,
               ((uint64_t)exit_stub_end - (uint64_t)exit_stub) / 4);
    uint64_t end = CODE_BASE + CODE_SLOTS_START;
    if (!(header->flags & BATCH_COPY_EACH))
        for (uint64_t i = first; i < header->count; i++) {
            write_code(&cases[i]);
            uint64_t slot_end = CODE_BASE + cases[i].slot_offset + cases[i].slot_words * 4;
            end = slot_end > end ? slot_end : end;
        }
    publish_code(CODE_BASE, end);
    catch_signals();
    progress->magic = BATCH_MAGIC;

    for (uint64_t i = first; i < header->count; i++) {
        progress->current = i;
        if (header->flags & BATCH_COPY_EACH) {
            write_code(&cases[i]);
            uint64_t start = CODE_BASE + cases[i].slot_offset;
            publish_code(start, start + cases[i].slot_words * 4);
        }
        run_case(&cases[i], &results[i], image, header->repeat);
    }
    progress->current = header->count;
    return 0;
}
