/*
 * loops.c - other registers for loops.
 *
 * The fixed map holds 11 guest registers. A loop without calls often uses others, and never X30. So
 * a call-free loop may have a map of its own: registers it uses much take the host registers of
 * those it uses little, for as long as control is inside. Edges into and out of the loop carry the
 * exchange (emit_map_change); inside, every lowering sees the loop's map through xr(). Boundaries
 * name their map, so faults and signals find every register.
 *
 * A loop here is a range of the instruction array, closed by backward branches to its first
 * instruction. It may be entered anywhere. Only the outermost such loops get a map; inner ones
 * count more in choosing it.
 */
#include "translate/region.h"

#define NONE         0xff
#define DEPTH_WEIGHT 6 /* iterations an inner loop is taken to run for one of the outer */
#define MAX_DEPTH    4
#define MIN_GAIN     2 /* uses saved in one round of the loop, to pay for the exchange at its ends */

/* Loops with these are left alone: calls and the runtime expect the fixed map, atomics have fixed
 * registers of their own. */
static bool allowed(const struct insn *in) {
    const struct a64_row *row = &a64_rows[in->op];
    guest_addr target;
    if (!lower_table[in->op] || row->group == GROUP_ATOMIC || row->group == GROUP_SYSTEM ||
        in->op == A64_BL)
        return false;
    return !(row->properties & A64_ENDS_BLOCK) || branch_target(in->op, in->word, in->pc, &target);
}

/* ---- finding loops ---- */

static bool is_loop(const struct region_builder *b, int head, int last) {
    for (int i = head; i <= last; i++)
        if (!allowed(&b->insns[i]))
            return false;
    return true;
}

/* The last branch back to head. */
static int loop_end(const struct region_builder *b, int head) {
    int last = -1;
    for (int i = head; i < (int)b->count; i++)
        if (b->insns[i].target == head)
            last = i;
    return last;
}

/* ---- choosing the map ---- */

/* Counts the general registers an instruction names: the letters of its pattern say which fields
 * are registers. */
static void count_uses(const struct insn *in, unsigned weight, unsigned uses[32]) {
    const struct a64_row *row = &a64_rows[in->op];
    bool vector = row->group == GROUP_LDST_FP;
    if (!vector && row->group != GROUP_DP_IMM && row->group != GROUP_DP_REG &&
        row->group != GROUP_LDST && row->group != GROUP_BRANCH)
        return;
    static const struct {
        uint8_t low;
        const char *letters;
    } fields[] = {{0, "dt"}, {5, "n"}, {10, "au"}, {16, "ms"}};
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        char letter = row->pattern[31 - fields[i].low];
        bool base = letter == 'n', is_register = strchr(fields[i].letters, letter) && letter;
        if (!is_register || (vector && !base && letter != 'm'))
            continue;
        unsigned r = bits(in->word, fields[i].low, 5);
        bool sp =
            r == 31 && base && (vector || row->group == GROUP_LDST || row->group == GROUP_DP_IMM);
        if (r != 31 || sp)
            uses[r] += weight;
    }
}

static unsigned depth_at(const struct region_builder *b, int head, int last, int at) {
    unsigned depth = 0;
    for (int i = head + 1; i <= at && depth < MAX_DEPTH; i++)
        if (b->insns[i].loop_head) {
            int end = loop_end(b, i);
            depth += end >= at && end <= last;
        }
    return depth;
}

static unsigned most_used(const unsigned uses[32], const uint8_t map[32], bool in_memory) {
    unsigned best = NONE;
    for (unsigned r = 0; r < 32; r++)
        if ((map[r] == NONE) == in_memory &&
            (best == NONE || (in_memory ? uses[r] > uses[best] : uses[r] < uses[best])))
            best = r;
    return best;
}

/* Makes a map for the loop in b->maps[]. Returns its number, 0 when the fixed one is good enough.
 */
static unsigned choose_map(struct region_builder *b, int head, int last) {
    unsigned uses[32] = {0};
    for (int i = head; i <= last; i++) {
        unsigned weight = 1;
        for (unsigned d = depth_at(b, head, last, i); d > 0; d--)
            weight *= DEPTH_WEIGHT;
        count_uses(&b->insns[i], weight, uses);
    }
    uint8_t map[32];
    memcpy(map, host_x, sizeof(map));
    bool changed = false;
    for (;;) { /* the most used register in memory against the least used one in a host register */
        unsigned in = most_used(uses, map, true), out = most_used(uses, map, false);
        if (uses[in] < uses[out] + MIN_GAIN)
            break;
        map[in] = map[out];
        map[out] = NONE;
        changed = true;
    }
    if (!changed || b->map_count == REGION_MAX_MAPS)
        return 0;
    memcpy(b->maps[b->map_count], map, sizeof(map));
    return b->map_count++;
}

/* Notes the heads of innermost loops that stay in the region: they are worth aligning. */
static void note_tight_loops(struct region_builder *b) {
    for (int head = 0, inner = -1; head < (int)b->count; head++) {
        if (!b->insns[head].loop_head)
            continue;
        int last = loop_end(b, head);
        b->insns[head].tight_loop = last >= 0 && is_loop(b, head, last);
        if (inner >= 0 && head <= loop_end(b, inner))
            b->insns[inner].tight_loop = false;
        inner = head;
    }
}

void region_plan_loops(struct region_builder *b) {
    note_tight_loops(b);
    memcpy(b->maps[0], host_x, sizeof(b->maps[0]));
    b->map_count = 1;
    for (int head = 0; head < (int)b->count; head++) {
        if (!b->insns[head].loop_head)
            continue;
        int last = loop_end(b, head);
        if (last < 0 || !is_loop(b, head, last))
            continue;
        unsigned map = choose_map(b, head, last);
        for (int i = head; i <= last; i++)
            b->insns[i].map = (uint8_t)map;
        head = last;
    }
}

/* ---- exchanging ---- */

void emit_map_change(struct region_builder *b, unsigned from, unsigned to) {
    const uint8_t *old = b->maps[from], *new = b->maps[to];
    if (from == to)
        return;
    for (unsigned r = 0; r < 32; r++)
        if (old[r] != NONE && old[r] != new[r])
            x64_mov_rm_r(&b->a, 8, x_slot(r), old[r]);
    for (unsigned r = 0; r < 32; r++)
        if (new[r] != NONE && old[r] != new[r])
            x64_mov_r_rm(&b->a, 8, new[r], x_slot(r));
}
