#!/bin/sh
# coordctl derp probe: does each relay of the DERP map answer? By TLS with its
# pin, by STUN over both families; what is wrong with one is said, status 1.
. "$(dirname "$0")/lib.sh"

probe()	# status pattern words...
{
	_s=$1 _p=$2
	shift 2
	on coord timeout 60 "$COORDCTL" -s "$LAB/coord/coordd.sock" derp probe \
	    "$@" >"$LAB/out" 2>&1
	_r=$?
	cat "$LAB/out"
	[ $_r -eq "$_s" ] && grep -Eq -- "$_p" "$LAB/out"
}

conf()	# on stdin: the relays
{
	coord_conf "policy allow all" >"$LAB/coord/coordd.conf"
	cat >>"$LAB/coord/coordd.conf"
	[ -z "${COORDPID:-}" ] || kill -HUP "$COORDPID"
}

relays()	# n: does it know of so many?
{
	json_is "$(coordctl --json derp list)" "length == $1"
}

lab_init probe
lab_host coord 1
lab_relay
PIN=$(lab_relay_pin)
conf <<X
derp region 900 "home" { node "one" host "10.77.0.9" port 443 stun 3478 pin "$PIN" }
X
check "coordd starts" coord_run || exit 1
check "a relay that is well" probe 0 \
    '^home +one +[0-9.]+ ms +[0-9.]+ ms +- +good$'
check "as JSON" sh -c "ip netns exec '$P-coord' '$COORDCTL' \
    -s '$LAB/coord/coordd.sock' --json derp probe | jq -e 'length == 1 and
    .[0].ok and .[0].derp_ms > 0 and .[0].stun4_ms > 0 and
    .[0].stun6_ms == null and .[0].region == 900 and .[0].trouble == \"\"'"
conf <<X
derp region 900 "home" { node "one" host "10.77.0.9" port 443 stun 3478 pin "sha256-raw:$(printf '%064d' 7)" }
derp region 901 "none" { node "two" host "10.77.0.9" port 444 stun no }
derp region 902 "dumb" { node "three" host "10.77.0.1" port 8080 stun no }
derp region 903 "name" { node "four" host "no.such.invalid" stun no }
derp region 904 "mute" { node "five" host "10.77.0.9" stun 3479 pin "$PIN" }
X
check "five relays after a reload" wait_for 5 relays 5
probe 1 . >/dev/null
cat "$LAB/out"
line()
{
	grep -Eq -- "$1" "$LAB/out"
}
check "a wrong pin" line '^home +one +- +[0-9.]+ ms +- +.*pin'
check "nobody there" line '^none +two +- +- +- +port 444: Connection refused'
check "somebody else there" line '^dumb +three +- +- +- +TLS: '
check "no such host" line '^name +four +- +- +- +no.such.invalid has no addr'
check "STUN that does not answer" line \
    '^mute +five +[0-9.]+ ms +- +- +STUN: no answer'
check "a file of CAs that is not there" probe 1 'could not be probed' \
    --ca /nonexistent
chmod 755 "$LAB" "$LAB/coord"
chmod 666 "$LAB/coord/coordd.sock"
check "nobody's rights are enough for it" sh -c "ip netns exec '$P-coord' \
    setpriv --reuid nobody --regid nogroup --clear-groups '$COORDCTL' \
    -s '$LAB/coord/coordd.sock' derp probe | grep -q '^mute .* ms .*STUN'"
conf </dev/null
check "no relays" wait_for 5 relays 0
check "nothing to ask" probe 0 'names no relay'
