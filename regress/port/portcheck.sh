#!/bin/sh
# Compile for OpenBSD and FreeBSD with the clang, headers and libc stubs of
# PyPI's ziglang (pip install ziglang); headers of libraries that it has not
# are this machine's, which are the same everywhere, and event.h is a stub of
# the permitted subset.
# It cannot run there: but an unknown function, flag or member is an error.
set -u

cd "$(dirname "$0")/../.."
: "${ZIGCC:=python3 -m ziglang cc}"
$ZIGCC --version >/dev/null 2>&1 || {
	echo "skip portcheck: no ziglang (pip install ziglang; or set ZIGCC)"
	exit 0
}
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
for h in /usr/include/jansson.h /usr/include/jansson_config.h \
    /usr/include/*/jansson_config.h /usr/include/openssl \
    /usr/include/*/openssl /usr/include/sodium /usr/include/sodium.h \
    /usr/include/nghttp2 /usr/include/zstd.h /usr/include/sqlite3.h \
    /usr/include/expat.h /usr/include/expat_external.h; do
	[ ! -e "$h" ] || cp -r "$h" "$TMP/"
done
# What is asked of one kernel only leaves variables unused on the others.
FLAGS="-std=c11 -Wall -Wextra -Wno-unused-parameter -Wno-unused-variable
    -Werror
    -Wno-unused-command-line-argument -Iregress/port/include -isystem $TMP
    -Iimsg -Iproto -Icompat -include compat/missing.h -DEMPTY_DIR=\"/var/empty\""

nok=0 nbad=0
try()	# system file
{
	# The flags are words.
	# shellcheck disable=SC2086
	if $ZIGCC -target "x86_64-$1" $FLAGS -I"$(dirname "$2")" -c \
	    -o "$TMP/o" "$2" >"$TMP/log" 2>&1; then
		nok=$((nok + 1))
	else
		nbad=$((nbad + 1))
		echo "not ok $1: $2"
		sed 's/^/#	/' "$TMP/log" | head -n 8
	fi
}

for os in openbsd freebsd; do
	for f in imsg/*.c proto/*.c cryptod/*.c netd/*.c ctrld/*.c dnsd/*.c \
	    portmapd/*.c \
	    parent/*.c shoalctl/*.c coordd/*.c coordd/*/*.c coordctl/*.c \
	    derpd/*.c derpd/*/*.c \
	    compat/os_ca.c compat/os_ids.c compat/os_bsd*.c compat/os_"$os"*.c; do
		try $os "$f"
	done
done
for f in compat/freezero.c compat/recallocarray.c; do
	try freebsd $f
done
[ $nbad -eq 0 ] && echo "ok $nok files compile for OpenBSD and FreeBSD"
[ $nbad -eq 0 ]
