/*
 * vdso.S - the shared object every guest finds mapped through AT_SYSINFO_EHDR, AArch64 code.
 *
 * It offers what arm64 Linux's does: the clock functions, and the code signal handlers return to. Callers
 * follow AAPCS64 (Go calls from assembly and expects no more), so only X0-X18 may change. Errors and clocks the
 * host's vDSO cannot read go to the system call, which reports them properly.
 */
#include "translate/hypercall.h"

#define SYS_clock_gettime  113
#define SYS_clock_getres   114
#define SYS_rt_sigreturn   139
#define SYS_gettimeofday   169

        .macro FUNCTION name
        .globl  \name
        .type   \name, %function
        .balign 16
\name:
        .cfi_startproc
        .endm

        .macro END name
        .cfi_endproc
        .size   \name, . - \name
        .endm

        .text

FUNCTION __kernel_clock_gettime
        mov     w4, w0
        hlt     #HYPERCALL_CLOCK_GETTIME
        cbnz    x0, 1f
        stp     x2, x3, [x1]
        ret
1:      mov     w0, w4
        mov     x8, #SYS_clock_gettime
        svc     #0
        ret
END __kernel_clock_gettime

FUNCTION __kernel_clock_getres
        mov     w4, w0
        hlt     #HYPERCALL_CLOCK_GETRES
        cbnz    x0, 1f
        cbz     x1, 2f
        stp     x2, x3, [x1]
2:      ret
1:      mov     w0, w4
        mov     x8, #SYS_clock_getres
        svc     #0
        ret
END __kernel_clock_getres

/* The time zone has no fast way; who asks for it gets the system call. */
FUNCTION __kernel_gettimeofday
        mov     x4, x0
        cbnz    x1, 1f
        cbz     x0, 2f
        hlt     #HYPERCALL_GETTIMEOFDAY
        cbnz    x0, 1f
        stp     x2, x3, [x4]
2:      mov     x0, #0
        ret
1:      mov     x0, x4
        mov     x8, #SYS_gettimeofday
        svc     #0
        ret
END __kernel_gettimeofday

/*
 * A handler returns here with SP at the rt_sigframe. There is no CFI on purpose, as in arm64 Linux since 5.8: rules that
 * follow the frame record would restore X30 but not the interrupted pc and SP. Unwinders (libgcc, libunwind, gdb) know
 * the frame by exactly these two instructions and read all registers from the rt_sigframe. They look the return
 * address minus one up first: the NOP keeps that outside the function before, which has CFI.
 */
        .balign 16
        nop
        .globl  __kernel_rt_sigreturn
        .type   __kernel_rt_sigreturn, %function
__kernel_rt_sigreturn:
        mov     x8, #SYS_rt_sigreturn
        svc     #0
        .size   __kernel_rt_sigreturn, . - __kernel_rt_sigreturn
