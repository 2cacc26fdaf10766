#!/bin/sh
# A tunnel over a bad wire, for long: packets are lost, come late, twice and
# broken, nft drops some more, keys are rotated all the time. Nothing is lost
# that the link did not lose, nothing comes twice or broken, and the memory
# stays what it was. SOAK: how many seconds; "make soak" takes ten minutes.
VARIANTS=$(cd "$(dirname "$0")/../.." && pwd)/variants
[ -x "$VARIANTS/regress/parent/shoald" ] ||
    { echo "skip: no REGRESS build"; exit 77; }
rsync -a --delete "$VARIANTS/regress/" "$VARIANTS/soak/"
BUILD=$VARIANTS/soak
rm -f "$BUILD/netd/tx.o" "$BUILD/netd/netd"
make -s -C "$BUILD/netd" all WERROR=-Werror \
    VARIANT_DEFS="-DREGRESS -DWG_REKEY_AFTER_TIME=10" || exit 1
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"
: "${SOAK:=30}"
PPS=1000
GROWTH=1024			# kB, of all processes of a node

memory()	# node: kB of all its processes
{
	for _p in $(pgrep -P "$(cat "$LAB/$1/pid")") $(cat "$LAB/$1/pid"); do
		cat "/proc/$_p/smaps_rollup"
	done | awk '/^Pss_Anon:/ { n += $2 } END { print n }'
}

drops()		# node: what nft dropped
{
	on "$1" nft -j list chain inet soak in |
	    jq '[.nftables[].rule?.expr[]?.counter?.packets // 0] | add'
}

# wire_bad way: what the wire lost or broke that way
wire_bad()
{
	awk -v w="$1" '$1 == w { n = $7 + $9 + $15 } END { print n }' \
	    "$LAB/core/wire.11.log"
}

node()		# name
{
	site_node "$1" shoald u
	echo "$NODEPID" >"$LAB/$1/pid"
}

handshake()	# when the last one was
{
	site_ctl a status --json | jq -r '.Peer[].LastHandshake'
}

links()
{
	site_make a open 2
	ns_make b
	wire_make b eth0 11
	ip -n "$P-core" route add 11.1.11.1 dev w11
	ip -n "$P-b" addr add 11.1.11.1/32 dev eth0
	ip -n "$P-b" route add default dev eth0
	cp "$LAB/a/control" "$LAB/b/control"
	for _n in a b; do
		on $_n nft add table inet soak
		on $_n nft 'add chain inet soak in {
		    type filter hook input priority 0; }'
	done
}

# From here on the link is bad.
worsen()
{
	wire_tell 11 "both loss 1 dup 2 reorder 5 gap 8 corrupt 1 delay 3"
	for _n in a b; do
		on $_n nft add rule inet soak in iifname eth0 meta l4proto udp \
		    numgen random mod 100 == 7 counter drop
	done
}

direct()
{
	[ "$(site_path a b)$(site_path b a)" = directdirect ]
}

flow()		# from to
{
	on_bg "$2" "$LAB/$2/recv" python3 "$NLDIR/wireprobe.py" recv \
	    $((SOAK + 2))
	eval "RECV_$2=$BGPID"
	wait_for 5 grep -q ready "$LAB/$2/recv"
	on_bg "$1" "$LAB/$1/send" python3 "$NLDIR/wireprobe.py" send \
	    "$(site_ctl "$2" ip -4)" $((SOAK * PPS)) 600 $((1000000 / PPS))
}

counts()	# node: what it left out, and why
{
	site_ctl "$1" debug netd path | sed -n "s/^dropped/# $1: &/p"
	on "$1" ip -s -j link show shoal0 | jq -r '.[0].stats64 |
	    "# '"$1"': the device left out \(.tx.dropped) of \(.tx.packets) to netd"'
}

judge()		# from to way: what of that flow is missing
{
	_r=$(tail -n 1 "$LAB/$2/recv")
	_missing=$((SOAK * PPS - $(echo "$_r" | jq .got)))
	_link=$(($(wire_bad "$3") + $(drops "$2")))
	echo "# $1 to $2: $_missing of $((SOAK * PPS)) missing;" \
	    "the link lost or broke $_link"
	check "$1 to $2: nothing lost but by the link" \
	    [ $_missing -le $_link ] &&
	check "$1 to $2: the link was bad, most came" [ $_missing -gt \
	    $((SOAK * PPS / 100)) ] &&
	check "$1 to $2: nothing twice, nothing broken, some late" \
	    json_is "$_r" '.dup == 0 and .corrupt == 0 and .late > 0'
}

growth()	# node
{
	_m=$(memory "$1")
	eval "_was=\$MEM_$1"
	echo "# memory of $1: $_was kB at first, $_m kB at last"
	check "memory of $1" [ "$_m" -le $((_was + GROWTH)) ]
}

natlab_init soak
coordctl user create u >/dev/null
links
# One with a thread for what goes out, one without.
NODE_LINES='sender thread yes' && node a
NODE_LINES= && node b
check "both are up" wait_for 20 site_ready a b
wait_for 20 site_ready b a
on_bg a "$LAB/a/ping.log" ping -i 0.2 "$(site_ctl b ip -4)"
check "the path is direct" wait_for 10 direct
kill_wait "$BGPID"
worsen
flow a b
flow b a
sleep 10
MEM_a=$(memory a) MEM_b=$(memory b)
_end=$(($(now_ms) + (SOAK - 10) * 1000))
while [ "$(now_ms)" -lt $_end ]; do
	handshake >>"$LAB/handshakes"
	sleep 1
done
wait "$RECV_a" "$RECV_b"
echo stats >"$LAB/wire.11"
wait_for 2 grep -q '^ba' "$LAB/core/wire.11.log"
ROTATIONS=$(($(sort -u "$LAB/handshakes" | wc -l) - 1))
check "keys were rotated, $ROTATIONS times" \
    [ $ROTATIONS -ge $(((SOAK - 10) / 15)) ]
counts a
counts b
judge a b ba
judge b a ab
growth a
growth b
