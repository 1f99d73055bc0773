/*
 * test_vdso.c - the guest's vDSO as a program finds it in memory, and the answers to its
 * hypercalls.
 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <time.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "loader/loader.h"
#include "translate/hypercall.h"

/* What guestvdso.c takes from the engine. */
static guest_addr exec_start;
static int stores, loads;

void exec_map_set(guest_addr start, uint64_t bytes, bool exec) {
    assert_true(exec && bytes == PAGE_BYTES);
    exec_start = start;
}

void vregs_store(struct cpu *cpu) {
    (void)cpu;
    stores++;
}

void vregs_load(struct cpu *cpu) {
    (void)cpu;
    loads++;
}

static struct host_start host;
static uint64_t host_words[] = {0, 0, 0, AT_SYSINFO_EHDR, 0, AT_NULL, 0};
static struct cpu cpu;

static int map(void **state) {
    (void)state;
    host_words[4] = getauxval(AT_SYSINFO_EHDR);
    host_start_read(&host, host_words);
    vdso_map(&host);
    return 0;
}

static const void *dynamic(int64_t tag) {
    const Elf64_Ehdr *h = (const void *)vdso_base;
    const Elf64_Phdr *ph = (const void *)(vdso_base + h->e_phoff);
    for (unsigned i = 0; i < h->e_phnum; i++) {
        if (ph[i].p_type != PT_DYNAMIC)
            continue;
        for (const Elf64_Dyn *d = (const void *)(vdso_base + ph[i].p_vaddr); d->d_tag; d++)
            if (d->d_tag == tag)
                return (const void *)(vdso_base + d->d_un.d_ptr);
    }
    fail_msg("no dynamic entry %ld", (long)tag);
    return NULL;
}

/* As libcs look it up: by name, in a DT_HASH table, with the version's index. */
static guest_addr lookup(const char *name) {
    const uint32_t *hash = dynamic(DT_HASH);
    const Elf64_Sym *symbol = dynamic(DT_SYMTAB);
    const char *strings = dynamic(DT_STRTAB);
    const uint16_t *versions = dynamic(DT_VERSYM);
    for (uint32_t i = 1; i < hash[1]; i++)
        if (strcmp(strings + symbol[i].st_name, name) == 0) {
            assert_int_equal(versions[i], 2);
            assert_int_equal(ELF64_ST_TYPE(symbol[i].st_info), STT_FUNC);
            return vdso_base + symbol[i].st_value;
        }
    fail_msg("no symbol %s", name);
    return 0;
}

static void it_is_one_executable_page(void **state) {
    (void)state;
    assert_int_equal(vdso_base % PAGE_BYTES, 0);
    assert_int_equal(exec_start, vdso_base);
    assert_memory_equal((void *)vdso_base, ELFMAG, SELFMAG);
    assert_int_equal(((const Elf64_Ehdr *)vdso_base)->e_machine, EM_AARCH64);
    assert_true(vdso_contains(vdso_base) && vdso_contains(vdso_base + PAGE_BYTES - 1));
    assert_false(vdso_contains(vdso_base - 1) || vdso_contains(vdso_base + PAGE_BYTES));
}

static void all_functions_are_there_under_their_version(void **state) {
    (void)state;
    lookup("__kernel_clock_gettime");
    lookup("__kernel_clock_getres");
    lookup("__kernel_gettimeofday");
    assert_int_equal(lookup("__kernel_rt_sigreturn"), vdso_sigreturn);
    const Elf64_Verdef *def = dynamic(DT_VERDEF);
    def = (const void *)((const char *)def + def->vd_next);
    const Elf64_Verdaux *aux = (const void *)((const char *)def + def->vd_aux);
    assert_string_equal((const char *)dynamic(DT_STRTAB) + aux->vda_name, "LINUX_2.6.39");
}

static void sigreturn_is_the_code_unwinders_look_for(void **state) {
    (void)state;
    const uint32_t *code = (const uint32_t *)vdso_sigreturn;
    assert_int_equal(code[-1], 0xd503201f); /* nop */
    assert_int_equal(code[0], 0xd2801168);  /* mov x8, #0x8b */
    assert_int_equal(code[1], 0xd4000001);  /* svc #0 */
}

/* An FDE that covered it (or the NOP, where unwinders look) would be used instead, and lose the
 * interrupted pc. */
static void sigreturn_has_no_unwind_rules_of_its_own(void **state) {
    (void)state;
    const Elf64_Ehdr *h = (const void *)vdso_base;
    const Elf64_Phdr *ph = (const void *)(vdso_base + h->e_phoff);
    const uint8_t *table = NULL;
    for (unsigned i = 0; i < h->e_phnum; i++)
        if (ph[i].p_type == PT_GNU_EH_FRAME)
            table = (const uint8_t *)vdso_base + ph[i].p_vaddr;
    assert_non_null(table);
    assert_memory_equal(table, "\x01\x1b\x03\x3b", 4); /* offsets relative to the table */
    const int32_t *word = (const int32_t *)table;
    assert_int_equal(word[2], 3);
    for (int i = 0; i < word[2]; i++) {
        const uint8_t *start = table + word[3 + 2 * i], *fde = table + word[4 + 2 * i];
        uint32_t bytes;
        memcpy(&bytes, fde + 12, sizeof bytes);
        assert_true((guest_addr)start >= vdso_base &&
                    (guest_addr)start + bytes <= vdso_sigreturn - 4);
    }
}

static int64_t ask(uint64_t immediate, uint64_t x0) {
    memset(&cpu, 0, sizeof cpu);
    for (int i = 0; i < 31; i++)
        cpu.x[i] = 0x1000 + (uint64_t)i;
    cpu.x[0] = x0;
    stores = loads = 0;
    vdso_hypercall(&cpu, immediate);
    assert_int_equal(stores, 1);
    assert_int_equal(loads, 1);
    for (int i = 4; i < 31; i++)
        assert_int_equal(cpu.x[i], 0x1000 + i);
    assert_int_equal(cpu.x[1], 0x1001);
    return (int64_t)cpu.x[0];
}

static void time_comes_from_the_host(void **state) {
    (void)state;
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(ask(HYPERCALL_CLOCK_GETTIME, CLOCK_MONOTONIC), 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    uint64_t got = cpu.x[2] * 1000000000 + cpu.x[3];
    assert_true(got >= (uint64_t)before.tv_sec * 1000000000 + (uint64_t)before.tv_nsec);
    assert_true(got <= (uint64_t)after.tv_sec * 1000000000 + (uint64_t)after.tv_nsec);

    assert_int_equal(ask(HYPERCALL_CLOCK_GETRES, CLOCK_REALTIME), 0);
    clock_getres(CLOCK_REALTIME, &before);
    assert_int_equal(cpu.x[3], before.tv_nsec);

    struct timeval day;
    gettimeofday(&day, NULL);
    assert_int_equal(ask(HYPERCALL_GETTIMEOFDAY, 0xdead), 0);
    assert_true(cpu.x[2] - (uint64_t)day.tv_sec <= 1 && cpu.x[3] < 1000000);
}

static void a_bad_clock_is_left_to_the_system_call(void **state) {
    (void)state;
    assert_int_equal(ask(HYPERCALL_CLOCK_GETTIME, 12345), -EINVAL);
    assert_int_equal(cpu.x[2], 0x1002);
    assert_int_equal(ask(0xe1ff, 0), -ENOSYS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_one_executable_page),
        cmocka_unit_test(all_functions_are_there_under_their_version),
        cmocka_unit_test(sigreturn_is_the_code_unwinders_look_for),
        cmocka_unit_test(sigreturn_has_no_unwind_rules_of_its_own),
        cmocka_unit_test(time_comes_from_the_host),
        cmocka_unit_test(a_bad_clock_is_left_to_the_system_call),
    };
    return cmocka_run_group_tests(tests, map, NULL);
}
