/*
 * lower_simd_shift.c - shifts by an immediate, without saturation: SHL, SSHR, USHR with their
 * accumulating, rounding and inserting forms, and the narrowing and widening ones (Arm ARM C4.1.97,
 * shift by immediate).
 *
 * immh:immb is 2 * esize - shift for right shifts, esize + shift for left ones; the element size is
 * immh's top bit.
 */
#include "translate/lower_simd.h"

static unsigned left_amount(uint32_t w) {
    return bits(w, 16, 7) - (8u << immh_size(w));
}

static uint64_t ones(unsigned n) {
    return n >= 64 ? ~0ull : (1ull << n) - 1;
}

/* dst = src << count by element, 0 <= count < esize */
static void shift_left(struct lower *l, unsigned size, unsigned dst, unsigned src, unsigned count) {
    if (size) {
        v_shift(l, v_shl_op[size], dst, src, count);
    } else {
        v_shift(l, V_PSLLW, dst, src, count);
        v_op(l, V_PAND, dst, dst, v_splat(l, 0, 0xff << count & 0xff));
    }
}

/*
 * dst = src >> count by element, 1 <= count <= esize. Signed bytes and doublewords: the logical
 * shift, then its top bit is spread by (x ^ m) - m. Uses VT2.
 */
void v_shift_right(struct lower *l, bool sign, unsigned size, unsigned dst, unsigned src,
                   unsigned count) {
    unsigned esize = 8u << size;
    if (sign && (size == 1 || size == 2)) {
        v_shift(l, size == 1 ? V_PSRAW : V_PSRAD, dst, src, MIN(count, esize - 1));
        return;
    }
    if (sign && count == esize)
        count--; /* nothing but sign bits either way */
    if (sign && size == 3 && count == 63) {
        v_sign64(l, VT2, src);
        v_move(l, dst, VT2);
        return;
    }
    if (size)
        v_shift(l, v_shr_op[size], dst, src, count);
    else {
        v_shift(l, V_PSRLW, dst, src, count);
        v_op(l, V_PAND, dst, dst, v_splat(l, 0, 0xffu >> count));
    }
    if (sign) {
        x64_rm top = v_splat(l, size, 1ull << (esize - 1 - count));
        x64_v3(l->a, V_PXOR, 16, dst, dst, top);
        x64_v3(l->a, size ? V_PSUBQ : V_PSUBB, 16, dst, dst, top);
    }
}

/* dst = (src >> count) + the last bit shifted out. dst is not src; uses VT2. */
void v_shift_right_rounding(struct lower *l, bool sign, unsigned size, unsigned dst, unsigned src,
                            unsigned count) {
    unsigned esize = 8u << size;
    x64_rm one = v_splat(l, size, 1);
    v_shift_right(l, sign, size, dst, src, count);
    unsigned shift = size ? v_shr_op[size] : V_PSRLW; /* of a byte only bit 0 is used */
    v_shift(l, shift, VT2, src, count - 1);
    if (esize == count && size) {
        x64_v3(l->a, v_add_op[size], 16, dst, dst, x64_r(VT2)); /* only one bit is left */
        return;
    }
    x64_v3(l->a, V_PAND, 16, VT2, VT2, one);
    x64_v3(l->a, v_add_op[size], 16, dst, dst, x64_r(VT2));
}

struct right {
    bool sign, round, accumulate;
};

static void shift_right_insn(struct lower *l, uint32_t w, struct right r, unsigned bytes) {
    unsigned d = a64_Rd(w), size = immh_size(w), count = right_amount(w);
    unsigned src = v_read(l, a64_Rn(w), VT1);
    unsigned dst = r.round || r.accumulate ? VT0 : v_dst(d, VT0);
    if (r.round)
        v_shift_right_rounding(l, r.sign, size, dst, src, count);
    else
        v_shift_right(l, r.sign, size, dst, src, count);
    if (r.accumulate)
        x64_v3(l->a, v_add_op[size], 16, dst, dst, vr(d));
    v_finish(l, d, dst, bytes);
}

#define RIGHT(id, sign, round, accumulate)                                           \
    LOWER(id##_vec) {                                                                \
        shift_right_insn(l, w, (struct right){sign, round, accumulate}, v_bytes(w)); \
    }                                                                                \
    LOWER(id##_scalar) {                                                             \
        shift_right_insn(l, w, (struct right){sign, round, accumulate}, 8);          \
    }
RIGHT(SSHR, true, false, false)
RIGHT(SSRA, true, false, true)
RIGHT(SRSHR, true, true, false)
RIGHT(SRSRA, true, true, true)
RIGHT(USHR, false, false, false)
RIGHT(USRA, false, false, true)
RIGHT(URSHR, false, true, false)
RIGHT(URSRA, false, true, true)

static void shl(struct lower *l, uint32_t w, unsigned bytes) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    shift_left(l, immh_size(w), dst, v_read(l, a64_Rn(w), VT1), left_amount(w));
    v_finish(l, d, dst, bytes);
}
LOWER(SHL_vec) {
    shl(l, w, v_bytes(w));
}
LOWER(SHL_scalar) {
    shl(l, w, 8);
}

/* V<d> = VT0 where `mask` repeats ones, V<d> elsewhere. VT0 is zero outside mask. */
static void insert(struct lower *l, uint32_t w, unsigned size, uint64_t mask, unsigned bytes) {
    unsigned d = a64_Rd(w);
    x64_rm keep = v_splat(l, size, ~mask);
    if (l->a->feat.avx512) { /* VT0 | (d & keep) */
        x64_v3_i(l->a, V_VPTERNLOGD, 16, VT0, v_read(l, d, VT1), keep, 0xf8);
        v_finish(l, d, VT0, bytes);
        return;
    }
    v_op_rm(l, V_PAND, VT1, vr(d), keep);
    v_last(l, V_POR, d, VT0, x64_r(VT1), bytes);
}
static void sli(struct lower *l, uint32_t w, unsigned bytes) {
    unsigned size = immh_size(w), count = left_amount(w);
    shift_left(l, size, VT0, v_read(l, a64_Rn(w), VT1), count);
    insert(l, w, size, ~ones(count) & ones(8u << size), bytes);
}
static void sri(struct lower *l, uint32_t w, unsigned bytes) {
    unsigned size = immh_size(w), count = right_amount(w), esize = 8u << size;
    v_shift_right(l, false, size, VT0, v_read(l, a64_Rn(w), VT1), count);
    insert(l, w, size, ones(esize - count), bytes);
}
LOWER(SLI_vec) {
    sli(l, w, v_bytes(w));
}
LOWER(SLI_scalar) {
    sli(l, w, 8);
}
LOWER(SRI_vec) {
    sri(l, w, v_bytes(w));
}
LOWER(SRI_scalar) {
    sri(l, w, 8);
}

/* ---- narrowing and widening ---- */

/* Elements of twice the size, shifted right and truncated. A carry out of the rounding would be cut
 * off anyway. */
LOWER(SHRN) {
    unsigned size = immh_size(w);
    v_shift(l, v_shr_op[size + 1], VT0, v_read(l, a64_Rn(w), VT0), right_amount(w));
    v_truncate(l, size, VT0, VT0);
    v_finish_narrow(l, w, VT0);
}
LOWER(RSHRN) {
    unsigned size = immh_size(w), count = right_amount(w);
    v_op_rm(l, v_add_op[size + 1], VT0, vr(a64_Rn(w)), v_splat(l, size + 1, 1ull << (count - 1)));
    v_shift(l, v_shr_op[size + 1], VT0, VT0, count);
    v_truncate(l, size, VT0, VT0);
    v_finish_narrow(l, w, VT0);
}

static void shift_left_long(struct lower *l, uint32_t w, bool sign) {
    unsigned d = a64_Rd(w), size = immh_size(w), dst = v_dst(d, VT0);
    v_extend(l, dst, a64_Rn(w), size, sign, a64_Q(w));
    v_shift(l, v_shl_op[size + 1], dst, dst, left_amount(w));
    v_finish(l, d, dst, 16);
}
LOWER(SSHLL) {
    shift_left_long(l, w, true);
}
LOWER(USHLL) {
    shift_left_long(l, w, false);
}

LOWER(SHLL) {
    unsigned d = a64_Rd(w), size = a64_size(w), dst = v_dst(d, VT0);
    v_extend(l, dst, a64_Rn(w), size, false, a64_Q(w));
    v_shift(l, v_shl_op[size + 1], dst, dst, 8u << size);
    v_finish(l, d, dst, 16);
}

LOWER(XTN) {
    v_truncate(l, a64_size(w), VT0, v_read(l, a64_Rn(w), VT0));
    v_finish_narrow(l, w, VT0);
}
