/*
 * test_simd.c - every row of simd.def in each of its encodings (SSE, VEX.128, VEX.256, EVEX.128,
 * EVEX.256), over registers and memory operands.
 *
 * The expected text comes from the row's name, form and mem columns; opcode, prefix, map and W are
 * thereby checked by the decoder. What capstone 4 does not know, or shows wrongly (capstone_gap),
 * is given as text to the GNU assembler instead, and its bytes are compared.
 */
#include "x64_decode.h"
#include "x64/simd_row.h"

#include <string.h>
#include <unistd.h>

static const struct simd_row rows[V_COUNT] = {
#define X64_V(name, prefix, map, op, w, form, mem, evex, alt, flags) \
    SIMD_ROW(prefix, map, op, w, form, mem, evex, alt, flags)
#include "x64/simd.def"
#undef X64_V
};

static const char *const names[V_COUNT] = {
#define X64_V(name, ...) #name,
#include "x64/simd.def"
#undef X64_V
};

enum mode { SSE, VEX16, VEX32, EVEX16, EVEX32, MODES };
static const struct x64_features mode_features[MODES] = {
    [VEX16] = {.avx = true},
    [VEX32] = {.avx = true},
    [EVEX16] = {.avx = true, .avx512 = true},
    [EVEX32] = {.avx = true, .avx512 = true},
};

static x64_rm forms[FORMS];
static unsigned form_count;

static unsigned mode_len(enum mode mode) {
    return mode == VEX32 || mode == EVEX32 ? 32 : 16;
}

/* True if the row has an encoding in this mode. */
static bool row_has(const struct simd_row *row, enum mode mode) {
    if (mode_len(mode) == 32 ? (row->flags & (LIG | SSEONLY)) : (row->flags & LEN32)) {
        return false;
    }
    switch (mode) {
    case SSE:
        return !(row->flags & (VEXONLY | EVEXONLY));
    case VEX16:
    case VEX32:
        return !(row->flags & (SSEONLY | EVEXONLY));
    default:
        return row->evex != EN;
    }
}

/* ---- expected text ---- */

/* Intel's mnemonic of the row. CMP* get their predicate's name, as capstone prints them. */
static void mnemonic_text(char *dst, enum x64_vop op, enum mode mode, int imm) {
    static const char *const evex_names[][2] = {
        {"vmovdqa", "vmovdqa32"},
        {"vmovdqu", "vmovdqu32"},
        {"vpand", "vpandd"},
        {"vpandn", "vpandnd"},
        {"vpor", "vpord"},
        {"vpxor", "vpxord"},
        {"vroundss", "vrndscaless"},
        {"vroundsd", "vrndscalesd"},
        {"vroundps", "vrndscaleps"},
        {"vroundpd", "vrndscalepd"},
        {"vextracti128", "vextracti32x4"},
        {"vinserti128", "vinserti32x4"},
        {"vbroadcasti128", "vbroadcasti32x4"},
    };
    static const char *const predicates[] = {
        "eq",    "lt",     "le",     "unord",    "neq",    "nlt",    "nle",    "ord",
        "eq_uq", "nge",    "ngt",    "false",    "neq_oq", "ge",     "gt",     "true",
        "eq_os", "lt_oq",  "le_oq",  "unord_s",  "neq_us", "nlt_uq", "nle_uq", "ord_s",
        "eq_us", "nge_uq", "ngt_uq", "false_os", "neq_os", "ge_oq",  "gt_oq",  "true_us",
    };
    const struct simd_row *row = &rows[op];
    char name[TEXT];
    size_t n;

    snprintf(name, sizeof(name), "%s%s",
             mode == SSE || (row->flags & SSEONLY) || names[op][0] == 'V' ? "" : "v", names[op]);
    for (char *s = name; *s; s++) {
        *s = *s >= 'A' && *s <= 'Z' ? (char)(*s + 32) : *s;
    }
    n = strlen(name);
    if (n > 2 && strcmp(name + n - 2, "_r") == 0) {
        name[n - 2] = '\0';
    }
    if (op == V_MOVD64) {
        strcpy(strstr(name, "movd"), "movq");
    } else if (row->form == XR || row->form == XXR || row->form == RX) {
        if (strcmp(name + n - 2, "32") == 0 || strcmp(name + n - 2, "64") == 0) {
            name[n - 2] = '\0';
        }
    }
    if (row->opcode == 0xc2 && row->map == M0F) {
        text(dst, "%.*s%s%s", (int)strlen(name) - 2, name, predicates[imm],
             name + strlen(name) - 2);
        return;
    }
    for (unsigned i = 0; mode >= EVEX16 && i < ARRAY_SIZE(evex_names); i++) {
        if (strcmp(name, evex_names[i][0]) == 0) {
            text(dst, "%s", evex_names[i][1]);
            return;
        }
    }
    text(dst, "%s", name);
}

/* Bytes of the register that may stand in r/m. */
static unsigned rm_reg_bytes(const struct simd_row *row, unsigned len) {
    if (row->form == XR || row->form == XXR || row->form == MR) {
        return row->w == W1 ? 8 : 4;
    }
    return row->mem == VL || row->mem == DUP ? len : 16;
}

static const char *rm_operand(char *dst, const struct simd_row *row, unsigned len, x64_rm rm) {
    return rm_text(dst, rm, rm_reg_bytes(row, len), simd_mem_bytes(row, len));
}

/* ---- the oracle for what capstone cannot decode ---- */

struct gas {
    char dir[32];
    FILE *source;
    uint8_t *bytes;
    uint32_t *ends;           /* where each line's bytes end */
    size_t size, count, room; /* room: lines there is memory for */
};
static struct gas gas;

static void gas_open(void) {
    strcpy(gas.dir, "/tmp/elfuse-simd-XXXXXX");
    assert_non_null(mkdtemp(gas.dir));
    assert_int_equal(chdir(gas.dir), 0);
    gas.source = fopen("simd.s", "w");
    assert_non_null(gas.source);
    fputs(".intel_syntax noprefix\n", gas.source);
    gas.size = gas.count = gas.room = 0;
}

/* The next instruction must be what the line assembles to. */
static void gas_expect(const char *mnemonic, const char *operands, int imm, bool store) {
    size_t n;
    const uint8_t *insn = undecoded(&n);
    const char *rip = strstr(operands, "[rip to ");

    if (gas.count == gas.room) { /* an x86 instruction has at most 15 bytes */
        gas.room = gas.room ? 2 * gas.room : 1024;
        gas.bytes = realloc(gas.bytes, 15 * gas.room);
        gas.ends = realloc(gas.ends, gas.room * sizeof(*gas.ends));
        assert_non_null(gas.bytes);
        assert_non_null(gas.ends);
    }
    assert_in_range(n, 1, 15);
    memcpy(gas.bytes + gas.size, insn, n);
    gas.size += n;
    gas.ends[gas.count++] = (uint32_t)gas.size;
    fprintf(gas.source, "%s%s ", store ? "{store} " : "", mnemonic);
    if (rip) {
        char *rest;
        long target = strtol(rip + 8, &rest, 10);

        fprintf(gas.source, "%.*s[rip + %ld%s", (int)(rip - operands), operands,
                target - (long)x64_pos(&as), rest);
    } else {
        fputs(operands, gas.source);
    }
    fprintf(gas.source, imm < 0 ? "\n" : ", %d\n", imm);
}

/* Assembles all lines and compares. The source stays behind when it differs. */
static void gas_compare(void) {
    FILE *f;
    size_t at = 0;

    fclose(gas.source);
    assert_int_equal(
        system("as --64 simd.s -o simd.o && objcopy -O binary -j .text simd.o simd.bin"), 0);
    f = fopen("simd.bin", "rb");
    assert_non_null(f);
    for (int c; (c = getc(f)) != EOF; at++) {
        if (at >= gas.size || gas.bytes[at] != c) {
            size_t line = 0;

            while (line + 1 < gas.count && gas.ends[line] <= at) {
                line++;
            }
            fail_msg("%s/simd.s:%zu: GNU as gives other bytes", gas.dir, line + 2);
        }
    }
    fclose(f);
    assert_int_equal(at, gas.size);
    unlink("simd.s");
    unlink("simd.o");
    unlink("simd.bin");
    assert_int_equal(chdir("/"), 0);
    rmdir(gas.dir);
    free(gas.bytes);
    free(gas.ends);
    gas.bytes = NULL;
    gas.ends = NULL;
}

/* What capstone 4.0.2 does not decode or names differently: it knows only part of EVEX. */
static bool capstone_gap(enum x64_vop op, enum mode mode, x64_rm rm) {
    if (mode >= EVEX16) {
        return true;
    }
    switch (op) {
    case V_GF2P8AFFINEQB:
    case V_GF2P8AFFINEINVQB:
    case V_GF2P8MULB:
    case V_VBROADCASTI128:
        return true;
    case V_AESENC:
    case V_AESENCLAST:
    case V_AESDEC:
    case V_AESDECLAST:
    case V_PCLMULQDQ:
        return mode == VEX32;
    case V_COMISS: /* memory is shown as xmmword */
    case V_COMISD:
        return rm.is_mem;
    case V_CVTPD2PS: /* ... as vcvtpd2psx */
    case V_CVTPD2DQ:
    case V_CVTTPD2DQ:
        return rm.is_mem && mode == VEX16;
    default:
        return false;
    }
}

/* The instruction just emitted is `operands`, with imm if the row has one. */
static void expect_row(enum x64_vop op, enum mode mode, x64_rm rm, const char *operands, int imm,
                       bool store) {
    const struct simd_row *row = &rows[op];
    char mnemonic[TEXT];

    /* GNU as takes MOVD64's encodings for these; see evex_movq_in_memory. */
    if (op == V_MOVQ && mode >= EVEX16 && rm.is_mem) {
        return;
    }
    mnemonic_text(mnemonic, op, mode, imm);
    if (capstone_gap(op, mode, rm)) {
        gas_expect(mnemonic, operands, imm, store && !rm.is_mem);
        return;
    }
    if (imm >= 0 && !(row->opcode == 0xc2 && row->map == M0F)) {
        expect_imm(mnemonic, operands, (uint64_t)imm, 1);
    } else {
        expect_insn(mnemonic, operands);
    }
    expect_end();
}

/* ---- one instruction of a row ---- */

static void check_main(enum x64_vop op, enum mode mode, unsigned dst, unsigned s1, x64_rm rm,
                       int imm) {
    const struct simd_row *row = &rows[op];
    unsigned len = mode_len(mode);
    bool three = row->form == XXX || row->form == XXR;
    bool sse = mode == SSE || (row->flags & SSEONLY);
    char d[TEXT], s[TEXT], m[TEXT], ops[4 * TEXT];

    reg_text(d, (row->flags & NARROW) ? 16 : len, dst);
    if (row->form == RX) {
        reg_text(d, row->w == W1 ? 8 : 4, dst);
    }
    reg_text(s, len, s1);
    rm_operand(m, row, len, rm);
    x64_begin(&mode_features[mode]);
    if (three && (row->flags & IMM)) {
        x64_v3_i(&as, op, len, dst, s1, rm, (uint8_t)imm);
    } else if (three) {
        x64_v3(&as, op, len, dst, s1, rm);
    } else if (row->flags & IMM) {
        x64_v2_i(&as, op, len, dst, rm, (uint8_t)imm);
    } else {
        x64_v2(&as, op, len, dst, rm);
    }
    if (three && (row->flags & LOADS) && rm.is_mem) {
        three = false;
    } else if (three && sse && dst != s1) {
        if (row->form == XXX && x64_is_reg(rm, dst)) {
            assert_true(row->flags & COMM);
            reg_text(m, 16, s1);
        } else {
            snprintf(ops, sizeof(ops), "%s, %s", d, s);
            expect_insn(mode == SSE ? "movaps" : "vmovaps", ops);
        }
    } else if (three && mode != SSE && mode < EVEX16 && (row->flags & COMM) && !rm.is_mem &&
               rm.base >= 8 && s1 < 8 && row->map == M0F) {
        reg_text(s, len, rm.base);
        reg_text(m, len, s1);
    }
    if (three && !sse) {
        snprintf(ops, sizeof(ops), "%s, %s, %s", d, s, m);
    } else {
        snprintf(ops, sizeof(ops), "%s, %s", d, m);
    }
    expect_row(op, mode, rm, ops, row->flags & IMM ? imm : -1, false);
}

static void check_store(enum x64_vop op, enum mode mode, x64_rm rm, unsigned src, int imm) {
    const struct simd_row *row = &rows[op];
    unsigned len = mode_len(mode);
    char m[TEXT], s[TEXT], ops[4 * TEXT];

    x64_begin(&mode_features[mode]);
    if (row->flags & IMM) {
        x64_vst_i(&as, op, len, rm, src, (uint8_t)imm);
    } else {
        x64_vst(&as, op, len, rm, src);
    }
    rm_operand(m, row, len, rm);
    reg_text(s, len, src);
    if ((row->flags & LOADS) && !rm.is_mem && mode != SSE) {
        snprintf(ops, sizeof(ops), "%s, %s, %s", m, m, s);
    } else {
        snprintf(ops, sizeof(ops), "%s, %s", m, s);
    }
    expect_row(op, mode, rm, ops, row->flags & IMM ? imm : -1, row->form != MX);
}

static void check_shift(enum x64_vop op, enum mode mode, unsigned dst, unsigned s1, int imm) {
    unsigned len = mode_len(mode);
    char d[TEXT], s[TEXT], ops[4 * TEXT];

    x64_begin(&mode_features[mode]);
    x64_vshift_i(&as, op, len, dst, s1, (uint8_t)imm);
    reg_text(d, len, dst);
    reg_text(s, len, s1);
    snprintf(ops, sizeof(ops), "%s, %s", d, s);
    if (mode == SSE) {
        if (dst != s1) {
            expect_insn("movaps", ops);
        }
        snprintf(ops, sizeof(ops), "%s", d);
    }
    expect_row(op, mode, x64_r(s1), ops, imm, false);
}

static void check_blend(enum x64_vop op, enum mode mode, unsigned dst, unsigned s1, x64_rm rm,
                        unsigned mask) {
    unsigned len = mode_len(mode);
    char d[TEXT], s[TEXT], m[TEXT], k[TEXT], ops[5 * TEXT];

    reg_text(d, len, dst);
    reg_text(s, len, s1);
    rm_operand(m, &rows[op], len, rm);
    reg_text(k, len, mask);
    x64_begin(&mode_features[mode]);
    x64_vblendv(&as, op, len, dst, s1, rm, mask);
    if (mode == SSE) {
        if (dst != s1) {
            snprintf(ops, sizeof(ops), "%s, %s", d, s);
            expect_insn("movaps", ops);
        }
        snprintf(ops, sizeof(ops), "%s, %s", d, m);
    } else {
        snprintf(ops, sizeof(ops), "%s, %s, %s, %s", d, s, m, k);
    }
    expect_row(op, mode, rm, ops, -1, false);
}

/* ---- all instructions of a row ---- */

/* True if these registers need the EVEX form, as the mode wants. */
static bool in_mode(const struct simd_row *row, enum mode mode, unsigned r1, unsigned r2,
                    unsigned r3) {
    bool high = r1 >= 16 || r2 >= 16 || r3 >= 16 || (row->flags & EVEXONLY);

    return mode >= EVEX16 ? high : !high;
}

static int nth_imm(const struct simd_row *row, enum mode mode, unsigned n) {
    bool compare = row->opcode == 0xc2 && row->map == M0F;

    return (int)(n * 7 % (compare ? (mode == SSE ? 8 : 32) : 256));
}

static void check_row(enum x64_vop op, enum mode mode) {
    const struct simd_row *row = &rows[op];
    unsigned count = mode >= EVEX16 ? 32 : 16;
    bool sse = mode == SSE || (row->flags & SSEONLY);
    bool rm_general = row->form == XR || row->form == XXR || row->form == MR;
    bool reg_general = row->form == RX;

    /* registers: every pair of dst and r/m (a third of them for EVEX), with s1 going round */
    for (unsigned n = 0; n < count * count; n += mode >= EVEX16 ? 3 : 1) {
        unsigned dst = n % count, rm = n / count, s1 = (n * 5 + rm + 2) % count;
        unsigned imm = (unsigned)nth_imm(row, mode, n);
        bool three = row->form == XXX || row->form == XXR;
        bool fits;

        rm &= rm_general ? 15 : 31;
        dst &= reg_general ? 15 : 31;
        if (row->form == BLV) {
            unsigned mask = sse ? 0 : (n * 3 + 1) % 16;

            if (!sse || (dst != 0 && (dst != rm || dst == s1))) {
                check_blend(op, mode, dst, s1, x64_r(rm), mask);
            }
            continue;
        }
        fits = in_mode(row, mode, reg_general ? 0 : dst, three ? s1 : 0, rm_general ? 0 : rm);
        if (row->can_shift_i && in_mode(row, mode, dst, s1, 0)) {
            check_shift(op, mode, dst, s1, (int)imm);
        }
        if ((row->flags & MEMONLY) || row->form == SH) {
            continue;
        }
        if (row->can_store && in_mode(row, mode, dst, rm_general ? 0 : rm, 0)) {
            check_store(op, mode, x64_r(rm), dst, (int)imm);
        }
        if (row->form == MX || row->form == MR || !fits) {
            continue;
        }
        if (sse && row->form == XXX && dst == rm && dst != s1 && !(row->flags & COMM)) {
            s1 = dst;
        }
        check_main(op, mode, dst, s1, x64_r(rm), (int)imm);
        if (three && in_mode(row, mode, dst, dst, rm_general ? 0 : rm)) {
            check_main(op, mode, dst, dst, x64_r(rm), (int)imm);
        }
    }
    if (row->flags & REGONLY) {
        return;
    }
    for (unsigned n = 0; n < form_count; n++) {
        unsigned dst = (n * 3) % count, s1 = (n + 1) % count;
        int imm = nth_imm(row, mode, n);

        if (reg_general) {
            /* only the EVEX-only rows can be EVEX then */
            dst &= 15;
            if (!in_mode(row, mode, 0, 0, 0)) {
                continue;
            }
        } else if (mode >= EVEX16) {
            dst |= 16;
        }
        if (row->form == BLV) {
            if (!sse || dst != 0) {
                check_blend(op, mode, dst, s1, forms[n], sse ? 0 : n % 16);
            }
            continue;
        }
        if (row->can_store) {
            check_store(op, mode, forms[n], dst, imm);
        }
        if (row->form != MX && row->form != MR && row->form != SH) {
            check_main(op, mode, dst, s1, forms[n], imm);
        }
    }
}

static void all_rows(enum mode mode) {
    gas_open();
    for (unsigned op = 0; op < V_COUNT; op++) {
        if (row_has(&rows[op], mode)) {
            check_row((enum x64_vop)op, mode);
        }
    }
    gas_compare();
}

static void sse_rows_decode_as_asked(void **state) {
    (void)state;
    all_rows(SSE);
}

static void vex_128_rows_decode_as_asked(void **state) {
    (void)state;
    all_rows(VEX16);
}

static void vex_256_rows_decode_as_asked(void **state) {
    (void)state;
    all_rows(VEX32);
}

static void evex_128_rows_decode_as_asked(void **state) {
    (void)state;
    all_rows(EVEX16);
}

static void evex_256_rows_decode_as_asked(void **state) {
    (void)state;
    all_rows(EVEX32);
}

static void evex_movq_in_memory(void **state) {
    static const uint8_t want[] = {
        0x62, 0xe1, 0xfe, 0x08, 0x7e, 0x48, 0x02, /* vmovq xmm17, qword ptr [rax + 16] */
        0x62, 0x41, 0xfd, 0x08, 0xd6, 0x48, 0x02, /* vmovq qword ptr [r8 + 16], xmm25 */
    };

    (void)state;
    x64_begin(&mode_features[EVEX16]);
    x64_v2(&as, V_MOVQ, 16, 17, x64_m(RAX, 16));
    x64_vst(&as, V_MOVQ, 16, x64_m(R8, 16), 25);
    assert_int_equal(x64_pos(&as), sizeof(want));
    assert_memory_equal(as.start, want, sizeof(want));
}

/* ---- what cannot be encoded ---- */

/* Runs a call that must fail an assertion. */
#define REFUSED(features, call)              \
    do {                                     \
        jmp_buf caught;                      \
        x64_begin(features);                 \
        assert_catch = &caught;              \
        if (setjmp(caught) == 0) {           \
            call;                            \
            assert_catch = NULL;             \
            fail_msg("accepted: %s", #call); \
        }                                    \
        assert_catch = NULL;                 \
    } while (0)

static void impossible_operands_are_refused(void **state) {
    const struct x64_features *sse = &mode_features[SSE], *avx = &mode_features[VEX16],
                              *avx512 = &mode_features[EVEX16];

    (void)state;
    REFUSED(sse, x64_v3(&as, V_SUBPS, 16, 1, 2, x64_r(1)));     /* dst is the second source */
    REFUSED(sse, x64_v3(&as, V_ADDPS, 32, 1, 1, x64_r(2)));     /* 32 bytes */
    REFUSED(sse, x64_v2(&as, V_VPBROADCASTB, 16, 1, x64_r(2))); /* AVX2 */
    REFUSED(sse, x64_v3(&as, V_ADDPS, 16, 16, 16, x64_r(2)));
    REFUSED(sse, x64_vblendv(&as, V_PBLENDVB, 16, 1, 1, x64_r(2), 3)); /* mask not XMM0 */
    REFUSED(sse, x64_vblendv(&as, V_PBLENDVB, 16, 0, 1, x64_r(2), 0)); /* mask overwritten */
    REFUSED(avx, x64_v3(&as, V_ADDPS, 16, 16, 1, x64_r(2)));           /* no AVX-512 */
    REFUSED(avx, x64_v3(&as, V_VPMULLQ, 16, 1, 1, x64_r(2)));
    REFUSED(avx512, x64_v3(&as, V_PCMPEQB, 16, 16, 1, x64_r(2))); /* no EVEX form */
    REFUSED(avx, x64_v3(&as, V_MOVHPS, 16, 1, 1, x64_r(2)));      /* memory only */
    REFUSED(avx, x64_v3(&as, V_MOVHLPS, 16, 1, 1, x64_m(RAX, 0)));
    REFUSED(avx, x64_v2_i(&as, V_VPERMQ, 16, 1, x64_r(2), 0)); /* 32 only */
    REFUSED(avx, x64_v3(&as, V_MOVAPS, 16, 1, 1, x64_r(2)));   /* wrong function */
    REFUSED(avx, x64_v3(&as, V_SHUFPS, 16, 1, 1, x64_r(2)));   /* immediate missing */
    REFUSED(avx, x64_v3_i(&as, V_ADDPS, 16, 1, 1, x64_r(2), 0));
    REFUSED(avx, x64_vst(&as, V_ADDPS, 16, x64_r(1), 2));
    REFUSED(avx, x64_vshift_i(&as, V_ADDPS, 16, 1, 2, 3));
}

static void commutative_rows_may_overwrite_the_second_source(void **state) {
    (void)state;
    x64_begin(&mode_features[SSE]);
    x64_v3(&as, V_PADDD, 16, 3, 9, x64_r(3));
    expect_insn("paddd", "xmm3, xmm9");
    expect_end();
}

static void two_byte_vex_is_used(void **state) {
    (void)state;
    x64_begin(&mode_features[VEX16]);
    x64_v3(&as, V_PADDD, 16, 9, 3, x64_r(12)); /* commuted */
    x64_v3(&as, V_ADDPS, 16, 9, 12, x64_r(3));
    x64_v2(&as, V_MOVAPS, 16, 3, x64_r(12)); /* as a store */
    assert_int_equal(x64_pos(&as), 12);
    x64_v3(&as, V_ADDPS, 16, 9, 3, x64_r(12)); /* NaN operands do not commute */
    assert_int_equal(x64_pos(&as), 17);
}

static void vzeroupper_only_with_avx(void **state) {
    (void)state;
    x64_begin(&mode_features[SSE]);
    x64_vzeroupper(&as);
    expect_end();
    x64_begin(&mode_features[VEX16]);
    x64_vzeroupper(&as);
    expect_insn("vzeroupper", "");
    expect_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sse_rows_decode_as_asked),
        cmocka_unit_test(vex_128_rows_decode_as_asked),
        cmocka_unit_test(vex_256_rows_decode_as_asked),
        cmocka_unit_test(evex_128_rows_decode_as_asked),
        cmocka_unit_test(evex_256_rows_decode_as_asked),
        cmocka_unit_test(evex_movq_in_memory),
        cmocka_unit_test(impossible_operands_are_refused),
        cmocka_unit_test(commutative_rows_may_overwrite_the_second_source),
        cmocka_unit_test(two_byte_vex_is_used),
        cmocka_unit_test(vzeroupper_only_with_avx),
    };

    form_count = memory_forms(forms, false);
    return cmocka_run_group_tests(tests, x64_decode_setup, x64_decode_teardown);
}
