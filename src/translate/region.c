/*
 * region.c - finds a region, analyses it, and drives the lowerings over it. region.h states the
 * rules.
 *
 * Order of work: region_discover (depth first from the entry, following direct branches inside a
 * window), then the array in address order, edges and leaders, NZCV liveness, lowering of each
 * instruction, cold code.
 */
#include "translate/region.h"

/* ---- reading guest code ---- */

static void note_page(struct region_builder *b, guest_addr pc) {
    guest_addr page = ALIGN_DOWN(pc, PAGE_BYTES);
    for (unsigned i = b->page_count; i-- > 0;)
        if (b->pages[i] == page)
            return;
    if (b->page_count < REGION_MAX_PAGES)
        b->pages[b->page_count++] = page;
}

/* True when pc's page is, or may still become, one of the pages the region depends on. */
static bool page_fits(const struct region_builder *b, guest_addr pc) {
    guest_addr page = ALIGN_DOWN(pc, PAGE_BYTES);
    if (b->page_count < REGION_MAX_PAGES)
        return true;
    for (unsigned i = 0; i < b->page_count; i++)
        if (b->pages[i] == page)
            return true;
    return false;
}

bool region_fetch(struct region_builder *b, guest_addr pc, uint32_t *word) {
    guest_addr start = ALIGN_DOWN(pc, sizeof(b->chunk));
    if (start != b->chunk_start) {
        b->chunk_start = start;
        b->chunk_valid = b->executable(pc) && b->read_code(b->chunk, start, sizeof(b->chunk));
    }
    if (!b->chunk_valid || (pc & 3) || !page_fits(b, pc))
        return false;
    *word = b->chunk[(pc - start) / 4];
    return true;
}

/* ---- discovery ---- */

bool branch_target(enum a64_op op, uint32_t w, guest_addr pc, guest_addr *target) {
    switch (op) {
    case A64_B:
    case A64_BL:
        *target = pc + (uint64_t)(sbits(w, 0, 26) * 4);
        return true;
    case A64_B_cond:
    case A64_CBZ:
    case A64_CBNZ:
        *target = pc + (uint64_t)(sbits(w, 5, 19) * 4);
        return true;
    case A64_TBZ:
    case A64_TBNZ:
        *target = pc + (uint64_t)(sbits(w, 5, 14) * 4);
        return true;
    default:
        return false;
    }
}

bool branch_falls_through(enum a64_op op) {
    switch (op) {
    case A64_B_cond:
    case A64_CBZ:
    case A64_CBNZ:
    case A64_TBZ:
    case A64_TBNZ:
    case A64_BL:
    case A64_BLR:
    case A64_SVC:
    case A64_HLT: /* in the vDSO; elsewhere what follows is never reached */
        return true;
    default:
        return lower_table[op] && !(a64_rows[op].properties & A64_ENDS_BLOCK);
    }
}

static uint32_t *window_slot(struct region_builder *b, guest_addr pc) {
    uint64_t slot = (pc - b->window_start) / 4;
    return slot < REGION_WINDOW ? &b->window[slot] : NULL;
}

static bool visited(const struct region_builder *b, const uint32_t *slot) {
    return slot && (*slot >> 16) == b->stamp;
}

static int index_of(struct region_builder *b, guest_addr pc) {
    uint32_t *slot = window_slot(b, pc);
    return visited(b, slot) ? (int)(*slot & 0xffff) : -1;
}

static void new_stamp(struct region_builder *b) {
    if (++b->stamp > 0xffff) {
        memset(b->window, 0, sizeof(b->window));
        b->stamp = 1;
    }
}

void region_discover(struct region_builder *b, guest_addr entry) {
    new_stamp(b);
    b->entry = entry;
    b->window_start = entry - REGION_WINDOW; /* a quarter of it lies before the entry */
    b->page_count = 0;
    b->chunk_start = 1;
    b->work_count = 1;
    b->work[0] = entry;
    unsigned n = 0, limit = MIN(b->limit, REGION_MAX_INSNS);
    guest_addr lo = entry, hi = entry;
    while (b->work_count > 0) {
        guest_addr pc = b->work[--b->work_count];
        for (;; pc += 4) {
            uint32_t *slot = window_slot(b, pc);
            uint32_t word;
            if (!slot || visited(b, slot) || n == limit || !region_fetch(b, pc, &word))
                break;
            note_page(b, pc);
            enum a64_op op = a64_decode(word);
            *slot = b->stamp << 16 | n;
            b->found[n].word = word;
            b->found[n].op = (uint16_t)op;
            n++;
            lo = MIN(lo, pc);
            hi = MAX(hi, pc);
            guest_addr target;
            if (op != A64_BL && branch_target(op, word, pc, &target) && window_slot(b, target) &&
                b->work_count < ARRAY_SIZE(b->work))
                b->work[b->work_count++] = target;
            if (!branch_falls_through(op))
                break;
        }
    }
    b->count = n;
    b->lo = lo;
    b->hi = n ? hi + 4 : hi;

    /* Address order, from the entry on, then what lies before it. */
    unsigned i = 0;
    for (int part = 0; part < 2; part++) {
        guest_addr from = part == 0 ? entry : lo, to = part == 0 ? b->hi : entry;
        for (guest_addr pc = from; pc < to; pc += 4) {
            uint32_t *slot = window_slot(b, pc);
            if (!visited(b, slot))
                continue;
            const struct found *f = &b->found[*slot & 0xffff];
            struct insn *in = &b->insns[i];
            *in = (struct insn){.pc = pc, .word = f->word, .op = f->op, .target = -1, .next = -1};
            in->label = X64_LABEL;
            *slot = b->stamp << 16 | i++;
        }
    }
}

static void add_edge(struct region_builder *b, int to, unsigned weight) {
    struct insn *in = &b->insns[to];
    in->predecessors = (uint8_t)MIN(in->predecessors + weight, 250u);
}

static void find_edges(struct region_builder *b) {
    b->insns[0].leader = true;
    add_edge(b, 0, 2);
    for (unsigned i = 0; i < b->count; i++) {
        struct insn *in = &b->insns[i];
        guest_addr target;
        if (in->op != A64_BL && branch_target(in->op, in->word, in->pc, &target)) {
            in->target = (int16_t)index_of(b, target);
            if (in->target >= 0) {
                b->insns[in->target].leader = true;
                if (target <= in->pc)
                    b->insns[in->target].loop_head = true;
                add_edge(b, in->target, 1);
            }
        }
        if (branch_falls_through(in->op)) {
            in->next = (int16_t)index_of(b, in->pc + 4);
            if (in->next >= 0) {
                bool call = in->op == A64_BL || in->op == A64_BLR;
                add_edge(b, in->next, call ? 2 : 1);
                if (call || in->next != (int)i + 1)
                    b->insns[in->next].leader = true;
            }
        }
        if (in->op == A64_IC_IVAU || in->op == A64_ISB)
            continue;
        if (b->masks_tags && (a64_rows[in->op].properties & (A64_LOADS | A64_STORES)))
            in->mask_tags = b->masks_tags(in->pc);
    }
    /* A conditional compare may go to where the B.cond behind it falls through
     * (fuse_with_branch). */
    for (unsigned i = 0; i + 2 < b->count; i++) {
        const struct insn *compare = &b->insns[i], *branch = &b->insns[i + 1];
        unsigned flags = A64_READS_NZCV | A64_WRITES_NZCV;
        if ((a64_rows[compare->op].properties & flags) == flags && branch->op == A64_B_cond &&
            branch->next == (int)i + 2)
            b->insns[i + 2].leader = true;
    }
}

/* ---- NZCV liveness ---- */

/* Must NZCV be exact at this instruction because a fault of it would show it to a handler? */
static bool fault_shows_flags(const struct region_builder *b, enum a64_op op) {
    return b->precise_flags &&
           (op == A64_HLT || (a64_rows[op].properties & (A64_LOADS | A64_STORES)));
}

/* May NZCV be read before it is written, from pc on? Looks at `*budget` instructions at most; then:
 * perhaps. */
static bool reads_flags_from(struct region_builder *b, guest_addr pc, int *budget) {
    uint32_t word;
    while (--*budget >= 0 && region_fetch(b, pc, &word)) {
        note_page(b, pc);
        enum a64_op op = a64_decode(word);
        unsigned properties = a64_rows[op].properties;
        guest_addr target;
        if ((properties & A64_READS_NZCV) || fault_shows_flags(b, op))
            return true;
        if (properties & A64_WRITES_NZCV)
            return false;
        if (branch_target(op, word, pc, &target)) {
            if (op == A64_B || op == A64_BL) {
                pc = target;
                continue;
            }
            if (reads_flags_from(b, target, budget))
                return true;
        } else if ((properties & A64_ENDS_BLOCK) || !lower_table[op]) {
            return true;
        }
        pc += 4;
    }
    return true;
}

static bool leaving_reads_flags(struct region_builder *b, guest_addr pc) {
    int budget = 12;
    return reads_flags_from(b, pc, &budget);
}

/* May an instruction of the region read NZCV as it is behind this one? (live_out also counts what
 * lies outside.) */
static bool compute_read_out(const struct region_builder *b, const struct insn *in) {
    return (in->target >= 0 && b->insns[in->target].read_in) ||
           (in->next >= 0 && in->op != A64_BLR && b->insns[in->next].read_in);
}

static bool compute_live_out(struct region_builder *b, struct insn *in) {
    guest_addr target;
    if (in->op == A64_BL)
        return in->target_reads_flags;
    if (in->op == A64_BLR)
        return true;
    bool branches = branch_target(in->op, in->word, in->pc, &target);
    bool falls = branch_falls_through(in->op);
    bool live = !branches && !falls; /* RET, BR, traps: somebody may */
    if (branches)
        live |= in->target >= 0 ? b->insns[in->target].live_in : in->target_reads_flags;
    if (falls)
        live |= in->next >= 0 ? b->insns[in->next].live_in : in->next_reads_flags;
    return live;
}

void region_analyse_flags(struct region_builder *b) {
    for (unsigned i = 0; i < b->count; i++) {
        struct insn *in = &b->insns[i];
        guest_addr target;
        if (in->target < 0 && branch_target(in->op, in->word, in->pc, &target))
            in->target_reads_flags = leaving_reads_flags(b, target);
        if (in->next < 0 && in->op != A64_BL && in->op != A64_BLR && branch_falls_through(in->op))
            in->next_reads_flags = leaving_reads_flags(b, in->pc + 4);
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (unsigned i = b->count; i-- > 0;) {
            struct insn *in = &b->insns[i];
            unsigned properties = a64_rows[in->op].properties;
            in->live_out = compute_live_out(b, in);
            bool live_in = fault_shows_flags(b, in->op) || (properties & A64_READS_NZCV) ||
                           (in->live_out && !(properties & A64_WRITES_NZCV));
            bool read_in = (properties & A64_READS_NZCV) ||
                           (compute_read_out(b, in) && !(properties & A64_WRITES_NZCV));
            if (live_in != in->live_in || read_in != in->read_in) {
                in->live_in = live_in;
                in->read_in = read_in;
                changed = true;
            }
        }
    }
}

/* ---- edges ---- */

/*
 * Where NZCV is at a leader's start is settled by the first edge to it that is emitted: in EFLAGS
 * when an instruction of the region reads it (a loop may carry flags around), else in memory. Later
 * edges convert.
 */
static void settle_flags(const struct lower *l, struct insn *to) {
    if (to->in_known)
        return;
    bool in_eflags =
        to->predecessors == 1 || (to->read_in && (l->flags == FLAGS_SUB || l->flags == FLAGS_ADD));
    to->in_known = true;
    to->in_flags = to->live_in && in_eflags ? l->flags : FLAGS_NONE;
    to->in_saved = to->in_flags == FLAGS_NONE || (to->predecessors == 1 && l->flags_saved);
}

/* Must an edge to insn `to` (NULL: out of the region) convert NZCV? */
static bool edge_moves_flags(const struct lower *l, const struct insn *to, bool reads_flags) {
    enum flags_kind wanted = to ? to->in_flags : FLAGS_NONE;
    if (to ? !to->live_in : !reads_flags)
        return false;
    return wanted == FLAGS_NONE ? l->flags != FLAGS_NONE && !l->flags_saved : l->flags != wanted;
}

void edge_jump(struct lower *l, int index, guest_addr target, bool reads_flags) {
    struct region_builder *b = l->region;
    bool within = index >= 0;
    struct insn *to = within ? &b->insns[index] : NULL;
    if (within)
        settle_flags(l, to);
    if (edge_moves_flags(l, to, reads_flags))
        emit_flags_change(l->a, l->flags, l->flags_saved, within ? to->in_flags : FLAGS_NONE);
    emit_map_change(b, l->insn->map, within ? to->map : 0);
    if (!within) {
        struct cold *c = cold_add(b, COLD_LINK);
        c->target = target;
        c->field = x64_jmp_abs(l->a, l->a->p);
    } else if (to != l->insn + 1) {
        x64_jmp(l->a, &to->label);
    }
}

bool edge_is_short(const struct lower *l) {
    const struct insn *in = l->insn;
    if (in->target < 0)
        return in->map == 0;
    return l->region->insns[in->target].map == in->map && in->target != (in - l->region->insns) + 1;
}

void edge_cond(struct lower *l, struct cond cond, int index, guest_addr target, bool reads_flags) {
    struct region_builder *b = l->region;
    bool within = index >= 0;
    struct insn *to = within ? &b->insns[index] : NULL;
    if (within)
        settle_flags(l, to);
    bool moves_flags = edge_moves_flags(l, to, reads_flags);
    bool plain = !moves_flags && l->insn->map == (within ? to->map : 0);
    if (within && plain) {
        cond_jump(l, cond, &to->label);
        return;
    }
    struct cold *c = cold_add(b, within ? COLD_EDGE : COLD_LINK);
    c->map = l->insn->map;
    c->index = (int16_t)index;
    c->target = target;
    c->moves_flags = moves_flags;
    c->flags = l->flags;
    c->flags_saved = l->flags_saved;
    if (plain && cond.join == COND_ONE)
        c->field = x64_jcc_abs(l->a, cond.cc, l->a->p);
    else
        cond_jump(l, cond, &c->label);
}

/* ---- cold code ---- */

struct cold *cold_add(struct region_builder *b, int kind) {
    /* Every instruction owes at most three pieces, so the array cannot run out (REGION_MAX_COLD).
     */
    struct cold *c =
        &b->cold[b->cold_count < REGION_MAX_COLD - 1 ? b->cold_count++ : b->cold_count];
    memset(c, 0, sizeof(*c));
    c->kind = kind;
    c->label = X64_LABEL;
    c->back = X64_LABEL;
    return c;
}

static void emit_link_stub(struct x64_asm *a, uint8_t *field, guest_addr target) {
    struct x64_label data = X64_LABEL;
    x64_lea_label(a, RAX, &data);
    x64_jmp_rm(a, x64_m(RBP, STUB_OFFSET(STUB_LINK)));
    x64_bind(a, &data);
    int32_t patch = (int32_t)(field - a->p);
    x64_dq(a, target);
    x64_dd(a, (uint32_t)patch);
}

static void emit_exit_stub(struct x64_asm *a, guest_addr pc, uint32_t reason) {
    struct x64_label data = X64_LABEL;
    x64_lea_label(a, RAX, &data);
    x64_jmp_rm(a, x64_m(RBP, STUB_OFFSET(STUB_EXIT)));
    x64_bind(a, &data);
    x64_dq(a, pc);
    x64_dd(a, reason);
}

static void emit_cold(struct lower *l, struct cold *c) {
    struct x64_asm *a = l->a;
    uint8_t *field = c->field;
    struct insn *to = &l->region->insns[c->index];
    if (a->overflow)
        return;
    if (field)
        x64_patch(field, a->p);
    else
        x64_bind(a, &c->label);
    switch (c->kind) {
    case COLD_LINK:
        if (!field) {
            if (c->moves_flags)
                emit_flags_change(a, c->flags, c->flags_saved, FLAGS_NONE);
            emit_map_change(l->region, c->map, 0);
            field = x64_jmp_abs(a, a->p);
            if (!field) /* no room left */
                return;
            x64_patch(field, a->p);
        }
        emit_link_stub(a, field, c->target);
        break;
    case COLD_EDGE:
        if (c->moves_flags)
            emit_flags_change(a, c->flags, c->flags_saved, to->in_flags);
        emit_map_change(l->region, c->map, to->map);
        x64_jmp(a, &to->label);
        break;
    case COLD_RETURN:
        x64_jmp_rm(a, x64_m(RBP, STUB_OFFSET(STUB_RETURN)));
        break;
    case COLD_DISPATCH:
        x64_jmp_rm(a, x64_m(RBP, STUB_OFFSET(STUB_DISPATCH)));
        break;
    case COLD_DISPATCH_CALL:
        x64_call_rm(a, x64_m(RBP, STUB_OFFSET(STUB_DISPATCH)));
        x64_jmp(a, &c->back);
        break;
    case COLD_EXIT:
        emit_map_change(l->region, c->map, 0);
        emit_exit_stub(a, c->target, c->reason);
        break;
    }
}

void cold_emit(struct lower *l) {
    for (unsigned i = 0; i < l->region->cold_count; i++)
        emit_cold(l, &l->region->cold[i]);
}

/* ---- lowering ---- */

void mark_boundary(struct lower *l) {
    struct region_builder *b = l->region;
    if (b->boundary_count == REGION_MAX_BOUNDARIES)
        return;
    b->boundaries[b->boundary_count++] = (struct boundary){
        x64_pos(l->a),
        (uint32_t)l->insn->map << 28 | (uint32_t)(l->pc - b->lo) << 1 | (uint32_t)l->flags |
            (uint32_t)l->flags_saved << 2,
    };
}

/* The region's entry: NZCV in memory and the fixed map become what the first instruction, if it
 * heads a loop, works with. */
static void enter_region(struct lower *l, struct insn *in) {
    bool loop_reads = in->read_in && in->predecessors > 2;
    in->in_known = true;
    in->in_flags = loop_reads ? FLAGS_SUB : FLAGS_NONE;
    in->in_saved = !loop_reads;
    if (loop_reads)
        emit_flags_change(l->a, FLAGS_NONE, true, FLAGS_SUB);
    emit_map_change(l->region, 0, in->map);
}

/* Sets the EFLAGS state insn i starts with. */
static void enter_insn(struct lower *l, struct insn *in) {
    if (!in->leader)
        return;
    if (in == l->region->insns)
        enter_region(l, in);
    if (!in->in_known) { /* only branches further on lead here: they find NZCV's place settled */
        in->in_known = true;
        in->in_flags = FLAGS_NONE;
        in->in_saved = true;
    }
    l->flags = in->in_flags;
    l->flags_saved = in->in_saved;
    if (in->tight_loop)
        x64_align(l->a, 32);
    x64_bind(l->a, &in->label);
}

static void lower_insn(struct lower *l, struct insn *in) {
    l->insn = in;
    l->pc = in->pc;
    l->word = in->word;
    l->mask_tags = in->mask_tags;
    x_use_map(l->region->maps[in->map]);
    l->flags_live_out = in->live_out;
    l->flags_live = in->live_out && !(a64_rows[in->op].properties & A64_WRITES_NZCV);
    if (fault_shows_flags(l->region, in->op))
        l->flags_live = true;
    mark_boundary(l);
    if (in->mask_tags)
        flags_clobber(l);
    lower_fn *lower = lower_table[in->op];
    if (lower)
        lower(l, in->word);
    else
        emit_exit(l, EXIT_UNDEFINED);
}

static void lower_all(struct lower *l) {
    struct region_builder *b = l->region;
    for (unsigned i = 0; i < b->count; i++) {
        struct insn *in = &b->insns[i];
        enter_insn(l, in);
        lower_insn(l, in);
        bool straight = in->next == (int)i + 1 && !in[1].leader && in[1].map == in->map;
        if (branch_falls_through(in->op) && !straight)
            edge_jump(l, in->next, in->pc + 4, in->next_reads_flags);
        if (l->a->overflow)
            return;
    }
}

bool region_translate(struct region_builder *b, guest_addr pc) {
    region_discover(b, pc);
    if (b->count == 0)
        return false;
    find_edges(b);
    region_analyse_flags(b);
    region_analyse_vectors(b);
    region_plan_loops(b);
    b->boundary_count = b->entry_count = b->cold_count = 0;
    struct lower l = {.a = &b->a, .region = b, .flags = FLAGS_NONE, .flags_saved = true};
    lower_all(&l);
    if (!b->a.overflow)
        cold_emit(&l);
    return true;
}
