/*
 * vzero.c - where the upper part of V registers is known to be zero.
 *
 * A scalar or 64-bit vector instruction clears the rest of its destination. x86 leaves or computes
 * something there, and clearing it costs an instruction each time, unless the sources are known to
 * be clear already. This forward analysis over the region says for each instruction which V
 * registers are zero above 8 and above 4 bytes; nothing is known at the entry and behind calls.
 */
#include "translate/lower_simd.h"
#include "translate/region.h"

/* What an instruction does to V registers: `written` may change; of those, `zero8` (zero4) end up
 * clear above 8 (4) bytes. */
struct v_effect {
    uint32_t written, zero8, zero4;
};

static void writes(struct v_effect *e, unsigned r, unsigned bytes) {
    e->written |= 1u << r;
    e->zero8 |= bytes <= 8 ? 1u << r : 0;
    e->zero4 |= bytes <= 4 ? 1u << r : 0;
}

/* Result bytes of a scalar FP instruction; 16: unknown. 0: it writes a general register. */
static unsigned fp_result_bytes(const struct insn *in) {
    static const uint8_t type_bytes[4] = {4, 8, 16, 2};
    uint32_t w = in->word;
    switch (in->op) {
    case A64_FCVT:
        return type_bytes[bits(w, 15, 2)];
    case A64_SCVTF_gpr:
    case A64_UCVTF_gpr:
    case A64_FMOV_from_gpr:
        return type_bytes[bits(w, 22, 2)];
    default:
        break;
    }
    if (bits(w, 24, 1)) /* 3 sources */
        return type_bytes[bits(w, 22, 2)];
    if (!bits(w, 21, 1)) /* fixed-point conversions */
        return 16;
    if (bits(w, 10, 2) == 2 || bits(w, 10, 2) == 3 || bits(w, 10, 3) == 4 || bits(w, 10, 5) == 16)
        return type_bytes[bits(w, 22, 2)]; /* 2 sources, FCSEL, FMOV_imm, 1 source */
    return 16;
}

/* Does Q = 0 of a vector instruction mean a 64-bit result? Not for the long and wide ones, where Q
 * names the source's half. */
static bool q_is_result_size(const struct insn *in) {
    uint32_t w = in->word;
    if ((w & 0x9f200400) == 0x0e200400) /* three registers of the same type */
        return true;
    if ((w & 0x9f800400) ==
        0x0f000400) /* shift by immediate, but SSHLL and USHLL; modified immediate */
        return bits(w, 11, 5) != 0x14;
    if ((w & 0x9f3e0c00) == 0x0e200800) /* two registers, but SHLL and FCVTL */
        return bits(w, 12, 5) != 0x13 && bits(w, 12, 5) != 0x17;
    return (w & 0xbf208c00) == 0x0e000800 || (w & 0xbfe08400) == 0x2e000000; /* permute, EXT */
}

static void load_effect(const struct insn *in, struct v_effect *e) {
    uint32_t w = in->word;
    switch (in->op) {
    case A64_LDR_fp_imm:
    case A64_LDUR_fp:
    case A64_LDR_fp_reg:
    case A64_LDR_fp_post:
    case A64_LDR_fp_pre:
        writes(e, a64_Rt(w), bits(w, 23, 1) ? 16 : 1u << bits(w, 30, 2));
        break;
    case A64_LDP_fp_off:
    case A64_LDP_fp_post:
    case A64_LDP_fp_pre:
        writes(e, a64_Rt(w), 4u << bits(w, 30, 2));
        writes(e, a64_Rt2(w), 4u << bits(w, 30, 2));
        break;
    case A64_LDR_fp_lit:
        writes(e, a64_Rt(w), 4u << bits(w, 30, 2));
        break;
    default:
        if (a64_rows[in->op].properties & A64_LOADS)
            e->written = ~0u;
    }
}

static struct v_effect effect_of(const struct insn *in) {
    struct v_effect e = {0, 0, 0};
    const struct a64_row *row = &a64_rows[in->op];
    uint32_t w = in->word;
    switch (row->group) {
    case GROUP_FP:
        writes(&e, a64_Rd(w), fp_result_bytes(in));
        break;
    case GROUP_LDST_FP:
        load_effect(in, &e);
        break;
    case GROUP_SIMD_INT:
    case GROUP_SIMD_FP:
    case GROUP_SIMD_MOVE:
        writes(&e, a64_Rd(w), !a64_Q(w) && q_is_result_size(in) ? 8 : 16);
        break;
    case GROUP_CRYPTO:
        e.written = 1u << a64_Rd(w);
        break;
    default:
        break;
    }
    return e;
}

/* to's knowledge at most what flows in. Returns whether it shrank. */
static bool meet(struct insn *to, uint32_t zero8, uint32_t zero4) {
    uint32_t new8 = to->zero8 & zero8, new4 = to->zero4 & zero4;
    bool shrank = new8 != to->zero8 || new4 != to->zero4;
    to->zero8 = new8;
    to->zero4 = new4;
    return shrank;
}

void region_analyse_vectors(struct region_builder *b) {
    bool any = false;
    for (unsigned i = 0; i < b->count; i++) {
        uint8_t group = a64_rows[b->insns[i].op].group;
        any |= group >= GROUP_LDST_FP;
        b->insns[i].zero8 = b->insns[i].zero4 = i ? ~0u : 0;
    }
    for (bool changed = any; changed;) {
        changed = false;
        for (unsigned i = 0; i < b->count; i++) {
            struct insn *in = &b->insns[i];
            struct v_effect e = effect_of(in);
            uint32_t zero8 = (in->zero8 & ~e.written) | e.zero8,
                     zero4 = (in->zero4 & ~e.written) | e.zero4;
            bool call = in->op == A64_BL || in->op == A64_BLR;
            if (in->target >= 0)
                changed |= meet(&b->insns[in->target], zero8, zero4);
            if (in->next >= 0)
                changed |= meet(&b->insns[in->next], call ? 0 : zero8, call ? 0 : zero4);
        }
    }
}

bool v_upper_zero(struct lower *l, unsigned n, unsigned bytes) {
    return (bytes >= 8 ? l->insn->zero8 : l->insn->zero4) >> n & 1;
}
