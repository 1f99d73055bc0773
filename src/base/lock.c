/*
 * lock.c - the futex mutex, and the end of a failed assertion.
 *
 * The word is 0 free, 1 held, 2 held and somebody may sleep (Drepper, "Futexes Are Tricky", mutex
 * 2). A waiter always takes the lock as 2, so a release after it wakes the next one; at worst one
 * wake finds nobody.
 */
#include "base/base.h"
#include "base/hostcall.h"

#include <linux/futex.h>

void lock_acquire(struct lock *l) {
    uint32_t seen = 0;
    if (__atomic_compare_exchange_n(&l->word, &seen, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    /* Most critical sections are shorter than a system call. */
    for (int spin = 0; spin < 100; spin++) {
        __builtin_ia32_pause();
        seen = 0;
        if (__atomic_compare_exchange_n(&l->word, &seen, 1, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return;
    }
    while (__atomic_exchange_n(&l->word, 2, __ATOMIC_ACQUIRE) != 0)
        hostcall(__NR_futex, &l->word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, 0, 0, 0);
}

void lock_release(struct lock *l) {
    if (__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) == 2)
        hostcall(__NR_futex, &l->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0);
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
