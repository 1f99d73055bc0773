/*
 * trace.c - --trace: one line a system call, as strace writes it.
 *
 *   [tid] openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
 *   [tid] openat(AT_FDCWD, "/nothing", O_RDONLY) = -1 ENOENT (No such file or directory)
 *   [tid] --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, ...} ---
 *
 * A line is written when the call returns, with what it read and wrote. Two kinds of call are also
 * shown when they begin: those that do not return, and those that wait for something outside
 * without a limit known to be short, marked <unfinished ...>, so that the last line of a process
 * that is stuck says where.
 *
 * The line is built on the thread's C stack and written with one write(2): lines of threads and
 * processes do not mix (the file is opened for appending). Guest memory is only read through
 * copy_from_guest. How the arguments of a call are shown is said by linux/syscalls.def.
 */
#include "linux/trace.h"

#include <linux/errno.h>

#include "base/hostcall.h"
#include "debug/trace_call.h"
#include "syscall_numbers.inc"

enum result_form { RESULT_number, RESULT_fd, RESULT_sig, RESULT_hex, RESULT_oct };

struct argument {
    uint8_t direction, kind, set;
};

struct row {
    char name[24]; /* empty: no such call */
    uint8_t count, result;
    struct argument a[6];
};

static const struct row rows[NR_end] = {
#define A(direction, kind, set) \
    { DIRECTION_##direction, KIND_##kind, SET_##set }
#define NO_ARG \
    { 0, 0, 0 }
#define ROW(nr, name, host, decision, argc, result, ...) \
    [nr] = {#name, argc, result, {__VA_ARGS__}},
#include "syscall_rows.inc"
#undef ROW
#undef NO_ARG
#undef A
};

/* ---- arguments ---- */

static void put_string_vector(struct line *l, guest_addr at, bool shown) {
    enum { SHOWN = 16, COUNTED = 4096 };
    unsigned n = 0;
    if (!at) {
        put(l, "NULL");
        return;
    }
    put(l, shown ? "[" : "0x%llx", (unsigned long long)at);
    for (; n < COUNTED; n++) {
        guest_addr string;
        if (copy_from_guest(&string, at + 8ull * n, 8) || !string)
            break;
        if (shown && n < SHOWN) {
            put(l, n ? ", " : "");
            put_string(l, string, STRING_SHOWN);
        }
    }
    if (shown)
        put(l, n > SHOWN ? ", ...]" : "]");
    else
        put(l, " /* %u vars */", n);
}

/* Socket addresses that a call returns have their length at the pointer that follows. */
static uint64_t sockaddr_length(const struct call *c, int i, enum direction direction) {
    uint32_t length = (uint32_t)c->a[i + 1];
    if (direction == DIRECTION_o &&
        (!c->a[i + 1] || copy_from_guest(&length, c->a[i + 1], sizeof(length))))
        return 0;
    return length;
}

static void put_pointer(struct line *l, const struct call *c, int i, const struct argument *arg) {
    guest_addr at = c->a[i];
    uint64_t next = i < 5 ? c->a[i + 1] : 0;
    bool always = arg->kind == KIND_pollfd || arg->kind == KIND_fdset; /* read and written */
    /* The time left is written only by a sleep that a signal ended. */
    bool sleep = c->nr == NR_nanosleep || c->nr == NR_clock_nanosleep;
    bool written = c->done && (sleep ? c->result == -EINTR : c->result >= 0);
    if (arg->direction == DIRECTION_o && !always && !written) {
        put_address(l, at);
        return;
    }
    switch (arg->kind) {
    case KIND_str:
        put_string(l, at, PATH_SHOWN);
        return;
    case KIND_sockaddr:
        put_struct(l, c, arg->kind, at, sockaddr_length(c, i, arg->direction));
        return;
    case KIND_fdset:
        put_struct(l, c, arg->kind, at, MIN(c->a[0], (uint64_t)4096));
        return;
    case KIND_sockval: {
        uint32_t length = (uint32_t)next;
        if (arg->direction == DIRECTION_o && copy_from_guest(&length, next, sizeof(length)))
            length = 0;
        if (length == 4)
            put_struct(l, c, KIND_intp, at, 0);
        else
            put_bytes(l, at, length, STRING_SHOWN);
        return;
    }
    default:
        put_struct(l, c, arg->kind, at, next);
    }
}

static void put_argument(struct line *l, const struct call *c, int i) {
    const struct argument *arg = &rows[c->nr].a[i];
    uint64_t v = c->a[i], next = i < 5 ? c->a[i + 1] : 0;
    if (arg->direction != DIRECTION_n) {
        put_pointer(l, c, i, arg);
        return;
    }
    switch ((enum kind)arg->kind) {
    case KIND_int:
    case KIND_fd:
        put(l, "%d", (int32_t)v);
        break;
    case KIND_uint:
    case KIND_futexval:
        put(l, "%u", (uint32_t)v);
        break;
    case KIND_long:
    case KIND_off:
        put(l, "%lld", (long long)v);
        break;
    case KIND_size:
        put(l, "%llu", (unsigned long long)v);
        break;
    case KIND_mode:
        put(l, "%#o", (uint32_t)v);
        break;
    case KIND_dirfd:
        if ((int32_t)v == -100)
            put(l, "AT_FDCWD");
        else
            put(l, "%d", (int32_t)v);
        break;
    case KIND_sig:
        put_signal(l, v);
        break;
    case KIND_enum:
        if (arg->set == SET_futex)
            put_futex_op(l, v);
        else
            put_enum(l, arg->set, (uint32_t)v);
        break;
    case KIND_flags:
        if (arg->set == SET_open)
            put_open_flags(l, (uint32_t)v);
        else
            put_flags(l, arg->set, arg->set == SET_clone ? v : (uint32_t)v);
        break;
    case KIND_access:
        put_flags(l, SET_access, (uint32_t)v);
        break;
    case KIND_path:
        put_string(l, v, PATH_SHOWN);
        break;
    case KIND_str:
        put_string(l, v, STRING_SHOWN);
        break;
    case KIND_strv:
        put_string_vector(l, v, true);
        break;
    case KIND_envv:
        put_string_vector(l, v, false);
        break;
    case KIND_in:
        put_bytes(l, v, next, STRING_SHOWN);
        break;
    case KIND_out:
        if (c->done && c->result >= 0)
            put_bytes(l, v, MIN((uint64_t)c->result, next), STRING_SHOWN);
        else
            put_address(l, v);
        break;
    case KIND_sigset6:
        put_struct(l, c, KIND_sigset6, v, 0);
        break;
    case KIND_cloneflags:
        put_clone_flags(l, v);
        break;
    case KIND_socktype:
        put_socket_type(l, v);
        break;
    case KIND_sockopt:
        put_socket_option(l, c->a[i - 1], v);
        break;
    case KIND_ioctl:
        put_ioctl(l, v);
        break;
    case KIND_ioctlarg:
        put_ioctl_argument(l, c, c->a[i - 1], v);
        break;
    case KIND_fcntlarg:
        put_fcntl_argument(l, c, c->a[i - 1], v);
        break;
    case KIND_prctlarg:
        put_prctl_argument(l, c, c->a[i - 1], v);
        break;
    case KIND_futextime:
        put_futex_time(l, c);
        break;
    case KIND_futexval3:
    case KIND_hex:
        put(l, "%#llx", (unsigned long long)v);
        break;
    default:
        put_address(l, v);
    }
}

/* How many arguments are worth showing: commands without an argument leave the register's rubbish
 * out. */
static int argument_count(const struct call *c) {
    enum {
        F_GETFD = 1,
        F_GETFL = 3,
        F_GETOWN = 9,
        F_GETSIG = 11,
        F_GETLEASE = 1025,
        F_GETPIPE_SZ = 1032,
        F_GET_SEALS = 1034
    };
    enum {
        O_CREAT = 0100,
        O_TMPFILE = 020000000,
        FUTEX_WAKE = 1,
        FUTEX_UNLOCK_PI = 7,
        FUTEX_WAKE_BITSET = 10
    };
    uint64_t op = c->a[1];
    switch (c->nr) {
    case NR_fcntl:
        switch ((int32_t)op) {
        case F_GETFD:
        case F_GETFL:
        case F_GETOWN:
        case F_GETSIG:
        case F_GETLEASE:
        case F_GETPIPE_SZ:
        case F_GET_SEALS:
            return 2;
        }
        return 3;
    case NR_futex:
        switch (op & 0x7f) {
        case FUTEX_WAKE:
            return 3;
        case FUTEX_UNLOCK_PI:
            return 2;
        case 0: /* FUTEX_WAIT */
        case 6: /* FUTEX_LOCK_PI */
        case 8: /* FUTEX_TRYLOCK_PI */
            return 4;
        }
        return 6;
    case NR_openat:
        return c->a[2] & (O_CREAT | O_TMPFILE) ? 4 : 3;
    case NR_mq_open:
        return op & O_CREAT ? 4 : 2;
    case NR_prctl: /* most options have one argument */
        return c->a[0] < 35 || (c->a[0] >= 36 && c->a[0] <= 42) ? 2 : 5;
    case NR_clone: /* parent_tid, tls and child_tid only when used */
        return c->a[0] & 0x01380000 ? 5 : 2;
    case NR_mremap:
        return c->a[3] & 2 ? 5 : 4;
    default:
        return rows[c->nr].count;
    }
}

static void put_call(struct line *l, const struct thread *t, const struct call *c) {
    line_start(l);
    put(l, "[%d] ", t->tid);
    if (c->nr >= NR_end || !rows[c->nr].name[0]) {
        put(l, "syscall_%u(", c->nr);
        for (int i = 0; i < 6; i++)
            put(l, i ? ", %#llx" : "%#llx", (unsigned long long)c->a[i]);
    } else {
        put(l, "%s(", rows[c->nr].name);
        int n = argument_count(c);
        for (int i = 0; i < n; i++) {
            put(l, i ? ", " : "");
            put_argument(l, c, i);
        }
    }
}

static void write_line(struct line *l) {
    uint32_t done = 0;
    l->text[l->used++] = '\n';
    while (done < l->used) {
        int64_t n = hostcall(__NR_write, options.trace_fd, l->text + done, l->used - done);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return;
        done += (uint32_t)n;
    }
}

/* Marks a line that was cut and gives the tail its room. */
static void open_tail(struct line *l) {
    if (l->used + 1 >= l->limit) {
        l->limit = LINE_BYTES - 1;
        put(l, "...");
    }
    l->limit = LINE_BYTES - 1;
}

/* ---- results ---- */

static void put_result(struct line *l, const struct call *c) {
    int64_t r = c->result;
    enum { F_GETFD = 1, F_GETFL = 3 };
    if (r == -ERESTART_ENGINE) {
        put(l, "? ERESTARTSYS (To be restarted)");
        return;
    }
    uint8_t form = c->nr < NR_end ? rows[c->nr].result : RESULT_number;
    if (r < 0 && r >= -4095 && c->nr != NR_rt_sigreturn &&
        !(c->nr == NR_fcntl && c->a[1] == 9 /* F_GETOWN */ && r < -133)) {
        put(l, "-1 ");
        put_errno(l, -r);
        return;
    }
    if (form == RESULT_hex)
        put(l, "%#llx", (unsigned long long)r);
    else if (form == RESULT_oct)
        put(l, "%#llo", (unsigned long long)r);
    else
        put(l, "%lld", (long long)r);
    if (form == RESULT_sig) {
        put(l, " (");
        put_signal(l, (uint64_t)r);
        put(l, ")");
    } else if (c->nr == NR_fcntl && (c->a[1] == F_GETFL || (c->a[1] == F_GETFD && r))) {
        put(l, " (flags ");
        if (c->a[1] == F_GETFL)
            put_open_flags(l, (uint64_t)r);
        else
            put_flags(l, SET_fd_flags, (uint64_t)r);
        put(l, ")");
    } else if (r == 0 && (c->nr == NR_ppoll || c->nr == NR_pselect6)) {
        put(l, " (Timeout)");
    }
}

/* ---- hooks ---- */

/* True when the call may wait for long. */
static bool may_wait(uint32_t nr, const uint64_t a[6]) {
    enum { WNOHANG = 1, LOCK_NB = 4, F_SETLKW = 7, F_OFD_SETLKW = 38 };
    int64_t time[2];
    switch (nr) {
    case NR_accept:
    case NR_accept4:
    case NR_rt_sigsuspend:
    case NR_nanosleep:
    case NR_clock_nanosleep:
        return true;
    case NR_epoll_pwait:
        return (int32_t)a[3] != 0;
    case NR_epoll_pwait2:
        return !a[3] || copy_from_guest(time, a[3], sizeof(time)) || time[0] || time[1];
    case NR_ppoll:
    case NR_rt_sigtimedwait:
        return !a[2] || copy_from_guest(time, a[2], sizeof(time)) || time[0] || time[1];
    case NR_pselect6:
        return !a[4] || copy_from_guest(time, a[4], sizeof(time)) || time[0] || time[1];
    case NR_wait4:
        return !(a[2] & WNOHANG);
    case NR_waitid:
        return !(a[3] & WNOHANG);
    case NR_flock:
        return !(a[1] & LOCK_NB);
    case NR_fcntl:
        return a[1] == F_SETLKW || a[1] == F_OFD_SETLKW;
    case NR_futex:
        switch (a[1] & 0x7f) {
        case 0:  /* FUTEX_WAIT */
        case 6:  /* FUTEX_LOCK_PI */
        case 9:  /* FUTEX_WAIT_BITSET */
        case 11: /* FUTEX_WAIT_REQUEUE_PI */
        case 13: /* FUTEX_LOCK_PI2 */
            return true;
        }
        return false;
    case NR_futex_wait:
    case NR_futex_waitv:
        return true;
    default:
        return false;
    }
}

void trace_syscall_enter(struct thread *t, uint32_t nr, const uint64_t a[6]) {
    const char *end;
    if (nr == NR_exit || nr == NR_exit_group)
        end = ") = ?";
    else if (nr == NR_execve || nr == NR_execveat || may_wait(nr, a))
        end = " <unfinished ...>";
    else
        return;
    struct line line;
    struct call c = {.nr = nr, .a = a};
    put_call(&line, t, &c);
    open_tail(&line);
    put(&line, "%s", end);
    write_line(&line);
}

void trace_syscall_exit(struct thread *t, uint32_t nr, const uint64_t a[6], int64_t result) {
    struct line line;
    struct call c = {.nr = nr, .a = a, .done = true, .result = result};
    put_call(&line, t, &c);
    if (nr == NR_rt_sigreturn) {
        put(&line, "{mask=");
        put_signal_set(&line, t->sigmask);
        put(&line, "}");
    }
    open_tail(&line);
    put(&line, ") = ");
    put_result(&line, &c);
    write_line(&line);
}

void trace_signal(struct thread *t, const struct guest_siginfo *info) {
    struct line line;
    line_start(&line);
    put(&line, "[%d] --- ", t->tid);
    put_signal(&line, (uint64_t)info->si_signo);
    put(&line, " ");
    put_siginfo(&line, info);
    put(&line, " ---");
    open_tail(&line);
    write_line(&line);
}
