#!/bin/sh
# Builds a static crun from the source of the host distribution's own crun package: without shared libraries a container starts about 100 ms
# sooner in an emulated machine, where every new line of code has to be translated.
#
# Usage: guest/build-crun.sh SHELF OUT      (a fresh crun is kept in SHELF by version; OUT is the file to write)
# Needs: gcc, make, patch, xz, and apt with a network the first time. The -dev packages it links are unpacked beside the source, not installed.
set -eu

shelf=$1
out=$2
arch=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch)
work=$(mktemp -d "$shelf/.crun.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
for tool in gcc make patch xz; do
  command -v $tool >/dev/null 2>&1 || { echo "'$tool' is not installed" >&2; exit 1; }
done

version=$(apt-cache policy crun | sed -n 's/^ *Candidate: *//p')
kept=$shelf/crun-$(echo "$version $(cat "$0")" | sha256sum | cut -c1-12)
if [ -x "$kept" ]; then
  cp "$kept" "$out"
  exit 0
fi

# apt with lists of its own, so that the host's need no deb-src entries. Only of the distribution itself: others may have no sources.
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source" "$work/sysroot"
chmod -R a+rx "$work"
apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)' 'Created-By: Packages' |
  sed -n -E 's/^(Debian|Ubuntu)\|/\1|/p' | sort -u | while IFS='|' read -r _ uri release component key; do
    case $key in /*) key="[signed-by=$key] " ;; *) key= ;; esac
    echo "deb-src $key$uri $release $component"
  done >"$work/sources.list"
own_lists() {
  apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" "$@"
}
own_lists update
cd "$work/source"
own_lists source --download-only "crun=$version"
(cd "$work/cache" && apt-get download -q libcap-dev libseccomp-dev libyajl-dev)
for deb in "$work"/cache/*.deb; do dpkg-deb -x "$deb" "$work/sysroot"; done
libraries=$work/sysroot/usr/lib/$arch
ln -s libyajl_s.a "$libraries/libyajl.a"
# Only the archives: a leftover link to a shared library would send the linker looking for it.
rm -f "$libraries"/*.so

for archive in crun_*.tar.*z; do tar xf "$archive"; done
cd crun-*/
sed 's/#.*//' ../debian/patches/series 2>/dev/null | while read -r name _; do
  [ -z "$name" ] || patch -p1 <"../debian/patches/$name"
done
# libgcrypt only names a cache of seccomp programs that we do not use.
ac_cv_search_gcry_check_version=no YAJL_CFLAGS=' ' YAJL_LIBS=-lyajl ./configure -q --disable-systemd --disable-dl --disable-criu --disable-shared \
  CPPFLAGS="-I$work/sysroot/usr/include -I$work/sysroot/usr/include/$arch" \
  LDFLAGS="-L$libraries" CFLAGS='-Os -ffunction-sections -fdata-sections'
[ -f git-version.h ] || echo '#define GIT_VERSION "distribution source"' >git-version.h
static="-all-static -Wl,--gc-sections -L$libraries"
# Its makefiles have been seen to fail when run in parallel; what is missing is then made one by one.
make -j"$(nproc)" crun LDFLAGS="$static" || make crun LDFLAGS="$static"
strip crun
./crun --version | head -n 1
cp crun "$kept.new" && mv "$kept.new" "$kept"
cp "$kept" "$out"
