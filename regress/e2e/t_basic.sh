#!/bin/sh
# Two nodes of one tailnet: cold start, IPv4, IPv6, large packets, TCP, UDP.
. "$(dirname "$0")/lib.sh"

first_ping()
{
	on a ping -c 1 -W 1 "$(ip4 b)"
}

# iperf ok: at least N Mbit/s arrived. iperf_run min args...
iperf_run()
{
	_min=$1
	shift
	on a iperf3 -J -t 2 "$@" >"$LAB/iperf.json" || return 1
	_got=$(jq '(.end.sum_received.bits_per_second //
	    .end.sum.bits_per_second) / 1e6 | floor' "$LAB/iperf.json")
	echo "$_got Mbit/s"
	[ "$_got" -ge "$_min" ]
}

lab_init basic
lab_host coord 1
lab_host a 2
lab_host b 3
check "coordd starts" coord_start || exit 1
coordctl user create u >/dev/null
key=$(key_create --user u --reusable)
t0=$(now_ms)
node_start a "auth key \"$key\""
node_start b "auth key \"$key\""
node_wait_up a && node_wait_up b
wait_for 5 first_ping
t=$(($(now_ms) - t0))
check "cold start to first ping in under 3 s ($t ms)" [ $t -lt 3000 ]

check "ping over IPv4, both ways" sh -c "
    ip netns exec $P-a ping -c 3 -i 0.1 -W 2 $(ip4 b) &&
    ip netns exec $P-b ping -c 3 -i 0.1 -W 2 $(ip4 a)"
check "ping over IPv6, both ways" sh -c "
    ip netns exec $P-a ping -c 3 -i 0.1 -W 2 $(ip6 b) &&
    ip netns exec $P-b ping -c 3 -i 0.1 -W 2 $(ip6 a)"
check "64 KiB pings over IPv4" \
    on a ping -c 5 -i 0.2 -W 2 -s 65000 "$(ip4 b)"
check "64 KiB pings over IPv6" \
    on a ping -c 5 -i 0.2 -W 2 -s 65000 "$(ip6 b)"
iperf_server b
check "TCP from a to b" iperf_run 100 -c "$(ip4 b)"
check "TCP from b to a" iperf_run 100 -c "$(ip4 b)" -R
check "TCP over IPv6" iperf_run 100 -c "$(ip6 b)"
check "four TCP flows" iperf_run 100 -c "$(ip4 b)" -P 4
check "UDP from a to b" iperf_run 45 -c "$(ip4 b)" -u -b 50M -l 1200
check "UDP from b to a" iperf_run 45 -c "$(ip4 b)" -u -b 50M -l 1200 -R
check "no UDP lost at 50 Mbit/s" sh -c \
    "[ \$(jq '.end.sum.lost_percent < 1' $LAB/iperf.json) = true ]"
check "shoalctl ping goes direct" sh -c \
    "$SHOALCTL -s $LAB/a/shoald.sock ping --c 1 b | grep 'via 10.77.0.3:'"
check "nothing is left after SIGTERM" node_stop a
check "the interface is gone" sh -c \
    "! ip netns exec $P-a ip link show shoal0"
check "the rules are gone" sh -c \
    "! ip netns exec $P-a ip rule | grep -q 'lookup 52'"
check "the socket is gone" [ ! -e "$LAB/a/shoald.sock" ]
