#!/bin/sh
# Builds the demo image, OUT (a docker-save archive named localhost/demo:1 and :latest), from Debian's busybox-static package:
# a shell, its tools, a web page, and nothing fetched from any image registry.
set -eu
out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download busybox-static >/dev/null 2>&1 || { apt-get update >/dev/null && apt-get download busybox-static >/dev/null; }
dpkg-deb -x busybox-static_*.deb deb
mkdir -p root/bin root/sbin root/usr/bin root/usr/sbin root/etc root/tmp root/root root/var/www root/proc root/sys root/dev root/run root/home
busybox=$(find deb -path "*/bin/busybox" -type f | head -n 1)
cp "$busybox" root/bin/busybox
chmod 755 root/bin/busybox
./root/bin/busybox --list-full >applets
while read -r applet; do
  case $applet in linuxrc) ;; *) [ -e "root/$applet" ] || [ -L "root/$applet" ] || ln -s /bin/busybox "root/$applet" ;; esac
done <applets
[ -L root/bin/sh ] || ln -s busybox root/bin/sh
chmod 1777 root/tmp
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >root/etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\n' >root/etc/group
printf '<!doctype html><title>Sampan</title><h1>Hello from a VM of its own</h1>\n' >root/var/www/index.html
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C root -cf layer.tar .
layer=$(sha256sum layer.tar | cut -d' ' -f1)
cat >config.json <<EOF
{"architecture":"amd64","os":"linux","created":"1970-01-01T00:00:00Z","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["sh"],"WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},"history":[{"created":"1970-01-01T00:00:00Z","created_by":"busybox-static"}]}
EOF
printf '[{"Config":"config.json","RepoTags":["localhost/demo:1","localhost/demo:latest"],"Layers":["layer.tar"]}]' >manifest.json
mkdir -p "$(dirname "$out")"
tar --sort=name --mtime=@0 -cf "$out.new" manifest.json config.json layer.tar
mv "$out.new" "$out"
