#!/bin/sh
# Ways to the control server: plain and TLS race, either may be shut; a box
# that intercepts TLS is named and does not stop a node that has pinned the
# server's key, but no node logs in through it; a proxy may lead there.
command -v stunnel >/dev/null || command -v stunnel4 >/dev/null ||
    { echo "skip: needs stunnel"; exit 77; }
. "$(dirname "$0")/lib.sh"

# shut port: packets to that port vanish, as they do behind some firewalls.
shut()
{
	on coord nft -f - <<-X
	table inet shut {}
	delete table inet shut
	table inet shut {
		chain in {
			type filter hook input priority 0
			tcp dport { ${1:-9} } drop
		}
	}
	X
}

# Break what there is, so that the node must dial again.
cut()
{
	on coord ss -K dst 10.77.0.2 >/dev/null 2>&1
	on a ss -K dst 10.77.0.1 >/dev/null 2>&1
}

by_port()
{
	ctl_is a '.Self.Online == true' && on a ss -Htn state established \
	    dst 10.77.0.1 dport = ":$1" | grep -q .
}

health_has()
{
	ctl_is a --arg t "$1" 'any(.Health[]; contains($t))'
}

lab_init dial
lab_host coord 1
lab_host a 2
lab_host b 3
mkdir -p "/etc/netns/$P-a" "/etc/netns/$P-b"
for h in a b; do
	echo "10.77.0.1 coord.test" >"/etc/netns/$P-$h/hosts"
done
trap 'rm -rf /etc/netns/$P-a /etc/netns/$P-b /etc/netns/$P-d; lab_end' EXIT
coord_conf >"$LAB/coord/coordd.conf"
cat >>"$LAB/coord/coordd.conf" <<X
listen on 10.77.0.1 port 80
X
sed -i 's|^url .*|url "https://coord.test"|' "$LAB/coord/coordd.conf"
coord_run || exit 1
coordctl user create u >/dev/null
key=$(key_create --user u --reusable)
tls_ca ca "Test CA"
tls_ca box "Corporate Inspection Ltd"
tls_cert good ca DNS:coord.test
tls_cert forged box DNS:coord.test
chmod 644 "$LAB/ca.pem"
for h in a b; do
	node_conf $h "auth key \"$key\"
ca file \"$LAB/ca.pem\""
	sed -i 's|^control .*|control "https://coord.test"|' "$LAB/$h/shoald.conf"
done

tls_proxy good 443
node_run a
check "a node logs in" node_wait_up a 10
check "its session goes over plain HTTP, which was first" \
    wait_for 5 by_port 80
shut 80
cut
check "port 80 shut: it goes over TLS" wait_for 20 by_port 443
shut 443
cut
check "port 443 shut: it goes over plain HTTP" wait_for 20 by_port 80
shut 80
tls_proxy forged 443
cut
check "TLS intercepted: the pinned key carries it all the same" \
    wait_for 20 by_port 443
check "and the box is named" wait_for 5 health_has "Corporate Inspection Ltd"
node_stop a
shut 80
node_run a 2
check "it starts behind the box, too" wait_for 20 by_port 443
check "and says so in text" sh -c \
    "$SHOALCTL -s $LAB/a/shoald.sock status | grep -q 'intercepts TLS'"
node_stop a
shut 443
t0=$(now_ms)
node_run a 6
check "443 leads nowhere: it starts with the key it knows" \
    wait_for 20 by_port 80
took=$(($(now_ms) - t0))
check "and soon ($took ms)" [ "$took" -lt 9000 ]
shut
node_run b
check "a node that knows no key does not log in there" wait_for 8 \
    grep -q 'Corporate Inspection Ltd' "$LAB/b/shoald.1.log"
check "nothing was registered" nodes_is 'length == 1'
tls_proxy good 443
check "the box is gone: it logs in" node_wait_up b 35

# Of the addresses of a name one leads nowhere: the other is tried soon.
lab_host d 5
mkdir -p "/etc/netns/$P-d"
printf 'fd77::dead coord.test\n10.77.0.1 coord.test\n' \
    >"/etc/netns/$P-d/hosts"
on d nft -f - <<X
table inet out {
	chain out {
		type filter hook output priority 0
		ip6 daddr fd77::dead drop
	}
}
X
node_conf d "auth key \"$key\"
ca file \"$LAB/ca.pem\""
sed -i 's|^control .*|control "https://coord.test"|' "$LAB/d/shoald.conf"
t0=$(now_ms)
node_run d
check "a dead IPv6 address does not stop it" node_wait_up d 15
took=$(($(now_ms) - t0))
check "and costs little ($took ms)" [ "$took" -lt 4000 ]
node_stop d

# No resolver, no hosts file: a relay of the map that a has kept knows where
# the server is.
lab_host relay 9
openssl req -newkey rsa:2048 -nodes -subj "/CN=derp.test" \
    -keyout "$LAB/derp.key" -out "$LAB/derp.csr" 2>/dev/null
echo "subjectAltName=DNS:derp.test" >"$LAB/derp.ext"
openssl x509 -req -in "$LAB/derp.csr" -CA "$LAB/ca.pem" -CAkey "$LAB/ca.key" \
    -days 2 -extfile "$LAB/derp.ext" -out "$LAB/derp.pem" 2>/dev/null
cat >"$LAB/relay/derpd.conf" <<X
hostname "derp.test"
listen on 10.77.0.9 port 443 tls certificate "$LAB/derp.pem" key "$LAB/derp.key"
bootstrap dns "coord.test" "10.77.0.1"
state "$LAB/relay/state/key"
X
on_bg relay "$LAB/relay/derpd.1.log" "$DERPD" -dv -f "$LAB/relay/derpd.conf"
wait_for 5 grep -q 'relaying for' "$LAB/relay/derpd.1.log"
cat >"$LAB/coord/map.json" <<X
{"Regions":{"901":{"RegionID":901,"RegionCode":"r","RegionName":"R","Nodes":[
{"Name":"901a","RegionID":901,"HostName":"derp.test","IPv4":"10.77.0.9",
"IPv6":"none","STUNPort":-1}]}}}
X
echo "derp map file \"$LAB/coord/map.json\"" >>"$LAB/coord/coordd.conf"
kill -HUP "$COORDPID"
has_relay()
{
	grep -q derp.test "$LAB/a/state.netmap"
}
check "the relay is in the map that a keeps" wait_for 20 has_relay
node_stop a
echo >"/etc/netns/$P-a/hosts"
echo "nameserver 10.77.0.200" >"/etc/netns/$P-a/resolv.conf"
node_run a 3
check "no resolver: a relay is asked, and a is connected" \
    wait_for 25 ctl_is a '.Self.Online == true'
check "and says how" health_has "a relay told the address"

# Through a proxy, and no other way: c knows neither name nor address.
lab_host proxy 8
lab_host c 4
on_bg proxy "$LAB/proxy/py.log" python3 "$(dirname "$0")/connect.py" \
    10.77.0.8 3128 "$LAB/proxy/connects.log" "us@r:pa:ss word"
PYPID=$BGPID
wait_for 5 on proxy sh -c "ss -ltn | grep -q :3128"
on c nft -f - <<X
table inet out {
	chain out {
		type filter hook output priority 0
		ip daddr 10.77.0.1 drop
	}
}
X
node_conf c "auth key \"$key\"
ca file \"$LAB/ca.pem\"
proxy \"http://10.77.0.8:3128\""
sed -i 's|^control .*|control "https://coord.test"|' "$LAB/c/shoald.conf"
node_run c
check "a proxy that wants a password is named" wait_for 10 \
    grep -q '407: it wants a user' "$LAB/c/shoald.1.log"
sed -i 's|^proxy .*|proxy "http://us%40r:pa:ss%20word@10.77.0.8:3128"|' \
    "$LAB/c/shoald.conf"
kill -HUP "$NODEPID_c"
check "a node logs in through a proxy" node_wait_up c 15
check "and shows the password to nobody" sh -c "! grep -q 'pa:ss' \
    $LAB/c/shoald.1.log && ! $SHOALD -nv -f $LAB/c/shoald.conf |
    grep 'pa:ss'"
check "which was asked to connect by name" \
    grep -q '^CONNECT coord.test:443 ' "$LAB/proxy/connects.log"
kill_wait "$PYPID" KILL
on proxy ss -K src 10.77.0.8 >/dev/null 2>&1
no_proxy()
{
	ctl_is c '.Self.Online != true and any(.Health[]; contains("10.77.0.8"))'
}
check "the proxy is gone: the trouble names it" wait_for 20 no_proxy

# The server's plan, as a keeps it: an address where the name leads astray,
# then a tunnel.
plan()	# candidates
{
	node_stop a
	sed -i "1s|\"dial\":.*|\"dial\":{\"Candidates\":[$1]}}|" \
	    "$LAB/a/state.netmap"
}
printf '10.77.0.8 coord.test\n10.77.0.8 ace.test\n' \
    >"/etc/netns/$P-a/hosts"
plan '{"IP":"10.77.0.1","DialTimeoutSec":5}'
node_run a 4
check "the plan's address is dialled, not the name's" \
    wait_for 20 ctl_is a '.Self.Online == true'
on_bg proxy "$LAB/proxy/py2.log" python3 "$(dirname "$0")/connect.py" \
    10.77.0.8 3128 "$LAB/proxy/tunnel.log" plain
cat >"$LAB/proxy/stunnel.conf" <<X
foreground = yes
pid =
[ace]
accept = 10.77.0.8:443
connect = 10.77.0.8:3128
cert = $LAB/forged.pem
key = $LAB/forged.key
X
on_bg proxy "$LAB/proxy/stunnel.log" \
    "$(command -v stunnel4 || command -v stunnel)" "$LAB/proxy/stunnel.conf"
wait_for 5 on proxy sh -c "ss -ltn | grep -q :443"
plan '{"ACEHost":"ace.test","DialTimeoutSec":8}'
node_run a 5
check "a tunnel of the plan is used" wait_for 20 ctl_is a '.Self.Online == true'
check "it leads to the plain port" \
    grep -q '^CONNECT coord.test:80 ' "$LAB/proxy/tunnel.log"
