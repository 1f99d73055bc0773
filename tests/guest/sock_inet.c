// TCP and UDP on the loopback: addresses, blocking and non-blocking connects, options, message
// flags, sendmmsg/recvmmsg, errors, IPv6.
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return a;
}

// A listening or bound socket on a free port; stores its address.
static int bound(int type, struct sockaddr_in *a) {
    int s = socket(AF_INET, type, 0);
    socklen_t n = sizeof *a;
    *a = loopback(0);
    REQUIRE(s != -1 && bind(s, (void *)a, sizeof *a) == 0);
    REQUIRE(getsockname(s, (void *)a, &n) == 0 && n == sizeof *a);
    if ((type & 0xf) == SOCK_STREAM)
        REQUIRE(listen(s, 16) == 0);
    return s;
}

static void tcp_pair(int *client, int *server) {
    struct sockaddr_in a;
    int listener = bound(SOCK_STREAM, &a);
    *client = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(connect(*client, (void *)&a, sizeof a) == 0);
    *server = accept(listener, NULL, NULL);
    REQUIRE(*server != -1);
    close(listener);
}

TEST(tcp_connection) {
    struct sockaddr_in a, peer, own;
    int listener = bound(SOCK_STREAM, &a), client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(client, (void *)&a, sizeof a), 0);
    socklen_t n = sizeof peer;
    int conn = CHECK_OK(accept4(listener, (void *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC));
    CHECK_EQ(n, sizeof peer);
    n = sizeof own;
    CHECK_EQ(getsockname(client, (void *)&own, &n), 0);
    CHECK_EQ(own.sin_port, peer.sin_port);
    CHECK_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK(fcntl(conn, F_GETFL) & O_NONBLOCK);
    char b[64] = "";
    CHECK_ERRNO(recv(conn, b, 1, 0), EAGAIN);
    CHECK_EQ(send(client, "hello", 5, 0), 5);
    struct pollfd p = {conn, POLLIN, 0};
    CHECK_EQ(poll(&p, 1, 5000), 1);
    int pending = 0;
    CHECK(ioctl(conn, FIONREAD, &pending) == 0 && pending == 5);
    CHECK_EQ(recv(conn, b, sizeof b, MSG_PEEK), 5);
    CHECK_EQ(recv(conn, b, sizeof b, 0), 5);
    CHECK_STR(b, "hello");
    CHECK_EQ(shutdown(client, SHUT_WR), 0);
    p.events = POLLIN | POLLRDHUP;
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(p.revents, POLLIN | POLLRDHUP);
    CHECK_EQ(recv(conn, b, 1, 0), 0);
    CHECK_EQ(send(conn, "late", 4, MSG_NOSIGNAL), 4);
    CHECK_EQ(recv(client, b, 4, MSG_WAITALL), 4);
    close(conn);
    CHECK_EQ(recv(client, b, 1, 0), 0);
}

TEST(tcp_connect_errors) {
    struct sockaddr_in a;
    int listener = bound(SOCK_STREAM, &a);
    close(listener);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(connect(s, (void *)&a, sizeof a), ECONNREFUSED);
    s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_ERRNO(connect(s, (void *)&a, sizeof a), EINPROGRESS);
    struct pollfd p = {s, POLLOUT, 0};
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK(p.revents & POLLERR);
    int error = 0;
    socklen_t n = sizeof error;
    CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &n), 0);
    CHECK_EQ(error, ECONNREFUSED);
    CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &n), 0);
    CHECK_EQ(error, 0);
    s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(send(s, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO(recv(s, &error, 1, 0), ENOTCONN);
    CHECK_ERRNO(getpeername(s, (void *)&a, &n), ENOTCONN);
    CHECK_ERRNO(shutdown(s, SHUT_WR), ENOTCONN);
    CHECK_ERRNO(connect(s, (void *)&a, 3), EINVAL);
    CHECK_ERRNO(connect(s, (void *)8, sizeof a), EFAULT);
    a.sin_family = 77;
    CHECK_ERRNO(connect(s, (void *)&a, sizeof a), EAFNOSUPPORT);
    a = loopback(0);
    a.sin_addr.s_addr = htonl(0x08080808);
    CHECK_ERRNO(bind(s, (void *)&a, sizeof a), EADDRNOTAVAIL);
    CHECK_ERRNO(listen(0, 5), ENOTSOCK);
    CHECK_ERRNO(listen(socket(AF_INET, SOCK_DGRAM, 0), 5), EOPNOTSUPP);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    if (!under_qemu()) // drops unknown type bits
        CHECK_ERRNO(socket(AF_INET, SOCK_STREAM | 0x100, 0), EINVAL);
}

TEST(nonblocking_connect_completes) {
    struct sockaddr_in a;
    int listener = bound(SOCK_STREAM, &a), s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int r = connect(s, (void *)&a, sizeof a);
    CHECK(r == 0 || errno == EINPROGRESS);
    struct pollfd p = {s, POLLOUT, 0};
    CHECK_EQ(poll(&p, 1, 5000), 1);
    int error = -1;
    socklen_t n = sizeof error;
    CHECK(getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && error == 0);
    // The send buffer fills: partial write, then EAGAIN.
    static char block[1 << 20];
    ssize_t w, total = 0;
    while ((w = send(s, block, sizeof block, 0)) > 0)
        total += w;
    CHECK_EQ(errno, EAGAIN);
    CHECK(total > 4096);
    int conn = accept(listener, NULL, NULL);
    ssize_t got = 0;
    while (got < total && (w = recv(conn, block, sizeof block, 0)) > 0)
        got += w;
    CHECK_EQ(got, total);
    p.revents = 0;
    CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLOUT);
}

TEST(reset_is_reported) {
    int client, server;
    tcp_pair(&client, &server);
    struct linger linger = {1, 0};
    CHECK_EQ(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(client);
    struct pollfd p = {server, POLLIN, 0};
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK((p.revents & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP));
    char c;
    CHECK_ERRNO(recv(server, &c, 1, 0), ECONNRESET);
    CHECK_EQ(recv(server, &c, 1, 0), 0);
}

TEST(urgent_data) {
    int client, server;
    tcp_pair(&client, &server);
    CHECK_EQ(send(client, "ab!", 3, MSG_OOB), 3);
    struct pollfd p = {server, POLLPRI, 0};
    CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLPRI);
    char b[8] = "";
    CHECK_EQ(recv(server, b, 1, MSG_OOB), 1);
    CHECK_EQ(b[0], '!');
    CHECK_EQ(recv(server, b, sizeof b, 0), 2);
    int mark = 0;
    CHECK_EQ(ioctl(server, SIOCATMARK, &mark), 0);
    CHECK_EQ(mark, 1);
    CHECK_ERRNO(recv(server, b, 1, MSG_OOB), EINVAL);
}

#define GET(s, level, option)                                \
    ({                                                       \
        int v_ = -99;                                        \
        socklen_t n_ = sizeof v_;                            \
        CHECK_EQ(getsockopt(s, level, option, &v_, &n_), 0); \
        CHECK_EQ(n_, sizeof v_);                             \
        v_;                                                  \
    })
#define SET(s, level, option, value)                               \
    ({                                                             \
        int v_ = (value);                                          \
        CHECK_EQ(setsockopt(s, level, option, &v_, sizeof v_), 0); \
    })

TEST(socket_options) {
    struct sockaddr_in a;
    int s = socket(AF_INET, SOCK_STREAM, 0), listener = bound(SOCK_STREAM, &a);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_DOMAIN), AF_INET);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_ACCEPTCONN), 0);
    CHECK_EQ(GET(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_REUSEADDR), 0);
    SET(s, SOL_SOCKET, SO_REUSEADDR, 1);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_REUSEADDR), 1);
    SET(s, SOL_SOCKET, SO_REUSEPORT, 1);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_REUSEPORT), 1);
    SET(s, SOL_SOCKET, SO_KEEPALIVE, 7);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_KEEPALIVE), 1);
    SET(s, SOL_SOCKET, SO_RCVBUF, 20000);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_RCVBUF), 40000); // man 7 socket: the kernel doubles it
    SET(s, SOL_SOCKET, SO_SNDBUF, 30000);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_SNDBUF), 60000);
    SET(s, SOL_SOCKET, SO_RCVLOWAT, 10);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_RCVLOWAT), 10);
    SET(s, SOL_SOCKET, SO_PRIORITY, 3);
    CHECK_EQ(GET(s, SOL_SOCKET, SO_PRIORITY), 3);
    SET(s, IPPROTO_TCP, TCP_NODELAY, 1);
    CHECK_EQ(GET(s, IPPROTO_TCP, TCP_NODELAY), 1);
    SET(s, IPPROTO_TCP, TCP_CORK, 1);
    CHECK_EQ(GET(s, IPPROTO_TCP, TCP_CORK), 1);
    SET(s, IPPROTO_TCP, TCP_KEEPIDLE, 33);
    CHECK_EQ(GET(s, IPPROTO_TCP, TCP_KEEPIDLE), 33);
    SET(s, IPPROTO_TCP, TCP_KEEPINTVL, 34);
    CHECK_EQ(GET(s, IPPROTO_TCP, TCP_KEEPINTVL), 34);
    SET(s, IPPROTO_TCP, TCP_KEEPCNT, 5);
    CHECK_EQ(GET(s, IPPROTO_TCP, TCP_KEEPCNT), 5);
    SET(s, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
    CHECK_EQ(GET(s, IPPROTO_TCP, TCP_DEFER_ACCEPT), 1);
    SET(s, IPPROTO_IP, IP_TTL, 42);
    CHECK_EQ(GET(s, IPPROTO_IP, IP_TTL), 42);
    SET(s, IPPROTO_IP, IP_TOS, 0x10);
    CHECK_EQ(GET(s, IPPROTO_IP, IP_TOS), 0x10);
    struct linger linger = {1, 5}, got = {0, 0};
    socklen_t n = sizeof got;
    CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_LINGER, &got, &n), 0);
    CHECK(got.l_onoff == 1 && got.l_linger == 5 && n == sizeof got);
    struct timeval tv = {1, 500000}, back = {0, 0};
    n = sizeof back;
    CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
    CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &back, &n), 0);
    CHECK(back.tv_sec == 1 && labs(back.tv_usec - 500000) < 20000 && n == sizeof back);
    char one = 0;
    n = 1;
    CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_TYPE, &one, &n), 0);
    CHECK(one == SOCK_STREAM && n == 1);
    CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, 1), EINVAL);
    int v = 1;
    CHECK_ERRNO(setsockopt(s, SOL_SOCKET, 9999, &v, sizeof v), ENOPROTOOPT);
    CHECK_ERRNO(getsockopt(s, IPPROTO_TCP, 9999, &v, &n), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(0, SOL_SOCKET, SO_REUSEADDR, &v, sizeof v), ENOTSOCK);
    CHECK_ERRNO(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, (void *)8, sizeof v), EFAULT);
    n = sizeof v;
    CHECK_ERRNO(getsockopt(s, SOL_SOCKET, SO_TYPE, (void *)8, &n), EFAULT);
    CHECK_ERRNO(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, (socklen_t *)8), EFAULT);
    struct tcp_info info;
    n = sizeof info;
    CHECK_EQ(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &n), 0);
    CHECK_EQ(info.tcpi_state, TCP_LISTEN);
}

TEST(receive_timeout) {
    int client, server;
    tcp_pair(&client, &server);
    struct timeval tv = {0, 30000};
    REQUIRE(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
    char c;
    int64_t start = now_ns();
    CHECK_ERRNO(recv(client, &c, 1, 0), EAGAIN);
    CHECK(now_ns() - start >= 25000000);
}

TEST(udp_datagrams) {
    struct sockaddr_in a, b, from;
    int x = bound(SOCK_DGRAM, &a), y = bound(SOCK_DGRAM | SOCK_NONBLOCK, &b);
    char buffer[16] = "";
    CHECK_ERRNO(recv(y, buffer, 1, 0), EAGAIN);
    CHECK_EQ(sendto(x, "one", 3, 0, (void *)&b, sizeof b), 3);
    CHECK_EQ(sendto(x, "", 0, 0, (void *)&b, sizeof b), 0);
    CHECK_EQ(sendto(x, "longer one", 10, 0, (void *)&b, sizeof b), 10);
    socklen_t n = sizeof from;
    CHECK_EQ(recvfrom(y, buffer, sizeof buffer, 0, (void *)&from, &n), 3);
    CHECK(n == sizeof from && from.sin_port == a.sin_port);
    CHECK_EQ(recv(y, buffer, sizeof buffer, 0), 0);
    struct iovec v = {buffer, 4};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from};
    CHECK_EQ(recvmsg(y, &m, MSG_TRUNC), 10);
    CHECK_EQ(m.msg_flags & MSG_TRUNC, MSG_TRUNC);
    CHECK_EQ(m.msg_namelen, sizeof from);
    CHECK_ERRNO(send(x, "x", 1, 0), EDESTADDRREQ);
    CHECK_EQ(connect(x, (void *)&b, sizeof b), 0);
    CHECK_EQ(send(x, "con", 3, 0), 3);
    CHECK_EQ(recv(y, buffer, 16, 0), 3);
    from = (struct sockaddr_in){.sin_family = AF_UNSPEC};
    CHECK_EQ(connect(x, (void *)&from, sizeof from), 0);
    static char huge[70000];
    CHECK_ERRNO(sendto(x, huge, sizeof huge, 0, (void *)&b, sizeof b), EMSGSIZE);
    // An ICMP error comes back on a connected socket.
    CHECK_EQ(connect(x, (void *)&b, sizeof b), 0);
    close(y);
    CHECK_EQ(send(x, "x", 1, 0), 1);
    CHECK_ERRNO(recv(x, buffer, 1, 0), ECONNREFUSED);
}

TEST(many_messages_in_one_call) {
    struct sockaddr_in a, b, names[5];
    int x = bound(SOCK_DGRAM, &a), y = bound(SOCK_DGRAM, &b);
    REQUIRE(connect(x, (void *)&b, sizeof b) == 0);
    char in[5][8], *words[5] = {"a", "bb", "ccc", "dddd", "eeeee"};
    struct iovec out_v[5], in_v[5];
    struct mmsghdr out[5] = {0}, got[5] = {0};
    for (int i = 0; i < 5; i++) {
        out_v[i] = (struct iovec){words[i], i + 1};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_v[i], .msg_iovlen = 1};
        in_v[i] = (struct iovec){in[i], 8};
        got[i].msg_hdr = (struct msghdr){.msg_iov = &in_v[i],
                                         .msg_iovlen = 1,
                                         .msg_name = &names[i],
                                         .msg_namelen = sizeof names[i]};
    }
    CHECK_EQ(sendmmsg(x, out, 5, 0), 5);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(out[i].msg_len, i + 1);
    struct timespec timeout = {1, 0};
    CHECK_EQ(recvmmsg(y, got, 3, 0, NULL), 3);
    CHECK_EQ(recvmmsg(y, got + 3, 2, MSG_WAITFORONE, &timeout), 2);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(got[i].msg_len, i + 1);
        CHECK(memcmp(in[i], words[i], i + 1) == 0);
        CHECK_EQ(names[i].sin_port, a.sin_port);
    }
    CHECK_ERRNO(recvmmsg(y, got, 1, MSG_DONTWAIT, NULL), EAGAIN);
    CHECK_ERRNO(sendmmsg(x, (struct mmsghdr *)8, 1, 0), EFAULT);
}

TEST(ancillary_data_of_udp) {
    struct sockaddr_in a, b;
    int x = bound(SOCK_DGRAM, &a), y = bound(SOCK_DGRAM, &b), on = 1;
    REQUIRE(setsockopt(y, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0);
    REQUIRE(setsockopt(y, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on) == 0);
    CHECK_EQ(sendto(x, "t", 1, 0, (void *)&b, sizeof b), 1);
    char byte, control[256];
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    CHECK_EQ(recvmsg(y, &m, 0), 1);
    int seen = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            CHECK_EQ(info.ipi_addr.s_addr, htonl(INADDR_LOOPBACK));
            seen |= 1;
        }
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMP) {
            struct timeval tv;
            memcpy(&tv, CMSG_DATA(c), sizeof tv);
            CHECK(labs(tv.tv_sec - time(NULL)) < 60);
            seen |= 2;
        }
    }
    CHECK_EQ(seen, 3);
}

TEST(address_in_use) {
    struct sockaddr_in a;
    bound(SOCK_STREAM, &a);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(bind(s, (void *)&a, sizeof a), EADDRINUSE);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, got;
    s = socket(AF_INET6, SOCK_STREAM, 0);
    if (s == -1 || bind(s, (void *)&six, sizeof six) == -1)
        return; // no IPv6 here
    socklen_t n = sizeof got;
    CHECK_EQ(getsockname(s, (void *)&got, &n), 0);
    CHECK_EQ(n, sizeof got);
    CHECK(memcmp(&got.sin6_addr, &in6addr_loopback, 16) == 0 && got.sin6_port != 0);
    CHECK_EQ(listen(s, 1), 0);
    int c = socket(AF_INET6, SOCK_STREAM, 0);
    SET(c, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    CHECK_EQ(GET(c, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    CHECK_EQ(connect(c, (void *)&got, n), 0);
    n = sizeof got;
    close(CHECK_OK(accept(s, (void *)&got, &n)));
    CHECK_EQ(n, sizeof got);
}
