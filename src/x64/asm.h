/*
 * asm.h - the x86-64 assembler: encodes what the translator emits, knows nothing of A64.
 *
 * An assembler writes at a->p, upwards, until a->end; when room runs out it sets a->overflow and
 * writes nothing more (the caller checks once at the end). Operands are a register number, or an
 * x64_rm which is a register or a memory operand: since most guest registers live in memory, every
 * instruction takes its r/m operand in that one form.
 *
 * Operand size is in bytes: 1, 2, 4 or 8. A 4-byte operation zero-extends into the 64-bit register.
 * Functions emit the shortest encoding (imm8 over imm32, disp8 over disp32, rel8 for known backward
 * jumps). 8-bit register operands always mean SPL/BPL/SIL/DIL, never AH..BH (but see x64_lahf).
 */
#ifndef ELFUSE_X64_ASM_H
#define ELFUSE_X64_ASM_H

#include "base/base.h"

enum x64_reg {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    X64_NOREG = 0xff,
};

/* Condition codes, as encoded in Jcc/SETcc/CMOVcc. */
enum x64_cc {
    CC_O,
    CC_NO,
    CC_B,
    CC_AE,
    CC_E,
    CC_NE,
    CC_BE,
    CC_A,
    CC_S,
    CC_NS,
    CC_P,
    CC_NP,
    CC_L,
    CC_GE,
    CC_LE,
    CC_G,
};
static inline enum x64_cc x64_cc_not(enum x64_cc cc) {
    return (enum x64_cc)(cc ^ 1);
}

/* A register, [base + index << shift + disp], or [rip -> target] for code inside the cache. */
typedef struct x64_rm {
    uint8_t is_mem;
    uint8_t base;  /* register number of the operand, or base (X64_NOREG: none; 0xfe: rip) */
    uint8_t index; /* X64_NOREG: none */
    uint8_t shift; /* 0..3 */
    int32_t disp;  /* for rip-relative: offset from asm start (a->start) of the target */
} x64_rm;

#define X64_RIP 0xfe

static inline x64_rm x64_r(unsigned reg) {
    return (x64_rm){0, (uint8_t)reg, X64_NOREG, 0, 0};
}
static inline x64_rm x64_m(unsigned base, int32_t disp) {
    return (x64_rm){1, (uint8_t)base, X64_NOREG, 0, disp};
}
static inline x64_rm x64_mx(unsigned base, unsigned index, unsigned shift, int32_t disp) {
    return (x64_rm){1, (uint8_t)base, (uint8_t)index, (uint8_t)shift, disp};
}
static inline bool x64_is_reg(x64_rm o, unsigned reg) {
    return !o.is_mem && o.base == reg;
}

/* Host instruction-set extensions the emitter may use. */
struct x64_features {
    bool avx; /* VEX encodings, three operands; AVX2 for integer forms */
    bool fma;
    bool bmi1, bmi2;
    bool lzcnt, popcnt, movbe;
    bool aes, pclmul, sha, f16c;
    bool avx512; /* F+BW+DQ+VL: EVEX, 32 vector registers */
};

struct x64_asm {
    uint8_t *start; /* where emission began */
    uint8_t *p;     /* next byte */
    uint8_t *end;   /* limit */
    bool overflow;
    struct x64_features feat;
};

void x64_init(struct x64_asm *a, uint8_t *buf, size_t size, const struct x64_features *feat);
static inline uint32_t x64_pos(const struct x64_asm *a) {
    return (uint32_t)(a->p - a->start);
}

/* ---- raw data ---- */
void x64_db(struct x64_asm *a, uint8_t v);
void x64_dd(struct x64_asm *a, uint32_t v);
void x64_dq(struct x64_asm *a, uint64_t v);
/* Pads with multi-byte NOPs until x64_pos is a multiple of n (a power of two <= 64). */
void x64_align(struct x64_asm *a, unsigned n);

/* ---- labels: zero-initialise with X64_LABEL; forward uses are chained through their rel32 fields
 * ---- */
struct x64_label {
    int32_t at;    /* position once bound, else -1 */
    int32_t chain; /* position of the last unresolved rel32, else -1 */
};
#define X64_LABEL ((struct x64_label){-1, -1})
void x64_bind(struct x64_asm *a, struct x64_label *l);
void x64_jmp(struct x64_asm *a, struct x64_label *l);
void x64_jcc(struct x64_asm *a, enum x64_cc cc, struct x64_label *l);
void x64_call(struct x64_asm *a, struct x64_label *l);
/* lea reg, [rip -> label] */
void x64_lea_label(struct x64_asm *a, unsigned reg, struct x64_label *l);

/* Short forward jump: returns the position to give to x64_short_bind, at most 127 bytes later. */
uint32_t x64_jcc_short(struct x64_asm *a, enum x64_cc cc);
uint32_t x64_jmp_short(struct x64_asm *a);
uint32_t x64_jrcxz_short(struct x64_asm *a); /* when RCX is zero; EFLAGS are not read */
void x64_short_bind(struct x64_asm *a, uint32_t pos);

/*
 * rel32 jumps to an absolute host address, always in the 5- or 6-byte form, their rel32 field
 * aligned to 4 (NOPs before) so that it can be patched atomically. Each returns the address of the
 * rel32 field, NULL on overflow.
 */
uint8_t *x64_jmp_abs(struct x64_asm *a, const void *target);
uint8_t *x64_jcc_abs(struct x64_asm *a, enum x64_cc cc, const void *target);
uint8_t *x64_call_abs(struct x64_asm *a, const void *target);
/* Makes the rel32 field at `field` reach target, with one aligned 4-byte store. */
void x64_patch(uint8_t *field, const void *target);

void x64_jmp_rm(struct x64_asm *a, x64_rm target);
void x64_call_rm(struct x64_asm *a, x64_rm target);
void x64_ret(struct x64_asm *a);

/* ---- moves ---- */
void x64_mov_r_rm(struct x64_asm *a, unsigned size, unsigned dst,
                  x64_rm src); /* nothing for r,r same 8-byte */
void x64_mov_rm_r(struct x64_asm *a, unsigned size, x64_rm dst, unsigned src);
void x64_mov_rm_i(struct x64_asm *a, unsigned size, x64_rm dst,
                  int32_t imm); /* sign-extended for 8 */
/* Shortest of mov r32,imm32 / mov r64,simm32 / movabs. Never xor: EFLAGS are kept. */
void x64_mov_ri(struct x64_asm *a, unsigned dst, uint64_t imm);
void x64_movzx(struct x64_asm *a, unsigned dst, unsigned src_size,
               x64_rm src); /* 1,2 (4: mov r32) to 64 */
void x64_movsx(struct x64_asm *a, unsigned dst_size, unsigned dst, unsigned src_size, x64_rm src);
void x64_lea(struct x64_asm *a, unsigned size, unsigned dst, x64_rm mem);
void x64_xchg_rm_r(struct x64_asm *a, unsigned size, x64_rm rm, unsigned reg);
void x64_push(struct x64_asm *a, unsigned reg);
void x64_pop(struct x64_asm *a, unsigned reg);
void x64_bswap(struct x64_asm *a, unsigned size, unsigned reg);
void x64_movbe_load(struct x64_asm *a, unsigned size, unsigned dst, x64_rm mem);
void x64_movbe_store(struct x64_asm *a, unsigned size, x64_rm mem, unsigned src);
void x64_movnti(struct x64_asm *a, unsigned size, x64_rm mem, unsigned src);

/* ---- arithmetic ---- */
enum x64_alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
void x64_alu_r_rm(struct x64_asm *a, enum x64_alu op, unsigned size, unsigned dst, x64_rm src);
void x64_alu_rm_r(struct x64_asm *a, enum x64_alu op, unsigned size, x64_rm dst, unsigned src);
void x64_alu_rm_i(struct x64_asm *a, enum x64_alu op, unsigned size, x64_rm dst, int32_t imm);
void x64_test_rm_r(struct x64_asm *a, unsigned size, x64_rm rm, unsigned reg);
void x64_test_rm_i(struct x64_asm *a, unsigned size, x64_rm rm, int32_t imm);
enum x64_unary { UN_NOT = 2, UN_NEG, UN_MUL, UN_IMUL, UN_DIV, UN_IDIV }; /* F6/F7 group 3 */
void x64_unary(struct x64_asm *a, enum x64_unary op, unsigned size, x64_rm rm);
void x64_inc(struct x64_asm *a, unsigned size, x64_rm rm);
void x64_dec(struct x64_asm *a, unsigned size, x64_rm rm);
void x64_imul_r_rm(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src);
void x64_imul_r_rm_i(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src, int32_t imm);
void x64_cdq(struct x64_asm *a, unsigned size); /* 4: cdq, 8: cqo */
enum x64_shift { SH_ROL, SH_ROR, SH_RCL, SH_RCR, SH_SHL, SH_SHR, SH_SAR = 7 };
void x64_shift_i(struct x64_asm *a, enum x64_shift op, unsigned size, x64_rm rm, unsigned count);
void x64_shift_cl(struct x64_asm *a, enum x64_shift op, unsigned size, x64_rm rm);
void x64_shrd_i(struct x64_asm *a, unsigned size, x64_rm dst, unsigned src, unsigned count);
void x64_shld_i(struct x64_asm *a, unsigned size, x64_rm dst, unsigned src, unsigned count);
enum x64_bt { BT_BT = 4, BT_BTS, BT_BTR, BT_BTC };
void x64_bt_i(struct x64_asm *a, enum x64_bt op, unsigned size, x64_rm rm, unsigned bit);
void x64_bt_r(struct x64_asm *a, enum x64_bt op, unsigned size, x64_rm rm, unsigned reg);
void x64_setcc(struct x64_asm *a, enum x64_cc cc, x64_rm rm8);
void x64_cmov(struct x64_asm *a, enum x64_cc cc, unsigned size, unsigned dst, x64_rm src);

/* BMI1/BMI2 (EFLAGS untouched by shlx/shrx/sarx/rorx/mulx/pdep/pext); lzcnt, tzcnt, popcnt; crc32c
 */
void x64_shlx(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src, unsigned count);
void x64_shrx(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src, unsigned count);
void x64_sarx(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src, unsigned count);
void x64_rorx(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src, unsigned count);
void x64_mulx(struct x64_asm *a, unsigned size, unsigned hi, unsigned lo,
              x64_rm src); /* rdx * src */
void x64_andn(struct x64_asm *a, unsigned size, unsigned dst, unsigned inverted, x64_rm src);
void x64_lzcnt(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src);
void x64_tzcnt(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src);
void x64_popcnt(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src);
void x64_bsr(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src);
void x64_bsf(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src);
void x64_crc32(struct x64_asm *a, unsigned src_size, unsigned dst, x64_rm src);
void x64_rdtsc(struct x64_asm *a);

/* ---- flags ---- */
void x64_lahf(struct x64_asm *a); /* AH = SF ZF - AF - PF 1 CF */
void x64_sahf(struct x64_asm *a);
void x64_cmc(struct x64_asm *a);
void x64_stc(struct x64_asm *a);
void x64_clc(struct x64_asm *a);
void x64_pushf(struct x64_asm *a);
void x64_popf(struct x64_asm *a);

/* ---- atomics and ordering; `lock` goes before the next instruction ---- */
void x64_lock(struct x64_asm *a);
void x64_cmpxchg(struct x64_asm *a, unsigned size, x64_rm mem, unsigned reg);
void x64_cmpxchg16b(struct x64_asm *a, x64_rm mem); /* rdx:rax vs mem, rcx:rbx new */
void x64_xadd(struct x64_asm *a, unsigned size, x64_rm mem, unsigned reg);
void x64_mfence(struct x64_asm *a);
void x64_pause(struct x64_asm *a);
void x64_prefetch(struct x64_asm *a, unsigned hint, x64_rm mem); /* 0 nta, 1 t0, 2 t1, 3 t2, 4 w */

/* ---- traps ---- */
void x64_ud2(struct x64_asm *a);
void x64_int3(struct x64_asm *a);

/* ---- string ---- */
void x64_rep_movs(struct x64_asm *a, unsigned size);
void x64_rep_stos(struct x64_asm *a, unsigned size);

/* ---- MXCSR ---- */
void x64_ldmxcsr(struct x64_asm *a, x64_rm mem);
void x64_stmxcsr(struct x64_asm *a, x64_rm mem);

/*
 * ---- vectors ----
 * One table (x64/simd.def) lists every vector instruction: name, prefix, map, opcode, W, form.
 * Register numbers 0..15 (0..31 where the host has AVX-512VL and the row has an EVEX form). `len`
 * is 16 or 32 bytes (scalar instructions ignore it).
 *
 * Two-operand sources work on every host: with AVX the VEX three-operand form is emitted; without
 * it `movaps dst, s1` comes first when dst != s1 (then dst must not also be the second source
 * unless the row is marked commutative, in which case the operands are swapped).
 */
enum x64_vop {
#define X64_V(name, ...) V_##name,
#include "x64/simd.def"
#undef X64_V
    V_COUNT
};
/* dst = op(s1, s2) */
void x64_v3(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, unsigned s1, x64_rm s2);
void x64_v3_i(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, unsigned s1,
              x64_rm s2, uint8_t imm);
/* dst = op(src): loads, conversions, PSHUFD, PABS, PTEST, (U)COMIS, MOVD/MOVQ from a general
 * register ... */
void x64_v2(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, x64_rm src);
void x64_v2_i(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, x64_rm src,
              uint8_t imm);
/* op(dst memory or register, src vector register): stores, MOVD/MOVQ to a general register, PEXTR
 */
void x64_vst(struct x64_asm *a, enum x64_vop op, unsigned len, x64_rm dst, unsigned src);
void x64_vst_i(struct x64_asm *a, enum x64_vop op, unsigned len, x64_rm dst, unsigned src,
               uint8_t imm);
/* Shifts of a vector by an immediate (PSLLW group): dst = s1 shifted by imm */
void x64_vshift_i(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, unsigned s1,
                  uint8_t imm);
/* Four-operand blends (PBLENDVB, BLENDVPS, BLENDVPD): dst = mask ? s2 : s1 by sign bits. Without
 * AVX the mask is XMM0. */
void x64_vblendv(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, unsigned s1,
                 x64_rm s2, unsigned mask);
void x64_vzeroupper(struct x64_asm *a);

#endif
