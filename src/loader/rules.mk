# The guest's vDSO: AArch64 code, built by the cross toolchain and embedded by vdso_image.S.
VDSO_SRC := src/loader/vdso/vdso.S src/loader/vdso/vdso.lds src/translate/hypercall.h
GEN      += $(B)/gen/vdso.so

$(B)/gen/vdso.so: $(VDSO_SRC)
	@mkdir -p $(@D)
	$(CROSS)gcc -nostdlib -shared -Isrc -Wl,-soname=linux-vdso.so.1 -Wl,--hash-style=both \
	    -Wl,--build-id=sha1 -Wl,--eh-frame-hdr -Wl,-z,max-page-size=4096 -Wl,-T,src/loader/vdso/vdso.lds \
	    src/loader/vdso/vdso.S -o $@.debug
	$(CROSS)objcopy -S $@.debug $@

$(B)/obj/loader/vdso_image.o: $(B)/gen/vdso.so
