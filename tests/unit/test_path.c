/*
 * test_path.c - finding files: the sysroot and what cannot leave it, PATH, `#!` lines, what execve
 * comes to, and where file mappings go. Works in a fresh directory under TMPDIR.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "engine/engine.h"
#include "loader/elf.h"
#include "loader/loader.h"

/* What exec.c takes from the engine. */
void *space_alloc(uint64_t bytes) {
    return calloc(1, bytes);
}

void space_free(void *p, uint64_t bytes) {
    (void)bytes;
    free(p);
}

static char top[256], root[300];

static void put(const char *path, mode_t mode, const char *content, size_t bytes) {
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, bytes), bytes);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void put_text(const char *path, mode_t mode, const char *text) {
    put(path, mode, text, strlen(text));
}

static void put_elf(const char *path, uint16_t machine, const char *interp) {
    struct {
        Elf64_Ehdr h;
        Elf64_Phdr p[2];
        char interp[64];
        char rest[256];
    } f = {0};
    memcpy(f.h.e_ident, ELFMAG, SELFMAG);
    f.h.e_ident[EI_CLASS] = ELFCLASS64;
    f.h.e_ident[EI_DATA] = ELFDATA2LSB;
    f.h.e_type = ET_EXEC;
    f.h.e_machine = machine;
    f.h.e_phoff = sizeof f.h;
    f.h.e_phentsize = sizeof f.p[0];
    f.h.e_phnum = interp ? 2 : 1;
    f.p[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                          .p_flags = PF_R | PF_X,
                          .p_vaddr = 0x400000,
                          .p_filesz = sizeof f,
                          .p_memsz = sizeof f};
    if (interp) {
        strcpy(f.interp, interp);
        f.p[1] = (Elf64_Phdr){.p_type = PT_INTERP,
                              .p_offset = sizeof f.h + sizeof f.p,
                              .p_filesz = strlen(interp) + 1};
    }
    put(path, 0755, (char *)&f, sizeof f);
}

static int set_up(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(top, sizeof top, "%s/elfuse-path-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(top) || chdir(top))
        return -1;
    snprintf(root, sizeof root, "%s/root", top);
    mkdir("bin", 0755);
    mkdir("bin2", 0755);
    mkdir("root", 0755);
    mkdir("root/etc", 0755);
    mkdir("root/usr", 0755);
    mkdir("root/usr/lib", 0755);
    put_text("root/etc/inside", 0644, "inside");
    put_text("outside", 0644, "outside");
    symlink("usr/lib", "root/lib");
    symlink("/etc/inside", "root/absolute");
    symlink("../../../../../../../../etc/inside", "root/usr/lib/dotdot");
    char path[600];
    snprintf(path, sizeof path, "%s/outside", top);
    symlink(path, "root/escape");
    symlink("../outside", "root/escape2");
    put_elf("root/usr/lib/ld.so", EM_AARCH64, NULL);
    put_elf("bin/arm", EM_AARCH64, NULL);
    put_elf("bin/intel", EM_X86_64, NULL);
    put_text("bin/data", 0644, "data");
    put_text("bin/both", 0644, "not executable");
    put_elf("bin2/both", EM_AARCH64, NULL);
    mkdir("bin/directory", 0755);
    return 0;
}

static int clean_up(void **state) {
    (void)state;
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    return chdir("/") || system(command);
}

/* ---- sysroot ---- */

static void expect_inside(const char *path) {
    char text[32] = {0};
    int64_t fd = sysroot_openat(path, O_RDONLY | O_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_true(read((int)fd, text, sizeof text - 1) > 0);
    assert_string_equal(text, "inside");
    close((int)fd);
}

static void without_a_sysroot_everything_is_the_hosts(void **state) {
    (void)state;
    assert_int_equal(sysroot_fd(), -1);
    assert_int_equal(sysroot_openat("/etc", O_RDONLY, 0), -ENOENT);
    int64_t fd = open_first(AT_FDCWD, "/dev/null", O_RDONLY);
    assert_true(fd >= 0);
    close((int)fd);
}

static void a_missing_or_wrong_sysroot_is_an_error(void **state) {
    (void)state;
    assert_int_equal(sysroot_open("nothing-here"), -ENOENT);
    assert_int_equal(sysroot_open("outside"), -ENOTDIR);
    assert_int_equal(sysroot_fd(), -1);
}

static void the_sysroot_descriptor_is_hidden_and_closed_on_exec(void **state) {
    (void)state;
    assert_int_equal(sysroot_open(root), 0);
    int fd = sysroot_fd();
    assert_true(fd > 100);
    assert_true(fd_is_hidden(fd));
    assert_false(fd_is_hidden(0));
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    fd_hidden_inherit(true);
    assert_int_equal(fcntl(fd, F_GETFD), 0);
    fd_hidden_inherit(false);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void links_and_dotdot_stay_inside(void **state) {
    (void)state;
    expect_inside("/etc/inside");
    expect_inside("/absolute");
    expect_inside("/lib/dotdot");
    expect_inside("/../../../etc/inside");
    expect_inside("/lib/../../etc/inside");
    assert_int_equal(sysroot_openat("/escape", O_RDONLY, 0), -ENOENT);
    assert_int_equal(sysroot_openat("/escape2", O_RDONLY, 0), -ENOENT);
    assert_int_equal(sysroot_openat("/../outside", O_RDONLY, 0), -ENOENT);
}

static void only_absolute_paths_that_exist_are_found(void **state) {
    (void)state;
    assert_int_equal(sysroot_openat("etc/inside", O_RDONLY, 0), -ENOENT);
    assert_int_equal(sysroot_openat("/etc/inside/deeper", O_RDONLY, 0), -ENOENT);
    assert_int_equal(sysroot_openat("/etc/new", O_WRONLY | O_CREAT, 0644), -ENOENT);
    assert_int_not_equal(access("root/etc/new", F_OK), 0);
    assert_int_equal(sysroot_openat("/etc/inside", O_WRONLY | O_CREAT | O_EXCL, 0644), -EEXIST);
    int64_t fd = sysroot_openat("/etc/inside", O_PATH | O_RDWR | O_APPEND, 0);
    assert_true(fd >= 0);
    close((int)fd);
    char path[600];
    snprintf(path, sizeof path, "%s/outside", top);
    fd = open_first(AT_FDCWD, path, O_RDONLY);
    assert_true(fd >= 0);
    close((int)fd);
}

/* ---- PATH ---- */

static void commands_are_found_in_path_order(void **state) {
    (void)state;
    char found[PATH_BYTES];
    assert_int_equal(find_command(found, "arm", "nowhere:bin:bin2"), 0);
    assert_string_equal(found, "bin/arm");
    assert_int_equal(find_command(found, "both", "bin:bin2"), 0);
    assert_string_equal(found, "bin2/both");
    assert_int_equal(find_command(found, "data", "bin:bin2"), -EACCES);
    assert_int_equal(find_command(found, "directory", "bin"), -EACCES);
    assert_int_equal(find_command(found, "nothing", "bin:bin2"), -ENOENT);
    assert_int_equal(find_command(found, "", "bin"), -ENOENT);
    assert_int_equal(find_command(found, "./any/thing", "bin"), 0);
    assert_string_equal(found, "./any/thing");
    assert_int_equal(find_command(found, "sh", NULL), 0);
    assert_string_equal(found, "/usr/bin/sh");
}

static void an_empty_path_element_is_the_current_directory(void **state) {
    (void)state;
    char found[PATH_BYTES];
    assert_int_equal(chdir("bin"), 0);
    assert_int_equal(find_command(found, "arm", "nowhere::alsonot"), 0);
    assert_string_equal(found, "./arm");
    assert_int_equal(chdir(top), 0);
}

/* ---- #! ---- */

static void expect_script(const char *line, size_t bytes, const char *name, const char *argument) {
    char buffer[SCRIPT_LINE_BYTES] = {0};
    const char *got_name = NULL, *got_argument = NULL;
    memcpy(buffer, line, MIN(bytes, sizeof buffer));
    int error = script_parse(buffer, &got_name, &got_argument);
    if (!name) {
        assert_int_equal(error, -ENOEXEC);
        return;
    }
    assert_int_equal(error, 0);
    assert_string_equal(got_name, name);
    if (argument)
        assert_string_equal(got_argument, argument);
    else
        assert_null(got_argument);
}

#define SCRIPT(line, name, argument) expect_script(line, sizeof(line) - 1, name, argument)

static void script_lines_are_split_as_linux_does(void **state) {
    (void)state;
    SCRIPT("#!/bin/sh\necho", "/bin/sh", NULL);
    SCRIPT("#! \t/bin/sh \t \n", "/bin/sh", NULL);
    SCRIPT("#!/bin/sh -x  -y \t\n", "/bin/sh", "-x  -y");
    SCRIPT("#!/bin/sh", "/bin/sh", NULL);
    SCRIPT("#!/bin/sh -x", "/bin/sh", "-x");
    SCRIPT("#!\n", NULL, NULL);
    SCRIPT("#!  \t \n", NULL, NULL);
    SCRIPT("#", NULL, NULL);
    SCRIPT("", NULL, NULL);
    SCRIPT("echo", NULL, NULL);
    SCRIPT("#!/bin/a\0b c\n", "/bin/a", NULL);
}

static void long_script_lines_are_cut_only_in_the_argument(void **state) {
    (void)state;
    char line[400], want[400];
    memset(line, 'a', sizeof line);
    memcpy(line, "#!/", 3);
    expect_script(line, sizeof line, NULL, NULL); /* the name does not end within the buffer */
    line[20] = ' ';
    snprintf(want, sizeof want, "%.*s", 18, line + 2);
    char argument[400];
    snprintf(argument, sizeof argument, "%.*s", 255 - 21, line + 21);
    expect_script(line, sizeof line, want, argument);
    memset(line + 2, ' ', sizeof line - 2);
    expect_script(line, sizeof line, NULL, NULL);
}

/* ---- what execve comes to ---- */

static struct exec_plan plan;

static int64_t resolve(const char *path) {
    int64_t error = exec_resolve(&plan, AT_FDCWD, path, 0);
    if (!error)
        close(plan.fd);
    return error;
}

static void programs_of_both_kinds_are_recognised(void **state) {
    (void)state;
    assert_int_equal(resolve("bin/arm"), 0);
    assert_false(plan.x86_64);
    assert_int_equal(plan.prefix_count, 0);
    assert_int_equal(resolve("bin/intel"), 0);
    assert_true(plan.x86_64);
}

static void what_linux_refuses_is_refused_with_its_error(void **state) {
    (void)state;
    assert_int_equal(resolve("bin/nothing"), -ENOENT);
    assert_int_equal(resolve(""), -ENOENT);
    assert_int_equal(resolve("bin/data"), -EACCES);
    assert_int_equal(resolve("bin/directory"), -EACCES);
    assert_int_equal(resolve("bin/data/x"), -ENOTDIR);
    assert_int_equal(mkfifo("fifo", 0777), 0);
    assert_int_equal(resolve("fifo"), -EACCES);
    put_text("text", 0755, "no program\n");
    assert_int_equal(resolve("text"), -ENOEXEC);
    assert_non_null(plan.why);
    put_text("empty", 0755, "");
    assert_int_equal(resolve("empty"), -ENOEXEC);
    put_elf("other", EM_RISCV, NULL);
    assert_int_equal(resolve("other"), -ENOEXEC);
    assert_int_equal(plan.fd, -1);
    symlink("loop", "loop");
    assert_int_equal(resolve("loop"), -ELOOP);
    assert_int_equal(exec_resolve(&plan, AT_FDCWD, "bin/arm", 0x40000000), -EINVAL);
    symlink("bin/arm", "link");
    assert_int_equal(exec_resolve(&plan, AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW), -ELOOP);
}

static void a_missing_or_foreign_interpreter_is_found_out(void **state) {
    (void)state;
    put_elf("dynamic", EM_AARCH64, "/lib/ld.so");
    assert_int_equal(resolve("dynamic"), 0); /* root/lib -> usr/lib, in the sysroot */
    put_elf("missing", EM_AARCH64, "/lib/no-such-ld.so");
    assert_int_equal(resolve("missing"), -ENOENT);
    assert_string_equal(plan.culprit, "/lib/no-such-ld.so");
    put_elf("foreign", EM_AARCH64, "bin/intel");
    assert_int_equal(resolve("foreign"), -ELIBBAD);
}

static void scripts_build_the_arguments_linux_builds(void **state) {
    (void)state;
    put_text("one", 0755, "#!bin/arm -a b\n");
    put_text("two", 0755, "#! one\n");
    assert_int_equal(resolve("two"), 0);
    assert_int_equal(plan.prefix_count, 4);
    assert_string_equal(plan.prefix[0], "bin/arm");
    assert_string_equal(plan.prefix[1], "-a b");
    assert_string_equal(plan.prefix[2], "one");
    assert_string_equal(plan.prefix[3], "two");
    assert_string_equal(plan.path, "two");
    put_text("gone", 0755, "#!bin/nothing\n");
    assert_int_equal(resolve("gone"), -ENOENT);
    assert_string_equal(plan.culprit, "bin/nothing");
    put_text("native", 0755, "#!bin/intel\n");
    assert_int_equal(resolve("native"), 0);
    assert_true(plan.x86_64);
}

static void five_nested_scripts_are_the_limit(void **state) {
    (void)state;
    char path[16], line[32];
    put_text("s0", 0755, "#!bin/arm x\n");
    for (int i = 1; i <= 5; i++) {
        snprintf(path, sizeof path, "s%d", i);
        snprintf(line, sizeof line, "#!s%d x\n", i - 1);
        put_text(path, 0755, line);
    }
    assert_int_equal(resolve("s4"), 0);
    assert_int_equal(plan.prefix_count, 11);
    assert_string_equal(plan.prefix[10], "s4");
    assert_int_equal(resolve("s5"), -ELOOP);
}

static void a_descriptor_can_be_executed(void **state) {
    (void)state;
    int fd = open("bin/arm", O_PATH | O_CLOEXEC);
    assert_int_equal(exec_resolve(&plan, fd, "", AT_EMPTY_PATH), 0);
    assert_true(str_starts(plan.path, "/dev/fd/"));
    close(plan.fd);
    assert_int_equal(exec_resolve(&plan, fd, "", 0), -ENOENT);
    close(fd);
    fd = open("bin", O_RDONLY | O_DIRECTORY);
    assert_int_equal(exec_resolve(&plan, fd, "arm", 0), 0);
    char want[32];
    snprintf(want, sizeof want, "/dev/fd/%d/arm", fd);
    assert_string_equal(plan.path, want);
    close(plan.fd);
    close(fd);
    put_text("one", 0755, "#!bin/arm\n");
    fd = open("one", O_RDONLY);
    assert_int_equal(exec_resolve(&plan, fd, "", AT_EMPTY_PATH), 0);
    snprintf(want, sizeof want, "/dev/fd/%d", fd);
    assert_string_equal(plan.prefix[1], want);
    close(plan.fd);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    assert_int_equal(exec_resolve(&plan, fd, "", AT_EMPTY_PATH), -ENOENT);
    close(fd);
    assert_int_equal(exec_resolve(&plan, 9999, "", AT_EMPTY_PATH), -EBADF);
}

/* ---- placement ---- */

static void placement_follows_the_file_and_nothing_else(void **state) {
    (void)state;
    int a = open("bin/arm", O_RDONLY), again = open("bin/arm", O_RDONLY),
        other = open("bin/intel", O_RDONLY);
    guest_addr at = place_file(a, 0x20000, 0x10000, PLACE_PROGRAM, 0);
    assert_int_equal(at % 0x10000, 0);
    assert_true(at >= 0x550000000000 && at + 0x20000 <= 0x560000000000);
    assert_int_equal(place_file(again, 0x20000, 0x10000, PLACE_PROGRAM, 0), at);
    assert_int_not_equal(place_file(other, 0x20000, 0x10000, PLACE_PROGRAM, 0), at);
    assert_int_not_equal(place_file(a, 0x20000, 0x10000, PLACE_PROGRAM, 1), at);
    guest_addr library = place_file(a, 0x20000, PAGE_BYTES, PLACE_LIBRARY, 0);
    assert_true(library >= 0x700000000000 && library + 0x20000 <= 0x710000000000);
    assert_int_equal(place_file(a, UINT64_MAX - 5, PAGE_BYTES, PLACE_LIBRARY, 0), 0);
    assert_int_equal(place_file(-1, 0x1000, PAGE_BYTES, PLACE_LIBRARY, 0), 0);
    close(a);
    close(again);
    close(other);
}

static void a_taken_place_leads_to_another(void **state) {
    (void)state;
    int fd = open("bin/arm", O_RDONLY);
    int64_t at[6];
    for (int i = 0; i < 6; i++) {
        at[i] = place_reserve(fd, 0x5000, 0x200000, PLACE_LIBRARY);
        assert_true(at[i] > 0 && at[i] % 0x200000 == 0);
        for (int j = 0; j < i; j++)
            assert_true(at[i] != at[j]);
    }
    assert_int_equal(at[0], place_file(fd, 0x5000, 0x200000, PLACE_LIBRARY, 0));
    for (int i = 0; i < 6; i++)
        assert_int_equal(munmap((void *)at[i], 0x5000), 0);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_sysroot_everything_is_the_hosts),
        cmocka_unit_test(a_missing_or_wrong_sysroot_is_an_error),
        cmocka_unit_test(the_sysroot_descriptor_is_hidden_and_closed_on_exec),
        cmocka_unit_test(links_and_dotdot_stay_inside),
        cmocka_unit_test(only_absolute_paths_that_exist_are_found),
        cmocka_unit_test(commands_are_found_in_path_order),
        cmocka_unit_test(an_empty_path_element_is_the_current_directory),
        cmocka_unit_test(script_lines_are_split_as_linux_does),
        cmocka_unit_test(long_script_lines_are_cut_only_in_the_argument),
        cmocka_unit_test(programs_of_both_kinds_are_recognised),
        cmocka_unit_test(what_linux_refuses_is_refused_with_its_error),
        cmocka_unit_test(a_missing_or_foreign_interpreter_is_found_out),
        cmocka_unit_test(scripts_build_the_arguments_linux_builds),
        cmocka_unit_test(five_nested_scripts_are_the_limit),
        cmocka_unit_test(a_descriptor_can_be_executed),
        cmocka_unit_test(placement_follows_the_file_and_nothing_else),
        cmocka_unit_test(a_taken_place_leads_to_another),
    };
    return cmocka_run_group_tests(tests, set_up, clean_up);
}
