/* space.h - the runtime's reserved range: set-up and thread areas (the rest is in engine.h). */
#ifndef ELFUSE_ENGINE_SPACE_H
#define ELFUSE_ENGINE_SPACE_H

#include "engine/engine.h"

#define SHADOW_STACK_BYTES (256u << 10)
#define C_STACK_BYTES      (128u << 10)
#define SIGNAL_STACK_BYTES (64u << 10)

enum { AREA_FREE, AREA_USED };

/*
 * Reserves the range, copies the image into it, and continues there as go_on(arg) on a new thread
 * area's C stack with FS set. Dies with a clear line when the address space does not allow it.
 */
NORETURN void space_init(NORETURN void (*go_on)(void *arg), void *arg);

/* A new thread area, its struct thread zeroed but for the stacks' fields. NULL: no room. */
struct thread *space_thread_area(void);
/* Gives back the area of a task that is gone or never started. */
void space_thread_area_free(struct thread *t);

/* Releases the allocator's lock if the task of this id, which is gone, holds it. */
void space_forget(uint32_t lock_owner);

void space_fork_prepare(void);
void space_fork_done(void);
void space_fork_child(const struct thread *self);

#endif
