#!/bin/sh
# The guest's kernel, as the host's distribution packages it. Debian: one package with modules. Ubuntu: the kernel and its modules apart, some
# modules in a third package; compressed modules; drivers that Debian has as modules built in; a kernel that only root may read.
#
# Usage: guest/kernel.sh metapackage [OS_RELEASE]   which metapackage names the kernel for virtual machines
#        guest/kernel.sh packages METAPACKAGE       the packages that it stands for, kernel first; fails when apt does not know it
#        guest/kernel.sh extra KERNEL_PACKAGE       the package with the modules that the others leave out; empty where there is none
#        guest/kernel.sh collect TREE LIST OUT      from the packages unpacked in TREE: OUT/vmlinuz, and of the modules in LIST, with what they
#                                                   depend on and without what is built in, OUT/modules/*.ko and OUT/modules/order.
#                                                   Exits 3 when a module is missing
set -eu
PATH=$PATH:/usr/sbin:/sbin

fail() { echo "$1" >&2; exit "${2:-1}"; }

depends_on() { apt-cache depends "$1" 2>/dev/null | sed -n "s/^ *Depends: \($2[0-9].*\)\$/\1/p" | head -n 1; }

# The distribution's own name, else the families it says it belongs to (Linux Mint is of "ubuntu debian").
metapackage() {
  file=${1:-/etc/os-release}
  # shellcheck disable=SC1090
  family=$(unset ID ID_LIKE; . "$file" 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}") || fail "$file cannot be read"
  for name in $family; do
    case $name in
      ubuntu) echo linux-image-virtual; return ;;
      debian) echo "linux-image-cloud-$(dpkg --print-architecture)"; return ;;
    esac
  done
  fail "the guest is built from packages of Debian or Ubuntu; $file says '$family'"
}

packages() {
  kernel=$(depends_on "$1" linux-image-)
  [ -n "$kernel" ] || return 1
  echo "$kernel"
  depends_on "$kernel" linux-modules-
}

extra() {
  name=linux-modules-extra-${1#linux-image-}
  if apt-cache show "$name" >/dev/null 2>&1; then echo "$name"; fi
}

collect() {
  tree=$1 list=$2 out=$3
  # Newer packages have them below /usr, where modprobe does not look in a tree of its own.
  [ -e "$tree/lib" ] || ln -s usr/lib "$tree/lib"
  release=$(ls "$tree/lib/modules")
  depmod -b "$tree" "$release"
  mkdir -p "$out/modules"
  cp "$tree/boot/vmlinuz-$release" "$out/vmlinuz"
  chmod 644 "$out/vmlinuz"
  found=$(grep -v '^#' "$list" | while read -r module; do
    modprobe -d "$tree" -S "$release" --show-depends "$module" ||
      fail "module $module is not in kernel $release" 3
  done) || exit 3
  echo "$found" | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r path; do
    name=$(basename "$path" | sed 's/\.\(zst\|xz\|gz\)$//')
    unpack "$path" >"$out/modules/$name"
    echo "$name"
  done >"$out/modules/order"
}

# The agent hands the kernel plain modules.
unpack() {
  case $1 in
    *.zst) zstd -dqc "$1" ;;
    *.xz) xz -dc "$1" ;;
    *.gz) gzip -dc "$1" ;;
    *) cat "$1" ;;
  esac
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
  metapackage | packages | extra | collect) "$command" "$@" ;;
  *) fail "usage: see the head of $0" 2 ;;
esac
