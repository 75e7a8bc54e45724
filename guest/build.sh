#!/bin/sh
# Builds what a Sampan machine boots from Debian's or Ubuntu's packages and the agent's source:
#
#   OUTDIR/vmlinuz        the distribution's kernel for virtual machines (guest/kernel.sh)
#   OUTDIR/initrd.img     the agent as /init, and the kernel modules it loads
#   OUTDIR/rootfs.erofs   the miniOS: crun, its libraries, empty directories
#   OUTDIR/agent          the agent by itself, for machines on the host (vmm/namespace)
#   OUTDIR/version        names this very content
#
# Usage: guest/build.sh [--refresh] OUTDIR
# OUTDIR becomes a symbolic link to a directory named by the version that stands beside it: whoever boots from it
# resolves the link first, so that a later build cannot change the files under a template. With nothing changed in guest/ a second
# run does nothing; --refresh looks for newer packages. Needs root only for the host's apt.
# Host packages: cargo, gcc, libc6-dev, make, patch, xz-utils, cpio, kmod, erofs-utils; with librust-libc-dev and librust-serde-json-dev the
# crates need no network.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
refresh=no
[ "${1:-}" = --refresh ] && { refresh=yes; shift; }
[ $# -eq 1 ] || { echo "usage: guest/build.sh [--refresh] OUTDIR" >&2; exit 2; }
case $1 in /*) out=$1 ;; *) out=$PWD/$1 ;; esac
shelf=$(dirname "$out")
arch=$(dpkg --print-architecture)
triple=$(uname -m)-unknown-linux-gnu
step_name='start'

say() { step_name=$1; echo "guest: $1"; }
fail() { echo "guest: FAILED while: $step_name: $1" >&2; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || fail "'$1' is not installed; apt-get install $2"; }

sources_hash() {
  (cd "$here" && find agent/src agent/Cargo.toml agent/Cargo.lock build.sh build-crun.sh kernel.sh modules modules-later -type f | LC_ALL=C sort | xargs sha256sum; echo "$arch") |
    sha256sum | cut -c1-16
}

sources=$(sources_hash)
if [ $refresh = no ] && [ "$(cat "$out/sources" 2>/dev/null)" = "$sources" ]; then
  echo "guest: $(cat "$out/version") is up to date"
  exit 0
fi

say 'checking tools'
need apt-get apt; need dpkg-deb dpkg; need cargo cargo; need cc gcc; need cpio cpio; need depmod kmod; need xz xz-utils; need mkfs.erofs erofs-utils
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$shelf"
work=$(mktemp -d "$shelf/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
exec 9>"$shelf/.lock"
command -v flock >/dev/null && flock 9

# --- packages -------------------------------------------------------------------------------------------------------

closure() {
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
    grep -E '^[a-z0-9]' | grep -vE '^(debconf|gcc-|cdebconf|perl|dpkg|install-info|libelogind)' | sort -u
}

say 'finding packages'
metapackage=$(sh "$here/kernel.sh" metapackage 2>"$work/log") || fail "$(cat "$work/log")"
kernel=$(sh "$here/kernel.sh" packages "$metapackage") || {
  apt-get update -q >"$work/log" 2>&1 || fail "apt-get update: $(tail -n 3 "$work/log")"
  kernel=$(sh "$here/kernel.sh" packages "$metapackage") ||
    fail "apt knows no $metapackage; apt-cache policy $metapackage shows from which sources it could come"
}
kernel=$(echo $kernel)
packages=$kernel

# A static crun starts faster, but needs the source; the package's own works as well.
say "building crun (a minute, the first time)"
mkdir -p "$work/debian/usr/bin"
if sh "$here/build-crun.sh" "$shelf" "$work/debian/usr/bin/crun" >"$work/log" 2>&1; then
  crun_build="static $(sha256sum <"$work/debian/usr/bin/crun" | cut -c1-16)"
else
  echo "guest: WARNING: crun could not be built ($(grep 'error:' "$work/log" | tail -n 1 || tail -n 1 "$work/log")); taking the package's: containers start slower"
  packages="$kernel $(closure crun | tr '\n' ' ')"
  crun_build=package
fi

# Downloads into debs/, with fresh package lists when the ones at hand are too old.
download() {
  # shellcheck disable=SC2086
  (cd "$work/debs" && apt-get download -q $1) >"$work/log" 2>&1 || {
    apt-get update -q >>"$work/log" 2>&1 || true
    # shellcheck disable=SC2086
    (cd "$work/debs" && apt-get download -q $1) >"$work/log" 2>&1 || fail "$(tail -n 3 "$work/log")"
  }
}

unpack() {
  case ${1##*/} in linux-image-* | linux-modules-*) into=$work/kernel ;; *) into=$work/debian ;; esac
  dpkg-deb -x "$1" "$into" 2>"$work/log" || fail "$(cat "$work/log")"
}

say "downloading $packages"
mkdir "$work/debs" && chmod 777 "$work" "$work/debs"
download "$packages"
say 'unpacking'
for deb in "$work"/debs/*.deb; do unpack "$deb"; done
made=$work/made
initrd=$work/initrd
mkdir -p "$made" "$initrd"
# Those of each group that containers may come to need lie in a directory of their own.
collect() {
  sh "$here/kernel.sh" collect "$work/kernel" "$here/modules" "$initrd" >"$work/log" 2>&1 || return
  for group in $(sed '/^#/d; s/ .*//' "$here/modules-later" | sort -u); do
    sed -n "s/^$group //p" "$here/modules-later" >"$work/list"
    sh "$here/kernel.sh" collect "$work/kernel" "$work/list" "$work/later/$group" >"$work/log" 2>&1 || return
  done
}
collect || {
  [ $? = 3 ] || fail "$(tail -n 3 "$work/log")"
  # Some modules may stand in a package that a virtual machine does not have by itself.
  extra=$(sh "$here/kernel.sh" extra "${kernel%% *}")
  [ -n "$extra" ] || fail "$(cat "$work/log")"
  say "downloading $extra: $(cat "$work/log")"
  download "$extra"
  unpack "$work/debs/$extra"_*.deb
  rm -rf "$initrd/modules" "$work/later"
  collect || fail "$(tail -n 3 "$work/log")"
}
mv "$initrd/vmlinuz" "$made/vmlinuz"
version=$( (echo "$sources $crun_build"; cd "$work/debs" && ls) | sha256sum | cut -c1-16)

# --- agent ----------------------------------------------------------------------------------------------------------

# Debian's own copies of the crates, where they have exactly the versions of Cargo.lock.
crates=/usr/share/cargo/registry
crate_options() {
  [ -d $crates/libc-0.2.139 ] && [ -d $crates/serde_json-1.0.87 ] && [ -d $crates/serde-1.0.152 ] || return 0
  echo "--config=source.crates-io.replace-with=\"debian\" --config=source.debian.directory=\"$crates\""
}

say "building the agent with $(cargo --version)"
# A target directory of its own: cargo judges by the time of files, and takes one checkout's agent for another's.
# shellcheck disable=SC2046
(cd "$here/agent" && RUSTFLAGS='-C target-feature=+crt-static' CARGO_TARGET_DIR="$work/target" \
  cargo build --release --locked --target "$triple" $(crate_options)) >"$work/log" 2>&1 || { cat "$work/log" >&2; fail 'cargo build'; }
agent=$work/target/$triple/release/sampan-agent

# --- initrd ---------------------------------------------------------------------------------------------------------

say 'packing the initrd'
mkdir -p "$initrd/dev" "$initrd/proc" "$initrd/sys"
cp "$agent" "$initrd/init"
cp "$agent" "$made/agent"
find "$initrd" -exec touch -h -d @0 {} +
(cd "$initrd" && find . | LC_ALL=C sort | cpio --quiet --reproducible -R 0:0 -o -H newc) >"$made/initrd.img" || fail 'cpio'

# --- miniOS ---------------------------------------------------------------------------------------------------------

say 'packing the miniOS'
root=$work/root
for place in dev proc sys run tmp etc usr/bin usr/lib lib64; do mkdir -p "$root/$place"; done
ln -s usr/bin "$root/bin"; ln -s usr/lib "$root/lib"
for name in hostname machine-id resolv.conf; do ln -s /run/sampan/etc/$name "$root/etc/$name"; done
printf 'root:x:0:0:root:/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
cp "$work/debian/usr/bin/crun" "$root/usr/bin/"
mkdir "$root/usr/lib/modules"
for group in "$work"/later/*; do mv "$group/modules" "$root/usr/lib/modules/${group##*/}"; done

# Copies the libraries that a binary asks for, found in the unpacked packages, not on the host.
copy_libraries() {
  objdump -p "$1" | sed -n 's/^ *NEEDED *//p' | while read -r library; do
    [ -e "$root/usr/lib/$library" ] && continue
    found=$(find "$work/debian/lib" "$work/debian/usr/lib" -name "$library" | head -n 1)
    [ -n "$found" ] || exit 1
    case $library in ld-*) cp -L "$found" "$root/lib64/$library" ;; *) cp -L "$found" "$root/usr/lib/$library" ;; esac
    copy_libraries "$found"
  done
}
copy_libraries "$root/usr/bin/crun" || fail 'a library that crun needs is in none of its packages'
[ "$crun_build" != package ] || [ "$(ls "$root/lib64")" ] || cp -L "$(find "$work/debian" -name 'ld-linux*.so*' | head -n 1)" "$root/lib64/"
mkfs.erofs --all-root -T 0 -U 00000000-0000-0000-0000-000000000000 "$made/rootfs.erofs" "$root" >"$work/log" 2>&1 ||
  fail "mkfs.erofs: $(tail -n 3 "$work/log")"

# --- publish --------------------------------------------------------------------------------------------------------

(cd "$work/debs" && ls; echo "crun $crun_build") >"$made/packages"
echo "$sources" >"$made/sources"
version=$version-$(cat "$made/vmlinuz" "$made/initrd.img" "$made/rootfs.erofs" | sha256sum | cut -c1-8)
echo "$version" >"$made/version"
chmod 755 "$made" && chmod 644 "$made"/* && chmod 755 "$made/agent"
rm -rf "$shelf/$version" && mv "$made" "$shelf/$version"
[ -L "$out" ] || rm -rf "$out"
ln -s "$version" "$out.new" && mv -T "$out.new" "$out"
sh "$here/clear-builds.sh" "$shelf"
say "built $version: $(cd "$out/" && du -h vmlinuz initrd.img rootfs.erofs | awk '{printf "%s %s  ", $2, $1}')"
