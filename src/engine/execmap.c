/*
 * execmap.c - which guest pages are executable: a sorted array of disjoint ranges, under
 * engine_lock. The host's own protection bits say the same, but cannot be asked cheaply.
 */
#include "engine/cache.h"
#include "engine/thread.h"

#define MAX_RANGES (1u << 18)

static struct exec_map {
    struct range {
        guest_addr start, end;
    } * ranges; /* sorted, disjoint, not touching */
    uint32_t count;
} map;

/* Index of the first range that ends behind addr. */
static uint32_t first_behind(guest_addr addr) {
    uint32_t lo = 0, hi = map.count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (map.ranges[mid].end > addr)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static void splice(uint32_t at, uint32_t remove, const struct range *insert, uint32_t n) {
    if (map.count - remove + n > MAX_RANGES)
        die(125, "more than %u executable mappings", MAX_RANGES);
    memmove(&map.ranges[at + n], &map.ranges[at + remove],
            (map.count - at - remove) * sizeof(*map.ranges));
    memcpy(&map.ranges[at], insert, n * sizeof(*insert));
    map.count += n - remove;
}

static void remove_range(guest_addr start, guest_addr end) {
    uint32_t i = first_behind(start), j = i;
    struct range rest[2];
    uint32_t n = 0;
    for (; j < map.count && map.ranges[j].start < end; j++) {
        if (map.ranges[j].start < start)
            rest[n++] = (struct range){map.ranges[j].start, start};
        if (map.ranges[j].end > end)
            rest[n++] = (struct range){end, map.ranges[j].end};
    }
    if (j > i)
        splice(i, j - i, rest, n);
}

static void add_range(guest_addr start, guest_addr end) {
    uint32_t i = first_behind(start ? start - 1 : 0), j = i;
    struct range whole = {start, end};
    for (; j < map.count && map.ranges[j].start <= end; j++) {
        whole.start = MIN(whole.start, map.ranges[j].start);
        whole.end = MAX(whole.end, map.ranges[j].end);
    }
    splice(i, j - i, &whole, 1);
}

bool exec_map_has(guest_addr pc) {
    uint32_t i = first_behind(pc);
    return i < map.count && map.ranges[i].start <= pc;
}

void exec_map_set(guest_addr start, uint64_t bytes, bool exec) {
    guest_addr end = ALIGN_UP(start + bytes, PAGE_BYTES);
    start = ALIGN_DOWN(start, PAGE_BYTES);
    if (start >= end)
        return;
    lock_acquire(&engine_lock);
    uint32_t i = first_behind(start);
    bool overlaps = i < map.count && map.ranges[i].start < end;
    if (!exec && !overlaps) { /* nothing was translated from there: the common case */
        lock_release(&engine_lock);
        return;
    }
    if (!map.ranges) {
        map.ranges = space_alloc(MAX_RANGES * sizeof(*map.ranges));
        if (!map.ranges)
            die(125, "out of memory");
    }
    if (overlaps)
        cache_invalidate_pages(current(), start, end - start);
    if (exec)
        add_range(start, end);
    else
        remove_range(start, end);
    lock_release(&engine_lock);
}
