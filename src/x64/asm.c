/*
 * asm.c - general-register instructions, labels and patchable jumps of the x86-64 assembler.
 *
 * Encodings are those of the Intel SDM, volume 2. An instruction with an r/m operand is described
 * by one `op` word: opcode byte, opcode map, mandatory prefix, and which operands are byte
 * registers (SPL, BPL, SIL and DIL need an otherwise empty REX prefix).
 */
#include "x64/asm.h"
#include "x64/encode.h"

/* The op word of put_op(). */
enum {
    MAP_0F = 1 << 8,
    MAP_38 = 2 << 8,
    MAP_3A = 3 << 8,
    MAP_MASK = 3 << 8,
    PRE_F3 = 0xf3 << 16,
    PRE_F2 = 0xf2 << 16,
    BYTE_RM = 1 << 24,  /* the r/m operand is a byte */
    BYTE_REG = 1 << 25, /* the reg operand is a byte */
};

static bool fits8(int64_t v) {
    return v >= -128 && v <= 127;
}

void x64_init(struct x64_asm *a, uint8_t *buf, size_t size, const struct x64_features *feat) {
    *a = (struct x64_asm){.start = buf, .p = buf, .end = buf + size, .feat = *feat};
}

/* ---- raw data ---- */

/* True if n bytes of data fit; else marks the overflow. */
static bool data_room(struct x64_asm *a, size_t n) {
    if (a->overflow || (size_t)(a->end - a->p) < n) {
        a->overflow = true;
        return false;
    }
    return true;
}

void x64_db(struct x64_asm *a, uint8_t v) {
    if (data_room(a, 1)) {
        x64_put8(a, v);
    }
}

void x64_dd(struct x64_asm *a, uint32_t v) {
    if (data_room(a, 4)) {
        x64_put32(a, v);
    }
}

void x64_dq(struct x64_asm *a, uint64_t v) {
    if (data_room(a, 8)) {
        x64_put64(a, v);
    }
}

/* n bytes of NOP, in the forms the SDM recommends (NOP, table 4-12). The room has been checked. */
static void put_nops(struct x64_asm *a, unsigned n) {
    static const uint8_t nops[10][9] = {
        {0},
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };

    while (n > 0) {
        unsigned k = MIN(n, 9u);

        memcpy(a->p, nops[k], k);
        a->p += k;
        n -= k;
    }
}

void x64_align(struct x64_asm *a, unsigned n) {
    unsigned pad = -x64_pos(a) & (n - 1);

    ASSERT(n > 0 && n <= 64 && (n & (n - 1)) == 0);
    if (data_room(a, pad)) {
        put_nops(a, pad);
    }
}

/* ---- one instruction with an r/m operand ---- */

/* Prefixes, opcode, ModRM; the caller has checked the room and puts `tail` bytes of immediate. */
static void put_op(struct x64_asm *a, uint32_t op, unsigned size, unsigned reg, x64_rm rm,
                   unsigned tail) {
    unsigned prefix = op >> 16 & 0xff;
    unsigned rex;

    rm = x64_shortest(rm);
    rex = (size == 8) << 3 | (reg >> 3) << 2 | x64_x(rm) << 1 | x64_b(rm);
    if (((op & BYTE_REG) && reg >= 4) || ((op & BYTE_RM) && !rm.is_mem && rm.base >= 4)) {
        rex |= 0x40;
    }
    if (size == 2) {
        x64_put8(a, 0x66);
    }
    if (prefix) {
        x64_put8(a, prefix);
    }
    if (rex) {
        x64_put8(a, 0x40 | rex);
    }
    if (op & MAP_MASK) {
        x64_put8(a, 0x0f);
        if ((op & MAP_MASK) != MAP_0F) {
            x64_put8(a, (op & MAP_MASK) == MAP_38 ? 0x38 : 0x3a);
        }
    }
    x64_put8(a, op & 0xff);
    x64_put_modrm(a, reg, rm, tail, 0);
}

static void op_rm(struct x64_asm *a, uint32_t op, unsigned size, unsigned reg, x64_rm rm) {
    if (x64_room(a)) {
        put_op(a, op, size, reg, rm, 0);
    }
}

static void op_rm_i8(struct x64_asm *a, uint32_t op, unsigned size, unsigned reg, x64_rm rm,
                     unsigned imm) {
    if (x64_room(a)) {
        put_op(a, op, size, reg, rm, 1);
        x64_put8(a, imm);
    }
}

/* imm8, imm16 or imm32 as the operand size asks. */
static void put_imm(struct x64_asm *a, unsigned size, int32_t imm) {
    if (size == 1) {
        x64_put8(a, (uint8_t)imm);
    } else if (size == 2) {
        x64_put16(a, (uint16_t)imm);
    } else {
        x64_put32(a, (uint32_t)imm);
    }
}

static void op_rm_i(struct x64_asm *a, uint32_t op, unsigned size, unsigned reg, x64_rm rm,
                    int32_t imm) {
    if (x64_room(a)) {
        put_op(a, op, size, reg, rm, MIN(size, 4u));
        put_imm(a, size, imm);
    }
}

/* Most opcodes come in pairs: even for bytes, odd for the other sizes. */
static uint32_t sized(uint32_t op, unsigned size) {
    return size == 1 ? op | BYTE_RM | BYTE_REG : op | 1;
}

/* The same where reg is an opcode extension. */
static uint32_t sized_ext(uint32_t op, unsigned size) {
    return size == 1 ? op | BYTE_RM : op | 1;
}

/* [66] [REX.W] [REX.B] op+r: the short forms with the register in the opcode. */
static void put_op_reg(struct x64_asm *a, unsigned op, unsigned size, unsigned reg) {
    unsigned rex = (size == 8) << 3 | reg >> 3;

    if (size == 2) {
        x64_put8(a, 0x66);
    }
    if (rex || (size == 1 && reg >= 4)) {
        x64_put8(a, 0x40 | rex);
    }
    x64_put8(a, op | (reg & 7));
}

/* Instructions without operands: the low n bytes of code, lowest first. */
static void fixed(struct x64_asm *a, uint32_t code, unsigned n) {
    if (x64_room(a)) {
        for (; n > 0; n--, code >>= 8) {
            x64_put8(a, code & 0xff);
        }
    }
}

/* ---- labels ---- */

void x64_bind(struct x64_asm *a, struct x64_label *l) {
    int32_t here = (int32_t)x64_pos(a);
    int32_t field = l->chain;

    ASSERT(l->at < 0);
    while (field >= 0) {
        int32_t next;
        int32_t rel = here - (field + 4);

        memcpy(&next, a->start + field, 4);
        memcpy(a->start + field, &rel, 4);
        field = next;
    }
    l->at = here;
    l->chain = -1;
}

/* The rel32 field of a use of l; its opcode has been put. */
static void put_rel32(struct x64_asm *a, struct x64_label *l) {
    int32_t field = (int32_t)x64_pos(a);

    if (l->at >= 0) {
        x64_put32(a, (uint32_t)(l->at - (field + 4)));
    } else {
        x64_put32(a, (uint32_t)l->chain);
        l->chain = field;
    }
}

/* True (and emitted) if l is bound near enough for the two-byte form. */
static bool short_backward(struct x64_asm *a, unsigned op, const struct x64_label *l) {
    int32_t rel = l->at - ((int32_t)x64_pos(a) + 2);

    if (l->at < 0 || !fits8(rel)) {
        return false;
    }
    x64_put8(a, op);
    x64_put8(a, (uint8_t)rel);
    return true;
}

void x64_jmp(struct x64_asm *a, struct x64_label *l) {
    if (x64_room(a) && !short_backward(a, 0xeb, l)) {
        x64_put8(a, 0xe9);
        put_rel32(a, l);
    }
}

void x64_jcc(struct x64_asm *a, enum x64_cc cc, struct x64_label *l) {
    if (x64_room(a) && !short_backward(a, 0x70 | cc, l)) {
        x64_put8(a, 0x0f);
        x64_put8(a, 0x80 | cc);
        put_rel32(a, l);
    }
}

void x64_call(struct x64_asm *a, struct x64_label *l) {
    if (x64_room(a)) {
        x64_put8(a, 0xe8);
        put_rel32(a, l);
    }
}

void x64_lea_label(struct x64_asm *a, unsigned reg, struct x64_label *l) {
    if (x64_room(a)) {
        x64_put8(a, 0x48 | (reg >> 3) << 2);
        x64_put8(a, 0x8d);
        x64_put8(a, (reg & 7) << 3 | 5);
        put_rel32(a, l);
    }
}

uint32_t x64_jcc_short(struct x64_asm *a, enum x64_cc cc) {
    fixed(a, 0x70 | cc, 2);
    return x64_pos(a);
}

uint32_t x64_jrcxz_short(struct x64_asm *a) {
    fixed(a, 0xe3, 2);
    return x64_pos(a);
}

uint32_t x64_jmp_short(struct x64_asm *a) {
    fixed(a, 0xeb, 2);
    return x64_pos(a);
}

void x64_short_bind(struct x64_asm *a, uint32_t pos) {
    uint32_t distance = x64_pos(a) - pos;

    /* After an overflow the jump may not have been written. */
    if (!a->overflow) {
        ASSERT(distance <= 127);
        a->start[pos - 1] = (uint8_t)distance;
    }
}

/* ---- jumps to absolute addresses ---- */

void x64_patch(uint8_t *field, const void *target) {
    int64_t rel = (const uint8_t *)target - (field + 4);

    ASSERT(((uintptr_t)field & 3) == 0);
    ASSERT(rel == (int32_t)rel);
    __atomic_store_n((int32_t *)(void *)field, (int32_t)rel, __ATOMIC_RELEASE);
}

/* NOPs so that the rel32 after n opcode bytes is aligned. NULL on overflow, else where it will be.
 */
static uint8_t *align_rel32(struct x64_asm *a, unsigned n) {
    if (!x64_room(a)) {
        return NULL;
    }
    put_nops(a, -((uintptr_t)a->p + n) & 3);
    return a->p + n;
}

static uint8_t *jump_abs(struct x64_asm *a, unsigned first, unsigned second, const void *target) {
    uint8_t *field = align_rel32(a, second ? 2 : 1);

    if (field) {
        x64_put8(a, first);
        if (second) {
            x64_put8(a, second);
        }
        x64_patch(field, target);
        a->p += 4;
    }
    return field;
}

uint8_t *x64_jmp_abs(struct x64_asm *a, const void *target) {
    return jump_abs(a, 0xe9, 0, target);
}

uint8_t *x64_jcc_abs(struct x64_asm *a, enum x64_cc cc, const void *target) {
    return jump_abs(a, 0x0f, 0x80 | cc, target);
}

uint8_t *x64_call_abs(struct x64_asm *a, const void *target) {
    return jump_abs(a, 0xe8, 0, target);
}

/* FF /4 and FF /2 are 64-bit without REX.W. */
void x64_jmp_rm(struct x64_asm *a, x64_rm target) {
    op_rm(a, 0xff, 4, 4, target);
}

void x64_call_rm(struct x64_asm *a, x64_rm target) {
    op_rm(a, 0xff, 4, 2, target);
}

void x64_ret(struct x64_asm *a) {
    fixed(a, 0xc3, 1);
}

/* ---- moves ---- */

void x64_mov_r_rm(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src) {
    if (size == 8 && x64_is_reg(src, dst)) {
        return;
    }
    op_rm(a, sized(0x8a, size), size, dst, src);
}

void x64_mov_rm_r(struct x64_asm *a, unsigned size, x64_rm dst, unsigned src) {
    if (size == 8 && x64_is_reg(dst, src)) {
        return;
    }
    op_rm(a, sized(0x88, size), size, src, dst);
}

void x64_mov_rm_i(struct x64_asm *a, unsigned size, x64_rm dst, int32_t imm) {
    if (dst.is_mem) {
        op_rm_i(a, sized_ext(0xc6, size), size, 0, dst, imm);
    } else if (size == 8) {
        x64_mov_ri(a, dst.base, (uint64_t)(int64_t)imm);
    } else if (x64_room(a)) {
        put_op_reg(a, size == 1 ? 0xb0 : 0xb8, size, dst.base);
        put_imm(a, size, imm);
    }
}

void x64_mov_ri(struct x64_asm *a, unsigned dst, uint64_t imm) {
    if (imm > 0xffffffff && (int64_t)imm == (int32_t)imm) {
        op_rm_i(a, 0xc7, 8, 0, x64_r(dst), (int32_t)imm);
    } else if (x64_room(a)) {
        put_op_reg(a, 0xb8, imm > 0xffffffff ? 8 : 4, dst);
        if (imm > 0xffffffff) {
            x64_put64(a, imm);
        } else {
            x64_put32(a, (uint32_t)imm);
        }
    }
}

void x64_movzx(struct x64_asm *a, unsigned dst, unsigned src_size, x64_rm src) {
    if (src_size >= 4) {
        x64_mov_r_rm(a, src_size, dst, src);
    } else if (src_size == 1) {
        op_rm(a, MAP_0F | 0xb6 | BYTE_RM, 4, dst, src);
    } else {
        op_rm(a, MAP_0F | 0xb7, 4, dst, src);
    }
}

void x64_movsx(struct x64_asm *a, unsigned dst_size, unsigned dst, unsigned src_size, x64_rm src) {
    if (src_size >= dst_size) {
        x64_mov_r_rm(a, dst_size, dst, src);
    } else if (src_size == 4) {
        op_rm(a, 0x63, dst_size, dst, src);
    } else if (src_size == 1) {
        op_rm(a, MAP_0F | 0xbe | BYTE_RM, dst_size, dst, src);
    } else {
        op_rm(a, MAP_0F | 0xbf, dst_size, dst, src);
    }
}

void x64_lea(struct x64_asm *a, unsigned size, unsigned dst, x64_rm mem) {
    ASSERT(mem.is_mem);
    op_rm(a, 0x8d, size, dst, mem);
}

void x64_xchg_rm_r(struct x64_asm *a, unsigned size, x64_rm rm, unsigned reg) {
    /* 90+r with EAX would be NOP, which does not zero-extend. */
    if (!rm.is_mem && size != 1 && rm.base != reg && (rm.base == RAX || reg == RAX)) {
        if (x64_room(a)) {
            put_op_reg(a, 0x90, size, rm.base == RAX ? reg : rm.base);
        }
        return;
    }
    op_rm(a, sized(0x86, size), size, reg, rm);
}

void x64_push(struct x64_asm *a, unsigned reg) {
    if (x64_room(a)) {
        put_op_reg(a, 0x50, 4, reg);
    }
}

void x64_pop(struct x64_asm *a, unsigned reg) {
    if (x64_room(a)) {
        put_op_reg(a, 0x58, 4, reg);
    }
}

void x64_bswap(struct x64_asm *a, unsigned size, unsigned reg) {
    ASSERT(size >= 4);
    if (x64_room(a)) {
        unsigned rex = (size == 8) << 3 | reg >> 3;

        if (rex) {
            x64_put8(a, 0x40 | rex);
        }
        x64_put8(a, 0x0f);
        x64_put8(a, 0xc8 | (reg & 7));
    }
}

void x64_movbe_load(struct x64_asm *a, unsigned size, unsigned dst, x64_rm mem) {
    ASSERT(mem.is_mem && size >= 2);
    op_rm(a, MAP_38 | 0xf0, size, dst, mem);
}

void x64_movbe_store(struct x64_asm *a, unsigned size, x64_rm mem, unsigned src) {
    ASSERT(mem.is_mem && size >= 2);
    op_rm(a, MAP_38 | 0xf1, size, src, mem);
}

void x64_movnti(struct x64_asm *a, unsigned size, x64_rm mem, unsigned src) {
    ASSERT(mem.is_mem && size >= 4);
    op_rm(a, MAP_0F | 0xc3, size, src, mem);
}

/* ---- arithmetic ---- */

void x64_alu_r_rm(struct x64_asm *a, enum x64_alu op, unsigned size, unsigned dst, x64_rm src) {
    op_rm(a, sized(op << 3 | 2, size), size, dst, src);
}

void x64_alu_rm_r(struct x64_asm *a, enum x64_alu op, unsigned size, x64_rm dst, unsigned src) {
    op_rm(a, sized(op << 3, size), size, src, dst);
}

void x64_alu_rm_i(struct x64_asm *a, enum x64_alu op, unsigned size, x64_rm dst, int32_t imm) {
    int32_t value = size == 1 ? (int8_t)imm : size == 2 ? (int16_t)imm : imm;

    /* A mask without bit 31 clears the upper half either way, with the same flags. */
    if (op == ALU_AND && size == 8 && !dst.is_mem && imm >= 0) {
        size = 4;
    }
    if (size > 1 && fits8(value)) {
        op_rm_i8(a, 0x83, size, op, dst, (uint8_t)value);
    } else if (x64_is_reg(dst, RAX)) {
        if (x64_room(a)) {
            put_op_reg(a, size == 1 ? op << 3 | 4 : op << 3 | 5, size, 0);
            put_imm(a, size, imm);
        }
    } else {
        op_rm_i(a, sized_ext(0x80, size), size, op, dst, imm);
    }
}

void x64_test_rm_r(struct x64_asm *a, unsigned size, x64_rm rm, unsigned reg) {
    op_rm(a, sized(0x84, size), size, reg, rm);
}

void x64_test_rm_i(struct x64_asm *a, unsigned size, x64_rm rm, int32_t imm) {
    /* With a clear sign bit the flags do not depend on the bytes above the mask. */
    if (!rm.is_mem && imm >= 0) {
        if (size > 1 && imm <= 0x7f) {
            size = 1;
        } else if (size == 8) {
            size = 4;
        }
    }
    if (x64_is_reg(rm, RAX)) {
        if (x64_room(a)) {
            put_op_reg(a, size == 1 ? 0xa8 : 0xa9, size, 0);
            put_imm(a, size, imm);
        }
        return;
    }
    op_rm_i(a, sized_ext(0xf6, size), size, 0, rm, imm);
}

void x64_unary(struct x64_asm *a, enum x64_unary op, unsigned size, x64_rm rm) {
    op_rm(a, sized_ext(0xf6, size), size, op, rm);
}

void x64_inc(struct x64_asm *a, unsigned size, x64_rm rm) {
    op_rm(a, sized_ext(0xfe, size), size, 0, rm);
}

void x64_dec(struct x64_asm *a, unsigned size, x64_rm rm) {
    op_rm(a, sized_ext(0xfe, size), size, 1, rm);
}

void x64_imul_r_rm(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src) {
    ASSERT(size >= 2);
    op_rm(a, MAP_0F | 0xaf, size, dst, src);
}

void x64_imul_r_rm_i(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src, int32_t imm) {
    int32_t value = size == 2 ? (int16_t)imm : imm;

    ASSERT(size >= 2);
    if (fits8(value)) {
        op_rm_i8(a, 0x6b, size, dst, src, (uint8_t)value);
    } else {
        op_rm_i(a, 0x69, size, dst, src, imm);
    }
}

void x64_cdq(struct x64_asm *a, unsigned size) {
    if (x64_room(a)) {
        put_op_reg(a, 0x99, size, 1); /* 98+1 */
    }
}

void x64_shift_i(struct x64_asm *a, enum x64_shift op, unsigned size, x64_rm rm, unsigned count) {
    if (count == 1) {
        op_rm(a, sized_ext(0xd0, size), size, op, rm);
    } else {
        op_rm_i8(a, sized_ext(0xc0, size), size, op, rm, count);
    }
}

void x64_shift_cl(struct x64_asm *a, enum x64_shift op, unsigned size, x64_rm rm) {
    op_rm(a, sized_ext(0xd2, size), size, op, rm);
}

void x64_shrd_i(struct x64_asm *a, unsigned size, x64_rm dst, unsigned src, unsigned count) {
    op_rm_i8(a, MAP_0F | 0xac, size, src, dst, count);
}

void x64_shld_i(struct x64_asm *a, unsigned size, x64_rm dst, unsigned src, unsigned count) {
    op_rm_i8(a, MAP_0F | 0xa4, size, src, dst, count);
}

void x64_bt_i(struct x64_asm *a, enum x64_bt op, unsigned size, x64_rm rm, unsigned bit) {
    op_rm_i8(a, MAP_0F | 0xba, size, op, rm, bit);
}

void x64_bt_r(struct x64_asm *a, enum x64_bt op, unsigned size, x64_rm rm, unsigned reg) {
    op_rm(a, MAP_0F | 0x83 | op << 3, size, reg, rm);
}

void x64_setcc(struct x64_asm *a, enum x64_cc cc, x64_rm rm8) {
    op_rm(a, MAP_0F | 0x90 | cc | BYTE_RM, 1, 0, rm8);
}

void x64_cmov(struct x64_asm *a, enum x64_cc cc, unsigned size, unsigned dst, x64_rm src) {
    ASSERT(size >= 2);
    op_rm(a, MAP_0F | 0x40 | cc, size, dst, src);
}

/* ---- BMI1, BMI2, bit counts, CRC ---- */

/* VEX.LZ.pp.0F38.W op /r */
static void vex_op(struct x64_asm *a, unsigned pp, unsigned op, unsigned size, unsigned reg,
                   unsigned nds, x64_rm rm) {
    if (x64_room(a)) {
        rm = x64_shortest(rm);
        x64_put_vex(a, 2, pp, size == 8, 0, reg, nds, rm);
        x64_put8(a, op);
        x64_put_modrm(a, reg, rm, 0, 0);
    }
}

void x64_shlx(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src, unsigned count) {
    vex_op(a, 1, 0xf7, size, dst, count, src);
}

void x64_shrx(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src, unsigned count) {
    vex_op(a, 3, 0xf7, size, dst, count, src);
}

void x64_sarx(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src, unsigned count) {
    vex_op(a, 2, 0xf7, size, dst, count, src);
}

void x64_rorx(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src, unsigned count) {
    if (x64_room(a)) {
        src = x64_shortest(src);
        x64_put_vex(a, 3, 3, size == 8, 0, dst, 0, src);
        x64_put8(a, 0xf0);
        x64_put_modrm(a, dst, src, 1, 0);
        x64_put8(a, count);
    }
}

void x64_mulx(struct x64_asm *a, unsigned size, unsigned hi, unsigned lo, x64_rm src) {
    vex_op(a, 3, 0xf6, size, hi, lo, src);
}

void x64_andn(struct x64_asm *a, unsigned size, unsigned dst, unsigned inverted, x64_rm src) {
    vex_op(a, 0, 0xf2, size, dst, inverted, src);
}

void x64_lzcnt(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src) {
    op_rm(a, PRE_F3 | MAP_0F | 0xbd, size, dst, src);
}

void x64_tzcnt(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src) {
    op_rm(a, PRE_F3 | MAP_0F | 0xbc, size, dst, src);
}

void x64_popcnt(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src) {
    op_rm(a, PRE_F3 | MAP_0F | 0xb8, size, dst, src);
}

void x64_bsr(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src) {
    op_rm(a, MAP_0F | 0xbd, size, dst, src);
}

void x64_bsf(struct x64_asm *a, unsigned size, unsigned dst, x64_rm src) {
    op_rm(a, MAP_0F | 0xbc, size, dst, src);
}

void x64_crc32(struct x64_asm *a, unsigned src_size, unsigned dst, x64_rm src) {
    uint32_t op = src_size == 1 ? 0xf0 | BYTE_RM : 0xf1;

    op_rm(a, PRE_F2 | MAP_38 | op, src_size, dst, src);
}

void x64_rdtsc(struct x64_asm *a) {
    fixed(a, 0x310f, 2);
}

/* ---- flags ---- */

void x64_lahf(struct x64_asm *a) {
    fixed(a, 0x9f, 1);
}

void x64_sahf(struct x64_asm *a) {
    fixed(a, 0x9e, 1);
}

void x64_cmc(struct x64_asm *a) {
    fixed(a, 0xf5, 1);
}

void x64_stc(struct x64_asm *a) {
    fixed(a, 0xf9, 1);
}

void x64_clc(struct x64_asm *a) {
    fixed(a, 0xf8, 1);
}

void x64_pushf(struct x64_asm *a) {
    fixed(a, 0x9c, 1);
}

void x64_popf(struct x64_asm *a) {
    fixed(a, 0x9d, 1);
}

/* ---- atomics and ordering ---- */

void x64_lock(struct x64_asm *a) {
    fixed(a, 0xf0, 1);
}

void x64_cmpxchg(struct x64_asm *a, unsigned size, x64_rm mem, unsigned reg) {
    op_rm(a, sized(MAP_0F | 0xb0, size), size, reg, mem);
}

void x64_cmpxchg16b(struct x64_asm *a, x64_rm mem) {
    ASSERT(mem.is_mem);
    op_rm(a, MAP_0F | 0xc7, 8, 1, mem);
}

void x64_xadd(struct x64_asm *a, unsigned size, x64_rm mem, unsigned reg) {
    op_rm(a, sized(MAP_0F | 0xc0, size), size, reg, mem);
}

void x64_mfence(struct x64_asm *a) {
    fixed(a, 0xf0ae0f, 3);
}

void x64_pause(struct x64_asm *a) {
    fixed(a, 0x90f3, 2);
}

void x64_prefetch(struct x64_asm *a, unsigned hint, x64_rm mem) {
    ASSERT(mem.is_mem && hint <= 4);
    if (hint == 4) {
        op_rm(a, MAP_0F | 0x0d, 4, 1, mem);
    } else {
        op_rm(a, MAP_0F | 0x18, 4, hint, mem);
    }
}

/* ---- traps ---- */

void x64_ud2(struct x64_asm *a) {
    fixed(a, 0x0b0f, 2);
}

void x64_int3(struct x64_asm *a) {
    fixed(a, 0xcc, 1);
}

/* ---- string ---- */

/* F3 [66] [REX.W] op */
static void rep_string(struct x64_asm *a, unsigned op, unsigned size) {
    if (x64_room(a)) {
        x64_put8(a, 0xf3);
        if (size == 2) {
            x64_put8(a, 0x66);
        } else if (size == 8) {
            x64_put8(a, 0x48);
        }
        x64_put8(a, size == 1 ? op : op | 1);
    }
}

void x64_rep_movs(struct x64_asm *a, unsigned size) {
    rep_string(a, 0xa4, size);
}

void x64_rep_stos(struct x64_asm *a, unsigned size) {
    rep_string(a, 0xaa, size);
}

/* ---- MXCSR ---- */

void x64_ldmxcsr(struct x64_asm *a, x64_rm mem) {
    ASSERT(mem.is_mem);
    op_rm(a, MAP_0F | 0xae, 4, 2, mem);
}

void x64_stmxcsr(struct x64_asm *a, x64_rm mem) {
    ASSERT(mem.is_mem);
    op_rm(a, MAP_0F | 0xae, 4, 3, mem);
}
