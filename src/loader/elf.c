/*
 * elf.c - the ELF parser. See elf.h for what it promises.
 */
#include "loader/elf.h"

bool elf_magic(const void *head, uint64_t bytes) {
    return bytes >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

static const char *check_header(const Elf64_Ehdr *h) {
    if (h->e_ident[EI_CLASS] != ELFCLASS64)
        return "not a 64-bit ELF file";
    if (h->e_ident[EI_DATA] != ELFDATA2LSB)
        return "not a little-endian ELF file";
    if (h->e_machine != EM_AARCH64 && h->e_machine != EM_X86_64)
        return "an ELF file for neither AArch64 nor x86-64";
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
        return "an ELF file that is not a program (object file or core dump)";
    return NULL;
}

const char *elf_identify(const void *head, uint64_t bytes, uint16_t *machine) {
    Elf64_Ehdr h;
    if (!elf_magic(head, bytes))
        return "not an ELF file";
    if (bytes < sizeof h)
        return "truncated: no complete ELF header";
    memcpy(&h, head, sizeof h);
    *machine = h.e_machine;
    return check_header(&h);
}

/* Everything a loader computes from the segment: none of it may wrap or leave the address space. */
static const char *check_load(const Elf64_Phdr *p, uint64_t file_bytes) {
    if (p->p_filesz > p->p_memsz)
        return "damaged: a segment is larger in the file than in memory";
    if (p->p_vaddr >= ELF_ADDRESS_LIMIT || p->p_memsz > ELF_ADDRESS_LIMIT - p->p_vaddr)
        return "damaged: a segment lies outside the address space";
    if (!p->p_filesz)
        return NULL;
    if (p->p_offset % PAGE_BYTES != p->p_vaddr % PAGE_BYTES)
        return "damaged: a segment is not page-aligned in the file";
    if (p->p_offset > file_bytes || p->p_filesz > file_bytes - p->p_offset)
        return "truncated: a segment reaches beyond the end of the file";
    return NULL;
}

static void add_load(struct elf_file *elf, const Elf64_Phdr *p, uint64_t phoff) {
    elf->low = MIN(elf->low, ALIGN_DOWN(p->p_vaddr, PAGE_BYTES));
    elf->high = MAX(elf->high, ALIGN_UP(p->p_vaddr + p->p_memsz, PAGE_BYTES));
    /* maximum_alignment() of the kernel: a value that is not a power of two is ignored. */
    if (p->p_align && (p->p_align & (p->p_align - 1)) == 0)
        elf->align = MAX(elf->align, p->p_align);
    if (p->p_offset <= phoff && phoff < p->p_offset + p->p_filesz)
        elf->phdr_vaddr = phoff - p->p_offset + p->p_vaddr;
}

static const char *add_interp(struct elf_file *elf, const Elf64_Phdr *p, uint64_t file_bytes) {
    if (elf->interp_bytes)
        return NULL; /* Linux takes the first */
    if (p->p_filesz < 2 || p->p_filesz > 4096)
        return "damaged: bad interpreter name";
    if (p->p_offset > file_bytes || p->p_filesz > file_bytes - p->p_offset)
        return "truncated: no interpreter name";
    elf->interp_offset = p->p_offset;
    elf->interp_bytes = (uint32_t)p->p_filesz;
    return NULL;
}

const char *elf_parse(struct elf_file *elf, Elf64_Phdr table[ELF_MAX_PHDRS], uint64_t file_bytes,
                      elf_read_fn *read, void *context) {
    Elf64_Ehdr h;
    memset(elf, 0, sizeof *elf);
    int64_t got = read(context, 0, &h, sizeof h);
    if (got < 0)
        return "cannot be read";
    const char *error = elf_identify(&h, (uint64_t)got, &elf->machine);
    if (error)
        return error;
    if (h.e_machine == EM_X86_64)
        return NULL;
    elf->type = h.e_type;
    elf->entry = h.e_entry;
    elf->phnum = h.e_phnum;
    elf->low = UINT64_MAX;
    elf->align = PAGE_BYTES;
    if (h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phnum == 0 || h.e_phnum > ELF_MAX_PHDRS)
        return "damaged: bad program header table";
    uint64_t bytes = h.e_phnum * sizeof(Elf64_Phdr);
    if (h.e_phoff > file_bytes || bytes > file_bytes - h.e_phoff)
        return "truncated: no complete program header table";
    if (read(context, h.e_phoff, table, bytes) != (int64_t)bytes)
        return "cannot be read";

    for (unsigned i = 0; i < h.e_phnum && !error; i++) {
        const Elf64_Phdr *p = &table[i];
        if (p->p_type == PT_LOAD) {
            error = check_load(p, file_bytes);
            if (!error && p->p_memsz)
                add_load(elf, p, h.e_phoff);
        } else if (p->p_type == PT_INTERP) {
            error = add_interp(elf, p, file_bytes);
        } else if (p->p_type == PT_GNU_STACK) {
            elf->stack_executable = p->p_flags & PF_X;
        }
    }
    if (!error && elf->high <= elf->low)
        error = "damaged: nothing to load";
    if (!error && elf->align > ELF_ADDRESS_LIMIT / 2)
        elf->align = PAGE_BYTES; /* cannot be honoured */
    return error;
}
