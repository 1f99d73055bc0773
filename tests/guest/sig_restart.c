// SA_RESTART against EINTR: which calls resume after a handler and which report EINTR (man 7
// signal).
//
// Each case blocks in a call in a child; the parent waits until it sleeps, signals it, and later
// provides what the call waits for. The child's exit status tells what it saw.
#include "check.h"
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { COMPLETED = 0, INTERRUPTED = 1, WRONG = 2 };

static volatile sig_atomic_t handled;
static void on_signal(int sig) {
    (void)sig, handled++;
}

static int data_pipe[2], sockets[2];
static int *shared;

static int outcome(long result, long expected) {
    if (handled != 1)
        return WRONG;
    if (result == expected)
        return COMPLETED;
    return result == -1 && errno == EINTR ? INTERRUPTED : WRONG;
}

// Runs CALL in a child whose handler for SIGUSR1 has FLAGS; after the signal RELEASE lets it
// finish.
#define INTERRUPT(flags, CALL, EXPECTED, RELEASE)                                           \
    ({                                                                                      \
        handled = 0;                                                                        \
        REQUIRE(pipe(data_pipe) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0); \
        pid_t pid_ = CHILD({                                                                \
            handle(SIGUSR1, on_signal, flags);                                              \
            shared[1] = 1;                                                                  \
            long r_ = (long)(CALL);                                                         \
            _exit(outcome(r_, (long)(EXPECTED)));                                           \
        });                                                                                 \
        CHECK(WAIT_FOR(shared[1] == 1 && task_state(pid_, pid_) == 'S', 5000));             \
        sleep_ms(5);                                                                        \
        CHECK(task_state(pid_, pid_) == 'S');                                               \
        kill(pid_, SIGUSR1);                                                                \
        sleep_ms(10);                                                                       \
        RELEASE;                                                                            \
        shared[1] = 0;                                                                      \
        int status_ = wait_status(pid_);                                                    \
        close(data_pipe[0]);                                                                \
        close(data_pipe[1]);                                                                \
        close(sockets[0]);                                                                  \
        close(sockets[1]);                                                                  \
        WIFEXITED(status_) ? WEXITSTATUS(status_) : WRONG;                                  \
    })

static void make_shared(void) {
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
}

static char byte;
#define FEED_PIPE   REQUIRE(write(data_pipe[1], "x", 1) == 1)
#define FEED_SOCKET REQUIRE(write(sockets[1], "x", 1) == 1)

TEST(reads_restart_only_when_asked) {
    make_shared();
    CHECK_EQ(INTERRUPT(SA_RESTART, read(data_pipe[0], &byte, 1), 1, FEED_PIPE), COMPLETED);
    CHECK_EQ(INTERRUPT(0, read(data_pipe[0], &byte, 1), 1, FEED_PIPE), INTERRUPTED);
    CHECK_EQ(INTERRUPT(SA_RESTART, recv(sockets[0], &byte, 1, 0), 1, FEED_SOCKET), COMPLETED);
    CHECK_EQ(INTERRUPT(0, recv(sockets[0], &byte, 1, 0), 1, FEED_SOCKET), INTERRUPTED);
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    CHECK_EQ(INTERRUPT(SA_RESTART, recvmsg(sockets[0], &m, 0), 1, FEED_SOCKET), COMPLETED);
}

static int fill(int fd) {
    static char block[65536];
    return write(fd, block, sizeof block) == sizeof block;
}

TEST(writes_restart_only_when_asked) {
    make_shared();
    static char block[65536];
    CHECK_EQ(INTERRUPT(SA_RESTART, fill(data_pipe[1]) ? write(data_pipe[1], "y", 1) : -2, 1,
                       REQUIRE(read(data_pipe[0], block, sizeof block) > 0)),
             COMPLETED);
    CHECK_EQ(INTERRUPT(0, fill(data_pipe[1]) ? write(data_pipe[1], "y", 1) : -2, 1, ), INTERRUPTED);
}

static int listener;
static void make_listener(void) {
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "listen"};
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(bind(listener, (void *)&a, sizeof a) == 0 && listen(listener, 5) == 0);
}
static void connect_to_listener(void) {
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "listen"};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(connect(s, (void *)&a, sizeof a), 0);
}

TEST(accept_restarts_only_when_asked) {
    make_shared();
    make_listener();
    CHECK_EQ(INTERRUPT(SA_RESTART, accept(listener, NULL, NULL) > 0, 1, connect_to_listener()),
             COMPLETED);
    CHECK_EQ(INTERRUPT(0, accept(listener, NULL, NULL), 1, ), INTERRUPTED);
    CHECK_EQ(INTERRUPT(0, accept4(listener, NULL, NULL, 0), 1, ), INTERRUPTED);
}

// A grandchild that exits when the pipe is fed.
static pid_t waiting_child(void) {
    return CHILD(if (read(data_pipe[0], &byte, 1) == 1) _exit(0));
}

TEST(wait_restarts_only_when_asked) {
    make_shared();
    CHECK_EQ(INTERRUPT(SA_RESTART, waitpid(waiting_child(), NULL, 0) > 0, 1, FEED_PIPE), COMPLETED);
    CHECK_EQ(INTERRUPT(0, (waiting_child(), waitpid(-1, NULL, 0)), 1, FEED_PIPE), INTERRUPTED);
    siginfo_t si;
    CHECK_EQ(INTERRUPT(SA_RESTART, waitid(P_PID, waiting_child(), &si, WEXITED), 0, FEED_PIPE),
             COMPLETED);
    CHECK_EQ(INTERRUPT(0, waitid(P_PID, waiting_child(), &si, WEXITED), 0, FEED_PIPE), INTERRUPTED);
}

TEST(futex_wait_restarts_only_when_asked) {
    make_shared();
    shared[0] = 7;
    CHECK_EQ(INTERRUPT(SA_RESTART, syscall(SYS_futex, shared, FUTEX_WAIT, 7, NULL), 0,
                       syscall(SYS_futex, shared, FUTEX_WAKE, 1)),
             COMPLETED);
    CHECK_EQ(INTERRUPT(0, syscall(SYS_futex, shared, FUTEX_WAIT, 7, NULL), 0, ), INTERRUPTED);
    // With a timeout a handler ends it whatever the flags: the kernel's restart block is given up.
    struct timespec long_time = {5, 0};
    CHECK_EQ(INTERRUPT(SA_RESTART, syscall(SYS_futex, shared, FUTEX_WAIT, 7, &long_time), 0, ),
             INTERRUPTED);
}

static sem_t *semaphore;
TEST(locks_restart_only_when_asked) {
    make_shared();
    semaphore = (sem_t *)(shared + 16);
    REQUIRE(sem_init(semaphore, 1, 0) == 0);
    CHECK_EQ(INTERRUPT(SA_RESTART, sem_wait(semaphore), 0, sem_post(semaphore)), COMPLETED);
    CHECK_EQ(INTERRUPT(0, sem_wait(semaphore), 0, ), INTERRUPTED);
    int fd = open("lock", O_RDWR | O_CREAT, 0600);
    REQUIRE(flock(fd, LOCK_EX) == 0);
    CHECK_EQ(INTERRUPT(SA_RESTART, flock(open("lock", O_RDWR), LOCK_EX), 0, flock(fd, LOCK_UN)),
             COMPLETED);
    REQUIRE(flock(fd, LOCK_EX) == 0);
    CHECK_EQ(INTERRUPT(0, flock(open("lock", O_RDWR), LOCK_EX), 0, ), INTERRUPTED);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    REQUIRE(fcntl(fd, F_SETLK, &l) == 0);
    struct flock free_it = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    CHECK_EQ(INTERRUPT(SA_RESTART, fcntl(fd, F_SETLKW, &l), 0, fcntl(fd, F_SETLK, &free_it)),
             COMPLETED);
    REQUIRE(mkfifo("fifo", 0600) == 0);
    CHECK_EQ(INTERRUPT(SA_RESTART, open("fifo", O_RDONLY) >= 0, 1,
                       close(CHECK_OK(open("fifo", O_WRONLY)))),
             COMPLETED);
    CHECK_EQ(INTERRUPT(0, open("fifo", O_RDONLY), 1, ), INTERRUPTED);
}

TEST(these_never_restart) {
    make_shared();
    struct timespec ts = {5, 0}, left = {0, 0};
    CHECK_EQ(INTERRUPT(SA_RESTART, nanosleep(&ts, &left), 0, ), INTERRUPTED);
    CHECK_EQ(INTERRUPT(SA_RESTART, usleep(5000000), 0, ), INTERRUPTED);
    CHECK_EQ(INTERRUPT(SA_RESTART, poll(NULL, 0, 5000), 0, ), INTERRUPTED);
    CHECK_EQ(INTERRUPT(SA_RESTART, ppoll(NULL, 0, &ts, NULL), 0, ), INTERRUPTED);
    CHECK_EQ(INTERRUPT(SA_RESTART, pselect(0, NULL, NULL, NULL, &ts, NULL), 0, ), INTERRUPTED);
    int ep = epoll_create1(0);
    struct epoll_event e;
    CHECK_EQ(INTERRUPT(SA_RESTART, epoll_wait(ep, &e, 1, 5000), 0, ), INTERRUPTED);
    CHECK_EQ(INTERRUPT(SA_RESTART, pause(), 0, ), INTERRUPTED);
    sigset_t none;
    sigemptyset(&none);
    CHECK_EQ(INTERRUPT(SA_RESTART, sigsuspend(&none), 0, ), INTERRUPTED);
    sigset_t other;
    sigemptyset(&other);
    sigaddset(&other, SIGUSR2);
    CHECK_EQ(INTERRUPT(SA_RESTART, sigtimedwait(&other, NULL, &ts), 0, ), INTERRUPTED);
    CHECK_EQ(INTERRUPT(SA_RESTART, sigwaitinfo(&other, NULL), 0, ), INTERRUPTED);
    int q = msgget(IPC_PRIVATE, 0600);
    if (q != -1) {
        struct {
            long type;
            char text[8];
        } m;
        CHECK_EQ(INTERRUPT(SA_RESTART, msgrcv(q, &m, 8, 0, 0), 0, ), INTERRUPTED);
        msgctl(q, IPC_RMID, NULL);
    }
    int sem = semget(IPC_PRIVATE, 1, 0600);
    if (sem != -1) {
        struct sembuf op = {0, -1, 0};
        CHECK_EQ(INTERRUPT(SA_RESTART, semop(sem, &op, 1), 0, ), INTERRUPTED);
        semctl(sem, 0, IPC_RMID);
    }
    // A socket with a receive timeout.
    struct timeval tv = {5, 0};
    CHECK_EQ(INTERRUPT(SA_RESTART,
                       (setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv),
                        recv(sockets[0], &byte, 1, 0)),
                       1, ),
             INTERRUPTED);
}

TEST(sleep_tells_what_is_left) {
    handle(SIGALRM, on_signal, SA_RESTART);
    struct timespec ts = {5, 0}, left = {0, 0};
    struct itimerspec soon = {{0, 0}, {0, 20000000}};
    timer_t t;
    REQUIRE(timer_create(CLOCK_MONOTONIC, NULL, &t) == 0 && timer_settime(t, 0, &soon, NULL) == 0);
    CHECK_ERRNO(nanosleep(&ts, &left), EINTR);
    CHECK(left.tv_sec == 4 && left.tv_nsec > 0 && left.tv_nsec < 990000000);
    REQUIRE(timer_settime(t, 0, &soon, NULL) == 0);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &left), EINTR);
    CHECK_EQ(left.tv_sec, 4);
    REQUIRE(timer_settime(t, 0, &soon, NULL) == 0);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += 5;
    left = (struct timespec){77, 77};
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, &left), EINTR);
    CHECK(left.tv_sec == 77 && left.tv_nsec == 77); // not written for an absolute sleep
    CHECK_EQ(handled, 3);
}

// Stopping and continuing without any handler resumes the call (nanosleep with its remaining time).
TEST(stop_and_continue_resume) {
    make_shared();
    pid_t pid = CHILD({
        struct timespec ts = {0, 150000000};
        int64_t start = now_ns();
        CHECK_EQ(nanosleep(&ts, NULL), 0);
        CHECK(now_ns() - start >= 150000000);
        int ep = epoll_create1(0);
        struct epoll_event e;
        shared[1] = 1;
        // man 7 signal lists epoll_wait among those that fail with EINTR here; kernels since 5.x
        // restart it or fail, so both are accepted.
        int r = epoll_wait(ep, &e, 1, 100);
        CHECK(r == 0 || (r == -1 && errno == EINTR));
    });
    CHECK(WAIT_FOR(task_state(pid, pid) == 'S', 5000));
    for (int i = 0; i < 3; i++) {
        kill(pid, SIGSTOP);
        CHECK(WAIT_FOR(task_state(pid, pid) == 'T', 5000));
        sleep_ms(10);
        kill(pid, SIGCONT);
        sleep_ms(10);
    }
    CHECK_EXITS(pid, 0);
    REQUIRE(pipe(data_pipe) == 0);
    pid = CHILD(CHECK_EQ(read(data_pipe[0], &byte, 1), 1));
    CHECK(WAIT_FOR(task_state(pid, pid) == 'S', 5000));
    kill(pid, SIGSTOP);
    CHECK(WAIT_FOR(task_state(pid, pid) == 'T', 5000));
    kill(pid, SIGCONT);
    FEED_PIPE;
    CHECK_EXITS(pid, 0);
}

// An ignored signal does not interrupt anything.
TEST(ignored_signals_do_not_interrupt) {
    REQUIRE(pipe(data_pipe) == 0);
    pid_t pid = CHILD(handle(SIGUSR1, SIG_IGN, 0); CHECK_EQ(read(data_pipe[0], &byte, 1), 1));
    CHECK(WAIT_FOR(task_state(pid, pid) == 'S', 5000));
    sleep_ms(10);
    kill(pid, SIGUSR1);
    kill(pid, SIGWINCH);
    sleep_ms(10);
    FEED_PIPE;
    CHECK_EXITS(pid, 0);
}
