#!/bin/bash
# Builds an arm64 nginx against musl, dynamically linked as in the Alpine image, from Debian's sources.
#
#   tools/musl-nginx.sh CACHE     leaves CACHE/musl-root/{lib/ld-musl-aarch64.so.1,usr/sbin/nginx}
#
# musl is Debian's own arm64 package; zlib and pcre2 are built from Debian's sources into the binary. TLS
# is left out: OpenSSL alone would take longer to build than everything else in the test set-up. So is
# auth_basic, because Debian's musl has no crypt().
# nginx's configure runs its test programs, so it is given a native musl compiler: type sizes and
# features are the same for both 64-bit architectures. The build then uses the cross compiler.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cache=$(cd "$1" && pwd)
root=$cache/musl-root
[ -e "$root/.complete" ] && exit 0

"$here/musl-cc.sh" "$cache"
"$here/deb-root.sh" source "$cache/source" nginx pcre2 zlib

musl=$cache/musl-arm64
work=$cache/musl-build
log=$work/log
rm -rf "$work" "$root"
mkdir -p "$work/native-linux" "$root/lib" "$root/usr/sbin"

# The native compiler needs the kernel's headers as well, and nginx includes crypt.h even when it does
# not use it.
ln -s /usr/include/linux /usr/include/asm-generic "$work/native-linux"
ln -s /usr/include/x86_64-linux-gnu/asm "$work/native-linux/asm"
touch "$work/crypt.h"
cat >"$work/native-cc" <<WRAPPER
#!/bin/sh
exec musl-gcc "\$@" -idirafter "$work/native-linux"
WRAPPER
cat >"$work/cross-cc" <<WRAPPER
#!/bin/sh
exec "$cache/musl-arm64-gcc" "\$@" -idirafter "$work"
WRAPPER
chmod +x "$work/native-cc" "$work/cross-cc"

fail() {
    tail -20 "$log" >&2
    echo "musl-nginx: $1 failed; the log is $log" >&2
    exit 1
}
cp -a "$cache/source/nginx" "$cache/source/pcre2" "$cache/source/zlib" "$work"
cd "$work/nginx"
[ -e configure ] || cp auto/configure configure
./configure --crossbuild=Linux:6.1:aarch64 --with-cc="$work/native-cc" --with-cc-opt="-O2 -fPIE" \
    --with-ld-opt="-pie" --prefix=/var/lib/nginx --sbin-path=/usr/sbin/nginx \
    --conf-path=/etc/nginx/nginx.conf --http-log-path=/var/log/nginx/access.log \
    --error-log-path=/var/log/nginx/error.log --pid-path=/run/nginx.pid --with-threads --with-file-aio \
    --with-pcre="$work/pcre2" --with-zlib="$work/zlib" --with-http_realip_module \
    --with-http_stub_status_module --with-http_gzip_static_module --with-http_gunzip_module \
    --without-http_auth_basic_module \
    </dev/null >"$log" 2>&1 || fail "nginx's configure"
sed -i -e "s#$work/native-cc#$work/cross-cc#g" -e "s#\./configure --disable-shared#& --host=aarch64-linux-gnu#" objs/Makefile
make -j"$(nproc)" -f objs/Makefile binary </dev/null >>"$log" 2>&1 || fail "nginx's build"
aarch64-linux-gnu-strip -o "$root/usr/sbin/nginx" objs/nginx || fail "strip"
cp -L "$musl/lib/aarch64-linux-musl/libc.so" "$root/lib/ld-musl-aarch64.so.1"
ln -s ld-musl-aarch64.so.1 "$root/lib/libc.musl-aarch64.so.1"
ln -s ld-musl-aarch64.so.1 "$root/lib/libc.so"
rm -rf "$work"
touch "$root/.complete"
