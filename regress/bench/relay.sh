#!/bin/sh
# Measure derpd, beside the real derper where DERPER names it, in one run and
# by turns: packets a second of one pair and of 50, what they cost, also where
# both have the same to do, latency at low load, memory of idle connections.
# Both with the same certificate.
# ROUNDS=3 SECS=4 IDLE=5000; JSON in regress/out/relay.json.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/../e2e/lib.sh"
: "${DERPD:=$BUILD/derpd/derpd}" "${CC:=cc}"
: "${ROUNDS:=3}" "${SECS:=4}" "${IDLE:=5000}"
mkdir -p "$TOP/regress/out"
lab_init relaybench
lab_host relay 9
ulimit -n 20000

$CC -O2 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
    -I"$TOP/proto" -o "$LAB/relayload" "$TOP/regress/bench/relayload.c" \
    "$TOP/regress/e2e/dcli.c" "$BUILD/proto/libproto.a" \
    "$BUILD/compat/libcompat.a" -lsodium -lssl -lcrypto -ljansson -lbsd ||
    exit 1
on relay openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
    -nodes -days 30 -subj /CN=relay.test -addext subjectAltName=DNS:relay.test \
    -keyout "$LAB/relay.test.key" -out "$LAB/relay.test.crt" 2>/dev/null ||
    exit 1
chmod 644 "$LAB/relay.test.key"

cat >"$LAB/relay/derpd.conf" <<EOF
hostname "relay.test"
listen on 10.77.0.9 port 443 tls certificate "$LAB/relay.test.crt" \
    key "$LAB/relay.test.key"
state "$LAB/relay/state/key"
EOF

start_derpd()
{
	on_bg relay "$LAB/relay/derpd.log" "$DERPD" -d -v \
	    -f "$LAB/relay/derpd.conf"
	PID=$BGPID
	wait_for 5 grep -q 'relaying for' "$LAB/relay/derpd.log" || exit 1
	PORT=443 PIDS="$PID $(pgrep -P "$PID" | tr '\n' ' ')"
}

start_derper()
{
	on_bg relay "$LAB/relay/derper.log" "$DERPER" -hostname relay.test \
	    -certmode manual -certdir "$LAB" -a 10.77.0.9:444 -http-port -1 \
	    -stun=false -c "$LAB/relay/derper.json"
	PID=$BGPID
	wait_for 5 on relay sh -c 'ss -ltn | grep -q :444' || exit 1
	PORT=444 PIDS=$PID
}

# measure name what arguments...: one line of JSON
measure()
{
	_name=$1 _what=$2
	shift 2
	# The arguments are words.
	# shellcheck disable=SC2086
	on relay timeout 300 "$LAB/relayload" 10.77.0.9 $PORT "$@" $PIDS \
	    >"$LAB/one" || { fail "$_name $_what"; return; }
	jq -c --arg n "$_name" --arg w "$_what" \
	    'to_entries[] | {name: $n, what: ($w + " " + .key), v: .value}' \
	    "$LAB/one" >>"$LAB/all.json"
}

NAMES=derpd
[ ! -x "${DERPER:-}" ] || NAMES="derpd derper"
[ -x "${DERPER:-}" ] || echo "# derper: not found (DERPER)"
_r=0
while [ $_r -lt "$ROUNDS" ]; do
	_r=$((_r + 1))
	for n in $NAMES; do
		"start_$n"
		measure "$n" "1 pair, 1200 bytes:" pairs 1 1200 "$SECS"
		measure "$n" "50 pairs, 1200 bytes:" pairs 50 1200 "$SECS"
		measure "$n" "50 pairs, 200 bytes:" pairs 50 200 "$SECS"
		measure "$n" "50 pairs, 50,000 packets a second:" \
		    rate 50 200 50000 "$SECS"
		measure "$n" "latency, ms:" ping 3000
		[ $_r -gt 1 ] || {
			kill_wait "$PID"
			"start_$n"
			measure "$n" "$IDLE idle:" idle "$IDLE"
		}
		kill_wait "$PID"
	done
done
jq -s 'group_by(.what) | map({ what: .[0].what } + (group_by(.name) |
    map({ key: .[0].name, value: (map(.v) | sort | .[length / 2 | floor]) })
    | from_entries))' "$LAB/all.json" >"$TOP/regress/out/relay.json"
jq -r '.[] | select(.derpd) | [.what, .derpd, .derper // "-",
    (if .derper and .derper > 0 then (.derpd / .derper * 100 | round / 100)
    else "-" end)] | @tsv' "$TOP/regress/out/relay.json" |
    awk -F '\t' 'BEGIN { printf "# %-42s %10s %10s %7s\n", "", "derpd",
    "derper", "ratio" } { printf "# %-42s %10s %10s %7s\n", $1, $2, $3, $4 }'
ok "measured"
[ -x "${DERPER:-}" ] || exit 0

# bar text filter: does it hold of every line that it selects?
bar()
{
	if jq -e "[.[] | $2] | length > 0 and all" \
	    "$TOP/regress/out/relay.json" >/dev/null; then
		ok "$1"
	else
		fail "$1"
	fi
}

bar "1.5 times derper's packets for a CPU second" \
    'select(.what | endswith(" per_cpu")) | .derpd >= 1.5 * .derper'
bar "a quarter of derper's memory for an idle connection" \
    'select(.what | endswith(" kb")) | .derpd <= .derper / 4'
bar "no worse latency" \
    'select(.what | test("^latency.* p50")) | .derpd <= .derper'
