/*
 * test_asm.c - the assembler's general instructions, labels and patching, against capstone.
 *
 * Every instruction is one line of GP_CASES and is decoded for every operand size, every register
 * pair, and memory operands that cover ModRM and SIB.
 */
#include "x64_decode.h"

#include <string.h>

static const struct x64_features none;
static x64_rm forms[FORMS];
static unsigned form_count;

enum { S1 = 1, S2 = 2, S4 = 4, S8 = 8, ALL = 15, WIDE = S2 | S4 | S8, GPR = S4 | S8 };
enum { REG = 1, MEM = 2, RM = 3 };

/*
 * X(id, mnemonics, operands, sizes, kinds, call)
 * mnemonics: separated by spaces, the number of the one under test is `op`.
 * operands: r the register of `size`, d the same with 4 bytes at least, m the r/m operand, b, w, l
 *   the r/m operand of 1, 2, 4 bytes, x (8, or 16 without size) memory, c CL, v third register, 1
 * the number.
 */
#define GP_CASES(X)                                                                              \
    X(mov_load, "mov", "r, m", ALL, RM, x64_mov_r_rm(&as, size, reg, rm))                        \
    X(mov_store, "mov", "m, r", ALL, RM, x64_mov_rm_r(&as, size, rm, reg))                       \
    X(movzx1, "movzx", "e, b", S4, RM, x64_movzx(&as, reg, 1, rm))                               \
    X(movzx2, "movzx", "e, w", S4, RM, x64_movzx(&as, reg, 2, rm))                               \
    X(movzx4, "mov", "e, l", S4, RM, x64_movzx(&as, reg, 4, rm))                                 \
    X(movsx1, "movsx", "r, b", WIDE, RM, x64_movsx(&as, size, reg, 1, rm))                       \
    X(movsx2, "movsx", "r, w", GPR, RM, x64_movsx(&as, size, reg, 2, rm))                        \
    X(movsx4, "movsxd", "r, l", S8, RM, x64_movsx(&as, size, reg, 4, rm))                        \
    X(movsx_same, "mov", "r, m", WIDE, RM, x64_movsx(&as, size, reg, size, rm))                  \
    X(lea, "lea", "r, a", WIDE, MEM, x64_lea(&as, size, reg, rm))                                \
    X(movbe_load, "movbe", "r, m", WIDE, MEM, x64_movbe_load(&as, size, reg, rm))                \
    X(movbe_store, "movbe", "m, r", WIDE, MEM, x64_movbe_store(&as, size, rm, reg))              \
    X(movnti, "movnti", "m, r", GPR, MEM, x64_movnti(&as, size, rm, reg))                        \
    X(alu_load, "add or adc sbb and sub xor cmp", "r, m", ALL, RM,                               \
      x64_alu_r_rm(&as, (enum x64_alu)op, size, reg, rm))                                        \
    X(alu_store, "add or adc sbb and sub xor cmp", "m, r", ALL, RM,                              \
      x64_alu_rm_r(&as, (enum x64_alu)op, size, rm, reg))                                        \
    X(unary, "not neg mul imul div idiv", "m", ALL, RM,                                          \
      x64_unary(&as, (enum x64_unary)(UN_NOT + op), size, rm))                                   \
    X(inc, "inc", "m", ALL, RM, x64_inc(&as, size, rm))                                          \
    X(dec, "dec", "m", ALL, RM, x64_dec(&as, size, rm))                                          \
    X(imul, "imul", "r, m", WIDE, RM, x64_imul_r_rm(&as, size, reg, rm))                         \
    X(shift_1, "rol ror rcl rcr shl shr - sar", "m, 1", ALL, RM,                                 \
      x64_shift_i(&as, (enum x64_shift)op, size, rm, 1))                                         \
    X(shift_cl, "rol ror rcl rcr shl shr - sar", "m, c", ALL, RM,                                \
      x64_shift_cl(&as, (enum x64_shift)op, size, rm))                                           \
    X(bt, "bt bts btr btc", "m, r", WIDE, RM,                                                    \
      x64_bt_r(&as, (enum x64_bt)(BT_BT + op), size, rm, reg))                                   \
    X(setcc,                                                                                     \
      "seto setno setb setae sete setne setbe seta sets setns setp setnp setl setge setle setg", \
      "b", S1, RM, x64_setcc(&as, (enum x64_cc)op, rm))                                          \
    X(cmov,                                                                                      \
      "cmovo cmovno cmovb cmovae cmove cmovne cmovbe cmova cmovs cmovns cmovp cmovnp cmovl "     \
      "cmovge "                                                                                  \
      "cmovle cmovg",                                                                            \
      "r, m", WIDE, RM, x64_cmov(&as, (enum x64_cc)op, size, reg, rm))                           \
    X(shlx, "shlx", "r, m, v", GPR, RM, x64_shlx(&as, size, reg, rm, third))                     \
    X(shrx, "shrx", "r, m, v", GPR, RM, x64_shrx(&as, size, reg, rm, third))                     \
    X(sarx, "sarx", "r, m, v", GPR, RM, x64_sarx(&as, size, reg, rm, third))                     \
    X(mulx, "mulx", "r, v, m", GPR, RM, x64_mulx(&as, size, reg, third, rm))                     \
    X(andn, "andn", "r, v, m", GPR, RM, x64_andn(&as, size, reg, third, rm))                     \
    X(lzcnt, "lzcnt", "r, m", WIDE, RM, x64_lzcnt(&as, size, reg, rm))                           \
    X(tzcnt, "tzcnt", "r, m", WIDE, RM, x64_tzcnt(&as, size, reg, rm))                           \
    X(popcnt, "popcnt", "r, m", WIDE, RM, x64_popcnt(&as, size, reg, rm))                        \
    X(bsr, "bsr", "r, m", WIDE, RM, x64_bsr(&as, size, reg, rm))                                 \
    X(bsf, "bsf", "r, m", WIDE, RM, x64_bsf(&as, size, reg, rm))                                 \
    X(crc32, "crc32", "d, m", ALL, RM, x64_crc32(&as, size, reg, rm))                            \
    X(cmpxchg, "cmpxchg", "m, r", ALL, RM, x64_cmpxchg(&as, size, rm, reg))                      \
    X(cmpxchg16b, "cmpxchg16b", "x", S8, MEM, x64_cmpxchg16b(&as, rm))                           \
    X(xadd, "xadd", "m, r", ALL, RM, x64_xadd(&as, size, rm, reg))                               \
    X(prefetch, "prefetchnta prefetcht0 prefetcht1 prefetcht2 prefetchw", "p", S4, MEM,          \
      x64_prefetch(&as, op, rm))                                                                 \
    X(jmp, "jmp", "m", S8, RM, x64_jmp_rm(&as, rm))                                              \
    X(call, "call", "m", S8, RM, x64_call_rm(&as, rm))                                           \
    X(ldmxcsr, "ldmxcsr", "l", S4, MEM, x64_ldmxcsr(&as, rm))                                    \
    X(stmxcsr, "stmxcsr", "l", S4, MEM, x64_stmxcsr(&as, rm))

#define DEFINE_EMIT(id, mnemonics, operands, sizes, kinds, call)                                 \
    static void emit_##id(unsigned op, unsigned size, unsigned reg, x64_rm rm, unsigned third) { \
        (void)op, (void)size, (void)reg, (void)rm, (void)third;                                  \
        call;                                                                                    \
    }
GP_CASES(DEFINE_EMIT)

static const struct gp_case {
    const char *id, *mnemonics, *operands;
    unsigned sizes, kinds;
    void (*emit)(unsigned op, unsigned size, unsigned reg, x64_rm rm, unsigned third);
} gp_cases[] = {
#define CASE_ROW(id, mnemonics, operands, sizes, kinds, call) \
    {#id, mnemonics, operands, sizes, kinds, emit_##id},
    GP_CASES(CASE_ROW)
#undef CASE_ROW
};

/* The text of a case's operands. */
static void operand_text(char *dst, const char *pattern, unsigned size, unsigned reg, x64_rm rm,
                         unsigned third) {
    char one[TEXT];

    *dst = '\0';
    for (; *pattern; pattern++) {
        const char *s = one;

        switch (*pattern) {
        case 'r':
            reg_text(one, size, reg);
            break;
        case 'd':
            reg_text(one, MAX(size, 4u), reg);
            break;
        case 'e':
            reg_text(one, 4, reg);
            break;
        case 'v':
            reg_text(one, size, third);
            break;
        case 'm':
            rm_text(one, rm, size, size);
            break;
        case 'b':
            rm_text(one, rm, 1, 1);
            break;
        case 'w':
            rm_text(one, rm, 2, 2);
            break;
        case 'l':
            rm_text(one, rm, 4, 4);
            break;
        case 'x':
            rm_text(one, rm, 0, 16);
            break;
        case 'a':
            rm_text(one, rm, 0, 0);
            break;
        case 'p': /* capstone calls a prefetched line a byte */
            rm_text(one, rm, 0, 1);
            break;
        case 'c':
            s = "cl";
            break;
        default:
            text(one, "%c", *pattern);
        }
        strcat(dst, s);
    }
}

static void check_case(const struct gp_case *c, unsigned op, const char *mnemonic, unsigned size,
                       unsigned reg, x64_rm rm, unsigned third) {
    char operands[4 * TEXT];

    x64_begin(&none);
    c->emit(op, size, reg, rm, third);
    if (strcmp(mnemonic, "mov") == 0 && size == 8 && x64_is_reg(rm, reg)) {
        expect_end();
        return;
    }
    operand_text(operands, c->operands, size, reg, rm, third);
    expect_insn(mnemonic, operands);
    expect_end();
}

static void instructions_decode_as_asked(void **state) {
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(gp_cases); i++) {
        const struct gp_case *c = &gp_cases[i];
        char names[256], *save = NULL;
        unsigned op = 0;

        snprintf(names, sizeof(names), "%s", c->mnemonics);
        for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
            for (unsigned size = 1; size <= 8 && *name != '-'; size *= 2) {
                for (unsigned n = 0; (c->sizes & size) && (c->kinds & REG) && n < 256; n++) {
                    check_case(c, op, name, size, n & 15, x64_r(n >> 4), (n * 7 + 3) & 15);
                }
                for (unsigned n = 0; (c->sizes & size) && (c->kinds & MEM) && n < form_count; n++) {
                    check_case(c, op, name, size, n * 5 & 15, forms[n], n & 15);
                }
            }
            op++;
        }
    }
}

/* ---- immediates ---- */

static const int32_t imms[] = {0,       1,          2,         -1,       127,    -128,
                               128,     -129,       0x55,      0x7fff,   0x8000, -0x8000,
                               0x10000, 0x12345678, INT32_MAX, INT32_MIN};

/* Each register, a rip-relative operand, and memory forms from all over the list. */
static x64_rm nth_rm(unsigned n) {
    return n < 16 ? x64_r(n) : n == 16 ? x64_m(X64_RIP, 0x1234) : forms[(n * 37) % form_count];
}
#define RM_SAMPLES 300

static void alu_immediates(void **state) {
    static const char *const names[] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};
    char rm[TEXT];

    (void)state;
    for (unsigned n = 0; n < RM_SAMPLES * ARRAY_SIZE(imms); n++) {
        int32_t imm = imms[n % ARRAY_SIZE(imms)];
        x64_rm dst = nth_rm(n / ARRAY_SIZE(imms));

        for (unsigned size = 1; size <= 8; size *= 2) {
            for (unsigned op = 0; op < 8; op++) {
                /* and r64 with a clear bit 31 may become and r32 */
                bool low = op == ALU_AND && size == 8 && !dst.is_mem && imm >= 0;
                unsigned bytes = low ? 4 : size;

                x64_begin(&none);
                x64_alu_rm_i(&as, (enum x64_alu)op, size, dst, imm);
                expect_imm(names[op], rm_text(rm, dst, bytes, bytes), (uint64_t)(int64_t)imm,
                           bytes);
                expect_end();
            }
            x64_begin(&none);
            x64_mov_rm_i(&as, size, dst, imm);
            if (!dst.is_mem && size == 8) {
                bool low = imm >= 0;

                expect_imm("mov", reg_text(rm, low ? 4 : 8, dst.base), (uint64_t)(int64_t)imm,
                           low ? 4 : 8);
            } else {
                expect_imm("mov", rm_text(rm, dst, size, size), (uint64_t)(int64_t)imm, size);
            }
            expect_end();
        }
    }
}

static void test_immediates(void **state) {
    char rm[TEXT];

    (void)state;
    for (unsigned n = 0; n < RM_SAMPLES * ARRAY_SIZE(imms); n++) {
        int32_t imm = imms[n % ARRAY_SIZE(imms)];
        x64_rm dst = nth_rm(n / ARRAY_SIZE(imms));

        for (unsigned size = 1; size <= 8; size *= 2) {
            unsigned bytes = size;

            if (!dst.is_mem && imm >= 0 && size > 1) {
                bytes = imm <= 127 ? 1 : MIN(size, 4u);
            }
            x64_begin(&none);
            x64_test_rm_i(&as, size, dst, imm);
            expect_imm("test", rm_text(rm, dst, bytes, bytes), (uint64_t)(int64_t)imm, bytes);
            expect_end();
        }
    }
}

/* The narrowed TEST and AND give the flags of the wide ones: compared on the CPU. */
static void narrowed_masks_keep_flags(void **state) {
    static const uint64_t values[] = {
        0, 1, 0x80, 0x7f, 0xff00, 0x8000000000000000, 0xffffffff00000000, ~0ull};

    (void)state;
    for (unsigned v = 0; v < ARRAY_SIZE(values); v++) {
        for (unsigned i = 0; i < ARRAY_SIZE(imms); i++) {
            uint64_t mask = (uint64_t)(int64_t)imms[i], wide, narrow;

            if (imms[i] < 0) {
                continue;
            }
            __asm__("test %1, %2\n\tpushf\n\tpop %0"
                    : "=r"(wide)
                    : "r"(mask), "r"(values[v])
                    : "cc");
            if (imms[i] <= 127) {
                __asm__("test %b1, %b2\n\tpushf\n\tpop %0"
                        : "=r"(narrow)
                        : "q"(mask), "q"(values[v])
                        : "cc");
            } else {
                __asm__("test %k1, %k2\n\tpushf\n\tpop %0"
                        : "=r"(narrow)
                        : "r"(mask), "r"(values[v])
                        : "cc");
            }
            /* CF PF ZF SF OF; AF is undefined */
            assert_int_equal(wide & 0x8c5, narrow & 0x8c5);
        }
    }
}

/* capstone 4 shows a negative absolute address as zero. */
static void absolute_addresses_sign_extend(void **state) {
    static const uint8_t want[] = {0x8a, 0x0c, 0x25, 0x00, 0xf0, 0xff, 0xff};

    (void)state;
    x64_begin(&none);
    x64_mov_r_rm(&as, 1, RCX, x64_m(X64_NOREG, -0x1000));
    assert_int_equal(x64_pos(&as), sizeof(want));
    assert_memory_equal(as.start, want, sizeof(want));
}

static void constants_take_the_shortest_move(void **state) {
    static const struct {
        uint64_t imm;
        unsigned bytes, length;
    } cases[] = {
        {0, 4, 5},
        {1, 4, 5},
        {0x7fffffff, 4, 5},
        {0x80000000, 4, 5},
        {0xffffffff, 4, 5},
        {~0ull, 8, 7},
        {0xffffffff80000000, 8, 7},
        {0xffffffff7fffffff, 8, 10},
        {0x100000000, 8, 10},
        {0x123456789abcdef0, 8, 10},
    };
    char reg[TEXT];

    (void)state;
    for (unsigned n = 0; n < 16; n++) {
        for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
            x64_begin(&none);
            x64_mov_ri(&as, n, cases[i].imm);
            assert_int_equal(x64_pos(&as), cases[i].length + (cases[i].bytes == 4 && n >= 8));
            reg_text(reg, cases[i].bytes, n);
            expect_imm(cases[i].length == 10 ? "movabs" : "mov", reg, cases[i].imm, cases[i].bytes);
            expect_end();
        }
    }
}

static void counts_and_bit_numbers(void **state) {
    static const char *const shifts[] = {"rol", "ror", "rcl", "rcr", "shl", "shr", NULL, "sar"};
    static const char *const bts[] = {"bt", "bts", "btr", "btc"};
    char m[TEXT], r[TEXT], ops[3 * TEXT];

    (void)state;
    for (unsigned n = 0; n < RM_SAMPLES * 2; n++) {
        x64_rm rm = nth_rm(n);
        unsigned reg = n * 3 & 15;

        for (unsigned size = 1; size <= 8; size *= 2) {
            unsigned count = 2 + n % (8 * size - 2);

            rm_text(m, rm, size, size);
            for (unsigned op = 0; op < 8; op++) {
                if (!shifts[op]) {
                    continue;
                }
                x64_begin(&none);
                x64_shift_i(&as, (enum x64_shift)op, size, rm, count);
                expect_imm(shifts[op], m, count, 1);
                expect_end();
            }
            if (size == 1) {
                continue;
            }
            for (unsigned op = 0; op < 4; op++) {
                x64_begin(&none);
                x64_bt_i(&as, (enum x64_bt)(BT_BT + op), size, rm, count);
                expect_imm(bts[op], m, count, 1);
                expect_end();
            }
            snprintf(ops, sizeof(ops), "%s, %s", m, reg_text(r, size, reg));
            x64_begin(&none);
            x64_shrd_i(&as, size, rm, reg, count);
            x64_shld_i(&as, size, rm, reg, count);
            expect_imm("shrd", ops, count, 1);
            expect_imm("shld", ops, count, 1);
            expect_end();

            snprintf(ops, sizeof(ops), "%s, %s", r, m);
            for (unsigned i = 0; i < ARRAY_SIZE(imms); i++) {
                x64_begin(&none);
                x64_imul_r_rm_i(&as, size, reg, rm, imms[i]);
                expect_imm("imul", ops, (uint64_t)(int64_t)imms[i], size);
                expect_end();
            }
            if (size >= 4) {
                x64_begin(&none);
                x64_rorx(&as, size, reg, rm, count);
                expect_imm("rorx", ops, count, 1);
                expect_end();
            }
        }
    }
}

static void exchange(void **state) {
    char a[TEXT], b[TEXT], ops[3 * TEXT];

    (void)state;
    for (unsigned n = 0; n < RM_SAMPLES + 256; n++) {
        x64_rm rm = n < 256 ? x64_r(n >> 4) : forms[(n * 37) % form_count];
        unsigned reg = n & 15;

        for (unsigned size = 1; size <= 8; size *= 2) {
            /* of the short form capstone prints the accumulator first */
            bool swap = !rm.is_mem && size > 1 && rm.base != RAX && reg == RAX;

            x64_begin(&none);
            x64_xchg_rm_r(&as, size, rm, reg);
            rm_text(a, rm, size, size);
            reg_text(b, size, reg);
            snprintf(ops, sizeof(ops), "%s, %s", swap ? b : a, swap ? a : b);
            expect_insn("xchg", ops);
            expect_end();
        }
    }
}

static void one_register_instructions(void **state) {
    char r4[TEXT], r8[TEXT];

    (void)state;
    for (unsigned n = 0; n < 16; n++) {
        reg_text(r4, 4, n);
        reg_text(r8, 8, n);
        x64_begin(&none);
        x64_push(&as, n);
        x64_pop(&as, n);
        x64_bswap(&as, 4, n);
        x64_bswap(&as, 8, n);
        expect_insn("push", r8);
        expect_insn("pop", r8);
        expect_insn("bswap", r4);
        expect_insn("bswap", r8);
        expect_end();
    }
}

static void instructions_without_operands(void **state) {
    (void)state;
    x64_begin(&none);
    x64_ret(&as);
    x64_cdq(&as, 4);
    x64_cdq(&as, 8);
    x64_rdtsc(&as);
    x64_lahf(&as);
    x64_sahf(&as);
    x64_cmc(&as);
    x64_stc(&as);
    x64_clc(&as);
    x64_pushf(&as);
    x64_popf(&as);
    x64_mfence(&as);
    x64_pause(&as);
    x64_ud2(&as);
    x64_int3(&as);
    expect_insn("ret", "");
    expect_insn("cdq", "");
    expect_insn("cqo", "");
    expect_insn("rdtsc", "");
    expect_insn("lahf", "");
    expect_insn("sahf", "");
    expect_insn("cmc", "");
    expect_insn("stc", "");
    expect_insn("clc", "");
    expect_insn("pushfq", "");
    expect_insn("popfq", "");
    expect_insn("mfence", "");
    expect_insn("pause", "");
    expect_insn("ud2", "");
    expect_insn("int3", "");
    expect_end();
}

static void string_and_lock_prefixes(void **state) {
    static const struct {
        unsigned size;
        const char *movs, *stos, *movs_ops, *stos_ops;
    } cases[] = {
        {1, "rep movsb", "rep stosb", "byte ptr [rdi], byte ptr [rsi]", "byte ptr [rdi], al"},
        {2, "rep movsw", "rep stosw", "word ptr [rdi], word ptr [rsi]", "word ptr [rdi], ax"},
        {4, "rep movsd", "rep stosd", "dword ptr [rdi], dword ptr [rsi]", "dword ptr [rdi], eax"},
        {8, "rep movsq", "rep stosq", "qword ptr [rdi], qword ptr [rsi]", "qword ptr [rdi], rax"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        x64_begin(&none);
        x64_rep_movs(&as, cases[i].size);
        x64_rep_stos(&as, cases[i].size);
        expect_insn(cases[i].movs, cases[i].movs_ops);
        expect_insn(cases[i].stos, cases[i].stos_ops);
        expect_end();
    }
    x64_begin(&none);
    x64_lock(&as);
    x64_cmpxchg16b(&as, x64_m(R12, 0));
    x64_lock(&as);
    x64_xadd(&as, 4, x64_m(RBP, 0), R9);
    expect_insn("lock cmpxchg16b", "xmmword ptr [r12]");
    expect_insn("lock xadd", "dword ptr [rbp], r9d");
    expect_end();
}

/* ---- lengths ---- */

#define LENGTH(n, call)                    \
    do {                                   \
        x64_begin(&none);                  \
        call;                              \
        assert_int_equal(x64_pos(&as), n); \
    } while (0)

static void encodings_are_the_shortest(void **state) {
    (void)state;
    LENGTH(2, x64_mov_r_rm(&as, 4, RAX, x64_m(RBX, 0)));
    LENGTH(3, x64_mov_r_rm(&as, 4, RAX, x64_m(RBP, 0)));
    LENGTH(3, x64_mov_r_rm(&as, 4, RAX, x64_m(RSP, 0)));
    LENGTH(3, x64_mov_r_rm(&as, 4, RAX, x64_m(RBX, 127)));
    LENGTH(3, x64_mov_r_rm(&as, 4, RAX, x64_m(RBX, -128)));
    LENGTH(6, x64_mov_r_rm(&as, 4, RAX, x64_m(RBX, 128)));
    LENGTH(6, x64_mov_r_rm(&as, 4, RAX, x64_m(RBX, -129)));
    LENGTH(4, x64_mov_r_rm(&as, 8, RAX, x64_m(RBX, 8)));
    LENGTH(4, x64_lea(&as, 8, RAX, x64_mx(X64_NOREG, RCX, 1, 0)));
    LENGTH(3, x64_lea(&as, 8, RAX, x64_mx(X64_NOREG, RCX, 0, 0)));
    LENGTH(8, x64_lea(&as, 8, RAX, x64_mx(X64_NOREG, RCX, 2, 0)));
    LENGTH(3, x64_alu_rm_i(&as, ALU_ADD, 4, x64_r(RCX), -1));
    LENGTH(4, x64_alu_rm_i(&as, ALU_ADD, 2, x64_r(RCX), 0xffff));
    LENGTH(6, x64_alu_rm_i(&as, ALU_ADD, 4, x64_r(RCX), 128));
    LENGTH(5, x64_alu_rm_i(&as, ALU_ADD, 4, x64_r(RAX), 128));
    LENGTH(2, x64_alu_rm_i(&as, ALU_ADD, 1, x64_r(RAX), 128));
    LENGTH(3, x64_alu_rm_i(&as, ALU_AND, 8, x64_r(RCX), 15));
    LENGTH(4, x64_alu_rm_i(&as, ALU_AND, 8, x64_r(RCX), -16));
    LENGTH(3, x64_test_rm_i(&as, 8, x64_r(RCX), 15));
    LENGTH(2, x64_test_rm_i(&as, 8, x64_r(RAX), 15));
    LENGTH(6, x64_test_rm_i(&as, 8, x64_r(RCX), 0x12345678));
    LENGTH(7, x64_test_rm_i(&as, 8, x64_r(RCX), -16));
    LENGTH(2, x64_shift_i(&as, SH_SHL, 4, x64_r(RCX), 1));
    LENGTH(2, x64_xchg_rm_r(&as, 8, x64_r(RAX), RCX));
    LENGTH(5, x64_mov_rm_i(&as, 8, x64_r(RCX), 1));
    LENGTH(0, x64_mov_r_rm(&as, 8, RCX, x64_r(RCX)));
    LENGTH(0, x64_mov_rm_r(&as, 8, x64_r(RCX), RCX));
    LENGTH(2, x64_mov_r_rm(&as, 4, RCX, x64_r(RCX)));
}

/* ---- labels, jumps, patching ---- */

static void backward_jumps(void **state) {
    static const unsigned gaps[] = {0, 1, 100, 124, 125, 126, 127, 200};
    char target[TEXT];

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(gaps); i++) {
        struct x64_label l = X64_LABEL;

        x64_begin(&none);
        x64_int3(&as);
        x64_bind(&as, &l);
        for (unsigned n = 0; n < gaps[i]; n++) {
            x64_int3(&as);
        }
        x64_jmp(&as, &l);
        assert_int_equal(x64_pos(&as), 1 + gaps[i] + (gaps[i] + 2 <= 128 ? 2 : 5));
        x64_jcc(&as, CC_LE, &l);
        x64_call(&as, &l);
        x64_lea_label(&as, R9, &l);
        for (unsigned n = 0; n < gaps[i] + 1; n++) {
            expect_insn("int3", "");
        }
        text(target, "%d", l.at);
        expect_insn("jmp", target);
        expect_insn("jle", target);
        expect_insn("call", target);
        expect_insn("lea", text(target, "r9, [rip to %d]", l.at));
        expect_end();
    }
}

static void forward_jumps_share_a_label(void **state) {
    struct x64_label l = X64_LABEL, other = X64_LABEL;
    char target[TEXT];

    (void)state;
    x64_begin(&none);
    x64_jmp(&as, &l);
    x64_jcc(&as, CC_NP, &other);
    x64_jcc(&as, CC_A, &l);
    x64_lea_label(&as, RBX, &l);
    x64_call(&as, &l);
    x64_bind(&as, &other);
    x64_int3(&as);
    x64_bind(&as, &l);
    x64_ret(&as);
    text(target, "0x%x", (unsigned)l.at);
    expect_insn("jmp", target);
    expect_insn("jnp", text(target, "0x%x", (unsigned)other.at));
    text(target, "0x%x", (unsigned)l.at);
    expect_insn("ja", target);
    expect_insn("lea", text(target, "rbx, [rip to %d]", l.at));
    expect_insn("call", text(target, "0x%x", (unsigned)l.at));
    expect_insn("int3", "");
    expect_insn("ret", "");
    expect_end();
}

static void conditions(void **state) {
    static const char *const names[] = {"jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja",
                                        "js", "jns", "jp", "jnp", "jl", "jge", "jle", "jg"};

    (void)state;
    for (unsigned cc = 0; cc < 16; cc++) {
        struct x64_label back = X64_LABEL, forward = X64_LABEL;

        assert_int_equal(x64_cc_not((enum x64_cc)cc), cc ^ 1);
        x64_begin(&none);
        x64_bind(&as, &back);
        x64_jcc(&as, (enum x64_cc)cc, &back);
        x64_jcc(&as, (enum x64_cc)cc, &forward);
        x64_bind(&as, &forward);
        x64_short_bind(&as, x64_jcc_short(&as, (enum x64_cc)cc));
        expect_insn(names[cc], "0");
        expect_insn(names[cc], "8");
        expect_insn(names[cc], "0xa");
        expect_end();
    }
}

static void short_jumps(void **state) {
    jmp_buf caught;
    volatile uint32_t pos = 0;

    (void)state;
    for (unsigned gap = 0; gap <= 127; gap++) {
        char target[TEXT];

        x64_begin(&none);
        pos = gap % 3 == 0   ? x64_jrcxz_short(&as)
              : gap % 3 == 1 ? x64_jmp_short(&as)
                             : x64_jcc_short(&as, CC_S);
        for (unsigned i = 0; i < gap; i++) {
            x64_int3(&as);
        }
        x64_short_bind(&as, pos);
        static const char *const names[] = {"jrcxz", "jmp", "js"};
        expect_insn(names[gap % 3], text(target, gap + 2 < 10 ? "%u" : "0x%x", gap + 2));
    }
    x64_int3(&as);
    assert_catch = &caught;
    if (setjmp(caught) == 0) {
        x64_short_bind(&as, pos);
        assert_catch = NULL;
        fail_msg("a short jump over 128 bytes was accepted");
    }
    assert_catch = NULL;
}

static void absolute_jumps_are_aligned_and_patchable(void **state) {
    static const char *const names[] = {"jmp", "jne", "call"};
    char target[TEXT];

    (void)state;
    for (unsigned n = 0; n < 4 * ARRAY_SIZE(names); n++) {
        unsigned kind = n / 4, opcode_bytes = kind == 1 ? 2 : 1;
        uint8_t *field, *far;

        for (unsigned patched = 0; patched < 2; patched++) {
            x64_begin(&none);
            for (unsigned i = 0; i < n % 4; i++) {
                x64_int3(&as);
            }
            far = as.start + 0x800;
            field = kind == 0   ? x64_jmp_abs(&as, far)
                    : kind == 1 ? x64_jcc_abs(&as, CC_NE, far)
                                : x64_call_abs(&as, far);
            assert_int_equal((uintptr_t)field & 3, 0);
            assert_ptr_equal(field + 4, as.p);
            if (patched) {
                x64_patch(field, as.start + 0x40);
            }
            for (unsigned i = 0; i < n % 4; i++) {
                expect_insn("int3", "");
            }
            skip_nops((size_t)(field - as.start) - opcode_bytes);
            expect_insn(names[kind], text(target, "0x%x", patched ? 0x40 : 0x800));
            expect_end();
        }
    }
}

static void alignment(void **state) {
    (void)state;
    for (unsigned n = 1; n <= 64; n *= 2) {
        for (unsigned offset = 0; offset < 64; offset++) {
            x64_begin(&none);
            for (unsigned i = 0; i < offset; i++) {
                x64_int3(&as);
            }
            x64_align(&as, n);
            assert_int_equal(x64_pos(&as), (offset + n - 1) / n * n);
            for (unsigned i = 0; i < offset; i++) {
                expect_insn("int3", "");
            }
            skip_nops(x64_pos(&as));
            expect_end();
        }
    }
}

static void data(void **state) {
    static const uint8_t want[] = {0x12, 0x78, 0x56, 0x34, 0x12, 8, 7, 6, 5, 4, 3, 2, 1};

    (void)state;
    x64_begin(&none);
    x64_db(&as, 0x12);
    x64_dd(&as, 0x12345678);
    x64_dq(&as, 0x0102030405060708);
    assert_int_equal(x64_pos(&as), sizeof(want));
    assert_memory_equal(as.start, want, sizeof(want));
}

/* ---- overflow ---- */

static void overflow_stops_all_writing(void **state) {
    uint8_t buf[128];

    (void)state;
    for (unsigned size = 0; size < 64; size++) {
        struct x64_label l = X64_LABEL;
        struct x64_asm a;
        uint32_t end, pos;

        memset(buf, 0xa5, sizeof(buf));
        x64_init(&a, buf, size, &none);
        while (!a.overflow) {
            x64_jcc(&a, CC_E, &l);
        }
        end = x64_pos(&a);
        assert_true(end <= size);
        x64_db(&a, 1);
        x64_dd(&a, 1);
        x64_dq(&a, 1);
        x64_align(&a, 64);
        x64_ret(&a);
        x64_mov_ri(&a, 0, ~1ull << 40);
        x64_alu_rm_i(&a, ALU_ADD, 4, x64_m(RBX, 128), 1000);
        x64_v3(&a, V_ADDPS, 16, 0, 1, x64_r(2));
        pos = x64_jcc_short(&a, CC_E);
        x64_short_bind(&a, pos);
        assert_null(x64_jmp_abs(&a, buf));
        assert_null(x64_jcc_abs(&a, CC_E, buf));
        assert_null(x64_call_abs(&a, buf));
        x64_bind(&a, &l);
        assert_true(a.overflow);
        assert_int_equal(x64_pos(&a), end);
        for (unsigned i = end; i < sizeof(buf); i++) {
            assert_int_equal(buf[i], 0xa5);
        }
    }
}

static void data_fills_the_buffer_to_the_end(void **state) {
    uint8_t buf[16];
    struct x64_asm a;

    (void)state;
    x64_init(&a, buf, sizeof(buf), &none);
    x64_dq(&a, 1);
    x64_dd(&a, 1);
    x64_dd(&a, 1);
    assert_false(a.overflow);
    x64_db(&a, 1);
    assert_true(a.overflow);
    assert_ptr_equal(a.p, buf + sizeof(buf));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions_decode_as_asked),
        cmocka_unit_test(alu_immediates),
        cmocka_unit_test(test_immediates),
        cmocka_unit_test(narrowed_masks_keep_flags),
        cmocka_unit_test(absolute_addresses_sign_extend),
        cmocka_unit_test(constants_take_the_shortest_move),
        cmocka_unit_test(counts_and_bit_numbers),
        cmocka_unit_test(exchange),
        cmocka_unit_test(one_register_instructions),
        cmocka_unit_test(instructions_without_operands),
        cmocka_unit_test(string_and_lock_prefixes),
        cmocka_unit_test(encodings_are_the_shortest),
        cmocka_unit_test(backward_jumps),
        cmocka_unit_test(forward_jumps_share_a_label),
        cmocka_unit_test(conditions),
        cmocka_unit_test(short_jumps),
        cmocka_unit_test(absolute_jumps_are_aligned_and_patchable),
        cmocka_unit_test(alignment),
        cmocka_unit_test(data),
        cmocka_unit_test(overflow_stops_all_writing),
        cmocka_unit_test(data_fills_the_buffer_to_the_end),
    };

    form_count = memory_forms(forms, true);
    return cmocka_run_group_tests(tests, x64_decode_setup, x64_decode_teardown);
}
