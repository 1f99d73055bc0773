// mmap, munmap, mprotect, mremap, brk: every flag, placement, sharing, errors.
#include "check.h"
#include <sys/resource.h>
#include <setjmp.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { PAGE = 4096 };

static char *anonymous(size_t length, int prot, int flags) {
    return mmap(NULL, length, prot, MAP_ANONYMOUS | flags, -1, 0);
}

static sigjmp_buf env;
static void leave(int sig) {
    siglongjmp(env, sig);
}

// 0 when P can be read, 1 when that faults.
static int faults_on_read(volatile char *p) {
    handle(SIGSEGV, leave, 0);
    if (sigsetjmp(env, 1))
        return 1;
    (void)*p;
    return 0;
}
static int faults_on_write(volatile char *p) {
    handle(SIGSEGV, leave, 0);
    if (sigsetjmp(env, 1))
        return 1;
    *p = *p;
    return 0;
}

TEST(anonymous_memory_is_zero_and_private) {
    char *p = anonymous(PAGE * 3 + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    REQUIRE(p != MAP_FAILED);
    CHECK_EQ((uintptr_t)p % PAGE, 0);
    for (int i = 0; i < PAGE * 4; i += 97)
        CHECK_EQ(p[i], 0);
    p[0] = 1;
    pid_t pid = CHILD(CHECK_EQ(p[0], 1); p[0] = 2; p[PAGE] = 3);
    CHECK_EXITS(pid, 0);
    CHECK(p[0] == 1 && p[PAGE] == 0);
    CHECK_EQ(munmap(p, PAGE * 3 + 1), 0);
    CHECK(faults_on_read(p) && faults_on_read(p + PAGE * 3));
}

TEST(shared_memory_is_shared_across_fork) {
    volatile int *p = (void *)anonymous(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    pid_t pid = CHILD(p[1] = 5; while (p[0] != 1) sleep_ms(1); p[2] = 7);
    CHECK(WAIT_FOR(p[1] == 5, 5000));
    p[0] = 1;
    CHECK_EXITS(pid, 0);
    CHECK_EQ(p[2], 7);
    // And grandchildren, through an mprotect and a mremap.
    int *q = mremap((void *)p, PAGE, PAGE, MREMAP_MAYMOVE);
    CHECK_EQ(q[2], 7);
    pid = CHILD(pid_t inner = CHILD(q[3] = 9); CHECK_EXITS(inner, 0));
    CHECK_EXITS(pid, 0);
    CHECK_EQ(q[3], 9);
}

TEST(file_mappings) {
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    REQUIRE(fd != -1 && ftruncate(fd, PAGE * 3) == 0 && pwrite(fd, "file", 4, PAGE) == 4);
    char *shared = mmap(NULL, PAGE * 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE);
    REQUIRE(shared != MAP_FAILED && private != MAP_FAILED);
    CHECK(memcmp(shared + PAGE, "file", 4) == 0 && memcmp(private, "file", 4) == 0);
    shared[PAGE] = 'F';
    char b[4];
    CHECK(pread(fd, b, 4, PAGE) == 4 && b[0] == 'F');
    private[1] = 'X';
    CHECK(pread(fd, b, 4, PAGE) == 4 && b[1] == 'i');
    CHECK_EQ(pwrite(fd, "new", 3, PAGE * 2), 3);
    CHECK_EQ(shared[PAGE * 2], 'n');
    close(fd);
    shared[5] = 'z'; // the mapping outlives the descriptor
    CHECK_EQ(msync(shared, PAGE * 3, MS_SYNC), 0);
    int again = open("f", O_RDONLY);
    CHECK(pread(again, b, 1, 5) == 1 && b[0] == 'z');
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), EACCES);
    char *ro = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, again, 0);
    CHECK_ERRNO(mprotect(ro, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, again, 0) != MAP_FAILED);
    int wo = open("f", O_WRONLY);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_WRITE, MAP_PRIVATE, wo, 0), EACCES);
    char *end = mmap(NULL, PAGE * 2, PROT_READ, MAP_PRIVATE, again, PAGE * 2);
    CHECK(end != MAP_FAILED && end[0] == 'n');
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, again, 1LL << 36) != MAP_FAILED);
}

TEST(errors) {
    QEMU_WRONG("maps flags through a table and refuses the rest with EINVAL");
    int fd = open("f", O_RDWR | O_CREAT, 0600), p[2];
    REQUIRE(pipe(p) == 0);
    CHECK_ERRNO(anonymous(0, PROT_READ, MAP_PRIVATE), EINVAL);
    CHECK_ERRNO(anonymous(PAGE, PROT_READ, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100), EINVAL);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, p[0], 0), ENODEV);
    CHECK_ERRNO(anonymous(SIZE_MAX, PROT_READ, MAP_PRIVATE), ENOMEM);
    CHECK_ERRNO(anonymous(1ull << 56, PROT_READ, MAP_PRIVATE), ENOMEM);
    CHECK_ERRNO(mmap((void *)123, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                EINVAL);
    CHECK_ERRNO(
        mmap((void *)(1ull << 56), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        ENOMEM);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, -PAGE), EOVERFLOW);
    // MAP_SHARED_VALIDATE refuses flags it does not know, MAP_SHARED ignores them.
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | (1 << 24), fd, 0), EOPNOTSUPP);
    CHECK_ERRNO(munmap((void *)1, PAGE), EINVAL);
    CHECK_ERRNO(munmap((void *)PAGE, 0), EINVAL);
    CHECK_EQ(munmap((void *)(PAGE * 16ul), PAGE), 0); // nothing there is no error
    CHECK_ERRNO(mprotect((void *)1, PAGE, PROT_READ), EINVAL);
    CHECK_ERRNO(mprotect((void *)(PAGE * 16ul), PAGE, PROT_READ), ENOMEM);
    CHECK_EQ(mprotect((void *)(PAGE * 16ul), 0, PROT_READ), 0);
}

TEST(fixed_replaces_and_noreplace_does_not) {
    QEMU_WRONG("version 7.2 ignores MAP_FIXED_NOREPLACE");
    char *p = anonymous(PAGE * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(p, 'a', PAGE * 4);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    CHECK(mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0) == p + PAGE);
    CHECK(p[PAGE - 1] == 'a' && p[PAGE] == 0 && p[2 * PAGE - 1] == 0 && p[2 * PAGE] == 'a');
    CHECK_ERRNO(mmap(p, PAGE, PROT_READ, flags | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK_ERRNO(mmap(p - PAGE * 4, PAGE * 5, PROT_READ, flags | MAP_FIXED_NOREPLACE, -1, 0),
                EEXIST);
    REQUIRE(munmap(p + PAGE, 2 * PAGE) == 0);
    CHECK(faults_on_read(p + PAGE) && !faults_on_read(p + 3 * PAGE) && !faults_on_read(p));
    CHECK(mmap(p + PAGE, PAGE, PROT_READ, flags | MAP_FIXED_NOREPLACE, -1, 0) == p + PAGE);
    // A hint is taken when free, and not when it would overlap.
    CHECK(mmap(p + 2 * PAGE, PAGE, PROT_READ, flags, -1, 0) == p + 2 * PAGE);
    char *other = mmap(p, PAGE, PROT_READ, flags, -1, 0);
    CHECK(other != p && other != MAP_FAILED);
    // Holes of every size can be filled again exactly.
    for (int n = 1; n < 16; n++) {
        char *q = anonymous(PAGE * 16, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        REQUIRE(munmap(q + PAGE, PAGE * n) == 0 || n == 15);
        REQUIRE(mmap(q + PAGE, PAGE * n, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0) ==
                q + PAGE);
        q[PAGE] = q[PAGE * n] = 1;
        munmap(q, PAGE * 16);
    }
}

TEST(low_and_high_fixed_addresses) {
    // Static programs link at 0x400000; others map from 64 KiB on and up to the 47-bit end.
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    static const uintptr_t addresses[] = {0x10000,        0x12345000,    0x7fff0000,
                                          0x100000000,    0x10000000000, 0x200000000000,
                                          0x2aaaaaaaa000, 0x4000000000};
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        char *p = mmap((void *)addresses[i], PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (p == MAP_FAILED && errno == EEXIST)
            continue;
        if (CHECK(p == (char *)addresses[i]))
            p[5] = 5;
    }
    if (geteuid() != 0) // vm.mmap_min_addr
        CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                    EPERM);
}

TEST(protection_changes) {
    char *p = anonymous(PAGE * 4, PROT_NONE, MAP_PRIVATE);
    CHECK(faults_on_read(p));
    CHECK_EQ(mprotect(p, PAGE, PROT_READ), 0);
    CHECK(!faults_on_read(p) && faults_on_write(p) && faults_on_read(p + PAGE));
    CHECK_EQ(mprotect(p, PAGE * 2, PROT_READ | PROT_WRITE), 0);
    CHECK(!faults_on_write(p) && !faults_on_write(p + PAGE) && faults_on_read(p + 2 * PAGE));
    p[0] = 'k';
    CHECK_EQ(mprotect(p, PAGE, PROT_NONE), 0);
    CHECK(faults_on_read(p));
    CHECK_EQ(mprotect(p, PAGE, PROT_READ), 0);
    CHECK_EQ(p[0], 'k');
    // A hole in the range: what comes before it is changed, the call fails.
    REQUIRE(munmap(p + 2 * PAGE, PAGE) == 0);
    CHECK_ERRNO(mprotect(p, PAGE * 4, PROT_READ | PROT_WRITE), ENOMEM);
    CHECK(!faults_on_write(p));
    CHECK(faults_on_read(p + 3 * PAGE));
    CHECK_ERRNO(mprotect(p, PAGE, 0x1000000), EINVAL);
    CHECK_ERRNO(mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP), EINVAL);
    // Write implies read on both architectures.
    CHECK_EQ(mprotect(p, PAGE, PROT_WRITE), 0);
    CHECK(!faults_on_read(p));
}

TEST(execute_only_and_executable_reads) {
    char *p = anonymous(PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE);
    CHECK(p != MAP_FAILED && !faults_on_read(p) && faults_on_write(p));
    CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
    CHECK(!faults_on_write(p));
}

TEST(mremap_kinds) {
    QEMU_WRONG("its mremap has other errors and no duplication");
    char *p = anonymous(PAGE * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (int i = 0; i < 8; i++)
        p[i * PAGE] = i + 1;
    CHECK(mremap(p, PAGE * 8, PAGE * 4, 0) == p);
    CHECK(faults_on_read(p + PAGE * 4) && p[PAGE * 3] == 4);
    // Grow in place into the room just made, then where there is none.
    CHECK(mremap(p, PAGE * 4, PAGE * 6, 0) == p);
    CHECK(p[PAGE * 3] == 4 && p[PAGE * 5] == 0);
    char *block =
        mmap(p + PAGE * 6, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    REQUIRE(block == p + PAGE * 6);
    CHECK_ERRNO(mremap(p, PAGE * 6, PAGE * 9, 0), ENOMEM);
    char *q = mremap(p, PAGE * 6, PAGE * 32, MREMAP_MAYMOVE);
    REQUIRE(q != MAP_FAILED);
    CHECK(q != p && q[PAGE * 3] == 4 && q[PAGE * 31] == 0);
    CHECK(faults_on_read(p) && faults_on_read(p + 3 * PAGE));
    char *target = anonymous(PAGE * 4, PROT_READ, MAP_PRIVATE);
    CHECK(mremap(q, PAGE * 2, PAGE * 2, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    CHECK(target[0] == 1 && target[PAGE] == 2 && faults_on_read(q) && q[PAGE * 2] == 3);
    CHECK_ERRNO(mremap(q, PAGE, PAGE, 0), EFAULT); // no longer mapped
    CHECK_ERRNO(mremap(target + 1, PAGE, PAGE, 0), EINVAL);
    CHECK_ERRNO(mremap(target, PAGE, 0, 0), EINVAL);
    CHECK_ERRNO(mremap(target, PAGE, PAGE, 0x80), EINVAL);
    CHECK_ERRNO(mremap(target, PAGE, PAGE, MREMAP_FIXED, q), EINVAL);
    CHECK_ERRNO(mremap(target, PAGE * 2, PAGE * 2, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE),
                EINVAL);
    // old_size 0 duplicates a shared mapping.
    char *shared = anonymous(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    char *twin = mremap(shared, 0, PAGE, MREMAP_MAYMOVE);
    if (CHECK(twin != MAP_FAILED && twin != shared)) {
        shared[7] = 'T';
        CHECK_EQ(twin[7], 'T');
    }
    char *private = anonymous(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    CHECK_ERRNO(mremap(private, 0, PAGE, MREMAP_MAYMOVE), EINVAL);
}

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
TEST(mremap_dontunmap) {
    QEMU_WRONG("no MREMAP_DONTUNMAP");
    char *p = anonymous(PAGE * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    p[0] = 'q';
    char *q = mremap(p, PAGE * 2, PAGE * 2, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    REQUIRE(q != MAP_FAILED);
    CHECK(q[0] == 'q' && p[0] == 0 && q != p);
}

TEST(brk_moves_the_break) {
    QEMU_WRONG("never gives memory below the break back");
    char *start = sbrk(0);
    REQUIRE(start != (void *)-1);
    CHECK(sbrk(PAGE * 4) == start);
    start[0] = start[PAGE * 4 - 1] = 1;
    CHECK_EQ(brk(start + PAGE), 0);
    CHECK(sbrk(0) == start + PAGE);
    uintptr_t aligned = ((uintptr_t)start + PAGE + PAGE - 1) & -(uintptr_t)PAGE;
    CHECK(faults_on_read((char *)aligned + PAGE));
    CHECK_EQ(brk(start + PAGE * 4), 0);
    CHECK_EQ(((char *)aligned)[PAGE], 0); // memory given back comes again as zeros
    // The raw call answers with the break; an impossible request leaves it.
    CHECK_EQ(syscall(SYS_brk, 0), (long)(start + PAGE * 4));
    CHECK_EQ(syscall(SYS_brk, 8), (long)(start + PAGE * 4));
    CHECK_EQ(syscall(SYS_brk, 1ul << 60), (long)(start + PAGE * 4));
    char *big = sbrk(64 << 20);
    CHECK(big == start + PAGE * 4);
    big[(64 << 20) - 1] = 1;
    pid_t pid = CHILD(CHECK(sbrk(0) == big + (64 << 20)); CHECK(sbrk(PAGE) != (void *)-1));
    CHECK_EXITS(pid, 0);
    CHECK(sbrk(0) == big + (64 << 20));
}

TEST(address_space_limit) {
    QEMU_WRONG("RLIMIT_DATA is not its own");
    struct rlimit limit;
    REQUIRE(getrlimit(RLIMIT_AS, &limit) == 0);
    CHECK(limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 1 << 30);
    struct rlimit data = {1 << 20, RLIM_INFINITY};
    pid_t pid =
        CHILD(CHECK_EQ(setrlimit(RLIMIT_DATA, &data), 0); CHECK(sbrk(64 << 20) == (void *)-1));
    CHECK_EXITS(pid, 0);
}

TEST(many_small_mappings) {
    enum { N = 2000 };
    static char *p[N];
    for (int i = 0; i < N; i++) {
        p[i] = anonymous(PAGE, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE);
        REQUIRE(p[i] != MAP_FAILED);
        if (!(i & 1))
            *(int *)p[i] = i;
    }
    for (int i = 0; i < N; i += 2)
        CHECK_EQ(*(int *)p[i], i);
    for (int i = 0; i < N; i++)
        CHECK_EQ(munmap(p[i], PAGE), 0);
}

TEST(grows_down_and_other_flags) {
    QEMU_WRONG("does not pass MAP_POPULATE on");
    char *p = anonymous(PAGE * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | MAP_STACK);
    CHECK(p != MAP_FAILED && !faults_on_write(p));
    p = anonymous(PAGE * 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE);
    CHECK(p != MAP_FAILED);
    unsigned char core[16];
    CHECK_EQ(mincore(p, PAGE * 16, core), 0);
    for (int i = 0; i < 16; i++)
        CHECK_EQ(core[i] & 1, 1);
    p = anonymous(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_LOCKED);
    CHECK(p != MAP_FAILED || errno == EAGAIN);
}
