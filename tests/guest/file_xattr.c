// Extended attributes: set, get, list, remove by path, by link and by descriptor.
#include "check.h"
#include <sys/xattr.h>

TEST(round_trip) {
    write_file("f", "x", 0600);
    if (setxattr("f", "user.one", "value", 5, 0) == -1 && errno == EOPNOTSUPP)
        SKIP("file system without user attributes");
    char b[64] = "";
    CHECK_EQ(getxattr("f", "user.one", NULL, 0), 5);
    CHECK_EQ(getxattr("f", "user.one", b, sizeof b), 5);
    CHECK_STR(b, "value");
    CHECK_ERRNO(getxattr("f", "user.one", b, 2), ERANGE);
    CHECK_ERRNO(getxattr("f", "user.none", b, 2), ENODATA);
    CHECK_ERRNO(setxattr("f", "user.one", "v", 1, XATTR_CREATE), EEXIST);
    CHECK_ERRNO(setxattr("f", "user.two", "v", 1, XATTR_REPLACE), ENODATA);
    CHECK_EQ(setxattr("f", "user.one", "new", 3, XATTR_REPLACE), 0);
    CHECK_EQ(setxattr("f", "user.two", "", 0, XATTR_CREATE), 0);
    CHECK_ERRNO(setxattr("f", "user.x", "v", 1, 8), EINVAL);
    CHECK_ERRNO(setxattr("f", "nonsense", "v", 1, 0), EOPNOTSUPP);
    CHECK_ERRNO(setxattr("f", "user.", "v", 1, 0), EINVAL);
    CHECK_ERRNO(setxattr("absent", "user.x", "v", 1, 0), ENOENT);
    int fd = open("f", O_RDONLY);
    CHECK_EQ(fgetxattr(fd, "user.one", b, sizeof b), 3);
    CHECK_EQ(fsetxattr(fd, "user.three", "3", 1, 0), 0);
    ssize_t n = flistxattr(fd, b, sizeof b);
    int names = 0;
    for (char *p = b; p < b + n; p += strlen(p) + 1)
        names += strncmp(p, "user.", 5) == 0;
    CHECK_EQ(names, 3);
    CHECK_EQ(listxattr("f", NULL, 0), n);
    CHECK_ERRNO(listxattr("f", b, 3), ERANGE);
    CHECK_EQ(fremovexattr(fd, "user.two"), 0);
    CHECK_ERRNO(removexattr("f", "user.two"), ENODATA);
    CHECK_ERRNO(fgetxattr(-1, "user.one", b, 1), EBADF);
    CHECK_ERRNO(getxattr("f", "user.one", (void *)8, 10), EFAULT);
    CHECK_ERRNO(setxattr("f", (char *)8, "v", 1, 0), EFAULT);
    // A symbolic link carries no user attributes.
    REQUIRE(symlink("f", "l") == 0);
    CHECK_ERRNO(lsetxattr("l", "user.x", "v", 1, 0), EPERM);
    CHECK_ERRNO(lgetxattr("l", "user.one", b, 1), ENODATA);
    CHECK_EQ(getxattr("l", "user.one", b, sizeof b), 3);
}
