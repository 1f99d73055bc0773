/*
 * poll.c - waiting for descriptors: epoll, ppoll, pselect6, and io_pgetevents and io_uring_enter
 * for their signal mask.
 *
 * Two things differ from the host. struct epoll_event is packed on x86-64 (12 bytes) and not on
 * arm64 (16). And the mask these calls install while they wait is the guest's: the host must go on
 * receiving the synchronous signals, which the engine needs, so those are taken out, and the thread
 * notes the guest's own mask (temp_mask) so that a signal that ends the wait is delivered as Linux
 * does: under the temporary mask, with a frame that restores the old one.
 */
#include "base/hostcall.h"
#include "engine/hostsig.h"
#include "linux/signal.h"
#include "linux/syscalls.h"

#define EPOLL_CTL_DEL 2
#define EP_MAX_EVENTS (INT32_MAX / (int32_t)sizeof(struct guest_epoll_event))

uint64_t host_sigmask(uint64_t guest_mask) {
    return guest_mask & ~(ENGINE_SIGNALS | SIG_UNBLOCKABLE);
}

int64_t read_sigset(guest_addr set, uint64_t bytes, uint64_t *mask) {
    if (bytes != sizeof(*mask))
        return -EINVAL;
    int64_t r = copy_from_guest(mask, set, sizeof(*mask));
    *mask &= ~SIG_UNBLOCKABLE;
    return r;
}

struct io_uring_getevents_arg {
    guest_addr sigmask;
    uint32_t sigmask_bytes, min_wait_usec;
    guest_addr ts;
};

/*
 * Runs a host call whose argument number `where` is a signal mask and the next one its size, or a
 * pointer to both (packed). set 0: no mask.
 */
enum mask_form { MASK_AND_SIZE, MASK_PACKED, MASK_IO_URING };

static int64_t call_masked(struct thread *t, long nr, const uint64_t a[6], int where,
                           enum mask_form form, guest_addr set, uint64_t bytes) {
    uint64_t h[6];
    memcpy(h, a, sizeof(h));
    if (!set)
        return guest_syscall(t, nr, h[0], h[1], h[2], h[3], h[4], h[5]);
    uint64_t mask;
    int64_t r = read_sigset(set, bytes, &mask);
    if (r)
        return r;
    uint64_t host_mask = host_sigmask(mask);
    struct sigset_argument packed = {(guest_addr)&host_mask, sizeof(host_mask)};
    if (form == MASK_PACKED) {
        h[where] = (uint64_t)&packed;
    } else if (form == MASK_IO_URING) {
        ((struct io_uring_getevents_arg *)h[where])->sigmask = (guest_addr)&host_mask;
    } else {
        h[where] = (uint64_t)&host_mask;
        h[where + 1] = sizeof(host_mask);
    }
    t->temp_mask = mask;
    t->temp_mask_active = true;
    r = signal_take_forced(t, mask) ? -EINTR
                                    : guest_syscall(t, nr, h[0], h[1], h[2], h[3], h[4], h[5]);
    /*
     * Only a wait that a signal ended keeps its mask, for the delivery that follows. After
     * -ERESTART_ENGINE the signal came before the wait began and is delivered under the old mask.
     */
    if (r != -EINTR || !t->async_taken)
        t->temp_mask_active = false;
    return r;
}

/* ---- epoll ---- */

SYSCALL(epoll_ctl) {
    struct guest_epoll_event g;
    struct host_epoll_event h = {0};
    if ((int32_t)a[1] !=
        EPOLL_CTL_DEL) { /* Linux reads the event for every other operation, also unknown ones */
        if (copy_from_guest(&g, a[3], sizeof(g)))
            return -EFAULT;
        h.events = g.events;
        h.data = g.data;
    }
    return guest_syscall(t, __NR_epoll_ctl, a[0], a[1], a[2], (uint64_t)&h, 0, 0);
}

/*
 * Spreads n events, packed at the start of the guest's own buffer by the host, to their places
 * there. From the end, in blocks: the place of event i is at or after where it lies, so nothing
 * unread is overwritten.
 */
static int64_t spread_events(guest_addr events, uint64_t n) {
    enum { BLOCK = 32 };
    struct host_epoll_event packed[BLOCK];
    struct guest_epoll_event spread[BLOCK];
    while (n) {
        uint64_t count = MIN(n, (uint64_t)BLOCK);
        n -= count;
        if (copy_from_guest(packed, events + n * sizeof(packed[0]), count * sizeof(packed[0])))
            return -EFAULT;
        for (uint64_t i = 0; i < count; i++)
            spread[i] =
                (struct guest_epoll_event){.events = packed[i].events, .data = packed[i].data};
        if (copy_to_guest(events + n * sizeof(spread[0]), spread, count * sizeof(spread[0])))
            return -EFAULT;
    }
    return 0;
}

/* epoll_pwait and epoll_pwait2: the guest's buffer holds maxevents of the larger events, so the
 * host writes there. */
static int64_t epoll_wait_masked(struct thread *t, long nr, const uint64_t *a) {
    int32_t max = (int32_t)a[2];
    if (max <= 0 || max > EP_MAX_EVENTS)
        return -EINVAL;
    int64_t n = call_masked(t, nr, a, 4, MASK_AND_SIZE, a[4], a[5]);
    if (n > 0) {
        int64_t r = spread_events(a[1], (uint64_t)n);
        if (r)
            return r;
    }
    return n;
}

SYSCALL(epoll_pwait) {
    return epoll_wait_masked(t, __NR_epoll_pwait, a);
}

SYSCALL(epoll_pwait2) {
    return epoll_wait_masked(t, __NR_epoll_pwait2, a);
}

/* ---- poll, select, aio ---- */

SYSCALL(ppoll) {
    return call_masked(t, __NR_ppoll, a, 3, MASK_AND_SIZE, a[3], a[4]);
}

/* A call whose sixth argument points to {set, size}; either pointer may be NULL. */
static int64_t call_masked_packed(struct thread *t, long nr, const uint64_t *a) {
    struct sigset_argument set = {0, 0};
    if (a[5] && copy_from_guest(&set, a[5], sizeof(set)))
        return -EFAULT;
    if (UNLIKELY(tagged_addresses))
        set.set = untagged(set.set);
    uint64_t h[6] = {a[0], a[1], a[2], a[3], a[4], 0};
    return call_masked(t, nr, h, 5, MASK_PACKED, set.set, set.bytes);
}

SYSCALL(pselect6) {
    return call_masked_packed(t, __NR_pselect6, a);
}

SYSCALL(io_pgetevents) {
    return call_masked_packed(t, __NR_io_pgetevents, a);
}

#define IORING_ENTER_EXT_ARG     (1u << 3)
#define IORING_ENTER_EXT_ARG_REG (1u << 6)

SYSCALL(io_uring_enter) {
    uint32_t flags = (uint32_t)a[3];
    if (flags &
        IORING_ENTER_EXT_ARG_REG) /* an offset into memory registered before, without a mask */
        return guest_syscall(t, __NR_io_uring_enter, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (!(flags & IORING_ENTER_EXT_ARG))
        return call_masked(t, __NR_io_uring_enter, a, 4, MASK_AND_SIZE, a[4], a[5]);
    struct io_uring_getevents_arg arg;
    if (a[5] != sizeof(arg))
        return -EINVAL;
    if (copy_from_guest(&arg, a[4], sizeof(arg)))
        return -EFAULT;
    uint64_t h[6] = {a[0], a[1], a[2], a[3], (uint64_t)&arg, a[5]};
    return call_masked(t, __NR_io_uring_enter, h, 4, MASK_IO_URING, arg.sigmask, arg.sigmask_bytes);
}
