// Calls that pass through to the host: io_uring, Linux AIO, kcmp, file handles, fanotify,
// userfaultfd, I/O priorities, process_madvise, mount-like calls without privilege, the calls arm64
// never had.
#include "check.h"
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

TEST(io_uring_completes_requests) {
    struct io_uring_params p = {0};
    int ring = syscall(SYS_io_uring_setup, 8, &p);
    if (ring == -1)
        SKIP("no io_uring here: %s", strerror(errno));
    CHECK(p.sq_entries == 8 && p.cq_entries == 16);
    size_t size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    char *sq = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
                    IORING_OFF_SQ_RING);
    struct io_uring_sqe *sqes = mmap(NULL, 8 * sizeof *sqes, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    REQUIRE(sq != MAP_FAILED && (void *)sqes != MAP_FAILED);
    CHECK(p.features & IORING_FEAT_SINGLE_MMAP);
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    memset(sqes, 0, 2 * sizeof *sqes);
    sqes[0] = (struct io_uring_sqe){.opcode = IORING_OP_WRITE,
                                    .fd = fd,
                                    .addr = (uintptr_t) "ring",
                                    .len = 4,
                                    .user_data = 0xabcdef0123456789};
    sqes[1] = (struct io_uring_sqe){.opcode = IORING_OP_NOP, .user_data = 42};
    uint32_t *tail = (void *)(sq + p.sq_off.tail), *array = (void *)(sq + p.sq_off.array);
    array[0] = 0, array[1] = 1;
    __atomic_store_n(tail, *tail + 2, __ATOMIC_RELEASE);
    CHECK_EQ(syscall(SYS_io_uring_enter, ring, 2, 2, IORING_ENTER_GETEVENTS, NULL, 0), 2);
    struct io_uring_cqe *cqes = (void *)(sq + p.cq_off.cqes);
    int seen = 0;
    for (int i = 0; i < 2; i++) {
        if (cqes[i].user_data == 42)
            CHECK_EQ(cqes[i].res, 0), seen |= 1;
        if (cqes[i].user_data == 0xabcdef0123456789)
            CHECK_EQ(cqes[i].res, 4), seen |= 2;
    }
    CHECK_EQ(seen, 3);
    CHECK_ERRNO(syscall(SYS_io_uring_enter, 0, 1, 0, 0, NULL, 0), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_io_uring_setup, 0, &p), EINVAL);
}

TEST(linux_aio_completes_requests) {
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, 4, &context) == -1 && errno == ENOSYS)
        SKIP("no AIO here");
    CHECK(context != 0);
    int fd = open("f", O_RDWR | O_CREAT, 0600), event = eventfd(0, 0);
    struct iocb write_ = {.aio_lio_opcode = IOCB_CMD_PWRITE,
                          .aio_fildes = fd,
                          .aio_buf = (uintptr_t) "async",
                          .aio_nbytes = 5,
                          .aio_data = 0x1122334455667788,
                          .aio_flags = IOCB_FLAG_RESFD,
                          .aio_resfd = event};
    struct iocb *list[1] = {&write_};
    CHECK_EQ(syscall(SYS_io_submit, context, 1, list), 1);
    struct io_event done;
    struct timespec limit = {5, 0};
    CHECK_EQ(syscall(SYS_io_getevents, context, 1, 1, &done, &limit), 1);
    CHECK(done.res == 5 && done.data == 0x1122334455667788 && done.obj == (uintptr_t)&write_);
    uint64_t n;
    CHECK(read(event, &n, 8) == 8 && n == 1);
    CHECK_EQ(syscall(SYS_io_destroy, context), 0);
    CHECK_ERRNO(syscall(SYS_io_destroy, context), EINVAL);
}

TEST(kcmp_compares_descriptors) {
    int a = open("/dev/null", O_RDONLY), b = dup(a), c = open("/dev/null", O_RDONLY);
    long r = syscall(SYS_kcmp, getpid(), getpid(), 0, a, b);
    if (r == -1 && (errno == ENOSYS || errno == EPERM))
        SKIP("no kcmp");
    CHECK_EQ(r, 0);
    CHECK(syscall(SYS_kcmp, getpid(), getpid(), 0, a, c) > 0);
}

TEST(file_handles) {
    struct {
        struct file_handle h;
        unsigned char bytes[MAX_HANDLE_SZ];
    } x = {.h.handle_bytes = MAX_HANDLE_SZ};
    int mount_id = -1;
    write_file("f", "handle", 0600);
    if (name_to_handle_at(AT_FDCWD, "f", &x.h, &mount_id, 0) == -1)
        SKIP("no file handles here");
    CHECK(x.h.handle_bytes > 0 && mount_id > 0);
    int dir = open(".", O_RDONLY | O_DIRECTORY), fd = open_by_handle_at(dir, &x.h, O_RDONLY);
    if (fd == -1)
        CHECK(errno == EPERM || errno == EOPNOTSUPP || errno == ESTALE);
    else {
        char b[8] = "";
        CHECK_EQ(read(fd, b, 7), 6);
        CHECK_STR(b, "handle");
    }
    x.h.handle_bytes = 1;
    CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "f", &x.h, &mount_id, 0), EOVERFLOW);
}

TEST(fanotify_reports) {
    int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY);
    if (fd == -1)
        SKIP("no fanotify here: %s", strerror(errno));
    write_file("f", "x", 0600);
    CHECK_EQ(fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "f"), 0);
    close(open("f", O_RDONLY));
    struct fanotify_event_metadata m[4];
    CHECK(read(fd, m, sizeof m) >= (ssize_t)sizeof m[0]);
    CHECK(m[0].vers == FANOTIFY_METADATA_VERSION && (m[0].mask & FAN_OPEN) && m[0].pid == getpid());
    CHECK(m[0].fd >= 0);
}

static char *area;
static void *touch(void *arg) {
    (void)arg;
    return (void *)(intptr_t)area[5000];
}

TEST(userfaultfd_fills_pages) {
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd == -1)
        SKIP("no userfaultfd here: %s", strerror(errno));
    struct uffdio_api api = {.api = UFFD_API};
    REQUIRE(ioctl(fd, UFFDIO_API, &api) == 0);
    area = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register reg = {.range = {(uintptr_t)area, 8192},
                                  .mode = UFFDIO_REGISTER_MODE_MISSING};
    REQUIRE(ioctl(fd, UFFDIO_REGISTER, &reg) == 0);
    pthread_t t;
    REQUIRE(pthread_create(&t, NULL, touch, NULL) == 0);
    struct pollfd p = {fd, POLLIN, 0};
    CHECK_EQ(poll(&p, 1, 5000), 1);
    struct uffd_msg m;
    CHECK_EQ(read(fd, &m, sizeof m), (ssize_t)sizeof m);
    CHECK_EQ(m.event, UFFD_EVENT_PAGEFAULT);
    CHECK_EQ(m.arg.pagefault.address & ~4095ull, (uintptr_t)area + 4096);
    static char page[4096] __attribute__((aligned(4096)));
    memset(page, 0x77, sizeof page);
    struct uffdio_copy copy = {.dst = (uintptr_t)area + 4096, .src = (uintptr_t)page, .len = 4096};
    CHECK_EQ(ioctl(fd, UFFDIO_COPY, &copy), 0);
    void *r;
    pthread_join(t, &r);
    CHECK_EQ((intptr_t)r, 0x77);
}

TEST(io_priorities) {
    long r = syscall(SYS_ioprio_get, 1, 0);
    CHECK(r >= 0);
    CHECK_EQ(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 5), 0);
    CHECK_EQ(syscall(SYS_ioprio_get, 1, 0), 2 << 13 | 5);
    CHECK_ERRNO(syscall(SYS_ioprio_set, 1, 0, 5 << 13), EINVAL);
}

TEST(privileged_calls_are_refused_to_others) {
    pid_t pid = CHILD({
        if (geteuid() == 0 && setresuid(1234, 1234, 1234))
            _exit(1);
        CHECK_ERRNO(mount("none", "/", "tmpfs", 0, NULL), EPERM);
        CHECK_ERRNO(umount2("/proc", 0), EPERM);
        CHECK_ERRNO(syscall(SYS_pivot_root, ".", "."), EPERM);
        CHECK_ERRNO(syscall(SYS_swapoff, "/x"), EPERM);
        CHECK_ERRNO(syscall(SYS_reboot, 0, 0, 0, NULL), EPERM);
        CHECK_ERRNO(syscall(SYS_acct, NULL), EPERM);
        CHECK_ERRNO(syscall(SYS_setns, 0, 0), EINVAL);
    });
    CHECK_EXITS(pid, 0);
}

TEST(namespaces_where_allowed) {
    pid_t pid = CHILD({
        uid_t outside = geteuid();
        if (unshare(0x10000000) == -1) // CLONE_NEWUSER
            SKIP("no user namespaces here");
        CHECK(geteuid() == 65534 || geteuid() == outside);
        int fd = open("/proc/self/uid_map", O_WRONLY);
        char line[32];
        snprintf(line, sizeof line, "0 %d 1", outside);
        if (write(fd, line, strlen(line)) > 0)
            CHECK_EQ(geteuid(), 0);
        CHECK_EQ(unshare(0x04000000), 0); // CLONE_NEWUTS
        CHECK_EQ(sethostname("inside", 6), 0);
    });
    int status = wait_status(pid);
    CHECK(status == 0 || WEXITSTATUS(status) == SKIPPED_STATUS);
}

TEST(landlock_version) {
    long v = syscall(444, NULL, 0, 1); // landlock_create_ruleset, LANDLOCK_CREATE_RULESET_VERSION
    CHECK(v >= 1 || errno == ENOSYS || errno == EOPNOTSUPP);
    if (v >= 1)
        CHECK_ERRNO(syscall(444, NULL, 0, 0x80), EINVAL);
}

#ifdef __aarch64__
TEST(numbers_arm64_leaves_out_are_enosys) {
    // asm-generic/unistd.h: holes and calls arm64 does not wire up.
    static const int holes[] = {244, 250, 259, 295, 300, 400, 423};
    for (size_t i = 0; i < ARRAY_LEN(holes); i++)
        CHECK_ERRNO(syscall(holes[i], 0, 0, 0, 0, 0, 0), ENOSYS);
}

TEST(the_upper_half_of_int_arguments_is_ignored) {
    // The kernel takes an int argument from the low 32 bits, whatever is above.
    long r;
    register long x0 __asm__("x0") = 0x5a5a5a5a00000000 | (unsigned)open("/dev/null", O_RDONLY);
    register long x1 __asm__("x1") = F_GETFD;
    register long x2 __asm__("x2") = 0;
    register long x8 __asm__("x8") = SYS_fcntl;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x8) : "memory");
    r = x0;
    CHECK_EQ(r, 0);
}

TEST(any_svc_immediate_is_a_system_call) {
    register long x0 __asm__("x0") = 0;
    register long x8 __asm__("x8") = SYS_getpid;
    __asm__ volatile("svc #0x1234" : "+r"(x0) : "r"(x8) : "memory");
    CHECK_EQ(x0, getpid());
}
#endif
