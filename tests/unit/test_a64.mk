UNIT_SRC_a64  := src/a64/decode.c src/a64/disasm.c
UNIT_LIBS_a64 := -lcapstone
