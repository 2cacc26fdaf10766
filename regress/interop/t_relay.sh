#!/bin/sh
# Relays with the real programs: shoal and real nodes talk by our derpd, both
# ways; shoal nodes, real nodes and both mixed by the real derper. No UDP
# passes between any two. TAILSCALED and TAILSCALE, DERPER name the programs.
set -u
[ -x "${TAILSCALED:-}" ] && [ -x "${TAILSCALE:-}" ] || {
	echo "skip: needs TAILSCALED and TAILSCALE"
	exit 77
}
# shellcheck disable=SC1091
. "$(dirname "$0")/../e2e/lib.sh"
lab_init relayi
lab_host relay 9
lab_host coord 1

certificate()
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
	    -nodes -days 30 -subj "/CN=derp.test" \
	    -addext "subjectAltName=DNS:derp.test" \
	    -keyout "$LAB/relay/derp.test.key" -out "$LAB/relay/derp.test.crt"
}

derpd_run()
{
	cat >"$LAB/relay/derpd.conf" <<-EOT
	hostname "derp.test"
	listen on 10.77.0.9 port 443 tls certificate \
	    "$LAB/relay/derp.test.crt" key "$LAB/relay/derp.test.key"
	stun listen on 10.77.0.9 port 3478
	state "$LAB/relay/state/key"
	EOT
	on_bg relay "$LAB/relay/derpd.log" "$DERPD" -dv \
	    -f "$LAB/relay/derpd.conf"
	RELAYPID=$BGPID
	wait_for 5 grep -q 'relaying for' "$LAB/relay/derpd.log"
}

derper_run()
{
	on_bg relay "$LAB/relay/derper.log" "$DERPER" -hostname derp.test \
	    -certmode manual -certdir "$LAB/relay" -a 10.77.0.9:443 \
	    -http-port -1 -stun -c "$LAB/relay/derper.json"
	RELAYPID=$BGPID
	wait_for 5 on relay sh -c 'ss -ltn | grep -q :443'
}

no_udp()	# host
{
	on "$1" nft add table inet t
	on "$1" nft 'add chain inet t o { type filter hook output priority 0; }'
	on "$1" nft add rule inet t o oifname eth0 udp dport != 3478 drop
}

real_up()	# host number
{
	lab_host "$1" "$2"
	no_udp "$1"
	on "$1" ip route add default via 10.77.0.254
	on_bg "$1" "$LAB/$1/tailscaled.log" env TS_NO_LOGS_NO_SUPPORT=true \
	    "$TAILSCALED" --no-logs-no-support --statedir="$LAB/$1" \
	    --socket="$LAB/$1/sock" --tun=ts0
	wait_for 10 [ -S "$LAB/$1/sock" ]
	on "$1" timeout 40 "$TAILSCALE" --socket="$LAB/$1/sock" up \
	    --accept-dns=false --login-server=http://10.77.0.1:8080 \
	    --hostname="$1" --auth-key="$(key_create --user u)"
}

real()	# host words...
{
	_r=$1
	shift
	on "$_r" timeout 20 "$TAILSCALE" --socket="$LAB/$_r/sock" "$@"
}

addr()	# host: its IPv4 address in the tailnet
{
	case $1 in
	t*)	real "$1" ip -4 ;;
	*)	ip4 "$1" ;;
	esac
}

pings()	# from to
{
	wait_for 20 on "$1" ping -c 1 -W 1 "$(addr "$2")"
}

mbits()	# from to: of a TCP flow
{
	iperf_server "$2" -1
	on "$1" timeout 20 iperf3 -J -c "$(addr "$2")" -t 3 |
	    jq '.end.sum_received.bits_per_second / 1e6 | floor'
}

flows()	# from to: and it moves
{
	[ "$(mbits "$1" "$2")" -gt 0 ]
}

by_relay()	# a real node says so
{
	real t1 ping --c 2 --until-direct=false "$(addr a)" >"$LAB/tsping" 2>&1
	grep -q 'via DERP(lab)' "$LAB/tsping"
}

ours_by_relay()
{
	ctl a ping --c 1 --until-direct=false "$(addr t1)" |
	    grep -q 'via DERP(lab)'
}

mixed()	# name of the relay
{
	check "$1: shoal to a real node" pings a t1
	check "$1: a real node to shoal" pings t1 b
	check "$1: a flow to a real node" flows a t1
	check "$1: a flow from a real node" flows t1 a
	check "$1: tailscale ping" by_relay
	check "$1: shoalctl ping" ours_by_relay
}

certificate >"$LAB/relay/openssl.log" 2>&1
pin=$(openssl x509 -in "$LAB/relay/derp.test.crt" -outform DER | sha256sum |
    cut -d ' ' -f 1)
cat >"$LAB/coord/map.json" <<EOF
{"Regions":{"900":{"RegionID":900,"RegionCode":"lab","RegionName":"Lab",
"Nodes":[{"Name":"900a","RegionID":900,"HostName":"derp.test",
"IPv4":"10.77.0.9","IPv6":"none","CertName":"sha256-raw:$pin"}]}}}
EOF
check "derpd starts" derpd_run
coord_start "policy allow all
derp map file \"$LAB/coord/map.json\"" || exit 1
coordctl user create u >/dev/null
n=2
for h in a b; do
	lab_host $h $n
	no_udp $h
	node_start $h "auth key \"$(key_create --user u)\""
	n=$((n + 1))
done
for h in a b; do
	node_wait_up $h
done
check "a real node is up" real_up t1 4
check "another one is up" real_up t2 5
mixed derpd
if [ ! -x "${DERPER:-}" ]; then
	echo "skip derper: DERPER is not set"
	exit 0
fi
kill_wait "$RELAYPID"
check "derper starts" derper_run
check "derper: shoal to shoal" pings a b
mixed derper
check "derper: real to real" pings t1 t2
ours=$(mbits a b)
theirs=$(mbits t1 t2)
echo "# Mbit/s of one pair: shoal by derper $ours, real by derper $theirs"
kill_wait "$RELAYPID"
check "derpd again" derpd_run
check "derpd: shoal to shoal" pings a b
ours=$(mbits a b)
echo "# Mbit/s of one pair: shoal by derpd $ours"
check "at least 1.5 times the real ones by the real one" \
    [ "$((ours * 2))" -ge "$((theirs * 3))" ]
