/*
 * Calls that stay calls: Fibonacci kept from inlining itself (fib.c shows what gcc makes of it
 * otherwise), Ackermann, Takeuchi, and calls through a table of functions.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define OUT_OF_LINE __attribute__((noinline))

static OUT_OF_LINE uint64_t fib(uint64_t n) {
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static OUT_OF_LINE uint32_t ackermann(uint32_t m, uint32_t n) {
    if (!m)
        return n + 1;
    return ackermann(m - 1, n ? ackermann(m, n - 1) : 1);
}

static OUT_OF_LINE int tak(int x, int y, int z) {
    return y < x ? tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y)) : z;
}

typedef uint32_t function(uint32_t, uint32_t, uint32_t, uint32_t);

static OUT_OF_LINE uint32_t mix(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return (a ^ b) + (c ^ d);
}

static OUT_OF_LINE uint32_t turn(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return (a << 7 | a >> 25) + b * c - d;
}

static OUT_OF_LINE uint32_t both(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return mix(turn(a, b, c, d), b, turn(d, c, b, a), c);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 22;
    static function *const table[] = {mix, turn, both, turn};
    uint64_t sum = 0;
    for (int round = 0; round < rounds; round++) {
        sum += fib((uint64_t)(33 + (round & 1)));
        sum += ackermann(2, 2000 + (uint32_t)round);
        sum += (uint64_t)tak(18, 12, 6);
        uint32_t value = (uint32_t)round;
        for (uint32_t i = 0; i < 5000000; i++)
            value = table[i & 3](value, i, (uint32_t)sum, value >> 3);
        sum += value;
    }
    printf("calls %016llx\n", (unsigned long long)sum);
    return 0;
}
