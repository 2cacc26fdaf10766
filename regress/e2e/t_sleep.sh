#!/bin/sh
# A node sleeps and wakes, on a direct path and on one by the relay: for less
# than a heartbeat's memory, for longer than its keys live, for hours. A
# REGRESS build reads the offset of its clock from a file at SIGUSR1.
set -u
BUILD=$(cd "$(dirname "$0")/../.." && pwd)/variants/regress
[ -x "$BUILD/parent/shoald" ] || { echo "skip: no REGRESS build"; exit 77; }
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
lab_init sleep
ASLEEP=0

# asleep seconds: a has slept so long; the date went on as well.
asleep()
{
	ASLEEP=$((ASLEEP + $1))
	echo "$ASLEEP $ASLEEP" >"$LAB/a/clock"
	kill -USR1 "$NODEPID_a"
	sleep 0.3			# until all its processes know
}

# wakes seconds from to what: the first ping after that.
wakes()
{
	asleep "$1"
	T=$(now_ms)
	wait_for 10 ping_ok "$2" "$3"
	T=$(($(now_ms) - T))
	check "$4, after $1 s: $T ms" [ "$T" -lt 3000 ]
}

check "derpd starts" lab_relay || exit 1
for h in coord:1 a:2 b:3; do
	lab_host "${h%:*}" "${h#*:}"
done
coord_start "policy allow all
$(lab_relay_home)" || exit 1
coordctl user create u >/dev/null
echo "0 0" >"$LAB/a/clock"
export SHOAL_CLOCK_FILE="$LAB/a/clock"
node_start a "auth key \"$(key_create --user u)\""
unset SHOAL_CLOCK_FILE
node_start b "auth key \"$(key_create --user u)\""
for h in a b; do
	check "$h is up" node_wait_up $h
done
A=$(ip4 a) B=$(ip4 b)
check "it works" wait_for 5 ping_ok a "$B"
check "direct" wait_for 5 status_says a 'active; direct'
wakes 20 a "$B" "direct, it wakes and speaks"
wakes 200 a "$B" "direct, it wakes and speaks"
wakes 200 b "$A" "direct, it wakes and is spoken to"
wakes 20000 a "$B" "direct, it wakes and speaks"
check "direct still" wait_for 5 status_says a 'active; direct'

on a nft -f - <<-EOT
table inet wall {
	chain in { type filter hook input priority 0;
		ip saddr 10.77.0.3 udp dport 41641 drop
		ip6 saddr { fd77::3, fe80::/10 } udp dport 41641 drop
	}
}
EOT
check "by the relay" wait_for 8 status_says a 'relay "home"'
check "it works" wait_for 5 ping_ok a "$B"
wakes 20 a "$B" "by the relay, it wakes and speaks"
wakes 200 a "$B" "by the relay, it wakes and speaks"
wakes 200 b "$A" "by the relay, it wakes and is spoken to"
wakes 20000 a "$B" "by the relay, it wakes and speaks"
