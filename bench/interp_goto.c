/* An interpreter: a register machine dispatched by computed goto, running a prime sieve and gcds.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum op { SET, MOVE, ADD, ADD_IMM, MULTIPLY, MODULO, LOAD, STORE, IF_LESS, IF_ZERO, JUMP, HALT };

struct insn {
    uint8_t op, a, b, c;
    int32_t imm; /* a constant, or the target of a jump */
};

enum reg { I, J, LIMIT, COUNT, T, ZERO, ONE, A, B, SUM };

#define SIEVE 4096

/* clang-format off */
static const struct insn program[] = {
    /*  0 */ {SET, ZERO, 0, 0, 0},
    /*  1 */ {SET, ONE, 0, 0, 1},
    /*  2 */ {SET, LIMIT, 0, 0, SIEVE},
    /*  3 clear */ {SET, I, 0, 0, 0},
    /*  4 */ {STORE, ZERO, I, 0, 0},                /* memory[i] = 0 */
    /*  5 */ {ADD_IMM, I, I, 0, 1},
    /*  6 */ {IF_LESS, I, LIMIT, 0, 4},
    /*  7 sieve */ {SET, I, 0, 0, 2},
    /*  8 */ {LOAD, T, I, 0, 0},
    /*  9 */ {IF_ZERO, T, 0, 0, 11},
    /* 10 */ {JUMP, 0, 0, 0, 16},
    /* 11 */ {ADD_IMM, COUNT, COUNT, 0, 1},
    /* 12 */ {ADD, J, I, I, 0},
    /* 13 */ {JUMP, 0, 0, 0, 18},
    /* 14 mark */ {STORE, ONE, J, 0, 0},
    /* 15 */ {JUMP, 0, 0, 0, 17},
    /* 16 next */ {JUMP, 0, 0, 0, 19},
    /* 17 */ {ADD, J, J, I, 0},
    /* 18 */ {IF_LESS, J, LIMIT, 0, 14},
    /* 19 */ {ADD_IMM, I, I, 0, 1},
    /* 20 */ {IF_LESS, I, LIMIT, 0, 8},
    /* 21 gcds */ {SET, I, 0, 0, 1},
    /* 22 */ {MOVE, A, I, 0, 0},
    /* 23 */ {SET, B, 0, 0, 40320},
    /* 24 */ {IF_ZERO, B, 0, 0, 29},
    /* 25 */ {MODULO, T, A, B, 0},
    /* 26 */ {MOVE, A, B, 0, 0},
    /* 27 */ {MOVE, B, T, 0, 0},
    /* 28 */ {JUMP, 0, 0, 0, 24},
    /* 29 */ {MULTIPLY, T, A, I, 0},
    /* 30 */ {ADD, SUM, SUM, T, 0},
    /* 31 */ {ADD_IMM, I, I, 0, 7},
    /* 32 */ {IF_LESS, I, LIMIT, 0, 22},
    /* 33 */ {HALT, 0, 0, 0, 0},
};
/* clang-format on */

static void run(int64_t *r, int64_t *memory) {
    static const void *const label[] = {&&set,  &&move,  &&add,     &&add_imm, &&multiply, &&modulo,
                                        &&load, &&store, &&if_less, &&if_zero, &&jump,     &&halt};
    const struct insn *i = program;
#define NEXT goto *label[(++i)->op]
#define GO   goto *label[(i = program + i->imm)->op]
    goto *label[i->op];
set:
    r[i->a] = i->imm;
    NEXT;
move:
    r[i->a] = r[i->b];
    NEXT;
add:
    r[i->a] = r[i->b] + r[i->c];
    NEXT;
add_imm:
    r[i->a] = r[i->b] + i->imm;
    NEXT;
multiply:
    r[i->a] = r[i->b] * r[i->c];
    NEXT;
modulo:
    r[i->a] = r[i->b] % r[i->c];
    NEXT;
load:
    r[i->a] = memory[r[i->b]];
    NEXT;
store:
    memory[r[i->b]] = r[i->a];
    NEXT;
if_less:
    if (r[i->a] < r[i->b])
        GO;
    NEXT;
if_zero:
    if (r[i->a] == 0)
        GO;
    NEXT;
jump:
    GO;
halt:
    return;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 4000;
    int64_t r[16] = {0};
    static int64_t memory[SIEVE];
    for (int round = 0; round < rounds; round++)
        run(r, memory);
    printf("interp_goto %lld %lld\n", (long long)r[COUNT], (long long)r[SUM]);
    return 0;
}
