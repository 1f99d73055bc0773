/*
 * runner_asm.S - into a case with every register set, and out of it with every register saved.
 *
 * Entry: X30 is the last register free, so enter_case branches through it and the slot's first instruction
 * loads its value from a literal. Exit: the slot ends in a direct branch to the exit stub (copied to
 * CODE_BASE), which parks X0 in TPIDR_EL0 to gain a base register. Both go through struct insn_state; the
 * offsets below are checked against it in runner.c.
 */
#define STATE_SP    248
#define STATE_NZCV  264
#define STATE_FPCR  272
#define STATE_FPSR  280
#define STATE_TPIDR 288
#define STATE_V     304

    .text

/* void enter_case(const struct insn_state *before, uint64_t entry): returns through leave_case. */
    .global enter_case
enter_case:
    stp x19, x20, [sp, #-96]!
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    adrp x2, runner_sp
    mov x3, sp
    str x3, [x2, #:lo12:runner_sp]
    mov x30, x1
    ldr x1, [x0, #STATE_FPCR]
    msr fpcr, x1
    ldr x1, [x0, #STATE_FPSR]
    msr fpsr, x1
    ldr x1, [x0, #STATE_TPIDR]
    msr tpidr_el0, x1
    ldr x1, [x0, #STATE_SP]
    mov sp, x1
    add x1, x0, #STATE_V
    ldp q0, q1, [x1, #0]
    ldp q2, q3, [x1, #32]
    ldp q4, q5, [x1, #64]
    ldp q6, q7, [x1, #96]
    ldp q8, q9, [x1, #128]
    ldp q10, q11, [x1, #160]
    ldp q12, q13, [x1, #192]
    ldp q14, q15, [x1, #224]
    ldp q16, q17, [x1, #256]
    ldp q18, q19, [x1, #288]
    ldp q20, q21, [x1, #320]
    ldp q22, q23, [x1, #352]
    ldp q24, q25, [x1, #384]
    ldp q26, q27, [x1, #416]
    ldp q28, q29, [x1, #448]
    ldp q30, q31, [x1, #480]
    ldr x1, [x0, #STATE_NZCV]
    msr nzcv, x1
    ldp x2, x3, [x0, #16]
    ldp x4, x5, [x0, #32]
    ldp x6, x7, [x0, #48]
    ldp x8, x9, [x0, #64]
    ldp x10, x11, [x0, #80]
    ldp x12, x13, [x0, #96]
    ldp x14, x15, [x0, #112]
    ldp x16, x17, [x0, #128]
    ldp x18, x19, [x0, #144]
    ldp x20, x21, [x0, #160]
    ldp x22, x23, [x0, #176]
    ldp x24, x25, [x0, #192]
    ldp x26, x27, [x0, #208]
    ldp x28, x29, [x0, #224]
    ldp x0, x1, [x0]
    clrex
    br x30

/* Position-independent; x0..x30, SP, flags and V registers are the case's. */
    .global exit_stub, exit_stub_end
    .balign 8
exit_stub:
    msr tpidr_el0, x0
    ldr x0, 1f
    stp x2, x3, [x0, #16]
    stp x4, x5, [x0, #32]
    stp x6, x7, [x0, #48]
    stp x8, x9, [x0, #64]
    stp x10, x11, [x0, #80]
    stp x12, x13, [x0, #96]
    stp x14, x15, [x0, #112]
    stp x16, x17, [x0, #128]
    stp x18, x19, [x0, #144]
    stp x20, x21, [x0, #160]
    stp x22, x23, [x0, #176]
    stp x24, x25, [x0, #192]
    stp x26, x27, [x0, #208]
    stp x28, x29, [x0, #224]
    mov x2, sp
    stp x30, x2, [x0, #240]
    mrs x2, tpidr_el0
    stp x2, x1, [x0]
    mrs x2, nzcv
    str x2, [x0, #STATE_NZCV]
    ldr x2, 2f
    br x2
    .balign 8
1:  .xword run_after
2:  .xword leave_case
exit_stub_end:

leave_case:
    mrs x2, fpcr
    str x2, [x0, #STATE_FPCR]
    mrs x2, fpsr
    str x2, [x0, #STATE_FPSR]
    add x1, x0, #STATE_V
    stp q0, q1, [x1, #0]
    stp q2, q3, [x1, #32]
    stp q4, q5, [x1, #64]
    stp q6, q7, [x1, #96]
    stp q8, q9, [x1, #128]
    stp q10, q11, [x1, #160]
    stp q12, q13, [x1, #192]
    stp q14, q15, [x1, #224]
    stp q16, q17, [x1, #256]
    stp q18, q19, [x1, #288]
    stp q20, q21, [x1, #320]
    stp q22, q23, [x1, #352]
    stp q24, q25, [x1, #384]
    stp q26, q27, [x1, #416]
    stp q28, q29, [x1, #448]
    stp q30, q31, [x1, #480]

/* Also where the signal handler sends a case that faulted. */
    .global after_fault
after_fault:
    msr fpcr, xzr
    adrp x2, runner_sp
    ldr x2, [x2, #:lo12:runner_sp]
    mov sp, x2
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp x19, x20, [sp], #96
    ret

    .global signal_return
signal_return:
    mov x8, #139 /* rt_sigreturn */
    svc #0

    .global _start
_start:
    mov x0, sp
    and sp, x0, #~15
    bl runner_main
    mov x8, #94 /* exit_group */
    svc #0

    .bss
    .balign 8
runner_sp: .skip 8

    .section .note.GNU-stack, "", %progbits
