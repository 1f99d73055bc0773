/* Bit tricks: CRC-32 by table and bit by bit, population counts, reversal, Gray codes,
 * multiplication of polynomials, division, leading zeros. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t table[256];

static uint32_t crc_of_byte(uint32_t value) {
    for (int i = 0; i < 8; i++)
        value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
    return value;
}

static uint32_t crc(const uint8_t *data, size_t size) {
    uint32_t value = ~0u;
    for (size_t i = 0; i < size; i++)
        value = value >> 8 ^ table[(value ^ data[i]) & 0xff];
    return ~value;
}

static uint64_t reverse(uint64_t x) {
    x = (x >> 1 & 0x5555555555555555u) | (x & 0x5555555555555555u) << 1;
    x = (x >> 2 & 0x3333333333333333u) | (x & 0x3333333333333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0f0f0f0f0fu) | (x & 0x0f0f0f0f0f0f0f0fu) << 4;
    return __builtin_bswap64(x);
}

static int population(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int)(x * 0x0101010101010101u >> 56);
}

static uint64_t carryless(uint32_t a, uint32_t b) {
    uint64_t product = 0;
    for (int i = 0; i < 32; i++)
        product ^= b >> i & 1 ? (uint64_t)a << i : 0;
    return product;
}

static uint32_t root(uint64_t x) {
    uint64_t result = 0;
    for (uint64_t bit = 1ull << 62; bit; bit >>= 2) {
        if (x >= result + bit) {
            x -= result + bit;
            result = (result >> 1) + bit;
        } else {
            result >>= 1;
        }
    }
    return (uint32_t)result;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 3000000;
    static uint8_t data[4096];
    for (uint32_t i = 0; i < 256; i++)
        table[i] = crc_of_byte(i);
    if (crc((const uint8_t *)"123456789", 9) != 0xcbf43926) {
        printf("bits: wrong CRC\n");
        return 1;
    }
    uint64_t state = 1, sum = 0;
    for (int round = 0; round < rounds; round++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sum += reverse(state) ^ (state >> 1 ^ state);
        sum += (uint64_t)population(state) + (uint64_t)__builtin_clzll(state);
        sum += carryless((uint32_t)state, (uint32_t)(state >> 32));
        sum ^= state / ((state >> 40) + 1) + root(state);
        data[round & 4095] = (uint8_t)sum;
        if ((round & 255) == 0)
            sum += crc(data, sizeof data);
    }
    printf("bits %016llx\n", (unsigned long long)sum);
    return 0;
}
