/* Pointer chasing: linked lists that are walked, merge-sorted and reversed in place. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct node {
    struct node *next;
    uint32_t key;
    uint32_t weight;
};

static struct node *merge(struct node *a, struct node *b) {
    struct node *head = NULL, **tail = &head;
    while (a && b) {
        struct node **least = a->key <= b->key ? &a : &b;
        *tail = *least;
        tail = &(*least)->next;
        *least = (*least)->next;
    }
    *tail = a ? a : b;
    return head;
}

static struct node *sort(struct node *list) {
    if (!list || !list->next)
        return list;
    struct node *slow = list, *fast = list->next;
    while (fast && fast->next) {
        slow = slow->next;
        fast = fast->next->next;
    }
    struct node *half = slow->next;
    slow->next = NULL;
    return merge(sort(list), sort(half));
}

static struct node *reverse(struct node *list) {
    struct node *done = NULL;
    while (list) {
        struct node *next = list->next;
        list->next = done;
        done = list;
        list = next;
    }
    return done;
}

static uint64_t walk(const struct node *list) {
    uint64_t sum = 0;
    for (; list; list = list->next)
        sum = (sum << 1 ^ sum >> 60) + (list->key & 1 ? list->weight : list->key);
    return sum;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 500;
    int count = 8000;
    struct node *nodes = malloc((size_t)count * sizeof *nodes);
    uint32_t state = 12345;
    uint64_t sum = 0;
    for (int round = 0; round < rounds; round++) {
        struct node *list = NULL;
        for (int i = 0; i < count; i++) {
            state = state * 1664525 + 1013904223;
            nodes[i].key = state >> 8;
            nodes[i].weight = (uint32_t)i;
            nodes[i].next = list;
            list = &nodes[i];
        }
        list = sort(list);
        for (int again = 0; again < 10; again++) {
            sum = sum * 3 + walk(list);
            list = reverse(list);
        }
    }
    printf("list %016llx\n", (unsigned long long)sum);
    free(nodes);
    return 0;
}
