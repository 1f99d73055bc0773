UNIT_SRC_asm  := tests/unit/x64_decode.c src/x64/asm.c src/x64/simd.c
UNIT_LIBS_asm := -lcapstone
