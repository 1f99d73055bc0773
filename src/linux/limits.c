/*
 * limits.c - RLIMIT_AS: the kernel counts the runtime's reservation as the process's address space;
 * the guest's limit is meant for the guest's. So the host's limit is kept higher by the size of the
 * reservation, and what the guest reads is lower by it. The limit is inherited in the host's form
 * by children, which have a reservation of the same size.
 */
#include <linux/resource.h>

#include "base/hostcall.h"
#include "linux/syscalls.h"

static uint64_t reservation(void) {
    guest_addr start, end;
    space_range(&start, &end);
    return end - start;
}

static uint64_t to_host(uint64_t limit) {
    uint64_t host = limit + reservation();
    return limit == RLIM64_INFINITY || host < limit ? RLIM64_INFINITY : host;
}

static uint64_t to_guest(uint64_t limit) {
    return limit == RLIM64_INFINITY ? limit : limit - MIN(limit, reservation());
}

/* True when pid names the calling process; of others it is not known whether they are guests. */
static bool is_self(const struct thread *t, int pid) {
    return pid == 0 || pid == t->pid || pid == t->tid;
}

static int64_t limit_address_space(uint64_t pid, guest_addr new, guest_addr old) {
    struct rlimit64 wanted, now;
    if (new) {
        if (copy_from_guest(&wanted, new, sizeof(wanted)))
            return -EFAULT;
        if (wanted.rlim_cur > wanted.rlim_max)
            return -EINVAL;
        wanted.rlim_cur = to_host(wanted.rlim_cur);
        wanted.rlim_max = to_host(wanted.rlim_max);
    }
    int64_t r = hostcall(__NR_prlimit64, pid, RLIMIT_AS, new ? &wanted : NULL, &now);
    if (r || !old)
        return r;
    now.rlim_cur = to_guest(now.rlim_cur);
    now.rlim_max = to_guest(now.rlim_max);
    return copy_to_guest(old, &now, sizeof(now));
}

SYSCALL(prlimit64) {
    if ((uint32_t)a[1] == RLIMIT_AS && is_self(t, (int)a[0]))
        return limit_address_space(a[0], a[2], a[3]);
    return guest_syscall(t, __NR_prlimit64, a[0], a[1], a[2], a[3], 0, 0);
}

SYSCALL(getrlimit) {
    if ((uint32_t)a[0] == RLIMIT_AS)
        return a[1] ? limit_address_space(0, 0, a[1]) : -EFAULT;
    return guest_syscall(t, __NR_getrlimit, a[0], a[1], 0, 0, 0, 0);
}

SYSCALL(setrlimit) {
    if ((uint32_t)a[0] == RLIMIT_AS)
        return a[1] ? limit_address_space(0, a[1], 0) : -EFAULT;
    return guest_syscall(t, __NR_setrlimit, a[0], a[1], 0, 0, 0, 0);
}
