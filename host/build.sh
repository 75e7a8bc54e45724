#!/bin/sh
# Builds the host's own programs into OUTDIR: sampan-launch, sampan-runtime (static). Run again with nothing changed, it ends at once.
set -eu
out=${1:?usage: host/build.sh OUTDIR}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

for tool in cargo cc; do
  command -v "$tool" >/dev/null 2>&1 || { echo "host/build.sh: $tool is not installed (apt-get install cargo gcc libc6-dev)" >&2; exit 1; }
done

key=$(cd "$here" && cat build.sh ./*/Cargo.toml ./*/Cargo.lock ./*/src/* | sha256sum | cut -c1-16)
if [ -x "$out/sampan-launch" ] && [ -x "$out/sampan-runtime" ] && [ -x "$out/containerd-shim-sampan-v2" ] && [ "$(cat "$out/version" 2>/dev/null)" = "$key" ]; then
  echo "host programs $key are built"
  exit 0
fi

mkdir -p "$out"
build=$(mktemp -d "$out/.build.XXXXXX")
trap 'rm -rf "$build"' EXIT
# Debian's own copies of the crates (librust-libc-dev, librust-serde-json-dev), where they are the versions of Cargo.lock: then the build needs
# no network.
crates=/usr/share/cargo/registry
set --
[ -d $crates/libc-0.2.139 ] && [ -d $crates/serde_json-1.0.87 ] && [ -d $crates/serde-1.0.152 ] &&
  set -- --config='source.crates-io.replace-with="debian"' --config="source.debian.directory=\"$crates\""

# glibc's target links statically too; no musl toolchain is asked of the machine.
triple=$(rustc -vV | sed -n 's/^host: //p')
for made in launcher/sampan-launch oci/sampan-runtime shim/containerd-shim-sampan-v2; do
  program=${made#*/}
  echo "building $program ($key)"
  (cd "$here/${made%/*}" && RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR="$build" \
    cargo build --release --locked --quiet "$@" --target "$triple")
  mv "$build/$triple/release/$program" "$out/.$program.new"
  mv "$out/.$program.new" "$out/$program"
done
# The same under other names: tasks and containers of the handler `namespace`.
ln -sf containerd-shim-sampan-v2 "$out/containerd-shim-sampan-namespace-v2"
ln -sf sampan-runtime "$out/sampan-runtime-namespace"
echo "$key" > "$out/version"
