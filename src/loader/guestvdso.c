/*
 * guestvdso.c - maps the guest's vDSO and answers its hypercalls with the host's vDSO functions.
 *
 * Symbols of both objects are found by their own dynamic tables; both are trusted (one is built
 * with the runtime, the other is the kernel's).
 */
#include "loader/loader.h"

#include "base/errtext.h"
#include "base/hostcall.h"
#include "engine/engine.h"
#include "translate/hypercall.h"

#include <elf.h>
#include <linux/mman.h>

extern const uint8_t vdso_image[], vdso_image_end[];

guest_addr vdso_base, vdso_sigreturn;

struct host_timespec {
    int64_t seconds, fraction;
};
typedef long clock_fn(int32_t clock, struct host_timespec *result);
typedef long gettimeofday_fn(struct host_timespec *result, void *zone);

static struct {
    uint64_t end; /* of the guest's vDSO */
    clock_fn *clock_gettime, *clock_getres;
    gettimeofday_fn *gettimeofday;
} vdso;

/* The number of dynamic symbols, which only the hash tables tell. */
static uint32_t symbol_count(const uint32_t *sysv, const uint32_t *gnu) {
    if (sysv)
        return sysv[1];
    if (!gnu)
        return 0;
    uint32_t buckets = gnu[0], first = gnu[1], last = 0;
    const uint32_t *bucket = gnu + 4 + 2 * gnu[2], *chain = bucket + buckets;
    for (uint32_t i = 0; i < buckets; i++)
        last = MAX(last, bucket[i]);
    if (last < first)
        return first;
    while (!(chain[last - first] & 1))
        last++;
    return last + 1;
}

/* The address of a defined function of the ELF object mapped at base, or 0. */
static uint64_t find_symbol(const uint8_t *base, const char *name) {
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)base;
    const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + h->e_phoff);
    const Elf64_Dyn *dyn = NULL;
    uint64_t bias = (uint64_t)base;
    for (unsigned i = 0; i < h->e_phnum; i++) {
        if (ph[i].p_type == PT_LOAD && ph[i].p_offset == 0)
            bias = (uint64_t)base - ph[i].p_vaddr;
        else if (ph[i].p_type == PT_DYNAMIC)
            dyn = (const Elf64_Dyn *)(base + ph[i].p_offset);
    }
    const uint32_t *sysv = NULL, *gnu = NULL;
    const Elf64_Sym *symbols = NULL;
    const char *strings = NULL;
    for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
        const void *p = (const void *)(bias + dyn->d_un.d_ptr);
        if (dyn->d_tag == DT_HASH)
            sysv = p;
        else if (dyn->d_tag == DT_GNU_HASH)
            gnu = p;
        else if (dyn->d_tag == DT_SYMTAB)
            symbols = p;
        else if (dyn->d_tag == DT_STRTAB)
            strings = p;
    }
    if (!symbols || !strings)
        return 0;
    for (uint32_t i = 1, n = symbol_count(sysv, gnu); i < n; i++)
        if (symbols[i].st_shndx != SHN_UNDEF && strcmp(strings + symbols[i].st_name, name) == 0)
            return bias + symbols[i].st_value;
    return 0;
}

void vdso_map(const struct host_start *host) {
    uint64_t bytes = (uint64_t)vdso_image_end - (uint64_t)vdso_image,
             room = ALIGN_UP(bytes, PAGE_BYTES);
    int64_t at =
        hostcall(__NR_mmap, 0, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host_failed(at))
        die(125, "no memory for the guest's vDSO: %s", error_text(at));
    memcpy((void *)at, vdso_image, bytes);
    hostcall(__NR_mprotect, at, room, PROT_READ | PROT_EXEC);
    exec_map_set((guest_addr)at, room, true);
    vdso_base = (guest_addr)at;
    vdso.end = vdso_base + room;
    vdso_sigreturn = find_symbol((const uint8_t *)at, "__kernel_rt_sigreturn");
    ASSERT(vdso_sigreturn);

    const uint8_t *host_vdso = (const uint8_t *)host_auxv(host, AT_SYSINFO_EHDR, 0);
    if (!host_vdso)
        return; /* vdso=0 on the kernel's command line: the guest makes system calls */
    vdso.clock_gettime = (clock_fn *)find_symbol(host_vdso, "__vdso_clock_gettime");
    vdso.clock_getres = (clock_fn *)find_symbol(host_vdso, "__vdso_clock_getres");
    vdso.gettimeofday = (gettimeofday_fn *)find_symbol(host_vdso, "__vdso_gettimeofday");
}

bool vdso_contains(guest_addr address) {
    return address >= vdso_base && address < vdso.end;
}

/* The host's vDSO is ordinary compiled code and may use vector registers, which hold the guest's.
 */
void vdso_hypercall(struct cpu *cpu, uint64_t immediate) {
    struct host_timespec t = {0, 0};
    int64_t result = -ENOSYS;
    vregs_store(cpu);
    if (immediate == HYPERCALL_CLOCK_GETTIME && vdso.clock_gettime)
        result = vdso.clock_gettime((int32_t)cpu->x[0], &t);
    else if (immediate == HYPERCALL_CLOCK_GETRES && vdso.clock_getres)
        result = vdso.clock_getres((int32_t)cpu->x[0], &t);
    else if (immediate == HYPERCALL_GETTIMEOFDAY && vdso.gettimeofday)
        result = vdso.gettimeofday(&t, NULL);
    vregs_load(cpu);
    cpu->x[0] = (uint64_t)result;
    if (result == 0) {
        cpu->x[2] = (uint64_t)t.seconds;
        cpu->x[3] = (uint64_t)t.fraction;
    }
}
