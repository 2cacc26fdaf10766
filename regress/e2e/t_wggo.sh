#!/bin/sh
# A WireGuard peer that nobody here wrote: Debian's wireguard-go, given to
# the node by coordd as a WireGuard-only peer. Handshakes in both directions,
# rekey after 120 s, roaming, throughput.
. "$(dirname "$0")/lib.sh"

WGGO=${WIREGUARD_GO:-$(command -v wireguard-go)} ||
    skip_all "needs wireguard-go"
command -v wg >/dev/null || skip_all "needs wg"

# Its control socket stands in a directory that all namespaces share.
WG=wg$$

wgset()
{
	on w wg set $WG "$@"
}

handshake()	# date of the last
{
	on w wg show $WG latest-handshakes | awk '{ print $2 }'
}

lab_init wggo
lab_host coord 1
lab_host a 2
lab_host w 3
coord_start || exit 1
coordctl user create u >/dev/null
node_start a "auth key \"$(key_create --user u)\"
listen on port 41641"
node_wait_up a || exit 1

umask 077
wg genkey >"$LAB/w/key"
on_bg w "$LAB/w/wg.log" "$WGGO" -f $WG
check "wireguard-go starts" wait_for 5 on w ip link show $WG
akey=$(ctl a status --json | jq -r .Self.PublicKey)
akey=$(printf %s "${akey#nodekey:}" | xxd -r -p 2>/dev/null | base64 ||
    python3 -c 'import sys,base64;print(base64.b64encode(bytes.fromhex(sys.argv[1])).decode())' "${akey#nodekey:}")
wpub=$(wg pubkey <"$LAB/w/key" | base64 -d | od -An -vtx1 | tr -d ' \n')
check "coordctl node add-wireguard" coordctl node add-wireguard w \
    --key "nodekey:$wpub" --endpoint 10.77.0.3:51820 --allow 100.64.9.9/32
on w ip addr add 100.64.9.9/32 dev $WG
on w ip link set $WG mtu 1280 up
on w ip route add "$(ip4 a)/32" dev $WG
wgset listen-port 51820 private-key "$LAB/w/key" peer "$akey" \
    allowed-ips "$(ip4 a)/32" endpoint 10.77.0.2:41641

check "the node initiates" wait_for 8 on a ping -c 1 -W 1 100.64.9.9
check "and it was a real handshake" [ "$(handshake)" -gt 0 ]
wgset peer "$akey" remove
wgset peer "$akey" allowed-ips "$(ip4 a)/32" endpoint 10.77.0.2:41641
check "wireguard-go initiates" wait_for 8 on w ping -c 1 -W 1 "$(ip4 a)"

iperf_server w
for d in "" -R; do
	on a iperf3 -J -c 100.64.9.9 -t 2 $d >"$LAB/i.json"
	mb=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$LAB/i.json")
	check "TCP ${d:-forth}: $mb Mbit/s" [ "${mb:-0}" -gt 100 ]
done

# Roaming: the peer's port and address change, only its packets tell us.
wgset listen-port 51999
check "the peer's port changes: its packets find us" \
    wait_for 8 on w ping -c 1 -W 1 "$(ip4 a)"
check "and ours find it" wait_for 8 on a ping -c 1 -W 1 100.64.9.9
on w ip addr del 10.77.0.3/24 dev eth0
on w ip addr add 10.77.0.33/24 dev eth0
wgset listen-port 51998		# it would go on with its old address
check "the peer's address changes" wait_for 8 on w ping -c 1 -W 1 "$(ip4 a)"
check "ours follow" wait_for 8 on a ping -c 1 -W 1 100.64.9.9

h0=$(handshake)
[ "$(on w wg show $WG peers | wc -l)" -eq 1 ] || on w wg show $WG
on_bg a "$LAB/a/ping.log" ping -i 0.2 -W 1 100.64.9.9
ping=$BGPID
rekeyed()
{
	[ "$(handshake)" -gt "$h0" ]
}
check "rekey after 120 s" wait_for 140 rekeyed
age=$(($(handshake) - h0))
check "not before ($age s)" [ "$age" -ge 110 ]
kill -INT "$ping"
wait "$ping"
lost=$(sed -n 's/.* \([0-9.]*\)% packet loss.*/\1/p' "$LAB/a/ping.log")
check "no packet lost over the rekey ($lost %)" [ "$lost" = 0 ]
