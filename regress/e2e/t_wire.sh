#!/bin/sh
# The wire of the test laboratories itself: delay, jitter, loss, order,
# copies, broken bits and rate come out as they were set, each way by itself,
# and the same again from the same seed.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"
lab_init wire
natlab_tools wire
for h in a b; do
	ns_make $h
	on $h sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	tun_make $h w0
	ip -n "$P-$h" link set w0 txqueuelen 10000
done
ip -n "$P-a" addr add 10.88.0.1/24 dev w0
ip -n "$P-b" addr add 10.88.0.2/24 dev w0

wire_run()	# line [seed]
{
	[ -z "${WIREPID:-}" ] || kill_wait "$WIREPID"
	"$LAB/wire" -c "$LAB/ctl" -s "${2:-1}" -x "$1" -a "$P-a:w0" \
	    -b "$P-b:w0" >"$LAB/wire.out" 2>&1 </dev/null &
	WIREPID=$!
	LABPIDS="$LABPIDS $WIREPID"
	wait_for 2 on a ip route get 10.88.0.2
}

# flow from to address n size us
flow()
{
	on_bg "$2" "$LAB/recv" python3 "$NLDIR/wireprobe.py" recv \
	    $(($4 * $6 / 1000000 + 1))
	wait_for 5 grep -q ready "$LAB/recv"
	on "$1" python3 "$NLDIR/wireprobe.py" send "$3" "$4" "$5" "$6"
	wait "$BGPID"
	RESULT=$(tail -n 1 "$LAB/recv")
	echo "# $RESULT" | sed 's/, "which.*//'
}

is()	# what filter
{
	check "$1" json_is "$RESULT" "$2"
}

# timed what filter from to address: what a busy machine delays is tried again
timed()
{
	for _try in 1 2 3; do
		flow "$3" "$4" "$5" 500 200 1000
		json_is "$RESULT" "$2" >/dev/null && break
	done
	is "$1" "$2"
}

wire_run "ab delay 30"
timed "a delay of 30 ms" '.got == 500 and .min >= 30 and .p50 < 40 and
    .late == 0 and .dup == 0 and .corrupt == 0' a b 10.88.0.2
timed "and none the other way" '.got == 500 and .p50 < 10' b a 10.88.0.1
echo "both delay 5 jitter 20" >"$LAB/ctl"
timed "changed as it runs: 5 ms, jitter of 20 ms, order kept" \
    '.got == 500 and .min >= 5 and .p50 > 12 and .max < 90 and .late == 0' \
    b a 10.88.0.1
wire_run "ab loss 10 dup 5 corrupt 5" 7
flow a b 10.88.0.2 4000 200 300
is "loss of 10, copies of 5, broken 5 per cent" '.got > 3220 and .got < 3620
    and .dup > 110 and .dup < 250 and .corrupt > 110 and .corrupt < 270'
FIRST=$(echo "$RESULT" | jq -r .which)
wire_run "ab loss 10 dup 5 corrupt 5" 7
flow a b 10.88.0.2 4000 200 300
is "the same seed, the same fate" ".which == \"$FIRST\""
wire_run "ab loss 10 dup 5 corrupt 5" 8
flow a b 10.88.0.2 4000 200 300
is "another seed, another fate" ".which != \"$FIRST\""
wire_run "ab reorder 5 gap 4"
flow a b 10.88.0.2 3000 200 400
is "one in twenty comes late" '.got == 3000 and .late > 100 and .late < 210'
wire_run "ab rate 2000 queue 20000"
flow a b 10.88.0.2 600 1000 2000
is "2 Mbit/s, a queue of 20 kB" '.kbit > 1800 and .kbit < 2150 and
    .got > 270 and .got < 350 and .p50 > 60 and .p50 < 100'
echo stats >"$LAB/ctl"
check "it counts" wait_for 2 grep -q \
    '^ab in 600 out [23].. lost 0 full [23]' "$LAB/wire.out"
