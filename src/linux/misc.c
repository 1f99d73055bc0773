/*
 * misc.c - calls that tell what machine this is: uname, personality, prctl.
 */
#include <linux/prctl.h>

#include "base/hostcall.h"
#include "linux/mm.h"
#include "linux/syscalls.h"
#include "loader/loader.h"

/* ---- uname ---- */

struct utsname {
    char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

SYSCALL(uname) {
    (void)t;
    struct utsname u;
    int64_t r = hostcall(__NR_uname, &u);
    if (r)
        return r;
    memset(u.machine, 0, sizeof(u.machine));
    str_copy(u.machine, "aarch64", sizeof(u.machine));
    return copy_to_guest(a[0], &u, sizeof(u));
}

/* ---- personality ---- */

#define PER_MASK    0xff
#define PER_LINUX32 8

SYSCALL(personality) {
    (void)t;
    uint32_t persona = (uint32_t)a[0];
    if (persona != 0xffffffff && (persona & PER_MASK) == PER_LINUX32)
        return -EINVAL; /* arch/arm64/kernel/sys.c, on a CPU without AArch32 */
    int64_t r = hostcall(__NR_personality, persona);
    if (!host_failed(r) && persona != 0xffffffff)
        mm_personality(persona);
    return r;
}

/* ---- prctl ---- */

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif
#ifndef PR_TIMER_CREATE_RESTORE_IDS
#define PR_TIMER_CREATE_RESTORE_IDS 77
#endif
#ifndef PR_FUTEX_HASH
#define PR_FUTEX_HASH 78
#endif
#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/*
 * Options that mean the same on both architectures. Those not here are EINVAL: options of other
 * architectures, of arm64 features this CPU does not have (SVE, SME, PAC keys, MTE), seccomp (see
 * syscalls.def), and those that would act on the runtime's own code as well: PR_SET_TSC,
 * PR_SET_SYSCALL_USER_DISPATCH, PR_SET_MDWE.
 */
static bool is_common_option(int option) {
    switch (option) {
    case PR_SET_PDEATHSIG:
    case PR_GET_PDEATHSIG:
    case PR_GET_DUMPABLE:
    case PR_SET_DUMPABLE:
    case PR_GET_KEEPCAPS:
    case PR_SET_KEEPCAPS:
    case PR_GET_TIMING:
    case PR_SET_TIMING:
    case PR_SET_NAME:
    case PR_GET_NAME:
    case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP:
    case PR_GET_SECUREBITS:
    case PR_SET_SECUREBITS:
    case PR_SET_TIMERSLACK:
    case PR_GET_TIMERSLACK:
    case PR_TASK_PERF_EVENTS_DISABLE:
    case PR_TASK_PERF_EVENTS_ENABLE:
    case PR_MCE_KILL:
    case PR_MCE_KILL_GET:
    case PR_SET_MM:
    case PR_SET_PTRACER:
    case PR_SET_CHILD_SUBREAPER:
    case PR_GET_CHILD_SUBREAPER:
    case PR_SET_NO_NEW_PRIVS:
    case PR_GET_NO_NEW_PRIVS:
    case PR_GET_TID_ADDRESS:
    case PR_SET_THP_DISABLE:
    case PR_GET_THP_DISABLE:
    case PR_CAP_AMBIENT:
    case PR_GET_SPECULATION_CTRL:
    case PR_SET_SPECULATION_CTRL:
    case PR_SET_IO_FLUSHER:
    case PR_GET_IO_FLUSHER:
    case PR_SCHED_CORE:
    case PR_SET_VMA:
    case PR_SET_MEMORY_MERGE:
    case PR_GET_MEMORY_MERGE:
    case PR_TIMER_CREATE_RESTORE_IDS:
    case PR_FUTEX_HASH:
        return true;
    default:
        return false;
    }
}

/* arch/arm64/kernel/process.c, on a CPU without MTE: only PR_TAGGED_ADDR_ENABLE exists. */
static int64_t set_tagged_addresses(const uint64_t *a) {
    if ((a[1] & ~(uint64_t)PR_TAGGED_ADDR_ENABLE) || a[2] || a[3] || a[4])
        return -EINVAL;
    tagged_addresses = a[1] & PR_TAGGED_ADDR_ENABLE;
    return 0;
}

SYSCALL(prctl) {
    int option = (int)a[0];
    switch (option) {
    case PR_SET_TAGGED_ADDR_CTRL:
        return set_tagged_addresses(a);
    case PR_GET_TAGGED_ADDR_CTRL:
        if (a[1] || a[2] || a[3] || a[4])
            return -EINVAL;
        return tagged_addresses ? PR_TAGGED_ADDR_ENABLE : 0;
    case PR_GET_AUXV: { /* the guest's, where it stands on its stack */
        if (a[3] || a[4])
            return -EINVAL;
        uint64_t n = MIN(a[2], program.auxv_bytes);
        return copy_to_guest(a[1], (const void *)program.auxv, n) ? -EFAULT
                                                                  : (int64_t)program.auxv_bytes;
    }
    default:
        return is_common_option(option)
                   ? guest_syscall(t, __NR_prctl, a[0], a[1], a[2], a[3], a[4], 0)
                   : -EINVAL;
    }
}
