/* A hash table with open addressing: insert, look up, delete with backward shift, and growth. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct entry {
    uint64_t key; /* 0 is an empty slot */
    uint64_t value;
};

struct table {
    struct entry *slots;
    size_t mask;
    size_t used;
};

static size_t slot_of(const struct table *t, uint64_t key) {
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccdull;
    key ^= key >> 33;
    return key & t->mask;
}

static struct entry *find(const struct table *t, uint64_t key) {
    size_t i = slot_of(t, key);
    while (t->slots[i].key && t->slots[i].key != key)
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

static void grow(struct table *t) {
    struct table bigger = {calloc((t->mask + 1) * 2, sizeof *t->slots), t->mask * 2 + 1, t->used};
    for (size_t i = 0; i <= t->mask; i++)
        if (t->slots[i].key)
            *find(&bigger, t->slots[i].key) = t->slots[i];
    free(t->slots);
    *t = bigger;
}

static void add(struct table *t, uint64_t key, uint64_t value) {
    struct entry *e = find(t, key);
    if (!e->key) {
        if ((t->used + 1) * 4 > (t->mask + 1) * 3) {
            grow(t);
            e = find(t, key);
        }
        e->key = key;
        t->used++;
    }
    e->value += value;
}

static int erase(struct table *t, uint64_t key) {
    struct entry *e = find(t, key);
    if (!e->key)
        return 0;
    size_t hole = (size_t)(e - t->slots);
    for (size_t i = (hole + 1) & t->mask; t->slots[i].key; i = (i + 1) & t->mask) {
        size_t home = slot_of(t, t->slots[i].key);
        if (((i - home) & t->mask) >= ((i - hole) & t->mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole].key = 0;
    t->slots[hole].value = 0;
    t->used--;
    return 1;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 20;
    uint64_t sum = 0;
    for (int round = 0; round < rounds; round++) {
        struct table t = {calloc(64, sizeof(struct entry)), 63, 0};
        uint64_t state = 88172645463325252ull + (uint64_t)round;
        for (int i = 0; i < 2000000; i++) {
            state = state * 6364136223846793005ull + 1442695040888963407ull;
            uint64_t key = (state >> 48) + 1; /* 2^16 keys: the table stays in the cache */
            switch (state >> 40 & 3) {
            case 0:
                sum += (uint64_t)erase(&t, key);
                break;
            case 1:
                sum += find(&t, key)->value;
                break;
            default:
                add(&t, key, (uint64_t)i);
            }
        }
        sum = sum * 31 + t.used;
        free(t.slots);
    }
    printf("hash %016llx\n", (unsigned long long)sum);
    return 0;
}
