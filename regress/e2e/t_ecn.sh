#!/bin/sh
# Marks of congestion, RFC 6040: what the inner packet says stands outside,
# and what a router of the underlay marks arrives inside, where TCP minds it.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
lab_init ecn

# see host hook interface name match: counts what matches there.
see()
{
	on "$1" nft add table inet see
	on "$1" nft add counter inet see "$4"
	on "$1" nft "add chain inet see $2 { type filter hook $2 priority 10; }"
	# The match is words.
	# shellcheck disable=SC2086
	on "$1" nft add rule inet see "$2" iifname "$3" $5 counter name "$4"
}

seen()	# host name: packets
{
	on "$1" nft -j list counter inet see "$2" |
	    jq '.nftables[] | select(.counter) | .counter.packets'
}

forget()	# host
{
	on "$1" nft reset counters table inet see >/dev/null
}

# mark family what: a router on the way to b marks all that is so.
mark()
{
	on b nft add table inet stamp
	on b nft 'add chain inet stamp in { type filter hook prerouting priority -300; }'
	on b nft flush chain inet stamp in
	[ $# -eq 0 ] || on b nft add rule inet stamp in iifname eth0 \
	    udp sport 41641 "$1" ecn "$2" "$1" ecn set ce
}

ping_as()	# class number: from a to b
{
	on a ping -q -Q "$1" -c "$2" -i 0.05 -W 1 "$IP4B" &&
	    on a ping -6 -q -Q "$1" -c "$2" -i 0.05 -W 1 "$IP6B"
}

saw()	# name test...
{
	_s=$(seen b "$1")
	echo "$1: $_s"
	[ "$_s" "$2" "$3" ]
}

tcp_marks()	# how many the sender has heard of
{
	on a nstat -asz TcpExtTCPDeliveredCE | awk '/CE/ { print $2 }'
}

tcp()	# congestion control: a flow under marks; and what came of it
{
	_m=$(tcp_marks)
	on a iperf3 -J -C "$1" -c "$IP4B" -t 2 >"$LAB/i.json" || return 1
	MBIT=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' \
	    "$LAB/i.json")
	CWND=$(jq '[.intervals[].streams[].snd_cwnd] | max / 1024 | floor' \
	    "$LAB/i.json")
	RETR=$(jq .end.sum_sent.retransmits "$LAB/i.json")
	MARKS=$(($(tcp_marks) - _m))
	echo "# $MBIT Mbit/s, cwnd $CWND KiB, $MARKS marks heard, $RETR sent again"
}

# All of it, by one family of the underlay.
underlay()	# ip, ip6
{
	_ip=$1
	mark
	forget b
	check "$_ip: unmarked packets" ping_as 0 4
	check "stay so outside" saw "out${_ip}_ect0" -eq 0
	check "and inside" saw in_ect0 -eq 0
	check "ECT(0) inside" ping_as 2 4
	check "is ECT(0) outside" saw "out${_ip}_ect0" -eq 8
	check "and arrives" saw in_ect0 -eq 8
	check "no mark so far" saw in_ce -eq 0
	check "ECT(1) inside" ping_as 1 4
	check "is ECT(1) outside" saw "out${_ip}_ect1" -eq 8
	mark "$_ip" ect0
	forget b
	check "a router marks ECT(0)" ping_as 2 4
	check "the mark arrives" saw in_ce -eq 8
	check "others are let alone" ping_as 0 4
	check "without a mark" saw in_ce -eq 8
}

lab_host coord 1
for h in a:2 b:3; do
	lab_host "${h%:*}" "${h#*:}"
	ip -n "$P-${h%:*}" addr add "2c0f:77::${h#*:}/64" dev eth0 nodad
	on "${h%:*}" sysctl -qw net.ipv4.tcp_ecn=1
	on "${h%:*}" nft add table inet only
	on "${h%:*}" nft \
	    'add chain inet only in { type filter hook input priority 0; }'
	on "${h%:*}" nft add rule inet only in ip6 nexthdr udp drop
done
two_up || exit 1
IP4B=$(ip4 b) IP6B=$(ip6 b)
for e in ect0 ect1; do
	see b prerouting eth0 outip_$e "ip ecn $e udp sport 41641"
	see b prerouting eth0 outip6_$e "ip6 ecn $e udp sport 41641"
done
see b prerouting shoal0 in_ect0 "ip ecn ect0"
see b prerouting shoal0 in_ce "ip ecn ce"
on b nft add rule inet see prerouting iifname shoal0 ip6 ecn ect0 counter name in_ect0
on b nft add rule inet see prerouting iifname shoal0 ip6 ecn ce counter name in_ce
iperf_server b
check "they talk directly" wait_for 5 sh -c "$SHOALCTL \
    -s $LAB/a/shoald.sock ping --c 1 b | grep 'via 10.77.0.3:'"
wait_for 5 on a ping -c 1 -W 1 "$IP4B"
# Each has asked the other whether it minds marks.
wait_for 5 sh -c "ip netns exec $P-a ping -q -c 1 -Q 2 $IP4B; \
    ip netns exec $P-b nft list counter inet see outip_ect0 |
    grep -q 'packets [1-9]'"
underlay ip

mark
check "TCP without marks" tcp reno
FREE=$CWND
check "which hears of none" [ "$MARKS" -eq 0 ]
on b nft add rule inet stamp in iifname eth0 udp sport 41641 ip ecn ect0 \
    numgen random mod 20 == 0 ip ecn set ce
check "TCP under marks" tcp reno
check "it hears of them: $MARKS" [ "$MARKS" -gt 100 ]
check "and sends less at a time: $CWND of $FREE KiB" [ "$CWND" -lt "$FREE" ]
check "nothing is lost for that" [ "$RETR" -lt 10 ]

# What was not ECT must not be marked: whoever does that meant a loss.
mark ip not-ect
check "a mark on what bears none" sh -c \
    "! ip netns exec $P-a ping -q -c 2 -i 0.2 -W 1 $IP4B"
check "counts as a loss" sh -c "$SHOALCTL -s $LAB/b/shoald.sock \
    debug netd path | grep 'dropped in, congestion mark: '"
mark

for h in a b; do
	on $h nft flush chain inet only in
	on $h nft add rule inet only in ip protocol udp udp sport 41641 drop
done
check "by IPv6 they talk directly" wait_for 20 sh -c "$SHOALCTL \
    -s $LAB/a/shoald.sock ping --c 1 b | grep 'via \[2c0f:77::3\]:'"
wait_for 10 sh -c "ip netns exec $P-a ping -q -c 1 -Q 2 $IP4B; \
    ip netns exec $P-b nft list counter inet see outip6_ect0 |
    grep -q 'packets [1-9]'"
underlay ip6
