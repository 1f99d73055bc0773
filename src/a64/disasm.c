/*
 * disasm.c - an instruction's text, as GNU objdump prints it without symbols and without its
 * comments.
 *
 * The layout of every instruction is data: formats.def, compiled by tools/gen_a64.py into texts in
 * which the byte 1 and a number stand for an operand. Here is only how each kind of operand is
 * printed. Operands are at fixed places in the word (Rd is always bits 4-0), so an operand needs no
 * more than the word, its row and the address.
 */
#include "a64/a64.h"

struct text {
    char *dst;
    size_t size, length; /* length counts what did not fit, too */
    uint32_t w;
    guest_addr pc;
};

struct alias {
    uint16_t op, where;
    uint16_t name, text; /* offsets in strings */
};

/* One halfword at most is not zero: MOVZ makes it. */
static bool is_one_halfword(uint64_t value) {
    for (unsigned shift = 0; shift < 64; shift += 16)
        if (!(value & ~(0xffffull << shift)))
            return true;
    return false;
}

/* MOVZ or MOVN could make this logical immediate, so ORR's alias MOV is not for it. */
static bool move_wide_preferred(unsigned sf, unsigned N, unsigned imms, unsigned immr) {
    uint64_t mask = 0;
    a64_logical_immediate(N, imms, immr, sf, &mask);
    return is_one_halfword(mask) || is_one_halfword(sf ? ~mask : (uint32_t)~mask);
}

#include "a64_text.inc"

/* ---- writing ---- */

static void put(struct text *t, char c) {
    if (t->length + 1 < t->size)
        t->dst[t->length] = c;
    t->length++;
}

static void puts_text(struct text *t, const char *s) {
    while (*s)
        put(t, *s++);
}

static void put_number(struct text *t, uint64_t v, unsigned base, unsigned digits) {
    char buffer[20];
    unsigned n = 0;
    do {
        buffer[n++] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v || n < digits);
    while (n)
        put(t, buffer[--n]);
}

static void put_dec(struct text *t, int64_t v) {
    if (v < 0)
        put(t, '-');
    put_number(t, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, 1);
}

static void put_hex(struct text *t, uint64_t v) {
    puts_text(t, "0x");
    put_number(t, v, 16, 1);
}

/* An encoding that has no name: "#0x", at least two digits. */
static void put_unnamed(struct text *t, unsigned v) {
    puts_text(t, "#0x");
    put_number(t, v, 16, 2);
}

/* One of the words of a list separated by spaces. */
static void put_nth(struct text *t, const char *list, unsigned n) {
    while (n--) {
        while (*list != ' ')
            list++;
        list++;
    }
    while (*list && *list != ' ')
        put(t, *list++);
}

/* ---- registers ---- */

enum r31 { R31_ZR, R31_SP };

static void put_gpr(struct text *t, bool is64, unsigned number, enum r31 r31) {
    if (number == 31) {
        puts_text(t, r31 == R31_SP ? (is64 ? "sp" : "wsp") : (is64 ? "xzr" : "wzr"));
        return;
    }
    put(t, is64 ? 'x' : 'w');
    put_dec(t, number);
}

static void put_vreg(struct text *t, unsigned number, const char *arrangement, unsigned which) {
    put(t, 'v');
    put_dec(t, number & 31);
    put(t, '.');
    put_nth(t, arrangement, which);
}

/* Arrangements by element size and Q. The long ones are of a whole register. */
static const char by_size_Q[] = "8b 16b 4h 8h 2s 4s 1d 2d 1q";
static const char by_long_size[] = "16b 8h 4s 2d 1q";

static void put_list(struct text *t, unsigned first, unsigned count, const char *arrangement,
                     unsigned which) {
    put(t, '{');
    if (count > 2 && (first & 31) + count - 1 < 32) {
        put_vreg(t, first, arrangement, which);
        put(t, '-');
        put_vreg(t, first + count - 1, arrangement, which);
    } else {
        for (unsigned i = 0; i < count; i++) {
            if (i)
                puts_text(t, ", ");
            put_vreg(t, first + i, arrangement, which);
        }
    }
    put(t, '}');
}

/* ---- immediates ---- */

static const char condition_names[] = "eq ne cs cc mi pl vs vc hi ls ge lt gt le al nv";

/* An 8-bit floating-point constant, as printf's %.18e. The values are 16..31 times a power of two
 * from 1/128 to 1. */
static void put_fp_imm8(struct text *t, unsigned imm8) {
    unsigned power = (imm8 & 0x40) ? imm8 >> 4 & 3 : 4 + (imm8 >> 4 & 3); /* of 2, over 1/128 */
    uint64_t over128 = (uint64_t)(16 + (imm8 & 15)) << power;
    int exponent = over128 >= 1280 ? 1 : over128 >= 128 ? 0 : -1;
    static const uint64_t scale[] = {10000000000000000000ull, 1000000000000000000,
                                     100000000000000000};
    /* 128 divides every scale, and the product stays below 2^64 */
    uint64_t digits = scale[exponent + 1] / 128 * over128;
    uint64_t one = scale[1];
    if (imm8 & 0x80)
        put(t, '-');
    put_number(t, digits / one, 10, 1);
    put(t, '.');
    put_number(t, digits % one, 10, 18);
    puts_text(t, exponent < 0 ? "e-01" : exponent ? "e+01" : "e+00");
}

/* ", #value" unless it is zero. */
static void put_offset(struct text *t, int64_t offset) {
    if (offset) {
        puts_text(t, ", #");
        put_dec(t, offset);
    }
}

/* "#value" unless it is what is meant without. */
static void put_unless(struct text *t, unsigned value, unsigned implied) {
    if (value != implied) {
        put(t, '#');
        put_hex(t, value);
    }
}

/* immhi:immlo of ADR and ADRP. */
static uint64_t adr_offset(uint32_t w) {
    return (uint64_t)sbits(w, 5, 19) << 2 | bits(w, 29, 2);
}

static uint64_t bitmask(uint32_t w) {
    uint64_t mask = 0;
    a64_logical_immediate(bits(w, 22, 1), bits(w, 10, 6), bits(w, 16, 6), a64_sf(w), &mask);
    return mask;
}

/* imm16 where MOVZ and MOVN put it. */
static uint64_t wide_immediate(uint32_t w) {
    return (uint64_t)bits(w, 5, 16) << bits(w, 21, 2) * 16;
}

static void put_shift(struct text *t, unsigned kind, unsigned amount) {
    if (kind == 0 && amount == 0)
        return;
    puts_text(t, ", ");
    put_nth(t, "lsl lsr asr ror", kind);
    puts_text(t, " #");
    put_dec(t, amount);
}

/* The extended register of ADD and SUB; the option that extends nothing is LSL beside SP. */
static void put_rm_extend(struct text *t) {
    uint32_t w = t->w;
    unsigned option = bits(w, 13, 3), amount = bits(w, 10, 3);
    bool sets_flags = bits(w, 29, 1);
    bool beside_sp = a64_Rn(w) == 31 || (a64_Rd(w) == 31 && !sets_flags);
    put_gpr(t, a64_sf(w) && (option & 3) == 3, a64_Rm(w), R31_ZR);
    if (beside_sp && option == (a64_sf(w) ? 3 : 2)) {
        put_shift(t, 0, amount);
        return;
    }
    puts_text(t, ", ");
    put_nth(t, "uxtb uxth uxtw uxtx sxtb sxth sxtw sxtx", option);
    if (amount) {
        puts_text(t, " #");
        put_dec(t, amount);
    }
}

/* log2 of the bytes a SIMD&FP load or store with size and opc moves. */
static unsigned fp_access_log2(uint32_t w) {
    return bits(w, 23, 1) ? 4 : bits(w, 30, 2);
}

static unsigned access_log2(uint32_t w) {
    return bits(w, 26, 1) ? fp_access_log2(w) : bits(w, 30, 2);
}

static void put_index(struct text *t) {
    uint32_t w = t->w;
    unsigned option = bits(w, 13, 3), shifted = bits(w, 12, 1), amount = access_log2(w);
    put_gpr(t, option & 1, a64_Rm(w), R31_ZR);
    if (option == 3 && !shifted)
        return;
    puts_text(t, ", ");
    put_nth(t, "- - uxtw lsl - - sxtw sxtx", option);
    if (shifted) {
        puts_text(t, " #");
        put_dec(t, amount);
    }
}

static int64_t pair_offset(uint32_t w) {
    unsigned log2 = bits(w, 26, 1) ? 2 + bits(w, 30, 2) : bits(w, 31, 1) ? 3 : 2;
    return sbits(w, 15, 7) * (1 << log2);
}

static void put_prfop(struct text *t) {
    unsigned op = a64_Rt(t->w);
    if ((op >> 3) == 3 || (op >> 1 & 3) == 3) {
        put_unnamed(t, op);
        return;
    }
    put_nth(t, "pld pli pst", op >> 3);
    put_nth(t, "l1 l2 l3", op >> 1 & 3);
    puts_text(t, op & 1 ? "strm" : "keep");
}

/* ---- system ---- */

static void put_barrier(struct text *t) {
    static const char domains[] =
        "- oshld oshst osh - nshld nshst nsh - ishld ishst ish - ld st sy";
    unsigned crm = bits(t->w, 8, 4);
    if (crm & 3)
        put_nth(t, domains, crm);
    else
        put_unnamed(t, crm);
}

/* The names of registers a program at EL0 can read, by op0 op1 CRn CRm op2 (bits 20-5 of MRS). */
static const struct {
    uint16_t number;
    const char *name;
} sysregs[] = {
    {0xda10, "nzcv"},
    {0xda20, "fpcr"},
    {0xda21, "fpsr"},
    {0xde82, "tpidr_el0"},
    {0xde83, "tpidrro_el0"},
    {0xd801, "ctr_el0"},
    {0xd807, "dczid_el0"},
    {0xdf00, "cntfrq_el0"},
    {0xdf01, "cntpct_el0"},
    {0xdf02, "cntvct_el0"},
    {0xda15, "dit"},
    {0xda16, "ssbs"},
    {0xd920, "rndr"},
    {0xd921, "rndrrs"},
    {0xc000, "midr_el1"},
    {0xc005, "mpidr_el1"},
    {0xc006, "revidr_el1"},
    {0xc020, "id_aa64pfr0_el1"},
    {0xc021, "id_aa64pfr1_el1"},
    {0xc024, "id_aa64zfr0_el1"},
    {0xc028, "id_aa64dfr0_el1"},
    {0xc030, "id_aa64isar0_el1"},
    {0xc031, "id_aa64isar1_el1"},
    {0xc032, "id_aa64isar2_el1"},
    {0xc038, "id_aa64mmfr0_el1"},
    {0xc039, "id_aa64mmfr1_el1"},
    {0xc03a, "id_aa64mmfr2_el1"},
};

static void put_sysreg(struct text *t) {
    uint32_t w = t->w;
    unsigned number = bits(w, 5, 16);
    for (size_t i = 0; i < ARRAY_SIZE(sysregs); i++) {
        if (sysregs[i].number == number) {
            puts_text(t, sysregs[i].name);
            return;
        }
    }
    put(t, 's');
    put_dec(t, 2 + bits(w, 19, 1));
    put(t, '_');
    put_dec(t, bits(w, 16, 3));
    puts_text(t, "_c");
    put_dec(t, bits(w, 12, 4));
    puts_text(t, "_c");
    put_dec(t, bits(w, 8, 4));
    put(t, '_');
    put_dec(t, bits(w, 5, 3));
}

/* CPYP wtn and so on: what the two reads and writes are, unprivileged (t) and non-temporal (n). */
static const char cpy_options[] = " wt rt t wn wtwn rtwn twn rn wtrn rtrn trn n wtn rtn tn";

/* ---- vectors ---- */

/*
 * The element by which an indexed instruction multiplies: v0-v15 and H:L:M for 16 bits, else v0-v31
 * and H:L or H. The elements of complex numbers are counted in pairs, so they are as of the next
 * larger type.
 */
static void put_element(struct text *t, const char *type, unsigned log2_bytes) {
    uint32_t w = t->w;
    unsigned H = bits(w, 11, 1), L = bits(w, 21, 1), M = bits(w, 20, 1);
    put(t, 'v');
    put_dec(t, log2_bytes == 1 ? bits(w, 16, 4) : bits(w, 16, 5));
    put(t, '.');
    puts_text(t, type);
    put(t, '[');
    put_dec(t, log2_bytes == 1 ? H << 2 | L << 1 | M : log2_bytes == 2 ? H << 1 | L : H);
    put(t, ']');
}

/* imm5 of DUP, INS, UMOV: the lowest set bit is log2 of the element's bytes. */
static unsigned imm5_log2(uint32_t w) {
    return (unsigned)__builtin_ctz(bits(w, 16, 5) | 16);
}

/* immh of a shift: the highest set bit is log2 of the element's bytes. */
static unsigned immh_log2(uint32_t w) {
    return 31 - (unsigned)__builtin_clz(bits(w, 19, 4) | 1);
}

static const char element_letters[] = "b h s d q";

static unsigned abcdefgh(uint32_t w) {
    return bits(w, 16, 3) << 5 | bits(w, 5, 5);
}

static void put_modimm_shift(struct text *t) {
    unsigned cmode = bits(t->w, 12, 4);
    if (cmode >= 14)
        return;
    if (cmode >= 12) {
        puts_text(t, cmode & 1 ? ", msl #16" : ", msl #8");
        return;
    }
    unsigned amount = (cmode < 8 ? cmode >> 1 : cmode >> 1 & 1) * 8;
    if (amount) {
        puts_text(t, ", lsl #");
        put_dec(t, amount);
    }
}

/* cmode of a modified immediate: log2 of the bytes of the element it is for. */
static unsigned cmode_log2(uint32_t w) {
    unsigned cmode = bits(w, 12, 4);
    return cmode < 8 ? 2 : cmode < 12 ? 1 : cmode < 14 ? 2 : 0;
}

/* Index of by_size_Q for LD1-LD4, whose size is elsewhere than that of data processing. */
static unsigned ldst_type(uint32_t w) {
    return bits(w, 10, 2) << 1 | a64_Q(w);
}

/* LD1-LD4 of one lane or replicated: log2 of the element's bytes. */
static unsigned lane_log2(uint32_t w) {
    unsigned opcode = bits(w, 14, 2), size = bits(w, 10, 2);
    return opcode == 3 ? size : opcode == 2 && size == 1 ? 3 : opcode;
}

static unsigned lane_registers(uint32_t w) {
    return (bits(w, 13, 1) << 1 | bits(w, 21, 1)) + 1;
}

/* The lane is in Q:S:size, less the bits the element size takes. */
static void put_lane_list(struct text *t) {
    uint32_t w = t->w;
    put_list(t, a64_Rt(w), lane_registers(w), element_letters, lane_log2(w));
    put(t, '[');
    put_dec(t, (a64_Q(w) << 3 | bits(w, 10, 3)) >> lane_log2(w));
    put(t, ']');
}

static unsigned multi_registers(uint32_t w) {
    switch (bits(w, 12, 4)) {
    case 0:
    case 2:
        return 4;
    case 4:
    case 6:
        return 3;
    case 7:
        return 1;
    default:
        return 2;
    }
}

/* The amount a post-indexed LD1-LD4 adds: a register, or what Rm = 31 means, the bytes moved. */
static void put_post_amount(struct text *t, unsigned bytes) {
    if (a64_Rm(t->w) == 31) {
        put(t, '#');
        put_dec(t, bytes);
    } else {
        put_gpr(t, true, a64_Rm(t->w), R31_ZR);
    }
}

/* ---- one operand ---- */

static void put_operand(struct text *t, enum operand operand) {
    uint32_t w = t->w;
    switch (operand) {
    case OPERAND_none:
        break;
#define OPERAND(name, print) \
    case OPERAND_##name:     \
        print;               \
        break;
#include "a64/operands.def"
#undef OPERAND
    }
}

static void put_text(struct text *t, const char *s, const char *end) {
    while (s < end) {
        if (*s == 1) {
            put_operand(t, (enum operand)(uint8_t)s[1]);
            s += 2;
        } else {
            put(t, *s++);
        }
    }
}

/* The alias to write instead of the row's own form, or NULL. */
static const struct alias *find_alias(enum a64_op op, uint32_t word) {
    size_t low = 0, high = ARRAY_SIZE(aliases);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (aliases[middle].op < op)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < ARRAY_SIZE(aliases) && aliases[low].op == op; low++)
        if (alias_holds(aliases[low].where, word))
            return &aliases[low];
    return NULL;
}

int a64_disassemble(char *dst, size_t size, uint32_t word, guest_addr pc) {
    enum a64_op op = a64_decode(word);
    struct text t = {dst, size, 0, word, pc};
    if (op == A64_UNALLOCATED) {
        puts_text(&t, ".inst\t0x");
        put_number(&t, word, 16, 8);
    } else {
        const struct alias *alias = find_alias(op, word);
        const char *name = alias ? strings + alias->name : a64_rows[op].name;
        const char *text = strings + (alias ? alias->text : row_text[op]);
        const char *bar = text, *end = text + strlen(text);
        /* an operand's number may be the bar's or NUL's code: skip operands whole */
        while (bar < end && *bar != '|')
            bar += *bar == 1 ? 2 : 1;
        for (const char *s = name; *s; s++)
            put(&t, *s == ' ' ? '\t' : *s);
        if (bar < end)
            put_text(&t, text, bar);
        const char *operands = bar < end ? bar + 1 : text;
        if (operands < end) {
            if (*operands != ',')
                put(&t, '\t');
            put_text(&t, operands, end);
        }
    }
    if (size)
        dst[MIN(t.length, size - 1)] = 0;
    return (int)t.length;
}
