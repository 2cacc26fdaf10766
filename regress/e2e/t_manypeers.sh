#!/bin/sh
# A node with fifty active peers, all of them in one process: handshakes, one
# for each and honest ones in floods of forged ones, and data of all of them
# by turns, both ways. regress/bench/many.sh measures the same with more.
. "$(dirname "$0")/lib.sh"
lab_init manypeers
. "$TOP/regress/bench/manylib.sh"

# holds json filter: of an object
holds()
{
	printf '%s\n' "$1" | jq -e "$2"
}

check "the program that is the peers" many_build
many_peers 50
check "coordd, and a node with fifty peers" many_shoal || exit 1
NETD=$(child_pid a netd)
r=$(on p timeout 30 "$MANY" handshakes 10.77.0.2:41641 "$AKEY" 50 5 50 32 \
    "$NETD")
check "a handshake of each: $r" holds "$r" \
    '.answered == 50 and .verified > 1 and .bad == 0'
for k in mac static both; do
	r=$(on p timeout 30 "$MANY" flood 10.77.0.2:41641 "$AKEY" 50 1 $k \
	    5000 20 "$NETD")
	check "honest ones while others are forged ($k): $r" holds "$r" \
	    '.forged > 500 and .answered >= .honest - 1'
done
r=$(many_to a 10.77.0.2:41641 "$AKEY" "$AADDR" 1 2000 "$NETD")
check "data of all of them: $r" holds "$r" \
    '.sent > 500 and .delivered > .sent * 0.9'
for b in 1 8; do
	r=$(many_from a 10.77.0.2:41641 "$AKEY" 1 $b 2000 "$NETD")
	check "data to all of them, $b each: $r" holds "$r" \
	    '.bad == 0 and .sent > 500 and .delivered > .sent * 0.9'
done
