/*
 * test_handlers.c - system-call handlers on this host's kernel, called as the dispatcher calls
 * them: what the sysroot changes, flags and structures in arm64's form, and descriptors the guest
 * must not see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hostcall.h"
#include "linux/mm.h"
#include "linux/path.h"
#include "linux/signal.h"
#include "linux/syscalls.h"

#define A64_DIRECTORY   040000
#define A64_NOFOLLOW    0100000
#define A64_DIRECT      0200000
#define P(x)            ((uint64_t)(x))
#define CALL(name, ...) sys_##name(&thread, (const uint64_t[6]){__VA_ARGS__})

/* ---- the engine ---- */

struct options options = {.trace_fd = -1};
struct program program = {.exe_path = "/bin/guest"};
guest_addr vdso_base;
bool tagged_addresses;
static struct thread thread;
static int self_fd = -1;

int64_t guest_syscall(struct thread *t, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                      uint64_t a4, uint64_t a5) {
    (void)t;
    return hostcall6(nr, a0, a1, a2, a3, a4, a5);
}

int64_t copy_from_guest(void *dst, guest_addr src, uint64_t bytes) {
    if (src < PAGE_BYTES)
        return -EFAULT;
    memcpy(dst, (const void *)src, bytes);
    return 0;
}

int64_t copy_to_guest(guest_addr dst, const void *src, uint64_t bytes) {
    if (dst < PAGE_BYTES)
        return -EFAULT;
    memcpy((void *)dst, src, bytes);
    return 0;
}

int64_t copy_string_from_guest(char *dst, guest_addr src, uint64_t size) {
    if (src < PAGE_BYTES)
        return -EFAULT;
    size_t n = strnlen((const char *)src, size);
    if (n == size)
        return -ENAMETOOLONG;
    memcpy(dst, (const char *)src, n + 1);
    return (int64_t)n;
}

void space_range(guest_addr *start, guest_addr *end) {
    *start = *end = 0;
}

bool mm_is_heap(guest_addr start, guest_addr end) {
    (void)start, (void)end;
    return false;
}

/* The waits here are not interrupted: no signal is forced on them. */
bool signal_take_forced(struct thread *t, uint64_t mask) {
    (void)t, (void)mask;
    return false;
}

int space_self_fd(void) {
    return self_fd;
}

void space_move_self_fd(void) {
    int fd = dup(self_fd);
    close(self_fd);
    self_fd = fd;
}

/* ---- a scratch directory with a sysroot in it ---- */

static char scratch[] = "/tmp/handlers-XXXXXX";

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_scratch(void **state) {
    (void)state;
    char host[64];
    if (!mkdtemp(scratch) || chdir(scratch) || mkdir("root", 0700) || mkdir("root/etc", 0700) ||
        mkdir("root/proc", 0700))
        return -1;
    write_file("root/etc/only", "inroot\n");
    write_file("root/etc/hostname", "rooted\n");
    write_file("root/proc/version", "stale\n");
    write_file("outside", "outside\n");
    snprintf(host, sizeof(host), "%s/outside", scratch);
    if (symlink("/etc/only", "root/etc/link") || symlink("../../../../etc/only", "root/etc/up") ||
        symlink(host, "root/etc/escape"))
        return -1;
    thread.pid = thread.tid = getpid();
    return sysroot_open("root") ? -1 : 0;
}

static int remove_scratch(void **state) {
    (void)state;
    static const char *const files[] = {
        "root/etc/only",   "root/etc/hostname", "root/proc/version", "root/etc/link", "root/etc/up",
        "root/etc/escape", "outside",           "root/etc",          "root/proc",     "root"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        remove(files[i]);
    return rmdir(scratch);
}

/* What a file opened by the guest's openat holds. */
static const char *content(const char *path, uint64_t flags) {
    static char text[64];
    int64_t fd = CALL(openat, P(AT_FDCWD), P(path), flags);
    if (fd < 0) {
        snprintf(text, sizeof(text), "error %d", (int)-fd);
        return text;
    }
    ssize_t n = read((int)fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = 0;
    close((int)fd);
    return text;
}

static void reading_looks_in_the_sysroot_first(void **state) {
    (void)state;
    assert_string_equal(content("/etc/only", 0), "inroot\n");
    assert_string_equal(content("/etc/hostname", 0), "rooted\n");
    assert_string_equal(content("/etc/link", 0), "inroot\n");
    assert_string_equal(content("/etc/up", 0), "inroot\n");
    assert_string_equal(content("outside", 0), "outside\n"); /* relative: the host's */
    assert_string_equal(content("/etc/nothing/at/all", 0), "error 2");
    assert_true(CALL(openat, P(AT_FDCWD), P("/etc/passwd"), 0) >= 0); /* only on the host */
    assert_string_not_equal(content("/proc/version", 0), "stale\n");
}

static void the_sysroot_cannot_be_left(void **state) {
    (void)state;
    /* A link to a host path means that path in the sysroot, where it is not: the host is asked for
     * the link's name. */
    assert_string_equal(content("/etc/escape", 0), "error 2");
    assert_string_equal(content("/../../../etc/only", 0), "inroot\n");
}

static void sysroot_errors_are_its_files(void **state) {
    (void)state;
    assert_string_equal(content("/etc/only", A64_DIRECTORY), "error 20");
    assert_string_equal(content("/etc/link", A64_NOFOLLOW), "error 40");
    char link[64];
    assert_int_equal(CALL(readlinkat, P(AT_FDCWD), P("/etc/only"), P(link), sizeof(link)), -EINVAL);
    assert_int_equal(CALL(readlinkat, P(AT_FDCWD), P("/etc/none"), P(link), sizeof(link)), -ENOENT);
    assert_int_equal(CALL(readlinkat, P(AT_FDCWD), P("/etc/link"), P(link), sizeof(link)), 9);
    assert_memory_equal(link, "/etc/only", 9);
    assert_int_equal(CALL(faccessat, P(AT_FDCWD), P("/etc/only"), 4), 0);
    assert_int_equal(CALL(faccessat2, P(AT_FDCWD), P("/etc/none"), 4, 0), -ENOENT);
}

static void writing_and_creating_stay_on_the_host(void **state) {
    (void)state;
    assert_int_equal(CALL(openat, P(AT_FDCWD), P("/etc/only"), O_RDWR), -ENOENT);
}

static void metadata_comes_in_arm64s_form(void **state) {
    (void)state;
    struct guest_stat g;
    struct stat st;
    assert_int_equal(CALL(newfstatat, P(AT_FDCWD), P("/etc/only"), P(&g), 0), 0);
    assert_int_equal(g.st_size, 7);
    assert_int_equal(stat("root/etc/only", &st), 0);
    assert_int_equal(g.st_ino, st.st_ino);
    assert_int_equal(g.st_nlink, st.st_nlink);
    assert_int_equal(g.st_mtime_nsec, st.st_mtim.tv_nsec);
    assert_int_equal(CALL(newfstatat, P(AT_FDCWD), P("/etc/link"), P(&g), 0x100), 0);
    assert_true(S_ISLNK(g.st_mode));
    assert_int_equal(CALL(newfstatat, P(AT_FDCWD), P("outside"), 8, 0), -EFAULT);
    assert_int_equal(CALL(newfstatat, P(AT_FDCWD), 8, P(&g), 0), -EFAULT);
    assert_int_equal(CALL(fstat, 9999, P(&g)), -EBADF);
}

static void lookups_leave_no_descriptor_open(void **state) {
    (void)state;
    struct guest_stat g;
    int before = dup(0);
    close(before);
    CALL(newfstatat, P(AT_FDCWD), P("/etc/only"), P(&g), 0);
    CALL(faccessat, P(AT_FDCWD), P("/etc/only"), 0);
    CALL(openat, P(AT_FDCWD), P("/etc/only"), A64_DIRECTORY);
    int after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

static void openat2_checks_as_linux(void **state) {
    (void)state;
    uint64_t how[4] = {A64_DIRECTORY, 0, 0, 0};
    int64_t fd = CALL(openat2, P(AT_FDCWD), P("."), P(how), 24);
    assert_true(fd >= 0);
    close((int)fd);
    assert_int_equal(CALL(openat2, P(AT_FDCWD), P("outside"), P(how), 24), -ENOTDIR);
    assert_int_equal(CALL(openat2, P(AT_FDCWD), P("."), P(how), 23), -EINVAL);
    assert_true(CALL(openat2, P(AT_FDCWD), P("."), P(how), 32) >= 0);
    how[3] = 1;
    assert_int_equal(CALL(openat2, P(AT_FDCWD), P("."), P(how), 32), -E2BIG);
    assert_int_equal(CALL(openat2, P(AT_FDCWD), P("."), P(how), 5000), -E2BIG);
    assert_int_equal(CALL(openat2, P(AT_FDCWD), P("."), 8, 24), -EFAULT);
}

static void fcntl_speaks_arm64s_flags(void **state) {
    (void)state;
    int p[2];
    assert_int_equal(CALL(pipe2, P(p), A64_DIRECT), 0);
    assert_int_equal(CALL(fcntl, P(p[1]), 3), A64_DIRECT | 1);
    assert_int_equal(CALL(fcntl, P(p[1]), 4, 04000), 0);
    assert_int_equal(CALL(fcntl, P(p[1]), 3), 04001);
    assert_int_equal(CALL(pipe2, P(p), A64_DIRECTORY), -EINVAL);
}

/* ---- descriptors of the runtime ---- */

static void own_descriptors_are_not_open_to_the_guest(void **state) {
    (void)state;
    self_fd = fcntl(0, 1030, 500); /* F_DUPFD_CLOEXEC */
    assert_int_equal(CALL(close, P(self_fd)), -EBADF);
    assert_int_equal(CALL(dup, P(self_fd)), -EBADF);
    assert_int_equal(CALL(dup3, P(self_fd), 20, 0), -EBADF);
    assert_int_equal(CALL(fcntl, P(self_fd), 1), -EBADF);
    assert_int_equal(CALL(close, P(sysroot_fd())), -EBADF);
    int wanted = self_fd;
    assert_int_equal(CALL(dup3, 0, P(wanted), 0), wanted); /* ours gives way */
    assert_int_not_equal(self_fd, wanted);
    assert_true(fcntl(self_fd, 1) >= 0);
    assert_int_equal(CALL(close, P(wanted)), 0);
}

static void close_range_passes_over_own_descriptors(void **state) {
    (void)state;
    close(self_fd);
    self_fd = fcntl(0, 1030, 500);
    int low = fcntl(0, 0, 490), high = fcntl(0, 0, 510);
    assert_int_equal(CALL(close_range, 480, 520, 0), 0);
    assert_int_equal(fcntl(low, 1), -1);
    assert_int_equal(fcntl(high, 1), -1);
    assert_true(fcntl(self_fd, 1) >= 0);
    assert_int_equal(CALL(close_range, P(self_fd), P(self_fd), 0), 0);
    assert_int_equal(CALL(close_range, 480, ~0u, 0), 0);
    assert_true(fcntl(self_fd, 1) >= 0);
    assert_true(fcntl(sysroot_fd(), 1) >= 0);
    assert_int_equal(CALL(close_range, 5, 4, 0), -EINVAL);
}

static void own_descriptors_are_not_listed(void **state) {
    (void)state;
    static char entries[32768];
    char ours[16];
    snprintf(ours, sizeof(ours), "%d", self_fd);
    int fd = (int)CALL(openat, P(AT_FDCWD), P("/proc/self/fd"), A64_DIRECTORY);
    int64_t n, at, seen = 0;
    while ((n = CALL(getdents64, P(fd), P(entries), sizeof(entries))) > 0) {
        for (at = 0; at < n; at += *(uint16_t *)(entries + at + 16), seen++)
            assert_string_not_equal(entries + at + 19, ours);
    }
    assert_int_equal(n, 0);
    assert_true(seen >= 5);
    close(fd);
    assert_int_equal(mkdir("d", 0700), 0); /* the same name elsewhere is no descriptor */
    snprintf(ours, sizeof(ours), "d/%d", self_fd);
    assert_int_equal(symlink("x", ours), 0);
    fd = (int)CALL(openat, P(AT_FDCWD), P("d"), A64_DIRECTORY);
    n = CALL(getdents64, P(fd), P(entries), sizeof(entries));
    for (at = seen = 0; at < n; at += *(uint16_t *)(entries + at + 16))
        seen++;
    assert_int_equal(seen, 3);
    close(fd);
    unlink(ours);
    rmdir("d");
}

/* ---- epoll ---- */

static void epoll_events_are_not_packed(void **state) {
    (void)state;
    enum { PIPES = 70 }; /* more than two blocks of spread_events */
    static struct guest_epoll_event got[PIPES + 1];
    int epoll = (int)syscall(SYS_epoll_create1, 0), p[2];
    for (int i = 0; i < PIPES; i++) {
        struct guest_epoll_event e = {
            .events = 1 /* EPOLLIN */, .pad = 0xdead, .data = 0x1111111100000000ull + (unsigned)i};
        assert_int_equal(pipe(p), 0);
        assert_int_equal(write(p[1], "x", 1), 1);
        assert_int_equal(CALL(epoll_ctl, P(epoll), 1, P(p[0]), P(&e)), 0);
    }
    memset(got, 0xee, sizeof(got));
    assert_int_equal(CALL(epoll_pwait, P(epoll), P(got), PIPES, 0, 0, 8), PIPES);
    bool seen[PIPES] = {false};
    for (int i = 0; i < PIPES; i++) {
        assert_int_equal(got[i].events, 1);
        assert_int_equal(got[i].data >> 32, 0x11111111);
        seen[got[i].data & 0xff] = true;
    }
    for (int i = 0; i < PIPES; i++)
        assert_true(seen[i]);
    assert_int_equal(got[PIPES].events, 0xeeeeeeee);
    assert_int_equal(CALL(epoll_pwait, P(epoll), P(got), 0, 0, 0, 8), -EINVAL);
    assert_int_equal(CALL(epoll_pwait, P(epoll), P(got), INT32_MAX / 16 + 1, 0, 0, 8), -EINVAL);
    uint64_t mask = 0;
    assert_int_equal(CALL(epoll_pwait, P(epoll), P(got), 1, 0, P(&mask), 4), -EINVAL);
    assert_int_equal(CALL(epoll_pwait, P(epoll), P(got), 1, 0, 8, 8), -EFAULT);
    assert_false(thread.temp_mask_active);
    assert_int_equal(CALL(epoll_ctl, P(epoll), 1, 0, 8), -EFAULT);
}

static void masks_leave_the_synchronous_signals_to_the_engine(void **state) {
    (void)state;
    uint64_t mask = host_sigmask(~0ull);
    static const int synchronous[] = {4, 5, 7, 8, 11}, others[] = {1, 2, 15, 17, 29, 32, 64};
    for (size_t i = 0; i < ARRAY_SIZE(synchronous); i++)
        assert_false(mask >> (synchronous[i] - 1) & 1);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_true(mask >> (others[i] - 1) & 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_looks_in_the_sysroot_first),
        cmocka_unit_test(the_sysroot_cannot_be_left),
        cmocka_unit_test(sysroot_errors_are_its_files),
        cmocka_unit_test(writing_and_creating_stay_on_the_host),
        cmocka_unit_test(metadata_comes_in_arm64s_form),
        cmocka_unit_test(lookups_leave_no_descriptor_open),
        cmocka_unit_test(openat2_checks_as_linux),
        cmocka_unit_test(fcntl_speaks_arm64s_flags),
        cmocka_unit_test(own_descriptors_are_not_open_to_the_guest),
        cmocka_unit_test(close_range_passes_over_own_descriptors),
        cmocka_unit_test(own_descriptors_are_not_listed),
        cmocka_unit_test(epoll_events_are_not_packed),
        cmocka_unit_test(masks_leave_the_synchronous_signals_to_the_engine),
    };
    return cmocka_run_group_tests_name("handlers", tests, make_scratch, remove_scratch);
}
