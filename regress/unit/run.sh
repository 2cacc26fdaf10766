#!/bin/sh
# Run the unit tests; -v: only those that read vectors. One line a test.
set -u

only=
[ "${1:-}" = -v ] && only=vectors
export VECTORS="${VECTORS:-../vectors}"
R=$(cd ../.. && pwd)
export SHOALD="${SHOALD:-$R/parent/shoald}" COORDD="${COORDD:-$R/coordd/coordd}"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
passed=0 failed=0 skipped=0

one()
{
	name=$1
	shift
	timeout "${TEST_TIMEOUT:-300}" "$@" >"$out/log" 2>&1 </dev/null
	case $? in
	0)	passed=$((passed + 1))
		echo "ok $name$(sed -n '$s/^/: /p' "$out/log")" ;;
	77)	skipped=$((skipped + 1))
		echo "skip $name$(sed -n '$s/^/: /p' "$out/log")" ;;
	*)	failed=$((failed + 1))
		echo "not ok $name"
		sed 's/^/#	/' "$out/log" | tail -n 40 ;;
	esac
}

for t in t_*.c; do
	[ -z "$only" ] || grep -q '"VECTORS"' "$t" || continue
	one "${t%.c}" "./bin/${t%.c}"
done
if [ -z "$only" ]; then
	for t in t_*.sh; do
		[ -e "$t" ] && one "${t%.sh}" sh "./$t"
	done
fi
echo "unit: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
