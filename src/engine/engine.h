/*
 * engine.h - what the loader and the Linux layer ask of the engine.
 *
 * The runtime lives in one reserved range of the address space (its copied image, the code cache,
 * tables, thread areas); guest mappings never overlap it and guest system calls never reach it.
 */
#ifndef ELFUSE_ENGINE_H
#define ELFUSE_ENGINE_H

#include "base/base.h"
#include "engine/thread.h"

struct options {
    const char *sysroot; /* first place of absolute interpreter and library paths, or NULL */
    int trace_fd;        /* -1: off */
    int dump_fd;        /* translated code is written there as struct dump_record + code; -1: off */
    bool precise_flags; /* keep NZCV exact at faults, even where the program cannot read it */
    bool stats;         /* print translation figures at exit */
    uint32_t region_limit;     /* most guest instructions in a region; 0: default */
    uint64_t code_cache_bytes; /* 0: default */
    bool has_sigmask;          /* executed by a guest, with all signals blocked: this is its mask */
    uint64_t sigmask;
    const char *cpu_level; /* "v2", "v3", "v4" or NULL: the best the host has */
};
extern struct options options;

/* ---- the runtime's range (engine/space.c) ---- */
/* True when [start, start+bytes) touches the runtime's reserved range, or wraps. */
bool space_is_runtime(guest_addr start, uint64_t bytes);
/* The reserved range. */
void space_range(guest_addr *start, guest_addr *end);
/* Page-granular memory in the runtime's range, zeroed. NULL when it is exhausted. For tables and
 * buffers that live long. */
void *space_alloc(uint64_t bytes);
void space_free(void *p, uint64_t bytes);
/* A descriptor the runtime holds open, kept out of the guest's reach: the executable itself. -1:
 * none. */
int space_self_fd(void);
void space_move_self_fd(void); /* to another number, out of the guest's way */

/* arm64's untagged_addr(): clears the tag of a user address, leaves others alone (bit 55 set). */
static inline guest_addr untagged(guest_addr address) {
    return address & (uint64_t)((int64_t)(address << 8) >> 8);
}

/* ---- guest memory (engine/guestmem.S): access that may fault. 0 or -EFAULT; a fault leaves a part
 * copied. ---- */
int64_t copy_from_guest(void *dst, guest_addr src, uint64_t bytes);
int64_t copy_to_guest(guest_addr dst, const void *src, uint64_t bytes);
int64_t clear_guest(guest_addr dst, uint64_t bytes);
/* Copies a NUL-terminated string of at most size-1 bytes: its length, -EFAULT, or -ENAMETOOLONG. */
int64_t copy_string_from_guest(char *dst, guest_addr src, uint64_t size);

/* ---- executable memory (engine/execmap.c) ---- */
/*
 * The guest's mappings changed: [start, start+bytes) now is (is not) executable and its content is
 * new. Drops all translations made from that range, also in other threads, before it returns. The
 * host mapping must be in place already when exec, and not yet be gone when !exec.
 */
void exec_map_set(guest_addr start, uint64_t bytes, bool exec);
bool exec_map_has(guest_addr pc);
/* Guest code in the range was rewritten (IC IVAU, or a system call wrote there). */
void engine_invalidate(guest_addr start, uint64_t bytes);

/* ---- running (engine/run.c) ---- */
/* Runs the guest on this thread for ever, from t->cpu. */
NORETURN void engine_run(struct thread *t);
void engine_init(void);
/* Makes this process's engine fit for use in the only thread of a forked child; fork_prepare takes
 * all locks. */
void engine_fork_prepare(void);
void engine_fork_parent(void);
void engine_fork_child(struct thread *t);
void engine_print_stats(void);

#endif
