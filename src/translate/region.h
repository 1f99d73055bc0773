/*
 * region.h - the unit of translation.
 *
 * A region is what direct branches reach from an entry pc: an array of decoded instructions in
 * address order (rotated so that the entry comes first), each with the notes the analyses leave.
 * Loops and if/else stay inside, with direct jumps; BL and BLR continue behind the call; everything
 * else leaves through an exit.
 *
 * Rules of the emitted code:
 *  - The entry (offset 0) and every call's return point expect NZCV in cpu->nzcv, EFLAGS free, X
 * and V registers in their fixed places. Every other block leader has its NZCV where the first edge
 * to it left it (settle_flags).
 *  - boundaries[] maps host offsets to guest instructions: at a boundary's host offset the guest
 * state is exactly that before the guest instruction; a host fault belongs to the last boundary at
 * or before it.
 *  - Cold code (exits, edges that must save flags) follows the hot code.
 */
#ifndef ELFUSE_TRANSLATE_REGION_H
#define ELFUSE_TRANSLATE_REGION_H

#include "translate/lower.h"

#define REGION_MAX_INSNS   512
#define REGION_WINDOW      (1 << 13) /* instructions around the entry that may belong to the region */
#define REGION_MAX_ENTRIES 128       /* return points made known to the dispatcher */
#define REGION_MAX_BOUNDARIES \
    (REGION_MAX_INSNS * 3 + 1) /* one an instruction, and one each time its EFLAGS move */
#define REGION_MAX_COLD  1600
#define REGION_MAX_MAPS  16 /* register maps: the fixed one and those of loops */
#define REGION_MAX_PAGES 16 /* distinct guest pages a region reads, scanned targets included */

/* One decoded instruction with its notes. */
struct insn {
    guest_addr pc;
    uint32_t word;
    uint16_t op;          /* enum a64_op */
    int16_t target;       /* index of the direct branch target inside the region, or -1 */
    int16_t next;         /* index of pc + 4 inside the region, or -1 */
    uint8_t predecessors; /* edges into it, saturating; the entry and return points count 2 */
    bool leader;          /* a branch target, or follows a block end */
    bool tight_loop;      /* head of an innermost loop that does not leave the region */
    bool loop_head;       /* target of a backward branch */
    bool live_in;         /* NZCV may be read before it is written, from here on */
    bool live_out;
    bool read_in;            /* an instruction of the region may so read it */
    bool target_reads_flags; /* for a branch out of the region: may its target read NZCV? */
    bool next_reads_flags;   /* the same for pc + 4 out of the region */
    bool mask_tags;
    uint8_t map;              /* index in maps[]: where X registers are (loops.c) */
    enum flags_kind in_flags; /* where NZCV is at a leader's start */
    bool in_saved;
    uint32_t zero8, zero4; /* V registers known to be zero above 8, above 4 bytes (vzero.c) */
    bool in_known;         /* in_flags and in_saved are settled */
    struct x64_label label;
};

/* Guest instruction `pc` starts at host offset `host`, with EFLAGS holding NZCV in form `flags`. */
struct boundary {
    uint32_t host;
    uint32_t
        pc_flags; /* (pc - lo) << 1 (pc is a multiple of 4) | flags_kind (2 bits) | saved << 2 */
};

/* Cold code owed. */
struct cold {
    enum { COLD_LINK, COLD_EDGE, COLD_RETURN, COLD_DISPATCH, COLD_DISPATCH_CALL, COLD_EXIT } kind;
    uint8_t *field;         /* rel32 to patch to the cold code, when not label */
    struct x64_label label; /* bound at the cold code */
    struct x64_label back;  /* where to go on: DISPATCH_CALL's return point */
    guest_addr target;      /* LINK; EXIT: the instruction */
    int16_t index;          /* EDGE: insn */
    uint8_t map;            /* in use where control comes from */
    bool moves_flags;       /* NZCV's place changes on the way, from: */
    enum flags_kind flags;
    bool flags_saved;
    uint32_t reason; /* EXIT */
};

/* A pc of the region known to the dispatcher, besides the entry. */
struct region_entry {
    guest_addr pc;
    uint32_t host;
};

struct region_builder {
    struct x64_asm a;
    guest_addr entry;
    unsigned count, limit;
    struct insn insns[REGION_MAX_INSNS + 1];
    guest_addr lo, hi; /* of the instructions: [lo, hi) */
    unsigned boundary_count;
    struct boundary boundaries[REGION_MAX_BOUNDARIES];
    unsigned entry_count;
    struct region_entry entries[REGION_MAX_ENTRIES];
    unsigned map_count;
    uint8_t maps[REGION_MAX_MAPS][32];
    unsigned cold_count;
    struct cold cold[REGION_MAX_COLD];
    unsigned page_count;
    guest_addr pages[REGION_MAX_PAGES];

    /* discovery */
    struct found {
        uint32_t word;
        uint16_t op;
    } found[REGION_MAX_INSNS]; /* in the order of discovery */
    uint32_t stamp;            /* generation in the high half of window[] */
    uint32_t window[REGION_WINDOW];
    guest_addr window_start;
    unsigned work_count;
    guest_addr work[REGION_MAX_INSNS + 8];
    guest_addr chunk_start; /* of the guest code bytes in chunk[]; 1: none */
    bool chunk_valid;
    uint32_t chunk[64];

    /* given by the engine */
    unsigned (*fp_traps)(guest_addr pc); /* has this FP instruction trapped often? NULL: none */
    bool strict_fp;                      /* some thread has set FPCR.DN or FZ: see lower_fp.c */
    bool precise_flags;                  /* a fault shows NZCV even where it is dead */
    bool (*executable)(guest_addr pc);
    bool (*read_code)(void *dst, guest_addr src, size_t bytes);
    bool (*masks_tags)(
        guest_addr pc); /* has this access been seen to use a tagged address? NULL: none */
    x64_rm (*constant)(struct x64_asm *a, uint64_t lo, uint64_t hi);
    bool (*in_vdso)(guest_addr pc); /* HLT there calls vdso_call; NULL: nowhere */
    helper_fn *vdso_call;
    const uint8_t *image_base;
};

/*
 * Translates the region at pc into b->a (initialised by the caller). Returns false when pc itself
 * cannot be fetched; check b->a.overflow for a full buffer.
 */
bool region_translate(struct region_builder *b, guest_addr pc);

/* Reads the instruction at pc; false if it is not executable or not readable. */
bool region_fetch(struct region_builder *b, guest_addr pc, uint32_t *word);

/* region.c, for the branch lowerings */
void region_discover(struct region_builder *b, guest_addr entry);
void region_analyse_flags(struct region_builder *b);
/* vzero.c: fills zero8 and zero4. */
void region_analyse_vectors(struct region_builder *b);
/* loops.c: gives call-free loops register maps; and the code that goes from one map to another
 * (EFLAGS, scratch kept). */
void region_plan_loops(struct region_builder *b);
void emit_map_change(struct region_builder *b, unsigned from, unsigned to);
struct cold *cold_add(struct region_builder *b, int kind);
void cold_emit(struct lower *l);

/* Direct control transfer to insn index (>= 0) or, when index < 0, to guest pc `target` outside. */
void edge_jump(struct lower *l, int index, guest_addr target, bool reads_flags);
/* Does edge_jump to l's branch target take less than 127 bytes, and emit a jump? */
bool edge_is_short(const struct lower *l);
void edge_cond(struct lower *l, struct cond c, int index, guest_addr target, bool reads_flags);
/* The direct branch target of a word, if it has one. */
bool branch_target(enum a64_op op, uint32_t word, guest_addr pc, guest_addr *target);
/* Does control also go on at pc + 4? */
bool branch_falls_through(enum a64_op op);

/* region.c: the guest state at this host offset is that before l's instruction, with l's present
 * flags. */
void mark_boundary(struct lower *l);
/* lower.c: save NZCV for a successor that may read it; the same as cold code for a given EFLAGS
 * form. */
void flags_save_for(struct lower *l, bool reads_flags);
/* Moves NZCV from one place (EFLAGS of a kind, and/or memory) to another; FLAGS_NONE means memory.
 * May use RAX, RCX. */
void emit_flags_change(struct x64_asm *a, enum flags_kind from, bool saved, enum flags_kind to);

extern lower_fn *const lower_table[A64_OP_COUNT];

#endif
