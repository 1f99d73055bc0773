/*
 * load.c - maps an AArch64 program and its interpreter as fs/binfmt_elf.c does.
 *
 * Guest memory is host memory, so a segment is one mmap of the file with the page semantics of
 * Linux: the file part private, the rest of its last page zeroed if it is writable, whole pages of
 * bss anonymous and read-write (vm_brk). The holes between segments are not mapped. Each file is
 * mapped into an extent found free first, so that no segment can land on anything else. The process
 * is single-threaded here.
 *
 * Pages the guest may execute are always readable on the host: the translator reads them.
 */
#include "loader/loader.h"

#include "base/errtext.h"
#include "base/hostcall.h"
#include "engine/engine.h"
#include "loader/elf.h"

#include <linux/fcntl.h>
#include <linux/mman.h>
#include <asm/stat.h>

struct program program;

/* Program headers of the file being mapped; too big for a stack. */
static Elf64_Phdr table[ELF_MAX_PHDRS];

static int64_t read_fd(void *context, uint64_t offset, void *dst, uint64_t bytes) {
    return hostcall(__NR_pread64, *(int *)context, dst, bytes, offset);
}

static void parse(struct elf_file *elf, int fd, const char *name) {
    struct stat st;
    int64_t error = hostcall(__NR_fstat, fd, &st);
    if (error)
        die(126, "%s: %s", name, error_text(error));
    const char *why = elf_parse(elf, table, (uint64_t)st.st_size, read_fd, &fd);
    if (why)
        die(126, "%s: %s", name, why);
    if (elf->machine != EM_AARCH64)
        die(126, "%s: not an AArch64 program", name);
}

/* Finds a free extent for all segments. Returns the load bias. */
static guest_addr reserve(const struct elf_file *elf, int fd, enum place_window window,
                          const char *name) {
    uint64_t bytes = elf->high - elf->low;
    int64_t got;
    if (elf->type == ET_EXEC) {
        got = space_is_runtime(elf->low, bytes)
                  ? -EEXIST
                  : hostcall(__NR_mmap, elf->low, bytes, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
                             0);
        if (host_failed(got) || (uint64_t)got != elf->low)
            die(126, "%s: cannot be loaded at its fixed address %#lx: %s", name, elf->low,
                got == -EPERM    ? "below vm.mmap_min_addr"
                : got == -EEXIST ? "the address is in use"
                                 : error_text(got));
    } else {
        got = place_reserve(fd, bytes, elf->align, window);
        if (host_failed(got))
            die(126, "%s: no room for its %#lx bytes: %s", name, bytes, error_text(got));
    }
    /* Linux leaves the holes between segments unmapped; nothing else can take the extent meanwhile.
     */
    hostcall(__NR_munmap, got, bytes);
    return (guest_addr)got - elf->low;
}

static void map_at(guest_addr start, uint64_t bytes, uint32_t prot, int fd, uint64_t offset,
                   const char *name) {
    uint32_t flags = MAP_PRIVATE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0);
    int64_t got = hostcall(__NR_mmap, start, bytes, prot, flags, fd, offset);
    if (host_failed(got))
        die(126, "%s: cannot map a segment at %#lx: %s", name, start, error_text(got));
}

static void map_segment(const Elf64_Phdr *p, guest_addr bias, int fd, const char *name) {
    guest_addr start = bias + p->p_vaddr, first = ALIGN_DOWN(start, PAGE_BYTES);
    guest_addr file_end = start + p->p_filesz, end = start + p->p_memsz;
    guest_addr bss = first;
    uint32_t prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
                    (p->p_flags & PF_X ? PROT_EXEC | PROT_READ : 0);
    if (p->p_filesz) {
        bss = ALIGN_UP(file_end, PAGE_BYTES);
        map_at(first, bss - first, prot, fd, p->p_offset - (start - first), name);
        if (end > file_end && (prot & PROT_WRITE))
            memset((void *)file_end, 0, MIN(bss, ALIGN_UP(end, PAGE_BYTES)) - file_end);
    }
    if (ALIGN_UP(end, PAGE_BYTES) > bss)
        map_at(bss, ALIGN_UP(end, PAGE_BYTES) - bss, PROT_READ | PROT_WRITE | (prot & PROT_EXEC),
               -1, 0, name);
    if (prot & PROT_EXEC)
        exec_map_set(first, ALIGN_UP(end, PAGE_BYTES) - first, true);
}

static guest_addr map_file(const struct elf_file *elf, int fd, enum place_window window,
                           const char *name) {
    guest_addr bias = reserve(elf, fd, window, name);
    for (unsigned i = 0; i < elf->phnum; i++)
        if (table[i].p_type == PT_LOAD && table[i].p_memsz)
            map_segment(&table[i], bias, fd, name);
    return bias;
}

/* The figures the kernel keeps of a program (start_code ... brk), computed as it does. */
static void set_extents(struct program *p, const struct elf_file *elf, guest_addr bias) {
    uint64_t start_code = UINT64_MAX, end_code = 0, start_data = 0, end_data = 0, brk = 0;
    for (unsigned i = 0; i < elf->phnum; i++) {
        const Elf64_Phdr *ph = &table[i];
        if (ph->p_type != PT_LOAD)
            continue;
        if (ph->p_flags & PF_X) {
            start_code = MIN(start_code, ph->p_vaddr);
            end_code = MAX(end_code, ph->p_vaddr + ph->p_filesz);
        }
        start_data = MAX(start_data, ph->p_vaddr);
        end_data = MAX(end_data, ph->p_vaddr + ph->p_filesz);
        brk = MAX(brk, ph->p_vaddr + ph->p_memsz);
    }
    p->start_code = bias + (end_code ? start_code : elf->low);
    p->end_code = bias + (end_code ? end_code : elf->low);
    p->start_data = bias + start_data;
    p->end_data = bias + end_data;
    p->brk = ALIGN_UP(bias + brk, PAGE_BYTES);
    p->entry = bias + elf->entry;
    p->phdr = elf->phdr_vaddr ? bias + elf->phdr_vaddr : 0;
    p->phnum = elf->phnum;
    p->stack_executable = elf->stack_executable;
}

/* arm64 moves the break up to 1 GiB away from the program, unless randomisation is off for the
 * process. */
static void randomise_brk(struct program *p) {
    uint32_t random = 0;
    int64_t persona = hostcall(__NR_personality, 0xffffffff);
    if (host_failed(persona) || (persona & 0x0040000 /* ADDR_NO_RANDOMIZE */))
        return;
    hostcall(__NR_getrandom, &random, sizeof random, 1 /* GRND_NONBLOCK */);
    p->brk += random % (1u << 30) / PAGE_BYTES * PAGE_BYTES;
}

static int open_interpreter(const struct elf_file *elf, int fd, const char *name,
                            char path[PATH_BYTES]) {
    int64_t got = hostcall(__NR_pread64, fd, path, elf->interp_bytes, elf->interp_offset);
    if (got != elf->interp_bytes || path[got - 1])
        die(126, "%s: damaged: bad interpreter name", name);
    int64_t opened = open_first(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (host_failed(opened))
        die(opened == -ENOENT ? 127 : 126, "%s: its interpreter %s cannot be opened: %s%s", name,
            path, error_text(opened),
            sysroot_fd() < 0 ? " (give the directory that holds it with --sysroot)" : "");
    return (int)opened;
}

void load_program(struct program *p, int fd, const char *name) {
    struct elf_file elf;
    static char interp_path[PATH_BYTES];
    char link[32];
    memset(p, 0, sizeof *p);
    fmt(link, sizeof link, "/proc/self/fd/%d", fd);
    int64_t length = hostcall(__NR_readlink, link, p->exe_path, sizeof p->exe_path - 1);
    if (length <= 0)
        str_copy(p->exe_path, name, sizeof p->exe_path);

    parse(&elf, fd, name);
    int interp_fd = elf.interp_bytes ? open_interpreter(&elf, fd, name, interp_path) : -1;
    guest_addr bias = map_file(&elf, fd, PLACE_PROGRAM, name);
    set_extents(p, &elf, bias);
    randomise_brk(p);
    p->start = p->entry;
    if (interp_fd >= 0) {
        parse(&elf, interp_fd, interp_path);
        p->interp = map_file(&elf, interp_fd, PLACE_LIBRARY, interp_path);
        p->start = p->interp + elf.entry;
        hostcall(__NR_close, interp_fd);
    }
}
