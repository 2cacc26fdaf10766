#!/bin/sh
# Instructions of our own code for each packet, counted by callgrind: those
# of the cipher, of libc and of the kernel are left out, so the figures do
# not depend on the machine or its load. They are held against instr.txt:
# more than 5 % above is a failure. `instr.sh -u` writes them anew.
#
# Also: traffic that passes 500 rules costs at most 5 % more than with one,
# and as many packets as are committed must pass by one system call.
set -u

cd "$(dirname "$0")"
command -v callgrind_annotate >/dev/null || { echo "skip: no valgrind"; exit 77; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
ROUNDS=50
bad=0

# count tx|rx tcp|udp|spread rules: instructions for a packet, packets a call
count()
{
	_f=$out/cg.$1.$2.$3
	_n=$(valgrind -q --tool=callgrind --callgrind-out-file="$_f" \
	    --toggle-collect="$1_wakeup" ./bin/instr "$1" "$2" "$3" \
	    "$ROUNDS" 2>"$out/err") || { cat "$out/err" >&2; return 1; }
	callgrind_annotate --threshold=100 --show-percs=no --auto=no "$_f" |
	    sed -n 's|^ *\([0-9,]*\).*\[.*/bin/instr\]$|\1|p' | tr -d , |
	    awk -v n="${_n% *}" -v c="${_n#* }" '{ s += $1 }
		END { if (s == 0 || n == 0) exit 1;
		printf "%d %d\n", s / n, c }'
}

: >"$out/new"
for what in "tx tcp" "tx udp" "tx spread" "rx tcp" "rx udp" "rx spread"; do
	for rules in 1 500; do
		# shellcheck disable=SC2086
		n=$(count $what $rules) || exit 1
		echo "$what $rules $n" >>"$out/new"
	done
done
if [ "${1:-}" = -u ]; then
	{ grep '^#' instr.txt; cat "$out/new"; } >"$out/all"
	cp "$out/all" instr.txt
fi
while read -r dir proto rules now calls; do
	name="$dir $proto, $rules rules: $now instructions a packet, $calls a call"
	least=$(awk -v k="$dir $proto $rules" \
	    '$1 " " $2 " " $3 == k { print $5 }' instr.txt)
	was=$(awk -v k="$dir $proto $rules" \
	    '$1 " " $2 " " $3 == k { print $4 }' instr.txt)
	one=$(awk -v k="$dir $proto 1" '$1 " " $2 " " $3 == k { print $4 }' \
	    "$out/new")
	if [ -z "$was" ] || [ $((now * 100)) -gt $((was * 105)) ]; then
		echo "not ok $name, ${was:-nothing} is committed"
		bad=1
	elif [ $((now * 100)) -gt $((one * 105)) ]; then
		echo "not ok $name, $one with one rule"
		bad=1
	elif [ "$calls" -lt "${least:-0}" ]; then
		echo "not ok $name, $least are committed"
		bad=1
	else
		echo "ok $name"
	fi
done <"$out/new"
exit $bad
