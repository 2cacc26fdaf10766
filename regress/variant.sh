#!/bin/sh
# Build a variant of the tree in variants/NAME, from a copy of the sources:
#	asan	gcc, AddressSanitizer and UndefinedBehaviorSanitizer
#	clang	clang and bmake, -Werror
#	tsan	gcc, ThreadSanitizer: the libraries, for tests of netd
#	regress	-DREGRESS: the sandbox names the call; the clock can be moved
# Prints the directory.
set -eu

cd "$(dirname "$0")/.."
name=$1
dir=variants/$name
mkdir -p "$dir"
rsync -a --delete --exclude /.git --exclude-from .gitignore --exclude bin/ \
    ./ "$dir/"
unset MAKEFLAGS MFLAGS MAKELEVEL
cd "$dir"
case $name in
asan)
	make -s -j2 WERROR=-Werror OPT="-O1 -g -fno-omit-frame-pointer" \
	    HARDEN="-fPIE" SAN="-fsanitize=address,undefined \
-fno-sanitize-recover=undefined" VARIANT_DEFS="-DREGRESS" all >&2 ;;
tsan)
	make -s -j2 WERROR=-Werror OPT="-O1 -g" HARDEN="-fPIE" \
	    SAN="-fsanitize=thread" libs >&2 ;;
clang)
	bmake -s -j2 CC=clang WERROR=-Werror all >&2 ;;
regress)
	make -s -j2 WERROR=-Werror VARIANT_DEFS="-DREGRESS" all >&2 ;;
*)
	echo "variant.sh: unknown variant $name" >&2
	exit 2 ;;
esac
pwd
