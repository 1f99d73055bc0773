/*
 * hwcap.h - the CPU features the guest is told of. A bit is set here only when every instruction it
 * promises is complete. Bit numbers: the arm64 kernel's uapi asm/hwcap.h.
 */
#ifndef ELFUSE_HWCAP_H
#define ELFUSE_HWCAP_H

#define HWCAP_FP      (1ull << 0)
#define HWCAP_ASIMD   (1ull << 1)
#define HWCAP_CRC32   (1ull << 7)
#define HWCAP_ATOMICS (1ull << 8)
#define HWCAP_CPUID   (1ull << 11)

#define GUEST_HWCAP  (HWCAP_FP | HWCAP_ASIMD | HWCAP_CRC32 | HWCAP_ATOMICS | HWCAP_CPUID)
#define GUEST_HWCAP2 0ull

#endif
