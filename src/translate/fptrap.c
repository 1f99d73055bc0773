/* fptrap.c - floating-point traps. All exceptions are masked, so none arrives. */
#include "translate/fptrap.h"

bool fp_trap_handle(struct fp_trap *trap) {
    (void)trap;
    return false;
}
