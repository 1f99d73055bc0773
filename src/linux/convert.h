/*
 * convert.h - pure conversions between arm64's and x86-64's forms of the few things that differ.
 *
 * Nearly all of Linux's interface is the same on both, for both use the asm-generic definitions.
 * What is not: four open(2) flags, struct stat, struct epoll_event (packed on x86-64), struct
 * semid64_ds.
 */
#ifndef ELFUSE_LINUX_CONVERT_H
#define ELFUSE_LINUX_CONVERT_H

#include "linux/abi.h"

/*
 * O_DIRECTORY, O_NOFOLLOW, O_DIRECT and O_LARGEFILE take bits 14-17 on both, in another order:
 * arm64 has them at 14, 15, 16, 17 and x86-64 at 16, 17, 14, 15. So one exchange of the bit pairs
 * converts in either direction.
 */
static inline uint64_t open_flags_convert(uint64_t flags) {
    return (flags & ~0x3c000ull) | (flags & 0xc000) << 2 | (flags & 0x30000) >> 2;
}
#define GUEST_O_DIRECTORY 0x4000
#define GUEST_O_NOFOLLOW  0x8000

static inline void stat_to_guest(struct guest_stat *g, const struct host_stat *h) {
    *g = (struct guest_stat){
        .st_dev = h->st_dev,
        .st_ino = h->st_ino,
        .st_mode = h->st_mode,
        .st_nlink = (uint32_t)h->st_nlink,
        .st_uid = h->st_uid,
        .st_gid = h->st_gid,
        .st_rdev = h->st_rdev,
        .st_size = h->st_size,
        .st_blksize = (int32_t)h->st_blksize,
        .st_blocks = h->st_blocks,
        .st_atime_sec = h->st_atime_sec,
        .st_atime_nsec = h->st_atime_nsec,
        .st_mtime_sec = h->st_mtime_sec,
        .st_mtime_nsec = h->st_mtime_nsec,
        .st_ctime_sec = h->st_ctime_sec,
        .st_ctime_nsec = h->st_ctime_nsec,
    };
}

static inline void semid_to_guest(struct guest_semid64_ds *g, const struct host_semid64_ds *h) {
    *g = (struct guest_semid64_ds){.sem_perm = h->sem_perm,
                                   .sem_otime = h->sem_otime,
                                   .sem_ctime = h->sem_ctime,
                                   .sem_nsems = h->sem_nsems};
}

static inline void semid_to_host(struct host_semid64_ds *h, const struct guest_semid64_ds *g) {
    *h = (struct host_semid64_ds){.sem_perm = g->sem_perm,
                                  .sem_otime = g->sem_otime,
                                  .sem_ctime = g->sem_ctime,
                                  .sem_nsems = g->sem_nsems};
}

#endif
