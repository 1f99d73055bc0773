/*
 * trace_structs.c - structures of the guest, as --trace shows them. Each is copied from the guest
 * first; what cannot be read is shown as its address.
 */
#include <linux/stat.h>

#include "debug/trace_call.h"
#include "engine/engine.h"
#include "linux/abi.h"

#define ELEMENTS_SHOWN 8 /* of an array */

static void put_timespec(struct line *l, const int64_t ts[2]) {
    put(l, "{tv_sec=%lld, tv_nsec=%lld}", (long long)ts[0], (long long)ts[1]);
}

static void put_timeval(struct line *l, const int64_t tv[2]) {
    put(l, "{tv_sec=%lld, tv_usec=%lld}", (long long)tv[0], (long long)tv[1]);
}

static void put_mode(struct line *l, uint32_t mode) {
    put_enum(l, SET_file_type, mode & 0170000);
    put(l, "|%#o", mode & 07777);
}

static void put_stat(struct line *l, const struct guest_stat *s) {
    put(l, "{st_mode=");
    put_mode(l, s->st_mode);
    uint32_t type = s->st_mode & 0170000;
    if (type == 020000 || type == 060000)
        put(l, ", st_rdev=0x%llx, ...}", (unsigned long long)s->st_rdev);
    else
        put(l, ", st_size=%lld, ...}", (long long)s->st_size);
}

/* ---- sockets ---- */

static void put_sockaddr(struct line *l, guest_addr at, uint64_t bytes) {
    union {
        uint16_t family;
        uint8_t b[128];
        char c[128];
    } s;
    memset(&s, 0, sizeof(s));
    uint64_t n = MIN(bytes, sizeof(s));
    if (!at || copy_from_guest(&s, at, n) || n < sizeof(s.family)) {
        put_address(l, at);
        return;
    }
    put(l, "{sa_family=");
    put_enum(l, SET_af, s.family);
    unsigned port = (unsigned)s.b[2] << 8 | s.b[3];
    if (s.family == 2 /* AF_INET */ && n >= 8) {
        put(l, ", sin_port=htons(%u), sin_addr=inet_addr(\"%u.%u.%u.%u\")", port, s.b[4], s.b[5],
            s.b[6], s.b[7]);
    } else if (s.family == 10 /* AF_INET6 */ && n >= 24) {
        put(l, ", sin6_port=htons(%u), sin6_addr=[", port);
        for (int i = 0; i < 8; i++)
            put(l, "%s%x", i ? ":" : "", (unsigned)s.b[8 + 2 * i] << 8 | s.b[9 + 2 * i]);
        put(l, "]");
    } else if (s.family == 1 /* AF_UNIX */ && n > 2) {
        if (s.c[2]) {
            put(l, ", sun_path=");
            put_quoted(l, s.c + 2, strnlen(s.c + 2, n - 2));
        } else {
            put(l, ", sun_path=@");
            put_quoted(l, s.c + 3, n - 3);
        }
    } else if (n > 2) {
        put(l, ", sa_data=");
        put_quoted(l, s.c + 2, MIN(n - 2, (uint64_t)14));
    }
    put(l, "}");
}

/* iovecs; of their bytes only the first `bytes` in all are data. */
static void put_iovecs(struct line *l, guest_addr at, uint64_t count, uint64_t bytes) {
    if (!at || count > 1024) {
        put_address(l, at);
        return;
    }
    put(l, "[");
    for (uint64_t i = 0; i < count; i++) {
        struct {
            guest_addr base;
            uint64_t len;
        } v;
        if (i == ELEMENTS_SHOWN) {
            put(l, ", ...");
            break;
        }
        if (copy_from_guest(&v, at + i * sizeof(v), sizeof(v))) {
            put(l, "%s0x%llx", i ? ", " : "", (unsigned long long)at + sizeof(v) * i);
            break;
        }
        uint64_t data = MIN(v.len, bytes);
        bytes -= data;
        put(l, "%s{iov_base=", i ? ", " : "");
        put_bytes(l, v.base, data, STRING_SHOWN);
        put(l, ", iov_len=%llu}", (unsigned long long)v.len);
    }
    put(l, "]");
}

static void put_control(struct line *l, guest_addr at, uint64_t bytes) {
    struct {
        uint64_t len;
        int32_t level, type;
    } head;
    put(l, "[");
    for (unsigned shown = 0; bytes >= sizeof(head); shown++) {
        if (shown == ELEMENTS_SHOWN || copy_from_guest(&head, at, sizeof(head)) ||
            head.len < sizeof(head)) {
            put(l, "...");
            break;
        }
        put(l, "%s{cmsg_len=%llu, cmsg_level=", shown ? ", " : "", (unsigned long long)head.len);
        put_enum(l, SET_sol, (uint32_t)head.level);
        put(l, ", cmsg_type=");
        put_enum(l, head.level == 1 ? SET_scm : SET_none, (uint32_t)head.type);
        uint64_t data = MIN(head.len, bytes) - sizeof(head);
        if (head.level == 1 && head.type == 1 /* SCM_RIGHTS */) {
            put(l, ", cmsg_data=[");
            for (uint64_t i = 0; i < MIN(data / 4, (uint64_t)ELEMENTS_SHOWN); i++) {
                int32_t fd = -1;
                copy_from_guest(&fd, at + sizeof(head) + i * 4, 4);
                put(l, i ? ", %d" : "%d", fd);
            }
            put(l, "]");
        }
        put(l, "}");
        uint64_t step = ALIGN_UP(head.len, 8);
        if (step < head.len || step >= bytes)
            break;
        at += step;
        bytes -= step;
    }
    put(l, "]");
}

struct msghdr {
    guest_addr name;
    uint32_t name_len, pad0;
    guest_addr iov;
    uint64_t iov_len;
    guest_addr control;
    uint64_t control_len;
    uint32_t flags, pad1;
};

static void put_msghdr(struct line *l, const struct msghdr *m, uint64_t bytes) {
    put(l, "{msg_name=");
    put_sockaddr(l, m->name, m->name_len);
    put(l, ", msg_namelen=%u, msg_iov=", m->name_len);
    put_iovecs(l, m->iov, m->iov_len, bytes);
    put(l, ", msg_iovlen=%llu", (unsigned long long)m->iov_len);
    if (m->control && m->control_len) {
        put(l, ", msg_control=");
        put_control(l, m->control, m->control_len);
    }
    put(l, ", msg_controllen=%llu, msg_flags=", (unsigned long long)m->control_len);
    put_flags(l, SET_msg, m->flags);
    put(l, "}");
}

/* ---- signals ---- */

static void put_sigaction(struct line *l, const struct guest_sigaction *s) {
    put(l, "{sa_handler=");
    if (s->handler <= 1)
        put(l, s->handler ? "SIG_IGN" : "SIG_DFL");
    else
        put_address(l, s->handler);
    put(l, ", sa_mask=");
    put_signal_set(l, s->mask);
    put(l, ", sa_flags=");
    put_flags(l, SET_sigaction, s->flags);
    put(l, "}");
}

void put_siginfo(struct line *l, const void *siginfo) {
    enum { ILL = 4, TRAP = 5, BUS = 7, FPE = 8, SEGV = 11, CHLD = 17, IO = 29 };
    const struct guest_siginfo *s = siginfo;
    enum name_set set = SET_none;
    const int32_t *fields = (const int32_t *)s->words;
    switch (s->si_signo) {
    case ILL:
        set = SET_ill;
        break;
    case TRAP:
        set = SET_trap;
        break;
    case BUS:
        set = SET_bus;
        break;
    case FPE:
        set = SET_fpe;
        break;
    case SEGV:
        set = SET_segv;
        break;
    case CHLD:
        set = SET_cld;
        break;
    case IO:
        set = SET_pollsi;
        break;
    }
    put(l, "{si_signo=");
    put_signal(l, (uint64_t)s->si_signo);
    put(l, ", si_code=");
    bool from_kernel = s->si_code > 0 && s->si_code != 0x80;
    if (from_kernel && set == SET_none && s->si_signo >= 32 && s->si_code <= 6)
        set = SET_pollsi; /* F_SETSIG's signal */
    put_enum(l, from_kernel ? set : SET_si_code, (uint32_t)s->si_code);
    if (from_kernel && set == SET_cld) {
        put(l, ", si_pid=%d, si_uid=%u, si_status=", fields[0], (uint32_t)fields[1]);
        if (s->si_code == 1 /* CLD_EXITED */)
            put(l, "%d", fields[2]);
        else
            put_signal(l, (uint64_t)fields[2]);
    } else if (from_kernel && set == SET_pollsi) {
        put(l, ", si_band=%#llx, si_fd=%d", (unsigned long long)s->words[0], fields[2]);
    } else if (from_kernel && set != SET_none) {
        put(l, ", si_addr=");
        put_address(l, s->addr);
    } else if (s->si_code == -2 /* SI_TIMER */) {
        put(l, ", si_timerid=%d, si_overrun=%d, si_value=%#llx", fields[0], fields[1],
            (unsigned long long)s->words[1]);
    } else if (s->si_code <= 0) {
        put(l, ", si_pid=%d, si_uid=%u", fields[0], (uint32_t)fields[1]);
        if (s->si_code == -1)
            put(l, ", si_value=%#llx", (unsigned long long)s->words[1]);
    }
    put(l, "}");
}

static void put_wait_status(struct line *l, uint32_t s) {
    if ((s & 0x7f) == 0) {
        put(l, "[{WIFEXITED(s) && WEXITSTATUS(s) == %u}]", s >> 8 & 0xff);
    } else if (s == 0xffff) {
        put(l, "[{WIFCONTINUED(s)}]");
    } else if ((s & 0xff) == 0x7f) {
        put(l, "[{WIFSTOPPED(s) && WSTOPSIG(s) == ");
        put_signal(l, s >> 8 & 0xff);
        put(l, "}]");
    } else {
        put(l, "[{WIFSIGNALED(s) && WTERMSIG(s) == ");
        put_signal(l, s & 0x7f);
        put(l, s & 0x80 ? " && WCOREDUMP(s)}]" : "}]");
    }
}

/* ---- arrays ---- */

static void put_pollfds(struct line *l, const struct call *c, guest_addr at, uint64_t n) {
    put(l, "[");
    for (uint64_t i = 0; i < n; i++) {
        struct {
            int32_t fd;
            uint16_t events, revents;
        } p;
        if (i == ELEMENTS_SHOWN || copy_from_guest(&p, at + i * sizeof(p), sizeof(p))) {
            put(l, "%s...", i ? ", " : "");
            break;
        }
        put(l, "%s{fd=%d, events=", i ? ", " : "", p.fd);
        put_flags(l, SET_poll, p.events);
        if (c->done && c->result > 0) {
            put(l, ", revents=");
            put_flags(l, SET_poll, p.revents);
        }
        put(l, "}");
    }
    put(l, "]");
}

static void put_epoll_event(struct line *l, const struct guest_epoll_event *e) {
    put(l, "{events=");
    put_flags(l, SET_epoll, e->events);
    put(l, ", data=%#llx}", (unsigned long long)e->data);
}

static void put_epoll_events(struct line *l, guest_addr at, uint64_t n) {
    put(l, "[");
    for (uint64_t i = 0; i < n; i++) {
        struct guest_epoll_event e;
        if (i == ELEMENTS_SHOWN || copy_from_guest(&e, at + i * sizeof(e), sizeof(e))) {
            put(l, "%s...", i ? ", " : "");
            break;
        }
        put(l, "%s", i ? ", " : "");
        put_epoll_event(l, &e);
    }
    put(l, "]");
}

static void put_fd_set(struct line *l, guest_addr at, uint64_t n) {
    const char *separator = "[";
    uint64_t word = 0;
    for (uint64_t fd = 0; fd < MIN(n, (uint64_t)4096); fd++) {
        if (fd % 64 == 0 && copy_from_guest(&word, at + fd / 8, 8))
            break;
        if (word >> fd % 64 & 1) {
            put(l, "%s%llu", separator, (unsigned long long)fd);
            separator = " ";
        }
    }
    put(l, *separator == '[' ? "[]" : "]");
}

static void put_dirents(struct line *l, const struct call *c, guest_addr at) {
    unsigned entries = 0;
    for (int64_t offset = 0; offset < c->result; entries++) {
        uint16_t length;
        if (copy_from_guest(&length, at + (uint64_t)offset + 16, 2) || !length)
            break;
        offset += length;
    }
    put_address(l, at);
    put(l, " /* %u entries */", entries);
}

static void put_rlimit(struct line *l, const uint64_t limit[2]) {
    static const char *const names[] = {"{rlim_cur=", ", rlim_max="};
    for (int i = 0; i < 2; i++) {
        put(l, "%s", names[i]);
        if (limit[i] == UINT64_MAX)
            put(l, "RLIM64_INFINITY");
        else if (limit[i] && limit[i] % 1024 == 0)
            put(l, "%llu*1024", (unsigned long long)limit[i] / 1024);
        else
            put(l, "%llu", (unsigned long long)limit[i]);
    }
    put(l, "}");
}

static void put_clone_args(struct line *l, const uint64_t v[11], uint64_t bytes) {
    put(l, "{flags=");
    put_clone_flags(l, v[0]);
    put(l, ", exit_signal=");
    put_signal(l, v[4]);
    put(l, ", stack=");
    put_address(l, v[5]);
    put(l, ", stack_size=%#llx", (unsigned long long)v[6]);
    static const struct {
        uint8_t word;
        const char *name;
    } optional[] = {{1, "pidfd"}, {2, "child_tid"}, {3, "parent_tid"},
                    {7, "tls"},   {8, "set_tid"},   {10, "cgroup"}};
    for (size_t i = 0; i < ARRAY_SIZE(optional); i++)
        if (optional[i].word < bytes / 8 && v[optional[i].word])
            put(l, ", %s=%#llx", optional[i].name, (unsigned long long)v[optional[i].word]);
    put(l, "}");
}

/* ---- all ---- */

void put_struct(struct line *l, const struct call *c, enum kind kind, guest_addr at, uint64_t n) {
    union {
        int32_t i32[2];
        uint32_t u32;
        int64_t i64[18];
        uint64_t u64[18];
        struct guest_stat stat;
        struct statx statx;
        struct guest_sigaction action;
        struct guest_stack_t stack;
        struct guest_siginfo siginfo;
        struct guest_epoll_event epoll;
        struct msghdr msg;
        char uts[6][65];
        struct sigset_argument sigset;
        struct {
            uint16_t num;
            int16_t op, flags;
        } sembuf;
    } u;
    /* Bytes to read first; 0: the kind reads for itself. */
    uint64_t bytes = 0;
    switch (kind) {
    case KIND_intp:
    case KIND_wstatus:
        bytes = 4;
        break;
    case KIND_fdpair:
    case KIND_sigset:
    case KIND_cpuset:
    case KIND_ptr:
    case KIND_off:
        bytes = 8;
        break;
    case KIND_timespec:
    case KIND_timeval:
    case KIND_rlimit:
    case KIND_epoll_event:
    case KIND_sigset6:
    case KIND_sembuf:
        bytes = kind == KIND_sembuf ? 6 : 16;
        break;
    case KIND_timespec2:
    case KIND_itimerspec:
    case KIND_itimerval:
    case KIND_rusage:
    case KIND_sigaction:
        bytes = 32;
        break;
    case KIND_altstack:
    case KIND_sigevent:
    case KIND_open_how:
        bytes = 24;
        break;
    case KIND_stat:
        bytes = sizeof(u.stat);
        break;
    case KIND_statx:
        bytes = sizeof(u.statx);
        break;
    case KIND_statfs:
        bytes = 120;
        break;
    case KIND_siginfo:
        bytes = sizeof(u.siginfo);
        break;
    case KIND_msghdr:
    case KIND_mmsghdr:
        bytes = sizeof(u.msg);
        break;
    case KIND_utsname:
        bytes = sizeof(u.uts);
        break;
    case KIND_sysinfo:
        bytes = 112;
        break;
    case KIND_clone_args:
        bytes = MIN(n, (uint64_t)88);
        memset(&u, 0, sizeof(u));
        break;
    default:
        break;
    }
    if (!at || (bytes && copy_from_guest(&u, at, bytes))) {
        put_address(l, at);
        return;
    }
    switch (kind) {
    case KIND_intp:
        put(l, "[%d]", u.i32[0]);
        break;
    case KIND_ptr:
        put(l, "[%#llx]", (unsigned long long)u.u64[0]);
        break;
    case KIND_off:
        put(l, "[%lld]", (long long)u.i64[0]);
        break;
    case KIND_fdpair:
        put(l, "[%d, %d]", u.i32[0], u.i32[1]);
        break;
    case KIND_stat:
        put_stat(l, &u.stat);
        break;
    case KIND_statx:
        put(l, "{stx_mask=");
        put_flags(l, SET_statx, u.statx.stx_mask);
        put(l, ", stx_mode=");
        put_mode(l, u.statx.stx_mode);
        put(l, ", stx_size=%llu, ...}", (unsigned long long)u.statx.stx_size);
        break;
    case KIND_statfs:
        put(l, "{f_type=%#llx, f_bsize=%lld, f_blocks=%llu, f_bfree=%llu, ...}",
            (unsigned long long)u.u64[0], (long long)u.i64[1], (unsigned long long)u.u64[2],
            (unsigned long long)u.u64[3]);
        break;
    case KIND_dirents:
        put_dirents(l, c, at);
        break;
    case KIND_iovec:
        put_iovecs(l, at, n, c->done && c->result >= 0 ? (uint64_t)c->result : UINT64_MAX);
        break;
    case KIND_pollfd:
        put_pollfds(l, c, at, n);
        break;
    case KIND_fdset:
        put_fd_set(l, at, n);
        break;
    case KIND_epoll_event:
        put_epoll_event(l, &u.epoll);
        break;
    case KIND_epoll_events:
        put_epoll_events(l, at, (uint64_t)c->result);
        break;
    case KIND_timespec:
        put_timespec(l, u.i64);
        break;
    case KIND_timespec2:
        put(l, "[");
        put_timespec(l, u.i64);
        put(l, ", ");
        put_timespec(l, u.i64 + 2);
        put(l, "]");
        break;
    case KIND_timeval:
        put_timeval(l, u.i64);
        break;
    case KIND_itimerspec:
    case KIND_itimerval:
        put(l, "{it_interval=");
        (kind == KIND_itimerval ? put_timeval : put_timespec)(l, u.i64);
        put(l, ", it_value=");
        (kind == KIND_itimerval ? put_timeval : put_timespec)(l, u.i64 + 2);
        put(l, "}");
        break;
    case KIND_sigevent:
        put(l, "{sigev_value=%#llx, sigev_signo=", (unsigned long long)u.u64[0]);
        put_signal(l, (uint32_t)u.u64[1]);
        put(l, ", sigev_notify=");
        put_enum(l, SET_sigev, u.u64[1] >> 32);
        put(l, "}");
        break;
    case KIND_sigset:
        put_signal_set(l, u.u64[0]);
        break;
    case KIND_sigset6:
        put(l, "{sigmask=");
        put_struct(l, c, KIND_sigset, u.sigset.set, 0);
        put(l, ", sigsetsize=%llu}", (unsigned long long)u.sigset.bytes);
        break;
    case KIND_sigaction:
        put_sigaction(l, &u.action);
        break;
    case KIND_altstack:
        put(l, "{ss_sp=");
        put_address(l, u.stack.ss_sp);
        put(l, ", ss_flags=");
        put_flags(l, SET_altstack, (uint32_t)u.stack.ss_flags);
        put(l, ", ss_size=%llu}", (unsigned long long)u.stack.ss_size);
        break;
    case KIND_siginfo:
        put_siginfo(l, &u.siginfo);
        break;
    case KIND_sockaddr:
        put_sockaddr(l, at, n);
        break;
    case KIND_msghdr:
        put_msghdr(l, &u.msg, c->done && c->result >= 0 ? (uint64_t)c->result : UINT64_MAX);
        break;
    case KIND_mmsghdr:
        put(l, "[{msg_hdr=");
        put_msghdr(l, &u.msg, UINT64_MAX);
        put(l, n > 1 ? "}, ...]" : "}]");
        break;
    case KIND_rlimit:
        put_rlimit(l, u.u64);
        break;
    case KIND_rusage:
        put(l, "{ru_utime=");
        put_timeval(l, u.i64);
        put(l, ", ru_stime=");
        put_timeval(l, u.i64 + 2);
        put(l, ", ...}");
        break;
    case KIND_wstatus:
        put_wait_status(l, u.u32);
        break;
    case KIND_utsname:
        put(l, "{sysname=\"%s\", nodename=\"%s\", release=\"%s\", machine=\"%s\", ...}", u.uts[0],
            u.uts[1], u.uts[2], u.uts[4]);
        break;
    case KIND_sysinfo:
        put(l, "{uptime=%lld, totalram=%llu, freeram=%llu, ...}", (long long)u.i64[0],
            (unsigned long long)u.u64[4], (unsigned long long)u.u64[5]);
        break;
    case KIND_cpuset:
        put(l, "[%#llx]", (unsigned long long)u.u64[0]);
        break;
    case KIND_clone_args:
        put_clone_args(l, u.u64, bytes);
        break;
    case KIND_open_how:
        put(l, "{flags=");
        put_open_flags(l, u.u64[0]);
        put(l, ", mode=%#llo, resolve=", (unsigned long long)u.u64[1]);
        put_flags(l, SET_resolve, u.u64[2]);
        put(l, "}");
        break;
    case KIND_sembuf:
        put(l, "[{sem_num=%u, sem_op=%d, sem_flg=%#x}%s]", u.sembuf.num, u.sembuf.op,
            (unsigned)(uint16_t)u.sembuf.flags, n > 1 ? ", ..." : "");
        break;
    default:
        put_address(l, at);
    }
}
