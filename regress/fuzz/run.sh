#!/bin/sh
# Give each fuzz target SECONDS (5), beginning with its seeds. One line each.
set -u

secs=${SECONDS:-5}
[ "$secs" -gt 0 ] 2>/dev/null || secs=5
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0
for t in fuzz_*.c; do
	t=${t%.c}
	name=${t#fuzz_}
	if [ ! -x "bin/$t" ]; then
		echo "not ok fuzz $name: did not build"
		failed=$((failed + 1))
		continue
	fi
	mkdir -p "$tmp/$name"
	if ! ls corpus/"$name"/* >/dev/null 2>&1; then
		echo "not ok fuzz $name: no seeds in corpus/$name"
		failed=$((failed + 1))
		continue
	fi
	if "bin/$t" -max_total_time="$secs" -timeout=10 -rss_limit_mb=1024 \
	    -print_final_stats=1 -artifact_prefix="$tmp/" "$tmp/$name" \
	    "corpus/$name" >"$tmp/log" 2>&1; then
		passed=$((passed + 1))
		echo "ok fuzz $name:" "$(sed -n \
		    's/^stat::number_of_executed_units: *//p' "$tmp/log") runs"
	else
		failed=$((failed + 1))
		echo "not ok fuzz $name"
		grep -vE '^#[0-9]+[[:space:]]+(NEW|REDUCE|pulse)' "$tmp/log" |
		    head -n 60 | sed 's/^/#	/'
		for c in "$tmp"/crash-* "$tmp"/oom-* "$tmp"/timeout-*; do
			[ -e "$c" ] || continue
			echo "#	input:"
			base64 "$c" | head -n 20 | sed 's/^/#	/'
			rm -f "$c"
		done
	fi
done
echo "fuzz: $passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
