/*
 * syscalls.h - the handlers that syscalls.def names, the system-call numbers, and what the families
 * share.
 */
#ifndef ELFUSE_LINUX_SYSCALLS_H
#define ELFUSE_LINUX_SYSCALLS_H

#include "engine/engine.h"
#include "linux/thread.h"

#include "syscall_numbers.inc"

#include "syscall_prototypes.inc"

/*
 * Tagged addresses (PR_SET_TAGGED_ADDR_CTRL): when the guest enabled them, the dispatcher strips
 * bits 63..56 of every pointer argument, as access_ok of an arm64 kernel does.
 */
extern bool tagged_addresses;

/* ---- a call with its own signal mask (linux/poll.c) ---- */
/* Of a guest's mask, what the host may block: the engine needs the synchronous signals. */
uint64_t host_sigmask(uint64_t guest_mask);
/* Reads a sigset_t argument. Returns 0, -EINVAL for another size than 8, -EFAULT. */
int64_t read_sigset(guest_addr set, uint64_t bytes, uint64_t *mask);

/* ---- linux/fd.c ---- */
/* True for a descriptor of the runtime's own, which the guest must find closed. */
bool fd_is_ours(int fd);
/* The runtime's own descriptors, ascending. Returns how many; at most FD_OURS_MAX. */
#define FD_OURS_MAX 4
int fd_ours(int fds[FD_OURS_MAX]);

/* ---- fork (linux/mm.c): the locks of src/linux, held over fork so that the child finds them free
 * ---- */
void linux_fork_prepare(void);
void linux_fork_parent(void);
void linux_fork_child(void);

#endif
