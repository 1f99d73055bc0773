/*
 * fd.c - descriptors: duplicates, close, fcntl.
 *
 * The guest's descriptors are the host's. The runtime holds a few of its own (its executable, the
 * trace, the sysroot) at high numbers; to the guest these are not open.
 */
#include "base/hostcall.h"
#include "linux/convert.h"
#include "linux/syscalls.h"
#include "loader/loader.h"

#define F_GETFL 3
#define F_SETFL 4

int fd_ours(int fds[FD_OURS_MAX]) {
    /* A trace on the guest's standard error is the guest's descriptor. */
    const int candidates[] = {space_self_fd(), sysroot_fd(),
                              options.trace_fd > 2 ? options.trace_fd : -1};
    int n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
        int fd = candidates[i], at = n;
        if (fd < 0)
            continue;
        for (; at > 0 && fds[at - 1] > fd; at--)
            fds[at] = fds[at - 1];
        fds[at] = fd;
        n++;
    }
    return n;
}

bool fd_is_ours(int fd) {
    return fd >= 0 &&
           (fd == space_self_fd() || (fd > 2 && fd == options.trace_fd) || fd_is_hidden(fd));
}

SYSCALL(close) {
    if (fd_is_ours((int)a[0]))
        return -EBADF;
    return guest_syscall(t, __NR_close, a[0], 0, 0, 0, 0, 0);
}

SYSCALL(dup) {
    if (fd_is_ours((int)a[0]))
        return -EBADF;
    return guest_syscall(t, __NR_dup, a[0], 0, 0, 0, 0, 0);
}

SYSCALL(dup3) {
    int new = (int)a[1];
    if (fd_is_ours((int)a[0]))
        return -EBADF;
    if (fd_is_ours(new)) {
        if (new != space_self_fd())
            return -EBADF; /* as a number above RLIMIT_NOFILE */
        space_move_self_fd();
    }
    return guest_syscall(t, __NR_dup3, a[0], a[1], a[2], 0, 0, 0);
}

SYSCALL(fcntl) {
    int command = (int)a[1];
    if (fd_is_ours((int)a[0]))
        return -EBADF;
    uint64_t argument = command == F_SETFL ? open_flags_convert((uint32_t)a[2]) : a[2];
    int64_t r = guest_syscall(t, __NR_fcntl, a[0], a[1], argument, 0, 0, 0);
    return command == F_GETFL && r >= 0 ? (int64_t)open_flags_convert((uint64_t)r) : r;
}

SYSCALL(pipe2) {
    return guest_syscall(t, __NR_pipe2, a[0], open_flags_convert((uint32_t)a[1]), 0, 0, 0, 0);
}

SYSCALL(close_range) {
    uint32_t first = (uint32_t)a[0], last = (uint32_t)a[1];
    int fds[FD_OURS_MAX], n = fd_ours(fds);
    if (first > last)
        return -EINVAL;
    /* The pieces between our descriptors; CLOSE_RANGE_UNSHARE on a table already unshared does
     * nothing. */
    for (int i = 0; i < n; i++) {
        uint32_t ours = (uint32_t)fds[i];
        if (ours < first || ours > last)
            continue;
        if (ours > first) {
            int64_t r = hostcall(__NR_close_range, first, ours - 1, a[2]);
            if (r)
                return r;
        }
        if (ours == last)
            return 0;
        first = ours + 1;
    }
    if (first != (uint32_t)a[0]) /* begun: it must not be run again for a signal */
        return hostcall(__NR_close_range, first, last, a[2]);
    return guest_syscall(t, __NR_close_range, first, last, a[2], 0, 0, 0);
}
