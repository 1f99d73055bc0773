// pidfds, prctl, sessions and process groups, job control, resource limits, priorities, scheduling.
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <termios.h>

TEST(pidfd_open_and_signal) {
    pid_t pid = CHILD(pause());
    int fd = syscall(SYS_pidfd_open, pid, 0);
    if (fd == -1 && errno == ENOSYS)
        QEMU_WRONG("version 7.2 may lack pidfd_open");
    REQUIRE(fd != -1);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    struct pollfd p = {fd, POLLIN, 0};
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), 0);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 65, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0x80), EINVAL);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), 0);
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK(p.revents & POLLIN);
    siginfo_t si;
    CHECK_EQ(waitid(P_PIDFD, fd, &si, WEXITED), 0);
    CHECK(si.si_pid == pid && si.si_status == SIGTERM && si.si_code == CLD_KILLED);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_pidfd_open, pid, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_pidfd_open, -1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_pidfd_open, getpid(), 0x12345), EINVAL);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, 0, SIGTERM, NULL, 0), EBADF);
}

TEST(pidfd_getfd_takes_a_descriptor) {
    QEMU_WRONG("version 7.2 may lack pidfd_getfd");
    int p[2];
    REQUIRE(pipe(p) == 0);
    pid_t pid =
        CHILD(dup2(open("/dev/zero", O_RDONLY), 50); CHECK_EQ(write(p[1], "r", 1), 1); pause());
    char c;
    REQUIRE(read(p[0], &c, 1) == 1);
    int fd = syscall(SYS_pidfd_open, pid, 0), got = syscall(SYS_pidfd_getfd, fd, 50, 0);
    if (got == -1 && errno == EPERM)
        SKIP("ptrace access denied");
    CHECK(got >= 0);
    CHECK(read(got, &c, 1) == 1 && c == 0);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 777, 0), EBADF);
    kill(pid, SIGKILL);
    wait_status(pid);
}

static void *named(void *arg) {
    char name[16];
    prctl(PR_SET_NAME, "worker-thread");
    prctl(PR_GET_NAME, name);
    CHECK_STR(name, "worker-thread");
    return arg;
}

TEST(prctl_name) {
    char name[17] = "################", path[64], text[32] = "";
    CHECK_EQ(prctl(PR_SET_NAME, "a-name-longer-than-fifteen"), 0);
    CHECK_EQ(prctl(PR_GET_NAME, name), 0);
    CHECK_STR(name, "a-name-longer-t");
    int fd = open("/proc/self/comm", O_RDWR);
    CHECK_EQ(read(fd, text, sizeof text), 16);
    CHECK_STR(text, "a-name-longer-t\n");
    CHECK_EQ(write(fd, "written", 7), 7);
    CHECK_EQ(prctl(PR_GET_NAME, name), 0);
    CHECK_STR(name, "written");
    pthread_t t;
    REQUIRE(pthread_create(&t, NULL, named, NULL) == 0);
    pthread_join(t, NULL);
    CHECK_EQ(prctl(PR_GET_NAME, name), 0);
    CHECK_STR(name, "written");
    CHECK_EQ(pthread_setname_np(pthread_self(), "by-pthread"), 0);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", gettid());
    fd = open(path, O_RDONLY);
    memset(text, 0, sizeof text);
    CHECK(read(fd, text, sizeof text) > 0);
    CHECK_STR(text, "by-pthread\n");
    CHECK_ERRNO(prctl(PR_SET_NAME, 8), EFAULT);
}

TEST(prctl_death_signal) {
    int sig = -1;
    CHECK_EQ(prctl(PR_SET_PDEATHSIG, SIGUSR1), 0);
    CHECK_EQ(prctl(PR_GET_PDEATHSIG, &sig), 0);
    CHECK_EQ(sig, SIGUSR1);
    CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
    int p[2];
    REQUIRE(pipe(p) == 0);
    pid_t pid = CHILD({
        int zero = -1;
        CHECK(prctl(PR_GET_PDEATHSIG, &zero) == 0 && zero == 0); // not inherited
        int ready[2];
        REQUIRE(pipe(ready) == 0);
        if (fork() == 0) {
            sigset_t set;
            siginfo_t si;
            sigemptyset(&set);
            sigaddset(&set, SIGUSR2);
            sigprocmask(SIG_BLOCK, &set, NULL);
            prctl(PR_SET_PDEATHSIG, SIGUSR2);
            REQUIRE(write(ready[1], "r", 1) == 1);
            struct timespec limit = {5, 0};
            int got = sigtimedwait(&set, &si, &limit);
            REQUIRE(write(p[1], &got, sizeof got) == sizeof got);
            _exit(0);
        }
        char c;
        REQUIRE(read(ready[0], &c, 1) == 1);
    });
    CHECK_EXITS(pid, 0);
    int got = 0;
    CHECK_EQ(read(p[0], &got, sizeof got), (ssize_t)sizeof got);
    CHECK_EQ(got, SIGUSR2);
}

TEST(prctl_subreaper) {
    QEMU_WRONG("refuses PR_SET_CHILD_SUBREAPER");
    int is = -1;
    CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    CHECK_EQ(prctl(PR_GET_CHILD_SUBREAPER, &is), 0);
    CHECK_EQ(is, 1);
    pid_t me = getpid();
    pid_t pid = CHILD(if (fork() == 0) {
        WAIT_FOR(getppid() == me, 5000);
        _exit(getppid() == me ? 42 : 43);
    });
    CHECK_EXITS(pid, 0);
    int status;
    CHECK(wait(&status) > 0);
    CHECK_EQ(WEXITSTATUS(status), 42);
}

TEST(prctl_others) {
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 0), 0);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    CHECK_ERRNO(prctl(PR_SET_DUMPABLE, 2), EINVAL);
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
    CHECK_EQ(prctl(PR_GET_KEEPCAPS), 0);
    CHECK_EQ(prctl(PR_SET_KEEPCAPS, 1), 0);
    CHECK_EQ(prctl(PR_GET_KEEPCAPS), 1);
    CHECK_EQ(prctl(PR_SET_TIMERSLACK, 123456), 0);
    CHECK_EQ(prctl(PR_GET_TIMERSLACK), 123456);
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
    CHECK(prctl(PR_CAPBSET_READ, 0) >= 0);
    CHECK_ERRNO(prctl(PR_CAPBSET_READ, 999), EINVAL);
    CHECK_ERRNO(prctl(123456, 0, 0, 0, 0), EINVAL);
}

TEST(process_groups) {
    CHECK_EQ(getpgrp(), getpgid(0));
    pid_t a = CHILD(pause()), b = CHILD(pause());
    CHECK_EQ(setpgid(a, a), 0);
    CHECK_EQ(setpgid(b, a), 0);
    CHECK_EQ(getpgid(a), a);
    CHECK_EQ(getpgid(b), a);
    CHECK_ERRNO(setpgid(b, 0x7ffffff0), EPERM);
    CHECK_ERRNO(setpgid(b, -1), EINVAL);
    CHECK_ERRNO(setpgid(getppid(), 0), ESRCH);
    CHECK_ERRNO(getpgid(0x7ffffff0), ESRCH);
    CHECK_EQ(kill(-a, SIGTERM), 0);
    CHECK_KILLED(a, SIGTERM);
    CHECK_KILLED(b, SIGTERM);
}

TEST(sessions) {
    CHECK_ERRNO(setsid(), EPERM); // each test leads its group
    pid_t pid = CHILD({
        CHECK_EQ(setsid(), getpid());
        CHECK_EQ(getsid(0), getpid());
        CHECK_EQ(getpgrp(), getpid());
        CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
        CHECK_ERRNO(setpgid(0, 0), EPERM); // a session leader stays
    });
    CHECK_EXITS(pid, 0);
    CHECK_ERRNO(getsid(0x7ffffff0), ESRCH);
}

TEST(controlling_terminal_and_hangup) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master == -1)
        SKIP("no ptys");
    REQUIRE(grantpt(master) == 0 && unlockpt(master) == 0);
    char *name = ptsname(master);
    pid_t pid = CHILD({
        REQUIRE(setsid() == getpid());
        int tty = open(name, O_RDWR); // becomes the controlling terminal
        CHECK(tty >= 0);
        CHECK_EQ(tcgetpgrp(tty), getpgrp());
        if (!under_qemu()) // does not convert TIOCGSID's result
            CHECK_EQ(tcgetsid(tty), getsid(0));
        close(CHECK_OK(open("/dev/tty", O_RDWR)));
        struct termios t;
        CHECK_EQ(tcgetattr(tty, &t), 0);
        CHECK(t.c_lflag & ISIG);
        handle(SIGINT, SIG_DFL, 0);
        CHECK_EQ(write(tty, "r", 1), 1);
        sleep_ms(8000);
    });
    char c;
    CHECK_EQ(read(master, &c, 1), 1);
    CHECK_EQ(write(master, "\003", 1), 1); // ^C
    CHECK_KILLED(pid, SIGINT);
    // Background writing is stopped by TOSTOP, terminal modes round-trip.
    pid = CHILD({
        REQUIRE(setsid() == getpid());
        int tty = open(name, O_RDWR);
        struct termios t, u;
        CHECK_EQ(tcgetattr(tty, &t), 0);
        cfmakeraw(&t);
        t.c_cc[VMIN] = 3;
        CHECK_EQ(tcsetattr(tty, TCSANOW, &t), 0);
        CHECK_EQ(tcgetattr(tty, &u), 0);
        CHECK(u.c_lflag == t.c_lflag && u.c_iflag == t.c_iflag && u.c_cc[VMIN] == 3);
        handle(SIGTTOU, SIG_DFL, 0);
        u.c_lflag |= TOSTOP;
        CHECK_EQ(tcsetattr(tty, TCSANOW, &u), 0);
        pid_t background = CHILD(setpgid(0, 0); if (write(tty, "b", 1) == 1) _exit(1));
        setpgid(background, background);
        int status;
        CHECK_EQ(waitpid(background, &status, WUNTRACED), background);
        CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
        kill(background, SIGKILL);
    });
    CHECK_EXITS(pid, 0);
    // Closing the master hangs up the session.
    close(master);
    master = posix_openpt(O_RDWR | O_NOCTTY);
    REQUIRE(grantpt(master) == 0 && unlockpt(master) == 0);
    name = ptsname(master);
    pid = CHILD({
        close(master);
        REQUIRE(setsid() == getpid());
        handle(SIGHUP, SIG_DFL, 0);
        int tty = open(name, O_RDWR);
        REQUIRE(tty >= 0 && write(tty, "r", 1) == 1);
        sleep_ms(8000);
    });
    CHECK_EQ(read(master, &c, 1), 1);
    close(master);
    CHECK_KILLED(pid, SIGHUP);
}

TEST(resource_limits) {
    static const int kinds[] = {RLIMIT_CPU,      RLIMIT_FSIZE,   RLIMIT_DATA,   RLIMIT_STACK,
                                RLIMIT_CORE,     RLIMIT_RSS,     RLIMIT_NPROC,  RLIMIT_NOFILE,
                                RLIMIT_AS,       RLIMIT_MEMLOCK, RLIMIT_LOCKS,  RLIMIT_SIGPENDING,
                                RLIMIT_MSGQUEUE, RLIMIT_NICE,    RLIMIT_RTPRIO, RLIMIT_RTTIME};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct rlimit l, again;
        CHECK_EQ(getrlimit(kinds[i], &l), 0);
        CHECK(l.rlim_cur <= l.rlim_max);
        CHECK_EQ(setrlimit(kinds[i], &l), 0);
        CHECK_EQ(prlimit(0, kinds[i], NULL, &again), 0);
        CHECK(again.rlim_cur == l.rlim_cur && again.rlim_max == l.rlim_max);
    }
    struct rlimit l = {100, 50};
    CHECK_ERRNO(setrlimit(RLIMIT_CORE, &l), EINVAL);
    CHECK_ERRNO(getrlimit(99, &l), EINVAL);
    l = (struct rlimit){11, 22};
    CHECK_EQ(prlimit(0, RLIMIT_CORE, &l, NULL), 0);
    pid_t pid = CHILD(struct rlimit m; CHECK(getrlimit(RLIMIT_CORE, &m) == 0 && m.rlim_cur == 11));
    CHECK_EXITS(pid, 0);
    pid = CHILD(pause());
    struct rlimit old;
    CHECK_EQ(prlimit(pid, RLIMIT_NOFILE, NULL, &old), 0);
    CHECK_ERRNO(prlimit(0x7ffffff0, RLIMIT_NOFILE, NULL, &old), ESRCH);
    kill(pid, SIGKILL);
    wait_status(pid);
}

TEST(cpu_limit_kills) {
    pid_t pid = CHILD({
        struct rlimit l = {1, 2};
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        CHECK_EQ(setrlimit(RLIMIT_CPU, &l), 0);
        for (volatile int i = 0;; i++)
            ;
    });
    CHECK_KILLED(pid, SIGXCPU);
}

TEST(priorities) {
    errno = 0;
    int before = getpriority(PRIO_PROCESS, 0);
    CHECK_EQ(errno, 0);
    CHECK_EQ(setpriority(PRIO_PROCESS, 0, before + 1), 0);
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), before + 1);
    // The raw call returns 20 - nice.
    CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 20 - (before + 1));
    errno = 0;
    CHECK_EQ(nice(2), before + 3);
    CHECK_ERRNO(setpriority(77, 0, 0), EINVAL);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0x7ffffff0, 0), ESRCH);
}

TEST(scheduling) {
    CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
    struct sched_param p = {0};
    CHECK_EQ(sched_getparam(0, &p), 0);
    CHECK_EQ(p.sched_priority, 0);
    CHECK_EQ(sched_setscheduler(0, SCHED_BATCH, &p), 0);
    CHECK_EQ(sched_getscheduler(0), SCHED_BATCH);
    CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
    CHECK_EQ(sched_get_priority_min(SCHED_FIFO), 1);
    p.sched_priority = 5;
    CHECK_ERRNO(sched_setscheduler(0, SCHED_OTHER, &p), EINVAL);
    CHECK_ERRNO(sched_setscheduler(0, 99, &p), EINVAL);
    CHECK_EQ(sched_yield(), 0);
    struct timespec ts = {-1, -1};
    CHECK_EQ(sched_rr_get_interval(0, &ts), 0);
    CHECK(ts.tv_sec >= 0);
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
        uint32_t util_min, util_max;
    } attr = {0};
    CHECK_EQ(syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0), 0);
    CHECK(attr.policy == SCHED_BATCH && attr.size >= 48);
}

TEST(affinity_and_getcpu) {
    cpu_set_t set, one;
    CPU_ZERO(&set);
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK(CPU_COUNT(&set) >= 1);
    // The raw call returns the size of the kernel's mask.
    long n = syscall(SYS_sched_getaffinity, 0, sizeof set, &set);
    CHECK(n >= 8 && n % 8 == 0);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(sched_getcpu(), cpu);
    unsigned c = 99, node = 99;
    CHECK_EQ(syscall(SYS_getcpu, &c, &node, NULL), 0);
    CHECK_EQ(c, cpu);
    CHECK(node < 64);
    CHECK_EQ(sched_getaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(CPU_COUNT(&one), 1);
    CPU_ZERO(&one);
    CHECK_ERRNO(sched_setaffinity(0, sizeof one, &one), EINVAL);
    CHECK_ERRNO(sched_getaffinity(0x7ffffff0, sizeof one, &one), ESRCH);
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
}
