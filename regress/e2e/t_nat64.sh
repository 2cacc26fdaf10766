#!/bin/sh
# A node in a network of IPv6 alone, with DNS64 and a translator (NAT64): it
# reaches relays that have IPv4 alone, by their names, and by the translator's
# prefix (RFC 7050) where the map has an address and no name. The translator
# is a proxy for each port.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"
command -v socat >/dev/null || skip_all "needs socat"

derp_map()	# IPv4 alone; the second has no name
{
	cat <<-X
	{"Regions": {
	 "901": {"RegionID": 901, "RegionCode": "one", "RegionName": "One",
	  "Nodes": [{"Name": "901a", "RegionID": 901, "IPv4": "11.0.2.1",
	   "HostName": "derp1.test", "CertName": "$(derp_pin 1)"}]},
	 "902": {"RegionID": 902, "RegionCode": "two", "RegionName": "Two",
	  "Nodes": [{"Name": "902a", "RegionID": 902, "IPv4": "11.0.3.1",
	   "HostName": "11.0.3.1", "CertName": "$(derp_pin 2)"}]}}}
	X
}

translate()	# IPv4 address, the same in hexadecimal
{
	ip -n "$P-core" addr add "64:ff9b::$2/128" dev lo nodad
	on_bg core "$LAB/core/64.$2.log" socat \
	    "TCP6-LISTEN:443,bind=[64:ff9b::$2],fork,reuseaddr" "TCP4:$1:443"
	on_bg core "$LAB/core/64u.$2.log" socat \
	    "UDP6-LISTEN:3478,bind=[64:ff9b::$2],fork,reuseaddr" \
	    "UDP4:$1:3478"
}

report()	# jq-filter
{
	site_ctl a netcheck --format=json-line >"$LAB/a/report" 2>&1
	json_is "$(cat "$LAB/a/report")" "$1" || {
		cat "$LAB/a/report"
		return 1
	}
}

flows()
{
	on a ping -q -c 1 -W 1 "$B"
}

natlab_init nat64
translate 11.0.2.1 b00:201
translate 11.0.3.1 b00:301
ip -n "$P-core" addr add 2c0f:77::53/128 dev lo nodad
on_bg core "$LAB/core/dns64.log" python3 "$NLDIR/dns64.py" 2c0f:77::53 \
    derp1.test=11.0.2.1
wait_for 5 grep -q serving "$LAB/core/dns64.log"
mkdir -p "/etc/netns/$P-a"
trap 'rm -rf "/etc/netns/$P-a"; natlab_end' EXIT
echo "nameserver 2c0f:77::53" >"/etc/netns/$P-a/resolv.conf"
coordctl user create lab >/dev/null
site_make a v6 2
site_make b port 3
site_node a shoald lab
site_node b shoald lab
check "a node of IPv6 alone, one of IPv4 alone" wait_for 20 site_ready a b
wait_for 10 site_ready b a
check "STUN by the name that DNS64 translates" wait_for 10 report '.UDP and
    (.RegionLatency | has("901"))'
B=$(site_ctl b ip -4)
check "packets go by the relay" wait_for 10 flows
# The other one has no name: its address behind the translator's prefix.
kill_wait "$DERPPID_1"
check "a relay without a name" wait_for 25 flows
check "both are connected to it" grep -q 'connected to 902a' "$LAB/a/node.log"
