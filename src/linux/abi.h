/*
 * abi.h - the arm64 kernel's structures as the guest lays them out, where the runtime reads or
 * writes them. Names are the kernel's with a guest_ prefix where the host's header has another
 * structure of that name.
 */
#ifndef ELFUSE_LINUX_ABI_H
#define ELFUSE_LINUX_ABI_H

#include "base/base.h"
#include "engine/thread.h" /* guest_siginfo, guest_stack_t */

struct guest_sigaction { /* arm64: no sa_restorer in use, but the field is there */
    guest_addr handler;
    uint64_t flags;
    guest_addr restorer;
    uint64_t mask;
};

/* ---- files ---- */

struct guest_stat { /* asm-generic/stat.h: 128 bytes */
    uint64_t st_dev, st_ino;
    uint32_t st_mode, st_nlink, st_uid, st_gid;
    uint64_t st_rdev, pad1;
    int64_t st_size;
    int32_t st_blksize, pad2;
    int64_t st_blocks;
    int64_t st_atime_sec;
    uint64_t st_atime_nsec;
    int64_t st_mtime_sec;
    uint64_t st_mtime_nsec;
    int64_t st_ctime_sec;
    uint64_t st_ctime_nsec;
    uint32_t unused4, unused5;
};
_Static_assert(sizeof(struct guest_stat) == 128, "struct stat of arm64");

struct host_stat { /* x86-64's asm/stat.h: 144 bytes */
    uint64_t st_dev, st_ino, st_nlink;
    uint32_t st_mode, st_uid, st_gid, pad0;
    uint64_t st_rdev;
    int64_t st_size, st_blksize, st_blocks;
    int64_t st_atime_sec;
    uint64_t st_atime_nsec;
    int64_t st_mtime_sec;
    uint64_t st_mtime_nsec;
    int64_t st_ctime_sec;
    uint64_t st_ctime_nsec;
    int64_t unused[3];
};
_Static_assert(sizeof(struct host_stat) == 144, "struct stat of x86-64");

/* ---- epoll ---- */

struct guest_epoll_event {
    uint32_t events, pad;
    uint64_t data;
};
struct host_epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));

/* ---- System V semaphores; messages and shared memory are the same on both ---- */

struct ipc64_perm {
    int32_t key;
    uint32_t uid, gid, cuid, cgid, mode;
    uint16_t seq, pad2;
    uint32_t pad3; /* explicit, so that a copy leaves nothing out */
    uint64_t unused1, unused2;
};
struct guest_semid64_ds {
    struct ipc64_perm sem_perm;
    int64_t sem_otime, sem_ctime;
    uint64_t sem_nsems, unused3, unused4;
};
struct host_semid64_ds {
    struct ipc64_perm sem_perm;
    int64_t sem_otime;
    uint64_t unused1;
    int64_t sem_ctime;
    uint64_t unused2, sem_nsems, unused3, unused4;
};

/* ---- the sixth argument of pselect6 and io_pgetevents ---- */
struct sigset_argument {
    guest_addr set;
    uint64_t bytes;
};

#endif
