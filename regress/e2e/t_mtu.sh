#!/bin/sh
# Two nodes with a link of 1280 bytes in the middle: full-size packets and TCP
# get through, by IPv4 and IPv6, when the routers say that packets are too
# big and when nobody hears that, and when no fragment passes.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
lab_init mtu

# Routers r and s, a narrow link between them; b behind s.
routers()
{
	lab_host r 4
	for _h in s b; do
		LABHOSTS="$LABHOSTS $_h"
		ip netns add "$P-$_h"
		mkdir -p "$LAB/$_h"
		ip -n "$P-$_h" link set lo up
		on $_h sysctl -qw net.ipv6.conf.default.accept_dad=0
	done
	ip link add eth1 netns "$P-r" type veth peer name eth1 netns "$P-s"
	ip link add eth2 netns "$P-s" type veth peer name eth0 netns "$P-b"
	for _h in r s; do
		on $_h sysctl -qw net.ipv4.ip_forward=1 \
		    net.ipv6.conf.all.forwarding=1 \
		    net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
		on $_h nft add table inet t
		on $_h nft 'add chain inet t f { type filter hook forward priority 0; }'
		on $_h nft 'add chain inet t o { type filter hook output priority 0; }'
		# What routers of such links do for TCP.
		on $_h nft 'add rule inet t f tcp flags syn tcp option maxseg size set 1200'
	done
	for _h in a:2 r:4; do
		ip -n "$P-${_h%:*}" addr add "2c0f:77::${_h#*:}/64" \
		    dev eth0 nodad
	done
	link r eth1 78 1
	link s eth1 78 2
	link s eth2 79 1
	link b eth0 79 2
	narrow 1280
	on r ip route add 10.79.0.0/24 via 10.78.0.2
	on r ip -6 route add 2c0f:79::/64 via 2c0f:78::2
	on s ip route add default via 10.78.0.1
	on s ip -6 route add default via 2c0f:78::1
	on b ip route add default via 10.79.0.1
	on b ip -6 route add default via 2c0f:79::1
	for _h in coord relay a; do
		on $_h ip route add default via 10.77.0.4
	done
	on a ip -6 route add default via 2c0f:77::4
}

link()	# host interface net number
{
	ip -n "$P-$1" addr add "10.$3.0.$4/24" dev "$2"
	ip -n "$P-$1" addr add "2c0f:$3::$4/64" dev "$2" nodad
	ip -n "$P-$1" link set "$2" up
}

narrow()	# bytes
{
	ip -n "$P-r" link set eth1 mtu "$1"
	ip -n "$P-s" link set eth1 mtu "$1"
}

# What the routers tell of large packets is lost: yes or no.
deaf()
{
	for _h in r s; do
		on $_h nft flush chain inet t o
		[ "$1" = no ] && continue
		on $_h nft add rule inet t o icmp type destination-unreachable drop
		on $_h nft add rule inet t o icmpv6 type packet-too-big drop
	done
}

# Between a and b only this family passes directly.
only()	# 4, 6
{
	on r nft flush chain inet t only 2>/dev/null
	on r nft 'add chain inet t only { type filter hook forward priority -5; }'
	case $1 in
	4)	on r nft add rule inet t only ip6 daddr 2c0f:79::2 meta l4proto udp drop ;;
	6)	on r nft add rule inet t only ip daddr 10.79.0.2 meta l4proto udp drop ;;
	esac
}

# The rest of fragments is lost: what carries no ports.
crumble()
{
	on s nft 'add chain inet t cut { type filter hook prerouting priority -450; }'
	on s nft add rule inet t cut iifname eth1 ip frag-off \& 0x1fff != 0 drop
	on s nft add rule inet t cut iifname eth2 ip frag-off \& 0x1fff != 0 drop
}

big()	# both ways, both families, full inner packets
{
	on a ping -c 2 -i 0.2 -W 2 -M "do" -s 1252 "$IP4B" &&
	    on a ping -6 -c 2 -i 0.2 -W 2 -M "do" -s 1232 "$IP6B" &&
	    on b ping -c 2 -i 0.2 -W 2 -M "do" -s 1252 "$IP4A"
}

tcp()	# [-R]
{
	on a timeout 10 iperf3 -J -c "$IP4B" -t 1 "$@" >"$LAB/i.json" &&
	    MBIT=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' \
	    "$LAB/i.json") && echo "$MBIT Mbit/s" && [ "$MBIT" -ge 20 ]
}

via()	# pattern: so a is said to reach b
{
	ctl a status | grep " b " | grep -q "$1"
}

known()
{
	ctl a debug netd peers | grep 'does not carry full packets'
}

# flow_start; moving "what" seconds: it goes on, and how long that took.
flow_start()
{
	on_bg a "$LAB/a/iperf.log" iperf3 -c "$IP4B" -t 60 -b 40M
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
on_bg b "$LAB/b/iperf.log" iperf3 -s

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
check "by the relay" wait_for 5 via 'relay "home"'
check "full packets" wait_for 6 big
flow_end
check "TCP back" tcp -R
check "it is known why" wait_for 8 known
deaf no
check "a link of 1280, and it is heard: they talk" again 6
check "directly" wait_for 5 via 'direct \[2c0f:79::2\]'
check "full packets" big
check "TCP" tcp
check "TCP back" tcp -R
