#!/bin/sh
# Port mapping against Debian's miniupnpd: three nodes behind one router, each
# left with one protocol (the others are dropped), and a stranger on their
# network who answers too. A REGRESS build asks for short leases.
BUILD=$(cd "$(dirname "$0")/../.." && pwd)/variants/regress
[ -x "$BUILD/parent/shoald" ] || { echo "skip: no REGRESS build"; exit 77; }
[ -x /usr/sbin/miniupnpd ] || { echo "skip: no miniupnpd"; exit 77; }
. "$(dirname "$0")/lib.sh"

LAN=192.168.50
WAN=5.77.0.9		# looks public; miniupnpd insists

lan_host()	# name N: a namespace behind the router
{
	_n=$P-$1
	LABHOSTS="$LABHOSTS $1"
	ip netns add "$_n"
	ip link add "l$1" netns "$P-router" type veth peer name eth0 \
	    netns "$_n"
	on router ip link set "l$1" master lan0 up
	on "$1" ip link set lo up
	on "$1" ip link set eth0 up
	on "$1" ip addr add "$LAN.$2/24" dev eth0
	on "$1" ip route add default via $LAN.1
	mkdir -p "$LAB/$1"
}

router()
{
	lab_host router 9
	on router ip addr flush dev eth0
	on router ip addr add $WAN/24 dev eth0
	on router ip addr add 10.77.0.9/24 dev eth0
	on router ip link add lan0 type bridge mcast_snooping 0
	on router ip addr add $LAN.1/24 dev lan0
	on router ip link set lan0 up
	on router sysctl -qw net.ipv4.ip_forward=1
	# The other chains are filled by miniupnpd.
	on router nft -f - <<-EOF
	table inet filter {
		chain miniupnpd { }
		chain prerouting_miniupnpd { }
		chain postrouting_miniupnpd { }
		chain forward {
			type filter hook forward priority 0; policy drop;
			iifname lan0 accept
			ct state established,related accept
			jump miniupnpd
		}
		chain prerouting {
			type nat hook prerouting priority -100;
			jump prerouting_miniupnpd
		}
		chain postrouting {
			type nat hook postrouting priority 100;
			jump postrouting_miniupnpd
			oifname eth0 masquerade
		}
		chain input {
			type filter hook input priority 0;
			ip saddr $LAN.11 udp dport 5351 @th,64,8 2 drop
			ip saddr $LAN.12 udp dport 5351 @th,64,8 0 drop
			ip saddr { $LAN.11, $LAN.12 } udp dport 1900 drop
			ip saddr $LAN.13 udp dport 5351 drop
		}
	}
	EOF
	cat >"$LAB/router/miniupnpd.conf" <<-EOF
	ext_ifname=eth0
	listening_ip=lan0
	ipv6_disable=yes
	enable_natpmp=yes
	enable_upnp=yes
	min_lifetime=4
	max_lifetime=3600
	secure_mode=yes
	system_uptime=no
	notify_interval=60
	clean_ruleset_interval=1
	uuid=00000000-1111-2222-3333-444444444444
	allow 1024-65535 $LAN.0/24 1024-65535
	deny 0-65535 0.0.0.0/0 0-65535
	EOF
	on router /usr/sbin/miniupnpd -f "$LAB/router/miniupnpd.conf" \
	    -P "$LAB/router/pid"
}

# It claims to be a gateway too, to whoever searches, and counts who comes.
stranger()
{
	cat >"$LAB/s/stranger.py" <<-'EOF'
	import select, socket, struct, sys
	own = sys.argv[1]
	u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	u.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	u.bind(('', 1900))
	u.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
	    socket.inet_aton('239.255.255.250') + socket.inet_aton(own))
	p = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	p.bind((own, 5351))
	t = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
	t.bind((own, 5000))
	t.listen(8)
	igd = ('HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:'
	    'InternetGatewayDevice:1\r\nUSN: uuid:ffff::urn:schemas-upnp-org:'
	    'device:InternetGatewayDevice:2\r\nSERVER: x\r\n'
	    'LOCATION: http://%s:5000/x.xml\r\n\r\n' % own).encode()
	pmp = bytes([0, 128, 0, 0, 0, 0, 0, 99, 6, 6, 6, 6])
	pmpmap = bytes([0, 129, 0, 0, 0, 0, 0, 99]) + struct.pack('!HHI',
	    41641, 6666, 7200)
	print('ready', flush=True)
	while True:
	    for s in select.select([u, t], [], [])[0]:
	        if s is t:
	            print('CONNECTED', t.accept()[1], flush=True)
	            continue
	        _, who = u.recvfrom(2000)
	        print('search', who, flush=True)
	        u.sendto(igd, who)
	        p.sendto(pmp, who)
	        p.sendto(pmpmap, who)
	EOF
	on_bg s "$LAB/s/stranger.log" python3 "$LAB/s/stranger.py" $LAN.66
	wait_for 10 grep -q ready "$LAB/s/stranger.log"
}

debug()
{
	ctl "$1" debug portmap
}

debug_has()	# node pattern
{
	debug "$1" | grep -Eq "$2"
}

mapped_port()
{
	debug "$1" | sed -n "s/.* $WAN port \([0-9]*\) is mapped .*/\1/p"
}

# A packet from outside to the mapped port arrives at the node.
count()	# node
{
	on "$1" nft -j list counter inet t in | jq '.nftables[] |
	    select(.counter) | .counter.packets'
}

more_than()	# node count
{
	[ "$(count "$1")" -gt "$2" ]
}

arrives()	# node port
{
	_c=$(count "$1")
	on x sh -c "echo hello | socat -u - UDP4-SENDTO:$WAN:$2"
	wait_for 1 more_than "$1" "$_c"
}

forwards()	# node: has the router a rule for it?
{
	on router nft list chain inet filter prerouting_miniupnpd |
	    grep -q "$LAN.$1:"
}

forwards_not()
{
	! forwards "$1"
}

replaced()	# node old-pid
{
	_new=$(child_pid "$1" portmapd)
	[ -n "$_new" ] && [ "$_new" != "$2" ] && debug "$1"
}

mapped_by()	# node name-of-protocol N
{
	check "$1: mapped by $2" wait_for 10 debug_has "$1" \
	    "$WAN port [0-9]+ is mapped by $2"
	eval "PORT_$1=\$(mapped_port $1)"
	eval "_p=\$PORT_$1"
	check "$1: a packet from outside to port $_p arrives" \
	    arrives "$1" "$_p"
}

lab_init portmap
lab_host coord 1
lab_host x 3
on x ip addr add 5.77.0.3/24 dev eth0
router
lan_host pmp 11
lan_host pcp 12
lan_host upnp 13
lan_host s 66
stranger
coord_start || exit 1
coordctl user create u >/dev/null
key=$(key_create --user u --reusable)
node_start x "auth key \"$key\""
node_wait_up x
export SHOAL_PORTMAP_LEASE=6
for t in pmp pcp upnp; do
	on $t nft "table inet t { counter in { } ; chain c { type filter \
	    hook prerouting priority -300; ip saddr 5.77.0.3 udp dport \
	    41641-41700 counter name in ; } ; }"
	node_start $t "auth key \"$key\""
done
for t in pmp pcp upnp; do
	node_wait_up $t
done
mapped_by pmp NAT-PMP
mapped_by pcp PCP
mapped_by upnp UPnP
check "pmp: the others were not heard" debug_has pmp "PCP no, UPnP no"
check "pcp: the others were not heard" debug_has pcp "NAT-PMP no.*UPnP no"
check "upnp: the others were not heard" \
    debug_has upnp "NAT-PMP no, PCP no, UPnP yes"
check "a peer knows the mapped port" wait_for 5 sh -c "
    ip netns exec $P-x ping -c 1 -W 1 $(ip4 pcp) >/dev/null
    '$SHOALCTL' -s '$LAB/x/shoald.sock' debug peers |
    grep -q 'candidate $WAN:$PORT_pcp,'"
t0=$(now_ms)

# Strangers.
check "the stranger was asked" grep -q search "$LAB/s/stranger.log"
for t in pmp pcp upnp; do
	check "$t: answers of others are ignored" debug_has $t \
	    "[1-9][0-9]* answers of others ignored"
done
check "nobody went to the stranger" sh -c \
    "! grep CONNECTED $LAB/s/stranger.log"

# portmapd is killed: its successor goes on with the mapping.
for t in pmp pcp upnp; do
	old=$(child_pid $t portmapd)
	kill -KILL "$old"
	check "$t: portmapd is replaced" wait_for 5 replaced $t "$old"
	eval "p=\$PORT_$t"
	check "$t: the mapping stays" \
	    wait_for 3 debug_has $t "$WAN port $p is mapped"
	check "$t: and a packet arrives" arrives $t "$p"
done

# Leases of 6 s are renewed before they end.
check "leases are short" debug_has pmp "for [0-6] s more"
while [ $(($(now_ms) - t0)) -lt 8500 ]; do
	sleep 0.2
done
for t in pmp pcp upnp; do
	eval "p=\$PORT_$t"
	check "$t: renewed" debug_has $t "$WAN port $p is mapped"
	check "$t: a packet arrives still" arrives $t "$p"
	check "$t: and it never was without" sh -c \
	    "! grep 'no port is mapped' $LAB/$t/shoald.1.log"
done

# Another port of ours: the old mapping goes, a new one comes.
echo "listen on port 41690" >>"$LAB/pcp/shoald.conf"
kill -HUP "$NODEPID_pcp"
moved()
{
	debug_has pcp "port 41690" && debug_has pcp "is mapped by PCP" &&
	    on router nft list chain inet filter prerouting_miniupnpd |
	    grep -q "$LAN.12:41690"
}
check "pcp: another port of ours is mapped" wait_for 5 moved
check "pcp: a packet arrives there" arrives pcp "$(mapped_port pcp)"
check "pcp: the old one is not" sh -c "! ip netns exec $P-router \
    nft list chain inet filter prerouting_miniupnpd | grep $LAN.12:41641"

# Disconnected: given back; connected: mapped again.
ctl pcp down
check "pcp: down gives it back" wait_for 3 forwards_not 12
ctl pcp up
check "pcp: up maps it again" wait_for 5 debug_has pcp "is mapped by PCP"

# Switched off: given back.
echo "port mapping no" >>"$LAB/pcp/shoald.conf"
kill -HUP "$NODEPID_pcp"
check "pcp: port mapping no gives it back" wait_for 3 forwards_not 12
check "pcp: and says so" wait_for 2 debug_has pcp "off .port mapping no"

# Given back at the end.
forwards 11 || fail "the router forwards to pmp"
forwards 13 || fail "the router forwards to upnp"
for t in pmp upnp; do
	node_stop $t
done
check "pmp: given back at the end" forwards_not 11
check "upnp: given back at the end" forwards_not 13

# Without a gateway.
on pcp ip route del default
sed -i '/port mapping/d' "$LAB/pcp/shoald.conf"
kill -HUP "$NODEPID_pcp"
check "pcp: no gateway, nothing asked" wait_for 3 debug_has pcp \
    "no private IPv4 gateway"
on pcp ip route add default nexthop via $LAN.1 nexthop via $LAN.66
check "pcp: the route comes back, and the mapping" wait_for 3 debug_has pcp \
    "is mapped by PCP"
