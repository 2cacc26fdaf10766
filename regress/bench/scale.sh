#!/bin/sh
# Measure a node that does nothing, and one with PEERS (10000) configured
# peers: memory, CPU, wake-ups, what a change of the netmap costs. IDLE (20)
# seconds; JSON for measure.py in regress/out/part.scale.json.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/../e2e/lib.sh"
: "${PEERS:=10000}" "${IDLE:=20}" "${CHANGES:=5}"
mkdir -p "$TOP/regress/out"
lab_init scale

say()
{
	echo "# $*" >&2
}

put()	# key value
{
	jq -cn --arg k "$1" --argjson v "${2:-null}" \
	    '{ key: $k, value: $v }' >>"$LAB/all.json"
}

pids()
{
	echo "$NODEPID_a" $(pgrep -P "$NODEPID_a")
}

mb()	# pids: PSS
{
	for _p in "$@"; do
		cat "/proc/$_p/smaps_rollup"
	done | awk '/^Pss:/ { n += $2 } END { printf "%.2f\n", n / 1024 }'
}

ticks()
{
	for _p in $(pids); do
		sed 's/.*) //' "/proc/$_p/stat"
	done | awk '{ n += $12 + $13 } END { print n }'
}

# How often any of its threads went to sleep, and so was woken.
wakeups()
{
	for _p in $(pids); do
		cat "/proc/$_p"/task/*/status
	done | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'
}

measure_idle()
{
	say "a node that does nothing, $IDLE s"
	_t=$(ticks) _w=$(wakeups)
	sleep "$IDLE"
	put idle_cpu_percent "$(echo "$_t $(ticks) $IDLE" | awk -v \
	    hz="$(getconf CLK_TCK)" '{ print ($2 - $1) / hz / $3 * 100 }')"
	put idle_wakeups "$(echo "$_w $(wakeups) $IDLE" |
	    awk '{ print ($2 - $1) / $3 }')"
}

has_peers()
{
	ctl_is a --argjson n "$PEERS" '(.Peer | length) >= $n'
}

large()
{
	node_stop a
	kill_wait "$COORDPID"
	python3 "$TOP/regress/bench/clone_nodes.py" \
	    "$LAB/coord/store/coordd.db" b "$PEERS" || return 1
	coord_run 2 && node_run a 2 && wait_for 60 has_peers
}

last_change()	# us: what netd took for a map of one peer
{
	ctl a debug netd peers | sed -n \
	    's/^last change of the netmap: 1 peers, \([0-9]*\) us/\1/p'
}

without()	# label
{
	sees_not a "$1"
}

# The server says that a peer is gone: netd applies that, and tells how long.
change()	# number
{
	coordctl node delete "many-$1" >/dev/null || return 1
	wait_for 10 without "many-$1" && wait_for 5 [ -n "$(last_change)" ] &&
	    put delta_ms "$(last_change | awk '{ print $1 / 1000 }')"
}

# Nothing has passed between the two: for a while after traffic a path is
# kept alive, and netd is not idle.
two_nodes || exit 1
sleep "${SETTLE:-15}"
netd=$(child_pid a netd)
few=$(mb "$netd")
put memory_idle_mb "$(mb $(pids))"
measure_idle
say "a node with $PEERS peers"
large || { fail "a node with $PEERS peers"; exit 1; }
sleep 3
netd=$(child_pid a netd)
put peers_netd_mb "$(echo "$(mb "$netd") $few" | awk '{ print $1 - $2 }')"
put peers_node_mb "$(mb $(pids))"
i=0
while [ $i -lt "$CHANGES" ]; do
	i=$((i + 1))
	change $i || fail "change $i of the netmap"
done
jq -s '{ shoal: (group_by(.key) | map({ key: .[0].key,
    value: map(.value) }) | from_entries) }' "$LAB/all.json" \
    >"$TOP/regress/out/part.scale.json"
ok "measured with $PEERS peers"
