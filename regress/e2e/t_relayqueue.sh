#!/bin/sh
# By the relay over a slow uplink with a long queue (20 Mbit/s and room for
# eight seconds): what else goes over it waits for milliseconds, whatever a
# flow does, and the flow has most of the link.
. "$(dirname "$0")/lib.sh"

lab_init relayqueue
check "derpd starts" lab_relay || exit 1
lab_host coord 1
lab_host a 2
lab_host b 3
# The connection to the relay fills queues until something is lost.
on a sysctl -qw net.ipv4.tcp_congestion_control=reno
for h in a b; do
	on $h nft add table inet t
	on $h nft 'add chain inet t o { type filter hook output priority 0; }'
	on $h nft add rule inet t o oifname eth0 meta l4proto udp drop
done
coord_start "policy allow all
$(lab_relay_home)" || exit 1
coordctl user create u >/dev/null
for h in a b; do
	node_start $h "auth key \"$(key_create --user u)\""
done
for h in a b; do
	node_wait_up $h || { fail "node $h is up"; exit 1; }
done
check "the nodes see each other" wait_for 10 on a ping -c 1 -W 1 "$(ip4 b)"
check "by the relay" wait_for 5 status_says a 'relay "home"'
on_bg b "$LAB/b/iperf.log" iperf3 -s
wait_for 3 on b sh -c "ss -lnt | grep -q :5201"
for h in a b; do
	on $h tc qdisc add dev eth0 root tbf rate 20mbit burst 64kb \
	    limit 20000000
done

# load iperf3-options...: ms of p50 and p90 of pings under it, and their loss
load()
{
	on a iperf3 -J -c "$(ip4 b)" -t 8 "$@" >"$LAB/i.json" &
	_load=$!
	sleep 2
	on a ping -c 150 -i 0.03 -W 2 "$(ip4 b)" >"$LAB/ping.log"
	wait $_load
	set -- $(sed -n 's/.*time=\([0-9]*\).*/\1/p' "$LAB/ping.log" |
	    sort -n | awk '{ t[NR] = $1 }
	    END { print t[int(NR / 2)], t[int(NR * 9 / 10)], 150 - NR }')
	p50=$1 p90=$2 lost=$3
	mbit=$(jq '(.end.sum_received // .end.sum).bits_per_second / 1e6 |
	    floor' "$LAB/i.json")
}

load -C reno
check "a flow that fills queues: $mbit Mbit/s, ping $p50 ms (p90 $p90)" \
    [ "$p50" -lt 80 -a "$p90" -lt 160 -a "$lost" -lt 3 -a "$mbit" -ge 12 ]
load -C cubic
check "another: $mbit Mbit/s, ping $p50 ms (p90 $p90)" \
    [ "$p50" -lt 80 -a "$p90" -lt 160 -a "$lost" -lt 3 -a "$mbit" -ge 12 ]
load -u -b 200M -l 1200
check "a flood of ten times the link: ping $p50 ms (p90 $p90), lost $lost" \
    [ "$p50" -lt 80 -a "$p90" -lt 160 -a "$lost" -lt 15 ]
