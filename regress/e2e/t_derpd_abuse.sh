#!/bin/sh
# What strangers and bad clients may do to derpd: as many connects as the
# machine can make, handshakes, slow ones, bad heads and frames, packets for
# nobody. Two honest clients talk all the while: their p99 is printed and
# bounded, as is the relay's memory.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
: "${P99_MAX:=100}"	# ms, on a machine that others use too
lab_init derpdabuse
lab_host relay 9
lab_host cli 5
lab_host bad 6

LIBS="$TOP/proto/libproto.a $TOP/compat/libcompat.a -lsodium -lssl -lcrypto
    -ljansson -lbsd"
for p in e2e/derpcli bench/relayload; do
	# shellcheck disable=SC2086
	cc -O1 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
	    -I"$TOP/proto" -I"$TOP/compat" -I"$TOP/imsg" \
	    -o "$LAB/${p#*/}" "$TOP/regress/$p.c" "$TOP/regress/e2e/dcli.c" \
	    $LIBS || exit 1
done
cat >"$LAB/relay/derpd.conf" <<EOF
hostname "10.77.0.9"
listen on 10.77.0.9 port 443 tls self-signed
stun listen on 10.77.0.9 port 3478
state "$LAB/relay/state/key"
EOF
on_bg relay "$LAB/relay/derpd.log" "$DERPD" -d -f "$LAB/relay/derpd.conf"
RELAYPID=$BGPID
answers()
{
	on cli curl -sk -m 2 -o /dev/null https://10.77.0.9/
}
check "derpd starts" wait_for 5 answers
KID=$(pgrep -P "$RELAYPID" -f relay | head -n 1)

# honest text: two clients talk while the one in the background does its
# worst: their p99.
honest()
{
	_what=$1
	on cli timeout 60 "$LAB/relayload" 10.77.0.9 443 ping 1500 \
	    >"$LAB/ping" 2>&1
	_p99=$(jq .p99 "$LAB/ping" 2>/dev/null)
	check "$_what: honest clients are served, p99 ${_p99:-none} ms" \
	    jq -e ".p99 < $P99_MAX" "$LAB/ping"
}

# attack port seconds what: and honest clients meanwhile.
attack()
{
	on_bg bad "$LAB/bad/$3.log" python3 "$TOP/regress/e2e/derpd_abuse.py" \
	    10.77.0.9 "$1" "$3" "$2"
	_bg=$BGPID
	sleep 0.3
	honest "$3"
	wait $_bg
	_st=$?
	check "$(tail -n 1 "$LAB/bad/$3.log")" [ $_st -eq 0 ]
}

honest "nobody else"
attack 443 4 connects
attack 443 4 handshakes
attack 3478 2 stun
attack 443 12 slow
on bad timeout 30 python3 "$TOP/regress/e2e/derpd_abuse.py" 10.77.0.9 443 \
    heads 5 >"$LAB/bad/heads.log" 2>&1
check "bad heads are ended" [ $? -eq 0 ]
check "bad frames end the connection" \
    on bad timeout 60 "$LAB/derpcli" -t 10.77.0.9 443 bad
on_bg bad "$LAB/bad/strangers.log" timeout 60 "$LAB/derpcli" -t 10.77.0.9 443 \
    strangers 300000
_bg=$BGPID
honest strangers
wait $_bg
check "$(tail -n 1 "$LAB/bad/strangers.log")" [ $? -eq 0 ]

HWM=$(awk '/^VmHWM/ { print $2 }' "/proc/$KID/status")
check "the relay never held more than $HWM kB" [ "$HWM" -lt 60000 ]
check "it was not replaced" [ "$(pgrep -P "$RELAYPID" -f relay |
    head -n 1)" = "$KID" ]
LINES=$(wc -l <"$LAB/relay/derpd.log")
check "the log has $LINES lines" [ "$LINES" -lt 100 ]
check "refusals are logged with their source" \
    grep -q '10.77.0.6: too many' "$LAB/relay/derpd.log"
