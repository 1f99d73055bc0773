/*
 * dispatch.c - from the guest's SVC to the call that does it.
 *
 * syscalls.def says of each number whether the host's call does it as it is (the usual case: the
 * structures of both architectures agree) or a handler of this folder. Arm64 ABI: X8 number (the
 * low 32 bits), X0-X5 arguments, X0 result.
 *
 * A call that a signal interrupts before it began, or that Linux would restart after the handler,
 * comes back as -ERESTART_ENGINE: PC is put back on the SVC with all registers as they were, the
 * signal is delivered, and the frame's return runs the call again, which is what Linux does with
 * ERESTARTSYS.
 */
#include "base/hostcall.h"
#include "linux/syscalls.h"
#include "linux/trace.h"

bool tagged_addresses;

struct row {
    syscall_fn *handler; /* NULL: the host's call */
    int16_t host;        /* number + 1; 0: ENOSYS */
    uint8_t pointers;    /* bit n: argument n is an address */
};

/* Which kinds of argument are addresses. */
enum {
#define KIND(name, is_pointer) POINTER_##name = is_pointer,
#include "linux/kinds.def"
#undef KIND
};

#define DO_PASS(name)           NULL
#define DO_HANDLER(name)        sys_##name
#define DO_NOSYS(name)          NULL
#define A(direction, kind, set) (POINTER_##direction | POINTER_##kind)
#define NO_ARG                  0
/* A structure argument is an address whatever its kind. */
enum { POINTER_n = 0, POINTER_i = 1, POINTER_o = 1 };

static const struct row rows[NR_end] = {
#define ROW(nr, name, host_nr, decision, argc, result, a0, a1, a2, a3, a4, a5) \
    [nr] = {DO_##decision(name), (host_nr) == -1 ? 0 : (host_nr) + 1,          \
            (a0) | (a1) << 1 | (a2) << 2 | (a3) << 3 | (a4) << 4 | (a5) << 5},
#include "syscall_rows.inc"
#undef ROW
};

static void untag_arguments(uint64_t a[6], uint8_t pointers) {
    for (int i = 0; i < 6; i++)
        if (pointers >> i & 1)
            a[i] = untagged(a[i]);
}

void syscall_dispatch(struct thread *t) {
    struct cpu *cpu = &t->cpu;
    uint32_t nr = (uint32_t)cpu->x[8];
    uint64_t a[6] = {cpu->x[0], cpu->x[1], cpu->x[2], cpu->x[3], cpu->x[4], cpu->x[5]};
    static const struct row unknown;
    const struct row *row = nr < NR_end ? &rows[nr] : &unknown;
    t->syscall_nr = nr;
    t->syscall_x0 = a[0];
    if (UNLIKELY(tagged_addresses))
        untag_arguments(a, row->pointers);
    if (trace_on())
        trace_syscall_enter(t, nr, a);

    int64_t result;
    if (row->handler)
        result = row->handler(t, a);
    else if (row->host)
        result = guest_syscall(t, row->host - 1, a[0], a[1], a[2], a[3], a[4], a[5]);
    else
        result = -ENOSYS;

    if (trace_on())
        trace_syscall_exit(t, nr, a, result);
    if (UNLIKELY(nr == NR_rt_sigreturn))
        return; /* X0 and PC are the interrupted code's, and may hold any value */
    if (UNLIKELY(result == -ERESTART_ENGINE))
        cpu->pc -= SVC_BYTES;
    else
        cpu->x[0] = (uint64_t)result;
}
