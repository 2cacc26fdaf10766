#!/bin/sh
# The home relay and what does not move it: two relays behind wires. The
# nearer one is home; a passing delay or a small gain moves nobody, a relay
# that falls silent does, and nobody moves while the server cannot hear of it.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
DERP_WIRED=yes
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"
natlab_init homestay
wire_tell 1 "both delay 100"
wire_tell 2 "both delay 200"
coordctl user create lab >/dev/null
site_make n open 2 && site_node n shoald lab

up()
{
	json_is "$(site_ctl n status --json)" '.BackendState == "Running"'
}

report()	# jq-filter: of a full report
{
	site_ctl n netcheck --json >"$LAB/n/report" 2>&1
	json_is "$(cat "$LAB/n/report")" "$1" || {
		cat "$LAB/n/report"
		return 1
	}
}

server()	# region: does the server know it as home?
{
	json_is "$(coordctl --json node show n)" --argjson r "$1" \
	    '(if type == "array" then .[0] else . end) | .derp == $r'
}

home()		# region: does the node itself say so?
{
	site_ctl n debug netd derp | grep -q "relay $1 .*(home)"
}

check "the node is up" wait_for 15 up
check "latencies are those of the wires" report \
    '.RegionLatency as $l | $l["901"] >= 200e6 and $l["901"] < 300e6 and
    $l["902"] >= 400e6 and $l["902"] < 550e6'
check "the nearer relay is home" home 901
check "the server knows" wait_for 5 server 901
wire_tell 1 "both delay 400"
check "it is slow for a while: the home stays" report \
    '.PreferredDERP == 901 and .RegionLatency["901"] > 700e6'
wire_tell 1 "both delay 100"
check "as before" wait_for 10 report '.RegionLatency["901"] < 240e6'
wire_tell 2 "both delay 90"
check "another one is a little nearer: the home stays" report \
    '.PreferredDERP == 901 and .RegionLatency["902"] < 300e6'
wire_tell 2 "both delay 1"
check "another one is much nearer: the home moves" report \
    '.PreferredDERP == 902'
check "the relay hears of it" wait_for 3 home 902
check "and the server" wait_for 5 server 902
wire_tell 2 "both loss 100"
check "it falls silent: the home moves back" wait_for 20 report \
    '.PreferredDERP == 901'
check "and the server hears that" wait_for 5 server 901

# Nobody could be told: a measurement alone moves nothing.
wire_tell 2 "both loss 0 delay 1"
report . >/dev/null
check "the nearer one again" wait_for 5 server 902
kill_wait "$COORDPID"
offline()
{
	json_is "$(site_ctl n status --json)" '.Health | length > 0'
}
check "the server is gone" wait_for 5 offline
wire_tell 2 "both loss 100"
check "its relay too, and another one measured" wait_for 20 report \
    '.PreferredDERP == 901'
check "but the home stays" home 902
natlab_coord
check "the server is back: the home moves" wait_for 40 home 901
check "and the server hears of it" wait_for 5 server 901
