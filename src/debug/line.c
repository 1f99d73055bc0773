/*
 * line.c - see line.h.
 */
#include "debug/line.h"

#include <linux/errno.h>

#include "engine/engine.h"

void line_start(struct line *l) {
    l->used = 0;
    l->limit = LINE_BYTES - LINE_TAIL;
    l->text[0] = 0;
}

void put(struct line *l, const char *format, ...) {
    if (l->used + 1 >= l->limit)
        return;
    va_list ap;
    va_start(ap, format);
    int n = fmt_v(l->text + l->used, l->limit - l->used, format, ap);
    va_end(ap);
    if (n > 0)
        l->used = MIN(l->used + (uint32_t)n, l->limit - 1);
}

/* ---- names ---- */

struct name {
    uint64_t value;
    char text[32];
};

#define SET(set)       static const struct name set_##set[] = {
#define V(value, name) {value, #name},
#define END \
    }       \
    ;
#include "debug/names.def"
#undef SET
#undef V
#undef END

static const struct {
    const struct name *names;
    uint32_t count;
} sets[] = {
    {NULL, 0},
#define SET(set) {set_##set, ARRAY_SIZE(set_##set)},
#define V(value, name)
#define END
#include "debug/names.def"
#undef SET
#undef V
#undef END
};

const char *name_of(enum name_set set, uint64_t value) {
    for (uint32_t i = 0; i < sets[set].count; i++)
        if (sets[set].names[i].value == value)
            return sets[set].names[i].text;
    return NULL;
}

void put_enum(struct line *l, enum name_set set, uint64_t value) {
    const char *name = name_of(set, value);
    if (name)
        put(l, "%s", name);
    else
        put(l, value < 10 ? "%llu" : "0x%llx", (unsigned long long)value);
}

void put_flags(struct line *l, enum name_set set, uint64_t value) {
    const char *zero = name_of(set, 0);
    const char *separator = "";
    if (value == 0) {
        put(l, "%s", zero ? zero : "0");
        return;
    }
    for (uint32_t i = 0; i < sets[set].count; i++) {
        const struct name *n = &sets[set].names[i];
        if (n->value && (value & n->value) == n->value) {
            put(l, "%s%s", separator, n->text);
            separator = "|";
            value &= ~n->value;
        }
    }
    if (value)
        put(l, "%s0x%llx", separator, (unsigned long long)value);
}

void put_signal(struct line *l, uint64_t number) {
    const char *name = name_of(SET_sig, number);
    if (name)
        put(l, "%s", name);
    else if (number >= 32 && number <= 64)
        put(l, number == 32 ? "SIGRTMIN" : "SIGRT_%llu", (unsigned long long)number - 32);
    else
        put(l, "%lld", (long long)(int32_t)number);
}

void put_signal_set(struct line *l, uint64_t set) {
    bool most = __builtin_popcountll(set) > 32;
    if (most) {
        put(l, "~");
        set = ~set;
    }
    const char *separator = "[";
    for (unsigned sig = 1; sig <= 64; sig++) {
        if (!(set >> (sig - 1) & 1))
            continue;
        const char *name = name_of(SET_sig, sig);
        if (name)
            put(l, "%s%s", separator, name + 3);
        else
            put(l, sig == 32 ? "%sRTMIN" : "%sRT_%u", separator, sig - 32);
        separator = " ";
    }
    put(l, *separator == '[' ? "[]" : "]");
}

static const struct {
    uint8_t number;
    char name[16], text[52];
} errors[] = {
#define ERROR(number, name, text) {number, #name, text},
#include "debug/errors.def"
#undef ERROR
};

void put_errno(struct line *l, int64_t number) {
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        if (errors[i].number == number) {
            put(l, "%s (%s)", errors[i].name, errors[i].text);
            return;
        }
    }
    put(l, "errno %lld", (long long)number);
}

void put_address(struct line *l, uint64_t address) {
    if (address)
        put(l, "0x%llx", (unsigned long long)address);
    else
        put(l, "NULL");
}

/* ---- strings ---- */

void put_quoted(struct line *l, const char *bytes, uint64_t n) {
    put(l, "\"");
    for (uint64_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        switch (c) {
        case '\n':
            put(l, "\\n");
            break;
        case '\t':
            put(l, "\\t");
            break;
        case '\r':
            put(l, "\\r");
            break;
        case '"':
        case '\\':
            put(l, "\\%c", c);
            break;
        default:
            if (c >= ' ' && c < 0x7f)
                put(l, "%c", c);
            else /* three digits where the next would be read as part of the number */
                put(l, i + 1 < n && bytes[i + 1] >= '0' && bytes[i + 1] <= '7' ? "\\%03o" : "\\%o",
                    c);
        }
    }
    put(l, "\"");
}

void put_bytes(struct line *l, guest_addr from, uint64_t bytes, uint64_t shown) {
    char copy[PATH_SHOWN];
    uint64_t n = MIN(MIN(bytes, shown), sizeof(copy));
    if (!from || copy_from_guest(copy, from, n)) {
        put_address(l, from);
        return;
    }
    put_quoted(l, copy, n);
    if (n < bytes)
        put(l, "...");
}

void put_string(struct line *l, guest_addr from, uint64_t shown) {
    char copy[PATH_SHOWN + 1];
    int64_t n = from ? copy_string_from_guest(copy, from, MIN(shown + 1, sizeof(copy))) : -EFAULT;
    if (n == -ENAMETOOLONG) { /* the string goes on behind what was asked for */
        uint64_t part = MIN(shown, sizeof(copy) - 1);
        put_bytes(l, from, part + 1, part);
    } else if (n < 0) {
        put_address(l, from);
    } else {
        put_quoted(l, copy, (uint64_t)n);
    }
}
