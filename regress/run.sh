#!/bin/sh
# All tests. One line each; what a failed one said follows it and stands in
# regress/out. The last line counts. Arguments: only the parts named (style
# man unit instr asan tsan clang port fuzz install sandbox e2e interop).
set -u

cd "$(dirname "$0")/.."
TOP=$PWD
OUT=$TOP/regress/out
PARTS=${*:-style man unit instr asan tsan clang port fuzz install sandbox e2e interop}
PASSED=0 FAILED=0 SKIPPED=0
mkdir -p "$OUT"
unset MAKEFLAGS MFLAGS MAKELEVEL
[ "$(id -u)" -ne 0 ] || sh etc/users.sh

count()	# name status log: one result
{
	case $2 in
	0)	PASSED=$((PASSED + 1))
		echo "ok $1" ;;
	77)	SKIPPED=$((SKIPPED + 1))
		echo "skip $1: $(tail -n 1 "$3")" ;;
	*)	FAILED=$((FAILED + 1))
		echo "not ok $1 (status $2)"
		tail -n 60 "$3" | sed 's/^/#	/' ;;
	esac
}

run()	# name command...: one test
{
	_name=$1 _log=$OUT/$(echo "$1" | tr '/ ' '__').log
	shift
	timeout -k 10 "${LIMIT:-300}" "$@" >"$_log" 2>&1 </dev/null
	count "$_name" $? "$_log"
}

# lines name command...: each line "ok ..." or "not ok ..." is a test.
lines()
{
	_name=$1 _log=$OUT/$(echo "$1" | tr '/ ' '__').log
	shift
	timeout -k 10 "${LIMIT:-600}" "$@" >"$_log" 2>&1 </dev/null
	_st=$?
	sed -n -e "s|^ok |ok $_name: |p" -e "s|^not ok |not ok $_name: |p" \
	    -e "s|^skip:* |skip $_name: |p" -e '/^#/p' "$_log"
	_p=$(grep -c '^ok ' "$_log")
	_f=$(grep -c '^not ok ' "$_log")
	_s=$(grep -c '^skip' "$_log")
	SKIPPED=$((SKIPPED + _s))
	[ $_st -eq 77 ] && return
	PASSED=$((PASSED + _p)) FAILED=$((FAILED + _f))
	if [ $_st -ne 0 ] && [ "$_f" -eq 0 ] ||
	    [ $((_p + _f + _s)) -eq 0 ]; then
		FAILED=$((FAILED + 1))
		echo "not ok $_name (status $_st)"
		tail -n 30 "$_log" | sed 's/^/#	/'
	fi
}

t0=$(date +%s)
for part in $PARTS; do
	p0=$(date +%s)
	case $part in
	style)
		run style sh regress/style.sh ;;
	man)
		run "manual pages" sh regress/man.sh ;;
	unit)
		lines unit make -s -C regress/unit regress ;;
	instr)
		lines instr make -s -C regress/bench instr ;;
	asan)
		LIMIT=900 run "build with sanitizers" sh regress/variant.sh asan
		LIMIT=900 lines asan make -s -C variants/asan/regress/unit \
		    WERROR=-Werror OPT="-O1 -g" HARDEN=-fPIE \
		    SAN="-fsanitize=address,undefined" \
		    VARIANT_DEFS=-DREGRESS regress ;;
	tsan)
		LIMIT=900 run "build with the thread sanitizer" \
		    sh regress/variant.sh tsan
		lines tsan sh regress/tsan.sh ;;
	clang)
		LIMIT=900 run "build with clang and bmake" \
		    sh regress/variant.sh clang ;;
	port)
		lines port sh regress/port/portcheck.sh ;;
	fuzz)
		LIMIT=900 lines fuzz make -s -C regress/fuzz run ;;
	install)
		run install sh regress/install.sh ;;
	sandbox)
		LIMIT=600 run "build with -DREGRESS" \
		    sh regress/variant.sh regress
		LIMIT=300 lines sandbox sh regress/sandbox/run.sh ;;
	e2e)
		[ -d variants/regress ] || run "build with -DREGRESS" \
		    sh regress/variant.sh regress
		for t in regress/e2e/t_*.sh; do
			n=${t##*/t_}
			LIMIT=300 lines "e2e ${n%.sh}" sh "$t"
		done ;;
	interop)
		for t in regress/interop/t_*.sh; do
			n=${t##*/t_}
			LIMIT=300 lines "interop ${n%.sh}" sh "$t"
		done ;;
	*)
		echo "run.sh: unknown part $part" >&2
		exit 2 ;;
	esac
	echo "# $part took $(($(date +%s) - p0)) s"
done
echo "# all took $(($(date +%s) - t0)) s"
echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
[ $FAILED -eq 0 ] && [ $PASSED -gt 0 ]
