/* Allocation: binary search trees built, searched, pruned and freed with malloc and free. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct node {
    struct node *child[2];
    uint64_t key;
};

static struct node *perfect(int depth) {
    struct node *n = malloc(sizeof *n);
    n->key = (uint64_t)depth;
    n->child[0] = depth ? perfect(depth - 1) : NULL;
    n->child[1] = depth ? perfect(depth - 1) : NULL;
    return n;
}

static uint64_t weigh(const struct node *n) {
    return n ? 1 + n->key + weigh(n->child[0]) + 2 * weigh(n->child[1]) : 0;
}

static void discard(struct node *n) {
    if (!n)
        return;
    discard(n->child[0]);
    discard(n->child[1]);
    free(n);
}

static int insert(struct node **root, uint64_t key) {
    while (*root) {
        if ((*root)->key == key)
            return 0;
        root = &(*root)->child[key > (*root)->key];
    }
    *root = malloc(sizeof **root);
    **root = (struct node){{NULL, NULL}, key};
    return 1;
}

static int erase(struct node **root, uint64_t key) {
    while (*root && (*root)->key != key)
        root = &(*root)->child[key > (*root)->key];
    struct node *gone = *root;
    if (!gone)
        return 0;
    if (!gone->child[0]) {
        *root = gone->child[1];
    } else {
        struct node **largest = &gone->child[0];
        while ((*largest)->child[1])
            largest = &(*largest)->child[1];
        struct node *up = *largest;
        *largest = up->child[0];
        up->child[0] = gone->child[0];
        up->child[1] = gone->child[1];
        *root = up;
    }
    free(gone);
    return 1;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 90;
    uint64_t sum = 0, state = 42;
    for (int round = 0; round < rounds; round++) {
        struct node *tree = perfect(15);
        sum = sum * 31 + weigh(tree);
        discard(tree);
        struct node *search = NULL;
        for (int i = 0; i < 60000; i++) {
            state = state * 6364136223846793005ull + 1442695040888963407ull;
            uint64_t key = state >> 49;
            sum += (uint64_t)(i % 3 ? insert(&search, key) : erase(&search, key));
        }
        sum = sum * 31 + weigh(search);
        discard(search);
    }
    printf("trees %016llx\n", (unsigned long long)sum);
    return 0;
}
