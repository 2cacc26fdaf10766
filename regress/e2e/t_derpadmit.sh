#!/bin/sh
# A relay for the nodes of a coordination server, which tells it who they are:
# nobody before it has, its nodes then and no stranger, new ones at once; who
# is deleted, expires or has a new key goes within seconds; what holds when
# the server is gone; another secret, another certificate, no secret. And a
# relay that asks the shoald of its machine.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
lab_init derpadmit
lab_host coord 1
lab_host a 2
lab_host b 3
lab_host c 4
lab_host relay 9

cc -O1 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
    -I"$TOP/proto" -I"$TOP/compat" -I"$TOP/imsg" -o "$LAB/derpcli" \
    "$TOP/regress/e2e/derpcli.c" "$TOP/regress/e2e/dcli.c" \
    "$BUILD/proto/libproto.a" "$BUILD/compat/libcompat.a" \
    -lsodium -lssl -lcrypto -ljansson -lbsd || exit 1

login()	# private key: is it let in?
{
	on a timeout 20 "$LAB/derpcli" 10.77.0.9 80 login "$1"
}

not()
{
	! "$@"
}

node_key()	# node: its private key
{
	sed -n 's/^node *privkey:\([0-9a-f]*\).*/\1/p' "$LAB/$1/state"
}

clients()	# n: are so many keys at the relay?
{
	on relay curl -s http://127.0.0.1:9090/metrics |
	    grep -q "^derp_clients_local $1\$"
}

relay_log()
{
	grep -q "$1" "$LAB/relay/derpd.$RN.log"
}

relay_start()
{
	RN=$((${RN:-0} + 1))
	on_bg relay "$LAB/relay/derpd.$RN.log" "$DERPD" -dv \
	    -f "$LAB/relay/derpd.conf"
	RELAYPID=$BGPID
	wait_for 5 relay_log 'relaying for'
}

relay_reload()
{
	kill -HUP "$RELAYPID"
	wait_for 5 relay_log 'configuration reloaded'
}

cert()	# name: one of 10.77.0.1, signed by nobody
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	    -days 30 -subj /CN=coord -addext subjectAltName=IP:10.77.0.1 \
	    -keyout "$LAB/$1.key" -out "$LAB/$1.pem" 2>/dev/null
}

cert one
cert two
SECRET=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
echo "$SECRET" >"$LAB/coord/clients.key"
echo "$SECRET" | tr 0-9a-f 1-9a-f0 >"$LAB/relay/clients.key"
chmod 600 "$LAB/coord/clients.key" "$LAB/relay/clients.key"
cat >"$LAB/relay/derpd.conf" <<-X
	hostname "derp.test"
	listen on 10.77.0.9 port 443 tls self-signed
	listen on 10.77.0.9 port 80
	stun listen on 10.77.0.9 port 3478
	metrics listen on 127.0.0.1 port 9090
	verify clients coordd "https://10.77.0.1" key file \
	    "$LAB/relay/clients.key"
	ca file "$LAB/one.pem"
	state "$LAB/relay/state/key"
X
check "derpd starts without the server" relay_start
PIN=$(sed -n 's/.*"\(sha256-raw:[0-9a-f]*\)".*/\1/p' \
    "$LAB/relay/derpd.1.log")
check "there is no list: nobody is let in" not login "$(printf '%064d' 7)"
conf()	# certificate
{
	coord_conf
	cat <<-X
	listen on 10.77.0.1 port 443 tls certificate "$LAB/$1.pem" \\
	    key "$LAB/$1.key"
	derp region 900 "home" { host "derp.test" port 443 stun 3478
		ipv4 "10.77.0.9" pin "$PIN" }
	derp clients key file "$LAB/coord/clients.key"
	X
}
conf one >"$LAB/coord/coordd.conf"
coord_run || exit 1
coordctl user create u >/dev/null
node_start a "auth key \"$(key_create --user u)\""
node_start b "auth key \"$(key_create --user u)\""
for t in a b; do
	node_wait_up $t || fail "node $t is up"
done
check "another secret: refused, and it says so" wait_for 20 \
    relay_log 'coordd: refused'
check "the server's log as well" grep -q '10.77.0.9: 403' \
    "$LAB/coord/coordd.1.log"
check "without a secret: refused" sh -c "ip netns exec $P-b curl -sk -m 5 \
    -o /dev/null -w '%{http_code}' https://10.77.0.1/derp/clients |
    grep -q 403"
check "nobody is let in" clients 0
cp "$LAB/coord/clients.key" "$LAB/relay/clients.key"
check "the same secret, by a reload" relay_reload
check "there is a list" wait_for 5 relay_log 'coordd: 2 keys'
check "its nodes come" wait_for 30 clients 2
KEYA=$(node_key a) KEYB=$(node_key b)
check "a key of a node is let in" login "$KEYA"
check "another one's" login "$KEYB"
check "a stranger is not" not login "$(printf '%064d' 7)"

# --- changes ---
node_start c "auth key \"$(key_create --user u)\""
check "a new node: it is there" wait_for 20 clients 3
id()
{
	coordctl --json node list | jq -r --arg n "$1" \
	    '[.[] | select(.name == $n or .hostname == $n or
	    .given_name == $n)][0].id'
}
kill -STOP "$NODEPID_b"
t0=$(now_ms)
coordctl node delete "$(id b)" >/dev/null
check "one is deleted: it goes" wait_for 8 clients 2
t=$(($(now_ms) - t0))
check "within seconds ($t ms)" [ $t -lt 5000 ]
kill -CONT "$NODEPID_b"
coordctl node expire "$(id c)" >/dev/null
check "one has expired: it goes" wait_for 8 clients 1

# --- without the server ---
kill_wait "$COORDPID"
check "the server is gone: it says so" wait_for 5 relay_log \
    'coordd: connection lost'
check "the last list holds" login "$KEYA"
check "and nobody else is let in" not login "$(printf '%064d' 7)"
check "nor who was deleted" not login "$KEYB"
kill_wait "$RELAYPID"
check "a relay without a list" relay_start
check "lets nobody in" not login "$KEYA"
conf two >"$LAB/coord/coordd.conf"
coord_run 2 || exit 1
check "another certificate is not believed" wait_for 15 relay_log \
    'coordd: .*certificate'
check "and nobody is let in" not login "$KEYA"
said()	# so often
{
	[ "$(grep -c 'verify clients coordd: ' \
	    "$LAB/relay/derpd.$RN.log")" -ge "$1" ]
}
check "it says so three times" wait_for 15 said 3
conf one >"$LAB/coord/coordd.conf"
kill -HUP "$COORDPID"
check "the right one is: the list is back" wait_for 40 relay_log \
    'coordd: 1 keys'
check "and the node" wait_for 30 clients 1

# --- the shoald of the machine ---
node_stop b
rm -f "$LAB/b/state"
node_start b "auth key \"$(key_create --user u)\""
check "a node comes anew" node_wait_up b
check "another one sees it" wait_for 10 sees a b
kill_wait "$COORDPID"
check "the server is gone again: that is told anew" wait_for 5 relay_log \
    'coordd: connection lost'
KEYB2=$(node_key b)
sed -i '/clients coordd/d' "$LAB/relay/derpd.conf"
echo "verify clients shoald \"$LAB/a/shoald.sock\"" >>"$LAB/relay/derpd.conf"
check "now shoald is asked, by a reload" relay_reload
check "its own key is let in" login "$KEYA"
check "a peer's is" login "$KEYB2"
check "one of before is not" not login "$KEYB"
check "nor a stranger's" not login "$(printf '%064d' 7)"
node_stop a
kill_wait "$RELAYPID"
check "a relay whose shoald does not run" relay_start
check "lets nobody in" not login "$KEYB2"
check "and says so" relay_log 'clients shoald: .*shoald.sock'
