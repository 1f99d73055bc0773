/*
 * report.c - makes a failing case small, and shows it.
 *
 * Shrinking: an instruction is removed by making it a NOP (so that nothing moves and PC-relative
 * operands keep their meaning), a register by making it zero. Each round tries all removals, each
 * in its own slot of one batch, then takes together as many of the successful ones as still fail.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tester.h"

#define SHRINK_UNITS (SLOT_MAX_WORDS + 31 + 32 + 4)
/* Copies of a case lie this far apart: the place within the page stays. */
#define SHRINK_STRIDE PAGE_BYTES

enum {
    UNIT_X = SLOT_MAX_WORDS,
    UNIT_V = UNIT_X + 31,
    UNIT_NZCV = UNIT_V + 32,
    UNIT_FPCR,
    UNIT_FPSR
};

static bool is_backward_branch(uint32_t w) {
    return control_of(w) == CONTROL_IMM19 && (w >> 23 & 1);
}

/* Removing it would make an endless loop: the decrement of a loop counter, the jump over a
 * subroutine, the ADR of an indirect branch. They can go once what depends on them is gone. */
static bool keeps_control_flow(const struct insn_case *c, unsigned i) {
    const uint32_t *w = &c->code[c->code_first];
    if (i + 1 < c->code_count && (w[i] & 0x9f000000) == 0x10000000 &&
        control_of(w[i + 1]) == CONTROL_REG)
        return true;
    if (i + 1 < c->code_count && is_backward_branch(w[i + 1]))
        return true;
    if ((w[i] & 0xfc000000) == 0x14000000)
        for (unsigned j = 0; j < c->code_count; j++)
            if (w[j] == 0xd65f03c0)
                return true;
    return false;
}

static bool is_loop_counter(const struct insn_case *c, unsigned r) {
    const uint32_t *w = &c->code[c->code_first];
    for (unsigned j = 1; j < c->code_count; j++)
        if (is_backward_branch(w[j]) && a64_Rd(w[j - 1]) == r)
            return true;
    return false;
}

/* Removes a unit. Returns false if it was nothing already. */
static bool remove_unit(struct insn_case *c, unsigned unit) {
    uint64_t *p = NULL;
    if (unit < UNIT_X) {
        uint32_t *w = &c->code[c->code_first + unit];
        if (unit >= c->code_count || *w == NOP || keeps_control_flow(c, unit))
            return false;
        *w = NOP;
        return true;
    }
    if (unit < UNIT_V) {
        if (is_loop_counter(c, unit - UNIT_X))
            return false;
        p = &c->before.x[unit - UNIT_X];
        if (unit == UNIT_X + 30) /* also in the slot's literal */
            memset(&c->code[(2 + c->code_count + 1) & ~1u], 0, 8);
    } else if (unit < UNIT_NZCV) {
        uint64_t *v = c->before.v[unit - UNIT_V];
        bool was = v[0] || v[1];
        v[0] = v[1] = 0;
        return was;
    } else if (unit <= UNIT_FPSR) {
        p = unit == UNIT_NZCV   ? &c->before.nzcv
            : unit == UNIT_FPCR ? &c->before.fpcr
                                : &c->before.fpsr;
    }
    if (!p || !*p)
        return false;
    *p = 0;
    return true;
}

/* Puts the case into another slot: only the exit branch depends on where it is. */
static void move_case(struct insn_case *c, uint32_t slot_offset) {
    c->slot_offset = slot_offset;
    int64_t exit_distance = -(int64_t)(slot_offset + (c->code_first + c->code_count) * 4) / 4;
    c->code[c->code_first + c->code_count] = 0x14000000 | (exit_distance & 0x3ffffff);
}

struct shrinker {
    const struct executor *executor;
    const struct known *known;
    struct batch batch;
    uint32_t offset;
    bool crash; /* what is looked for: a crash or hang, or a wrong result */
};

/* Does candidate i show the fault looked for? A crash may be the work of an earlier case. */
static bool still_fails(struct shrinker *s, unsigned i) {
    uint32_t diff = compare_results(&s->batch.cases[i], &s->batch.results[0][i],
                                    &s->batch.results[1][i], s->known);
    if (s->crash)
        return s->batch.results[0][i].done == DONE && s->batch.results[1][i].done > DONE;
    return diff && !(diff & DIFF_CRASH);
}

/* Crashing candidates run in a process each. */
static bool run_candidates(struct shrinker *s) {
    if (!s->crash)
        return batch_run(s->executor, &s->batch);
    bool ok = true;
    struct batch one = s->batch;
    one.count = 1;
    for (unsigned i = 0; ok && i < s->batch.count; i++) {
        one.cases = &s->batch.cases[i];
        one.results[0] = &s->batch.results[0][i];
        one.results[1] = &s->batch.results[1][i];
        ok = batch_run(s->executor, &one);
    }
    return ok;
}

static void put_candidate(struct shrinker *s, const struct insn_case *c) {
    struct insn_case *to = &s->batch.cases[s->batch.count];
    *to = *c;
    move_case(to, s->offset + s->batch.count * SHRINK_STRIDE);
    s->batch.count++;
}

static bool fails_alone(struct shrinker *s, struct insn_case *c) {
    move_case(c, s->offset);
    s->batch.count = 1;
    s->batch.cases[0] = *c;
    return run_candidates(s) && still_fails(s, 0);
}

/* One round. Returns false when nothing more can be removed. */
static bool shrink_round(struct shrinker *s, struct insn_case *c, unsigned from, unsigned to) {
    unsigned units[SHRINK_UNITS], count = 0;
    s->batch.count = 0;
    for (unsigned unit = from; unit < to; unit++) {
        struct insn_case candidate = *c;
        if (!remove_unit(&candidate, unit))
            continue;
        units[count++] = unit;
        put_candidate(s, &candidate);
    }
    if (!count || !run_candidates(s))
        return false;
    unsigned good = 0;
    for (unsigned i = 0; i < count; i++)
        if (still_fails(s, i))
            units[good++] = units[i];
    if (!good)
        return false;
    /* The longest prefixes of the good ones first: all, 1/2, 1/4, ..., one. */
    s->batch.count = 0;
    unsigned sizes[16], tries = 0;
    for (unsigned n = good; tries < 16; n = (n + 1) / 2) {
        struct insn_case candidate = *c;
        for (unsigned i = 0; i < n; i++)
            remove_unit(&candidate, units[i]);
        sizes[tries++] = n;
        put_candidate(s, &candidate);
        if (n == 1)
            break;
    }
    if (!run_candidates(s))
        return false;
    for (unsigned i = 0; i < tries; i++)
        if (still_fails(s, i)) {
            for (unsigned j = 0; j < sizes[i]; j++)
                remove_unit(c, units[j]);
            return true;
        }
    return false;
}

void shrink_case(const struct executor *e, const struct batch *from, const struct known *known,
                 struct insn_case *c, struct insn_result result[2]) {
    struct executor impatient = *e; /* a candidate may hang */
    impatient.timeout_seconds = MIN(e->timeout_seconds, 2u);
    struct shrinker s = {.executor = &impatient, .known = known};
    batch_init(&s.batch, SHRINK_UNITS);
    s.crash = result[1].done != DONE;
    s.batch.repeat = from->repeat;
    memcpy(s.batch.scratch, from->scratch, sizeof from->scratch);
    s.offset = CODE_SLOTS_START + c->slot_offset % PAGE_BYTES;
    if (!fails_alone(&s, c)) {
        printf("  (does not fail alone: shown as it failed in its batch)\n");
        batch_free(&s.batch);
        return;
    }
    for (int round = 0; round < 40 && shrink_round(&s, c, 0, UNIT_X); round++)
        ;
    for (int round = 0; round < 40 && shrink_round(&s, c, UNIT_X, SHRINK_UNITS); round++)
        ;
    if (fails_alone(&s, c)) { /* what is shown is a fresh run */
        result[0] = s.batch.results[0][0];
        result[1] = s.batch.results[1][0];
    }
    batch_free(&s.batch);
}

static const char *outcome(const struct insn_result *r, char *text, size_t size) {
    switch (r->done) {
    case DONE:
        if (!r->signal)
            return "ran to its end";
        snprintf(text, size, "signal %d (%s) code %d address %#llx at pc %#llx", r->signal,
                 r->signal == 4    ? "SIGILL"
                 : r->signal == 5  ? "SIGTRAP"
                 : r->signal == 7  ? "SIGBUS"
                 : r->signal == 8  ? "SIGFPE"
                 : r->signal == 11 ? "SIGSEGV"
                                   : "?",
                 r->code, (unsigned long long)r->fault_address, (unsigned long long)r->after.pc);
        return text;
    case DONE_HUNG:
        return "HUNG";
    case DONE_CRASHED:
        snprintf(text, size, "CRASHED the emulator (signal %d, exit status %d)", r->signal,
                 r->code);
        return text;
    default:
        return "not run";
    }
}

static void print_x(const char *name, uint64_t before, uint64_t expected, uint64_t got) {
    if (expected != got)
        printf("  %-6s before %016llx  expected %016llx  got %016llx\n", name,
               (unsigned long long)before, (unsigned long long)expected, (unsigned long long)got);
}

static void print_registers(const struct insn_case *c, const struct insn_result result[2]) {
    const struct insn_state *s = &c->before, *a = &result[0].after, *b = &result[1].after;
    char name[8];
    for (unsigned i = 0; i < 31; i++) {
        snprintf(name, sizeof name, "x%u", i);
        print_x(name, s->x[i], a->x[i], b->x[i]);
    }
    print_x("sp", s->sp, a->sp, b->sp);
    print_x("pc", CODE_BASE + c->slot_offset, a->pc, b->pc);
    print_x("nzcv", s->nzcv, a->nzcv, b->nzcv);
    print_x("fpcr", s->fpcr, a->fpcr, b->fpcr);
    print_x("fpsr", s->fpsr, a->fpsr, b->fpsr);
    for (unsigned i = 0; i < 32; i++)
        if (memcmp(a->v[i], b->v[i], 16))
            printf("  v%-5u before   %016llx:%016llx\n         expected %016llx:%016llx\n"
                   "         got      %016llx:%016llx\n",
                   i, (unsigned long long)s->v[i][1], (unsigned long long)s->v[i][0],
                   (unsigned long long)a->v[i][1], (unsigned long long)a->v[i][0],
                   (unsigned long long)b->v[i][1], (unsigned long long)b->v[i][0]);
}

static void print_before(const struct insn_case *c) {
    const struct insn_state *s = &c->before;
    unsigned column = 0;
    printf("  before: sp=%llx nzcv=%x fpcr=%llx fpsr=%llx\n", (unsigned long long)s->sp,
           (unsigned)(s->nzcv >> 28), (unsigned long long)s->fpcr, (unsigned long long)s->fpsr);
    for (unsigned i = 0; i < 31; i++)
        if (s->x[i])
            printf("%sx%u=%llx",
                   column++ % 6 ? " "
                   : column > 1 ? "\n    "
                                : "    ",
                   i, (unsigned long long)s->x[i]);
    for (unsigned i = 0; i < 32; i++)
        if (s->v[i][0] || s->v[i][1])
            printf("%sv%u=%llx:%016llx",
                   column++ % 4 ? " "
                   : column > 1 ? "\n    "
                                : "    ",
                   i, (unsigned long long)s->v[i][1], (unsigned long long)s->v[i][0]);
    if (column)
        printf("\n");
}

static void print_memory(const struct insn_result result[2]) {
    if (result[0].memory_hash == result[1].memory_hash)
        return;
    for (int side = 0; side < 2; side++) {
        printf("  memory %s: %u words changed:", side ? "got" : "expected",
               result[side].memory_count);
        for (unsigned i = 0; i < MIN(result[side].memory_count, RESULT_MEMORY_WORDS); i++)
            printf(" [%llx]=%016llx",
                   (unsigned long long)(SCRATCH_BASE + result[side].memory[i].offset),
                   (unsigned long long)result[side].memory[i].value);
        printf("\n");
    }
}

void print_case(const struct executor *e, const struct known *known, const struct insn_case *c,
                const struct insn_result result[2]) {
    char text[128];
    uint32_t diff = compare_results(c, &result[0], &result[1], known);
    for (unsigned i = 0; i < c->code_count; i++) {
        uint32_t w = c->code[c->code_first + i];
        if (w == NOP)
            continue;
        uint64_t pc = CODE_BASE + c->slot_offset + (c->code_first + i) * 4;
        a64_disassemble(text, sizeof text, w, pc);
        printf("    %llx: %08x  %s\n", (unsigned long long)pc, w, text);
    }
    print_before(c);
    if (result[0].signal || result[1].signal || (diff & DIFF_CRASH))
        for (int side = 0; side < 2; side++)
            printf("  %s: %s\n", e->side[side].name, outcome(&result[side], text, sizeof text));
    if (diff & DIFF_CRASH)
        return;
    if (diff & DIFF_UNSTABLE)
        printf("  %s gave another result when run again; the first is shown\n",
               e->side[result[1].unstable != 0].name);
    print_registers(c, result);
    print_memory(result);
}
