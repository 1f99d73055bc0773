/* Integer matrices: product, transposition and a prefix-sum pass, sizes known only at run time. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void multiply(const int32_t *a, const int32_t *b, int32_t *c, int n) {
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            uint32_t sum = 0;
            for (int k = 0; k < n; k++)
                sum += (uint32_t)a[i * n + k] * (uint32_t)b[j * n + k];
            c[i * n + j] = (int32_t)sum;
        }
    }
}

static void transpose(int32_t *a, int n) {
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < i; j++) {
            int32_t t = a[i * n + j];
            a[i * n + j] = a[j * n + i];
            a[j * n + i] = t;
        }
    }
}

static void accumulate(int32_t *a, int n) {
    for (int i = 1; i < n; i++)
        for (int j = 1; j < n; j++)
            a[i * n + j] = (int32_t)((uint32_t)a[i * n + j] + (uint32_t)a[(i - 1) * n + j] +
                                     (uint32_t)a[i * n + j - 1] - (uint32_t)a[(i - 1) * n + j - 1]);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 75;
    int n = 301;
    size_t bytes = (size_t)n * (size_t)n * sizeof(int32_t);
    int32_t *a = malloc(bytes), *b = malloc(bytes), *c = malloc(bytes);
    for (int i = 0; i < n * n; i++) {
        a[i] = i * 7 % 1009;
        b[i] = i * 13 % 997 - 500;
    }
    uint64_t sum = 0;
    for (int round = 0; round < rounds; round++) {
        multiply(a, b, c, n);
        transpose(c, n);
        accumulate(c, n);
        for (int i = 0; i < n; i++)
            sum = sum * 31 + (uint32_t)c[i * n + (i * 17 + round) % n];
        a[round % (n * n)] ^= (int32_t)(sum & 0xff);
    }
    printf("matrix %016llx\n", (unsigned long long)sum);
    free(a);
    free(b);
    free(c);
    return 0;
}
