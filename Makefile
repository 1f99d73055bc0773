# elfuse: build/elfuse is the product. See CONTRIBUTING.md.
#
#   make            the runtime                     make check   all tests
#   make debug      with assertions                 make bench   performance tables
#   make asan       pure parts under ASan + UBSan   make lint    clang-format, clang-tidy, cppcheck
#   make install PREFIX=/usr/local

B       ?= build
CC      ?= gcc
CROSS   ?= aarch64-linux-gnu-
PYTHON  ?= python3
PREFIX  ?= /usr/local
VERSION := 0.1.0

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
CFLAGS  ?= -O2 -g
# Or gcc turns the loops of string.c into calls of themselves; clang leaves freestanding code alone.
NO_IDIOMS := $(shell $(CC) -Werror -fno-tree-loop-distribute-patterns -fsyntax-only -xc /dev/null 2>/dev/null && \
             echo -fno-tree-loop-distribute-patterns)
# Freestanding and without vector registers: they hold the guest's V registers while C runs.
FREE    := -std=gnu11 -ffreestanding -fPIE -fvisibility=hidden -fno-stack-protector -mgeneral-regs-only \
           -mno-red-zone -fno-strict-aliasing -fno-asynchronous-unwind-tables -fcf-protection=none \
           $(NO_IDIOMS) -fwrapv -DELFUSE_VERSION='"$(VERSION)"'
INC     := -Isrc -I$(B)/gen
LDFLAGS := -nostdlib -static-pie -Wl,--gc-sections -Wl,-z,noexecstack -Wl,-z,relro -Wl,--build-id=sha1

DIRS    := base x64 a64 translate engine loader linux debug cli
SRC     := $(foreach d,$(DIRS),$(wildcard src/$d/*.c)) src/main.c
ASM     := $(foreach d,$(DIRS),$(wildcard src/$d/*.S))
OBJ     := $(SRC:src/%.c=$(B)/obj/%.o) $(ASM:src/%.S=$(B)/obj/%.o)
# Rules that make generated sources live beside their inputs: src/*/rules.mk add to GEN.
GEN     :=
include $(wildcard src/*/rules.mk)

.PHONY: all debug check bench asan lint lint-format lint-tidy lint-cppcheck install clean
all: $(B)/elfuse

$(B)/elfuse: $(OBJ)
	$(CC) $(LDFLAGS) $(OBJ) -lgcc -o $@

$(B)/obj/%.o: src/%.c | $(GEN)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(FREE) $(WARN) $(INC) -MMD -MP -c $< -o $@

$(B)/obj/%.o: src/%.S | $(GEN)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INC) -fPIE -MMD -MP -c $< -o $@

debug:
	$(MAKE) B=$(B)/debug CFLAGS="-O1 -g -DELFUSE_DEBUG"

-include $(OBJ:.o=.d)
include $(wildcard tests/*/rules.mk) $(wildcard bench/rules.mk) $(wildcard tools/rules.mk)

install: $(B)/elfuse
	install -D -m 755 $(B)/elfuse $(DESTDIR)$(PREFIX)/bin/elfuse
	install -D -m 644 docs/elfuse.1 $(DESTDIR)$(PREFIX)/share/man/man1/elfuse.1

# Formatting of everything; clang-tidy and cppcheck of the runtime with the flags it is built with (.clang-tidy).
LINT_C := $(sort $(wildcard src/*.c src/*/*.c))
FORMAT := $(sort $(LINT_C) $(wildcard src/*/*.h src/*/*/*.h tests/*/*.[ch] bench/*.[ch]))
lint: lint-format lint-tidy lint-cppcheck
lint-format:
	clang-format --dry-run --Werror $(FORMAT)
lint-tidy: $(GEN)
	clang-tidy --quiet --warnings-as-errors='*' $(LINT_C) -- $(filter-out $(NO_IDIOMS),$(FREE)) $(WARN) $(INC)
lint-cppcheck: $(GEN)
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,performance,portability \
	    --suppressions-list=.cppcheck $(INC) -DELFUSE_VERSION='"$(VERSION)"' $(LINT_C)

clean:
	rm -rf $(B)
