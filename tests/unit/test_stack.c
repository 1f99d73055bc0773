/*
 * test_stack.c - the guest's initial stack is laid out as arm64 Linux lays it out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <elf.h>

#include "engine/engine.h"
#include "engine/hwcap.h"
#include "loader/loader.h"

/* What stack.c takes from its neighbours. */
guest_addr vdso_base = 0x7f0000001000;

void exec_map_set(guest_addr start, uint64_t bytes, bool exec) {
    fail_msg("the stack at %#lx is executable (%lu, %d)", start, bytes, exec);
}

static uint64_t host_words[] = {0,   0,       0,   AT_UID,    1000, AT_EUID, 1001, AT_GID,
                                100, AT_EGID, 101, AT_CLKTCK, 100,  AT_NULL, 0};
static uint8_t area[65536] __attribute__((aligned(4096)));
static struct program p;

static guest_addr build(char **argv, char **envp, const char *execfn, unsigned below) {
    struct host_start host;
    host_start_read(&host, host_words);
    memset(area, 0xee, sizeof area);
    memset(&p, 0, sizeof p);
    p.entry = 0x5500000012340;
    p.phdr = 0x5500000000040;
    p.phnum = 9;
    p.interp = 0x7000000000000;
    return build_stack(&p, &host, (guest_addr)(area + sizeof area) - below, argv, envp, execfn);
}

static uint64_t auxv(uint64_t type) {
    const uint64_t(*pair)[2] = (const void *)p.auxv;
    for (; (*pair)[0]; pair++)
        if ((*pair)[0] == type)
            return (*pair)[1];
    fail_msg("no auxv entry %lu", (unsigned long)type);
    return 0;
}

static void vectors_point_at_the_strings(void **state) {
    (void)state;
    char *argv[] = {"prog", "", "second argument", NULL}, *envp[] = {"A=1", "LONG=value", NULL};
    for (unsigned below = 0; below < 64; below += 5) {
        const uint64_t *word = (const uint64_t *)build(argv, envp, "/bin/prog", below);
        assert_int_equal((uint64_t)word % 16, 0);
        assert_int_equal(word[0], 3);
        for (int i = 0; i < 3; i++)
            assert_string_equal((char *)word[1 + i], argv[i]);
        assert_int_equal(word[4], 0);
        for (int i = 0; i < 2; i++)
            assert_string_equal((char *)word[5 + i], envp[i]);
        assert_int_equal(word[7], 0);
        assert_int_equal(p.auxv, (guest_addr)(word + 8));
    }
}

static void arguments_and_environment_are_contiguous(void **state) {
    (void)state;
    char *argv[] = {"ab", "c", NULL}, *envp[] = {"D=e", "F=", NULL};
    build(argv, envp, "/x/ab", 0);
    assert_int_equal(p.arg_end - p.arg_start, 5);
    assert_int_equal(p.env_start, p.arg_end);
    assert_int_equal(p.env_end - p.env_start, 7);
    assert_memory_equal((void *)p.arg_start, "ab\0c\0D=e\0F=\0/x/ab", 18);
    assert_int_equal(auxv(AT_EXECFN), p.env_end);
    /* eight zero bytes end the stack, as the kernel leaves them */
    guest_addr end = (guest_addr)(area + sizeof area);
    assert_int_equal(*(uint64_t *)(end - 8), 0);
    assert_true(p.env_end + 6 <= end - 8);
}

static void auxv_is_what_arm64_linux_gives(void **state) {
    (void)state;
    static const uint64_t order[] = {AT_SYSINFO_EHDR, 51 /* AT_MINSIGSTKSZ */,
                                     AT_HWCAP,        AT_PAGESZ,
                                     AT_CLKTCK,       AT_PHDR,
                                     AT_PHENT,        AT_PHNUM,
                                     AT_BASE,         AT_FLAGS,
                                     AT_ENTRY,        AT_UID,
                                     AT_EUID,         AT_GID,
                                     AT_EGID,         AT_SECURE,
                                     AT_RANDOM,       AT_HWCAP2,
                                     AT_EXECFN,       AT_PLATFORM,
                                     AT_NULL};
    char *argv[] = {"p", NULL}, *envp[] = {NULL};
    build(argv, envp, "p", 0);
    const uint64_t(*pair)[2] = (const void *)p.auxv;
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        assert_int_equal(pair[i][0], order[i]);
    assert_int_equal(p.auxv_bytes, ARRAY_SIZE(order) * 16);
    assert_int_equal(auxv(AT_SYSINFO_EHDR), vdso_base);
    assert_int_equal(auxv(51), 4720);
    assert_int_equal(auxv(AT_HWCAP), GUEST_HWCAP);
    assert_int_equal(auxv(AT_PAGESZ), 4096);
    assert_int_equal(auxv(AT_PHDR), p.phdr);
    assert_int_equal(auxv(AT_PHENT), 56);
    assert_int_equal(auxv(AT_PHNUM), 9);
    assert_int_equal(auxv(AT_BASE), p.interp);
    assert_int_equal(auxv(AT_ENTRY), p.entry);
    assert_int_equal(auxv(AT_UID), 1000);
    assert_int_equal(auxv(AT_EUID), 1001);
    assert_int_equal(auxv(AT_GID), 100);
    assert_int_equal(auxv(AT_EGID), 101);
    assert_int_equal(auxv(AT_SECURE), 0);
    assert_string_equal((char *)auxv(AT_PLATFORM), "aarch64");
    assert_string_equal((char *)auxv(AT_EXECFN), "p");
}

static void random_bytes_differ_and_overlap_nothing(void **state) {
    (void)state;
    char *argv[] = {"p", NULL}, *envp[] = {NULL};
    uint8_t first[16];
    build(argv, envp, "p", 0);
    memcpy(first, (void *)auxv(AT_RANDOM), 16);
    assert_true(auxv(AT_RANDOM) >= p.auxv + p.auxv_bytes &&
                auxv(AT_RANDOM) + 16 <= auxv(AT_PLATFORM));
    assert_true(auxv(AT_PLATFORM) + 8 <= p.arg_start);
    build(argv, envp, "p", 0);
    assert_memory_not_equal(first, (void *)auxv(AT_RANDOM), 16);
}

static void no_arguments_at_all_are_possible(void **state) {
    (void)state;
    char *none[] = {NULL};
    const uint64_t *word = (const uint64_t *)build(none, none, "", 0);
    assert_int_equal(word[0], 0);
    assert_int_equal(word[1], 0);
    assert_int_equal(word[2], 0);
    assert_int_equal(word[3], AT_SYSINFO_EHDR);
}

static void nothing_is_written_below_sp_or_above_the_top(void **state) {
    (void)state;
    char *argv[] = {"p", NULL}, *envp[] = {NULL};
    guest_addr sp = build(argv, envp, "p", 160);
    for (uint8_t *b = area; b < (uint8_t *)sp; b++)
        assert_int_equal(*b, 0xee);
    for (uint8_t *b = area + sizeof area - 160; b < area + sizeof area; b++)
        assert_int_equal(*b, 0xee);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_point_at_the_strings),
        cmocka_unit_test(arguments_and_environment_are_contiguous),
        cmocka_unit_test(auxv_is_what_arm64_linux_gives),
        cmocka_unit_test(random_bytes_differ_and_overlap_nothing),
        cmocka_unit_test(no_arguments_at_all_are_possible),
        cmocka_unit_test(nothing_is_written_below_sp_or_above_the_top),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
