/*
 * relocate.c - the static-pie relocates itself, and copies of itself.
 *
 * There is no dynamic linker: the only relocations the linker leaves in a static-pie without
 * symbols to resolve are R_X86_64_RELATIVE. start_c and relocate run before they are applied, so
 * they use no pointer stored in data (the compiler reaches everything here relative to RIP).
 */
#include "base/relocate.h"

#include <elf.h>

#include "base/base.h"
#include "base/hostcall.h"

extern uint8_t __ehdr_start[] __attribute__((visibility("hidden")));
NORETURN void start_c(uint64_t *initial_stack);

uint8_t *image_self(void) {
    return __ehdr_start;
}

void relocate(uint8_t *image_base) {
    const Elf64_Ehdr *ehdr = (const Elf64_Ehdr *)image_base;
    const Elf64_Phdr *phdr = (const Elf64_Phdr *)(image_base + ehdr->e_phoff);
    const Elf64_Dyn *dyn = NULL;
    for (unsigned i = 0; i < ehdr->e_phnum; i++)
        if (phdr[i].p_type == PT_DYNAMIC)
            dyn = (const Elf64_Dyn *)(image_base + phdr[i].p_vaddr);
    if (!dyn)
        return;

    const Elf64_Rela *rela = NULL;
    uint64_t bytes = 0;
    for (; dyn->d_tag != DT_NULL; dyn++) {
        if (dyn->d_tag == DT_RELA)
            rela = (const Elf64_Rela *)(image_base + dyn->d_un.d_ptr);
        else if (dyn->d_tag == DT_RELASZ)
            bytes = dyn->d_un.d_val;
    }
    for (uint64_t i = 0; rela && i < bytes / sizeof *rela; i++) {
        if (ELF64_R_TYPE(rela[i].r_info) != R_X86_64_RELATIVE)
            __builtin_trap(); /* the link is wrong: nothing can be reported yet */
        *(uint64_t *)(image_base + rela[i].r_offset) =
            (uint64_t)image_base + (uint64_t)rela[i].r_addend;
    }
}

NORETURN void start_c(uint64_t *initial_stack) {
    relocate(__ehdr_start);
    int code = main_start(initial_stack);
    for (;;)
        hostcall(__NR_exit_group, code);
}
