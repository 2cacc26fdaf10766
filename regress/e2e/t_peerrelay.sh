#!/bin/sh
# Two nodes between which no UDP passes, and a third that may relay for them:
# the path becomes the peer relay's, under a flow; it carries data both ways;
# who has no grant gets no place. With TAILSCALED and TAILSCALE set, the same
# with a real node as the relay, and as one end.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
FLOW=$TOP/regress/e2e/natflow.py
lab_init peerrelay

policy()	# who may use the relay
{
	cat >"$LAB/coord/policy.hujson" <<-EOT
	{
		"tagOwners": {"tag:relay": [], "tag:end": []},
		"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],
		"grants": [{
			"src": ["$1"],
			"dst": ["tag:relay"],
			"app": {"tailscale.com/cap/relay": []},
		}],
	}
	EOT
}

# wall host address6 address4...: it gets no UDP from them but of the lab's
# servers and the relay's port.
wall()
{
	_w=$1
	shift
	on "$_w" nft add table inet wall
	on "$_w" nft add chain inet wall in \
	    '{ type filter hook input priority 0; }'
	for _a in "$@"; do
		on "$_w" nft add rule inet wall in ip saddr "10.77.0.$_a" \
		    meta l4proto udp drop
		on "$_w" nft add rule inet wall in ip6 saddr "fd77::$_a" \
		    meta l4proto udp drop
	done
	on "$_w" nft add rule inet wall in ip6 saddr fe80::/10 \
	    meta l4proto udp drop
}

gap()	# since
{
	python3 "$FLOW" gap "$LAB/a/flow" "$1" "$(now_ms)"
}

check "derpd starts" lab_relay || exit 1
for h in coord:1 a:2 b:3 r:4; do
	lab_host "${h%:*}" "${h#*:}"
done
policy tag:nobody
sed -i 's/"tag:end": \[\]/"tag:end": [], "tag:nobody": []/' \
    "$LAB/coord/policy.hujson"
coord_start "policy file \"$LAB/coord/policy.hujson\"
$(lab_relay_home)" || exit 1
wall a 3
wall b 2
node_start r "auth key \"$(key_create --tag tag:relay)\"
relay server yes port 40000"
for h in a b; do
	node_start $h "auth key \"$(key_create --tag tag:end)\""
done
for h in r a b; do
	check "$h is up" node_wait_up $h
done
on_bg b "$LAB/b/echo.log" python3 "$FLOW" echo
on_bg a "$LAB/a/stream.log" python3 "$FLOW" stream "$(ip4 b)" "$LAB/a/flow"
check "by DERP at first" wait_for 5 status_says a 'relay "home"'
sleep 5
check "no place without a grant" sh -c \
    "$SHOALCTL -s $LAB/r/shoald.sock debug netd relay | grep ' 0 places'"

policy tag:end
sed -i 's/"tag:end": \[\]/"tag:end": [], "tag:nobody": []/' \
    "$LAB/coord/policy.hujson"
T=$(now_ms)
kill -HUP "$COORDPID"
check "by the peer relay" wait_for 35 status_says a \
    'peer-relay \(10.77.0.4\|\[fd77::4\]\):40000:vni:'
GAP=$(gap "$T")
check "without a gap: $GAP ms" [ "$GAP" -le 1000 ]
check "b too" wait_for 5 status_says b 'peer-relay'
check "ping says so" sh -c "$SHOALCTL -s $LAB/a/shoald.sock ping --c 1 \
    --until-direct=false b | grep 'via peer-relay('"
check "the relay counts its packets" sh -c \
    "$SHOALCTL -s $LAB/r/shoald.sock debug netd relay >$LAB/dbg; cat $LAB/dbg;
    grep -q 'place 1: .*41641.*41641' $LAB/dbg"
iperf_server b
on a iperf3 -c "$(ip4 b)" -t 2 -J >"$LAB/iperf.json"
MBIT=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$LAB/iperf.json")
check "TCP by it: $MBIT Mbit/s" [ "$MBIT" -ge 50 ]
check "large pings by it" on a ping -c 3 -i 0.2 -W 2 -s 20000 "$(ip4 b)"
T=$(now_ms)
node_stop r
wait_for 8 python3 "$FLOW" settled "$LAB/a/flow" "$T"
GAP=$(gap "$T")
check "the relay ends: back by DERP, gap of $GAP ms" [ "$GAP" -le 5000 ]

if [ -z "${TAILSCALED:-}" ] || [ -z "${TAILSCALE:-}" ]; then
	echo "skip real nodes: TAILSCALED and TAILSCALE are not set"
	exit 0
fi

real()	# name words...
{
	_r=$1
	shift
	on "$_r" timeout 20 "$TAILSCALE" --socket="$LAB/$_r/sock" "$@"
}

real_up()	# name number tag
{
	lab_host "$1" "$2"
	on "$1" ip route add default via 10.77.0.254
	on_bg "$1" "$LAB/$1/tailscaled.log" env TS_NO_LOGS_NO_SUPPORT=true \
	    "$TAILSCALED" --no-logs-no-support --statedir="$LAB/$1" \
	    --socket="$LAB/$1/sock" --tun=ts0
	wait_for 10 [ -S "$LAB/$1/sock" ]
	on "$1" timeout 40 "$TAILSCALE" --socket="$LAB/$1/sock" up \
	    --accept-dns=false --login-server=http://10.77.0.1:8080 \
	    --hostname="$1" --auth-key="$(key_create --tag "$3")"
}

real_says()	# name pattern
{
	real "$1" status | grep -q "$2"
}

check "a real relay is up" real_up t 5 tag:relay
real t set --relay-server-port=40001
check "by the real relay" wait_for 45 status_says a \
    'peer-relay \(10.77.0.5\|\[fd77::5\]\):40001:vni:'
check "large pings by it" on a ping -c 3 -i 0.2 -W 2 -s 20000 "$(ip4 b)"
real t down
check "a real end is up" real_up c 6 tag:end
wall c 2
wall a 6
node_run r 2
check "our relay is up again" node_wait_up r
check "they ping" wait_for 20 on a ping -c 1 -W 1 "$(real c ip -4)"
on_bg c "$LAB/c/ping.log" ping -i 0.2 "$(ip4 a)"
check "the real end by our relay" wait_for 45 real_says c \
    'peer-relay \(10.77.0.4\|\[fd77::4\]\):40000:vni:'
check "and we to it" wait_for 10 sh -c "$SHOALCTL -s $LAB/a/shoald.sock \
    status | grep ' c .*peer-relay'"
check "large pings to it" on a ping -c 3 -i 0.2 -W 2 -s 20000 \
    "$(real c ip -4)"
