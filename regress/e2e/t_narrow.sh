#!/bin/sh
# A path over a narrow link, with no relay and no other path, and nobody hears
# what its routers say: full packets get through all the same, by IPv6 in
# 1280 bytes and by IPv4 in as few as 1000; and whole again over a wide one.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/mtulab.sh"
lab_init narrow

known()	# node text: that it says so of a candidate
{
	ctl "$1" debug netd peers | grep -q "$2"
}

# within seconds command...: checked, with the time that it took.
within()
{
	_what=$1 _secs=$2 _t=$(now_ms)
	shift 2
	wait_for "$_secs" "$@"
	_st=$?
	check "$_what: after $(($(now_ms) - _t)) ms" [ $_st -eq 0 ]
}

# What comes out of a is counted from now on.
count()
{
	on s nft 'add chain inet t n { type filter hook prerouting priority -450; }'
	on s nft flush chain inet t n
	on s nft add rule inet t n iifname eth1 exthdr frag exists counter
	on s nft add rule inet t n iifname eth1 ip frag-off '&' 0x3fff != 0 \
	    counter
}

fragments()
{
	_n=$(on s nft -j list chain inet t n |
	    jq '[.. | .counter? | objects | .packets] | add')
	echo "$_n fragments"
	[ "$_n" -gt 100 ]
}

whole()
{
	! fragments
}

lab_host coord 1
lab_host a 2
routers
only 6
deaf yes
count
two_up || exit 1
IP4A=$(ip4 a) IP4B=$(ip4 b) IP6B=$(ip6 b)
iperf_server b

within "IPv6, 1280 bytes: full packets" 6 big
within "TCP" 5 tcp
within "TCP back" 5 tcp -R
check "in fragments" fragments
check "it is known why" known a 'full packets in fragments'
narrow 1500
on a ip addr add 10.77.0.22/24 dev eth0		# the network changes
within "a wide link: whole packets again" 6 known a 'carries full packets$'
check "full packets" big
count
check "TCP" tcp
check "no fragments" whole

# A new netd does not know what the system does, and meets it at once.
narrow 1280
within "narrow again: full packets" 10 big
kill -9 "$(child_pid a netd)"
within "a new netd: TCP" 10 tcp
check "and its large sends to others are not given up" sh -c \
    "\"$SHOALCTL\" -s $LAB/a/shoald.sock debug netd path |
    grep -q '^udp6 .*gso'"

only 4
count
within "IPv4, 1280 bytes: full packets" 10 big
check "directly" wait_for 5 via 'direct 10.79.0.2'
check "TCP" tcp
check "in fragments" fragments
narrow 1000
check "1000 bytes: TCP" tcp
check "TCP back" tcp -R
check "full packets" big
