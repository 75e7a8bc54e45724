#!/bin/bash
# The handler "namespace" on a host that has control groups of version 2 alone: a virtual machine with the distribution's kernel, whose disk holds Node, this
# repository and the programs of this host that the tests call, runs test files in it. For machines that are no such host themselves.
#
# Usage: tools/v2-host/run.sh [TEST FILE...]     default: platform/test/integration/runtime-host.test.ts
#        SAMPAN_GUEST_DIR                        the guest as ./sampan up or ./sampan test has built it
# Needs root, qemu-system-x86, e2fsprogs, busybox-static, kmod, cpio. Takes a minute or two without hardware virtualisation. Exits 1 when a test fails.
set -eu
PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")/../.." && pwd)
guest=${SAMPAN_GUEST_DIR:?is not set: name the directory with the guest that was built, below /var/cache/sampan/guest}
[ $# -gt 0 ] || set -- platform/test/integration/runtime-host.test.ts
tests=$(IFS=,; echo "$*")
work=$(mktemp -d /var/tmp/sampan-v2-host-XXXXXX)
trap 'rm -rf "$work"' EXIT
kernel=$(sh "$here/guest/kernel.sh" packages "$(sh "$here/guest/kernel.sh" metapackage)")
mkdir "$work/kernel" "$work/debs"
chmod 777 "$work" "$work/debs"
# shellcheck disable=SC2086
(cd "$work/debs" && apt-get download -q $kernel >/dev/null)
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/kernel"; done
release=$(ls "$work/kernel/lib/modules")
depmod -b "$work/kernel" "$release"

root=$work/root
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,usr/lib/modules,proc,sys,dev,tmp,run,etc,var/cache/sampan/test-images,var/tmp,repository,guest,host}
ln -s usr/lib "$root/lib"

# A program with the libraries it is linked with.
add() {
  local program file library
  for program in "$@"; do
    file=$(type -P "$program" || true)
    [ -n "$file" ] || { echo "$program is missing" >&2; exit 1; }
    mkdir -p "$root$(dirname "$file")"
    [ -e "$root$file" ] || cp -L "$file" "$root$file"
    { ldd "$file" 2>/dev/null || true; } | { grep -oE '/[^ ]+\.so[^ ]*' || true; } | while read -r library; do
      mkdir -p "$root$(dirname "$library")"
      [ -e "$root$library" ] || cp -L "$library" "$root$library"
    done
  done
}
add bash dash ip tc nft tar gzip zstd xz chmod mknod readlink touch mv ln head tail cat sleep cp rm ls mkdir env id true ps grep sed flock sysctl \
  nsenter unshare mount umount losetup modprobe mkfs.ext4 mkfs.erofs
ln -sf "$(type -P dash)" "$root/bin/sh"
[ -e "$root/sbin/modprobe" ] || ln -s "$(type -P modprobe)" "$root/sbin/modprobe"
node=$(readlink -f "$(type -P node)")
add "$node"
cp -a "$work/kernel/lib/modules/$release" "$root/usr/lib/modules/"
cp -L "$guest"/* "$root/guest/"
cp "${SAMPAN_CACHE:-/var/cache/sampan}/test-images/busybox.tar" "$root/var/cache/sampan/test-images/"
# The tests look for what virtual machines need too; none is made here.
touch "$root/host/sampan-launch" "$root/usr/bin/qemu-system-x86_64"
printf 'root:x:0:0::/:/bin/sh\n' >"$root/etc/passwd"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
: >"$root/etc/resolv.conf"
(cd "$here" && tar c --exclude=node_modules api platform cli package.json tsconfig.json) | tar x -C "$root/repository"
mkdir "$root/repository/node_modules"
# What the server runs with, and no tool of development.
for module in "$here"/node_modules/*; do
  case ${module##*/} in
    typescript | @typescript | @biomejs) ;;
    # Links to this repository's own packages stay links.
    @sampan) cp -a "$module" "$root/repository/node_modules/" ;;
    *) cp -aL "$module" "$root/repository/node_modules/" ;;
  esac
done
cat >"$root/run-tests" <<X
export PATH=$(dirname "$node"):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/
export SAMPAN_GUEST_DIR=/guest SAMPAN_HOST_DIR=/host SAMPAN_CACHE=/var/cache/sampan
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mkdir -p /dev/shm /dev/pts; mount -t devpts pts /dev/pts
for place in /dev/shm /run /tmp; do mount -t tmpfs tmpfs \$place; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up; modprobe loop max_loop=0
grep cgroup /proc/mounts; cat /sys/fs/cgroup/cgroup.controllers
cd /repository; for file in $(echo "$tests" | tr , ' '); do
  node --test-force-exit --test-reporter=tap --disable-warning=ExperimentalWarning \$file; echo "RESULT \$file \$?"
done
echo o >/proc/sysrq-trigger; sleep 10
X

init=$work/init
mkdir -p "$init"/{bin,modules,proc,dev,new}
cp "$(type -P busybox)" "$init/bin/"
ln -s busybox "$init/bin/sh"
number=10
for module in virtio_blk virtio_pci; do modprobe -d "$work/kernel" -S "$release" --show-depends "$module"; done |
  sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$work/order"
while read -r module; do
  cp "$module" "$init/modules/$number-${module##*/}"
  number=$((number + 1))
done <"$work/order"
cat >"$init/init" <<'X'
#!/bin/sh
/bin/busybox mount -t proc proc /proc; /bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /bin/busybox insmod $module; done
/bin/busybox sleep 0.3; /bin/busybox mount -t ext4 /dev/vda /new
exec /bin/busybox switch_root /new /bin/sh /run-tests
X
chmod +x "$init/init"
(cd "$init" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"
mke2fs -q -t ext4 -O ^has_journal -d "$root" "$work/disk" 1500M

timeout 900 qemu-system-x86_64 -M q35 -cpu max -m 3072 -smp 2 -nographic -no-reboot -kernel "$work/kernel/boot/vmlinuz-$release" \
  -initrd "$work/initrd" -drive "file=$work/disk,if=virtio,format=raw,cache=unsafe" \
  -append 'console=ttyS0 quiet panic=-1 reboot=t' </dev/null | tee "$work/output" | tr -d '\r'
passed=$(grep -cE '^RESULT .* 0.?$' "$work/output" || true)
[ "$passed" -eq $# ]
