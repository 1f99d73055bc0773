# The instruction tester: see tests/insn/tester.h.
#   make insn-smoke                      every supported row, blocks, about a minute
#   make insn-soak N=20 [SEED=1000]      N rounds, coverage table in $(B)/insn/coverage.txt
#   make insn-selftest                   that the tester finds and shrinks what is put in
INSN_SRC := $(wildcard tests/insn/*.c)
INSN_SRC := $(filter-out tests/insn/runner.c,$(INSN_SRC))
INSN_OBJ := $(INSN_SRC:tests/insn/%.c=$(B)/insn/%.o) \
            $(patsubst src/a64/%.c,$(B)/insn/a64-%.o,$(wildcard src/a64/*.c)) \
            $(B)/insn/base-fmt.o $(B)/insn/base-string.o
INSN_CFLAGS := -std=gnu11 -O2 -g $(WARN) $(INC) -Itests/insn -DELFUSE_HOSTED -D_GNU_SOURCE

$(B)/insn/%.o: tests/insn/%.c | $(GEN)
	@mkdir -p $(@D)
	$(CC) $(INSN_CFLAGS) -MMD -MP -c $< -o $@

$(B)/insn/a64-%.o: src/a64/%.c | $(GEN)
	@mkdir -p $(@D)
	$(CC) $(INSN_CFLAGS) -MMD -MP -c $< -o $@

$(B)/insn/base-%.o: src/base/%.c | $(GEN)
	@mkdir -p $(@D)
	$(CC) $(INSN_CFLAGS) -MMD -MP -c $< -o $@

$(B)/insn/insn-test: $(INSN_OBJ)
	$(CC) $^ -o $@

# A runner without libc and vector registers needs nearly nothing of the emulator.
$(B)/insn/runner: tests/insn/runner.c tests/insn/runner_asm.S tests/insn/case.h
	@mkdir -p $(@D)
	$(CROSS)gcc -std=gnu11 -O2 -g -Wall -Wextra -ffreestanding -fno-stack-protector -mgeneral-regs-only \
	    -fno-tree-loop-distribute-patterns -fno-pie -no-pie -static -nostdlib \
	    tests/insn/runner.c tests/insn/runner_asm.S -o $@

INSN_TEST := $(B)/insn/insn-test --runner $(B)/insn/runner --work $(B)/insn/work --subject $(B)/elfuse \
             --supported $(B)/elfuse
N    ?= 10
SEED ?= 1

.PHONY: insn-smoke insn-soak insn-selftest
insn-smoke: $(B)/insn/insn-test $(B)/insn/runner $(B)/elfuse
	ELFUSE_PRECISE_FLAGS=1 $(INSN_TEST) --seed $(SEED) --cases 600 --blocks 256 --block-units 8 --undefined 4000 --shared-slots --region-limit

insn-soak: $(B)/insn/insn-test $(B)/insn/runner $(B)/elfuse
	ELFUSE_PRECISE_FLAGS=1 $(INSN_TEST) --seed $(SEED) --rounds $(N) --cases 600 --blocks 256 --block-units 8 \
	    --undefined 4000 --shared-slots --region-limit --coverage $(B)/insn/coverage.txt

insn-selftest: $(B)/insn/insn-test $(B)/insn/runner
	$(B)/insn/insn-test --runner $(B)/insn/runner --work $(B)/insn/work --self-test

-include $(INSN_OBJ:.o=.d)
