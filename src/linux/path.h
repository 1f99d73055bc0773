/*
 * path.h - paths that the guest must see differently from the host.
 *
 *  - /proc/self/exe (also by the process's or thread's own number) is the guest's program, not the
 * runtime
 *  - /proc/self/maps, smaps and auxv, /proc/cpuinfo and /proc/sys/kernel/arch are rendered for the
 * guest when it reads them (procfs.c)
 *  - with --sysroot, an absolute path that exists in that directory is meant
 *
 * Only absolute paths are looked at, and only by calls that look without creating.
 */
#ifndef ELFUSE_LINUX_PATH_H
#define ELFUSE_LINUX_PATH_H

#include "linux/thread.h"
#include "loader/loader.h"

/* Which file of /proc a path names. */
enum proc_file { PROC_NONE, PROC_EXE, PROC_MAPS, PROC_SMAPS, PROC_AUXV, PROC_CPUINFO, PROC_ARCH };
/* Pure: path is absolute; pid and tid are the calling thread's. */
enum proc_file proc_file_of(const char *path, int pid, int tid);

/* Where a call shall look: pass dirfd, path and the added AT_ flags to the host in place of the
 * guest's. */
struct path_ref {
    int64_t dirfd;
    uint64_t path;     /* address of the string */
    uint32_t at_flags; /* AT_EMPTY_PATH when dirfd is the file itself */
    int opened;        /* to be closed by path_done; -1: none */
    enum proc_file proc;
    bool sysroot;          /* PATH_OPENING: try sysroot_openat(text) first */
    char text[PATH_BYTES]; /* the guest's string when sysroot or proc is set */
};
/*
 * PATH_NOFOLLOW: the call is about a final symbolic link itself. PATH_OPENING: the call opens the
 * file, so it is left to it to try the sysroot.
 */
enum { PATH_NOFOLLOW = 1, PATH_OPENING = 2 };

/*
 * Looks at the guest's path. It cannot fail: what cannot be read or is not special refers to the
 * guest's own string, and the host's call finds the error.
 */
void path_lookup(struct path_ref *ref, struct thread *t, int dirfd, guest_addr path, int flags);
void path_done(struct path_ref *ref);

/* Opens a rendered file for reading; flags: O_CLOEXEC. Returns a descriptor, -errno, or -ENOENT
 * when it is the host's. */
int64_t procfs_open(enum proc_file file, uint32_t flags);

#endif
