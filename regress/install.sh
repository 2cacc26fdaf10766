#!/bin/sh
# `make install` into a directory; the installed suite starts from there.
set -eu

cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
make -s install PREFIX="$tmp/p" >/dev/null
for f in sbin/shoald sbin/coordd sbin/coordctl bin/shoalctl \
    libexec/shoal/netd libexec/shoal/cryptod libexec/shoal/ctrld \
    libexec/shoal/dnsd libexec/shoal/portmapd libexec/coordd/frontd libexec/coordd/stored \
    libexec/coordd/cryptod share/man/man8/shoald.8 \
    share/man/man5/shoald.conf.5; do
	[ -e "$tmp/p/$f" ] || { echo "not installed: $f"; exit 1; }
done
make -s install PREFIX=/usr DESTDIR="$tmp/d" >/dev/null
[ -x "$tmp/d/usr/sbin/shoald" ] || { echo "DESTDIR is not used"; exit 1; }
if [ "$(id -u)" -eq 0 ] && [ -c /dev/net/tun ]; then
	SHOALD=$tmp/p/sbin/shoald COORDD=$tmp/p/sbin/coordd \
	    SHOALCTL=$tmp/p/bin/shoalctl COORDCTL=$tmp/p/sbin/coordctl \
	    sh regress/e2e/demo.sh
fi
