#!/bin/sh
# Builds the host's own programs into OUTDIR: sampan-launch (static). Run again with nothing changed, it ends at once.
set -eu
out=${1:?usage: host/build.sh OUTDIR}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

for tool in cargo cc; do
  command -v "$tool" >/dev/null 2>&1 || { echo "host/build.sh: $tool is not installed (apt-get install cargo gcc libc6-dev)" >&2; exit 1; }
done

key=$(cd "$here" && cat build.sh launcher/Cargo.toml launcher/Cargo.lock launcher/src/*.rs | sha256sum | cut -c1-16)
if [ -x "$out/sampan-launch" ] && [ "$(cat "$out/version" 2>/dev/null)" = "$key" ]; then
  echo "host programs $key are built"
  exit 0
fi

mkdir -p "$out"
build=$(mktemp -d "$out/.build.XXXXXX")
trap 'rm -rf "$build"' EXIT
# Debian's own copy of the crate (librust-libc-dev), where it is the version of Cargo.lock: then the build needs no network.
crates=/usr/share/cargo/registry
version=$(sed -n '/name = "libc"/{n;s/version = "\(.*\)"/\1/p;}' "$here/launcher/Cargo.lock")
set --
[ -d "$crates/libc-$version" ] &&
  set -- --config='source.crates-io.replace-with="debian"' --config="source.debian.directory=\"$crates\""

echo "building sampan-launch ($key)"
cd "$here/launcher"
# glibc's target links statically too; no musl toolchain is asked of the machine.
RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR="$build" \
  cargo build --release --locked --quiet "$@" --target "$(rustc -vV | sed -n 's/^host: //p')"
find "$build" -path '*/release/sampan-launch' -type f -exec mv {} "$out/.sampan-launch.new" \;
mv "$out/.sampan-launch.new" "$out/sampan-launch"
echo "$key" > "$out/version"
