# make unit: every tests/unit/test_NAME.c as a hosted cmocka program, built with assertions and run.
#
# A test that needs more than its own file says so in tests/unit/test_NAME.mk:
#   UNIT_SRC_NAME    further sources it links (the pure parts it tests)
#   UNIT_FLAGS_NAME  compiler flags
#   UNIT_LIBS_NAME   libraries
# make asan runs the same programs under AddressSanitizer and UndefinedBehaviorSanitizer.

UNIT_NAMES := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
-include $(wildcard tests/unit/test_*.mk)

.PHONY: unit $(UNIT_NAMES:%=unit-%)
check: unit
unit: $(UNIT_NAMES:%=unit-%)

$(UNIT_NAMES:%=unit-%): unit-%: $(B)/unit/%
	$<

# One compiler call per program: hosted objects must not mix with the freestanding ones of $(B)/obj.
.SECONDEXPANSION:
$(UNIT_NAMES:%=$(B)/unit/%): $(B)/unit/%: tests/unit/test_%.c $$(UNIT_SRC_$$*) $(wildcard src/*/*.h) \
        $(wildcard src/*/*.def) $(wildcard tests/unit/*.h) tests/unit/rules.mk | $(GEN)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -std=gnu11 -D_GNU_SOURCE -DELFUSE_HOSTED -DELFUSE_DEBUG $(WARN) $(INC) $(UNIT_FLAGS_$*) \
	    -DELFUSE_VERSION='"$(VERSION)"' $< $(UNIT_SRC_$*) -o $@ -lcmocka $(UNIT_LIBS_$*)

asan:
	$(MAKE) B=$(B)/asan unit \
	    CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
