#!/bin/sh
# Nodes with a thread of its own for what goes out: what arrives is byte for
# byte what was sent, both ways at once, over restarts of a node; the lock is
# taken for batches; a reload does not change it.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
lab_init sender

path()	# node pattern
{
	ctl "$1" debug netd path | grep -q "$2"
}

# Both ways at once: Mbit/s of each, and at the end a ping.
bidir()
{
	iperf_server b
	_pid=$BGPID
	on a timeout 30 iperf3 -J -c "$B4" -t 3 --bidir >"$LAB/bidir"
	kill_wait "$_pid"
	jq -e '.end | .sum_received.bits_per_second > 5e7 and
	    .sum_received_bidir_reverse.bits_per_second > 5e7' \
	    "$LAB/bidir" && ping_ok a "$B4"
}

# Many packets for each time that the lock is taken.
lock_rare()
{
	ctl a debug netd path | sed -n \
	    's/^lock: taken .*, \([0-9]*\)[.][0-9]* packets.*/\1/p' |
	    awk '{ n = $1 } END { print n " packets"; exit !(n >= 4) }'
}

two_nodes "policy allow all" "sender thread yes" || exit 1
A6=$(ip6 a) B4=$(ip4 b)
check "a ping" wait_for 10 ping_ok a "$B4"
check "the thread is there" path a "^sender thread: yes"
check "a to b" transfer a b "$B4"
check "b to a over IPv6" transfer b a "$A6"
check "both ways at once" bidir
check "the lock is taken for many packets" lock_rare
node_stop b
node_run b
node_wait_up b
check "b is there again" wait_for 10 ping_ok a "$B4"
check "and a to b" transfer a b "$B4"
sed 's/^sender thread yes/sender thread no/' "$LAB/a/shoald.conf" \
    >"$LAB/a/other.conf"
cat "$LAB/a/other.conf" >"$LAB/a/shoald.conf"
kill -HUP "$NODEPID_a"
check "a reload says what needs a restart" wait_for 5 grep -q \
    'sender thread.*restart' "$LAB/a/shoald.1.log"
node_stop a
node_run a
node_wait_up a
check "without the thread" wait_for 5 path a "^sender thread: no"
check "one with, one without" wait_for 10 ping_ok a "$B4"
check "a to b, one with" transfer a b "$B4"
check "b to a, one with" transfer b a "$A6"
