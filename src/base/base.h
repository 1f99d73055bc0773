/*
 * base.h - what every other folder may use.
 *
 * The runtime is freestanding: no libc, no thread-local storage of a libc, no hidden locks, so
 * every function here is async-signal-safe and safe after fork from a multithreaded process. It is
 * compiled with -mgeneral-regs-only: C code never touches vector registers, which therefore hold
 * the guest's V registers across any call into the runtime.
 *
 * The same files also compile against a hosted libc (-DELFUSE_HOSTED) for unit tests and fuzzers.
 */
#ifndef ELFUSE_BASE_H
#define ELFUSE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, n)    (((x) + ((n)-1)) & ~(uint64_t)((n)-1))
#define ALIGN_DOWN(x, n)  ((x) & ~(uint64_t)((n)-1))
#define MIN(a, b)         ((a) < (b) ? (a) : (b))
#define MAX(a, b)         ((a) > (b) ? (a) : (b))
#define LIKELY(x)         __builtin_expect(!!(x), 1)
#define UNLIKELY(x)       __builtin_expect(!!(x), 0)
#define NORETURN          __attribute__((noreturn))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

#define PAGE_BYTES 4096u

/* A guest virtual address. It equals the host address of the same byte. */
typedef uint64_t guest_addr;

/* Bits [lo, lo+width) of word. */
static inline uint32_t bits(uint32_t word, unsigned lo, unsigned width) {
    return (word >> lo) & (width == 32 ? 0xffffffffu : (1u << width) - 1);
}

/* Bits [lo, lo+width) of word, sign-extended. */
static inline int64_t sbits(uint32_t word, unsigned lo, unsigned width) {
    return (int64_t)((uint64_t)bits(word, lo, width) << (64 - width)) >> (64 - width);
}

/* ---- strings and memory (C standard meaning) ---- */
#ifdef ELFUSE_HOSTED
#include <string.h>
#else
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
#endif
bool str_starts(const char *s, const char *prefix);
/* Copies at most size-1 bytes of src and ends with NUL. Returns strlen(src); >= size means cut. */
size_t str_copy(char *dst, const char *src, size_t size);

/* ---- formatting: %d %i %u %x %X %o %c %s %p %% with l, ll, z, j, #, 0, -, +, width, .precision, *
 * ---- */
/* As snprintf: returns the length wanted, writes at most size bytes with NUL. */
int fmt_v(char *dst, size_t size, const char *format, va_list ap);
int fmt(char *dst, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
/* Formats one message (4 KiB at most) and writes it to fd with a single write. */
void fmt_fd(int fd, const char *format, ...) PRINTF_LIKE(2, 3);
/* Prints "elfuse: MESSAGE\n" to stderr. */
void warn(const char *format, ...) PRINTF_LIKE(1, 2);
/* warn, then exit_group(code). Conventional codes: 125 elfuse's own, 126 not executable, 127 not
 * found. */
NORETURN void die(int code, const char *format, ...) PRINTF_LIKE(2, 3);

/* assert for the debug build: reports file, line and expression, then aborts the process. */
#ifdef ELFUSE_DEBUG
NORETURN void assert_failed(const char *file, int line, const char *expr);
#define ASSERT(e) ((e) ? (void)0 : assert_failed(__FILE__, __LINE__, #e))
#else
#define ASSERT(e) ((void)0)
#endif

/* ---- locks ---- */
/* A futex mutex (lock.c). Zero-initialised. Not recursive. */
struct lock {
    uint32_t word;
    void (*recover)(void); /* called with the lock held when its owner was killed, or NULL */
};
void lock_acquire(struct lock *l);
void lock_release(struct lock *l);
/* The id under which a task (what its FS base points at) holds locks. */
uint32_t lock_id(const void *task);
/* Releases the lock if the task of this id, which is gone, holds it. */
void lock_release_of(struct lock *l, uint32_t id);
/* Set once FS is: is the task of this id gone? */
extern bool (*lock_owner_gone)(uint32_t id);
/* Makes the lock free, whoever held it: for the only thread of a forked child. */
static inline void lock_reset(struct lock *l) {
    l->word = 0;
}

#endif
