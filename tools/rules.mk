# Library roots for guests, unpacked or built into the build folder's cache.

CACHE := $(B)/cache

.PHONY: arm64-root native-root musl-root musl-cc

arm64-root:
	tools/deb-root.sh arm64 $(CACHE)/debian-arm64 nginx

native-root:
	tools/deb-root.sh amd64 $(CACHE)/debian-amd64 nginx

musl-root:
	tools/musl-nginx.sh $(CACHE)

musl-cc:
	tools/musl-cc.sh $(CACHE)

check:
	./check
