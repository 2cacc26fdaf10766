#!/bin/sh
# Measure a TCP flow of two nodes that can reach each other by a relay only:
# shoal by derpd beside real nodes by the real relay (TAILSCALED, TAILSCALE,
# DERPER), in one tailnet and by turns. ROUNDS (5) of SECS (3) seconds; JSON
# for measure.py in regress/out/part.pair.json.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/../e2e/lib.sh"
: "${ROUNDS:=5}" "${SECS:=3}"
mkdir -p "$TOP/regress/out"
lab_init pair
lab_host coord 1
lab_host relay 9
lab_host relay2 10
REAL=
[ ! -x "${TAILSCALED:-}" ] || [ ! -x "${TAILSCALE:-}" ] ||
    [ ! -x "${DERPER:-}" ] || REAL=1

say()
{
	echo "# $*" >&2
}

certificate()
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
	    -nodes -days 30 -subj "/CN=derp.test" \
	    -addext "subjectAltName=DNS:derp.test" \
	    -keyout "$LAB/derp.test.key" -out "$LAB/derp.test.crt"
	chmod 644 "$LAB/derp.test.key"
}

# region number address: in the map of relays
region()
{
	printf '"%s":{"RegionID":%s,"RegionCode":"r%s","RegionName":"r%s",' \
	    "$1" "$1" "$1" "$1"
	printf '"Nodes":[{"Name":"%sa","RegionID":%s,"HostName":"derp.test",' \
	    "$1" "$1"
	printf '"IPv4":"%s","IPv6":"none","CertName":"sha256-raw:%s"}]}' \
	    "$2" "$PIN"
}

# host number relay-to-keep-away-from: no UDP but STUN, and one relay only
host()
{
	lab_host "$1" "$2"
	on "$1" nft add table inet t
	on "$1" nft 'add chain inet t o { type filter hook output priority 0; }'
	on "$1" nft add rule inet t o ip daddr "$3" reject
	on "$1" nft add rule inet t o oifname eth0 udp dport != 3478 drop
	on "$1" ip route add default via 10.77.0.254
}

relays_start()
{
	cat >"$LAB/relay/derpd.conf" <<-EOT
	hostname "derp.test"
	listen on 10.77.0.9 port 443 tls certificate "$LAB/derp.test.crt" \
	    key "$LAB/derp.test.key"
	stun listen on 10.77.0.9 port 3478
	state "$LAB/relay/state/key"
	EOT
	on_bg relay "$LAB/relay/derpd.log" "$DERPD" -d -f "$LAB/relay/derpd.conf"
	RELAYPIDS="$BGPID"
	wait_for 5 on relay sh -c 'ss -ltn | grep -q :443' || return 1
	RELAYPIDS="$RELAYPIDS $(pgrep -P "$BGPID" | tr '\n' ' ')"
	[ -n "$REAL" ] || return 0
	on_bg relay2 "$LAB/relay2/derper.log" "$DERPER" -hostname derp.test \
	    -certmode manual -certdir "$LAB" -a 10.77.0.10:443 \
	    -http-port -1 -stun -c "$LAB/relay2/derper.json"
	RELAY2PIDS=$BGPID
	wait_for 5 on relay2 sh -c 'ss -ltn | grep -q :443'
}

real()	# host words...
{
	_r=$1
	shift
	on "$_r" timeout 40 "$TAILSCALE" --socket="$LAB/$_r/sock" "$@"
}

real_up()	# host number
{
	host "$1" "$2" 10.77.0.9
	on_bg "$1" "$LAB/$1/tailscaled.log" env TS_NO_LOGS_NO_SUPPORT=true \
	    "$TAILSCALED" --no-logs-no-support --statedir="$LAB/$1" \
	    --socket="$LAB/$1/sock" --tun=ts0
	eval "PID_$1=$BGPID"
	wait_for 10 [ -S "$LAB/$1/sock" ]
	real "$1" up --accept-dns=false --login-server=http://10.77.0.1:8080 \
	    --hostname="$1" --auth-key="$(key_create --user u)"
}

cpu()	# pids: seconds
{
	for _p in "$@"; do
		sed 's/.*) //' "/proc/$_p/stat"
	done | awk -v t="$(getconf CLK_TCK)" '{ n += $12 + $13 }
	    END { print n / t }'
}

put()	# name key value
{
	jq -cn --arg n "$1" --arg k "$2" --argjson v "${3:-null}" \
	    '{ name: $n, key: $k, value: $v }' >>"$LAB/all.json"
}

# measure name from to address "pids of the relay"
measure()
{
	on_bg "$3" "$LAB/$3/iperf.log" iperf3 -s -1
	_server=$BGPID
	wait_for 3 on "$3" sh -c 'ss -ltn | grep -q :5201' || return 1
	# The pids are words.
	# shellcheck disable=SC2086
	_c0=$(cpu $5)
	on "$2" timeout $((SECS + 20)) iperf3 -J -c "$4" -t "$SECS" \
	    >"$LAB/iperf.json" || return 1
	# shellcheck disable=SC2086
	_c1=$(cpu $5)
	wait "$_server"
	_b=$(jq '.end.sum_received.bytes / 1e9' "$LAB/iperf.json")
	put "$1" relay_mbit "$(jq '.end.sum_received.bits_per_second / 1e6' \
	    "$LAB/iperf.json")"
	put "$1" relay_cpu "$(echo "$_c0 $_c1 $_b" |
	    awk '{ if ($3 > 0) print ($2 - $1) / $3 }')"
}

certificate >"$LAB/openssl.log" 2>&1
PIN=$(openssl x509 -in "$LAB/derp.test.crt" -outform DER | sha256sum |
    cut -d ' ' -f 1)
{
	printf '{"Regions":{'
	region 900 10.77.0.9
	[ -z "$REAL" ] || { printf ,; region 901 10.77.0.10; }
	printf '}}\n'
} >"$LAB/coord/map.json"
relays_start || { fail "the relays start"; exit 1; }
coord_start "policy allow all
derp map file \"$LAB/coord/map.json\"" || exit 1
coordctl user create u >/dev/null
host a 2 10.77.0.10
host b 3 10.77.0.10
for h in a b; do
	node_start $h "auth key \"$(key_create --user u)\""
done
for h in a b; do
	node_wait_up $h || { fail "node $h is up"; exit 1; }
done
ADDR=$(ip4 b)
wait_for 20 on a ping -c 1 -W 1 "$ADDR" ||
	{ fail "two nodes talk by the relay"; exit 1; }
if [ -n "$REAL" ] && real_up ta 4 && real_up tb 5 &&
    TSADDR=$(real tb ip -4) && wait_for 30 on ta ping -c 1 -W 1 "$TSADDR"
then
	:
else
	say "tailscaled over derper: not here"
	REAL=
fi
_round=0
while [ $_round -lt "$ROUNDS" ]; do
	_round=$((_round + 1))
	say "through a relay, round $_round of $ROUNDS"
	measure shoal a b "$ADDR" "$RELAYPIDS" ||
	    { fail "shoal by derpd"; exit 1; }
	[ -z "$REAL" ] || measure tailscaled ta tb "$TSADDR" "$RELAY2PIDS" ||
	    fail "tailscaled by derper"
done
jq -s 'group_by(.name) | map({ key: .[0].name, value: (group_by(.key) |
    map({ key: .[0].key, value: map(.value) }) | from_entries) }) |
    from_entries' "$LAB/all.json" >"$TOP/regress/out/part.pair.json"
ok "measured through a relay"
