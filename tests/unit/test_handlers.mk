UNIT_SRC_handlers := src/base/fmt.c src/base/string.c src/linux/path.c src/linux/procfs.c src/linux/file.c \
    src/linux/stat.c src/linux/fd.c src/linux/poll.c src/loader/path.c
