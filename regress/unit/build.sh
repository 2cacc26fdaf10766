#!/bin/sh
# Build each t_*.c that is newer than its program; all libraries are there.
# Names given as arguments: only those.
set -eu

R=../..
libs="$R/imsg/libimsg.a $R/proto/libproto.a $R/compat/libcompat.a"
deflibs="-ljansson -lsodium -lcrypto -levent -lzstd -lseccomp"

# The words after "link:" or "libs:" in the comments of a test.
words()
{
	sed -n 's|^ *[/ ]\* *'"$1"': *\(.*[^ ]\) *\*/.*$|\1|p' "$2" |
	    tr '\n' ' '
}

stale()
{
	[ -e "bin/$1" ] || return 0
	for f in "$1.c" $2 $libs $R/imsg/*.h $R/proto/*.h $R/compat/*.h; do
		[ "$f" -nt "bin/$1" ] && return 0
	done
	return 1
}

mkdir -p bin
if [ $# -eq 0 ]; then
	printf '%s\n' t_*.c | xargs -n 4 -P "${JOBS:-2}" sh "$0" || exit 1
	exit 0
fi
status=0
for t in "$@"; do
	t=${t%.c}
	link=$(words link "$t.c")
	stale "$t" "$link" || continue
	# The flags hold quotes: read them as the shell of make would.
	eval "set -- $ALL_CFLAGS"
	# shellcheck disable=SC2086
	if ! $CC "$@" -DUNIT_TEST -I$R/regress/unit -o "bin/$t" \
	    "$t.c" $link $ALL_LDFLAGS $libs $(words libs "$t.c") $deflibs \
	    $OSLIBS; then
		echo "not ok build $t"
		rm -f "bin/$t"
		status=1
	fi
done
exit $status
