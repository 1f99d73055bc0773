/*
 * path.c - see path.h.
 */
#include "linux/path.h"

#include <linux/fcntl.h>

#include "base/hostcall.h"
#include "engine/engine.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#define PROC_PREFIX     "/proc/"
#define HOST_O_PATH     010000000
#define HOST_O_NOFOLLOW 0400000
#define HOST_O_CLOEXEC  02000000

/* Reads the decimal number at *p and moves past it; -1 when there is none. */
static int64_t read_number(const char **p) {
    const char *s = *p;
    int64_t n = 0;
    while (*s >= '0' && *s <= '9' && n < INT32_MAX)
        n = n * 10 + (*s++ - '0');
    if (s == *p)
        return -1;
    *p = s;
    return n;
}

/* Moves past prefix. */
static bool skip(const char **p, const char *prefix) {
    if (!str_starts(*p, prefix))
        return false;
    *p += strlen(prefix);
    return true;
}

enum proc_file proc_file_of(const char *path, int pid, int tid) {
    const char *p = path;
    if (!skip(&p, PROC_PREFIX))
        return PROC_NONE;
    if (strcmp(p, "cpuinfo") == 0)
        return PROC_CPUINFO;
    if (strcmp(p, "sys/kernel/arch") == 0)
        return PROC_ARCH;
    if (!skip(&p, "self/") && !skip(&p, "thread-self/")) {
        int64_t n = read_number(&p);
        if ((n != pid && n != tid) || *p++ != '/')
            return PROC_NONE;
    }
    if (skip(&p, "task/")) {
        int64_t n = read_number(&p);
        if ((n != pid && n != tid) || *p++ != '/')
            return PROC_NONE;
    }
    static const struct {
        const char *name;
        enum proc_file file;
    } files[] = {
        {"exe", PROC_EXE}, {"maps", PROC_MAPS}, {"smaps", PROC_SMAPS}, {"auxv", PROC_AUXV}};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (strcmp(p, files[i].name) == 0)
            return files[i].file;
    return PROC_NONE;
}

/* The kernel's own file systems are always the host's: in a sysroot they are empty or stale. */
static bool host_only(const char *path) {
    static const char *const roots[] = {"/proc", "/sys", "/dev"};
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        size_t n = strlen(roots[i]);
        if (strncmp(path, roots[i], n) == 0 && (path[n] == '/' || path[n] == 0))
            return true;
    }
    return false;
}

void path_lookup(struct path_ref *ref, struct thread *t, int dirfd, guest_addr path, int flags) {
    ref->dirfd = dirfd;
    ref->path = path;
    ref->at_flags = 0;
    ref->opened = -1;
    ref->proc = PROC_NONE;
    ref->sysroot = false;
    /* The usual path is neither in /proc nor to be looked for in a sysroot: seen from its first
     * bytes. */
    char head[sizeof(PROC_PREFIX) - 1];
    if (sysroot_fd() < 0 && path && !copy_from_guest(head, path, sizeof(head)) &&
        memcmp(head, PROC_PREFIX, sizeof(head)) != 0)
        return;
    if (!path || copy_string_from_guest(ref->text, path, sizeof(ref->text)) <= 0 ||
        ref->text[0] != '/')
        return;
    ref->proc = proc_file_of(ref->text, t->pid, t->tid);
    if (ref->proc == PROC_EXE && !(flags & PATH_NOFOLLOW) && program.exe_path[0]) {
        ref->path = (uint64_t)program.exe_path;
        return;
    }
    if (sysroot_fd() < 0 || host_only(ref->text))
        return;
    if (flags & PATH_OPENING) {
        ref->sysroot = true;
        return;
    }
    int64_t fd = sysroot_openat(
        ref->text, HOST_O_PATH | HOST_O_CLOEXEC | (flags & PATH_NOFOLLOW ? HOST_O_NOFOLLOW : 0), 0);
    if (fd < 0)
        return;
    ref->opened = (int)fd;
    ref->dirfd = fd;
    ref->path = (uint64_t) "";
    ref->at_flags = AT_EMPTY_PATH;
}

void path_done(struct path_ref *ref) {
    if (ref->opened >= 0)
        hostcall(__NR_close, ref->opened);
}
