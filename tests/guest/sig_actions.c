// rt_sigaction and the mask calls for all 64 signals, through the raw calls, so that libc's private
// use of signals 32 and 33 does not hide what the kernel does.
#include "check.h"

struct kernel_sigaction {
    void *handler;
    unsigned long flags;
#ifdef __x86_64__
    void (*restorer)(void); // arm64 has the field but programs leave it 0: the vDSO returns
#else
    void *restorer;
#endif
    uint64_t mask;
};

#define SA_RESTORER_ 0x04000000

#ifdef __x86_64__
void restorer(void);
__asm__(".globl restorer\nrestorer: mov $15, %eax\nsyscall\n");
#endif

static long act(int sig, const struct kernel_sigaction *new, struct kernel_sigaction *old) {
    return syscall(SYS_rt_sigaction, sig, new, old, 8);
}

static struct kernel_sigaction action(void *handler, unsigned long flags, uint64_t mask) {
    struct kernel_sigaction a = {handler, flags, NULL, mask};
#ifdef __x86_64__
    a.flags |= SA_RESTORER_;
    a.restorer = restorer;
#endif
    return a;
}

static volatile int last, counts[65];
static void record(int sig) {
    last = sig;
    counts[sig]++;
}

TEST(every_signal_can_be_set_and_read_back) {
    QEMU_WRONG("keeps two real-time signals for itself");
    for (int sig = 1; sig <= 64; sig++) {
        struct kernel_sigaction a = action(record, SA_RESTART | SA_NODEFER, 1ull << (sig - 1) | 2),
                                old;
        if (sig == SIGKILL || sig == SIGSTOP) {
            CHECK_ERRNO(act(sig, &a, NULL), EINVAL);
            CHECK_EQ(act(sig, NULL, &old), 0);
            CHECK(old.handler == SIG_DFL);
            continue;
        }
        CHECK_EQ(act(sig, &a, &old), 0);
        memset(&old, 0xa5, sizeof old);
        CHECK_EQ(act(sig, NULL, &old), 0);
        CHECK(old.handler == (void *)record);
        CHECK_EQ(old.flags & ~SA_RESTORER_, SA_RESTART | SA_NODEFER);
        // SIGKILL and SIGSTOP are silently taken out of the mask.
        CHECK_EQ(old.mask, a.mask & ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1)));
    }
    CHECK_ERRNO(act(0, NULL, NULL), EINVAL);
    CHECK_ERRNO(act(65, NULL, NULL), EINVAL);
    CHECK_ERRNO(act(-1, NULL, NULL), EINVAL);
    struct kernel_sigaction a = action(record, 0, 0);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, &a, NULL, 4), EINVAL);
    CHECK_ERRNO(act(SIGUSR1, (void *)8, NULL), EFAULT);
    CHECK_ERRNO(act(SIGUSR1, NULL, (void *)8), EFAULT);
}

TEST(every_signal_is_delivered) {
    QEMU_WRONG("keeps two real-time signals for itself");
    for (int sig = 1; sig <= 64; sig++) {
        if (sig == SIGKILL || sig == SIGSTOP)
            continue;
        struct kernel_sigaction a = action(record, 0, 0);
        CHECK_EQ(act(sig, &a, NULL), 0);
        last = 0;
        CHECK_EQ(syscall(SYS_kill, getpid(), sig), 0);
        CHECK_EQ(last, sig);
        CHECK_EQ(syscall(SYS_tgkill, getpid(), gettid(), sig), 0);
        CHECK_EQ(counts[sig], 2);
    }
}

TEST(all_blocked_then_released) {
    QEMU_WRONG("keeps two real-time signals for itself");
    uint64_t all = ~0ull, none = 0, pending = 0, old = 0;
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, 8), 0);
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &old, 8), 0);
    CHECK_EQ(old, ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1)));
    for (int sig = 1; sig <= 64; sig++) {
        if (sig == SIGKILL || sig == SIGSTOP)
            continue;
        struct kernel_sigaction a = action(record, 0, 0);
        act(sig, &a, NULL);
        if (sig != SIGCONT && sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU)
            syscall(SYS_kill, getpid(), sig);
    }
    CHECK_EQ(syscall(SYS_rt_sigpending, &pending, 8), 0);
    uint64_t job = 1ull << (SIGCONT - 1) | 1ull << (SIGTSTP - 1) | 1ull << (SIGTTIN - 1) |
                   1ull << (SIGTTOU - 1);
    CHECK_EQ(pending, ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1) | job));
    CHECK_EQ(last, 0);
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8), 0);
    for (int sig = 1; sig <= 64; sig++)
        CHECK_EQ(counts[sig], ((pending >> (sig - 1)) & 1));
}

TEST(sigprocmask_arguments) {
    uint64_t set = 1ull << (SIGUSR1 - 1), old = 0;
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8), 0);
    set = 1ull << (SIGUSR2 - 1);
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old, 8), 0);
    CHECK_EQ(old, 1ull << (SIGUSR1 - 1));
    set = 1ull << (SIGUSR1 - 1);
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, &old, 8), 0);
    CHECK_EQ(old, 1ull << (SIGUSR1 - 1) | 1ull << (SIGUSR2 - 1));
    CHECK_EQ(syscall(SYS_rt_sigprocmask, 99, NULL, &old, 8),
             0); // how is not looked at without a set
    CHECK_EQ(old, 1ull << (SIGUSR2 - 1));
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 99, &set, NULL, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, (void *)8, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigpending, (void *)8, 8), EFAULT);
    // Synchronous signals can be blocked like any other.
    set = 1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGFPE - 1) |
          1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1);
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8), 0);
    CHECK_EQ(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &old, 8), 0);
    CHECK_EQ(old, set);
    if (under_qemu()) // cannot keep SIGSEGV pending
        return;
    kill(getpid(), SIGSEGV);
    CHECK_EQ(syscall(SYS_rt_sigpending, &old, 8), 0);
    CHECK_EQ(old, 1ull << (SIGSEGV - 1));
}

TEST(ignored_signals_vanish) {
    handle(SIGUSR1, SIG_IGN, 0);
    kill(getpid(), SIGUSR1);
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR2);
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGUSR2));
    handle(SIGUSR2, SIG_IGN, 0); // discards it
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGUSR2));
    // Ignored by default: CHLD, CONT, URG, WINCH.
    kill(getpid(), SIGCHLD);
    kill(getpid(), SIGURG);
    kill(getpid(), SIGWINCH);
    kill(getpid(), SIGCONT);
}

TEST(default_actions) {
    QEMU_WRONG("keeps two real-time signals for itself");
    for (int sig = 1; sig <= 64; sig++) {
        if (sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH)
            continue;
        pid_t pid = fork();
        if (pid == 0) {
            uint64_t none = 0;
            struct rlimit_ {
                unsigned long cur, max;
            } no_core = {0, 0};
            syscall(SYS_prlimit64, 0, 4, &no_core, NULL);
            struct kernel_sigaction a = action(SIG_DFL, 0, 0);
            act(sig, &a, NULL);
            syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
            syscall(SYS_kill, getpid(), sig);
            sleep_ms(5000);
            _exit(0);
        }
        int status = 0;
        REQUIRE(waitpid(pid, &status, WUNTRACED) == pid);
        if (sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU) {
            // A stop from the terminal is refused in an orphaned process group.
            if (WIFSTOPPED(status)) {
                CHECK_EQ(WSTOPSIG(status), sig);
                kill(pid, SIGKILL);
                waitpid(pid, &status, 0);
            } else {
                CHECK(sig != SIGSTOP);
            }
            continue;
        }
        if (!CHECK(WIFSIGNALED(status) && WTERMSIG(status) == sig))
            dprintf(2, "  (signal %d, status %#x)\n", sig, status);
    }
}

TEST(exec_and_fork_inheritance_of_dispositions) {
    handle(SIGUSR1, record, 0);
    handle(SIGUSR2, SIG_IGN, 0);
    sigset_t set, now;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGALRM);
    pid_t pid = CHILD({
        struct sigaction sa;
        sigaction(SIGUSR1, NULL, &sa);
        CHECK(sa.sa_handler == record);
        sigaction(SIGUSR2, NULL, &sa);
        CHECK(sa.sa_handler == SIG_IGN);
        sigprocmask(SIG_BLOCK, NULL, &now);
        CHECK(sigismember(&now, SIGALRM));
        sigpending(&now); // pending signals are not inherited by a fork
        CHECK(!sigismember(&now, SIGALRM));
    });
    CHECK_EXITS(pid, 0);
}

TEST(kill_errors) {
    CHECK_EQ(kill(getpid(), 0), 0);
    CHECK_EQ(kill(-getpgrp(), 0), 0);
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK_ERRNO(kill(getpid(), -1), EINVAL);
    CHECK_ERRNO(kill(0x7ffffffe, 0), ESRCH);
    CHECK_ERRNO(kill(-0x7ffffffe, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, -1, gettid(), 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, getppid(), gettid(), 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_tkill, 0x7ffffffe, 0), ESRCH);
    pid_t pid = CHILD(_exit(0));
    WAIT_FOR(task_state(pid, pid) == 'Z', 5000);
    CHECK_EQ(kill(pid, SIGTERM), 0); // a zombie can still be signalled
    CHECK_EXITS(pid, 0);
    CHECK_ERRNO(kill(pid, 0), ESRCH);
    if (geteuid() == 0) {
        pid = CHILD(if (setresuid(1234, 1234, 1234)) _exit(1);
                    CHECK_ERRNO(kill(getppid(), 0), EPERM));
        CHECK_EXITS(pid, 0);
    }
}
