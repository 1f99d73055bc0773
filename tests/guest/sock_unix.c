// Unix sockets: pairs, paths and abstract names, SCM_RIGHTS, SCM_CREDENTIALS, SO_PEERCRED,
// message boundaries and flags.
#include "check.h"
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static int name(struct sockaddr_un *a, const char *path) {
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    strcpy(a->sun_path, path);
    return sizeof *a;
}

TEST(socketpair_kinds) {
    int s[2];
    char b[16];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
    CHECK_EQ(fcntl(s[0], F_GETFD), FD_CLOEXEC);
    CHECK(fcntl(s[1], F_GETFL) & O_NONBLOCK);
    CHECK_ERRNO(read(s[0], b, 1), EAGAIN);
    CHECK_EQ(write(s[0], "ab", 2), 2);
    CHECK_EQ(write(s[0], "cd", 2), 2);
    CHECK_EQ(read(s[1], b, sizeof b), 4);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
    CHECK_EQ(write(s[0], "ab", 2), 2);
    CHECK_EQ(write(s[0], "", 0), 0);
    CHECK_EQ(write(s[0], "cde", 3), 3);
    CHECK_EQ(read(s[1], b, sizeof b), 2);
    CHECK_EQ(read(s[1], b, sizeof b), 0);
    CHECK_EQ(recv(s[1], b, 1, MSG_TRUNC), 3);
    CHECK_ERRNO(recv(s[1], b, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
    CHECK_EQ(send(s[0], "rec", 3, MSG_EOR), 3);
    struct iovec v = {b, 2};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    CHECK_EQ(recvmsg(s[1], &m, 0), 2);
    CHECK_EQ(m.msg_flags & MSG_TRUNC, MSG_TRUNC);
    close(s[0]);
    CHECK_EQ(recv(s[1], b, 1, 0), 0);
    CHECK_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, s), EOPNOTSUPP);
    if (!under_qemu()) // drops unknown type bits
        CHECK_ERRNO(socketpair(AF_UNIX, 99, 0, s), EINVAL);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)8), EFAULT);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 77), EPROTONOSUPPORT);
    CHECK_ERRNO(socket(77, SOCK_STREAM, 0), EAFNOSUPPORT);
}

TEST(listen_accept_by_path) {
    struct sockaddr_un a, peer;
    int server = socket(AF_UNIX, SOCK_STREAM, 0), length = name(&a, "sock");
    CHECK_EQ(bind(server, (void *)&a, length), 0);
    CHECK_ERRNO(bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, length), EADDRINUSE);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(connect(client, (void *)&a, length), ECONNREFUSED);
    CHECK_EQ(listen(server, 5), 0);
    CHECK_EQ(connect(client, (void *)&a, length), 0);
    CHECK_ERRNO(connect(client, (void *)&a, length), EISCONN);
    socklen_t n = sizeof peer;
    int conn = CHECK_OK(accept4(server, (void *)&peer, &n, SOCK_CLOEXEC | SOCK_NONBLOCK));
    CHECK_EQ(n, sizeof(sa_family_t));
    CHECK_EQ(peer.sun_family, AF_UNIX);
    CHECK_EQ(fcntl(conn, F_GETFD), FD_CLOEXEC);
    CHECK(fcntl(conn, F_GETFL) & O_NONBLOCK);
    n = sizeof peer;
    CHECK_EQ(getsockname(conn, (void *)&peer, &n), 0);
    CHECK_STR(peer.sun_path, "sock");
    CHECK_EQ(n, offsetof(struct sockaddr_un, sun_path) + 5);
    n = sizeof peer;
    CHECK_EQ(getpeername(client, (void *)&peer, &n), 0);
    CHECK_STR(peer.sun_path, "sock");
    n = 3;
    memset(&peer, '#', sizeof peer);
    CHECK_EQ(getpeername(client, (void *)&peer, &n), 0);
    CHECK(n == offsetof(struct sockaddr_un, sun_path) + 5 && peer.sun_path[1] == '#');
    struct ucred cred = {0};
    n = sizeof cred;
    CHECK_EQ(getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &cred, &n), 0);
    CHECK(cred.pid == getpid() && cred.uid == geteuid() && cred.gid == getegid());
    struct stat st;
    CHECK(stat("sock", &st) == 0 && S_ISSOCK(st.st_mode));
    CHECK_ERRNO(open("sock", O_RDWR), ENXIO);
    if (!under_qemu()) // drops unknown flags
        CHECK_ERRNO(accept4(server, NULL, NULL, 0x33), EINVAL);
    CHECK_ERRNO(accept(client, NULL, NULL), EINVAL);
    CHECK_ERRNO(accept(0, NULL, NULL), ENOTSOCK);
    CHECK_EQ(fcntl(server, F_SETFL, O_NONBLOCK), 0);
    CHECK_ERRNO(accept(server, NULL, NULL), EAGAIN);
    name(&a, "absent");
    CHECK_ERRNO(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, length), ENOENT);
    CHECK_ERRNO(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, 1), EINVAL);
    CHECK_ERRNO(bind(client, (void *)8, length), EFAULT);
}

TEST(abstract_names) {
    struct sockaddr_un a = {.sun_family = AF_UNIX}, peer;
    int extra = snprintf(a.sun_path + 1, 100, "guest-%d", getpid());
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + extra;
    int server = socket(AF_UNIX, SOCK_DGRAM, 0), client = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_EQ(bind(server, (void *)&a, length), 0);
    // Autobind: an abstract name of 5 hexadecimal digits.
    sa_family_t family = AF_UNIX;
    CHECK_EQ(bind(client, (void *)&family, sizeof family), 0);
    socklen_t n = sizeof peer;
    CHECK_EQ(getsockname(client, (void *)&peer, &n), 0);
    CHECK_EQ(n, sizeof family + 6);
    CHECK_EQ(sendto(client, "dg", 2, 0, (void *)&a, length), 2);
    char b[8];
    n = sizeof peer;
    CHECK_EQ(recvfrom(server, b, sizeof b, 0, (void *)&peer, &n), 2);
    CHECK_EQ(n, sizeof family + 6);
    CHECK_EQ(sendto(server, "back", 4, 0, (void *)&peer, n), 4);
    CHECK_EQ(recv(client, b, sizeof b, 0), 4);
}

// Sends FDS through S with one byte of data.
static int send_fds(int s, const int *fds, int count) {
    char control[CMSG_SPACE(sizeof(int) * 8)] = {0};
    struct iovec v = {"F", 1};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
    return sendmsg(s, &m, 0);
}

TEST(scm_rights_pass_descriptors) {
    int s[2], p[2], got[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
    CHECK_EQ(send_fds(s[0], p, 2), 1);
    char byte, control[CMSG_SPACE(sizeof(int) * 8)];
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CHECK_EQ(recvmsg(s[1], &m, MSG_CMSG_CLOEXEC), 1);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    REQUIRE(c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS);
    CHECK_EQ(c->cmsg_len, CMSG_LEN(2 * sizeof(int)));
    CHECK_EQ(m.msg_controllen, CMSG_SPACE(2 * sizeof(int)));
    CHECK(CMSG_NXTHDR(&m, c) == NULL);
    memcpy(got, CMSG_DATA(c), sizeof got);
    CHECK(got[0] > p[1] && got[1] > p[1]);
    CHECK_EQ(fcntl(got[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(m.msg_flags & MSG_CMSG_CLOEXEC, MSG_CMSG_CLOEXEC);
    CHECK_EQ(write(got[1], "thru", 4), 4);
    char b[8] = "";
    CHECK_EQ(read(p[0], b, sizeof b), 4);
    CHECK_STR(b, "thru");
    // Too little room: MSG_CTRUNC, and what did not fit is closed.
    CHECK_EQ(send_fds(s[0], p, 2), 1);
    m.msg_control = control;
    m.msg_controllen = CMSG_LEN(sizeof(int));
    CHECK_EQ(recvmsg(s[1], &m, 0), 1);
    if (!under_qemu()) // loses the flag
        CHECK(m.msg_flags & MSG_CTRUNC);
    c = CMSG_FIRSTHDR(&m);
    CHECK(c && c->cmsg_len == CMSG_LEN(sizeof(int)));
    // Bad descriptors are refused, a plain read drops them.
    int bad = 9999;
    CHECK_ERRNO(send_fds(s[0], &bad, 1), EBADF);
    CHECK_EQ(send_fds(s[0], p, 1), 1);
    CHECK_EQ(read(s[1], b, 1), 1);
}

TEST(scm_rights_reach_another_process) {
    int s[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    pid_t pid = CHILD({
        int fd = open("made", O_RDWR | O_CREAT, 0600);
        CHECK_EQ(write(fd, "from child", 10), 10);
        CHECK_EQ(send_fds(s[1], &fd, 1), 1);
    });
    CHECK_EXITS(pid, 0);
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CHECK_EQ(recvmsg(s[0], &m, 0), 1);
    int fd = -1;
    if (CHECK(CMSG_FIRSTHDR(&m) != NULL))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    char b[16] = "";
    CHECK_EQ(pread(fd, b, 15, 0), 10);
    CHECK_STR(b, "from child");
}

TEST(scm_credentials) {
    int s[2], on = 1;
    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    CHECK_EQ(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    pid_t pid = CHILD(CHECK_EQ(write(s[0], "c", 1), 1));
    CHECK_EXITS(pid, 0);
    char byte, control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CHECK_EQ(recvmsg(s[1], &m, 0), 1);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    REQUIRE(c && c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof(struct ucred)));
    struct ucred cred;
    memcpy(&cred, CMSG_DATA(c), sizeof cred);
    CHECK_EQ(cred.pid, pid);
    CHECK_EQ(cred.uid, geteuid());
    CHECK_EQ(cred.gid, getegid());
    if (geteuid() != 0) {
        cred.uid++;
        memcpy(CMSG_DATA(c), &cred, sizeof cred);
        CHECK_ERRNO(sendmsg(s[0], &m, 0), EPERM);
    }
}

TEST(peek_waitall_and_shutdown) {
    int s[2];
    char b[16] = "";
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && write(s[0], "abcd", 4) == 4);
    CHECK_EQ(recv(s[1], b, 2, MSG_PEEK), 2);
    CHECK_EQ(recv(s[1], b, 4, MSG_WAITALL), 4);
    CHECK_STR(b, "abcd");
    pid_t pid = CHILD(sleep_ms(20); CHECK_EQ(write(s[0], "12", 2), 2); sleep_ms(20);
                      CHECK_EQ(write(s[0], "34", 2), 2));
    CHECK_EQ(recv(s[1], b, 4, MSG_WAITALL), 4);
    CHECK_STR(b, "1234");
    CHECK_EXITS(pid, 0);
    CHECK_EQ(shutdown(s[0], SHUT_WR), 0);
    CHECK_EQ(recv(s[1], b, 1, 0), 0);
    CHECK_ERRNO(send(s[0], b, 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(write(s[1], "r", 1), 1);
    CHECK_EQ(read(s[0], b, 1), 1);
    struct pollfd p = {s[1], POLLIN | POLLRDHUP, 0};
    CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLRDHUP));
    CHECK_EQ(shutdown(s[1], SHUT_RDWR), 0);
    CHECK_ERRNO(shutdown(s[0], 9), EINVAL);
    CHECK_ERRNO(shutdown(0, SHUT_RD), ENOTSOCK);
    pid = CHILD(handle(SIGPIPE, SIG_DFL, 0); send(s[0], b, 1, 0));
    CHECK_KILLED(pid, SIGPIPE);
}
