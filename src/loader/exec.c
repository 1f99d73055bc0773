/*
 * exec.c - what executing a file comes to, decided as the kernel decides it (fs/exec.c,
 * fs/binfmt_script.c) but before the point of no return, so that a guest's execve gets Linux's
 * error back.
 *
 * A script is followed until an ELF file stands at the end: AArch64, which the runtime loads, or
 * x86-64, which the host runs. The descriptor opened for the check is the one that is executed.
 */
#include "loader/loader.h"

#include "base/hostcall.h"
#include "engine/engine.h"
#include "loader/elf.h"

#include <linux/fcntl.h>
#include <asm/stat.h>

/* ---- the `#!` line ---- */

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/*
 * Linux looks at the first 256 bytes only. Without a newline there the name must at least be
 * complete, that is, followed by a blank or the NUL after the end of a short file; an argument may
 * be cut.
 */
int script_parse(char line[SCRIPT_LINE_BYTES], const char **name, const char **argument) {
    if (line[0] != '#' || line[1] != '!')
        return -ENOEXEC;
    size_t last = SCRIPT_LINE_BYTES - 1;
    char *newline = memchr(line, '\n', strnlen(line, SCRIPT_LINE_BYTES));
    char *end = newline ? newline : line + last;
    char *start = line + 2;
    if (!newline) {
        char *p = start;
        while (p < end && is_blank(*p))
            p++;
        while (p < line + SCRIPT_LINE_BYTES && *p && !is_blank(*p))
            p++;
        if (p == line + SCRIPT_LINE_BYTES)
            return -ENOEXEC;
    }
    while (end > start && is_blank(end[-1]))
        end--;
    *end = 0;
    while (is_blank(*start))
        start++;
    if (!*start)
        return -ENOEXEC;
    *name = start;
    *argument = NULL;
    while (*start && !is_blank(*start))
        start++;
    if (*start) {
        *start++ = 0;
        while (is_blank(*start))
            start++;
        *argument = start;
    }
    return 0;
}

/* ---- opening ---- */

/* O_NONBLOCK: a FIFO must be refused, not waited for. */
#define OPEN_EXEC (O_RDONLY | O_CLOEXEC | O_NONBLOCK)

static int64_t open_checked(struct exec_plan *plan, int dirfd, const char *path, uint32_t extra) {
    int64_t fd = sysroot_openat(path, OPEN_EXEC | extra, 0);
    if (fd != -ENOENT)
        plan->from_sysroot |= !host_failed(fd);
    else
        fd = hostcall(__NR_openat, dirfd, path, OPEN_EXEC | extra, 0);
    if (host_failed(fd))
        return fd;
    int64_t error = check_executable(fd);
    if (error) {
        hostcall(__NR_close, fd);
        return error;
    }
    return fd;
}

/* The guest's descriptor may be O_PATH, so it is opened again; the offset then is our own as well.
 */
static int64_t open_descriptor(int dirfd) {
    char link[32];
    fmt(link, sizeof link, "/proc/self/fd/%d", dirfd);
    int64_t error = check_executable(dirfd);
    if (error)
        return error;
    int64_t fd = hostcall(__NR_open, link, OPEN_EXEC);
    return fd == -ENOENT || fd == -ENOTDIR ? hostcall(__NR_fcntl, dirfd, F_DUPFD_CLOEXEC, 0) : fd;
}

/* Opens the file execveat names, and says under which name scripts and AT_EXECFN know it. */
static int64_t open_first_file(struct exec_plan *plan, int dirfd, const char *path, int flags) {
    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    if (!*path && !(flags & AT_EMPTY_PATH))
        return -ENOENT;
    if (!*path && dirfd == AT_FDCWD)
        return -EACCES; /* the current directory */
    if (path[0] == '/' || dirfd == AT_FDCWD)
        return open_checked(plan, dirfd, path, flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
    int wanted =
        fmt(plan->script_path, PATH_BYTES, *path ? "/dev/fd/%d/%s" : "/dev/fd/%d", dirfd, path);
    if (wanted >= PATH_BYTES)
        return -ENAMETOOLONG;
    plan->path = plan->script_path;
    if (!*path)
        return open_descriptor(dirfd);
    return open_checked(plan, dirfd, path, flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
}

/* ---- deciding ---- */

static int64_t read_fd(void *context, uint64_t offset, void *dst, uint64_t bytes) {
    return hostcall(__NR_pread64, *(int *)context, dst, bytes, offset);
}

/* The interpreter is opened only to give ENOENT, EACCES or ENOEXEC back while that is still
 * possible. */
static int64_t check_interpreter(struct exec_plan *plan, const struct elf_file *elf) {
    char head[sizeof(Elf64_Ehdr)];
    char *path = plan->interp_path;
    int64_t got = hostcall(__NR_pread64, plan->fd, path, elf->interp_bytes, elf->interp_offset);
    if (got != elf->interp_bytes || path[got - 1])
        return -ENOEXEC;
    plan->culprit = path;
    int64_t fd = open_first(AT_FDCWD, path, OPEN_EXEC);
    if (host_failed(fd))
        return fd;
    int64_t error = check_executable(fd);
    got = hostcall(__NR_pread64, fd, head, sizeof head, 0);
    hostcall(__NR_close, fd);
    uint16_t machine = 0;
    if (!error && (got < 0 || elf_identify(head, (uint64_t)got, &machine) || machine != EM_AARCH64))
        error = -ELIBBAD;
    return error;
}

static int64_t check_program(struct exec_plan *plan) {
    struct stat st;
    int64_t error = hostcall(__NR_fstat, plan->fd, &st);
    Elf64_Phdr *table = space_alloc(65536);
    if (!table)
        return -ENOMEM;
    struct elf_file elf;
    if (!error) {
        plan->why = elf_parse(&elf, table, (uint64_t)st.st_size, read_fd, &plan->fd);
        if (plan->why)
            error = -ENOEXEC;
        else if (elf.machine == EM_AARCH64 && elf.interp_bytes)
            error = check_interpreter(plan, &elf);
    }
    space_free(table, 65536);
    return error;
}

/* Puts [interpreter, argument, script] before what is there, in place of the name the script was
 * called by. */
static void add_prefix(struct exec_plan *plan, const char *name, const char *argument,
                       const char *script) {
    int added = argument ? 2 : 1;
    if (plan->prefix_count == 0) {
        plan->prefix[0] = script;
        plan->prefix_count = 1;
    }
    memmove(plan->prefix + added, plan->prefix,
            (size_t)plan->prefix_count * sizeof plan->prefix[0]);
    plan->prefix[0] = name;
    if (argument)
        plan->prefix[1] = argument;
    plan->prefix_count += added;
}

static int64_t follow(struct exec_plan *plan, bool unreachable) {
    const char *script = plan->path;
    for (;; plan->depth++) {
        if (plan->depth > SCRIPT_DEPTH)
            return -ELOOP;
        char *line = plan->line[plan->depth];
        memset(line, 0, SCRIPT_LINE_BYTES);
        int64_t got = hostcall(__NR_pread64, plan->fd, line, SCRIPT_LINE_BYTES, 0);
        if (host_failed(got))
            return got;
        uint16_t machine;
        plan->culprit = script;
        plan->why = got ? elf_identify(line, (uint64_t)got, &machine) : "an empty file";
        if (!plan->why) {
            plan->x86_64 = machine == EM_X86_64;
            return plan->x86_64 ? 0 : check_program(plan);
        }
        const char *name, *argument;
        if (script_parse(line, &name, &argument))
            return -ENOEXEC;
        if (unreachable)
            return -ENOENT; /* the interpreter could not open /dev/fd/N: close-on-exec */
        add_prefix(plan, name, argument, script);
        plan->culprit = script = name;
        hostcall(__NR_close, plan->fd);
        int64_t fd = open_checked(plan, AT_FDCWD, name, 0);
        plan->fd = host_failed(fd) ? -1 : (int)fd;
        if (host_failed(fd))
            return fd;
    }
}

int64_t exec_resolve(struct exec_plan *plan, int dirfd, const char *path, int flags) {
    memset(plan, 0, offsetof(struct exec_plan, script_path));
    plan->fd = -1;
    plan->path = plan->culprit = path;
    int64_t fd = open_first_file(plan, dirfd, path, flags);
    if (host_failed(fd))
        return fd;
    plan->fd = (int)fd;
    bool unreachable =
        plan->path == plan->script_path && (hostcall(__NR_fcntl, dirfd, F_GETFD) & FD_CLOEXEC);
    int64_t error = follow(plan, unreachable);
    if (error && plan->fd >= 0) {
        hostcall(__NR_close, plan->fd);
        plan->fd = -1;
    }
    return error;
}

int64_t exec_native(const struct exec_plan *plan, int dirfd, char *const *argv,
                    char *const *final_argv, char *const *envp, int flags) {
    /* The host comes to the same file by itself, and names the process as it should be named. */
    if (!plan->from_sysroot) {
        bool by_fd = plan->path == plan->script_path;
        const char *path = !by_fd ? plan->path : strchr(plan->path + strlen("/dev/fd/"), '/');
        return hostcall(__NR_execveat, dirfd,
                        !path   ? ""
                        : by_fd ? path + 1
                                : path,
                        argv, envp, flags);
    }
    return hostcall(__NR_execveat, plan->fd, "", final_argv, envp, AT_EMPTY_PATH);
}
