# The performance kernels: each .c here is built natively and, static, for AArch64.

BENCH_KERNELS := $(patsubst bench/%.c,%,$(wildcard bench/*.c))
BENCH_CFLAGS  := -std=gnu11 -O2 -Wall -Wextra

.PHONY: bench bench-kernels

bench: $(B)/elfuse bench-kernels
	$(PYTHON) bench/run --build $(B) $(BENCH_ARGS)

bench-kernels: $(BENCH_KERNELS:%=$(B)/bench/%.native) $(BENCH_KERNELS:%=$(B)/bench/%.arm64)

$(B)/bench/%.native: bench/%.c
	@mkdir -p $(@D)
	gcc $(BENCH_CFLAGS) $< -o $@

$(B)/bench/%.arm64: bench/%.c
	@mkdir -p $(@D)
	$(CROSS)gcc $(BENCH_CFLAGS) -static $< -o $@
