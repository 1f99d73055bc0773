/* An interpreter: a stack machine dispatched by a switch, running Collatz lengths with a
 * subroutine. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum op {
    PUSH,
    LOAD,
    STORE,
    ADD,
    MUL,
    SHR,
    AND,
    LESS,
    NOT_ONE,
    JUMP,
    JUMP_IF_ZERO,
    CALL,
    RET,
    HALT
};
enum variable { N, LIMIT, TOTAL, X, STEPS, VARIABLES };

static int32_t code[128];
static int here;

static int emit(int op) {
    code[here] = op;
    return here++;
}

static int emit2(int op, int operand) {
    emit(op);
    return emit(operand); /* where the operand is, to be patched */
}

/* for (n = 1; n < limit; n++) { collatz(); total += steps; } */
static void assemble(void) {
    emit2(PUSH, 1);
    emit2(STORE, N);
    int loop = here;
    emit2(LOAD, N);
    emit2(LOAD, LIMIT);
    emit(LESS);
    int out = emit2(JUMP_IF_ZERO, 0);
    int call = emit2(CALL, 0);
    emit2(LOAD, TOTAL);
    emit2(LOAD, STEPS);
    emit(ADD);
    emit2(STORE, TOTAL);
    emit2(LOAD, N);
    emit2(PUSH, 1);
    emit(ADD);
    emit2(STORE, N);
    emit2(JUMP, loop);
    code[out] = here;
    emit(HALT);

    code[call] = here;
    emit2(LOAD, N);
    emit2(STORE, X);
    emit2(PUSH, 0);
    emit2(STORE, STEPS);
    int again = here;
    emit2(LOAD, X);
    emit(NOT_ONE);
    int done = emit2(JUMP_IF_ZERO, 0);
    emit2(LOAD, STEPS);
    emit2(PUSH, 1);
    emit(ADD);
    emit2(STORE, STEPS);
    emit2(LOAD, X);
    emit2(PUSH, 1);
    emit(AND);
    int even = emit2(JUMP_IF_ZERO, 0);
    emit2(LOAD, X);
    emit2(PUSH, 3);
    emit(MUL);
    emit2(PUSH, 1);
    emit(ADD);
    emit2(STORE, X);
    emit2(JUMP, again);
    code[even] = here;
    emit2(LOAD, X);
    emit2(PUSH, 1);
    emit(SHR);
    emit2(STORE, X);
    emit2(JUMP, again);
    code[done] = here;
    emit(RET);
}

static void run(int64_t *variable) {
    int64_t stack[64];
    int64_t *top = stack; /* the next free slot */
    const int32_t *pc = code;
    for (;;) {
        switch (*pc++) {
        case PUSH:
            *top++ = *pc++;
            break;
        case LOAD:
            *top++ = variable[*pc++];
            break;
        case STORE:
            variable[*pc++] = *--top;
            break;
        case ADD:
            top--;
            top[-1] += top[0];
            break;
        case MUL:
            top--;
            top[-1] *= top[0];
            break;
        case SHR:
            top--;
            top[-1] >>= top[0] & 63;
            break;
        case AND:
            top--;
            top[-1] &= top[0];
            break;
        case LESS:
            top--;
            top[-1] = top[-1] < top[0];
            break;
        case NOT_ONE:
            top[-1] = top[-1] != 1;
            break;
        case JUMP:
            pc = code + *pc;
            break;
        case JUMP_IF_ZERO:
            pc = *--top ? pc + 1 : code + *pc;
            break;
        case CALL:
            *top++ = pc + 1 - code;
            pc = code + *pc;
            break;
        case RET:
            pc = code + *--top;
            break;
        case HALT:
            return;
        default:
            abort();
        }
    }
}

int main(int argc, char **argv) {
    int64_t variable[VARIABLES] = {0};
    variable[LIMIT] = argc > 1 ? atoi(argv[1]) : 300000;
    assemble();
    run(variable);
    printf("interp_switch %lld\n", (long long)variable[TOTAL]);
    return 0;
}
