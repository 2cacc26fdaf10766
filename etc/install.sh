#!/bin/sh
# Copy what `make` built to where it belongs. As root and with no DESTDIR it
# also makes the users, the group and the empty directory.
set -eu

: "${PREFIX:=/usr/local}" "${DESTDIR:=}" "${EMPTYDIR:=/var/empty}"
: "${SBINDIR:=$PREFIX/sbin}" "${BINDIR:=$PREFIX/bin}"
: "${LIBEXECDIR:=$PREFIX/libexec}" "${MANDIR:=$PREFIX/share/man}"

# A relative PREFIX is taken from where make was started.
abs()
{
	case $DESTDIR$1 in
	/*)	echo "$DESTDIR$1" ;;
	*)	echo "$PWD/$DESTDIR$1" ;;
	esac
}

put()	# mode directory file...
{
	mode=$1 dir=$(abs "$2")
	shift 2
	install -d -m 0755 "$dir"
	install -m "$mode" "$@" "$dir/"
}

put 0755 "$SBINDIR" parent/shoald coordd/coordd coordctl/coordctl derpd/derpd
put 0755 "$BINDIR" shoalctl/shoalctl
put 0755 "$LIBEXECDIR/shoal" cryptod/cryptod netd/netd ctrld/ctrld \
    dnsd/dnsd portmapd/portmapd
put 0755 "$LIBEXECDIR/coordd" coordd/frontd/frontd coordd/stored/stored \
    coordd/cryptod/cryptod
put 0755 "$LIBEXECDIR/derpd" derpd/relay/relay derpd/cryptod/cryptod
for s in 1 5 7 8; do
	for p in man/*."$s"; do
		[ -e "$p" ] && put 0644 "$MANDIR/man$s" "$p"
	done
done
put 0644 "$PREFIX/share/examples/shoal" etc/examples/*

if [ -z "$DESTDIR" ] && [ "$(id -u)" -eq 0 ]; then
	sh etc/users.sh "$EMPTYDIR"
fi
