/*
 * lower_crypto.c - AES, PMULL, SHA-1, SHA-256, SHA-512 and SHA-3 (Arm ARM C4.1.97, cryptographic),
 * on AES-NI, PCLMULQDQ and SHA-NI where the host has them, else by crypto_interp.c.
 *
 * x86's AES instructions add the round key last, A64's AESE and AESD first; AESE followed by AESMC
 * of the same register is one AESENC. SHA-NI keeps the state as ABEF and CDGH with A highest, A64
 * as ABCD and EFGH with A lowest.
 */
#include "translate/crypto_interp.h"
#include "translate/lower_int.h"
#include "translate/lower_simd.h"

static void by_helper(struct lower *l, uint32_t w) {
    emit_helper(l, crypto_helper, w, true);
}

/* ---- AES ---- */

/* Is `first` AESE (AESD) of a register that `second`, AESMC (AESIMC), then replaces? */
static bool is_pair(const struct insn *first, const struct insn *second) {
    if (!first || !second)
        return false;
    unsigned d = a64_Rd(first->word);
    return ((first->op == A64_AESE && second->op == A64_AESMC) ||
            (first->op == A64_AESD && second->op == A64_AESIMC)) &&
           a64_Rd(second->word) == d && a64_Rn(second->word) == d;
}

/*
 * The round after the pair that begins with `first`, when it follows at once: its key is then added
 * by this pair's AESENC, as x86 would have it. The state between is no guest state, so the
 * boundaries there are taken away.
 */
static const struct insn *next_round(const struct lower *l, const struct insn *first) {
    const struct insn *mix = insn_after(l, first);
    if (!is_pair(first, mix))
        return NULL;
    const struct insn *next = insn_after(l, mix);
    if (!next || next->op != first->op || a64_Rd(next->word) != a64_Rd(first->word) ||
        a64_Rn(next->word) == a64_Rd(first->word))
        return NULL;
    return next;
}

/* Did the pair before `in` add its key already? */
static bool key_added(const struct lower *l, const struct insn *in) {
    const struct insn *mix = insn_before(l, in), *first = mix ? insn_before(l, mix) : NULL;
    return first && next_round(l, first) == in;
}

static void drop_boundary(struct lower *l) {
    struct region_builder *b = l->region;
    if (b->boundary_count > 1 && b->boundaries[b->boundary_count - 1].host == x64_pos(l->a))
        b->boundary_count--;
}

static void aes_round(struct lower *l, uint32_t w, enum x64_vop last, enum x64_vop full) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    if (!l->a->feat.aes) {
        by_helper(l, w);
        return;
    }
    const struct insn *next = next_round(l, l->insn);
    bool added = key_added(l, l->insn);
    if (added)
        drop_boundary(l);
    x64_rm key = x64_r(VT1);
    if (next)
        key = vr(a64_Rn(next->word));
    else
        v_zero(l, VT1);
    if (added)
        dst = v_read(l, d, VT0);
    else
        v_op_rm(l, V_PXOR, dst, vr(d), vr(a64_Rn(w)));
    x64_v3(l->a, is_pair(l->insn, insn_after(l, l->insn)) ? full : last, 16, dst, dst, key);
    v_commit(l, d, dst);
}
LOWER(AESE) {
    aes_round(l, w, V_AESENCLAST, V_AESENC);
}
LOWER(AESD) {
    aes_round(l, w, V_AESDECLAST, V_AESDEC);
}

/* Did the AESE (AESD) before this one do its work? */
static bool mixed_already(struct lower *l) {
    const struct insn *first = insn_before(l, l->insn);
    if (!is_pair(first, l->insn))
        return false;
    drop_boundary(l); /* it is done where it would begin */
    return true;
}

LOWER(AESMC) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    if (!l->a->feat.aes) {
        by_helper(l, w);
    } else if (!mixed_already(l)) {
        v_zero(l, VT1);
        v_copy(l, VT0, a64_Rn(w)); /* what AESENC does before mixing is undone first */
        x64_v3(l->a, V_AESDECLAST, 16, VT0, VT0, x64_r(VT1));
        v_op(l, V_AESENC, dst, VT0, x64_r(VT1));
        v_commit(l, d, dst);
    }
}

LOWER(AESIMC) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    if (!l->a->feat.aes) {
        by_helper(l, w);
    } else if (!mixed_already(l)) {
        x64_v2(l->a, V_AESIMC, 16, dst, vr(a64_Rn(w)));
        v_commit(l, d, dst);
    }
}

LOWER(PMULL_64) {
    unsigned d = a64_Rd(w), dst = v_dst(d, VT0);
    if (!l->a->feat.pclmul) {
        by_helper(l, w);
        return;
    }
    v_op_i(l, V_PCLMULQDQ, dst, v_read(l, a64_Rn(w), VT1), vr(a64_Rm(w)), a64_Q(w) ? 0x11 : 0);
    v_commit(l, d, dst);
}

/* ---- SHA-1 ---- */

/* SHA1RNDS4 adds the round constant of its function, which is in V<m> already. */
static void sha1_rounds(struct lower *l, uint32_t w, uint8_t function, uint32_t constant) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w);
    if (!a->feat.sha) {
        by_helper(l, w);
        return;
    }
    v_op_i(l, V_INSERTPS, VT1, v_read(l, a64_Rn(w), VT1), x64_r(v_read(l, a64_Rn(w), VT1)),
           0x0e); /* E */
    x64_v3(a, V_PADDD, 16, VT1, VT1, vr(a64_Rm(w)));
    x64_v3(a, V_PSUBD, 16, VT1, VT1, v_splat(l, 2, constant));
    x64_v2_i(a, V_PSHUFD, 16, VT1, x64_r(VT1), 0x1b);
    x64_v2_i(a, V_PSHUFD, 16, VT0, vr(d), 0x1b);
    x64_v3_i(a, V_SHA1RNDS4, 16, VT0, VT0, x64_r(VT1), function);
    unsigned dst = v_dst(d, VT0);
    x64_v2_i(a, V_PSHUFD, 16, dst, x64_r(VT0), 0x1b);
    v_commit(l, d, dst);
}
LOWER(SHA1C) {
    sha1_rounds(l, w, 0, 0x5a827999);
}
LOWER(SHA1P) {
    sha1_rounds(l, w, 1, 0x6ed9eba1);
}
LOWER(SHA1M) {
    sha1_rounds(l, w, 2, 0x8f1bbcdc);
}

/* dst = dst rotated left by n in 32-bit lanes. Uses tmp. */
static void rotate32(struct lower *l, unsigned dst, unsigned tmp, unsigned n) {
    x64_vshift_i(l->a, V_PSRLD, 16, tmp, dst, (uint8_t)(32 - n));
    x64_vshift_i(l->a, V_PSLLD, 16, dst, dst, (uint8_t)n);
    x64_v3(l->a, V_POR, 16, dst, dst, x64_r(tmp));
}

LOWER(SHA1H) {
    v_copy(l, VT0, a64_Rn(w));
    rotate32(l, VT0, VT1, 30);
    v_finish(l, a64_Rd(w), VT0, 4);
}

LOWER(SHA1SU0) { /* (n.low : d.high) ^ d ^ m */
    unsigned d = a64_Rd(w);
    v_copy(l, VT0, a64_Rn(w));
    x64_v3_i(l->a, V_PALIGNR, 16, VT0, VT0, vr(d), 8);
    x64_v3(l->a, V_PXOR, 16, VT0, VT0, vr(d));
    v_last(l, V_PXOR, d, VT0, vr(a64_Rm(w)), 16);
}

LOWER(SHA1SU1) { /* t = d ^ (n >> 32), rotated by 1; the last word also gets word 0 rotated by 2 */
    unsigned d = a64_Rd(w);
    x64_vshift_i(l->a, V_PSRLDQ, 16, VT0, v_read(l, a64_Rn(w), VT0), 4);
    x64_v3(l->a, V_PXOR, 16, VT0, VT0, vr(d));
    rotate32(l, VT0, VT1, 1);
    x64_vshift_i(l->a, V_PSLLDQ, 16, VT1, VT0, 12);
    rotate32(l, VT1, VT2, 1);
    v_last(l, V_PXOR, d, VT0, x64_r(VT1), 16);
}

/* ---- SHA-256 ---- */

/*
 * Four rounds on abcd, efgh with the schedule words V<m>: VT0 = ABEF, VT1 = CDGH after them. The
 * words go in XMM0, which is V0: kept, unless V0 is `dying`.
 */
static void sha256_rounds(struct lower *l, unsigned abcd, unsigned efgh, unsigned m, bool dying) {
    struct x64_asm *a = l->a;
    x64_rm saved = x64_m(RBP, CPU_OFFSET(vscratch[0]));
    v_copy(l, VT0, efgh);
    v_copy(l, VT1, efgh);
    x64_v3_i(a, V_SHUFPS, 16, VT0, VT0, vr(abcd), 0x11);
    x64_v3_i(a, V_SHUFPS, 16, VT1, VT1, vr(abcd), 0xbb);
    v_load(l, VT2, vr(m));
    if (!dying)
        x64_vst(a, V_MOVAPS, 16, saved, 0);
    v_move(l, 0, VT2);
    x64_v3(a, V_SHA256RNDS2, 16, VT1, VT1, x64_r(VT0));
    x64_v2_i(a, V_PSHUFD, 16, 0, x64_r(VT2), 0xee);
    x64_v3(a, V_SHA256RNDS2, 16, VT0, VT0, x64_r(VT1));
    if (!dying)
        x64_v2(a, V_MOVAPS, 16, 0, saved);
}

/*
 * `mov vT, vA; sha256h qA, qE, vM; sha256h2 qE, qT, vM`: both are of the same rounds, and the
 * second finds their result in VT0 and VT1, which SHA256H leaves there.
 */
static bool same_rounds(const struct lower *l, const struct insn *h, const struct insn *h2) {
    const struct insn *mov = h ? insn_before(l, h) : NULL;
    if (!mov || !h2 || h->op != A64_SHA256H || h2->op != A64_SHA256H2 || mov->op != A64_ORR_vec)
        return false;
    unsigned abcd = a64_Rd(h->word), efgh = a64_Rn(h->word), copy = a64_Rd(mov->word);
    return a64_Q(mov->word) && a64_Rn(mov->word) == abcd && a64_Rm(mov->word) == abcd &&
           copy != abcd && copy != efgh && abcd != efgh && a64_Rm(h->word) != abcd &&
           a64_Rm(h->word) == a64_Rm(h2->word) && a64_Rd(h2->word) == efgh &&
           a64_Rn(h2->word) == copy;
}

static void sha256_result(struct lower *l, unsigned d, uint8_t halves) {
    unsigned dst = v_dst(d, VT2);
    v_op_i(l, V_SHUFPS, dst, VT0, x64_r(VT1), halves);
    v_commit(l, d, dst);
}

LOWER(SHA256H) {
    unsigned d = a64_Rd(w);
    if (!l->a->feat.sha) {
        by_helper(l, w);
        return;
    }
    sha256_rounds(l, d, a64_Rn(w), a64_Rm(w), d == 0);
    sha256_result(l, d, 0xbb); /* A B C D: lanes 3 2 of ABEF, CDGH */
}
LOWER(SHA256H2) {
    unsigned d = a64_Rd(w);
    if (!l->a->feat.sha) {
        by_helper(l, w);
        return;
    }
    if (!same_rounds(l, insn_before(l, l->insn), l->insn))
        sha256_rounds(l, a64_Rn(w), d, a64_Rm(w), d == 0);
    sha256_result(l, d, 0x11);
}

LOWER(SHA256SU0) {
    unsigned d = a64_Rd(w);
    if (!l->a->feat.sha) {
        by_helper(l, w);
        return;
    }
    v_copy(l, VT0, d);
    x64_v3(l->a, V_SHA256MSG1, 16, VT0, VT0, vr(a64_Rn(w)));
    v_finish(l, d, VT0, 16);
}
LOWER(SHA256SU1) {
    unsigned d = a64_Rd(w), m = a64_Rm(w);
    if (!l->a->feat.sha) {
        by_helper(l, w);
        return;
    }
    v_copy(l, VT0, m);
    x64_v3_i(l->a, V_PALIGNR, 16, VT0, VT0, vr(a64_Rn(w)), 4);
    x64_v3(l->a, V_PADDD, 16, VT0, VT0, vr(d));
    x64_v3(l->a, V_SHA256MSG2, 16, VT0, VT0, vr(m));
    v_finish(l, d, VT0, 16);
}

/* ---- SHA-512, SHA-3 ---- */

LOWER(SHA512H) {
    by_helper(l, w);
}
LOWER(SHA512H2) {
    by_helper(l, w);
}
LOWER(SHA512SU0) {
    by_helper(l, w);
}
LOWER(SHA512SU1) {
    by_helper(l, w);
}

LOWER(EOR3) {
    unsigned d = a64_Rd(w);
    v_op_rm(l, V_PXOR, VT0, vr(a64_Rn(w)), vr(a64_Rm(w)));
    v_last(l, V_PXOR, d, VT0, vr(a64_Ra(w)), 16);
}
LOWER(BCAX) { /* n ^ (m & ~a) */
    unsigned d = a64_Rd(w);
    v_op_rm(l, V_PANDN, VT0, vr(a64_Ra(w)), vr(a64_Rm(w)));
    v_last(l, V_PXOR, d, VT0, vr(a64_Rn(w)), 16);
}

/* VT0 = VT0 rotated right by n in 64-bit lanes */
static void rotate64(struct lower *l, unsigned n) {
    v_shift(l, V_PSLLQ, VT1, VT0, 64 - n);
    v_shift(l, V_PSRLQ, VT0, VT0, n);
    x64_v3(l->a, V_POR, 16, VT0, VT0, x64_r(VT1));
}
LOWER(RAX1) { /* n ^ rol(m, 1) */
    v_copy(l, VT0, a64_Rm(w));
    rotate64(l, 63);
    v_last(l, V_PXOR, a64_Rd(w), VT0, vr(a64_Rn(w)), 16);
}
LOWER(XAR) { /* ror(n ^ m, imm6) */
    unsigned n = bits(w, 10, 6);
    v_op_rm(l, V_PXOR, VT0, vr(a64_Rn(w)), vr(a64_Rm(w)));
    if (n)
        rotate64(l, n);
    v_finish(l, a64_Rd(w), VT0, 16);
}

/* ---- SM3, SM4 ---- */

#define BY_HELPER(id)    \
    LOWER(id) {          \
        by_helper(l, w); \
    }
BY_HELPER(SM3PARTW1)
BY_HELPER(SM3PARTW2)
BY_HELPER(SM3SS1)
BY_HELPER(SM3TT1A)
BY_HELPER(SM3TT1B)
BY_HELPER(SM3TT2A)
BY_HELPER(SM3TT2B)
BY_HELPER(SM4E)
BY_HELPER(SM4EKEY)
