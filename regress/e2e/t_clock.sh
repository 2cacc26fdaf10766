#!/bin/sh
# The clock steps, forward and back, on one node: the tunnel goes on. A
# REGRESS build reads the offset from a file at SIGUSR1; the machine's clock
# is left alone.
BUILD=$(cd "$(dirname "$0")/../.." && pwd)/variants/regress
[ -x "$BUILD/parent/shoald" ] || { echo "skip: no REGRESS build"; exit 77; }
. "$(dirname "$0")/lib.sh"

step()	# node: seconds for the steady clock, seconds for the date
{
	echo "$2 $3" >"$LAB/$1/clock"
	eval "kill -USR1 \$NODEPID_$1"
	sleep 0.3
}

lab_init clock
lab_host coord 1
lab_host a 2
lab_host b 3
coord_start || exit 1
coordctl user create u >/dev/null
key=$(key_create --user u --reusable)
for t in a b; do
	echo "0 0" >"$LAB/$t/clock"
	export SHOAL_CLOCK_FILE="$LAB/$t/clock"
	node_start $t "auth key \"$key\""
done
node_wait_up a && node_wait_up b
A=$(ip4 a) B=$(ip4 b)
check "it works" wait_for 5 ping_ok a "$B"
step a 0 3600
check "the date an hour forward: ping" ping_ok a "$B"
step a 200 3600
check "asleep for 200 s: old keys are gone, new ones made" \
    wait_for 10 ping_ok a "$B"
step a 400 -3600
check "the date an hour back, and 200 s of sleep: a initiates" \
    wait_for 10 ping_ok a "$B"
step b 400 0
check "b slept too: b initiates" wait_for 10 ping_ok b "$A"
kill -KILL "$(child_pid a cryptod)"
sleep 1
step a 800 -7200
check "a replaced cryptod and a date two hours back: handshakes still grow" \
    wait_for 15 ping_ok a "$B"
check "the node is running" node_running a
