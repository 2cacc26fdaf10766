#!/bin/sh
# After traffic has flowed no process but cryptod, and no file but the state,
# has a private key.
. "$(dirname "$0")/lib.sh"

LAB_KEYS=--reusable
lab_init custody
two_nodes || exit 1
check "traffic flows" wait_for 5 on a ping -c 5 -i 0.1 -W 1 "$(ip4 b)"
check "a has a new key" timeout 20 \
    "$SHOALCTL" -s "$LAB/a/shoald.sock" login --force-reauth
sleep 2
on a ping -c 3 -i 0.1 -W 1 "$(ip4 b)" >/dev/null
ctl a status >/dev/null
for n in a b; do
	eval "pp=\$NODEPID_$n"
	check "$n: keys stand in the state file and in no process but cryptod" \
	    python3 "$TOP/regress/e2e/custody.py" "$LAB/$n/state" \
	    "$pp" $(pgrep -P "$pp" | while read -r p; do
		[ "$p" = "$(child_pid $n cryptod)" ] || echo "$p"; done)
	check "$n: the state file is for root alone" \
	    [ "$(stat -c %a:%U "$LAB/$n/state")" = 600:root ]
	check "$n: no key in the log" sh -c \
	    "! grep -E 'privkey:|nlpriv:' $LAB/$n/shoald.*.log"
	key=$(sed -n 's/^auth key "\(.*\)"/\1/p' "$LAB/$n/shoald.conf")
	check "$n: no auth key in the log" sh -c \
	    "! grep -F '$key' $LAB/$n/shoald.*.log"
	for p in "$pp" $(pgrep -P "$pp"); do
		if tr '\0' '\n' <"/proc/$p/environ" | grep -q . &&
		    [ "$p" != "$pp" ]; then
			fail "$n: $(cat "/proc/$p/comm") has an environment"
		fi
	done
done
check "coordd: the same for the server's key" \
    python3 "$TOP/regress/e2e/custody.py" "$LAB/coord/state" "$COORDPID" \
    $(pgrep -P "$COORDPID" | while read -r p; do
	[ "$p" = "$(pgrep -P "$COORDPID" -f cryptod | head -n 1)" ] ||
	    echo "$p"; done)
check "pre-auth keys are not in the store in clear" sh -c "
    key=\$(sed -n 's/^auth key \"\(.*\)\"/\1/p' $LAB/a/shoald.conf)
    ! cat $LAB/coord/store/* | grep -aF \"\$key\""
