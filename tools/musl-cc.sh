#!/bin/bash
# Makes a cross compiler for arm64 musl out of the host's cross gcc and Debian's own musl packages.
#
#   tools/musl-cc.sh CACHE     leaves CACHE/musl-arm64-gcc, used like gcc, for dynamic and -static programs
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cache=$(cd "$1" && pwd)
[ -x "$cache/musl-arm64-gcc" ] && exit 0

"$here/deb-root.sh" only:arm64 "$cache/musl-arm64" musl musl-dev linux-libc-dev
musl=$cache/musl-arm64
headers=$musl/usr/include/aarch64-linux-musl
libs=$musl/usr/lib/aarch64-linux-musl

# The kernel's headers apart from glibc's, which lie in the same folders.
kernel=$musl.kernel
rm -rf "$kernel"
mkdir "$kernel"
ln -s "$musl/usr/include/linux" "$musl/usr/include/asm-generic" "$kernel"
ln -s "$musl/usr/include/aarch64-linux-gnu/asm" "$kernel/asm"

# What musl's own musl-gcc wrapper has, for the cross compiler.
cat >"$cache/musl-arm64.specs" <<SPECS
%rename cpp_options old_cpp_options

*cpp_options:
-nostdinc -isystem $headers -isystem include%s -isystem $kernel %(old_cpp_options)

*cc1:
%(cc1_cpu) -nostdinc -isystem $headers -isystem include%s -isystem $kernel

*link_libgcc:
-L$libs -L .%s

*libgcc:
libgcc.a%s %:if-exists(libgcc_eh.a%s)

*startfile:
%{!shared: $libs/Scrt1.o} $libs/crti.o crtbeginS.o%s

*endfile:
crtendS.o%s $libs/crtn.o

*link:
-dynamic-linker /lib/ld-musl-aarch64.so.1 -nostdlib %{shared:-shared} %{static:-static} %{rdynamic:-export-dynamic}

SPECS
cat >"$cache/musl-arm64-gcc.new" <<WRAPPER
#!/bin/sh
exec aarch64-linux-gnu-gcc "\$@" -specs "$cache/musl-arm64.specs"
WRAPPER
chmod +x "$cache/musl-arm64-gcc.new"
mv "$cache/musl-arm64-gcc.new" "$cache/musl-arm64-gcc"
