// open(2), openat(2), openat2(2): every flag, with the ones whose values differ on arm64
// (O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE) checked by their effect.
#include "check.h"
#include <linux/openat2.h>
#include <sys/statfs.h>
#include <linux/magic.h>

static bool on_tmpfs(void) {
    struct statfs fs;
    return statfs(".", &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

TEST(flag_values_are_the_architectures) {
#ifdef __aarch64__
    CHECK_EQ(O_DIRECTORY, 040000);
    CHECK_EQ(O_NOFOLLOW, 0100000);
    CHECK_EQ(O_DIRECT, 0200000);
#else
    CHECK_EQ(O_DIRECT, 040000);
    CHECK_EQ(O_DIRECTORY, 0200000);
    CHECK_EQ(O_NOFOLLOW, 0400000);
#endif
}

TEST(directory_flag) {
    write_file("file", "x", 0644);
    REQUIRE(mkdir("dir", 0755) == 0);
    CHECK_ERRNO(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO(open("absent", O_RDONLY | O_DIRECTORY), ENOENT);
    CHECK_ERRNO(open("dir", O_WRONLY), EISDIR);
    CHECK_ERRNO(open("dir", O_RDWR | O_DIRECTORY), EISDIR);
    int fd = CHECK_OK(open("dir", O_RDONLY | O_DIRECTORY));
    char c;
    CHECK_ERRNO(read(fd, &c, 1), EISDIR);
    CHECK(fcntl(fd, F_GETFL) & O_DIRECTORY);
    close(fd);
}

TEST(nofollow_flag) {
    write_file("file", "x", 0644);
    REQUIRE(symlink("file", "link") == 0);
    REQUIRE(mkdir("dir", 0755) == 0 && symlink("dir", "dirlink") == 0);
    write_file("dir/in", "y", 0644);
    CHECK_ERRNO(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERRNO(open("dirlink", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
    close(CHECK_OK(open("link", O_RDONLY)));
    close(CHECK_OK(open("file", O_RDONLY | O_NOFOLLOW)));
    close(CHECK_OK(open("dirlink/in", O_RDONLY | O_NOFOLLOW)));
    int fd = CHECK_OK(open("link", O_PATH | O_NOFOLLOW));
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && S_ISLNK(st.st_mode));
    char target[8] = "";
    CHECK_EQ(readlinkat(fd, "", target, sizeof target), 4);
    CHECK_STR(target, "file");
    close(fd);
    REQUIRE(symlink("loop2", "loop1") == 0 && symlink("loop1", "loop2") == 0);
    CHECK_ERRNO(open("loop1", O_RDONLY), ELOOP);
}

TEST(direct_flag) {
    if (on_tmpfs())
        SKIP("O_DIRECT on tmpfs");
    int fd = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0600);
    if (fd == -1 && errno == EINVAL)
        SKIP("file system without O_DIRECT");
    REQUIRE(fd != -1);
    CHECK((fcntl(fd, F_GETFL) & O_DIRECT) != 0);
    CHECK((fcntl(fd, F_GETFL) & O_DIRECTORY) == 0);
    char *buffer = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(buffer, 'd', 4096);
    CHECK_EQ(write(fd, buffer, 4096), 4096);
    CHECK_ERRNO(write(fd, buffer + 1, 100), EINVAL);
    CHECK_EQ(pread(fd, buffer + 4096, 4096, 0), 4096);
    CHECK(memcmp(buffer, buffer + 4096, 4096) == 0);
    int flags = fcntl(fd, F_GETFL);
    CHECK_EQ(fcntl(fd, F_SETFL, flags & ~O_DIRECT), 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_DIRECT, 0);
    CHECK_EQ(pwrite(fd, "abc", 3, 1), 3);
    CHECK_EQ(fcntl(fd, F_SETFL, flags | O_DIRECT), 0);
    CHECK(fcntl(fd, F_GETFL) & O_DIRECT);
    close(fd);
}

TEST(tmpfile_flag) {
    int fd = open(".", O_TMPFILE | O_RDWR, 0640);
    if (fd == -1 && errno == EOPNOTSUPP)
        SKIP("file system without O_TMPFILE");
    REQUIRE(fd != -1);
    struct stat st;
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(write(fd, "tmp", 3), 3);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_EQ(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_nlink, 1);
    close(fd);
    CHECK_EQ(stat("named", &st), 0);
    CHECK_EQ(st.st_size, 3);
    CHECK_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    fd = CHECK_OK(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "excl", AT_SYMLINK_FOLLOW), ENOENT);
    close(fd);
}

TEST(creation_flags) {
    umask(022);
    int fd = CHECK_OK(open("new", O_WRONLY | O_CREAT | O_EXCL, 0666));
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0644);
    CHECK_EQ(write(fd, "12345", 5), 5);
    CHECK_ERRNO(open("new", O_WRONLY | O_CREAT | O_EXCL, 0666), EEXIST);
    REQUIRE(symlink("nowhere", "dangling") == 0);
    CHECK_ERRNO(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0666), EEXIST);
    int again = CHECK_OK(open("new", O_RDWR | O_TRUNC));
    CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
    close(again);
    close(fd);
    CHECK_ERRNO(open("absent/new", O_WRONLY | O_CREAT, 0666), ENOENT);
    CHECK_ERRNO(open("new/below", O_WRONLY | O_CREAT, 0666), ENOTDIR);
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    char name[NAME_MAX + 2];
    memset(name, 'n', NAME_MAX + 1);
    name[NAME_MAX + 1] = 0;
    CHECK_ERRNO(open(name, O_WRONLY | O_CREAT, 0666), ENAMETOOLONG);
    name[NAME_MAX] = 0;
    close(CHECK_OK(open(name, O_WRONLY | O_CREAT, 0666)));
    CHECK_ERRNO(open((char *)8, O_RDONLY), EFAULT);
    CHECK_ERRNO(openat(-5, "new", O_RDONLY), EBADF);
    CHECK_ERRNO(openat(0x7ffff, "new", O_RDONLY), EBADF);
}

TEST(append_flag) {
    int fd = CHECK_OK(open("log", O_WRONLY | O_CREAT | O_APPEND, 0666));
    int other = CHECK_OK(open("log", O_WRONLY));
    CHECK_EQ(write(other, "aaaa", 4), 4);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(write(fd, "bb", 2), 2);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
    // man 2 pwrite, BUGS: with O_APPEND, pwrite appends whatever the offset.
    CHECK_EQ(pwrite(fd, "cc", 2, 0), 2);
    char text[16] = "";
    int in = open("log", O_RDONLY);
    CHECK_EQ(read(in, text, sizeof text), 8);
    CHECK_STR(text, "aaaabbcc");
}

TEST(status_flags_read_back) {
    static const int flags[] = {O_RDONLY,  O_WRONLY,           O_RDWR,
                                O_APPEND,  O_NONBLOCK,         O_SYNC | O_RDWR,
                                O_NOATIME, O_DSYNC | O_WRONLY, O_APPEND | O_NONBLOCK | O_RDWR};
    write_file("f", "x", 0644);
    // arm64's and x86-64's kernels show O_LARGEFILE although libc defines it as 0.
    int shown = O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_NOATIME | O_DIRECT | O_ASYNC |
                O_DIRECTORY | O_NOFOLLOW | O_PATH;
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        int fd = CHECK_OK(open("f", flags[i]));
        CHECK_EQ(fcntl(fd, F_GETFL) & shown, flags[i]);
        close(fd);
    }
    int fd = CHECK_OK(open("f", O_RDONLY | O_CLOEXEC));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL) & O_CLOEXEC, 0);
    close(fd);
    fd = CHECK_OK(open("f", O_RDONLY | O_NOFOLLOW));
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_NOFOLLOW | O_DIRECTORY | O_DIRECT), O_NOFOLLOW);
    // F_SETFL changes only APPEND, ASYNC, DIRECT, NOATIME, NONBLOCK.
    CHECK_EQ(fcntl(fd, F_SETFL, O_WRONLY | O_APPEND | O_NONBLOCK), 0);
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_APPEND | O_NONBLOCK);
}

TEST(path_descriptors) {
    write_file("f", "text", 0600);
    int fd = CHECK_OK(open("f", O_PATH));
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_PATH | O_ACCMODE), O_PATH);
    char c;
    CHECK_ERRNO(read(fd, &c, 1), EBADF);
    CHECK_ERRNO(write(fd, &c, 1), EBADF);
    CHECK_ERRNO(fchmod(fd, 0777), EBADF);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), EBADF);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reopened = CHECK_OK(open(path, O_RDONLY));
    CHECK_EQ(read(reopened, &c, 1), 1);
    CHECK_EQ(c, 't');
    int dir = CHECK_OK(open(".", O_PATH | O_DIRECTORY));
    close(CHECK_OK(openat(dir, "f", O_RDONLY)));
    CHECK_EQ(fchdir(dir), 0);
}

TEST(lowest_free_descriptor) {
    int a = open("/dev/null", O_RDONLY), b = open("/dev/null", O_RDONLY);
    CHECK_EQ(b, a + 1);
    close(a);
    CHECK_EQ(open("/dev/null", O_RDONLY), a);
    CHECK_EQ(creat("c", 0600), b + 1);
}

static long openat2_(int dir, const char *path, struct open_how *how, size_t size) {
    return syscall(SYS_openat2, dir, path, how, size);
}

TEST(openat2_resolution) {
    QEMU_WRONG("no openat2");
    REQUIRE(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
    write_file("d/f", "in", 0644);
    write_file("out", "out", 0644);
    REQUIRE(symlink("../out", "d/escape") == 0 && symlink("f", "d/ok") == 0);
    REQUIRE(symlink("/f", "d/absolute") == 0);
    int dir = open("d", O_PATH | O_DIRECTORY);
    struct open_how how = {.flags = O_RDONLY};
    close(CHECK_OK(openat2_(dir, "escape", &how, sizeof how)));
    how.resolve = RESOLVE_BENEATH;
    CHECK_ERRNO(openat2_(dir, "escape", &how, sizeof how), EXDEV);
    CHECK_ERRNO(openat2_(dir, "..", &how, sizeof how), EXDEV);
    CHECK_ERRNO(openat2_(dir, "/etc", &how, sizeof how), EXDEV);
    close(CHECK_OK(openat2_(dir, "e/../f", &how, sizeof how)));
    how.resolve = RESOLVE_IN_ROOT;
    close(CHECK_OK(openat2_(dir, "absolute", &how, sizeof how)));
    CHECK_ERRNO(openat2_(dir, "escape", &how, sizeof how), ENOENT);
    how.resolve = RESOLVE_NO_SYMLINKS;
    CHECK_ERRNO(openat2_(dir, "ok", &how, sizeof how), ELOOP);
    how.resolve = RESOLVE_NO_MAGICLINKS;
    CHECK_ERRNO(openat2_(AT_FDCWD, "/proc/self/exe", &how, sizeof how), ELOOP);
    how.resolve = 0;
    how.flags = O_RDONLY | O_NOFOLLOW;
    CHECK_ERRNO(openat2_(dir, "ok", &how, sizeof how), ELOOP);
    how.flags = O_RDONLY | O_DIRECTORY;
    CHECK_ERRNO(openat2_(dir, "f", &how, sizeof how), ENOTDIR);
    how.flags = O_PATH | O_NOFOLLOW;
    close(CHECK_OK(openat2_(dir, "ok", &how, sizeof how)));
    how = (struct open_how){.flags = O_CREAT | O_RDWR | O_EXCL, .mode = 0600};
    close(CHECK_OK(openat2_(dir, "made", &how, sizeof how)));
    CHECK_ERRNO(openat2_(dir, "made", &how, sizeof how), EEXIST);
}

TEST(openat2_errors) {
    QEMU_WRONG("no openat2");
    struct {
        struct open_how how;
        uint64_t extra;
    } big = {.how = {.flags = O_RDONLY}};
    write_file("f", "x", 0644);
    close(CHECK_OK(openat2_(AT_FDCWD, "f", &big.how, sizeof big)));
    big.extra = 1;
    CHECK_ERRNO(openat2_(AT_FDCWD, "f", &big.how, sizeof big), E2BIG);
    CHECK_ERRNO(openat2_(AT_FDCWD, "f", &big.how, 8), EINVAL);
    big.how.mode = 0600;
    CHECK_ERRNO(openat2_(AT_FDCWD, "f", &big.how, sizeof big.how), EINVAL);
    big.how = (struct open_how){.flags = O_RDONLY | (1ull << 40)};
    CHECK_ERRNO(openat2_(AT_FDCWD, "f", &big.how, sizeof big.how), EINVAL);
    big.how = (struct open_how){.flags = O_RDONLY, .resolve = 1 << 20};
    CHECK_ERRNO(openat2_(AT_FDCWD, "f", &big.how, sizeof big.how), EINVAL);
    CHECK_ERRNO(openat2_(AT_FDCWD, "f", (struct open_how *)8, sizeof big.how), EFAULT);
}

TEST(device_files) {
    char c = 1;
    int fd = CHECK_OK(open("/dev/null", O_RDWR));
    CHECK_EQ(read(fd, &c, 1), 0);
    CHECK_EQ(write(fd, &c, 1), 1);
    fd = CHECK_OK(open("/dev/zero", O_RDONLY));
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_EQ(c, 0);
    fd = CHECK_OK(open("/dev/full", O_WRONLY));
    CHECK_ERRNO(write(fd, &c, 1), ENOSPC);
    REQUIRE(mkfifo("fifo", 0600) == 0);
    CHECK_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    fd = CHECK_OK(open("fifo", O_RDONLY | O_NONBLOCK));
    close(CHECK_OK(open("fifo", O_WRONLY | O_NONBLOCK)));
    CHECK_EQ(read(fd, &c, 1), 0);
}
