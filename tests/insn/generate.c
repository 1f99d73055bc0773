/*
 * generate.c - cases of one instruction, made from its row.
 *
 * A slot is:   ldr x30, literal      (enter_case came through x30)
 *              the tested words
 *              b exit stub
 *              literal of x30, then random words for literal loads to read
 *
 * Most rows need nothing but random registers. Memory operands get an address in scratch memory,
 * chosen for alignment, page crossings and faults. Branches get a target among a few following
 * instructions.
 */
#include "tester.h"

#define POOL_WORDS 12

void emit(struct builder *b, uint32_t word) {
    if (b->count < ARRAY_SIZE(b->words))
        b->words[b->count++] = word;
}

bool has_register_field(enum a64_op op, unsigned lsb) {
    const char *p = a64_rows[op].pattern + 31 - (lsb + 4);
    if (p[0] == '0' || p[0] == '1')
        return false;
    for (unsigned i = 1; i < 5; i++)
        if (p[i] != p[0])
            return false;
    return lsb + 5 > 31 || p[-1] != p[0];
}

void generator_start_batch(struct generator *g) {
    g->next_slot = CODE_SLOTS_START;
}

bool is_excluded(const struct generator *g, enum a64_op op, uint32_t word) {
    const struct known *k = &g->known[op];
    return is_unpredictable(word) || (k->skip_mask && (word & k->skip_mask) == k->skip_value);
}

bool random_word(struct generator *g, enum a64_op op, uint32_t *word) {
    for (unsigned tries = 0; tries < 200; tries++) {
        *word = a64_random_word(op, &g->rng);
        if (a64_decode(*word) == op && !is_excluded(g, op, *word))
            return true;
    }
    return false;
}

/* Registers that coincide, which random fields seldom do: all fields from two registers and 31. */
static uint32_t alias_registers(struct generator *g, enum a64_op op, uint32_t w) {
    static const uint8_t positions[] = {0, 5, 10, 16};
    const unsigned choice[3] = {rng_below(&g->rng, 32), rng_below(&g->rng, 32), 31};
    uint32_t aliased = w;
    for (unsigned i = 0; i < ARRAY_SIZE(positions); i++)
        if (has_register_field(op, positions[i])) {
            unsigned r = choice[rng_below(&g->rng, 3)];
            aliased = (aliased & ~(31u << positions[i])) | r << positions[i];
        }
    return a64_decode(aliased) == op && !is_excluded(g, op, aliased) ? aliased : w;
}

void finish_case(struct generator *g, struct insn_case *c, const struct builder *b) {
    unsigned literal = (2 + b->count + 1) & ~1u;
    unsigned words = literal + 2 + POOL_WORDS;
    if (g->reuse_slots)
        g->next_slot = CODE_SLOTS_START + rng_below(&g->rng, 16) * 1000 / 8 * 8;
    c->slot_offset = g->next_slot;
    c->slot_words = words;
    c->code_first = 1;
    c->code_count = b->count;
    c->code[0] = 0x58000000 | literal << 5 | 30; /* ldr x30, literal */
    memcpy(c->code + 1, b->words, b->count * 4);
    int64_t exit_distance = -(int64_t)(c->slot_offset + (1 + b->count) * 4) / 4;
    c->code[1 + b->count] = 0x14000000 | (exit_distance & 0x3ffffff);
    if (b->count + 2 < literal)
        c->code[literal - 1] = NOP;
    memcpy(&c->code[literal], &c->before.x[30], 8);
    for (unsigned i = literal + 2; i < words; i++)
        c->code[i] = (uint32_t)value_integer(&g->rng);
    /* Literal loads among the words read the pool, whatever their imm19 was. */
    for (unsigned i = 0; i < b->count; i++) {
        struct access a = analyse_access(b->words[i]);
        if (!a.exists || !a.literal)
            continue;
        unsigned target = literal + 2 + rng_below(&g->rng, POOL_WORDS - 4);
        c->code[1 + i] = (b->words[i] & 0xff00001f) | (target - (1 + i)) << 5;
    }
    g->next_slot = ALIGN_UP(g->next_slot + words * 4, 8) + 8 * rng_below(&g->rng, 2);
}

static uint64_t choose_address(struct generator *g, const struct access *a, bool *wild) {
    uint64_t *rng = &g->rng;
    unsigned kind = rng_below(rng, 100), size = a->bytes;
    uint64_t address;
    *wild = false;
    if (kind < 58 || a->cache_operation) {
        address = SCRATCH_BASE + 64 + rng_below(rng, SCRATCH_RW_BYTES - 256);
        if (chance(rng, 50))
            address &= -(uint64_t)MAX(size, 1u);
    } else if (kind < 83) {
        address = SCRATCH_BASE + PAGE_BYTES * (1 + rng_below(rng, 3)) - rng_below(rng, size + 1);
    } else if (kind < 91) {
        address = SCRATCH_BASE + SCRATCH_RW_BYTES - rng_below(rng, size + 9) + 4;
    } else if (kind < 94) {
        address = SCRATCH_BASE + SCRATCH_IMAGE_BYTES - rng_below(rng, size + 9) + 4;
    } else if (kind < 97 || (a->ordered && !g->misaligned)) {
        address = SCRATCH_BASE - rng_below(rng, size + 9) + 4;
    } else {
        *wild = true;
        address = 0;
    }
    if (a->ordered && !(g->misaligned && chance(rng, 20)))
        address &= -(uint64_t)size;
    return address;
}

/* X<Rs> (and X<Rs+1>) = what compare-and-swap will find at the address. */
static void expect_memory(struct generator *g, struct insn_case *c, const struct access *a,
                          uint64_t address) {
    if (address < SCRATCH_BASE || address + a->bytes > SCRATCH_BASE + SCRATCH_IMAGE_BYTES)
        return;
    const uint8_t *memory = g->scratch + (address - SCRATCH_BASE);
    unsigned each = a->compares_pair ? a->bytes / 2 : a->bytes;
    for (unsigned i = 0; i < a->bytes / each; i++) {
        unsigned r = a->compared + i;
        if (r < 31 && (int)r != a->base)
            memcpy(&c->before.x[r], memory + i * each, each); /* above it, what the register held */
    }
}

/* Sets base and index so that the word's address is a chosen one. */
static void aim_access(struct generator *g, struct insn_case *c, const struct access *a) {
    bool wild;
    uint64_t address = choose_address(g, a, &wild);
    if (a->index >= 0 && a->index < 31 && !wild)
        c->before.x[a->index] = (int64_t)rng_below(&g->rng, 700) - (chance(&g->rng, 50) ? 0 : 350);
    if (wild || a->base == a->index)
        return;
    uint64_t base = address - a->offset;
    if (a->index_added && a->index < 31)
        base -= index_value(a, c->before.x[a->index]);
    if (a->base == 31)
        c->before.sp = base & ~15ull; /* SP alignment is checked */
    else
        c->before.x[a->base] = base;
    if (a->compares && chance(&g->rng, 60))
        expect_memory(g, c, a, address);
    if (a->base != 31 && chance(&g->rng, 5)) /* tagged pointer (TBI) */
        c->before.x[a->base] ^= (uint64_t)(1 + rng_below(&g->rng, 255)) << 56;
}

/* A few simple instructions that show whether they ran. */
static uint32_t marker(struct generator *g) {
    unsigned r = 9 + rng_below(&g->rng, 7);
    return 0x91000000 | (1 + rng_below(&g->rng, 4095)) << 10 | r << 5 | r; /* add xr, xr, #imm */
}

static void generate_branch(struct generator *g, struct insn_case *c, struct builder *b,
                            uint32_t w) {
    enum control control = control_of(w);
    unsigned after = 1 + rng_below(&g->rng, 6);
    unsigned Rn = a64_Rn(w);
    if (control == CONTROL_REG) {
        if (Rn != 31)
            c->before.x[Rn] &=
                ~3ull; /* qemu looks for the page first, the architecture at the alignment */
        if (Rn != 31 && !chance(&g->rng, 6)) /* else: jump to whatever the register holds */
            emit(b, 0x10000000 | (2 + rng_below(&g->rng, after)) << 5 | Rn); /* adr xn, . + n */
        emit(b, w);
    } else if (control == CONTROL_SVC) {
        emit(b, 0xd2800000 | (2000 + rng_below(&g->rng, 9)) << 5 | 8); /* no such system call */
        emit(b, w);
    } else if (control == CONTROL_EXCEPTION) {
        emit(b, w);
    } else {
        emit(b, set_branch(w, 1 + rng_below(&g->rng, after + 1)));
    }
    for (unsigned i = 0; i < after; i++)
        emit(b, marker(g));
}

/* MSR before MRS, so that what is read was written in this case. */
static void generate_system_move(struct generator *g, struct insn_case *c, struct builder *b,
                                 uint32_t w, bool reads) {
    uint32_t write = w & ~(1u << 21);
    enum a64_op write_op = a64_decode(write);
    if (reads && write_op && g->enabled[write_op] && !chance(&g->rng, 20)) {
        unsigned Rt = rng_below(&g->rng, 31);
        c->before.x[Rt] &= system_value_mask(w);
        emit(b, (write & ~31u) | Rt);
    }
    if (!reads && a64_Rt(w) != 31)
        c->before.x[a64_Rt(w)] &= system_value_mask(w);
    emit(b, w);
}

/* A store-exclusive succeeds only after the matching load-exclusive. */
static void emit_load_exclusive_for(struct generator *g, struct builder *b, uint32_t store) {
    uint32_t load = (store | 1u << 22 | 31u << 16);
    unsigned Rs = a64_Rs(store), Rn = a64_Rn(store);
    for (unsigned tries = 0; tries < 50; tries++) {
        load = (load & ~31u) | rng_below(&g->rng, 31);
        if (bits(store, 21, 1))
            load = (load & ~(31u << 10)) | rng_below(&g->rng, 31) << 10;
        unsigned Rt = a64_Rt(load), Rt2 = a64_Rt2(load);
        bool keeps_base = Rt != Rn && (!bits(store, 21, 1) || Rt2 != Rn);
        if (keeps_base && Rt != Rs && !is_unpredictable(load) && a64_decode(load)) {
            emit(b, load);
            return;
        }
    }
}

bool generate_single(struct generator *g, enum a64_op op, struct insn_case *c) {
    uint32_t w;
    if (!random_word(g, op, &w))
        return false;
    if (chance(&g->rng, 25))
        w = alias_registers(g, op, w);
    memset(c, 0, sizeof *c);
    c->row = op;
    fill_state(&c->before, &g->rng, g->fpcr_mask);
    struct builder b = {.count = 0};
    struct access a = analyse_access(w);
    if (a.ordered && a.base == 31 && a.imm_bits &&
        !g->misaligned) { /* SP itself is 16-byte aligned */
        w &= ~(15u << a.imm_lsb);
        a = analyse_access(w);
    }
    bool reads;
    if (control_of(w) != CONTROL_NONE) {
        generate_branch(g, c, &b, w);
    } else if (is_system_move(w, &reads)) {
        generate_system_move(g, c, &b, w, reads);
    } else {
        if (a.exists && !a.literal)
            aim_access(g, c, &a);
        if (a.store_exclusive && !chance(&g->rng, 20))
            emit_load_exclusive_for(g, &b, w);
        emit(&b, w);
    }
    finish_case(g, c, &b);
    return true;
}

void generate_undefined(struct generator *g, struct insn_case *c) {
    uint32_t w;
    do { /* near misses of rows, words of rows that are not enabled, any word */
        unsigned kind = rng_below(&g->rng, 4);
        w = rng_next(&g->rng) >> 32;
        if (kind)
            w = a64_random_word(1 + rng_below(&g->rng, A64_OP_COUNT - 1), &g->rng);
        for (unsigned n = kind == 1 ? 0 : 1 + rng_below(&g->rng, 3); kind && n; n--)
            w ^= 1u << rng_below(&g->rng, 32);
    } while (g->supported[a64_decode(w)]);
    memset(c, 0, sizeof *c);
    fill_state(&c->before, &g->rng, g->fpcr_mask);
    struct builder b = {.count = 0};
    emit(&b, w);
    finish_case(g, c, &b);
    c->code[c->code_first] = w; /* even if it looks like a literal load */
}
