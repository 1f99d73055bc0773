/*
 * idregs.h - the identification registers the guest sees, as Linux shows them to EL0
 * (Documentation/arch/arm64/ cpu-feature-registers.rst): fields that are not for user space read as
 * "not implemented".
 *
 * The part is a Neoverse N1: for it glibc picks the memory functions that move 16-byte registers.
 */
#ifndef ELFUSE_TRANSLATE_IDREGS_H
#define ELFUSE_TRANSLATE_IDREGS_H

#include "base/base.h"

#define GUEST_CPU_IMPLEMENTER 0x41u
#define GUEST_CPU_VARIANT     3u
#define GUEST_CPU_PART        0xd0cu
#define GUEST_CPU_REVISION    1u
#define GUEST_MIDR                                                                              \
    (GUEST_CPU_IMPLEMENTER << 24 | GUEST_CPU_VARIANT << 20 | 0xfu << 16 | GUEST_CPU_PART << 4 | \
     GUEST_CPU_REVISION)

/* CTR_EL0: 64-byte lines of instruction and data caches; IDC: no data cache maintenance is needed
 * to make written code visible, IC IVAU is (it is what tells the translator). */
#define GUEST_CTR 0x9444c004u
/* DCZID_EL0: DC ZVA zeroes 64 bytes. */
#define GUEST_DCZID 4u
/* The counter counts nanoseconds. */
#define GUEST_CNTFRQ 1000000000u

/* The value of the register with op0 = 3, op1 = 0, CRn = 0. False: reading it is undefined. */
bool id_register(unsigned crm, unsigned op2, uint64_t *value);

#endif
