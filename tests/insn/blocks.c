/*
 * blocks.c - cases of many instructions: what goes wrong between instructions (flags, register
 * assignment, write-back, branches, calls, self-made faults).
 *
 * A block is a list of items; an item is one instruction or a sequence that belongs together
 * (LDXR..STXR, MOVZ+MSR FPCR, ADR+BR). Branches go forward to the start of an item, except the back
 * edges of counted loops. So that a block stays meaningful, some registers are protected from being
 * written: the bases of memory operands, an index, the loop counter, X30 inside a call. The others
 * come mostly from a small pool, so that instructions use each other's results.
 */
#include "tester.h"

const char *const theme_names[THEME_COUNT] = {"integer", "flags", "memory", "calls",
                                              "fp",      "simd",  "mixed"};

/* Percentages of the groups in each theme, in the order of enum a64_group. */
static const uint8_t theme_weights[THEME_COUNT][GROUP_CRYPTO + 1] = {
    [THEME_INTEGER] = {30, 30, 12, 1, 24, 3, 0, 0, 0, 0, 0, 0},
    [THEME_FLAGS] = {34, 36, 20, 2, 6, 0, 0, 2, 0, 0, 0, 0},
    [THEME_MEMORY] = {10, 8, 4, 1, 40, 17, 20, 0, 0, 0, 0, 0},
    [THEME_CALLS] = {24, 24, 36, 1, 15, 0, 0, 0, 0, 0, 0, 0},
    [THEME_FP] = {6, 6, 6, 2, 4, 0, 12, 40, 2, 18, 4, 0},
    [THEME_SIMD] = {3, 3, 3, 1, 3, 0, 15, 4, 30, 14, 18, 6},
    [THEME_MIXED] = {12, 12, 8, 2, 12, 4, 10, 10, 10, 8, 8, 4},
};

#define MAX_ITEMS   64
#define BLOCK_WORDS 62

struct item {
    uint8_t first;   /* index of its first word */
    int8_t branch;   /* word index of a branch to be aimed at a later item, or -1 */
    bool is_address; /* that word is an ADR */
    bool barrier;    /* forward branches from before must not pass this item's start */
};

struct block {
    struct generator *g;
    struct builder b;
    struct item items[MAX_ITEMS];
    unsigned item_count;
    uint32_t protected; /* bit r: X<r> (31: SP) is not written */
    unsigned aligned_base, base, index, counter;
    unsigned pool[8], pool_size;
    unsigned nesting;
};

static uint64_t *rng_of(struct block *k) {
    return &k->g->rng;
}

static bool is_protected(const struct block *k, unsigned r) {
    return k->protected >> r & 1;
}

static unsigned pick_register(struct block *k) {
    return chance(rng_of(k), 75) ? k->pool[rng_below(rng_of(k), k->pool_size)]
                                 : rng_below(rng_of(k), 32);
}

static unsigned pick_writable(struct block *k) {
    for (;;) {
        unsigned r = pick_register(k);
        if (r != 31 && !is_protected(k, r))
            return r;
    }
}

static struct item *start_item(struct block *k) {
    struct item *it = &k->items[k->item_count++];
    *it = (struct item){.first = k->b.count, .branch = -1};
    return it;
}

static bool has_room(const struct block *k, unsigned words) {
    return k->b.count + words <= BLOCK_WORDS && k->item_count + 4 < MAX_ITEMS;
}

static uint32_t set_field(uint32_t w, unsigned lsb, unsigned value) {
    return (w & ~(31u << lsb)) | value << lsb;
}

/* Does the word write general register r? Errs towards yes: any transfer field counts. */
static bool may_write(enum a64_op op, uint32_t w, unsigned r) {
    if (r == 31)
        return writes_sp(w);
    if (has_register_field(op, 0) && a64_Rd(w) == r)
        return true;
    if (a64_rows[op].group == GROUP_LDST && has_register_field(op, 10) && a64_Rt2(w) == r)
        return true;
    if (a64_rows[op].group == GROUP_ATOMIC)
        return a64_Rs(w) == r || (a64_Rs(w) | 1) == r || (a64_Rt(w) | 1) == r ||
               (has_register_field(op, 10) && a64_Rt2(w) == r);
    return false;
}

static bool writes_protected(const struct block *k, enum a64_op op, uint32_t w) {
    for (unsigned r = 0; r < 32; r++)
        if (is_protected(k, r) && may_write(op, w, r))
            return true;
    return false;
}

/* Moves the word's address to one of the block's bases, and keeps offsets small. */
static uint32_t rebase(struct block *k, uint32_t w, const struct access *a) {
    unsigned base = a->ordered ? k->aligned_base : k->base;
    w = set_field(w, a->base_lsb, base == 31 && a->base_lsb == 0 ? k->aligned_base & 15 : base);
    if (a->index >= 0)
        w = set_field(w, 16, k->index);
    if (a->imm_bits == 12)
        w &= ~(0xfe0u << 10);
    if (a->ordered && a->imm_bits == 9)
        w &= ~(0x1ffu << 12);
    return w;
}

/* A random word of the row, with registers from the pool, that writes nothing protected. */
static bool block_word(struct block *k, enum a64_op op, uint32_t *word) {
    static const uint8_t positions[] = {0, 5, 10, 16};
    for (unsigned tries = 0; tries < 40; tries++) {
        uint32_t w;
        if (!random_word(k->g, op, &w))
            return false;
        for (unsigned i = 0; i < ARRAY_SIZE(positions); i++)
            if (has_register_field(op, positions[i])) {
                uint32_t patched = set_field(w, positions[i], pick_register(k));
                if (a64_decode(patched) == op)
                    w = patched;
            }
        struct access a = analyse_access(w);
        if (a.exists && !a.literal)
            w = rebase(k, w, &a);
        if (a64_decode(w) != op || is_excluded(k->g, op, w) || writes_protected(k, op, w))
            continue;
        *word = w;
        return true;
    }
    return false;
}

static bool pick_row(struct block *k, enum theme theme, enum a64_op *op) {
    struct generator *g = k->g;
    for (unsigned tries = 0; tries < 50; tries++) {
        unsigned weight = rng_below(rng_of(k), 100), group = 0;
        for (; group < GROUP_CRYPTO && weight >= theme_weights[theme][group]; group++)
            weight -= theme_weights[theme][group];
        unsigned count = 0;
        for (unsigned i = 1; i < A64_OP_COUNT; i++)
            count += g->in_blocks[i] && a64_rows[i].group == group;
        if (!count)
            continue;
        unsigned n = rng_below(rng_of(k), count);
        for (unsigned i = 1; i < A64_OP_COUNT; i++)
            if (g->in_blocks[i] && a64_rows[i].group == group && n-- == 0) {
                *op = i;
                bool flags = a64_rows[i].properties & (A64_READS_NZCV | A64_WRITES_NZCV);
                if (theme == THEME_FLAGS && !flags && chance(rng_of(k), 75))
                    break;
                return true;
            }
    }
    return false;
}

static bool plain_row(struct block *k, enum theme theme, enum a64_op *op, uint32_t *w) {
    for (unsigned tries = 0; tries < 50; tries++) {
        bool reads;
        if (!pick_row(k, theme, op) || !block_word(k, *op, w))
            continue;
        if (control_of(*w) == CONTROL_NONE && !analyse_access(*w).exclusive &&
            (!is_system_move(*w, &reads) || reads))
            return true;
    }
    return false;
}

static void add_exclusive_pair(struct block *k, uint32_t w) {
    if (!has_room(k, 6))
        return;
    start_item(k);
    uint32_t load = w | 1u << 22 | 31u << 16;
    bool pair = bits(w, 21, 1);
    unsigned count = rng_below(rng_of(k), 3);
    for (unsigned tries = 0; tries < 40; tries++) {
        unsigned Rt = pick_writable(k), Rt2 = pick_writable(k), Rs = pick_writable(k);
        load = set_field(load, 0, Rt);
        uint32_t store = (load & ~(1u << 22));
        store = set_field(set_field(store, 16, Rs), 0, pick_register(k));
        if (pair) {
            load = set_field(load, 10, Rt2);
            store = set_field(store, 10, pick_register(k));
        }
        if (chance(rng_of(k), 50))
            store ^= 1u << 15;
        const enum a64_op ops[2] = {a64_decode(load), a64_decode(store)};
        if (!ops[0] || !ops[1] || !k->g->in_blocks[ops[0]] || !k->g->in_blocks[ops[1]] ||
            is_unpredictable(load) || is_unpredictable(store))
            continue;
        emit(&k->b, load);
        for (unsigned i = 0; i < count; i++) {
            enum a64_op op;
            uint32_t middle;
            if (plain_row(k, THEME_INTEGER, &op, &middle) && !analyse_access(middle).exists)
                emit(&k->b, middle);
        }
        emit(&k->b, store);
        return;
    }
    k->item_count--;
}

/* A compare-and-swap, after loading what it will compare with. */
static void add_compare_and_swap(struct block *k, uint32_t w, const struct access *a) {
    unsigned log2 = __builtin_ctz(a->bytes);
    uint32_t load = a->compares_pair
                        ? 0x29400000 | (a->bytes == 16 ? 1u << 31 : 0) | (a->compared + 1) << 10
                        : 0x08dffc00 | log2 << 30; /* LDP, LDAR */
    load |= a64_Rn(w) << 5 | a->compared;
    enum a64_op op = a64_decode(load);
    start_item(k);
    if (op && k->g->in_blocks[op] && !writes_protected(k, op, load) && chance(rng_of(k), 70))
        emit(&k->b, load);
    emit(&k->b, w);
}

/* MSR of a register whose value must be limited gets it by a MOVZ just before. */
static void add_system_write(struct block *k, uint32_t w) {
    uint64_t mask = system_value_mask(w);
    if (!has_room(k, 2))
        return;
    unsigned Rt = pick_writable(k);
    start_item(k);
    if (mask != ~0ull) {
        uint64_t value = rng_next(rng_of(k)) & mask & (mask >> 16 ? k->g->fpcr_mask : mask);
        bool high = value >> 16;
        emit(&k->b, 0xd2800000 | high << 21 | ((value >> (high ? 16 : 0)) & 0xffff) << 5 | Rt);
    }
    emit(&k->b, set_field(w, 0, Rt));
}

static void add_branch(struct block *k, uint32_t w) {
    if (!has_room(k, 2) || (writes_link(w) && is_protected(k, 30)))
        return;
    struct item *it;
    switch (control_of(w)) {
    case CONTROL_REG: {
        unsigned Rn = pick_writable(k);
        it = start_item(k);
        it->is_address = true;
        it->branch = k->b.count;
        emit(&k->b, 0x10000000 | Rn); /* adr xn, item */
        emit(&k->b, set_field(w, 5, Rn));
        return;
    }
    case CONTROL_SVC:
        if (is_protected(k, 8) || is_protected(k, 0) || !chance(rng_of(k), 20))
            return;
        start_item(k);
        emit(&k->b, 0xd2800000 | (2000 + rng_below(rng_of(k), 9)) << 5 | 8);
        emit(&k->b, w);
        return;
    case CONTROL_EXCEPTION:
        if (!chance(rng_of(k), 1))
            return;
        start_item(k);
        emit(&k->b, w);
        return;
    default:
        it = start_item(k);
        it->branch = k->b.count;
        emit(&k->b, w);
    }
}

static void add_items(struct block *k, enum theme theme, unsigned count);

/* mov counter, #n; body; sub counter; cbnz body */
static void add_loop(struct block *k, enum theme theme) {
    if (!has_room(k, 12) || k->nesting)
        return;
    struct item *it = start_item(k);
    it->barrier = true;
    /* Few times mostly; sometimes enough for a site to be translated anew. */
    unsigned times = 1 + rng_below(rng_of(k), chance(rng_of(k), 10) ? 200 : 4);
    emit(&k->b, 0xd2800000 | times << 5 | k->counter);
    unsigned body = k->b.count;
    k->nesting++;
    add_items(k, theme, 1 + rng_below(rng_of(k), 6));
    k->nesting--;
    start_item(k);
    bool with_flags = chance(rng_of(k), 50);
    emit(&k->b, (with_flags ? 0xf1000400 : 0xd1000400) | k->counter << 5 | k->counter);
    int back = (int)body - (int)k->b.count;
    uint32_t branch = with_flags ? 0x54000001 : 0xb5000000 | k->counter;
    emit(&k->b, set_branch(branch, back));
}

/*
 * bl f; b over; f: body; ret; over: - inside a called body with X30 saved on the stack around it;
 * then SP is no base, whose write-back would lose it.
 */
static void add_call(struct block *k, enum theme theme) {
    uint32_t was_protected = k->protected;
    bool nested = k->nesting > 0;
    if (!has_room(k, nested ? 8 : 12) || k->nesting > 1)
        return;
    if (nested && !(is_protected(k, 30) && k->base != 31 && k->g->in_blocks[A64_STP_pre] &&
                    k->g->in_blocks[A64_LDP_post]))
        return;
    start_item(k)->barrier = true;
    if (nested)
        emit(&k->b, 0xa9bf7bfd); /* stp x29, x30, [sp, #-16]! */
    unsigned Rn = pick_writable(k);
    if (chance(rng_of(k), 40)) {
        emit(&k->b, 0x10000000 | 3 << 5 | Rn); /* adr xn, f */
        emit(&k->b, 0xd63f0000 | Rn << 5);     /* blr xn */
    } else {
        emit(&k->b, 0x94000002);
    }
    unsigned over = k->b.count;
    emit(&k->b, 0x14000000);
    k->nesting++;
    k->protected |= 1u << 30 | 1u << 31;
    add_items(k, theme, 1 + rng_below(rng_of(k), 5));
    k->protected = was_protected;
    k->nesting--;
    start_item(k);
    emit(&k->b, 0xd65f03c0); /* ret */
    k->b.words[over] = set_branch(0x14000000, (int)k->b.count - (int)over);
    if (nested) { /* a branch around it would leave X30 pointing back into this item: an endless
                     loop */
        start_item(k)->barrier = true;
        emit(&k->b, 0xa8c17bfd); /* ldp x29, x30, [sp], #16 */
    }
}

static void add_items(struct block *k, enum theme theme, unsigned count) {
    for (unsigned i = 0; i < count && has_room(k, 6); i++) {
        enum a64_op op;
        uint32_t w;
        bool reads;
        if (k->nesting == 0 && chance(rng_of(k), 4)) {
            add_loop(k, theme);
            continue;
        }
        if (chance(rng_of(k), theme == THEME_CALLS ? 15 : 2)) {
            add_call(k, theme);
            continue;
        }
        if (!pick_row(k, theme, &op) || !block_word(k, op, &w))
            continue;
        if (control_of(w) != CONTROL_NONE)
            add_branch(k, w);
        else if (analyse_access(w).exclusive)
            add_exclusive_pair(k, w);
        else if (analyse_access(w).compares) {
            struct access a = analyse_access(w);
            add_compare_and_swap(k, w, &a);
        } else if (is_system_move(w, &reads) && !reads)
            add_system_write(k, w);
        else {
            start_item(k);
            emit(&k->b, w);
        }
    }
}

/* Aims each open branch at the start of a later item, not beyond a loop's or call's head. */
static void resolve_branches(struct block *k) {
    for (unsigned i = 0; i < k->item_count; i++) {
        struct item *it = &k->items[i];
        if (it->branch < 0)
            continue;
        unsigned target = i + 1 + rng_below(rng_of(k), 8);
        for (unsigned j = i + 1; j < k->item_count && j < target; j++)
            if (k->items[j].barrier)
                target = j;
        unsigned word = target < k->item_count ? k->items[target].first : k->b.count;
        int distance = (int)word - it->branch;
        uint32_t *w = &k->b.words[it->branch];
        *w = it->is_address ? *w | (uint32_t)(distance) << 5 : set_branch(*w, distance);
    }
}

static void choose_registers(struct block *k) {
    uint64_t *rng = rng_of(k);
    k->pool_size = 3 + rng_below(rng, 6);
    k->protected = 0;
    unsigned chosen[4];
    for (unsigned i = 0; i < 4; i++) {
        do
            chosen[i] = rng_below(rng, 30);
        while (chosen[i] == 0 || chosen[i] == 8 || is_protected(k, chosen[i]));
        k->protected |= 1u << chosen[i];
    }
    k->aligned_base = chosen[0];
    k->base = chosen[1];
    k->index = chosen[2];
    k->counter = chosen[3];
    if (chance(rng, 30)) { /* SP as a base */
        k->protected &= ~(1u << chosen[1]);
        k->protected |= 1u << 31;
        k->base = 31;
    }
    for (unsigned i = 0; i < k->pool_size; i++)
        do
            k->pool[i] = rng_below(rng, 32);
        while (is_protected(k, k->pool[i]));
    while (k->pool[0] == 31 || is_protected(k, k->pool[0])) /* at least one is writable */
        k->pool[0] = rng_below(rng, 31);
}

static void set_bases(struct block *k, struct insn_state *s) {
    uint64_t *rng = rng_of(k);
    uint64_t middle = SCRATCH_BASE + SCRATCH_RW_BYTES / 4;
    s->x[k->aligned_base] = middle + 16 * rng_below(rng, SCRATCH_RW_BYTES / 32);
    uint64_t base = middle + rng_below(rng, SCRATCH_RW_BYTES / 2);
    if (chance(rng, 10)) /* near the end: faults in the middle of the block */
        base = SCRATCH_BASE + SCRATCH_RW_BYTES + rng_below(rng, PAGE_BYTES);
    if (chance(rng, 50) || k->base == 31)
        base &= ~15ull;
    if (k->base != 31 && chance(rng, 3)) /* tagged pointer (TBI) */
        base ^= (uint64_t)(1 + rng_below(rng, 255)) << 56;
    if (k->base == 31)
        s->sp = base;
    else
        s->x[k->base] = base;
    s->x[k->index] = (int64_t)rng_below(rng, 160) - (chance(rng, 30) ? 80 : 0);
    s->x[k->counter] = 1 + rng_below(rng, 4);
}

bool generate_block(struct generator *g, enum theme theme, struct insn_case *c) {
    struct block k = {.g = g};
    memset(c, 0, sizeof *c);
    fill_state(&c->before, &g->rng, g->fpcr_mask);
    choose_registers(&k);
    set_bases(&k, &c->before);
    unsigned want = 5 + rng_below(&g->rng, chance(&g->rng, 50) ? 15 : 50);
    add_items(&k, theme, want);
    if (!k.b.count)
        return false;
    resolve_branches(&k);
    finish_case(g, c, &k.b);
    return true;
}
