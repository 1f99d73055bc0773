/*
 * simd.c - vector instructions of the x86-64 assembler, from the table in simd.def.
 *
 * Each row has up to three encodings (SDM vol. 2, 2.3 VEX and 2.7 EVEX), chosen per instruction:
 *   EVEX  if an operand is register 16-31 or the row has no other form (needs feat.avx512);
 *   VEX   else, if feat.avx: it zeroes the bits of dst above len, SSE keeps them;
 *   SSE   else. dst is then also the first source, so a MOVAPS may come before.
 *
 * A combination of row and operands that cannot be encoded is a mistake of the caller: it fails an
 * assertion in the debug build and emits UD2 otherwise, never a different instruction.
 */
#include "x64/asm.h"
#include "x64/encode.h"
#include "x64/simd_row.h"

static const struct simd_row rows[V_COUNT] = {
#define X64_V(name, prefix, map, op, w, form, mem, evex, alt, flags) \
    SIMD_ROW(prefix, map, op, w, form, mem, evex, alt, flags)
#include "x64/simd.def"
#undef X64_V
};

#define NO_IMM (-1)

/* One instruction, independent of its encoding. */
struct vinsn {
    const struct simd_row *row;
    uint8_t prefix, map, opcode;
    uint8_t len;
    uint8_t reg; /* ModRM.reg: vector or general register, or an opcode extension */
    uint8_t nds; /* VEX.vvvv, 0 if unused; SSE has no such operand */
    x64_rm rm;
    int imm; /* NO_IMM: none */
};

static void no_form(struct x64_asm *a) {
    ASSERT(!"no encoding for these operands");
    x64_ud2(a);
}

static bool needs_evex(const struct vinsn *v) {
    return (v->row->flags & EVEXONLY) || v->reg >= 16 || v->nds >= 16 ||
           (!v->rm.is_mem && v->rm.base >= 16);
}

static bool uses_sse(const struct x64_asm *a, const struct simd_row *row) {
    return !a->feat.avx || (row->flags & SSEONLY);
}

static void put_sse(struct x64_asm *a, const struct vinsn *v) {
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    unsigned rex = (v->row->w == W1) << 3 | (v->reg >> 3) << 2 | x64_x(v->rm) << 1 | x64_b(v->rm);

    if (v->prefix) {
        x64_put8(a, prefixes[v->prefix]);
    }
    if (rex) {
        x64_put8(a, 0x40 | rex);
    }
    x64_put8(a, 0x0f);
    if (v->map != M0F) {
        x64_put8(a, v->map == M38 ? 0x38 : 0x3a);
    }
}

/* SDM vol. 2, 2.7.1: R, R', X, V' and vvvv are inverted; X extends a register in r/m. */
static void put_evex(struct x64_asm *a, const struct vinsn *v) {
    unsigned x = v->rm.is_mem ? x64_x(v->rm) : v->rm.base >> 4;
    unsigned w = v->row->evex == E1;

    x64_put8(a, 0x62);
    x64_put8(a, ((v->reg >> 3 & 1) ^ 1) << 7 | (x ^ 1) << 6 | (x64_b(v->rm) ^ 1) << 5 |
                    ((v->reg >> 4) ^ 1u) << 4 | v->map);
    x64_put8(a, w << 7 | (~v->nds & 15u) << 3 | 4 | v->prefix);
    x64_put8(a, (v->len == 32) << 5 | ((v->nds >> 4) ^ 1u) << 3);
}

static void emit(struct x64_asm *a, struct vinsn v) {
    const struct simd_row *row = v.row;
    bool evex = needs_evex(&v);
    bool sse = !evex && uses_sse(a, row);
    unsigned tail = v.imm != NO_IMM;
    unsigned disp8_shift = 0;

    if ((evex && (!a->feat.avx512 || row->evex == EN)) ||
        (sse && (v.len != 16 || (row->flags & VEXONLY))) || (v.len != 16 && v.len != 32) ||
        ((row->flags & LEN32) && v.len != 32) || ((row->flags & MEMONLY) && !v.rm.is_mem) ||
        ((row->flags & REGONLY) && v.rm.is_mem)) {
        no_form(a);
        return;
    }
    if (!x64_room(a)) {
        return;
    }
    v.rm = x64_shortest(v.rm);
    if (evex) {
        put_evex(a, &v);
        disp8_shift = (unsigned)__builtin_ctz(simd_mem_bytes(row, v.len));
    } else if (sse) {
        put_sse(a, &v);
    } else {
        x64_put_vex(a, v.map, v.prefix, row->w != W0, v.len == 32, v.reg, v.nds, v.rm);
    }
    x64_put8(a, v.opcode);
    x64_put_modrm(a, v.reg, v.rm, tail, disp8_shift);
    if (tail) {
        x64_put8(a, (unsigned)v.imm);
    }
}

/* The main form of a row. */
static struct vinsn insn(const struct simd_row *row, unsigned len, unsigned reg, unsigned nds,
                         x64_rm rm, int imm) {
    return (struct vinsn){
        .row = row,
        .prefix = row->prefix,
        .map = row->map,
        .opcode = row->opcode,
        .len = (uint8_t)((row->flags & LIG) ? 16 : len),
        .reg = (uint8_t)reg,
        .nds = (uint8_t)nds,
        .rm = rm,
        .imm = imm,
    };
}

/* SSE only: dst = s1, so that dst can be the first source. False if s2 would be overwritten by it.
 */
static bool first_source(struct x64_asm *a, unsigned dst, unsigned s1, x64_rm s2, bool s2_general) {
    if (dst == s1) {
        return true;
    }
    if (!s2_general && x64_is_reg(s2, dst)) {
        return false;
    }
    x64_v2(a, V_MOVAPS, 16, dst, x64_r(s1));
    return true;
}

static void v3(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, unsigned s1,
               x64_rm s2, int imm) {
    const struct simd_row *row = &rows[op];
    bool commutes = (row->flags & COMM) && !s2.is_mem;
    struct vinsn v;

    if ((row->form != XXX && row->form != XXR) || !(row->flags & IMM) != (imm == NO_IMM)) {
        no_form(a);
        return;
    }
    if ((row->flags & LOADS) && s2.is_mem) {
        emit(a, insn(row, len, dst, 0, s2, imm));
        return;
    }
    v = insn(row, len, dst, s1, s2, imm);
    if (needs_evex(&v)) {
        emit(a, v);
        return;
    }
    if (!uses_sse(a, row)) {
        /* The two-byte VEX prefix has no bit for a high register in r/m. */
        if (commutes && s2.base >= 8 && s1 < 8 && row->map == M0F) {
            v.nds = s2.base;
            v.rm = x64_r(s1);
        }
        emit(a, v);
        return;
    }
    if (commutes && s2.base == dst) {
        v.rm = x64_r(s1);
    } else if (!first_source(a, dst, s1, s2, row->form == XXR)) {
        no_form(a);
        return;
    }
    v.nds = 0;
    emit(a, v);
}

static void vst(struct x64_asm *a, enum x64_vop op, unsigned len, x64_rm dst, unsigned src,
                int imm) {
    const struct simd_row *row = &rows[op];
    /* MOVSS and MOVSD between registers keep the rest of dst, which VEX takes from vvvv. */
    unsigned nds = (row->flags & LOADS) && !dst.is_mem ? dst.base : 0;
    struct vinsn v = insn(row, len, src, nds, dst, imm);

    if (!row->can_store || !(row->flags & IMM) != (imm == NO_IMM)) {
        no_form(a);
        return;
    }
    v.prefix = row->alt_high;
    v.opcode = row->alt;
    emit(a, v);
}

static void v2(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, x64_rm src,
               int imm) {
    const struct simd_row *row = &rows[op];
    struct vinsn v = insn(row, len, dst, 0, src, imm);

    switch ((enum simd_form)row->form) {
    case XXX:
    case XXR:
        v3(a, op, len, dst, dst, src, imm);
        return;
    case XX:
    case XR:
    case RX:
        break;
    default:
        no_form(a);
        return;
    }
    if (!(row->flags & IMM) != (imm == NO_IMM)) {
        no_form(a);
        return;
    }
    /* The store form of a copy puts a high source where the two-byte VEX prefix has a bit for it.
     */
    if (row->form == XX && row->can_store && !src.is_mem && src.base >= 8 && dst < 8 &&
        !needs_evex(&v) && !uses_sse(a, row)) {
        vst(a, op, len, x64_r(dst), src.base, imm);
        return;
    }
    emit(a, v);
}

void x64_v3(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, unsigned s1,
            x64_rm s2) {
    v3(a, op, len, dst, s1, s2, NO_IMM);
}

void x64_v3_i(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, unsigned s1,
              x64_rm s2, uint8_t imm) {
    v3(a, op, len, dst, s1, s2, imm);
}

void x64_v2(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, x64_rm src) {
    v2(a, op, len, dst, src, NO_IMM);
}

void x64_v2_i(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, x64_rm src,
              uint8_t imm) {
    v2(a, op, len, dst, src, imm);
}

void x64_vst(struct x64_asm *a, enum x64_vop op, unsigned len, x64_rm dst, unsigned src) {
    vst(a, op, len, dst, src, NO_IMM);
}

void x64_vst_i(struct x64_asm *a, enum x64_vop op, unsigned len, x64_rm dst, unsigned src,
               uint8_t imm) {
    vst(a, op, len, dst, src, imm);
}

void x64_vshift_i(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, unsigned s1,
                  uint8_t imm) {
    const struct simd_row *row = &rows[op];
    struct vinsn v = insn(row, len, row->alt_high, dst, x64_r(s1), imm);

    if (!row->can_shift_i) {
        no_form(a);
        return;
    }
    v.opcode = row->alt;
    v.map = M0F;
    if (!needs_evex(&v) && uses_sse(a, row)) {
        first_source(a, dst, s1, x64_r(s1), false);
        v.rm = x64_r(dst);
        v.nds = 0;
    }
    emit(a, v);
}

void x64_vblendv(struct x64_asm *a, enum x64_vop op, unsigned len, unsigned dst, unsigned s1,
                 x64_rm s2, unsigned mask) {
    const struct simd_row *row = &rows[op];
    struct vinsn v = insn(row, len, dst, s1, s2, NO_IMM);

    if (row->form != BLV || mask >= 16) {
        no_form(a);
        return;
    }
    if (!uses_sse(a, row)) {
        v.map = M3A;
        v.opcode = row->alt;
        v.imm = (int)(mask << 4);
        emit(a, v);
        return;
    }
    /* The SSE4.1 form reads its mask from XMM0, which the copy of s1 must not overwrite. */
    if (mask != 0 || (dst == 0 && s1 != 0) || !first_source(a, dst, s1, s2, false)) {
        no_form(a);
        return;
    }
    v.nds = 0;
    emit(a, v);
}

void x64_vzeroupper(struct x64_asm *a) {
    /* Without AVX there is no upper half. */
    if (a->feat.avx && x64_room(a)) {
        x64_put8(a, 0xc5);
        x64_put8(a, 0xf8);
        x64_put8(a, 0x77);
    }
}
