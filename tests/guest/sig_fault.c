// Faults: what the handler learns, that it can repair or leave, and when the process dies instead.
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/resource.h>

static sigjmp_buf env;
static siginfo_t seen;
static volatile sig_atomic_t count;

static void leave(int sig, siginfo_t *si, void *context) {
    (void)context;
    seen = *si;
    count++;
    siglongjmp(env, sig);
}

static long page;
static char *pages(int n, int prot) {
    page = sysconf(_SC_PAGESIZE);
    char *p = mmap(NULL, n * page, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    return p;
}

// Runs STATEMENT, which must fault with SIG, code CODE, at ADDRESS.
#define FAULTS(STATEMENT, SIG, CODE, ADDRESS)                        \
    do {                                                             \
        int sig_ = sigsetjmp(env, 1);                                \
        if (sig_ == 0) {                                             \
            STATEMENT;                                               \
            FAIL("%s did not fault", #STATEMENT);                    \
        } else {                                                     \
            CHECK_EQ(sig_, SIG);                                     \
            CHECK_EQ(seen.si_code, CODE);                            \
            CHECK_EQ((uintptr_t)seen.si_addr, (uintptr_t)(ADDRESS)); \
        }                                                            \
    } while (0)

#define LOAD(type, p)     ((void)*(volatile type *)(p))
#define STORE(type, p, v) (*(volatile type *)(p) = (v))

static void catch_faults(void) {
    handle(SIGSEGV, leave, SA_SIGINFO);
    handle(SIGBUS, leave, SA_SIGINFO);
}

TEST(unmapped_addresses) {
    catch_faults();
    char *p = pages(4, PROT_READ | PROT_WRITE);
    munmap(p + page, page);
    FAULTS(LOAD(char, p + page), SIGSEGV, SEGV_MAPERR, p + page);
    FAULTS(LOAD(char, p + page + 123), SIGSEGV, SEGV_MAPERR, p + page + 123);
    FAULTS(STORE(char, p + 2 * page - 1, 1), SIGSEGV, SEGV_MAPERR, p + 2 * page - 1);
    FAULTS(LOAD(uint64_t, p + page + 8), SIGSEGV, SEGV_MAPERR, p + page + 8);
    FAULTS(STORE(uint64_t, p + page + 16, 1), SIGSEGV, SEGV_MAPERR, p + page + 16);
    FAULTS(LOAD(uint32_t, NULL), SIGSEGV, SEGV_MAPERR, 0);
    FAULTS(LOAD(char, 0xfff), SIGSEGV, SEGV_MAPERR, 0xfff);
    FAULTS(STORE(uint16_t, 0x1000, 3), SIGSEGV, SEGV_MAPERR, 0x1000);
    LOAD(char, p);
    LOAD(char, p + 2 * page);
}

TEST(forbidden_addresses) {
    catch_faults();
    char *p = pages(3, PROT_READ);
    FAULTS(STORE(char, p + 5, 1), SIGSEGV, SEGV_ACCERR, p + 5);
    LOAD(char, p + 5);
    REQUIRE(mprotect(p, page, PROT_NONE) == 0);
    FAULTS(LOAD(char, p + 6), SIGSEGV, SEGV_ACCERR, p + 6);
    FAULTS(STORE(char, p + 7, 1), SIGSEGV, SEGV_ACCERR, p + 7);
    REQUIRE(mprotect(p, page, PROT_READ | PROT_WRITE) == 0);
    STORE(char, p + 7, 9);
    CHECK_EQ(p[7], 9);
    // The program's own read-only data and code.
    FAULTS(STORE(char, "constant", 1), SIGSEGV, SEGV_ACCERR, "constant");
    FAULTS(STORE(char, (char *)&catch_faults, 1), SIGSEGV, SEGV_ACCERR, &catch_faults);
}

TEST(accesses_across_a_page_end) {
    catch_faults();
    char *p = pages(2, PROT_READ | PROT_WRITE);
    REQUIRE(mprotect(p + page, page, PROT_NONE) == 0);
    memset(p, 0x11, page);
    // The address is the first byte that cannot be accessed (x86) or the start of the access, as
    // the hardware reports it; both lie within the access.
    for (int back = 1; back < 8; back++) {
        if (sigsetjmp(env, 1) == 0) {
            STORE(uint64_t, p + page - back, 0);
            FAIL("no fault");
        }
        CHECK((char *)seen.si_addr >= p + page - back && (char *)seen.si_addr <= p + page);
        // Nothing of it was written.
        for (int i = 1; i <= back; i++)
            CHECK_EQ(p[page - i], 0x11);
    }
    STORE(uint64_t, p + page - 8, 5);
}

typedef int function(void);

TEST(jumps_to_nowhere) {
    catch_faults();
    char *p = pages(2, PROT_READ | PROT_WRITE);
    FAULTS(((function *)(p + 64))(), SIGSEGV, SEGV_ACCERR, p + 64);
    munmap(p + page, page);
    FAULTS(((function *)(p + page + 4))(), SIGSEGV, SEGV_MAPERR, p + page + 4);
    function *volatile null = NULL;
    FAULTS(null(), SIGSEGV, SEGV_MAPERR, 0);
    FAULTS(((function *)0x10)(), SIGSEGV, SEGV_MAPERR, 0x10);
}

TEST(past_the_end_of_a_file) {
    catch_faults();
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    page = sysconf(_SC_PAGESIZE);
    REQUIRE(ftruncate(fd, page + 100) == 0);
    char *p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(p != MAP_FAILED);
    LOAD(char, p + page + 200); // zeros to the end of the page
    STORE(char, p + page + 200, 1);
    FAULTS(LOAD(char, p + 2 * page + 7), SIGBUS, BUS_ADRERR, p + 2 * page + 7);
    FAULTS(STORE(int, p + 3 * page, 1), SIGBUS, BUS_ADRERR, p + 3 * page);
    REQUIRE(ftruncate(fd, 4 * page) == 0);
    STORE(char, p + 3 * page, 1);
    REQUIRE(ftruncate(fd, 0) == 0);
    FAULTS(LOAD(char, p), SIGBUS, BUS_ADRERR, p);
}

TEST(thousands_of_faults) {
    catch_faults();
    char *p = pages(1, PROT_NONE);
    for (volatile int i = 0; i < 5000; i++)
        FAULTS(LOAD(char, p + i % 4096), SIGSEGV, SEGV_ACCERR, p + i % 4096);
    CHECK_EQ(count, 5000);
}

static void repair(int sig, siginfo_t *si, void *context) {
    (void)sig, (void)context;
    uintptr_t at = (uintptr_t)si->si_addr & ~(page - 1);
    count++;
    mprotect((void *)at, page, PROT_READ | PROT_WRITE);
}

TEST(repairing_in_the_handler_resumes) {
    char *p = pages(200, PROT_NONE);
    handle(SIGSEGV, repair, SA_SIGINFO);
    uint64_t sum = 0;
    for (int i = 0; i < 200; i++) {
        ((volatile uint64_t *)(p + i * page))[3] += i + 1;
        sum += ((volatile uint64_t *)(p + i * page))[3];
    }
    CHECK_EQ(count, 200);
    CHECK_EQ(sum, 200 * 201 / 2);
    // Copies through libc's vector code fault in the middle and resume as well.
    char *q = pages(8, PROT_NONE), *from = pages(8, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 8 * page; i++)
        from[i] = i * 7 + (i >> 8);
    memcpy(q + 100, from + 3, 8 * page - 200);
    CHECK(memcmp(q + 100, from + 3, 8 * page - 200) == 0);
    mprotect(q, 8 * page, PROT_NONE);
    memset(q + 50, 0x5a, 7 * page);
    CHECK(q[50] == 0x5a && q[49 + 7 * page] == 0x5a);
}

static int faults_left;
static void retry(int sig) {
    (void)sig;
    count++;
    if (--faults_left == 0)
        handle(SIGSEGV, SIG_DFL, 0);
}

static void no_core(void) {
    struct rlimit limit = {0, 0};
    setrlimit(RLIMIT_CORE, &limit);
}

TEST(returning_without_repair_faults_again) {
    pid_t pid = CHILD(no_core(); faults_left = 5; handle(SIGSEGV, retry, 0); LOAD(char, 16));
    CHECK_KILLED(pid, SIGSEGV);
}

TEST(a_blocked_or_ignored_fault_kills) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    pid_t pid = CHILD(no_core(); handle(SIGSEGV, leave, SA_SIGINFO);
                      sigprocmask(SIG_BLOCK, &set, NULL); LOAD(char, 16));
    CHECK_KILLED(pid, SIGSEGV);
    pid = CHILD(no_core(); handle(SIGSEGV, SIG_IGN, 0); LOAD(char, 16));
    CHECK_KILLED(pid, SIGSEGV);
}

static void fault_inside(int sig) {
    (void)sig;
    LOAD(char, 24);
}

TEST(a_fault_inside_the_handler_kills) {
    pid_t pid = CHILD(no_core(); handle(SIGSEGV, fault_inside, 0); LOAD(char, 16));
    CHECK_KILLED(pid, SIGSEGV);
}

static void fault_in_other_handler(int sig) {
    (void)sig;
    FAULTS(LOAD(char, 0x20), SIGSEGV, SEGV_MAPERR, 0x20);
    count += 100;
}

TEST(a_fault_inside_another_handler_is_caught) {
    catch_faults();
    handle(SIGUSR1, fault_in_other_handler, 0);
    raise(SIGUSR1);
    CHECK_EQ(count, 101);
}

static int __attribute__((noinline)) exhaust(volatile int n) {
    volatile char block[1024];
    block[n % 1024] = n;
    if (n < 0)
        return 0;
    return exhaust(n + 1) + block[n % 1024];
}

TEST(stack_overflow_is_caught_on_the_alternate_stack) {
    catch_faults();
    stack_t alternate = {.ss_sp = pages(16, PROT_READ | PROT_WRITE), .ss_size = 16 * 4096};
    sigaltstack(&alternate, NULL);
    handle(SIGSEGV, leave, SA_SIGINFO | SA_ONSTACK);
    for (volatile int i = 0; i < 3; i++) {
        if (sigsetjmp(env, 1) == 0)
            exhaust(0);
        char here;
        CHECK(seen.si_code == SEGV_MAPERR || seen.si_code == SEGV_ACCERR);
        CHECK((char *)seen.si_addr < &here && &here - (char *)seen.si_addr < 1 << 28);
    }
    CHECK_EQ(count, 3);
}

TEST(stack_overflow_without_one_kills) {
    pid_t pid = CHILD(no_core(); catch_faults(); exhaust(0));
    CHECK_KILLED(pid, SIGSEGV);
}

static void *fault_in_thread(void *arg) {
    static _Thread_local volatile int rounds;
    (void)arg;
    for (rounds = 0; rounds < 500; rounds++)
        ((volatile char *)arg)[rounds]++;
    return NULL;
}

static _Atomic long thread_faults;
static void skip_by_opening(int sig, siginfo_t *si, void *context) {
    (void)sig, (void)context;
    thread_faults++;
    mprotect((void *)((uintptr_t)si->si_addr & ~4095ul), 4096, PROT_READ | PROT_WRITE);
}

TEST(threads_fault_at_the_same_time) {
    enum { N = 8 };
    pthread_t t[N];
    handle(SIGSEGV, skip_by_opening, SA_SIGINFO);
    char *p = pages(N, PROT_NONE);
    for (int i = 0; i < N; i++)
        REQUIRE(pthread_create(&t[i], NULL, fault_in_thread, p + i * page) == 0);
    for (int i = 0; i < N; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(thread_faults, N);
}

static void *die_in_thread(void *arg) {
    LOAD(char, 0x30);
    return arg;
}

TEST(a_fault_in_a_thread_kills_the_process) {
    pid_t pid = CHILD(no_core(); pthread_t t; handle(SIGSEGV, SIG_DFL, 0);
                      pthread_create(&t, NULL, die_in_thread, NULL); sleep_ms(8000));
    CHECK_KILLED(pid, SIGSEGV);
}

TEST(a_sent_sigsegv_is_an_ordinary_signal) {
    handle(SIGSEGV, leave, SA_SIGINFO);
    if (sigsetjmp(env, 1) == 0)
        kill(getpid(), SIGSEGV);
    CHECK_EQ(seen.si_code, SI_USER);
    CHECK_EQ(seen.si_pid, getpid());
}

#ifdef __x86_64__
TEST(integer_division) {
    handle(SIGFPE, leave, SA_SIGINFO);
    volatile int zero = 0, one = 1;
    if (sigsetjmp(env, 1) == 0) {
        one /= zero;
        FAIL("no SIGFPE but %d", one);
    }
    CHECK_EQ(seen.si_code, FPE_INTDIV);
}
#else
TEST(integer_division) {
    // Arm ARM: division by zero gives zero, the most negative by -1 itself; never a trap.
    handle(SIGFPE, leave, SA_SIGINFO);
    volatile int64_t zero = 0, one = 1, minus = -1, least = INT64_MIN;
    volatile int32_t zero32 = 0, one32 = 1, minus32 = -1, least32 = INT32_MIN;
    int64_t r;
    int32_t r32;
    __asm__ volatile("sdiv %0, %1, %2" : "=r"(r) : "r"(one), "r"(zero));
    CHECK_EQ(r, 0);
    __asm__ volatile("udiv %0, %1, %2" : "=r"(r) : "r"(one), "r"(zero));
    CHECK_EQ(r, 0);
    __asm__ volatile("sdiv %0, %1, %2" : "=r"(r) : "r"(least), "r"(minus));
    CHECK_EQ(r, INT64_MIN);
    __asm__ volatile("sdiv %w0, %w1, %w2" : "=r"(r32) : "r"(one32), "r"(zero32));
    CHECK_EQ(r32, 0);
    __asm__ volatile("sdiv %w0, %w1, %w2" : "=r"(r32) : "r"(least32), "r"(minus32));
    CHECK_EQ(r32, INT32_MIN);
    CHECK_EQ(count, 0);
}
#endif
