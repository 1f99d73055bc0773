/*
 * test_a64.c - the A64 table, decoder, disassembler and immediates against independent knowledge.
 *
 * Two oracles say which words are instructions: capstone (base Armv8.0 only) and GNU objdump, which
 * also knows the later features and gives the text. Where an oracle and the architecture differ,
 * the exception is listed here with its reason; anything else that differs fails. Words of the
 * reserved, SVE and SME spaces (bits 28-25 of 0 to 3) are not asked about, UDF excepted.
 *
 * A64_TEST_WORDS sets the number of random words (default one million for each oracle).
 */
#include "a64/a64.h"
#include <capstone/capstone.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const uint64_t seed = 88172645463325252ull;

static uint64_t next(uint64_t *rng) {
    uint64_t x = *rng;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *rng = x;
}

static unsigned long word_count(void) {
    const char *text = getenv("A64_TEST_WORDS");
    return text ? strtoul(text, NULL, 0) : 1000000;
}

/* Outside of the reserved, SVE and SME spaces. */
static uint32_t random_word_of_base(uint64_t *rng) {
    uint32_t w;
    do
        w = (uint32_t)(next(rng) >> 16);
    while (bits(w, 25, 4) < 4);
    return w;
}

/* ---- exceptions: where an oracle and the architecture differ ---- */

struct exception {
    const char *mnemonic; /* the oracle's, with * for the rest; NULL: the row of ours, or any */
    const char *row; /* ours, with * for the rest; NULL: any, UNALLOCATED: we refuse the word */
    const char *reason;
};

static bool like(const char *text, const char *pattern) {
    if (!pattern)
        return true;
    size_t n = strlen(pattern);
    return n && pattern[n - 1] == '*' ? strncmp(text, pattern, n - 1) == 0
                                      : strcmp(text, pattern) == 0;
}

static bool excepted(const struct exception *list, size_t count, const char *mnemonic,
                     const char *row) {
    for (size_t i = 0; i < count; i++)
        if (like(mnemonic, list[i].mnemonic) && like(row, list[i].row))
            return true;
    return false;
}

/* The oracle takes the word, we do not. */
static const struct exception oracle_is_lenient[] = {
    {"ldx*", "UNALLOCATED", "ignores the should-be-one bits of Rs and Rt2"},
    {"ldax*", "UNALLOCATED", "ignores the should-be-one bits of Rs and Rt2"},
    {"ldar*", "UNALLOCATED", "ignores the should-be-one bits of Rs and Rt2"},
    {"ldlar*", "UNALLOCATED", "ignores the should-be-one bits of Rs and Rt2"},
    {"stx*", "UNALLOCATED", "ignores the should-be-one bits of Rt2"},
    {"stlx*", "UNALLOCATED", "ignores the should-be-one bits of Rt2"},
    {"stlr*", "UNALLOCATED", "ignores the should-be-one bits of Rs and Rt2"},
    {"stllr*", "UNALLOCATED", "ignores the should-be-one bits of Rs and Rt2"},
    {"smulh", "UNALLOCATED", "ignores the should-be-one bits of Ra"},
    {"umulh", "UNALLOCATED", "ignores the should-be-one bits of Ra"},
    {"fcmp*", "UNALLOCATED", "ignores the should-be-zero bits of Rm in the comparison with zero"},
    {"fmlal*", "UNALLOCATED", "ignores sz, which must be 0"},
    {"fmlsl*", "UNALLOCATED", "ignores sz, which must be 0"},
    {"mrs", "UNALLOCATED", "op0 of 0 and 1 are no registers"},
    {"msr", "UNALLOCATED", "op0 of 0: PSTATE fields that EL0 has not"},
    {"sys", "UNALLOCATED", "system instructions that EL0 may not execute"},
    {"sysl", "UNALLOCATED", "system instructions that EL0 may not execute"},
    {"tlbi", "UNALLOCATED", "system instructions that EL0 may not execute"},
    {"at", "UNALLOCATED", "system instructions that EL0 may not execute"},
    {"ic", "UNALLOCATED", "system instructions that EL0 may not execute"},
    {"dc", "UNALLOCATED", "system instructions that EL0 may not execute, or of FEAT_MTE"},
    {"cfp", "UNALLOCATED", "FEAT_SPECRES: not in the table"},
    {"dvp", "UNALLOCATED", "FEAT_SPECRES: not in the table"},
    {"cpp", "UNALLOCATED", "FEAT_SPECRES: not in the table"},
    {"addg", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"subg", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"subp*", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"cmpp", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"irg", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"gmi", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"ldg*", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"stg*", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"stz2g", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"stzg*", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"st2g", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"setg*", "UNALLOCATED", "FEAT_MTE: not in the table"},
    {"st64b*", "UNALLOCATED", "FEAT_LS64: not in the table"},
    {"ld64b", "UNALLOCATED", "FEAT_LS64: not in the table"},
    {"bc.*", "UNALLOCATED", "FEAT_HBC: not in the table"},
    {"tcancel", "UNALLOCATED", "FEAT_TME: not in the table"},
    {"tstart", "UNALLOCATED", "FEAT_TME: not in the table"},
    {"tcommit", "UNALLOCATED", "FEAT_TME: not in the table"},
    {"ttest", "UNALLOCATED", "FEAT_TME: not in the table"},
    {"dsb", "UNALLOCATED", "FEAT_XS: not in the table"},
};

/* We take the word, capstone does not: it refuses what is CONSTRAINED UNPREDICTABLE, which hardware
 * runs. */
static const struct exception capstone_is_strict[] = {
    {NULL, "LDP*", "the registers overlap"},
    {NULL, "LDNP*", "the registers overlap"},
    {NULL, "STP*", "the registers overlap"},
    {NULL, "LDXP", "the registers overlap"},
    {NULL, "LDAXP", "the registers overlap"},
    {NULL, "LDR_imm_p*", "the registers overlap"},
    {NULL, "LDRSB_imm_p*", "the registers overlap"},
    {NULL, "LDRSH_imm_p*", "the registers overlap"},
    {NULL, "LDRSW_imm_p*", "the registers overlap"},
    {NULL, "STR_imm_p*", "the registers overlap"},
    {NULL, "LDTR*", "capstone mistakes it for a write-back form"},
    {NULL, "DUP_gen", "capstone takes the ignored high bits of imm5 as reserved"},
    {NULL, "INS_elem", "capstone takes the ignored low bits of imm4 as reserved"},
};

static const struct exception objdump_is_strict[] = {
    {NULL, "LDPSW_*", "the registers overlap: CONSTRAINED UNPREDICTABLE, hardware runs it"},
};

static const struct exception text_differs[] = {
    {NULL, "MSR_imm_*", "objdump names the narrow fields only with an immediate of 0 or 1"},
    {NULL, "MSR", "objdump names registers that EL0 cannot reach"},
    {NULL, "MRS", "objdump names registers that EL0 cannot reach"},
    {NULL, "DGH", "unknown to binutils 2.40"},
};

#define EXCEPTED(list, mnemonic, row) excepted(list, ARRAY_SIZE(list), mnemonic, row)

/* ---- the table ---- */

static void every_row_decodes_its_own_random_words(void **state) {
    (void)state;
    uint64_t rng = seed;
    for (int op = 1; op < A64_OP_COUNT; op++) {
        const struct a64_row *row = &a64_rows[op];
        assert_int_equal(strlen(row->pattern), 32);
        for (int i = 0; i < 32; i++) {
            char c = row->pattern[i];
            assert_int_equal(row->mask >> (31 - i) & 1, c == '0' || c == '1');
            assert_int_equal(row->value >> (31 - i) & 1, c == '1');
        }
        uint32_t varied = 0, first = a64_random_word((enum a64_op)op, &rng);
        for (int i = 0; i < 400; i++) {
            uint32_t w = a64_random_word((enum a64_op)op, &rng);
            assert_int_equal(a64_decode(w), op);
            assert_int_equal(w & row->mask, row->value);
            varied |= w ^ first;
        }
        /* all letters vary, but for the few whose restriction ties or fixes a bit */
        if (__builtin_popcount(~row->mask & ~varied) > 2)
            fail_msg("%s: bits %#x never vary", row->id, ~row->mask & ~varied);
    }
}

static void restrictions_refuse_reserved_words(void **state) {
    (void)state;
    static const struct {
        uint32_t word;
        const char *what;
    } reserved[] = {
        {0x00010000, "reserved space"},
        {0x12400000, "and w0, w0 with N = 1"},
        {0x9240fc00, "and x0, x0 with imms of all ones"},
        {0x92007c00, "and x0, x0 with 32-bit element of all ones"},
        {0x12c00000 | 1 << 22, "movn w0 with hw of 2"},
        {0x13400000, "sbfm w0 with N = 1"},
        {0x13008000, "sbfm w0 with imms of 32"},
        {0x93000000, "sbfm x0 with N = 0"},
        {0x13808000, "extr w0 with a shift of 32"},
        {0x0b008000, "add w0 shifted by 32"},
        {0x0bc00000, "add w0 with ror"},
        {0x8b201400, "add x0 extended and shifted by 5"},
        {0x0a008000, "and w0 shifted by 32"},
        {0x5ac00c00, "rev64 of w0"},
        {0x9ac04000, "crc32b with sf = 1"},
        {0x1ac04c00, "crc32x with sf = 0"},
        {0xe9400000, "ldp with opc of 3"},
        {0x69000000, "stp with opc of 1, FEAT_MTE"},
        {0x68400000, "ldnp with opc of 1"},
        {0xf8800400, "prfm with post-index"},
        {0x38202800 & ~0x4000u, "str with option of 0"},
        {0xb8c00000 | 1 << 22, "ldursw to 32 bits"},
        {0x7c800000, "stur with opc of 2 and size of 1"},
        {0x0c000c00, "st4 of .1d"},
        {0x0c003000, "st with an opcode of 3"},
        {0x0d004400, "st1 of .h lane with low size bit set"},
        {0x0d009400, "st1 of .d lane with S set"},
        {0x08217c00, "casp from an odd register"},
        {0x0e208400 | 3 << 22, "add of .1d"},
        {0x0e209400 | 3 << 22, "mla of .2d"},
        {0x0e20b400, "sqdmulh of bytes"},
        {0x0e60d400, "fadd of .1d"},
        {0x0e000400, "dup with imm5 of 0"},
        {0x0e080400, "dup of .1d"},
        {0x2e004000, "ext of 8 bytes from index 8"},
        {0x0f400400, "sshr of .1d"},
        {0x2f00fc00, "fmov .1d"},
        {0x0f08e400, "scvtf of a byte"},
        {0x1e800000 | 1 << 21, "fp type of 2"},
        {0x1e22c000 & ~0x18000u, "fcvt from single to single"},
        {0x1e020000, "scvtf w with scale under 32"},
        {0x1e660000, "fmov w, d"},
        {0x9e260000, "fmov x, s"},
        {0xd5080000, "sys #0"},
        {0xd503409f, "msr of no field"},
        {0xd65f0bfe, "ret with bits of pointer authentication"},
        {0x54000010, "bc.eq, FEAT_HBC"},
        {0x04200000, "SVE"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
        enum a64_op op = a64_decode(reserved[i].word);
        if (op != A64_UNALLOCATED)
            fail_msg("%08x (%s) decodes as %s", reserved[i].word, reserved[i].what,
                     a64_rows[op].id);
    }
}

static void properties_are_those_of_the_architecture(void **state) {
    (void)state;
    static const struct {
        enum a64_op op;
        unsigned properties;
    } expected[] = {
        {A64_ADD_imm, 0},
        {A64_ADDS_imm, A64_WRITES_NZCV},
        {A64_BICS_reg, A64_WRITES_NZCV},
        {A64_ADC, A64_READS_NZCV},
        {A64_SBCS, A64_READS_NZCV | A64_WRITES_NZCV},
        {A64_CCMP_imm, A64_READS_NZCV | A64_WRITES_NZCV},
        {A64_CSEL, A64_READS_NZCV},
        {A64_FCSEL, A64_READS_NZCV},
        {A64_FCCMPE, A64_READS_NZCV | A64_WRITES_NZCV},
        {A64_FCMP_zero, A64_WRITES_NZCV},
        {A64_FJCVTZS, A64_WRITES_NZCV},
        {A64_MRS_NZCV, A64_READS_NZCV},
        {A64_MSR_NZCV, A64_WRITES_NZCV},
        {A64_MRS_RNDR, A64_WRITES_NZCV},
        {A64_RMIF, A64_READS_NZCV | A64_WRITES_NZCV},
        {A64_B_cond, A64_READS_NZCV | A64_ENDS_BLOCK},
        {A64_CBZ, A64_ENDS_BLOCK},
        {A64_BL, A64_ENDS_BLOCK},
        {A64_SVC, A64_ENDS_BLOCK},
        {A64_UNALLOCATED, A64_ENDS_BLOCK},
        {A64_LDR_lit, A64_LOADS},
        {A64_LDP_fp_pre, A64_LOADS},
        {A64_ST4_single_post, A64_STORES},
        {A64_PRFM_imm, 0},
        {A64_LDADD, A64_LOADS | A64_STORES},
        {A64_STXR, A64_STORES},
        {A64_DC_ZVA, A64_STORES},
        {A64_CPYP, A64_LOADS | A64_STORES | A64_WRITES_NZCV},
        {A64_SETE, A64_STORES | A64_READS_NZCV},
    };
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        if (a64_rows[expected[i].op].properties != expected[i].properties)
            fail_msg("%s: properties %#x", a64_rows[expected[i].op].id,
                     a64_rows[expected[i].op].properties);
}

/* ---- capstone ---- */

struct tally {
    unsigned long asked, excused, wrong;
};

static bool is_armv8_0(enum a64_op op) {
    switch (a64_rows[op].feature) {
    case FEATURE_BASE:
    case FEATURE_FP:
    case FEATURE_SIMD:
    case FEATURE_AES:
    case FEATURE_PMULL:
    case FEATURE_SHA1:
    case FEATURE_SHA256:
    case FEATURE_CRC32:
        return true;
    default:
        return false;
    }
}

static void ask_capstone(csh handle, cs_insn *insn, uint32_t word, struct tally *tally) {
    enum a64_op op = a64_decode(word);
    if (op != A64_UNALLOCATED && !is_armv8_0(op))
        return;
    const uint8_t *code = (const uint8_t *)&word;
    size_t size = 4;
    uint64_t address = 0;
    bool valid = cs_disasm_iter(handle, &code, &size, &address, insn);
    tally->asked++;
    if (valid == (op != A64_UNALLOCATED))
        return;
    const char *id = a64_rows[op].id;
    if (valid ? EXCEPTED(oracle_is_lenient, insn->mnemonic, id)
              : EXCEPTED(capstone_is_strict, "", id)) {
        tally->excused++;
        return;
    }
    if (tally->wrong++ < 20)
        print_error("%08x: ours %s, capstone %s\n", word, id, valid ? insn->mnemonic : "none");
}

static void decode_agrees_with_capstone_on_random_words(void **state) {
    (void)state;
    csh handle;
    assert_int_equal(cs_open(CS_ARCH_ARM64, CS_MODE_ARM, &handle), CS_ERR_OK);
    cs_insn *insn = cs_malloc(handle);
    struct tally tally = {0};
    uint64_t rng = seed;
    for (unsigned long i = 0; i < word_count(); i++)
        ask_capstone(handle, insn, random_word_of_base(&rng), &tally);
    print_message("%lu words, %lu excused\n", tally.asked, tally.excused);
    cs_free(insn, 1);
    cs_close(&handle);
    assert_int_equal(tally.wrong, 0);
}

/* Rd and Rn are numbers almost everywhere: all else is tried in every combination, with x1 and x2
 * there. */
static void decode_agrees_with_capstone_on_all_upper_bits(void **state) {
    (void)state;
    csh handle;
    assert_int_equal(cs_open(CS_ARCH_ARM64, CS_MODE_ARM, &handle), CS_ERR_OK);
    cs_insn *insn = cs_malloc(handle);
    struct tally tally = {0};
    for (uint32_t upper = 0; upper < 1u << 22; upper++) {
        uint32_t w = upper << 10 | 1 << 5 | 2;
        if (bits(w, 25, 4) >= 4)
            ask_capstone(handle, insn, w, &tally);
    }
    print_message("%lu words, %lu excused\n", tally.asked, tally.excused);
    cs_free(insn, 1);
    cs_close(&handle);
    assert_int_equal(tally.wrong, 0);
}

/* ---- objdump ---- */

/* Writes words to a file, runs objdump on it and calls compare with each line's text. */
static void ask_objdump(const uint32_t *words, size_t count,
                        void (*compare)(uint32_t, uint64_t, char *, void *), void *context) {
    char path[] = "/tmp/test_a64.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *out = fdopen(fd, "wb");
    assert_int_equal(fwrite(words, 4, count, out), count);
    fclose(out);
    char command[200];
    snprintf(command, sizeof command, "aarch64-linux-gnu-objdump -D -z -b binary -m aarch64 %s",
             path);
    FILE *in = popen(command, "r");
    assert_non_null(in);
    char line[512];
    size_t seen = 0;
    while (fgets(line, sizeof line, in)) {
        char *end, *text;
        uint64_t pc = strtoull(line, &end, 16);
        if (*end != ':' || end[1] != '\t' || !(text = strchr(end + 2, '\t')))
            continue;
        text++;
        text[strcspn(text, "\n")] = 0;
        char *comment = strstr(text, "//");
        if (comment)
            *comment = 0;
        size_t n = strlen(text);
        while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
            text[--n] = 0;
        assert_int_equal(pc, seen * 4);
        compare(words[seen++], pc, text, context);
    }
    pclose(in);
    unlink(path);
    assert_int_equal(seen, count);
}

static void compare_text(uint32_t word, uint64_t pc, char *theirs, void *context) {
    struct tally *tally = context;
    enum a64_op op = a64_decode(word);
    const char *id = a64_rows[op].id;
    char ours[128];
    a64_disassemble(ours, sizeof ours, word, pc);
    size_t n = strlen(ours);
    while (n && (ours[n - 1] == ' ' || ours[n - 1] == '\t'))
        ours[--n] = 0;
    bool valid = !strstr(theirs, "undefined") && !strstr(theirs, "NYI");
    char mnemonic[64];
    snprintf(mnemonic, sizeof mnemonic, "%.*s", (int)strcspn(theirs, "\t"), theirs);
    bool excused = true;
    tally->asked++;
    if (!valid && op == A64_UNALLOCATED)
        return;
    if (!valid)
        excused = EXCEPTED(objdump_is_strict, "", id);
    else if (op == A64_UNALLOCATED)
        excused = EXCEPTED(oracle_is_lenient, mnemonic, id);
    else if (strcmp(ours, theirs) == 0)
        return;
    else
        excused = EXCEPTED(text_differs, "", id);
    tally->excused += excused;
    if (!excused && tally->wrong++ < 20)
        print_error("%08x %s: ours \"%s\", objdump \"%s\"\n", word, id, ours, theirs);
}

static bool have_objdump(void) {
    return system("aarch64-linux-gnu-objdump --version >/dev/null 2>&1") == 0;
}

static void text_agrees_with_objdump_on_random_words(void **state) {
    (void)state;
    if (!have_objdump())
        skip();
    size_t count = word_count();
    uint32_t *words = malloc(count * sizeof *words);
    uint64_t rng = seed + 1;
    for (size_t i = 0; i < count; i++)
        words[i] = random_word_of_base(&rng);
    struct tally tally = {0};
    ask_objdump(words, count, compare_text, &tally);
    print_message("%lu words, %lu excused\n", tally.asked, tally.excused);
    free(words);
    assert_int_equal(tally.wrong, 0);
}

/* Every row gets the same share, and registers are often 31 or equal, where the aliases are. */
static void text_agrees_with_objdump_on_every_row(void **state) {
    (void)state;
    if (!have_objdump())
        skip();
    enum { PER_ROW = 256 };
    size_t count = 0;
    uint32_t *words = malloc(sizeof *words * PER_ROW * A64_OP_COUNT);
    uint64_t rng = seed + 2;
    for (int op = 1; op < A64_OP_COUNT; op++) {
        for (unsigned i = 0; i < PER_ROW; i++) {
            uint32_t w = a64_random_word((enum a64_op)op, &rng);
            uint32_t biased = w;
            if (i & 1)
                biased |= 31;
            if (i & 2)
                biased |= 31 << 5;
            if (i & 4)
                biased |= 31 << 16;
            if (i & 8)
                biased = (biased & ~(31u << 16)) | bits(biased, 5, 5) << 16;
            if (i & 16)
                biased &= ~(0x3fu << 10);
            words[count++] = a64_decode(biased) == (enum a64_op)op ? biased : w;
        }
    }
    struct tally tally = {0};
    ask_objdump(words, count, compare_text, &tally);
    print_message("%lu words, %lu excused\n", tally.asked, tally.excused);
    free(words);
    assert_int_equal(tally.wrong, 0);
}

static void disassembly_is_cut_to_the_buffer(void **state) {
    (void)state;
    char text[8] = "xxxxxxx";
    assert_int_equal(a64_disassemble(text, 5, 0xd503201f, 0), 3); /* nop */
    assert_string_equal(text, "nop");
    assert_int_equal(a64_disassemble(text, 5, 0x8b020020, 0), 14);
    assert_string_equal(text, "add\t");
    assert_int_equal(text[5], 'x');
    assert_int_equal(a64_disassemble(text, 0, 0xffffffff, 0), 16);
}

/* ---- immediates ---- */

/* Independent of DecodeBitMasks: every rotation of every run of ones in every element size is one
 * encoding. */
static void logical_immediates_are_rotated_runs(void **state) {
    (void)state;
    unsigned valid = 0;
    for (unsigned code = 0; code < 1u << 13; code++) {
        unsigned N = code >> 12, immr = code >> 6 & 63, imms = code & 63;
        uint64_t mask = 0, narrow = 0, expected = 0;
        unsigned esize = N                     ? 64
                         : (imms & 0x20) == 0  ? 32
                         : (imms & 0x30) == 32 ? 16
                         : (imms & 0x38) == 48 ? 8
                         : (imms & 0x3c) == 56 ? 4
                         : (imms & 0x3e) == 60 ? 2
                                               : 0;
        unsigned run = esize ? (imms & (esize - 1)) + 1 : 0;
        bool ok = esize && run < esize;
        assert_int_equal(a64_logical_immediate(N, imms, immr, true, &mask), ok);
        assert_int_equal(a64_logical_immediate(N, imms, immr, false, &narrow), ok && !N);
        assert_int_equal(a64_decode(0x92000000 | N << 22 | immr << 16 | imms << 10) == A64_AND_imm,
                         ok);
        assert_int_equal(a64_decode(0x12000000 | N << 22 | immr << 16 | imms << 10) == A64_AND_imm,
                         ok && !N);
        if (!ok)
            continue;
        valid++;
        for (unsigned bit = 0; bit < 64; bit++) {
            /* bit comes from bit + immr of the unrotated element */
            unsigned from = (bit + immr) % esize;
            expected |= (uint64_t)(from < run) << bit;
        }
        assert_int_equal(mask, expected);
        if (!N)
            assert_int_equal(narrow, (uint32_t)expected);
    }
    assert_int_equal(valid, 64 * (63 + 31 + 15 + 7 + 3 + 1));
}

static void fp_immediates_are_the_values_they_name(void **state) {
    (void)state;
    for (unsigned imm8 = 0; imm8 < 256; imm8++) {
        int exponent = (int)((imm8 >> 4 & 7) ^ 4) - 3;
        double magnitude = (16 + (imm8 & 15)) / 16.0;
        for (; exponent > 0; exponent--)
            magnitude *= 2;
        for (; exponent < 0; exponent++)
            magnitude /= 2;
        double value = imm8 & 0x80 ? -magnitude : magnitude;
        float narrow = (float)value;
        uint64_t wide_bits;
        uint32_t narrow_bits;
        memcpy(&wide_bits, &value, 8);
        memcpy(&narrow_bits, &narrow, 4);
        assert_int_equal(a64_fp_immediate(imm8, 64), wide_bits);
        assert_int_equal(a64_fp_immediate(imm8, 32), narrow_bits);
        /* half from single: rebias the exponent by 112, drop 13 bits of fraction */
        uint32_t half = (narrow_bits >> 16 & 0x8000) | (((narrow_bits >> 23 & 255) - 112) << 10) |
                        (narrow_bits >> 13 & 0x3ff);
        assert_int_equal(a64_fp_immediate(imm8, 16), half);
    }
}

static void simd_immediates_follow_the_manuals_table(void **state) {
    (void)state;
    for (unsigned imm8 = 0; imm8 < 256; imm8++) {
        uint64_t i = imm8;
        for (unsigned op = 0; op < 2; op++) {
            for (unsigned cmode = 0; cmode < 8; cmode++)
                assert_int_equal(a64_simd_immediate(op, cmode, imm8),
                                 (i << cmode / 2 * 8) * 0x100000001ull);
            assert_int_equal(a64_simd_immediate(op, 8, imm8), i * 0x0001000100010001ull);
            assert_int_equal(a64_simd_immediate(op, 9, imm8), i * 0x0001000100010001ull);
            assert_int_equal(a64_simd_immediate(op, 10, imm8), i * 0x0100010001000100ull);
            assert_int_equal(a64_simd_immediate(op, 12, imm8), (i << 8 | 0xff) * 0x100000001ull);
            assert_int_equal(a64_simd_immediate(op, 13, imm8), (i << 16 | 0xffff) * 0x100000001ull);
        }
        assert_int_equal(a64_simd_immediate(0, 14, imm8), i * 0x0101010101010101ull);
        uint64_t bytes = a64_simd_immediate(1, 14, imm8);
        for (unsigned b = 0; b < 8; b++)
            assert_int_equal(bytes >> b * 8 & 0xff, imm8 >> b & 1 ? 0xff : 0);
        assert_int_equal(a64_simd_immediate(0, 15, imm8),
                         a64_fp_immediate(imm8, 32) * 0x100000001ull);
        assert_int_equal(a64_simd_immediate(1, 15, imm8), a64_fp_immediate(imm8, 64));
    }
}

/* ---- speed ---- */

/* The best of several runs over words of all rows; the bound is loose, for sanitizers and busy
 * machines. */
static void decode_is_fast(void **state) {
    (void)state;
    enum { WORDS = 1 << 14 };
    static uint32_t words[WORDS];
    uint64_t rng = seed + 3;
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = a64_random_word((enum a64_op)(1 + next(&rng) % (A64_OP_COUNT - 1)), &rng);
    double best_ns = 1e9;
    unsigned sum = 0;
    for (int run = 0; run < 20; run++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (unsigned i = 0; i < WORDS; i++)
            sum += a64_decode(words[i]);
        clock_gettime(CLOCK_MONOTONIC, &to);
        double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
        best_ns = MIN(best_ns, ns / WORDS);
    }
    print_message("decode: %.1f ns for a random word of a random row (checksum %u)\n", best_ns,
                  sum);
    assert_true(best_ns < 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_decodes_its_own_random_words),
        cmocka_unit_test(restrictions_refuse_reserved_words),
        cmocka_unit_test(properties_are_those_of_the_architecture),
        cmocka_unit_test(decode_agrees_with_capstone_on_random_words),
        cmocka_unit_test(decode_agrees_with_capstone_on_all_upper_bits),
        cmocka_unit_test(text_agrees_with_objdump_on_random_words),
        cmocka_unit_test(text_agrees_with_objdump_on_every_row),
        cmocka_unit_test(disassembly_is_cut_to_the_buffer),
        cmocka_unit_test(logical_immediates_are_rotated_runs),
        cmocka_unit_test(fp_immediates_are_the_values_they_name),
        cmocka_unit_test(simd_immediates_follow_the_manuals_table),
        cmocka_unit_test(decode_is_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
