/*
 * hwcap.h - the CPU features the guest is told of. A bit is set here only when every instruction it
 * promises is complete. Bit numbers: the arm64 kernel's uapi asm/hwcap.h.
 */
#ifndef ELFUSE_HWCAP_H
#define ELFUSE_HWCAP_H

#define HWCAP_FP      (1ull << 0)
#define HWCAP_ASIMD   (1ull << 1)
#define HWCAP_AES     (1ull << 3)
#define HWCAP_PMULL   (1ull << 4)
#define HWCAP_SHA1    (1ull << 5)
#define HWCAP_SHA2    (1ull << 6)
#define HWCAP_CRC32   (1ull << 7)
#define HWCAP_ATOMICS (1ull << 8)
#define HWCAP_CPUID   (1ull << 11)
#define HWCAP_JSCVT   (1ull << 13)
#define HWCAP_ASIMDDP (1ull << 20)

#define GUEST_HWCAP                                                                             \
    (HWCAP_FP | HWCAP_ASIMD | HWCAP_AES | HWCAP_PMULL | HWCAP_SHA1 | HWCAP_SHA2 | HWCAP_CRC32 | \
     HWCAP_ATOMICS | HWCAP_CPUID | HWCAP_JSCVT | HWCAP_ASIMDDP)
#define GUEST_HWCAP2 0ull

#endif
