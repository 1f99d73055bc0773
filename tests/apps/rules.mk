# Real programs under elfuse. apps-quick is part of ./check; apps is the full set.

APPS_ELFUSE := $(abspath $(B)/elfuse)
NGINX_TESTS = $(PYTHON) tests/apps/nginx/run --cache $(CACHE) --runner "$(APPS_ELFUSE) --sysroot {root}"

.PHONY: apps apps-quick cli-tests

apps: $(B)/elfuse arm64-root native-root musl-root cli-tests
	$(NGINX_TESTS)

apps-quick: $(B)/elfuse arm64-root native-root musl-root
	$(NGINX_TESTS) --quick

cli-tests: $(B)/elfuse
	$(PYTHON) tests/apps/cli/run --elfuse $(APPS_ELFUSE)
