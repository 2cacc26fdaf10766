#!/bin/sh
# A control server that sends garbage, endless or oversize answers, nothing,
# or half of something: the node says so in a line, stays small, keeps its
# state, and goes on with a good server afterwards. A captive portal in its
# place is called that, also before the first login and where the control
# server has TLS alone.
. "$(dirname "$0")/lib.sh"

rss()	# of all processes of the node, kB
{
	eval "_pp=\$NODEPID_a"
	cat "/proc/$_pp/smaps_rollup" $(pgrep -P "$_pp" |
	    sed 's|.*|/proc/&/smaps_rollup|') 2>/dev/null |
	    awk '/^Pss:/ { n += $2 } END { print n }'
}

not()
{
	! "$@"
}

hotel()	# node how: does its status call it a captive portal?
{
	case $2 in
	portal)	_h='is likely .* leads to login[.]hotel[.]test:' ;;
	*)	_h='captive portal is likely' ;;
	esac
	[ "$(ctl "$1" status --json | jq -r '.Health[]' |
	    grep -c "$_h")" -eq 1 ]
}

lab_init badcontrol
lab_host coord 1
lab_host a 2
coord_start || exit 1
coordctl user create u >/dev/null
key=$(key_create --user u --reusable)
node_start a "auth key \"$key\""
node_wait_up a || exit 1
addr=$(ip4 a)
# Running comes before the map is on disk.
check "the map is kept" wait_for 10 [ -s "$LAB/a/state.netmap" ]
node_stop a
kill_wait "$COORDPID"
cp "$LAB/a/state" "$LAB/state.good"

for how in silence garbage endless-head endless-body oversize-record \
    html portal status500 half close; do
	cp "$LAB/state.good" "$LAB/a/state"
	on_bg coord "$LAB/coord/bad.log" \
	    python3 "$TOP/regress/e2e/badcontrol.py" "$how" 10.77.0.1 8080
	bad=$BGPID
	wait_for 5 grep -q listening "$LAB/coord/bad.log"
	rm -f "$LAB/a"/shoald.*.log
	node_run a bad
	sleep 3
	check "$how: the node lives" kill -0 "$NODEPID_a"
	check "$how: from its cache it has its address" \
	    [ "$(ip4 a)" = "$addr" ]
	n=$(rss)
	check "$how: memory is bounded ($n kB)" [ "$n" -lt 32768 ]
	if [ "$how" != silence ]; then
		check "$how: a line says what is wrong" grep -qE \
		    'ctrld: .*(control|10\.77\.0\.1)' "$LAB/a/shoald.bad.log"
	fi
	case $how in
	portal|html)
		check "$how: it may be a captive portal" hotel a "$how" ;;
	*)
		check "$how: and it is none" not hotel a "$how" ;;
	esac
	n=$(wc -l <"$LAB/a/shoald.bad.log")
	check "$how: the log is not flooded ($n lines)" [ "$n" -lt 200 ]
	kill_wait "$bad"
	node_stop a
	check "$how: the keys are as before" sh -c "
	    grep privkey $LAB/state.good | grep -v disco >$LAB/k1
	    grep privkey $LAB/a/state | grep -v disco | cmp - $LAB/k1"
done
coord_run 2
node_run a good
check "with the good server all is well" node_wait_up a

# Nobody at the port of TLS, and whoever asks at the other is led astray.
lab_host new 3
on_bg coord "$LAB/coord/hotel.log" \
    python3 "$TOP/regress/e2e/badcontrol.py" portal 10.77.0.1 80
wait_for 5 grep -q listening "$LAB/coord/hotel.log"
node_conf new
sed -i 's|http:.*:8080|https://10.77.0.1|' "$LAB/new/shoald.conf"
node_run new
check "before the first login: a captive portal" \
    wait_for 10 hotel new portal
check "up says so too" sh -c "
    ! $SHOALCTL -s $LAB/new/shoald.sock up --timeout 2s 2>$LAB/up &&
    grep -q 'leads to login.hotel.test: log in' $LAB/up"
