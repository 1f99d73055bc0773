/*
 * cpu.h - a guest thread's CPU state, as translated code, stubs and C see it.
 *
 * While guest code runs, RBP = (char *)cpu + CPU_BIAS, so that X0-X30 and SP lie at [rbp-128 ..
 * rbp+127] and are reached with a one-byte displacement. Pinned X registers (host_x below) live in
 * host registers while guest code runs and in cpu->x while C runs; the others live in cpu->x
 * always. Pinned V registers live in XMM registers always, also while C runs, for C is compiled not
 * to touch them; the others live in cpu->v. vregs_store/vregs_load (engine/stubs.S) move the pinned
 * ones between XMM and cpu->v for the few places that want all of them in memory (signal frames).
 *
 * NZCV in memory is in the form `lahf; seto al` leaves in AX: bit 0 = V; bit 8 = C (ARM's sense),
 * bit 14 = Z, bit 15 = N. Other bits are arbitrary. nzcv_pack/nzcv_unpack convert to PSTATE's
 * bits 31..28.
 *
 * Host register roles in translated code: RBP cpu, RSP the shadow stack (host return addresses of
 * guest calls, nothing else), RAX RCX RDX scratch, the rest pinned; XMM13-XMM15 scratch, XMM0-XMM12
 * pinned.
 */
#ifndef ELFUSE_ENGINE_CPU_H
#define ELFUSE_ENGINE_CPU_H

#include "base/base.h"

#define CPU_BIAS           128
#define JUMP_CACHE_ENTRIES 1024 /* indexed by pc bits 11..2 */

struct vreg {
    uint64_t d[2];
} __attribute__((aligned(16)));

struct jump_cache_entry {
    guest_addr pc; /* ~0: empty */
    const void *host;
};

/* Why guest_enter returned. */
enum exit_reason {
    EXIT_DISPATCH,   /* go on at cpu->pc */
    EXIT_LINK,       /* go on at cpu->pc, and patch the exit described at cpu->exit_data */
    EXIT_SVC,        /* system call; cpu->pc is the next instruction */
    EXIT_BRK,        /* BRK at cpu->pc */
    EXIT_UNDEFINED,  /* unallocated or unsupported instruction at cpu->pc */
    EXIT_BAD_PC,     /* cpu->pc is not aligned, not mapped or not executable */
    EXIT_PENDING,    /* nothing ran: cpu->pending was set */
    EXIT_FAULT,      /* the host signal handler took the thread out; see struct thread's fault */
    EXIT_ALIGNMENT,  /* the access at cpu->pc is not aligned; its address is in cpu->scratch[0] */
    EXIT_INVALIDATE, /* IC IVAU at cpu->pc; the address is in cpu->scratch[0] */
};

/* Entry points of engine/stubs.S reachable from translated code as `jmp [rbp + STUB_OFFSET(n)]`. */
enum stub {
    STUB_LINK,     /* rax -> struct link_data */
    STUB_DISPATCH, /* rax = guest pc */
    STUB_RETURN, /* guest pc is X30: a guest return whose host return address was not the right one
                  */
    STUB_SVC,    /* rax -> uint64_t pc of the next instruction; code continues at rax + 8 */
    STUB_EXIT,   /* rax -> struct exit_data */
    STUB_HELPER, /* call, not jmp: rax = C function (struct cpu *, uint64_t word), rdx = word */
    STUB_HELPER_V, /* the same, with the pinned V registers in cpu->v during the call */
    STUB_COUNT
};

/* cpu->pending bits: reasons not to run guest code now */
enum pending {
    PENDING_SIGNAL = 1,    /* a signal was taken */
    PENDING_STOP = 2,      /* the world is stopped */
    PENDING_FLUSH = 4,     /* translations died: forget host addresses */
    PENDING_STRICT_FP = 8, /* FPCR.DN or FZ was set: translations must mind them from now on */
    PENDING_FP_SITE = 16,  /* an FP instruction trapped often: fp_site */
};

struct cpu {
    uint64_t x[32]; /* x[31] is SP */
    guest_addr pc;
    uint16_t nzcv; /* lahf form, see above */
    uint16_t pad0;
    uint32_t in_guest; /* 1 from guest_enter to the exit stub */
    uint32_t pending;  /* enum pending bits; set by other threads and signal handlers */
    uint32_t fpcr;
    uint32_t fpsr;  /* QC, and cumulative bits not in MXCSR's sticky bits */
    uint32_t mxcsr; /* scratch for ldmxcsr/stmxcsr */
    uint64_t tpidr_el0;
    uint64_t exclusive_address; /* of the last LDXR, ~0 when the monitor is open */
    uint64_t exclusive_value[2];
    void *host_sp;   /* C stack pointer while guest code runs */
    void *shadow_sp; /* shadow stack pointer while C runs */
    void *shadow_top;
    void *enter_target;
    void *resume; /* EXIT_SVC: where translated code goes on */
    void *exit_data;
    uint64_t image_base;  /* of the runtime: helpers are reached as image_base + offset */
    const void *hash;     /* the look-up table, for stub_dispatch */
    uint64_t hash_factor; /* its multiplier */
    void *stub[STUB_COUNT];
    uint64_t
        scratch[4]; /* spill space of lowerings; [1]: tagged address being used; [3]: fence dummy */
    struct vreg v[32];
    struct vreg vscratch[4];
    struct jump_cache_entry jump_cache[JUMP_CACHE_ENTRIES];
};

/* Displacement of a field from RBP. */
#define CPU_OFFSET(field) ((int32_t)offsetof(struct cpu, field) - CPU_BIAS)
#define STUB_OFFSET(n)    (CPU_OFFSET(stub) + 8 * (n))

/* The fixed map: guest register -> host register (x64_reg number), 0xff: in memory. */
extern const uint8_t host_x[32];
extern const uint8_t host_v[32];

/* Inline data of an exit to a guest pc known at translation time. */
struct link_data {
    guest_addr target;
    int32_t patch; /* rel32 field of the jump to patch, relative to this struct */
} __attribute__((packed));

struct exit_data {
    guest_addr pc;
    uint32_t reason; /* enum exit_reason */
} __attribute__((packed));

static inline uint32_t nzcv_pack(uint16_t f) {
    return ((uint32_t)(f >> 15) & 1) << 31 | ((uint32_t)(f >> 14) & 1) << 30 |
           ((uint32_t)(f >> 8) & 1) << 29 | (uint32_t)(f & 1) << 28;
}
static inline uint16_t nzcv_unpack(uint32_t pstate) {
    return (uint16_t)(((pstate >> 31) & 1) << 15 | ((pstate >> 30) & 1) << 14 |
                      ((pstate >> 29) & 1) << 8 | ((pstate >> 28) & 1));
}

/* ---- engine/stubs.S ---- */
/* Runs guest code at host address target until it exits; returns enum exit_reason. */
int guest_enter(struct cpu *cpu, const void *target);
void vregs_store(struct cpu *cpu); /* pinned XMM -> cpu->v */
void vregs_load(struct cpu *cpu);  /* cpu->v -> pinned XMM */

#endif
