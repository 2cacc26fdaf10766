#!/bin/sh
# Two nodes with a link of 1280 bytes in the middle: full-size packets and TCP
# get through, by IPv4 and IPv6, when the routers say that packets are too
# big and when nobody hears that, and when no fragment passes.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/mtulab.sh"
lab_init mtu

fragments()
{
	ctl a debug netd peers | grep 'full packets in fragments'
}

known()
{
	ctl a debug netd peers | grep 'does not carry full packets'
}

# flow_start; moving "what" seconds: it goes on, and how long that took.
flow_start()
{
	on_bg a "$LAB/a/iperf.log" iperf3 -C reno \
	    -c "$IP4B" -t 60 -b 40M
	FLOW=$BGPID
	wait_for 5 rx_moves b
}

moving()
{
	sleep 0.2
	_t=$(now_ms)
	wait_for "$2" rx_moves b
	_st=$?
	check "$1: after $(($(now_ms) - _t - 300)) ms" [ $_st -eq 0 ]
}

flow_end()
{
	kill_wait "$FLOW" INT
}

# again family: both nodes anew, and only this family between them.
again()
{
	node_stop a
	node_stop b
	only "$1"
	node_run a "$1"
	node_run b "$1"
	node_wait_up a && node_wait_up b
	wait_for 5 on a ping -c 1 -W 1 "$IP4B"
}

check "derpd starts" lab_relay || exit 1
lab_host coord 1
lab_host a 2
routers
only 4
deaf no
two_up "policy allow all
$(lab_relay_home)" || exit 1
IP4A=$(ip4 a) IP4B=$(ip4 b) IP6B=$(ip6 b)
iperf_server b

check "IPv4: they talk" wait_for 5 on a ping -c 1 -W 1 "$IP4B"
check "directly" wait_for 5 via 'direct 10.79.0.2'
check "full packets" big
check "TCP" tcp
check "TCP back" tcp -R
deaf yes
check "nobody hears of large packets: full packets" big
check "TCP" tcp
check "still direct" via 'direct 10.79.0.2'
flow_start
crumble
moving "fragments are lost from now on" 15
check "by the relay" wait_for 5 via 'relay "home"'
check "full packets" wait_for 6 big
flow_end
on s nft flush chain inet t cut

narrow 1500
deaf yes
check "IPv6, a link of 1500: they talk" again 6
check "directly" wait_for 5 via 'direct \[2c0f:79::2\]'
flow_start
narrow 1280
moving "narrow from now on, and nobody hears of it" 15
check "in fragments" wait_for 6 fragments
check "directly" wait_for 5 via 'direct \[2c0f:79::2\]'
check "full packets" wait_for 6 big
crumble
moving "fragments are lost from now on" 15
check "by the relay" wait_for 8 via 'relay "home"'
check "full packets" wait_for 6 big
flow_end
check "TCP back" tcp -R
check "it is known why" wait_for 8 known
on s nft flush chain inet t cut
deaf no
check "a link of 1280, and it is heard: they talk" again 6
check "directly" wait_for 5 via 'direct \[2c0f:79::2\]'
check "full packets" big
check "TCP" tcp
check "TCP back" tcp -R
