// stat family, statx, statfs, chmod/chown/utimensat/access: contents of the structures, whose
// layout differs between the two architectures, field by field.
#include "check.h"
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <linux/magic.h>

static void check_same(const struct stat *a, const struct statx *x) {
    CHECK_EQ(a->st_ino, x->stx_ino);
    CHECK_EQ(a->st_mode, x->stx_mode);
    CHECK_EQ(a->st_nlink, x->stx_nlink);
    CHECK_EQ(a->st_uid, x->stx_uid);
    CHECK_EQ(a->st_gid, x->stx_gid);
    CHECK_EQ(a->st_size, x->stx_size);
    CHECK_EQ(a->st_blocks, x->stx_blocks);
    CHECK_EQ(a->st_blksize, x->stx_blksize);
    CHECK_EQ(a->st_mtim.tv_sec, x->stx_mtime.tv_sec);
    CHECK_EQ(a->st_mtim.tv_nsec, x->stx_mtime.tv_nsec);
    CHECK_EQ(a->st_atim.tv_sec, x->stx_atime.tv_sec);
    CHECK_EQ(a->st_atim.tv_nsec, x->stx_atime.tv_nsec);
    CHECK_EQ(a->st_ctim.tv_sec, x->stx_ctime.tv_sec);
    CHECK_EQ(a->st_ctim.tv_nsec, x->stx_ctime.tv_nsec);
    CHECK_EQ(major(a->st_dev), x->stx_dev_major);
    CHECK_EQ(minor(a->st_dev), x->stx_dev_minor);
    CHECK_EQ(major(a->st_rdev), x->stx_rdev_major);
    CHECK_EQ(minor(a->st_rdev), x->stx_rdev_minor);
}

TEST(stat_fields_of_a_file) {
    umask(0);
    int fd = open("f", O_RDWR | O_CREAT, 0751);
    REQUIRE(fd != -1 && write(fd, "0123456789", 10) == 10 && link("f", "g") == 0);
    REQUIRE(fchmod(fd, 04751) == 0); // a write by other than root would clear set-user-ID
    struct stat st, by_path, by_at;
    memset(&st, 0xa5, sizeof st);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, 10);
    CHECK_EQ(st.st_nlink, 2);
    CHECK_EQ(st.st_mode, S_IFREG | 04751);
    CHECK_EQ(st.st_uid, geteuid());
    CHECK_EQ(st.st_gid, getegid());
    CHECK_EQ(st.st_rdev, 0);
    CHECK(st.st_blksize >= 512 && st.st_blksize <= 1 << 22);
    CHECK(st.st_blocks >= 0 && st.st_blocks <= 128);
    time_t now = time(NULL);
    CHECK(st.st_mtime <= now + 1 && st.st_mtime >= now - 60);
    CHECK(st.st_ctime <= now + 1 && st.st_ctime >= now - 60);
    CHECK(st.st_mtim.tv_nsec >= 0 && st.st_mtim.tv_nsec < 1000000000);
    memset(&by_path, 0, sizeof by_path);
    memset(&by_at, 0, sizeof by_at);
    CHECK_EQ(stat("g", &by_path), 0);
    CHECK_EQ(fstatat(AT_FDCWD, "f", &by_at, 0), 0);
    CHECK_EQ(by_path.st_ino, st.st_ino);
    CHECK_EQ(by_at.st_ino, st.st_ino);
    CHECK_EQ(by_path.st_dev, st.st_dev);
    CHECK_EQ(fstatat(fd, "", &by_at, AT_EMPTY_PATH), 0);
    CHECK_EQ(by_at.st_ino, st.st_ino);
    struct statx x;
    CHECK_EQ(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x), 0);
    CHECK_EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    check_same(&st, &x);
    CHECK_EQ(statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &x), 0);
    check_same(&st, &x);
}

TEST(stat_of_other_kinds) {
    REQUIRE(mkdir("dir", 0711) == 0 && mkdir("dir/sub", 0700) == 0);
    REQUIRE(symlink("target/of/it", "link") == 0 && mkfifo("fifo", 0640) == 0);
    struct stat st;
    struct statx x;
    CHECK_EQ(stat("dir", &st), 0);
    CHECK_EQ(st.st_mode, S_IFDIR | 0711);
    CHECK_EQ(lstat("link", &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(st.st_size, 12);
    CHECK_EQ(statx(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &x), 0);
    check_same(&st, &x);
    CHECK_ERRNO(stat("link", &st), ENOENT);
    CHECK_EQ(fstatat(AT_FDCWD, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_EQ(st.st_size, 12);
    CHECK_EQ(stat("fifo", &st), 0);
    CHECK_EQ(st.st_mode, S_IFIFO | 0640);
    CHECK_EQ(stat("/dev/null", &st), 0);
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(st.st_rdev, makedev(1, 3));
    CHECK_EQ(statx(AT_FDCWD, "/dev/null", 0, STATX_BASIC_STATS, &x), 0);
    CHECK_EQ(x.stx_rdev_major, 1);
    CHECK_EQ(x.stx_rdev_minor, 3);
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    CHECK_EQ(fstat(pipes[0], &st), 0);
    CHECK(S_ISFIFO(st.st_mode));
    CHECK_EQ(st.st_nlink, 1);
}

TEST(large_file_size) {
    int fd = open("big", O_RDWR | O_CREAT, 0600);
    REQUIRE(fd != -1);
    off_t size = (5LL << 30) + 123;
    if (ftruncate(fd, size) == -1)
        SKIP("no large files here");
    struct stat st;
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_size, size);
    CHECK(st.st_blocks < 1024);
    CHECK_EQ(lseek(fd, 0, SEEK_END), size);
}

TEST(stat_errors) {
    struct stat st;
    struct statx x;
    write_file("f", "", 0600);
    CHECK_ERRNO(stat("absent", &st), ENOENT);
    CHECK_ERRNO(stat("f/below", &st), ENOTDIR);
    CHECK_ERRNO(stat("", &st), ENOENT);
    CHECK_ERRNO(stat((char *)8, &st), EFAULT);
    CHECK_ERRNO(syscall(SYS_newfstatat, AT_FDCWD, "f", (void *)8, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_fstat, 0, (void *)8), EFAULT);
    CHECK_ERRNO(fstat(-1, &st), EBADF);
    CHECK_ERRNO(fstat(9999, &st), EBADF);
    CHECK_ERRNO(fstatat(AT_FDCWD, "f", &st, 0x40000000), EINVAL);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "f", AT_STATX_SYNC_TYPE, STATX_ALL, &x), EINVAL);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "f", 0, 0x80000000u, &x), EINVAL);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "f", 0, STATX_ALL, (void *)8), EFAULT);
}

TEST(statfs_contents) {
    struct statfs fs, by_fd;
    memset(&fs, 0xa5, sizeof fs);
    CHECK_EQ(statfs("/proc", &fs), 0);
    CHECK_EQ(fs.f_type, PROC_SUPER_MAGIC);
    CHECK_EQ(fs.f_bsize, 4096);
    CHECK_EQ(fs.f_namelen, 255);
    CHECK_EQ(statfs(".", &fs), 0);
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    CHECK_EQ(fstatfs(fd, &by_fd), 0);
    CHECK_EQ(fs.f_type, by_fd.f_type);
    CHECK_EQ(fs.f_blocks, by_fd.f_blocks);
    CHECK(memcmp(&fs.f_fsid, &by_fd.f_fsid, sizeof fs.f_fsid) == 0);
    CHECK(fs.f_bsize >= 512 && fs.f_frsize >= 512);
    CHECK(fs.f_bavail <= fs.f_bfree && fs.f_bfree <= fs.f_blocks);
    CHECK(fs.f_flags & 0x20); // ST_VALID, always set
    struct statvfs vfs;
    CHECK_EQ(statvfs(".", &vfs), 0);
    CHECK_EQ(vfs.f_namemax, fs.f_namelen);
    CHECK_ERRNO(statfs("absent", &fs), ENOENT);
    CHECK_ERRNO(statfs((char *)8, &fs), EFAULT);
    CHECK_ERRNO(syscall(SYS_statfs, ".", (void *)8), EFAULT);
    CHECK_ERRNO(fstatfs(-1, &fs), EBADF);
}

TEST(times_are_set) {
    write_file("f", "x", 0600);
    REQUIRE(symlink("f", "l") == 0);
    struct timespec times[2] = {{1000000001, 123456789}, {1100000002, 987654321}};
    struct stat st;
    CHECK_EQ(utimensat(AT_FDCWD, "f", times, 0), 0);
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_atim.tv_sec, 1000000001);
    CHECK_EQ(st.st_mtim.tv_sec, 1100000002);
    CHECK(st.st_atim.tv_nsec == 123456789 || st.st_atim.tv_nsec % 1000 == 0);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = UTIME_NOW;
    CHECK_EQ(utimensat(AT_FDCWD, "f", times, 0), 0);
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_atim.tv_sec, 1000000001);
    CHECK(labs(st.st_mtim.tv_sec - time(NULL)) < 60);
    times[0] = times[1] = (struct timespec){5, 6};
    CHECK_EQ(utimensat(AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW), 0);
    CHECK(lstat("l", &st) == 0 && st.st_mtim.tv_sec == 5);
    CHECK(stat("f", &st) == 0 && st.st_mtim.tv_sec != 5);
    int fd = open("f", O_RDWR);
    CHECK_EQ(futimens(fd, times), 0);
    CHECK(fstat(fd, &st) == 0 && st.st_mtim.tv_sec == 5);
    CHECK_EQ(futimens(fd, NULL), 0);
    CHECK(fstat(fd, &st) == 0 && labs(st.st_mtim.tv_sec - time(NULL)) < 60);
    times[0].tv_nsec = 1000000000;
    CHECK_ERRNO(utimensat(AT_FDCWD, "f", times, 0), EINVAL);
    CHECK_ERRNO(utimensat(AT_FDCWD, "absent", NULL, 0), ENOENT);
    CHECK_ERRNO(utimensat(AT_FDCWD, "f", (struct timespec *)8, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_utimensat, AT_FDCWD, "f", NULL, 0x8000), EINVAL);
}

TEST(modes_and_owners) {
    write_file("f", "x", 0600);
    struct stat st;
    for (mode_t mode = 0; mode <= 0777; mode += 0111) {
        CHECK_EQ(chmod("f", mode), 0);
        CHECK(stat("f", &st) == 0 && (st.st_mode & 07777) == mode);
    }
    int fd = CHECK_OK(open("f", O_PATH));
    CHECK_EQ(fchmodat(AT_FDCWD, "f", 0640, 0), 0);
    CHECK_ERRNO(fchmod(fd, 0600), EBADF);
    CHECK_ERRNO(chmod("absent", 0600), ENOENT);
    if (geteuid() == 0) {
        CHECK_EQ(chown("f", 1234, 5678), 0);
        CHECK(stat("f", &st) == 0 && st.st_uid == 1234 && st.st_gid == 5678);
        CHECK_EQ(chown("f", -1, 77), 0);
        CHECK(stat("f", &st) == 0 && st.st_uid == 1234 && st.st_gid == 77);
        REQUIRE(symlink("f", "l") == 0);
        CHECK_EQ(lchown("l", 99, 98), 0);
        CHECK(lstat("l", &st) == 0 && st.st_uid == 99 && st.st_gid == 98);
        CHECK(stat("f", &st) == 0 && st.st_uid == 1234);
        CHECK_EQ(fchownat(fd, "", 7, 8, AT_EMPTY_PATH), 0);
        CHECK(stat("f", &st) == 0 && st.st_uid == 7 && st.st_gid == 8);
        // Changing the owner clears set-user-ID.
        CHECK_EQ(chmod("f", 06711), 0);
        CHECK_EQ(chown("f", 9, 9), 0);
        CHECK(stat("f", &st) == 0 && (st.st_mode & 07777) == 0711);
    }
}

TEST(umask_applies) {
    CHECK_EQ(umask(027) & ~0777, 0);
    CHECK_EQ(umask(027), 027);
    struct stat st;
    close(open("f", O_CREAT | O_WRONLY, 0777));
    CHECK(stat("f", &st) == 0 && (st.st_mode & 0777) == 0750);
    CHECK_EQ(mkdir("d", 0777), 0);
    CHECK(stat("d", &st) == 0 && (st.st_mode & 0777) == 0750);
    CHECK_EQ(mkfifo("p", 0666), 0);
    CHECK(stat("p", &st) == 0 && (st.st_mode & 0777) == 0640);
    umask(0xfffff);
    CHECK_EQ(umask(0), 0777);
    pid_t pid = CHILD(_exit(umask(0) == 0 ? 0 : 1));
    CHECK_EXITS(pid, 0);
}

TEST(access_checks) {
    write_file("f", "x", 0640);
    REQUIRE(symlink("absent", "l") == 0);
    CHECK_EQ(access("f", F_OK), 0);
    CHECK_EQ(access("f", R_OK | W_OK), 0);
    CHECK_ERRNO(access("f", X_OK), EACCES);
    CHECK_ERRNO(access("absent", F_OK), ENOENT);
    CHECK_ERRNO(access("f", 8), EINVAL);
    CHECK_ERRNO(access("l", F_OK), ENOENT);
    CHECK_EQ(syscall(SYS_faccessat2, AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, "f", X_OK, AT_EACCESS), EACCES);
    CHECK_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, "f", F_OK, 0x40000000), EINVAL);
    int fd = open("f", O_RDONLY);
    CHECK_EQ(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH), 0);
    CHECK_ERRNO(faccessat(-1, "f", F_OK, 0), EBADF);
    if (geteuid() != 0)
        return;
    pid_t pid = CHILD({
        if (chmod(".", 0777) || chmod("f", 0600) || setresuid(1234, 0, 0))
            _exit(1);
        // access judges by the real user, AT_EACCESS by the effective one.
        CHECK_ERRNO(access("f", R_OK), EACCES);
        CHECK_EQ(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS), 0);
    });
    CHECK_EXITS(pid, 0);
}
