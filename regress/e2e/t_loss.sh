#!/bin/sh
# A link that loses 5 % of the packets: handshakes, names and flows get
# through.
. "$(dirname "$0")/lib.sh"

lab_init loss
lab_host coord 1
lab_host a 2
lab_host b 3
for h in a b; do
	on $h nft add table inet lossy
	on $h nft 'add chain inet lossy in { type filter hook input priority 0; }'
	on $h nft 'add rule inet lossy in iifname eth0 numgen random mod 100 < 5 drop'
done
coord_start || exit 1
coordctl user create u >/dev/null
key=$(key_create --user u --reusable)
node_start a "auth key \"$key\""
node_start b "auth key \"$key\""
check "both nodes are up" sh -c ":" && node_wait_up a 20 && node_wait_up b 20
check "ping gets through" wait_for 10 on a ping -c 1 -W 1 "$(ip4 b)"
on a ping -c 200 -i 0.02 -W 1 "$(ip4 b)" >"$LAB/a/ping.log"
lost=$(sed -n 's/.* \([0-9.]*\)% packet loss.*/\1/p' "$LAB/a/ping.log")
check "pings lose what the link loses, not more ($lost %)" \
    [ "${lost%.*}" -lt 20 ]
iperf_server b
iperf()
{
	on a iperf3 -J -c "$(ip4 b)" -t 3 >"$LAB/i.json" &&
	    [ "$(jq '.end.sum_received.bytes > 100000' "$LAB/i.json")" = true ]
}
check "a TCP flow goes on" iperf
check "the loss was real" sh -c "ip netns exec $P-a nft list ruleset |
    grep -q 'drop'"
