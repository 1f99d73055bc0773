// A prefork server as nginx's: a master that forks workers sharing a listening socket, workers in
// epoll, clients in threads and processes, workers killed and replaced, graceful stop. Every byte
// is compared. Argument: the requests of each client.
#define STRESS_ROUNDS 1000
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

enum { WORKERS = 3, CLIENTS = 4, BODY = 5000 };

static struct sockaddr_in address;
static int listener;
static volatile sig_atomic_t quit;
static void on_quit(int sig) {
    (void)sig, quit = 1;
}

static char body_byte(unsigned n, int i) {
    return (char)(n * 31 + i * 7 + (i >> 8));
}

static void worker(int ep_flags) {
    sigset_t none;
    sigemptyset(&none);
    handle(SIGTERM, on_quit, 0);
    int ep = epoll_create1(EPOLL_CLOEXEC), file = open("body", O_RDWR);
    struct epoll_event e = {.events = EPOLLIN | ep_flags, .data.fd = listener}, got[16];
    REQUIRE(epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e) == 0);
    int open_connections = 0;
    while (!quit || open_connections) {
        int n = epoll_pwait(ep, got, 16, quit ? 2000 : -1, &none);
        if (n == 0 && quit)
            break; // idle keep-alive connections
        for (int i = 0; i < n; i++) {
            if (got[i].data.fd == listener) {
                int c = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (c == -1)
                    continue; // another worker was faster
                e = (struct epoll_event){.events = EPOLLIN | EPOLLET | EPOLLRDHUP, .data.fd = c};
                REQUIRE(epoll_ctl(ep, EPOLL_CTL_ADD, c, &e) == 0);
                open_connections++;
                continue;
            }
            uint32_t request;
            ssize_t r;
            int c = got[i].data.fd;
            while ((r = recv(c, &request, 4, 0)) == 4) {
                off_t at = (request % 16) * BODY;
                uint32_t head = request ^ 0xffffffff;
                REQUIRE(send(c, &head, 4, MSG_NOSIGNAL | MSG_MORE) == 4);
                ssize_t left = BODY;
                while (left > 0) {
                    ssize_t w = sendfile(c, file, &at, left);
                    REQUIRE(w > 0);
                    left -= w;
                }
            }
            if (r == 0 || (r == -1 && errno != EAGAIN)) {
                close(c);
                open_connections--;
            }
        }
        if (quit) {
            epoll_ctl(ep, EPOLL_CTL_DEL, listener, NULL);
        }
    }
    _exit(0);
}

static atomic_long served, refused;

static void *client(void *arg) {
    unsigned seed = (unsigned)(uintptr_t)arg + 1;
    static _Thread_local char buffer[BODY + 4];
    for (long i = 0; i < rounds;) {
        int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(s, (void *)&address, sizeof address) == -1) {
            FAIL("connect: %d", errno);
            return NULL;
        }
        struct timeval limit = {10, 0};
        setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        // A few requests a connection; a worker that stops may drop it between requests.
        for (int k = 0; k < 5 && i < rounds; k++) {
            uint32_t request = seed = seed * 1103515245 + 12345;
            if (send(s, &request, 4, MSG_NOSIGNAL) != 4)
                break;
            ssize_t n = recv(s, buffer, BODY + 4, MSG_WAITALL);
            if (n != BODY + 4) {
                if (n > 0 || (n == -1 && errno == EAGAIN))
                    FAIL("half a response: %zd of %d, errno %d", n, BODY + 4, errno);
                refused++;
                break;
            }
            uint32_t head;
            memcpy(&head, buffer, 4);
            if (head != ~request)
                FAIL("another request's response");
            for (int b = 0; b < BODY; b += 97)
                if (buffer[4 + b] != body_byte(request % 16, b))
                    FAIL("byte %d differs", b);
            served++;
            i++;
        }
        close(s);
    }
    return NULL;
}

static pid_t start_worker(int flags) {
    pid_t pid = fork();
    if (pid == 0)
        worker(flags);
    REQUIRE(pid > 0);
    return pid;
}

static void serve(int flags, bool restarts) {
    // Blocked from before the fork: a worker asked to stop at once must find its handler installed.
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    int fd = open("body", O_RDWR | O_CREAT, 0600);
    static char body[BODY];
    for (unsigned n = 0; n < 16; n++) {
        for (int i = 0; i < BODY; i++)
            body[i] = body_byte(n, i);
        REQUIRE(write(fd, body, BODY) == BODY);
    }
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    REQUIRE(bind(listener, (void *)&address, n) == 0 && listen(listener, 511) == 0);
    REQUIRE(getsockname(listener, (void *)&address, &n) == 0);
    pid_t pids[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        pids[i] = start_worker(flags);
    // The clients live in a process of their own, so that the master may fork without threads.
    pid_t clients = CHILD({
        pthread_t t[CLIENTS];
        for (uintptr_t i = 0; i < CLIENTS; i++)
            REQUIRE(pthread_create(&t[i], NULL, client, (void *)(i * 77)) == 0);
        for (int i = 0; i < CLIENTS; i++)
            pthread_join(t[i], NULL);
        CHECK_EQ(served, rounds * CLIENTS);
        CHECK(restarts || refused == 0);
    });
    if (restarts)
        for (int i = 0, status = 0;; i++) {
            pid_t ended = waitpid(clients, &status, WNOHANG);
            if (ended != 0) {
                CHECK(ended == clients && status == 0);
                break;
            }
            sleep_ms(3);
            // Start the new one before the old one is asked to stop.
            pid_t old = pids[i % WORKERS];
            pids[i % WORKERS] = start_worker(flags);
            kill(old, SIGTERM);
            REQUIRE(CHECK_EXITS(old, 0));
        }
    else
        CHECK_EXITS(clients, 0);
    for (int i = 0; i < WORKERS; i++) {
        kill(pids[i], SIGTERM);
        CHECK_EXITS(pids[i], 0);
    }
}

TEST(workers_share_a_listener) {
    serve(0, false);
}
TEST(workers_share_it_exclusively) {
    serve(EPOLLEXCLUSIVE, false);
}
TEST(workers_are_replaced_under_load) {
    serve(EPOLLEXCLUSIVE, true);
}
