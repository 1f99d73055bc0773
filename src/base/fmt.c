/*
 * fmt.c - a printf subset into a buffer, and messages to stderr.
 *
 * Supports what base.h lists and nothing else; an unknown conversion is copied as it stands, so
 * that a mistake shows in the output instead of consuming the wrong argument silently. No locale,
 * no floating point (the runtime has no vector registers to pass it in). A message goes out in one
 * write, so lines of several processes do not mix.
 */
#include "base/base.h"
#include "base/hostcall.h"

struct out {
    char *dst;
    size_t size, len;
};

struct spec {
    bool left, zero, alt, plus, space;
    int width, precision; /* precision -1: none */
};

static void put(struct out *o, char c) {
    if (o->len + 1 < o->size)
        o->dst[o->len] = c;
    o->len++;
}

static void pad(struct out *o, char c, int n) {
    while (n-- > 0)
        put(o, c);
}

static void put_padded(struct out *o, const struct spec *s, const char *text, int len) {
    if (!s->left)
        pad(o, ' ', s->width - len);
    for (int i = 0; i < len; i++)
        put(o, text[i]);
    if (s->left)
        pad(o, ' ', s->width - len);
}

/* prefix: sign or 0x. Zero padding goes between prefix and digits; a precision switches it off
 * (C11 7.21.6.1). */
static void put_number(struct out *o, const struct spec *s, const char *prefix, uint64_t value,
                       unsigned base, bool upper) {
    const char *digit = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char buf[24];
    int n = 0;
    for (uint64_t v = value; v; v /= base)
        buf[n++] = digit[v % base];
    int min = s->precision < 0 ? 1 : s->precision;
    if (base == 8 && s->alt && min <= n)
        min = n + 1;
    int zeros = MAX(min - n, 0);
    int prefix_len = (int)strlen(prefix);
    int body = prefix_len + zeros + n;
    if (s->zero && !s->left && s->precision < 0 && s->width > body) {
        zeros += s->width - body;
        body = s->width;
    }
    if (!s->left)
        pad(o, ' ', s->width - body);
    for (int i = 0; i < prefix_len; i++)
        put(o, prefix[i]);
    pad(o, '0', zeros);
    while (n)
        put(o, buf[--n]);
    if (s->left)
        pad(o, ' ', s->width - body);
}

/* A width or precision: digits, or * for an argument. */
static const char *parse_count(const char *f, int *count, int star) {
    if (*f == '*') {
        *count = star;
        return f + 1;
    }
    int n = 0;
    for (; *f >= '0' && *f <= '9'; f++)
        n = MIN(n * 10 + (*f - '0'), 1 << 20);
    *count = n;
    return f;
}

static const char *parse_flags(const char *f, struct spec *s) {
    for (;; f++) {
        if (*f == '-')
            s->left = true;
        else if (*f == '0')
            s->zero = true;
        else if (*f == '#')
            s->alt = true;
        else if (*f == '+')
            s->plus = true;
        else if (*f == ' ')
            s->space = true;
        else
            return f;
    }
}

int fmt_v(char *dst, size_t size, const char *format, va_list ap) {
    struct out o = {dst, size, 0};
    va_list args;
    va_copy(args, ap);
    for (const char *f = format; *f;) {
        if (*f != '%') {
            put(&o, *f++);
            continue;
        }
        const char *start = f++;
        struct spec s = {.precision = -1};
        f = parse_flags(f, &s);
        f = parse_count(f, &s.width, *f == '*' ? va_arg(args, int) : 0);
        if (s.width < 0) {
            s.left = true;
            s.width = -s.width;
        }
        if (*f == '.') {
            f++;
            f = parse_count(f, &s.precision, *f == '*' ? va_arg(args, int) : 0);
            if (s.precision < 0)
                s.precision = -1;
        }
        bool wide = false;
        while (*f == 'l' || *f == 'z' || *f == 'j') {
            wide = true;
            f++;
        }
        switch (*f) {
        case 'd':
        case 'i': {
            int64_t v = wide ? va_arg(args, int64_t) : va_arg(args, int);
            const char *sign = v < 0 ? "-" : s.plus ? "+" : s.space ? " " : "";
            put_number(&o, &s, sign, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, false);
            break;
        }
        case 'u':
        case 'o':
        case 'x':
        case 'X': {
            uint64_t v = wide ? va_arg(args, uint64_t) : va_arg(args, unsigned);
            bool hex = *f == 'x' || *f == 'X';
            const char *prefix = hex && s.alt && v ? (*f == 'X' ? "0X" : "0x") : "";
            put_number(&o, &s, prefix, v, hex ? 16 : *f == 'o' ? 8 : 10, *f == 'X');
            break;
        }
        case 'p':
            put_number(&o, &s, "0x", (uint64_t)va_arg(args, void *), 16, false);
            break;
        case 'c': {
            char c = (char)va_arg(args, int);
            put_padded(&o, &s, &c, 1);
            break;
        }
        case 's': {
            const char *text = va_arg(args, const char *);
            if (!text)
                text = "(null)";
            size_t max = s.precision < 0 ? SIZE_MAX >> 1 : (size_t)s.precision;
            put_padded(&o, &s, text, (int)strnlen(text, max));
            break;
        }
        case '%':
            put(&o, '%');
            break;
        default:
            while (start < f)
                put(&o, *start++);
            continue; /* the character itself is ordinary text, or the end */
        }
        f++;
    }
    va_end(args);
    if (size)
        dst[MIN(o.len, size - 1)] = 0;
    return (int)o.len;
}

int fmt(char *dst, size_t size, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    int n = fmt_v(dst, size, format, ap);
    va_end(ap);
    return n;
}

/* One write, but a short one (a pipe that is nearly full) is continued. */
static void write_all(int fd, const char *data, size_t len) {
    while (len) {
        int64_t n = hostcall(__NR_write, fd, data, len);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

static void message(int fd, const char *prefix, const char *format, va_list ap,
                    const char *suffix) {
    char buf[4096];
    size_t len = str_copy(buf, prefix, sizeof buf);
    size_t room = sizeof buf - len - strlen(suffix);
    size_t body = (size_t)fmt_v(buf + len, room, format, ap);
    len += MIN(body, room - 1);
    len += str_copy(buf + len, suffix, sizeof buf - len);
    write_all(fd, buf, len);
}

void fmt_fd(int fd, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    message(fd, "", format, ap, "");
    va_end(ap);
}

void warn(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    message(2, "elfuse: ", format, ap, "\n");
    va_end(ap);
}

void die(int code, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    message(2, "elfuse: ", format, ap, "\n");
    va_end(ap);
    for (;;)
        hostcall(__NR_exit_group, code);
}
