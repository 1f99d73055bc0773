/* LZ77: a compressor with hash chains and its decompressor, on text made of a small vocabulary. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_BITS 14
#define WINDOW    32768
#define MIN_MATCH 4
#define CHAIN     16

static uint32_t hash4(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return word * 2654435761u >> (32 - HASH_BITS);
}

static uint8_t *put_length(uint8_t *out, size_t length) {
    for (; length >= 255; length -= 255)
        *out++ = 255;
    *out++ = (uint8_t)length;
    return out;
}

static size_t get_length(const uint8_t **in) {
    size_t length = 0;
    uint8_t byte;
    do
        length += byte = *(*in)++;
    while (byte == 255);
    return length;
}

/* Output: literal count, literals, match length - MIN_MATCH, distance (2 bytes; 0 ends the stream).
 */
static size_t compress(const uint8_t *in, size_t size, uint8_t *out, int32_t *head,
                       int32_t *chain) {
    uint8_t *start = out;
    size_t literal = 0, at = 0;
    for (size_t i = 0; i < 1 << HASH_BITS; i++)
        head[i] = -1;
    while (at + MIN_MATCH <= size) {
        uint32_t slot = hash4(in + at);
        size_t best = 0, distance = 0;
        int32_t candidate = head[slot];
        for (int tries = CHAIN; candidate >= 0 && at - (size_t)candidate < WINDOW && tries;
             tries--) {
            size_t length = 0;
            while (at + length < size && in[(size_t)candidate + length] == in[at + length])
                length++;
            if (length > best) {
                best = length;
                distance = at - (size_t)candidate;
            }
            candidate = chain[candidate & (WINDOW - 1)];
        }
        chain[at & (WINDOW - 1)] = head[slot];
        head[slot] = (int32_t)at;
        if (best < MIN_MATCH) {
            at++;
            continue;
        }
        out = put_length(out, at - literal);
        memcpy(out, in + literal, at - literal);
        out = put_length(out + (at - literal), best - MIN_MATCH);
        *out++ = (uint8_t)distance;
        *out++ = (uint8_t)(distance >> 8);
        size_t end = at + best;
        while (++at < end && at + MIN_MATCH <= size) {
            slot = hash4(in + at);
            chain[at & (WINDOW - 1)] = head[slot];
            head[slot] = (int32_t)at;
        }
        literal = at = end;
    }
    out = put_length(out, size - literal);
    memcpy(out, in + literal, size - literal);
    out = put_length(out + (size - literal), 0);
    *out++ = 0;
    *out++ = 0;
    return (size_t)(out - start);
}

static size_t decompress(const uint8_t *in, uint8_t *out) {
    uint8_t *start = out;
    for (;;) {
        size_t literals = get_length(&in);
        for (size_t i = 0; i < literals; i++)
            *out++ = *in++;
        size_t length = get_length(&in) + MIN_MATCH;
        size_t distance = (size_t)in[0] | (size_t)in[1] << 8;
        in += 2;
        if (!distance)
            return (size_t)(out - start);
        for (const uint8_t *from = out - distance; length; length--)
            *out++ = *from++;
    }
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 14;
    size_t size = 1500000;
    uint8_t *text = malloc(size), *packed = malloc(size * 2), *back = malloc(size + 256);
    int32_t *head = malloc(sizeof(int32_t) << HASH_BITS), *chain = malloc(sizeof(int32_t) * WINDOW);
    uint64_t sum = 0;
    uint32_t state = 7;
    for (int round = 0; round < rounds; round++) {
        for (size_t at = 0; at < size;) {
            state = state * 1103515245 + 12345;
            uint32_t word = state >> 16 & 0x3ff;
            for (uint32_t i = 0; i < 2 + word % 9 && at < size; i++)
                text[at++] = (uint8_t)('a' + (word * 31 + i * i * 7) % 26);
            if (at < size)
                text[at++] = state >> 28 ? ' ' : '\n';
        }
        size_t packed_size = compress(text, size, packed, head, chain);
        if (decompress(packed, back) != size || memcmp(text, back, size) != 0) {
            printf("lz: the round trip changed the text\n");
            return 1;
        }
        sum = sum * 31 + packed_size;
        for (size_t i = 0; i < packed_size; i += 101)
            sum = sum * 31 + packed[i];
    }
    printf("lz %016llx\n", (unsigned long long)sum);
    free(text);
    free(packed);
    free(back);
    free(head);
    free(chain);
    return 0;
}
