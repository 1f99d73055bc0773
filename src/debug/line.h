/*
 * line.h - one line of --trace: a bounded text, and how names, strings and numbers are written into
 * it.
 *
 * A line never grows beyond its buffer: what does not fit is dropped, except for the tail kept free
 * for the result.
 */
#ifndef ELFUSE_DEBUG_LINE_H
#define ELFUSE_DEBUG_LINE_H

#include "base/base.h"

#define LINE_BYTES   2048
#define LINE_TAIL    128 /* for the result */
#define STRING_SHOWN 32  /* bytes of a string or buffer, as strace */
#define PATH_SHOWN   256

struct line {
    uint32_t used, limit;
    char text[LINE_BYTES];
};

/* One set of names.def; names_none is empty. */
enum name_set {
    SET_none,
#define SET(name) SET_##name,
#define V(value, name)
#define END
#include "debug/names.def"
#undef SET
#undef V
#undef END
};

void line_start(struct line *l);
void put(struct line *l, const char *format, ...) PRINTF_LIKE(2, 3);

/* The name of a value in a set; NULL when it has none. */
const char *name_of(enum name_set set, uint64_t value);
/* A value by its name, or as 0x... with the set's kind as a comment. */
void put_enum(struct line *l, enum name_set set, uint64_t value);
/* A|B|0x8000: the names of the bits, and what has no name. A set's name for 0 stands alone. */
void put_flags(struct line *l, enum name_set set, uint64_t value);
void put_signal(struct line *l, uint64_t number);
/* [INT CHLD], or ~[KILL STOP] when most are in. */
void put_signal_set(struct line *l, uint64_t set);
void put_errno(struct line *l, int64_t number);
/* NULL or 0x... */
void put_address(struct line *l, uint64_t address);

/* The guest's bytes, quoted and escaped, at most `shown` of them and then "...". An address that
 * cannot be read is shown itself. */
void put_bytes(struct line *l, guest_addr from, uint64_t bytes, uint64_t shown);
/* The same for a NUL-terminated string. */
void put_string(struct line *l, guest_addr from, uint64_t shown);
/* Quotes bytes of the runtime's own. */
void put_quoted(struct line *l, const char *bytes, uint64_t n);

#endif
