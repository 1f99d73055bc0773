// siginfo_t by source: kill, tgkill, raise, sigqueue, timers, children, faults; and the third
// argument of a handler.
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sys/time.h>
#include <sys/ucontext.h>

static siginfo_t seen;
static volatile sig_atomic_t count;
static void catch_info(int sig, siginfo_t *si, void *context) {
    (void)context;
    seen = *si;
    CHECK_EQ(si->si_signo, sig);
    count++;
}

TEST(kill_and_tgkill) {
    handle(SIGUSR1, catch_info, SA_SIGINFO);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(count, 1);
    CHECK_EQ(seen.si_signo, SIGUSR1);
    CHECK_EQ(seen.si_errno, 0);
    CHECK_EQ(seen.si_code, SI_USER);
    CHECK_EQ(seen.si_pid, getpid());
    CHECK_EQ(seen.si_uid, getuid());
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    CHECK_EQ(seen.si_code, SI_TKILL);
    CHECK_EQ(seen.si_pid, getpid());
    raise(SIGUSR1);
    CHECK_EQ(seen.si_code, SI_TKILL);
    pid_t parent = getpid();
    pid_t pid = CHILD(kill(parent, SIGUSR1));
    CHECK(WAIT_FOR(count == 4, 5000));
    CHECK_EQ(seen.si_pid, pid);
    CHECK_EQ(seen.si_code, SI_USER);
    wait_status(pid);
}

TEST(queued_values) {
    handle(SIGUSR1, catch_info, SA_SIGINFO);
    CHECK_EQ(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_ptr = (void *)0x123456789abcdef0}),
             0);
    CHECK_EQ(seen.si_code, SI_QUEUE);
    CHECK(seen.si_value.sival_ptr == (void *)0x123456789abcdef0);
    CHECK_EQ(seen.si_pid, getpid());
    CHECK_EQ(seen.si_uid, getuid());
    CHECK_ERRNO(sigqueue(getpid(), 65, (union sigval){.sival_int = 0}), EINVAL);
    CHECK_ERRNO(sigqueue(0x7ffffffe, SIGUSR1, (union sigval){.sival_int = 0}), ESRCH);
    CHECK_EQ(pthread_sigqueue(pthread_self(), SIGUSR1, (union sigval){.sival_int = -5}), 0);
    CHECK_EQ(seen.si_code, SI_QUEUE);
    CHECK_EQ(seen.si_value.sival_int, -5);
    if (under_qemu()) // refuses codes it does not know
        return;
    // The raw call takes the sender's siginfo; to oneself any code is allowed.
    siginfo_t si = {0};
    si.si_signo = SIGUSR1;
    si.si_code = -77;
    si.si_pid = 4242;
    si.si_value.sival_int = 99;
    CHECK_EQ(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &si), 0);
    CHECK(seen.si_code == -77 && seen.si_pid == 4242 && seen.si_value.sival_int == 99);
    CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &si), 0);
    CHECK_EQ(seen.si_code, -77);
    si.si_code = SI_USER;
    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getppid(), SIGURG, &si), EPERM);
    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, (void *)8), EFAULT);
}

TEST(children_report) {
    handle(SIGCHLD, catch_info, SA_SIGINFO);
    pid_t pid = CHILD(_exit(33));
    CHECK(WAIT_FOR(count == 1, 5000));
    CHECK_EQ(seen.si_code, CLD_EXITED);
    CHECK_EQ(seen.si_status, 33);
    CHECK_EQ(seen.si_pid, pid);
    CHECK_EQ(seen.si_uid, getuid());
    CHECK(seen.si_utime >= 0 && seen.si_stime >= 0);
    wait_status(pid);
    pid = CHILD(for (;;) pause());
    kill(pid, SIGSTOP);
    CHECK(WAIT_FOR(count == 2, 5000));
    CHECK_EQ(seen.si_code, CLD_STOPPED);
    CHECK_EQ(seen.si_status, SIGSTOP);
    kill(pid, SIGCONT);
    CHECK(WAIT_FOR(count == 3, 5000));
    CHECK_EQ(seen.si_code, CLD_CONTINUED);
    CHECK_EQ(seen.si_status, SIGCONT);
    kill(pid, SIGKILL);
    CHECK(WAIT_FOR(count == 4, 5000));
    CHECK_EQ(seen.si_code, CLD_KILLED);
    CHECK_EQ(seen.si_status, SIGKILL);
    wait_status(pid);
    if (under_qemu()) // does not pass SA_NOCLDSTOP on
        return;
    // SA_NOCLDSTOP: no signal for stops.
    handle(SIGCHLD, catch_info, SA_SIGINFO | SA_NOCLDSTOP);
    pid = CHILD(for (;;) pause());
    kill(pid, SIGSTOP);
    int status;
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK_EQ(count, 4);
    kill(pid, SIGKILL);
    CHECK(WAIT_FOR(count == 5, 5000));
    wait_status(pid);
}

TEST(nocldwait_leaves_no_zombies) {
    QEMU_WRONG("does not pass SA_NOCLDWAIT on");
    handle(SIGCHLD, SIG_DFL, SA_NOCLDWAIT);
    pid_t pid = CHILD(_exit(1));
    CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD);
    handle(SIGCHLD, SIG_IGN, 0);
    pid = CHILD(_exit(1));
    CHECK_ERRNO(waitpid(-1, NULL, 0), ECHILD);
}

TEST(interval_timers) {
    struct itimerval it = {{0, 0}, {0, 5000}}, old;
    handle(SIGALRM, catch_info, SA_SIGINFO);
    CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
    CHECK_EQ(getitimer(ITIMER_REAL, &old), 0);
    CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_usec <= 5000);
    CHECK(WAIT_FOR(count == 1, 5000));
    CHECK_EQ(seen.si_code, SI_KERNEL);
    it.it_interval.tv_usec = it.it_value.tv_usec = 2000;
    CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
    CHECK(WAIT_FOR(count >= 5, 5000));
    memset(&it, 0, sizeof it);
    CHECK_EQ(setitimer(ITIMER_REAL, &it, &old), 0);
    CHECK_EQ(old.it_interval.tv_usec, 2000);
    handle(SIGVTALRM, catch_info, SA_SIGINFO);
    handle(SIGPROF, catch_info, SA_SIGINFO);
    count = 0;
    it.it_value.tv_usec = 1000;
    CHECK_EQ(setitimer(ITIMER_VIRTUAL, &it, NULL), 0);
    for (int64_t until = now_ns() + 5000000000; count == 0 && now_ns() < until;)
        ;
    CHECK_EQ(seen.si_signo, SIGVTALRM);
    count = 0;
    CHECK_EQ(setitimer(ITIMER_PROF, &it, NULL), 0);
    for (int64_t until = now_ns() + 5000000000; count == 0 && now_ns() < until;)
        ;
    CHECK_EQ(seen.si_signo, SIGPROF);
    CHECK_ERRNO(setitimer(9, &it, NULL), EINVAL);
    it.it_value.tv_usec = 1000000;
    CHECK_ERRNO(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
    CHECK_ERRNO(getitimer(ITIMER_REAL, (void *)8), EFAULT);
    CHECK_EQ(alarm(100), 0);
    unsigned left = alarm(0);
    CHECK(left == 100 || left == 99);
    alarm(1);
    pid_t pid = CHILD(CHECK_EQ(alarm(0), 0)); // not inherited
    CHECK_EXITS(pid, 0);
    alarm(0);
}

TEST(posix_timers_signal) {
    timer_t t;
    int sig = SIGRTMIN + 4;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig};
    ev.sigev_value.sival_ptr = (void *)0xfeedfacecafebeef;
    handle(sig, catch_info, SA_SIGINFO);
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &t), 0);
    struct itimerspec it = {{0, 0}, {0, 3000000}}, got;
    CHECK_EQ(timer_settime(t, 0, &it, NULL), 0);
    CHECK(WAIT_FOR(count == 1, 5000));
    CHECK_EQ(seen.si_code, SI_TIMER);
    CHECK(seen.si_value.sival_ptr == (void *)0xfeedfacecafebeef);
    CHECK_EQ(seen.si_overrun, 0);
    CHECK_EQ(timer_gettime(t, &got), 0);
    CHECK(got.it_value.tv_sec == 0 && got.it_value.tv_nsec == 0);
    // Overruns: a blocked periodic timer counts what it could not deliver.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    sigprocmask(SIG_BLOCK, &set, NULL);
    it.it_interval.tv_nsec = it.it_value.tv_nsec = 1000000;
    CHECK_EQ(timer_settime(t, 0, &it, NULL), 0);
    sleep_ms(20);
    siginfo_t si;
    CHECK_EQ(sigwaitinfo(&set, &si), sig);
    CHECK_EQ(si.si_code, SI_TIMER);
    CHECK(si.si_overrun >= 5);
    CHECK(timer_getoverrun(t) >= 5);
    CHECK_EQ(timer_delete(t), 0);
    CHECK_ERRNO(syscall(SYS_timer_delete, 0x7777), EINVAL);
    ev.sigev_notify = SIGEV_NONE;
    CHECK_EQ(timer_create(CLOCK_REALTIME, &ev, &t), 0);
    it.it_value = (struct timespec){1000, 0};
    CHECK_EQ(timer_settime(t, 0, &it, NULL), 0);
    CHECK_EQ(timer_gettime(t, &got), 0);
    CHECK(got.it_value.tv_sec == 999 || got.it_value.tv_sec == 1000);
    CHECK_EQ(timer_delete(t), 0);
    ev = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 99};
    CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, &ev, &t), EINVAL);
    CHECK_ERRNO(timer_create(77, NULL, &t), EINVAL);
}

static volatile sig_atomic_t timer_tid;
static void note_tid(int sig) {
    (void)sig, timer_tid = syscall(SYS_gettid);
}
static atomic_int worker_tid, stop;
static void *worker(void *arg) {
    (void)arg;
    worker_tid = gettid();
    while (!stop)
        sleep_ms(1);
    return NULL;
}

TEST(posix_timer_signals_a_thread) {
    pthread_t thread;
    int sig = SIGRTMIN + 3;
    handle(sig, note_tid, SA_RESTART);
    REQUIRE(pthread_create(&thread, NULL, worker, NULL) == 0);
    CHECK(WAIT_FOR(worker_tid != 0, 5000));
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sig};
    ev._sigev_un._tid = worker_tid;
    timer_t t;
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &t), 0);
    struct itimerspec it = {{0, 0}, {0, 2000000}};
    CHECK_EQ(timer_settime(t, 0, &it, NULL), 0);
    CHECK(WAIT_FOR(timer_tid != 0, 5000));
    CHECK_EQ(timer_tid, worker_tid);
    stop = 1;
    pthread_join(thread, NULL);
    timer_delete(t);
}

static volatile sig_atomic_t notified;
static void in_thread(union sigval v) {
    notified = v.sival_int;
}

TEST(posix_timer_runs_a_thread) {
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = in_thread};
    ev.sigev_value.sival_int = 61;
    timer_t t;
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &ev, &t), 0);
    struct itimerspec it = {{0, 0}, {0, 2000000}};
    CHECK_EQ(timer_settime(t, 0, &it, NULL), 0);
    CHECK(WAIT_FOR(notified == 61, 5000));
    timer_delete(t);
}

static ucontext_t *context_seen;
static uint64_t mask_in_context;
static void look(int sig, siginfo_t *si, void *context) {
    (void)sig, (void)si;
    context_seen = context;
    memcpy(&mask_in_context, &((ucontext_t *)context)->uc_sigmask, 8);
    count++;
}

TEST(context_holds_the_interrupted_mask) {
    handle(SIGUSR1, look, SA_SIGINFO);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGRTMAX);
    sigprocmask(SIG_SETMASK, &set, NULL);
    raise(SIGUSR1);
    CHECK_EQ(count, 1);
    CHECK(context_seen != NULL);
    if (!under_qemu()) // maps the top real-time signal
        CHECK_EQ(mask_in_context, 1ull << (SIGUSR2 - 1) | 1ull << 63);
}

// What the handler leaves in uc_sigmask becomes the mask on return.
static void edit_mask(int sig, siginfo_t *si, void *context) {
    (void)sig, (void)si;
    sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGALRM);
}

TEST(edited_mask_takes_effect) {
    handle(SIGUSR1, edit_mask, SA_SIGINFO);
    raise(SIGUSR1);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGALRM));
    CHECK(!sigismember(&now, SIGUSR1));
}
