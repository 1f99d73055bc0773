/* Backtracking: the n queens problem with bit sets, and permutations by recursive swapping. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t queens(uint32_t all, uint32_t columns, uint32_t left, uint32_t right) {
    if (columns == all)
        return 1;
    uint64_t count = 0;
    for (uint32_t free = all & ~(columns | left | right); free;) {
        uint32_t bit = free & (0 - free);
        free ^= bit;
        count += queens(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return count;
}

static uint64_t permute(int *items, int from, int count) {
    if (from == count) {
        uint64_t inversions = 0;
        for (int i = 1; i < count; i++)
            inversions += items[i - 1] > items[i];
        return inversions;
    }
    uint64_t sum = 0;
    for (int i = from; i < count; i++) {
        int t = items[from];
        items[from] = items[i];
        items[i] = t;
        sum += permute(items, from + 1, count);
        items[i] = items[from];
        items[from] = t;
    }
    return sum;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 14;
    int items[11];
    for (int i = 0; i < 11; i++)
        items[i] = i;
    uint64_t solutions = queens((1u << n) - 1, 0, 0, 0);
    uint64_t descents = permute(items, 0, 11);
    printf("queens %llu %llu\n", (unsigned long long)solutions, (unsigned long long)descents);
    return 0;
}
