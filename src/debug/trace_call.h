/*
 * trace_call.h - a system call as --trace sees it, and what shows its arguments.
 */
#ifndef ELFUSE_DEBUG_TRACE_CALL_H
#define ELFUSE_DEBUG_TRACE_CALL_H

#include "debug/line.h"

struct call {
    uint32_t nr;
    const uint64_t *a; /* X0-X5 */
    bool done;         /* it returned: `result` is valid, and structures it writes can be shown */
    int64_t result;
};

enum direction { DIRECTION_n, DIRECTION_i, DIRECTION_o };

enum kind {
#define KIND(name, pointer) KIND_##name,
#include "linux/kinds.def"
#undef KIND
};

/* A structure at a guest address (trace_structs.c). n: elements, or bytes, where the kind has a
 * length. */
void put_struct(struct line *l, const struct call *c, enum kind kind, guest_addr at, uint64_t n);
void put_siginfo(struct line *l, const void *siginfo);

/* Arguments whose meaning another one gives (trace_special.c). */
void put_ioctl(struct line *l, uint64_t request);
void put_ioctl_argument(struct line *l, const struct call *c, uint64_t request, uint64_t argument);
void put_fcntl_argument(struct line *l, const struct call *c, uint64_t command, uint64_t argument);
void put_prctl_argument(struct line *l, const struct call *c, uint64_t option, uint64_t argument);
void put_socket_option(struct line *l, uint64_t level, uint64_t option);
void put_clone_flags(struct line *l, uint64_t flags);
void put_socket_type(struct line *l, uint64_t type);
void put_open_flags(struct line *l, uint64_t flags);
void put_futex_op(struct line *l, uint64_t op);
void put_futex_time(struct line *l, const struct call *c);

#endif
