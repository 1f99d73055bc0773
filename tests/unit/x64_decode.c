/*
 * x64_decode.c - see x64_decode.h. capstone prints Intel syntax: "[rax + rcx*4 - 0x10]", numbers
 * below ten in decimal.
 */
#include "x64_decode.h"

#include <capstone/capstone.h>
#include <stdarg.h>
#include <string.h>

struct x64_asm as;
jmp_buf *assert_catch;

static csh decoder;
static uint8_t code[4096];
static size_t decoded; /* bytes of code already compared */

NORETURN void assert_failed(const char *file, int line, const char *expr) {
    if (assert_catch) {
        longjmp(*assert_catch, 1);
    }
    print_error("%s:%d: assertion failed: %s\n", file, line, expr);
    abort();
}

int x64_decode_setup(void **state) {
    (void)state;
    return cs_open(CS_ARCH_X86, CS_MODE_64, &decoder) != CS_ERR_OK;
}

int x64_decode_teardown(void **state) {
    (void)state;
    return cs_close(&decoder) != CS_ERR_OK;
}

void x64_begin(const struct x64_features *feat) {
    x64_init(&as, code, sizeof(code), feat);
    decoded = 0;
}

const char *text(char *dst, const char *format, ...) {
    va_list ap;

    va_start(ap, format);
    vsnprintf(dst, TEXT, format, ap);
    va_end(ap);
    return dst;
}

const char *reg_text(char *dst, unsigned bytes, unsigned n) {
    static const char *const low[4][8] = {
        {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"},
        {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"},
        {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"},
        {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"},
    };
    static const char *const suffix[4] = {"b", "w", "d", ""};
    unsigned log = (unsigned)__builtin_ctz(bytes);

    if (bytes >= 16) {
        return text(dst, "%s%u", bytes == 16 ? "xmm" : "ymm", n);
    }
    return n < 8 ? text(dst, "%s", low[log][n]) : text(dst, "r%u%s", n, suffix[log]);
}

static const char *number(char *dst, uint64_t v) {
    return text(dst, v < 10 ? "%llu" : "0x%llx", (unsigned long long)v);
}

static const char *size_text(unsigned bytes) {
    switch (bytes) {
    case 1:
        return "byte ptr ";
    case 2:
        return "word ptr ";
    case 4:
        return "dword ptr ";
    case 8:
        return "qword ptr ";
    case 16:
        return "xmmword ptr ";
    case 32:
        return "ymmword ptr ";
    default:
        return "";
    }
}

const char *rm_text(char *dst, x64_rm rm, unsigned reg_bytes, unsigned mem_bytes) {
    char base[TEXT], index[TEXT], disp[TEXT];
    int n;

    if (!rm.is_mem) {
        return reg_text(dst, reg_bytes, rm.base);
    }
    n = snprintf(dst, TEXT, "%s[", size_text(mem_bytes));
    if (rm.base == X64_RIP) {
        snprintf(dst + n, TEXT - (size_t)n, "rip to %d]", rm.disp);
        return dst;
    }
    /* The shorter forms the assembler may choose for an index alone. */
    if (rm.base == X64_NOREG && rm.index != X64_NOREG && rm.shift < 2) {
        rm.base = rm.index;
        rm.index = rm.shift ? rm.index : X64_NOREG;
        rm.shift = 0;
    }
    if (rm.base == X64_NOREG && rm.index == X64_NOREG) {
        snprintf(dst + n, TEXT - (size_t)n, "%s]", number(disp, (uint64_t)(int64_t)rm.disp));
        return dst;
    }
    if (rm.base != X64_NOREG) {
        n += snprintf(dst + n, TEXT - (size_t)n, "%s%s", reg_text(base, 8, rm.base),
                      rm.index != X64_NOREG ? " + " : "");
    }
    if (rm.index != X64_NOREG) {
        n += snprintf(dst + n, TEXT - (size_t)n, rm.shift ? "%s*%u" : "%s",
                      reg_text(index, 8, rm.index), 1u << rm.shift);
    }
    if (rm.disp != 0) {
        n += snprintf(dst + n, TEXT - (size_t)n, " %c %s", rm.disp < 0 ? '-' : '+',
                      number(disp, (uint64_t)llabs((long long)rm.disp)));
    }
    snprintf(dst + n, TEXT - (size_t)n, "]");
    return dst;
}

/* "[rip + 0x20]" becomes "[rip to TARGET]", TARGET counting from the start of the code. */
static void resolve_rip(char *operands, size_t end) {
    char *rip = strstr(operands, "[rip");
    char rest[TEXT], *close;
    long long disp = 0;

    if (!rip || !(close = strchr(rip, ']'))) {
        return;
    }
    text(rest, "%s", close);
    if (rip[4] == ' ') {
        disp = strtoll(rip + 7, NULL, 0);
        disp = rip[5] == '-' ? -disp : disp;
    }
    sprintf(rip, "[rip to %lld%s", disp + (long long)end, rest);
}

/* Decodes the next instruction into mnemonic and operands; false if there is none. */
static bool next(char *mnemonic, char *operands) {
    cs_insn *insn;
    size_t n = cs_disasm(decoder, code + decoded, x64_pos(&as) - decoded, decoded, 1, &insn);

    if (n != 1) {
        return false;
    }
    decoded += insn->size;
    text(mnemonic, "%s", insn->mnemonic);
    snprintf(operands, 2 * TEXT, "%s", insn->op_str);
    resolve_rip(operands, decoded);
    cs_free(insn, 1);
    return true;
}

static void fail_insn(size_t start, const char *mnemonic, const char *operands, const char *got) {
    size_t end = MAX(decoded, (size_t)x64_pos(&as));

    for (size_t i = start; i < end; i++) {
        print_error("%02x ", code[i]);
    }
    print_error("\n  want: %s %s\n  got:  %s\n", mnemonic, operands, got);
    fail();
}

void expect_insn(const char *mnemonic, const char *operands) {
    char got_mnemonic[TEXT] = "", got[2 * TEXT] = "", line[4 * TEXT];
    size_t start = decoded;

    if (!next(got_mnemonic, got) || strcmp(mnemonic, got_mnemonic) != 0 ||
        strcmp(operands, got) != 0) {
        snprintf(line, sizeof(line), "%s %s", got_mnemonic, got);
        fail_insn(start, mnemonic, operands, line);
    }
}

void expect_imm(const char *mnemonic, const char *operands, uint64_t imm, unsigned bytes) {
    char got_mnemonic[TEXT] = "", got[2 * TEXT] = "", line[4 * TEXT], want[2 * TEXT];
    uint64_t mask = bytes == 8 ? ~0ull : (1ull << 8 * bytes) - 1, value = ~imm;
    size_t start = decoded;
    bool ok = next(got_mnemonic, got);
    char *comma;

    snprintf(line, sizeof(line), "%s %s", got_mnemonic, got);
    comma = strrchr(got, ',');
    if (comma) {
        char *number_end;

        value = (uint64_t)strtoll(comma + 1, &number_end, 0);
        if (comma[2] != '-') {
            value = strtoull(comma + 1, &number_end, 0);
        }
        ok = ok && *number_end == '\0';
        *comma = '\0';
    }
    if (!ok || !comma || strcmp(mnemonic, got_mnemonic) != 0 || strcmp(operands, got) != 0 ||
        ((value ^ imm) & mask) != 0) {
        snprintf(want, sizeof(want), "%s, 0x%llx", operands, (unsigned long long)imm);
        fail_insn(start, mnemonic, want, line);
    }
}

void expect_end(void) {
    assert_false(as.overflow);
    if (decoded != x64_pos(&as)) {
        fail_insn(decoded, "(no more instructions)", "", "more bytes");
    }
}

void skip_nops(size_t end) {
    char mnemonic[TEXT], operands[2 * TEXT];

    while (decoded < end) {
        assert_true(next(mnemonic, operands));
        assert_string_equal(mnemonic, "nop");
    }
    assert_int_equal(decoded, end);
}

const uint8_t *undecoded(size_t *size) {
    const uint8_t *p = code + decoded;

    *size = x64_pos(&as) - decoded;
    decoded = x64_pos(&as);
    return p;
}

unsigned memory_forms(x64_rm *dst, bool every_pair) {
    static const int32_t disps[] = {0,    1,     8,     -16,        127,        -128,     128,
                                    -129, 0x7f0, 0x800, 0x12345678, -0x7fffff0, INT32_MIN};
    unsigned n = 0;

    for (unsigned base = 0; base < 16; base++) {
        for (unsigned i = 0; i < ARRAY_SIZE(disps); i++) {
            dst[n++] = x64_m(base, disps[i]);
        }
    }
    for (unsigned index = 0; index < 16; index++) {
        for (unsigned base = 0; index != RSP && base < 16; base++) {
            for (unsigned shift = 0; shift < 4; shift++) {
                if (every_pair) {
                    dst[n++] = x64_mx(base, index, shift, 0);
                    dst[n++] = x64_mx(base, index, shift, -8);
                    dst[n++] = x64_mx(base, index, shift, 0x1000);
                } else if (((base ^ index) & 7) == 5 && shift == (index & 3)) {
                    dst[n++] = x64_mx(base, index, shift, (int32_t)(base << shift) * 32);
                }
            }
        }
        for (unsigned shift = 0; index != RSP && shift < 4; shift++) {
            dst[n++] = x64_mx(X64_NOREG, index, shift, 0x40);
        }
    }
    dst[n++] = x64_m(X64_NOREG, 0x12345678);
    dst[n++] = x64_m(X64_RIP, 0);
    dst[n++] = x64_m(X64_RIP, 0x4000);
    dst[n++] = x64_m(X64_RIP, -0x4000);
    assert_true(n <= FORMS);
    return n;
}
