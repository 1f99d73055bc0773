UNIT_SRC_stack := src/loader/stack.c src/loader/start.c $(addprefix src/base/,errtext.c lock.c fmt.c string.c)
