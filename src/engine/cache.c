/*
 * cache.c - the code cache: translations, their look-up by guest pc and by host address, links
 * between them, invalidation, and what to do when it is full.
 *
 * Invariants:
 *  - Code is only appended. A region's code is overwritten (its entry, by invalidation) and memory
 * is reused (by a flush) only while the world is stopped; threads then continue through the
 * dispatcher with empty shadow stacks and jump caches, so nobody ever returns into dead code.
 *  - Direct jumps between regions lead to region entries only; when a region dies, its entry is
 * overwritten with a jump to the dispatcher, so incoming links need no list.
 *  - Look-up table entries are written host first, pc last; readers take no lock.
 */
#include "engine/cache.h"

#include <linux/mman.h>
#include <linux/time.h>

#include "base/hostcall.h"
#include "base/relocate.h"
#include "engine/offsets.h"
#include "engine/stubs.h"
#include "engine/thread.h"

#define HASH_FACTOR      0x9e3779b97f4a7c15ull
#define HASH_PROBES      4 /* that stub_dispatch makes without wrapping around */
#define HASH_SIZE        (1u << HASH_BITS)
#define HASH_LIMIT       (HASH_SIZE / 2)
#define HASH_EMPTY       0
#define HASH_DELETED     1 /* no pc is odd */
#define MAX_REGIONS      (1u << 17)
#define MAX_PAGE_NODES   (1u << 18)
#define PAGE_BUCKETS     (1u << 14)
#define POOL_BYTES       (64u << 10)
#define MIN_REGION_BYTES 24 /* room for the jump that replaces a dead region's entry */
#define MAX_REGION_BYTES (REGION_MAX_INSNS * 256u)
#define MAX_TAGGED_SITES 4096
#define FP_SITES         1024

struct hash_entry {
    guest_addr pc;
    const void *host;
};

struct page_node {
    guest_addr page;
    uint32_t region;
    uint32_t next; /* index + 1, 0: end */
};

static void recover(void);
struct lock engine_lock = {.recover = recover};
struct cache_stats cache_stats;

static struct cache {
    uint8_t *start, *end, *next; /* code memory; the constant pool lies at start */
    struct x64_features feat;
    struct hash_entry *hash;
    uint32_t hash_used; /* deleted ones included */
    struct region *regions;
    uint32_t region_count;
    uint8_t *meta, *meta_end, *meta_next; /* boundaries and entries */
    struct page_node *nodes;
    uint32_t node_count;
    uint32_t *buckets;
    uint32_t pool_used; /* constants, 16 bytes each */
    guest_addr fp_sites[FP_SITES];
    guest_addr *tagged; /* pcs of accesses that use tagged addresses */
    uint32_t tagged_count;
    struct region_builder *builder;
} cache;

/* ---- host features ---- */

static void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4]) {
    __asm__("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}

/* What the host has, cut to options.cpu_level. */
static struct x64_features detect_features(void) {
    uint32_t r1[4], r7[4], e1[4];
    cpuid(1, 0, r1);
    cpuid(7, 0, r7);
    cpuid(0x80000001, 0, e1);
    uint32_t xcr0 = 0;
    if (r1[2] & (1u << 27)) {
        uint32_t high;
        __asm__("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    }
    char level = options.cpu_level ? options.cpu_level[1] : '4';
    bool ymm = (xcr0 & 6) == 6, zmm = (xcr0 & 0xe6) == 0xe6;
    struct x64_features f = {
        .popcnt = r1[2] >> 23 & 1,
        .aes = r1[2] >> 25 & 1,
        .pclmul = r1[2] >> 1 & 1,
        .sha = r7[1] >> 29 & 1,
    };
    if (level >= '3' && ymm && (r7[1] >> 5 & 1)) {
        f.avx = true;
        f.fma = r1[2] >> 12 & 1;
        f.bmi1 = r7[1] >> 3 & 1;
        f.bmi2 = r7[1] >> 8 & 1;
        f.lzcnt = e1[2] >> 5 & 1;
        f.movbe = r1[2] >> 22 & 1;
        f.f16c = r1[2] >> 29 & 1;
    }
    uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F DQ BW VL */
    f.avx512 = level >= '4' && f.avx && zmm && (r7[1] & avx512) == avx512;
    return f;
}

/* ---- look-up by guest pc ---- */

static uint32_t hash_slot(guest_addr pc) {
    return (uint32_t)((pc >> 2) * HASH_FACTOR >> (64 - HASH_BITS));
}

void cache_init_cpu(struct cpu *cpu) {
    cpu->hash = cache.hash;
    cpu->hash_factor = HASH_FACTOR;
}

const void *cache_lookup(guest_addr pc) {
    for (uint32_t i = hash_slot(pc);; i = (i + 1) & (HASH_SIZE - 1)) {
        guest_addr at = __atomic_load_n(&cache.hash[i].pc, __ATOMIC_ACQUIRE);
        if (at == pc)
            return cache.hash[i].host;
        if (at == HASH_EMPTY)
            return NULL;
    }
}

static void hash_insert(guest_addr pc, const void *host, bool replace) {
    uint32_t i = hash_slot(pc);
    while (cache.hash[i].pc != HASH_EMPTY && cache.hash[i].pc != pc)
        i = (i + 1) & (HASH_SIZE - 1);
    if (cache.hash[i].pc == pc && !replace)
        return;
    if (cache.hash[i].pc == HASH_EMPTY)
        cache.hash_used++;
    cache.hash[i].host = host;
    __atomic_store_n(&cache.hash[i].pc, pc, __ATOMIC_RELEASE);
}

static void hash_remove(guest_addr pc, const void *host) {
    for (uint32_t i = hash_slot(pc); cache.hash[i].pc != HASH_EMPTY; i = (i + 1) & (HASH_SIZE - 1))
        if (cache.hash[i].pc == pc && cache.hash[i].host == host)
            cache.hash[i].pc = HASH_DELETED;
}

/* ---- look-up by host address ---- */

bool cache_contains(const void *host) {
    return (const uint8_t *)host >= cache.start && (const uint8_t *)host < cache.end;
}

const struct region *cache_region_at(const void *host) {
    if (!cache_contains(host))
        return NULL;
    uint32_t lo = 0, hi = __atomic_load_n(&cache.region_count, __ATOMIC_ACQUIRE);
    while (lo < hi) { /* the first region that starts behind host */
        uint32_t mid = (lo + hi) / 2;
        if (cache.regions[mid].code <= (const uint8_t *)host)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return NULL;
    const struct region *r = &cache.regions[lo - 1];
    return (const uint8_t *)host < r->code + r->code_bytes ? r : NULL;
}

const struct boundary *cache_boundary(const struct region *r, const void *host, bool *exact) {
    uint32_t offset = (uint32_t)((const uint8_t *)host - r->code);
    uint32_t lo = 0, hi = r->boundary_count;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (r->boundaries[mid].host <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return NULL;
    const struct boundary *b = &r->boundaries[lo - 1];
    *exact = b->host == offset;
    return b;
}

/* ---- the constant pool ---- */

static x64_rm pool_constant(struct x64_asm *a, uint64_t lo, uint64_t hi) {
    struct vreg *pool = (struct vreg *)cache.start;
    uint32_t i = 0;
    while (i < cache.pool_used && (pool[i].d[0] != lo || pool[i].d[1] != hi))
        i++;
    if (i == cache.pool_used) {
        if (i == POOL_BYTES / sizeof(*pool)) { /* full: the caller flushes as for a full cache */
            a->overflow = true;
            i = 0;
        } else {
            pool[i].d[0] = lo;
            pool[i].d[1] = hi;
            cache.pool_used++;
        }
    }
    return (x64_rm){1, X64_RIP, X64_NOREG, 0, (int32_t)((uint8_t *)&pool[i] - a->start)};
}

/* ---- pages ---- */

static uint32_t page_bucket(guest_addr page) {
    return (uint32_t)((page >> 12) * 0x9e3779b97f4a7c15ull >> 50);
}

static void index_page(guest_addr page, uint32_t region) {
    uint32_t *bucket = &cache.buckets[page_bucket(page)];
    cache.nodes[cache.node_count] = (struct page_node){page, region, *bucket};
    *bucket = ++cache.node_count;
}

/* ---- tagged addresses ---- */

bool cache_masks_tags(guest_addr pc) {
    for (uint32_t i = 0; i < cache.tagged_count; i++)
        if (cache.tagged[i] == pc)
            return true;
    return false;
}

/* ---- flush ---- */

/*
 * Tells a thread that host addresses it may hold (jump cache, shadow stack, resume) are void. It
 * drops them itself, before it can enter translated code again: a look-up made just before the stop
 * cannot bring one back.
 */
static void void_host_addresses(struct thread *t, void *arg) {
    (void)arg;
    __atomic_fetch_or(&t->cpu.pending, PENDING_FLUSH, __ATOMIC_SEQ_CST);
}

static void cache_clear(void) {
    hostcall(__NR_madvise, cache.hash, HASH_SIZE * sizeof(*cache.hash), MADV_DONTNEED);
    hostcall(__NR_madvise, cache.buckets, PAGE_BUCKETS * sizeof(*cache.buckets), MADV_DONTNEED);
    cache.next = cache.start + POOL_BYTES;
    cache.meta_next = cache.meta;
    cache.region_count = cache.node_count = cache.pool_used = cache.hash_used = 0;
}

static void cache_flush(struct thread *self) {
    world_stop(self);
    cache_clear();
    world_each(void_host_addresses, NULL);
    cache_stats.flushes++;
    world_resume();
}

/* Somebody was killed while changing what engine_lock protects: anything may be half done. */
static void recover(void) {
    cache_flush(current());
}

void cache_set_strict_fp(struct thread *t) {
    lock_acquire(&engine_lock);
    if (!cache.builder->strict_fp) {
        cache.builder->strict_fp = true;
        cache_flush(t);
    }
    lock_release(&engine_lock);
}

bool cache_is_strict_fp(void) {
    return cache.builder->strict_fp;
}

/* Is there room for one more region of any size? */
static bool has_room(void) {
    uint64_t meta = REGION_MAX_BOUNDARIES * sizeof(struct boundary) +
                    REGION_MAX_ENTRIES * sizeof(struct region_entry) + sizeof(cache.builder->maps) +
                    64;
    return (uint64_t)(cache.end - cache.next) >= MAX_REGION_BYTES &&
           (uint64_t)(cache.meta_end - cache.meta_next) >= meta &&
           cache.region_count < MAX_REGIONS &&
           cache.node_count + REGION_MAX_PAGES < MAX_PAGE_NODES &&
           cache.hash_used + REGION_MAX_ENTRIES + 1 < HASH_LIMIT;
}

/* ---- translation ---- */

static bool read_code(void *dst, guest_addr src, size_t bytes) {
    return copy_from_guest(dst, src, bytes) == 0;
}

static void *meta_copy(const void *src, uint64_t bytes) {
    void *p = cache.meta_next;
    memcpy(p, src, bytes);
    cache.meta_next += ALIGN_UP(bytes, 8);
    return p;
}

/*
 * --dump-code: for each region "ELFREGN\0", entry pc, lo, host address, code bytes, boundary count
 * (64 bits each), the boundaries and the code. tools/show-code reads it.
 */
static void dump_region(const struct region *r) {
    const uint64_t head[6] = {0x004e474552464c45, r->pc,         r->lo,
                              (uint64_t)r->code,  r->code_bytes, r->boundary_count};
    hostcall(__NR_write, options.dump_fd, head, sizeof(head));
    hostcall(__NR_write, options.dump_fd, r->boundaries,
             r->boundary_count * sizeof(*r->boundaries));
    hostcall(__NR_write, options.dump_fd, r->code, r->code_bytes);
}

static const void *install(struct region_builder *b) {
    struct region *r = &cache.regions[cache.region_count];
    *r = (struct region){
        .pc = b->entry,
        .lo = b->lo,
        .hi = b->hi,
        .code = b->a.start,
        .code_bytes = MAX(x64_pos(&b->a), MIN_REGION_BYTES),
        .boundary_count = (uint16_t)b->boundary_count,
        .entry_count = (uint16_t)b->entry_count,
    };
    r->boundaries = meta_copy(b->boundaries, b->boundary_count * sizeof(*b->boundaries));
    r->entries = meta_copy(b->entries, b->entry_count * sizeof(*b->entries));
    r->maps = &host_x;
    if (b->map_count > 1)
        r->maps = meta_copy(b->maps, b->map_count * sizeof(b->maps[0]));
    for (unsigned i = 0; i < b->page_count; i++)
        index_page(b->pages[i], cache.region_count);
    cache.next = r->code + ALIGN_UP(r->code_bytes, 32);
    __atomic_store_n(&cache.region_count, cache.region_count + 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < r->entry_count; i++)
        hash_insert(r->entries[i].pc, r->code + r->entries[i].host, false);
    hash_insert(r->pc, r->code, true);
    if (UNLIKELY(options.dump_fd >= 0))
        dump_region(r);
    cache_stats.regions++;
    cache_stats.insns += b->count;
    cache_stats.code_bytes += r->code_bytes;
    return r->code;
}

/* CPU time of this thread: what translation costs, whatever else the machine does. */
static uint64_t now_ns(void) {
    struct timespec ts;
    hostcall(__NR_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

const void *cache_translate(struct thread *t, guest_addr pc) {
    uint64_t start = options.stats ? now_ns() : 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!has_room())
            cache_flush(t);
        struct region_builder *b = cache.builder;
        b->limit = options.region_limit ? options.region_limit : REGION_MAX_INSNS;
        x64_init(&b->a, cache.next, (size_t)(cache.end - cache.next), &cache.feat);
        if (!region_translate(b, pc))
            return NULL;
        if (!b->a.overflow) {
            const void *host = install(b);
            if (options.stats)
                cache_stats.translate_ns += now_ns() - start;
            return host;
        }
        cache_flush(t);
    }
    die(125, "internal error: a region does not fit the code cache");
}

bool cache_is_entry(guest_addr pc, const void *host) {
    const struct region *r = cache_region_at(host);
    return r && r->pc == pc && r->code == host && !r->dead;
}

void cache_link(struct link_data *data, const void *host) {
    x64_patch((uint8_t *)data + data->patch, host);
    cache_stats.links++;
}

/* ---- invalidation ---- */

/* Emits `mov rax, pc; jmp [rbp + STUB_DISPATCH]` over the entry of a dead region. */
static void kill_region(struct region *r) {
    struct x64_asm a;
    uint8_t jump[MIN_REGION_BYTES + 16]; /* the assembler keeps a whole instruction's room free */
    x64_init(&a, jump, sizeof(jump), &cache.feat);
    x64_mov_ri(&a, RAX, r->pc);
    x64_jmp_rm(&a, x64_m(RBP, STUB_OFFSET(STUB_DISPATCH)));
    ASSERT(!a.overflow && x64_pos(&a) <= MIN_REGION_BYTES);
    memcpy(r->code, jump, x64_pos(&a));
    hash_remove(r->pc, r->code);
    for (unsigned i = 0; i < r->entry_count; i++)
        hash_remove(r->entries[i].pc, r->code + r->entries[i].host);
    r->dead = true;
    cache_stats.invalidations++;
}

typedef void region_fn(struct region *r, void *arg);

static void count_region(struct region *r, void *arg) {
    (void)r;
    ++*(unsigned *)arg;
}

static void kill_region_fn(struct region *r, void *arg) {
    (void)arg;
    kill_region(r);
}

/*
 * The live regions that read guest code in [start, end). `exact` compares with the instructions
 * themselves, not with their pages (a cache line was rewritten, not a page remapped).
 */
static void each_region_in(guest_addr start, guest_addr end, bool exact, region_fn *fn, void *arg) {
    guest_addr first = ALIGN_DOWN(start, PAGE_BYTES), last = ALIGN_DOWN(end - 1, PAGE_BYTES);
    if ((last - first) / PAGE_BYTES >
        cache.node_count) { /* fewer nodes than pages: go through the nodes */
        for (uint32_t i = 0; i < cache.node_count; i++) {
            struct region *r = &cache.regions[cache.nodes[i].region];
            guest_addr page = cache.nodes[i].page;
            if (!r->dead && page >= first && page <= last &&
                (!exact || (r->lo < end && r->hi > start)))
                fn(r, arg);
        }
        return;
    }
    for (guest_addr page = first; page <= last; page += PAGE_BYTES) {
        for (uint32_t n = cache.buckets[page_bucket(page)]; n; n = cache.nodes[n - 1].next) {
            struct region *r = &cache.regions[cache.nodes[n - 1].region];
            if (!r->dead && cache.nodes[n - 1].page == page &&
                (!exact || (r->lo < end && r->hi > start)))
                fn(r, arg);
        }
    }
}

static void invalidate_locked(struct thread *t, guest_addr start, guest_addr end, bool exact) {
    unsigned found = 0;
    each_region_in(start, end, exact, count_region, &found);
    if (!found)
        return;
    world_stop(t);
    each_region_in(start, end, exact, kill_region_fn, NULL);
    world_each(void_host_addresses, NULL);
    world_resume();
}

void engine_invalidate(guest_addr start, uint64_t bytes) {
    lock_acquire(&engine_lock);
    if (bytes)
        invalidate_locked(current(), start, start + bytes, true);
    lock_release(&engine_lock);
}

void cache_invalidate_pages(struct thread *t, guest_addr start, uint64_t bytes) {
    invalidate_locked(t, start, start + bytes, false);
}

void cache_mask_tags(struct thread *t, guest_addr pc) {
    lock_acquire(&engine_lock);
    if (!cache_masks_tags(pc)) {
        if (cache.tagged_count == MAX_TAGGED_SITES) /* forget the oldest: it will trap again */
            cache.tagged_count = 0;
        cache.tagged[cache.tagged_count++] = pc;
    }
    invalidate_locked(t, pc, pc + 4, true);
    lock_release(&engine_lock);
}

/* ---- FP instructions that trap often ---- */

/* By hash; of two that collide, the earlier one is forgotten and will be noted again. Bit 0:
 * level 2. */
static guest_addr *fp_site_slot(guest_addr pc) {
    return &cache.fp_sites[(pc >> 2) & (FP_SITES - 1)];
}

unsigned cache_fp_site(guest_addr pc) {
    guest_addr site = *fp_site_slot(pc);
    return (site & ~1ull) == pc ? 1 + (site & 1) : 0;
}

void cache_note_fp_site(struct thread *t, guest_addr pc) {
    lock_acquire(&engine_lock);
    unsigned level = cache_fp_site(pc);
    if (level < 2) {
        *fp_site_slot(pc) = pc | level;
        invalidate_locked(t, pc, pc + 4, true);
    }
    lock_release(&engine_lock);
}

/* ---- set-up ---- */

static void *must_alloc(uint64_t bytes) {
    void *p = space_alloc(bytes);
    if (!p)
        die(125, "out of memory for the code cache (is RLIMIT_AS set too low?)");
    return p;
}

void cache_init(uint64_t bytes) {
    if (!bytes)
        bytes = 128ull << 20;
    bytes = MAX(ALIGN_UP(bytes, PAGE_BYTES), POOL_BYTES + 2 * MAX_REGION_BYTES);
    cache.start = must_alloc(bytes);
    cache.end = cache.start + bytes;
    if (host_failed(
            hostcall(__NR_mprotect, cache.start, bytes, PROT_READ | PROT_WRITE | PROT_EXEC)))
        die(125, "the host does not allow memory that is writable and executable");
    cache.feat = detect_features();
    cache.hash = must_alloc((HASH_SIZE + HASH_PROBES) * sizeof(*cache.hash));
    cache.regions = must_alloc(MAX_REGIONS * sizeof(*cache.regions));
    cache.nodes = must_alloc(MAX_PAGE_NODES * sizeof(*cache.nodes));
    cache.buckets = must_alloc(PAGE_BUCKETS * sizeof(*cache.buckets));
    cache.tagged = must_alloc(MAX_TAGGED_SITES * sizeof(*cache.tagged));
    uint64_t meta = 64ull << 20;
    cache.meta = must_alloc(meta);
    cache.meta_end = cache.meta + meta;
    cache.builder = must_alloc(sizeof(*cache.builder));
    cache.builder->precise_flags = options.precise_flags;
    cache.builder->executable = exec_map_has;
    cache.builder->read_code = read_code;
    cache.builder->masks_tags = cache_masks_tags;
    cache.builder->fp_traps = cache_fp_site;
    cache.builder->constant = pool_constant;
    cache.builder->image_base = image_self();
    cache.builder->in_vdso = engine_hooks.in_vdso;
    cache.builder->vdso_call = engine_hooks.vdso_call;
    cache_clear();
}
