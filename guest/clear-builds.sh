#!/bin/sh
# clear-builds.sh SHELF: removes old builds of the guest. The three newest stay for those about to open them, and each that a process has open:
# its next machines boot from there. Links to those that went go with them.
set -eu
shelf=${1:?usage: clear-builds.sh SHELF}
ls -dt "$shelf"/????????????????-???????? 2>/dev/null | tail -n +4 | while read -r old; do
  [ -n "$(find /proc/[0-9]*/fd -maxdepth 1 \( -lname "$old" -o -lname "$old/*" \) -print -quit 2>/dev/null)" ] || rm -rf "$old"
done
find "$shelf" -maxdepth 1 -xtype l -delete
