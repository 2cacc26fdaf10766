#!/bin/sh
# Two nodes between which no UDP passes: they talk by our relay, trusted by
# its pin; the flow outlives the relay and netd; a wrong pin and a wrong name
# are refused and named; a certificate of an authority serves as well.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
lab_init relay
lab_host relay 9

relay_conf()	# tls words
{
	cat >"$LAB/relay/derpd.conf" <<-EOT
	hostname "derp.test"
	listen on 10.77.0.9 port 443 tls $1
	stun listen on 10.77.0.9 port 3478
	state "$LAB/relay/state/key"
	EOT
}

# Another relay, which b alone can measure, as a alone can the first.
far_start()
{
	lab_host far 10
	cat >"$LAB/far/derpd.conf" <<-EOT
	hostname "far.test"
	listen on 10.77.0.10 port 8443 tls self-signed
	stun listen on 10.77.0.10 port 3478
	state "$LAB/far/state/key"
	EOT
	on_bg far "$LAB/far/derpd.log" "$DERPD" -dv -f "$LAB/far/derpd.conf"
	FARPID=$BGPID
	on b nft insert rule inet t o ip daddr 10.77.0.9 udp dport 3478 drop
	on a nft insert rule inet t o ip daddr 10.77.0.10 udp dport 3478 drop
	wait_for 5 grep -q 'relaying for' "$LAB/far/derpd.log"
}

relay_start()	# number of its log
{
	on_bg relay "$LAB/relay/derpd.$1.log" "$DERPD" -dv \
	    -f "$LAB/relay/derpd.conf"
	RELAYPID=$BGPID
	wait_for 5 grep -q 'relaying for' "$LAB/relay/derpd.$1.log"
}

# An authority, and a certificate for derp.test from it.
authority()
{
	cd "$LAB/relay" || return 1
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
	    -nodes -days 30 -subj "/CN=authority of the lab" \
	    -keyout ca.key -out ca.pem
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
	    -subj "/CN=derp.test" -keyout key.pem -out req.pem
	echo "subjectAltName=DNS:derp.test" >ext
	openssl x509 -req -in req.pem -CA ca.pem -CAkey ca.key -days 30 \
	    -CAcreateserial -extfile ext -out cert.pem
	cd - >/dev/null
}

coord_derp()	# configuration lines: a new DERP map, live
{
	coord_conf "policy allow all
$1" >"$LAB/coord/coordd.conf"
	kill -HUP "$COORDPID"
}

map_file()	# CertName
{
	cat >"$LAB/coord/map.json" <<-EOT
	{"Regions":{"901":{"RegionID":901,"RegionCode":"named",
	"RegionName":"Named","Nodes":[{"Name":"901a","RegionID":901,
	"HostName":"derp.test","IPv4":"10.77.0.9","IPv6":"none",
	"CertName":"$1","STUNPort":3478}]}}}
	EOT
	coord_derp "derp map file \"$LAB/coord/map.json\""
}

pinned()	# pin
{
	echo "derp region 900 \"home\" { host \"10.77.0.9\" stun 3478" \
	    "pin \"sha256-raw:$1\" }"
}

derp_says()	# node pattern
{
	ctl "$1" debug derp | grep -q "$2"
}

by_relay()	# node
{
	ctl "$1" status | grep -q 'relay "home"'
}

# bulk node address: 50 MB there, and the hash of what came is the same.
bulk()
{
	on_bg b "$LAB/b/hash" timeout 40 python3 -c '
import hashlib, socket, sys
f = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.socket(f, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], 7788))
s.listen(1)
c = s.accept()[0]
h = hashlib.sha256()
while True:
    d = c.recv(1 << 16)
    if not d:
        break
    h.update(d)
print(h.hexdigest())' "$2"
	_recv=$BGPID
	on "$1" timeout 40 python3 -c '
import socket, sys, time
for i in range(50):
    try:
        s = socket.create_connection((sys.argv[1], 7788), timeout=5)
        break
    except OSError:
        time.sleep(0.1)
with open(sys.argv[2], "rb") as f:
    s.sendfile(f)
s.close()' "$2" "$LAB/bulk" || return 1
	wait "$_recv"
	[ "$(cat "$LAB/b/hash")" = "$(sha256sum <"$LAB/bulk" |
	    cut -d ' ' -f 1)" ]
}

back()	# old-pid command...: a child that was killed is there again
{
	_old=$1
	shift
	_new=$("$@")
	[ -n "$_new" ] && [ "$_new" != "$_old" ]
}

relay_child()
{
	pgrep -P "$RELAYPID" -f "$1" | head -n 1
}

relay_conf self-signed
authority >"$LAB/relay/openssl.log" 2>&1
check "derpd starts" relay_start 1
pin=$(sed -n 's/.*"sha256-raw:\([0-9a-f]*\)".*/\1/p' "$LAB/relay/derpd.1.log")
lab_host coord 1
lab_host a 2
lab_host b 3
for n in a b; do
	on $n nft add table inet t
	on $n nft 'add chain inet t o { type filter hook output priority 0; }'
	on $n nft add rule inet t o oifname eth0 udp dport != 3478 drop
done
two_up "policy allow all
$(pinned "$pin")" "ca file \"$LAB/relay/ca.pem\"" || exit 1

check "a is at home there" wait_for 5 derp_says a \
    'relay 900 home (home): connected'
check "IPv4 by the relay" wait_for 5 on a ping -c 1 -W 1 "$(ip4 b)"
check "IPv6 by the relay" on a ping -c 1 -W 2 "$(ip6 b)"
check "status says so" wait_for 3 by_relay a
openssl rand -out "$LAB/bulk" 52428800
check "50 MB by IPv4" bulk a "$(ip4 b)"
check "50 MB by IPv6" bulk a "$(ip6 b)"

iperf_server b
on_bg a "$LAB/a/iperf.log" iperf3 -c "$(ip4 b)" -t 60 -b 20M
flow=$BGPID
check "a flow" wait_for 5 rx_moves b
old=$(relay_child relay)
kill -KILL "$old"
check "the relay's process is replaced" wait_for 5 back "$old" \
    relay_child relay
check "the flow goes on" wait_for 8 rx_moves b
kill_wait "$RELAYPID"
check "derpd starts again" relay_start 2
check "the flow goes on without the old derpd" wait_for 8 rx_moves b
old=$(child_pid a netd)
kill -KILL "$old"
check "netd is replaced" wait_for 5 back "$old" child_pid a netd
check "the flow goes on without its old netd" wait_for 10 rx_moves b
check "the flow never ended" kill -0 "$flow"
kill -INT "$flow"

coord_derp "$(pinned 0000000000000000000000000000000000000000000000000000000000000000)"
check "a wrong pin is refused, and named" wait_for 5 derp_says a \
    "not the pinned one: it is sha256-raw:$pin"
coord_derp "$(pinned "$pin")"
check "the right one again" wait_for 8 derp_says a 'connected to home'

check "another relay" far_start
farpin=$(sed -n 's/.*"sha256-raw:\([0-9a-f]*\)".*/\1/p' "$LAB/far/derpd.log")
coord_derp "$(pinned "$pin")
derp region 901 \"far\" { host \"10.77.0.10\" port 8443 stun 3478 \
    pin \"sha256-raw:$farpin\" }"
# A home that still speaks is not left for a latency: b starts anew.
node_stop b
node_run b 2
node_wait_up b
check "b is at home there" wait_for 8 derp_says b \
    'relay 901 far (home): connected'
check "they talk" wait_for 8 on a ping -c 1 -W 1 "$(ip4 b)"
check "a goes there for b" derp_says a 'relay 901 far: connected'
check "a is at home where it was" derp_says a 'relay 900 home (home): conn'
kill_wait "$FARPID"

kill_wait "$RELAYPID"
relay_conf "certificate \"$LAB/relay/cert.pem\" key \"$LAB/relay/key.pem\""
check "derpd with a certificate of an authority" relay_start 3
map_file other.test
check "another name is refused, and named" wait_for 8 derp_says a \
    "certificate is for derp.test, not for other.test"
map_file ""
check "its own name serves" wait_for 8 derp_says a 'connected to 901a'
check "and b is there too" wait_for 8 derp_says b 'connected to 901a'
check "they talk again" wait_for 8 on a ping -c 1 -W 1 "$(ip4 b)"
