/*
 * space.c - the runtime's reserved range.
 *
 * One PROT_NONE reservation, at an address the kernel picks, holds all that is not the guest's: a
 * copy of the image (the original is unmapped, so the guest sees nothing of it and may use any
 * address), the tables, the code cache and the thread areas. Guest system calls are kept away from
 * it by space_is_runtime.
 *
 * Allocation is a bump pointer plus lists of freed blocks of the same size. A thread area is
 *   guard | shadow stack | guard | C stack | guard | signal stack | struct thread
 * and goes back to the list by its area_state, which the exiting task writes last (stubs.S,
 * exit_thread_freeing).
 */
#include "engine/space.h"

#include <asm/prctl.h>
#include <elf.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/resource.h>

#include "base/hostcall.h"
#include "base/relocate.h"
#include "engine/stubs.h"
#include "engine/thread.h"

/* High, for programs expect low numbers; not higher, for the kernel copies the table up to it at
 * every fork. */
#define SELF_FD_WANTED 1000

static struct space {
    guest_addr start, end, next;
    struct lock lock;
    int self_fd;
    struct free_block {
        struct free_block *next;
        uint64_t bytes;
    } * free_blocks;
    struct thread *areas; /* every area ever made, linked by area_next */
} space = {.self_fd = -1};

bool space_is_runtime(guest_addr start, uint64_t bytes) {
    guest_addr end = start + bytes;
    if (end < start)
        return true;
    return start < space.end && end > space.start;
}

void space_range(guest_addr *start, guest_addr *end) {
    *start = space.start;
    *end = space.end;
}

void *space_alloc(uint64_t bytes) {
    bytes = ALIGN_UP(bytes, PAGE_BYTES);
    lock_acquire(&space.lock);
    void *p = NULL;
    for (struct free_block **link = &space.free_blocks; *link; link = &(*link)->next) {
        if ((*link)->bytes == bytes) {
            p = *link;
            *link = (*link)->next;
            break;
        }
    }
    if (p) {
        lock_release(&space.lock);
        memset(p, 0, sizeof(struct free_block)); /* the rest was zapped by space_free */
        return p;
    }
    if (bytes <= space.end - space.next) {
        p = (void *)space.next;
        if (host_failed(hostcall(__NR_mprotect, p, bytes, PROT_READ | PROT_WRITE)))
            p = NULL;
        else
            space.next += bytes;
    }
    lock_release(&space.lock);
    return p;
}

void space_free(void *p, uint64_t bytes) {
    bytes = ALIGN_UP(bytes, PAGE_BYTES);
    hostcall(__NR_madvise, p, bytes, MADV_DONTNEED);
    struct free_block *block = p;
    lock_acquire(&space.lock);
    block->bytes = bytes;
    block->next = space.free_blocks;
    space.free_blocks = block;
    lock_release(&space.lock);
}

int space_self_fd(void) {
    return space.self_fd;
}

/* Moves the descriptor out of the way of a guest that wants its number. */
void space_move_self_fd(void) {
    int64_t fd = hostcall(__NR_fcntl, space.self_fd, F_DUPFD_CLOEXEC, space.self_fd + 1);
    if (host_failed(fd))
        fd = hostcall(__NR_fcntl, space.self_fd, F_DUPFD_CLOEXEC, 3);
    if (host_failed(fd))
        return;
    hostcall(__NR_close, space.self_fd);
    space.self_fd = (int)fd;
}

/* Opens the executable at a descriptor number no program is likely to use or close. */
static void open_self(void) {
    int64_t fd = hostcall(__NR_open, "/proc/self/exe", O_RDONLY | O_CLOEXEC, 0);
    if (host_failed(fd))
        return;
    struct rlimit limit;
    int64_t wanted = SELF_FD_WANTED;
    if (!host_failed(hostcall(__NR_getrlimit, RLIMIT_NOFILE, &limit)) &&
        limit.rlim_cur < (uint64_t)wanted)
        wanted = (int64_t)limit.rlim_cur - 1;
    int64_t high = -1;
    for (; wanted > 2 && host_failed(high); wanted /= 2)
        high = hostcall(__NR_fcntl, fd, F_DUPFD_CLOEXEC, wanted);
    if (!host_failed(high)) {
        hostcall(__NR_close, fd);
        fd = high;
    }
    space.self_fd = (int)fd;
}

/* ---- thread areas ---- */

static uint64_t area_bytes(void) {
    return 3 * PAGE_BYTES + SHADOW_STACK_BYTES + C_STACK_BYTES + SIGNAL_STACK_BYTES +
           ALIGN_UP(sizeof(struct thread), PAGE_BYTES);
}

static struct thread *area_init(uint8_t *area, bool fresh) {
    uint8_t *p = area;
    if (fresh)
        hostcall(__NR_mprotect, p, PAGE_BYTES, PROT_NONE);
    uint8_t *shadow = p + PAGE_BYTES;
    p = shadow + SHADOW_STACK_BYTES;
    if (fresh)
        hostcall(__NR_mprotect, p, PAGE_BYTES, PROT_NONE);
    p += PAGE_BYTES + C_STACK_BYTES;
    uint8_t *c_stack_top = p;
    if (fresh)
        hostcall(__NR_mprotect, p, PAGE_BYTES, PROT_NONE);
    p += PAGE_BYTES;
    uint8_t *signal_stack = p;
    struct thread *t = (struct thread *)(p + SIGNAL_STACK_BYTES);
    struct thread *area_next = t->area_next;
    memset(t, 0, sizeof(*t));
    t->area_next = area_next;
    t->self = t;
    t->area = area;
    t->area_bytes = area_bytes();
    t->shadow_low = shadow;
    t->c_stack_top = c_stack_top;
    t->signal_stack = signal_stack;
    t->area_state = AREA_USED;
    engine_cpu_init(&t->cpu, shadow + SHADOW_STACK_BYTES);
    return t;
}

struct thread *space_thread_area(void) {
    lock_acquire(&space.lock);
    for (struct thread *t = space.areas; t; t = t->area_next) {
        if (__atomic_load_n(&t->area_state, __ATOMIC_ACQUIRE) == AREA_FREE) {
            t->area_state = AREA_USED;
            lock_release(&space.lock);
            return area_init(t->area, false);
        }
    }
    lock_release(&space.lock);
    uint8_t *area = space_alloc(area_bytes());
    if (!area)
        return NULL;
    struct thread *t = area_init(area, true);
    lock_acquire(&space.lock);
    t->area_next = space.areas;
    space.areas = t;
    lock_release(&space.lock);
    return t;
}

void space_thread_area_free(struct thread *t) {
    __atomic_store_n(&t->area_state, AREA_FREE, __ATOMIC_RELEASE);
}

void space_forget(uint32_t lock_owner) {
    lock_release_of(&space.lock, lock_owner);
}

void space_fork_prepare(void) {
    lock_acquire(&space.lock);
}

void space_fork_done(void) {
    lock_release(&space.lock);
}

/* After fork, the other threads' areas are free in the child. */
void space_fork_child(const struct thread *self) {
    for (struct thread *t = space.areas; t; t = t->area_next)
        if (t != self)
            t->area_state = AREA_FREE;
    lock_reset(&space.lock);
}

/* ---- set-up ---- */

/* The biggest reservation the limits allow: thousands of thread areas want room, which costs
 * nothing until used. */
static guest_addr reserve(uint64_t *bytes) {
    for (uint64_t want = 16ull << 30; want >= 256ull << 20; want /= 2) {
        int64_t p = hostcall(__NR_mmap, 0, want, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (!host_failed(p)) {
            *bytes = want;
            return (guest_addr)p;
        }
    }
    die(125, "cannot reserve address space for the runtime (is RLIMIT_AS set too low?)");
}

static uint64_t image_bytes(const uint8_t *image) {
    const Elf64_Ehdr *eh = (const Elf64_Ehdr *)image;
    const Elf64_Phdr *ph = (const Elf64_Phdr *)(image + eh->e_phoff);
    uint64_t end = 0;
    for (unsigned i = 0; i < eh->e_phnum; i++)
        if (ph[i].p_type == PT_LOAD)
            end = MAX(end, ph[i].p_vaddr + ph[i].p_memsz);
    return ALIGN_UP(end, PAGE_BYTES);
}

static void copy_image(uint8_t *to, const uint8_t *from) {
    const Elf64_Ehdr *eh = (const Elf64_Ehdr *)from;
    const Elf64_Phdr *ph = (const Elf64_Phdr *)(from + eh->e_phoff);
    for (unsigned i = 0; i < eh->e_phnum; i++)
        if (ph[i].p_type == PT_LOAD)
            memcpy(to + ph[i].p_vaddr, from + ph[i].p_vaddr, ph[i].p_memsz);
    relocate(to);
    for (unsigned i = 0; i < eh->e_phnum; i++) {
        if (ph[i].p_type != PT_LOAD)
            continue;
        uint64_t start = ALIGN_DOWN(ph[i].p_vaddr, PAGE_BYTES);
        uint64_t end = ALIGN_UP(ph[i].p_vaddr + ph[i].p_memsz, PAGE_BYTES);
        int prot = (ph[i].p_flags & PF_R ? PROT_READ : 0) |
                   (ph[i].p_flags & PF_W ? PROT_WRITE : 0) | (ph[i].p_flags & PF_X ? PROT_EXEC : 0);
        hostcall(__NR_mprotect, to + start, end - start, prot);
    }
}

struct handover {
    void (*go_on)(void *);
    void *arg;
    uint8_t *old_image;
    uint64_t old_bytes;
};

/* First function to run in the copied image, on the C stack of the first thread area. */
static void continue_in_copy(void *arg) {
    struct handover h = *(struct handover *)arg;
    hostcall(__NR_munmap, h.old_image, h.old_bytes);
    engine_shadow_reset(&current()->cpu); /* its last entry was the old image's stub */
    h.go_on(h.arg);
}

NORETURN void space_init(NORETURN void (*go_on)(void *arg), void *arg) {
    uint64_t bytes;
    space.start = reserve(&bytes);
    space.end = space.start + bytes;
    space.next = space.start;
    open_self();
    uint8_t *image = image_self();
    uint64_t size = image_bytes(image);
    uint8_t *copy = space_alloc(size);
    if (!copy)
        die(125, "out of memory");
    struct thread *t = space_thread_area();
    if (!t)
        die(125, "out of memory");
    t->cpu.image_base = (uint64_t)copy;
    for (int i = 0; i < STUB_COUNT; i++)
        t->cpu.stub[i] = (uint8_t *)t->cpu.stub[i] - image + copy;
    hostcall(__NR_arch_prctl, ARCH_SET_FS, t);
    copy_image(copy, image);
    int64_t delta = copy - image;
    struct handover *h = (struct handover *)((uint8_t *)t->c_stack_top - sizeof(*h));
    *h = (struct handover){(void (*)(void *))((uint8_t *)go_on + delta), arg, image, size};
    void (*first)(void *) = (void (*)(void *))((uint8_t *)continue_in_copy + delta);
    call_on_stack((void *)ALIGN_DOWN((uint64_t)h - 64, 16), first, h);
}
