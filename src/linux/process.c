/*
 * process.c - making and ending tasks.
 *
 * A guest task is a host task: clone's flags go to the host as they are, with two things of our own
 * put in: the C stack the child starts on and the FS base that finds its struct thread. The guest's
 * stack pointer and TLS are only values in its CPU state. Addresses the kernel writes for the guest
 * (parent_tid, child_tid, robust list) are the guest's own.
 *
 *  - Without CLONE_VM the child is a copy of this process: it goes on in C where the parent called
 * clone, with a copy of everything. All locks are taken before, so the copy finds them free.
 *  - With CLONE_VM the child gets a thread area of its own. A vfork child is one too, only in
 * another process: the parent, which waits inside clone until the child has executed or gone, takes
 * its area back.
 *
 * All signals, the engine's too, are blocked on the host from before the clone until parent and
 * child each set the guest's mask again: a signal taken by the parent must not be in the copy as
 * well.
 */
#include <linux/errno.h>
#include <linux/sched.h>

#include "base/hostcall.h"
#include "engine/cache.h"
#include "engine/engine.h"
#include "engine/hostsig.h"
#include "engine/space.h"
#include "engine/stubs.h"
#include "linux/signal.h"
#include "linux/syscalls.h"

/* What clone and clone3 ask for. */
struct clone_request {
    uint64_t flags; /* clone3's: the exit signal is not in it */
    guest_addr sp;  /* 0: the parent's */
    uint64_t tls;
    struct clone_args args; /* for the host */
    uint64_t args_bytes;    /* 0: by clone, which some containers allow where they refuse clone3 */
};

/* The child's CPU state: the parent's, returning 0 from the call. */
static void child_registers(struct cpu *cpu, const struct clone_request *r) {
    cpu->x[0] = 0;
    if (r->sp)
        cpu->x[31] = r->sp;
    if (r->flags & CLONE_SETTLS)
        cpu->tpidr_el0 = r->tls;
    cpu->exclusive_address = ~0ull;
}

/* clone(2) has one argument for the parent's tid and the pidfd. */
static uint64_t legacy_parent_tid(const struct clone_request *r) {
    return r->flags & CLONE_PIDFD ? r->args.pidfd : r->args.parent_tid;
}

/* ---- a new address space ---- */

static int64_t clone_process(struct thread *t, struct clone_request *r) {
    r->args.flags &= ~(uint64_t)CLONE_SETTLS;
    r->args.stack = r->args.stack_size = 0;
    lock_acquire(&t->sighand->lock); /* or the copy may be of half an action */
    linux_fork_prepare();
    engine_fork_prepare();
    int64_t ret = r->args_bytes ? hostcall(__NR_clone3, &r->args, r->args_bytes)
                                : hostcall(__NR_clone, r->args.flags | r->args.exit_signal, 0,
                                           legacy_parent_tid(r), r->args.child_tid, 0);
    if (ret == 0) {
        engine_fork_child(t);
        linux_fork_child();
        lock_reset(&t->sighand->lock);
        if (r->flags & CLONE_CLEAR_SIGHAND) {
            sighand_clear(t->sighand);
            hostsig_init();
        }
        t->forced_pending = 0;
        child_registers(&t->cpu, r);
    } else {
        engine_fork_parent();
        linux_fork_parent();
        lock_release(&t->sighand->lock);
    }
    signal_set_mask(t, t->sigmask);
    return ret;
}

/* ---- a new task in this address space ---- */

static void child_start(void *arg) {
    struct thread *t = arg;
    t->pid = (int32_t)hostcall(__NR_getpid);
    t->tid = (int32_t)hostcall(__NR_gettid);
    hostsig_thread_init(t);
    if (t->cleared_handlers) /* the kernel cleared ours too */
        hostsig_init();
    signal_set_mask(t, t->sigmask);
    engine_run(t);
}

/* Frees what a task had that is gone, and off the list. */
static void free_thread(struct thread *t) {
    world_forget(t);
    exec_scratch_free(t);
    sighand_release(t->sighand);
    space_thread_area_free(t);
}

static struct thread *make_thread(struct thread *parent, const struct clone_request *r) {
    for (struct thread *dead; (dead = world_take_dead());)
        free_thread(dead);
    struct thread *t = space_thread_area();
    if (!t)
        return NULL;
    struct cpu *cpu = &t->cpu, *from = &parent->cpu;
    memcpy(cpu->x, from->x, sizeof(cpu->x));
    cpu->pc = from->pc;
    cpu->nzcv = from->nzcv;
    cpu->fpcr = from->fpcr;
    cpu->fpsr = from->fpsr;
    cpu->tpidr_el0 = from->tpidr_el0;
    vregs_store(from);
    memcpy(cpu->v, from->v, sizeof(cpu->v));
    child_registers(cpu, r);
    t->sigmask = parent->sigmask;
    /* Linux keeps the alternate stack for a vfork child only: it runs while the parent waits. */
    if ((r->flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM)
        t->altstack.ss_flags = 2; /* SS_DISABLE */
    else
        t->altstack = parent->altstack;
    t->sighand =
        r->flags & CLONE_SIGHAND ? sighand_share(parent->sighand) : sighand_copy(parent->sighand);
    t->cleared_handlers = r->flags & CLONE_CLEAR_SIGHAND;
    if (t->sighand && t->cleared_handlers)
        sighand_clear(t->sighand);
    if (!t->sighand) {
        space_thread_area_free(t);
        return NULL;
    }
    return t;
}

static int64_t clone_task(struct thread *t, struct clone_request *r) {
    struct thread *child = make_thread(t, r);
    if (!child) {
        signal_set_mask(t, t->sigmask);
        return -EAGAIN;
    }
    bool vfork = r->flags & CLONE_VFORK;
    child->freed_by_parent = vfork;
    child->own_process = !(r->flags & CLONE_THREAD);
    if (child->own_process && !(r->flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID))) {
        r->args.flags |= CLONE_CHILD_CLEARTID;
        r->args.child_tid = (uint64_t)&child->alive;
        child->alive = 1;
        child->tells_end = true;
    }
    r->args.flags |= CLONE_SETTLS;
    r->args.tls = (uint64_t)child;
    r->args.stack = (uint64_t)child->c_stack_top - C_STACK_BYTES;
    r->args.stack_size = C_STACK_BYTES;
    world_prepare_threads();
    world_add_thread(child);
    int64_t ret = r->args_bytes
                      ? clone3_on_stack(&r->args, r->args_bytes, child_start, child)
                      : clone_on_stack(r->args.flags | r->args.exit_signal, child->c_stack_top,
                                       (void *)legacy_parent_tid(r), (void *)r->args.child_tid,
                                       child, child_start, child);
    if (vfork || host_failed(ret)) {
        /* Before the list's lock is wanted: its holder may be waiting for the child to leave
         * translated code, in which it was killed. */
        __atomic_store_n(&child->cpu.in_guest, 0, __ATOMIC_SEQ_CST);
        world_forget(child);
        world_remove_thread(child);
        free_thread(child);
    }
    signal_set_mask(t, t->sigmask);
    return ret;
}

static int64_t clone_common(struct thread *t, struct clone_request *r) {
    int64_t ret = signal_block_host(t, ~0ull);
    if (ret)
        return ret;
    return r->flags & CLONE_VM ? clone_task(t, r) : clone_process(t, r);
}

/* clone(flags | exit signal, stack, parent_tid, tls, child_tid): arm64's argument order. */
SYSCALL(clone) {
    struct clone_request r = {
        .flags = (uint32_t)a[0] & ~(uint64_t)CSIGNAL, .sp = a[1], .tls = a[3]};
    r.args.flags = r.flags;
    r.args.exit_signal = a[0] & CSIGNAL;
    r.args.parent_tid = r.args.pidfd = a[2];
    r.args.child_tid = a[4];
    return clone_common(t, &r);
}

SYSCALL(clone3) {
    guest_addr at = a[0];
    uint64_t bytes = a[1];
    struct clone_request r = {0};
    if (bytes > PAGE_BYTES)
        return -E2BIG;
    if (bytes < CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    for (uint64_t i = sizeof(r.args); i < bytes; i++) { /* fields we do not know must be zero */
        uint8_t byte;
        if (copy_from_guest(&byte, at + i, 1))
            return -EFAULT;
        if (byte)
            return -E2BIG;
    }
    r.args_bytes = MIN(bytes, sizeof(r.args));
    if (copy_from_guest(&r.args, at, r.args_bytes))
        return -EFAULT;
    if (!r.args.stack != !r.args.stack_size)
        return -EINVAL;
    if (r.args.stack && space_is_runtime(r.args.stack, r.args.stack_size))
        return -EINVAL;
    r.flags = r.args.flags;
    if (r.flags & (CLONE_DETACHED | CSIGNAL))
        return -EINVAL;
    r.sp = r.args.stack ? r.args.stack + r.args.stack_size : 0;
    r.tls = r.args.tls;
    return clone_common(t, &r);
}

/* ---- ending ---- */

SYSCALL(exit) {
    /* The engine's too: this signal stack is about to be somebody else's. A signal that was taken
     * is delivered first: the process's, it would be lost for the other threads. */
    int64_t ret = signal_block_host(t, ~0ull);
    if (ret)
        return ret;
    if (options.stats && world_count() == 1)
        engine_print_stats();
    if (t->freed_by_parent || t->tells_end) /* what the kernel clears at the end must stay */
        hostcall(__NR_exit, a[0]);
    world_remove_thread(t);
    sighand_release(t->sighand);
    exit_thread_freeing(&t->area_state, (int)a[0]);
}

SYSCALL(exit_group) {
    (void)t;
    if (options.stats)
        engine_print_stats();
    for (;;)
        hostcall(__NR_exit_group, a[0]);
}

SYSCALL(set_tid_address) {
    t->tells_end = false;
    hostcall(__NR_set_tid_address, a[0]);
    return t->tid;
}
