/*
 * elf.h - what an ELF file asks of a loader, read from untrusted bytes.
 *
 * elf_parse is a pure function over a read callback: it allocates nothing, never reads outside what
 * the callback gives, and accepts a file only when every later step of loading it is free of
 * arithmetic overflow. Acceptance is Linux's (fs/binfmt_elf.c), except that a segment which reaches
 * beyond the end of the file is refused as truncated instead of ending in SIGBUS.
 */
#ifndef ELFUSE_ELF_H
#define ELFUSE_ELF_H

#include <elf.h>

#include "base/base.h"

/* Linux takes a program header table of at most 64 KiB. */
#define ELF_MAX_PHDRS (65536 / sizeof(Elf64_Phdr))
/* User addresses end here on an arm64 kernel with 47 usable bits on the host. */
#define ELF_ADDRESS_LIMIT 0x7ffffffff000ull

/* Reads up to bytes at offset: returns the number read (less only at the end of the file) or
 * -errno. */
typedef int64_t elf_read_fn(void *context, uint64_t offset, void *dst, uint64_t bytes);

struct elf_file {
    uint16_t machine; /* EM_AARCH64, or EM_X86_64: then nothing below is set */
    uint16_t type;    /* ET_EXEC or ET_DYN */
    uint16_t phnum;
    uint64_t entry;
    uint64_t phdr_vaddr; /* of the program header table in memory; 0 when no segment holds it */
    uint64_t low, high;  /* page-aligned extent of all PT_LOAD segments */
    uint64_t align;      /* greatest p_align of a PT_LOAD that is a power of two, at least a page */
    bool stack_executable;
    uint64_t interp_offset;
    uint32_t interp_bytes; /* with its NUL; 0: no interpreter */
};

/*
 * Reads the header of a file of file_bytes bytes and its program headers, those in table. Returns
 * NULL, or a phrase that says what is wrong with the file ("truncated", ...).
 */
const char *elf_parse(struct elf_file *elf, Elf64_Phdr table[ELF_MAX_PHDRS], uint64_t file_bytes,
                      elf_read_fn *read, void *context);

/* True when the first bytes of a file are an ELF file's. */
bool elf_magic(const void *head, uint64_t bytes);
/* Judges a file by its first bytes (64 are enough): NULL and its machine, or what is wrong with it.
 */
const char *elf_identify(const void *head, uint64_t bytes, uint16_t *machine);

#endif
