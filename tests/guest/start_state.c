// What a program finds when it starts: stack, auxv, arguments, the vDSO, limits.
#include "check.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/time.h>

extern char **environ;

static const ElfW(auxv_t) * first_auxv(void) {
    char **p = environ;
    while (*p)
        p++;
    return (void *)(p + 1);
}

TEST(auxv_is_complete_and_ends) {
    int n = 0;
    uint64_t seen = 0;
    for (const ElfW(auxv_t) *a = first_auxv(); a->a_type != AT_NULL; a++, n++) {
        if (a->a_type < 64) {
            CHECK(a->a_type == AT_IGNORE || !(seen >> a->a_type & 1));
            seen |= 1ull << a->a_type;
            if (a->a_type != AT_HWCAP) // libc on x86-64 puts its own value there
                CHECK_EQ(getauxval(a->a_type), a->a_un.a_val);
        }
        REQUIRE(n < 100);
    }
    static const int wanted[] = {AT_PHDR,   AT_PHENT,    AT_PHNUM,        AT_PAGESZ, AT_BASE,
                                 AT_FLAGS,  AT_ENTRY,    AT_UID,          AT_EUID,   AT_GID,
                                 AT_EGID,   AT_PLATFORM, AT_HWCAP,        AT_CLKTCK, AT_SECURE,
                                 AT_RANDOM, AT_EXECFN,   AT_SYSINFO_EHDR, AT_HWCAP2};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (under_qemu() && wanted[i] == AT_SYSINFO_EHDR)
            continue; // version 7.2 has no vDSO
        if (!CHECK(seen >> wanted[i] & 1))
            dprintf(2, "  (type %d)\n", wanted[i]);
    }
}

TEST(auxv_values) {
    CHECK_EQ(getauxval(AT_PAGESZ), 4096);
    CHECK_EQ(sysconf(_SC_PAGESIZE), 4096);
    CHECK_EQ(getauxval(AT_CLKTCK), 100);
    CHECK_EQ(getauxval(AT_PHENT), sizeof(Elf64_Phdr));
    CHECK_EQ(getauxval(AT_FLAGS), 0);
    const Elf64_Phdr *ph = (void *)getauxval(AT_PHDR);
    int loads = 0, phdrs = getauxval(AT_PHNUM), interp = 0;
    CHECK(phdrs > 0 && phdrs < 50);
    for (int i = 0; i < phdrs; i++) {
        loads += ph[i].p_type == PT_LOAD;
        interp += ph[i].p_type == PT_INTERP;
    }
    CHECK(loads > 0);
    CHECK_EQ(getauxval(AT_BASE) != 0, interp);
    CHECK(getauxval(AT_ENTRY) != 0);
    char path[PATH_MAX] = "";
    CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    struct stat a, b;
    const char *execfn = (void *)getauxval(AT_EXECFN);
    // The working directory has changed since: only an absolute path can be compared.
    if (execfn[0] == '/')
        CHECK(stat(path, &a) == 0 && stat(execfn, &b) == 0 && a.st_ino == b.st_ino);
    const unsigned char *random = (void *)getauxval(AT_RANDOM);
    int zeros = 0;
    for (int i = 0; i < 16; i++)
        zeros += random[i] == 0;
    CHECK(zeros < 8);
#ifdef __aarch64__
    CHECK_STR((char *)getauxval(AT_PLATFORM), "aarch64");
    unsigned long hwcap = getauxval(AT_HWCAP);
    CHECK(hwcap & 1);      // FP
    CHECK(hwcap & 1 << 1); // ASIMD
    if (!under_qemu())
        CHECK(hwcap & 1 << 7 && hwcap & 1 << 8); // CRC32 and LSE atomics, which we always have
#else
    CHECK_STR((char *)getauxval(AT_PLATFORM), "x86_64");
#endif
}

TEST(stack_layout) {
    // From low to high: argc, argv, NULL, envp, NULL, auxv, NULL, then the strings they point at.
    char **envp = environ;
    const ElfW(auxv_t) *auxv = first_auxv();
    CHECK((uintptr_t)auxv % 8 == 0);
    const ElfW(auxv_t) *end = auxv;
    while (end->a_type != AT_NULL)
        end++;
    for (char **e = envp; *e; e++)
        CHECK((char *)*e > (char *)end);
    CHECK((char *)getauxval(AT_EXECFN) > (char *)end);
    CHECK((char *)getauxval(AT_RANDOM) > (char *)end);
    int local;
    CHECK((char *)&local < (char *)envp);
}

TEST(stack_is_as_large_as_its_limit) {
    struct rlimit l;
    REQUIRE(getrlimit(RLIMIT_STACK, &l) == 0);
    size_t size = l.rlim_cur == RLIM_INFINITY || l.rlim_cur > 16 << 20 ? 8 << 20 : l.rlim_cur;
    size_t use = size - (512 << 10);
    volatile char *p = __builtin_alloca(use);
    for (size_t i = use; i > 4096; i -= 4096)
        p[i - 1] = 1;
    p[0] = 1;
    CHECK_EQ(p[use - 1], 1);
}

// --- the vDSO, read as libc does
// -------------------------------------------------------------------

static uintptr_t vdso_base;
static const Elf64_Sym *symbols;
static const char *strings;
static size_t symbol_count;

static bool open_vdso(void) {
    vdso_base = getauxval(AT_SYSINFO_EHDR);
    if (!vdso_base)
        return false;
    const Elf64_Ehdr *e = (void *)vdso_base;
    REQUIRE(memcmp(e->e_ident, ELFMAG, 4) == 0);
    const Elf64_Phdr *ph = (void *)(vdso_base + e->e_phoff);
    uintptr_t bias = vdso_base;
    const Elf64_Dyn *dynamic = NULL;
    for (int i = 0; i < e->e_phnum; i++) {
        if (ph[i].p_type == PT_LOAD)
            bias = vdso_base + ph[i].p_offset - ph[i].p_vaddr;
        if (ph[i].p_type == PT_DYNAMIC)
            dynamic = (void *)(vdso_base + ph[i].p_offset);
    }
    REQUIRE(dynamic);
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        uintptr_t at = bias + dynamic->d_un.d_ptr;
        if (dynamic->d_tag == DT_STRTAB)
            strings = (void *)at;
        if (dynamic->d_tag == DT_SYMTAB)
            symbols = (void *)at;
        if (dynamic->d_tag == DT_HASH)
            symbol_count = ((uint32_t *)at)[1];
    }
    return symbols && strings;
}

static void *vdso_symbol(const char *name) {
    // Without DT_HASH, symbols end where the strings begin.
    size_t n = symbol_count ? symbol_count : (size_t)((Elf64_Sym *)strings - symbols);
    for (size_t i = 0; i < n && i < 200; i++)
        if (symbols[i].st_name && symbols[i].st_shndx &&
            !strcmp(strings + symbols[i].st_name, name))
            return (void *)(vdso_base + symbols[i].st_value);
    return NULL;
}

#ifdef __aarch64__
#define CLOCK_GETTIME "__kernel_clock_gettime"
#define GETTIMEOFDAY  "__kernel_gettimeofday"
#define GETRES        "__kernel_clock_getres"
#else
#define CLOCK_GETTIME "__vdso_clock_gettime"
#define GETTIMEOFDAY  "__vdso_gettimeofday"
#define GETRES        "__vdso_clock_getres"
#endif

TEST(the_vdso_is_an_elf_with_the_documented_symbols) {
    QEMU_WRONG("version 7.2 has no vDSO");
    REQUIRE(open_vdso());
    const Elf64_Ehdr *e = (void *)vdso_base;
    CHECK_EQ(e->e_type, ET_DYN);
#ifdef __aarch64__
    CHECK_EQ(e->e_machine, EM_AARCH64);
    CHECK(vdso_symbol("__kernel_rt_sigreturn") != NULL);
#else
    CHECK_EQ(e->e_machine, EM_X86_64);
#endif
    CHECK(vdso_symbol(GETTIMEOFDAY) != NULL);
    CHECK(vdso_symbol(GETRES) != NULL);
    int (*get)(clockid_t, struct timespec *) = vdso_symbol(CLOCK_GETTIME);
    REQUIRE(get);
    static const int clocks[] = {0, 1, 2, 3, 4, 5, 6, 7, 11};
    for (size_t i = 0; i < ARRAY_LEN(clocks); i++) {
        int clock = clocks[i];
        struct timespec before, by_vdso, after;
        CHECK_EQ(syscall(SYS_clock_gettime, clock, &before), 0);
        CHECK_EQ(get(clock, &by_vdso), 0);
        CHECK_EQ(syscall(SYS_clock_gettime, clock, &after), 0);
        int64_t b = before.tv_sec * 1000000000 + before.tv_nsec,
                v = by_vdso.tv_sec * 1000000000 + by_vdso.tv_nsec,
                a = after.tv_sec * 1000000000 + after.tv_nsec;
        if (!CHECK(b <= v && v <= a))
            dprintf(2, "  (clock %d: %ld %ld %ld)\n", clock, b, v, a);
    }
    CHECK_EQ(get(99, &(struct timespec){0, 0}), -EINVAL);
    struct timeval tv;
    int (*day)(struct timeval *, void *) = vdso_symbol(GETTIMEOFDAY);
    CHECK_EQ(day(&tv, NULL), 0);
    CHECK(labs(tv.tv_sec - time(NULL)) <= 1);
    struct timespec res;
    int (*getres)(clockid_t, struct timespec *) = vdso_symbol(GETRES);
    CHECK_EQ(getres(CLOCK_MONOTONIC, &res), 0);
    CHECK(res.tv_sec == 0 && res.tv_nsec > 0);
}

TEST(clock_gettime_is_fast_and_monotonic) {
    int64_t last = 0, start = now_ns();
    for (int i = 0; i < 100000; i++) {
        int64_t t = now_ns();
        if (t < last)
            FAIL("went back by %ld ns", (long)(last - t));
        last = t;
    }
    CHECK(last - start < 2000000000);
}

static int constructed;
__attribute__((constructor)) static void construct(void) {
    constructed = 7;
}
static __thread int tls_initialised = 42, tls_zero;
static char zeros[100000];

TEST(initialised_state) {
    CHECK_EQ(constructed, 7);
    CHECK(tls_initialised == 42 && tls_zero == 0);
    for (size_t i = 0; i < sizeof zeros; i += 111)
        CHECK_EQ(zeros[i], 0);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int sig = 1; sig < 32; sig++)
        CHECK(!sigismember(&mask, sig));
}

#ifdef __aarch64__
TEST(floating_point_starts_in_the_default_mode) {
    uint64_t fpcr, fpsr;
    __asm__ volatile("mrs %0, fpcr\n mrs %1, fpsr" : "=r"(fpcr), "=r"(fpsr));
    CHECK_EQ(fpcr, 0);
    CHECK_EQ(fpsr & ~0x10, 0); // libc may have made an inexact result by now
}
#endif
