/*
 * ipc.c - System V semaphores: struct semid64_ds has its times in another place on x86-64. Message
 * queues and shared memory have the same structures on both architectures (shmat: mm.c).
 */
#include "base/hostcall.h"
#include "linux/convert.h"
#include "linux/syscalls.h"

enum { IPC_SET = 1, IPC_STAT = 2, SEM_STAT = 18, SEM_STAT_ANY = 20 };

SYSCALL(semctl) {
    struct guest_semid64_ds g;
    struct host_semid64_ds h;
    switch ((int32_t)a[2]) {
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY: {
        int64_t r = guest_syscall(t, __NR_semctl, a[0], a[1], a[2], (uint64_t)&h, 0, 0);
        if (r < 0)
            return r;
        semid_to_guest(&g, &h);
        return copy_to_guest(a[3], &g, sizeof(g)) ? -EFAULT : r;
    }
    case IPC_SET:
        if (copy_from_guest(&g, a[3], sizeof(g)))
            return -EFAULT;
        semid_to_host(&h, &g);
        return guest_syscall(t, __NR_semctl, a[0], a[1], a[2], (uint64_t)&h, 0, 0);
    default:
        return guest_syscall(t, __NR_semctl, a[0], a[1], a[2], a[3], 0, 0);
    }
}
