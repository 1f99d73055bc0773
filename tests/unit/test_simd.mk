UNIT_SRC_simd  := tests/unit/x64_decode.c src/x64/asm.c src/x64/simd.c
UNIT_LIBS_simd := -lcapstone
