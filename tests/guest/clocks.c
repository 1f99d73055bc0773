// Clocks: every id, resolution, sleeping, setting, CPU time.
#include "check.h"
#include <pthread.h>
#include <sys/time.h>
#include <sys/timex.h>

static int64_t ns(struct timespec t) {
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

TEST(every_clock_reads_and_advances) {
    static const clockid_t clocks[] = {
        CLOCK_REALTIME,         CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
        CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME,  CLOCK_TAI,           CLOCK_PROCESS_CPUTIME_ID,
        CLOCK_THREAD_CPUTIME_ID};
    for (size_t i = 0; i < ARRAY_LEN(clocks); i++) {
        struct timespec a, b, res;
        CHECK_EQ(clock_gettime(clocks[i], &a), 0);
        CHECK(a.tv_nsec >= 0 && a.tv_nsec < 1000000000);
        for (volatile int k = 0; k < 10000; k++)
            ;
        CHECK_EQ(clock_gettime(clocks[i], &b), 0);
        CHECK(ns(b) >= ns(a));
        CHECK_EQ(clock_getres(clocks[i], &res), 0);
        CHECK(res.tv_sec == 0 && res.tv_nsec >= 1 && res.tv_nsec <= 10000000);
        CHECK_EQ(syscall(SYS_clock_gettime, clocks[i], &a), 0);
        CHECK(ns(a) >= ns(b));
    }
    struct timespec t;
    CHECK_ERRNO(clock_gettime(99, &t), EINVAL);
    CHECK_ERRNO(clock_getres(99, &t), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_gettime, 99, &t), EINVAL);
}

TEST(wall_clocks_agree) {
    struct timespec t;
    struct timeval tv;
    clock_gettime(CLOCK_REALTIME, &t);
    gettimeofday(&tv, NULL);
    CHECK(labs(tv.tv_sec - t.tv_sec) <= 1 && tv.tv_usec < 1000000);
    CHECK(labs(time(NULL) - t.tv_sec) <= 1);
    CHECK(t.tv_sec > 1600000000);
    struct timespec mono, boot, raw, coarse;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    clock_gettime(CLOCK_MONOTONIC_RAW, &raw);
    clock_gettime(CLOCK_MONOTONIC_COARSE, &coarse);
    CHECK(ns(boot) >= ns(mono));
    CHECK(llabs(ns(mono) - ns(coarse)) < 100000000);
}

TEST(cpu_clocks_count_work_not_sleep) {
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    sleep_ms(50);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    CHECK(ns(b) - ns(a) < 40000000);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    int64_t start = now_ns();
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    while (ns(b) - ns(a) < 20000000 && now_ns() - start < 5000000000);
    CHECK(ns(b) - ns(a) >= 20000000);
    clockid_t of_thread, of_process;
    CHECK_EQ(pthread_getcpuclockid(pthread_self(), &of_thread), 0);
    CHECK_EQ(clock_gettime(of_thread, &b), 0);
    CHECK(ns(b) >= 20000000);
    CHECK_EQ(clock_getcpuclockid(getpid(), &of_process), 0);
    CHECK_EQ(clock_gettime(of_process, &b), 0);
    CHECK(ns(b) >= 20000000);
}

TEST(sleeping) {
    struct timespec ts = {0, 20000000}, t;
    int64_t start = now_ns();
    CHECK_EQ(nanosleep(&ts, NULL), 0);
    CHECK(now_ns() - start >= 20000000);
    start = now_ns();
    CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, 0, &ts, NULL), 0);
    CHECK(now_ns() - start >= 19000000);
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += 20000000;
    if (t.tv_nsec >= 1000000000)
        t.tv_sec++, t.tv_nsec -= 1000000000;
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL), 0);
    CHECK(now_ns() >= ns(t));
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL), 0); // past: at once
    ts.tv_nsec = 1000000000;
    CHECK_ERRNO(nanosleep(&ts, NULL), EINVAL);
    ts = (struct timespec){-1, 0};
    CHECK_ERRNO(nanosleep(&ts, NULL), EINVAL);
    CHECK_EQ(clock_nanosleep(99, 0, &t, NULL), EINVAL);
    CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EINVAL);
    ts = (struct timespec){0, 0};
    CHECK_EQ(nanosleep(&ts, NULL), 0);
}

TEST(setting_needs_privilege) {
    struct timespec t = {0, 0};
    CHECK_ERRNO(clock_settime(CLOCK_MONOTONIC, &t), EINVAL);
    t.tv_nsec = -1;
    CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &t), EINVAL);
    pid_t pid = CHILD({
        if (geteuid() == 0 && setresuid(1234, 1234, 1234))
            _exit(1);
        clock_gettime(CLOCK_REALTIME, &t);
        CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &t), EPERM);
        struct timeval tv = {t.tv_sec, 0};
        CHECK_ERRNO(settimeofday(&tv, NULL), EPERM);
    });
    CHECK_EXITS(pid, 0);
    struct timex x = {.modes = 0};
    CHECK(adjtimex(&x) >= 0);
    CHECK(x.tick > 0 && x.time.tv_sec > 1600000000);
}
