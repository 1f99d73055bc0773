/* Sorting: quicksort with median of three and insertion sort for short runs, on pseudo-random
 * words. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void swap(uint32_t *a, uint32_t *b) {
    uint32_t t = *a;
    *a = *b;
    *b = t;
}

static void sort(uint32_t *low, uint32_t *high) /* both inclusive */
{
    while (high - low > 16) {
        uint32_t *middle = low + (high - low) / 2;
        if (*middle < *low)
            swap(middle, low);
        if (*high < *low)
            swap(high, low);
        if (*high < *middle)
            swap(high, middle);
        uint32_t pivot = *middle;
        uint32_t *i = low, *j = high;
        while (i <= j) {
            while (*i < pivot)
                i++;
            while (pivot < *j)
                j--;
            if (i <= j)
                swap(i++, j--);
        }
        if (j - low < high - i) {
            sort(low, j);
            low = i;
        } else {
            sort(i, high);
            high = j;
        }
    }
    for (uint32_t *i = low + 1; i <= high; i++) {
        uint32_t value = *i, *j = i;
        for (; j > low && j[-1] > value; j--)
            *j = j[-1];
        *j = value;
    }
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 12;
    size_t count = 1000000;
    uint32_t *data = malloc(count * sizeof *data);
    uint64_t sum = 0;
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++)
            data[i] = (uint32_t)next_random() & (round & 1 ? 0xffff : 0xffffffff);
        sort(data, data + count - 1);
        for (size_t i = 1; i < count; i++) {
            if (data[i - 1] > data[i]) {
                printf("quicksort: not sorted at %zu\n", i);
                return 1;
            }
        }
        for (size_t i = 0; i < count; i += 97)
            sum = sum * 31 + data[i];
    }
    printf("quicksort %016llx\n", (unsigned long long)sum);
    free(data);
    return 0;
}
