#!/bin/sh
# By the relay over a slow uplink with a long queue (20 Mbit/s and room for
# eight seconds): what else goes over it waits for milliseconds, whatever a
# flow does, and the flow has most of the link.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/queuelab.sh"

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
two_up "policy allow all
$(lab_relay_home)" || exit 1
check "the nodes see each other" wait_for 10 on a ping -c 1 -W 1 "$(ip4 b)"
check "by the relay" wait_for 5 status_says a 'relay "home"'
slow_links

load 8 0.03 -C reno
check "a flow that fills queues: $said" \
    [ "$p50" -lt 80 -a "$p90" -lt 160 -a "$lost" -lt 3 -a "$mbit" -ge 12 ]
load 8 0.03 -C cubic
check "another: $said" \
    [ "$p50" -lt 80 -a "$p90" -lt 160 -a "$lost" -lt 3 -a "$mbit" -ge 12 ]
load 8 0.03 -u -b 200M -l 1200
check "a flood of ten times the link: $said" \
    [ "$p50" -lt 80 -a "$p90" -lt 160 -a "$lost" -lt 15 ]
