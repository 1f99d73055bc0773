/* A state machine that cuts text into tokens and a recursive-descent parser that evaluates them. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum state { START, NUMBER, NAME, COMMENT };
enum kind { END, INTEGER, VARIABLE, SYMBOL };

struct token {
    enum kind kind;
    uint32_t value;
};

static struct token tokens[65536];
static int position;

static int scan(const char *text) {
    enum state state = START;
    uint32_t value = 0;
    int count = 0;
    for (;; text++) {
        char c = *text;
        switch (state) {
        case NUMBER:
            if (c >= '0' && c <= '9') {
                value = value * 10 + (uint32_t)(c - '0');
                continue;
            }
            tokens[count++] = (struct token){INTEGER, value};
            break;
        case NAME:
            if ((c >= 'a' && c <= 'z') || c == '_') {
                value = value * 33 + (uint32_t)c;
                continue;
            }
            tokens[count++] = (struct token){VARIABLE, value};
            break;
        case COMMENT:
            if (c && c != '\n')
                continue;
            break;
        case START:
            break;
        }
        state = START;
        if (!c)
            break;
        if (c >= '0' && c <= '9') {
            state = NUMBER;
            value = (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'z') {
            state = NAME;
            value = (uint32_t)c;
        } else if (c == '#') {
            state = COMMENT;
        } else if (c != ' ' && c != '\n') {
            tokens[count++] = (struct token){SYMBOL, (uint32_t)c};
        }
    }
    tokens[count] = (struct token){END, 0};
    return count;
}

static int accept(char symbol) {
    if (tokens[position].kind != SYMBOL || tokens[position].value != (uint32_t)symbol)
        return 0;
    position++;
    return 1;
}

static uint32_t sum(void);

static uint32_t atom(void) {
    if (accept('(')) {
        uint32_t value = sum();
        if (!accept(')'))
            abort();
        return value;
    }
    if (accept('-'))
        return 0 - atom();
    return tokens[position++].value;
}

static uint32_t product(void) {
    uint32_t value = atom();
    for (;;) {
        if (accept('*'))
            value *= atom();
        else if (accept('/'))
            value /= atom() | 1;
        else
            return value;
    }
}

static uint32_t sum(void) {
    uint32_t value = product();
    for (;;) {
        if (accept('+'))
            value += product();
        else if (accept('-'))
            value -= product();
        else
            return value;
    }
}

static uint32_t seed = 2024;

static uint32_t draw(uint32_t below) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 16) % below;
}

static char *generate(char *out, int depth) {
    uint32_t choice = depth ? draw(8) : draw(3);
    if (choice < 2) {
        for (uint32_t digits = 1 + draw(6); digits; digits--)
            *out++ = (char)('1' + draw(9));
    } else if (choice == 2) {
        for (uint32_t letters = 1 + draw(8); letters; letters--)
            *out++ = (char)('a' + draw(26));
    } else if (choice == 3) {
        *out++ = '(';
        out = generate(out, depth - 1);
        *out++ = ')';
    } else {
        out = generate(out, depth - 1);
        *out++ = ' ';
        *out++ = "+-*/"[draw(4)];
        *out++ = draw(9) ? ' ' : '\n';
        out = generate(out, depth - 1);
    }
    return out;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 2800;
    static char text[1 << 20];
    uint64_t total = 0;
    char *end = text;
    while (end - text < 60000) {
        end = generate(end, 12);
        *end++ = '+';
        *end++ = '\n';
        for (const char *comment = "# the next expression\n"; *comment;)
            *end++ = *comment++;
    }
    *end++ = '1';
    *end = 0;
    for (int round = 0; round < rounds; round++) {
        text[end - text - 1] = (char)('1' + round % 9);
        total += (uint64_t)scan(text);
        position = 0;
        total = total * 31 + sum();
        if (tokens[position].kind != END)
            return 1;
    }
    printf("parser %016llx\n", (unsigned long long)total);
    return 0;
}
