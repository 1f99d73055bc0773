/*
 * tester.h - the host side of the instruction tester, which compares two ways to run A64 code.
 *
 *   values.c    random numbers, edge-biased register values and memory
 *   operands.c  what a word accesses and which encodings are CONSTRAINED UNPREDICTABLE
 *   generate.c  cases of one instruction, from its row alone
 *   blocks.c    cases of 5-60 instructions with branches, loops and calls
 *   execute.c   runs a batch of cases on both sides, surviving crashes and hangs
 *   compare.c   which differences count; the list of known ones
 *   report.c    shrinking a failing case, and showing it
 *   rows.c      names of rows, features and groups
 *   plan.c      units of work, batches of them, totals and coverage
 *   selftest.c  injected faults
 *   main.c      options
 *
 * Nothing here knows single instructions: rows come from src/a64. What is known is the layout of
 * encoding classes (Arm ARM C4.1), to give memory operands useful addresses and keep control flow
 * inside the case. One seed decides everything: same seed, same options, same cases.
 */
#ifndef ELFUSE_TESTS_INSN_TESTER_H
#define ELFUSE_TESTS_INSN_TESTER_H

#include "a64/a64.h"
#include "case.h"

#define NOP 0xd503201fu

/* ---- values.c ---- */
uint64_t rng_next(uint64_t *rng);
uint32_t rng_below(uint64_t *rng, uint32_t n); /* 0..n-1 */
bool chance(uint64_t *rng, unsigned percent);
uint64_t value_integer(uint64_t *rng);
uint64_t value_float(uint64_t *rng, unsigned width_bits); /* 16, 32 or 64: the bit pattern */
/* A whole state; FPCR only of bits in fpcr_mask. */
void fill_state(struct insn_state *s, uint64_t *rng, uint64_t fpcr_mask);
void fill_scratch(void *image, uint64_t *rng);

/* ---- operands.c ---- */
struct access {
    bool exists;    /* a load, store, prefetch or cache operation on a register's address */
    bool literal;   /* PC-relative: imm19 at bit 5 */
    bool ordered;   /* exclusive, acquire/release or atomic: wants natural alignment */
    bool exclusive; /* LDXR/STXR kind */
    bool store_exclusive;
    bool cache_operation;         /* DC or IC but DC ZVA: qemu does not look at the address */
    bool compares, compares_pair; /* CAS, CASP: stores only if memory equals X<compared> */
    unsigned compared;
    int base;                   /* register number, 31: SP */
    int index;                  /* offset or post-index register, or -1 */
    bool index_added;           /* the index is part of the address (not post-index) */
    unsigned extend, shift;     /* option field and shift amount of the index */
    unsigned base_lsb;          /* where in the word the base's field is */
    int64_t offset;             /* immediate part of the address */
    unsigned imm_lsb, imm_bits; /* the immediate's field, imm_bits 0: none */
    unsigned bytes;             /* size of the whole access */
};
struct access analyse_access(uint32_t word);
/* The index register's contribution to the address. */
int64_t index_value(const struct access *a, uint64_t x);
/* An encoding whose result the architecture leaves open, or a state the tester itself cannot
 * survive. */
bool is_unpredictable(uint32_t word);
bool writes_sp(uint32_t word); /* data processing with Rd = 31 meaning SP */
/* Registers a faulting multi-register load may or may not have written (Arm ARM: UNKNOWN, but the
 * base). */
uint32_t unknown_x_after_fault(uint32_t word);
uint32_t unknown_v_after_fault(uint32_t word);

enum control {
    CONTROL_NONE,
    CONTROL_IMM26, /* B, BL */
    CONTROL_IMM19, /* B.cond, CBZ, CBNZ */
    CONTROL_IMM14, /* TBZ, TBNZ */
    CONTROL_REG,   /* BR, BLR, RET */
    CONTROL_SVC,
    CONTROL_EXCEPTION, /* BRK, HLT, UDF, ...: always a signal */
};
enum control control_of(uint32_t word);
uint32_t set_branch(uint32_t word, int words_forward);
bool writes_link(uint32_t word);                 /* BL, BLR */
bool is_system_move(uint32_t word, bool *reads); /* MRS (reads) or MSR of a register */
uint64_t system_value_mask(uint32_t word);       /* bits of the register an MSR may change */

/* ---- generate.c ---- */
struct generator {
    uint64_t rng;
    uint64_t fpcr_mask;
    uint32_t next_slot; /* offset from CODE_BASE */
    bool reuse_slots;
    const struct known *known;  /* for single words to skip */
    bool misaligned;            /* also acquire/release and atomic accesses that are not aligned */
    const uint8_t *scratch;     /* the batch's image, so that CAS can succeed */
    bool enabled[A64_OP_COUNT]; /* may be generated */
    bool supported[A64_OP_COUNT]; /* by the subject; other rows are undefined */
    bool in_blocks[A64_OP_COUNT]; /* may be part of a block */
};

/* A slot's tested words while it is built. */
struct builder {
    uint32_t words[SLOT_MAX_WORDS];
    unsigned count;
};
void emit(struct builder *b, uint32_t word);

void generator_start_batch(struct generator *g);
/* A word of the row, not unpredictable. False when the row has none we can run. */
bool random_word(struct generator *g, enum a64_op op, uint32_t *word);
/* Unpredictable, or known to be wrong on the oracle's side. */
bool is_excluded(const struct generator *g, enum a64_op op, uint32_t word);
/* Wraps the builder's words into entry, exit and literals, and gives it the next slot. */
void finish_case(struct generator *g, struct insn_case *c, const struct builder *b);
bool generate_single(struct generator *g, enum a64_op op, struct insn_case *c);
/* A word that must raise SIGILL: unallocated, or of a row that is not enabled. */
void generate_undefined(struct generator *g, struct insn_case *c);
/* True when bits [lsb+4:lsb] are a register field in the row's pattern. */
bool has_register_field(enum a64_op op, unsigned lsb);

/* ---- blocks.c ---- */
enum theme {
    THEME_INTEGER,
    THEME_FLAGS,
    THEME_MEMORY,
    THEME_CALLS,
    THEME_FP,
    THEME_SIMD,
    THEME_MIXED,
    THEME_COUNT
};
extern const char *const theme_names[THEME_COUNT];
/* False when no row of the theme is enabled. */
bool generate_block(struct generator *g, enum theme theme, struct insn_case *c);

/* ---- execute.c ---- */
struct side {
    const char *name;
    /* Split at spaces; the runner and its arguments are appended. NULL: no process, every case is
     * what the architecture says of one undefined instruction. */
    const char *command;
};
enum {
    DONE_NOT_RUN = 0,
    DONE = 1,
    DONE_CRASHED = 2,
    DONE_HUNG = 3
}; /* insn_result.done, host's additions */
struct batch {
    struct insn_case *cases;
    struct insn_result *results[2];
    uint32_t count, capacity;
    uint32_t flags, repeat;
    uint8_t scratch[SCRATCH_IMAGE_BYTES];
};
struct executor {
    struct side side[2]; /* 0: oracle, 1: subject */
    const char *runner;
    const char *work_directory;
    unsigned timeout_seconds;
    enum a64_op inject; /* pretend the subject gets this row wrong (self-test) */
};
void batch_init(struct batch *b, uint32_t capacity);
void batch_free(struct batch *b);
/* Runs all cases on both sides. Returns false (after a message) if a side could not run at all. */
bool batch_run(const struct executor *e, struct batch *b);

/* ---- compare.c ---- */
enum difference {
    DIFF_X = 1,
    DIFF_SP = 2,
    DIFF_PC = 4,
    DIFF_NZCV = 8,
    DIFF_FPCR = 16,
    DIFF_FPSR = 32,
    DIFF_V = 64,
    DIFF_MEMORY = 128,
    DIFF_SIGNAL = 256,
    DIFF_CODE = 512,
    DIFF_ADDRESS = 1024,
    DIFF_CRASH = 2048,
    DIFF_UNSTABLE = 4096 /* one side gave different results when run again */
};
struct known {
    bool skip;                      /* not generated */
    uint32_t skip_mask, skip_value; /* words of the row not generated, when skip_mask is not 0 */
    bool alone;                     /* not part of blocks */
    char oracle_cpu[32];            /* run under this qemu CPU model */
    uint32_t ignore;                /* differences that do not count */
    uint32_t fpsr_ignore;           /* FPSR bits that do not count */
};
/* Reads the file of known deviations. Returns false after a message that names file and line. */
bool known_load(const char *path, struct known known[A64_OP_COUNT]);
/* The differences that count, 0 for none. */
uint32_t compare_results(const struct insn_case *c, const struct insn_result *expected,
                         const struct insn_result *got, const struct known *known);

/* ---- report.c ---- */
/* Reduces the case to what is needed to fail (NOPs for instructions, zero for registers). */
void shrink_case(const struct executor *e, const struct batch *from, const struct known *known,
                 struct insn_case *c, struct insn_result result[2]);
void print_case(const struct executor *e, const struct known *known, const struct insn_case *c,
                const struct insn_result result[2]);

/* ---- rows.c ---- */
const char *row_feature(enum a64_op op); /* as written in a64.def */
const char *row_group(enum a64_op op);
enum a64_op row_by_id(const char *id); /* A64_UNALLOCATED: none */

/* ---- plan.c ---- */
/* What one pass or fail stands for: a row, or a number of blocks of one theme. */
enum mode {
    MODE_ORACLE,       /* subject against oracle */
    MODE_SHARED_SLOTS, /* the same, each case's code written over earlier ones */
    MODE_UNDEFINED,    /* words that must raise SIGILL; needs no oracle */
    MODE_REGION_LIMIT, /* subject against itself with ELFUSE_REGION_LIMIT=1 */
};
struct unit {
    char name[64];
    enum mode mode;
    enum a64_op row; /* or 0: blocks */
    enum theme theme;
    const char *cpu; /* the oracle's CPU model, "" for the usual one */
    uint64_t cases, failed_cases, crashed_cases;
    unsigned shown;
};
struct options {
    uint64_t seed, fpcr_mask;
    unsigned cases_per_row, blocks_per_unit, block_units, undefined_cases, rounds;
    unsigned repeat, shown_per_unit, shown_in_total;
    const char *coverage_path;
    bool region_limit, shared_slots, misaligned, quiet;
};
struct plan {
    struct options options;
    struct executor executor;
    bool fixed_oracle; /* --oracle given: known.txt's cpu= does not apply */
    struct known known[A64_OP_COUNT];
    bool supported[A64_OP_COUNT]; /* by the subject */
    bool enabled[A64_OP_COUNT];   /* and wanted */
    struct unit *units;
    unsigned unit_count, shown;
    uint64_t hits[A64_OP_COUNT], block_hits[A64_OP_COUNT], failed_hits[A64_OP_COUNT];
    bool broken; /* a side could not run at all */
};
void plan_units(struct plan *p);
void plan_run(struct plan *p);
/* Prints failed units, writes the coverage table; returns the number of failed units. */
unsigned plan_summary(struct plan *p);
/* Runs the case file again, alone, and shows the outcome. Returns an exit status. */
int replay(struct plan *p, const char *path);

/* ---- selftest.c ---- */
/* Prints "N passed, N failed"; returns an exit status. */
int self_test(const struct executor *e, const struct known *known, const bool *enabled,
              uint64_t fpcr_mask);

#endif
