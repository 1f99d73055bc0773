UNIT_SRC_syscalls := src/base/fmt.c src/base/string.c src/linux/path.c src/linux/procfs.c src/debug/line.c src/debug/trace.c \
    src/debug/trace_special.c src/debug/trace_structs.c
