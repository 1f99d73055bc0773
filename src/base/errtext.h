/*
 * errtext.h - the words for an error number in messages of the runtime itself.
 */
#ifndef ELFUSE_ERRTEXT_H
#define ELFUSE_ERRTEXT_H

#include <stdint.h>

/* "No such file or directory" for -ENOENT or ENOENT; "error N" (in a static buffer) for those
 * set-up never meets. */
const char *error_text(int64_t error);

#endif
