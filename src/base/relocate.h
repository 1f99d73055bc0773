/*
 * relocate.h - self-relocation of the static-pie image.
 */
#ifndef ELFUSE_RELOCATE_H
#define ELFUSE_RELOCATE_H

#include <stdint.h>

/*
 * Applies the relative relocations of the image whose ELF header is at image_base and whose
 * segments are mapped, writable, at their addresses relative to it. Relocations carry their addends
 * (RELA), so this may be done again, and to a copy of an image that was relocated for another
 * address.
 */
void relocate(uint8_t *image_base);

/* The ELF header of the image this code runs in. */
uint8_t *image_self(void);

/* src/main.c: the program. initial_stack points at argc as the kernel laid it out. Returns the exit
 * status. */
int main_start(uint64_t *initial_stack);

#endif
