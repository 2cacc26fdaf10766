#!/bin/sh
# shoald in a tailnet of Headscale: login by key, ping, names, policy changed
# live, with real tailscaled too if TAILSCALED and TAILSCALE are named. The
# path of Headscale comes in HEADSCALE.
[ -x "${HEADSCALE:-}" ] || {
	echo "skip: needs HEADSCALE"
	exit 77
}
. "$(dirname "$0")/../e2e/lib.sh"

hs()
{
	on coord "$HEADSCALE" -c "$LAB/coord/config.yaml" "$@"
}

hs_conf()
{
	cat >"$LAB/coord/derp.yaml" <<-X
	regions:
	  900:
	    regionid: 900
	    regioncode: home
	    regionname: Home
	    nodes:
	      - name: d1
	        regionid: 900
	        hostname: 10.77.0.1
	        derpport: 8444
	        stunonly: false
	X
	cat >"$LAB/coord/config.yaml" <<-X
	server_url: http://10.77.0.1:8080
	listen_addr: 10.77.0.1:8080
	metrics_listen_addr: ""
	grpc_listen_addr: 127.0.0.1:50443
	noise:
	  private_key_path: $LAB/coord/noise.key
	prefixes:
	  v4: 100.64.0.0/10
	  v6: fd7a:115c:a1e0::/48
	  allocation: sequential
	derp:
	  server:
	    enabled: true
	    region_id: 999
	    region_code: hs
	    region_name: Headscale
	    verify_clients: true
	    stun_listen_addr: 10.77.0.1:3478
	    private_key_path: $LAB/coord/derp.key
	    automatically_add_embedded_derp_region: true
	    ipv4: 10.77.0.1
	  urls: []
	  paths: [ $LAB/coord/derp.yaml ]
	  auto_update_enabled: false
	disable_check_updates: true
	database:
	  type: sqlite
	  sqlite:
	    path: $LAB/coord/hs.db
	    write_ahead_log: true
	log:
	  level: info
	policy:
	  mode: file
	  path: $LAB/coord/policy.hujson
	dns:
	  magic_dns: true
	  base_domain: tail.test
	  override_local_dns: false
	  nameservers:
	    global: []
	unix_socket: $LAB/coord/hs.sock
	logtail:
	  enabled: false
	X
}

hs_up()
{
	[ -S "$LAB/coord/hs.sock" ] && hs users list
}

ping_ok()
{
	on "$1" ping -c 1 -W 1 "$2"
}

lab_init headscale
lab_host coord 1
lab_host a 2
lab_host b 3
hs_conf
echo '{ "acls": [ { "action": "accept", "src": ["*"], "dst": ["*:*"] } ] }' \
    >"$LAB/coord/policy.hujson"
on_bg coord "$LAB/coord/headscale.log" \
    "$HEADSCALE" -c "$LAB/coord/config.yaml" serve
HSPID=$BGPID
check "headscale starts" wait_for 20 hs_up || exit 1
hs users create u >/dev/null 2>&1
key=$(hs preauthkeys create -u 1 --reusable -e 1h -o json 2>/dev/null |
    jq -r .key)
node_start a "auth key \"$key\""
node_start b "auth key \"$key\""
check "shoald a joins" node_wait_up a 20
check "shoald b joins" node_wait_up b 20
A=$(ip4 a) B=$(ip4 b)
check "ping over IPv4" wait_for 10 ping_ok a "$B"
check "ping over IPv6" wait_for 10 ping_ok b "$(ip6 a)"
check "MagicDNS" sh -c "ip netns exec $P-a dig +short +time=2 \
    @100.100.100.100 b.tail.test | grep -qx $B"
# The home region is Headscale's own, which answers STUN; it comes with the
# map, and what was found goes back as NetInfo.
derp_home()
{
	ctl_is a '.Self.Relay != ""'
}
check "DERP map from Headscale: a has a home region" wait_for 30 derp_home
check "whois" sh -c "$SHOALCTL -s $LAB/a/shoald.sock whois $B | grep -q u"
if [ -x "${TAILSCALED:-}" ] && [ -x "${TAILSCALE:-}" ]; then
	lab_host t 12
	on t ip route add default via 10.77.0.1
	on_bg t "$LAB/t/tailscaled.log" env TS_NO_LOGS_NO_SUPPORT=true \
	    "$TAILSCALED" --state="$LAB/t/ts.state" --statedir="$LAB/t" \
	    --socket="$LAB/t/ts.sock" --tun=tailscale0 --no-logs-no-support
	wait_for 10 [ -S "$LAB/t/ts.sock" ]
	check "tailscaled joins" timeout 30 ip netns exec "$P-t" "$TAILSCALE" \
	    --socket="$LAB/t/ts.sock" up --timeout 20s --accept-dns=false \
	    --auth-key="$key" --login-server=http://10.77.0.1:8080
	T=$(on t "$TAILSCALE" --socket="$LAB/t/ts.sock" ip -4)
	check "shoald and tailscaled ping each other" sh -c ":" &&
	    wait_for 20 ping_ok a "$T" && wait_for 20 ping_ok t "$A"
fi
cat >"$LAB/coord/policy.hujson" <<X
{ "hosts": { "a": "$A/32", "b": "$B/32" },
  "acls": [ { "action": "accept", "src": ["a"], "dst": ["b:*"] } ] }
X
kill -HUP "$HSPID"
ping_no()
{
	! ping_ok "$@"
}
check "policy changed live: b no longer reaches a" wait_for 10 ping_no b "$A"
check "a still reaches b" wait_for 5 ping_ok a "$B"
node_stop b
node_run b 2
check "a restart comes back" node_wait_up b 20
check "with the same address" [ "$(ip4 b)" = "$B" ]
check "and the others reach it" wait_for 10 ping_ok a "$B"
kill_wait "$HSPID"
sleep 1
check "traffic flows on while Headscale is down" ping_ok a "$B"
on_bg coord "$LAB/coord/headscale2.log" \
    "$HEADSCALE" -c "$LAB/coord/config.yaml" serve
online()
{
	json_is "$(hs nodes list -o json 2>/dev/null)" \
	    'map(select(.online)) | length >= 2'
}
check "and both come back to it" wait_for 45 online
check "logout" ctl b logout
state_is()
{
	ctl_is "$1" --arg s "$2" '.BackendState == $s'
}
check "b needs a login" wait_for 5 state_is b NeedsLogin
check "login again" ctl b login --timeout 20s
check "b is back at its address" [ "$(ip4 b)" = "$B" ]
check "and a reaches it" wait_for 10 ping_ok a "$B"
id=$(hs nodes list -o json 2>/dev/null |
    jq -r '.[] | select(.given_name == "b" or .name == "b") | .id')
oldkey=$(ctl b status --json | jq -r .Self.PublicKey)
hs nodes expire -i "$id" >/dev/null 2>&1
# The auth key is there: a new node key is asked for at once.
rekeyed()
{
	ctl_is b --arg k "$oldkey" \
	    '.BackendState == "Running" and .Self.PublicKey != $k'
}
check "key expired by the server: b takes a new one by its auth key" \
    wait_for 30 rekeyed
check "and a reaches it" wait_for 10 ping_ok a "$(ip4 b)"
used=$(hs preauthkeys create -u 1 -e 1h -o json 2>/dev/null | jq -r .key)
lab_host c 4
node_start c "auth key \"$used\""
check "c joins with a key for one use" node_wait_up c 20
refused()
{
	timeout 10 "$SHOALCTL" -s "$LAB/c/shoald.sock" login --force-reauth \
	    >"$LAB/refused" 2>&1
	[ $? -eq 1 ] && grep -q 'authkey' "$LAB/refused"
}
check "the key again is refused in Headscale's words, exit 1" refused
check "c runs on" state_is c Running
