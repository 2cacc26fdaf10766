#!/bin/sh
# Build the fuzz targets. The sources that they fuzz are compiled anew with
# the same instrumentation: libproto as one archive, the rest as named.
set -eu

R=../..
CLANG=${CLANG:-clang}
flags="-std=c11 -O1 -g -fsanitize=fuzzer-no-link,address,undefined \
-fno-sanitize-recover=undefined $ALL_CFLAGS -DREGRESS -DFUZZ \
-DEMPTY_DIR=\"/var/empty\" -I$R/imsg -I$R/proto -I$R/compat"

words()
{
	sed -n 's|^ *[/ ]\* *'"$1"': *\(.*[^ ]\) *\*/.*$|\1|p' "$2" |
	    tr '\n' ' '
}

os=$(uname -s | tr 'A-Z' 'a-z')

obj_name()
{
	echo "bin/obj/$(echo "$1" | tr '/.' '__').o"
}

case ${1:-} in
-o)	# objects of these sources
	shift
	for f in "$@"; do
		o=$(obj_name "$f")
		[ -e "$o" ] && [ -z "$(find "$f" $R/proto/*.h $R/imsg/*.h \
		    $R/compat/*.h -newer "$o" 2>/dev/null)" ] && continue
		$CLANG $flags -c -o "$o" "$f" || exit 1
	done
	exit 0 ;;
-t)	# these targets
	shift
	status=0
	for t in "$@"; do
		p=bin/${t%.c}
		[ -e "$p" ] && [ -z "$(find "$t" bin/obj/lib.a \
		    $(words link "$t") -newer "$p")" ] && continue
		$CLANG $flags -fsanitize=fuzzer,address,undefined -o "$p" \
		    "$t" $(words link "$t") bin/obj/lib.a $(words libs "$t") \
		    -lpthread -ljansson -lsodium -lcrypto -levent -lzstd -lseccomp \
		    $OSLIBS || status=1
	done
	exit $status ;;
esac

mkdir -p bin/obj
srcs="$R/proto/*.c $R/imsg/*.c $R/compat/os_$os.c"
printf '%s\n' $srcs | xargs -n 8 -P "${JOBS:-2}" sh "$0" -o
rm -f bin/obj/lib.a
objs=
for f in $srcs; do
	objs="$objs $(obj_name "$f")"
done
ar rc bin/obj/lib.a $objs
printf '%s\n' fuzz_*.c | xargs -n 2 -P "${JOBS:-2}" sh "$0" -t
