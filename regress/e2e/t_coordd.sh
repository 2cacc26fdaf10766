#!/bin/sh
# coordd's own life: wrong starts, reload, replaced processes, rights of the
# administrators' socket, end. In a network and mount namespace of its own.
set -u

cd "$(dirname "$0")" || exit 1
TOP=$(cd ../.. && pwd)
: "${BUILD:=$TOP}" "${CC:=cc}"
export BUILD CC
[ "$(id -u)" -eq 0 ] || { echo "skip: needs root"; exit 77; }
if [ -z "${COORDD_NS:-}" ]; then
	export COORDD_NS=1
	exec unshare -n -m sh ./t_coordd.sh
fi
ip link set lo up

DIR=$(mktemp -d /tmp/shoal-coordd.XXXXXX)
chmod 755 "$DIR"
PID=
cleanup()
{
	[ -z "$PID" ] || { kill "$PID" 2>/dev/null; wait "$PID"; }
	umount "$DIR/full" 2>/dev/null
	rm -rf "$DIR" "$DIR.else"
}
trap cleanup EXIT
FAILED=0
NODE=nodekey:d5678e492b2b338eaaa1285a8343fcc793d1a0f3cb6aa3cec71c0cf2d7eb081a

say()	# status text
{
	if [ "$1" -eq 0 ]; then
		echo "ok $2"
	else
		echo "not ok $2"
		FAILED=1
	fi
}

# within seconds command...
within()
{
	_end=$(($(date +%s) + $1))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $_end ] || return 1
		sleep 0.1
	done
}

conf()	# further lines
{
	cat <<-EOF
	url "http://127.0.0.1:8080"
	listen on 127.0.0.1 port 8080
	dns domain "tail.example.org"
	state "$DIR/db/state"
	store sqlite "$DIR/db/store/coordd.db"
	socket "$DIR/coordd.sock" group "shoal"
	EOF
	printf '%s\n' "$@"
}

start()
{
	"$BUILD/coordd/coordd" -dv -f "$DIR/coordd.conf" >"$DIR/log" 2>&1 &
	PID=$!
	within 10 grep -q "serving " "$DIR/log"
}

stop()
{
	kill "$PID"
	wait "$PID"
}

# wrong text line command...: exit status 1 and, last, this line.
wrong()
{
	_what=$1 _line=$2
	shift 2
	timeout 20 "$@" >"$DIR/out" 2>&1
	_st=$?
	[ $_st -eq 1 ] && tail -n 1 "$DIR/out" | grep -q "$_line"
	say $? "$_what: $(tail -n 1 "$DIR/out")"
}

ctl()
{
	"$BUILD/coordctl/coordctl" -s "$DIR/coordd.sock" "$@"
}

$CC -std=c11 -O1 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
    -I"$TOP/proto" -o "$DIR/noisecli" noisecli.c \
    ${NOISECLI_FLAGS:+"$NOISECLI_FLAGS"} "$BUILD/proto/libproto.a" \
    -lnghttp2 -ljansson -lzstd -lsodium -lcrypto -lbsd || exit 1
cli()
{
	timeout 60 "$DIR/noisecli" "$@"
}

# --- wrong starts ---
COORDD="$BUILD/coordd/coordd -d -f $DIR/coordd.conf"
conf >"$DIR/coordd.conf"
mkdir -p "$DIR/db/store"
chown nobody "$DIR/db/store"
# shellcheck disable=SC2086
wrong "store of another user" "belongs to nobody, not to _coordstore" $COORDD
rm -rf "$DIR/db"
conf 'listen on 192.0.2.1 port 8080' >"$DIR/coordd.conf"
# shellcheck disable=SC2086
wrong "an address that is not ours" "listen on 192.0.2.1 port 8080: " $COORDD
conf >"$DIR/coordd.conf"
mkdir -p "$DIR/full"
mount -t tmpfs -o size=64k,mode=755 tmpfs "$DIR/full"
dd if=/dev/zero of="$DIR/full/fill" bs=1k >/dev/null 2>&1
sed "s|$DIR/db/state|$DIR/full/state|" "$DIR/coordd.conf" >"$DIR/full.conf"
wrong "a full disk" "full/state" "$BUILD/coordd/coordd" -d -f "$DIR/full.conf"
umount "$DIR/full"
start
say $? "starts"
# shellcheck disable=SC2086
wrong "second start" "already running, pid $PID: it uses the state" $COORDD
sed -e "s|$DIR/db|$DIR/db2|" -e "s|coordd.sock|c2.sock|" \
    "$DIR/coordd.conf" >"$DIR/other.conf"
wrong "a taken port" "listen on 127.0.0.1 port 8080: Address already in use" \
    "$BUILD/coordd/coordd" -d -f "$DIR/other.conf"
grep -q "no policy is set: nobody may talk" "$DIR/log"
say $? "no policy: says that nobody may talk"

# --- rights ---
ctl user create alice >/dev/null
say $? "root may change"
as_nobody()
{
	setpriv --reuid nobody --regid "$1" --clear-groups \
	    "$BUILD/coordctl/coordctl" -s "$DIR/coordd.sock" "$2" "$3" \
	    ${4:+"$4"} >"$DIR/out" 2>&1
}
as_nobody shoal user list
say $? "the group may read"
as_nobody shoal user create bob
[ $? -eq 1 ] && grep -q "only root may do that" "$DIR/out"
say $? "the group may not change: $(cat "$DIR/out")"
as_nobody nogroup user list
[ $? -eq 1 ] && grep -q "not allowed: be root, or a member" "$DIR/out"
say $? "others may not read"
ctl frobnicate >/dev/null 2>&1
[ $? -eq 2 ]
say $? "wrong usage is exit status 2"
ctl node show nobody >/dev/null 2>&1
[ $? -eq 1 ]
say $? "a failure is exit status 1"

# --- reload ---
KEY=$(ctl key create --user alice --reusable)
REG="{\"Version\":145,\"NodeKey\":\"$NODE\",\"Auth\":{\"AuthKey\":\"$KEY\"},\
\"Hostinfo\":{\"Hostname\":\"one\"}}"
MAP="{\"Version\":145,\"NodeKey\":\"$NODE\",\"Stream\":true,\
\"KeepAlive\":true,\"Compress\":\"zstd\"}"
cli 127.0.0.1 8080 POST /machine/register "$REG" >"$DIR/out" 2>&1
cli -f 2 -t 30 127.0.0.1 8080 POST /machine/map "$MAP" >"$DIR/map" 2>&1 &
POLL=$!
within 5 grep -q '"Node":' "$DIR/map"
say $? "a node has its map"
cat >"$DIR/policy.hujson" <<'EOF'
{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:22"]}]}
EOF
conf "policy file \"$DIR/policy.hujson\"" >"$DIR/coordd.conf"
kill -HUP $PID
within 5 grep -q "a change of the directory of a file needs a restart\
\|configuration reloaded" "$DIR/log"
say $? "reload: $(tail -n 1 "$DIR/log")"
within 10 grep -q '"First":22' "$DIR/map"
say $? "the new policy reaches the node without reconnect"
wait $POLL
reload()	# text: what the log must say then
{
	_n=$(wc -l <"$DIR/log")
	kill -HUP $PID
	within 5 sh -c "tail -n +$((_n + 1)) '$DIR/log' | grep -q '$1'"
}
printf '{"acls": [\n{"action": "nonsense"}]}' >"$DIR/policy.hujson"
reload "reload refused: nothing has changed"
say $? "a bad policy is refused: $(grep policy.hujson "$DIR/log" | tail -n 1)"
ctl policy get >"$DIR/out" 2>&1
grep -q '"\*:22"' "$DIR/out"
say $? "the old one stays in force"
old=$(pgrep -P $PID stored)
kill -9 "$old"
within 10 sh -c "pgrep -P $PID stored | grep -qv '^$old\$' &&
    '$BUILD/coordctl/coordctl' -s '$DIR/coordd.sock' policy get |
    grep -q ':22'"
say $? "also in a stored that was replaced"
printf 'url "nonsense"\n' >"$DIR/coordd.conf"
reload "reload refused: nothing has changed"
say $? "a bad configuration is refused"
conf "listen on 127.0.0.1 port 8081" "listen on 127.0.0.1 port 22222" \
    "policy allow all" | sed '/port 8080$/d' >"$DIR/coordd.conf"
reload "configuration reloaded"
say $? "other listeners: reloaded"
within 3 curl -sf http://127.0.0.1:8081/health
say $? "the new one answers"
! curl -sf http://127.0.0.1:8080/health >/dev/null
say $? "the old one is closed"
conf "policy allow all" >"$DIR/coordd.conf"
reload "configuration reloaded"
say $? "and back again"
conf "policy allow all" | sed "s|$DIR/db/state|$DIR/db/other|" \
    >"$DIR/coordd.conf"
reload "a change of state needs a restart"
say $? "another state file needs a restart"
mkdir "$DIR.else"
echo '{}' >"$DIR.else/policy"
conf "policy file \"$DIR.else/policy\"" >"$DIR/coordd.conf"
reload "needs a restart"
say $? "a policy in another directory needs a restart"
conf "policy allow all" >"$DIR/coordd.conf"

cat >"$DIR/derp.json" <<'EOF'
{"Regions": {"901": {"RegionID": 901, "RegionCode": "far", "RegionName": "Far",
 "Nodes": [{"Name": "f", "RegionID": 901, "HostName": "far.example.org"}]}}}
EOF
conf "policy allow all" "derp map file \"$DIR/derp.json\"" \
    'derp region 900 "home" { host "derp.example.org" port 8443 }' \
    >"$DIR/coordd.conf"
reload "configuration reloaded"
say $? "regions of a file and of the configuration"
ctl derp list >"$DIR/out"
grep -q '^900 *home .*derp.example.org:8443' "$DIR/out" &&
    grep -q '^901 *far .*f far.example.org:443' "$DIR/out"
say $? "are one map: $(grep -c . "$DIR/out") lines"
printf '{\n"Regions": {"901": {"RegionID": 901,\n}}' >"$DIR/derp.json"
reload "derp.json:3: "
say $? "a broken one is named with its line"
echo '{"Regions": {"901": {"RegionID": 7}}}' >"$DIR/derp.json"
reload "derp.json: region .901.: its RegionID is not the same"
say $? "so is a wrong region"
ctl derp list | cmp -s - "$DIR/out"
say $? "the old map stays in force"
conf "policy allow all" >"$DIR/coordd.conf"
reload "configuration reloaded"
say $? "and back once more"

# --- replaced processes ---
healthy()
{
	curl -sf http://127.0.0.1:8080/health
}
child()
{
	pgrep -P $PID "$1"
}
for c in cryptod stored frontd; do
	cli -t 30 127.0.0.1 8080 POST /machine/map "$MAP" >"$DIR/map" 2>&1 &
	POLL=$!
	within 5 grep -q '"Node":' "$DIR/map"
	old=$(child $c)
	kill -9 "$old"
	within 10 sh -c "n=\$(pgrep -P $PID $c) && [ \"\$n\" != $old ]"
	say $? "$c is replaced"
	within 10 healthy
	say $? "$c replaced: coordd serves"
	if [ $c = cryptod ]; then
		sleep 0.5
		kill -0 $POLL 2>/dev/null
		say $? "$c replaced: the session goes on"
		kill $POLL 2>/dev/null
	fi
	wait $POLL 2>/dev/null
	[ $c = cryptod ] ||
	    say 0 "$c replaced: the poll is over, so that the node asks anew"
	cli -f 1 127.0.0.1 8080 POST /machine/map "$MAP" 2>&1 |
	    grep -q '"Node":'
	say $? "$c replaced: the node gets its map again"
done
within 5 sh -c "'$BUILD/coordctl/coordctl' -s '$DIR/coordd.sock' node list |
    grep -q one"
say $? "administrators are answered"

# --- end ---
KIDS=$(pgrep -P $PID | tr '\n' ' ')
stop
say $? "SIGTERM ends it with status 0"
[ ! -e "$DIR/coordd.sock" ]
say $? "the socket is gone"
! kill -0 $KIDS 2>/dev/null
say $? "so are its processes"
PID=
cp "$DIR/db/state" "$DIR/good"
head -c 40 "$DIR/good" >"$DIR/db/state"
# shellcheck disable=SC2086
wrong "a damaged state" "$DIR/db/state:[0-9]*: " $COORDD
head -c 40 "$DIR/good" | cmp -s - "$DIR/db/state"
say $? "it is not touched"
cp "$DIR/good" "$DIR/db/state"
start
say $? "with its copy it starts again"
curl -s "http://127.0.0.1:8080/key?v=145" >"$DIR/key"
stop
PID=
exit $FAILED
