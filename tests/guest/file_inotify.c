// inotify: events of every common kind, in order, with names, cookies and removal.
#include "check.h"
#include <sys/inotify.h>
#include <poll.h>

static char buffer[4096] __attribute__((aligned(8)));
static size_t filled, at;

static struct inotify_event *next(int fd) {
    if (at >= filled) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n <= 0)
            return NULL;
        filled = n;
        at = 0;
    }
    struct inotify_event *e = (void *)(buffer + at);
    at += sizeof *e + e->len;
    return e;
}

#define CHECK_EVENT(fd, wd_, mask_, name_)             \
    do {                                               \
        struct inotify_event *e_ = next(fd);           \
        if (CHECK(e_ != NULL)) {                       \
            CHECK_EQ(e_->wd, wd_);                     \
            CHECK_EQ(e_->mask, mask_);                 \
            CHECK_STR(e_->len ? e_->name : "", name_); \
        }                                              \
    } while (0)

TEST(events_in_order) {
    int fd = CHECK_OK(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    REQUIRE(mkdir("d", 0700) == 0);
    int wd = CHECK_OK(inotify_add_watch(fd, "d", IN_ALL_EVENTS & ~(IN_ACCESS)));
    CHECK_ERRNO(read(fd, buffer, sizeof buffer), EAGAIN);
    write_file("d/f", "x", 0600);
    CHECK_EVENT(fd, wd, IN_CREATE, "f");
    CHECK_EVENT(fd, wd, IN_OPEN, "f");
    CHECK_EVENT(fd, wd, IN_MODIFY, "f");
    CHECK_EVENT(fd, wd, IN_ATTRIB, "f");
    CHECK_EVENT(fd, wd, IN_CLOSE_WRITE, "f");
    REQUIRE(rename("d/f", "d/g") == 0);
    struct inotify_event *from = next(fd);
    REQUIRE(from && from->mask == IN_MOVED_FROM && !strcmp(from->name, "f"));
    uint32_t cookie = from->cookie;
    struct inotify_event *to = next(fd);
    REQUIRE(to && to->mask == IN_MOVED_TO && !strcmp(to->name, "g"));
    CHECK(cookie != 0 && to->cookie == cookie);
    close(open("d/g", O_RDONLY));
    CHECK_EVENT(fd, wd, IN_OPEN, "g");
    CHECK_EVENT(fd, wd, IN_CLOSE_NOWRITE, "g");
    REQUIRE(mkdir("d/sub", 0700) == 0 && rmdir("d/sub") == 0 && unlink("d/g") == 0);
    CHECK_EVENT(fd, wd, IN_CREATE | IN_ISDIR, "sub");
    CHECK_EVENT(fd, wd, IN_DELETE | IN_ISDIR, "sub");
    CHECK_EVENT(fd, wd, IN_DELETE, "g");
    REQUIRE(rmdir("d") == 0);
    CHECK_EVENT(fd, wd, IN_DELETE_SELF, "");
    CHECK_EVENT(fd, wd, IN_IGNORED, "");
    CHECK(next(fd) == NULL && errno == EAGAIN);
}

TEST(watches_are_removed) {
    int fd = CHECK_OK(inotify_init1(IN_NONBLOCK));
    write_file("f", "x", 0600);
    int wd = CHECK_OK(inotify_add_watch(fd, "f", IN_MODIFY));
    CHECK_EQ(inotify_add_watch(fd, "f", IN_ATTRIB | IN_MASK_ADD), wd);
    CHECK_EQ(inotify_rm_watch(fd, wd), 0);
    CHECK_EVENT(fd, wd, IN_IGNORED, "");
    CHECK_ERRNO(inotify_rm_watch(fd, wd), EINVAL);
    wd = CHECK_OK(inotify_add_watch(fd, "f", IN_MODIFY | IN_ONESHOT));
    write_file("f", "y", 0600);
    CHECK_EVENT(fd, wd, IN_MODIFY, "");
    CHECK_EVENT(fd, wd, IN_IGNORED, "");
}

TEST(poll_reports_readable) {
    int fd = CHECK_OK(inotify_init1(0));
    struct pollfd p = {fd, POLLIN, 0};
    CHECK_OK(inotify_add_watch(fd, ".", IN_CREATE));
    CHECK_EQ(poll(&p, 1, 0), 0);
    write_file("f", "", 0600);
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(p.revents, POLLIN);
    char small[4];
    CHECK_ERRNO(read(fd, small, sizeof small), EINVAL);
}

TEST(errors) {
    int fd = CHECK_OK(inotify_init1(0));
    CHECK_ERRNO(inotify_init1(0x12345), EINVAL);
    CHECK_ERRNO(inotify_add_watch(fd, "absent", IN_CREATE), ENOENT);
    CHECK_ERRNO(inotify_add_watch(fd, ".", 0), EINVAL);
    CHECK_ERRNO(inotify_add_watch(0, ".", IN_CREATE), EINVAL);
    CHECK_ERRNO(inotify_add_watch(-1, ".", IN_CREATE), EBADF);
    CHECK_ERRNO(inotify_add_watch(fd, (char *)8, IN_CREATE), EFAULT);
    write_file("f", "", 0600);
    CHECK_ERRNO(inotify_add_watch(fd, "f", IN_CREATE | IN_ONLYDIR), ENOTDIR);
    CHECK_ERRNO(inotify_add_watch(fd, "f", IN_MASK_ADD | IN_MASK_CREATE | IN_OPEN), EINVAL);
}
