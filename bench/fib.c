/* Calls: naive Fibonacci and the Takeuchi function, nothing but call, compare, add and return. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t fib(uint64_t n) {
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static int tak(int x, int y, int z) {
    return y < x ? tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y)) : z;
}

int main(int argc, char **argv) {
    int scale = argc > 1 ? atoi(argv[1]) : 1;
    uint64_t sum = 0;
    for (int round = 0; round < scale; round++) {
        sum += fib(43 + (round & 1));
        sum += (uint64_t)tak(22, 14, 7);
    }
    printf("fib %llu\n", (unsigned long long)sum);
    return 0;
}
