/*
 * hypercall.h - how the guest's vDSO asks the runtime for the time.
 *
 * HLT is undefined at EL0, so no program uses it; inside the guest's vDSO (and only there, see
 * vdso_contains) the translator turns `HLT #n` with these immediates into a call of vdso_hypercall.
 * Registers:
 *
 * - CLOCK_GETTIME, CLOCK_GETRES: in X0 = clock id; out X0 = 0 or -errno, X2 = seconds and
 *   X3 = nanoseconds
 * - GETTIMEOFDAY: out X0 = 0 or -errno, X2 = seconds and X3 = microseconds
 *
 * All other registers are kept. Results come in registers and the vDSO's own code stores them, so
 * that a bad pointer faults at a guest instruction. On a result other than 0 the vDSO makes the
 * real system call. Read by the AArch64 assembler too: constants only.
 */
#ifndef ELFUSE_HYPERCALL_H
#define ELFUSE_HYPERCALL_H

#define HYPERCALL_CLOCK_GETTIME 0xe1f0
#define HYPERCALL_CLOCK_GETRES  0xe1f1
#define HYPERCALL_GETTIMEOFDAY  0xe1f2

#endif
