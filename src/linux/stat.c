/*
 * stat.c - file metadata: struct stat is laid out differently on the two architectures; statx is
 * not, but its path may be one that the guest must see differently (path.h).
 */
#include "base/hostcall.h"
#include "linux/convert.h"
#include "linux/path.h"
#include "linux/syscalls.h"

#define AT_SYMLINK_NOFOLLOW 0x100

/* Writes what the host's stat found to the guest. result: of the host's call. */
static int64_t give_stat(int64_t result, const struct host_stat *h, guest_addr to) {
    if (result)
        return result;
    struct guest_stat g;
    stat_to_guest(&g, h);
    return copy_to_guest(to, &g, sizeof(g));
}

SYSCALL(fstat) {
    struct host_stat h;
    int64_t r = guest_syscall(t, __NR_fstat, a[0], (uint64_t)&h, 0, 0, 0, 0);
    return give_stat(r, &h, a[1]);
}

SYSCALL(newfstatat) {
    struct host_stat h;
    struct path_ref path;
    path_lookup(&path, t, (int)a[0], a[1], a[3] & AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0);
    int64_t r = guest_syscall(t, __NR_newfstatat, (uint64_t)path.dirfd, path.path, (uint64_t)&h,
                              a[3] | path.at_flags, 0, 0);
    path_done(&path);
    return give_stat(r, &h, a[2]);
}

SYSCALL(statx) {
    struct path_ref path;
    path_lookup(&path, t, (int)a[0], a[1], a[2] & AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0);
    int64_t r = guest_syscall(t, __NR_statx, (uint64_t)path.dirfd, path.path, a[2] | path.at_flags,
                              a[3], a[4], 0);
    path_done(&path);
    return r;
}
