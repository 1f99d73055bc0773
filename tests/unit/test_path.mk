UNIT_SRC_path := src/loader/path.c src/loader/exec.c src/loader/elf.c src/loader/place.c src/base/fmt.c src/base/string.c
