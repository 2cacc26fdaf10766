#!/bin/sh
# A tunnel of 8920 bytes over links of 1500 and 9000: what the path carries is
# found out, packets that are larger are answered to whoever sends them.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
lab_init pmtud

wire()	# bytes
{
	for _h in a b; do
		ip -n "$P-$_h" link set eth0 mtu "$1"
		on hub ip link set "$P$_h" mtu "$1"
	done
}

big()	# from size: a packet of that many bytes, which must not be cut
{
	on "$1" ping -q -c 1 -W 1 -M "do" -s $(($2 - 28)) "$(ip4 b)"
}

big6()
{
	on "$1" ping -6 -q -c 1 -W 1 -M "do" -s $(($2 - 48)) "$(ip6 b)"
}

told()	# bytes address mtu ping-option...: the stack hears of that
{
	_n=$1 _to=$2 _mtu=$3
	shift 3
	on "${FROM:-a}" ping "$@" -c 3 -i 0.2 -W 1 -M "do" -s "$_n" "$_to" >"$LAB/told" 2>&1
	cat "$LAB/told"
	grep -Eqi "mtu *[=:] *$_mtu" "$LAB/told"
}

tcp()	# [-R]
{
	on a timeout 10 iperf3 -J -c "$(ip4 b)" -t 1 "$@" >"$LAB/i.json" &&
	    MBIT=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' \
	    "$LAB/i.json") && echo "$MBIT Mbit/s" && [ "$MBIT" -ge 50 ]
}

# A host c behind a, which forwards for it.
behind()
{
	LABHOSTS="$LABHOSTS c"
	ip netns add "$P-c"
	mkdir -p "$LAB/c"
	ip link add eth1 netns "$P-a" mtu 9000 type veth peer name eth0 \
	    netns "$P-c" mtu 9000
	for _h in a:eth1:1 c:eth0:2; do
		_i=${_h#*:}
		ip -n "$P-${_h%%:*}" addr add "10.99.0.${_i#*:}/24" dev "${_i%:*}"
		ip -n "$P-${_h%%:*}" addr add "fd99::${_i#*:}/64" \
		    dev "${_i%:*}" nodad
		ip -n "$P-${_h%%:*}" link set "${_i%:*}" up
	done
	on c ip route add default via 10.99.0.1
	on c ip -6 route add default via fd99::1
	on a sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

carries()	# node size
{
	ctl "$1" debug netd peers | grep -q "packets of $2"
}

LAB_MTU=8920
two_nodes || exit 1
iperf_server b
check "they talk" wait_for 5 on a ping -c 1 -W 1 "$(ip4 b)"
check "1440 bytes fit a wire of 1500" wait_for 5 carries a 1440
check "the other way too" wait_for 5 carries b 1440
check "IPv4: they pass" wait_for 3 big a 1440
check "IPv6: they pass" wait_for 3 big6 a 1440
# Before a itself has learnt anything.
behind
FROM=c
check "IPv4: a host behind the node is answered" wait_for 5 told 1413 "$(ip4 b)" 1440 -4
check "IPv6: so it is" wait_for 5 told 1393 "$(ip6 b)" 1440 -6
FROM=a
check "IPv4: more is answered" wait_for 5 told 1413 "$(ip4 b)" 1440 -4
check "IPv6: more is answered" wait_for 5 told 1393 "$(ip6 b)" 1440 -6
check "TCP learns it" tcp
check "TCP the other way" tcp -R
check "UDP that may be cut" on a ping -q -c 2 -i 0.2 -W 2 -M dont -s 8000 \
    "$(ip4 b)"

node_stop a
node_stop b
wire 9000
ip -n "$P-hub" link set br0 mtu 9000
node_run a 2
node_run b 2
node_wait_up a && node_wait_up b
check "on a wire of 9000" wait_for 5 on a ping -c 1 -W 1 "$(ip4 b)"
check "all of the tunnel's 8920 fit" wait_for 5 carries a 8920
check "they pass" wait_for 3 big a 8920
check "TCP" tcp
check "TCP the other way" tcp -R
wire 1500
check "a wire of 1500 again: TCP goes on" wait_for 15 tcp
check "the path has been measured anew" wait_for 10 carries a 1440
