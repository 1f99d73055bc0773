/*
 * file.c - opening and looking at files: open(2)'s flags differ in four bits, and some paths are
 * not what the host would find (path.h).
 */
#include "base/hostcall.h"
#include "linux/convert.h"
#include "linux/path.h"
#include "linux/syscalls.h"

#define O_ACCMODE     3
#define O_CREAT       0100
#define O_CLOEXEC     02000000
#define O_PATH        010000000
#define O_TMPFILE_BIT 020000000

struct open_how {
    uint64_t flags, mode, resolve;
};

/*
 * The part of openat and openat2 that may end without the host's call: a rendered file of /proc, or
 * one in the sysroot. flags are the guest's. Returns false when the host's call is to be made with
 * ref.
 */
static bool open_special(struct path_ref *ref, struct thread *t, int dirfd, guest_addr path,
                         uint64_t flags, int64_t *result) {
    path_lookup(ref, t, dirfd, path, PATH_OPENING | (flags & GUEST_O_NOFOLLOW ? PATH_NOFOLLOW : 0));
    if (flags & (O_CREAT | O_TMPFILE_BIT) || (!(flags & O_PATH) && (flags & O_ACCMODE)))
        return false;
    if (ref->proc > PROC_EXE && !(flags & (O_PATH | GUEST_O_DIRECTORY))) {
        *result = procfs_open(ref->proc, flags & O_CLOEXEC);
        return *result != -ENOENT;
    }
    if (ref->sysroot) {
        *result = sysroot_openat(ref->text, (uint32_t)open_flags_convert(flags), 0);
        if (*result == -ENOENT && (flags & GUEST_O_DIRECTORY)) {
            /* There, and not a directory: that is the answer, not what the host has. */
            int64_t fd = sysroot_openat(ref->text, O_PATH | O_CLOEXEC, 0);
            if (fd >= 0) {
                hostcall(__NR_close, fd);
                *result = -ENOTDIR;
            }
        }
        return *result != -ENOENT;
    }
    return false;
}

SYSCALL(openat) {
    struct path_ref ref;
    int64_t r;
    if (open_special(&ref, t, (int)a[0], a[1], (uint32_t)a[2], &r))
        return r;
    return guest_syscall(t, __NR_openat, (uint64_t)ref.dirfd, ref.path,
                         open_flags_convert((uint32_t)a[2]), a[3], 0, 0);
}

/* 0 when the guest's bytes are all zero, -E2BIG when not, -EFAULT: what Linux asks of fields it
 * does not know. */
static int64_t check_zero(guest_addr from, uint64_t bytes) {
    uint8_t block[64];
    while (bytes) {
        uint64_t n = MIN(bytes, sizeof(block));
        if (copy_from_guest(block, from, n))
            return -EFAULT;
        for (uint64_t i = 0; i < n; i++)
            if (block[i])
                return -E2BIG;
        from += n;
        bytes -= n;
    }
    return 0;
}

SYSCALL(openat2) {
    struct open_how how;
    if (a[3] < sizeof(how))
        return -EINVAL;
    if (a[3] > PAGE_BYTES)
        return -E2BIG;
    if (copy_from_guest(&how, a[2], sizeof(how)))
        return -EFAULT;
    int64_t r = check_zero(a[2] + sizeof(how), a[3] - sizeof(how));
    if (r)
        return r;
    struct path_ref ref = {.dirfd = (int)a[0], .path = a[1]};
    if (how.resolve == 0 && open_special(&ref, t, (int)a[0], a[1], how.flags, &r))
        return r;
    how.flags = open_flags_convert(how.flags);
    return guest_syscall(t, __NR_openat2, (uint64_t)ref.dirfd, ref.path, (uint64_t)&how,
                         sizeof(how), 0, 0);
}

SYSCALL(open_by_handle_at) {
    return guest_syscall(t, __NR_open_by_handle_at, a[0], a[1], open_flags_convert((uint32_t)a[2]),
                         0, 0, 0);
}

SYSCALL(fanotify_init) {
    return guest_syscall(t, __NR_fanotify_init, a[0], open_flags_convert((uint32_t)a[1]), 0, 0, 0,
                         0);
}

SYSCALL(mq_open) {
    return guest_syscall(t, __NR_mq_open, a[0], open_flags_convert((uint32_t)a[1]), a[2], a[3], 0,
                         0);
}

/* ---- looking ---- */

/* faccessat(2) has no flags argument, faccessat2(2) has; a file found in the sysroot needs
 * AT_EMPTY_PATH. */
static int64_t access_path(struct thread *t, const uint64_t *a, long nr, uint64_t flags) {
    struct path_ref ref;
    path_lookup(&ref, t, (int)a[0], a[1],
                flags & 0x100 /* AT_SYMLINK_NOFOLLOW */ ? PATH_NOFOLLOW : 0);
    if (ref.at_flags)
        nr = __NR_faccessat2;
    int64_t r =
        guest_syscall(t, nr, (uint64_t)ref.dirfd, ref.path, a[2], flags | ref.at_flags, 0, 0);
    path_done(&ref);
    return r;
}

SYSCALL(faccessat) {
    return access_path(t, a, __NR_faccessat, 0);
}

SYSCALL(faccessat2) {
    return access_path(t, a, __NR_faccessat2, a[3]);
}

SYSCALL(readlinkat) {
    struct path_ref ref;
    path_lookup(&ref, t, (int)a[0], a[1], PATH_NOFOLLOW);
    if (ref.proc == PROC_EXE && program.exe_path[0]) {
        if ((int32_t)a[3] <= 0)
            return -EINVAL;
        uint64_t n = MIN(strlen(program.exe_path), (uint64_t)(uint32_t)a[3]);
        int64_t r = copy_to_guest(a[2], program.exe_path, n);
        return r ? r : (int64_t)n;
    }
    int64_t r = guest_syscall(t, __NR_readlinkat, (uint64_t)ref.dirfd, ref.path, a[2], a[3], 0, 0);
    if (ref.at_flags && r == -ENOENT)
        r = -EINVAL; /* what an empty path on a file that is no link gives in place of EINVAL */
    path_done(&ref);
    return r;
}

/* ---- directories ---- */

#define DT_LNK 10
struct dirent_head { /* linux_dirent64 without its name */
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
} __attribute__((packed));

/* True when the name is the number of one of the runtime's descriptors. */
static bool names_our_descriptor(const char *name) {
    int64_t n = 0;
    if (!*name)
        return false;
    for (; *name; name++) {
        if (*name < '0' || *name > '9' || n > INT32_MAX / 10)
            return false;
        n = n * 10 + (*name - '0');
    }
    return fd_is_ours((int)n);
}

/* True when fd is open on the fd directory of a process in /proc. */
static bool is_proc_fd_directory(int fd) {
    char link[40], target[64];
    fmt(link, sizeof(link), "/proc/self/fd/%d", fd);
    int64_t n = hostcall(__NR_readlink, link, target, sizeof(target) - 1);
    if (host_failed(n))
        return false;
    target[n] = 0;
    return str_starts(target, "/proc/") && n > 3 && strcmp(target + n - 3, "/fd") == 0;
}

/* Removes the runtime's descriptors from a listing of /proc/PID/fd. Returns the bytes left. */
static int64_t hide_descriptors(int fd, guest_addr entries, int64_t bytes) {
    int64_t at = 0;
    while (at < bytes) {
        struct dirent_head head;
        char name[16];
        guest_addr entry = entries + (uint64_t)at;
        if (copy_from_guest(&head, entry, sizeof(head)) || head.reclen < sizeof(head))
            return bytes;
        if (head.type == DT_LNK &&
            copy_string_from_guest(name, entry + sizeof(head), sizeof(name)) > 0 &&
            names_our_descriptor(name)) {
            if (!is_proc_fd_directory(fd))
                return bytes;
            int64_t rest = bytes - at - head.reclen;
            memmove((void *)entry, (void *)(entry + head.reclen), (uint64_t)rest);
            bytes -= head.reclen;
        } else {
            at += head.reclen;
        }
    }
    return bytes;
}

SYSCALL(getdents64) {
    for (;;) {
        int64_t n = guest_syscall(t, __NR_getdents64, a[0], a[1], a[2], 0, 0, 0);
        if (n <= 0)
            return n;
        n = hide_descriptors((int)a[0], a[1], n);
        if (n)
            return n; /* else only hidden ones came: 0 would mean the end */
    }
}
