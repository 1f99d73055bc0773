/*
 * idregs.c - the identification registers, derived from the features in AT_HWCAP, so that both
 * always say the same.
 */
#include "engine/hwcap.h"
#include "translate/idregs.h"

/* AT_HWCAP bits (asm/hwcap.h) and the register field, as crm:op2:shift, that says the same with at
 * least `value`. */
static const struct {
    uint8_t bit, crm, op2, shift, value;
} fields[] = {
    {3, 6, 0, 4, 1},   /* AES */
    {4, 6, 0, 4, 2},   /* PMULL */
    {5, 6, 0, 8, 1},   /* SHA1 */
    {6, 6, 0, 12, 1},  /* SHA2 */
    {7, 6, 0, 16, 1},  /* CRC32 */
    {8, 6, 0, 20, 2},  /* ATOMICS */
    {9, 4, 0, 16, 1},  /* FPHP */
    {10, 4, 0, 20, 1}, /* ASIMDHP */
    {12, 6, 0, 28, 1}, /* ASIMDRDM */
    {13, 6, 1, 12, 1}, /* JSCVT */
    {14, 6, 1, 16, 1}, /* FCMA */
    {15, 6, 1, 20, 1}, /* LRCPC */
    {16, 6, 1, 0, 1},  /* DCPOP */
    {17, 6, 0, 32, 1}, /* SHA3 */
    {18, 6, 0, 36, 1}, /* SM3 */
    {19, 6, 0, 40, 1}, /* SM4 */
    {20, 6, 0, 44, 1}, /* ASIMDDP */
    {21, 6, 0, 12, 2}, /* SHA512 */
    {23, 6, 0, 48, 1}, /* ASIMDFHM */
    {24, 4, 0, 48, 1}, /* DIT */
    {25, 7, 2, 32, 1}, /* USCAT */
    {26, 6, 1, 20, 2}, /* ILRCPC */
    {27, 6, 0, 52, 1}, /* FLAGM */
    {29, 6, 1, 36, 1}, /* SB */
};

bool id_register(unsigned crm, unsigned op2, uint64_t *value) {
    *value = 0;
    if (crm == 0) {
        if (op2 == 0)
            *value = GUEST_MIDR;
        else if (op2 == 5)
            *value = 1u << 31; /* MPIDR_EL1: RES1 */
        return op2 == 0 || op2 == 5 || op2 == 6;
    }
    if (crm == 1 || crm > 7)
        return false;
    if (crm == 4 && op2 == 0)
        *value = 0x11; /* ID_AA64PFR0_EL1: EL0 and EL1 are AArch64 only */
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        if (fields[i].crm != crm || fields[i].op2 != op2 || !(GUEST_HWCAP >> fields[i].bit & 1))
            continue;
        uint64_t have = *value >> fields[i].shift & 15;
        if (have < fields[i].value)
            *value += (fields[i].value - have) << fields[i].shift;
    }
    return true;
}
