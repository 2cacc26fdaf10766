#!/bin/sh
# kill -9 of each child in turn during one iperf3 flow: the flow goes on and
# every child comes back. Then coordd's children.
. "$(dirname "$0")/lib.sh"

replaced()	# node child old-pid
{
	_new=$(child_pid "$1" "$2")
	[ -n "$_new" ] && [ "$_new" != "$3" ]
}

bytes()	# of the interface of b
{
	on b cat /sys/class/net/shoal0/statistics/rx_bytes
}

moves()	# more than 100 kB within the next half second
{
	_b=$(bytes)
	sleep 0.5
	[ $(($(bytes) - _b)) -gt 100000 ]
}

heal()	# node child
{
	_old=$(child_pid "$1" "$2")
	if [ -z "$_old" ]; then
		fail "$1: $2 runs"
		return
	fi
	kill -KILL "$_old"
	check "$1: $2 is replaced" wait_for 10 replaced "$1" "$2" "$_old"
	check "$1: the flow goes on without its old $2" wait_for 15 moves
	sleep 1
}

lab_init heal
two_nodes || exit 1
wait_for 5 on a ping -c 1 -W 1 "$(ip4 b)" >/dev/null
iperf_server b
tun=$(on b cat /sys/class/net/shoal0/ifindex)
on_bg a "$LAB/a/iperf.log" iperf3 -c "$(ip4 b)" -t 60 -b 200M
flow=$BGPID
check "the flow starts" wait_for 5 moves
for child in cryptod ctrld dnsd portmapd netd; do
	heal a $child
	heal b $child
done
check "the flow never ended" kill -0 "$flow"
check "the interface is the same" \
    [ "$(on b cat /sys/class/net/shoal0/ifindex)" = "$tun" ]
kill -INT "$flow"
wait "$flow" 2>/dev/null

# A new handshake works with the replaced cryptod.
check "ping after all that" wait_for 10 on a ping -c 1 -W 1 "$(ip4 b)"

for child in frontd stored cryptod; do
	old=$(pgrep -P "$COORDPID" -f "$child" | head -n 1)
	kill -KILL "$old"
	back()
	{
		_n=$(pgrep -P "$COORDPID" -f "$child" | head -n 1)
		[ -n "$_n" ] && [ "$_n" != "$old" ] && coordctl status
	}
	check "coordd: $child is replaced" wait_for 10 back
	sleep 1
done
online()
{
	[ "$(coordctl --json node list |
	    jq 'map(select(.online)) | length')" = 2 ]
}
check "both nodes are connected again" wait_for 30 online
lab_host c 4
node_start c "auth key \"$(key_create --user u)\""
check "a new node joins" node_wait_up c
