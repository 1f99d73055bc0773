// memfd_create and file seals.
#include "check.h"

TEST(a_file_without_a_name) {
    int fd = CHECK_OK(memfd_create("label", MFD_CLOEXEC));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    char path[64], target[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK(readlink(path, target, sizeof target - 1) > 0);
    CHECK_STR(target, "/memfd:label (deleted)");
    CHECK_EQ(write(fd, "data", 4), 4);
    CHECK_EQ(ftruncate(fd, 8192), 0);
    char *a = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
    REQUIRE(a != MAP_FAILED && b != MAP_FAILED);
    CHECK(memcmp(b, "data", 4) == 0);
    a[4096] = 'z';
    CHECK_EQ(b[4096], 'z');
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    char name[300];
    memset(name, 'n', 299);
    name[299] = 0;
    CHECK_ERRNO(memfd_create(name, 0), EINVAL);
    CHECK_ERRNO(memfd_create("x", 0x8000), EINVAL);
    CHECK_ERRNO(memfd_create((char *)8, 0), EFAULT);
}

TEST(seals_hold) {
    int fd = CHECK_OK(memfd_create("sealed", MFD_ALLOW_SEALING));
    CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
    REQUIRE(ftruncate(fd, 4096) == 0);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    CHECK_ERRNO(ftruncate(fd, 100), EPERM);
    CHECK_EQ(ftruncate(fd, 8192), 0);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
    CHECK_ERRNO(ftruncate(fd, 16384), EPERM);
    CHECK_ERRNO(pwrite(fd, "x", 1, 8192), EPERM);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    munmap(map, 4096);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    CHECK_ERRNO(write(fd, "x", 1), EPERM);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
    CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    fd = CHECK_OK(memfd_create("future", MFD_ALLOW_SEALING));
    REQUIRE(ftruncate(fd, 4096) == 0);
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
    map[0] = 1;
    CHECK_ERRNO(write(fd, "x", 1), EPERM);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, 0x4000), EINVAL);
    CHECK_ERRNO(fcntl(open("/dev/null", O_RDWR), F_GET_SEALS), EINVAL);
}
