/*
 * main.c - from the kernel's entry to the guest's first instruction.
 *
 * main_start runs in the image as the kernel mapped it, on the process's stack. The engine moves
 * the runtime into its reserved range and calls start_guest there, on a stack of its own; the
 * process's stack then is the guest's. Everything the runtime keeps is set up in start_guest, for
 * data written before the move stays behind.
 */
#include "base/base.h"
#include "base/errtext.h"
#include "base/hostcall.h"
#include "base/relocate.h"
#include "cli/cli.h"
#include "engine/engine.h"
#include "engine/space.h"
#include "linux/signal.h"
#include "linux/thread.h"
#include "loader/loader.h"

#include <linux/fcntl.h>

/* The program's argv: --argv0 or PROGRAM, or what a script's `#!` line makes of it, then the
 * arguments. */
static char **make_argv(const struct cli *cli, const struct exec_plan *plan) {
    uint64_t count = 0;
    while (cli->args[count])
        count++;
    char **argv = space_alloc((count + ARRAY_SIZE(plan->prefix) + 2) * sizeof *argv);
    if (!argv)
        die(125, "no memory for the arguments");
    uint64_t n = 0;
    for (; n < (uint64_t)plan->prefix_count; n++)
        argv[n] = (char *)plan->prefix[n];
    if (n == 0)
        argv[n++] = (char *)(cli->argv0 ? cli->argv0 : cli->program);
    for (uint64_t i = 0; i < count; i++)
        argv[n++] = cli->args[i];
    return argv;
}

static char **make_environment(const struct cli *cli, char **envp) {
    char **out = space_alloc(cli_env_max(cli, envp) * sizeof *out);
    if (!out)
        die(125, "no memory for the environment");
    cli_environment(cli, envp, out);
    return out;
}

static NORETURN void report(const struct exec_plan *plan, int64_t error) {
    int code = error == -ENOENT ? 127 : 126;
    if (error == -ENOEXEC && plan->why)
        die(code, "%s: %s", plan->culprit, plan->why);
    if (plan->culprit != plan->path)
        die(code, "%s: its interpreter %s: %s%s", plan->path, plan->culprit, error_text(error),
            plan->culprit == plan->interp_path && sysroot_fd() < 0
                ? " (give the directory that holds it with --sysroot)"
                : "");
    die(code, "%s: %s", plan->path, error_text(error));
}

/* Opens the program the command line names; an x86-64 one replaces this process. */
static void find_program(struct exec_plan *plan, const struct cli *cli, char **env) {
    static char path[PATH_BYTES];
    if (cli->exec_fd >= 0) {
        hostcall(__NR_fcntl, cli->exec_fd, F_SETFD, FD_CLOEXEC);
        *plan = (struct exec_plan){.fd = cli->exec_fd, .path = cli->program};
        return;
    }
    int64_t error = find_command(path, cli->program, env_get(env, "PATH"));
    if (error)
        die(error == -EACCES ? 126 : 127, "%s: %s", cli->program, error_text(error));
    error = exec_resolve(plan, AT_FDCWD, path, 0);
    if (error)
        report(plan, error);
    if (!plan->x86_64)
        return;
    struct exec_plan as_given = {0};
    char **argv = make_argv(cli, &as_given), **final_argv = make_argv(cli, plan);
    error = exec_native(plan, AT_FDCWD, argv, final_argv, env, 0);
    die(126, "%s: %s", path, error_text(error));
}

/* Runs in the copied image, on the first thread area's C stack. */
static NORETURN void start_guest(void *initial_stack) {
    struct host_start host;
    struct cli cli;
    static struct exec_plan plan;
    host_start_read(&host, initial_stack);
    cli_parse(&cli, host.argc, host.argv, host.envp);
    char **env = make_environment(&cli, host.envp);
    find_program(&plan, &cli, env);
    char **argv = make_argv(&cli, &plan);

    engine_hooks = (struct engine_hooks){
        .system_call = syscall_dispatch,
        .deliver_pending = signal_deliver_pending,
        .deliver_fault = signal_deliver_fault,
        .in_vdso = vdso_contains,
        .vdso_call = vdso_hypercall,
    };
    exec_forward_options = cli_forward;
    signal_init();
    engine_init();
    load_program(&program, plan.fd, plan.path);
    vdso_map(&host);
    struct thread *t = current();
    t->cpu.x[31] = build_stack(&program, &host, host.stack, argv, env, plan.path);
    t->cpu.pc = program.start;
    publish_process(&program, plan.fd, plan.path);
    hostcall(__NR_close, plan.fd);
    signal_set_mask(t, t->sigmask);
    engine_run(t);
}

int main_start(uint64_t *initial_stack) {
    space_init(start_guest, initial_stack);
}
