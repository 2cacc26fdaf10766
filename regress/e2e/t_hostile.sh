#!/bin/sh
# A ctrld that was taken over asks its parent for addresses, routes and
# connections that it must not get, breaks the message table, floods, or
# falls silent.
. "$(dirname "$0")/lib.sh"

lab_init hostile
lab_host coord 1
lab_host a 2
mkdir -p "$LAB/x/parent" "$LAB/x/ctrld"
cp "$SHOALD" "$LAB/x/parent/"
for d in cryptod netd dnsd portmapd; do
	mkdir "$LAB/x/$d"
	cp "$BUILD/$d/$d" "$LAB/x/$d/"
done
hostile()	# source program
{
	# shellcheck disable=SC2086
	${CC:-cc} -std=c11 -D_GNU_SOURCE -DLIBBSD_OVERLAY \
	    -isystem /usr/include/bsd -I"$TOP/imsg" -I"$TOP/compat" \
	    -I"$TOP/proto" -DEMPTY_DIR='"/var/empty"' ${HOSTILE_FLAGS:-} \
	    -o "$2" "$TOP/regress/e2e/$1" "$BUILD/imsg/libimsg.a" \
	    "$BUILD/compat/libcompat.a" -levent -lseccomp -lbsd
}

hostile hostile.c "$LAB/x/ctrld/ctrld" || exit 1
SHOALD=$LAB/x/parent/shoald

log_has()
{
	grep -qE "$1" "$LAB/a/shoald.$ACT.log"
}

begin()	# act
{
	ACT=$1
	node_conf a
	sed -i "s/^hostname .*/hostname \"$ACT\"/" "$LAB/a/shoald.conf"
	node_run a "$ACT"
	wait_for 5 log_has 'shoald 0.* runs'
}

addrs()
{
	on a ip -o addr show shoal0 | awk '{ print $4 }' | sort | xargs
}

answers()	# within two seconds
{
	on a timeout 2 "$SHOALCTL" -s "$LAB/a/shoald.sock" debug sandbox
}

# It takes each at once: a backlog that the flood filled would refuse others.
on_bg coord "$LAB/coord/listen.log" python3 -c '
import select, socket
s = []
for p in (8080, 22):
    x = socket.socket()
    x.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    x.bind(("10.77.0.1", p)); x.listen(64); s.append(x)
print("listening", flush=True)
while True:
    for x in select.select(s, [], [])[0]:
        x.accept()[0].close()'
wait_for 5 grep -q listening "$LAB/coord/listen.log"

begin policy
check "forbidden connections are refused and logged" wait_for 3 \
    log_has 'ctrld: connection to 127.0.0.1 port 8080 refused'
sleep 0.5
check "no socket was handed out" sh -c \
    "! grep -q 'GOT A SOCKET' $LAB/a/shoald.policy.log"
check "only the tailnet's address is set" \
    [ "$(addrs)" = "100.100.100.100/32 100.64.7.7/32" ]
check "and its route, in the table of its own" [ "$(on a ip route show \
    table all | grep -c 'dev shoal0 .*proto 84')" -eq 1 ]
check "no default route" [ -z "$(on a ip route show table all default)" ]
check "refusals do not kill" sh -c \
    "! grep -q 'killed' $LAB/a/shoald.policy.log"
check "the parent answers" answers
node_stop a

begin flood
check "flooded, the parent answers" answers
check "its log stays short" [ "$(wc -l <"$LAB/a/shoald.flood.log")" -lt 100 ]
check "and its memory small" [ "$(awk '/VmRSS/ { print $2 }' \
    "/proc/$NODEPID_a/status")" -lt 60000 ]
node_stop a

for act in order foreign; do
	ACT=$act
	node_conf a
	sed -i "s/^hostname .*/hostname \"$ACT\"/" "$LAB/a/shoald.conf"
	node_run a "$ACT"
	check "$act: a message out of the table or of order kills its sender" \
	    wait_for 5 log_has 'ctrld.*broke the message table: killed'
	[ $act = foreign ] || { node_stop a; continue; }
	check "again and again, it ends the suite" wait_for 40 log_has \
	    'the 5th time within ten minutes: stopping|ctrld does not start'
	wait "$NODEPID_a"
	check "with status 1" [ $? -eq 1 ]
done

begin silent
check "silent: the parent answers" answers
check "silent: a question to it fails in time" sh -c "
    ! timeout 15 $SHOALCTL -s $LAB/a/shoald.sock whois 100.64.0.1"
t0=$(now_ms)
node_stop a
check "silent: the end comes all the same" [ $(($(now_ms) - t0)) -lt 9000 ]

# The same of portmapd: the gateway is all that it may talk to.
hostile hostile_map.c "$LAB/x/portmapd/portmapd" || exit 1
cp "$BUILD/ctrld/ctrld" "$LAB/x/ctrld/ctrld"
on a ip route add default via 10.77.0.1
begin map
check "portmapd gets a connection to the gateway, and no other" \
    wait_for 12 log_has 'portmapd: 1 of 9 connected'
check "not to anybody else" sh -c \
    "! grep -q 'GOT A SOCKET' $LAB/a/shoald.map.log"
check "the others are logged" \
    log_has 'portmapd: connection to 10.77.0.2 port 22 refused'
check "a port mapped to this host itself: it is killed" \
    wait_for 5 log_has 'portmapd.*broke the message table: killed'
node_stop a
