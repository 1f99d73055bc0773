/*
 * lower_ldst_fp.c - loads and stores of SIMD&FP registers (Arm ARM C4.1.96): single, pair, literal,
 * and the structure forms LD1-LD4/ST1-ST4.
 *
 * A load clears the rest of its V register. The registers of a faulting structure load are UNKNOWN
 * to the guest, and the instruction is executed again, so each is written as soon as it is known.
 * Structures are taken apart with byte shuffles and unpacks; AVX-512 is not needed for anything
 * here.
 */
#include "translate/lower_int.h"

#define T0 13
#define T1 14
#define T2 15

static x64_rm offset_by(x64_rm m, unsigned more) {
    m.disp += (int32_t)more;
    return m;
}

/* ---- one register ---- */

/* V<rt> = 1 << log2 bytes at address. Uses RCX. */
static void load_vector(struct lower *l, unsigned log2, unsigned rt, x64_rm address) {
    struct x64_asm *a = l->a;
    unsigned dst = v_dst(rt, T0);
    switch (log2) {
    case 0:
    case 1:
        x64_movzx(a, RCX, 1u << log2, address);
        x64_v2(a, V_MOVD32, 16, dst, x64_r(RCX));
        break;
    case 2:
        x64_v2(a, V_MOVD32, 16, dst, address);
        break;
    case 3:
        x64_v2(a, V_MOVQ, 16, dst, address);
        break;
    default:
        x64_v2(a, V_MOVUPS, 16, dst, address);
        break;
    }
    v_commit(l, rt, dst);
}

/* Stores element `index` of 1 << log2 bytes of V<rt>. Uses RDX, or T0 for 16 bytes. */
static void store_element(struct lower *l, unsigned log2, unsigned rt, unsigned index,
                          x64_rm address) {
    static const enum x64_vop extract[] = {V_PEXTRB, V_PEXTRW, V_PEXTRD, V_PEXTRQ};
    struct x64_asm *a = l->a;
    if (log2 == 4) {
        x64_vst(a, V_MOVUPS, 16, address, v_read(l, rt, T0));
    } else if (!v_pinned(rt)) {
        x64_mov_r_rm(a, log2 == 3 ? 8 : 4, RDX, offset_by(vr(rt), index << log2));
        x64_mov_rm_r(a, 1u << log2, address, RDX);
    } else if (index == 0 && log2 >= 2) {
        x64_vst(a, log2 == 2 ? V_MOVD32 : V_MOVQ, 16, address, host_v[rt]);
    } else if (index == 1 && log2 == 3) {
        x64_vst(a, V_MOVHPS, 16, address, host_v[rt]);
    } else {
        x64_vst_i(a, extract[log2], 16, address, host_v[rt], (uint8_t)index);
    }
}

static void store_vector(struct lower *l, unsigned log2, unsigned rt, x64_rm address) {
    store_element(l, log2, rt, 0, address);
}

static void access_vector(struct lower *l, bool load, unsigned log2, unsigned rt, x64_rm address) {
    if (load)
        load_vector(l, log2, rt, address);
    else
        store_vector(l, log2, rt, address);
}

/* opc<1>:size is log2 of the bytes. */
static unsigned access_log2(uint32_t w) {
    return bits(w, 23, 1) << 2 | w >> 30;
}

static void lower_scaled(struct lower *l, uint32_t w, bool load) {
    unsigned log2 = access_log2(w);
    x64_rm address = ldst_address(l, a64_Rn(w), (int32_t)(bits(w, 10, 12) << log2));
    access_vector(l, load, log2, a64_Rt(w), address);
}

static void lower_unscaled(struct lower *l, uint32_t w, bool load) {
    x64_rm address = ldst_address(l, a64_Rn(w), (int32_t)sbits(w, 12, 9));
    access_vector(l, load, access_log2(w), a64_Rt(w), address);
}

static void lower_indexed(struct lower *l, uint32_t w, bool load, bool pre) {
    int32_t offset = (int32_t)sbits(w, 12, 9);
    x64_rm address = ldst_address(l, a64_Rn(w), pre ? offset : 0);
    access_vector(l, load, access_log2(w), a64_Rt(w), address);
    ldst_write_back(l, a64_Rn(w), address, offset);
}

static void lower_register_offset(struct lower *l, uint32_t w, bool load) {
    unsigned log2 = access_log2(w);
    x64_rm address =
        ea_extended(l, a64_Rn(w), a64_Rm(w), bits(w, 13, 3), bits(w, 12, 1) ? log2 : 0);
    access_vector(l, load, log2, a64_Rt(w), address);
}

LOWER(LDR_fp_imm) {
    lower_scaled(l, w, true);
}

LOWER(STR_fp_imm) {
    lower_scaled(l, w, false);
}

LOWER(LDUR_fp) {
    lower_unscaled(l, w, true);
}

LOWER(STUR_fp) {
    lower_unscaled(l, w, false);
}

LOWER(LDR_fp_pre) {
    lower_indexed(l, w, true, true);
}

LOWER(STR_fp_pre) {
    lower_indexed(l, w, false, true);
}

LOWER(LDR_fp_post) {
    lower_indexed(l, w, true, false);
}

LOWER(STR_fp_post) {
    lower_indexed(l, w, false, false);
}

LOWER(LDR_fp_reg) {
    lower_register_offset(l, w, true);
}

LOWER(STR_fp_reg) {
    lower_register_offset(l, w, false);
}

LOWER(LDR_fp_lit) {
    guest_addr address = l->pc + (uint64_t)(sbits(w, 5, 19) * 4);
    load_vector(l, 2 + (w >> 30), a64_Rt(w), ldst_literal(l, address));
}

/* ---- pairs ---- */

enum index_mode { OFFSET, PRE, POST };

static void lower_pair(struct lower *l, uint32_t w, bool load, enum index_mode mode) {
    unsigned log2 = 2 + (w >> 30);
    int32_t offset = (int32_t)(sbits(w, 15, 7) * (1 << log2));
    x64_rm address = ldst_address(l, a64_Rn(w), mode == POST ? 0 : offset);
    access_vector(l, load, log2, a64_Rt(w), address);
    access_vector(l, load, log2, a64_Rt2(w), offset_by(address, 1u << log2));
    if (mode != OFFSET)
        ldst_write_back(l, a64_Rn(w), address, offset);
}

LOWER(LDP_fp_off) {
    lower_pair(l, w, true, OFFSET);
}

LOWER(LDP_fp_pre) {
    lower_pair(l, w, true, PRE);
}

LOWER(LDP_fp_post) {
    lower_pair(l, w, true, POST);
}

LOWER(LDNP_fp) {
    lower_pair(l, w, true, OFFSET);
}

LOWER(STP_fp_off) {
    lower_pair(l, w, false, OFFSET);
}

LOWER(STP_fp_pre) {
    lower_pair(l, w, false, PRE);
}

LOWER(STP_fp_post) {
    lower_pair(l, w, false, POST);
}

LOWER(STNP_fp) {
    lower_pair(l, w, false, OFFSET);
}

/* ---- structures: the common frame ---- */

/* A structure access: `count` registers from V<rt> on, elements of 1 << log2 bytes, `bytes` of each
 * register. */
struct structure {
    unsigned rt, count, log2, bytes;
    x64_rm address;
};

static unsigned structure_register(const struct structure *s, unsigned k) {
    return (s->rt + k) & 31;
}

/* Register post-index, or by the bytes transferred when Rm is 31. */
static void structure_write_back(struct lower *l, uint32_t w, x64_rm address,
                                 unsigned transferred) {
    if (a64_Rm(w) == 31)
        ldst_write_back(l, a64_Rn(w), address, (int32_t)transferred);
    else
        ldst_write_back_reg(l, a64_Rn(w), a64_Rm(w));
}

typedef void structure_fn(struct lower *l, const struct structure *s);

static void lower_multiple(struct lower *l, uint32_t w, unsigned count, bool post,
                           structure_fn *access) {
    struct structure s = {a64_Rt(w), count, bits(w, 10, 2), a64_Q(w) ? 16 : 8, {0}};
    s.address = ldst_address(l, a64_Rn(w), 0);
    access(l, &s);
    if (post)
        structure_write_back(l, w, s.address, s.count * s.bytes);
}

/* ---- LD1, ST1 of whole registers ---- */

static void load_sequential(struct lower *l, const struct structure *s) {
    for (unsigned k = 0; k < s->count; k++)
        load_vector(l, s->bytes == 16 ? 4 : 3, structure_register(s, k),
                    offset_by(s->address, k * s->bytes));
}

static void store_sequential(struct lower *l, const struct structure *s) {
    for (unsigned k = 0; k < s->count; k++)
        store_vector(l, s->bytes == 16 ? 4 : 3, structure_register(s, k),
                     offset_by(s->address, k * s->bytes));
}

/* ---- LD2, LD3, LD4 ---- */

/* A PSHUFB mask in the making; 0x80 gives zero. */
struct shuffle {
    uint8_t from[16];
};

static x64_rm shuffle_constant(struct lower *l, const struct shuffle *s) {
    uint64_t half[2];
    memcpy(half, s->from, sizeof(half));
    return v_const(l, half[0], half[1]);
}

/* dst = src shuffled by a mask in memory; dst may be src. */
static void emit_shuffle(struct lower *l, unsigned dst, unsigned src, const struct shuffle *s) {
    x64_v3(l->a, V_PSHUFB, 16, dst, src, shuffle_constant(l, s));
}

/* Gathers element j of every structure of `count` elements in 16 bytes side by side: 0 0 0 0 1 1 1
 * 1 2 2 2 2 ... */
static struct shuffle gather_elements(unsigned count, unsigned log2) {
    struct shuffle s;
    unsigned size = 1u << log2, structures = 16 / size / count;
    for (unsigned i = 0; i < 16; i++) {
        unsigned element = i / size;
        unsigned source = element % structures * count + element / structures;
        s.from[i] = (uint8_t)(source * size + i % size);
    }
    return s;
}

/* Elements of 64 bits, in the order of their addresses. Uses RDX. */
static void load_doublewords(struct lower *l, const struct structure *s) {
    for (unsigned i = 0; i < s->count * 2; i++) {
        unsigned r = structure_register(s, i % s->count), half = i / s->count;
        x64_rm element = offset_by(s->address, i * 8);
        if (!v_pinned(r)) {
            x64_mov_r_rm(l->a, 8, RDX, element);
            x64_mov_rm_r(l->a, 8, offset_by(vr(r), half * 8), RDX);
        } else if (half) {
            x64_v3(l->a, V_MOVHPS, 16, host_v[r], host_v[r], element);
        } else {
            x64_v2(l->a, V_MOVQ, 16, host_v[r], element);
        }
    }
}

static void load_2(struct lower *l, const struct structure *s) {
    struct x64_asm *a = l->a;
    unsigned r0 = s->rt, r1 = structure_register(s, 1), dst;
    if (s->log2 == 3) {
        load_doublewords(l, s);
        return;
    }
    struct shuffle even_odd = gather_elements(2, s->log2);
    x64_v2(a, V_MOVUPS, 16, T0, s->address);
    if (s->bytes == 8) {
        emit_shuffle(l, T0, T0, &even_odd);
        dst = v_dst(r0, T1);
        x64_v2(a, V_MOVQ, 16, dst, x64_r(T0));
        v_commit(l, r0, dst);
        dst = v_dst(r1, T1);
        x64_vshift_i(a, V_PSRLDQ, 16, dst, T0, 8);
        v_commit(l, r1, dst);
        return;
    }
    x64_v2(a, V_MOVUPS, 16, T1, offset_by(s->address, 16));
    if (s->log2 < 2) {
        emit_shuffle(l, T0, T0, &even_odd);
        emit_shuffle(l, T1, T1, &even_odd);
    }
    dst = v_dst(r0, T2);
    if (s->log2 < 2)
        x64_v3(a, V_PUNPCKLQDQ, 16, dst, T0, x64_r(T1));
    else
        x64_v3_i(a, V_SHUFPS, 16, dst, T0, x64_r(T1), 0x88);
    v_commit(l, r0, dst);
    dst = v_dst(r1, T2);
    if (s->log2 < 2)
        x64_v3(a, V_PUNPCKHQDQ, 16, dst, T0, x64_r(T1));
    else
        x64_v3_i(a, V_SHUFPS, 16, dst, T0, x64_r(T1), 0xdd);
    v_commit(l, r1, dst);
}

/* dst = the 16-byte (the last perhaps 8-byte) piece i of what the structure access reads. */
static void load_piece(struct lower *l, const struct structure *s, unsigned dst, unsigned i) {
    bool half = s->count * s->bytes - i * 16 == 8;
    x64_v2(l->a, half ? V_MOVQ : V_MOVUPS, 16, dst, offset_by(s->address, i * 16));
}

/* Each register is the OR of its elements shuffled out of every piece. */
static void load_by_shuffles(struct lower *l, const struct structure *s) {
    struct x64_asm *a = l->a;
    unsigned pieces = (s->count * s->bytes + 15) / 16, size = 1u << s->log2;
    for (unsigned k = 0; k < s->count; k++) {
        unsigned r = structure_register(s, k), dst = v_dst(r, T1);
        for (unsigned i = 0; i < pieces; i++) {
            struct shuffle mask;
            for (unsigned b = 0; b < 16; b++) {
                unsigned source = (b / size * s->count + k) * size + b % size;
                mask.from[b] = b < s->bytes && source / 16 == i ? source % 16 : 0x80;
            }
            unsigned piece = i == 0 ? dst : T0;
            load_piece(l, s, piece, i);
            emit_shuffle(l, piece, piece, &mask);
            if (i > 0)
                x64_v3(a, V_POR, 16, dst, dst, x64_r(piece));
        }
        v_commit(l, r, dst);
    }
}

static void load_3(struct lower *l, const struct structure *s) {
    if (s->log2 == 3)
        load_doublewords(l, s);
    else
        load_by_shuffles(l, s);
}

/* Four full pinned registers: gather within each 16 bytes, then transpose 4 x 4 words in place. */
static void load_4_transposed(struct lower *l, const struct structure *s) {
    struct x64_asm *a = l->a;
    unsigned v[4];
    for (unsigned k = 0; k < 4; k++) {
        v[k] = host_v[structure_register(s, k)];
        x64_v2(a, V_MOVUPS, 16, v[k], offset_by(s->address, k * 16));
        if (s->log2 < 2) {
            struct shuffle mask = gather_elements(4, s->log2);
            emit_shuffle(l, v[k], v[k], &mask);
        }
    }
    x64_v3(a, V_PUNPCKLDQ, 16, T0, v[0], x64_r(v[1]));
    x64_v3(a, V_PUNPCKHDQ, 16, T2, v[0], x64_r(v[1]));
    x64_v3(a, V_PUNPCKLDQ, 16, T1, v[2], x64_r(v[3]));
    x64_v3(a, V_PUNPCKHDQ, 16, v[2], v[2], x64_r(v[3]));
    x64_v3(a, V_PUNPCKLQDQ, 16, v[0], T0, x64_r(T1));
    x64_v3(a, V_PUNPCKHQDQ, 16, v[1], T0, x64_r(T1));
    x64_v3(a, V_PUNPCKHQDQ, 16, v[3], T2, x64_r(v[2]));
    x64_v3(a, V_PUNPCKLQDQ, 16, T2, T2, x64_r(v[2]));
    x64_v2(a, V_MOVAPS, 16, v[2], x64_r(T2));
}

static void load_4(struct lower *l, const struct structure *s) {
    bool pinned = true;
    for (unsigned k = 0; k < 4; k++)
        pinned = pinned && v_pinned(structure_register(s, k));
    if (s->log2 == 3)
        load_doublewords(l, s);
    else if (pinned && s->bytes == 16)
        load_4_transposed(l, s);
    else
        load_by_shuffles(l, s);
}

/* ---- ST2, ST3, ST4 ---- */

static const enum x64_vop unpack_low[] = {V_PUNPCKLBW, V_PUNPCKLWD, V_PUNPCKLDQ, V_PUNPCKLQDQ};
static const enum x64_vop unpack_high[] = {V_PUNPCKHBW, V_PUNPCKHWD, V_PUNPCKHDQ, V_PUNPCKHQDQ};

/* dst (a scratch register) = op(V<r0>, V<r1>) */
static void emit_unpack(struct lower *l, enum x64_vop op, unsigned dst, unsigned r0, unsigned r1) {
    x64_v3(l->a, op, 16, dst, v_read(l, r0, dst), vr(r1));
}

static void store_piece(struct lower *l, const struct structure *s, unsigned i, unsigned src) {
    x64_vst(l->a, V_MOVUPS, 16, offset_by(s->address, i * 16), src);
}

static void store_2(struct lower *l, const struct structure *s) {
    unsigned r1 = structure_register(s, 1);
    emit_unpack(l, unpack_low[s->log2], T0, s->rt, r1);
    store_piece(l, s, 0, T0);
    if (s->bytes == 16) {
        emit_unpack(l, unpack_high[s->log2], T0, s->rt, r1);
        store_piece(l, s, 1, T0);
    }
}

static void store_3(struct lower *l, const struct structure *s) {
    unsigned size = 1u << s->log2, total = 3 * s->bytes;
    if (s->log2 == 3) {
        for (unsigned i = 0; i < 6; i++)
            store_element(l, 3, structure_register(s, i % 3), i / 3, offset_by(s->address, i * 8));
        return;
    }
    for (unsigned i = 0; i * 16 < total; i++) {
        for (unsigned k = 0; k < 3; k++) {
            struct shuffle mask;
            for (unsigned b = 0; b < 16; b++) {
                unsigned element = (i * 16 + b) / size;
                unsigned source = element / 3 * size + b % size;
                mask.from[b] = element % 3 == k && source < s->bytes ? (uint8_t)source : 0x80;
            }
            unsigned dst = k == 0 ? T0 : T1;
            emit_shuffle(l, dst, v_read(l, structure_register(s, k), dst), &mask);
            if (k > 0)
                x64_v3(l->a, V_POR, 16, T0, T0, x64_r(T1));
        }
        if (total - i * 16 == 8)
            x64_vst(l->a, V_MOVQ, 16, offset_by(s->address, i * 16), T0);
        else
            store_piece(l, s, i, T0);
    }
}

/* Pieces 2 * half and 2 * half + 1 of ST4, from the low or high halves of the registers. */
static void store_4_half(struct lower *l, const struct structure *s, unsigned half) {
    struct x64_asm *a = l->a;
    const enum x64_vop *unpack = half ? unpack_high : unpack_low;
    emit_unpack(l, unpack[s->log2], T0, s->rt, structure_register(s, 1));
    emit_unpack(l, unpack[s->log2], T1, structure_register(s, 2), structure_register(s, 3));
    if (s->log2 < 3) {
        x64_v3(a, unpack_low[s->log2 + 1], 16, T2, T0, x64_r(T1));
        store_piece(l, s, half * 2, T2);
        x64_v3(a, unpack_high[s->log2 + 1], 16, T0, T0, x64_r(T1));
        store_piece(l, s, half * 2 + 1, T0);
    } else {
        store_piece(l, s, half * 2, T0);
        store_piece(l, s, half * 2 + 1, T1);
    }
}

static void store_4(struct lower *l, const struct structure *s) {
    store_4_half(l, s, 0);
    if (s->bytes == 16)
        store_4_half(l, s, 1);
}

/* LD1 and ST1: the opcode gives the number of registers. */
static unsigned sequential_count(uint32_t w) {
    unsigned opcode = bits(w, 12, 4);
    return opcode == 7 ? 1 : opcode == 10 ? 2 : opcode == 6 ? 3 : 4;
}

#define MULTIPLE(id, count, access)                 \
    LOWER(id) {                                     \
        lower_multiple(l, w, count, false, access); \
    }                                               \
    LOWER(id##_post) {                              \
        lower_multiple(l, w, count, true, access);  \
    }

MULTIPLE(LD1_multi, sequential_count(w), load_sequential)
MULTIPLE(LD2_multi, 2, load_2)
MULTIPLE(LD3_multi, 3, load_3)
MULTIPLE(LD4_multi, 4, load_4)
MULTIPLE(ST1_multi, sequential_count(w), store_sequential)
MULTIPLE(ST2_multi, 2, store_2)
MULTIPLE(ST3_multi, 3, store_3)
MULTIPLE(ST4_multi, 4, store_4)

/* ---- single lanes and replication ---- */

/* V<rt>.element[index] = the memory element; the rest of V<rt> stays. */
static void load_element(struct lower *l, unsigned log2, unsigned rt, unsigned index,
                         x64_rm address) {
    static const enum x64_vop insert[] = {V_PINSRB, V_PINSRW, V_PINSRD, V_PINSRQ};
    unsigned dst = v_dst(rt, T0);
    v_copy(l, dst, rt);
    if (log2 == 3)
        x64_v3(l->a, index ? V_MOVHPS : V_MOVLPS, 16, dst, dst, address);
    else
        x64_v3_i(l->a, insert[log2], 16, dst, dst, address, (uint8_t)index);
    v_commit(l, rt, dst);
}

static void lower_single(struct lower *l, uint32_t w, unsigned count, bool load, bool post) {
    unsigned log2 = bits(w, 14, 2), index = a64_Q(w) << 3 | bits(w, 10, 3);
    if (log2 == 2 && bits(w, 10, 1))
        log2 = 3;
    index >>= log2;
    x64_rm address = ldst_address(l, a64_Rn(w), 0);
    for (unsigned k = 0; k < count; k++) {
        unsigned r = (a64_Rt(w) + k) & 31;
        if (load)
            load_element(l, log2, r, index, offset_by(address, k << log2));
        else
            store_element(l, log2, r, index, offset_by(address, k << log2));
    }
    if (post)
        structure_write_back(l, w, address, count << log2);
}

/* V<rt> = the memory element in each lane of 8 or 16 bytes. Uses RCX. */
static void load_replicated(struct lower *l, const struct structure *s, unsigned rt,
                            x64_rm address) {
    static const enum x64_vop broadcast[] = {V_VPBROADCASTB, V_VPBROADCASTW, V_VPBROADCASTD,
                                             V_VPBROADCASTQ};
    struct x64_asm *a = l->a;
    unsigned dst = v_dst(rt, T0);
    bool full = s->bytes == 16;
    if (s->log2 == 3 && !full) {
        x64_v2(a, V_MOVQ, 16, dst, address);
    } else if (a->feat.avx) {
        x64_v2(a, broadcast[s->log2], 16, dst, address);
        if (!full)
            x64_v2(a, V_MOVQ, 16, dst, x64_r(dst));
    } else if (s->log2 == 3) {
        x64_v2(a, V_MOVDDUP, 16, dst, address);
    } else {
        if (s->log2 == 2) {
            x64_v2(a, V_MOVD32, 16, dst, address);
        } else {
            x64_movzx(a, RCX, 1u << s->log2, address);
            if (s->log2 == 0) /* both bytes of a halfword */
                x64_imul_r_rm_i(a, 4, RCX, x64_r(RCX), 0x101);
            x64_v2(a, V_MOVD32, 16, dst, x64_r(RCX));
            x64_v2_i(a, V_PSHUFLW, 16, dst, x64_r(dst), 0);
        }
        x64_v2_i(a, V_PSHUFD, 16, dst, x64_r(dst), full ? 0 : 0xe0);
        if (!full)
            x64_v2(a, V_MOVQ, 16, dst, x64_r(dst));
    }
    v_commit(l, rt, dst);
}

static void lower_replicate(struct lower *l, uint32_t w, unsigned count, bool post) {
    struct structure s = {a64_Rt(w), count, bits(w, 10, 2), a64_Q(w) ? 16 : 8, {0}};
    if (!l->a->feat.avx && s.log2 == 0)
        flags_clobber(l);
    s.address = ldst_address(l, a64_Rn(w), 0);
    for (unsigned k = 0; k < count; k++)
        load_replicated(l, &s, structure_register(&s, k), offset_by(s.address, k << s.log2));
    if (post)
        structure_write_back(l, w, s.address, count << s.log2);
}

#define SINGLE(n)                            \
    LOWER(LD##n##_single) {                  \
        lower_single(l, w, n, true, false);  \
    }                                        \
    LOWER(LD##n##_single_post) {             \
        lower_single(l, w, n, true, true);   \
    }                                        \
    LOWER(ST##n##_single) {                  \
        lower_single(l, w, n, false, false); \
    }                                        \
    LOWER(ST##n##_single_post) {             \
        lower_single(l, w, n, false, true);  \
    }                                        \
    LOWER(LD##n##R) {                        \
        lower_replicate(l, w, n, false);     \
    }                                        \
    LOWER(LD##n##R_post) {                   \
        lower_replicate(l, w, n, true);      \
    }

SINGLE(1)
SINGLE(2)
SINGLE(3)
SINGLE(4)
