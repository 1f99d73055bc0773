/*
 * base_string.c - src/base/string.c as the freestanding runtime has it, under other names, for
 * test_base.c to compare with libc's.
 */
#undef ELFUSE_HOSTED
#define memcpy     own_memcpy
#define memmove    own_memmove
#define memset     own_memset
#define memcmp     own_memcmp
#define memchr     own_memchr
#define strlen     own_strlen
#define strnlen    own_strnlen
#define strcmp     own_strcmp
#define strncmp    own_strncmp
#define strchr     own_strchr
#define strrchr    own_strrchr
#define str_starts own_str_starts
#define str_copy   own_str_copy
#include "base/string.c"
