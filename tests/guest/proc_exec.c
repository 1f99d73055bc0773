// execve and its kin: arguments and environment, what survives, scripts, descriptors, errors, exec
// from a thread, /proc/self. The programs executed are this one, as `PROGRAM helper:WHAT`.
//
// (Not run under qemu-user: without binfmt_misc it cannot execute a program of its own kind.)
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <dirent.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

extern char **environ;

static char self[PATH_MAX];

__attribute__((constructor)) static void find_self(void) {
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
}

static void print_file(const char *path) {
    char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text);
    for (ssize_t i = 0; i < n; i++)
        putchar(text[i] ? text[i] : '|');
    close(fd);
}

int helper(int argc, char **argv) {
    const char *what = argv[1] + 7;
    if (!strncmp(what, "argv", 4)) {
        for (int i = 0; i < argc; i++)
            printf("[%s]", argv[i]);
    } else if (!strcmp(what, "count")) {
        size_t bytes = 0;
        for (int i = 0; i < argc; i++)
            bytes += strlen(argv[i]) + 1;
        printf("%d %zu", argc, bytes);
    } else if (!strcmp(what, "env")) {
        for (char **e = environ; *e; e++)
            printf("[%s]", *e);
    } else if (!strcmp(what, "exe")) {
        printf("%s|%s|%s", self, argv[0], (char *)getauxval(AT_EXECFN));
    } else if (!strcmp(what, "comm")) {
        char name[16];
        prctl(PR_GET_NAME, name);
        printf("%s|", name);
        print_file("/proc/self/comm");
    } else if (!strcmp(what, "cmdline")) {
        print_file("/proc/self/cmdline");
    } else if (!strcmp(what, "environ")) {
        print_file("/proc/self/environ");
    } else if (!strcmp(what, "exit")) {
        return atoi(argv[2]);
    } else if (!strcmp(what, "fds")) {
        for (int fd = 3; fd < 40; fd++)
            if (fcntl(fd, F_GETFD) != -1)
                printf("%d ", fd);
    } else if (!strcmp(what, "ids")) {
        int tasks = 0;
        DIR *d = opendir("/proc/self/task");
        for (struct dirent *e; (e = readdir(d));)
            tasks += e->d_name[0] != '.';
        printf("%d %d %d %d", getpid(), gettid(), getppid(), tasks);
    } else if (!strcmp(what, "signals")) {
        struct sigaction sa;
        uint64_t mask, pending;
        stack_t stack;
        sigaction(SIGUSR1, NULL, &sa);
        printf("%s ", sa.sa_handler == SIG_DFL ? "dfl" : sa.sa_handler == SIG_IGN ? "ign" : "?");
        sigaction(SIGUSR2, NULL, &sa);
        printf("%s ", sa.sa_handler == SIG_DFL ? "dfl" : sa.sa_handler == SIG_IGN ? "ign" : "?");
        syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
        syscall(SYS_rt_sigpending, &pending, 8);
        sigaltstack(NULL, &stack);
        printf("%lx %lx %s", mask, pending, stack.ss_flags == SS_DISABLE ? "nostack" : "stack");
    } else if (!strcmp(what, "attributes")) {
        char cwd[PATH_MAX];
        mode_t mask = umask(0);
        struct rlimit limit;
        getrlimit(RLIMIT_CORE, &limit);
        printf("%o %d %ld %s", mask, getpriority(PRIO_PROCESS, 0), (long)limit.rlim_cur,
               getcwd(cwd, sizeof cwd));
    } else if (!strcmp(what, "alarm")) {
        printf("%u", alarm(0));
    } else if (!strcmp(what, "pdeathsig")) {
        int sig = -1;
        prctl(PR_GET_PDEATHSIG, &sig);
        printf("%d", sig);
    } else if (!strcmp(what, "wait")) {
        char c;
        puts("ready");
        fflush(stdout);
        return read(0, &c, 1) == 0 ? 0 : 98;
    } else if (!strcmp(what, "chain")) {
        // Executes itself N more times, then prints how deep it is.
        int n = atoi(argv[2]), depth = atoi(argv[3]);
        char left[16], deeper[16];
        if (n == 0) {
            printf("%d %d", depth, getpid());
            return 0;
        }
        snprintf(left, sizeof left, "%d", n - 1);
        snprintf(deeper, sizeof deeper, "%d", depth + 1);
        execl("/proc/self/exe", argv[0], "helper:chain", left, deeper, NULL);
        return 9;
    } else {
        return 99;
    }
    fflush(stdout);
    return 0;
}

static char output[1 << 16];

// Reads FD to its end into output.
static void drain(int fd) {
    size_t n = 0;
    ssize_t got;
    while ((got = read(fd, output + n, sizeof output - 1 - n)) > 0)
        n += got;
    output[n] = 0;
    close(fd);
}

// Runs the statements (which exec) in a child with stdout captured; its output, "" when it failed.
#define CAPTURE(...)                                   \
    ({                                                 \
        int pipe_[2];                                  \
        REQUIRE(pipe2(pipe_, O_CLOEXEC) == 0);         \
        pid_t captured_ = CHILD({                      \
            dup2(pipe_[1], 1);                         \
            __VA_ARGS__;                               \
            dprintf(2, "exec: %s\n", strerror(errno)); \
            _exit(120);                                \
        });                                            \
        close(pipe_[1]);                               \
        drain(pipe_[0]);                               \
        last_pid = captured_;                          \
        CHECK_EXITS(captured_, 0);                     \
        output;                                        \
    })

static pid_t last_pid;
static char *no_env[] = {NULL};

static void script(const char *name, const char *format, ...) {
    char text[2000];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    write_file(name, text, 0700);
}

TEST(arguments_arrive) {
    char *argv[] = {"any name", "helper:argv", "", "two words", "ünïcode", "-x", NULL},
         expected[4096];
    CHECK_STR(CAPTURE(execve(self, argv, no_env)),
              "[any name][helper:argv][][two words][ünïcode][-x]");
    char *empty[] = {"", "helper:argv", NULL};
    CHECK_STR(CAPTURE(execve(self, empty, no_env)), "[][helper:argv]");
    snprintf(expected, sizeof expected, "[%s][helper:argv]", self);
    CHECK_STR(CAPTURE(execl(self, self, "helper:argv", NULL)), expected);
}

TEST(environment_arrives) {
    char *argv[] = {"p", "helper:env", NULL};
    char *envp[] = {"A=1", "PATH=/nowhere", "odd", "EMPTY=", "A=2", NULL};
    CHECK_STR(CAPTURE(execve(self, argv, envp)), "[A=1][PATH=/nowhere][odd][EMPTY=][A=2]");
    CHECK_STR(CAPTURE(execve(self, argv, no_env)), "");
    CHECK_STR(CAPTURE(execve(self, argv, NULL)), "");
    argv[1] = "helper:environ";
    CHECK_STR(CAPTURE(execve(self, argv, envp)), "A=1|PATH=/nowhere|odd|EMPTY=|A=2|");
}

TEST(an_empty_argv_gets_one_empty_string) {
    // Linux 5.18 and later: argc is never 0.
    char *argv[] = {NULL};
    script("s", "#!%s helper:argv\n", self);
    char expected[PATH_MAX + 64];
    snprintf(expected, sizeof expected, "[%s][helper:argv][./s]", self);
    CHECK_STR(CAPTURE(execve("./s", argv, no_env)), expected);
    pid_t pid = CHILD(execve("/bin/true", argv, no_env); _exit(99));
    CHECK_EXITS(pid, 0);
}

TEST(large_arguments) {
    enum { N = 3000 };
    static char *argv[N + 3], text[200];
    memset(text, 'a', sizeof text - 1);
    argv[0] = "p", argv[1] = "helper:count";
    for (int i = 0; i < N; i++)
        argv[i + 2] = text;
    char expected[64];
    snprintf(expected, sizeof expected, "%d %d", N + 2, 2 + 13 + N * 200);
    CHECK_STR(CAPTURE(execve(self, argv, no_env)), expected);
    // One string of 128 KiB is the most; more is E2BIG, so is a total beyond a quarter of the
    // stack.
    char *big = malloc(131073);
    memset(big, 'b', 131072);
    big[131072] = 0;
    char *one[] = {"p", "helper:count", big, NULL};
    CHECK_ERRNO(execve(self, one, no_env), E2BIG);
    big[131071] = 0;
    snprintf(expected, sizeof expected, "3 %d", 2 + 13 + 131072);
    CHECK_STR(CAPTURE(execve(self, one, no_env)), expected);
    static char *many[200];
    for (int i = 0; i < 198; i++)
        many[i] = big;
    CHECK_ERRNO(execve(self, many, no_env), E2BIG);
}

TEST(proc_self_names_the_program) {
    char expected[PATH_MAX * 3], here[PATH_MAX];
    snprintf(expected, sizeof expected, "%s|zero|%s", self, self);
    CHECK_STR(CAPTURE(execl(self, "zero", "helper:exe", NULL)), expected);
    // Through a symbolic link and a relative path: exe is the file, AT_EXECFN the path given.
    REQUIRE(symlink(self, "link") == 0 && getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s|l|./link", self);
    CHECK_STR(CAPTURE(execl("./link", "l", "helper:exe", NULL)), expected);
    CHECK_STR(CAPTURE(execl("./link", "l", "helper:comm", NULL)), "link|link\n");
    CHECK_STR(CAPTURE(execl("./link", "l", "helper:cmdline", "x y", "", NULL)),
              "l|helper:cmdline|x y||");
    REQUIRE(symlink(self, "a-name-longer-than-fifteen") == 0);
    CHECK_STR(CAPTURE(execl("a-name-longer-than-fifteen", "l", "helper:comm", NULL)),
              "a-name-longer-t|a-name-longer-t\n");
    snprintf(expected, sizeof expected, "%s|s|/proc/self/exe", self);
    CHECK_STR(CAPTURE(execl("/proc/self/exe", "s", "helper:exe", NULL)), expected);
}

static const char *proc_text(pid_t pid, const char *name) {
    static char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd == -1 ? 0 : read(fd, text, sizeof text - 1);
    close(fd);
    for (ssize_t i = 0; i < n; i++)
        if (!text[i])
            text[i] = '|';
    text[n > 0 ? n : 0] = 0;
    return text;
}

TEST(other_processes_see_its_names) {
    int in[2], out[2];
    char c[6], path[64], exe[PATH_MAX] = "";
    REQUIRE(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && symlink(self, "named") == 0);
    pid_t pid = CHILD(dup2(in[0], 0); dup2(out[1], 1);
                      execl("./named", "zeroth", "helper:wait", "a b", NULL); _exit(97));
    close(in[0]);
    REQUIRE(read(out[0], c, 6) == 6);
    CHECK_STR(proc_text(pid, "comm"), "named\n");
    CHECK_STR(proc_text(pid, "cmdline"), "zeroth|helper:wait|a b|");
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    CHECK(readlink(path, exe, sizeof exe - 1) > 0);
    CHECK_STR(exe, self);
    CHECK(strstr(proc_text(pid, "stat"), "(named) ") != NULL);
    close(in[1]);
    CHECK_EXITS(pid, 0);
}

TEST(what_survives) {
    char *argv[] = {"p", "helper:ids", NULL}, expected[PATH_MAX + 64];
    const char *out = CAPTURE(execve(self, argv, no_env));
    snprintf(expected, sizeof expected, "%d %d %d 1", last_pid, last_pid, getpid());
    CHECK_STR(out, expected);
    char here[PATH_MAX];
    argv[1] = "helper:attributes";
    out = CAPTURE(umask(037); struct rlimit l = {1000, 2000}; setrlimit(RLIMIT_CORE, &l);
                  setpriority(PRIO_PROCESS, 0, 3); execve(self, argv, no_env));
    snprintf(expected, sizeof expected, "37 3 1000 %s", getcwd(here, sizeof here));
    CHECK_STR(out, expected);
    argv[1] = "helper:alarm";
    CHECK_STR(CAPTURE(alarm(1000); execve(self, argv, no_env)), "1000");
    argv[1] = "helper:pdeathsig";
    CHECK_STR(CAPTURE(prctl(PR_SET_PDEATHSIG, SIGHUP); execve(self, argv, no_env)), "1");
}

static void handler(int sig) {
    (void)sig;
}

TEST(signals_across_exec) {
    char *argv[] = {"p", "helper:signals", NULL};
    // Handlers become default, ignored stays, mask and pending signals stay, the alternate stack
    // goes.
    const char *out = CAPTURE({
        handle(SIGUSR1, handler, 0);
        handle(SIGUSR2, SIG_IGN, 0);
        stack_t s = {.ss_sp = malloc(65536), .ss_size = 65536};
        sigaltstack(&s, NULL);
        uint64_t mask = 1ull << (SIGUSR1 - 1) | 1ull << (SIGHUP - 1) | 1ull << 63;
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
        kill(getpid(), SIGHUP);
        execve(self, argv, no_env);
    });
    char expected[64];
    snprintf(expected, sizeof expected, "dfl ign %lx %lx nostack",
             1ul << (SIGUSR1 - 1) | 1ul << (SIGHUP - 1) | 1ul << 63, 1ul << (SIGHUP - 1));
    CHECK_STR(out, expected);
}

TEST(close_on_exec) {
    char *argv[] = {"p", "helper:fds", NULL};
    const char *out = CAPTURE({
        for (int fd = 3; fd < 40; fd++)
            close(fd);
        dup2(0, 10);
        dup2(0, 11);
        dup3(0, 12, O_CLOEXEC);
        fcntl(11, F_SETFD, FD_CLOEXEC);
        open("/dev/null", O_RDONLY | O_CLOEXEC);
        open("/dev/null", O_RDONLY);
        execve(self, argv, no_env);
    });
    CHECK_STR(out, "4 10 ");
}

TEST(exec_by_descriptor) {
    char *argv[] = {"p", "helper:argv", "fd", NULL};
    int fd = open(self, O_RDONLY | O_CLOEXEC), path = open(self, O_PATH | O_CLOEXEC);
    CHECK_STR(CAPTURE(fexecve(fd, argv, no_env)), "[p][helper:argv][fd]");
    CHECK_STR(CAPTURE(syscall(SYS_execveat, path, "", argv, no_env, AT_EMPTY_PATH)),
              "[p][helper:argv][fd]");
    REQUIRE(mkdir("d", 0700) == 0 && symlink(self, "d/prog") == 0);
    int dir = open("d", O_PATH | O_DIRECTORY | O_CLOEXEC);
    CHECK_STR(CAPTURE(syscall(SYS_execveat, dir, "prog", argv, no_env, 0)), "[p][helper:argv][fd]");
    CHECK_ERRNO(syscall(SYS_execveat, dir, "prog", argv, no_env, AT_SYMLINK_NOFOLLOW), ELOOP);
    CHECK_ERRNO(syscall(SYS_execveat, dir, "prog", argv, no_env, 0x40000), EINVAL);
    CHECK_ERRNO(syscall(SYS_execveat, dir, "absent", argv, no_env, 0), ENOENT);
    CHECK_ERRNO(syscall(SYS_execveat, fd, "prog", argv, no_env, 0), ENOTDIR);
    CHECK_ERRNO(syscall(SYS_execveat, 999, "prog", argv, no_env, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_execveat, fd, "", argv, no_env, 0), ENOENT);
    // From a file that has no name any more, and from memory.
    int memory = memfd_create("program", MFD_CLOEXEC);
    struct stat st;
    REQUIRE(fstat(fd, &st) == 0);
    char *image = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    REQUIRE(write(memory, image, st.st_size) == st.st_size);
    CHECK_STR(CAPTURE(fexecve(memory, argv, no_env)), "[p][helper:argv][fd]");
    write_file("copy", "", 0700);
    int copy = open("copy", O_WRONLY);
    REQUIRE(write(copy, image, st.st_size) == st.st_size);
    close(copy);
    copy = open("copy", O_RDONLY | O_CLOEXEC);
    unlink("copy");
    CHECK_STR(CAPTURE(fexecve(copy, argv, no_env)), "[p][helper:argv][fd]");
}

TEST(scripts) {
    char expected[PATH_MAX + 100];
    script("s", "#!%s helper:argv\nanything\n", self);
    snprintf(expected, sizeof expected, "[%s][helper:argv][./s][a][b c]", self);
    CHECK_STR(CAPTURE(execl("./s", "ignored", "a", "b c", NULL)), expected);
    // White space around, one argument however many words, trailing blanks dropped.
    script("t", "#! \t%s  helper:argv with  spaces \t \nx", self);
    snprintf(expected, sizeof expected, "[%s][helper:argv with  spaces][./t][z]", self);
    CHECK_STR(CAPTURE(execl("./t", "ignored", "z", NULL)), expected);
    // No newline at the end, and no argument zero beyond the file.
    script("u", "#!%s helper:argv", self);
    snprintf(expected, sizeof expected, "[%s][helper:argv][./u]", self);
    CHECK_STR(CAPTURE(execl("./u", "ignored", NULL)), expected);
    script("sh", "#!/bin/sh\necho $0 $# \"$@\"\nexit 0\n");
    CHECK_STR(CAPTURE(execl("./sh", "ignored", "1", "2 3", NULL)), "./sh 2 1 2 3\n");
    script("exe", "#!%s helper:exe\n", self);
    snprintf(expected, sizeof expected, "%s|%s|./exe", self, self);
    CHECK_STR(CAPTURE(execl("./exe", "ignored", NULL)), expected);
    script("comm", "#!%s helper:comm\n", self);
    CHECK_STR(CAPTURE(execl("./comm", "ignored", NULL)), "comm|comm\n");
    char *argv[] = {"ignored", "tail", NULL};
    int fd = open("s", O_RDONLY);
    snprintf(expected, sizeof expected, "[%s][helper:argv][/dev/fd/%d][tail]", self, fd);
    CHECK_STR(CAPTURE(fexecve(fd, argv, no_env)), expected);
    // The interpreter could not open a close-on-exec descriptor.
    int closed = open("s", O_RDONLY | O_CLOEXEC);
    CHECK_ERRNO(syscall(SYS_execveat, closed, "", argv, no_env, AT_EMPTY_PATH), ENOENT);
}

TEST(nested_scripts) {
    char expected[PATH_MAX + 100], here[PATH_MAX];
    REQUIRE(getcwd(here, sizeof here));
    script("s0", "#!%s helper:argv\n", self);
    for (int i = 1; i < 6; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        script(name, "#!./s%d arg%d\n", i - 1, i);
    }
    snprintf(expected, sizeof expected, "[%s][helper:argv][./s0][arg1][./s1][tail]", self);
    CHECK_STR(CAPTURE(execl("./s1", "ignored", "tail", NULL)), expected);
    snprintf(expected, sizeof expected,
             "[%s][helper:argv][./s0][arg1][./s1][arg2][./s2][arg3][./s3][arg4][./s4][tail]", self);
    CHECK_STR(CAPTURE(execl("./s4", "ignored", "tail", NULL)), expected);
    CHECK_ERRNO(execl("./s5", "ignored", NULL), ELOOP); // six deep
    script("loop", "#!./loop\n");
    CHECK_ERRNO(execl("./loop", "ignored", NULL), ELOOP);
}

TEST(errors) {
    char *argv[] = {"p", NULL};
    write_file("plain", "just text\n", 0700);
    CHECK_ERRNO(execve("plain", argv, no_env), ENOEXEC);
    write_file("empty", "", 0700);
    CHECK_ERRNO(execve("empty", argv, no_env), ENOEXEC);
    script("hashbang", "#!\n");
    CHECK_ERRNO(execve("hashbang", argv, no_env), ENOEXEC);
    script("blank", "#!   \n");
    CHECK_ERRNO(execve("blank", argv, no_env), ENOEXEC);
    script("nointerp", "#!/no/such/interpreter\n");
    CHECK_ERRNO(execve("nointerp", argv, no_env), ENOENT);
    write_file("noexec", "#!/bin/sh\n", 0600);
    CHECK_ERRNO(execve("noexec", argv, no_env), EACCES);
    script("interp-noexec", "#!./noexec\n");
    CHECK_ERRNO(execve("interp-noexec", argv, no_env), EACCES);
    REQUIRE(mkdir("dir", 0700) == 0);
    CHECK_ERRNO(execve("dir", argv, no_env), EACCES);
    CHECK_ERRNO(execve("absent", argv, no_env), ENOENT);
    CHECK_ERRNO(execve("", argv, no_env), ENOENT);
    CHECK_ERRNO(execve("plain/below", argv, no_env), ENOTDIR);
    REQUIRE(symlink("b", "a") == 0 && symlink("a", "b") == 0);
    CHECK_ERRNO(execve("a", argv, no_env), ELOOP);
    static char name[5000];
    memset(name, 'x', sizeof name - 1);
    CHECK_ERRNO(execve(name, argv, no_env), ENAMETOOLONG);
    CHECK_ERRNO(execve((char *)8, argv, no_env), EFAULT);
    CHECK_ERRNO(execve(self, (char **)8, no_env), EFAULT);
    CHECK_ERRNO(execve(self, argv, (char **)8), EFAULT);
    char *bad[] = {"p", (char *)8, NULL};
    CHECK_ERRNO(execve(self, bad, no_env), EFAULT);
    if (geteuid() == 0) {
        CHECK_EQ(chmod("plain", 0600), 0); // root needs an x bit too
        CHECK_ERRNO(execve("plain", argv, no_env), EACCES);
    }
}

TEST(damaged_elf_files) {
    char *argv[] = {"p", NULL};
    unsigned char head[256] = {0};
    int in = open(self, O_RDONLY);
    REQUIRE(read(in, head, sizeof head) == sizeof head);
    struct {
        const char *name;
        int at;
        unsigned char value;
        size_t length;
    } damage[] = {
        {"magic", 1, 'X', 256}, {"short", 0, 0x7f, 20},     {"header-only", 0, 0x7f, 64},
        {"type", 16, 9, 256},   {"machine", 18, 0x77, 256}, {"phentsize", 54, 1, 256},
        {"phnum", 56, 0, 256},
    };
    for (size_t i = 0; i < ARRAY_LEN(damage); i++) {
        unsigned char copy[256];
        memcpy(copy, head, 256);
        copy[damage[i].at] = damage[i].value;
        int fd = open(damage[i].name, O_WRONLY | O_CREAT, 0700);
        REQUIRE(write(fd, copy, damage[i].length) == (ssize_t)damage[i].length);
        close(fd);
        if (i == 2) {
            // The program headers are beyond the end: the kernel's read of them fails.
            CHECK(execve(damage[i].name, argv, no_env) == -1 && (errno == EIO || errno == ENOEXEC));
            continue;
        }
        if (!CHECK_ERRNO(execve(damage[i].name, argv, no_env), ENOEXEC))
            dprintf(2, "  (%s)\n", damage[i].name);
    }
}

TEST(text_file_busy) {
    char *argv[] = {"p", "helper:argv", NULL};
    script("s", "#!/bin/sh\n");
    int fd = open("s", O_WRONLY);
    CHECK_ERRNO(execve("s", argv, no_env), ETXTBSY);
    close(fd);
}

TEST(execvp_searches_and_falls_back_to_the_shell) {
    REQUIRE(mkdir("bin", 0700) == 0 && mkdir("empty", 0700) == 0);
    script("bin/tool", "echo from shell $1\n");
    REQUIRE(symlink(self, "bin/prog") == 0);
    setenv("PATH", "empty:/nonexistent:bin", 1);
    CHECK_STR(CAPTURE(execlp("tool", "tool", "x", NULL)), "from shell x\n");
    CHECK_STR(CAPTURE(execlp("prog", "prog", "helper:argv", NULL)), "[prog][helper:argv]");
    CHECK_ERRNO(execlp("nothing", "nothing", NULL), ENOENT);
    write_file("bin/secret", "x", 0600);
    CHECK_ERRNO(execlp("secret", "secret", NULL), EACCES);
}

TEST(programs_of_the_host_run) {
    // Under elfuse these are x86-64 programs (or whatever the root holds).
    CHECK_STR(CAPTURE(execl("/bin/echo", "echo", "hello", "there", NULL)), "hello there\n");
    CHECK_STR(CAPTURE(execl("/bin/sh", "sh", "-c", "echo $X; exit 0", NULL)), "\n");
    pid_t pid = CHILD(execl("/bin/false", "false", NULL); _exit(99));
    CHECK_EXITS(pid, 1);
    pid = CHILD(execl("/bin/sh", "sh", "-c", "kill -9 $$", NULL); _exit(99));
    CHECK_KILLED(pid, SIGKILL);
    // From there back to a program of ours.
    char command[PATH_MAX + 64], expected[PATH_MAX + 64];
    snprintf(command, sizeof command, "%s helper:argv back", self);
    snprintf(expected, sizeof expected, "[%s][helper:argv][back]", self);
    if (!getenv("GUEST_RUNNER") ||
        strcmp(getenv("GUEST_RUNNER"), "elfuse")) // needs binfmt_misc there
        CHECK_STR(CAPTURE(execl("/bin/sh", "sh", "-c", command, NULL)), expected);
    FILE *f = popen("echo popened; exit 3", "r");
    char line[32] = "";
    CHECK(f && fgets(line, sizeof line, f));
    CHECK_STR(line, "popened\n");
    CHECK_EQ(WEXITSTATUS(pclose(f)), 3);
    CHECK_EQ(WEXITSTATUS(system("exit 5")), 5);
}

TEST(a_long_chain_of_execs) {
    char expected[64];
    const char *out = CAPTURE(execl(self, "p", "helper:chain", "100", "0", NULL));
    snprintf(expected, sizeof expected, "100 %d", last_pid);
    CHECK_STR(out, expected);
}

static void *exec_here(void *arg) {
    char *argv[] = {"p", arg, NULL};
    execve(self, argv, no_env);
    return NULL;
}
static void *sleeps(void *arg) {
    sleep_ms(10000);
    return arg;
}

TEST(exec_from_a_thread_replaces_the_process) {
    char expected[64];
    for (int i = 0; i < 10; i++) {
        const char *out = CAPTURE({
            pthread_t t[4];
            for (int k = 0; k < 3; k++)
                pthread_create(&t[k], NULL, sleeps, NULL);
            pthread_create(&t[3], NULL, exec_here, "helper:ids");
            sleep_ms(10000);
        });
        snprintf(expected, sizeof expected, "%d %d %d 1", last_pid, last_pid, getpid());
        CHECK_STR(out, expected);
    }
    const char *out = CAPTURE({
        pthread_t t;
        pthread_create(&t, NULL, exec_here, "helper:ids");
        pthread_exit(NULL); // the main thread is gone when the other one execs
    });
    snprintf(expected, sizeof expected, "%d %d %d 1", last_pid, last_pid, getpid());
    CHECK_STR(out, expected);
}

static void exec_in_handler(int sig) {
    (void)sig;
    char *argv[] = {"p", "helper:signals", NULL};
    execve(self, argv, no_env);
}

TEST(exec_inside_a_handler_keeps_the_handlers_mask) {
    char expected[64];
    snprintf(expected, sizeof expected, "dfl dfl %lx 0 nostack", 1ul << (SIGUSR1 - 1));
    CHECK_STR(CAPTURE(handle(SIGUSR1, exec_in_handler, 0); raise(SIGUSR1)), expected);
}

TEST(a_failed_exec_changes_nothing) {
    handle(SIGUSR1, handler, 0);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char *argv[] = {"p", NULL};
    volatile int local = 5;
    CHECK_ERRNO(execve("absent", argv, no_env), ENOENT);
    struct sigaction sa;
    sigaction(SIGUSR1, NULL, &sa);
    CHECK(sa.sa_handler == handler && fcntl(fd, F_GETFD) == FD_CLOEXEC && local == 5);
}

TEST(vfork_then_exec) {
    for (int i = 0; i < 30; i++) {
        char *argv[] = {"p", "helper:exit", "7", NULL};
        pid_t pid = vfork();
        if (pid == 0) {
            execve(self, argv, no_env);
            _exit(99);
        }
        CHECK_EXITS(pid, 7);
        pid = vfork();
        if (pid == 0) {
            execve("absent", argv, no_env);
            _exit(errno == ENOENT ? 8 : 9);
        }
        CHECK_EXITS(pid, 8);
    }
}
