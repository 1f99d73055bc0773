/*
 * cli.h - the command line of elfuse.
 */
#ifndef ELFUSE_CLI_H
#define ELFUSE_CLI_H

#include "base/base.h"
#include "linux/exec.h"

struct cli {
    const char *program; /* as given: PATH is searched when it holds no slash */
    char **args;         /* the program's own arguments: argv[1] on, NULL-terminated */
    const char *argv0;   /* --argv0, or NULL */
    int exec_fd;         /* --exec-fd: the program is this open file; -1: none */
    int argc;            /* options are host argv[1] .. argv[argc - 1] */
    char **argv;
};

/*
 * Reads elfuse's arguments and environment variables into cli and `options`. Exits itself after
 * --help, --version and
 * --supported-insns (0) and after a wrong option (125, one line).
 */
void cli_parse(struct cli *cli, int argc, char **argv, char **envp);

/* Writes the guest's environment (envp, -E, -U in order) to out, which has room for cli_env_max()
 * pointers. */
void cli_environment(const struct cli *cli, char **envp, char **out);
uint64_t cli_env_max(const struct cli *cli, char **envp);

/* The value of a variable in an environment list, or NULL. */
const char *env_get(char *const *envp, const char *name);

/* See linux/exec.h. */
exec_forward_fn cli_forward;

#endif
