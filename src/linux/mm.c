/*
 * mm.c - memory: the guest's mappings are the host's, at the same addresses with the same
 * protections. What is done here:
 *
 *  - The runtime's range is out of reach. To the guest nothing is mapped there and nothing can be:
 * a fixed mapping over it is ENOMEM, a call that spans it acts on the parts around it and reports
 * what Linux does about a hole.
 *  - The engine is told of every change of executable memory (exec_map_set): before the old content
 * goes, after the new is there. Between the two no other thread can rely on the range, so no lock
 * is needed; a call that fails half-way is put right from /proc/self/maps.
 *  - Executable memory is readable, for the translator reads it (arm64 Linux gives execute-only on
 * request).
 *  - A file mapped executable where the guest leaves the place open goes where the loader would put
 * it (place_file).
 *  - The break is anonymous memory after the program's data.
 */
#include "linux/mm.h"

#include <linux/mman.h>
#include <linux/resource.h>

#include "base/hostcall.h"
#include "linux/abi.h"
#include "linux/mapline.h"
#include "linux/syscalls.h"
#include "loader/loader.h"

#define PROT_BTI  0x10
#define PROT_BASE (PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM)
/* Flag bits that mean something on x86-64 and nothing on arm64. */
#define X86_MAP_32BIT   0x40
#define X86_MAP_ABOVE4G 0x80
#define ADDRESS_LIMIT   (1ull << 47) /* what any x86-64 host has; arm64 Linux has 1 << 48 */

#define READ_IMPLIES_EXEC 0x0400000

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103

/* ---- ranges around the runtime ---- */

struct range {
    guest_addr start, end;
};

/* The parts of [start, end) outside the runtime's range, ascending. Returns how many (0-2). */
static int parts_outside(struct range parts[2], guest_addr start, guest_addr end) {
    guest_addr ours, ours_end;
    space_range(&ours, &ours_end);
    int n = 0;
    if (start < MIN(end, ours))
        parts[n++] = (struct range){start, MIN(end, ours)};
    if (MAX(start, ours_end) < end)
        parts[n++] = (struct range){MAX(start, ours_end), end};
    return n;
}

/* ---- what the host's mappings say ---- */

/*
 * Calls see(arg, start, end, executable) for every host mapping that touches [start, end). Slow:
 * for calls that failed half-way, and for those whose extent only the kernel knows.
 */
typedef void see_mapping(void *arg, guest_addr start, guest_addr end, bool exec);

static void each_mapping(guest_addr start, guest_addr end, see_mapping *see, void *arg) {
    int64_t fd = hostcall(__NR_open, "/proc/self/maps", 0 /* O_RDONLY */, 0);
    if (host_failed(fd))
        return;
    char buffer[4096], head[64];
    size_t used = 0;
    bool in_head = true;
    int64_t n;
    while ((n = hostcall(__NR_read, fd, buffer, sizeof(buffer))) > 0) {
        for (int64_t i = 0; i < n; i++) {
            if (in_head && used < sizeof(head) - 1)
                head[used++] = buffer[i];
            if (buffer[i] != '\n')
                continue;
            head[used] = 0;
            used = 0;
            struct range m;
            const char *access = map_line(head, &m.start, &m.end);
            if (access && m.start < end && m.end > start)
                see(arg, m.start, m.end, strnlen(access, 3) == 3 && access[2] == 'x');
        }
    }
    hostcall(__NR_close, fd);
}

static void set_exec_within(void *arg, guest_addr start, guest_addr end, bool exec) {
    const struct range *r = arg;
    if (exec)
        exec_map_set(MAX(start, r->start), MIN(end, r->end) - MAX(start, r->start), true);
}

/* Makes the engine's idea of a range what the host's mappings say. */
static void resync(guest_addr start, guest_addr end) {
    struct range parts[2];
    int n = parts_outside(parts, start, end);
    for (int i = 0; i < n; i++) {
        exec_map_set(parts[i].start, parts[i].end - parts[i].start, false);
        each_mapping(parts[i].start, parts[i].end, set_exec_within, &parts[i]);
    }
}

/* ---- protections ---- */

static struct { bool known, set; } read_implies_exec;

void mm_personality(uint32_t persona) {
    read_implies_exec.set = persona & READ_IMPLIES_EXEC;
    read_implies_exec.known = true;
}

static bool executable(uint32_t prot) {
    if (prot & PROT_EXEC)
        return true;
    if (!(prot & PROT_READ))
        return false;
    if (UNLIKELY(!read_implies_exec.known))
        mm_personality((uint32_t)hostcall(__NR_personality, 0xffffffffu));
    return read_implies_exec.set;
}

static uint32_t host_prot(uint32_t prot) {
    prot &= PROT_BASE | PROT_GROWSDOWN | PROT_GROWSUP;
    return prot & PROT_EXEC ? prot | PROT_READ : prot;
}

/* ---- mmap and its undoing ---- */

static int64_t mmap_fixed(guest_addr address, uint64_t bytes, uint32_t prot, uint32_t flags,
                          uint64_t fd, uint64_t offset) {
    uint64_t length = ALIGN_UP(bytes, PAGE_BYTES);
    if (!bytes || address % PAGE_BYTES)
        return -EINVAL;
    if (length < bytes || address + length < address || address + length > ADDRESS_LIMIT)
        return -ENOMEM;
    if (space_is_runtime(address, length))
        return flags & MAP_FIXED_NOREPLACE ? -EEXIST : -ENOMEM;
    bool replaces = !(flags & MAP_FIXED_NOREPLACE);
    /* Code that takes the place of code does so at once, also for threads that are running it. */
    if (replaces && !executable(prot))
        exec_map_set(address, length, false);
    int64_t r = hostcall(__NR_mmap, address, bytes, host_prot(prot), flags, fd, offset);
    if (host_failed(r)) {
        if (replaces)
            resync(address, address + length);
        return r;
    }
    /* A host before 4.17 takes MAP_FIXED_NOREPLACE for a hint. */
    if (!replaces && (guest_addr)r != address) {
        hostcall(__NR_munmap, r, bytes);
        return -EEXIST;
    }
    if (executable(prot))
        exec_map_set(address, length, true);
    return r;
}

SYSCALL(mmap) {
    (void)t;
    guest_addr address = a[0];
    uint64_t bytes = a[1];
    uint32_t prot = (uint32_t)a[2] & PROT_BASE, flags = (uint32_t)a[3];
    if (flags & (X86_MAP_32BIT | X86_MAP_ABOVE4G)) {
        if ((flags & MAP_TYPE) == MAP_SHARED_VALIDATE)
            return -EOPNOTSUPP;
        flags &= ~(uint32_t)(X86_MAP_32BIT | X86_MAP_ABOVE4G);
    }
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
        return mmap_fixed(address, bytes, prot, flags, a[4], a[5]);
    if (address >= ADDRESS_LIMIT)
        address =
            0; /* a hint that cannot be followed; a host with five-level tables would follow it */
    if (!address && (prot & PROT_EXEC) && !(flags & MAP_ANONYMOUS) &&
        (flags & MAP_TYPE) == MAP_PRIVATE && a[5] == 0)
        address = place_file((int)a[4], bytes, PAGE_BYTES, PLACE_LIBRARY, 0);
    int64_t r = hostcall(__NR_mmap, address, bytes, host_prot(prot), flags, a[4], a[5]);
    if (!host_failed(r) && executable(prot))
        exec_map_set((guest_addr)r, ALIGN_UP(bytes, PAGE_BYTES), true);
    return r;
}

SYSCALL(munmap) {
    (void)t;
    guest_addr start = untagged(a[0]);
    uint64_t length = ALIGN_UP(a[1], PAGE_BYTES);
    if (start % PAGE_BYTES || !length || length < a[1] || start + length < start)
        return -EINVAL;
    struct range parts[2];
    int n = parts_outside(parts, start, start + length);
    for (int i = 0; i < n; i++) {
        uint64_t bytes = parts[i].end - parts[i].start;
        exec_map_set(parts[i].start, bytes, false);
        int64_t r = hostcall(__NR_munmap, parts[i].start, bytes);
        if (r) {
            resync(parts[i].start, parts[i].end);
            return r;
        }
    }
    return 0;
}

SYSCALL(mremap) {
    (void)t;
    guest_addr old = a[0], new = a[4];
    uint64_t old_length = ALIGN_UP(a[1], PAGE_BYTES), new_length = ALIGN_UP(a[2], PAGE_BYTES);
    uint32_t flags = (uint32_t)a[3];
    bool fixed = flags & MREMAP_FIXED;
    if (old % PAGE_BYTES ||
        (flags & ~(uint32_t)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) ||
        (fixed && (new % PAGE_BYTES || new + new_length > ADDRESS_LIMIT || new + new_length < new)))
        return -EINVAL;
    if (space_is_runtime(old, MAX(old_length, (uint64_t)PAGE_BYTES)))
        return -EFAULT;
    if (fixed && space_is_runtime(new, new_length))
        return -ENOMEM;
    bool exec = exec_map_has(old);
    if (exec)
        exec_map_set(old, old_length, false);
    if (fixed)
        exec_map_set(new, new_length, false);
    int64_t r = hostcall(__NR_mremap, old, a[1], a[2], a[3], new);
    if (host_failed(r)) {
        if (exec)
            resync(old, old + old_length);
        if (fixed)
            resync(new, new + new_length);
        return r;
    }
    if (exec) {
        exec_map_set((guest_addr)r, new_length, true);
        if ((flags & MREMAP_DONTUNMAP) && (guest_addr)r != old)
            resync(old, old + old_length); /* still mapped, and empty */
    }
    return r;
}

/* ---- mprotect ---- */

static void set_exec_whole(void *arg, guest_addr start, guest_addr end, bool exec) {
    (void)arg;
    exec_map_set(start, end - start, exec);
}

static int64_t protect(guest_addr start, guest_addr end, uint32_t prot) {
    bool exec = executable(prot);
    if (!exec)
        exec_map_set(start, end - start, false);
    int64_t r = hostcall(__NR_mprotect, start, end - start, host_prot(prot));
    if (r)
        resync(start, end);
    else if (prot & (PROT_GROWSDOWN | PROT_GROWSUP)) /* reached to an end of the mapping */
        each_mapping(start, end, set_exec_whole, NULL);
    else if (exec)
        exec_map_set(start, end - start, true);
    return r;
}

static int64_t change_protection(guest_addr start, uint64_t bytes, uint32_t prot) {
    const uint32_t grows = PROT_GROWSDOWN | PROT_GROWSUP;
    start = untagged(start);
    if ((prot & grows) == grows || start % PAGE_BYTES)
        return -EINVAL;
    if (!bytes)
        return 0;
    guest_addr end = start + ALIGN_UP(bytes, PAGE_BYTES);
    if (end <= start)
        return -ENOMEM;
    if (prot & ~(uint32_t)(PROT_BASE | PROT_BTI | grows))
        return -EINVAL;
    struct range parts[2];
    int n = parts_outside(parts, start, end);
    if (n == 1 && parts[0].start == start && parts[0].end == end)
        return protect(start, end, prot);
    /* Linux goes up to the first hole and says ENOMEM. */
    if (n && parts[0].start == start) {
        int64_t r = protect(parts[0].start, parts[0].end, prot);
        if (r)
            return r;
    }
    return -ENOMEM;
}

SYSCALL(mprotect) {
    (void)t;
    return change_protection(a[0], a[1], (uint32_t)a[2]);
}

/* As on a CPU without permission overlays (FEAT_S1POE): there are no keys to have. */
SYSCALL(pkey_mprotect) {
    (void)t;
    return (int32_t)a[3] == -1 ? change_protection(a[0], a[1], (uint32_t)a[2]) : -EINVAL;
}

SYSCALL(pkey_alloc) {
    (void)t;
    const uint64_t rights = 0xf; /* PKEY_DISABLE_ACCESS, WRITE, EXECUTE, READ */
    return a[0] || (a[1] & ~rights) ? -EINVAL : -ENOSPC;
}

SYSCALL(pkey_free) {
    (void)t, (void)a;
    return -EINVAL;
}

/* As on a CPU without guarded control stacks (FEAT_GCS). */
SYSCALL(map_shadow_stack) {
    (void)t, (void)a;
    return -EOPNOTSUPP;
}

/* ---- calls on a range: those that span a hole go on behind it and say ENOMEM ---- */

static int64_t call_on_range(struct thread *t, long nr, const uint64_t *a) {
    guest_addr start = untagged(a[0]);
    uint64_t length = ALIGN_UP(a[1] + start % PAGE_BYTES, PAGE_BYTES);
    guest_addr first = ALIGN_DOWN(start, PAGE_BYTES);
    if (!length || length < a[1] || !space_is_runtime(first, length))
        return guest_syscall(t, nr, start, a[1], a[2], a[3], a[4], a[5]);
    struct range parts[2];
    int n = first + length < first ? 0 : parts_outside(parts, first, first + length);
    for (int i = 0; i < n; i++) {
        int64_t r =
            hostcall(nr, parts[i].start, parts[i].end - parts[i].start, a[2], a[3], a[4], a[5]);
        if (r && r != -ENOMEM)
            return r;
    }
    return -ENOMEM;
}

SYSCALL(madvise) {
    int64_t r = call_on_range(t, __NR_madvise, a);
    switch ((int32_t)a[2]) {
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
    case MADV_FREE:
    case MADV_REMOVE:
    case MADV_GUARD_INSTALL:
    case MADV_GUARD_REMOVE:
        if (r == 0 || r == -ENOMEM) /* the content is the file's again, or zero */
            engine_invalidate(untagged(a[0]), a[1]);
    }
    return r;
}

SYSCALL(mincore) {
    if (!(a[0] % PAGE_BYTES) && space_is_runtime(a[0], a[1]))
        return -ENOMEM;
    return guest_syscall(t, __NR_mincore, a[0], a[1], a[2], 0, 0, 0);
}

SYSCALL(msync) {
    return call_on_range(t, __NR_msync, a);
}

SYSCALL(mlock) {
    return call_on_range(t, __NR_mlock, a);
}

SYSCALL(mlock2) {
    return call_on_range(t, __NR_mlock2, a);
}

SYSCALL(munlock) {
    return call_on_range(t, __NR_munlock, a);
}

SYSCALL(mlockall) {
    int64_t r = guest_syscall(t, __NR_mlockall, a[0], 0, 0, 0, 0, 0);
    if (r == 0) { /* locking the code cache would make every page of it resident */
        guest_addr start, end;
        space_range(&start, &end);
        hostcall(__NR_munlock, start, end - start);
    }
    return r;
}

SYSCALL(mseal) {
    (void)t;
    if (a[1] && space_is_runtime(a[0], ALIGN_UP(a[1], PAGE_BYTES)))
        return a[0] % PAGE_BYTES || a[2] ? -EINVAL : -ENOMEM;
    return hostcall(462 /* mseal: newer than some headers */, a[0], a[1], a[2]);
}

SYSCALL(remap_file_pages) {
    (void)t;
    guest_addr start = ALIGN_DOWN(a[0], PAGE_BYTES);
    uint64_t length = ALIGN_DOWN(a[1], PAGE_BYTES);
    if (start + length <= start || space_is_runtime(start, length))
        return -EINVAL;
    int64_t r = hostcall(__NR_remap_file_pages, a[0], a[1], a[2], a[3], a[4]);
    if (r == 0)
        engine_invalidate(start, length);
    return r;
}

/* ---- the break ---- */

static struct {
    struct lock lock;
    guest_addr end; /* 0: still the program's first break */
} brk_state;

/* Linux's check_data_rlimit: data and heap together. */
static bool within_data_limit(guest_addr end) {
    struct rlimit64 limit;
    if (hostcall(__NR_prlimit64, 0, RLIMIT_DATA, 0, &limit))
        return true;
    uint64_t used = end - program.brk + (program.end_data - program.start_data);
    return limit.rlim_cur == RLIM64_INFINITY || used <= limit.rlim_cur;
}

/* Moves the break if that is possible. Returns the break. */
static guest_addr move_break(guest_addr want) {
    guest_addr end = brk_state.end ? brk_state.end : program.brk;
    guest_addr old_page = ALIGN_UP(end, PAGE_BYTES), new_page = ALIGN_UP(want, PAGE_BYTES);
    if (want < program.brk || new_page < want || new_page > ADDRESS_LIMIT)
        return end;
    if (new_page > old_page) {
        if (!within_data_limit(want) || space_is_runtime(old_page, new_page - old_page))
            return end;
        int64_t r = hostcall(__NR_mmap, old_page, new_page - old_page, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (host_failed(r))
            return end;
        if (executable(PROT_READ | PROT_WRITE))
            exec_map_set(old_page, new_page - old_page, true);
    } else if (new_page < old_page) {
        exec_map_set(new_page, old_page - new_page, false);
        if (hostcall(__NR_munmap, new_page, old_page - new_page)) {
            resync(new_page, old_page);
            return end;
        }
    }
    brk_state.end = want;
    return want;
}

SYSCALL(brk) {
    (void)t;
    lock_acquire(&brk_state.lock);
    guest_addr end = move_break(a[0]);
    lock_release(&brk_state.lock);
    return (int64_t)end;
}

bool mm_is_heap(guest_addr start, guest_addr end) {
    return start >= ALIGN_DOWN(program.brk, PAGE_BYTES) && brk_state.end &&
           end <= ALIGN_UP(brk_state.end, PAGE_BYTES);
}

void linux_fork_prepare(void) {
    lock_acquire(&brk_state.lock);
}

void linux_fork_parent(void) {
    lock_release(&brk_state.lock);
}

void linux_fork_child(void) {
    lock_reset(&brk_state.lock);
}

/* ---- System V shared memory ---- */

#define SHM_RND   020000
#define SHM_REMAP 040000
#define SHM_EXEC  0100000
#define IPC_STAT  2

/* The segment's size; 0 when it cannot be asked. */
static uint64_t segment_bytes(uint64_t id) {
    struct {
        struct ipc64_perm perm;
        uint64_t bytes, rest[10];
    } ds; /* shmid64_ds: the same on both architectures */
    return hostcall(__NR_shmctl, id, IPC_STAT, &ds) < 0 ? 0 : ALIGN_UP(ds.bytes, PAGE_BYTES);
}

SYSCALL(shmat) {
    (void)t;
    guest_addr at = a[2] & SHM_RND ? ALIGN_DOWN(a[1], PAGE_BYTES) : a[1];
    uint64_t bytes = a[2] & (SHM_REMAP | SHM_EXEC) ? segment_bytes(a[0]) : 0;
    bool replaces = (a[2] & SHM_REMAP) && at && !(at % PAGE_BYTES);
    if (replaces && (!bytes || space_is_runtime(at, bytes)))
        return -EINVAL;
    if (replaces)
        exec_map_set(at, bytes, false);
    int64_t r = hostcall(__NR_shmat, a[0], a[1], a[2]);
    if (host_failed(r)) {
        if (replaces)
            resync(at, at + bytes);
    } else if (a[2] & SHM_EXEC) {
        exec_map_set((guest_addr)r, bytes, true);
    }
    return r;
}

static void drop_exec(void *arg, guest_addr start, guest_addr end, bool exec) {
    (void)arg;
    if (exec)
        exec_map_set(start, end - start, false);
}

SYSCALL(shmdt) {
    (void)t;
    bool exec = exec_map_has(a[0]);
    if (exec) /* which of it goes only the kernel knows: one mapping, unless its protections were
                 changed in parts */
        each_mapping(a[0], a[0] + 1, drop_exec, NULL);
    int64_t r = hostcall(__NR_shmdt, a[0]);
    if (r && exec)
        each_mapping(a[0], a[0] + 1, set_exec_whole, NULL);
    return r;
}
