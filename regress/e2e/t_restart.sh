#!/bin/sh
# The coordination server goes and comes: traffic flows on, nodes resync; a
# node that starts while the server is down talks from its cache.
. "$(dirname "$0")/lib.sh"

online()
{
	[ "$(coordctl --json node list |
	    jq 'map(select(.online)) | length')" = "$1" ]
}

lab_init restart
two_nodes || exit 1
B=$(ip4 b) A=$(ip4 a)
check "it works" wait_for 5 ping_ok a "$B"
on_bg a "$LAB/a/ping.log" ping -i 0.05 -W 1 "$B"
ping=$BGPID
sleep 1
check "coordd stops" kill_wait "$COORDPID"
sleep 2
check "coordd starts again" coord_run 2
check "both nodes come back to it" wait_for 20 online 2
kill -INT "$ping"
wait "$ping"
check "no ping was lost meanwhile" grep -q ' 0% packet loss' "$LAB/a/ping.log"
lab_host c 4
node_start c "auth key \"$(key_create --user u)\""
check "a new node joins after the restart" node_wait_up c
check "and the old ones hear of it" wait_for 10 ping_ok a "$(ip4 c)"

C=$(ip4 c)
node_stop a
kill_wait "$COORDPID"
check "what it knew is all on disk" grep -q '"c.tail.test."' \
    "$LAB/a/state.netmap"
node_run a 2
check "a starts without the server, from its cache" wait_for 10 ping_ok a "$B"
check "and knows who came last" wait_for 10 ping_ok a "$C"
check "with the same address" [ "$(ip4 a)" = "$A" ]
coord_run 3
check "and finds the server again" wait_for 40 online 3
