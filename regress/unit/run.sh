#!/bin/sh
# Run the unit tests, two at a time; -v: only those that read vectors. One
# line a test.
set -u

only=
[ "${1:-}" = -v ] && only=vectors
export VECTORS="${VECTORS:-../vectors}"
R=$(cd ../.. && pwd)
export SHOALD="${SHOALD:-$R/parent/shoald}" COORDD="${COORDD:-$R/coordd/coordd}"

# One test, a program or a script: its line, and what a failed one said.
if [ "${1:-}" = -1 ]; then
	cmd=./bin/$2
	[ -e "$2.sh" ] && cmd="sh ./$2.sh"
	log=$3/$2.log
	# shellcheck disable=SC2086
	timeout "${TEST_TIMEOUT:-300}" $cmd >"$log" 2>&1 </dev/null
	case $? in
	0)	echo "ok $2$(sed -n '$s/^/: /p' "$log")" ;;
	77)	echo "skip $2$(sed -n '$s/^/: /p' "$log")" ;;
	*)	echo "not ok $2"
		sed 's/^/#	/' "$log" | tail -n 40 ;;
	esac >"$3/$2.res"
	exit 0
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for t in t_*.c; do
	[ -z "$only" ] || grep -q '"VECTORS"' "$t" || continue
	echo "${t%.c}"
done >"$out/list"
if [ -z "$only" ]; then
	for t in t_*.sh; do
		[ ! -e "$t" ] || echo "${t%.sh}"
	done >>"$out/list"
fi
xargs -P "${JOBS:-2}" -I{} sh "$0" -1 {} "$out" <"$out/list"
while read -r t; do
	cat "$out/$t.res" || echo "not ok $t"
done <"$out/list" >"$out/all"
cat "$out/all"
passed=$(grep -c '^ok ' "$out/all")
failed=$(grep -c '^not ok ' "$out/all")
skipped=$(grep -c '^skip ' "$out/all")
echo "unit: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
