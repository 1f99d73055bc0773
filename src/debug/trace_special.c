/*
 * trace_special.c - arguments that only another argument explains: commands of ioctl, fcntl and
 * prctl, socket options, the words of clone, socket, open and futex.
 */
#include "debug/trace_call.h"

#include "engine/engine.h"

/* ---- ioctl ---- */

void put_ioctl(struct line *l, uint64_t request) {
    static const char *const directions[] = {"_IO", "_IOW", "_IOR", "_IOWR"};
    uint32_t r = (uint32_t)request;
    const char *name = name_of(SET_ioctl, r);
    if (name) {
        put(l, "%s", name);
        return;
    }
    /* asm-generic/ioctl.h: direction 31-30, size 29-16, type 15-8, number 7-0 */
    unsigned type = r >> 8 & 0xff, number = r & 0xff, size = r >> 16 & 0x3fff;
    put(l, type > ' ' && type < 0x7f ? "%s('%c', 0x%x" : "%s(0x%x, 0x%x", directions[r >> 30], type,
        number);
    put(l, size ? ", 0x%x)" : ")", size);
}

/* An int at `at`, in brackets. */
static void put_int_at(struct line *l, guest_addr at) {
    int32_t value;
    if (!at || copy_from_guest(&value, at, sizeof(value)))
        put_address(l, at);
    else
        put(l, "[%d]", value);
}

enum { /* asm-generic/ioctls.h */
       TIOCGPGRP = 0x540f,
       TIOCSPGRP = 0x5410,
       TIOCOUTQ = 0x5411,
       TIOCGWINSZ = 0x5413,
       TIOCSWINSZ = 0x5414,
       FIONREAD = 0x541b,
       FIONBIO = 0x5421,
       TIOCGSID = 0x5429,
       FIONCLEX = 0x5450,
       FIOCLEX = 0x5451,
       FIOASYNC = 0x5452,
       FIOSETOWN = 0x8901,
       SIOCSPGRP = 0x8902,
       FIOGETOWN = 0x8903,
       SIOCGPGRP = 0x8904,
       TIOCSPTLCK = 0x40045431,
};
#define TIOCGPTN 0x80045430u

void put_ioctl_argument(struct line *l, const struct call *c, uint64_t request, uint64_t argument) {
    bool written = c->done && c->result >= 0;
    switch ((uint32_t)request) {
    case FIONBIO:
    case FIOASYNC:
    case TIOCSPGRP:
    case FIOSETOWN:
    case SIOCSPGRP:
    case TIOCSPTLCK:
        put_int_at(l, argument);
        return;
    case FIONREAD:
    case TIOCOUTQ:
    case TIOCGPGRP:
    case TIOCGSID:
    case FIOGETOWN:
    case SIOCGPGRP:
    case TIOCGPTN:
        if (written)
            put_int_at(l, argument);
        else
            put_address(l, argument);
        return;
    case TIOCGWINSZ:
    case TIOCSWINSZ: {
        uint16_t w[4];
        if ((request == TIOCGWINSZ && !written) || copy_from_guest(w, argument, sizeof(w)))
            put_address(l, argument);
        else
            put(l, "{ws_row=%u, ws_col=%u, ws_xpixel=%u, ws_ypixel=%u}", w[0], w[1], w[2], w[3]);
        return;
    }
    default:
        put_address(l, argument);
    }
}

/* ---- fcntl ---- */

enum { /* asm-generic/fcntl.h, linux/fcntl.h */
       F_DUPFD,
       F_GETFD,
       F_SETFD,
       F_GETFL,
       F_SETFL,
       F_GETLK,
       F_SETLK,
       F_SETLKW,
       F_SETOWN,
       F_GETOWN,
       F_SETSIG,
       F_GETSIG,
       F_SETOWN_EX = 15,
       F_GETOWN_EX,
       F_OFD_GETLK = 36,
       F_OFD_SETLK,
       F_OFD_SETLKW,
       F_SETLEASE = 1024,
       F_GETLEASE,
       F_DUPFD_CLOEXEC = 1030,
       F_SETPIPE_SZ,
       F_GETPIPE_SZ,
       F_ADD_SEALS,
       F_GET_SEALS,
};

static void put_flock(struct line *l, guest_addr at) {
    struct {
        int16_t type, whence;
        int32_t pad;
        int64_t start, len;
        int32_t pid;
    } f;
    if (copy_from_guest(&f, at, sizeof(f))) {
        put_address(l, at);
        return;
    }
    put(l, "{l_type=");
    put_enum(l, SET_lock_type, (uint16_t)f.type);
    put(l, ", l_whence=");
    put_enum(l, SET_seek, (uint16_t)f.whence);
    put(l, ", l_start=%lld, l_len=%lld, l_pid=%d}", (long long)f.start, (long long)f.len, f.pid);
}

static void put_owner(struct line *l, guest_addr at) {
    int32_t owner[2];
    if (copy_from_guest(owner, at, sizeof(owner))) {
        put_address(l, at);
        return;
    }
    put(l, "{type=");
    put_enum(l, SET_owner_type, (uint32_t)owner[0]);
    put(l, ", pid=%d}", owner[1]);
}

void put_fcntl_argument(struct line *l, const struct call *c, uint64_t command, uint64_t argument) {
    switch ((int32_t)command) {
    case F_SETFD:
        put_flags(l, SET_fd_flags, (uint32_t)argument);
        return;
    case F_SETFL:
        put_open_flags(l, (uint32_t)argument);
        return;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        put_flock(l, argument);
        return;
    case F_SETSIG:
        put_signal(l, argument);
        return;
    case F_SETOWN_EX:
        put_owner(l, argument);
        return;
    case F_GETOWN_EX:
        if (c->done && c->result >= 0)
            put_owner(l, argument);
        else
            put_address(l, argument);
        return;
    case F_SETLEASE:
        put_enum(l, SET_lock_type, (uint32_t)argument);
        return;
    case F_ADD_SEALS:
        put_flags(l, SET_seals, (uint32_t)argument);
        return;
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
    case F_SETOWN:
    case F_SETPIPE_SZ:
        put(l, "%d", (int32_t)argument);
        return;
    default:
        put(l, "0x%llx", (unsigned long long)argument);
    }
}

/* ---- prctl ---- */

void put_prctl_argument(struct line *l, const struct call *c, uint64_t option, uint64_t argument) {
    enum { PR_SET_PDEATHSIG = 1, PR_GET_PDEATHSIG, PR_SET_NAME = 15, PR_GET_NAME };
    bool written = c->done && c->result >= 0;
    if ((int32_t)option == PR_SET_NAME || ((int32_t)option == PR_GET_NAME && written))
        put_string(l, argument, 16);
    else if ((int32_t)option == PR_SET_PDEATHSIG)
        put_signal(l, argument);
    else if ((int32_t)option == PR_GET_PDEATHSIG && written)
        put_int_at(l, argument);
    else
        put(l, argument < 10 ? "%llu" : "0x%llx", (unsigned long long)argument);
}

/* ---- flag words made of parts ---- */

void put_open_flags(struct line *l, uint64_t flags) {
    put_enum(l, SET_open_mode, flags & 3);
    if (flags & ~3ull) {
        put(l, "|");
        put_flags(l, SET_open, flags & ~3ull);
    }
}

void put_clone_flags(struct line *l, uint64_t flags) {
    if (flags & ~0xffull)
        put_flags(l, SET_clone, flags & ~0xffull);
    if (flags & 0xff) {
        put(l, flags & ~0xffull ? "|" : "");
        put_signal(l, flags & 0xff);
    } else if (!flags) {
        put(l, "0");
    }
}

void put_socket_type(struct line *l, uint64_t type) {
    put_enum(l, SET_socktype, type & 0xf);
    if ((uint32_t)type & ~0xfu) {
        put(l, "|");
        put_flags(l, SET_sock, (uint32_t)type & ~0xfu);
    }
}

void put_socket_option(struct line *l, uint64_t level, uint64_t option) {
    enum { SOL_IP = 0, SOL_SOCKET = 1, SOL_TCP = 6, SOL_IPV6 = 41 };
    enum name_set set = SET_none;
    switch ((int32_t)level) {
    case SOL_SOCKET:
        set = SET_so;
        break;
    case SOL_TCP:
        set = SET_tcp;
        break;
    case SOL_IP:
        set = SET_ip;
        break;
    case SOL_IPV6:
        set = SET_ipv6;
        break;
    }
    put_enum(l, set, (uint32_t)option);
}

/* ---- futex ---- */

#define FUTEX_PRIVATE_FLAG   128
#define FUTEX_CLOCK_REALTIME 256

void put_futex_op(struct line *l, uint64_t op) {
    put_enum(l, SET_futex, op & 0x7f);
    put(l, "%s%s", op & FUTEX_PRIVATE_FLAG ? "_PRIVATE" : "",
        op & FUTEX_CLOCK_REALTIME ? "|FUTEX_CLOCK_REALTIME" : "");
}

void put_futex_time(struct line *l, const struct call *c) {
    enum { WAIT = 0, LOCK_PI = 6, WAIT_BITSET = 9, WAIT_REQUEUE_PI = 11, LOCK_PI2 = 13 };
    switch (c->a[1] & 0x7f) {
    case WAIT:
    case LOCK_PI:
    case WAIT_BITSET:
    case WAIT_REQUEUE_PI:
    case LOCK_PI2:
        put_struct(l, c, KIND_timespec, c->a[3], 0);
        return;
    default: /* val2 */
        put(l, "%u", (uint32_t)c->a[3]);
    }
}
