/*
 * abi.h - the arm64 kernel's structures as the guest lays them out, where the runtime reads or writes them.
 * Names are the kernel's with a guest_ prefix where the host's header has another structure of that name.
 */
#ifndef ELFUSE_LINUX_ABI_H
#define ELFUSE_LINUX_ABI_H

#include "base/base.h"

/* siginfo_t: the same 128 bytes on arm64 and x86-64. */
struct guest_siginfo {
    int32_t si_signo, si_errno, si_code, pad;
    union {
        uint64_t words[14];
        uint64_t addr; /* SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP */
        struct {
            int32_t pid;
            uint32_t uid;
            uint64_t value;
        } kill;
    };
};

struct guest_stack_t {
    guest_addr ss_sp;
    int32_t ss_flags, pad;
    uint64_t ss_size;
};

struct guest_sigaction { /* arm64: no sa_restorer in use, but the field is there */
    guest_addr handler;
    uint64_t flags;
    guest_addr restorer;
    uint64_t mask;
};

#endif
