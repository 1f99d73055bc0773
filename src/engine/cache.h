/*
 * cache.h - the code cache and what is known about the translations in it. Everything here is under
 * engine_lock, except cache_lookup and cache_region_at, which read what only grows between world
 * stops.
 */
#ifndef ELFUSE_ENGINE_CACHE_H
#define ELFUSE_ENGINE_CACHE_H

#include "engine/engine.h"
#include "translate/region.h"

struct thread;

/* A translation in the cache. */
struct region {
    guest_addr pc, lo, hi; /* entry; the instructions lie in [lo, hi) */
    uint8_t *code;
    uint32_t code_bytes;
    uint16_t boundary_count, entry_count;
    bool dead; /* invalidated: its entry now leads to the dispatcher */
    struct boundary *boundaries;
    struct region_entry *entries;
    const uint8_t (*maps)[32]; /* where X registers are, by the boundary's map number */
};

struct cache_stats {
    uint64_t regions, insns, code_bytes, translate_ns, flushes, invalidations, links;
};

extern struct lock engine_lock;
extern struct cache_stats cache_stats;

void cache_init(uint64_t bytes);
/* Tells a thread's cpu where the look-up table is. */
void cache_init_cpu(struct cpu *cpu);
/* The host code of pc, if there is any. */
const void *cache_lookup(guest_addr pc);
/* Translates pc. NULL: pc is not executable or not readable. Call with engine_lock held. */
const void *cache_translate(struct thread *t, guest_addr pc);
/* The region whose code contains host; NULL outside of translated code. */
const struct region *cache_region_at(const void *host);
bool cache_contains(const void *host);
/* The last boundary at or before host, and whether host is exactly there. */
const struct boundary *cache_boundary(const struct region *r, const void *host, bool *exact);
/* Makes a linked exit jump straight to host. */
void cache_link(struct link_data *data, const void *host);
/* Is host the entry of a region that starts at pc (a target that links may jump to)? */
bool cache_is_entry(guest_addr pc, const void *host);
/* Drops what was translated from these pages. engine_lock is held. */
void cache_invalidate_pages(struct thread *t, guest_addr start, uint64_t bytes);
/* From now on translations mind FPCR.DN and FZ; those that do not are dropped. */
void cache_set_strict_fp(struct thread *t);
bool cache_is_strict_fp(void);
/* The FP instruction at pc trapped often: its translation must avoid that. 0: it did not; 2: it did
 * even so. */
unsigned cache_fp_site(guest_addr pc);
void cache_note_fp_site(struct thread *t, guest_addr pc);
/* The access at pc uses tagged addresses: its translation must mask them. */
bool cache_masks_tags(guest_addr pc);
void cache_mask_tags(struct thread *t, guest_addr pc);

static inline guest_addr boundary_pc(const struct region *r, const struct boundary *b) {
    return r->lo + ((b->pc_flags & 0x0ffffff8u) >> 1);
}
static inline const uint8_t *boundary_map(const struct region *r, const struct boundary *b) {
    return r->maps[b->pc_flags >> 28];
}
static inline enum flags_kind boundary_flags(const struct boundary *b) {
    return b->pc_flags & 3;
}
static inline bool boundary_saved(const struct boundary *b) {
    return b->pc_flags & 4;
}

/* ---- world.c: keeping other threads out of translated code ---- */
/* Waits until no other thread of this address space runs translated code, and keeps them out.
 * engine_lock is held. */
void world_stop(struct thread *self);
void world_resume(void);
void world_init(void);
/* Called by a thread with PENDING_STOP set, holding nothing: waits for the world to go on. */
void world_park(struct thread *t);
void world_add_thread(struct thread *t);
void world_remove_thread(struct thread *t);
/* Calls fn for each thread, self included. The world is stopped, or the thread list is locked by
 * it. */
void world_each(void (*fn)(struct thread *t, void *arg), void *arg);
unsigned world_count(void);
/* Called before the address space gets its second thread: what world_stop's barrier needs. */
void world_prepare_threads(void);
/* Takes a task off the list that left this memory without a word: it was killed, or executed
 * another program. NULL: there is none. */
struct thread *world_take_dead(void);
/* A task of this address space is gone, by whatever means: releases the engine's locks it held. */
void world_forget(const struct thread *t);
void world_fork_prepare(void);
void world_fork_parent(void);
void world_fork_child(struct thread *self);

#endif
