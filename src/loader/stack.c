/*
 * stack.c - the guest's initial stack, and what the host kernel is told about the process.
 *
 * The guest runs on the process's own stack mapping, so it grows by itself and RLIMIT_STACK holds.
 * Its part begins below what the kernel gave the runtime and has arm64 Linux's layout, from high to
 * low addresses: eight zero bytes, AT_EXECFN's string, the environment strings, the argument
 * strings (contiguous: programs overwrite them to set their title), padding, AT_PLATFORM's string,
 * AT_RANDOM's bytes, then 16-byte aligned auxv, envp, argv and argc at SP.
 */
#include "loader/loader.h"

#include "base/errtext.h"
#include "base/hostcall.h"
#include "engine/engine.h"
#include "engine/hwcap.h"

#include <elf.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/resource.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/* rt_sigframe with FPSIMD and the 4096 reserved bytes, frame record and alignment: what arm64
 * without SVE says. */
#define MINSIGSTKSZ 4720
#define AUXV_MAX    24

struct auxv {
    uint64_t (*pair)[2];
    unsigned count;
};

static void add(struct auxv *a, uint64_t type, uint64_t value) {
    ASSERT(a->count < AUXV_MAX);
    a->pair[a->count][0] = type;
    a->pair[a->count][1] = value;
    a->count++;
}

/* The order is create_elf_tables()' with arm64's ARCH_DLINFO. */
static void fill_auxv(struct auxv *a, const struct program *p, const struct host_start *host,
                      guest_addr random, guest_addr platform, guest_addr execfn) {
    add(a, AT_SYSINFO_EHDR, vdso_base);
    add(a, AT_MINSIGSTKSZ, MINSIGSTKSZ);
    add(a, AT_HWCAP, GUEST_HWCAP);
    add(a, AT_PAGESZ, PAGE_BYTES);
    add(a, AT_CLKTCK, host_auxv(host, AT_CLKTCK, 100));
    add(a, AT_PHDR, p->phdr);
    add(a, AT_PHENT, sizeof(Elf64_Phdr));
    add(a, AT_PHNUM, p->phnum);
    add(a, AT_BASE, p->interp);
    add(a, AT_FLAGS, 0);
    add(a, AT_ENTRY, p->entry);
    add(a, AT_UID, host_auxv(host, AT_UID, 0));
    add(a, AT_EUID, host_auxv(host, AT_EUID, 0));
    add(a, AT_GID, host_auxv(host, AT_GID, 0));
    add(a, AT_EGID, host_auxv(host, AT_EGID, 0));
    add(a, AT_SECURE, host_auxv(host, AT_SECURE, 0));
    add(a, AT_RANDOM, random);
    add(a, AT_HWCAP2, GUEST_HWCAP2);
    add(a, AT_EXECFN, execfn);
    add(a, AT_PLATFORM, platform);
    add(a, AT_NULL, 0);
}

static uint64_t strings_bytes(char *const *list, uint64_t *count) {
    uint64_t bytes = 0;
    for (*count = 0; list[*count]; ++*count)
        bytes += strlen(list[*count]) + 1;
    return bytes;
}

/* Copies the strings upwards from at and stores their addresses, with the null at the end; returns
 * the end. */
static guest_addr copy_strings(guest_addr at, char *const *list, uint64_t *pointers) {
    for (; *list; list++) {
        uint64_t bytes = strlen(*list) + 1;
        memcpy((void *)at, *list, bytes);
        *pointers++ = at;
        at += bytes;
    }
    *pointers = 0;
    return at;
}

/* The kernel refuses (E2BIG) what takes more than three quarters of the stack limit; it checked the
 * host's share. */
static void check_room(uint64_t bytes, const struct host_start *host) {
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    hostcall(__NR_prlimit64, 0, RLIMIT_STACK, 0, &limit);
    guest_addr host_end = host_auxv(host, AT_EXECFN, host->stack);
    uint64_t used = host_end > host->stack ? host_end - host->stack : 0;
    uint64_t rlim = limit.rlim_cur;
    if (rlim != RLIM_INFINITY && used + bytes > rlim / 4 * 3)
        die(126, "the arguments and the environment are too big for the stack limit of %lu bytes",
            rlim);
}

/* An executable stack (PT_GNU_STACK with PF_X): the present extent and what it may grow by while it
 * is usual. */
static void make_executable(guest_addr sp, guest_addr top) {
    guest_addr page = ALIGN_DOWN(sp, PAGE_BYTES);
    hostcall(__NR_mprotect, page, ALIGN_UP(top, PAGE_BYTES) - page,
             PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN);
    uint64_t reach = 8u << 20;
    exec_map_set(page - reach, reach + ALIGN_UP(top, PAGE_BYTES) - page, true);
}

guest_addr build_stack(struct program *p, const struct host_start *host, guest_addr top,
                       char *const *argv, char *const *envp, const char *execfn) {
    static const char platform[] = "aarch64";
    uint64_t argc, envc;
    uint64_t arg_bytes = strings_bytes(argv, &argc), env_bytes = strings_bytes(envp, &envc);
    uint64_t execfn_bytes = strlen(execfn) + 1;
    uint64_t words = 1 + argc + 1 + envc + 1 + 2 * AUXV_MAX;
    check_room(arg_bytes + env_bytes + execfn_bytes + words * 8 + 4 * PAGE_BYTES, host);

    guest_addr end = ALIGN_DOWN(top, 16) - 8;
    guest_addr execfn_at = end - execfn_bytes;
    p->env_end = execfn_at;
    p->env_start = p->arg_end = p->env_end - env_bytes;
    p->arg_start = p->arg_end - arg_bytes;
    guest_addr platform_at = ALIGN_DOWN(p->arg_start, 16) - ALIGN_UP(sizeof platform, 16);
    guest_addr random_at = platform_at - 16;
    p->sp = ALIGN_DOWN(random_at - words * 8, 16);

    *(uint64_t *)end = 0;
    memcpy((void *)execfn_at, execfn, execfn_bytes);
    memcpy((void *)platform_at, platform, sizeof platform);
    if (hostcall(__NR_getrandom, random_at, 16, 1 /* GRND_NONBLOCK */) != 16)
        memcpy((void *)random_at, (const void *)host_auxv(host, AT_RANDOM, random_at), 16);

    uint64_t *word = (uint64_t *)p->sp;
    *word++ = argc;
    copy_strings(p->arg_start, argv, word);
    word += argc + 1;
    copy_strings(p->env_start, envp, word);
    word += envc + 1;
    p->auxv = (guest_addr)word;
    struct auxv a = {(uint64_t(*)[2])word, 0};
    fill_auxv(&a, p, host, random_at, platform_at, execfn_at);
    p->auxv_bytes = a.count * 16;
    if (p->stack_executable)
        make_executable(p->sp, top);
    return p->sp;
}

void publish_process(const struct program *p, int fd, const char *execfn) {
    const char *slash = strrchr(execfn, '/');
    hostcall(__NR_prctl, PR_SET_NAME, slash ? slash + 1 : execfn, 0, 0, 0);

    struct prctl_mm_map map = {
        .start_code = p->start_code,
        .end_code = p->end_code,
        .start_data = p->start_data,
        .end_data = p->end_data,
        .start_brk = p->brk,
        .brk = p->brk,
        .start_stack = p->sp,
        .arg_start = p->arg_start,
        .arg_end = p->arg_end,
        .env_start = p->env_start,
        .env_end = p->env_end,
        .auxv = (void *)p->auxv,
        .auxv_size = (uint32_t)p->auxv_bytes,
        .exe_fd = (uint32_t)fd,
    };
    /* Changing the executable takes a capability and that no mapping of the old one is left. */
    if (hostcall(__NR_prctl, PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) == 0)
        return;
    map.exe_fd = (uint32_t)-1;
    hostcall(__NR_prctl, PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0);
}
