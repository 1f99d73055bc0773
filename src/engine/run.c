/*
 * run.c - the life of a guest thread: enter translated code, see why it came out, do that, go on.
 */
#include "engine/engine.h"

#include <linux/errno.h>

#include "base/hostcall.h"
#include "base/relocate.h"
#include "engine/cache.h"
#include "engine/fpstate.h"
#include "engine/hostsig.h"
#include "engine/offsets.h"
#include "engine/space.h"
#include "engine/stubs.h"
#include "engine/thread.h"

_Static_assert(offsetof(struct cpu, pc) == CPU_PC, "offsets.h");
_Static_assert(offsetof(struct cpu, in_guest) == CPU_IN_GUEST, "offsets.h");
_Static_assert(offsetof(struct cpu, pending) == CPU_PENDING, "offsets.h");
_Static_assert(offsetof(struct cpu, host_sp) == CPU_HOST_SP, "offsets.h");
_Static_assert(offsetof(struct cpu, shadow_sp) == CPU_SHADOW_SP, "offsets.h");
_Static_assert(offsetof(struct cpu, shadow_top) == CPU_SHADOW_TOP, "offsets.h");
_Static_assert(offsetof(struct cpu, enter_target) == CPU_ENTER_TARGET, "offsets.h");
_Static_assert(offsetof(struct cpu, resume) == CPU_RESUME, "offsets.h");
_Static_assert(offsetof(struct cpu, exit_data) == CPU_EXIT_DATA, "offsets.h");
_Static_assert(offsetof(struct cpu, hash) == CPU_HASH, "offsets.h");
_Static_assert(offsetof(struct cpu, hash_factor) == CPU_HASH_FACTOR, "offsets.h");
_Static_assert(offsetof(struct cpu, v) == CPU_V, "offsets.h");
_Static_assert(offsetof(struct cpu, jump_cache) == CPU_JUMP_CACHE, "offsets.h");
_Static_assert(EXIT_LINK == 1 && EXIT_SVC == 2 && EXIT_PENDING == 6, "stubs.S");

enum { G_SIGILL = 4, G_SIGTRAP = 5, G_SIGBUS = 7, G_SIGSEGV = 11 };
enum {
    ILL_ILLOPC = 1,
    TRAP_BRKPT = 1,
    BUS_ADRALN = 1,
    SEGV_MAPERR = 1,
    SEGV_ACCERR = 2,
    SI_KERNEL_CODE = 0x80
};

#define TAG_BITS (0xffull << 56)

struct options options = {.trace_fd = -1, .dump_fd = -1};
struct engine_hooks engine_hooks;

/* ---- a thread's cpu ---- */

void engine_shadow_reset(struct cpu *cpu) {
    void **top = cpu->shadow_top;
    top[-1] = (void *)(uintptr_t)stub_underflow;
    cpu->shadow_sp = &top[-1];
}

void engine_cpu_init(struct cpu *cpu, void *shadow_top) {
    static const uint8_t *const stubs[STUB_COUNT] = {
        [STUB_LINK] = stub_link,         [STUB_DISPATCH] = stub_dispatch,
        [STUB_RETURN] = stub_return,     [STUB_SVC] = stub_svc,
        [STUB_EXIT] = stub_exit,         [STUB_HELPER] = stub_helper,
        [STUB_HELPER_V] = stub_helper_v,
    };
    for (int i = 0; i < STUB_COUNT; i++)
        cpu->stub[i] = (void *)(uintptr_t)stubs[i];
    for (unsigned i = 0; i < JUMP_CACHE_ENTRIES; i++)
        cpu->jump_cache[i].pc = ~0ull;
    cpu->image_base = (uint64_t)image_self();
    cache_init_cpu(cpu);
    cpu->exclusive_address = ~0ull;
    cpu->shadow_top = (uint8_t *)shadow_top - 64;
    engine_shadow_reset(cpu);
}

/* ---- finding host code ---- */

/* The host code of pc, translated if need be, and remembered in the jump cache. NULL: pc cannot be
 * executed. */
static const void *find_host(struct thread *t, guest_addr pc) {
    if (pc & 3)
        return NULL;
    const void *host = cache_lookup(pc);
    if (!host) {
        lock_acquire(&engine_lock);
        host = cache_lookup(pc);
        if (!host)
            host = cache_translate(t, pc);
        lock_release(&engine_lock);
        if (!host)
            return NULL;
    }
    struct jump_cache_entry *e = &t->cpu.jump_cache[(pc >> 2) & (JUMP_CACHE_ENTRIES - 1)];
    e->pc = ~0ull;
    e->host = host;
    e->pc = pc;
    return host;
}

/* Finds pc and, if the exit that asked for it still exists, links it. */
static const void *find_and_link(struct thread *t, guest_addr pc, struct link_data *data) {
    if (pc & 3)
        return NULL;
    lock_acquire(&engine_lock);
    const void *host = cache_lookup(pc);
    if (!host || !cache_is_entry(pc, host))
        host = cache_translate(t, pc);
    if (host && !(t->cpu.pending & PENDING_FLUSH)) /* else the exit may be gone */
        cache_link(data, host);
    lock_release(&engine_lock);
    return host;
}

/* ---- what stops a guest ---- */

void engine_raise(struct thread *t, int sig, int code, guest_addr addr) {
    t->fault_info = (struct guest_siginfo){.si_signo = sig, .si_code = code, .addr = addr};
    t->fault_tag = 0;
    engine_hooks.deliver_fault(t);
}

/* cpu->pc has no host code: a tag, which branches ignore too (Arm ARM, AArch64.BranchAddr), or a
 * fault. */
static void raise_bad_pc(struct thread *t) {
    guest_addr pc = t->cpu.pc;
    if (untagged(pc) != pc) {
        t->cpu.pc = untagged(pc);
        return;
    }
    if (pc & 3) {
        engine_raise(t, G_SIGBUS, BUS_ADRALN, pc);
        return;
    }
    uint8_t resident;
    bool mapped = hostcall(__NR_mincore, ALIGN_DOWN(pc, PAGE_BYTES), PAGE_BYTES, &resident) == 0 &&
                  !space_is_runtime(pc, 4);
    engine_raise(t, G_SIGSEGV, mapped ? SEGV_ACCERR : SEGV_MAPERR, pc);
}

/* A fault of translated code: first those that are the engine's own affair. */
static void handle_fault(struct thread *t) {
    struct guest_siginfo *info = &t->fault_info;
    bool memory = info->si_signo == G_SIGSEGV || info->si_signo == G_SIGBUS;
    bool masks = memory && cache_masks_tags(t->cpu.pc);
    t->fault_tag = 0;
    if (memory && info->si_code == SI_KERNEL_CODE) {
        /* A non-canonical address: a tagged pointer, unless this access masks tags already. */
        if (!masks) {
            cache_mask_tags(t, t->cpu.pc);
            return;
        }
        info->si_code = SEGV_MAPERR;
        info->addr = t->fault_rax;
    }
    if (masks) { /* si_addr is untagged_addr() of the address: its tag is hidden unless bit 55 is
                    set */
        guest_addr address = t->cpu.scratch[1];
        if (address >> 55 & 1)
            info->addr = address;
        else
            t->fault_tag = address & TAG_BITS;
    }
    engine_hooks.deliver_fault(t);
}

/* Translations died: see void_host_addresses. */
static void forget_host_addresses(struct thread *t) {
    __atomic_fetch_and(&t->cpu.pending, ~(uint32_t)PENDING_FLUSH, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < JUMP_CACHE_ENTRIES; i++)
        t->cpu.jump_cache[i].pc = ~0ull;
    engine_shadow_reset(&t->cpu);
}

static void handle_pending(struct thread *t) {
    if (t->cpu.pending & PENDING_STOP)
        world_park(t);
    if (t->cpu.pending & PENDING_STRICT_FP) {
        __atomic_fetch_and(&t->cpu.pending, ~(uint32_t)PENDING_STRICT_FP, __ATOMIC_SEQ_CST);
        cache_set_strict_fp(t);
    }
    if (t->cpu.pending & PENDING_FP_SITE) {
        __atomic_fetch_and(&t->cpu.pending, ~(uint32_t)PENDING_FP_SITE, __ATOMIC_SEQ_CST);
        cache_note_fp_site(t, t->fp_site);
    }
    if (t->cpu.pending & PENDING_FLUSH)
        forget_host_addresses(t);
    if (t->cpu.pending & PENDING_SIGNAL)
        engine_hooks.deliver_pending(t);
}

NORETURN void engine_run(struct thread *t) {
    struct cpu *cpu = &t->cpu;
    const void *host = NULL; /* of cpu->pc, if known */
    for (;;) {
        if (UNLIKELY(cpu->pending)) {
            handle_pending(t);
            host = NULL;
            continue;
        }
        if (!host)
            host = find_host(t, cpu->pc);
        if (!host) {
            raise_bad_pc(t);
            continue;
        }
        int reason = guest_enter(cpu, host);
        host = NULL;
        switch (reason) {
        case EXIT_SVC: {
            guest_addr next = cpu->pc;
            engine_hooks.system_call(t);
            if (cpu->pc == next)
                host = cpu->resume;
            break;
        }
        case EXIT_LINK:
            host = find_and_link(t, cpu->pc, cpu->exit_data);
            break;
        case EXIT_DISPATCH:
        case EXIT_PENDING:
            break;
        case EXIT_FAULT:
            handle_fault(t);
            break;
        case EXIT_BRK:
            engine_raise(t, G_SIGTRAP, TRAP_BRKPT, cpu->pc);
            break;
        case EXIT_UNDEFINED:
            engine_raise(t, G_SIGILL, ILL_ILLOPC, cpu->pc);
            break;
        case EXIT_ALIGNMENT:
            engine_raise(t, G_SIGBUS, BUS_ADRALN, untagged(cpu->scratch[0]));
            break;
        case EXIT_INVALIDATE: /* IC IVAU: the line is in scratch[0] */
            cpu->pc += 4;
            engine_invalidate(ALIGN_DOWN(cpu->scratch[0], 64), 64);
            break;
        default:
            die(125, "internal error: exit reason %d", reason);
        }
    }
}

/* ---- life of the process ---- */

void engine_init(void) {
    cache_init(options.code_cache_bytes);
    cache_init_cpu(&current()->cpu);
    fpcr_write(&current()->cpu, 0);
    hostsig_init();
    struct thread *t = current();
    t->pid = (int32_t)hostcall(__NR_getpid);
    t->tid = (int32_t)hostcall(__NR_gettid);
    hostsig_thread_init(t);
    world_init();
    world_add_thread(t);
}

void engine_fork_prepare(void) {
    lock_acquire(&engine_lock);
    world_fork_prepare();
    space_fork_prepare();
}

void engine_fork_parent(void) {
    space_fork_done();
    world_fork_parent();
    lock_release(&engine_lock);
}

void engine_fork_child(struct thread *t) {
    t->pid = (int32_t)hostcall(__NR_getpid);
    t->tid = (int32_t)hostcall(__NR_gettid);
    t->freed_by_parent = t->own_process = t->tells_end =
        false; /* as a thread of the parent it may have been */
    space_fork_child(t);
    world_fork_child(t);
    lock_reset(&engine_lock);
}

void engine_print_stats(void) {
    const struct cache_stats *s = &cache_stats;
    uint64_t insns = MAX(s->insns, 1ull);
    fmt_fd(2,
           "elfuse: %lu regions, %lu instructions, %lu bytes of code (%lu per instruction), "
           "translated in %lu us "
           "(%lu ns per instruction), %lu links, %lu invalidated, %lu flushes\n",
           (unsigned long)s->regions, (unsigned long)s->insns, (unsigned long)s->code_bytes,
           (unsigned long)(s->code_bytes / insns), (unsigned long)(s->translate_ns / 1000),
           (unsigned long)(s->translate_ns / insns), (unsigned long)s->links,
           (unsigned long)s->invalidations, (unsigned long)s->flushes);
}

/* ---- guest memory ---- */

int64_t copy_from_guest(void *dst, guest_addr src, uint64_t bytes) {
    return space_is_runtime(src, bytes) ? -EFAULT : copy_bytes(dst, (const void *)src, bytes);
}

int64_t copy_to_guest(guest_addr dst, const void *src, uint64_t bytes) {
    return space_is_runtime(dst, bytes) ? -EFAULT : copy_bytes((void *)dst, src, bytes);
}

int64_t clear_guest(guest_addr dst, uint64_t bytes) {
    return space_is_runtime(dst, bytes) ? -EFAULT : clear_bytes((void *)dst, bytes);
}

int64_t copy_string_from_guest(char *dst, guest_addr src, uint64_t size) {
    for (uint64_t i = 0; i < size; i++) {
        int64_t c = space_is_runtime(src + i, 1) ? -EFAULT : load_byte((const void *)(src + i));
        if (c < 0)
            return c;
        dst[i] = (char)c;
        if (!c)
            return (int64_t)i;
    }
    return -ENAMETOOLONG;
}
