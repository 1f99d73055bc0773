UNIT_SRC_vdso := src/loader/guestvdso.c src/loader/start.c src/loader/vdso_image.S \
    $(addprefix src/base/,errtext.c lock.c fmt.c string.c)
