/* Byte loops: length, compare, copy, search, case folding and splitting, all written out here. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static size_t length(const char *s) {
    const char *end = s;
    while (*end)
        end++;
    return (size_t)(end - s);
}

static int compare(const char *a, const char *b) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

static char *copy(char *to, const char *from) {
    while ((*to = *from++))
        to++;
    return to;
}

static const char *search(const char *text, const char *word) {
    for (; *text; text++) {
        const char *t = text, *w = word;
        while (*w && *t == *w) {
            t++;
            w++;
        }
        if (!*w)
            return text;
    }
    return NULL;
}

static void upper(char *s) {
    for (; *s; s++)
        if (*s >= 'a' && *s <= 'z')
            *s = (char)(*s - 'a' + 'A');
}

static uint32_t hash(const char *s) {
    uint32_t h = 2166136261u;
    while (*s)
        h = (h ^ (unsigned char)*s++) * 16777619u;
    return h;
}

/* Cuts text at blanks into words; returns their number. */
static int split(char *text, char **words, int most) {
    int count = 0;
    while (*text && count < most) {
        while (*text == ' ')
            text++;
        if (!*text)
            break;
        words[count++] = text;
        while (*text && *text != ' ')
            text++;
        if (*text)
            *text++ = 0;
    }
    return count;
}

int main(int argc, char **argv) {
    static const char *const parts[] = {
        "the",     "quick",   "brown",   "fox",      "jumps", "over", "lazy",    "dogs",
        "theatre", "quicker", "browner", "foxglove", "a",     "an",   "overall", "x"};
    int rounds = argc > 1 ? atoi(argv[1]) : 56000;
    static char text[16384], other[16384];
    char *words[1024];
    uint64_t sum = 0;
    uint32_t state = 99;
    for (int round = 0; round < rounds; round++) {
        char *end = text;
        for (int i = 0; i < 300; i++) {
            state = state * 1664525 + 1013904223;
            end = copy(end, parts[state >> 28]);
            *end++ = ' ';
        }
        *end = 0;
        copy(other, text);
        sum += length(other);
        for (const char *at = text; (at = search(at, "overall fox")); at++)
            sum += (uint64_t)(at - text);
        upper(other);
        int count = split(other, words, 1024);
        int best = 0;
        for (int i = 1; i < count; i++) {
            int order = compare(words[i - 1], words[i]);
            sum += order < 0 ? 1 : order > 0 ? 3 : 7;
            if (compare(words[i], words[best]) > 0)
                best = i;
        }
        sum = sum * 31 + hash(words[best]) + (uint64_t)count;
    }
    printf("strings %016llx\n", (unsigned long long)sum);
    return 0;
}
