#!/bin/sh
# A gateway that restarts has forgotten its mappings and says so to all hosts
# (RFC 6886, 3.2.1): the node asks again at once, long before its lease is
# half over. Another host's announcement counts for nothing.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"

mapped()	# pattern of `debug portmap'
{
	site_ctl a debug portmap | grep "$1"
}

rules()		# how many ports the router has mapped
{
	on ar nft list chain inet filter prerouting_miniupnpd |
	    grep -c dnat
}

rules_are()
{
	[ "$(rules)" = "$1" ]
}

forget()
{
	on ar nft flush chain inet filter prerouting_miniupnpd
	on ar nft flush chain inet filter miniupnpd
}

natlab_init portannounce
coordctl user create lab >/dev/null
site_make a pmp 2
site_node a shoald lab
check "a port is mapped by NAT-PMP" wait_for 15 mapped \
    'is mapped by NAT-PMP'
check "the router has it" rules_are 1

cat >"$LAB/announce.py" <<'X'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.168.2.9", 5351))
s.sendto(bytes.fromhex("008000000000000109090909"), ("224.0.0.1", 5350))
X
on ar ip addr add 192.168.2.9/24 dev lan
sleep 1.2			# its epoch is not 1 any more
forget
on ar python3 "$LAB/announce.py"
sleep 0.5
check "a stranger's announcement" rules_are 0
check "is ignored, and counted" mapped 'answers of others ignored'

kill_wait "$(cat "$LAB/ar/pid")"
forget
on_bg ar "$LAB/a/miniupnpd2.log" miniupnpd -d -f "$LAB/ar/miniupnpd.conf" \
    -P "$LAB/ar/pid2"
check "the router is back" wait_for 5 router_listens ar
check "and has the mapping again at once" wait_for 5 rules_are 1
check "the node knows" mapped 'is mapped by NAT-PMP'
