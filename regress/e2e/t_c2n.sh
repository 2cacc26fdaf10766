#!/bin/sh
# What the control server asks of a node: pings, and requests to it. The node
# answers what it may read, and says no to the rest.
. "$(dirname "$0")/lib.sh"

c2n()	# pattern words...: coordctl node c2n a ...
{
	_p=$1
	shift
	coordctl node c2n a "$@" 2>&1 | grep -q -- "$_p"
}

lab_init c2n
two_nodes || exit 1
check "the node answers a ping" coordctl node ping a
check "echo" c2n hello /echo --post --body hello
check "preferences" c2n '"ControlURL":"http://10.77.0.1:8080"' /debug/prefs
check "and no secret in them" sh -c \
    "! '$COORDCTL' -s '$LAB/coord/coordd.sock' node c2n a /debug/prefs |
    grep -qi 'key'"
check "the map, as the node has it" c2n '"Name":"b.tail.test."' /debug/netmap
check "and no private key in that" sh -c \
    "! '$COORDCTL' -s '$LAB/coord/coordd.sock' node c2n a /debug/netmap |
    grep -q privkey"
check "health" c2n '"Warnings":{}' /debug/health
check "metrics" c2n '^shoal_peers 1$' /debug/metrics
check "updates are not its business" c2n '"Supported":false' /update
check "logs: none are uploaded" c2n 'uploads no logs' /logtail/flush --post
check "the local interface stays local" c2n 'not offered' \
    /remoteapi/localapi/v0/status
check "what it does not know it says" c2n 'unknown c2n path' /nothing
check "traffic flows on" on a ping -c 1 -W 1 "$(ip4 b)"

# --- pings ---
png()	# pattern words...: coordctl node ping ...
{
	_p=$1
	shift
	coordctl node ping "$@" 2>&1 | grep -Eq -- "$_p"
}

B=$(ip4 b)
check "by its session" png '^pong from a by noise in [0-9.]+ ms$' a
check "by the public URL" png '^pong from a by http in [0-9.]+ ms$' a \
    --type http
check "by its request handler" png '^pong from a by c2n in [0-9.]+ ms$' a \
    --type c2n
check "it pings another: disco" png \
    "^a: pong from $B \(b\) via 10\.77\.0\.3:[0-9]+ by disco in" \
    a b
for t in tsmp icmp; do
	check "the same: $t" png "^a: pong from $B .*by $t in [0-9.]+ ms\$" a b \
	    --type $t
done
check "an address of IPv6" png "^a: pong from $(ip6 b) " a "$(ip6 b)"
check "as JSON" sh -c "'$COORDCTL' -s '$LAB/coord/coordd.sock' --json \
    node ping a b | jq -e '.name == \"a\" and .type == \"disco\" and
    .target == \"$B\" and .milliseconds > 0 and
    (.endpoint | startswith(\"10.77.0.3:\"))'"
bad()	# status pattern words...
{
	_s=$1 _p=$2
	shift 2
	coordctl node ping "$@" >"$LAB/out" 2>&1
	[ $? -eq "$_s" ] && grep -q -- "$_p" "$LAB/out"
}
check "what a node cannot say it says" bad 1 'the node says: ' a b \
    --type peerapi
check "nobody has that address" bad 1 'the node says: ' a 100.99.99.99
check "no such node" bad 1 'no node nobody' a nobody
check "no such type" bad 2 'no type x' a b --type x
check "a target is wanted" bad 2 'ping whom' a --type icmp
check "and one that can be had" bad 2 'a target can be' a b --type http
check "two are too many" bad 2 'one target' a b b

# --- who may answer ---
web()	# arguments of curl: status
{
	on coord curl -s -o /dev/null -w '%{http_code}' -m 10 "$@"
}
u=http://10.77.0.1:8080/machine/ping-response
check "an ID that nobody gave" [ "$(web -I $u/00000000000000000000000000000000)" \
    = 404 ]
check "and what is none" [ "$(web -I "$u/..")" = 404 ]
check "only HEAD" [ "$(web "$u/00000000000000000000000000000000")" = 405 ]
check "pages answer HEAD, without their body" on coord python3 -c "
import socket
s = socket.create_connection(('10.77.0.1', 8080), 5)
s.sendall(b'HEAD / HTTP/1.1\r\nHost: x\r\n\r\n')
s.shutdown(socket.SHUT_WR)
t = b''
while True:
    p = s.recv(4096)
    if not p:
        break
    t += p
assert t.startswith(b'HTTP/1.1 200') and t.endswith(b'\r\n\r\n'), t"
