// fork, vfork, clone, clone3: what is copied, shared, signalled; flag combinations and their
// errors.
#include "check.h"
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/times.h>

// The order of the last two arguments differs between the architectures.
static long raw_clone(unsigned long flags, void *stack, int *parent_tid, int *child_tid,
                      unsigned long tls) {
#ifdef __x86_64__
    return syscall(SYS_clone, flags, stack, parent_tid, child_tid, tls);
#else
    return syscall(SYS_clone, flags, stack, parent_tid, tls, child_tid);
#endif
}

static volatile int global = 1;

TEST(fork_copies_memory_and_descriptors) {
    int local = 5, p[2];
    char *heap = malloc(100);
    strcpy(heap, "parent");
    REQUIRE(pipe(p) == 0);
    pid_t parent = getpid();
    pid_t pid = CHILD({
        CHECK_EQ(getppid(), parent);
        CHECK(getpid() != parent);
        CHECK_EQ(getpid(), syscall(SYS_gettid));
        CHECK(global == 1 && local == 5 && !strcmp(heap, "parent"));
        global = local = 9;
        strcpy(heap, "child");
        pid_t me = getpid();
        CHECK_EQ(write(p[1], &me, sizeof me), (ssize_t)sizeof me);
        close(p[0]);
    });
    pid_t told = 0;
    CHECK_EQ(read(p[0], &told, sizeof told), (ssize_t)sizeof told);
    CHECK_EQ(told, pid);
    CHECK_EXITS(pid, 0);
    CHECK(global == 1 && local == 5 && !strcmp(heap, "parent"));
}

TEST(a_tree_of_forks) {
    // 2^6 processes, each adding one to a shared counter.
    atomic_int *n = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t root = CHILD({
        for (int level = 0; level < 6; level++)
            fork();
        atomic_fetch_add(n, 1);
        while (wait(NULL) > 0)
            ;
    });
    CHECK_EXITS(root, 0);
    CHECK_EQ(*n, 64);
}

TEST(vfork_suspends_the_parent_and_shares_memory) {
    static volatile int shared;
    int64_t start = now_ns();
    pid_t pid = vfork();
    if (pid == 0) {
        shared = 77;
        struct timespec ts = {0, 50000000};
        syscall(SYS_nanosleep, &ts, NULL);
        _exit(4);
    }
    if (!under_qemu()) // makes it a fork
        CHECK(now_ns() - start >= 50000000 && shared == 77);
    CHECK_EXITS(pid, 4);
    for (volatile int i = 0; i < 50; i++) {
        pid = vfork();
        if (pid == 0)
            _exit(i);
        CHECK_EXITS(pid, i);
    }
}

static volatile pid_t handled_in;
static void note_pid(int sig) {
    (void)sig, handled_in = getpid();
}

TEST(a_vfork_child_takes_signals) {
    QEMU_WRONG("makes vfork a fork");
    handle(SIGUSR1, note_pid, 0);
    static volatile pid_t child;
    for (volatile int i = 0; i < 100; i++) {
        handled_in = 0;
        pid_t pid = vfork();
        if (pid == 0) {
            child = getpid();
            kill(child, SIGUSR1);
            _exit(5);
        }
        CHECK(handled_in == pid && child == pid);
        CHECK_EXITS(pid, 5);
        kill(getpid(), SIGUSR1);
        CHECK_EQ(handled_in, getpid());
    }
}

TEST(clone_stores_thread_ids) {
    QEMU_WRONG("stores the ids on the wrong side of a fork");
    int parent_tid = -1, child_tid = -1;
    pid_t pid = raw_clone(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, NULL, &parent_tid,
                          &child_tid, 0);
    if (pid == 0)
        _exit(child_tid == getpid() && parent_tid == -1 ? 0 : 1);
    CHECK_EQ(parent_tid, pid);
    CHECK_EQ(child_tid, -1);
    CHECK_EXITS(pid, 0);
}

TEST(clone_shares_descriptors_when_asked) {
    pid_t pid = raw_clone(CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);
    if (pid == 0)
        _exit(dup2(0, 77) == 77 ? 0 : 1);
    QEMU_WRONG("refuses CLONE_FILES without CLONE_VM");
    CHECK_EXITS(pid, 0);
    CHECK_EQ(fcntl(77, F_GETFD), 0);
    pid = CHILD(dup2(0, 78));
    CHECK_EXITS(pid, 0);
    CHECK_ERRNO(fcntl(78, F_GETFD), EBADF);
}

TEST(clone_shares_the_working_directory_when_asked) {
    QEMU_WRONG("refuses CLONE_FS without CLONE_VM");
    REQUIRE(mkdir("d", 0700) == 0);
    pid_t pid = raw_clone(CLONE_FS | SIGCHLD, NULL, NULL, NULL, 0);
    if (pid == 0)
        _exit(chdir("d") == 0 && (umask(031), 1) ? 0 : 1);
    CHECK_EXITS(pid, 0);
    CHECK_EQ(umask(022), 031);
    CHECK_EQ(access("../d", F_OK), 0);
}

TEST(clone_parent_makes_a_sibling) {
    QEMU_WRONG("refuses CLONE_PARENT");
    pid_t grandparent = getppid();
    int p[2];
    REQUIRE(pipe(p) == 0);
    pid_t pid = CHILD({
        pid_t parent = getppid();
        pid_t sibling = raw_clone(CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
        if (sibling == 0)
            _exit(getppid() == parent ? 6 : 7);
        CHECK_ERRNO(waitpid(sibling, NULL, 0), ECHILD);
        CHECK_EQ(write(p[1], &sibling, sizeof sibling), (ssize_t)sizeof sibling);
    });
    pid_t sibling;
    REQUIRE(read(p[0], &sibling, sizeof sibling) == sizeof sibling);
    CHECK_EXITS(pid, 0);
    CHECK_EXITS(sibling, 6);
    CHECK_EQ(getppid(), grandparent);
}

TEST(exit_signal_other_than_sigchld) {
    QEMU_WRONG("refuses other exit signals");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pid_t pid = raw_clone(SIGUSR1, NULL, NULL, NULL, 0);
    if (pid == 0)
        _exit(8);
    siginfo_t si;
    struct timespec limit = {5, 0};
    CHECK_EQ(sigtimedwait(&set, &si, &limit), SIGUSR1);
    CHECK_EQ(si.si_pid, pid);
    CHECK_EQ(si.si_status, 8);
    CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD); // not a SIGCHLD child
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, __WCLONE), pid);
    CHECK_EQ(WEXITSTATUS(status), 8);
    pid = raw_clone(0, NULL, NULL, NULL, 0);
    if (pid == 0)
        _exit(9);
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    CHECK_EQ(WEXITSTATUS(status), 9);
}

static atomic_int reached;
static int in_shared_memory(void *arg) {
    atomic_store(&reached, (int)(intptr_t)arg);
    syscall(SYS_exit, 12);
    return 0;
}

TEST(clone_vm_shares_memory) {
    QEMU_WRONG("refuses CLONE_VM without the thread flags");
    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid_t pid = clone(in_shared_memory, stack + 65536, CLONE_VM | SIGCHLD, (void *)31);
    CHECK(pid > 0 && pid != getpid());
    CHECK_EXITS(pid, 12);
    CHECK_EQ(reached, 31);
    pid = clone(in_shared_memory, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)32);
    CHECK_EQ(reached, 32); // it has exited already
    CHECK_EXITS(pid, 12);
    pid = clone(in_shared_memory, stack + 65536,
                CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | SIGCHLD, (void *)33);
    CHECK_EXITS(pid, 12);
    CHECK_EQ(reached, 33);
}

TEST(a_raw_thread_clears_its_tid_and_wakes) {
    static int tid_word = -1, parent_word = -1;
    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 1; i <= 100; i++) {
        tid_word = -1;
        // It runs on the caller's TLS, and touches nothing in it.
        int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                    CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |
                    CLONE_CHILD_CLEARTID;
        long tid = clone(in_shared_memory, stack + 65536, flags, (void *)(intptr_t)i, &parent_word,
                         __builtin_thread_pointer(), &tid_word);
        REQUIRE(tid > 0);
        CHECK_EQ(parent_word, tid);
        int seen;
        struct timespec limit = {5, 0};
        while ((seen = __atomic_load_n(&tid_word, __ATOMIC_ACQUIRE)) != 0)
            syscall(SYS_futex, &tid_word, 0, seen, &limit);
        CHECK_EQ(reached, i);
        CHECK(WAIT_FOR(syscall(SYS_tgkill, getpid(), tid, 0) == -1 && errno == ESRCH, 1000));
    }
}

TEST(clone_flag_errors) {
    CHECK_ERRNO(raw_clone(CLONE_SIGHAND | SIGCHLD, NULL, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(raw_clone(CLONE_THREAD | SIGCHLD, NULL, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(raw_clone(CLONE_THREAD | CLONE_VM | SIGCHLD, NULL, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(raw_clone(CLONE_NEWNS | CLONE_FS | SIGCHLD, NULL, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(raw_clone(CLONE_NEWUSER | CLONE_FS | SIGCHLD, NULL, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(raw_clone(CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, NULL, NULL, NULL, 0),
                EINVAL);
    CHECK_ERRNO(raw_clone(CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, NULL, NULL, NULL, 0), EINVAL);
}

TEST(pidfd_of_a_clone) {
    QEMU_WRONG("refuses CLONE_PIDFD");
    int fd = -1;
    pid_t pid = raw_clone(CLONE_PIDFD | SIGCHLD, NULL, &fd, NULL, 0);
    if (pid == 0)
        _exit(3);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    struct pollfd p = {fd, POLLIN, 0};
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EXITS(pid, 3);
}

static long clone3_(struct clone_args *a, size_t size) {
    return syscall(SYS_clone3, a, size);
}

TEST(clone3_forks) {
    QEMU_WRONG("no clone3");
    int fd = -1, parent_tid = -1, child_tid = -1;
    struct clone_args a = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID,
                           .pidfd = (uintptr_t)&fd,
                           .parent_tid = (uintptr_t)&parent_tid,
                           .child_tid = (uintptr_t)&child_tid,
                           .exit_signal = SIGCHLD};
    pid_t pid = clone3_(&a, sizeof a);
    if (pid == 0)
        _exit(child_tid == getpid() ? 5 : 6);
    CHECK(pid > 0 && fd >= 0);
    CHECK_EQ(parent_tid, pid);
    siginfo_t si;
    CHECK_EQ(waitid(P_PIDFD, fd, &si, WEXITED), 0);
    CHECK(si.si_pid == pid && si.si_status == 5);
    a = (struct clone_args){.exit_signal = SIGCHLD};
    pid = clone3_(&a, 64); // CLONE_ARGS_SIZE_VER0
    if (pid == 0)
        _exit(1);
    CHECK_EXITS(pid, 1);
}

TEST(clone3_errors) {
    QEMU_WRONG("no clone3");
    struct {
        struct clone_args a;
        uint64_t extra;
    } x = {.a.exit_signal = SIGCHLD};
    CHECK_ERRNO(clone3_(&x.a, 56), EINVAL);
    CHECK_ERRNO(clone3_(&x.a, 5000), E2BIG);
    x.extra = 1;
    CHECK_ERRNO(clone3_(&x.a, sizeof x), E2BIG);
    x.a.exit_signal = 65;
    CHECK_ERRNO(clone3_(&x.a, sizeof x.a), EINVAL);
    x.a = (struct clone_args){.flags = SIGCHLD};
    CHECK_ERRNO(clone3_(&x.a, sizeof x.a), EINVAL);
    x.a = (struct clone_args){.flags = CLONE_DETACHED, .exit_signal = SIGCHLD};
    CHECK_ERRNO(clone3_(&x.a, sizeof x.a), EINVAL);
    x.a = (struct clone_args){.stack = 0x10000, .exit_signal = SIGCHLD};
    CHECK_ERRNO(clone3_(&x.a, sizeof x.a), EINVAL);
    x.a = (struct clone_args){.stack_size = 0x10000, .exit_signal = SIGCHLD};
    CHECK_ERRNO(clone3_(&x.a, sizeof x.a), EINVAL);
    x.a = (struct clone_args){.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM,
                              .exit_signal = SIGCHLD};
    CHECK_ERRNO(clone3_(&x.a, sizeof x.a), EINVAL);
    x.a = (struct clone_args){.flags = CLONE_SIGHAND | CLONE_VM | CLONE_CLEAR_SIGHAND,
                              .exit_signal = SIGCHLD};
    CHECK_ERRNO(clone3_(&x.a, sizeof x.a), EINVAL);
    x.a = (struct clone_args){.set_tid_size = 1, .exit_signal = SIGCHLD};
    CHECK_ERRNO(clone3_(&x.a, sizeof x.a), EINVAL);
}

static void handler(int sig) {
    (void)sig;
}

TEST(clone3_clears_handlers_when_asked) {
    QEMU_WRONG("no clone3");
    handle(SIGUSR1, handler, 0);
    handle(SIGUSR2, SIG_IGN, 0);
    struct clone_args a = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    pid_t pid = clone3_(&a, sizeof a);
    if (pid == 0) {
        struct sigaction sa;
        sigaction(SIGUSR1, NULL, &sa);
        if (sa.sa_handler != SIG_DFL)
            _exit(1);
        sigaction(SIGUSR2, NULL, &sa);
        _exit(sa.sa_handler == SIG_IGN ? 0 : 2);
    }
    CHECK_EXITS(pid, 0);
}

static int prepared, parented, childed;
static void prepare(void) {
    prepared++;
}
static void in_parent(void) {
    parented++;
}
static void in_child(void) {
    childed++;
}

TEST(atfork_handlers_and_stdio) {
    CHECK_EQ(pthread_atfork(prepare, in_parent, in_child), 0);
    pid_t pid = CHILD(CHECK(prepared == 1 && parented == 0 && childed == 1));
    CHECK_EXITS(pid, 0);
    CHECK(prepared == 1 && parented == 1 && childed == 0);
}

TEST(pid_reuse_and_orphans) {
    int p[2];
    REQUIRE(pipe(p) == 0);
    pid_t pid = CHILD({
        pid_t me = getpid();
        if (fork() == 0) {
            close(p[0]);
            WAIT_FOR(getppid() != me, 5000);
            int adopted = getppid() != me;
            CHECK_EQ(write(p[1], &adopted, sizeof adopted), (ssize_t)sizeof adopted);
            _exit(0);
        }
    });
    CHECK_EXITS(pid, 0);
    int adopted = 0;
    CHECK_EQ(read(p[0], &adopted, sizeof adopted), (ssize_t)sizeof adopted);
    CHECK_EQ(adopted, 1);
}

TEST(unshare_calls) {
    CHECK_EQ(unshare(0), 0);
    CHECK_EQ(unshare(CLONE_FILES), 0);
    CHECK_EQ(unshare(CLONE_FS), 0);
    if (!under_qemu()) // does not look at the flags
        CHECK_ERRNO(unshare(1), EINVAL);
}
