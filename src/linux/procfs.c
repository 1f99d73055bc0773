/*
 * procfs.c - files of /proc that show the machine or the address space, rendered for the guest.
 *
 * Each is a snapshot in a memory file, opened for reading only. maps and smaps are the host's
 * without the runtime's range and the host's own vDSO, with the guest's heap, stack and vDSO named
 * as arm64 Linux does.
 */
#include <linux/auxvec.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>

#include "base/hostcall.h"
#include "engine/engine.h"
#include "linux/mapline.h"
#include "linux/mm.h"
#include "linux/path.h"
#include "engine/hwcap.h"
#include "translate/idregs.h"

/* ---- a buffered writer ---- */

struct writer {
    int fd;
    int64_t error;
    uint32_t used;
    char buffer[4096];
};

static void flush(struct writer *w) {
    uint32_t done = 0;
    while (done < w->used && !w->error) {
        int64_t n = hostcall(__NR_write, w->fd, w->buffer + done, w->used - done);
        if (n <= 0)
            w->error = n ? n : -EIO;
        else
            done += (uint32_t)n;
    }
    w->used = 0;
}

static void put(struct writer *w, const char *text, size_t n) {
    while (n) {
        size_t part = MIN(n, sizeof(w->buffer) - w->used);
        memcpy(w->buffer + w->used, text, part);
        w->used += (uint32_t)part;
        text += part;
        n -= part;
        if (w->used == sizeof(w->buffer))
            flush(w);
    }
}

static void put_text(struct writer *w, const char *text) {
    put(w, text, strlen(text));
}

/* ---- /proc/cpuinfo ---- */

/* Names of HWCAP and HWCAP2 bits, from bit 0, as arch/arm64/kernel/cpuinfo.c prints them. */
static const char hwcap_names[][12] = {
    "fp",      "asimd", "evtstrm", "aes",   "pmull",    "sha1",   "sha2", "crc32",
    "atomics", "fphp",  "asimdhp", "cpuid", "asimdrdm", "jscvt",  "fcma", "lrcpc",
    "dcpop",   "sha3",  "sm3",     "sm4",   "asimddp",  "sha512", "sve",  "asimdfhm",
    "dit",     "uscat", "ilrcpc",  "flagm", "ssbs",     "sb",     "paca", "pacg",
};
static const char hwcap2_names[][12] = {
    "dcpodp", "sve2",    "sveaes",   "svepmull", "svebitperm", "svesha3", "svesm4", "flagm2",
    "frint",  "svei8mm", "svef32mm", "svef64mm", "svebf16",    "i8mm",    "bf16",   "dgh",
    "rng",    "bti",     "mte",      "ecv",      "afp",        "rpres",
};

static void put_features(struct writer *w, uint64_t caps, const char names[][12], size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (caps >> i & 1) {
            put_text(w, " ");
            put_text(w, names[i]);
        }
    }
}

static void put_processor(struct writer *w, int64_t number) {
    char line[64];
    fmt(line, sizeof(line), "processor\t: %lld\n", (long long)number);
    put_text(w, line);
    /* Linux makes it of the counter frequency: GUEST_CNTFRQ / 500000. */
    put_text(w, "BogoMIPS\t: 2000.00\nFeatures\t:");
    put_features(w, GUEST_HWCAP, hwcap_names, ARRAY_SIZE(hwcap_names));
    put_features(w, GUEST_HWCAP2, hwcap2_names, ARRAY_SIZE(hwcap2_names));
    fmt(line, sizeof(line), "\nCPU implementer\t: 0x%02x\nCPU architecture: 8\n",
        GUEST_CPU_IMPLEMENTER);
    put_text(w, line);
    fmt(line, sizeof(line), "CPU variant\t: 0x%x\nCPU part\t: 0x%03x\n", GUEST_CPU_VARIANT,
        GUEST_CPU_PART);
    put_text(w, line);
    fmt(line, sizeof(line), "CPU revision\t: %u\n\n", GUEST_CPU_REVISION);
    put_text(w, line);
}

/* One block for each processor of the list "0-3,5" that the host has online. */
static void render_cpuinfo(struct writer *w) {
    char list[512];
    int64_t fd = hostcall(__NR_open, "/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC, 0),
            n = -1;
    if (!host_failed(fd)) {
        n = hostcall(__NR_read, fd, list, sizeof(list) - 1);
        hostcall(__NR_close, fd);
    }
    list[n > 0 ? n : 0] = 0;
    const char *p = list;
    if (*p < '0' || *p > '9')
        p = "0";
    while (*p >= '0' && *p <= '9') {
        int64_t range[2] = {0, 0};
        for (int end = 0; end < 2; end++) {
            if (end && *p != '-') {
                range[1] = range[0];
                break;
            }
            p += end;
            for (; *p >= '0' && *p <= '9' && range[end] < 100000; p++)
                range[end] = range[end] * 10 + (*p - '0');
        }
        for (int64_t i = range[0]; i <= range[1]; i++)
            put_processor(w, i);
        p += *p == ',';
    }
}

/* ---- /proc/self/maps and smaps ---- */

/* The name column of anonymous memory that the kernel of an arm64 machine would label; NULL: none.
 */
static const char *region_name(guest_addr start, guest_addr end) {
    if (start <= vdso_base && vdso_base < end)
        return "[vdso]";
    if (start <= program.arg_start && program.arg_start < end)
        return "[stack]";
    if (mm_is_heap(start, end))
        return "[heap]";
    return NULL;
}

/*
 * One line. Header lines of a mapping decide whether they and the lines after them (smaps) are
 * shown. Returns that. line ends with NUL, without the newline.
 */
static bool put_map_line(struct writer *w, const char *line, bool shown) {
    uint64_t start, end;
    if (map_line(line, &start, &end)) {
        guest_addr ours_start, ours_end;
        space_range(&ours_start, &ours_end);
        const char *name = strchr(line, '[');
        bool vdso = name && (str_starts(name, "[vdso") || str_starts(name, "[vvar") ||
                             str_starts(name, "[vsyscall"));
        const char *label = region_name(start, end);
        shown = !(start >= ours_start && end <= ours_end) && (!vdso || label);
        /* A name the host gave stays, but its idea of the stack is the runtime's unless the guest's
         * lies there. */
        if (shown && label && !strchr(line, '/')) {
            /* The name starts at column 73 (fs/proc/task_mmu.c, seq_setwidth 25 + 6 * 8). */
            size_t cut = name ? (size_t)(name - line) : strlen(line);
            while (cut && line[cut - 1] == ' ')
                cut--;
            put(w, line, MIN(cut, (size_t)72));
            for (size_t column = MIN(cut, (size_t)72); column < 73; column++)
                put_text(w, " ");
            put_text(w, label);
            put_text(w, "\n");
            return true;
        }
    }
    if (shown) {
        put_text(w, line);
        put_text(w, "\n");
    }
    return shown;
}

static void render_maps(struct writer *w, const char *path) {
    int64_t fd = hostcall(__NR_open, path, O_RDONLY | O_CLOEXEC, 0);
    if (host_failed(fd)) {
        w->error = fd;
        return;
    }
    /* A line is at most the columns and a path of PATH_BYTES with \ooo escapes; what is longer is
     * cut. */
    char buffer[8192];
    size_t used = 0;
    bool shown = true;
    for (;;) {
        int64_t n = hostcall(__NR_read, fd, buffer + used, sizeof(buffer) - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
        char *line = buffer, *newline;
        while ((newline = memchr(line, '\n', used - (size_t)(line - buffer)))) {
            *newline = 0;
            shown = put_map_line(w, line, shown);
            line = newline + 1;
        }
        used -= (size_t)(line - buffer);
        memmove(buffer, line, used);
        if (used == sizeof(buffer) - 1)
            used = 0;
    }
    hostcall(__NR_close, fd);
}

/* ---- opening ---- */

/* Reopens a memory file for reading only, as the file it stands for would be. Closes memory. */
static int64_t reopen_for_reading(int memory, uint32_t flags) {
    char link[40];
    fmt(link, sizeof(link), "/proc/self/fd/%d", memory);
    int64_t fd = hostcall(__NR_open, link, O_RDONLY | flags, 0);
    hostcall(__NR_close, memory);
    return fd;
}

int64_t procfs_open(enum proc_file file, uint32_t flags) {
    static const char *const names[] = {[PROC_MAPS] = "maps",
                                        [PROC_SMAPS] = "smaps",
                                        [PROC_AUXV] = "auxv",
                                        [PROC_CPUINFO] = "cpuinfo",
                                        [PROC_ARCH] = "arch"};
    if (file == PROC_AUXV && !program.auxv)
        return -ENOENT;
    int64_t fd = hostcall(__NR_memfd_create, names[file], MFD_CLOEXEC);
    if (host_failed(fd))
        return fd;
    struct writer w = {.fd = (int)fd};
    switch (file) {
    case PROC_CPUINFO:
        render_cpuinfo(&w);
        break;
    case PROC_ARCH:
        put_text(&w, "aarch64\n");
        break;
    case PROC_AUXV: {
        int64_t n = hostcall(__NR_write, fd, program.auxv, program.auxv_bytes);
        w.error = MIN(n, 0);
        break;
    }
    case PROC_MAPS:
        render_maps(&w, "/proc/self/maps");
        break;
    case PROC_SMAPS:
        render_maps(&w, "/proc/self/smaps");
        break;
    default:
        w.error = -ENOENT;
    }
    flush(&w);
    if (w.error) {
        hostcall(__NR_close, fd);
        return w.error;
    }
    return reopen_for_reading((int)fd, flags);
}
