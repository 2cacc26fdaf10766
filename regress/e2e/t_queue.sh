#!/bin/sh
# A slow link with a long queue (20 Mbit/s and room for eight seconds): what
# else goes over it waits for milliseconds, whatever a flow does, and the
# flow loses nothing of the link.
. "$(dirname "$0")/lib.sh"

lab_init queue
two_nodes 'policy allow all' || exit 1
check "the nodes see each other" wait_for 5 on a ping -c 1 -W 1 "$(ip4 b)"
on_bg b "$LAB/b/iperf.log" iperf3 -s
wait_for 3 on b sh -c "ss -lnt | grep -q :5201"
for h in a b; do
	on $h tc qdisc add dev eth0 root tbf rate 20mbit burst 64kb \
	    limit 20000000
done

# load iperf3-options...: ms of p50 and p90 of pings under it, and their loss
load()
{
	on a iperf3 -J -c "$(ip4 b)" -t 6 "$@" >"$LAB/i.json" &
	_load=$!
	sleep 2
	on a ping -c 150 -i 0.02 -W 2 "$(ip4 b)" >"$LAB/ping.log"
	wait $_load
	set -- $(sed -n 's/.*time=\([0-9]*\).*/\1/p' "$LAB/ping.log" |
	    sort -n | awk '{ t[NR] = $1 }
	    END { print t[int(NR / 2)], t[int(NR * 9 / 10)], 150 - NR }')
	p50=$1 p90=$2 lost=$3
	mbit=$(jq '(.end.sum_received // .end.sum).bits_per_second / 1e6 |
	    floor' "$LAB/i.json")
	said="$mbit Mbit/s, ping $p50 ms (p90 $p90), lost $lost"
}

load -C reno
check "a flow that fills queues: $said" \
    [ "$p50" -lt 150 -a "$p90" -lt 250 -a "$lost" -lt 8 -a "$mbit" -ge 14 ]
load -C reno -R
check "and the other way: $said" \
    [ "$p50" -lt 150 -a "$p90" -lt 250 -a "$lost" -lt 8 -a "$mbit" -ge 14 ]
load -u -b 200M -l 1200
check "a flood of ten times the link: $said" \
    [ "$p50" -lt 80 -a "$p90" -lt 160 -a "$lost" -lt 15 ]
check "what did not fit was dropped before the queue" sh -c \
    "ip netns exec $P-a '$SHOALCTL' -s '$LAB/a/shoald.sock' debug path |
    grep -Eq 'queue[^0-9]*[1-9]'"
