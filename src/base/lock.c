/*
 * lock.c - the futex mutex, and the end of a failed assertion.
 *
 * The word is 0 when free, else the owner's id with bit 0 set if somebody may sleep. A waiter that
 * had to sleep takes the lock with bit 0 set, so a release after it wakes the next one; at worst
 * one wake finds nobody.
 *
 * Owners have names because a task that shares this memory without being a thread of this process
 * (vfork's child) can be killed alone, holding a lock. A waiter looks after a while whether the
 * owner still lives, and takes the lock over if not; the lock's `recover` then puts right what was
 * left half done.
 */
#include "base/base.h"
#include "base/hostcall.h"

#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/time.h>

#define WAITERS 1u
#define NOBODY  (1u << 31) /* the id before FS is set, and in hosted programs */

bool (*lock_owner_gone)(uint32_t id);

uint32_t lock_id(const void *task) {
    uint32_t id = (uint32_t)((uintptr_t)task / PAGE_BYTES) << 1;
    return id ? id : NOBODY;
}

static uint32_t my_id(void) {
    if (!lock_owner_gone)
        return NOBODY;
    const void *task;
    __asm__("movq %%fs:0, %0" : "=r"(task));
    return lock_id(task);
}

static bool replace(struct lock *l, uint32_t from, uint32_t to) {
    return __atomic_compare_exchange_n(&l->word, &from, to, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

/* Takes the lock from an owner that is gone. */
static bool take_over(struct lock *l, uint32_t seen, uint32_t me) {
    if (!replace(l, seen, me | WAITERS))
        return false;
    if (l->recover)
        l->recover();
    return true;
}

void lock_acquire(struct lock *l) {
    static const struct timespec patience = {0, 20000000};
    uint32_t me = my_id();
    if (LIKELY(replace(l, 0, me)))
        return;
    /* Most critical sections are shorter than a system call. */
    for (int spin = 0; spin < 100; spin++) {
        __builtin_ia32_pause();
        if (replace(l, 0, me))
            return;
    }
    for (;;) {
        uint32_t seen = __atomic_load_n(&l->word, __ATOMIC_RELAXED);
        if (seen == 0) {
            if (replace(l, 0, me | WAITERS))
                return;
            continue;
        }
        if (!(seen & WAITERS) && !replace(l, seen, seen | WAITERS))
            continue;
        seen |= WAITERS;
        int64_t r =
            hostcall(__NR_futex, &l->word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, seen, &patience, 0, 0);
        if (r == -ETIMEDOUT && lock_owner_gone && lock_owner_gone(seen & ~WAITERS) &&
            take_over(l, seen, me))
            return;
    }
}

void lock_release(struct lock *l) {
    if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) & WAITERS)
        hostcall(__NR_futex, &l->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0);
}

void lock_release_of(struct lock *l, uint32_t id) {
    uint32_t seen = __atomic_load_n(&l->word, __ATOMIC_RELAXED);
    if ((seen & ~WAITERS) == id && take_over(l, seen, my_id()))
        lock_release(l);
}
#ifdef ELFUSE_DEBUG
void assert_failed(const char *file, int line, const char *expr) {
    warn("%s:%d: assertion failed: %s", file, line, expr);
    /* SIGABRT with the default action, also when the guest handles or blocks it: a core of the
     * broken state. */
    uint64_t dfl[4] = {0};
    hostcall(__NR_rt_sigaction, 6, dfl, 0, 8);
    uint64_t abrt = 1 << 5;
    hostcall(__NR_rt_sigprocmask, 1 /* SIG_UNBLOCK */, &abrt, 0, 8);
    hostcall(__NR_tkill, hostcall(__NR_gettid), 6);
    for (;;)
        hostcall(__NR_exit_group, 125);
}
#endif
