/*
 * fuzz_elf.c - libFuzzer target: elf_parse over any bytes reads only what it was given, and what it
 * accepts keeps the promises a loader relies on (no overflow, no segment outside the file or the
 * address space).
 */
#include <stdlib.h>

#include "loader/elf.h"

#define REQUIRE(e)   \
    do {             \
        if (!(e))    \
            abort(); \
    } while (0)

struct bytes {
    const uint8_t *data;
    size_t size;
};

static int64_t read_bytes(void *context, uint64_t offset, void *dst, uint64_t bytes) {
    const struct bytes *b = context;
    if (offset >= b->size)
        return 0;
    uint64_t n = MIN(bytes, b->size - offset);
    memcpy(dst, b->data + offset, n);
    return (int64_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes b = {data, size};
    struct elf_file elf;
    uint16_t machine;
    elf_identify(data, size, &machine);

    Elf64_Phdr *table = malloc(ELF_MAX_PHDRS * sizeof *table);
    const char *why = elf_parse(&elf, table, size, read_bytes, &b);
    if (!why && elf.machine == EM_AARCH64) {
        uint64_t covered = 0;
        REQUIRE(elf.low < elf.high && elf.high <= ELF_ADDRESS_LIMIT + PAGE_BYTES);
        REQUIRE(elf.low % PAGE_BYTES == 0 && elf.high % PAGE_BYTES == 0);
        REQUIRE(elf.phnum >= 1 && elf.phnum <= ELF_MAX_PHDRS);
        REQUIRE((elf.align & (elf.align - 1)) == 0 && elf.align >= PAGE_BYTES);
        REQUIRE(elf.interp_offset + elf.interp_bytes <= size && elf.interp_bytes <= 4096);
        for (unsigned i = 0; i < elf.phnum; i++) {
            const Elf64_Phdr *p = &table[i];
            if (p->p_type != PT_LOAD || !p->p_memsz)
                continue;
            REQUIRE(p->p_vaddr >= elf.low && p->p_vaddr + p->p_memsz <= elf.high &&
                    p->p_filesz <= p->p_memsz);
            REQUIRE(!p->p_filesz || p->p_offset + p->p_filesz <= size);
            covered |= p->p_memsz;
        }
        REQUIRE(covered);
    }
    free(table);
    return 0;
}
