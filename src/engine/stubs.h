/* stubs.h - what engine/stubs.S offers to C. The marks are addresses a signal handler compares rip
 * with. */
#ifndef ELFUSE_ENGINE_STUBS_H
#define ELFUSE_ENGINE_STUBS_H

#include "engine/cpu.h"

extern const uint8_t guest_enter_check[], guest_enter_end[], guest_enter_abort[];
extern const uint8_t stub_lookup_start[], stub_lookup_end[], stub_leave[];
extern const uint8_t helper_return[], helper_return_end[];
extern const uint8_t guest_syscall_check[], guest_syscall_insn[], guest_syscall_interrupted[];
extern const uint8_t copy_start[], copy_end[], clear_start[], clear_end[], load_start[], load_end[],
    copy_fault[];
extern const uint8_t stub_link[], stub_dispatch[], stub_return[], stub_svc[], stub_exit[],
    stub_helper[], stub_helper_v[], stub_underflow[];

int64_t guest_syscall_raw(uint32_t *pending, long nr, const uint64_t args[6]);
int64_t copy_bytes(void *dst, const void *src, uint64_t n);
int64_t clear_bytes(void *dst, uint64_t n);
int64_t load_byte(const void *src);
uint32_t mxcsr_get(void);
void mxcsr_set(uint32_t value);
NORETURN void exit_thread_freeing(uint32_t *area_state, int code);
NORETURN void call_on_stack(void *sp, void (*fn)(void *), void *arg);
/* The child runs fn(arg) on sp and must not return. */
int64_t clone_on_stack(uint64_t flags, void *sp, void *ptid, void *ctid, void *tls,
                       void (*fn)(void *), void *arg);
int64_t clone3_on_stack(void *clone_args, uint64_t size, void (*fn)(void *), void *arg);
void host_sigreturn(void);

/* Fills a new thread's cpu: stubs, empty jump cache, empty shadow stack ending at shadow_top. */
void engine_cpu_init(struct cpu *cpu, void *shadow_top);
/* Empties the shadow stack: every guest return then goes by look-up. */
void engine_shadow_reset(struct cpu *cpu);

#endif
