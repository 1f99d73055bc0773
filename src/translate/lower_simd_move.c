/*
 * lower_simd_move.c - moves between elements and registers, permutations, table look-ups, modified
 * immediates (Arm ARM C4.1.97: SIMD copy, permute, extract, table lookup, modified immediate).
 */
#include "translate/lower_simd.h"

/* imm5 gives the element size by its lowest set bit, and the index above it. */
static unsigned imm5_size(uint32_t w) {
    return (unsigned)__builtin_ctz(bits(w, 16, 5) | 16);
}
static unsigned imm5_index(uint32_t w) {
    return bits(w, 16, 5) >> (imm5_size(w) + 1);
}

/* Element i of V<n> as memory: only when it is not pinned. */
static x64_rm element(unsigned n, unsigned size, unsigned i) {
    x64_rm rm = vr(n);
    rm.disp += (int32_t)(i << size);
    return rm;
}

/* ---- duplicate ---- */

LOWER(DUP_elem) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    v_splat_element(l, imm5_size(w), dst, a64_Rn(w), imm5_index(w));
    v_finish(l, d, dst, v_bytes(w));
}

LOWER(DUP_elem_scalar) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), size = imm5_size(w), i = imm5_index(w),
             dst = v_dst(d, VT0);
    if (!v_pinned(n) && size >= 2) {
        x64_v2(l->a, size == 3 ? V_MOVQ : V_MOVD32, 16, dst, element(n, size, i));
        v_commit(l, d, dst);
    } else {
        unsigned src = v_read(l, n, VT0);
        if (i) {
            x64_vshift_i(l->a, V_PSRLDQ, 16, VT0, src, (uint8_t)(i << size));
            src = VT0;
        }
        v_finish(l, d, src, 1u << size);
    }
}

LOWER(DUP_gen) {
    static const uint16_t broadcast[] = {V_VPBROADCASTB, V_VPBROADCASTW, V_VPBROADCASTD,
                                         V_VPBROADCASTQ};
    unsigned d = a64_Rd(w), n = a64_Rn(w), size = imm5_size(w), dst = v_dst(d, VT0);
    if (n == XZR) {
        v_zero(l, dst);
        v_commit(l, d, dst);
        return;
    }
    x64_v2(l->a, size == 3 ? V_MOVD64 : V_MOVD32, 16, dst, xr(n));
    if (l->a->feat.avx) {
        x64_v2(l->a, broadcast[size], 16, dst, x64_r(dst));
    } else if (size == 0) {
        x64_v3(l->a, V_PSHUFB, 16, dst, dst, v_const2(l, 0));
    } else {
        if (size == 1)
            x64_v2_i(l->a, V_PSHUFLW, 16, dst, x64_r(dst), 0);
        x64_v2_i(l->a, V_PSHUFD, 16, dst, x64_r(dst), size == 3 ? 0x44 : 0);
    }
    v_finish(l, d, dst, v_bytes(w));
}

/* ---- between elements and general registers ---- */

LOWER(UMOV) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), size = imm5_size(w), i = imm5_index(w),
             dst = x_dst(d, RAX);
    if (!v_pinned(n)) {
        if (size == 3)
            x64_mov_r_rm(l->a, 8, dst, element(n, size, i));
        else
            x64_movzx(l->a, dst, 1u << size, element(n, size, i));
    } else if (i == 0 && size >= 2) {
        x64_vst(l->a, size == 3 ? V_MOVD64 : V_MOVD32, 16, x64_r(dst), host_v[n]);
    } else {
        static const uint16_t extract[] = {V_PEXTRB, V_PEXTRW, V_PEXTRD, V_PEXTRQ};
        x64_vst_i(l->a, extract[size], 16, x64_r(dst), host_v[n], (uint8_t)i);
    }
    x_commit(l, d, dst);
}

LOWER(SMOV) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), size = imm5_size(w), i = imm5_index(w),
             dst = x_dst(d, RAX);
    unsigned result = 4u << a64_Q(w);
    if (!v_pinned(n)) {
        x64_movsx(l->a, result, dst, 1u << size, element(n, size, i));
    } else {
        static const uint16_t extract[] = {V_PEXTRB, V_PEXTRW, V_PEXTRD};
        x64_vst_i(l->a, extract[size], 16, x64_r(dst), host_v[n], (uint8_t)i);
        x64_movsx(l->a, result, dst, 1u << size, x64_r(dst));
    }
    x_commit(l, d, dst);
}

static const uint16_t insert_op[] = {V_PINSRB, V_PINSRW, V_PINSRD, V_PINSRQ};

LOWER(INS_gen) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), size = imm5_size(w), i = imm5_index(w);
    unsigned src = x_read(l, n, 8, RAX);
    if (v_pinned(d))
        x64_v3_i(l->a, insert_op[size], 16, host_v[d], host_v[d], x64_r(src), (uint8_t)i);
    else
        x64_mov_rm_r(l->a, 1u << size, element(d, size, i), src);
}

LOWER(INS_elem) {
    static const uint16_t extract[] = {V_PEXTRB, V_PEXTRW, V_PEXTRD, V_PEXTRQ};
    unsigned d = a64_Rd(w), n = a64_Rn(w), size = imm5_size(w), i = imm5_index(w);
    unsigned from = bits(w, 11, 4) >> size;
    if (v_pinned(d)) {
        unsigned dst = host_v[d];
        if (size == 3 && v_pinned(n)) { /* lane i = n's lane from, the other lane stays */
            if (i)
                v_op_i(l, V_SHUFPD, dst, dst, vr(n), from ? 2 : 0);
            else if (from)
                v_op_i(l, V_SHUFPD, dst, host_v[n], x64_r(dst), 3);
            else if (host_v[n] != dst)
                v_op(l, V_MOVSD, dst, dst, vr(n));
            return;
        }
        if (!v_pinned(n)) {
            x64_v3_i(l->a, insert_op[size], 16, dst, dst, element(n, size, from), (uint8_t)i);
        } else if (size == 2) {
            x64_v3_i(l->a, V_INSERTPS, 16, dst, dst, vr(n), (uint8_t)(from << 6 | i << 4));
        } else {
            x64_vst_i(l->a, extract[size], 16, x64_r(RAX), host_v[n], (uint8_t)from);
            x64_v3_i(l->a, insert_op[size], 16, dst, dst, x64_r(RAX), (uint8_t)i);
        }
    } else if (v_pinned(n)) {
        x64_vst_i(l->a, extract[size], 16, element(d, size, i), host_v[n], (uint8_t)from);
    } else {
        x64_movzx(l->a, RAX, MIN(1u << size, 4u), element(n, size, from));
        if (size == 3)
            x64_mov_r_rm(l->a, 8, RAX, element(n, size, from));
        x64_mov_rm_r(l->a, 1u << size, element(d, size, i), RAX);
    }
}

/* ---- permutations ---- */

LOWER(ZIP1) {
    v_binary(l, v_unpack_low[a64_size(w)], a64_Rd(w), a64_Rn(w), a64_Rm(w), v_bytes(w));
}

LOWER(ZIP2) {
    unsigned d = a64_Rd(w), size = a64_size(w);
    if (a64_Q(w)) {
        v_binary(l, v_unpack_high[size], d, a64_Rn(w), a64_Rm(w), 16);
        return;
    }
    v_op(l, v_unpack_low[size], VT0, v_read(l, a64_Rn(w), VT0), vr(a64_Rm(w)));
    unsigned dst = v_dst(d, VT0);
    v_shift(l, V_PSRLDQ, dst, VT0, 8);
    v_commit(l, d, dst);
}

static void unzip(struct lower *l, uint32_t w, bool odd) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w), size = a64_size(w);
    if (a64_Q(w)) {
        v_unzip(l, size, odd, VT0, vr(n), vr(m));
        v_finish(l, d, VT0, 16);
    } else {
        v_join_low(l, VT0, n, m);
        v_unzip(l, size, odd, VT0, x64_r(VT0), x64_r(VT0));
        v_finish(l, d, VT0, 8);
    }
}
LOWER(UZP1) {
    unzip(l, w, false);
}
LOWER(UZP2) {
    unzip(l, w, true);
}

/* V<d> = low halves of each pair from VT0, high halves from VT1; size is that of the halves. */
static void merge_pairs(struct lower *l, unsigned d, unsigned size, unsigned bytes) {
    if (size == 0) {
        x64_v3(l->a, V_POR, 16, VT0, VT0, x64_r(VT1));
    } else {
        x64_v3_i(l->a, V_PBLENDW, 16, VT0, VT0, x64_r(VT1), size == 1 ? 0xaa : 0xcc);
    }
    v_finish(l, d, VT0, bytes);
}

LOWER(TRN1) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w), size = a64_size(w);
    if (size == 3) {
        v_binary(l, V_PUNPCKLQDQ, d, n, m, 16);
        return;
    }
    unsigned left = v_read(l, m, VT1);
    x64_vshift_i(l->a, v_shl_op[size + 1], 16, VT1, left, (uint8_t)(8u << size));
    if (size == 0)
        v_op_rm(l, V_PAND, VT0, vr(n), v_splat(l, 1, 0xff));
    else
        v_copy(l, VT0, n);
    merge_pairs(l, d, size, v_bytes(w));
}

LOWER(TRN2) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w), size = a64_size(w);
    if (size == 3) {
        v_binary(l, V_PUNPCKHQDQ, d, n, m, 16);
        return;
    }
    unsigned right = v_read(l, n, VT0);
    x64_vshift_i(l->a, v_shr_op[size + 1], 16, VT0, right, (uint8_t)(8u << size));
    if (size == 0)
        v_op_rm(l, V_PAND, VT1, vr(m), v_splat(l, 1, 0xff00));
    else
        v_copy(l, VT1, m);
    merge_pairs(l, d, size, v_bytes(w));
}

LOWER(EXT) {
    unsigned d = a64_Rd(w), n = a64_Rn(w), m = a64_Rm(w), index = bits(w, 11, 4);
    if (a64_Q(w)) {
        if (n == m && index == 8) {
            unsigned dst = v_dst(d, VT0);
            x64_v2_i(l->a, V_PSHUFD, 16, dst, vr(n), 0x4e);
            v_commit(l, d, dst);
            return;
        }
        unsigned dst = v_dst(d, VT0);
        v_op_i(l, V_PALIGNR, dst, v_read(l, m, VT1), vr(n), (uint8_t)index);
        v_commit(l, d, dst);
    } else {
        v_join_low(l, VT0, n, m);
        v_shift(l, V_PSRLDQ, VT0, VT0, index);
        v_finish(l, d, VT0, 8);
    }
}

/*
 * VT0 = table of `count` registers from V<n> indexed by V<m>, zero out of range. PSHUFB clears
 * where bit 7 is set: the index less 16 for each register before, plus 0x70 saturating, is below
 * 0x80 exactly for an index into this register.
 */
static void table_lookup(struct lower *l, unsigned n, unsigned m, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        unsigned index = i ? VT2 : VT1;
        v_load(l, index, vr(m));
        if (i)
            x64_v3(l->a, V_PSUBB, 16, index, index, v_splat(l, 0, 16 * i));
        x64_v3(l->a, V_PADDUSB, 16, index, index, v_splat(l, 0, 0x70));
        unsigned table = (n + i) % 32;
        if (i == 0) {
            v_copy(l, VT0, table);
            x64_v3(l->a, V_PSHUFB, 16, VT0, VT0, x64_r(index));
        } else {
            v_copy(l, VT1, table);
            x64_v3(l->a, V_PSHUFB, 16, VT1, VT1, x64_r(index));
            x64_v3(l->a, V_POR, 16, VT0, VT0, x64_r(VT1));
        }
    }
}

LOWER(TBL) {
    unsigned d = a64_Rd(w);
    table_lookup(l, a64_Rn(w), a64_Rm(w), bits(w, 13, 2) + 1);
    v_finish(l, d, VT0, v_bytes(w));
}

LOWER(TBX) {
    unsigned d = a64_Rd(w), m = a64_Rm(w), count = bits(w, 13, 2) + 1;
    table_lookup(l, a64_Rn(w), m, count);
    v_load(l, VT1, vr(m)); /* in range: min(index, last) == index */
    x64_v3(l->a, V_PMINUB, 16, VT1, VT1, v_splat(l, 0, 16 * count - 1));
    x64_v3(l->a, V_PCMPEQB, 16, VT1, VT1, vr(m));
    x64_v3(l->a, V_PANDN, 16, VT1, VT1, vr(d));
    v_last(l, V_POR, d, VT0, x64_r(VT1), v_bytes(w));
}

/* ---- modified immediates ---- */

static uint64_t immediate(uint32_t w) {
    return a64_simd_immediate(bits(w, 29, 1), bits(w, 12, 4), bits(w, 16, 3) << 5 | bits(w, 5, 5));
}

void v_set(struct lower *l, unsigned d, uint64_t lo, uint64_t hi) {
    if (!v_pinned(d) && (int64_t)lo == (int32_t)lo && (int64_t)hi == (int32_t)hi) {
        x64_mov_rm_i(l->a, 8, element(d, 3, 0), (int32_t)lo);
        x64_mov_rm_i(l->a, 8, element(d, 3, 1), (int32_t)hi);
        return;
    }
    unsigned dst = v_dst(d, VT0);
    if (lo == 0 && hi == 0)
        v_zero(l, dst);
    else if (lo == ~0ull && hi == ~0ull)
        v_ones(l, dst);
    else
        x64_v2(l->a, V_MOVAPS, 16, dst, v_const(l, lo, hi));
    v_commit(l, d, dst);
}

LOWER(MOVI) {
    uint64_t imm = immediate(w);
    v_set(l, a64_Rd(w), imm, a64_Q(w) ? imm : 0);
}
LOWER(MVNI) {
    uint64_t imm = ~immediate(w);
    v_set(l, a64_Rd(w), imm, a64_Q(w) ? imm : 0);
}
LOWER(MOVI_64) {
    lower_MOVI(l, w);
}
LOWER(FMOV_vec_imm) {
    lower_MOVI(l, w);
}
LOWER(FMOV_vec_imm_d) {
    lower_MOVI(l, w);
}
LOWER(FMOV_vec_imm_h) {
    uint64_t imm = a64_fp_immediate(bits(w, 16, 3) << 5 | bits(w, 5, 5), 16) * 0x0001000100010001;
    v_set(l, a64_Rd(w), imm, a64_Q(w) ? imm : 0);
}

static void logic_immediate(struct lower *l, uint32_t w, enum x64_vop op, uint64_t imm) {
    unsigned d = a64_Rd(w), dst = v_read(l, d, VT0);
    x64_v3(l->a, op, 16, dst, dst, v_const2(l, imm));
    v_finish(l, d, dst, v_bytes(w));
}
LOWER(ORR_vec_imm) {
    logic_immediate(l, w, V_POR, immediate(w));
}
LOWER(BIC_vec_imm) {
    logic_immediate(l, w, V_PAND, ~immediate(w));
}
