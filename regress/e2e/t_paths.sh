#!/bin/sh
# The choice between two direct paths over wires: the faster one; kept when
# the other is faster by next to nothing; left within seconds when it dies;
# and left for a faster one. The clock of a REGRESS build is moved to where a
# better path is looked for.
BUILD=$(cd "$(dirname "$0")/../.." && pwd)/variants/regress
[ -x "$BUILD/parent/shoald" ] || { echo "skip: no REGRESS build"; exit 77; }
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"
CLOCK=0

path_is()	# address of b
{
	json_is "$(site_ctl a status --json)" --arg p "$1:" \
	    'any(.Peer[]; .CurAddr | startswith($p))'
}

settled()
{
	python3 "$NLDIR/natflow.py" settled "$LAB/a/flow" "$1"
}

gap()		# since
{
	python3 "$NLDIR/natflow.py" gap "$LAB/a/flow" "$1" "$(now_ms)"
}

later()		# seconds
{
	CLOCK=$((CLOCK + $1))
	echo "$CLOCK $CLOCK" >"$LAB/a/clock"
	kill -USR1 "$(cat "$LAB/a/pid")"
}

stays()		# address: for some seconds
{
	_end=$(($(now_ms) + 7000))
	while [ "$(now_ms)" -lt $_end ]; do
		path_is "$1" || return 1
		sleep 0.3
	done
}

stays_once()
{
	for _path in 11.1.12.1 11.1.11.1 11.1.12.1; do
		stays $_path && return
	done
	return 1
}

wired()		# interface N delay: a way to b of its own
{
	wire_make b "$1" "$2" "ba delay $3"
	ip -n "$P-core" route add "11.1.$2.1" dev "w$2"
	ip -n "$P-b" addr add "11.1.$2.1/32" dev "$1"
}

natlab_init paths
coordctl user create u >/dev/null
site_make a open 2
ns_make b
wired eth0 11 60
wired eth1 12 20
ip -n "$P-b" route add default dev eth0 src 11.1.11.1
cp "$LAB/a/control" "$LAB/b/control"
echo "0 0" >"$LAB/a/clock"
export SHOAL_CLOCK_FILE="$LAB/a/clock"
site_node a shoald u
echo "$NODEPID" >"$LAB/a/pid"
unset SHOAL_CLOCK_FILE
site_node b shoald u
check "both are up" wait_for 20 site_ready a b
wait_for 20 site_ready b a
on_bg b "$LAB/b/echo.log" python3 "$NLDIR/natflow.py" echo
on_bg a "$LAB/a/stream.log" python3 "$NLDIR/natflow.py" stream \
    "$(site_ctl b ip -4)" "$LAB/a/flow"
check "60 and 20 ms: the second" wait_for 10 path_is 11.1.12.1
# One per cent decides (dataplane.md 2.6): the noise stays below that, unless
# the machine is busy.
wire_tell 11 "ba delay 299 jitter 0.5"
wire_tell 12 "ba delay 300 jitter 0.5"
check "as fast, with noise: it stays" stays_once
wire_tell 11 "ba delay 60 jitter 0"
wire_tell 12 "ba delay 20 jitter 0"
later 61
wait_for 12 path_is 11.1.12.1
sleep 4
T=$(now_ms)
wire_tell 12 "ba loss 100"
check "it dies: the first" wait_for 12 path_is 11.1.11.1
wait_for 12 settled "$T"
GAP=$(gap "$T")
check "within 5 s: $GAP ms" [ "$GAP" -le 5000 ]
T=$(now_ms)
wire_tell 12 "ba loss 0"
later 61
check "it lives again: the second" wait_for 12 path_is 11.1.12.1
GAP=$(gap "$T")
check "without a gap: $GAP ms" [ "$GAP" -le 1000 ]
