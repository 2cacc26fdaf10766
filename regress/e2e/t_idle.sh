#!/bin/sh
# An idle node is small and sleeps.
. "$(dirname "$0")/lib.sh"

pids()
{
	eval "_pp=\$NODEPID_a"
	echo "$_pp" $(pgrep -P "$_pp")
}

pss()
{
	for _p in $(pids); do
		cat "/proc/$_p/smaps_rollup"
	done | awk '/^Pss:/ { n += $2 } END { print n }'
}

ticks()	# CPU time of all, 1/100 s
{
	for _p in $(pids); do
		sed 's/.*) //' "/proc/$_p/stat"
	done | awk '{ n += $12 + $13 } END { print n }'
}

lab_init idle
two_nodes || exit 1
wait_for 5 on a ping -c 1 -W 1 "$(ip4 b)" >/dev/null
sleep 7		# what starting up took is given back after 5 s
n=$(pss)
check "the whole idle node in at most 8 MB of PSS ($n kB)" \
    [ "$n" -le 8192 ]
t0=$(ticks)
sleep 15
t=$(($(ticks) - t0))
check "under 0.2 % of a CPU in 15 s idle ($t ticks)" [ "$t" -le 3 ]
for p in $(pids); do
	sed -n 's/^Uid:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$p/status"
done | sort | uniq -c >"$LAB/uids"
check "every process has a user of its own" sh -c \
    "! awk '\$1 != 1' $LAB/uids | grep ."
