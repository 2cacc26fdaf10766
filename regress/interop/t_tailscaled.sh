#!/bin/sh
# Real tailscaled and shoald in one tailnet of coordd, on one network: login
# by key, ping both ways, policy changed live, names, logout. Paths come in
# TAILSCALED and TAILSCALE.
[ -x "${TAILSCALED:-}" ] && [ -x "${TAILSCALE:-}" ] || {
	echo "skip: needs TAILSCALED and TAILSCALE"
	exit 77
}
. "$(dirname "$0")/../e2e/lib.sh"

ts()	# host command...
{
	_h=$1
	shift
	on "$_h" "$TAILSCALE" --socket="$LAB/$_h/ts.sock" "$@"
}

ts_start()	# host
{
	# It takes an interface for real only if there is a default route.
	on "$1" ip route add default via 10.77.0.1
	# Older ones want to be told where there is no iptables.
	on_bg "$1" "$LAB/$1/tailscaled.log" env TS_NO_LOGS_NO_SUPPORT=true \
	    TS_DEBUG_FIREWALL_MODE=nftables \
	    "$TAILSCALED" --state="$LAB/$1/ts.state" \
	    --socket="$LAB/$1/ts.sock" --statedir="$LAB/$1" \
	    --tun=tailscale0 --no-logs-no-support
	wait_for 10 [ -S "$LAB/$1/ts.sock" ]
	# They ask for the vendor's server first too, and drop that late.
	[ "$MINOR" -ge 60 ] || ts "$1" up --timeout 15s --accept-dns=false \
	    --login-server=http://10.77.0.1:8080 >/dev/null 2>&1
}

ts_up()	# host flags...
{
	_h=$1
	shift
	timeout 30 ip netns exec "$P-$_h" "$TAILSCALE" \
	    --socket="$LAB/$_h/ts.sock" up --timeout 20s --accept-dns=false \
	    --login-server=http://10.77.0.1:8080 "$@"
}

ping_ok()
{
	on "$1" ping -c 1 -W 1 "$2"
}

MINOR=$("$TAILSCALE" version | sed -n '1s/^[0-9]*\.\([0-9]*\).*/\1/p')
lab_init tailscaled
lab_host coord 1
lab_host a 2
lab_host t 12
lab_host s 13
coord_conf "policy file \"$LAB/coord/policy.hujson\"" \
    >"$LAB/coord/coordd.conf"
cat >>"$LAB/coord/coordd.conf" <<'X'
derp region 900 "home" { node "d1" host "10.77.0.1" port 8444 }
X
echo '{ "acls": [ { "action": "accept", "src": ["*"], "dst": ["*:*"] } ] }' \
    >"$LAB/coord/policy.hujson"
check "coordd starts with a DERP region" coord_run || exit 1
coordctl user create u >/dev/null
key=$(key_create --user u --reusable)
ts_start t
check "tailscale up with a key" ts_up t --auth-key="$key" --hostname=t
node_start a "auth key \"$key\""
check "shoald joins" node_wait_up a
T=$(ts t ip -4)
A=$(ip4 a)
check "shoald pings tailscaled" wait_for 20 ping_ok a "$T"
check "tailscaled pings shoald" wait_for 20 ping_ok t "$A"
check "over IPv6" wait_for 10 ping_ok t "$(ip6 a)"
check "tailscale ping finds shoald directly" sh -c "
    ip netns exec $P-t $TAILSCALE --socket=$LAB/t/ts.sock ping -c 5 \
	--until-direct a | grep 'via 10.77.0.2:'"
check "shoalctl ping finds tailscaled directly" sh -c \
    "$SHOALCTL -s $LAB/a/shoald.sock ping --c 3 t | grep 'via 10.77.0.12:'"
check "tailscale status shows the shoal node" sh -c "
    ip netns exec $P-t $TAILSCALE --socket=$LAB/t/ts.sock status |
    grep -q '$A.*linux'"
iperf_server t
for d in "" -R; do
	on a iperf3 -J -c "$T" -t 3 $d >"$LAB/i.json"
	mb=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$LAB/i.json")
	check "TCP ${d:-forth}: $mb Mbit/s" [ "${mb:-0}" -gt 100 ]
done
ts_start s
timeout 40 ip netns exec "$P-s" "$TAILSCALE" --socket="$LAB/s/ts.sock" up \
    --timeout 30s --accept-dns=false --hostname=s \
    --login-server=http://10.77.0.1:8080 >"$LAB/s/up.log" 2>&1 &
up=$!
check "tailscale up without a key shows a URL" wait_for 15 \
    grep -q 'http://10.77.0.1:8080/register/' "$LAB/s/up.log"
id=$(sed -n 's|.*/register/\([^ ]*\).*|\1|p' "$LAB/s/up.log" | head -n 1)
check "approve it" coordctl node approve "$id" --user u
check "it ends well" wait "$up"
S=$(ts s ip -4)
check "tailscaled pings tailscaled" wait_for 20 ping_ok t "$S"
check "shoald pings the second too" wait_for 20 ping_ok a "$S"

cat >"$LAB/coord/policy.hujson" <<X
{ "hosts": { "a": "$A", "t": "$T" },
  "acls": [ { "action": "accept", "src": ["a"], "dst": ["t:*"] } ] }
X
kill -HUP "$COORDPID"
sleep 1
check "policy changed live: a still reaches t" wait_for 5 ping_ok a "$T"
check "t no longer reaches a" sh -c "! ip netns exec $P-t ping -c 1 -W 1 $A"
check "t no longer sees s" sh -c "
    ! ip netns exec $P-t $TAILSCALE --socket=$LAB/t/ts.sock status |
    grep -q '$S'"
check "tailscale logout" ts t logout
check "a sees it expired" wait_for 15 expired a t
