#!/bin/sh
# The home region, chosen by real latencies over wires: the nearer relay; kept
# under noise and when another is nearer by little; left when another is
# much nearer. What was measured counts for five minutes: the clock of a
# REGRESS build is moved past them.
BUILD=$(cd "$(dirname "$0")/../.." && pwd)/variants/regress
[ -x "$BUILD/parent/shoald" ] || { echo "skip: no REGRESS build"; exit 77; }
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"
DERP_WIRED=yes
CLOCK=0
STAY=4000			# ms: home that has not moved by then stays

home_is()	# node region
{
	json_is "$(site_ctl "$1" status --json)" --arg r "$2" \
	    '.Self.Relay == $r'
}

later()		# seconds: for both nodes
{
	CLOCK=$((CLOCK + $1))
	for _n in a b; do
		echo "$CLOCK $CLOCK" >"$LAB/$_n/clock"
		kill -USR1 "$(cat "$LAB/$_n/pid")"
	done
}

latencies()	# ms to the first region, to the second, jitter
{
	wire_tell 1 "ab delay $1 jitter $3"
	wire_tell 2 "ab delay $2 jitter $3"
	sleep 0.2
	later 310
}

# stays node region
stays()
{
	_end=$(($(now_ms) + STAY))
	while [ "$(now_ms)" -lt $_end ]; do
		home_is "$1" "$2" || return 1
		sleep 0.3
	done
}

node()		# name
{
	echo "0 0" >"$LAB/$1/clock"
	export SHOAL_CLOCK_FILE="$LAB/$1/clock"
	site_node "$1" shoald u
	echo "$NODEPID" >"$LAB/$1/pid"
}

answers()
{
	on a ping -c 1 -W 1 "$B"
}

natlab_init home
wire_tell 1 "ab delay 10"
wire_tell 2 "ab delay 80"
coordctl user create u >/dev/null
site_make a open 2
site_make b port 3
node a
node b
check "both are up" wait_for 20 site_ready a b
B=$(site_ctl b ip -4)
on_bg a "$LAB/a/ping.log" ping -i 0.5 "$B"	# reports want traffic
check "10 and 80 ms: home is the first" wait_for 10 home_is a one
check "for the other node too" wait_for 10 home_is b one
latencies 14 10 6
check "14 and 10 ms with noise of 6: home stays" stays a one
latencies 48 40 0
check "48 and 40 ms: home stays" stays a one
latencies 80 10 0
T=$(now_ms)
check "80 and 10 ms: home moves" wait_for 15 home_is a two
T=$(($(now_ms) - T))
check "as soon as it would have before: $T ms" [ $T -lt $STAY ]
check "for the other node too" wait_for 15 home_is b two
check "peers hear of it" wait_for 5 json_is "$(site_ctl b status --json)" \
    'all(.Peer[]; .Relay == "two")'
check "they talk on" wait_for 5 answers
