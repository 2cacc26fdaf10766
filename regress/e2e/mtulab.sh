# What tests of narrow paths share: two nodes, a before a router r and b behind
# another one s, and a link between r and s that may be narrow. Sourced after
# lib.sh, by a test that has lab_init behind it.

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
		[ -d "$LAB/$_h" ] || continue
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

# The rest of fragments is lost: what carries no ports. Of IPv6 the first ones
# too, or reassembly is busy for a minute with what never becomes whole.
crumble()
{
	on s nft 'add chain inet t cut { type filter hook prerouting priority -450; }'
	on s nft add rule inet t cut iifname eth1 ip frag-off \& 0x1fff != 0 drop
	on s nft add rule inet t cut iifname eth2 ip frag-off \& 0x1fff != 0 drop
	on s nft add rule inet t cut exthdr frag exists drop
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
