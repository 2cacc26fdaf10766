#!/bin/sh
# A slow link with a long queue (20 Mbit/s and room for eight seconds): what
# else goes over it waits for milliseconds, whatever a flow does, and the
# flow loses nothing of the link.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/queuelab.sh"

lab_init queue
two_nodes 'policy allow all' || exit 1
check "the nodes see each other" wait_for 5 on a ping -c 1 -W 1 "$(ip4 b)"
slow_links

load 6 0.02 -C reno
check "a flow that fills queues: $said" \
    [ "$p50" -lt 150 -a "$p90" -lt 250 -a "$lost" -lt 8 -a "$mbit" -ge 14 ]
load 6 0.02 -C reno -R
check "and the other way: $said" \
    [ "$p50" -lt 150 -a "$p90" -lt 250 -a "$lost" -lt 8 -a "$mbit" -ge 14 ]
load 6 0.02 -u -b 200M -l 1200
check "a flood of ten times the link: $said" \
    [ "$p50" -lt 80 -a "$p90" -lt 160 -a "$lost" -lt 15 ]
check "what did not fit was dropped before the queue" sh -c \
    "ip netns exec $P-a '$SHOALCTL' -s '$LAB/a/shoald.sock' debug path |
    grep -Eq 'queue[^0-9]*[1-9]'"
