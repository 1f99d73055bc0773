#!/bin/bash
# Installs the Debian packages that a job needs and this machine lacks.
#
#   tools/setup.sh build | demo | test | lint
#
# Each job includes the ones before it except lint, which stands alone. Needs root (or sudo) only when
# something is missing. Nothing arm64 is installed on the host: see tools/deb-root.sh for that.
set -eu

build="gcc libc6-dev make python3 gcc-aarch64-linux-gnu"  # the vDSO is AArch64 code
demo="$build dpkg-dev procps wrk ca-certificates"
test="$demo libc6-dev-arm64-cross qemu-user libcapstone-dev libcmocka-dev
      pkg-config musl-tools xz-utils bzip2 patch strace"
lint="$build clang clang-format clang-tidy cppcheck libcapstone-dev libcmocka-dev"

case ${1:-} in
build) wanted=$build ;;
demo) wanted=$demo ;;
test) wanted=$test ;;
lint) wanted=$lint ;;
*)
    echo "usage: tools/setup.sh build | demo | test | lint" >&2
    exit 2
    ;;
esac

missing=
for package in $wanted; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
        missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "setup: missing packages; as root run: apt-get install$missing" >&2
        exit 1
    }
    as_root=sudo
fi
echo "setup: installing$missing"
log=$(mktemp)
if ! {
    $as_root apt-get -o Acquire::Retries=3 update &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 install -y \
            --no-install-recommends $missing
} </dev/null >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "setup: apt-get failed (above); install by hand:$missing" >&2
    rm -f "$log"
    exit 1
fi
rm -f "$log"
