/*
 * test_elf.c - what the ELF parser accepts and refuses. `elf --seeds DIR` writes the valid samples
 * for the fuzzer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/elf.h"

/* A sample: header, program headers, then content. Tests change one field of a valid one. */
struct sample {
    Elf64_Ehdr h;
    Elf64_Phdr p[5];
    char interp[32];
    uint8_t rest[0x3000];
};

static struct sample s;
static struct elf_file elf;
static Elf64_Phdr table[ELF_MAX_PHDRS];
static uint64_t longest_read;

static int64_t read_sample(void *context, uint64_t offset, void *dst, uint64_t bytes) {
    uint64_t size = *(uint64_t *)context;
    longest_read = MAX(longest_read, bytes);
    if (offset >= size)
        return 0;
    uint64_t n = MIN(bytes, size - offset);
    memcpy(dst, (uint8_t *)&s + offset, n);
    return (int64_t)n;
}

static const char *parse_bytes(uint64_t size) {
    return elf_parse(&elf, table, size, read_sample, &size);
}

static const char *parse(void) {
    return parse_bytes(sizeof s);
}

static int make_sample(void **state) {
    (void)state;
    memset(&s, 0, sizeof s);
    memcpy(s.h.e_ident, ELFMAG, SELFMAG);
    s.h.e_ident[EI_CLASS] = ELFCLASS64;
    s.h.e_ident[EI_DATA] = ELFDATA2LSB;
    s.h.e_ident[EI_VERSION] = EV_CURRENT;
    s.h.e_type = ET_DYN;
    s.h.e_machine = EM_AARCH64;
    s.h.e_entry = 0x1234;
    s.h.e_phoff = offsetof(struct sample, p);
    s.h.e_phentsize = sizeof(Elf64_Phdr);
    s.h.e_phnum = ARRAY_SIZE(s.p);
    strcpy(s.interp, "/lib/ld-linux-aarch64.so.1");
    s.p[0] = (Elf64_Phdr){
        .p_type = PT_PHDR, .p_offset = 64, .p_vaddr = 64, .p_filesz = 280, .p_memsz = 280};
    s.p[1] = (Elf64_Phdr){.p_type = PT_INTERP,
                          .p_offset = offsetof(struct sample, interp),
                          .p_filesz = strlen(s.interp) + 1};
    s.p[2] = (Elf64_Phdr){.p_type = PT_LOAD,
                          .p_flags = PF_R | PF_X,
                          .p_filesz = 0x1800,
                          .p_memsz = 0x1800,
                          .p_align = 0x10000};
    s.p[3] = (Elf64_Phdr){.p_type = PT_LOAD,
                          .p_flags = PF_R | PF_W,
                          .p_offset = 0x1900,
                          .p_vaddr = 0x11900,
                          .p_filesz = 0x500,
                          .p_memsz = 0x5000,
                          .p_align = 0x10000};
    s.p[4] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W};
    return 0;
}

static void a_pie_is_described(void **state) {
    (void)state;
    assert_null(parse());
    assert_int_equal(elf.machine, EM_AARCH64);
    assert_int_equal(elf.type, ET_DYN);
    assert_int_equal(elf.entry, 0x1234);
    assert_int_equal(elf.low, 0);
    assert_int_equal(elf.high, 0x17000);
    assert_int_equal(elf.align, 0x10000);
    assert_int_equal(elf.phdr_vaddr, 64);
    assert_int_equal(elf.interp_bytes, 27);
    assert_string_equal((char *)&s + elf.interp_offset, "/lib/ld-linux-aarch64.so.1");
    assert_false(elf.stack_executable);
}

static void a_fixed_program_without_interpreter_is_described(void **state) {
    (void)state;
    s.h.e_type = ET_EXEC;
    s.p[1].p_type = PT_NULL;
    s.p[2].p_vaddr = 0x400000;
    s.p[3].p_vaddr = 0x411900;
    s.p[4].p_flags = PF_R | PF_W | PF_X;
    assert_null(parse());
    assert_int_equal(elf.low, 0x400000);
    assert_int_equal(elf.high, 0x417000);
    assert_int_equal(elf.phdr_vaddr, 0x400040);
    assert_int_equal(elf.interp_bytes, 0);
    assert_true(elf.stack_executable);
}

static void an_x86_64_file_is_only_recognised(void **state) {
    (void)state;
    s.h.e_machine = EM_X86_64;
    s.h.e_phnum = 0xffff;
    assert_null(parse());
    assert_int_equal(elf.machine, EM_X86_64);
}

#define REFUSED(phrase)                        \
    do {                                       \
        const char *why_ = parse();            \
        assert_non_null(why_);                 \
        assert_non_null(strstr(why_, phrase)); \
    } while (0)

static void a_file_of_another_kind_is_named(void **state) {
    (void)state;
    s.h.e_machine = EM_ARM;
    REFUSED("neither AArch64 nor x86-64");
    s.h.e_machine = EM_AARCH64;
    s.h.e_ident[EI_CLASS] = ELFCLASS32;
    REFUSED("64-bit");
    s.h.e_ident[EI_CLASS] = ELFCLASS64;
    s.h.e_ident[EI_DATA] = ELFDATA2MSB;
    REFUSED("little-endian");
    s.h.e_ident[EI_DATA] = ELFDATA2LSB;
    s.h.e_type = ET_REL;
    REFUSED("not a program");
    s.h.e_type = ET_CORE;
    REFUSED("not a program");
    memcpy(&s, "hello world", 11);
    REFUSED("not an ELF file");
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    uint64_t whole = s.p[3].p_offset + s.p[3].p_filesz;
    assert_null(parse_bytes(whole));
    for (uint64_t size = 0; size < whole; size++)
        assert_non_null(parse_bytes(size));
}

static void bad_program_header_tables_are_refused(void **state) {
    (void)state;
    static const uint16_t counts[] = {0, ELF_MAX_PHDRS + 1, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
        s.h.e_phnum = counts[i];
        REFUSED("damaged");
    }
    s.h.e_phnum = ELF_MAX_PHDRS;
    REFUSED("truncated");
    s.h.e_phnum = 5;
    s.h.e_phentsize = 55;
    REFUSED("damaged");
    s.h.e_phentsize = sizeof(Elf64_Phdr);
    static const uint64_t offsets[] = {UINT64_MAX, UINT64_MAX - 279, sizeof s, sizeof s - 279,
                                       1ull << 63};
    for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
        s.h.e_phoff = offsets[i];
        REFUSED("truncated");
    }
    assert_true(longest_read <= sizeof table);
}

static void segments_that_wrap_or_leave_the_address_space_are_refused(void **state) {
    (void)state;
    static const struct {
        uint64_t vaddr, memsz;
    } bad[] = {
        {UINT64_MAX - 0xfff, 0x2000},
        {0x7ffffffff000, 0x1800},
        {0x11000, UINT64_MAX - 0x10fff},
        {0x11000, 0x7fffffffffff},
        {1ull << 63, 0x1800},
        {0x7fffffffe000, 0x1800},
        {0xffff800000000000, 0x7fffffffffff},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        s.p[2].p_vaddr = bad[i].vaddr;
        s.p[2].p_memsz = bad[i].memsz;
        REFUSED("address space");
    }
}

static void segments_that_contradict_the_file_are_refused(void **state) {
    (void)state;
    s.p[3].p_memsz = s.p[3].p_filesz - 1;
    REFUSED("larger in the file");
    make_sample(NULL);
    s.p[3].p_vaddr += 8;
    REFUSED("page-aligned");
    make_sample(NULL);
    s.p[3].p_offset = UINT64_MAX - 0x6ff;
    REFUSED("truncated");
    make_sample(NULL);
    s.p[3].p_filesz = s.p[3].p_memsz = 0x100000;
    REFUSED("truncated");
    make_sample(NULL);
    s.p[2].p_type = s.p[3].p_type = PT_NULL;
    REFUSED("nothing to load");
    make_sample(NULL);
    s.p[2].p_filesz = s.p[2].p_memsz = s.p[3].p_filesz = s.p[3].p_memsz = 0;
    s.p[2].p_vaddr = s.p[3].p_vaddr = 0x1000;
    REFUSED("nothing to load");
}

static void bad_interpreter_names_are_refused(void **state) {
    (void)state;
    static const uint64_t sizes[] = {0, 1, 4097, UINT64_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        s.p[1].p_filesz = sizes[i];
        REFUSED("interpreter");
    }
    s.p[1].p_filesz = 27;
    s.p[1].p_offset = UINT64_MAX - 3;
    REFUSED("interpreter");
}

static void odd_alignments_are_ignored(void **state) {
    (void)state;
    static const uint64_t odd[] = {0, 1, 3, 0x1001, 1ull << 63, UINT64_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
        s.p[2].p_align = s.p[3].p_align = odd[i];
        assert_null(parse());
        assert_int_equal(elf.align, PAGE_BYTES);
    }
}

static void bss_only_segments_need_no_file(void **state) {
    (void)state;
    s.p[3].p_filesz = 0;
    s.p[3].p_offset = UINT64_MAX;
    assert_null(parse());
    assert_int_equal(elf.high, 0x17000);
}

static int write_seeds(const char *directory) {
    static const char *const names[] = {"pie", "exec"};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        char path[4096];
        make_sample(NULL);
        if (i) {
            s.h.e_type = ET_EXEC;
            s.p[1].p_type = PT_NULL;
        }
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        FILE *f = fopen(path, "w");
        if (!f || fwrite(&s, sizeof s, 1, f) != 1 || fclose(f)) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
        return write_seeds(argv[2]);
#define TEST(name) cmocka_unit_test_setup(name, make_sample)
    const struct CMUnitTest tests[] = {
        TEST(a_pie_is_described),
        TEST(a_fixed_program_without_interpreter_is_described),
        TEST(an_x86_64_file_is_only_recognised),
        TEST(a_file_of_another_kind_is_named),
        TEST(every_truncation_is_refused),
        TEST(bad_program_header_tables_are_refused),
        TEST(segments_that_wrap_or_leave_the_address_space_are_refused),
        TEST(segments_that_contradict_the_file_are_refused),
        TEST(bad_interpreter_names_are_refused),
        TEST(odd_alignments_are_ignored),
        TEST(bss_only_segments_need_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
