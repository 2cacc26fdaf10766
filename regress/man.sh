#!/bin/sh
# mandoc's lint over every page; and every program and file has a page.
set -u

cd "$(dirname "$0")/.."
bad=0
mandoc -Tlint -Wwarning man/*.[1-9] || bad=1
for p in shoald.8 shoald.conf.5 shoalctl.8 cryptod.8 netd.8 ctrld.8 dnsd.8 \
    portmapd.8 \
    coordd.8 coordd.conf.5 coordctl.8 derpd.8 derpd.conf.5; do
	[ -e "man/$p" ] || { echo "no man/$p"; bad=1; }
done
# The examples of the configuration pages must be accepted.
sh regress/examples.sh || bad=1
exit $bad
