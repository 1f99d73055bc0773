/*
 * plan.c - from the enabled rows to a list of units, through batches, to totals.
 *
 * Units that need the same two command lines share batches, so a process runs thousands of cases.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tester.h"

#define BATCH_CASES 4096

static struct unit *add_unit(struct plan *p, enum mode mode) {
    p->units = realloc(p->units, (p->unit_count + 1) * sizeof *p->units);
    if (!p->units) {
        perror("insn-test: memory for units");
        exit(2);
    }
    struct unit *u = &p->units[p->unit_count++];
    *u = (struct unit){.mode = mode, .cpu = ""};
    return u;
}

static bool theme_has_rows(const struct plan *p, const struct generator *g, enum theme theme) {
    /* A theme without its own kind of row would only repeat another theme. */
    static const uint16_t own_groups[THEME_COUNT] = {
        [THEME_INTEGER] = 1 << GROUP_DP_IMM | 1 << GROUP_DP_REG,
        [THEME_FLAGS] = 1 << GROUP_DP_IMM | 1 << GROUP_DP_REG,
        [THEME_MEMORY] = 1 << GROUP_LDST | 1 << GROUP_LDST_FP | 1 << GROUP_ATOMIC,
        [THEME_CALLS] = 1 << GROUP_BRANCH,
        [THEME_FP] = 1 << GROUP_FP | 1 << GROUP_SIMD_FP,
        [THEME_SIMD] = 1 << GROUP_SIMD_INT | 1 << GROUP_SIMD_MOVE | 1 << GROUP_CRYPTO,
        [THEME_MIXED] = 0xffff,
    };
    for (unsigned i = 1; i < A64_OP_COUNT; i++)
        if (p->enabled[i] && g->in_blocks[i] && own_groups[theme] >> a64_rows[i].group & 1)
            return true;
    return false;
}

static void start_generator(const struct plan *p, struct generator *g, uint64_t seed) {
    *g = (struct generator){.rng = seed * 0x9e3779b97f4a7c15ull | 1,
                            .fpcr_mask = p->options.fpcr_mask,
                            .known = p->known};
    for (unsigned i = 1; i < A64_OP_COUNT; i++) {
        g->supported[i] = p->supported[i];
        g->enabled[i] = p->enabled[i] && !p->known[i].skip;
        g->in_blocks[i] = g->enabled[i] && !p->known[i].alone && !p->known[i].oracle_cpu[0];
    }
    for (int i = 0; i < 8; i++)
        rng_next(&g->rng);
}

void plan_units(struct plan *p) {
    struct generator g;
    start_generator(p, &g, 1);
    for (unsigned i = 1; p->options.cases_per_row && i < A64_OP_COUNT; i++) {
        uint32_t w;
        if (!g.enabled[i] || !random_word(&g, i, &w))
            continue;
        struct unit *u = add_unit(p, MODE_ORACLE);
        u->row = i;
        u->cpu = p->fixed_oracle ? "" : p->known[i].oracle_cpu;
        snprintf(u->name, sizeof u->name, "%s", a64_rows[i].id);
    }
    if (p->options.undefined_cases)
        snprintf(add_unit(p, MODE_UNDEFINED)->name, sizeof p->units->name,
                 "undefined instructions");
    for (enum mode mode = MODE_ORACLE; mode <= MODE_REGION_LIMIT; mode++) {
        if (mode == MODE_UNDEFINED || (mode == MODE_SHARED_SLOTS && !p->options.shared_slots) ||
            (mode == MODE_REGION_LIMIT && !p->options.region_limit))
            continue;
        for (unsigned n = 0; n < p->options.block_units; n++)
            for (enum theme theme = 0; theme < THEME_COUNT; theme++) {
                if (!theme_has_rows(p, &g, theme))
                    continue;
                static const char *const suffix[] = {"", " (shared slots)", "",
                                                     " (region limit 1)"};
                struct unit *u = add_unit(p, mode);
                u->theme = theme;
                snprintf(u->name, sizeof u->name, "blocks: %s %u%s", theme_names[theme], n + 1,
                         suffix[mode]);
            }
    }
}

/* The command lines of a unit's two sides. text holds what had to be composed. */
static struct executor executor_for(const struct plan *p, const struct unit *u, char *text,
                                    size_t size) {
    struct executor e = p->executor;
    if (u->mode == MODE_UNDEFINED) {
        e.side[0] = (struct side){"architecture", NULL};
    } else if (u->mode == MODE_REGION_LIMIT) {
        snprintf(text, size, "env ELFUSE_REGION_LIMIT=1 %s", p->executor.side[1].command);
        e.side[0] = (struct side){"unlimited", p->executor.side[1].command};
        e.side[1] = (struct side){"region limit 1", text};
    } else if (u->cpu[0]) {
        snprintf(text, size, "qemu-aarch64 -cpu %s", u->cpu);
        e.side[0].command = text;
    }
    return e;
}

static void count_hits(struct plan *p, const struct insn_case *c, bool failed) {
    for (unsigned i = 0; i < c->code_count; i++) {
        enum a64_op op = a64_decode(c->code[c->code_first + i]);
        if (c->row)
            p->hits[op] += op == c->row;
        else
            p->block_hits[op]++;
    }
    p->failed_hits[c->row] += failed && c->row;
}

/* Keeps the case as a file for --replay. */
static void save_case(const struct plan *p, const struct batch *from, const struct insn_case *c,
                      const char *name, char *path, size_t size) {
    struct batch_header header = {
        .magic = BATCH_MAGIC, .count = 1, .flags = from->flags, .repeat = from->repeat};
    snprintf(path, size, "%s/fail-%s.case", p->executor.work_directory, name);
    for (char *s = path + strlen(p->executor.work_directory) + 1; *s; s++)
        if (*s == ' ' || *s == ':' || *s == '(' || *s == ')')
            *s = '_';
    FILE *f = fopen(path, "w");
    if (!f || fwrite(&header, sizeof header, 1, f) != 1 ||
        fwrite(from->scratch, sizeof from->scratch, 1, f) != 1 || fwrite(c, sizeof *c, 1, f) != 1)
        fprintf(stderr, "insn-test: cannot write %s: %s\n", path, strerror(errno));
    if (f)
        fclose(f);
}

static void show_failure(struct plan *p, const struct executor *e, struct unit *u, struct batch *b,
                         uint32_t index, uint32_t diff) {
    char path[512], name[80];
    struct insn_case c = b->cases[index];
    struct insn_result result[2] = {b->results[0][index], b->results[1][index]};
    if (p->options.quiet || u->shown >= p->options.shown_per_unit ||
        p->shown >= p->options.shown_in_total)
        return;
    u->shown++;
    p->shown++;
    printf("FAIL %s:", u->name);
    static const char *const names[] = {"x",       "sp",    "pc",      "nzcv",   "fpcr",
                                        "fpsr",    "v",     "memory",  "signal", "code",
                                        "address", "crash", "unstable"};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (diff >> i & 1)
            printf(" %s", names[i]);
    printf("\n");
    /* With shared slots the fault may need the earlier cases. */
    if (result[0].done == DONE && !(b->flags & BATCH_COPY_EACH) && u->mode != MODE_UNDEFINED)
        shrink_case(e, b, p->known, &c, result);
    print_case(e, p->known, &c, result);
    snprintf(name, sizeof name, "%s-%u", u->name, u->shown);
    save_case(p, b, &c, name, path, sizeof path);
    printf("  again: --replay %s\n\n", path);
    fflush(stdout);
}

static void run_batch(struct plan *p, const struct unit *first, struct batch *b) {
    char text[512];
    if (!b->count || p->broken)
        return;
    struct executor e = executor_for(p, first, text, sizeof text);
    if (!batch_run(&e, b)) {
        p->broken = true;
        return;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        struct unit *u = &p->units[b->cases[i].unit];
        uint32_t diff =
            compare_results(&b->cases[i], &b->results[0][i], &b->results[1][i], p->known);
        u->cases++;
        count_hits(p, &b->cases[i], diff != 0);
        if (!diff)
            continue;
        u->failed_cases++;
        u->crashed_cases += (diff & DIFF_CRASH) != 0;
        show_failure(p, &e, u, b, i, diff);
    }
    b->count = 0;
}

static bool same_batch(const struct unit *a, const struct unit *b) {
    return a->mode == b->mode && !strcmp(a->cpu, b->cpu);
}

static bool generate_case(struct generator *g, const struct unit *u, struct insn_case *c) {
    if (u->mode == MODE_UNDEFINED) {
        generate_undefined(g, c);
        return true;
    }
    return u->row ? generate_single(g, u->row, c) : generate_block(g, u->theme, c);
}

/* All units that go with units[first], in as few batches as possible. */
static void run_compatible_units(struct plan *p, unsigned first, uint64_t seed, struct batch *b) {
    struct generator g;
    const struct unit *leader = &p->units[first];
    b->count = 0;
    b->flags = leader->mode == MODE_SHARED_SLOTS ? BATCH_COPY_EACH : 0;
    for (unsigned i = first; i < p->unit_count && !p->broken; i++) {
        const struct unit *u = &p->units[i];
        if (!same_batch(leader, u))
            continue;
        /* A unit's cases depend on the seed and the unit only, not on which others are enabled. */
        uint64_t next_slot = b->count ? g.next_slot : CODE_SLOTS_START;
        uint64_t name_hash = 0xcbf29ce484222325ull;
        for (const char *s = u->name; *s; s++)
            name_hash = (name_hash ^ (uint8_t)*s) * 0x100000001b3ull;
        start_generator(p, &g, seed ^ name_hash);
        g.next_slot = next_slot;
        g.scratch = b->scratch;
        g.misaligned = p->options.misaligned;
        g.reuse_slots = leader->mode == MODE_SHARED_SLOTS;
        unsigned wanted = u->row                      ? p->options.cases_per_row
                          : u->mode == MODE_UNDEFINED ? p->options.undefined_cases
                                                      : p->options.blocks_per_unit;
        for (unsigned n = 0; n < wanted && !p->broken; n++) {
            if (b->count == b->capacity || g.next_slot + SLOT_MAX_WORDS * 4 > CODE_BYTES) {
                run_batch(p, leader, b);
                generator_start_batch(&g);
            }
            struct insn_case *c = &b->cases[b->count];
            if (!generate_case(&g, u, c))
                break;
            c->unit = i;
            b->count++;
        }
    }
    run_batch(p, leader, b);
}

void plan_run(struct plan *p) {
    struct batch b;
    batch_init(&b, BATCH_CASES);
    b.repeat = p->options.repeat;
    for (unsigned round = 0; round < p->options.rounds && !p->broken; round++) {
        uint64_t seed = p->options.seed + round, scratch_rng = seed * 0x9e3779b97f4a7c15ull | 1;
        fill_scratch(b.scratch, &scratch_rng);
        for (unsigned i = 0; i < p->unit_count; i++) {
            bool first = true;
            for (unsigned j = 0; j < i && first; j++)
                first = !same_batch(&p->units[i], &p->units[j]);
            if (first)
                run_compatible_units(p, i, seed, &b);
        }
        if (p->options.rounds > 1) {
            printf("round %u of %u done (seed %llu)\n", round + 1, p->options.rounds,
                   (unsigned long long)seed);
            fflush(stdout);
        }
    }
    batch_free(&b);
}

static void write_coverage(const struct plan *p) {
    unsigned covered = 0, enabled = 0;
    FILE *f = p->options.coverage_path ? fopen(p->options.coverage_path, "w") : NULL;
    if (f)
        fprintf(f, "%-28s %-10s %-10s %10s %10s %10s\n", "row", "group", "feature", "single",
                "in blocks", "failed");
    for (unsigned i = 1; i < A64_OP_COUNT; i++) {
        bool hit = p->hits[i] || p->block_hits[i];
        enabled += p->enabled[i];
        covered += p->enabled[i] && hit;
        if (f)
            fprintf(f, "%-28s %-10s %-10s %10llu %10llu %10llu%s\n", a64_rows[i].id, row_group(i),
                    row_feature(i), (unsigned long long)p->hits[i],
                    (unsigned long long)p->block_hits[i], (unsigned long long)p->failed_hits[i],
                    hit                ? ""
                    : !p->enabled[i]   ? "  (not enabled)"
                    : p->known[i].skip ? "  (skipped: known.txt)"
                                       : "  (no case)");
    }
    if (f)
        fclose(f);
    printf("rows in the table %u, enabled %u, of those run %u\n", A64_OP_COUNT - 1u, enabled,
           covered);
}

unsigned plan_summary(struct plan *p) {
    unsigned failed = 0;
    uint64_t cases = 0;
    for (unsigned i = 0; i < p->unit_count; i++) {
        const struct unit *u = &p->units[i];
        cases += u->cases;
        if (!u->failed_cases && u->cases)
            continue;
        failed++;
        printf("failed: %-40s %llu of %llu cases", u->name, (unsigned long long)u->failed_cases,
               (unsigned long long)u->cases);
        if (u->crashed_cases)
            printf(" (%llu crashed or hung)", (unsigned long long)u->crashed_cases);
        printf("\n");
    }
    printf("%llu cases, seed %llu\n", (unsigned long long)cases,
           (unsigned long long)p->options.seed);
    write_coverage(p);
    return failed;
}

int replay(struct plan *p, const char *path) {
    struct batch b;
    struct batch_header header;
    batch_init(&b, 1);
    FILE *f = fopen(path, "r");
    if (!f || fread(&header, sizeof header, 1, f) != 1 || header.magic != BATCH_MAGIC ||
        fread(b.scratch, sizeof b.scratch, 1, f) != 1 ||
        fread(b.cases, sizeof *b.cases, 1, f) != 1) {
        fprintf(stderr, "insn-test: cannot read a case from %s\n", path);
        return 2;
    }
    fclose(f);
    b.count = 1;
    b.repeat = header.repeat;
    if (!batch_run(&p->executor, &b))
        return 2;
    struct insn_result result[2] = {b.results[0][0], b.results[1][0]};
    uint32_t diff = compare_results(&b.cases[0], &result[0], &result[1], p->known);
    print_case(&p->executor, p->known, &b.cases[0], result);
    printf(diff ? "differs\n" : "no difference\n");
    batch_free(&b);
    return diff != 0;
}
