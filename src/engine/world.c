/*
 * world.c - the threads of this address space, and stopping them.
 *
 * To stop the world is to keep every other thread out of translated code, nothing more: threads in
 * C or in a system call go on. Each thread announces itself by in_guest (guest_enter sets it, then
 * reads pending; the stopper sets PENDING_STOP, then reads in_guest, both with full fences, so one
 * of them sees the other). A thread that is inside is kicked with a signal, whose handler takes it
 * out at an instruction boundary.
 */
#include "engine/cache.h"
#include "engine/hostsig.h"
#include "engine/space.h"

#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/mman.h>
#include <linux/time.h>

#include "base/hostcall.h"
#include "engine/thread.h"

static void recover(void);

static struct world {
    struct lock lock; /* of the list */
    struct thread *threads;
    unsigned count;
    unsigned processes;            /* of them, those that are processes of their own */
    uint32_t stopped;              /* futex word of parked threads */
    bool barrier_ready, expedited; /* membarrier: asked for, to be had */
} world = {.lock = {.recover = recover}};

void world_add_thread(struct thread *t) {
    lock_acquire(&world.lock);
    t->prev = NULL;
    t->next = world.threads;
    if (t->next)
        t->next->prev = t;
    world.threads = t;
    world.count++;
    world.processes += t->own_process;
    lock_release(&world.lock);
}

static void unlink_thread(struct thread *t) {
    if (t->next)
        t->next->prev = t->prev;
    if (t->prev)
        t->prev->next = t->next;
    else
        world.threads = t->next;
    world.count--;
    world.processes -= t->own_process;
}

void world_remove_thread(struct thread *t) {
    lock_acquire(&world.lock);
    unlink_thread(t);
    lock_release(&world.lock);
}

unsigned world_count(void) {
    return __atomic_load_n(&world.count, __ATOMIC_RELAXED);
}

void world_prepare_threads(void) {
    if (!world.barrier_ready &&
        !host_failed(hostcall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0)))
        world.expedited = true;
    world.barrier_ready = true;
}

/*
 * A full memory barrier in every thread of this address space that is running: between
 * PENDING_STOP, which we have set, and in_guest, which we are going to read. Without membarrier,
 * taking write permission from a page makes the kernel interrupt the other processors.
 */
static void barrier_everywhere(void) {
    if (world.expedited &&
        !host_failed(hostcall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0)))
        return;
    static uint8_t page[2 * PAGE_BYTES];
    uint8_t *p = (uint8_t *)ALIGN_UP((uint64_t)page, PAGE_BYTES);
    hostcall(__NR_mprotect, p, PAGE_BYTES, PROT_READ | PROT_WRITE);
    __atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST); /* mapped and dirty, or there is nothing to flush */
    hostcall(__NR_mprotect, p, PAGE_BYTES, PROT_READ);
}

static bool has_left(const struct thread *t) {
    return t->tells_end && __atomic_load_n(&t->alive, __ATOMIC_SEQ_CST) == 0;
}

struct thread *world_take_dead(void) {
    if (LIKELY(!__atomic_load_n(&world.processes, __ATOMIC_RELAXED)))
        return NULL;
    lock_acquire(&world.lock);
    struct thread *t = world.threads;
    while (t && (t->freed_by_parent || !has_left(t)))
        t = t->next;
    if (t)
        unlink_thread(t);
    lock_release(&world.lock);
    return t;
}

static bool is_inside(const struct thread *t) {
    return __atomic_load_n(&t->cpu.in_guest, __ATOMIC_SEQ_CST) != 0;
}

/*
 * Waits until t is out of translated code. A process of its own in this memory (vfork's child) may
 * be killed there; a zombie still takes kicks, so it is its `alive` that tells.
 */
static void drive_out(struct thread *t) {
    static const struct timespec pause = {0, 100000};
    for (unsigned round = 0; is_inside(t); round++) {
        if ((round % 64 == 0 && hostsig_kick(t) == -ESRCH) || has_left(t)) {
            __atomic_store_n(&t->cpu.in_guest, 0, __ATOMIC_SEQ_CST);
            return;
        }
        if (round < 1024)
            hostcall(__NR_sched_yield);
        else /* it is not running: stopped, or others have the processors */
            hostcall(__NR_nanosleep, &pause, 0);
    }
}

void world_stop(struct thread *self) {
    lock_acquire(&world.lock);
    __atomic_store_n(&world.stopped, 1, __ATOMIC_SEQ_CST);
    for (struct thread *t = world.threads; t; t = t->next)
        if (t != self)
            __atomic_fetch_or(&t->cpu.pending, PENDING_STOP, __ATOMIC_SEQ_CST);
    if (world.count > 1)
        barrier_everywhere();
    for (struct thread *t = world.threads; t; t = t->next)
        if (t != self)
            drive_out(t);
}

static void let_go(void) {
    for (struct thread *t = world.threads; t; t = t->next)
        __atomic_fetch_and(&t->cpu.pending, ~(uint32_t)PENDING_STOP, __ATOMIC_SEQ_CST);
    __atomic_store_n(&world.stopped, 0, __ATOMIC_SEQ_CST);
    hostcall(__NR_futex, &world.stopped, FUTEX_WAKE_PRIVATE, 0x7fffffff, 0, 0, 0);
}

void world_resume(void) {
    let_go();
    lock_release(&world.lock);
}

/* The lock's owner was killed, perhaps with the world stopped. */
static void recover(void) {
    let_go();
}

void world_forget(const struct thread *t) {
    uint32_t id = lock_id(t);
    lock_release_of(&world.lock, id);
    lock_release_of(&engine_lock, id);
    space_forget(id);
}

static bool owner_gone(uint32_t id) {
    guest_addr start, end;
    space_range(&start, &end);
    /* The id is the low part of the structure's address. */
    const struct thread *t =
        (void *)(start + (uint32_t)(id - lock_id((void *)start)) / 2 * (uint64_t)PAGE_BYTES);
    return (guest_addr)t < end && has_left(t);
}

void world_init(void) {
    lock_owner_gone = owner_gone;
}

void world_park(struct thread *t) {
    while (__atomic_load_n(&t->cpu.pending, __ATOMIC_SEQ_CST) & PENDING_STOP)
        hostcall(__NR_futex, &world.stopped, FUTEX_WAIT_PRIVATE, 1, 0, 0, 0);
}

void world_each(void (*fn)(struct thread *t, void *arg), void *arg) {
    for (struct thread *t = world.threads; t; t = t->next)
        fn(t, arg);
}

void world_fork_prepare(void) {
    lock_acquire(&world.lock);
}

void world_fork_parent(void) {
    lock_release(&world.lock);
}

void world_fork_child(struct thread *self) {
    world.threads = self;
    self->next = self->prev = NULL;
    world.count = 1;
    world.processes = 0;
    world.stopped = 0;
    self->cpu.pending &= ~(uint32_t)PENDING_STOP;
    lock_reset(&world.lock);
}
