#!/bin/sh
# Measure shoal beside the peers found, in one run on this machine: both ends
# in network namespaces, MTU 1280, real handshakes, packet filter on.
#	wireguard-go	from Debian (or WIREGUARD_GO=path)
#	BORINGTUN=path	boringtun-cli
# TAILSCALED is not measured yet: it cannot join coordd before coordd serves
# the real clients. ROUNDS=3 SECS=4 make bench; JSON in regress/out/bench.json.
. "$(dirname "$0")/../e2e/lib.sh"

WGGO=${WIREGUARD_GO:-$(command -v wireguard-go || true)}
: "${ROUNDS:=3}" "${SECS:=4}"
mkdir -p "$TOP/regress/out"

# add name host-a host-b address-of-b "pids of a" "pids of b"
add()
{
	jq -n --arg name "$1" --arg a "$P-$2" --arg b "$P-$3" --arg addr "$4" \
	    --arg pa "$5" --arg pb "$6" '{ name: $name, a: $a, b: $b,
	    addr: $addr, pids_a: ($pa | split(" ") | map(tonumber)),
	    pids_b: ($pb | split(" ") | map(tonumber)) }' >>"$LAB/peers.json"
}

node_pids()
{
	eval "_pp=\$NODEPID_$1"
	echo "$_pp" $(pgrep -P "$_pp")
}

setup_shoal()
{
	two_nodes || exit 1
	wait_for 5 on a ping -c 1 -W 1 "$(ip4 b)" || exit 1
	add shoal a b "$(ip4 b)" "$(node_pids a)" "$(node_pids b)"
}

# setup_wg name N program args...: two userspace WireGuard ends
setup_wg()
{
	_name=$1 _wn=$2
	shift 2
	lab_host "x$_wn" $((_wn * 10))
	lab_host "y$_wn" $((_wn * 10 + 1))
	for _e in x y; do
		wg genkey >"$LAB/$_e$_wn/key"
		on_bg "$_e$_wn" "$LAB/$_e$_wn/wg.log" "$@" "$_e${_wn}p$$"
		eval "_pid$_e=$BGPID"
		wait_for 5 on "$_e$_wn" ip link show "$_e${_wn}p$$" || {
			echo "# $_name does not start; left out"
			return
		}
	done
	on "x$_wn" wg set "x${_wn}p$$" listen-port 51820 private-key \
	    "$LAB/x$_wn/key" peer "$(wg pubkey <"$LAB/y$_wn/key")" \
	    allowed-ips 10.99.$_wn.2/32 endpoint "10.77.0.$((_wn * 10 + 1)):51820"
	on "y$_wn" wg set "y${_wn}p$$" listen-port 51820 private-key \
	    "$LAB/y$_wn/key" peer "$(wg pubkey <"$LAB/x$_wn/key")" \
	    allowed-ips 10.99.$_wn.1/32 endpoint "10.77.0.$((_wn * 10)):51820"
	on "x$_wn" ip addr add 10.99.$_wn.1/24 dev "x${_wn}p$$"
	on "y$_wn" ip addr add 10.99.$_wn.2/24 dev "y${_wn}p$$"
	on "x$_wn" ip link set "x${_wn}p$$" mtu 1280 up
	on "y$_wn" ip link set "y${_wn}p$$" mtu 1280 up
	wait_for 6 on "x$_wn" ping -c 1 -W 1 10.99.$_wn.2 || {
		echo "# $_name does not pass packets; left out"
		return
	}
	add "$_name" "x$_wn" "y$_wn" 10.99.$_wn.2 "$_pidx" "$_pidy"
}

lab_init bench
setup_shoal
if [ -n "$WGGO" ]; then
	setup_wg wireguard-go 2 "$WGGO" -f
else
	echo "# wireguard-go: not found"
fi
[ -z "${BORINGTUN:-}" ] || setup_wg boringtun 3 "$BORINGTUN" -f \
    --disable-drop-privileges
[ -z "${TAILSCALED:-}" ] || echo "# tailscaled: not measured yet, see README"
if python3 "$TOP/regress/bench/measure.py" "$LAB/peers.json" "$ROUNDS" \
    "$SECS" "$TOP/regress/out/bench.json"; then
	ok "measured; the bars are met"
else
	fail "measured, and the bars are met"
fi
