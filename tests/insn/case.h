/*
 * case.h - the files that the host tool and the guest runner exchange.
 *
 * A case is a machine state, a piece of code and its place; running it gives a result: the state
 * after, or the state at the fault. Everything a case can see has a fixed address (code, scratch
 * memory), so the same case gives the same result in every process, under every emulator, alone or
 * in a batch.
 *
 *   case file   = struct batch_header, scratch image, struct insn_case[count]
 *   result file = struct batch_progress, struct insn_result[count]; mapped shared by the runner, so
 * what it had finished survives its crash, and `current` then names the case that crashed.
 */
#ifndef ELFUSE_TESTS_INSN_CASE_H
#define ELFUSE_TESTS_INSN_CASE_H

#include <stdint.h>

#define BATCH_MAGIC 0x316e736e69666c65ull /* "elfinsn1" */

/*
 * Scratch memory: a hole, four read-write pages, one read-only page, a hole. The runner restores
 * the read-write pages to the image after each case.
 */
#define SCRATCH_BASE        0x1000100000ull /* first readable byte; the page below is PROT_NONE */
#define SCRATCH_RW_BYTES    0x4000u
#define SCRATCH_RO_BYTES    0x1000u
#define SCRATCH_IMAGE_BYTES (SCRATCH_RW_BYTES + SCRATCH_RO_BYTES)

/* Code: the exit stub in the first page, then the cases' slots. One direct branch spans it. */
#define CODE_BASE        0x1001000000ull
#define CODE_BYTES       0x4000000u
#define CODE_SLOTS_START 0x1000u
#define SLOT_MAX_WORDS   96

struct insn_state {
    uint64_t x[31];
    uint64_t sp;
    uint64_t pc; /* in a result: of the fault; 0 when the code ran to its end */
    uint64_t nzcv;
    uint64_t fpcr;
    uint64_t fpsr;
    uint64_t tpidr; /* before only: the exit stub uses TPIDR_EL0 to free a register */
    uint64_t pad;
    uint64_t v[32][2];
};

struct insn_case {
    struct insn_state before;
    uint32_t slot_offset; /* from CODE_BASE; execution starts there */
    uint32_t slot_words;
    uint32_t code_first,
        code_count; /* the tested words within the slot; the rest is entry and exit */
    uint32_t code[SLOT_MAX_WORDS];
    uint32_t row;  /* enum a64_op of a single-instruction case, 0 for a block */
    uint32_t unit; /* the host tool's index of what this case counts for */
};

#define RESULT_MEMORY_WORDS 8

struct insn_result {
    struct insn_state after;
    int32_t done; /* 1: ran; 0: not reached or crashed in it */
    int32_t signal, code;
    uint32_t unstable; /* a repetition gave another result than the first run; this is the first */
    uint32_t memory_count; /* changed 8-byte words of scratch memory */
    uint64_t fault_address;
    uint64_t memory_hash;
    struct {
        uint64_t offset, value;
    } memory[RESULT_MEMORY_WORDS]; /* the first ones */
};

/* The code of each case is written just before it runs, so cases may share slots (tests
 * invalidation). */
#define BATCH_COPY_EACH 1u

struct batch_header {
    uint64_t magic;
    uint32_t count, flags;
    uint32_t
        repeat; /* runs of each case: later ones find translations, links and caches in place */
    uint32_t pad;
};

struct batch_progress {
    uint64_t magic;            /* set by the runner once it is set up */
    volatile uint64_t current; /* case being run; count when all are done */
};

#endif
