UNIT_SRC_softfp   := src/translate/softfp.c
UNIT_FLAGS_softfp := -frounding-math -fno-builtin
UNIT_LIBS_softfp  := -lm
