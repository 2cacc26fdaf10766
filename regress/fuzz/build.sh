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

mkdir -p bin/obj
status=0
objs=
os=$(uname -s | tr 'A-Z' 'a-z')
for f in $R/proto/*.c $R/imsg/*.c "$R/compat/os_$os.c"; do
	o=bin/obj/$(echo "$f" | tr '/.' '__').o
	objs="$objs $o"
	[ -e "$o" ] && [ -z "$(find "$f" $R/proto/*.h $R/imsg/*.h \
	    $R/compat/*.h -newer "$o" 2>/dev/null)" ] && continue
	$CLANG $flags -c -o "$o" "$f" || exit 1
done
rm -f bin/obj/lib.a
ar rc bin/obj/lib.a $objs
for t in fuzz_*.c; do
	p=bin/${t%.c}
	[ -e "$p" ] && [ -z "$(find "$t" bin/obj/lib.a $(words link "$t") \
	    -newer "$p")" ] && continue
	$CLANG $flags -fsanitize=fuzzer,address,undefined -o "$p" "$t" \
	    $(words link "$t") bin/obj/lib.a $(words libs "$t") -ljansson \
	    -lsodium -lcrypto -levent -lzstd -lseccomp $OSLIBS || status=1
done
exit $status
