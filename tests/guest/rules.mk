# The guest programs: each tests/guest/*.c becomes
#   $(B)/guest/{x86_64,aarch64}/NAME       static
#   $(B)/guest/{x86_64,aarch64}/NAME.dyn   dynamic, where the manifest says so
#   $(B)/guest/{x86_64,aarch64}/NAME.musl  where the manifest says so and MUSL_X64_CC / MUSL_A64_CC is set
#
#   make guest-tests    build them             make guest-qemu     run under qemu-aarch64
#   make guest-native   run the x86-64 ones    make guest-elfuse   run under $(B)/elfuse
#   make stress         the stress programs under $(B)/elfuse (STRESS=native|qemu for another runner, ROUNDS=N)
GUEST_DIR    := tests/guest
# Not -O2: the asserted loads and stores should be where the source says.
# Bad pointers and sizes are passed on purpose.
GUEST_QUIET  := -Wno-stringop-overflow -Wno-stringop-overread -Wno-nonnull -Wno-format-truncation \
    -Wno-unknown-warning-option
GUEST_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -pthread -Wall -Wextra \
    $(GUEST_QUIET)
GUEST_NAMES  := $(basename $(notdir $(wildcard $(GUEST_DIR)/*.c)))
GUEST_DYN    := $(shell awk '$$2 ~ /dynamic/ {print $$1}' $(GUEST_DIR)/manifest | sort -u)
GUEST_MUSL   := $(shell awk '$$2 ~ /musl/ {print $$1}' $(GUEST_DIR)/manifest | sort -u)
MUSL_X64_CC  ?= $(if $(shell command -v musl-gcc),musl-gcc)
MUSL_A64_CC  ?=
GUEST_BINS   := $(foreach a,x86_64 aarch64,$(GUEST_NAMES:%=$(B)/guest/$(a)/%) $(GUEST_DYN:%=$(B)/guest/$(a)/%.dyn)) \
    $(if $(MUSL_X64_CC),$(GUEST_MUSL:%=$(B)/guest/x86_64/%.musl)) \
    $(if $(MUSL_A64_CC),$(GUEST_MUSL:%=$(B)/guest/aarch64/%.musl))
STRESS       ?= elfuse

.PHONY: guest-tests guest-native guest-qemu guest-elfuse stress
guest-tests: $(GUEST_BINS)

$(B)/guest/x86_64/%: $(GUEST_DIR)/%.c $(GUEST_DIR)/check.h
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -static $< -o $@ -lrt
$(B)/guest/aarch64/%: $(GUEST_DIR)/%.c $(GUEST_DIR)/check.h
	@mkdir -p $(@D)
	$(CROSS)gcc $(GUEST_CFLAGS) -static $< -o $@ -lrt
$(B)/guest/x86_64/%.dyn: $(GUEST_DIR)/%.c $(GUEST_DIR)/check.h
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) $< -o $@ -lrt
$(B)/guest/aarch64/%.dyn: $(GUEST_DIR)/%.c $(GUEST_DIR)/check.h
	@mkdir -p $(@D)
	$(CROSS)gcc $(GUEST_CFLAGS) $< -o $@ -lrt
$(B)/guest/x86_64/%.musl: $(GUEST_DIR)/%.c $(GUEST_DIR)/check.h
	@mkdir -p $(@D)
	$(MUSL_X64_CC) $(GUEST_CFLAGS) -static $< -o $@
$(B)/guest/aarch64/%.musl: $(GUEST_DIR)/%.c $(GUEST_DIR)/check.h
	@mkdir -p $(@D)
	$(MUSL_A64_CC) $(GUEST_CFLAGS) -static $< -o $@

guest-native guest-qemu: guest-%: guest-tests
	B=$(B) $(GUEST_DIR)/run $*
guest-elfuse: guest-tests $(B)/elfuse
	B=$(B) $(GUEST_DIR)/run elfuse
stress: guest-tests $(if $(filter elfuse,$(STRESS)),$(B)/elfuse)
	B=$(B) $(GUEST_DIR)/run --stress $(if $(ROUNDS),--rounds $(ROUNDS)) $(STRESS)
