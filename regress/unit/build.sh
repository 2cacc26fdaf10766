#!/bin/sh
# Build each t_*.c that is newer than its program; all libraries are there.
# Names given as arguments: only those.
set -eu

R=../..
libs="$R/imsg/libimsg.a $R/proto/libproto.a $R/compat/libcompat.a"
deflibs="-lpthread -ljansson -lsodium -lcrypto -levent -lzstd -lseccomp"

# The words after "link:" or "libs:" in the comments of a test.
words()
{
	sed -n 's|^ *[/ ]\* *'"$1"': *\(.*[^ ]\) *\*/.*$|\1|p' "$2" |
	    tr '\n' ' '
}

# Is any of the files newer than that program? Those that are not there: no.
newer()
{
	_prog=$1
	shift
	for _f in "$@"; do
		[ "$_f" -nt "$_prog" ] && return 0
	done
	return 1
}

# Of a test and what it links: also what it includes, and what those sources
# may include, the headers beside them and a directory up.
stale()
{
	[ -e "bin/$1" ] || return 0
	newer "bin/$1" "$1.c" $2 $libs $R/imsg/*.h $R/proto/*.h \
	    $R/compat/*.h $(sed -n 's|^#include "\(.*\)"$|\1|p' "$1.c") &&
	    return 0
	_last=
	for _src in $2; do
		case $_src in
		*/*)	_dir=${_src%/*} ;;
		*)	_dir=. ;;
		esac
		[ "$_dir" != "$_last" ] || continue
		_last=$_dir
		newer "bin/$1" "$_dir"/*.h "$_dir"/../*.h && return 0
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
