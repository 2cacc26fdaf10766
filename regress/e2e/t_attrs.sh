#!/bin/sh
# Node attributes that the server sets, changed under running nodes: any port,
# no UPnP, nothing but TCP to relays, STUN without end, routes of peers.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"

attrs()		# words, each with its quotes: in force for all nodes
{
	cat >"$LAB/coord/policy.hujson" <<-X
	{"acls": [{"action": "accept", "src": ["autogroup:member"],
	 "dst": ["autogroup:self:*"]}],
	 "nodeAttrs": [{"target": ["*"], "attr": [$1]}]}
	X
	kill -HUP "$COORDPID"
}

up()
{
	site_ready "$1" "$2"
}

bound()		# name: its node's IPv4 port
{
	on "$1" ss -Hlunp4 | sed -n '/netd\|shoald/s/.*0\.0\.0\.0:\([0-9]*\) .*/\1/p' |
	    sed -n 1p
}

is_port()	# name port
{
	[ "$(bound "$1")" = "$2" ]
}

other_port()
{
	_p=$(bound "$1")
	[ -n "$_p" ] && [ "$_p" != 41641 ]
}

path_is()	# a b path
{
	on "$1" ping -q -c 1 -W 1 "$B" >/dev/null
	[ "$(site_path "$1" "$2")" = "$3" ]
}

flows()
{
	on a ping -c 2 -i 0.2 -W 2 "$B"
}

mapped()	# pattern of `debug portmap'
{
	site_ctl b debug portmap | grep "$1"
}

knows()		# the server knows a's port N, or another one
{
	json_is "$(coordctl --json node show a)" \
	    "(if type == \"array\" then .[0] else . end) | $1"
}

udp_out()	# packets that a sent since `udp_watch'
{
	on a nft list chain inet watch out |
	    sed -n 's/.*packets \([0-9]*\) .*/\1/p'
}

udp_watch()
{
	on a nft -f - <<-X
	table inet watch
	delete table inet watch
	table inet watch {
	 chain out {
	  type filter hook output priority 0
	  oifname "eth0" meta l4proto { udp, icmp } counter
	 }
	}
	X
}

stun_sent()	# by c so far
{
	on c nft list chain inet watch out |
	    sed -n 's/.*packets \([0-9]*\) .*/\1/p'
}

stun_goes_on()
{
	[ "$(stun_sent)" -gt "$1" ]
}

natlab_init attrs
coordctl user create lab >/dev/null
site_make a open 2
site_make b upnp 3
site_make c open 4
for n in a b c; do
	site_node $n shoald lab
done
check "two nodes" wait_for 20 up a b
wait_for 10 up b a
B=$(site_ctl b ip -4)
check "they meet" wait_for 10 path_is a b direct
check "at the usual port" is_port a 41641
check "a port is mapped by UPnP" wait_for 10 mapped 'is mapped by UPnP'
check "one route for all" sh -c "ip -n $P-a route show table all |
    grep -q '^100.64.0.0/10 dev shoal0'"

attrs '"randomize-client-port", "debug-disable-upnp", "one-cgnat?v=false"'
check "any port" wait_for 5 other_port a
check "the server hears of it" wait_for 5 knows 'any(.endpoints[];
    test("^11[.]1[.]2[.]1:")) and all(.endpoints[] |
    select(test("^11[.]1[.]2[.]1:")); endswith(":41641") | not)'
check "no UPnP: the mapping is given back" wait_for 5 mapped \
    'nothing is mapped'
check "and is not asked for" mapped 'UPnP no\|UPnP unknown'
check "a route for each peer" wait_for 5 sh -c \
    "ip -n $P-a route show table all | grep -q '^$B dev shoal0'"
check "none for all" sh -c "! ip -n $P-a route show table all |
    grep -q '^100.64.0.0/10 dev shoal0'"
check "packets flow" wait_for 5 flows

attrs '"only-tcp-443"'
check "TCP alone: by relay" wait_for 10 path_is a b relay
check "back at the usual port" wait_for 5 is_port a 41641
check "netcheck measures by HTTPS" json_is "$(site_ctl a netcheck \
    --format=json-line)" '(.UDP | not) and (.RegionLatency | length) == 2 and
    .RegionV4Latency == {} and .CaptivePortal == null'
udp_watch
check "packets flow by the relay" flows
site_ctl b ping --c 2 a >/dev/null 2>&1
check "no UDP, no ICMP leaves" [ "$(udp_out)" = 0 ]

attrs '"debug-always-stun"'
check "without it: direct again" wait_for 10 path_is a b direct
check "a port is mapped again" wait_for 10 mapped 'is mapped by UPnP'
on c nft -f - <<-X
	table inet watch {
	 chain out {
	  type filter hook output priority 0
	  udp dport 3478 counter
	 }
	}
X
sleep 2
n=$(stun_sent)
check "an idle node: STUN goes on" wait_for 30 stun_goes_on "$n"
