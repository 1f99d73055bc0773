// System V shared memory, semaphores, message queues (structures differ between the architectures),
// and POSIX message queues.
#include "check.h"
#include <mqueue.h>
#include <pthread.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

static int shm_id = -1, sem_id = -1, msg_id = -1;
static void remove_all(void) {
    if (shm_id != -1)
        shmctl(shm_id, IPC_RMID, NULL);
    if (sem_id != -1)
        semctl(sem_id, 0, IPC_RMID);
    if (msg_id != -1)
        msgctl(msg_id, IPC_RMID, NULL);
}

#define OPEN(id, call)                    \
    do {                                  \
        id = (call);                      \
        if (id == -1 && errno == ENOSYS)  \
            SKIP("no System V IPC here"); \
        REQUIRE(id != -1);                \
    } while (0)

TEST(shared_memory) {
    OPEN(shm_id, shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0640));
    char *p = shmat(shm_id, NULL, 0), *q = shmat(shm_id, NULL, SHM_RDONLY);
    REQUIRE(p != (void *)-1 && q != (void *)-1);
    p[9999] = 'x';
    CHECK_EQ(q[9999], 'x');
    struct shmid_ds ds;
    memset(&ds, 0xa5, sizeof ds);
    CHECK_EQ(shmctl(shm_id, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.shm_segsz, 10000);
    CHECK_EQ(ds.shm_nattch, 2);
    CHECK_EQ(ds.shm_cpid, getpid());
    CHECK_EQ(ds.shm_lpid, getpid());
    CHECK_EQ(ds.shm_perm.mode & 0777, 0640);
    CHECK_EQ(ds.shm_perm.uid, geteuid());
    CHECK(labs(ds.shm_ctime - time(NULL)) < 60 && labs(ds.shm_atime - time(NULL)) < 60);
    ds.shm_perm.mode = 0600;
    CHECK_EQ(shmctl(shm_id, IPC_SET, &ds), 0);
    CHECK(shmctl(shm_id, IPC_STAT, &ds) == 0 && (ds.shm_perm.mode & 0777) == 0600);
    pid_t pid = CHILD(p[0] = 'c');
    CHECK_EXITS(pid, 0);
    CHECK_EQ(q[0], 'c');
    CHECK_EQ(shmdt(q), 0);
    CHECK_ERRNO(shmdt(q), EINVAL);
    char *at = mmap(NULL, 16384, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_ERRNO(shmat(shm_id, at, 0), EINVAL);
    CHECK(shmat(shm_id, at, SHM_REMAP) == at);
    CHECK_EQ(at[9999], 'x');
    CHECK_ERRNO(shmat(shm_id, at + 1, 0), EINVAL);
    CHECK(shmat(shm_id, at + 1, SHM_RND | SHM_REMAP) == at);
    CHECK_EQ(shmctl(shm_id, IPC_RMID, NULL), 0);
    p[1] = 'l'; // lives until the last detach
    CHECK_EQ(shmdt(p), 0);
    CHECK_EQ(shmdt(at), 0);
    CHECK_ERRNO(shmat(shm_id, NULL, 0), EINVAL);
    shm_id = -1;
    key_t key = 0x47000000 | (getpid() & 0xffffff);
    OPEN(shm_id, shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600));
    CHECK_ERRNO(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    CHECK_EQ(shmget(key, 4096, 0), shm_id);
    CHECK_ERRNO(shmget(key, 8192, 0), EINVAL);
    CHECK_ERRNO(shmget(key + 1, 4096, 0), ENOENT);
    CHECK_ERRNO(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
    struct shminfo info;
    CHECK(shmctl(0, IPC_INFO, (void *)&info) >= 0);
    CHECK(info.shmmax >= 4096 && info.shmmni >= 1);
    remove_all();
}

TEST(semaphores) {
    OPEN(sem_id, semget(IPC_PRIVATE, 3, IPC_CREAT | 0600));
    unsigned short values[3] = {1, 2, 3}, got[3] = {9, 9, 9};
    CHECK_EQ(semctl(sem_id, 0, SETALL, (union semun){.array = values}), 0);
    CHECK_EQ(semctl(sem_id, 0, GETALL, (union semun){.array = got}), 0);
    CHECK(got[0] == 1 && got[1] == 2 && got[2] == 3);
    CHECK_EQ(semctl(sem_id, 1, GETVAL), 2);
    CHECK_EQ(semctl(sem_id, 1, SETVAL, (union semun){.val = 7}), 0);
    struct sembuf ops[2] = {{1, -7, 0}, {2, 4, SEM_UNDO}};
    pid_t pid = CHILD(CHECK_EQ(semop(sem_id, ops, 2), 0); CHECK_EQ(semctl(sem_id, 2, GETVAL), 7));
    CHECK_EXITS(pid, 0);
    CHECK_EQ(semctl(sem_id, 1, GETVAL), 0);
    CHECK_EQ(semctl(sem_id, 2, GETVAL), 3); // undone by the exit
    CHECK_EQ(semctl(sem_id, 1, GETPID), pid);
    struct semid_ds ds;
    memset(&ds, 0xa5, sizeof ds);
    CHECK_EQ(semctl(sem_id, 0, IPC_STAT, (union semun){.buf = &ds}), 0);
    CHECK_EQ(ds.sem_nsems, 3);
    CHECK_EQ(ds.sem_perm.mode & 0777, 0600);
    CHECK(labs(ds.sem_ctime - time(NULL)) < 60 && labs(ds.sem_otime - time(NULL)) < 60);
    ops[0] = (struct sembuf){1, -1, IPC_NOWAIT};
    CHECK_ERRNO(semop(sem_id, ops, 1), EAGAIN);
    ops[0].sem_num = 3;
    CHECK_ERRNO(semop(sem_id, ops, 1), EFBIG);
    ops[0] = (struct sembuf){1, -1, 0};
    struct timespec ts = {0, 20000000};
    CHECK_ERRNO(semtimedop(sem_id, ops, 1, &ts), EAGAIN);
    pid = CHILD(CHECK_EQ(semop(sem_id, ops, 1), 0));
    CHECK(WAIT_FOR(semctl(sem_id, 1, GETNCNT) == 1, 5000));
    ops[0].sem_op = 1;
    CHECK_EQ(semop(sem_id, ops, 1), 0);
    CHECK_EXITS(pid, 0);
    pid = CHILD(ops[0].sem_op = -1; CHECK_ERRNO(semop(sem_id, ops, 1), EIDRM));
    CHECK(WAIT_FOR(semctl(sem_id, 1, GETNCNT) == 1, 5000));
    CHECK_EQ(semctl(sem_id, 0, IPC_RMID), 0);
    CHECK_EXITS(pid, 0);
    CHECK_ERRNO(semctl(sem_id, 0, GETVAL), EINVAL);
    CHECK_ERRNO(semget(IPC_PRIVATE, 0, 0600), EINVAL);
    sem_id = -1;
}

typedef struct {
    long type;
    char text[64];
} message;

TEST(message_queues) {
    OPEN(msg_id, msgget(IPC_PRIVATE, IPC_CREAT | 0600));
    message m = {3, "three"}, got;
    CHECK_EQ(msgsnd(msg_id, &m, 6, 0), 0);
    m = (message){1, "one"};
    CHECK_EQ(msgsnd(msg_id, &m, 4, 0), 0);
    m = (message){2, "two"};
    CHECK_EQ(msgsnd(msg_id, &m, 4, 0), 0);
    struct msqid_ds ds;
    memset(&ds, 0xa5, sizeof ds);
    CHECK_EQ(msgctl(msg_id, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.msg_qnum, 3);
    CHECK_EQ(ds.__msg_cbytes, 14);
    CHECK_EQ(ds.msg_lspid, getpid());
    CHECK(ds.msg_qbytes >= 14 && labs(ds.msg_stime - time(NULL)) < 60 && ds.msg_rtime == 0);
    CHECK_EQ(msgrcv(msg_id, &got, 64, 2, 0), 4);
    CHECK(got.type == 2 && !strcmp(got.text, "two"));
    CHECK_EQ(msgrcv(msg_id, &got, 64, -3, 0), 4); // the lowest type up to 3
    CHECK_EQ(got.type, 1);
    CHECK_ERRNO(msgrcv(msg_id, &got, 2, 0, 0), E2BIG);
    CHECK_EQ(msgrcv(msg_id, &got, 2, 0, MSG_NOERROR), 2);
    CHECK_ERRNO(msgrcv(msg_id, &got, 64, 0, IPC_NOWAIT), ENOMSG);
    m.type = 0;
    CHECK_ERRNO(msgsnd(msg_id, &m, 4, 0), EINVAL);
    CHECK_ERRNO(msgsnd(msg_id, (void *)8, 4, 0), EFAULT);
    pid_t pid = CHILD(CHECK_EQ(msgrcv(msg_id, &got, 64, 5, 0), 6));
    CHECK(WAIT_FOR(task_state(pid, pid) == 'S', 5000));
    m = (message){5, "wakes"};
    CHECK_EQ(msgsnd(msg_id, &m, 6, 0), 0);
    CHECK_EXITS(pid, 0);
    pid = CHILD(CHECK_ERRNO(msgrcv(msg_id, &got, 64, 5, 0), EIDRM));
    CHECK(WAIT_FOR(task_state(pid, pid) == 'S', 5000));
    CHECK_EQ(msgctl(msg_id, IPC_RMID, NULL), 0);
    CHECK_EXITS(pid, 0);
    CHECK_ERRNO(msgsnd(msg_id, &m, 4, 0), EINVAL);
    msg_id = -1;
}

static volatile sig_atomic_t notified;
static void on_notify(int sig, siginfo_t *si, void *context) {
    (void)sig, (void)context;
    notified = si->si_code == SI_MESGQ ? si->si_value.sival_int : -1;
}

TEST(posix_message_queues) {
    char name[32];
    snprintf(name, sizeof name, "/guest-%d", getpid());
    struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 32}, got;
    mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attr);
    if (q == -1 && (errno == ENOSYS || errno == EMFILE))
        SKIP("no POSIX message queues");
    REQUIRE(q != -1);
    CHECK_ERRNO(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr), EEXIST);
    CHECK_ERRNO(mq_open("/absent-queue", O_RDWR), ENOENT);
    char b[64];
    unsigned priority;
    CHECK_ERRNO(mq_receive(q, b, sizeof b, NULL), EAGAIN);
    CHECK_EQ(mq_send(q, "low", 3, 1), 0);
    CHECK_EQ(mq_send(q, "high", 4, 9), 0);
    CHECK_EQ(mq_getattr(q, &got), 0);
    CHECK(got.mq_curmsgs == 2 && got.mq_maxmsg == 4 && got.mq_msgsize == 32);
    CHECK_EQ(got.mq_flags, O_NONBLOCK);
    CHECK_EQ(mq_receive(q, b, sizeof b, &priority), 4);
    CHECK(priority == 9 && !memcmp(b, "high", 4));
    CHECK_ERRNO(mq_receive(q, b, 10, NULL), EMSGSIZE);
    CHECK_ERRNO(mq_send(q, b, 33, 0), EMSGSIZE);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(mq_send(q, "x", 1, 0), 0);
    CHECK_ERRNO(mq_send(q, "x", 1, 0), EAGAIN);
    while (mq_receive(q, b, sizeof b, NULL) >= 0)
        ;
    handle(SIGUSR1, on_notify, SA_SIGINFO);
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    ev.sigev_value.sival_int = 777;
    if (!under_qemu()) { // does not implement mq_notify's siginfo
        CHECK_EQ(mq_notify(q, &ev), 0);
        CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
        CHECK_EQ(mq_send(q, "n", 1, 0), 0);
        CHECK(WAIT_FOR(notified != 0, 5000));
        CHECK_EQ(notified, 777);
    }
    struct timespec past = {1, 0};
    got.mq_flags = 0;
    CHECK_EQ(mq_setattr(q, &got, NULL), 0);
    while (mq_timedreceive(q, b, sizeof b, NULL, &past) >= 0)
        ;
    CHECK_EQ(errno, ETIMEDOUT);
    CHECK_EQ(mq_close(q), 0);
    CHECK_EQ(mq_unlink(name), 0);
    CHECK_ERRNO(mq_unlink(name), ENOENT);
}
