/* mm.h - the guest's address space: what other files of src/linux ask of mm.c. */
#ifndef ELFUSE_LINUX_MM_H
#define ELFUSE_LINUX_MM_H

#include "base/base.h"

/* True when [start, end) lies between the first and the present break. */
bool mm_is_heap(guest_addr start, guest_addr end);
/* The guest changed its personality: READ_IMPLIES_EXEC may have changed. */
void mm_personality(uint32_t persona);

#endif
