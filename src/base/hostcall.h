/*
 * hostcall.h - raw host (x86-64) system calls for the runtime itself. Each returns the kernel's
 * value:
 * >= 0 or -errno. None is interruptible in the guest's sense: guest system calls that may block go
 * through guest_syscall() of engine/stubs.S.
 */
#ifndef ELFUSE_HOSTCALL_H
#define ELFUSE_HOSTCALL_H

#include <asm/unistd_64.h>
#include <linux/errno.h>
#include <stdint.h>

static inline int64_t hostcall6(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                                uint64_t f) {
    int64_t ret;
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

static inline int64_t hostcall3(long nr, uint64_t a, uint64_t b, uint64_t c) {
    int64_t ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}

/* hostcall(nr, up to six arguments of any integer or pointer type) */
#define HC_ARG(x)                                   ((uint64_t)(x))
#define HC_PICK(_0, _1, _2, _3, _4, _5, _6, n, ...) n
#define hostcall(...)                               HC_PICK(__VA_ARGS__, HC6, HC5, HC4, HC3, HC2, HC1, HC0)(__VA_ARGS__)
#define HC0(n)                                      hostcall3(n, 0, 0, 0)
#define HC1(n, a)                                   hostcall3(n, HC_ARG(a), 0, 0)
#define HC2(n, a, b)                                hostcall3(n, HC_ARG(a), HC_ARG(b), 0)
#define HC3(n, a, b, c)                             hostcall3(n, HC_ARG(a), HC_ARG(b), HC_ARG(c))
#define HC4(n, a, b, c, d)                          hostcall6(n, HC_ARG(a), HC_ARG(b), HC_ARG(c), HC_ARG(d), 0, 0)
#define HC5(n, a, b, c, d, e)                       hostcall6(n, HC_ARG(a), HC_ARG(b), HC_ARG(c), HC_ARG(d), HC_ARG(e), 0)
#define HC6(n, a, b, c, d, e, f) \
    hostcall6(n, HC_ARG(a), HC_ARG(b), HC_ARG(c), HC_ARG(d), HC_ARG(e), HC_ARG(f))

/* True when a kernel return value is an error (-4095..-1). */
static inline int host_failed(int64_t ret) {
    return (uint64_t)ret > -4096ull;
}

#endif
