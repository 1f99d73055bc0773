/*
 * exec.c - execve and execveat.
 *
 * What the file comes to is decided first (loader's exec_resolve), so that the guest gets Linux's
 * error while it still exists. An AArch64 program is run by executing the runtime again, through
 * the descriptor it holds of itself, with this process's options and the program's open file; an
 * x86-64 one by the host.
 *
 * A vfork child executes in its parent's memory: what it allocates here the parent gives back
 * (t->exec_scratch).
 */
#include <linux/errno.h>
#include <linux/fcntl.h>

#include "base/hostcall.h"
#include "engine/engine.h"
#include "engine/hostsig.h"
#include "linux/exec.h"
#include "linux/path.h"
#include "linux/signal.h"
#include "linux/syscalls.h"

#define MAX_ARGUMENTS \
    0x200000u /* the kernel allows no more pointers than 1/4 of a stack of strings can hold */

exec_forward_fn *exec_forward_options;

/* Counts the guest's argv or envp. Returns -EFAULT or -E2BIG. */
static int64_t count_pointers(guest_addr at) {
    for (uint64_t n = 0; at && n < MAX_ARGUMENTS; n++) {
        uint64_t p;
        if (copy_from_guest(&p, at + n * 8, 8))
            return -EFAULT;
        if (!p)
            return (int64_t)n;
    }
    return at ? -E2BIG : 0;
}

void exec_scratch_free(struct thread *t) {
    if (t->exec_scratch)
        space_free(t->exec_scratch, t->exec_scratch_bytes);
    t->exec_scratch = NULL;
}

/* Room for argv with `extra` more pointers, holding the guest's argv[1] on at [extra]. NULL: no
 * memory. */
static char **scratch_argv(struct thread *t, guest_addr argv, uint64_t argc, uint64_t extra) {
    t->exec_scratch_bytes = ALIGN_UP((argc + extra + 1) * 8, PAGE_BYTES);
    t->exec_scratch = space_alloc(t->exec_scratch_bytes);
    char **out = t->exec_scratch;
    if (out && argc > 1 && copy_from_guest(out + extra, argv + 8, (argc - 1) * 8))
        return NULL;
    return out;
}

/* The last step: nothing but the host's execve is between the guest and its new program. */
static int64_t exec_host(struct thread *t, int fd, char *const *argv, guest_addr envp) {
    signal_exec_prepare(
        t, false); /* signals stay blocked, and pending, until the new runtime can take them */
    int64_t ret = fd >= 0 ? hostcall(__NR_execveat, fd, "", argv, envp, AT_EMPTY_PATH)
                          : hostcall(__NR_execve, "/proc/self/exe", argv, envp);
    signal_exec_failed(t);
    return ret;
}

static int64_t exec_aarch64(struct thread *t, struct exec_plan *plan, guest_addr argv_at,
                            uint64_t argc, guest_addr envp) {
    struct exec_forward forward;
    char *argv0 = "";
    if (plan->prefix_count > 0)
        argv0 = (char *)plan->prefix[0];
    else if (argc > 0 && copy_from_guest(&argv0, argv_at, 8))
        return -EFAULT;
    uint64_t n = (uint64_t)exec_forward_options(&forward, plan->fd, t->sigmask, argv0, plan->path);
    uint64_t prefix = plan->prefix_count > 1 ? (uint64_t)plan->prefix_count - 1 : 0;
    char **argv = scratch_argv(t, argv_at, argc, n + prefix);
    if (!argv)
        return -ENOMEM;
    memcpy(argv, forward.arg, n * sizeof(*argv));
    if (prefix)
        memcpy(argv + n, plan->prefix + 1, prefix * sizeof(*argv));
    hostcall(__NR_fcntl, plan->fd, F_SETFD, 0);
    fd_hidden_inherit(true);
    int64_t ret = exec_host(t, space_self_fd(), argv, envp);
    fd_hidden_inherit(false);
    return ret;
}

static int64_t exec_x86_64(struct thread *t, struct exec_plan *plan, int dirfd, guest_addr argv_at,
                           uint64_t argc, guest_addr envp, int flags) {
    uint64_t prefix = (uint64_t)plan->prefix_count;
    char **argv = scratch_argv(t, argv_at, argc, prefix ? prefix : 1);
    if (!argv)
        return -ENOMEM;
    for (uint64_t i = 0; i < prefix; i++)
        argv[i] = (char *)plan->prefix[i];
    if (!prefix && argc > 0 && copy_from_guest(argv, argv_at, 8))
        return -EFAULT;
    signal_exec_prepare(t, true);
    int64_t ret =
        exec_native(plan, dirfd, (char *const *)argv_at, argv, (char *const *)envp, flags);
    signal_exec_failed(t);
    return ret;
}

static int64_t exec_common(struct thread *t, int dirfd, guest_addr path_at, guest_addr argv,
                           guest_addr envp, int flags) {
    char path[PATH_BYTES];
    int64_t length = copy_string_from_guest(path, path_at, sizeof(path));
    if (length < 0)
        return length;
    int64_t argc = count_pointers(argv), envc = count_pointers(envp);
    if (argc < 0 || envc < 0)
        return argc < 0 ? argc : envc;
    bool itself = proc_file_of(path, t->pid, t->tid) == PROC_EXE;
    struct exec_plan plan;
    int64_t ret = exec_resolve(&plan, dirfd, itself ? program.exe_path : path, flags);
    if (ret)
        return ret;
    if (itself) /* the link's target runs, under the link's name */
        plan.path = path;
    ret = signal_block_host(t, ~ENGINE_SIGNALS);
    if (!ret) {
        ret = plan.x86_64 ? exec_x86_64(t, &plan, dirfd, argv, (uint64_t)argc, envp, flags)
                          : exec_aarch64(t, &plan, argv, (uint64_t)argc, envp);
        exec_scratch_free(t);
        signal_set_mask(t, t->sigmask);
    }
    hostcall(__NR_close, plan.fd);
    return ret;
}

SYSCALL(execve) {
    return exec_common(t, AT_FDCWD, a[0], a[1], a[2], 0);
}

SYSCALL(execveat) {
    int flags = (int)a[4];
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return exec_common(t, (int)a[0], a[1], a[2], a[3], flags);
}
