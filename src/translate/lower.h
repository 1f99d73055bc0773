/*
 * lower.h - what a lowering sees: one decoded instruction at a time goes in, x86-64 code comes out.
 *
 * For each row ID of a64.def there may be one function `void lower_ID(struct lower *l, uint32_t
 * w)`, declared by the table; a row without one raises SIGILL. Lowerings of a group share a file:
 * lower_dp.c, lower_ldst.c, lower_atomic.c, lower_system.c, lower_branch.c, lower_fp.c,
 * lower_simd_*.c.
 *
 * Rules every lowering keeps:
 *  - RAX, RCX, RDX and XMM13-XMM15 are free at entry and dead at exit. Nothing else may be changed
 * but the instruction's own results.
 *  - Precise state: until the last host instruction that can fault has executed, no guest register,
 *    flag or base register may have been changed (a load goes straight to its destination;
 * write-back comes after).
 *  - A write of W<n> clears bits 63..32 of X<n>; a scalar or 64-bit vector write clears the rest of
 * V<n>.
 *  - EFLAGS may hold the guest's NZCV. A lowering that emits anything that changes EFLAGS calls
 *    flags_clobber(l) BEFORE emitting any of its code (it may use RAX). MOV, LEA,
 * SHLX/SHRX/SARX/RORX, MULX, MOVZX, CMOV, SETcc, BSWAP and all vector moves/arithmetic keep EFLAGS;
 * ADD/SUB/AND/XOR/SHL/IMUL/POPCNT/ LZCNT/(U)COMIS/PTEST etc change them. Prefer LEA for
 * address-like adds.
 *  - A flag-setting lowering calls flags_set(l, kind) AFTER the host instruction that leaves the
 * guest's flags in EFLAGS; nothing after it may change EFLAGS.
 *  - No host address in emitted code: reach C through emit_helper, constants through immediates or
 * emit_const*.
 */
#ifndef ELFUSE_TRANSLATE_LOWER_H
#define ELFUSE_TRANSLATE_LOWER_H

#include "a64/a64.h"
#include "engine/cpu.h"
#include "x64/asm.h"

/* How EFLAGS encode NZCV. */
enum flags_kind {
    FLAGS_NONE, /* EFLAGS hold nothing of the guest's; NZCV is in cpu->nzcv (or dead) */
    FLAGS_SUB,  /* N=SF Z=ZF V=OF, C = !CF: after CMP/SUB/NEG/SBB */
    FLAGS_ADD,  /* N=SF Z=ZF V=OF, C = CF: after ADD/ADC, and logic (CF=OF=0) */
    FLAGS_FP,   /* after (U)COMISS/SD n, m */
};

struct insn; /* region.h */
struct region_builder;

struct lower {
    struct x64_asm *a;
    guest_addr pc; /* of the instruction being lowered */
    uint32_t word;
    bool flags_live; /* some later instruction may read NZCV as it is BEFORE this instruction's own
                        write (that is: flags_clobber must keep them) */
    bool flags_live_out;   /* NZCV as it is AFTER this instruction may be read: a setter that is not
                              live may skip */
    enum flags_kind flags; /* what EFLAGS hold now */
    bool flags_saved;      /* cpu->nzcv is current too */
    bool mask_tags;        /* this access was seen to use tagged addresses: mask bits 63..56 */
    const struct insn *insn;
    struct region_builder *region;
};

typedef void lower_fn(struct lower *l, uint32_t w);
#define LOWER(id)     void lower_##id(struct lower *l, uint32_t w)
#define INSN(id, ...) lower_fn lower_##id;
#include "a64/a64.def"
#undef INSN

/* ---- general registers ---- */
#define XZR 31
/* X<r>'s place in struct cpu, current only when the map in use has it in memory. */
x64_rm x_slot(unsigned r);
void x_use_map(const uint8_t map[32]); /* the map of the instruction being lowered (loops.c) */
/* Where X<r> is: a host register or [rbp+disp8]. r is 0..30 (xr) or 0..31 with 31 = SP (xr_sp). */
x64_rm xr(unsigned r);
x64_rm xr_sp(unsigned r);
bool x_pinned(unsigned r); /* r 31 means SP */
/* A host register that holds X<r> (31: zero / SP): the pinned one, or `scratch` loaded with it.
 * Size 4 loads 32 bits. EFLAGS kept. Do not write to the result. */
unsigned x_read(struct lower *l, unsigned r, unsigned size, unsigned scratch);
unsigned x_read_sp(struct lower *l, unsigned r, unsigned size, unsigned scratch);
/* Copies X<r> (31: zero) into host register dst, which the caller may then change. EFLAGS kept. */
void x_copy(struct lower *l, unsigned dst, unsigned r, unsigned size);
void x_copy_sp(struct lower *l, unsigned dst, unsigned r, unsigned size);
/* The register to compute X<r>'s new value in: the pinned one, or `scratch`. Then x_commit stores
 * scratch. For r = 31 (zero register) it is scratch and x_commit drops it. A size-4 result must be
 * zero-extended in the register (any 32-bit operation does that); x_commit always stores 64 bits.
 */
unsigned x_dst(unsigned r, unsigned scratch);
void x_commit(struct lower *l, unsigned r, unsigned reg);
unsigned x_dst_sp(unsigned r, unsigned scratch);
void x_commit_sp(struct lower *l, unsigned r, unsigned reg);
/* X<r> = imm. EFLAGS kept. */
void x_set(struct lower *l, unsigned r, uint64_t imm);

/* ---- vector registers ---- */
x64_rm vr(unsigned r);    /* XMM register, or [rbp+disp32], 16-byte aligned */
x64_rm vr_hi(unsigned r); /* the upper 64 bits as memory: ONLY valid when !v_pinned(r) */
bool v_pinned(unsigned r);
/* An XMM register that holds V<r>: the pinned one, or `scratch` loaded (16 bytes). Do not write to
 * it. */
unsigned v_read(struct lower *l, unsigned r, unsigned scratch);
void v_copy(struct lower *l, unsigned dst, unsigned r);
unsigned v_dst(unsigned r, unsigned scratch);
/* Stores all 16 bytes if V<r> is in memory. */
void v_commit(struct lower *l, unsigned r, unsigned reg);
/* 16-byte constant in the region's literal pool, rip-relative, 16-byte aligned. */
x64_rm v_const(struct lower *l, uint64_t lo, uint64_t hi);

/* ---- flags ---- */
void flags_clobber(struct lower *l);
void flags_set(struct lower *l, enum flags_kind kind);
/* Stores NZCV from AX in lahf form (see cpu.h) as the current flags (EFLAGS then hold nothing). */
void flags_set_ax(struct lower *l);
/* Loads cpu->nzcv (lahf form) in AX after making sure that it is current. Clobbers EFLAGS. */
void flags_get_ax(struct lower *l);

/* A guest condition as x86 conditions on the present EFLAGS: one, or two joined (FP compares). */
struct cond {
    enum x64_cc cc, cc2;
    enum { COND_ALWAYS, COND_ONE, COND_AND, COND_OR } join;
};
/* Makes EFLAGS able to answer arm_cond (0..15, 14/15: always); may emit code that uses RAX. The
 * EFLAGS then stay valid. */
struct cond flags_cond(struct lower *l, unsigned arm_cond);
/* Jumps when cond holds / fails. EFLAGS kept. */
void cond_jump(struct lower *l, struct cond c, struct x64_label *target);
void cond_jump_not(struct lower *l, struct cond c, struct x64_label *target);
/* dst = cond ? src : dst. EFLAGS kept. */
void cond_move(struct lower *l, struct cond c, unsigned size, unsigned dst, x64_rm src);
/* dst (32-bit register, zero-extended) = cond ? 1 : 0. May use RCX when two conditions are joined.
 * EFLAGS kept. */
void cond_set(struct lower *l, struct cond c, unsigned dst);

/* ---- memory operands: the guest address as an x86 operand; may use RAX (and RCX for _ext) ---- */
x64_rm ea_base(struct lower *l, unsigned rn, int64_t offset); /* [Xn|SP + offset] */
/* [Xn|SP + extend(Rm) << shift]; option: 2 UXTW, 3 LSL/UXTX, 6 SXTW, 7 SXTX */
x64_rm ea_extended(struct lower *l, unsigned rn, unsigned rm, unsigned option, unsigned shift);
/* The address itself in RAX. */
void ea_to_rax(struct lower *l, x64_rm ea);

/* ---- calls into C and exits ---- */
typedef void helper_fn(struct cpu *cpu, uint64_t word);
/*
 * Calls fn(cpu, word): all guest X registers are in cpu->x during the call, and reloaded after it;
 * V registers are in cpu->v during the call and reloaded after it when `vregs`. NZCV
 * (flags_clobber'd by this call) is in cpu->nzcv. fn must not fault on guest memory, block, or take
 * the engine's lock. RAX, RCX, RDX, XMM13-15 are lost.
 */
void emit_helper(struct lower *l, helper_fn *fn, uint64_t word, bool vregs);
/* Leaves translated code with this reason at this instruction (UNDEFINED, BRK ...). Ends the block.
 */
void emit_exit(struct lower *l, enum exit_reason reason);
#endif
