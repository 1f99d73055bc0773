// madvise, mincore, msync, mlock, huge reservations, /proc/self/maps, process_vm, membarrier.
#include "check.h"
#include <elf.h>
#include <setjmp.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/uio.h>

enum { PAGE = 4096 };

static char *anonymous(size_t length, int prot) {
    char *p = mmap(NULL, length, prot, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    REQUIRE(p != MAP_FAILED);
    return p;
}

TEST(madvise_kinds) {
    QEMU_WRONG("accepts any advice and any range");
    char *p = anonymous(PAGE * 8, PROT_READ | PROT_WRITE);
    memset(p, 'x', PAGE * 8);
    CHECK_EQ(madvise(p + PAGE, PAGE * 2, MADV_DONTNEED), 0);
    CHECK(p[0] == 'x' && p[PAGE] == 0 && p[PAGE * 3 - 1] == 0 && p[PAGE * 3] == 'x');
    static const int harmless[] = {
        MADV_NORMAL, MADV_RANDOM,    MADV_SEQUENTIAL, MADV_WILLNEED,    MADV_DONTFORK,
        MADV_DOFORK, MADV_HUGEPAGE,  MADV_NOHUGEPAGE, MADV_DONTDUMP,    MADV_DODUMP,
        MADV_FREE,   MADV_MERGEABLE, MADV_COLD,       MADV_UNMERGEABLE, MADV_PAGEOUT};
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        if (madvise(p, PAGE * 8, harmless[i]) == -1)
            CHECK_EQ(errno, EINVAL); // a kernel built without it
    CHECK_ERRNO(madvise(p, PAGE, 12345), EINVAL);
    CHECK_ERRNO(madvise(p + 1, PAGE, MADV_NORMAL), EINVAL);
    CHECK_EQ(madvise(p, 0, MADV_DONTNEED), 0);
    munmap(p + PAGE * 2, PAGE);
    CHECK_ERRNO(madvise(p, PAGE * 8, MADV_DONTNEED), ENOMEM);
    CHECK(p[PAGE * 4] == 0); // the mapped rest was still done
    // A file's private changes are dropped, the file's bytes come back.
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    REQUIRE(write(fd, "original", 8) == 8);
    char *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    m[0] = 'X';
    CHECK_EQ(madvise(m, PAGE, MADV_DONTNEED), 0);
    CHECK_EQ(m[0], 'o');
}

TEST(dontfork_and_wipeonfork) {
    QEMU_WRONG("passes no madvise of this kind on");
    char *p = anonymous(PAGE * 2, PROT_READ | PROT_WRITE),
         *q = anonymous(PAGE, PROT_READ | PROT_WRITE);
    p[0] = q[0] = 'x';
    CHECK_EQ(madvise(p, PAGE, MADV_DONTFORK), 0);
    CHECK_EQ(madvise(q, PAGE, MADV_WIPEONFORK), 0);
    pid_t pid =
        CHILD(unsigned char core; CHECK_ERRNO(mincore(p, PAGE, &core), ENOMEM); CHECK_EQ(q[0], 0));
    CHECK_EXITS(pid, 0);
    CHECK(p[0] == 'x' && q[0] == 'x');
}

TEST(mincore_and_msync) {
    char *p = anonymous(PAGE * 4, PROT_READ | PROT_WRITE);
    unsigned char core[4] = {9, 9, 9, 9};
    p[PAGE] = 1;
    CHECK_EQ(mincore(p, PAGE * 4, core), 0);
    CHECK((core[1] & 1) && !(core[3] & 1));
    CHECK_ERRNO(mincore(p + 1, PAGE, core), EINVAL);
    CHECK_ERRNO(mincore(p, PAGE, (void *)8), EFAULT);
    munmap(p + PAGE * 2, PAGE);
    CHECK_ERRNO(mincore(p, PAGE * 4, core), ENOMEM);
    CHECK_EQ(msync(p, PAGE, MS_ASYNC), 0);
    CHECK_ERRNO(msync(p, PAGE, MS_ASYNC | MS_SYNC), EINVAL);
    CHECK_ERRNO(msync(p + 1, PAGE, MS_SYNC), EINVAL);
    CHECK_ERRNO(msync(p, PAGE * 4, MS_SYNC), ENOMEM);
    CHECK_ERRNO(msync(p, PAGE, 0x70), EINVAL);
}

TEST(locking) {
    QEMU_WRONG("no mlock2");
    char *p = anonymous(PAGE * 2, PROT_READ | PROT_WRITE);
    if (mlock(p, PAGE) == -1 && (errno == EPERM || errno == ENOMEM))
        SKIP("no locked memory allowed");
    CHECK_EQ(munlock(p, PAGE), 0);
    CHECK_EQ(mlock2(p, PAGE, MLOCK_ONFAULT), 0);
    CHECK_ERRNO(mlock2(p, PAGE, 0x40), EINVAL);
    CHECK_EQ(munlockall(), 0);
    munmap(p + PAGE, PAGE);
    CHECK_ERRNO(mlock(p, PAGE * 2), ENOMEM);
    CHECK_ERRNO(mlockall(0), EINVAL);
}

TEST(terabyte_reservations_cost_nothing) {
    QEMU_WRONG("keeps page flags for every page reserved");
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    int64_t start = now_ns();
    size_t size = 1ul << 40;
    char *p[8];
    for (int i = 0; i < 8; i++) {
        p[i] = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        REQUIRE(p[i] != MAP_FAILED);
    }
    // Commit, use and decommit bits of it, as garbage collectors do.
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 50; k++) {
            char *at = p[i] + (size_t)k * (size / 64);
            REQUIRE(mprotect(at, PAGE * 16, PROT_READ | PROT_WRITE) == 0);
            at[PAGE * 15] = k;
            REQUIRE(madvise(at, PAGE * 16, MADV_DONTNEED) == 0);
            CHECK_EQ(at[PAGE * 15], 0);
            REQUIRE(mprotect(at, PAGE * 16, PROT_NONE) == 0);
        }
    char *fixed = mmap(p[3] + (1 << 30), 1 << 20, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(fixed == p[3] + (1 << 30));
    pid_t pid = CHILD(fixed[5] = 1);
    CHECK_EXITS(pid, 0);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(munmap(p[i], size), 0);
    getrusage(RUSAGE_SELF, &after);
    CHECK(now_ns() - start < 3000000000);
    CHECK(after.ru_maxrss - before.ru_maxrss < 64 << 10);
    char *huge =
        mmap(NULL, 32ul << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(huge != MAP_FAILED);
}

typedef struct {
    uintptr_t start, end, offset;
    char prot[5], path[PATH_MAX];
} mapping;

// Calls VISIT for each line of /proc/self/maps; returns the number of lines.
static int each_mapping(void (*visit)(const mapping *m)) {
    FILE *f = fopen("/proc/self/maps", "r");
    REQUIRE(f);
    char line[PATH_MAX + 200];
    int n = 0;
    while (fgets(line, sizeof line, f)) {
        mapping m = {0};
        unsigned major, minor, length = 0;
        unsigned long inode;
        int got = sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &m.start, &m.end, m.prot, &m.offset,
                         &major, &minor, &inode, &length);
        CHECK_EQ(got, 7);
        if (length)
            sscanf(line + length, "%4095[^\n]", m.path);
        visit(&m);
        n++;
    }
    fclose(f);
    return n;
}

static uintptr_t wanted, last_end;
static mapping found;
static int stacks, heaps, vdsos, texts, overlaps;
static char exe[PATH_MAX];

static void collect(const mapping *m) {
    if (wanted >= m->start && wanted < m->end)
        found = *m;
    overlaps += m->start < last_end || m->end <= m->start;
    last_end = m->end;
    stacks += !strcmp(m->path, "[stack]");
    heaps += !strcmp(m->path, "[heap]");
    vdsos += !strcmp(m->path, "[vdso]");
    texts += !strcmp(m->path, exe) && m->prot[2] == 'x';
    if (!strcmp(m->path, "[stack]")) {
        uintptr_t here = (uintptr_t)__builtin_frame_address(0);
        CHECK(here >= m->start && here < m->end);
    }
}

static mapping find(void *address) {
    wanted = (uintptr_t)address;
    last_end = 0;
    stacks = heaps = vdsos = texts = overlaps = 0;
    memset(&found, 0, sizeof found);
    CHECK(each_mapping(collect) > 3);
    return found;
}

TEST(proc_self_maps_shows_what_is_mapped) {
    QEMU_WRONG("its maps file lacks the split of neighbours and the vdso");
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    REQUIRE(n > 0);
    free(malloc(1000));
    char *p = anonymous(PAGE * 4, PROT_READ | PROT_WRITE);
    REQUIRE(mprotect(p + PAGE, PAGE, PROT_READ) == 0 &&
            mprotect(p + PAGE * 2, PAGE, PROT_NONE) == 0);
    mapping m = find(p + PAGE);
    CHECK(m.start == (uintptr_t)p + PAGE && m.end == (uintptr_t)p + PAGE * 2);
    CHECK_STR(m.prot, "r--p");
    CHECK_STR(m.path, "");
    CHECK_EQ(overlaps, 0);
    CHECK_EQ(stacks, 1);
    CHECK_EQ(heaps, 1);
    CHECK_EQ(vdsos, 1);
    CHECK(texts >= 1);
    CHECK_STR(find(p + PAGE * 2).prot, "---p");
    m = find((void *)(uintptr_t)find);
    CHECK_STR(m.prot, "r-xp");
    CHECK_STR(m.path, exe);
    CHECK_EQ(find((void *)getauxval(AT_SYSINFO_EHDR)).start, getauxval(AT_SYSINFO_EHDR));
    CHECK_STR(found.path, "[vdso]");
    munmap(p, PAGE * 4);
    CHECK_EQ(find(p).start, 0);
    // A file mapping with its offset and path.
    int fd = open("mapped file", O_RDWR | O_CREAT, 0600);
    REQUIRE(ftruncate(fd, PAGE * 4) == 0);
    p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE * 2);
    m = find(p);
    CHECK_STR(m.prot, "rw-s");
    CHECK_EQ(m.offset, PAGE * 2);
    CHECK(strstr(m.path, "/mapped file") != NULL);
}

// A page the guest maps is one it can use, wherever the kernel puts it; none of the engine's own
// memory is in the list.
static long writable_total;
static void add_up(const mapping *m) {
    if (m->prot[1] == 'w')
        writable_total += m->end - m->start;
}

TEST(proc_self_maps_hides_the_engine) {
    each_mapping(add_up);
    // Harness, libc and stack: a native static program has well under 1 MB writable, plus heap.
    CHECK(writable_total < 64 << 20);
}

TEST(process_vm_calls) {
    QEMU_WRONG("version 7.2 has neither");
    char *p = anonymous(PAGE, PROT_READ | PROT_WRITE), b[16] = "";
    strcpy(p, "remote");
    struct iovec local = {b, 6}, remote = {p, 6};
    pid_t pid = CHILD(p[0] = 'R'; raise(SIGSTOP); _exit(p[1] == 'E' ? 0 : 1));
    int status;
    REQUIRE(waitpid(pid, &status, WUNTRACED) == pid);
    CHECK_EQ(process_vm_readv(pid, &local, 1, &remote, 1, 0), 6);
    CHECK_STR(b, "Remote");
    b[1] = 'E';
    CHECK_EQ(process_vm_writev(pid, &local, 1, &remote, 1, 0), 6);
    kill(pid, SIGCONT);
    CHECK_EXITS(pid, 0);
    CHECK_ERRNO(process_vm_readv(pid, &local, 1, &remote, 1, 0), ESRCH);
    remote.iov_base = (void *)8;
    CHECK_ERRNO(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), EFAULT);
    CHECK_ERRNO(process_vm_readv(getpid(), &local, 1, &remote, 1, 1), EINVAL);
}

TEST(membarrier_commands) {
    long mask = syscall(SYS_membarrier, 0, 0, 0);
    if (mask == -1) {
        CHECK_EQ(errno, ENOSYS);
        SKIP("no membarrier");
    }
    CHECK(mask & 1);
    if (mask & 1 << 4) { // REGISTER_PRIVATE_EXPEDITED, PRIVATE_EXPEDITED
        CHECK_EQ(syscall(SYS_membarrier, 1 << 4, 0, 0), 0);
        CHECK_EQ(syscall(SYS_membarrier, 1 << 3, 0, 0), 0);
    }
    CHECK_ERRNO(syscall(SYS_membarrier, 0x40000000, 0, 0), EINVAL);
}

TEST(proc_self_mem) {
    char *p = anonymous(PAGE, PROT_READ);
    int fd = open("/proc/self/mem", O_RDWR);
    if (fd == -1)
        SKIP("no /proc/self/mem");
    CHECK_EQ(pwrite(fd, "through", 7, (off_t)(uintptr_t)p), 7); // as a debugger, through protection
    CHECK(memcmp(p, "through", 7) == 0);
    char b[4];
    CHECK_EQ(pread(fd, b, 4, (off_t)(uintptr_t)p + 3), 4);
    CHECK(memcmp(b, "ough", 4) == 0);
    CHECK_ERRNO(pread(fd, b, 4, 8), EIO);
}
