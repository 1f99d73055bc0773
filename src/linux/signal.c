/*
 * signal.c - the guest's signals: actions, masks, delivery.
 *
 * The host does the queueing, the choice of thread, default and ignoring actions, restarts: a guest
 * action is installed on the host as the same kind of action, and the guest's mask is the host's
 * (less ENGINE_SIGNALS, which the host never blocks). What is left is to push the frame when the
 * host handler has taken a signal (engine/hostsig.c), at a point where the guest's state is
 * complete.
 *
 * A signal that was taken must reach the guest before a system call that changes masks or waits has
 * any effect; those calls go through guest_syscall, which refuses to start (-ERESTART_ENGINE) while
 * one is waiting.
 */
#include "linux/signal.h"

#include <linux/errno.h>

#include "a64/a64.h"
#include "base/hostcall.h"
#include "engine/engine.h"
#include "engine/hostsig.h"
#include "engine/stubs.h"
#include "linux/syscalls.h"
#include "linux/trace.h"

#define MIN_STACK_BYTES 5120 /* arm64's MINSIGSTKSZ */
#define SS_ONSTACK      1
#define SS_DISABLE      2
#define SS_AUTODISARM   (1u << 31)
#define SI_USER         0

static struct sighand first_sighand = {.users = 1};
static void force_fault(struct thread *t);

int64_t guest_syscall(struct thread *t, long host_nr, uint64_t a0, uint64_t a1, uint64_t a2,
                      uint64_t a3, uint64_t a4, uint64_t a5) {
    const uint64_t args[6] = {a0, a1, a2, a3, a4, a5};
    return guest_syscall_raw(&t->cpu.pending, host_nr, args);
}

/* ---- actions ---- */

struct sighand *sighand_copy(struct sighand *from) {
    struct sighand *h = space_alloc(sizeof(*h));
    if (!h)
        return NULL;
    lock_acquire(&from->lock);
    memcpy(h->action, from->action, sizeof(h->action));
    lock_release(&from->lock);
    h->users = 1;
    return h;
}

struct sighand *sighand_share(struct sighand *h) {
    __atomic_fetch_add(&h->users, 1, __ATOMIC_RELAXED);
    return h;
}

void sighand_release(struct sighand *h) {
    if (__atomic_fetch_sub(&h->users, 1, __ATOMIC_ACQ_REL) == 1 && h != &first_sighand)
        space_free(h, sizeof(*h));
}

void sighand_clear(struct sighand *h) {
    for (int sig = 1; sig <= G_NSIG; sig++) {
        if (h->action[sig].handler > G_SIG_IGN)
            h->action[sig] = (struct guest_sigaction){0};
    }
}

SYSCALL(rt_sigaction) {
    int sig = (int)a[0];
    guest_addr new_at = a[1], old_at = a[2];
    if (a[3] != 8)
        return -EINVAL;
    struct guest_sigaction new, old;
    if (new_at && copy_from_guest(&new, new_at, sizeof(new)))
        return -EFAULT;
    if (sig < 1 || sig > G_NSIG || (new_at && (SIG_BIT(sig) & SIG_UNBLOCKABLE)))
        return -EINVAL;
    struct sighand *h = t->sighand;
    lock_acquire(&h->lock);
    old = h->action[sig];
    int64_t ret = 0;
    if (new_at) {
        new.mask &= ~SIG_UNBLOCKABLE;
        h->action[sig] = new;
        ret = hostsig_set_action(sig, new.handler, new.flags);
    }
    lock_release(&h->lock);
    if (!ret && old_at && copy_to_guest(old_at, &old, sizeof(old)))
        return -EFAULT;
    return ret;
}

/* ---- masks ---- */

static int64_t set_host_mask(struct thread *t, uint64_t mask) {
    return guest_syscall(t, __NR_rt_sigprocmask, 2 /* SIG_SETMASK */, (uint64_t)&mask, 0, 8, 0, 0);
}

/*
 * Synchronous signals somebody sent while the guest blocked them: takes one that `mask` lets
 * through, as the host handler would. Everything is blocked meanwhile, for that handler uses the
 * same place.
 */
bool signal_take_forced(struct thread *t, uint64_t mask) {
    static const uint64_t everything = ~0ull, all = ~ENGINE_SIGNALS;
    if (LIKELY(!(t->forced_pending & ~mask)) || set_host_mask(t, everything))
        return false;
    int sig = __builtin_ctzll(t->forced_pending & ~mask) + 1;
    t->forced_pending &= ~SIG_BIT(sig);
    t->async_info = t->forced_info[sig];
    t->async_taken = true;
    __atomic_fetch_or(&t->cpu.pending, PENDING_SIGNAL, __ATOMIC_SEQ_CST);
    hostcall(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, 0, 8);
    return true;
}

/* While a signal waits (then set_host_mask refuses), the host's mask stays full until it is
 * delivered. */
void signal_set_mask(struct thread *t, uint64_t mask) {
    t->sigmask = mask & ~SIG_UNBLOCKABLE;
    set_host_mask(t, host_sigmask(t->sigmask));
    signal_take_forced(t, t->sigmask);
}

int64_t signal_try_mask(struct thread *t, uint64_t mask) {
    mask &= ~SIG_UNBLOCKABLE;
    int64_t ret = set_host_mask(t, host_sigmask(mask));
    if (ret)
        return ret;
    t->sigmask = mask;
    signal_take_forced(t, mask);
    return 0;
}

int64_t signal_block_host(struct thread *t, uint64_t host_mask) {
    return set_host_mask(t, host_mask);
}

SYSCALL(rt_sigprocmask) {
    guest_addr new_at = a[1], old_at = a[2];
    if (a[3] != 8)
        return -EINVAL;
    uint64_t old = t->sigmask, set, mask = old;
    if (new_at) {
        if (copy_from_guest(&set, new_at, 8))
            return -EFAULT;
        switch ((int)a[0]) {
        case 0:
            mask |= set;
            break;
        case 1:
            mask &= ~set;
            break;
        case 2:
            mask = set;
            break;
        default:
            return -EINVAL;
        }
        int64_t ret = signal_try_mask(t, mask);
        if (ret)
            return ret;
    }
    if (old_at && copy_to_guest(old_at, &old, 8))
        return -EFAULT;
    return 0;
}

SYSCALL(rt_sigpending) {
    uint64_t pending = 0;
    if (a[1] > 8)
        return -EINVAL;
    int64_t ret = hostcall(__NR_rt_sigpending, &pending, 8);
    if (ret)
        return ret;
    pending = (pending | t->forced_pending) & t->sigmask;
    return copy_to_guest(a[0], &pending, a[1]);
}

SYSCALL(rt_sigsuspend) {
    uint64_t mask;
    int64_t ret = read_sigset(a[0], a[1], &mask);
    if (ret)
        return ret;
    mask &= ~SIG_UNBLOCKABLE;
    uint64_t host = host_sigmask(mask);
    t->temp_mask = mask;
    t->temp_mask_active = true;
    if (signal_take_forced(t, mask))
        return -EINTR;
    ret = guest_syscall(t, __NR_rt_sigsuspend, (uint64_t)&host, 8, 0, 0, 0, 0);
    if (ret == -ERESTART_ENGINE) /* the signal came before: it is the old mask's */
        t->temp_mask_active = false;
    return ret;
}

SYSCALL(rt_sigtimedwait) {
    uint64_t set;
    if (a[3] != 8)
        return -EINVAL;
    if (copy_from_guest(&set, a[0], 8))
        return -EFAULT;
    uint64_t forced = t->forced_pending & set;
    if (forced) {
        int sig = __builtin_ctzll(forced) + 1;
        if (a[1] && copy_to_guest(a[1], &t->forced_info[sig], sizeof(struct guest_siginfo)))
            return -EFAULT;
        __atomic_fetch_and(&t->forced_pending, ~SIG_BIT(sig), __ATOMIC_SEQ_CST);
        return sig;
    }
    uint64_t host = set & ~ENGINE_SIGNALS;
    return guest_syscall(t, __NR_rt_sigtimedwait, (uint64_t)&host, a[1], a[2], 8, 0, 0);
}

/* ---- the alternate stack ---- */

static bool on_altstack(const struct thread *t, guest_addr sp) {
    const struct guest_stack_t *s = &t->altstack;
    if ((uint32_t)s->ss_flags & SS_AUTODISARM)
        return false;
    return s->ss_size && sp > s->ss_sp && sp - s->ss_sp <= s->ss_size;
}

/* What sigaltstack(2) reports as flags at this SP. */
int32_t altstack_flags(const struct thread *t, guest_addr sp) {
    if (!t->altstack.ss_size)
        return SS_DISABLE;
    return on_altstack(t, sp) ? SS_ONSTACK : 0;
}

int64_t altstack_set(struct thread *t, const struct guest_stack_t *s, guest_addr sp) {
    uint32_t flags = (uint32_t)s->ss_flags, mode = flags & ~SS_AUTODISARM;
    if (on_altstack(t, sp))
        return -EPERM;
    if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE)
        return -EINVAL;
    if (mode == SS_DISABLE) {
        t->altstack = (struct guest_stack_t){0, (int32_t)flags, 0, 0};
        return 0;
    }
    if (s->ss_size < MIN_STACK_BYTES)
        return -ENOMEM;
    t->altstack = (struct guest_stack_t){s->ss_sp, (int32_t)flags, 0, s->ss_size};
    return 0;
}

SYSCALL(sigaltstack) {
    guest_addr sp = t->cpu.x[31];
    struct guest_stack_t new, old = t->altstack;
    old.ss_flags = altstack_flags(t, sp) | (old.ss_flags & (int32_t)SS_AUTODISARM);
    if (a[0]) {
        if (copy_from_guest(&new, a[0], sizeof(new)))
            return -EFAULT;
        int64_t ret = altstack_set(t, &new, sp);
        if (ret)
            return ret;
    }
    if (a[1] && copy_to_guest(a[1], &old, sizeof(old)))
        return -EFAULT;
    return 0;
}

/* ---- delivery ---- */

static bool ignored_by_default(int sig) {
    return sig == G_SIGCHLD || sig == G_SIGCONT || sig == G_SIGURG || sig == G_SIGWINCH;
}

/* Takes the action for a signal that has one, which SA_RESETHAND may change. */
static struct guest_sigaction action_for(struct thread *t, int sig) {
    struct sighand *h = t->sighand;
    lock_acquire(&h->lock);
    struct guest_sigaction action = h->action[sig];
    if (action.handler > G_SIG_IGN && (action.flags & G_SA_RESETHAND)) {
        h->action[sig].handler = G_SIG_DFL;
        hostsig_set_action(sig, G_SIG_DFL, 0);
    }
    lock_release(&h->lock);
    return action;
}

static void report_undefined(struct thread *t) {
    uint32_t word = 0;
    char text[96];
    if (copy_from_guest(&word, t->cpu.pc, 4))
        return;
    a64_disassemble(text, sizeof(text), word, t->cpu.pc);
    warn("illegal instruction at pc %#lx: %08x %s", (unsigned long)t->cpu.pc, word, text);
}

/* Dies of a signal that an instruction raised. */
NORETURN static void die_of_fault(struct thread *t, int sig) {
    if (sig == G_SIGILL)
        report_undefined(t);
    hostsig_die(sig);
}

static uint64_t handler_mask(const struct guest_sigaction *action, int sig, uint64_t mask) {
    mask |= action->mask;
    return action->flags & G_SA_NODEFER ? mask : mask | SIG_BIT(sig);
}

/* Runs the guest's handler for the signal, its mask being set already. A frame that cannot be
 * written is a SIGSEGV (force_sigsegv of the kernel). */
static void run_handler(struct thread *t, const struct guest_sigaction *action,
                        const struct guest_siginfo *info, uint64_t saved_mask) {
    if (sigframe_push(t, action, info, saved_mask) == 0)
        return;
    if (info->si_signo == G_SIGSEGV)
        die_of_fault(t, G_SIGSEGV);
    t->fault_info = (struct guest_siginfo){.si_signo = G_SIGSEGV, .si_code = 0x80 /* SI_KERNEL */};
    signal_set_mask(t, saved_mask);
    force_fault(t);
}

/* Delivers fault_info, which will not come again by itself. */
static void force_fault(struct thread *t) {
    struct guest_siginfo info = t->fault_info;
    int sig = info.si_signo;
    uint64_t saved = t->sigmask;
    if (trace_on())
        trace_signal(t, &info);
    struct guest_sigaction action = t->sighand->action[sig];
    if ((saved & SIG_BIT(sig)) || action.handler <= G_SIG_IGN)
        die_of_fault(t, sig);
    action = action_for(t, sig);
    signal_set_mask(t, handler_mask(&action, sig, saved));
    run_handler(t, &action, &info, saved);
}

/*
 * The action became SIG_DFL or SIG_IGN after the host handler had taken the signal: send it again,
 * for the host now has that action too. The engine's own signals have a host handler always, so
 * their default is done here.
 */
static void redo_on_host(struct thread *t, const struct guest_siginfo *info, guest_addr handler) {
    int sig = info->si_signo;
    signal_set_mask(t, t->sigmask);
    if (handler == G_SIG_IGN || ignored_by_default(sig))
        return;
    if (SIG_BIT(sig) & ENGINE_SIGNALS)
        hostsig_die(sig);
    hostcall(__NR_rt_tgsigqueueinfo, t->pid, t->tid, sig, info);
}

void signal_deliver_pending(struct thread *t) {
    struct guest_siginfo info = t->async_info;
    bool taken = t->async_taken;
    __atomic_fetch_and(&t->cpu.pending, ~(uint32_t)PENDING_SIGNAL, __ATOMIC_SEQ_CST);
    t->async_taken = false;
    if (!taken) { /* only to make system calls look (hostsig.c, keep_for_later) */
        signal_set_mask(t, t->sigmask);
        return;
    }
    struct guest_sigaction action = action_for(t, info.si_signo);
    if (trace_on())
        trace_signal(t, &info);
    if (action.handler <= G_SIG_IGN) {
        t->temp_mask_active = false;
        redo_on_host(t, &info, action.handler);
    } else {
        uint64_t saved = t->sigmask, mask = t->temp_mask_active ? t->temp_mask : saved;
        t->temp_mask_active = false;
        signal_set_mask(t, handler_mask(&action, info.si_signo, mask));
        run_handler(t, &action, &info, saved);
    }
}

/*
 * An asynchronous signal that was taken before goes first, under the mask that let it through; the
 * instruction at PC runs again after its handler, and raises the fault again.
 */
void signal_deliver_fault(struct thread *t) {
    struct guest_siginfo info = t->fault_info;
    int sig = info.si_signo;
    uint64_t saved = t->sigmask;
    struct guest_sigaction action = t->sighand->action[sig];
    if ((saved & SIG_BIT(sig)) || action.handler <= G_SIG_IGN) {
        force_fault(t);
        return;
    }
    if (signal_try_mask(t, handler_mask(&action, sig, saved)))
        return;
    if (trace_on())
        trace_signal(t, &info);
    action = action_for(t, sig);
    if (action.flags & G_SA_EXPOSE_TAGBITS)
        info.addr |= t->fault_tag;
    run_handler(t, &action, &info, saved);
}

SYSCALL(rt_sigreturn) {
    (void)a;
    int64_t ret = sigframe_pop(t);
    if (ret == -ERESTART_ENGINE) {
        t->cpu.pc -= SVC_BYTES;
    } else if (ret) {
        t->fault_info = (struct guest_siginfo){.si_signo = G_SIGSEGV, .si_code = SI_USER};
        force_fault(t);
    }
    return (int64_t)t->cpu.x[0];
}

/* ---- exec and start-up ---- */

void signal_exec_prepare(struct thread *t, bool mask) {
    for (int sig = 1; sig <= 31; sig++)
        if ((SIG_BIT(sig) & ENGINE_SIGNALS) && t->sighand->action[sig].handler == G_SIG_IGN) {
            struct {
                uint64_t handler, flags, restorer, mask;
            } ignore = {G_SIG_IGN, 0, 0, 0};
            hostcall(__NR_rt_sigaction, sig, &ignore, 0, 8);
        }
    if (mask)
        hostcall(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &t->sigmask, 0, 8);
}

void signal_exec_failed(struct thread *t) {
    for (int sig = 1; sig <= 31; sig++)
        if (SIG_BIT(sig) & ENGINE_SIGNALS)
            hostsig_set_action(sig, t->sighand->action[sig].handler, t->sighand->action[sig].flags);
    signal_set_mask(t, t->sigmask);
}

void signal_init(void) {
    struct thread *t = current();
    t->sighand = &first_sighand;
    for (int sig = 1; sig <= G_NSIG; sig++) {
        struct {
            uint64_t handler, flags, restorer, mask;
        } action;
        if (hostcall(__NR_rt_sigaction, sig, 0, &action, 8) == 0 && action.handler == G_SIG_IGN)
            first_sighand.action[sig].handler = G_SIG_IGN;
    }
    hostcall(__NR_rt_sigprocmask, 0, 0, &t->sigmask, 8);
    if (options.has_sigmask)
        t->sigmask = options.sigmask;
    t->altstack.ss_flags = SS_DISABLE;
}

/* ---- sending: the host's own calls. A signal to oneself is taken before the call returns. ---- */

SYSCALL(kill) {
    return guest_syscall(t, __NR_kill, a[0], a[1], 0, 0, 0, 0);
}

SYSCALL(tkill) {
    return guest_syscall(t, __NR_tkill, a[0], a[1], 0, 0, 0, 0);
}

SYSCALL(tgkill) {
    return guest_syscall(t, __NR_tgkill, a[0], a[1], a[2], 0, 0, 0);
}

SYSCALL(rt_sigqueueinfo) {
    return guest_syscall(t, __NR_rt_sigqueueinfo, a[0], a[1], a[2], 0, 0, 0);
}

SYSCALL(rt_tgsigqueueinfo) {
    return guest_syscall(t, __NR_rt_tgsigqueueinfo, a[0], a[1], a[2], a[3], 0, 0);
}

SYSCALL(pidfd_send_signal) {
    return guest_syscall(t, __NR_pidfd_send_signal, a[0], a[1], a[2], a[3], 0, 0);
}
