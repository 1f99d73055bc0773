// SA_NODEFER, SA_RESETHAND, handler masks, nesting, alternate stacks, jumping out of handlers.
#include "check.h"
#include <pthread.h>
#include <setjmp.h>
#include <ucontext.h>

static volatile sig_atomic_t count, depth, deepest, order[16], entries;

static void set_mask(int how, int sig) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    sigprocmask(how, &set, NULL);
}

static bool is_blocked(int sig) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, sig);
}

static void recurse(int sig) {
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (++count < 5)
        raise(sig);
    depth--;
}

TEST(a_signal_is_blocked_in_its_own_handler) {
    handle(SIGUSR1, recurse, 0);
    raise(SIGUSR1);
    CHECK_EQ(count, 5); // each raise is taken when the handler before has returned
    CHECK_EQ(deepest, 1);
    CHECK(!is_blocked(SIGUSR1));
}

TEST(nodefer_nests) {
    handle(SIGUSR1, recurse, SA_NODEFER);
    raise(SIGUSR1);
    CHECK_EQ(count, 5);
    CHECK_EQ(deepest, 5);
}

static void note(int sig) {
    order[entries++] = sig;
    count++;
}

TEST(resethand_is_one_shot) {
    handle(SIGUSR1, note, SA_RESETHAND);
    raise(SIGUSR1);
    CHECK_EQ(count, 1);
    struct sigaction sa;
    sigaction(SIGUSR1, NULL, &sa);
    CHECK(sa.sa_handler == SIG_DFL);
    pid_t pid = CHILD(handle(SIGUSR1, note, SA_RESETHAND); raise(SIGUSR1); raise(SIGUSR1));
    CHECK_KILLED(pid, SIGUSR1);
}

static void check_masked(int sig) {
    CHECK(is_blocked(sig));
    CHECK(is_blocked(SIGUSR2));
    CHECK(is_blocked(SIGHUP)); // the interrupted mask stays in force too
    CHECK(!is_blocked(SIGTERM));
    raise(SIGUSR2);
    CHECK_EQ(count, 0);
    order[entries++] = -sig;
}

TEST(the_handler_mask_holds_inside) {
    struct sigaction sa = {.sa_handler = check_masked};
    sigaddset(&sa.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &sa, NULL);
    handle(SIGUSR2, note, 0);
    set_mask(SIG_BLOCK, SIGHUP);
    raise(SIGUSR1);
    CHECK_EQ(count, 1);
    CHECK(order[0] == -SIGUSR1 && order[1] == SIGUSR2);
    CHECK(!is_blocked(SIGUSR2) && is_blocked(SIGHUP));
}

static void unmask_inside(int sig) {
    (void)sig;
    set_mask(SIG_BLOCK, SIGHUP); // undone by the return
    set_mask(SIG_UNBLOCK, SIGTERM);
}

TEST(mask_changes_in_a_handler_end_with_it) {
    set_mask(SIG_BLOCK, SIGTERM);
    handle(SIGUSR1, unmask_inside, 0);
    raise(SIGUSR1);
    CHECK(!is_blocked(SIGHUP));
    CHECK(is_blocked(SIGTERM));
}

static void outer(int sig) {
    order[entries++] = sig;
    raise(SIGUSR2);
    order[entries++] = -sig;
}
static void inner(int sig) {
    order[entries++] = sig;
    raise(SIGALRM);
    order[entries++] = -sig;
}

TEST(three_handlers_nest_and_unwind) {
    handle(SIGUSR1, outer, 0);
    handle(SIGUSR2, inner, 0);
    handle(SIGALRM, note, 0);
    raise(SIGUSR1);
    static const int expected[] = {SIGUSR1, SIGUSR2, SIGALRM, -SIGUSR2, -SIGUSR1};
    for (int i = 0; i < 5; i++)
        CHECK_EQ(order[i], expected[i]);
}

TEST(errno_and_registers_survive_a_handler) {
    handle(SIGUSR1, note, 0);
    for (int i = 0; i < 10; i++) {
        entries = 0;
        volatile double d[8] = {1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5};
        double sum = 0;
        long a = i, b = i * 3, c = i * 5;
        for (int k = 0; k < 8; k++)
            sum += d[k] * (k + 1);
        kill(getpid(), SIGUSR1);
        CHECK_EQ(a + b + c, i * 9);
        CHECK(sum == 1.5 + 5 + 10.5 + 18 + 27.5 + 39 + 52.5 + 68);
    }
}

static stack_t alternate;
static volatile sig_atomic_t on_alternate, ss_flags_inside;
static void where(int sig) {
    char here;
    (void)sig;
    on_alternate =
        &here >= (char *)alternate.ss_sp && &here < (char *)alternate.ss_sp + alternate.ss_size;
    stack_t now;
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    ss_flags_inside = now.ss_flags;
    count++;
}

static void make_alternate(int flags) {
    alternate.ss_size = 65536;
    alternate.ss_sp =
        mmap(NULL, alternate.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    alternate.ss_flags = flags;
    CHECK_EQ(sigaltstack(&alternate, NULL), 0);
}

TEST(alternate_stack_is_used_when_asked) {
    stack_t old;
    CHECK_EQ(sigaltstack(NULL, &old), 0);
    CHECK_EQ(old.ss_flags, SS_DISABLE);
    make_alternate(0);
    handle(SIGUSR1, where, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK_EQ(on_alternate, 1);
    CHECK_EQ(ss_flags_inside, SS_ONSTACK);
    handle(SIGUSR1, where, 0);
    raise(SIGUSR1);
    CHECK_EQ(on_alternate, 0);
    CHECK_EQ(ss_flags_inside, 0);
    CHECK_EQ(sigaltstack(NULL, &old), 0);
    CHECK(old.ss_sp == alternate.ss_sp && old.ss_size == alternate.ss_size && old.ss_flags == 0);
    stack_t off = {.ss_flags = SS_DISABLE};
    CHECK_EQ(sigaltstack(&off, NULL), 0);
    handle(SIGUSR1, where, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK_EQ(on_alternate, 0);
    CHECK_EQ(count, 3);
}

static void change_inside(int sig) {
    (void)sig;
    stack_t other = alternate;
    CHECK_ERRNO(sigaltstack(&other, NULL), EPERM);
    other.ss_flags = SS_DISABLE;
    CHECK_ERRNO(sigaltstack(&other, NULL), EPERM);
    count++;
}

TEST(alternate_stack_errors) {
    make_alternate(0);
    handle(SIGUSR1, change_inside, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK_EQ(count, 1);
    stack_t s = alternate;
    s.ss_size = 100;
    CHECK_ERRNO(sigaltstack(&s, NULL), ENOMEM);
    s = alternate;
    s.ss_flags = 0x77;
    CHECK_ERRNO(sigaltstack(&s, NULL), EINVAL);
    CHECK_ERRNO(sigaltstack((stack_t *)8, NULL), EFAULT);
    CHECK_ERRNO(sigaltstack(NULL, (stack_t *)8), EFAULT);
    // SS_ONSTACK as a flag is accepted and means 0.
    s = alternate;
    s.ss_flags = SS_ONSTACK;
    CHECK_EQ(sigaltstack(&s, NULL), 0);
}

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static void autodisarmed(int sig) {
    (void)sig;
    stack_t now;
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK_EQ(now.ss_flags, SS_DISABLE);
    // It may be set anew from here: the reason for the flag.
    CHECK_EQ(sigaltstack(&alternate, NULL), 0);
    count++;
}

TEST(autodisarm) {
    QEMU_WRONG("no SS_AUTODISARM");
    make_alternate((int)SS_AUTODISARM);
    handle(SIGUSR1, autodisarmed, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK_EQ(count, 1);
    stack_t now;
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK_EQ(now.ss_flags, (int)SS_AUTODISARM);
    CHECK(now.ss_sp == alternate.ss_sp);
}

static void *thread_stack(void *arg) {
    (void)arg;
    stack_t now;
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK_EQ(now.ss_flags, SS_DISABLE); // not inherited by a thread
    return NULL;
}

TEST(alternate_stack_inheritance) {
    make_alternate(0);
    pthread_t t;
    REQUIRE(pthread_create(&t, NULL, thread_stack, NULL) == 0);
    pthread_join(t, NULL);
    stack_t now;
    pid_t pid = CHILD(CHECK_EQ(sigaltstack(NULL, &now), 0); CHECK(now.ss_sp == alternate.ss_sp));
    CHECK_EXITS(pid, 0);
}

static void nested_on_stack(int sig) {
    where(sig);
    CHECK_EQ(on_alternate, 1);
    if (sig == SIGUSR1)
        raise(SIGUSR2);
}

TEST(nested_handlers_share_the_alternate_stack) {
    make_alternate(0);
    handle(SIGUSR1, nested_on_stack, SA_ONSTACK);
    handle(SIGUSR2, nested_on_stack, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK_EQ(count, 2);
}

static sigjmp_buf env;
static void jump(int sig) {
    siglongjmp(env, sig);
}

TEST(siglongjmp_restores_the_mask) {
    handle(SIGUSR1, jump, 0);
    for (volatile int i = 0; i < 1000; i++) {
        int r = sigsetjmp(env, 1);
        if (r == 0) {
            raise(SIGUSR1);
            FAIL("the handler returned");
        }
        CHECK_EQ(r, SIGUSR1);
    }
    CHECK(!is_blocked(SIGUSR1));
    if (sigsetjmp(env, 0) == 0)
        raise(SIGUSR1);
    CHECK(is_blocked(SIGUSR1)); // not saved, so not restored
}

static void jump_deeper(int sig) {
    if (++depth < 20)
        raise(sig == SIGUSR1 ? SIGUSR2 : SIGUSR1);
    siglongjmp(env, depth);
}

TEST(siglongjmp_leaves_nested_handlers) {
    handle(SIGUSR1, jump_deeper, SA_NODEFER);
    handle(SIGUSR2, jump_deeper, SA_NODEFER);
    for (volatile int i = 0; i < 200; i++) {
        depth = 0;
        if (sigsetjmp(env, 1) == 0)
            raise(SIGUSR1);
        CHECK_EQ(depth, 20);
    }
}

TEST(siglongjmp_from_the_alternate_stack_frees_it) {
    make_alternate(0);
    handle(SIGUSR1, jump, SA_ONSTACK);
    for (volatile int i = 0; i < 100; i++)
        if (sigsetjmp(env, 1) == 0)
            raise(SIGUSR1);
    stack_t now;
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK_EQ(now.ss_flags, 0);
    handle(SIGUSR1, where, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK_EQ(on_alternate, 1);
}

static ucontext_t main_context, other_context;
static volatile int steps;
static void coroutine(void) {
    for (int i = 0; i < 100; i++) {
        steps++;
        swapcontext(&other_context, &main_context);
    }
}

TEST(coroutines_switch_stacks) {
    static char stack[65536];
    getcontext(&other_context);
    other_context.uc_stack.ss_sp = stack;
    other_context.uc_stack.ss_size = sizeof stack;
    other_context.uc_link = &main_context;
    makecontext(&other_context, coroutine, 0);
    handle(SIGUSR1, note, 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(swapcontext(&main_context, &other_context), 0);
        CHECK_EQ(steps, i + 1);
        entries = 0;
        raise(SIGUSR1);
    }
}

static volatile pid_t forked;
static void fork_inside(int sig) {
    (void)sig;
    forked = fork();
    count++;
}

TEST(a_fork_inside_a_handler_returns_twice) {
    handle(SIGUSR1, fork_inside, 0);
    for (int i = 0; i < 50; i++) {
        int local = i * 3;
        raise(SIGUSR1);
        if (forked == 0) // the child goes on behind the raise as well, unblocked
            _exit(local == i * 3 && !is_blocked(SIGUSR1) ? 20 + i % 10 : 1);
        CHECK_EXITS(forked, 20 + i % 10);
    }
    CHECK_EQ(count, 50);
}

static int __attribute__((noinline)) exhaust(volatile int n) {
    volatile char block[1024];
    block[n % 1024] = n;
    if (n < 0)
        return 0;
    return exhaust(n + 1) + block[n % 1024];
}
static _Thread_local sigjmp_buf thread_env;
static void leave_thread(int sig) {
    siglongjmp(thread_env, sig);
}

static void *overflow_in_thread(void *arg) {
    stack_t s = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&s, NULL);
    for (volatile int i = 0; i < 5; i++) {
        int r = sigsetjmp(thread_env, 1);
        if (r == 0)
            exhaust(0);
        CHECK_EQ(r, SIGSEGV);
    }
    return arg;
}

TEST(stack_overflow_in_threads) {
    pthread_t t[4];
    handle(SIGSEGV, leave_thread, SA_ONSTACK);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, overflow_in_thread, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
}
