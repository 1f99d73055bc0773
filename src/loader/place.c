/*
 * place.c - deterministic addresses for file mappings.
 *
 * A translation made from a file is reusable in every process that maps the file at the same
 * address, so the address follows from the file's identity (device, inode, size, modification time)
 * and a secret of the host, which keeps addresses unpredictable to whoever cannot read it. The
 * windows lie where the kernel itself places nothing by default: programs from 0x5500'0000'0000
 * (where arm64 and x86-64 Linux put PIE programs), libraries from 0x7000'0000'0000. A window of 1
 * TiB in 4 KiB steps has 28 bits of entropy, as many as mmap randomisation.
 */
#include "loader/loader.h"

#include "base/hostcall.h"

#include <linux/fcntl.h>
#include <linux/mman.h>
#include <asm/stat.h>

#define PROGRAM_WINDOW 0x550000000000ull
#define LIBRARY_WINDOW 0x700000000000ull
#define WINDOW_BYTES   (1ull << 40)
#define ATTEMPTS       4

/* splitmix64's finaliser: every input bit changes every output bit with probability one half. */
static uint64_t mix(uint64_t h, uint64_t value) {
    h ^= value + 0x9e3779b97f4a7c15ull + (h << 6) + (h >> 2);
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
    return h ^ (h >> 31);
}

static bool mix_file(uint64_t *h, const char *path) {
    char text[64];
    int64_t fd = hostcall(__NR_open, path, O_RDONLY | O_CLOEXEC);
    if (host_failed(fd))
        return false;
    int64_t got = hostcall(__NR_read, fd, text, sizeof text);
    hostcall(__NR_close, fd);
    for (int64_t i = 0; i < got; i++)
        *h = mix(*h, (uint8_t)text[i]);
    return got > 0;
}

/* Computed once; two threads that race compute the same. */
static uint64_t host_secret(void) {
    static uint64_t secret;
    uint64_t h = __atomic_load_n(&secret, __ATOMIC_RELAXED);
    if (!h) {
        if (!mix_file(&h, "/etc/machine-id"))
            mix_file(&h, "/proc/sys/kernel/random/boot_id");
        h |= 1;
        __atomic_store_n(&secret, h, __ATOMIC_RELAXED);
    }
    return h;
}

guest_addr place_file(int fd, uint64_t bytes, uint64_t align, enum place_window window,
                      unsigned attempt) {
    struct stat st;
    align = MAX(align, PAGE_BYTES);
    uint64_t room = ALIGN_UP(bytes, align);
    if (room < bytes || room > WINDOW_BYTES || hostcall(__NR_fstat, fd, &st))
        return 0;
    uint64_t h = host_secret();
    h = mix(h, st.st_dev);
    h = mix(h, st.st_ino);
    h = mix(h, (uint64_t)st.st_size);
    h = mix(h, (uint64_t)st.st_mtime);
    h = mix(h, st.st_mtime_nsec);
    h = mix(h, attempt);
    uint64_t slots = (WINDOW_BYTES - room) / align + 1;
    return (window == PLACE_PROGRAM ? PROGRAM_WINDOW : LIBRARY_WINDOW) + h % slots * align;
}

static int64_t reserve(guest_addr address, uint64_t bytes, uint32_t flags) {
    return hostcall(__NR_mmap, address, bytes, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

int64_t place_reserve(int fd, uint64_t bytes, uint64_t align, enum place_window window) {
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        guest_addr want = place_file(fd, bytes, align, window, attempt);
        int64_t got = want ? reserve(want, bytes, MAP_FIXED_NOREPLACE) : -ENOENT;
        if (!host_failed(got))
            return got;
    }
    /* The kernel's choice, with room to align, which is given back. */
    uint64_t room = bytes + (align > PAGE_BYTES ? align : 0);
    if (room < bytes)
        return -ENOMEM;
    int64_t got = reserve(0, room, 0);
    if (host_failed(got))
        return got;
    guest_addr start = ALIGN_UP((uint64_t)got, MAX(align, PAGE_BYTES));
    if (start > (uint64_t)got)
        hostcall(__NR_munmap, got, start - (uint64_t)got);
    if ((uint64_t)got + room > start + bytes)
        hostcall(__NR_munmap, start + bytes, (uint64_t)got + room - (start + bytes));
    return (int64_t)start;
}
