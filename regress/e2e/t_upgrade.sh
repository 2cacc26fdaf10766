#!/bin/sh
# From the relay to a direct path and back under a numbered flow: while nft
# blocks UDP between two nodes the relay carries it; freed, it goes direct
# within 3 s and no packet is lost; blocked again it is back within 5 s. Then
# what ping, status and debug say of all that.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
FLOW=$TOP/regress/e2e/natflow.py
lab_init upgrade

wall()	# what happens to packets that a sends: drop, reject, accept
{
	on a nft -f - <<-EOT
	table inet wall {
		chain in { type filter hook input priority 0;
			ip saddr 10.77.0.3 udp dport 41641 drop
			ip6 saddr fd77::3 udp dport 41641 drop
			ip6 saddr fe80::/10 udp dport 41641 drop
		}
		chain out { type filter hook output priority 0;
			ip daddr 10.77.0.3 udp dport 41641 $1
			ip6 daddr { fd77::3, fe80::/10 } udp dport 41641 $1
		}
	}
	EOT
}

free()
{
	on a nft delete table inet wall
}

# lost from to: numbers sent in that time, of which no answer has come.
lost()
{
	python3 - "$LAB/a/flow" "$1" "$2" <<-'EOT'
	import sys
	t = {}
	for line in open(sys.argv[1]):
	    n, ms = line.split()
	    t.setdefault(int(n), int(ms))
	start, end = int(sys.argv[2]), int(sys.argv[3])
	seen = [n for n, ms in t.items() if start <= ms <= end]
	print(sum(n not in t for n in range(min(seen), max(seen))))
	EOT
}

gap()	# since
{
	python3 "$FLOW" gap "$LAB/a/flow" "$1" "$(now_ms)"
}

# direct_after ms: status says so; how long it took, from then.
direct_after()
{
	wait_for 8 status_says a 'active; direct' || return 1
	echo $(($(now_ms) - $1))
}

check "derpd starts" lab_relay || exit 1
two_nodes "policy allow all
$(lab_relay_home)" || exit 1
wall drop
on_bg b "$LAB/b/echo.log" python3 "$FLOW" echo
on_bg a "$LAB/a/stream.log" python3 "$FLOW" stream "$(ip4 b)" "$LAB/a/flow"
check "by the relay at first" wait_for 5 status_says a 'relay "home"'
check "ping says so" sh -c "$SHOALCTL -s $LAB/a/shoald.sock ping --c 1 \
    --until-direct=false b | grep 'via DERP(home) in'"
sleep 5					# quick tries are over
check "debug peer names the relay and the candidates" sh -c \
    "$SHOALCTL -s $LAB/a/shoald.sock debug peer b >$LAB/dbg; cat $LAB/dbg;
    grep -q 'sends to home;' $LAB/dbg && grep -q candidate $LAB/dbg"

T=$(now_ms)
free
MS=$(direct_after "$T")
check "direct within 3 s of the way being free: $MS ms" [ "${MS:-9999}" -le 3000 ]
sleep 2
check "no packet lost on the way up" [ "$(lost "$T" "$(now_ms)")" -eq 0 ]
check "ping says direct" sh -c "$SHOALCTL -s $LAB/a/shoald.sock ping --c 1 \
    b | grep 'via 10.77.0.3:41641\|via \[fd77::3\]:41641'"

for how in drop reject accept; do
	sleep 1
	T=$(now_ms)
	wall $how
	wait_for 8 python3 "$FLOW" settled "$LAB/a/flow" "$T"
	GAP=$(gap "$T")
	check "blocked ($how): back by the relay, gap of $GAP ms" \
	    [ "$GAP" -le 5000 ]
	check "status says relay ($how)" wait_for 8 status_says a 'relay "home"'
	T=$(now_ms)
	free
	MS=$(direct_after "$T")
	check "and direct again: $MS ms" [ -n "$MS" ]
done
sleep 1
check "none lost on the way up" [ "$(lost "$T" "$(now_ms)")" -eq 0 ]
