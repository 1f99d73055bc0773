// wait4, waitid, exit statuses: every form of ending, options, selection, resource usage.
#include "check.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/times.h>

TEST(every_exit_status) {
    for (int i = 0; i < 256; i += 5) {
        pid_t pid = CHILD(_exit(i));
        CHECK_EXITS(pid, i);
    }
    pid_t pid = CHILD(_exit(0x1234));
    CHECK_EXITS(pid, 0x34);
    pid = CHILD(exit(-1));
    CHECK_EXITS(pid, 255);
}

TEST(signalled_and_core_statuses) {
    pid_t pid = CHILD(struct rlimit none = {0, 0}; setrlimit(RLIMIT_CORE, &none);
                      handle(SIGABRT, SIG_DFL, 0); abort());
    CHECK_KILLED(pid, SIGABRT);
    pid = CHILD(for (;;) pause());
    kill(pid, SIGTERM);
    int status = wait_status(pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM && !WCOREDUMP(status));
    CHECK(!WIFEXITED(status) && !WIFSTOPPED(status));
}

TEST(stopped_and_continued) {
    int status;
    pid_t pid = CHILD(for (;;) pause());
    CHECK_EQ(waitpid(pid, &status, WNOHANG | WUNTRACED | WCONTINUED), 0);
    kill(pid, SIGSTOP);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0); // reported once
    kill(pid, SIGCONT);
    CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
    CHECK(WIFCONTINUED(status));
    kill(pid, SIGTSTP);
    siginfo_t si;
    if (!WAIT_FOR(task_state(pid, pid) == 'T', 200))
        kill(pid, SIGSTOP); // refused in an orphaned process group
    memset(&si, 0, sizeof si);
    CHECK_EQ(waitid(P_PID, pid, &si, WSTOPPED | WNOWAIT), 0);
    CHECK_EQ(si.si_code, CLD_STOPPED);
    CHECK_EQ(si.si_signo, SIGCHLD);
    CHECK_EQ(si.si_pid, pid);
    CHECK_EQ(waitid(P_PID, pid, &si, WSTOPPED), 0);
    kill(pid, SIGCONT);
    CHECK_EQ(waitid(P_PID, pid, &si, WCONTINUED), 0);
    CHECK_EQ(si.si_code, CLD_CONTINUED);
    CHECK_EQ(si.si_status, SIGCONT);
    kill(pid, SIGSTOP);
    kill(pid, SIGKILL); // kills a stopped process
    CHECK_KILLED(pid, SIGKILL);
}

TEST(waitid_fields_and_wnowait) {
    siginfo_t si;
    memset(&si, 0xa5, sizeof si);
    pid_t pid = CHILD(_exit(41));
    CHECK_EQ(waitid(P_PID, pid, &si, WEXITED | WNOWAIT), 0);
    CHECK_EQ(si.si_signo, SIGCHLD);
    CHECK_EQ(si.si_errno, 0);
    CHECK_EQ(si.si_code, CLD_EXITED);
    CHECK_EQ(si.si_pid, pid);
    CHECK_EQ(si.si_uid, getuid());
    CHECK_EQ(si.si_status, 41);
    memset(&si, 0, sizeof si);
    CHECK_EQ(waitid(P_ALL, 0, &si, WEXITED), 0);
    CHECK(si.si_pid == pid && si.si_status == 41);
    CHECK_ERRNO(waitid(P_ALL, 0, &si, WEXITED), ECHILD);
    pid = CHILD(pause());
    si.si_pid = 99;
    CHECK_EQ(waitid(P_PID, pid, &si, WEXITED | WNOHANG), 0);
    CHECK_EQ(si.si_pid, 0); // nothing yet
    kill(pid, SIGUSR1);
    CHECK_EQ(waitid(P_PID, pid, &si, WEXITED), 0);
    CHECK(si.si_code == CLD_KILLED && si.si_status == SIGUSR1);
    CHECK_ERRNO(waitid(P_PID, getpid(), &si, WEXITED), ECHILD);
    CHECK_ERRNO(waitid(P_PID, pid, &si, 0), EINVAL);
    CHECK_ERRNO(waitid(P_PID, pid, &si, 0x400), EINVAL);
    CHECK_ERRNO(waitid(99, pid, &si, WEXITED), EINVAL);
    // The raw call takes a null siginfo and fills the usage.
    struct rusage ru;
    memset(&ru, 0xff, sizeof ru);
    pid = CHILD(_exit(0));
    CHECK_EQ(syscall(SYS_waitid, P_PID, pid, NULL, WEXITED, &ru), 0);
    if (!under_qemu()) // leaves the usage out
        CHECK(ru.ru_utime.tv_sec >= 0 && ru.ru_utime.tv_sec < 10);
}

TEST(selection_by_pid_and_group) {
    pid_t a = CHILD(pause()), b = CHILD(setpgid(0, 0); pause());
    setpgid(b, b);
    CHECK_EQ(waitpid(-b, NULL, WNOHANG), 0);
    kill(a, SIGKILL);
    int status;
    CHECK_EQ(waitpid(0, &status, 0), a); // of our group
    kill(b, SIGKILL);
    siginfo_t si;
    CHECK_EQ(waitid(P_PGID, b, &si, WEXITED | WNOWAIT), 0);
    CHECK_EQ(waitpid(-b, &status, 0), b);
    CHECK_ERRNO(waitpid(-b, &status, 0), ECHILD);
    CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);
    CHECK_ERRNO(waitpid(1, &status, WNOHANG), ECHILD);
    CHECK_ERRNO(waitpid(INT_MIN, &status, 0), ESRCH);
    CHECK_ERRNO(waitpid(-1, &status, 0x1000), EINVAL);
}

TEST(zombies_stay_until_reaped) {
    pid_t pids[20];
    for (int i = 0; i < 20; i++)
        pids[i] = CHILD(_exit(i));
    for (int i = 0; i < 20; i++)
        CHECK(WAIT_FOR(task_state(pids[i], pids[i]) == 'Z', 5000));
    int seen = 0, status;
    for (int i = 0; i < 20; i++) {
        pid_t pid = wait(&status);
        for (int k = 0; k < 20; k++)
            if (pids[k] == pid) {
                CHECK_EQ(WEXITSTATUS(status), k);
                seen |= 1 << k;
            }
    }
    CHECK_EQ(seen, (1 << 20) - 1);
    CHECK_EQ(task_state(pids[0], pids[0]), 0);
}

static void burn(int ms) {
    struct timespec ts;
    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    while (ts.tv_sec * 1000 + ts.tv_nsec / 1000000 < ms);
}

TEST(resource_usage) {
    struct rusage ru, children;
    memset(&ru, 0, sizeof ru);
    pid_t pid = CHILD(volatile char *p = malloc(8 << 20);
                      for (int i = 0; i < 8 << 20; i += 4096) p[i] = 1; burn(40));
    int status;
    CHECK_EQ(wait4(pid, &status, 0, &ru), pid);
    long ms = ru.ru_utime.tv_sec * 1000 + ru.ru_utime.tv_usec / 1000 + ru.ru_stime.tv_sec * 1000 +
              ru.ru_stime.tv_usec / 1000;
    CHECK(ms >= 30 && ms < 8000);
    CHECK(ru.ru_maxrss >= 8 << 10);
    CHECK(ru.ru_minflt > 0);
    CHECK_EQ(getrusage(RUSAGE_CHILDREN, &children), 0);
    CHECK(children.ru_maxrss >= 8 << 10);
    struct tms t;
    clock_t now = times(&t);
    CHECK(now != (clock_t)-1);
    CHECK(t.tms_cutime + t.tms_cstime >= 2);
    CHECK_EQ(sysconf(_SC_CLK_TCK), 100);
    burn(5);
    CHECK_EQ(getrusage(RUSAGE_SELF, &ru), 0);
    CHECK(ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec + ru.ru_stime.tv_usec >= 3000);
    CHECK_EQ(getrusage(RUSAGE_THREAD, &ru), 0);
    CHECK_ERRNO(getrusage(77, &ru), EINVAL);
}

static void *forks(void *arg) {
    *(pid_t *)arg = CHILD(_exit(3));
    return NULL;
}

TEST(any_thread_may_wait_for_a_threads_child) {
    pthread_t t;
    pid_t pid = 0;
    REQUIRE(pthread_create(&t, NULL, forks, &pid) == 0);
    pthread_join(t, NULL);
    CHECK_EXITS(pid, 3);
}

TEST(atexit_and_buffers) {
    int p[2];
    REQUIRE(pipe(p) == 0);
    pid_t pid = CHILD(dup2(p[1], 1); printf("buffered"); exit(0));
    CHECK_EXITS(pid, 0);
    char b[16] = "";
    CHECK_EQ(read(p[0], b, sizeof b), 8);
    CHECK_STR(b, "buffered");
}
