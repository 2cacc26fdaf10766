#!/bin/sh
# Pairs of nodes behind NATs of every kind: is the path the one that physics
# allows, how soon does the first packet come, how soon is it direct, and is
# any lost on the way. One pair of each outcome; "make natlab"
# runs all.
#
#	NATLAB=all		every pair of kinds
#	NATLAB="a-b c-d"	these pairs
#	NATLAB_JOBS=n		so many at a time
#	NATLAB_JSON=file	the results go there too
#	NATLAB_NORELAY=yes	the relays are dead
#	NODE_A, NODE_B		tailscaled: the first, the second node is real
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"
: "${NODE_A:=shoald}" "${NODE_B:=shoald}" "${NATLAB_JOBS:=3}"
FIRST_BAR=1000 DIRECT_BAR=3000 PROBED_BAR=16000
CI="port-port sym-addr sym-sym sym-port open-sym blocked-open v6-port
    v6fw-v6fw cgn-port upnp-sym pmp-port pcp-sym lan-lan hair-hair isp-isp"

all_pairs()
{
	_done=
	for _b in $LAB_KINDS; do
		_done="$_done $_b"
		for _a in $_done; do
			echo "$_a-$_b"
		done
	done
	for _a in $LAB_TWINS; do
		echo "$_a-$_a"
	done
}

# What a pair must come to. Hard against port-restricted: direct by probing
# ports, which takes two shoalds.
rule()	# kind kind
{
	_probed=probed
	[ "$NODE_A$NODE_B" = shoaldshoald ] || _probed=relay
	case $1-$2 in
	*blocked*|isp-isp)		echo relay ;;
	open-*|*-open|v6*-v6*)		echo direct ;;
	v6*|*-v6*)			echo relay ;;
	sym-sym)			echo relay ;;
	sym-port|port-sym|sym-cgn|cgn-sym) echo $_probed ;;
	*)				echo direct ;;
	esac
}

pair_run()	# number kind kind
{
	_a=a$1 _b=b$1 _secs=6
	case $(rule "$2" "$3") in
	relay)	_secs=4 ;;
	probed)	_secs=20 ;;
	esac
	coordctl user create "u$1" >/dev/null || return 1
	case " $LAB_TWINS " in
	*" $2 "*)
		site_twins "$_a" "$_b" "$2" $((2 * $1)) ;;
	*)
		site_make "$_a" "$2" $((2 * $1)) &&
		    site_make "$_b" "$3" $((2 * $1 + 1)) ;;
	esac || return 1
	site_node "$_b" "$NODE_B" "u$1" &
	_bpid=$!
	site_node "$_a" "$NODE_A" "u$1"
	wait $_bpid
	wait_for 20 site_ready "$_a" "$_b" || return 1
	wait_for 20 site_ready "$_b" "$_a" || return 1
	on_bg "$_b" "$LAB/$_b/echo.log" python3 "$NLDIR/natflow.py" echo
	wait_for 5 grep -q ready "$LAB/$_b/echo.log"
	# shellcheck disable=SC2046
	on "$_a" python3 "$NLDIR/natflow.py" run "$(site_ctl "$_b" ip -4)" \
	    "$_b" $_secs 0.7 $(cat "$LAB/$_a/cmd") >"$LAB/$_a/result"
}

pair_row()	# number kind kind: the result and its judgement
{
	_probes=$(sed -n 's/.*NAT: direct after \([0-9]*\) probes.*/\1/p' \
	    "$LAB/a$1/node.log" "$LAB/b$1/node.log" 2>/dev/null | head -n 1)
	[ -s "$LAB/a$1/result" ] || echo '{"path": "failed"}' >"$LAB/a$1/result"
	jq -c --arg a "$2" --arg b "$3" --arg e "$(rule "$2" "$3")" \
	    --argjson f $FIRST_BAR --argjson d $DIRECT_BAR \
	    --argjson p $PROBED_BAR --argjson n "${_probes:-null}" '
	    {a: $a, b: $b, expect: $e, probes: $n} + . + {bad: [
	    if .path != (if $e == "relay" then "relay" else "direct" end)
	    then "path" else empty end,
	    if .first == null or .first > $f then "first" else empty end,
	    if $e != "relay" and (.direct == null or .direct -
	    (.first // 0) > (if $e == "probed" then $p else $d end))
	    then "slow" else empty end,
	    if .lost_after_first != 0 then "loss" else empty end]}' \
	    "$LAB/a$1/result" >"$LAB/row.$1"
}

pair()	# number kind-kind
{
	_ka=${2%%-*} _kb=${2#*-}
	pair_run "$1" "$_ka" "$_kb" >"$LAB/pair.$1" 2>&1
	site_end "a$1"
	site_end "b$1"
	mkdir -p "$LAB/a$1"
	pair_row "$1" "$_ka" "$_kb"
	[ -n "${KEEP:-}" ] || ! grep -q '"bad":\[\]' "$LAB/row.$1" ||
	    rm -rf "$LAB/a$1" "$LAB/b$1" "$LAB/a$1"? "$LAB/b$1"? "$LAB/pair.$1"
}

worker()	# its number
{
	_k=0
	for _pair in $PAIRS; do
		_k=$((_k + 1))
		[ $((_k % NATLAB_JOBS)) -ne "$1" ] || pair $_k "$_pair"
	done
}

table()
{
	printf '# %-8s %-8s %-7s %-7s %6s %7s %5s %4s %6s\n' from to must \
	    is first direct lost gap probes
	jq -r '[.a, .b, .expect, .path, .first // "-", .direct // "-",
	    .lost_after_first // "-", .longest_gap // "-",
	    .probes // "-"] | join(" ")' |
	    while read -r _1 _2 _3 _4 _5 _6 _7 _8 _9; do
		printf '# %-8s %-8s %-7s %-7s %6s %7s %5s %4s %6s\n' "$_1" \
		    "$_2" "$_3" "$_4" "$_5" "$_6" "$_7" "$_8" "$_9"
	done
}

# why kind kind: what is bad about the rows of that pair, or nothing.
why()
{
	jq -sr --arg a "$1" --arg b "$2" --argjson f $FIRST_BAR \
	    --argjson d $DIRECT_BAR --argjson p $PROBED_BAR '
	    [.[] | select(.a == $a and .b == $b)] |
	    if length == 0 then "no result" else [.[] | . as $r |
	    .bad[] | {path: "path is \($r.path)",
	    first: (if $r.first == null then "no packet came" else
	    "first \($r.first) ms, bar \($f)" end),
	    slow: ((if $r.direct == null then "never direct" else
	    "direct \($r.direct - ($r.first // 0)) ms after the first" end) +
	    ", bar \(if $r.expect == "probed" then $p else $d end)"),
	    loss: "\($r.lost_after_first // "all") lost after the first"}[.]] |
	    join("; ") end' || echo "malformed result"
}

case ${NATLAB:-} in
'')	PAIRS=$CI ;;
all)	PAIRS=$(all_pairs) ;;
*)	PAIRS=$NATLAB ;;
esac
case $NODE_A$NODE_B in
*tailscaled*)
	[ -x "${TAILSCALED:-}" ] && [ -x "${TAILSCALE:-}" ] ||
	    skip_all "needs TAILSCALED and TAILSCALE" ;;
esac
natlab_init natlab
if [ -n "${NATLAB_NORELAY:-}" ]; then
	kill_wait "$DERPPID_1"
	kill_wait "$DERPPID_2"
fi
_w=0 WORKERS=
while [ $_w -lt "$NATLAB_JOBS" ]; do
	worker $_w &
	WORKERS="$WORKERS $!"
	_w=$((_w + 1))
done
# shellcheck disable=SC2086
wait $WORKERS
cat "$LAB"/row.* >"$LAB/rows"
table <"$LAB/rows"
[ -z "${NATLAB_JSON:-}" ] || jq -s . "$LAB/rows" >"$NATLAB_JSON"
_k=0
for p in $PAIRS; do
	_k=$((_k + 1))
	_what="$p: $(rule "${p%%-*}" "${p#*-}")"
	WHY=$(why "${p%%-*}" "${p#*-}" <"$LAB/rows")
	if [ -z "$WHY" ]; then
		ok "$_what"
		continue
	fi
	fail "$_what: $WHY"
	[ ! -s "$LAB/pair.$_k" ] || tail -n 15 "$LAB/pair.$_k" | sed 's/^/#	/'
done
