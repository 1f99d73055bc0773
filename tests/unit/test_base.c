/*
 * test_base.c - formatting against libc's snprintf, memory and string functions against libc's,
 * locks under contention.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/errtext.h"

void *own_memcpy(void *dst, const void *src, size_t n);
void *own_memmove(void *dst, const void *src, size_t n);
void *own_memset(void *dst, int c, size_t n);
int own_memcmp(const void *a, const void *b, size_t n);
void *own_memchr(const void *s, int c, size_t n);
size_t own_strlen(const char *s);
size_t own_strnlen(const char *s, size_t max);
int own_strcmp(const char *a, const char *b);
int own_strncmp(const char *a, const char *b, size_t n);
char *own_strchr(const char *s, int c);
char *own_strrchr(const char *s, int c);

static int sign(int n) {
    return (n > 0) - (n < 0);
}

/* ---- formatting ---- */

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

#define SAME(...)                                         \
    do {                                                  \
        char ours[300], libc[300];                        \
        memset(ours, 'x', sizeof ours);                   \
        int n = fmt(ours, sizeof ours, __VA_ARGS__);      \
        int m = snprintf(libc, sizeof libc, __VA_ARGS__); \
        assert_string_equal(ours, libc);                  \
        assert_int_equal(n, m);                           \
    } while (0)

static void integers_are_formatted_as_snprintf_does(void **state) {
    (void)state;
    static const char *const flags[] = {"", "-", "0", "+", " ", "-0", "+0", "- "};
    static const char *const widths[] = {"", "1", "5", "20"};
    static const char *const precisions[] = {"", ".", ".0", ".3", ".12"};
    static const int64_t values[] = {0,         1,         -1,        7,         42, -42,
                                     INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 255};
    char format[40];
    for (unsigned f = 0; f < ARRAY_SIZE(flags); f++)
        for (unsigned w = 0; w < ARRAY_SIZE(widths); w++)
            for (unsigned p = 0; p < ARRAY_SIZE(precisions); p++)
                for (unsigned v = 0; v < ARRAY_SIZE(values); v++) {
                    snprintf(format, sizeof format, "<%%%s%s%sd>", flags[f], widths[w],
                             precisions[p]);
                    SAME(format, (int)values[v]);
                    snprintf(format, sizeof format, "<%%%s%s%sld>", flags[f], widths[w],
                             precisions[p]);
                    SAME(format, (long)values[v]);
                    for (const char *c = "uxXo"; *c; c++) {
                        if (strpbrk(flags[f], "+ "))
                            continue;
                        snprintf(format, sizeof format, "<%%%s%s%s%c>", flags[f], widths[w],
                                 precisions[p], *c);
                        SAME(format, (unsigned)values[v]);
                        snprintf(format, sizeof format, "<%%#%s%s%sl%c>", flags[f], widths[w],
                                 precisions[p], *c);
                        if (*c != 'u')
                            SAME(format, (unsigned long)values[v]);
                    }
                }
}

static void strings_and_the_rest_are_formatted_as_snprintf_does(void **state) {
    (void)state;
    SAME("%s|%10s|%-10s|%.2s|%.*s|%*s|%-*s|", "abc", "abc", "abc", "abc", 1, "abc", 6, "abc", 6,
         "abc");
    SAME("%*s|", -6, "abc");
    SAME("%.*s|", -1, "abc");
    SAME("%c%5c%-5c%%", 'a', 'b', 'c');
    SAME("%p %lld %llx %zu %jd", (void *)0x1234, -5ll, 0x5ull, (size_t)9, (intmax_t)-3);
}

static void an_unended_string_is_read_only_to_its_precision(void **state) {
    (void)state;
    char four[4] = {'a', 'b', 'c', 'd'}, out[16];
    assert_int_equal(fmt(out, sizeof out, "%.*s", 4, four), 4);
    assert_string_equal(out, "abcd");
}

static void output_is_cut_to_the_buffer_and_ended(void **state) {
    (void)state;
    char out[8];
    memset(out, 'x', sizeof out);
    assert_int_equal(fmt(out, 4, "%s", "abcdef"), 6);
    assert_memory_equal(out, "abc\0xxxx", 8);
    assert_int_equal(fmt(out, 0, "%d", 12345), 5);
    assert_memory_equal(out, "abc\0xxxx", 8);
}

static void an_unknown_conversion_stays_visible(void **state) {
    (void)state;
    char out[32];
    const char *format = "a%yb%";
    fmt(out, sizeof out, format);
    assert_string_equal(out, "a%yb%");
}

static void a_message_is_one_line_however_long(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    char *text = malloc(10000);
    memset(text, 'm', 9999);
    text[9999] = 0;
    fmt_fd(ends[1], "%s", text);
    char got[8192];
    ssize_t n = read(ends[0], got, sizeof got);
    assert_true(n > 4000 && n <= 4096);
    free(text);
    close(ends[0]);
    close(ends[1]);
}

static void errors_have_words(void **state) {
    (void)state;
    assert_string_equal(error_text(-2), "No such file or directory");
    assert_string_equal(error_text(13), "Permission denied");
    assert_string_equal(error_text(-4000), "error 4000");
}

/* ---- memory and strings ---- */

static void memory_functions_agree_with_libc(void **state) {
    (void)state;
    enum { SIZE = 80 };
    uint8_t a[SIZE], b[SIZE], c[SIZE];
    srandom(1);
    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)random() % (SIZE / 2), from = (size_t)random() % (SIZE / 2),
               to = (size_t)random() % (SIZE / 2);
        for (int i = 0; i < SIZE; i++)
            a[i] = b[i] = c[i] = (uint8_t)(random() % 4);
        assert_ptr_equal(own_memmove(a + to, a + from, n), a + to);
        memmove(b + to, b + from, n);
        assert_memory_equal(a, b, SIZE);
        assert_int_equal(sign(own_memcmp(a + to, c + from, n)), sign(memcmp(a + to, c + from, n)));
        assert_ptr_equal(own_memchr(a + from, 3, n), memchr(a + from, 3, n));
        own_memset(a + to, round, n);
        memset(b + to, round, n);
        assert_memory_equal(a, b, SIZE);
        own_memcpy(a, c, n);
        memcpy(b, c, n);
        assert_memory_equal(a, b, SIZE);
    }
}

static void string_functions_agree_with_libc(void **state) {
    (void)state;
    char a[24], b[24];
    srandom(2);
    for (int round = 0; round < 20000; round++) {
        for (unsigned i = 0; i < sizeof a; i++) {
            a[i] = "ab\xff"[random() % 3];
            b[i] = random() % 8 ? a[i] : "ab\xff"[random() % 3];
        }
        a[random() % sizeof a] = b[random() % sizeof b] = a[sizeof a - 1] = b[sizeof b - 1] = 0;
        size_t n = (size_t)random() % sizeof a;
        assert_int_equal(own_strlen(a), strlen(a));
        assert_int_equal(own_strnlen(a, n), strnlen(a, n));
        assert_int_equal(sign(own_strcmp(a, b)), sign(strcmp(a, b)));
        assert_int_equal(sign(own_strncmp(a, b, n)), sign(strncmp(a, b, n)));
        assert_ptr_equal(own_strchr(a, 'b'), strchr(a, 'b'));
        assert_ptr_equal(own_strchr(a, 0), strchr(a, 0));
        assert_ptr_equal(own_strrchr(a, 'b'), strrchr(a, 'b'));
        assert_ptr_equal(own_strrchr(a, 0), strrchr(a, 0));
    }
}

static void str_copy_tells_when_it_cuts(void **state) {
    (void)state;
    char out[4] = "zzz";
    assert_int_equal(str_copy(out, "ab", sizeof out), 2);
    assert_string_equal(out, "ab");
    assert_int_equal(str_copy(out, "abcd", sizeof out), 4);
    assert_string_equal(out, "abc");
    assert_int_equal(str_copy(out, "x", 0), 1);
    assert_string_equal(out, "abc");
    assert_true(str_starts("abc", "ab") && str_starts("abc", "") && !str_starts("ab", "abc"));
}

static void bit_fields_are_extracted(void **state) {
    (void)state;
    assert_int_equal(bits(0xdeadbeef, 0, 32), 0xdeadbeef);
    assert_int_equal(bits(0xdeadbeef, 28, 4), 0xd);
    assert_true(sbits(0xdeadbeef, 28, 4) == -3);
    assert_true(sbits(0x00100000, 0, 21) == -0x100000);
}

/* ---- locks ---- */

enum { THREADS = 4, ROUNDS = 50000 };
static struct lock lock;
static volatile long counter;

static void *add_under_lock(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        lock_acquire(&lock);
        counter = counter + 1;
        lock_release(&lock);
    }
    return arg;
}

static void a_lock_excludes_and_never_loses_a_waiter(void **state) {
    (void)state;
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, add_under_lock, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_int_equal(lock.word, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_formatted_as_snprintf_does),
        cmocka_unit_test(strings_and_the_rest_are_formatted_as_snprintf_does),
        cmocka_unit_test(an_unended_string_is_read_only_to_its_precision),
        cmocka_unit_test(output_is_cut_to_the_buffer_and_ended),
        cmocka_unit_test(an_unknown_conversion_stays_visible),
        cmocka_unit_test(a_message_is_one_line_however_long),
        cmocka_unit_test(errors_have_words),
        cmocka_unit_test(memory_functions_agree_with_libc),
        cmocka_unit_test(string_functions_agree_with_libc),
        cmocka_unit_test(str_copy_tells_when_it_cuts),
        cmocka_unit_test(bit_fields_are_extracted),
        cmocka_unit_test(a_lock_excludes_and_never_loses_a_waiter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
