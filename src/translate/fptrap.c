/*
 * fptrap.c - completes by the Arm rules a host FP instruction that raised an unmasked exception:
 * invalid, and with FPCR.FZ also others (engine/fpstate.c).
 *
 * The trapped host instruction is decoded, its result computed by softfp lane by lane from its
 * operands, which stand in A64's order, and written to its destination; then the translated code
 * goes on behind it. Where A64's result is not a function of that one instruction (fused
 * multiply-add, whose NaN check traps after the fact; FMULX; FRECPS) the guest instruction is
 * executed as a whole from the guest registers, which are still those before it, and its result put
 * where the host instruction's would be.
 *
 * Known of the lowerings: memory operands are [rbp + d] or [rip + d]; the NaN check compares the
 * result with itself; a MIN or MAX into VT1 has its operands exchanged; a ROUND into VT1 behind a
 * conversion to integer only raises inexact.
 */
#include "translate/fptrap.h"

#include "a64/a64.h"
#include "engine/fpstate.h"
#include "translate/fp_interp.h"

enum { VT0 = 13, VT1 = 14 };
enum { MXCSR_IE = 1, MXCSR_DE = 2, MXCSR_ZE = 4, MXCSR_UE = 16, MXCSR_PE = 32, MXCSR_PM = 0x1000 };
enum { TRAPS_OFTEN = 50 };
enum prefix { PN, P66, PF3, PF2 };

struct fxsave {
    uint8_t header[24];
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[128];
    struct vreg xmm[16];
};

/* ---- the host instruction ---- */

struct host_insn {
    enum prefix prefix;
    unsigned map; /* 1: 0F, 2: 0F38, 3: 0F3A */
    unsigned opcode, w, reg, nds;
    bool vex;
    unsigned rm; /* register, when memory is NULL */
    const void *memory;
    unsigned imm;
    unsigned length;
};

struct reader {
    const uint8_t *p;
    unsigned x, b; /* extension bits of the index and of r/m, base */
};

/* EVEX displacements of 8 bits are in units of the operand's size. */
static unsigned evex_unit(const struct host_insn *h) {
    if (h->prefix == PF3)
        return 4;
    return h->prefix == PF2 ? 8 : 16;
}

static bool decode_modrm(struct reader *r, struct host_insn *h, bool evex, unsigned reg_high,
                         uint64_t rbp, unsigned imm_bytes) {
    unsigned modrm = *r->p++, mod = modrm >> 6, rm = modrm & 7;
    h->reg = (modrm >> 3 & 7) | reg_high;
    if (mod == 3) {
        h->rm = rm | r->b << 3;
        return true;
    }
    int32_t disp = 0;
    if (mod == 1) {
        disp = (int8_t)*r->p++ * (evex ? (int)evex_unit(h) : 1);
    } else {
        memcpy(&disp, r->p, 4);
        r->p += 4;
    }
    if (mod == 0 && rm == 5)
        h->memory = r->p + imm_bytes + disp;
    else if (mod != 0 && rm == 5 && !r->b)
        h->memory = (const void *)(rbp + (uint64_t)(int64_t)disp);
    return h->memory != NULL;
}

static bool has_imm(const struct host_insn *h) {
    return h->map == 3 || (h->map == 1 && h->opcode == 0xc2);
}

static bool decode_host(const uint8_t *code, uint64_t rbp, struct host_insn *h) {
    struct reader r = {code, 0, 0};
    unsigned reg_high = 0;
    bool evex = false;
    *h = (struct host_insn){.map = 1};
    if (*r.p == 0xc5) {
        h->vex = true;
        reg_high = r.p[1] & 0x80 ? 0 : 8;
        h->nds = ~(r.p[1] >> 3) & 15;
        h->prefix = r.p[1] & 3;
        r.p += 2;
    } else if (*r.p == 0xc4 || *r.p == 0x62) {
        evex = *r.p == 0x62;
        h->vex = true;
        reg_high = r.p[1] & 0x80 ? 0 : 8;
        r.b = !(r.p[1] & 0x20);
        h->map = r.p[1] & 3;
        h->w = r.p[2] >> 7;
        h->nds = ~(r.p[2] >> 3) & 15;
        h->prefix = r.p[2] & 3;
        r.p += evex ? 4 : 3;
    } else {
        if (*r.p == 0x66 || *r.p == 0xf2 || *r.p == 0xf3)
            h->prefix = *r.p == 0x66 ? P66 : *r.p == 0xf3 ? PF3 : PF2, r.p++;
        if ((*r.p & 0xf0) == 0x40) {
            h->w = *r.p >> 3 & 1;
            reg_high = *r.p & 4 ? 8 : 0;
            r.b = *r.p & 1;
            r.p++;
        }
        if (*r.p++ != 0x0f)
            return false;
        if (*r.p == 0x38 || *r.p == 0x3a)
            h->map = *r.p++ == 0x38 ? 2 : 3;
    }
    h->opcode = *r.p++;
    if (!decode_modrm(&r, h, evex, reg_high, rbp, has_imm(h)))
        return false;
    if (has_imm(h))
        h->imm = *r.p++;
    if (!h->vex) /* destructive: the destination is the first source */
        h->nds = h->reg;
    h->length = (unsigned)(r.p - code);
    return true;
}

/* ---- lanes ---- */

struct operands {
    struct vreg a, b; /* first and second source; memory read as far as the operation reads */
    enum fp_type t;
    unsigned lanes;
};

static uint64_t lane(const struct vreg *v, enum fp_type t, unsigned i) {
    return t == FP_DOUBLE ? v->d[i] : (uint32_t)(v->d[i / 2] >> i % 2 * 32);
}
static void set_lane(struct vreg *v, enum fp_type t, unsigned i, uint64_t value) {
    if (t == FP_DOUBLE)
        v->d[i] = value;
    else
        v->d[i / 2] = (v->d[i / 2] & ~(0xffffffffull << i % 2 * 32)) | (uint64_t)(uint32_t)value
                                                                           << i % 2 * 32;
}

static void load_operands(const struct host_insn *h, const struct fxsave *f, struct operands *o) {
    bool scalar = h->prefix == PF3 || h->prefix == PF2;
    o->t = h->prefix == P66 || h->prefix == PF2 ? FP_DOUBLE : FP_SINGLE;
    if (h->map == 3) { /* ROUNDPS PD SS SD */
        o->t = h->opcode & 1 ? FP_DOUBLE : FP_SINGLE;
        scalar = h->opcode & 2;
    }
    if (h->map == 1 && (h->opcode == 0x2e || h->opcode == 0x2f))
        scalar = true;
    if (h->map == 1 && h->opcode == 0x5b) { /* CVTTPS2DQ, whose prefix is F3 */
        o->t = FP_SINGLE;
        scalar = false;
    }
    o->lanes = scalar ? 1 : 128 / fp_width(o->t);
    o->a = f->xmm[h->nds];
    o->b = (struct vreg){{0, 0}};
    if (!h->memory)
        o->b = f->xmm[h->rm];
    else
        memcpy(&o->b, h->memory,
               scalar                                 ? fp_width(o->t) / 8
               : h->opcode == 0x5a && h->prefix == PN ? 8
                                                      : 16);
}

/* ---- the operations ---- */

static bool number_wins(enum a64_op op) { /* FMAXNM and FMINNM */
    switch (op) {
    case A64_FMAXNM_scalar:
    case A64_FMINNM_scalar:
    case A64_FMAXNM_vec:
    case A64_FMINNM_vec:
    case A64_FMAXNMP_vec:
    case A64_FMINNMP_vec:
    case A64_FMAXNMP_scalar:
    case A64_FMINNMP_scalar:
    case A64_FMAXNMV:
    case A64_FMINNMV:
        return true;
    default:
        return false;
    }
}

static uint64_t min_max(struct fp_env *env, enum fp_type t, bool maximum, bool number, uint64_t a,
                        uint64_t b) {
    if (number)
        return maximum ? fp_maxnm(env, t, a, b) : fp_minnm(env, t, a, b);
    return maximum ? fp_max(env, t, a, b) : fp_min(env, t, a, b);
}

static uint64_t compare_mask(struct fp_env *env, enum fp_type t, unsigned predicate, uint64_t a,
                             uint64_t b) {
    int order = fp_compare(env, t, a, b, predicate != 0);
    return order == 0 ? (predicate == 1 ? 0 : ~0ull) : order == -1 && predicate ? ~0ull : 0;
}

/* Arithmetic and compare-to-mask: map 0F, one lane. */
static bool arithmetic(const struct host_insn *h, struct fp_env *env, enum a64_op op,
                       enum fp_type t, uint64_t a, uint64_t b, uint64_t *result) {
    switch (h->opcode) {
    case 0x51:
        *result = fp_sqrt(env, t, b);
        return true;
    case 0x58:
        *result = fp_add(env, t, a, b);
        return true;
    case 0x59:
        *result = fp_mul(env, t, a, b);
        return true;
    case 0x5c:
        *result = fp_sub(env, t, a, b);
        return true;
    case 0x5e:
        *result = fp_div(env, t, a, b);
        return true;
    case 0x5d:
    case 0x5f:
        *result = h->reg == VT1 ? min_max(env, t, h->opcode == 0x5f, number_wins(op), b, a)
                                : min_max(env, t, h->opcode == 0x5f, number_wins(op), a, b);
        return true;
    case 0xc2:
        *result = compare_mask(env, t, h->imm, a, b);
        return true;
    default:
        return false;
    }
}

static bool lanes_in_place(const struct host_insn *h, struct fp_env *env, enum a64_op op,
                           const struct operands *o, struct vreg *result) {
    static const enum fp_rounding rounding[4] = {ROUND_TIEEVEN, ROUND_NEGINF, ROUND_POSINF,
                                                 ROUND_ZERO};
    *result = o->a; /* the lanes above a scalar */
    for (unsigned i = 0; i < o->lanes; i++) {
        uint64_t a = lane(&o->a, o->t, i), b = lane(&o->b, o->t, i), r;
        if (h->map == 3) {
            enum fp_rounding mode = h->imm & 4 ? fp_rounding_mode(env) : rounding[h->imm & 3];
            r = fp_round_int(env, o->t, b, mode, !(h->imm & 8));
        } else if (!arithmetic(h, env, op, o->t, a, b, &r)) {
            return false;
        }
        set_lane(result, o->t, i, r);
    }
    return true;
}

static void convert_precision(const struct host_insn *h, struct fp_env *env,
                              const struct operands *o, struct vreg *result) {
    enum fp_type to = o->t == FP_DOUBLE ? FP_SINGLE : FP_DOUBLE;
    bool packed = h->prefix == PN || h->prefix == P66;
    *result = packed ? (struct vreg){{0, 0}} : o->a;
    for (unsigned i = 0; i < (packed ? 2u : 1u); i++)
        set_lane(result, to, i,
                 fp_convert(env, o->t, to, lane(&o->b, o->t, i), fp_rounding_mode(env)));
}

/* VCVTPH2PS (0F38 13) and VCVTPS2PH (0F3A 1D, whose destination is r/m). */
static void convert_half(const struct host_insn *h, struct fxsave *f, struct fp_env *env) {
    struct vreg from = f->xmm[h->map == 2 ? h->rm : h->reg], result = {{0, 0}};
    if (h->memory)
        from.d[0] = *(const uint64_t *)h->memory;
    for (unsigned i = 0; i < 4; i++) {
        if (h->map == 2)
            set_lane(&result, FP_SINGLE, i,
                     fp_convert(env, FP_HALF, FP_SINGLE, from.d[0] >> i * 16 & 0xffff,
                                fp_rounding_mode(env)));
        else
            result.d[0] |= fp_convert(env, FP_SINGLE, FP_HALF, lane(&from, FP_SINGLE, i),
                                      fp_rounding_mode(env))
                           << i * 16;
    }
    f->xmm[h->map == 2 ? h->reg : h->rm] = result;
}

/* CVTTPS2DQ and the AVX-512 ones of the same width. */
static void convert_packed(struct fp_env *env, const struct operands *o, bool is_unsigned,
                           struct vreg *result) {
    for (unsigned i = 0; i < o->lanes; i++)
        set_lane(result, o->t, i,
                 fp_to_fixed(env, o->t, lane(&o->b, o->t, i), 0, fp_width(o->t), is_unsigned,
                             ROUND_ZERO));
}

static void set_compare_flags(struct fp_trap *trap, int order) {
    static const uint8_t flags[] = {
        [0] = 1, [1] = 0x40, [2] = 0, [3] = 0x45}; /* CF; ZF; none; ZF PF CF */
    *trap->eflags = (*trap->eflags & ~0x8d5ull) | flags[order + 1];
}

/* The whole guest instruction: its result, from the state before it. */
static bool execute_whole(struct fp_trap *trap, struct fxsave *f, struct fp_env *env, uint32_t w,
                          struct vreg *result) {
    for (unsigned i = 0; i < 32; i++)
        if (host_v[i] != 0xff)
            trap->cpu->v[i] = f->xmm[host_v[i]];
    return fp_execute(trap->cpu, env, w, result);
}

static bool is_whole(enum a64_op op) {
    switch (op) {
    case A64_FCVTNS_vec:
    case A64_FCVTNU_vec:
    case A64_FCVTMS_vec:
    case A64_FCVTMU_vec:
    case A64_FCVTPS_vec:
    case A64_FCVTPU_vec:
    case A64_FCVTNS_scalar:
    case A64_FCVTNU_scalar:
    case A64_FCVTMS_scalar:
    case A64_FCVTMU_scalar:
    case A64_FCVTPS_scalar:
    case A64_FCVTPU_scalar:
    case A64_FMADD:
    case A64_FMSUB:
    case A64_FNMADD:
    case A64_FNMSUB:
    case A64_FMLA_vec:
    case A64_FMLS_vec:
    case A64_FMLA_elem:
    case A64_FMLS_elem:
    case A64_FMLA_elem_scalar:
    case A64_FMLS_elem_scalar:
    case A64_FMULX_vec:
    case A64_FMULX_scalar:
    case A64_FMULX_elem:
    case A64_FMULX_elem_scalar:
    case A64_FRECPS_vec:
    case A64_FRECPS_scalar:
        return true;
    default:
        return false;
    }
}

/* Instructions lowered to CMPPS and the like; in others that is the NaN check of the result. */
static bool is_compare(enum a64_op op) {
    switch (op) {
    case A64_FCMEQ_vec:
    case A64_FCMEQ_scalar:
    case A64_FCMGE_vec:
    case A64_FCMGE_scalar:
    case A64_FCMGT_vec:
    case A64_FCMGT_scalar:
    case A64_FACGE_vec:
    case A64_FACGE_scalar:
    case A64_FACGT_vec:
    case A64_FACGT_scalar:
    case A64_FCMEQ_zero_vec:
    case A64_FCMEQ_zero_scalar:
    case A64_FCMGE_zero_vec:
    case A64_FCMGE_zero_scalar:
    case A64_FCMGT_zero_vec:
    case A64_FCMGT_zero_scalar:
    case A64_FCMLE_zero_vec:
    case A64_FCMLE_zero_scalar:
    case A64_FCMLT_zero_vec:
    case A64_FCMLT_zero_scalar:
        return true;
    default:
        return false;
    }
}

/* Moves host_pc behind a ROUND into VT1, which would raise inexact for a conversion that was
 * invalid. */
static void skip_inexact(struct fp_trap *trap, uint64_t rbp) {
    struct host_insn next;
    if (decode_host((const uint8_t *)trap->host_pc, rbp, &next) && next.map == 3 &&
        next.opcode >= 0x08 && next.opcode <= 0x0b && next.reg == VT1)
        trap->host_pc += next.length;
}

/*
 * Counts the traps at pc; true when there have been as many as make a new translation worthwhile: a
 * trap takes two microseconds. By hash, whoever comes last has the slot; threads may disturb each
 * other's counts, which does not matter.
 */
static bool count_trap(guest_addr pc) {
    static struct {
        guest_addr pc;
        uint32_t count;
    } sites[256];
    unsigned i = (pc >> 2) & 255;
    if (__atomic_load_n(&sites[i].pc, __ATOMIC_RELAXED) != pc) {
        __atomic_store_n(&sites[i].pc, pc, __ATOMIC_RELAXED);
        __atomic_store_n(&sites[i].count, 0, __ATOMIC_RELAXED);
    }
    if (__atomic_add_fetch(&sites[i].count, 1, __ATOMIC_RELAXED) < TRAPS_OFTEN)
        return false;
    __atomic_store_n(&sites[i].count, 0,
                     __ATOMIC_RELAXED); /* once more, should this one be missed */
    return true;
}

enum kind {
    KIND_NONE,       /* nothing a lowering emits */
    KIND_WHOLE,      /* the guest instruction as a whole */
    KIND_COMPARE,    /* UCOMIS, COMIS */
    KIND_TO_GENERAL, /* CVTT to a general register */
    KIND_TO_LANES,   /* CVTT to lanes of the same width */
    KIND_PRECISION,  /* between single and double */
    KIND_HALF,       /* between single and half */
    KIND_LANES,      /* the same type in and out */
};

static bool is_check(const struct host_insn *h, enum a64_op op) {
    return h->map == 1 && h->opcode == 0xc2 && !is_compare(op);
}

static enum kind kind_of(const struct host_insn *h, const struct operands *o, enum a64_op op) {
    if (is_check(h, op) || (is_whole(op) && h->map != 3))
        return KIND_WHOLE;
    if (h->map == 2)
        return h->opcode == 0x13 ? KIND_HALF : KIND_NONE;
    if (h->map == 3)
        return h->opcode == 0x1d ? KIND_HALF : KIND_LANES;
    switch (h->opcode) {
    case 0x2e:
    case 0x2f:
        return KIND_COMPARE;
    case 0x2c:
        return KIND_TO_GENERAL;
    case 0x78:
        return o->lanes == 1 ? KIND_TO_GENERAL : KIND_TO_LANES;
    case 0x5b:
    case 0x7a:
        return KIND_TO_LANES;
    case 0x5a:
        return KIND_PRECISION;
    default:
        return KIND_LANES;
    }
}

static bool complete(struct fp_trap *trap, const struct host_insn *h, struct operands *o,
                     uint32_t w, struct fp_env *env) {
    struct fxsave *f = trap->fpstate;
    enum a64_op op = a64_decode(w);
    bool is_unsigned = h->opcode == 0x78;
    uint64_t rbp = *trap->reg[5];
    struct vreg result;
    switch (kind_of(h, o, op)) {
    case KIND_NONE:
        return false;
    case KIND_WHOLE:
        if (!execute_whole(trap, f, env, w, &f->xmm[is_check(h, op) ? h->rm : h->reg]))
            return false;
        skip_inexact(trap, rbp);
        return true;
    case KIND_COMPARE: {
        bool quiet = op == A64_FCMP || op == A64_FCMP_zero || op == A64_FCCMP;
        uint64_t a = lane(&f->xmm[h->reg], o->t, 0);
        set_compare_flags(trap, fp_compare(env, o->t, a, lane(&o->b, o->t, 0), !quiet));
        return true;
    }
    case KIND_TO_GENERAL:
        *trap->reg[h->reg] = fp_to_fixed(env, o->t, lane(&o->b, o->t, 0), 0, h->w ? 64 : 32,
                                         is_unsigned, ROUND_ZERO);
        skip_inexact(trap, rbp);
        return true;
    case KIND_TO_LANES:
        convert_packed(env, o, is_unsigned, &f->xmm[h->reg]);
        return true;
    case KIND_PRECISION:
        convert_precision(h, env, o, &f->xmm[h->reg]);
        return true;
    case KIND_HALF:
        convert_half(h, f, env);
        return true;
    case KIND_LANES:
        if (!lanes_in_place(h, env, op, o, &result))
            return false;
        f->xmm[h->reg] = result;
        return true;
    }
    return false;
}

bool fp_trap_handle(struct fp_trap *trap) {
    struct fxsave *f = trap->fpstate;
    uint32_t w = *(const uint32_t *)trap->pc;
    struct fp_env env = {trap->cpu->fpcr, 0, false};
    struct host_insn h;
    struct operands o;
    if (!decode_host((const uint8_t *)trap->host_pc, *trap->reg[5], &h))
        return false;
    load_operands(&h, f, &o);
    trap->host_pc += h.length;
    if (!complete(trap, &h, &o, w, &env))
        return false;
    trap->often = count_trap(trap->pc);
    trap->cpu->fpsr |= env.fpsr;
    /* What traps is counted in cpu->fpsr, and may not be an exception for A64: fpstate.c. */
    f->mxcsr &= ~MXCSR_IE;
    if (env.fpcr & FPCR_FZ)
        f->mxcsr &= ~(MXCSR_DE | MXCSR_ZE | MXCSR_UE | MXCSR_PE);
    if (trap->cpu->fpsr & FPSR_IXC)
        f->mxcsr |= MXCSR_PM;
    return true;
}
