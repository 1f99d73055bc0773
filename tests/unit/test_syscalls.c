/*
 * test_syscalls.c - the list of system calls against the kernel's headers, the conversions between
 * the two architectures, the paths of /proc that are the guest's, and what --trace writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "linux/convert.h"
#include "linux/mm.h"
#include "linux/path.h"
#include "linux/trace.h"
#include "syscall_numbers.inc"

/* ---- what the tested files ask of the engine and the loader ---- */

struct options options = {.trace_fd = -1};
struct program program = {.exe_path = "/bin/guest"};

int64_t copy_from_guest(void *dst, guest_addr src, uint64_t bytes) {
    if (src < PAGE_BYTES)
        return -14;
    memcpy(dst, (const void *)src, bytes);
    return 0;
}

int64_t copy_string_from_guest(char *dst, guest_addr src, uint64_t size) {
    if (src < PAGE_BYTES)
        return -14;
    size_t n = strnlen((const char *)src, size);
    if (n == size)
        return -36;
    memcpy(dst, (const char *)src, n + 1);
    return (int64_t)n;
}

int sysroot_fd(void) {
    return -1;
}

int64_t sysroot_openat(const char *path, uint32_t flags, uint32_t mode) {
    (void)path, (void)flags, (void)mode;
    return -2;
}

guest_addr vdso_base;
static guest_addr runtime_start, runtime_end, heap_start;

void space_range(guest_addr *start, guest_addr *end) {
    *start = runtime_start;
    *end = runtime_end;
}

bool mm_is_heap(guest_addr start, guest_addr end) {
    return start <= heap_start && heap_start < end;
}

/* ---- the list ---- */

enum decision { PASS, HANDLER, NOSYS };

static const struct row {
    int number;
    const char *name;
    int host;
    enum decision decision;
} rows[] = {
#define ROW(nr, name, host, decision, ...) {nr, #name, host, decision},
#include "syscall_rows.inc"
#undef ROW
};

static const struct row *find(const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* Calls see(name, number) for each number a kernel header defines; returns how many. */
static int each_number(const char *header, const char *format, void (*see)(const char *, int)) {
    FILE *f = fopen(header, "r");
    char line[256], name[64];
    int number, n = 0;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, format, name, &number) == 2) {
            see(name, number);
            n++;
        }
    }
    fclose(f);
    return n;
}

static void check_guest_number(const char *name, int number) {
    if (number >= 403 && number < 424)
        return; /* for 32-bit machines */
    if (strcmp(name, "arch_specific_syscall") == 0 || strcmp(name, "syscalls") == 0)
        return;
    if (strcmp(name, "sync_file_range2") == 0)
        return; /* of machines that want aligned register pairs */
    if (strcmp(name, "fstatat") == 0)
        name = "newfstatat";
    const struct row *row = find(name);
    if (!row)
        fail_msg("%s (%d) is not in syscalls.def", name, number);
    if (row->number != number)
        fail_msg("%s is %d in syscalls.def and %d in Linux", name, row->number, number);
}

static void list_has_every_call_of_the_kernel_header(void **state) {
    (void)state;
    const char *header = "/usr/include/asm-generic/unistd.h";
    int n = each_number(header, "#define __NR_%63s %d", check_guest_number);
    n += each_number(header, "#define __NR3264_%63s %d", check_guest_number);
    assert_true(n > 300);
}

static void check_host_number(const char *name, int number) {
    const struct row *row = find(name);
    if (row && row->decision != NOSYS && row->host != number)
        fail_msg("%s: host number %d, and %d in Linux", name, row->host, number);
}

static void host_numbers_are_those_of_the_kernel_header(void **state) {
    (void)state;
    assert_true(each_number("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "#define __NR_%63s %d",
                            check_host_number) > 300);
}

static void list_is_sorted_and_calls_that_differ_have_handlers(void **state) {
    (void)state;
    for (size_t i = 1; i < ARRAY_SIZE(rows); i++)
        assert_true(rows[i - 1].number < rows[i].number);
    static const char *const differ[] = {
        "openat", "openat2", "fstat",        "newfstatat",   "epoll_ctl",  "epoll_pwait",
        "fcntl",  "semctl",  "epoll_pwait2", "pipe2",        "mmap",       "clone",
        "uname",  "execve",  "rt_sigaction", "rt_sigreturn", "personality"};
    for (size_t i = 0; i < ARRAY_SIZE(differ); i++)
        assert_int_equal(find(differ[i])->decision, HANDLER);
}

/* ---- conversions ---- */

static void open_flags_convert_to_the_host_and_back(void **state) {
    (void)state;
    static const struct {
        uint32_t guest, host;
    } pairs[] = {
        {040000, 0200000},      /* O_DIRECTORY */
        {0100000, 0400000},     /* O_NOFOLLOW */
        {0200000, 040000},      /* O_DIRECT */
        {0400000, 0100000},     /* O_LARGEFILE */
        {020040000, 020200000}, /* O_TMPFILE */
        {02003777, 02003777},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        assert_int_equal(open_flags_convert(pairs[i].guest), pairs[i].host);
        assert_int_equal(open_flags_convert(pairs[i].host), pairs[i].guest);
    }
    for (int bit = 0; bit < 64; bit++)
        assert_int_equal(open_flags_convert(open_flags_convert(1ull << bit)), 1ull << bit);
}

static void stat_keeps_every_field(void **state) {
    (void)state;
    struct host_stat h = {.st_dev = 1,
                          .st_ino = 2,
                          .st_nlink = 3,
                          .st_mode = 4,
                          .st_uid = 5,
                          .st_gid = 6,
                          .st_rdev = 7,
                          .st_size = 8,
                          .st_blksize = 9,
                          .st_blocks = 10,
                          .st_atime_sec = 11,
                          .st_atime_nsec = 12,
                          .st_mtime_sec = 13,
                          .st_mtime_nsec = 14,
                          .st_ctime_sec = 15,
                          .st_ctime_nsec = 16};
    struct guest_stat g;
    stat_to_guest(&g, &h);
    const uint32_t *word = (const uint32_t *)&g;
    assert_int_equal(g.st_dev, 1);
    assert_int_equal(word[4], 4);  /* st_mode at 16 */
    assert_int_equal(word[5], 3);  /* st_nlink at 20 */
    assert_int_equal(word[8], 7);  /* st_rdev at 32 */
    assert_int_equal(word[12], 8); /* st_size at 48 */
    assert_int_equal(word[14], 9); /* st_blksize at 56 */
    assert_int_equal(word[16], 10);
    assert_int_equal(word[18], 11);
    assert_int_equal(word[28], 16); /* st_ctime_nsec at 112 */
}

static void semid_ds_survives_the_round_trip(void **state) {
    (void)state;
    struct guest_semid64_ds g = {.sem_perm = {.key = 1, .mode = 0600},
                                 .sem_otime = 2,
                                 .sem_ctime = 3,
                                 .sem_nsems = 4},
                            back;
    struct host_semid64_ds h;
    semid_to_host(&h, &g);
    assert_int_equal(h.sem_nsems, 4);
    semid_to_guest(&back, &h);
    assert_memory_equal(&g, &back, sizeof(g));
}

static void proc_files_of_the_process_itself_are_the_guests(void **state) {
    (void)state;
    assert_int_equal(proc_file_of("/proc/self/exe", 10, 11), PROC_EXE);
    assert_int_equal(proc_file_of("/proc/10/exe", 10, 11), PROC_EXE);
    assert_int_equal(proc_file_of("/proc/self/task/11/maps", 10, 11), PROC_MAPS);
    assert_int_equal(proc_file_of("/proc/thread-self/smaps", 10, 11), PROC_SMAPS);
    assert_int_equal(proc_file_of("/proc/self/auxv", 10, 11), PROC_AUXV);
    assert_int_equal(proc_file_of("/proc/cpuinfo", 10, 11), PROC_CPUINFO);
    assert_int_equal(proc_file_of("/proc/12/exe", 10, 11), PROC_NONE);
    assert_int_equal(proc_file_of("/proc/1/maps", 10, 11), PROC_NONE);
    assert_int_equal(proc_file_of("/proc/selfish/exe", 10, 11), PROC_NONE);
    assert_int_equal(proc_file_of("/proc/self/exe/x", 10, 11), PROC_NONE);
    assert_int_equal(proc_file_of("/proc/99999999999999999999/exe", 10, 11), PROC_NONE);
    assert_int_equal(proc_file_of("/proc//exe", 10, 11), PROC_NONE);
}

static void lookup_redirects_only_proc_self_exe(void **state) {
    (void)state;
    static struct thread t = {.pid = 10, .tid = 10};
    static struct path_ref ref;
    const char *exe = "/proc/self/exe", *other = "/etc/passwd";
    path_lookup(&ref, &t, 5, (guest_addr)exe, 0);
    assert_string_equal((const char *)ref.path, "/bin/guest");
    path_lookup(&ref, &t, 5, (guest_addr)exe, PATH_NOFOLLOW);
    assert_int_equal(ref.path, (uint64_t)exe);
    path_lookup(&ref, &t, 5, (guest_addr)other, 0);
    assert_int_equal(ref.path, (uint64_t)other);
    assert_int_equal(ref.dirfd, 5);
    path_lookup(&ref, &t, 5, 8, 0); /* unreadable: the host's call says EFAULT */
    assert_int_equal(ref.path, 8);
}

/* ---- rendered files ---- */

/* The whole of a rendered file. */
static const char *rendered(enum proc_file file) {
    static char text[1 << 20];
    int64_t fd = procfs_open(file, 0);
    size_t used = 0;
    ssize_t n;
    assert_true(fd >= 0);
    while ((n = read((int)fd, text + used, sizeof(text) - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = 0;
    assert_int_equal(write((int)fd, "x", 1), -1); /* for reading only */
    close((int)fd);
    return text;
}

static char *map_pages(int n) {
    char *p = mmap(NULL, (size_t)n * PAGE_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

/* The line of maps that begins at address; NULL: there is none. */
static const char *line_at(const char *maps, const void *address) {
    char start[32];
    static char line[256];
    snprintf(start, sizeof(start), "%lx-", (unsigned long)address);
    for (; maps; maps = strchr(maps, '\n') ? strchr(maps, '\n') + 1 : NULL) {
        if (strncmp(maps, start, strlen(start)) == 0) {
            snprintf(line, sizeof(line), "%.*s", (int)strcspn(maps, "\n"), maps);
            return line;
        }
    }
    return NULL;
}

static void maps_leave_the_runtime_out(void **state) {
    (void)state;
    /* Different protections keep the five mappings apart. */
    char *p = map_pages(5);
    mprotect(p, PAGE_BYTES, PROT_READ);
    mprotect(p + 2 * PAGE_BYTES, PAGE_BYTES, PROT_READ);
    mprotect(p + 4 * PAGE_BYTES, PAGE_BYTES, PROT_NONE);
    assert_non_null(line_at(rendered(PROC_MAPS), p + 2 * PAGE_BYTES));
    runtime_start = (guest_addr)p + PAGE_BYTES;
    runtime_end = (guest_addr)p + 3 * PAGE_BYTES;
    heap_start = (guest_addr)p + 3 * PAGE_BYTES;
    const char *maps = rendered(PROC_MAPS);
    assert_non_null(line_at(maps, p));
    assert_null(line_at(maps, p + PAGE_BYTES));
    assert_null(line_at(maps, p + 2 * PAGE_BYTES));
    assert_null(strstr(maps, "[vdso]"));
    assert_null(strstr(maps, "[vsyscall]"));
    const char *heap = line_at(maps, p + 3 * PAGE_BYTES);
    assert_non_null(heap);
    assert_string_equal(heap + 73, "[heap]");
    const char *smaps = rendered(PROC_SMAPS);
    assert_non_null(line_at(smaps, p));
    assert_null(line_at(smaps, p + 2 * PAGE_BYTES));
    runtime_start = runtime_end = heap_start = 0;
    munmap(p, 5 * PAGE_BYTES);
}

static void cpuinfo_is_an_arm64_machines(void **state) {
    (void)state;
    const char *text = rendered(PROC_CPUINFO);
    assert_true(strncmp(text, "processor\t: 0\nBogoMIPS\t: ", 25) == 0);
    assert_non_null(strstr(text, "\nFeatures\t: fp asimd "));
    assert_non_null(strstr(text, "\nCPU architecture: 8\n"));
    long processors = 0;
    for (const char *p = text; (p = strstr(p, "processor\t")); p++)
        processors++;
    assert_int_equal(processors, sysconf(_SC_NPROCESSORS_ONLN));
}

/* ---- the trace ---- */

static struct thread tracer = {.pid = 7, .tid = 7};
static FILE *trace_file;
static long trace_read;

/* The lines written since the last call. */
static const char *written(void) {
    static char text[8192];

    fseek(trace_file, trace_read, SEEK_SET);
    size_t n = fread(text, 1, sizeof(text) - 1, trace_file);
    trace_read += (long)n;
    text[n] = 0;
    return text;
}

#define P(x) ((uint64_t)(x))
#define EXPECT_CALL(text, result, nr, ...)                \
    do {                                                  \
        uint64_t args_[6] = {__VA_ARGS__};                \
        trace_syscall_exit(&tracer, nr, args_, result);   \
        assert_string_equal(written(), "[7] " text "\n"); \
    } while (0)

static int open_trace(void **state) {
    (void)state;
    trace_file = tmpfile();
    trace_read = 0;
    options.trace_fd = fileno(trace_file);
    return 0;
}

static int close_trace(void **state) {
    (void)state;
    fclose(trace_file);
    options.trace_fd = -1;
    return 0;
}

static void trace_shows_calls_as_strace_does(void **state) {
    (void)state;
    EXPECT_CALL(
        "openat(AT_FDCWD, \"/etc/x\", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)",
        -2, NR_openat, (uint64_t)-100, P("/etc/x"), 02000000, 0x777);
    EXPECT_CALL("openat(3, \"y\", O_RDWR|O_CREAT|O_DIRECTORY, 0644) = 4", 4, NR_openat, 3, P("y"),
                040102, 0644);
    EXPECT_CALL("write(1, \"a\\n\\\"\\0\\1771\", 6) = 6", 6, NR_write, 1, P("a\n\"\0\1771"), 6);
    EXPECT_CALL("write(1, \"0123456789012345678901234567890\\0\"..., 33) = 33", 33, NR_write, 1,
                P("0123456789012345678901234567890\0x"), 33);
    EXPECT_CALL("read(0, \"ab\", 10) = 2", 2, NR_read, 0, P("abcdef"), 10);
    EXPECT_CALL("read(0, 0x10, 10) = -1 EFAULT (Bad address)", -14, NR_read, 0, 16, 10);
    EXPECT_CALL("getpid() = 7", 7, NR_getpid);
    EXPECT_CALL("brk(NULL) = 0x5000", 0x5000, NR_brk, 0);
    EXPECT_CALL("futex(0x5000, FUTEX_WAKE_PRIVATE, 1) = 0", 0, NR_futex, 0x5000, 129, 1, 2, 3, 4);
    EXPECT_CALL("fcntl(3, F_GETFL) = 131074 (flags O_RDWR|O_LARGEFILE)", 0x20002, NR_fcntl, 3, 3,
                99);
    EXPECT_CALL("fcntl(3, F_SETSIG, SIGIO) = 0", 0, NR_fcntl, 3, 10, 29);
    EXPECT_CALL("ioctl(3, FIOASYNC, [1]) = 0", 0, NR_ioctl, 3, 0x5452, P(((int[]){1})));
    EXPECT_CALL("clone(CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, NULL, NULL, 0, [5]) = 9", 9,
                NR_clone, 0x01200011, 0, 0, 0, P(((int[]){5})));
    EXPECT_CALL("mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7000",
                0x7000, NR_mmap, 0, 4096, 3, 0x22, (uint64_t)-1, 0);
    EXPECT_CALL(
        "accept4(3, NULL, NULL, SOCK_CLOEXEC|SOCK_NONBLOCK) = ? ERESTARTSYS (To be restarted)",
        -512, NR_accept4, 3, 0, 0, 02004000);
    EXPECT_CALL("syscall_999(0x1, 0, 0, 0, 0, 0) = -1 ENOSYS (Function not implemented)", -38, 999,
                1);
}

static void trace_shows_structures(void **state) {
    (void)state;
    static const uint8_t in[16] = {2, 0, 0x1f, 0x90, 127, 0, 0, 1};
    EXPECT_CALL("connect(3, {sa_family=AF_INET, sin_port=htons(8080), "
                "sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0",
                0, NR_connect, 3, P(in), 16);
    EXPECT_CALL("bind(3, {sa_family=AF_UNIX, sun_path=\"/run/x\"}, 110) = 0", 0, NR_bind, 3,
                P("\1\0/run/x\0                                                                    "
                  "         "
                  "                                                                 "),
                110);
    struct guest_epoll_event events[2] = {{.events = 1, .data = 0x10},
                                          {.events = 0x80000004, .data = 0x20}};
    EXPECT_CALL("epoll_pwait(4, [{events=EPOLLIN, data=0x10}, {events=EPOLLOUT|EPOLLET, "
                "data=0x20}], 512, -1, NULL, 8) = 2",
                2, NR_epoll_pwait, 4, P(events), 512, (uint64_t)-1, 0, 8);
    EXPECT_CALL("epoll_ctl(4, EPOLL_CTL_ADD, 5, {events=EPOLLIN, data=0x10}) = 0", 0, NR_epoll_ctl,
                4, 1, 5, P(events));
    uint64_t mask = 1 << 1 | 1 << 16;
    EXPECT_CALL("rt_sigsuspend([INT CHLD], 8) = -1 EINTR (Interrupted system call)", -4,
                NR_rt_sigsuspend, P(&mask), 8);
    struct {
        const char *base;
        uint64_t n;
    } iov[2] = {{"head", 4}, {"body", 4}};
    EXPECT_CALL("writev(5, [{iov_base=\"head\", iov_len=4}, {iov_base=\"bo\", iov_len=4}], 2) = 6",
                6, NR_writev, 5, P(iov), 2);
    struct guest_stat st = {.st_mode = 0100644, .st_size = 12};
    EXPECT_CALL("fstat(3, {st_mode=S_IFREG|0644, st_size=12, ...}) = 0", 0, NR_fstat, 3, P(&st));
    struct {
        int32_t fd;
        uint16_t events, revents;
    } p = {4, 1, 0x10};
    EXPECT_CALL("ppoll([{fd=4, events=POLLIN, revents=POLLHUP}], 1, NULL, NULL, 0) = 1", 1,
                NR_ppoll, P(&p), 1, 0, 0, 0);
    uint32_t status = 3 << 8;
    EXPECT_CALL("wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], WNOHANG, NULL) = 12", 12,
                NR_wait4, (uint64_t)-1, P(&status), 1, 0);
    struct guest_sigaction sa = {.handler = 0x1000, .flags = 0x10000004, .mask = 0};
    EXPECT_CALL("rt_sigaction(SIGHUP, {sa_handler=0x1000, sa_mask=[], "
                "sa_flags=SA_SIGINFO|SA_RESTART}, NULL, 8) = 0",
                0, NR_rt_sigaction, 1, P(&sa), 0, 8);
}

static void trace_shows_waiting_calls_and_signals(void **state) {
    (void)state;
    uint64_t wait[6] = {4, 0x5000, 512, (uint64_t)-1, 0, 8}, poll[6] = {4, 0x5000, 512, 0, 0, 8},
             status[6] = {3};
    trace_syscall_enter(&tracer, NR_epoll_pwait, wait);
    assert_string_equal(written(),
                        "[7] epoll_pwait(4, 0x5000, 512, -1, NULL, 8 <unfinished ...>\n");
    trace_syscall_enter(&tracer, NR_epoll_pwait, poll);
    assert_string_equal(written(), "");
    trace_syscall_enter(&tracer, NR_exit_group, status);
    assert_string_equal(written(), "[7] exit_group(3) = ?\n");
    struct guest_siginfo io = {.si_signo = 29, .si_code = 1, .words = {0x41, 5}};
    trace_signal(&tracer, &io);
    assert_string_equal(
        written(), "[7] --- SIGIO {si_signo=SIGIO, si_code=POLL_IN, si_band=0x41, si_fd=5} ---\n");
    struct guest_siginfo user = {.si_signo = 15, .si_code = 0, .kill = {.pid = 9, .uid = 1}};
    trace_signal(&tracer, &user);
    assert_string_equal(
        written(), "[7] --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=9, si_uid=1} ---\n");
}

/* A call with more to show than fits keeps its result and its line end. */
static void trace_cuts_long_lines(void **state) {
    (void)state;
    static char path[256];
    memset(path, 1, sizeof(path) - 1);
    uint64_t args[6] = {0, P(path), 0, P(path), 0};
    trace_syscall_exit(&tracer, NR_renameat2, args, -2);
    const char *text = written();
    const char *end = ") = -1 ENOENT (No such file or directory)\n";
    assert_true(strlen(text) < 2049);
    assert_string_equal(text + strlen(text) - strlen(end), end);
    assert_non_null(strchr(text, '\n'));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_has_every_call_of_the_kernel_header),
        cmocka_unit_test(host_numbers_are_those_of_the_kernel_header),
        cmocka_unit_test(list_is_sorted_and_calls_that_differ_have_handlers),
        cmocka_unit_test(open_flags_convert_to_the_host_and_back),
        cmocka_unit_test(stat_keeps_every_field),
        cmocka_unit_test(semid_ds_survives_the_round_trip),
        cmocka_unit_test(proc_files_of_the_process_itself_are_the_guests),
        cmocka_unit_test(lookup_redirects_only_proc_self_exe),
        cmocka_unit_test(maps_leave_the_runtime_out),
        cmocka_unit_test(cpuinfo_is_an_arm64_machines),
        cmocka_unit_test_setup_teardown(trace_shows_calls_as_strace_does, open_trace, close_trace),
        cmocka_unit_test_setup_teardown(trace_shows_structures, open_trace, close_trace),
        cmocka_unit_test_setup_teardown(trace_shows_waiting_calls_and_signals, open_trace,
                                        close_trace),
        cmocka_unit_test_setup_teardown(trace_cuts_long_lines, open_trace, close_trace),
    };
    return cmocka_run_group_tests_name("syscalls", tests, NULL, NULL);
}
