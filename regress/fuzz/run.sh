#!/bin/sh
# Give each fuzz target SECONDS (5), two at a time, beginning with its seeds.
# One line each.
set -u

secs=${SECONDS:-5}
[ "$secs" -gt 0 ] 2>/dev/null || secs=5

# One target: its line, and what made it fail.
one()	# target directory
{
	name=${1#fuzz_} tmp=$2/$1
	mkdir -p "$tmp/new"
	if [ ! -x "bin/$1" ]; then
		echo "not ok fuzz $name: did not build"
	elif ! ls corpus/"$name"/* >/dev/null 2>&1; then
		echo "not ok fuzz $name: no seeds in corpus/$name"
	elif "bin/$1" -max_total_time="$secs" -timeout=10 \
	    -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$tmp/" \
	    "$tmp/new" "corpus/$name" >"$tmp/log" 2>&1; then
		echo "ok fuzz $name:" "$(sed -n \
		    's/^stat::number_of_executed_units: *//p' "$tmp/log") runs"
	else
		echo "not ok fuzz $name"
		grep -vE '^#[0-9]+[[:space:]]+(NEW|REDUCE|pulse)' "$tmp/log" |
		    head -n 60 | sed 's/^/#	/'
		for c in "$tmp"/crash-* "$tmp"/oom-* "$tmp"/timeout-*; do
			[ -e "$c" ] || continue
			echo "#	input:"
			base64 "$c" | head -n 20 | sed 's/^/#	/'
		done
	fi
}

if [ "${1:-}" = -1 ]; then
	one "$2" "$3" >"$3/$2.res"
	exit 0
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for t in fuzz_*.c; do
	echo "${t%.c}"
done >"$out/list"
xargs -P "${JOBS:-2}" -I{} sh "$0" -1 {} "$out" <"$out/list"
while read -r t; do
	cat "$out/$t.res" || echo "not ok fuzz $t"
done <"$out/list" >"$out/all"
cat "$out/all"
passed=$(grep -c '^ok ' "$out/all")
failed=$(grep -c '^not ok ' "$out/all")
echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
