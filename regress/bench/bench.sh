#!/bin/sh
# Measure shoal beside the peers found, in one run on this machine: both ends
# in network namespaces, MTU 1280, real handshakes, packet filter on.
#	wireguard-go	from Debian, and another one by WIREGUARD_GO=path
#	BORINGTUN=path	boringtun-cli
#	TAILSCALED=path	and TAILSCALE=path: two real nodes in our tailnet
#	DERPER=path	their relay
# and the bare link. One thing of all of them by turns, then the next; median
# of ROUNDS (5), each of SECS (3) seconds or, for TCP, four flows of half as
# long (boringtun and the bare link: half as many rounds); a ratio is the
# median of those of each round. Table, verdicts on the bars, JSON and a chart
# in regress/out. First the parts cipher.sh, filter.sh, many.sh, pair.sh and
# scale.sh, whose rows are in the same table; PARTS= leaves them out, or names
# those that are wanted.
. "$(dirname "$0")/../e2e/lib.sh"

WGGO=$(command -v wireguard-go || true)
: "${ROUNDS:=5}" "${SECS:=3}" "${PARTS=cipher filter many pair scale}"
mkdir -p "$TOP/regress/out"

# add name host-a host-b address-of-b "pids of a" "pids of b" version [rounds]
add()
{
	jq -n --arg name "$1" --arg a "$P-$2" --arg b "$P-$3" --arg addr "$4" \
	    --arg pa "$5" --arg pb "$6" --arg version "$7" \
	    --argjson rounds "${8:-$ROUNDS}" 'def pids:
	    split(" ") | map(select(. != "") | tonumber);
	    { name: $name, a: $a, b: $b, addr: $addr, version: $version,
	    rounds: $rounds,
	    pids_a: ($pa | pids), pids_b: ($pb | pids) }' >>"$LAB/peers.json"
}

# version program: of its module if it was built from one, else what it says
version()
{
	_v=$(go version -m "$1" 2>/dev/null | awk '$1 == "mod" { print $3 }')
	[ -n "$_v" ] || _v=$("$1" --version 2>/dev/null | head -n 1)
	echo "$_v"
}

node_pids()
{
	eval "_pp=\$NODEPID_$1"
	echo "$_pp" $(pgrep -P "$_pp")
}

setup_shoal()
{
	# Real nodes want to know of a relay; it need not be there.
	two_nodes 'policy allow all
derp region 900 "home" { host "10.77.0.1" port 8444 }' || exit 1
	wait_for 5 on a ping -c 1 -W 1 "$(ip4 b)" || exit 1
	add shoal a b "$(ip4 b)" "$(node_pids a)" "$(node_pids b)" \
	    "$("$SHOALCTL" version 2>/dev/null | head -n 1)"
	add bare a b "$(on b ip -4 -o addr show dev eth0 |
	    awk '{ sub("/.*", "", $4); print $4 }')" "" "" "" $(((ROUNDS + 1) / 2))
}

# setup_wg name N rounds program args...: two userspace WireGuard ends
setup_wg()
{
	_name=$1 _wn=$2 _rounds=$3
	shift 3
	lab_host "x$_wn" $((_wn * 10))
	lab_host "y$_wn" $((_wn * 10 + 1))
	for _e in x y; do
		(umask 077; wg genkey >"$LAB/$_e$_wn/key")
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
	add "$_name" "x$_wn" "y$_wn" 10.99.$_wn.2 "$_pidx" "$_pidy" \
	    "$(version "$1")" "$_rounds"
}

ts()	# host command...
{
	_h=$1
	shift
	timeout 40 ip netns exec "$P-$_h" "$TAILSCALE" \
	    --socket="$LAB/$_h/ts.sock" "$@"
}

setup_tailscaled()
{
	_key=$(key_create --user u --reusable)
	for _e in ta tb; do
		lab_host $_e $([ $_e = ta ] && echo 60 || echo 61)
		on $_e ip route add default via 10.77.0.1
		on_bg $_e "$LAB/$_e/tailscaled.log" \
		    env TS_NO_LOGS_NO_SUPPORT=true "$TAILSCALED" \
		    --state="$LAB/$_e/ts.state" --statedir="$LAB/$_e" \
		    --socket="$LAB/$_e/ts.sock" --tun=tailscale0 \
		    --no-logs-no-support
		eval "_pid$_e=$BGPID"
		wait_for 10 [ -S "$LAB/$_e/ts.sock" ]
		ts $_e up --timeout 30s --accept-dns=false \
		    --auth-key="$_key" --login-server=http://10.77.0.1:8080
	done
	_addr=$(ts tb ip -4)
	wait_for 20 on ta ping -c 1 -W 1 "$_addr" || {
		echo "# tailscaled does not pass packets; left out"
		return
	}
	ts ta ping -c 10 --until-direct "$_addr" >/dev/null
	add tailscaled ta tb "$_addr" "$_pidta" "$_pidtb" \
	    "$("$TAILSCALE" version | head -n 1)"
}

# Those are of this run, or of none.
rm -f "$TOP"/regress/out/part.*.json
LOST=
for _part in $PARTS; do
	ROUNDS=$ROUNDS SECS=$SECS sh "$TOP/regress/bench/$_part.sh" ||
	    LOST="$LOST $_part"
done
lab_init bench
for _part in $LOST; do
	fail "$_part.sh measured its part"
done
setup_shoal
if [ -n "$WGGO" ]; then
	setup_wg wireguard-go 2 "$ROUNDS" "$WGGO" -f
else
	echo "# wireguard-go: not found"
fi
[ -z "${WIREGUARD_GO:-}" ] || [ "$WIREGUARD_GO" = "$WGGO" ] ||
    setup_wg wireguard-go-new 4 "$ROUNDS" "$WIREGUARD_GO" -f
[ -z "${BORINGTUN:-}" ] || setup_wg boringtun 3 $(((ROUNDS + 1) / 2)) \
    "$BORINGTUN" -f --disable-drop-privileges
if [ -x "${TAILSCALED:-}" ] && [ -x "${TAILSCALE:-}" ]; then
	setup_tailscaled
fi
if python3 "$TOP/regress/bench/measure.py" "$LAB/peers.json" "$ROUNDS" \
    "$SECS" "$TOP/regress/out"; then
	ok "measured"
else
	fail "every bar is met"
fi
