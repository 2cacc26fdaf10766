#!/bin/sh
# netcheck: nodes behind NATs of several kinds tell what they find by STUN of
# two relays and of coturn; UDP blocked: latency by HTTPS and ICMP; a captive
# portal; own endpoints reach the server and a peer. With TAILSCALED and
# TAILSCALE: the real one's reports behind the same NATs, field by field.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"
natlab_init netcheck
check "coturn answers STUN" wait_for 5 on core timeout 5 \
    turnutils_stunclient 11.0.1.1

site()		# name kind N
{
	site_make "$1" "$2" "$3" && site_node "$1" shoald lab
}

up()
{
	json_is "$(site_ctl "$1" status --json)" '.BackendState == "Running"'
}

# report name jq-filter: of a full report.
report()
{
	site_ctl "$1" netcheck --format=json-line >"$LAB/$1/report" 2>&1
	json_is "$(cat "$LAB/$1/report")" "$2" || {
		cat "$LAB/$1/report"
		return 1
	}
}

text()		# name pattern
{
	site_ctl "$1" netcheck >"$LAB/$1/text" 2>&1
	grep -q "$2" "$LAB/$1/text" || {
		cat "$LAB/$1/text"
		return 1
	}
}

# endpoint name jq-filter: of what the server knows of that node.
endpoint()
{
	json_is "$(coordctl --json node show "$1")" \
	    "(if type == \"array\" then .[0] else . end) | $2"
}

candidate()	# node peer pattern: one that the netmap told
{
	site_ctl "$1" debug peer "$2" | grep "candidate $3.*netmap"
}

coordctl user create lab >/dev/null
site p port 2
site s sym 3
site b blocked 4
site o open 5
for n in p s b o; do
	check "$n is up" wait_for 15 up $n
done

check "port-restricted NAT" report p '.UDP and .IPv4 and (.IPv6 | not) and
    (.GlobalV4 | startswith("11.1.2.1:")) and
    .MappingVariesByDestIP == false and (.RegionV4Latency | length) == 2 and
    (.PreferredDERP == 901 or .PreferredDERP == 902) and
    .CaptivePortal == null'
check "symmetric NAT" report s '.UDP and
    (.GlobalV4 | startswith("11.1.3.1:")) and
    .MappingVariesByDestIP == true and (.GlobalV4Counters | length) >= 2'
check "both families" report o '.UDP and .IPv4 and .IPv6 and .OSHasIPv6 and
    .GlobalV4 == "11.1.5.1:41641" and
    .GlobalV6 == "[2c0f:77:1:5::2]:41641" and
    (.RegionV6Latency | length) == 2'
check "UDP blocked: latency by HTTPS" report b '(.UDP | not) and .IPv4 and
    (.RegionLatency | length) == 2 and .RegionV4Latency == {} and
    .PreferredDERP != 0 and .GlobalV4 == "" and .CaptivePortal == false and
    (.ICMPv4 | not)'
on b sysctl -qw net.ipv4.ping_group_range="0 0"
check "and by ICMP, where the kernel lets root ask" report b '(.UDP | not) and
    .IPv4 and .ICMPv4 and (.RegionLatency | length) == 2'
check "the text of it" text b "IPv4: (no addr found)"
check "status tells that UDP is blocked" sh -c "$(cat "$LAB/b/cmd") status |
    grep -q 'UDP is blocked'"
check "the text of the other" text p "IPv4: yes, 11.1.2.1:"
check "the same for a person" text p "MappingVariesByDestIP: false"
check "wrong format" sh -c "! $(cat "$LAB/p/cmd") netcheck --format=xml"

check "the server knows the mapped address" wait_for 5 endpoint p \
    'any(.endpoints[]; test("^11[.]1[.]2[.]1:"))'
check "and the home relay" endpoint p '.derp == 901 or .derp == 902'
check "both families of the open one" endpoint o \
    '.endpoints[0] == "11.1.5.1:41641" and
    any(.endpoints[]; test("2c0f:77:1:5::2"))'
site_ctl o ping --c 2 p >/dev/null
check "a peer knows it too" wait_for 5 candidate o p '11[.]1[.]2[.]1:'

# Somebody else answers for the relays' web pages.
cat >"$LAB/portal.py" <<'X'
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://login.example/")
        self.end_headers()
    def log_message(self, *a):
        pass
http.server.HTTPServer(("0.0.0.0", 8080), H).serve_forever()
X
on_bg b "$LAB/b/portal.log" python3 "$LAB/portal.py"
on b nft -f - <<-X
	table ip portal {
	 chain out {
	  type nat hook output priority -100
	  ip daddr { 11.0.2.1, 11.0.3.1 } tcp dport 80 redirect to 8080
	 }
	}
X
wait_for 5 on b curl -s -m 1 -o /dev/null http://127.0.0.1:8080/
check "captive portal" report b '.CaptivePortal == true'
check "the text of that" text b "CaptivePortal: true"
on b nft delete table ip portal
check "it is gone" report b '.CaptivePortal == false'

# In region 901 nobody is left; in the other coturn would still answer STUN.
kill_wait "$DERPPID_1"
for n in p s o; do
	check "a region is silent: $n has the other for home" wait_for 12 \
	    report $n '.PreferredDERP == 902 and (.RegionLatency |
	    keys == ["902"])'
	check "and the server hears of it" wait_for 5 endpoint $n \
	    '.derp == 902'
done

if [ -z "${TAILSCALED:-}" ] || [ -z "${TAILSCALE:-}" ]; then
	echo "skip the real one: TAILSCALED and TAILSCALE are not set"
	exit 0
fi
derp_start 1
real()		# name jq-filter
{
	on "$1" timeout 30 "$TAILSCALE" --socket="$LAB/$1/sock" netcheck \
	    --format=json-line 2>/dev/null >"$LAB/$1/report"
	json_is "$(cat "$LAB/$1/report")" "$2" || {
		cat "$LAB/$1/report"
		return 1
	}
}

# What must be the same of two nodes behind NATs of one kind.
fields()	# name
{
	jq -S '.Now |= (. != null) | .PreferredDERP |= (. != 0) |
	    .GlobalV4 |= sub("[.][0-9]*[.]1:.*"; "") |
	    .GlobalV6 |= sub(".*:"; "") |
	    .GlobalV4Counters |= ((. // {}) | length) |
	    .GlobalV6Counters |= ((. // {}) | length) |
	    .RegionLatency |= keys | .RegionV4Latency |= keys |
	    .RegionV6Latency |= keys' "$LAB/$1/report"
}

same()		# real ours
{
	fields "$1" >"$LAB/$1/fields"
	fields "$2" >"$LAB/$2/fields"
	diff "$LAB/$1/fields" "$LAB/$2/fields"
}

site_make r port 6
site_make q blocked 7
site_make t sym 8
on q sysctl -qw net.ipv4.ping_group_range="0 0"
for n in r q t; do
	site_node $n tailscaled lab &
done
wait $!
for n in r q t; do
	wait_for 30 up $n
done
check "the real one with the same relays" wait_for 10 real r '.UDP and
    (.GlobalV4 | startswith("11.1.6.1:")) and
    .MappingVariesByDestIP == false and (.RegionV4Latency | length) == 2'
check "ours with both relays again" wait_for 10 report p \
    '(.RegionV4Latency | length) == 2'
check "its fields are ours" same r p
on r timeout 30 "$TAILSCALE" --socket="$LAB/r/sock" netcheck 2>/dev/null |
    sed 's/:.*//' | sort >"$LAB/r/words"
site_ctl p netcheck | sed 's/:.*//' | sort >"$LAB/p/words"
check "and its words" diff "$LAB/r/words" "$LAB/p/words"
check "the real one, symmetric" real t '.MappingVariesByDestIP == true'
report s . >/dev/null
check "its fields are ours, symmetric" same t s
check "the real one, UDP blocked" real q '(.UDP | not) and .ICMPv4'
report b . >/dev/null
check "its fields are ours, UDP blocked" same q b
