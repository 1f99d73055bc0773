/* offsets.h - offsets of struct cpu for assembly; run.c asserts that they are the compiler's. */
#define CPU_PC           256
#define CPU_IN_GUEST     268
#define CPU_PENDING      272
#define CPU_HOST_SP      320
#define CPU_SHADOW_SP    328
#define CPU_SHADOW_TOP   336
#define CPU_ENTER_TARGET 344
#define CPU_RESUME       352
#define CPU_EXIT_DATA    360
#define CPU_HASH         376
#define CPU_HASH_FACTOR  384
#define CPU_V            480
#define CPU_JUMP_CACHE   1056
#define HASH_BITS        18 /* of the look-up table from guest pc to host code */
