#!/bin/sh
# The parent by itself, its control server out of reach: reload as a
# transaction, what a killed one leaves behind, who may start twice, what
# ends the suite, and that nothing stays behind it.
. "$(dirname "$0")/lib.sh"

log_has()
{
	grep -qE "$1" "$LAB/a/shoald.$RUN.log"
}

start()	# name of the log
{
	RUN=$1
	node_run a "$RUN"
	wait_for 5 log_has 'shoald 0.* runs'
}

hup()	# regex that the log has after it
{
	kill -HUP "$NODEPID_a"
	wait_for 3 log_has "$1"
}

udp_port()
{
	on a ss -Hlnu | grep -q ":$1 "
}

rules()
{
	on a ip rule | grep -c 'proto 84'
}

no_trace()
{
	! on a ip link show shoal0 2>/dev/null &&
	    [ "$(rules)" -eq 0 ] && [ ! -e "$LAB/a/shoald.sock" ]
}

ended()	# regex: the suite ends with 1 and this line
{
	wait_for 8 log_has "$1" || return 1
	wait "$NODEPID_a"
	[ $? -eq 1 ] && no_trace
}

all_gone()
{
	[ -z "$(on a ip -o link show shoal0 2>/dev/null)" ]
}

lab_init parent
lab_host a 2
node_conf a
cp "$LAB/a/shoald.conf" "$LAB/good"

start first || { fail "it starts"; cat "$LAB/a/shoald.first.log"; exit 1; }
ok "it runs while its control server is out of reach"
check "interface is up with its MTU" sh -c "
    ip netns exec $P-a ip link show shoal0 | grep -q 'UP.*mtu 1280'"
check "four policy rules" [ "$(rules)" -eq 4 ]
check "the socket is for root and the group" \
    [ "$(stat -c '%a %U %G' "$LAB/a/shoald.sock")" = "660 root shoal" ]
check "the state is for root alone" \
    [ "$(stat -c '%a %U' "$LAB/a/state")" = "600 root" ]

echo 'listen on prt 1' >>"$LAB/a/shoald.conf"
check "reload of a bad file: refused with its line" \
    hup 'shoald.conf:[0-9]+: syntax error'
check "and the old one stays" log_has 'not reloaded.*the old one stays'
sed 's|a/state|a/other|' "$LAB/good" >"$LAB/a/shoald.conf"
check "reload with another state: needs a restart" \
    hup 'state changed, which needs a restart'
{ cat "$LAB/good"; echo 'listen on port 5555'; } >"$LAB/a/shoald.conf"
check "reload with another port" hup 'configuration reloaded'
check "the new port is open" wait_for 2 udp_port 5555
check "the old one is not" sh -c "! ip netns exec $P-a ss -Hlnu |
    grep -q ':41641 '"
cp "$LAB/good" "$LAB/a/shoald.conf"

on a ip rule del pref 5270
four()
{
	[ "$(rules)" -eq 4 ]
}
check "a rule that somebody deletes comes back" wait_for 2 four

on_bg a "$LAB/a/second.log" "$SHOALD" -d -f "$LAB/a/shoald.conf"
wait "$BGPID"
check "a second start on this state ends with 1" [ $? -eq 1 ]
check "and names the first" grep -q "already running, pid $NODEPID_a" \
    "$LAB/a/second.log"
sed 's|a/state|a/other|' "$LAB/good" >"$LAB/a/conf2"
on_bg a "$LAB/a/second.log" "$SHOALD" -d -f "$LAB/a/conf2"
wait "$BGPID"
check "nor can another state have the same socket" \
    grep -q "already running.*shoald.sock" "$LAB/a/second.log"
check "the first is untouched" sh -c "kill -0 $NODEPID_a &&
    [ -S $LAB/a/shoald.sock ]"

kill -KILL "$NODEPID_a"
check "killed: its children end, and the interface with them" \
    wait_for 3 all_gone
start again
check "it starts over what is left" four
node_stop a
check "SIGTERM ends it" log_has 'ending'
check "nothing stays behind" no_trace

start violation
kill -SYS "$(child_pid a netd)"
check "a sandbox violation ends the suite" \
    ended 'netd died of SIGSYS \(sandbox violation\): stopping'

start deaths
i=0
while [ $i -lt 5 ]; do
	wait_for 10 [ -n "$(child_pid a dnsd)" ]
	_d=$(child_pid a dnsd)
	[ -n "$_d" ] || { sleep 0.2; continue; }
	kill -KILL "$_d"
	i=$((i + 1))
	sleep 0.2
done
check "five deaths end it" ended 'the 5th time within ten minutes: stopping'

on a timeout 10 "$SHOALD" -f "$LAB/a/shoald.conf" </dev/null >/dev/null 2>&1
check "as a daemon it returns 0 when it runs" [ $? -eq 0 ]
pid=$(on a "$SHOALD" -d -f "$LAB/a/shoald.conf" 2>&1 |
    sed -n 's/.*already running, pid \([0-9]*\):.*/\1/p')
check "and runs on" kill -0 "$pid"
kill -TERM "$pid"
wait_for 5 no_trace
check "until it is told to end" no_trace
mkdir "$LAB/dev"
on a unshare -m sh -c "mount -t tmpfs none /dev/net &&
    $SHOALD -f $LAB/a/shoald.conf" >"$LAB/a/daemon.log" 2>&1
check "with an error its status is 1" [ $? -eq 1 ]
check "and the error is on stderr" grep -q '/dev/net/tun is missing' \
    "$LAB/a/daemon.log"
