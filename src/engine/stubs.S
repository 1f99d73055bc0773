/*
 * stubs.S - the way into and out of translated code, and the interruptible system call.
 *
 * Translated code runs with rbp = cpu + CPU_BIAS and rsp = the shadow stack. C runs on the thread's C stack, whose
 * pointer guest_enter leaves in cpu->host_sp: an exit stub stores the pinned registers, takes that stack back and
 * returns from guest_enter with the exit reason.
 *
 * A signal handler must be able to interrupt any of this. Its rules (hostsig.c):
 *  - in [guest_enter_check, guest_enter_end) nothing has happened yet: it moves rip to guest_enter_abort.
 *  - in [stub_lookup_start, stub_lookup_end) and [helper_return, helper_return_end), on the way back into translated
 *    code, it single-steps until that or an exit stub is reached.
 *  - in [guest_syscall_check, guest_syscall_insn] the call has not begun, or the kernel has put it back for a restart:
 *    it moves rip to guest_syscall_interrupted.
 */
#include "engine/offsets.h"

#define BIAS   128
#define AT(x)  ((x) - BIAS)(%rbp)

/* The fixed map; must agree with host_x and host_v of translate/lower.c (run.c checks at start-up). */
.macro store_pinned
    movq %rdi, AT(0*8)
    movq %rsi, AT(1*8)
    movq %rbx, AT(2*8)
    movq %r8,  AT(3*8)
    movq %r9,  AT(4*8)
    movq %r10, AT(5*8)
    movq %r11, AT(19*8)
    movq %r12, AT(20*8)
    movq %r14, AT(21*8)
    movq %r15, AT(30*8)
    movq %r13, AT(31*8)
.endm
.macro load_pinned
    movq AT(0*8), %rdi
    movq AT(1*8), %rsi
    movq AT(2*8), %rbx
    movq AT(3*8), %r8
    movq AT(4*8), %r9
    movq AT(5*8), %r10
    movq AT(19*8), %r11
    movq AT(20*8), %r12
    movq AT(21*8), %r14
    movq AT(30*8), %r15
    movq AT(31*8), %r13
.endm
.macro each_pinned_v op
    \op 0, 0
    \op 1, 1
    \op 2, 2
    \op 3, 3
    \op 4, 4
    \op 5, 5
    \op 6, 6
    \op 7, 7
    \op 16, 8
    \op 17, 9
    \op 18, 10
    \op 19, 11
    \op 20, 12
.endm
.macro store_v v, xmm
    movaps %xmm\xmm, CPU_V + \v*16 - BIAS(%rbp)
.endm
.macro load_v v, xmm
    movaps CPU_V + \v*16 - BIAS(%rbp), %xmm\xmm
.endm

.macro global name
    .globl \name
    .hidden \name
    .type \name, @function
\name:
.endm

    .text

/* int guest_enter(struct cpu *cpu, const void *target) */
global guest_enter
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    leaq BIAS(%rdi), %rbp
    movq %rsp, AT(CPU_HOST_SP)
    movq %rsi, AT(CPU_ENTER_TARGET)
global guest_enter_check
    /*
     * in_guest must be seen set before pending is read: the other side sets pending, then reads in_guest. The
     * barrier between the two is world.c's to make, which is rare, not ours (about 20 cycles each time).
     */
    movl $1, AT(CPU_IN_GUEST)
    cmpl $0, AT(CPU_PENDING)
    jne guest_enter_abort
    load_pinned
    movq AT(CPU_SHADOW_SP), %rsp
    jmpq *AT(CPU_ENTER_TARGET)
global guest_enter_end
global guest_enter_abort
    movl $6, %eax /* EXIT_PENDING; the registers in memory are current */
    jmp leave

global stub_exit
    movq (%rax), %rdx
    movq %rdx, AT(CPU_PC)
    movl 8(%rax), %eax
    jmp exit_with_state

global stub_svc
    movq (%rax), %rdx
    movq %rdx, AT(CPU_PC)
    addq $8, %rax
    movq %rax, AT(CPU_RESUME)
    movl $2, %eax /* EXIT_SVC */
    jmp exit_with_state

global stub_link
    movq (%rax), %rdx
    movq %rdx, AT(CPU_PC)
    movq %rax, AT(CPU_EXIT_DATA)
    movl $1, %eax /* EXIT_LINK */
    jmp exit_with_state

/* The shadow stack ran empty: its last entry leads here. */
global stub_lookup_start
global stub_underflow
    movq AT(CPU_SHADOW_TOP), %rsp
    leaq -8(%rsp), %rsp
    /* fall through */
global stub_return
    movq %r15, %rax
    movl %eax, %ecx
    andl $0xffc, %ecx
    cmpq CPU_JUMP_CACHE - BIAS(%rbp,%rcx,4), %rax
    jne stub_dispatch
    jmpq *CPU_JUMP_CACHE + 8 - BIAS(%rbp,%rcx,4)

/* The pc in rax is not in the jump cache: four probes of the look-up table (cache.c), then C. */
global stub_dispatch
    testb $3, %al /* the table marks deleted entries with an odd pc */
    jne 2f
    movq %rax, %rcx
    shrq $2, %rcx
    imulq AT(CPU_HASH_FACTOR), %rcx
    shrq $(64 - HASH_BITS), %rcx
    shlq $4, %rcx
    addq AT(CPU_HASH), %rcx
    .rept 3
    cmpq %rax, (%rcx)
    je 1f
    addq $16, %rcx
    .endr
    cmpq %rax, (%rcx)
    jne 2f
1:  movq 8(%rcx), %rdx
    testq %rdx, %rdx /* pc 0 finds an empty entry */
    je 2f
    movl %eax, %ecx
    andl $0xffc, %ecx
    movq %rax, CPU_JUMP_CACHE - BIAS(%rbp,%rcx,4)
    movq %rdx, CPU_JUMP_CACHE + 8 - BIAS(%rbp,%rcx,4)
    jmpq *%rdx
global stub_lookup_end

2:  movq %rax, AT(CPU_PC)
    xorl %eax, %eax /* EXIT_DISPATCH */
exit_with_state:
    store_pinned
    movq %rsp, AT(CPU_SHADOW_SP)
leave:
    movq AT(CPU_HOST_SP), %rsp
    movl $0, AT(CPU_IN_GUEST)
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

/* The signal handler sends a thread here once it has put the whole state in memory: rbp and eax are set. */
global stub_leave
    jmp leave

/* rax = fn(struct cpu *, uint64_t word), rdx = word; called from translated code */
global stub_helper
    store_pinned
    movq %rsp, AT(CPU_SHADOW_SP)
    movq AT(CPU_HOST_SP), %rsp
    leaq -BIAS(%rbp), %rdi
    movq %rdx, %rsi
    call *%rax
global helper_return
    load_pinned
    cmpl $0, AT(CPU_PENDING)
    jne 2f
1:  movq AT(CPU_SHADOW_SP), %rsp
    ret
2:  /* a signal came while C ran: single-step, into translated code (the shadow stack may be full, so on this one) */
    pushfq
    orl $0x100, (%rsp)
    popfq
    jmp 1b
global helper_return_end

global stub_helper_v
    each_pinned_v store_v
    store_pinned
    movq %rsp, AT(CPU_SHADOW_SP)
    movq AT(CPU_HOST_SP), %rsp
    leaq -BIAS(%rbp), %rdi
    movq %rdx, %rsi
    call *%rax
    each_pinned_v load_v
    jmp helper_return

/* void vregs_store(struct cpu *), void vregs_load(struct cpu *) */
global vregs_store
    pushq %rbp
    leaq BIAS(%rdi), %rbp
    each_pinned_v store_v
    popq %rbp
    ret
global vregs_load
    pushq %rbp
    leaq BIAS(%rdi), %rbp
    each_pinned_v load_v
    popq %rbp
    ret

/* uint32_t mxcsr_get(void), void mxcsr_set(uint32_t) */
global mxcsr_get
    subq $8, %rsp
    stmxcsr (%rsp)
    movl (%rsp), %eax
    addq $8, %rsp
    ret
global mxcsr_set
    subq $8, %rsp
    movl %edi, (%rsp)
    ldmxcsr (%rsp)
    addq $8, %rsp
    ret

/* int64_t guest_syscall_raw(uint32_t *pending, long nr, const uint64_t args[6]) */
global guest_syscall_raw
    movq %rdi, %rcx
    movq %rsi, %rax
    movq %rdx, %r11
    movq 0(%r11), %rdi
    movq 8(%r11), %rsi
    movq 16(%r11), %rdx
    movq 24(%r11), %r10
    movq 32(%r11), %r8
    movq 40(%r11), %r9
global guest_syscall_check
    testl $1, (%rcx) /* PENDING_SIGNAL */
    jne guest_syscall_interrupted
global guest_syscall_insn
    syscall
    ret
global guest_syscall_interrupted
    movq $-512, %rax /* -ERESTART_ENGINE */
    ret

/*
 * int64_t copy_bytes(void *dst, const void *src, uint64_t n): 0, or -EFAULT when either side faults: the signal handler
 * moves rip to copy_fault for a fault in [copy_start, copy_end).
 */
global copy_bytes
    movq %rdx, %rcx
global copy_start
    rep movsb
global copy_end
    xorl %eax, %eax
    ret
/* int64_t clear_bytes(void *dst, uint64_t n) */
global clear_bytes
    movq %rsi, %rcx
    xorl %eax, %eax
global clear_start
    rep stosb
global clear_end
    xorl %eax, %eax
    ret
/* int64_t load_byte(const void *src): the byte, or -EFAULT */
global load_byte
global load_start
    movzbl (%rdi), %eax
global load_end
    ret
global copy_fault
    movq $-14, %rax
    ret

/* NORETURN void exit_thread_freeing(uint32_t *area_state, int code): frees the area this very stack lies in. */
global exit_thread_freeing
    movl $60, %eax /* __NR_exit */
    movq %rdi, %rdx
    movl %esi, %edi
    movl $0, (%rdx)
    syscall
    hlt

/* NORETURN void call_on_stack(void *sp, void (*fn)(void *), void *arg) */
global call_on_stack
    movq %rdi, %rsp
    movq %rdx, %rdi
    xorl %ebp, %ebp
    call *%rsi
    hlt

/*
 * int64_t clone_on_stack(uint64_t flags, void *sp, int *ptid, int *ctid, void *tls, void (*fn)(void *), void *arg)
 * The child calls fn(arg) on sp and never returns here.
 */
global clone_on_stack
    movq 8(%rsp), %rax /* arg */
    subq $16, %rsi
    movq %r9, 0(%rsi)
    movq %rax, 8(%rsi)
    movq %rcx, %r10
    movl $56, %eax /* __NR_clone: flags, sp, ptid, ctid, tls */
    syscall
    testq %rax, %rax
    jz 1f
    ret
1:  popq %rax
    popq %rdi
    xorl %ebp, %ebp
    call *%rax
    hlt

/* int64_t clone3_on_stack(void *clone_args, uint64_t size, void (*fn)(void *), void *arg): args->stack/size set by the caller */
global clone3_on_stack
    movq %rdx, %r8
    movq %rcx, %r9
    movl $435, %eax /* __NR_clone3 */
    syscall
    testq %rax, %rax
    jz 1f
    ret
1:  movq %r9, %rdi
    xorl %ebp, %ebp
    call *%r8
    hlt

/* The kernel returns from a host signal handler through here. */
global host_sigreturn
    movl $15, %eax /* __NR_rt_sigreturn */
    syscall
    hlt

    .section .note.GNU-stack,"",@progbits
