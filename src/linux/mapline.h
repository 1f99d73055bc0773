/* mapline.h - reading a line of /proc/PID/maps. Pure. */
#ifndef ELFUSE_LINUX_MAPLINE_H
#define ELFUSE_LINUX_MAPLINE_H

#include "base/base.h"

/* Reads lower-case hexadecimal digits; returns what stands behind them. */
static inline const char *map_hex(const char *p, uint64_t *value) {
    *value = 0;
    for (;; p++) {
        if (*p >= '0' && *p <= '9')
            *value = *value << 4 | (uint64_t)(*p - '0');
        else if (*p >= 'a' && *p <= 'f')
            *value = *value << 4 | (uint64_t)(*p - 'a' + 10);
        else
            return p;
    }
}

/*
 * The extent of the mapping that a "start-end rwxp ..." line is about. Returns the protections'
 * first letter, or NULL when the line is another one (smaps has attributes).
 */
static inline const char *map_line(const char *line, guest_addr *start, guest_addr *end) {
    const char *p = map_hex(line, start);
    if (p == line || *p != '-')
        return NULL;
    const char *q = map_hex(p + 1, end);
    return q == p + 1 || *q != ' ' ? NULL : q + 1;
}

#endif
