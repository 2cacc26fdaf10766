#!/bin/sh
# derpd: every frame between clients of our own, over plain TCP and over TLS,
# by 101 and by fast start; its web pages; keys that outlive restarts. With
# TAILSCALED and TAILSCALE set: two real nodes on our coordd whose only way
# to each other is derpd, trusted by its pin.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
lab_init derpd
lab_host relay 9
lab_host cli 5

cc -O1 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
    -I"$TOP/proto" -I"$TOP/compat" -I"$TOP/imsg" -o "$LAB/derpcli" \
    "$TOP/regress/e2e/derpcli.c" "$TOP/regress/e2e/dcli.c" \
    "$TOP/proto/libproto.a" \
    "$TOP/compat/libcompat.a" -lsodium -lssl -lcrypto -ljansson -lbsd ||
    exit 1

cat >"$LAB/relay/derpd.conf" <<EOF
hostname "10.77.0.9"
listen on 10.77.0.9 port 80
listen on 10.77.0.9 port 443 tls self-signed
listen on 10.77.0.9 port 81 redirect
stun listen on 10.77.0.9 port 3478
stun listen on fd77::9 port 3478
metrics listen on 10.77.0.9 port 9090
bootstrap dns "login.example.org" "192.0.2.1"
bootstrap dns "login.example.org" "2001:db8::1"
bootstrap dns "log.example.org" "192.0.2.2"
state "$LAB/relay/state/key"
EOF

relay_up()
{
	grep -q 'relaying for' "$LAB/relay/derpd.$1.log"
}

relay_start()	# number of its log
{
	on_bg relay "$LAB/relay/derpd.$1.log" "$DERPD" -dv \
	    -f "$LAB/relay/derpd.conf"
	RELAYPID=$BGPID
	wait_for 5 relay_up "$1"
}

pin()
{
	sed -n 's/.*"\(sha256-raw:[0-9a-f]*\)".*/\1/p' \
	    "$LAB/relay/derpd.$1.log"
}

cli()
{
	on cli timeout 30 "$LAB/derpcli" "$@"
}

relay_child()
{
	pgrep -P "$RELAYPID" -f "$1" | head -n 1
}

page()	# path: status of it
{
	on cli curl -sk -m 5 -o /dev/null -w '%{http_code}' \
	    "https://10.77.0.9$1"
}

check "derpd starts" relay_start 1
check "frames, plain" cli 10.77.0.9 80 pair
check "frames, plain, fast start" cli -f 10.77.0.9 80 pair
check "frames, TLS" cli -t 10.77.0.9 443 pair
check "frames, TLS, fast start" cli -f -t 10.77.0.9 443 pair
check "new keys of TLS in the middle" cli -t 10.77.0.9 443 update
check "frames, WebSocket" cli -w 10.77.0.9 80 pair
check "frames, WebSocket over TLS" cli -w -t 10.77.0.9 443 pair
for w in /:200 /derp:426 /derp/probe:200 /derp/latency-check:200 \
    /generate_204:204 /robots.txt:200 /else:404; do
	check "page $w" [ "$(page "${w%:*}")" = "${w#*:}" ]
done
get()
{
	on cli curl -sk -m 5 "$@"
}
check "bootstrap-dns of a name" [ "$(get \
    'https://10.77.0.9/bootstrap-dns?q=login.example.org')" = \
    '{"login.example.org":["192.0.2.1","2001:db8::1"]}' ]
check "bootstrap-dns of all" [ "$(get \
    'https://10.77.0.9/bootstrap-dns?q=other.example.org' | jq 'keys | length')" \
    = 2 ]
check "port 80 leads to https" [ "$(get -o /dev/null \
    -w '%{http_code} %{redirect_url}' 'http://10.77.0.9:81/x?y=z')" = \
    "302 https://10.77.0.9/x?y=z" ]
check "and answers the portal's question" [ "$(get -o /dev/null \
    -w '%{http_code}' http://10.77.0.9:81/generate_204)" = 204 ]
check "metrics" sh -c "ip netns exec $P-cli curl -s http://10.77.0.9:9090/metrics |
    grep -q '^derp_packets_received [1-9]'"
check "no metrics on other ports" [ "$(page /metrics)" = 404 ]
check "TLS 1.2" on cli curl -sk -m 5 --tls-max 1.2 https://10.77.0.9/
check "no TLS 1.1" sh -c "! ip netns exec $P-cli curl -sk -m 5 \
    --tls-max 1.1 https://10.77.0.9/"
on cli sh -c 'echo | openssl s_client -connect 10.77.0.9:443 -showcerts' \
    2>/dev/null >"$LAB/chain"
check "the chain tells the DERP key" grep -q 'CN = derpkey[0-9a-f]\{64\}' \
    "$LAB/chain"
check "answers STUN" on cli python3 -c '
import os, socket, struct, zlib
t = os.urandom(12)
p = struct.pack("!HHI", 1, 20, 0x2112a442) + t
p += struct.pack("!HH", 0x8022, 8) + b"tailnode"
p += struct.pack("!HHI", 0x8028, 4, zlib.crc32(p) ^ 0x5354554e)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.sendto(p, ("10.77.0.9", 3478))
d = s.recv(100)
assert d[8:20] == t and d[20:22] == b"\0\x20"
a = bytes(x ^ y for x, y in zip(d[28:32], d[4:8]))
assert socket.inet_ntoa(a) == "10.77.0.5"'

check "answers STUN over IPv6" on cli python3 -c '
import os, socket, struct, zlib
t = os.urandom(12)
p = struct.pack("!HHI", 1, 20, 0x2112a442) + t
p += struct.pack("!HH", 0x8022, 8) + b"tailnode"
p += struct.pack("!HHI", 0x8028, 4, zlib.crc32(p) ^ 0x5354554e)
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(3)
s.sendto(p, ("fd77::9", 3478))
d = s.recv(100)
assert d[8:20] == t and d[20:26] == b"\0\x20\0\x14\0\2"
a = bytes(x ^ y for x, y in zip(d[28:44], d[4:20]))
assert socket.inet_ntop(socket.AF_INET6, a) == "fd77::5"'
check "metrics of STUN" sh -c "ip netns exec $P-cli curl -s \
    http://10.77.0.9:9090/metrics | grep -q 'family=\"ipv4\"} 1$'"
kill -KILL "$(relay_child cryptod)"
sleep 0.5
check "a killed cryptod is replaced" wait_for 5 cli -t 10.77.0.9 443 pair
kill -KILL "$(relay_child relay)"
sleep 0.5
check "a killed relay is replaced" wait_for 5 cli -t 10.77.0.9 443 pair
kill -HUP "$RELAYPID"
sleep 0.5
check "reloads" cli -t 10.77.0.9 443 pair

reloads()
{
	grep -c 'configuration reloaded' "$LAB/relay/derpd.1.log"
}
reloaded()	# times
{
	[ "$(reloads)" -eq "$1" ]
}
relay_reload()
{
	_n=$(reloads)
	kill -HUP "$RELAYPID"
	wait_for 5 reloaded $((_n + 1))
}
# rate lines: packets of 1237 bytes a second that get through
rate()
{
	cp "$LAB/relay/derpd.conf" "$LAB/relay/all.conf"
	echo "$1" >>"$LAB/relay/derpd.conf"
	relay_reload
	cli 10.77.0.9 80 flood 1000 | sed -n 's/.* \([0-9]*\) a second/\1/p'
	cp "$LAB/relay/all.conf" "$LAB/relay/derpd.conf"
	relay_reload
}
limited()
{
	[ "$R" -gt 100 ] && [ "$R" -lt 480 ]
}
R=$(rate 'limit rate 500k burst 66k')
check "a limit of 404 packets a second: $R" limited
R=$(rate 'limit total rate 500k burst 66k')
check "the same for all together: $R" limited
R=$(rate '')
check "without a limit: $R" [ "$R" -gt 2000 ]
on_bg cli "$LAB/cli/stop.log" "$LAB/derpcli" -t 10.77.0.9 443 stop
wait_for 5 grep -q ready "$LAB/cli/stop.log"
kill_wait "$RELAYPID"
check "clients hear of its end" wait "$BGPID"
check "starts again" relay_start 2
check "with the same certificate" [ "$(pin 1 | head -n 1)" = "$(pin 2)" ]
on cli openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=x \
    -keyout "$LAB/relay/key.pem" -out "$LAB/relay/cert.pem" 2>/dev/null
kill_wait "$RELAYPID"
cp "$LAB/relay/derpd.conf" "$LAB/relay/self.conf"
sed -i "s|tls self-signed|tls certificate \"$LAB/relay/cert.pem\" key \
\"$LAB/relay/key.pem\"|" "$LAB/relay/derpd.conf"
check "an RSA key of a file" relay_start 3
check "frames with it" cli -t 10.77.0.9 443 pair
check "TLS 1.2 with it" on cli curl -sk -m 5 --tls-max 1.2 https://10.77.0.9/
on cli openssl ecparam -genkey -name prime256v1 -noout \
    -out "$LAB/relay/key.pem" 2>/dev/null
kill -HUP "$RELAYPID"
check "the key of another certificate is refused" wait_for 3 \
    grep -q "key.pem: not the key of the certificate" "$LAB/relay/derpd.3.log"
check "and nothing has changed" cli -t 10.77.0.9 443 pair
kill_wait "$RELAYPID"
cp "$LAB/relay/self.conf" "$LAB/relay/derpd.conf"
check "and back" relay_start 4

if [ -z "${TAILSCALED:-}" ] || [ -z "${TAILSCALE:-}" ]; then
	echo "skip real nodes: TAILSCALED and TAILSCALE are not set"
	exit 0
fi

real_up()	# name number: a real node that must use the relay
{
	lab_host "$1" "$2"
	on "$1" ip route add default via 10.77.0.254
	on "$1" nft add table inet t
	on "$1" nft 'add chain inet t o { type filter hook output priority 0; }'
	on "$1" nft add rule inet t o oifname eth0 udp dport != 3478 drop
	on_bg "$1" "$LAB/$1/tailscaled.log" env TS_NO_LOGS_NO_SUPPORT=true \
	    "$TAILSCALED" --no-logs-no-support --statedir="$LAB/$1" \
	    --socket="$LAB/$1/sock" --tun=ts0
	wait_for 10 [ -S "$LAB/$1/sock" ]
	on "$1" timeout 40 "$TAILSCALE" --socket="$LAB/$1/sock" up \
	    --accept-dns=false --login-server=http://10.77.0.1:8080 \
	    --hostname="$1" --auth-key="$(key_create --user u)"
}

real()	# name words...
{
	_r=$1
	shift
	on "$_r" timeout 20 "$TAILSCALE" --socket="$LAB/$_r/sock" "$@"
}

real_ping()
{
	on t1 ping -c 3 -W 5 "$(real t2 ip -4)"
}

lab_host coord 1
coord_start "policy allow all
derp region 900 \"lab\" { host \"10.77.0.9\" stun 3478 pin \"$(pin 4)\" }" ||
    exit 1
coordctl user create u >/dev/null
check "a real node is up" real_up t1 2
check "another one is up" real_up t2 3
check "they ping each other" wait_for 30 real_ping
real t1 ping --c 2 --until-direct=false "$(real t2 ip -4)" >"$LAB/tsping" 2>&1
check "over the relay" grep -q 'via DERP(' "$LAB/tsping"
check "at home in its region" json_is "$(real t1 status --json)" \
    '.Self.Relay != ""'
