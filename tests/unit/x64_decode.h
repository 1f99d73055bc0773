/*
 * x64_decode.h - for the tests of the assembler: decodes what was emitted with capstone and
 * compares mnemonic and operands with text built from the operands that were asked for.
 *
 * Order of use: x64_begin(features), emit into `as`, one expect_insn() per instruction,
 * expect_end().
 */
#ifndef ELFUSE_TESTS_X64_DECODE_H
#define ELFUSE_TESTS_X64_DECODE_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "x64/asm.h"

#define TEXT 96

extern struct x64_asm as;
/* Set to a jump buffer's address to catch a failed ASSERT of the code under test. */
extern jmp_buf *assert_catch;

int x64_decode_setup(void **state);
int x64_decode_teardown(void **state);

void x64_begin(const struct x64_features *feat);

/* "eax", "xmm3": register n of 1, 2, 4 or 8 bytes; 16 and 32 are XMM and YMM. */
const char *reg_text(char *dst, unsigned bytes, unsigned n);
/* The r/m operand: a register of reg_bytes or memory of mem_bytes (0: no size is printed). */
const char *rm_text(char *dst, x64_rm rm, unsigned reg_bytes, unsigned mem_bytes);
const char *text(char *dst, const char *format, ...) PRINTF_LIKE(2, 3);

/* The next instruction is `mnemonic operands`. */
void expect_insn(const char *mnemonic, const char *operands);
/* The same with an immediate after the operands: its low `bytes` bytes count. */
void expect_imm(const char *mnemonic, const char *operands, uint64_t imm, unsigned bytes);
/* Nothing else was emitted. */
void expect_end(void);
/* What lies between here and `end` is NOPs. */
void skip_nops(size_t end);
/* The bytes not compared yet, which count as compared from now on. */
const uint8_t *undecoded(size_t *size);

/* Memory operands that cover ModRM and SIB: returns how many of the at most FORMS it stored. */
#define FORMS 6000
unsigned memory_forms(x64_rm *dst, bool every_pair);

#endif
