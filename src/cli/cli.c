/*
 * cli.c - options. One table holds every option: its name, whether it takes a value, and the help
 * text; the help, the parser and the man page's order follow it.
 *
 * Options end at the first argument that is not one, or at `--`. The guest sees the environment
 * unchanged but for -E and -U.
 */
#include "cli/cli.h"

#include "base/errtext.h"
#include "base/hostcall.h"
#include "engine/engine.h"
#include "loader/loader.h"
#include "translate/lower.h"

#include <linux/fcntl.h>

extern lower_fn *const lower_table[A64_OP_COUNT];

enum option {
    OPT_SYSROOT,
    OPT_ENV,
    OPT_UNSET,
    OPT_ARGV0,
    OPT_TRACE,
    OPT_STATS,
    OPT_DUMP_CODE,
    OPT_PRECISE_FLAGS,
    OPT_CODE_CACHE,
    OPT_REGION_LIMIT,
    OPT_CPU,
    OPT_SUPPORTED,
    OPT_HELP,
    OPT_VERSION,
    OPT_EXEC_FD,
    OPT_SYSROOT_FD,
    OPT_TRACE_FD,
    OPT_SIGMASK,
};

enum value { NO_VALUE, VALUE, MAY_HAVE_VALUE /* only as --name=value */ };

struct option_row {
    const char *name; /* with dashes */
    uint8_t option, value;
    const char *operand, *help; /* no help: internal, given by the runtime to itself */
};

static const struct option_row rows[] = {
    {"--sysroot", OPT_SYSROOT, VALUE, " DIR",
     "look in DIR first for absolute paths: the loader, libraries, programs"},
    {"-E", OPT_ENV, VALUE, " NAME=VALUE", "set an environment variable of the program"},
    {"-U", OPT_UNSET, VALUE, " NAME", "remove one"},
    {"--argv0", OPT_ARGV0, VALUE, " NAME", "the program's argv[0] (default: PROGRAM)"},
    {"--trace", OPT_TRACE, MAY_HAVE_VALUE, "[=FILE]",
     "print system calls and signals to stderr or FILE"},
    {"--stats", OPT_STATS, NO_VALUE, "", "print translation figures at exit"},
    {"--precise-flags", OPT_PRECISE_FLAGS, NO_VALUE, "",
     "show fault handlers NZCV even where it is dead (slower; ELFUSE_PRECISE_FLAGS=1)"},
    {"--dump-code", OPT_DUMP_CODE, VALUE, " FILE",
     "write translated code to FILE, for a disassembler"},
    {"--code-cache", OPT_CODE_CACHE, VALUE, " SIZE",
     "bytes of translated code to keep; K, M, G are understood"},
    {"--region-limit", OPT_REGION_LIMIT, VALUE, " N",
     "most instructions translated at once (ELFUSE_REGION_LIMIT)"},
    {"--cpu", OPT_CPU, VALUE, " LEVEL",
     "host instructions to use: v2, v3 or v4 (ELFUSE_CPU; default: all)"},
    {"--supported-insns", OPT_SUPPORTED, NO_VALUE, "",
     "list the AArch64 instructions that are implemented"},
    {"--help", OPT_HELP, NO_VALUE, "", "show this"},
    {"--version", OPT_VERSION, NO_VALUE, "", "show the version"},
    {"--exec-fd", OPT_EXEC_FD, VALUE, "", NULL},
    {"--sysroot-fd", OPT_SYSROOT_FD, VALUE, "", NULL},
    {"--trace-fd", OPT_TRACE_FD, VALUE, "", NULL},
    {"--sigmask", OPT_SIGMASK, VALUE, "", NULL},
};

static NORETURN void finish(int code) {
    for (;;)
        hostcall(__NR_exit_group, code);
}

/* ---- values ---- */

static bool parse_number(const char *text, uint64_t *value) {
    uint64_t n = 0;
    if (!*text)
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (n > (UINT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    *value = n;
    return *text == 0;
}

static bool parse_size(const char *text, uint64_t *bytes) {
    char digits[24];
    size_t length = str_copy(digits, text, sizeof digits);
    if (length == 0 || length >= sizeof digits)
        return false;
    unsigned shift = 0;
    switch (digits[length - 1] | 0x20) {
    case 'k':
        shift = 10;
        break;
    case 'm':
        shift = 20;
        break;
    case 'g':
        shift = 30;
        break;
    }
    if (shift)
        digits[length - 1] = 0;
    if (!parse_number(digits, bytes) || *bytes > UINT64_MAX >> 34)
        return false;
    *bytes <<= shift;
    return true;
}

static int parse_fd(const char *option, const char *text) {
    uint64_t fd;
    if (!parse_number(text, &fd) || fd > INT32_MAX || hostcall(__NR_fcntl, fd, F_GETFD) < 0)
        die(125, "%s: not an open descriptor: %s", option, text);
    return (int)fd;
}

static void set_region_limit(const char *name, const char *text) {
    uint64_t n;
    if (!parse_number(text, &n) || n < 1 || n > UINT32_MAX)
        die(125, "%s: not a count of at least 1: %s", name, text);
    options.region_limit = (uint32_t)n;
}

static void set_cpu(const char *name, const char *text) {
    if (strcmp(text, "v2") && strcmp(text, "v3") && strcmp(text, "v4"))
        die(125, "%s: not v2, v3 or v4: %s", name, text);
    options.cpu_level = text;
}

static void set_trace(const char *file) {
    int64_t fd =
        file ? hostcall(__NR_open, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0666)
             : hostcall(__NR_fcntl, 2, F_DUPFD_CLOEXEC, 3);
    if (host_failed(fd))
        die(125, "--trace: %s: %s", file ? file : "stderr", error_text(fd));
    int64_t hidden = fd_hide((int)fd);
    options.trace_fd = (int)(host_failed(hidden) ? fd : hidden);
}

static void set_dump(const char *file) {
    int64_t fd =
        hostcall(__NR_open, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0666);
    if (host_failed(fd))
        die(125, "--dump-code: %s: %s", file, error_text(fd));
    int64_t hidden = fd_hide((int)fd);
    options.dump_fd = (int)(host_failed(hidden) ? fd : hidden);
}

static void set_sysroot(const char *directory) {
    int64_t error = sysroot_open(directory);
    if (error)
        die(error == -ENOENT ? 127 : 125, "--sysroot: %s: %s", directory,
            error == -ENOSYS ? "the host kernel has no openat2 (Linux 5.6)" : error_text(error));
    options.sysroot = directory;
}

/* A descriptor handed over by the runtime that executed us. */
static int take_fd(const char *option, const char *text) {
    int fd = parse_fd(option, text);
    int64_t hidden = fd_hide(fd);
    return host_failed(hidden) ? fd : (int)hidden;
}

static void check_env(const char *option, const char *text) {
    const char *equals = strchr(text, '=');
    if (!*text || equals == text || (option[1] == 'E' && !equals) || (option[1] == 'U' && equals))
        die(125, "%s: not %s: %s", option, option[1] == 'E' ? "NAME=VALUE" : "a NAME", text);
}

/* ---- what only prints ---- */

static void print_help(int fd) {
    fmt_fd(fd, "usage: elfuse [options] PROGRAM [ARGUMENTS...]\n"
               "Runs an AArch64 Linux program on this machine. PROGRAM is looked up in PATH.\n\n");
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        char head[32];
        fmt(head, sizeof head, "%s%s", rows[i].name, rows[i].operand);
        if (rows[i].help)
            fmt_fd(fd, "  %-18s %s\n", head, rows[i].help);
    }
    fmt_fd(fd, "  %-18s %s\n", "--", "end of options");
    fmt_fd(fd, "\nThe exit status is the program's; 125: elfuse itself failed, 126: PROGRAM cannot "
               "be run,\n"
               "127: it was not found.\n");
}

static void print_supported(void) {
    for (unsigned op = 1; op < A64_OP_COUNT; op++)
        if (lower_table[op])
            fmt_fd(1, "%s\n", a64_rows[op].id);
}

/* ---- the parser ---- */

/*
 * The option at argv[*at], or NULL when options end there; *at moves behind it and its value.
 * Accepted: --name value,
 * --name=value, -X value, -Xvalue.
 */
static const struct option_row *next_option(int argc, char **argv, int *at, const char **value) {
    const char *arg = argv[*at];
    *value = NULL;
    if (arg[0] != '-' || arg[1] == 0)
        return NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct option_row *row = &rows[i];
        size_t length = strlen(row->name);
        bool is_long = row->name[1] == '-';
        if (strncmp(arg, row->name, length) || (is_long && arg[length] && arg[length] != '='))
            continue;
        ++*at;
        if (arg[length]) {
            *value = arg + length + is_long;
            if (row->value == NO_VALUE)
                die(125, "%s takes no value; see --help", row->name);
        } else if (row->value == VALUE) {
            if (*at >= argc)
                die(125, "%s needs a value; see --help", row->name);
            *value = argv[(*at)++];
        }
        return row;
    }
    if (strcmp(arg, "--"))
        die(125, "unknown option %s; see --help", arg);
    ++*at;
    return NULL;
}

static void apply(struct cli *cli, const struct option_row *row, const char *value) {
    switch (row->option) {
    case OPT_SYSROOT:
        set_sysroot(value);
        break;
    case OPT_ENV:
    case OPT_UNSET:
        check_env(row->name, value);
        break;
    case OPT_ARGV0:
        cli->argv0 = value;
        break;
    case OPT_TRACE:
        set_trace(value);
        break;
    case OPT_STATS:
        options.stats = true;
        break;
    case OPT_SIGMASK:
        options.has_sigmask = parse_number(value, &options.sigmask);
        break;
    case OPT_PRECISE_FLAGS:
        options.precise_flags = true;
        break;
    case OPT_DUMP_CODE:
        set_dump(value);
        break;
    case OPT_CODE_CACHE:
        if (!parse_size(value, &options.code_cache_bytes) || !options.code_cache_bytes)
            die(125, "--code-cache: not a size: %s", value);
        break;
    case OPT_REGION_LIMIT:
        set_region_limit(row->name, value);
        break;
    case OPT_CPU:
        set_cpu(row->name, value);
        break;
    case OPT_SUPPORTED:
        print_supported();
        finish(0);
    case OPT_HELP:
        print_help(1);
        finish(0);
    case OPT_VERSION:
        fmt_fd(1, "elfuse %s\n", ELFUSE_VERSION);
        finish(0);
    case OPT_EXEC_FD:
        cli->exec_fd = parse_fd(row->name, value);
        break;
    case OPT_SYSROOT_FD:
        sysroot_use(parse_fd(row->name, value));
        options.sysroot = "";
        break;
    case OPT_TRACE_FD:
        options.trace_fd = take_fd(row->name, value);
        break;
    }
}

void cli_parse(struct cli *cli, int argc, char **argv, char **envp) {
    *cli = (struct cli){.exec_fd = -1, .argv = argv};
    const char *precise = env_get(envp, "ELFUSE_PRECISE_FLAGS");
    options.precise_flags = precise && strcmp(precise, "0") != 0;
    const char *env = env_get(envp, "ELFUSE_REGION_LIMIT");
    if (env && *env)
        set_region_limit("ELFUSE_REGION_LIMIT", env);
    env = env_get(envp, "ELFUSE_CPU");
    if (env && *env)
        set_cpu("ELFUSE_CPU", env);

    int at = 1;
    const char *value;
    const struct option_row *row;
    while (at < argc && (row = next_option(argc, argv, &at, &value)))
        apply(cli, row, value);
    if (at >= argc) {
        if (argc > 1)
            die(125, "no PROGRAM given; see --help");
        print_help(2);
        finish(125);
    }
    cli->argc = at;
    cli->program = argv[at];
    cli->args = argv + at + 1;
}

/* ---- the environment ---- */

/* True when entry is NAME=..., name ending at its NUL or '='. */
static bool env_names(const char *entry, const char *name) {
    while (*name && *name != '=' && *entry == *name)
        entry++, name++;
    return (!*name || *name == '=') && *entry == '=';
}

const char *env_get(char *const *envp, const char *name) {
    for (; *envp; envp++)
        if (env_names(*envp, name))
            return strchr(*envp, '=') + 1;
    return NULL;
}

uint64_t cli_env_max(const struct cli *cli, char **envp) {
    uint64_t n = 0;
    while (envp[n])
        n++;
    return n + (uint64_t)cli->argc + 1;
}

static uint64_t env_remove(char **list, uint64_t count, const char *name) {
    uint64_t kept = 0;
    for (uint64_t i = 0; i < count; i++)
        if (!env_names(list[i], name))
            list[kept++] = list[i];
    return kept;
}

void cli_environment(const struct cli *cli, char **envp, char **out) {
    uint64_t count = 0;
    while (envp[count]) {
        out[count] = envp[count];
        count++;
    }
    int at = 1;
    const char *value;
    const struct option_row *row;
    while (at < cli->argc && (row = next_option(cli->argc, cli->argv, &at, &value))) {
        if (row->option != OPT_ENV && row->option != OPT_UNSET)
            continue;
        count = env_remove(out, count, value);
        if (row->option == OPT_ENV)
            out[count++] = (char *)value;
    }
    out[count] = NULL;
}

/* ---- handing the options on ---- */

int cli_forward(struct exec_forward *f, int exec_fd, uint64_t sigmask, const char *argv0,
                const char *path) {
    int n = 0, t = 0;
#define TEXT(...) (fmt(f->text[t], sizeof f->text[0], __VA_ARGS__), f->text[t++])
    f->arg[n++] = "elfuse";
    if (sysroot_fd() >= 0)
        f->arg[n++] = TEXT("--sysroot-fd=%d", sysroot_fd());
    if (options.trace_fd >= 0)
        f->arg[n++] = TEXT("--trace-fd=%d", options.trace_fd);
    if (options.stats)
        f->arg[n++] = "--stats";
    if (options.precise_flags)
        f->arg[n++] = "--precise-flags";
    if (options.code_cache_bytes)
        f->arg[n++] = TEXT("--code-cache=%lu", options.code_cache_bytes);
    if (options.region_limit)
        f->arg[n++] = TEXT("--region-limit=%u", options.region_limit);
    if (options.cpu_level)
        f->arg[n++] = TEXT("--cpu=%s", options.cpu_level);
    f->arg[n++] = TEXT("--sigmask=%lu", sigmask);
    f->arg[n++] = TEXT("--exec-fd=%d", exec_fd);
#undef TEXT
    f->arg[n++] = "--argv0";
    f->arg[n++] = (char *)argv0;
    f->arg[n++] = "--";
    f->arg[n++] = (char *)path;
    return n;
}
