/*
 * lower_crc32.c - CRC32 and CRC32C (Arm ARM C6.2, FEAT_CRC32). Both work on bit-reversed
 * polynomials with no inversion.
 *
 * CRC32C's polynomial is that of the x86 instruction. CRC32's is reduced with two carry-less
 * multiplications (Barrett): t = (crc ^ data) moved to the top of 64 bits, q = low64(t * MU),
 * result = bits 95..64 of q * P, where MU is the bit-reversed floor(x^96 / P) without its lowest
 * term and P has 33 bits, both bit-reversed.
 */
#include "translate/lower_int.h"

#define BARRETT_MU 0xb4e5b025f7011641
#define BARRETT_P  0x1db710641

LOWER(CRC32C) {
    unsigned d = a64_Rd(w), size = 1u << bits(w, 10, 2);
    if (d == XZR)
        return;
    unsigned m = x_read(l, a64_Rm(w), size == 8 ? 8 : 4, RCX);
    x_copy(l, RAX, a64_Rn(w), 4);
    x64_crc32(l->a, size, RAX, x64_r(m));
    x64_mov_rm_r(l->a, 8, xr(d), RAX);
}

/* For hosts without PCLMULQDQ. The operands are in scratch[0] and scratch[1], the result goes to
 * scratch[0]. */
static void crc32_slow(struct cpu *cpu, uint64_t bytes) {
    uint32_t crc = (uint32_t)cpu->scratch[0];
    uint64_t data = cpu->scratch[1];
    for (unsigned i = 0; i < bytes; i++) {
        crc ^= (uint8_t)(data >> (8 * i));
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    cpu->scratch[0] = crc;
}

static void lower_crc32_slow(struct lower *l, uint32_t w, unsigned size) {
    struct x64_asm *a = l->a;
    x64_rm crc = x64_m(RBP, CPU_OFFSET(scratch)), data = x64_m(RBP, CPU_OFFSET(scratch) + 8);
    flags_clobber(l);
    x64_mov_rm_r(a, 8, crc, x_read(l, a64_Rn(w), 8, RCX));
    x64_mov_rm_r(a, 8, data, x_read(l, a64_Rm(w), 8, RCX));
    emit_helper(l, crc32_slow, size, false);
    x64_mov_r_rm(a, 8, RAX, crc);
    x64_mov_rm_r(a, 8, xr(a64_Rd(w)), RAX);
}

LOWER(CRC32) {
    struct x64_asm *a = l->a;
    unsigned d = a64_Rd(w), size = 1u << bits(w, 10, 2);
    if (d == XZR)
        return;
    if (!a->feat.pclmul) {
        lower_crc32_slow(l, w, size);
        return;
    }
    flags_clobber(l);
    x_copy(l, RCX, a64_Rn(w), 4);
    x_copy(l, RAX, a64_Rm(w), size == 8 ? 8 : 4);
    x64_alu_r_rm(a, ALU_XOR, 8, RAX, x64_r(RCX));
    if (size < 8)
        x64_shift_i(a, SH_SHL, 8, x64_r(RAX), 64 - 8 * size);
    x64_v2(a, V_MOVD64, 16, 13, x64_r(RAX));
    x64_v3_i(a, V_PCLMULQDQ, 16, 13, 13, v_const(l, BARRETT_MU, BARRETT_P), 0x00);
    x64_v3_i(a, V_PCLMULQDQ, 16, 13, 13, v_const(l, BARRETT_MU, BARRETT_P), 0x10);
    x64_vst_i(a, V_PEXTRD, 16, x64_r(RAX), 13, 2);
    if (size < 4) {
        x64_shift_i(a, SH_SHR, 4, x64_r(RCX), 8 * size);
        x64_alu_r_rm(a, ALU_XOR, 4, RAX, x64_r(RCX));
    }
    x64_mov_rm_r(a, 8, xr(d), RAX);
}
