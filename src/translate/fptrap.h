/* fptrap.h - floating-point instructions that trapped: the host raised an unmasked exception. */
#ifndef ELFUSE_TRANSLATE_FPTRAP_H
#define ELFUSE_TRANSLATE_FPTRAP_H

#include "engine/cpu.h"

struct fp_trap {
    guest_addr pc;     /* the guest instruction */
    uint64_t host_pc;  /* of the host instruction that trapped; out: where to go on */
    void *fpstate;     /* the host's saved FXSAVE image (legacy region of XSAVE), to be edited */
    uint64_t *reg[16]; /* the saved general registers, to be edited */
    uint64_t *eflags;
    struct cpu *cpu;
    bool often; /* out: this instruction has trapped often, and should be translated otherwise */
};

/* Completes the instruction by the Arm rules. Returns false when the trap is not one it made. */
bool fp_trap_handle(struct fp_trap *trap);

#endif
