#!/bin/bash
# Unpacks Debian packages of any architecture, with everything they depend on, into a folder.
#
#   tools/deb-root.sh ARCH DIR PACKAGE...        binary packages and their dependencies into DIR
#   tools/deb-root.sh only:ARCH DIR PACKAGE...   just these binary packages into DIR
#   tools/deb-root.sh source DIR PACKAGE...      source packages, unpacked and patched, into DIR/NAME
#
# apt resolves the dependencies, with a package database, cache and architecture of its own that live in
# DIR.apt, so the host's apt and dpkg are neither changed nor asked, and root is not needed. Only the
# host's Debian entries in /etc/apt are read. DIR is complete when DIR/.complete exists.
set -eu

arch=$1
dir=$2
shift 2
packages=$*
[ -n "$packages" ]
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ "$(cat "$dir/.complete" 2>/dev/null)" = "$packages" ] && exit 0
rm -f "$dir/.complete"

apt=$dir.apt
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/parts" "$apt/source"
: >"$apt/status"
: >"$apt/sources.list"

# The host's Debian archives, with sources enabled; other vendors' archives are left out.
types="deb"
[ "$arch" = source ] && types="deb-src"
rm -f "$apt"/parts/*
for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    awk -v types="$types" 'BEGIN { RS = ""; ORS = "\n\n" }
        /URIs:[^\n]*\/debian(-security)?\/?[ \n]/ && !/Enabled: no/ {
            sub(/Types:[^\n]*/, "Types: " types); print }' "$file" >"$apt/parts/$(basename "$file")"
done
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$file" ] || continue
    sed -nE "s#^deb (\\[[^]]*\\] )?(.*/debian(-security)?/? .*)#$types \\1\\2#p" "$file" |
        sort -u >>"$apt/sources.list"
done

real_arch=${arch#only:}
[ "$arch" = source ] && real_arch=$(dpkg --print-architecture)
options=(
    -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
    -o "Dir::Etc::sourcelist=$apt/sources.list" -o "Dir::Etc::sourceparts=$apt/parts"
    -o "APT::Architecture=$real_arch" -o "APT::Architectures=$real_arch"
    -o "Acquire::Languages=none" -o "Acquire::Retries=3" -o "APT::Sandbox::User="
    -o "APT::Install-Recommends=false" -o "Debug::NoLocking=true"
)

log=$apt/log
fail() {
    tail -20 "$log" >&2
    echo "deb-root: $1 failed for $arch $packages; the log is $log" >&2
    exit 1
}
apt-get "${options[@]}" update </dev/null >"$log" 2>&1 || fail "apt-get update"

if [ "$arch" = source ]; then
    . /etc/os-release
    cd "$apt/source"
    for package in $packages; do
        rm -rf "${dir:?}/$package" "$package"_*
        # The newest version, else the release's own; a mirror that lacks the patches of both (security
        # updates are not always mirrored as source) still has the upstream archive.
        if apt-get "${options[@]}" source --download-only "$package" </dev/null >>"$log" 2>&1 ||
            apt-get "${options[@]}" source --download-only "$package/$VERSION_CODENAME" \
                </dev/null >>"$log" 2>&1; then
            dpkg-source --no-check -x "$package"_*.dsc "$dir/$package" </dev/null >>"$log" 2>&1 ||
                fail "dpkg-source -x $package"
        else
            apt-get "${options[@]}" source --tar-only --download-only "$package" </dev/null \
                >>"$log" 2>&1 || fail "apt-get source"
            mkdir "$dir/$package"
            tar -x --strip-components=1 -C "$dir/$package" -f "$package"_*.orig.tar.* >>"$log" 2>&1 ||
                fail "unpacking $package"
        fi
    done
else
    if [ "$arch" != "$real_arch" ]; then
        (cd "$apt/cache/archives" && apt-get "${options[@]}" download $packages) </dev/null \
            >>"$log" 2>&1 || fail "apt-get download"
    else
        apt-get "${options[@]}" install -y --download-only $packages </dev/null >>"$log" 2>&1 ||
            fail "apt-get install --download-only"
    fi
    for deb in "$apt"/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$dir" >>"$log" 2>&1 || fail "dpkg-deb -x $deb"
    done
fi
echo "$packages" >"$dir/.complete"
