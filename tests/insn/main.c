/*
 * main.c - the instruction tester's command line. See --help.
 */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tester.h"

/* Pointer authentication off: elfuse offers its hints as NOPs, which is what they are without it.
 */
#define DEFAULT_ORACLE "qemu-aarch64 -cpu max,pauth=off,sve=off,sme=off"

static const char help[] =
    "usage: insn-test [options]\n"
    "Runs generated A64 code under an oracle and a subject and compares all state after it.\n"
    "  --subject CMD       command that runs an AArch64 program (default build/elfuse)\n"
    "  --oracle CMD        the same for the oracle (default " DEFAULT_ORACLE ")\n"
    "  --runner FILE       the guest program (default build/insn/runner)\n"
    "  --work DIR          for case and result files (default /dev/shm)\n"
    "  --known FILE        known deviations (default tests/insn/known.txt)\n"
    "  --supported CMD     test only rows that CMD --supported-insns lists\n"
    "  --row PATTERNS, --group NAMES, --feature NAMES   only these (comma-separated; rows may have "
    "* and ?)\n"
    "  --seed N            (default 1)         --rounds N   repeat with seed, seed+1, ...\n"
    "  --cases N           cases per row (default 200; 0: none)\n"
    "  --blocks N          blocks per unit (default 128)    --block-units N  units per theme "
    "(default 4; 0: none)\n"
    "  --undefined N       cases of unallocated words and rows that are not enabled: SIGILL "
    "(default 0)\n"
    "  --repeat N          times each case runs (default 2): all must give the same\n"
    "  --misaligned        also acquire, release and atomic accesses that are not aligned\n"
    "  --shared-slots      also blocks whose code overwrites earlier code\n"
    "  --region-limit      also blocks of the subject against itself with ELFUSE_REGION_LIMIT=1\n"
    "  --fpcr HEX          FPCR bits to vary (default 07c80000)\n"
    "  --timeout SECONDS   without progress (default 10)\n"
    "  --show N            failures shown per unit (default 2)   --show-total N  in all (default "
    "40)\n"
    "  --coverage FILE     table of rows and hits\n"
    "  --list              print the rows that would be tested\n"
    "  --replay FILE       run one saved case\n"
    "  --inject ROW        pretend the subject gets this row wrong\n"
    "  --self-test         check that injected faults are found and shrunk to one instruction\n";

static bool in_list(const char *list, const char *name) {
    char copy[512];
    snprintf(copy, sizeof copy, "%s", list);
    for (char *item = strtok(copy, ","); item; item = strtok(NULL, ","))
        if (!fnmatch(item, name, 0))
            return true;
    return false;
}

static bool read_supported(struct plan *p, const char *command) {
    char line[512];
    bool supported[A64_OP_COUNT] = {false};
    snprintf(line, sizeof line, "%s --supported-insns", command);
    FILE *f = popen(line, "r");
    if (!f) {
        perror(command);
        return false;
    }
    unsigned count = 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, " \t\r\n")] = 0;
        enum a64_op op = row_by_id(line);
        if (op) {
            supported[op] = true;
            count++;
        }
    }
    if (pclose(f) || !count) {
        fprintf(stderr, "insn-test: %s --supported-insns failed or named no row\n", command);
        return false;
    }
    for (unsigned i = 1; i < A64_OP_COUNT; i++) {
        p->supported[i] = supported[i];
        p->enabled[i] = p->enabled[i] && supported[i];
    }
    return true;
}

static void filter(struct plan *p, const char *rows, const char *groups, const char *features) {
    for (unsigned i = 1; i < A64_OP_COUNT; i++)
        p->enabled[i] = (!rows || in_list(rows, a64_rows[i].id)) &&
                        (!groups || in_list(groups, row_group(i))) &&
                        (!features || in_list(features, row_feature(i)));
}

int main(int argc, char **argv) {
    static struct plan p = {
        .options = {.seed = 1,
                    .fpcr_mask = 0x07c80000,
                    .cases_per_row = 200,
                    .blocks_per_unit = 128,
                    .block_units = 4,
                    .rounds = 1,
                    .repeat = 2,
                    .shown_per_unit = 2,
                    .shown_in_total = 40},
        .executor = {.side = {{"oracle", DEFAULT_ORACLE}, {"subject", "build/elfuse"}},
                     .runner = "build/insn/runner",
                     .work_directory = "/dev/shm",
                     .timeout_seconds = 10},
    };
    const char *rows = NULL, *groups = NULL, *features = NULL, *supported = NULL,
               *replay_path = NULL;
    const char *known_path = "tests/insn/known.txt", *inject = NULL;
    bool list = false, run_self_test = false;
    static const struct option options[] = {
        {"subject", 1, 0, 's'},      {"oracle", 1, 0, 'o'},      {"runner", 1, 0, 'r'},
        {"work", 1, 0, 'w'},         {"known", 1, 0, 'k'},       {"supported", 1, 0, 'S'},
        {"row", 1, 0, 'R'},          {"group", 1, 0, 'G'},       {"feature", 1, 0, 'F'},
        {"seed", 1, 0, 'n'},         {"rounds", 1, 0, 'N'},      {"cases", 1, 0, 'c'},
        {"blocks", 1, 0, 'b'},       {"block-units", 1, 0, 'B'}, {"shared-slots", 0, 0, 'x'},
        {"region-limit", 0, 0, 'l'}, {"fpcr", 1, 0, 'f'},        {"timeout", 1, 0, 't'},
        {"show", 1, 0, 'v'},         {"show-total", 1, 0, 'V'},  {"coverage", 1, 0, 'C'},
        {"list", 0, 0, 'L'},         {"undefined", 1, 0, 'u'},   {"misaligned", 0, 0, 'm'},
        {"repeat", 1, 0, 'e'},       {"replay", 1, 0, 'p'},      {"inject", 1, 0, 'i'},
        {"self-test", 0, 0, 'T'},    {"help", 0, 0, 'h'},        {0},
    };
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        switch (option) {
        case 's':
            p.executor.side[1].command = optarg;
            break;
        case 'o':
            p.executor.side[0].command = optarg;
            p.fixed_oracle = true;
            break;
        case 'r':
            p.executor.runner = optarg;
            break;
        case 'w':
            p.executor.work_directory = optarg;
            break;
        case 'k':
            known_path = optarg;
            break;
        case 'S':
            supported = optarg;
            break;
        case 'R':
            rows = optarg;
            break;
        case 'G':
            groups = optarg;
            break;
        case 'F':
            features = optarg;
            break;
        case 'n':
            p.options.seed = strtoull(optarg, NULL, 0);
            break;
        case 'N':
            p.options.rounds = strtoul(optarg, NULL, 0);
            break;
        case 'c':
            p.options.cases_per_row = strtoul(optarg, NULL, 0);
            break;
        case 'b':
            p.options.blocks_per_unit = strtoul(optarg, NULL, 0);
            break;
        case 'B':
            p.options.block_units = strtoul(optarg, NULL, 0);
            break;
        case 'x':
            p.options.shared_slots = true;
            break;
        case 'l':
            p.options.region_limit = true;
            break;
        case 'f':
            p.options.fpcr_mask = strtoull(optarg, NULL, 16);
            break;
        case 't':
            p.executor.timeout_seconds = strtoul(optarg, NULL, 0);
            break;
        case 'v':
            p.options.shown_per_unit = strtoul(optarg, NULL, 0);
            break;
        case 'V':
            p.options.shown_in_total = strtoul(optarg, NULL, 0);
            break;
        case 'C':
            p.options.coverage_path = optarg;
            break;
        case 'u':
            p.options.undefined_cases = strtoul(optarg, NULL, 0);
            break;
        case 'm':
            p.options.misaligned = true;
            break;
        case 'e':
            p.options.repeat = strtoul(optarg, NULL, 0);
            break;
        case 'L':
            list = true;
            break;
        case 'p':
            replay_path = optarg;
            break;
        case 'i':
            inject = optarg;
            break;
        case 'T':
            run_self_test = true;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            fputs("insn-test: see --help\n", stderr);
            return 2;
        }
    if (optind < argc) {
        fprintf(stderr, "insn-test: unexpected argument %s; see --help\n", argv[optind]);
        return 2;
    }
    if (inject && !(p.executor.inject = row_by_id(inject))) {
        fprintf(stderr, "insn-test: no row %s\n", inject);
        return 2;
    }
    if (mkdir(p.executor.work_directory, 0777) < 0 && errno != EEXIST) {
        perror(p.executor.work_directory);
        return 2;
    }
    filter(&p, rows, groups, features);
    memset(p.supported, 1, sizeof p.supported);
    p.supported[A64_UNALLOCATED] = false;
    if (!known_load(known_path, p.known) || (supported && !read_supported(&p, supported)))
        return 2;
    if (replay_path)
        return replay(&p, replay_path);
    if (run_self_test)
        return self_test(&p.executor, p.known, p.enabled, p.options.fpcr_mask);
    plan_units(&p);
    if (list) {
        for (unsigned i = 0; i < p.unit_count; i++)
            puts(p.units[i].name);
        return 0;
    }
    plan_run(&p);
    if (p.broken)
        return 2;
    unsigned failed = plan_summary(&p);
    printf("%u passed, %u failed\n", p.unit_count - failed, failed);
    return failed || !p.unit_count;
}
