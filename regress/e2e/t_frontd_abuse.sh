#!/bin/sh
# What strangers and bad nodes may do to coordd: refused, logged, and its
# memory stays bounded. In a network namespace of its own.
set -u

cd "$(dirname "$0")" || exit 1
TOP=$(cd ../.. && pwd)
: "${BUILD:=$TOP}" "${CC:=cc}"
export BUILD CC
[ "$(id -u)" -eq 0 ] || { echo "skip: needs root"; exit 77; }
if [ -z "${ABUSE_NS:-}" ]; then
	export ABUSE_NS=1
	exec unshare -n sh ./t_frontd_abuse.sh
fi
ip link set lo up
ip addr add 10.9.9.1/32 dev lo
ip addr add 10.9.9.2/32 dev lo
ip addr add 10.9.8.1/24 dev lo

DIR=$(mktemp -d /tmp/shoal-abuse.XXXXXX)
PID=
cleanup()
{
	[ -z "$PID" ] || { kill "$PID" 2>/dev/null; wait "$PID"; }
	rm -rf "$DIR"
}
trap cleanup EXIT
FAILED=0
# Not loopback: that has no limit of its own.
HOST=10.9.9.1 PORT=8080

say()	# status text
{
	if [ "$1" -eq 0 ]; then
		echo "ok $2"
	else
		echo "not ok $2"
		FAILED=1
	fi
}

# is want text command...: the command prints this as its first line.
is()
{
	_want=$1 _what=$2
	shift 2
	"$@" >"$DIR/out" 2>&1
	_got=$(head -n 1 "$DIR/out")
	[ "$_got" = "$_want" ]
	say $? "$_what: $_got"
}

cat >"$DIR/coordd.conf" <<EOF
url "http://$HOST:$PORT"
listen on $HOST port $PORT
dns domain "tail.example.org"
state "$DIR/db/state"
store sqlite "$DIR/db/store/coordd.db"
policy allow all
socket "$DIR/coordd.sock" group "root"
EOF
"$BUILD/coordd/coordd" -dv -f "$DIR/coordd.conf" >"$DIR/log" 2>&1 &
PID=$!
i=0
while ! grep -q "serving " "$DIR/log"; do
	i=$((i + 1))
	[ $i -lt 100 ] || { cat "$DIR/log"; exit 1; }
	sleep 0.1
done
FRONTD=$(pgrep -P $PID frontd)
ctl()
{
	"$BUILD/coordctl/coordctl" -s "$DIR/coordd.sock" "$@"
}
# shellcheck disable=SC2086
$CC -std=c11 -O1 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
    -I"$TOP/proto" -o "$DIR/noisecli" noisecli.c ${NOISECLI_FLAGS:-} \
    "$BUILD/proto/libproto.a" -lnghttp2 -ljansson -lzstd -lsodium -lcrypto \
    -lbsd || exit 1
cli()
{
	timeout 30 "$DIR/noisecli" "$@"
}

# --- plain TCP ---
python3 abuse.py $HOST $PORT "$FRONTD" || FAILED=1

# --- inside the handshake ---
is 400 "capability version 50 in the handshake" \
    cli -v 50 $HOST $PORT GET / ''
is 400 "a handshake that was used before" cli -2 $HOST $PORT GET / ''
cli -g $HOST $PORT GET / '' >/dev/null 2>&1
[ $? -eq 1 ]
say $? "garbage instead of HTTP/2 ends the session"

# --- HTTP/2 requests ---
NODE=nodekey:d5678e492b2b338eaaa1285a8343fcc793d1a0f3cb6aa3cec71c0cf2d7eb081a
DEEP=$(head -c 100000 /dev/zero | tr '\0' '[')
req()
{
	cli "$@"
}
is 400 "no JSON" req $HOST $PORT POST /machine/map 'x'
is 400 "nested too deep" req $HOST $PORT POST /machine/map "$DEEP"
is 413 "a body of 2 MiB" req -b $HOST $PORT POST /machine/map '{}'
is 400 "capability version 59 in a request" req $HOST $PORT \
    POST /machine/map "{\"Version\":59,\"NodeKey\":\"$NODE\"}"
is 400 "capability version 70000 in a request" req $HOST $PORT \
    POST /machine/map "{\"Version\":70000,\"NodeKey\":\"$NODE\"}"
is 200 "capability version 65535 in a request" req $HOST $PORT \
    POST /machine/register "{\"Version\":65535,\"NodeKey\":\"$NODE\"}"
is 400 "no node key" req $HOST $PORT POST /machine/map '{"Version":145}'
is 501 "an RPC that is not there" req $HOST $PORT \
    POST /machine/none '{}'
is 501 "GET with a body" req $HOST $PORT GET /machine/tka/bootstrap '{}'
is 404 "a path that is not there" req $HOST $PORT GET /metrics ''
is 405 "GET of a map" req $HOST $PORT GET /machine/map '{}'

# --- the machine key of another node ---
ctl user create alice >/dev/null
KEY=$(ctl key create --user alice)
REG="{\"Version\":145,\"NodeKey\":\"$NODE\",\"Auth\":{\"AuthKey\":\"$KEY\"},\
\"Hostinfo\":{\"Hostname\":\"one\"}}"
MAP="{\"Version\":145,\"NodeKey\":\"$NODE\",\"Stream\":true}"
LITE="{\"Version\":145,\"NodeKey\":\"$NODE\",\"OmitPeers\":true,\
\"Endpoints\":[\"203.0.113.66:1\"]}"
is 200 "a node registers" req -k one $HOST $PORT POST /machine/register "$REG"
is 200 "it gets its map" req -f 1 -k one $HOST $PORT POST /machine/map "$MAP"
is 404 "another machine asks for its map" req -k two $HOST $PORT \
    POST /machine/map "$MAP"
is 404 "another machine changes its endpoints" req -k two $HOST $PORT \
    POST /machine/map "$LITE"
ctl node show one | grep -q 203.0.113.66
[ $? -ne 0 ]
say $? "nothing was changed"
is 200 "its map over WebSocket" req -w -f 1 -k one $HOST $PORT \
    POST /machine/map "$MAP"
req -k two $HOST $PORT POST /machine/register "$REG" >"$DIR/out" 2>&1
! grep -q '"Error":""' "$DIR/out"
say $? "another machine cannot register its node key"
req -k two $HOST $PORT POST /machine/register \
    "{\"Version\":145,\"NodeKey\":\"$NODE\",\
\"Expiry\":\"1970-01-01T00:02:03Z\"}" >"$DIR/out" 2>&1
ctl node list --json | grep -q '"expired": false'
say $? "another machine cannot log it out"

# --- what is left ---
i=0
set -- $HOST $PORT
while [ $i -lt 150 ]; do
	set -- "$@" POST /machine/none ''
	i=$((i + 1))
done
cli "$@" >"$DIR/out" 2>&1
grep -q '^429$' "$DIR/out"
say $? "150 requests at once: $(grep -c '^429$' "$DIR/out") held back"

RSS=$(awk '/^VmHWM/ { print $2 }' "/proc/$FRONTD/status")
[ "$RSS" -lt 40000 ]
say $? "frontd never held more than $RSS kB"
ctl status | grep -q '^replaced *0$'
say $? "no process of coordd was lost"
LINES=$(wc -l <"$DIR/log")
[ "$LINES" -lt 300 ]
say $? "the log has $LINES lines"
grep -q "frontd: $HOST: " "$DIR/log"
say $? "refusals are logged with their source"
exit $FAILED
