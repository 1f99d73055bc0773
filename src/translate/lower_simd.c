/*
 * lower_simd.c - the vocabulary of the SIMD lowerings: see lower_simd.h for its conventions.
 */
#include "translate/lower_simd.h"

#include "translate/region.h"

const uint16_t v_add_op[4] = {V_PADDB, V_PADDW, V_PADDD, V_PADDQ};
const uint16_t v_sub_op[4] = {V_PSUBB, V_PSUBW, V_PSUBD, V_PSUBQ};
const uint16_t v_cmpeq_op[4] = {V_PCMPEQB, V_PCMPEQW, V_PCMPEQD, V_PCMPEQQ};
const uint16_t v_cmpgt_op[4] = {V_PCMPGTB, V_PCMPGTW, V_PCMPGTD, V_PCMPGTQ};
const uint16_t v_shl_op[4] = {V_NONE, V_PSLLW, V_PSLLD, V_PSLLQ};
const uint16_t v_shr_op[4] = {V_NONE, V_PSRLW, V_PSRLD, V_PSRLQ};
const uint16_t v_unpack_low[4] = {V_PUNPCKLBW, V_PUNPCKLWD, V_PUNPCKLDQ, V_PUNPCKLQDQ};
const uint16_t v_unpack_high[4] = {V_PUNPCKHBW, V_PUNPCKHWD, V_PUNPCKHDQ, V_PUNPCKHQDQ};

/* Without AVX, dst = s1 must not overwrite s2. */
static x64_rm safe_source(struct lower *l, unsigned dst, unsigned s1, x64_rm s2) {
    if (l->a->feat.avx || dst == s1 || !x64_is_reg(s2, dst))
        return s2;
    x64_v2(l->a, V_MOVAPS, 16, VT2, s2);
    return x64_r(VT2);
}

void v_op(struct lower *l, enum x64_vop op, unsigned dst, unsigned s1, x64_rm s2) {
    x64_v3(l->a, op, 16, dst, s1, safe_source(l, dst, s1, s2));
}

void v_op_i(struct lower *l, enum x64_vop op, unsigned dst, unsigned s1, x64_rm s2, uint8_t imm) {
    x64_v3_i(l->a, op, 16, dst, s1, safe_source(l, dst, s1, s2), imm);
}

void v_move(struct lower *l, unsigned dst, unsigned src) {
    if (dst != src)
        x64_v2(l->a, V_MOVAPS, 16, dst, x64_r(src));
}

void v_shift(struct lower *l, enum x64_vop op, unsigned dst, unsigned src, unsigned count) {
    if (count)
        x64_vshift_i(l->a, op, 16, dst, src, (uint8_t)count);
    else
        v_move(l, dst, src);
}

void v_zero(struct lower *l, unsigned dst) {
    x64_v3(l->a, V_PXOR, 16, dst, dst, x64_r(dst));
}

void v_ones(struct lower *l, unsigned dst) {
    x64_v3(l->a, V_PCMPEQD, 16, dst, dst, x64_r(dst));
}

void v_not(struct lower *l, unsigned dst, unsigned src) {
    v_op(l, V_PXOR, dst, src, v_const2(l, ~0ull));
}

x64_rm v_const2(struct lower *l, uint64_t twice) {
    return v_const(l, twice, twice);
}

x64_rm v_splat(struct lower *l, unsigned size, uint64_t pattern) {
    for (unsigned bits_done = 8u << size; bits_done < 64; bits_done *= 2) {
        pattern &= (1ull << bits_done) - 1;
        pattern |= pattern << bits_done;
    }
    return v_const2(l, pattern);
}

/*
 * Is the present instruction one whose result is zero where its sources are, and are they zero
 * above bit 63? Then a 64-bit result computed in whole registers needs no clearing.
 */
static bool upper_stays_zero(struct lower *l) {
    uint32_t w = l->word;
    switch (l->insn->op) {
    case A64_ADD_vec:
    case A64_SUB_vec:
    case A64_AND_vec:
    case A64_ORR_vec:
    case A64_EOR_vec:
    case A64_BIC_vec:
    case A64_MUL_vec:
        return v_upper_zero(l, a64_Rn(w), 8) && v_upper_zero(l, a64_Rm(w), 8);
    case A64_SHL_vec:
    case A64_USHR_vec:
    case A64_SSHR_vec:
        return v_upper_zero(l, a64_Rn(w), 8);
    default:
        return false;
    }
}

void v_finish(struct lower *l, unsigned d, unsigned reg, unsigned bytes) {
    unsigned dst = v_dst(d, reg >= VT0 ? reg : VT0);
    if (bytes == 8 && upper_stays_zero(l))
        bytes = 16;
    switch (bytes) {
    case 16:
        v_move(l, dst, reg);
        break;
    case 8:
        x64_v2(l->a, V_MOVQ, 16, dst, x64_r(reg));
        break;
    case 4: /* keep element 0, clear 1 to 3 */
        v_op_i(l, V_INSERTPS, dst, reg, x64_r(reg), 0x0e);
        break;
    default:
        v_op(l, V_PAND, dst, reg, v_const(l, bytes == 2 ? 0xffff : 0xff, 0));
    }
    v_commit(l, d, dst);
}

void v_last(struct lower *l, enum x64_vop op, unsigned d, unsigned s1, x64_rm s2, unsigned bytes) {
    unsigned dst = v_dst(d, VT0);
    v_op(l, op, dst, s1, s2);
    v_finish(l, d, dst, bytes);
}

void v_binary(struct lower *l, enum x64_vop op, unsigned d, unsigned n, unsigned m,
              unsigned bytes) {
    unsigned dst = v_dst(d, VT0);
    x64_rm s2 = vr(m);
    if (!l->a->feat.avx && !v_pinned(n) && !x64_is_reg(s2, dst)) {
        v_copy(l, dst, n);
        x64_v3(l->a, op, 16, dst, dst, s2);
    } else {
        v_op(l, op, dst, v_read(l, n, VT1), s2);
    }
    v_finish(l, d, dst, bytes);
}

unsigned v_read_folded(struct lower *l, uint32_t w, unsigned n, unsigned scratch) {
    if (a64_Q(w))
        return v_read(l, n, scratch);
    x64_v2(l->a, V_MOVDDUP, 16, scratch, vr(n));
    return scratch;
}

void v_load(struct lower *l, unsigned dst, x64_rm rm) {
    if (!x64_is_reg(rm, dst))
        x64_v2(l->a, V_MOVAPS, 16, dst, rm);
}

void v_op_rm(struct lower *l, enum x64_vop op, unsigned dst, x64_rm s1, x64_rm s2) {
    if (s1.is_mem) {
        v_load(l, dst, s1);
        s1 = x64_r(dst);
    }
    v_op(l, op, dst, s1.base, s2);
}

static bool same_operand(x64_rm a, x64_rm b) {
    return a.is_mem == b.is_mem && a.base == b.base && a.disp == b.disp;
}

/* dst = src's elements of `size` (log2, 0 or 1) at even (odd) places, zero-extended. */
static void keep_half(struct lower *l, unsigned size, bool odd, unsigned dst, x64_rm src) {
    if (odd) {
        if (src.is_mem)
            v_load(l, dst, src);
        v_shift(l, size ? V_PSRLD : V_PSRLW, dst, src.is_mem ? dst : src.base, 8u << size);
    } else {
        v_op_rm(l, V_PAND, dst, src, v_splat(l, size + 1, size ? 0xffff : 0xff));
    }
}

void v_unzip(struct lower *l, unsigned size, bool odd, unsigned dst, x64_rm n, x64_rm m) {
    switch (size) {
    case 0:
    case 1:
        if (same_operand(n, m)) {
            keep_half(l, size, odd, dst, n);
            x64_v3(l->a, size ? V_PACKUSDW : V_PACKUSWB, 16, dst, dst, x64_r(dst));
        } else {
            keep_half(l, size, odd, VT2, m);
            keep_half(l, size, odd, dst, n);
            x64_v3(l->a, size ? V_PACKUSDW : V_PACKUSWB, 16, dst, dst, x64_r(VT2));
        }
        break;
    case 2:
        if (n.is_mem && !(x64_is_reg(m, dst))) {
            v_load(l, dst, n);
            n = x64_r(dst);
        }
        x64_v3_i(l->a, V_SHUFPS, 16, dst, n.base, m, odd ? 0xdd : 0x88);
        break;
    default:
        v_op_rm(l, odd ? V_PUNPCKHQDQ : V_PUNPCKLQDQ, dst, n, m);
    }
}

void v_join_low(struct lower *l, unsigned dst, unsigned n, unsigned m) {
    if (!v_pinned(n) && !x64_is_reg(vr(m), dst)) {
        v_copy(l, dst, n);
        x64_v3(l->a, V_PUNPCKLQDQ, 16, dst, dst, vr(m));
    } else {
        v_op(l, V_PUNPCKLQDQ, dst, v_read(l, n, VT1), vr(m));
    }
}

void v_extend(struct lower *l, unsigned dst, unsigned n, unsigned size, bool sign, bool high) {
    static const uint16_t zx[] = {V_PMOVZXBW, V_PMOVZXWD, V_PMOVZXDQ};
    static const uint16_t sx[] = {V_PMOVSXBW, V_PMOVSXWD, V_PMOVSXDQ};
    enum x64_vop op = sign ? sx[size] : zx[size];
    if (!high) {
        x64_v2(l->a, op, 16, dst, vr(n));
    } else if (!v_pinned(n)) {
        x64_v2(l->a, op, 16, dst, vr_hi(n));
    } else {
        x64_v2_i(l->a, V_PSHUFD, 16, dst, vr(n), 0xee);
        x64_v2(l->a, op, 16, dst, x64_r(dst));
    }
}

void v_truncate(struct lower *l, unsigned size, unsigned dst, unsigned src) {
    static const uint64_t pick[3] = {0x0e0c0a0806040200, 0x0d0c090805040100, 0x0b0a090803020100};
    v_op(l, V_PSHUFB, dst, src, v_const(l, pick[size], 0x8080808080808080));
}

void v_finish_narrow(struct lower *l, uint32_t w, unsigned reg) {
    unsigned d = a64_Rd(w);
    if (!a64_Q(w)) {
        v_finish(l, d, reg, 8);
    } else if (v_pinned(d)) {
        v_op(l, V_PUNPCKLQDQ, v_dst(d, reg), v_dst(d, reg), x64_r(reg));
    } else {
        x64_vst(l->a, V_MOVQ, 16, vr_hi(d), reg);
    }
}

void v_saturated(struct lower *l, unsigned reg, unsigned bytes) {
    if (bytes == 8)
        x64_v2(l->a, V_MOVQ, 16, reg, x64_r(reg));
    else if (bytes < 8)
        v_op(l, V_PAND, reg, reg, v_const(l, (1ull << bytes * 8) - 1, 0));
    x64_v3(l->a, V_POR, 16, reg, reg, QC_ACC);
    x64_vst(l->a, V_MOVAPS, 16, QC_ACC, reg);
}

void v_sign64(struct lower *l, unsigned dst, unsigned src) {
    v_zero(l, dst);
    v_op(l, V_PCMPGTQ, dst, dst, x64_r(src));
}

void v_splat_element(struct lower *l, unsigned size, unsigned dst, unsigned m, unsigned i) {
    static const uint16_t broadcast[] = {V_VPBROADCASTB, V_VPBROADCASTW, V_VPBROADCASTD,
                                         V_VPBROADCASTQ};
    if (l->a->feat.avx && (i == 0 || !v_pinned(m))) {
        x64_rm src = vr(m);
        if (src.is_mem)
            src.disp += (int32_t)(i << size);
        x64_v2(l->a, broadcast[size], 16, dst, src);
        return;
    }
    uint64_t pattern = 0;
    switch (size) {
    case 3:
        x64_v2_i(l->a, V_PSHUFD, 16, dst, vr(m), i ? 0xee : 0x44);
        break;
    case 2:
        x64_v2_i(l->a, V_PSHUFD, 16, dst, vr(m), (uint8_t)(i * 0x55));
        break;
    default:
        for (unsigned b = 0; b < 8; b++)
            pattern |= (uint64_t)((i << size) + (b & ((1u << size) - 1))) << b * 8;
        if (x64_is_reg(vr(m), dst) || l->a->feat.avx) {
            v_op(l, V_PSHUFB, dst, v_read(l, m, dst), v_const2(l, pattern));
        } else {
            v_copy(l, dst, m);
            x64_v3(l->a, V_PSHUFB, 16, dst, dst, v_const2(l, pattern));
        }
    }
}

void v_scalar(struct lower *l, unsigned dst, unsigned n, unsigned bytes) {
    x64_rm src = vr(n);
    if (src.is_mem)
        x64_v2(l->a, bytes == 8 ? V_MOVSD : V_MOVSS, 16, dst, src);
    else if (v_upper_zero(l, n, bytes))
        v_load(l, dst, src);
    else if (bytes == 8)
        x64_v2(l->a, V_MOVQ, 16, dst, src);
    else
        v_op_i(l, V_INSERTPS, dst, src.base, src, 0x0e);
}

bool fp_strict(const struct lower *l) {
    return l->region->strict_fp;
}

unsigned fp_dst(struct lower *l, unsigned d) {
    return fp_strict(l) ? VT0 : v_dst(d, VT0);
}

void fp_check(struct lower *l, bool packed, bool dbl, unsigned reg) {
    if (fp_strict(l))
        v_op_i(l, (packed ? V_CMPPS : V_CMPSS) + dbl, VT2, reg, x64_r(reg), 1);
}

unsigned fp_traps(const struct lower *l) {
    return l->region->fp_traps ? l->region->fp_traps(l->pc) : 0;
}

void v_jump_if_ahp(struct lower *l, struct x64_label *slow) {
    flags_clobber(l);
    x64_test_rm_i(l->a, 4, x64_m(RBP, CPU_OFFSET(fpcr)), FPCR_AHP);
    x64_jcc(l->a, CC_NE, slow);
}
