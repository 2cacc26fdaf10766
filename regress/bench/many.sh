#!/bin/sh
# Measure a node with PEERS (1000) active peers, all of them in one process,
# beside wireguard-go (or WIREGUARD_GO=path) with the same: handshakes a
# second, honest ones in floods of forged ones, traffic of all peers by turns
# both ways. By turns, ROUNDS (3) of SECS (3) seconds; JSON for measure.py in
# regress/out/part.many.json.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/../e2e/lib.sh"
: "${PEERS:=1000}" "${ROUNDS:=3}" "${SECS:=3}" "${FLOOD:=20000}"
WGGO=$(command -v wireguard-go || true) WGNAME=wireguard-go
[ -z "${WIREGUARD_GO:-}" ] || WGGO=$WIREGUARD_GO WGNAME=wireguard-go-new
mkdir -p "$TOP/regress/out"
lab_init many
# shellcheck disable=SC1091
. "$TOP/regress/bench/manylib.sh"

say()
{
	echo "# $*" >&2
}

# put name key value: one measured value
put()
{
	jq -cn --arg n "$1" --arg k "$2" --argjson v "${3:-null}" \
	    '{ name: $n, key: $k, value: $v }' >>"$LAB/all.json"
}

# take name prefix jq-filter json: named values of a result
take()
{
	printf '%s\n' "$4" | jq -c --arg n "$1" --arg p "$2" "$3"' |
	    to_entries[] | { name: $n, key: ($p + .key), value }' \
	    >>"$LAB/all.json"
}

PER_CPU='{ kpps: (.delivered / 1000),
    us: (([.cpu[]] | add) * 1e6 / (.delivered * ($s | tonumber))) }'

# pattern name prefix json
pattern()
{
	take "$1" "$2" "$(printf %s "$PER_CPU" | sed "s/\$s/\"$SECS\"/")" "$3"
}

segments()	# of node a, so far: packets and sends
{
	ctl a debug netd path | sed -n \
	    's/^sent \([0-9]*\) packets.* in \([0-9]*\) sends.*/\1 \2/p'
}

# measure name host node key inner "pids" "pids of the data path"
measure()
{
	_r=$(on p timeout 60 "$MANY" handshakes "$3" "$4" "$PEERS" "$SECS" \
	    $((SECS * 10000)) 96 $6) || return 1
	take "$1" hs_ '{ rate, us: (([.cpu[]] | add) * 1e6 / .answered) }' \
	    "$_r"
	pattern "$1" many_in_ "$(many_to "$2" "$3" "$4" "$5" "$SECS" 0 "$7")"
	# More than either can take, and not so much that nothing else runs.
	for _b in 1 16; do
		[ "$1" != shoal ] || _s0=$(segments)
		pattern "$1" "many_out${_b}_" "$(many_from "$2" "$3" "$4" \
		    "$SECS" $_b $((270000 + _b * 50000)) "$7")"
		[ "$1" = shoal ] || continue
		put shoal "many_out${_b}_segments" "$(echo "$_s0 $(segments)" |
		    awk '{ if ($4 > $2) print ($3 - $1) / ($4 - $2) }')"
	done
}

# Honest handshakes while others are forged: of the node alone.
floods()
{
	for _k in mac static both; do
		_r=$(on p timeout 60 "$MANY" flood 10.77.0.2:41641 "$AKEY" \
		    "$PEERS" 2 $_k "$FLOOD" 100 $APIDS) || return 1
		take shoal "flood_${_k}_" '{ p50_ms, p99_ms,
		    answered: (.answered * 100 / .honest), forged }' "$_r"
	done
}

many_build || exit 1
many_peers "$PEERS"
say "a node with $PEERS peers"
many_shoal || { fail "a node with $PEERS peers"; exit 1; }
NETD=$(child_pid a netd)
APIDS="$NETD $(child_pid a cryptod)"
if [ -n "$WGGO" ]; then
	lab_host w 6
	many_wg w "$WGGO" 6 || WGGO=
fi
[ -n "$WGGO" ] || say "wireguard-go: not found"
_round=0
while [ $_round -lt "$ROUNDS" ]; do
	_round=$((_round + 1))
	say "$PEERS peers, round $_round of $ROUNDS: shoal"
	measure shoal a 10.77.0.2:41641 "$AKEY" "$AADDR" "$APIDS" "$NETD" ||
	    { fail "shoal with $PEERS peers"; exit 1; }
	floods || { fail "shoal under a flood"; exit 1; }
	[ -n "$WGGO" ] || continue
	say "$PEERS peers, round $_round of $ROUNDS: $WGNAME"
	measure $WGNAME w 10.77.0.6:51820 "$WGKEY" 100.64.0.200 \
	    "$WGPID" "$WGPID" || fail "$WGNAME with $PEERS peers"
done
jq -s 'group_by(.name) | map({ key: .[0].name, value: (group_by(.key) |
    map({ key: .[0].key, value: map(.value) }) | from_entries) }) |
    from_entries' "$LAB/all.json" >"$TOP/regress/out/part.many.json"
ok "measured with $PEERS peers"
