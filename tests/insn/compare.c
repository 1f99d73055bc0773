/*
 * compare.c - when two results differ, and which differences are known.
 *
 * known.txt has a line per deviation: PATTERN ACTION[=ARGUMENT] : REASON
 *   PATTERN  a row id, may have * and ?; or FEATURE:NAME
 *   skip     the row is not generated            alone       not as part of blocks
 *   skip=MASK/VALUE  words with these bits (hex) are not generated
 *   cpu=M    the oracle runs it as CPU model M   ignore=L    these of x sp pc nzcv fpcr fpsr v
 * memory fpsr=H   these FPSR bits (hex) do not count              signal code address,
 * comma-separated
 */
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "tester.h"

static const char *const difference_names[] = {"x", "sp",     "pc",     "nzcv", "fpcr",   "fpsr",
                                               "v", "memory", "signal", "code", "address"};

static bool parse_ignore(char *list, uint32_t *mask) {
    for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
        unsigned i = 0;
        while (i < ARRAY_SIZE(difference_names) && strcmp(name, difference_names[i]))
            i++;
        if (i == ARRAY_SIZE(difference_names))
            return false;
        *mask |= 1u << i;
    }
    return true;
}

static bool apply_action(struct known *k, const char *action, char *argument) {
    if (!strcmp(action, "skip") && argument[0])
        return sscanf(argument, "%x/%x", &k->skip_mask, &k->skip_value) == 2;
    if (!strcmp(action, "skip"))
        k->skip = true;
    else if (!strcmp(action, "alone"))
        k->alone = true;
    else if (!strcmp(action, "cpu"))
        snprintf(k->oracle_cpu, sizeof k->oracle_cpu, "%s", argument);
    else if (!strcmp(action, "fpsr"))
        k->fpsr_ignore |= strtoul(argument, NULL, 16);
    else if (!strcmp(action, "ignore"))
        return parse_ignore(argument, &k->ignore);
    else
        return false;
    return true;
}

bool known_load(const char *path, struct known known[A64_OP_COUNT]) {
    char line[512];
    unsigned number = 0;
    FILE *f = fopen(path, "r");
    if (!f) {
        perror(path);
        return false;
    }
    while (fgets(line, sizeof line, f)) {
        char pattern[64], action[64], argument[64] = "", rest[8] = "";
        number++;
        char *p = line + strspn(line, " \t\n");
        if (!*p || *p == '#')
            continue;
        bool used = false;
        bool ok = sscanf(p, "%63s %63[a-z]=%63s : %7s", pattern, action, argument, rest) == 4 ||
                  sscanf(p, "%63s %63[a-z] : %7s", pattern, action, rest) == 3;
        for (unsigned i = 1; ok && i < A64_OP_COUNT; i++) {
            char argument_copy[64];
            if (strncmp(pattern, "FEATURE:", 8) == 0 ? strcmp(pattern + 8, row_feature(i)) != 0
                                                     : fnmatch(pattern, a64_rows[i].id, 0) != 0)
                continue;
            used = true;
            strcpy(argument_copy, argument);
            ok = apply_action(&known[i], action, argument_copy);
        }
        if (!ok || !used) {
            fprintf(stderr, "%s:%u: %s\n", path, number,
                    ok ? "no row matches" : "want PATTERN ACTION[=ARGUMENT] : REASON");
            fclose(f);
            return false;
        }
    }
    fclose(f);
    return true;
}

static bool is_memory_fault(const struct insn_result *r) {
    return r->signal == 11 || r->signal == 7;
}

/* A store that crosses into a page it may not write can leave its first part written, or not. */
static bool memory_equal(const struct insn_result *a, const struct insn_result *b) {
    if (a->memory_hash == b->memory_hash && a->memory_count == b->memory_count)
        return true;
    if (!is_memory_fault(a) || !is_memory_fault(b) || a->memory_count > RESULT_MEMORY_WORDS ||
        b->memory_count > RESULT_MEMORY_WORDS)
        return false;
    const struct insn_result *pair[2] = {a, b};
    for (int side = 0; side < 2; side++)
        for (unsigned i = 0; i < pair[side]->memory_count; i++) {
            const struct insn_result *other = pair[!side];
            bool found = false;
            for (unsigned j = 0; j < other->memory_count; j++)
                found = found || (other->memory[j].offset == pair[side]->memory[i].offset &&
                                  other->memory[j].value == pair[side]->memory[i].value);
            uint64_t at = SCRATCH_BASE + pair[side]->memory[i].offset;
            if (!found && at + 80 < a->fault_address)
                return false;
            if (!found && at > a->fault_address + 80)
                return false;
        }
    return true;
}

/* The address a single load or store uses; false when the case is no such thing. */
static bool effective_address(const struct insn_case *c, uint64_t *address, unsigned *bytes) {
    struct access a = analyse_access(c->code[c->code_first]);
    if (!c->row || c->code_count != 1 || !a.exists || a.literal)
        return false;
    *address = (a.base == 31 ? c->before.sp : c->before.x[a.base]) + a.offset;
    if (a.index_added && a.index < 31)
        *address += index_value(&a, c->before.x[a.index]);
    *bytes = a.bytes;
    return true;
}

/*
 * An access that crosses a page may report its own address or the page's. For an address that is
 * not canonical on the host qemu reports 0; Linux reports what was used without the tag (arm64's
 * untagged_addr).
 */
static bool address_equal(const struct insn_case *c, uint64_t expected, uint64_t got) {
    uint64_t used;
    unsigned bytes = 0;
    if (expected == got)
        return true;
    if (expected == 0 && (int64_t)(got << 16) >> 16 != (int64_t)got) {
        if (!effective_address(c, &used, &bytes))
            return true;
        used &= (uint64_t)((int64_t)(used << 8) >> 8);
        return got - used < bytes;
    }
    uint64_t low = MIN(expected, got), high = MAX(expected, got);
    return high - low < 64 && low / PAGE_BYTES != high / PAGE_BYTES;
}

/* Linux reports ILL_ILLOPC (1) for an undefined instruction, qemu-user ILL_ILLOPN (2). */
static bool code_equal(const struct insn_result *a, const struct insn_result *b) {
    return a->code == b->code || (a->signal == 4 && a->code + b->code == 3);
}

static uint32_t compare_states(const struct insn_case *c, const struct insn_result *e,
                               const struct insn_result *g, uint32_t fpsr_ignore) {
    const struct insn_state *a = &e->after, *b = &g->after;
    uint32_t diff = 0;
    uint32_t v_ignore = 0, x_ignore = 0;
    uint64_t word = (a->pc - CODE_BASE - c->slot_offset) / 4;
    if (is_memory_fault(e) && is_memory_fault(g) && word < c->slot_words) {
        v_ignore = unknown_v_after_fault(c->code[word]);
        x_ignore = unknown_x_after_fault(c->code[word]);
    }
    for (unsigned i = 0; i < 31; i++)
        if (a->x[i] != b->x[i] && !(x_ignore >> i & 1))
            diff |= DIFF_X;
    diff |= a->sp != b->sp ? DIFF_SP : 0;
    diff |= a->pc != b->pc ? DIFF_PC : 0;
    diff |= a->nzcv != b->nzcv ? DIFF_NZCV : 0;
    diff |= a->fpcr != b->fpcr ? DIFF_FPCR : 0;
    diff |= ((a->fpsr ^ b->fpsr) & ~(uint64_t)fpsr_ignore) ? DIFF_FPSR : 0;
    for (unsigned i = 0; i < 32; i++)
        if (memcmp(a->v[i], b->v[i], 16) && !(v_ignore >> i & 1))
            diff |= DIFF_V;
    return diff;
}

uint32_t compare_results(const struct insn_case *c, const struct insn_result *expected,
                         const struct insn_result *got, const struct known *known) {
    uint32_t ignore = 0, fpsr_ignore = 0;
    for (unsigned i = 0; i < c->code_count; i++) {
        enum a64_op op = a64_decode(c->code[c->code_first + i]);
        ignore |= known[op].ignore;
        fpsr_ignore |= known[op].fpsr_ignore;
    }
    if (expected->done != DONE || got->done != DONE)
        return DIFF_CRASH;
    uint32_t diff = compare_states(c, expected, got, fpsr_ignore);
    diff |= expected->unstable != got->unstable ? DIFF_UNSTABLE : 0;
    diff |= expected->signal != got->signal ? DIFF_SIGNAL : 0;
    if (expected->signal && expected->signal == got->signal) {
        diff |= !code_equal(expected, got) ? DIFF_CODE : 0;
        diff |= !address_equal(c, expected->fault_address, got->fault_address) ? DIFF_ADDRESS : 0;
    }
    diff |= memory_equal(expected, got) ? 0 : DIFF_MEMORY;
    return diff & ~ignore;
}
