#!/bin/sh
# Bad input to a node: the exact one-line error, the exit code, and the state
# as good as before.
. "$(dirname "$0")/lib.sh"

# ends host seconds: the node of that host ended by itself; status in $ST.
ends()
{
	eval "_np=\$NODEPID_$1"
	if ! wait_for "$2" sh -c "! kill -0 $_np"; then
		kill_wait "$_np"
		return 1
	fi
	wait "$_np"
	ST=$?
}

# refused what regex: the node ends with 1 and one line that matches.
refused()
{
	node_run a bad
	if ! ends a 8; then
		fail "$1: it goes on"
		sed 's/^/#	/' "$LAB/a/shoald.bad.log" | tail -n 8
	elif [ $ST -ne 1 ]; then
		fail "$1: exit status $ST"
		sed 's/^/#	/' "$LAB/a/shoald.bad.log" | tail -n 8
	elif ! grep -qE "$2" "$LAB/a/shoald.bad.log"; then
		fail "$1: the line is not there: $2"
		sed 's/^/#	/' "$LAB/a/shoald.bad.log" | tail -n 8
	else
		ok "$1: $(grep -E "$2" "$LAB/a/shoald.bad.log" | tail -n 1 |
		    cut -c 1-100)"
	fi
	rm -f "$LAB/a/shoald.bad.log"
}

state_same()
{
	cmp -s "$LAB/a/state" "$LAB/state.good"
}

lab_init badinput
lab_host coord 1
lab_host a 2
coord_start || exit 1
coordctl user create u >/dev/null
key=$(key_create --user u --reusable)
node_start a "auth key \"$key\""
node_wait_up a || exit 1
node_stop a
cp "$LAB/a/state" "$LAB/state.good"
cp "$LAB/a/shoald.conf" "$LAB/conf.good"

echo 'listen on prt 5' >>"$LAB/a/shoald.conf"
refused "wrong configuration" 'shoald\.conf:[0-9]+: '
check "-n says the same" sh -c "
    ! $SHOALD -n -f $LAB/a/shoald.conf 2>$LAB/e
    grep -qE 'shoald.conf:[0-9]+: ' $LAB/e"
cp "$LAB/conf.good" "$LAB/a/shoald.conf"
grep -v control "$LAB/conf.good" >"$LAB/a/shoald.conf"
refused "no control server" 'control'
cp "$LAB/conf.good" "$LAB/a/shoald.conf"
rm "$LAB/a/shoald.conf"
refused "no configuration file" 'shoald\.conf'
cp "$LAB/conf.good" "$LAB/a/shoald.conf"

sed 's/privkey:[0-9a-f]*/privkey:zz/' "$LAB/state.good" >"$LAB/a/state"
cp "$LAB/a/state" "$LAB/state.bad"
refused "damaged state" 'state:[0-9]+: '
check "it is not overwritten" cmp -s "$LAB/a/state" "$LAB/state.bad"
head -c 100 "$LAB/state.good" >"$LAB/a/state"
refused "truncated state" 'state'
: >"$LAB/a/state"
refused "empty state" 'state'
echo 'version 99' >"$LAB/a/state"
refused "state of a newer version" 'version'
cp "$LAB/state.good" "$LAB/a/state"

node_run a
wait_for 5 node_running a
node2=$NODEPID_a
refused "second start" 'already running'
check "the first goes on" kill -0 "$node2"
NODEPID_a=$node2
node_stop a
cp "$LAB/a/state" "$LAB/state.good"

on_bg a "$LAB/a/port.log" python3 -c '
import socket, time
s = []
for f, a in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    x = socket.socket(f, socket.SOCK_DGRAM)
    if f == socket.AF_INET6:
        x.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    x.bind((a, 41641))
    s.append(x)
print("bound", flush=True)
time.sleep(60)'
hog=$BGPID
wait_for 5 grep -q bound "$LAB/a/port.log"
echo 'listen on port 41641' >>"$LAB/a/shoald.conf"
refused "taken port" '41641.*(in use|taken)'
kill_wait "$hog"
cp "$LAB/conf.good" "$LAB/a/shoald.conf"

cat >"$LAB/notun.sh" <<X
mount -t tmpfs none /dev/net 2>/dev/null || exit 99
exec "$SHOALD" -dv -f "$LAB/a/shoald.conf"
X
on_bg a "$LAB/a/shoald.tun.log" unshare -m sh "$LAB/notun.sh"
NODEPID_a=$BGPID
ends a 8
check "missing TUN device: exit 1 and a line that says so" sh -c "
    [ $ST -eq 1 ] && grep -q '/dev/net/tun' $LAB/a/shoald.tun.log"
rm -f "$LAB/a/shoald.tun.log"

# A full disk: the state directory is a small file system that is full.
mkdir "$LAB/a/full"
mount -t tmpfs -o size=64k,mode=700 none "$LAB/a/full"
cp "$LAB/state.good" "$LAB/a/full/state"
dd if=/dev/zero of="$LAB/a/full/fill" bs=1k 2>/dev/null
sed "s|$LAB/a/state|$LAB/a/full/state|" "$LAB/conf.good" \
    >"$LAB/a/shoald.conf"
node_run a full
sleep 2
check "full disk: a line that says so" grep -qiE \
    'no space left' "$LAB/a/shoald.full.log"
check "full disk: the state is as good as before" \
    cmp -s "$LAB/a/full/state" "$LAB/state.good"
node_stop a
rm -f "$LAB/a/shoald.full.log"
umount "$LAB/a/full"
cp "$LAB/conf.good" "$LAB/a/shoald.conf"

sed 's|:8080|:8081|' "$LAB/conf.good" >"$LAB/a/shoald.conf"
cp "$LAB/state.good" "$LAB/a/state"
node_run a unreach
check "unreachable control server: a line that says so" wait_for 5 \
    grep -qE '10\.77\.0\.1.*(refused|connect|reach)' "$LAB/a/shoald.unreach.log"
node_stop a
rm -f "$LAB/a/shoald.unreach.log"
cp "$LAB/conf.good" "$LAB/a/shoald.conf"

# Another server with the same address: its key is not the pinned one.
kill_wait "$COORDPID"
mv "$LAB/coord/state" "$LAB/coord/state.old"
coord_run 2
node_run a pin
check "wrong server key: refused, with what to do" wait_for 8 \
    grep -q 'new-server-key' "$LAB/a/shoald.pin.log"
check "up does not wait for it" sh -c "
    ! timeout 10 $SHOALCTL -s $LAB/a/shoald.sock up 2>$LAB/up &&
    grep -q 'pinned.*new-server-key' $LAB/up &&
    grep -q 'ask who runs' $LAB/up"
offline()	# after the grace that a restarted server gives
{
	nodes_is 'map(select(.online)) | length == 0'
}
check "and no session with it" wait_for 45 offline
check "unless the operator accepts it" ctl a login --new-server-key
online()
{
	nodes_is 'map(select(.online)) | length > 0'
}
check "then it is connected" wait_for 10 online
# The first server is back, and the node has the other's key by now.
kill_wait "$COORDPID"
mv "$LAB/coord/state.old" "$LAB/coord/state"
coord_run 3
twice()
{
	[ "$(grep -c 'ctrld: .*new-server-key' "$LAB/a/shoald.pin.log")" -eq 2 ]
}
check "another key under a running node: the same" wait_for 20 twice
node_stop a
cp "$LAB/state.good" "$LAB/a/state"
rm -f "$LAB/a/shoald.pin.log"

cp "$LAB/state.good" "$LAB/a/state"
node_run a end
check "after all that the node still starts" node_wait_up a
cp "$LAB/a/state" "$LAB/state.now"
check "with its old keys" sh -c "
    grep privkey $LAB/state.good | grep -v disco | sort >$LAB/k1
    grep privkey $LAB/state.now | grep -v disco | sort >$LAB/k2
    cmp $LAB/k1 $LAB/k2"
