UNIT_SRC_base   := src/base/fmt.c src/base/lock.c src/base/errtext.c src/base/string.c tests/unit/base_string.c
UNIT_FLAGS_base := -fno-builtin -fno-tree-loop-distribute-patterns -Wno-missing-prototypes
UNIT_LIBS_base  := -lpthread
