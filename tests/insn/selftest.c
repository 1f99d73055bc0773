/*
 * selftest.c - does the tester find what is wrong? Faults are injected into the results of one
 * side, and cases are made that end or hang the guest process.
 */
#include <stdio.h>

#include "tester.h"

/* Blocks with the row must differ, others not; the case left after shrinking is that row and
 * nothing else. */
static bool finds_injected_fault(const struct executor *executor, const struct known *known,
                                 const bool *enabled, uint64_t fpcr_mask, const char *id) {
    struct generator g = {.rng = 88172645463325252ull, .fpcr_mask = fpcr_mask, .known = known};
    struct executor e = *executor;
    struct batch b;
    enum a64_op row = row_by_id(id);
    for (unsigned i = 1; i < A64_OP_COUNT; i++) {
        g.enabled[i] = enabled[i] && !known[i].skip;
        g.in_blocks[i] = g.enabled[i] && !known[i].alone && !known[i].oracle_cpu[0];
    }
    e.side[1] = (struct side){"oracle with a fault", e.side[0].command};
    e.inject = row;
    batch_init(&b, 600);
    fill_scratch(b.scratch, &g.rng);
    g.scratch = b.scratch;
    generator_start_batch(&g);
    while (b.count < b.capacity && generate_block(&g, THEME_MIXED, &b.cases[b.count]))
        b.count++;
    bool ok = batch_run(&e, &b);
    unsigned with_row = 0, found = 0, minimal = 0;
    for (uint32_t i = 0; ok && i < b.count; i++) {
        struct insn_case c = b.cases[i];
        bool has_row = false;
        for (unsigned j = 0; j < c.code_count; j++)
            has_row = has_row || a64_decode(c.code[c.code_first + j]) == row;
        bool differs = compare_results(&c, &b.results[0][i], &b.results[1][i], known) != 0;
        with_row += has_row;
        found += differs;
        if (differs != has_row) {
            printf("self-test: block %u: %s\n", i,
                   has_row ? "fault not found" : "difference without a fault");
            ok = false;
        }
        if (!differs || minimal == 2)
            continue;
        struct insn_result result[2] = {b.results[0][i], b.results[1][i]};
        shrink_case(&e, &b, known, &c, result);
        unsigned left = 0;
        for (unsigned j = 0; j < c.code_count; j++)
            if (c.code[c.code_first + j] != NOP)
                left += 1 + (a64_decode(c.code[c.code_first + j]) != row);
        minimal += left == 1;
        if (left != 1) {
            printf("self-test: block %u is not minimal after shrinking\n", i);
            print_case(&e, known, &c, result);
            ok = false;
        }
    }
    printf("self-test %s: in %u blocks, found %u, shrunk %u to one instruction\n", id, with_row,
           found, minimal);
    batch_free(&b);
    return ok && with_row && minimal;
}

/* Cases that end the process or never end are marked, and those after them still run. */
static bool survives_crash_and_hang(const struct executor *executor) {
    struct generator g = {.rng = 1234567};
    struct executor e = *executor;
    struct batch b;
    e.side[1] = e.side[0];
    e.timeout_seconds = 1;
    batch_init(&b, 8);
    g.scratch = b.scratch;
    generator_start_batch(&g);
    for (; b.count < 8; b.count++) {
        struct insn_case *c = &b.cases[b.count];
        struct builder k = {.count = 0};
        fill_state(&c->before, &g.rng, 0);
        if (b.count == 2 || b.count == 7) {
            emit(&k, 0xd2800bc8); /* mov x8, #94 (exit_group) */
            emit(&k, 0xd4000001); /* svc #0 */
        } else {
            emit(&k, b.count == 4 ? 0x14000000 /* b . */ : NOP);
        }
        finish_case(&g, c, &k);
    }
    bool ok = batch_run(&e, &b);
    for (int side = 0; side < 2; side++)
        for (uint32_t i = 0; i < b.count; i++) {
            int want = i == 2 || i == 7 ? DONE_CRASHED : i == 4 ? DONE_HUNG : DONE;
            if (b.results[side][i].done != want) {
                printf("self-test: case %u: done is %d, not %d\n", i, b.results[side][i].done,
                       want);
                ok = false;
            }
        }
    batch_free(&b);
    return ok;
}

int self_test(const struct executor *e, const struct known *known, const bool *enabled,
              uint64_t fpcr_mask) {
    static const char *const rows[] = {"ADD_imm", "LDR_imm", "CSEL"};
    unsigned passed = survives_crash_and_hang(e);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        passed += finds_injected_fault(e, known, enabled, fpcr_mask, rows[i]);
    unsigned failed = (unsigned)ARRAY_SIZE(rows) + 1 - passed;
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
