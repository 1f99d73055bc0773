/*
 * errtext.c - the errors that set-up code can meet, in the words of strerror. Only the main thread
 * reports during set-up, so the buffer for the rest may be static.
 */
#include "base/errtext.h"

#include "base/base.h"

#include <linux/errno.h>

const char *error_text(int64_t error) {
    static const struct {
        int number;
        const char *text;
    } known[] = {
        {EPERM, "Operation not permitted"},
        {ENOENT, "No such file or directory"},
        {EIO, "Input/output error"},
        {E2BIG, "Argument list too long"},
        {ENOEXEC, "Exec format error"},
        {EBADF, "Bad file descriptor"},
        {EAGAIN, "Resource temporarily unavailable"},
        {ENOMEM, "Cannot allocate memory"},
        {EACCES, "Permission denied"},
        {EFAULT, "Bad address"},
        {EEXIST, "File exists"},
        {ENOTDIR, "Not a directory"},
        {EISDIR, "Is a directory"},
        {EINVAL, "Invalid argument"},
        {ENFILE, "Too many open files in system"},
        {EMFILE, "Too many open files"},
        {ETXTBSY, "Text file busy"},
        {ENOSPC, "No space left on device"},
        {EROFS, "Read-only file system"},
        {ENAMETOOLONG, "File name too long"},
        {ENOSYS, "Function not implemented"},
        {ELIBBAD, "Not an AArch64 ELF file"},
        {ELOOP, "Too many levels of symbolic links"},
    };
    static char other[32];
    if (error < 0)
        error = -error;
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i].number == error)
            return known[i].text;
    fmt(other, sizeof other, "error %ld", (long)error);
    return other;
}
