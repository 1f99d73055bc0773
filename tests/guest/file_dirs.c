// Directories and names: getdents64, mkdir/rmdir, rename and renameat2, links, the working
// directory.
#include "check.h"
#include <dirent.h>

struct linux_dirent64 {
    uint64_t d_ino;
    int64_t d_off;
    uint16_t d_reclen;
    uint8_t d_type;
    char d_name[];
};

TEST(getdents64_lists_every_name_once) {
    enum { FILES = 500 };
    REQUIRE(mkdir("d", 0700) == 0 && chdir("d") == 0);
    char name[64];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "file-%0*d", 4 + i % 20, i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    REQUIRE(mkdir("sub", 0700) == 0 && symlink("x", "sym") == 0 && mkfifo("fifo", 0600) == 0);
    int fd = open(".", O_RDONLY | O_DIRECTORY), seen = 0, calls = 0;
    static char buffer[1024] __attribute__((aligned(8)));
    bool dot = false, dotdot = false;
    long n;
    while ((n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
        calls++;
        for (long at = 0; at < n;) {
            struct linux_dirent64 *d = (void *)(buffer + at);
            CHECK(d->d_reclen % 8 == 0 && d->d_reclen >= 24 && at + d->d_reclen <= n);
            struct stat st;
            CHECK_EQ(lstat(d->d_name, &st), 0);
            if (strcmp(d->d_name, ".."))
                CHECK_EQ(d->d_ino, st.st_ino);
            CHECK(d->d_type == DT_UNKNOWN || d->d_type == (st.st_mode & S_IFMT) >> 12);
            dot |= !strcmp(d->d_name, ".");
            dotdot |= !strcmp(d->d_name, "..");
            seen++;
            at += d->d_reclen;
        }
    }
    CHECK_EQ(n, 0);
    CHECK(dot && dotdot && calls > 10);
    CHECK_EQ(seen, FILES + 5);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_ERRNO(syscall(SYS_getdents64, fd, buffer, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_getdents64, fd, (void *)8, 4096), EFAULT);
    CHECK_ERRNO(syscall(SYS_getdents64, open("fifo", O_RDWR), buffer, 100), ENOTDIR);
    CHECK_ERRNO(syscall(SYS_getdents64, -1, buffer, 100), EBADF);
}

TEST(seekdir_returns_to_a_place) {
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    DIR *d = opendir(".");
    REQUIRE(d);
    for (int i = 0; i < 50; i++)
        CHECK(readdir(d) != NULL);
    long place = telldir(d);
    char name[256];
    strcpy(name, readdir(d)->d_name);
    while (readdir(d))
        ;
    seekdir(d, place);
    struct dirent *e = readdir(d);
    CHECK(e && !strcmp(e->d_name, name));
    rewinddir(d);
    int n = 0;
    while (readdir(d))
        n++;
    CHECK_EQ(n, 102);
    closedir(d);
}

TEST(mkdir_and_rmdir) {
    CHECK_EQ(mkdir("a", 0755), 0);
    CHECK_ERRNO(mkdir("a", 0755), EEXIST);
    CHECK_ERRNO(mkdir("x/y", 0755), ENOENT);
    CHECK_EQ(mkdirat(AT_FDCWD, "a/b", 0755), 0);
    CHECK_ERRNO(rmdir("a"), ENOTEMPTY);
    CHECK_ERRNO(rmdir("a/."), EINVAL);
    CHECK_ERRNO(rmdir("absent"), ENOENT);
    write_file("f", "", 0600);
    CHECK_ERRNO(rmdir("f"), ENOTDIR);
    CHECK_ERRNO(mkdir("f/g", 0700), ENOTDIR);
    CHECK_ERRNO(unlink("a"), EISDIR);
    CHECK_EQ(unlinkat(AT_FDCWD, "a/b", AT_REMOVEDIR), 0);
    CHECK_ERRNO(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR), ENOTDIR);
    CHECK_ERRNO(unlinkat(AT_FDCWD, "f", 0x10000), EINVAL);
    CHECK_EQ(unlinkat(AT_FDCWD, "f", 0), 0);
    CHECK_ERRNO(unlink("f"), ENOENT);
    CHECK_EQ(rmdir("a"), 0);
    CHECK_ERRNO(mkdir((char *)8, 0700), EFAULT);
}

TEST(unlinked_file_lives_while_open) {
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    REQUIRE(write(fd, "still", 5) == 5);
    CHECK_EQ(unlink("f"), 0);
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 5);
    char path[64], target[256] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK(readlink(path, target, sizeof target - 1) > 0);
    CHECK(strstr(target, "/f (deleted)") != NULL);
}

TEST(rename_replaces) {
    write_file("a", "A", 0600);
    write_file("b", "B", 0600);
    struct stat a, b;
    stat("a", &a);
    CHECK_EQ(rename("a", "b"), 0);
    CHECK(stat("b", &b) == 0 && a.st_ino == b.st_ino);
    CHECK_ERRNO(rename("a", "c"), ENOENT);
    REQUIRE(mkdir("d", 0700) == 0 && mkdir("e", 0700) == 0 && mkdir("e/full", 0700) == 0);
    CHECK_ERRNO(rename("d", "b"), ENOTDIR);
    CHECK_ERRNO(rename("b", "d"), EISDIR);
    CHECK_ERRNO(rename("d", "e"), ENOTEMPTY);
    CHECK_ERRNO(rename("e", "e/full/in"), EINVAL);
    CHECK_EQ(rename("d", "e/d"), 0);
    CHECK_EQ(renameat(AT_FDCWD, "b", AT_FDCWD, "b"), 0);
}

TEST(renameat2_flags) {
    write_file("a", "A", 0600);
    write_file("b", "BB", 0600);
    struct stat st;
    CHECK_ERRNO(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
    if (renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) == -1 && errno == EINVAL)
        SKIP("file system without RENAME_EXCHANGE");
    CHECK(stat("a", &st) == 0 && st.st_size == 2);
    CHECK(stat("b", &st) == 0 && st.st_size == 1);
    CHECK_EQ(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE), 0);
    CHECK_ERRNO(renameat2(AT_FDCWD, "b", AT_FDCWD, "absent", RENAME_EXCHANGE), ENOENT);
    CHECK_ERRNO(renameat2(AT_FDCWD, "b", AT_FDCWD, "c", RENAME_EXCHANGE | RENAME_NOREPLACE),
                EINVAL);
    CHECK_ERRNO(renameat2(AT_FDCWD, "b", AT_FDCWD, "c", 1 << 20), EINVAL);
}

TEST(hard_and_symbolic_links) {
    write_file("f", "x", 0600);
    struct stat st;
    CHECK_EQ(link("f", "g"), 0);
    CHECK(stat("f", &st) == 0 && st.st_nlink == 2);
    CHECK_ERRNO(link("f", "g"), EEXIST);
    CHECK_ERRNO(link("absent", "h"), ENOENT);
    REQUIRE(mkdir("d", 0700) == 0);
    CHECK_ERRNO(link("d", "h"), EPERM);
    CHECK_EQ(symlink("f", "s"), 0);
    CHECK_ERRNO(symlink("f", "s"), EEXIST);
    CHECK_ERRNO(symlink("", "t"), ENOENT);
    // linkat without AT_SYMLINK_FOLLOW links the symbolic link itself.
    CHECK_EQ(linkat(AT_FDCWD, "s", AT_FDCWD, "s2", 0), 0);
    CHECK(lstat("s2", &st) == 0 && S_ISLNK(st.st_mode));
    CHECK_EQ(linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW), 0);
    CHECK(lstat("s3", &st) == 0 && S_ISREG(st.st_mode));
    char target[8];
    memset(target, '#', sizeof target);
    CHECK_EQ(readlink("s", target, sizeof target), 1);
    CHECK(target[0] == 'f' && target[1] == '#');
    REQUIRE(symlink("0123456789", "long") == 0);
    CHECK_EQ(readlink("long", target, 4), 4);
    CHECK(memcmp(target, "0123####", 4) == 0);
    CHECK_ERRNO(readlink("f", target, 4), EINVAL);
    CHECK_ERRNO(readlink("absent", target, 4), ENOENT);
    CHECK_ERRNO(syscall(SYS_readlinkat, AT_FDCWD, "s", target, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_readlinkat, AT_FDCWD, "s", (void *)8, 10), EFAULT);
}

TEST(working_directory) {
    char start[PATH_MAX], here[PATH_MAX], expected[PATH_MAX + 8];
    REQUIRE(getcwd(start, sizeof start));
    REQUIRE(mkdir("in", 0700) == 0);
    int back = open(".", O_RDONLY | O_DIRECTORY);
    CHECK_EQ(chdir("in"), 0);
    snprintf(expected, sizeof expected, "%s/in", start);
    CHECK_STR(getcwd(here, sizeof here), expected);
    // The raw call returns the length with the terminating byte.
    CHECK_EQ(syscall(SYS_getcwd, here, sizeof here), (long)strlen(expected) + 1);
    CHECK_ERRNO(syscall(SYS_getcwd, here, 3), ERANGE);
    CHECK_ERRNO(syscall(SYS_getcwd, (void *)8, 4096), EFAULT);
    char link[PATH_MAX];
    ssize_t n = readlink("/proc/self/cwd", link, sizeof link - 1);
    link[n > 0 ? n : 0] = 0;
    CHECK_STR(link, expected);
    CHECK_EQ(fchdir(back), 0);
    CHECK_STR(getcwd(here, sizeof here), start);
    CHECK_ERRNO(chdir("absent"), ENOENT);
    write_file("f", "", 0600);
    CHECK_ERRNO(chdir("f"), ENOTDIR);
    CHECK_ERRNO(fchdir(open("f", O_RDONLY)), ENOTDIR);
    CHECK_ERRNO(fchdir(-1), EBADF);
    CHECK_EQ(chdir("in"), 0);
    CHECK_EQ(rmdir("../in"), 0);
    CHECK_ERRNO(syscall(SYS_getcwd, here, sizeof here), ENOENT);
    CHECK_ERRNO(open("x", O_CREAT | O_WRONLY, 0600), ENOENT);
    pid_t pid =
        CHILD(_exit(syscall(SYS_getcwd, here, sizeof here) == -1 && errno == ENOENT ? 0 : 1));
    CHECK_EXITS(pid, 0);
}

TEST(relative_to_a_directory_descriptor) {
    REQUIRE(mkdir("d", 0700) == 0);
    int dir = CHECK_OK(open("d", O_RDONLY | O_DIRECTORY));
    int fd = CHECK_OK(openat(dir, "f", O_CREAT | O_WRONLY, 0600));
    CHECK_EQ(faccessat(dir, "f", R_OK, 0), 0);
    CHECK_EQ(mkdirat(dir, "sub", 0700), 0);
    CHECK_EQ(symlinkat("f", dir, "s"), 0);
    CHECK_EQ(renameat(dir, "f", AT_FDCWD, "moved"), 0);
    CHECK_EQ(linkat(AT_FDCWD, "moved", dir, "back", 0), 0);
    CHECK_EQ(unlinkat(dir, "sub", AT_REMOVEDIR), 0);
    CHECK_ERRNO(openat(fd, "x", O_RDONLY), ENOTDIR);
    // An absolute path ignores the descriptor, even an invalid one.
    close(CHECK_OK(openat(-7, "/dev/null", O_RDONLY)));
    CHECK_EQ(mknodat(dir, "fifo", S_IFIFO | 0600, 0), 0);
    if (geteuid() == 0) {
        struct stat st;
        if (mknodat(dir, "null", S_IFCHR | 0600, 1 << 8 | 3) == 0)
            CHECK(fstatat(dir, "null", &st, 0) == 0 && st.st_rdev == (1 << 8 | 3));
    }
}

TEST(chroot_confines) {
    if (geteuid() != 0)
        SKIP("needs root");
    REQUIRE(mkdir("root", 0755) == 0 && mkdir("root/in", 0755) == 0);
    write_file("root/mark", "x", 0600);
    pid_t pid = CHILD({
        if (chroot("root") == -1)
            SKIP("chroot not permitted");
        CHECK_EQ(chdir("/"), 0);
        CHECK_EQ(access("/mark", F_OK), 0);
        CHECK_EQ(access("/../../mark", F_OK), 0);
        CHECK_ERRNO(access("/etc/passwd", F_OK), ENOENT);
        char here[16] = "";
        CHECK_EQ(chdir("in"), 0);
        CHECK_STR(getcwd(here, sizeof here), "/in");
    });
    int status = wait_status(pid);
    CHECK(status == 0 || WEXITSTATUS(status) == SKIPPED_STATUS);
}
