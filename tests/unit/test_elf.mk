UNIT_SRC_elf := src/loader/elf.c src/base/string.c

# make fuzz-elf: the ELF parser under libFuzzer (clang) for FUZZ_SECONDS.
FUZZ_SECONDS ?= 30
.PHONY: fuzz-elf
fuzz-elf: $(B)/unit/fuzz_elf $(B)/unit/elf
	@mkdir -p $(B)/unit/elf-corpus
	$(B)/unit/elf --seeds $(B)/unit/elf-corpus
	$(B)/unit/fuzz_elf -max_total_time=$(FUZZ_SECONDS) -max_len=70000 -print_final_stats=1 \
	    -artifact_prefix=$(B)/unit/ $(B)/unit/elf-corpus

$(B)/unit/fuzz_elf: tests/unit/fuzz_elf.c src/loader/elf.c src/loader/elf.h src/base/string.c
	@mkdir -p $(@D)
	clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -std=gnu11 -DELFUSE_HOSTED \
	    $(WARN) $(INC) tests/unit/fuzz_elf.c src/loader/elf.c src/base/string.c -o $@
