#!/bin/sh
# Roaming under an iperf3 flow: the node's address, its interface, its NAT's
# mapping, the relay, and UDP itself change or go away, and it sleeps; the
# flow goes on. The longest gap of each change is printed; none may be over
# 5 s. Sleep is simulated by the clock of a REGRESS build. ROAM_NODE:
# tailscaled, to compare.
set -u
REGRESS=$(cd "$(dirname "$0")/../.." && pwd)/variants/regress
[ ! -x "$REGRESS/parent/shoald" ] || BUILD=$REGRESS
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"
: "${ROAM_NODE:=shoald}"
BAR=5000

settled()
{
	python3 "$NLDIR/natflow.py" settled "$LAB/a/flow" "$1"
}

# phase what path command...: do it, wait until the flow is steady again,
# and judge the gap; then the path must come to be what is said.
phase()
{
	_change=$1 _path=$2
	shift 2
	_t=$(now_ms)
	"$@"
	wait_for 12 settled "$_t"
	GAP=$(python3 "$NLDIR/natflow.py" gap "$LAB/a/flow" "$_t" "$(now_ms)")
	check "$_change: longest gap $GAP ms" [ "$GAP" -le $BAR ]
	check "$_change: $_path" wait_for 15 path_is "$_path"
}

path_is()
{
	[ "$(site_path a b)" = "$1" ] && [ "$(site_path b a)" = "$1" ]
}

readdress()
{
	ip -n "$P-a" addr del 192.168.2.2/24 dev eth0
	ip -n "$P-a" addr add 192.168.2.77/24 dev eth0
	ip -n "$P-a" route replace default via 192.168.2.1
}

reinterface()
{
	ip -n "$P-a" link set eth0 down
	ip -n "$P-a" link set eth1 up
	ip -n "$P-a" addr replace 192.168.4.2/24 dev eth1
	ip -n "$P-a" route replace default via 192.168.4.1
}

asleep()	# seconds
{
	echo "$1 $1" >"$LAB/a/clock"
	kill -USR1 "$NODEPID"
}

relay_restart()
{
	kill_wait "$DERPPID_1" KILL
	kill_wait "$DERPPID_2" KILL
	derp_start 1
	derp_start 2
}

natlab_init roam
coordctl user create u >/dev/null
site_make a port 2
site_make b port 3
nat_make a 4 eth1 -m eim -f apdf
ip -n "$P-a" link set eth1 down
site_node b "$ROAM_NODE" u || fail "node b"
echo "0 0" >"$LAB/a/clock"
export SHOAL_CLOCK_FILE="$LAB/a/clock"
site_node a "$ROAM_NODE" u || fail "node a"
check "both are up" wait_for 20 site_ready a b
wait_for 20 site_ready b a
B=$(site_ctl b ip -4)
on_bg b "$LAB/b/echo.log" python3 "$NLDIR/natflow.py" echo
on_bg a "$LAB/a/stream.log" python3 "$NLDIR/natflow.py" stream "$B" \
    "$LAB/a/flow"
check "the path is direct" wait_for 15 path_is direct
on_bg b "$LAB/b/iperf3.log" iperf3 -s -1
wait_for 5 grep -q listening "$LAB/b/iperf3.log"
on_bg a "$LAB/a/iperf3.json" iperf3 -c "$B" -t 300 -b 4M -J
IPERF=$BGPID
check "the flow begins" wait_for 5 settled "$(now_ms)"

phase "the NAT's mapping goes" direct nat_tell a 2 rebind
phase "another address" direct readdress
phase "another interface" direct reinterface
[ "$ROAM_NODE" != shoald ] || [ "$BUILD" != "$REGRESS" ] ||
	phase "asleep for 200 s" direct asleep 200
phase "UDP is blocked" relay nat_tell a 4 "udp off"
phase "the relays die and come back" relay relay_restart
phase "UDP is freed" direct nat_tell a 4 "udp on"

check "iperf3 goes on" kill -0 "$IPERF"
kill -INT "$IPERF"
wait_for 5 jq -e .end "$LAB/a/iperf3.json"
check "and brought its bytes" jq -e '.end.sum_received.bytes // 0 > 0 or
    .end.sum_sent.bytes > 4000000' "$LAB/a/iperf3.json"
