#!/bin/sh
# Real tailscaled over https, with all that coordd does for it beyond
# connecting: names, expiry, pings, requests to the node, tokens, logout.
# Paths come in TAILSCALED and TAILSCALE.
[ -x "${TAILSCALED:-}" ] && [ -x "${TAILSCALE:-}" ] || {
	echo "skip: needs TAILSCALED and TAILSCALE"
	exit 77
}
. "$(dirname "$0")/../e2e/lib.sh"

URL=https://10.77.0.1

ts()	# host command...
{
	_h=$1
	shift
	on "$_h" timeout 30 "$TAILSCALE" --socket="$LAB/$_h/ts.sock" "$@"
}

ts_start()	# host
{
	on "$1" ip route add default via 10.77.0.1
	on_bg "$1" "$LAB/$1/tailscaled.log" env TS_NO_LOGS_NO_SUPPORT=true \
	    TS_DEBUG_FIREWALL_MODE=nftables SSL_CERT_FILE="$LAB/ca.pem" \
	    "$TAILSCALED" --state="$LAB/$1/ts.state" \
	    --socket="$LAB/$1/ts.sock" --statedir="$LAB/$1" \
	    --tun=tailscale0 --no-logs-no-support
	wait_for 10 [ -S "$LAB/$1/ts.sock" ]
}

ts_up()	# host flags...
{
	_h=$1
	shift
	ts "$_h" up --timeout 20s --accept-dns=false --login-server=$URL \
	    --hostname="$_h" "$@"
}

# ts_is host jq-filter: does it hold of the status?
ts_is()
{
	json_is "$(ts "$1" status --json)" "$2"
}

name_is()	# host server name address
{
	[ "$(on "$1" dig +short +time=1 +tries=1 @"$2" "$3")" = "$4" ]
}

lab_init clients
lab_host coord 1
lab_host t 12
lab_host s 13
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=coord \
    -addext subjectAltName=IP:10.77.0.1 -keyout "$LAB/ca.key" \
    -out "$LAB/ca.pem" 2>/dev/null
chmod 644 "$LAB/ca.pem"
{
	coord_conf "policy file \"$LAB/coord/policy.hujson\"" |
	    sed -e "s|^url.*|url \"$URL\"|" -e '/^listen/d'
	cat <<-X
	listen on 10.77.0.1 port 443 tls certificate "$LAB/ca.pem" \\
	    key "$LAB/ca.key"
	derp region 900 "home" { node "d1" host "10.77.0.1" port 8444 }
	X
} >"$LAB/coord/coordd.conf"
echo '{ "acls": [ { "action": "accept", "src": ["*"], "dst": ["*:*"] } ] }' \
    >"$LAB/coord/policy.hujson"
check "coordd starts, on TLS alone" coord_run || exit 1
coordctl user create alice >/dev/null
key=$(key_create --user alice --reusable)
for h in t s; do
	ts_start $h
	# Older ones may still be asking for the vendor's server first.
	ts_up $h --auth-key="$key" >/dev/null 2>&1
	check "$h: tailscale up over https" ts_up $h --auth-key="$key"
done
T=$(ts t ip -4) S=$(ts s ip -4)
check "they talk" wait_for 20 on t ping -c 1 -W 1 "$S"

# --- what the client shows ---
check "status --json names the peer and its owner" ts_is t \
    '[.Peer[].DNSName] == ["s.tail.test."] and
    ([.User[].LoginName] | index("alice") != null) and
    .CurrentTailnet.MagicDNSSuffix == "tail.test"'
check "whois" sh -c "ip netns exec $P-t '$TAILSCALE' \
    --socket='$LAB/t/ts.sock' whois --json '$S' |
    jq -e '.UserProfile.LoginName == \"alice\" and
    .Node.Name == \"s.tail.test.\"'"
check "a name is answered" wait_for 5 name_is t 100.100.100.100 \
    s.tail.test "$S"
# Since 1.84 names have IPv6 addresses too.
[ "$("$TAILSCALE" version | sed -n '1s/^[0-9]*\.\([0-9]*\).*/\1/p')" -lt 84 ] ||
    check "over IPv6 addresses too" sh -c "ip netns exec $P-t dig +short AAAA \
    @100.100.100.100 s.tail.test | grep -q '^fd7a:'"
check "netcheck knows the region" sh -c "ip netns exec $P-t timeout 30 \
    '$TAILSCALE' --socket='$LAB/t/ts.sock' netcheck --format=json |
    jq -e '.RegionLatency | type == \"object\" or . == null'"
check "debug derp-map is ours alone" sh -c "ip netns exec $P-t '$TAILSCALE' \
    --socket='$LAB/t/ts.sock' debug derp-map |
    jq -e '[.Regions[].RegionID] == [900]'"
check "debug netmap: the filter is there" sh -c "ip netns exec $P-t \
    '$TAILSCALE' --socket='$LAB/t/ts.sock' debug netmap |
    jq -e '.PacketFilterRules | length > 0'"

# --- what the server asks of it ---
for p in noise http c2n; do
	check "node ping: $p" sh -c "'$COORDCTL' -s '$LAB/coord/coordd.sock' \
	    node ping t --type $p | grep -q '^pong from t by $p in '"
done
for p in disco tsmp icmp peerapi; do
	check "it pings another: $p" sh -c "'$COORDCTL' -s \
	    '$LAB/coord/coordd.sock' node ping t s --type $p |
	    grep '^t: pong from $S .*by $p in '"
done
check "c2n: echo" sh -c "'$COORDCTL' -s '$LAB/coord/coordd.sock' node c2n t \
    /echo --body hello | tr -d '\r' | grep -x hello"
check "c2n: preferences" sh -c "'$COORDCTL' -s '$LAB/coord/coordd.sock' \
    node c2n t /debug/prefs | grep -q '\"ControlURL\": *\"$URL\"'"
check "c2n: what is not there" sh -c "'$COORDCTL' -s \
    '$LAB/coord/coordd.sock' node c2n t /nonsense | grep -q ' 400 '"

# --- what it asks of the server ---
on t env TAILSCALE_USE_WIP_CODE=1 timeout 20 "$TAILSCALE" \
    --socket="$LAB/t/ts.sock" id-token sts.example >"$LAB/token" 2>&1
check "id-token" grep -q '^eyJ' "$LAB/token"
on t curl -s --cacert "$LAB/ca.pem" $URL/.well-known/jwks.json >"$LAB/jwks"
check "its signature is good, it names the node" sh -c "python3 \
    '$TOP/regress/e2e/jwt.py' \"\$(tail -n 1 '$LAB/token')\" '$LAB/jwks' |
    grep -qx 'sub=\"t.tail.test\"'"
check "serve hears what the server offers" sh -c "ip netns exec $P-t timeout \
    20 '$TAILSCALE' --socket='$LAB/t/ts.sock' serve --bg 8000 2>&1 |
    grep -q 'no HTTPS certificates'"

# --- changes while it runs ---
sed -i 's/port 8444/port 8445/' "$LAB/coord/coordd.conf"
kill -HUP "$COORDPID"
check "another DERP map reaches it" wait_for 5 sh -c "ip netns exec $P-t \
    '$TAILSCALE' --socket='$LAB/t/ts.sock' debug derp-map |
    jq -e '.Regions[\"900\"].Nodes[0].DERPPort == 8445'"
coordctl node rename s other >/dev/null
check "a renamed node has its new name" wait_for 5 name_is t \
    100.100.100.100 other.tail.test "$S"
coordctl node tag t tag:none >/dev/null 2>&1
check "a tag that the policy does not know is refused" ts_is t \
    '.Self.Tags == null'
coordctl node expire other >/dev/null
check "a node whose key expired needs a login" wait_for 10 ts_is s \
    '.BackendState == "NeedsLogin"'
check "the other sees it expired" wait_for 10 ts_is t \
    'any(.Peer[]; .Expired == true)'
check "it comes back with a key" ts_up s --auth-key="$key" --force-reauth
check "as the same node" ts_is t '[.Peer[].TailscaleIPs[0]] == ["'"$S"'"]'
check "they talk again" wait_for 20 on t ping -c 1 -W 1 "$S"
check "logout" ts s logout
check "the other sees that" wait_for 10 ts_is t \
    'all(.Peer[]?; .Online == false or .Expired == true)'
pid=$COORDPID
kill_wait "$pid"
check "coordd starts again" coord_run
check "and the node that stayed is back" wait_for 40 nodes_is \
    'any(.name == "t" and .online)'
