#!/bin/sh
# Instructions of our own code for a packet, with one rule and with 500, by
# callgrind (instr.sh); JSON for measure.py in regress/out/part.filter.json.
set -u
TOP=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$TOP/regress/out"
command -v callgrind_annotate >/dev/null || {
	echo "# no callgrind here: not measured"
	exit 0
}
echo "# instructions of a packet, with one rule and with 500" >&2
"${MAKE:-make}" -s -C "$TOP/regress/bench" instr |
    sed -n -e 's/^not //' \
    -e 's/^ok \([a-z]* [a-z]*\), \([0-9]*\) rules: \([0-9]*\) .*/\1 \2 \3/p' |
    awk '$3 == 1 { one[$1 " " $2] = $4; sum += $4; n++ }
	$3 == 500 { many[$1 " " $2] = $4 }
	END {
		if (n == 0)
			exit 1
		for (k in many) {
			p = (many[k] / one[k] - 1) * 100
			if (p > worst)
				worst = p
		}
		printf "{\"shoal\": {\"instr\": [%d], ", sum / n
		printf "\"filter_percent\": [%.2f]}}\n", worst
	}' >"$TOP/regress/out/part.filter.json" || {
	rm -f "$TOP/regress/out/part.filter.json"
	exit 1
}
