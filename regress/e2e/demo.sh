#!/bin/sh
# The README's demonstration: what a first user sees.
. "$(dirname "$0")/lib.sh"

say()
{
	printf '\n== %s\n' "$*"
}

lab_init demo
say "three hosts on a network: coord 10.77.0.1, a 10.77.0.2, b 10.77.0.3"
lab_host coord 1
lab_host a 2
lab_host b 3
say "coordd starts; a user and a pre-auth key are made"
coord_start || exit 1
coordctl user create demo
key=$(key_create --user demo --reusable)
say "shoald starts on a and b with that key"
t0=$(now_ms)
node_start a "auth key \"$key\""
node_start b "auth key \"$key\""
node_wait_up a && node_wait_up b || { fail "nodes are up"; exit 1; }
check "first packet through the tunnel" wait_for 5 \
    on a ping -c 1 -W 1 "$(ip4 b)"
echo "   $(($(now_ms) - t0)) ms from the start of shoald"
say "on a: shoalctl status"
ctl a status
say "on a: ping b over IPv4 and IPv6"
check "IPv4" on a ping -c 3 -i 0.2 "$(ip4 b)"
cat "$LAB/check.log"
check "IPv6" on a ping -c 3 -i 0.2 "$(ip6 b)"
say "on a: the path that packets take"
ctl a ping --c 1 b
say "on a: the name, asked of the tailnet's own resolver"
check "MagicDNS" on a dig +short +time=2 +tries=1 @100.100.100.100 b.tail.test
cat "$LAB/check.log"
say "which processes run on a, as whom"
eval "pp=\$NODEPID_a"
ps -o user:12,pid,rss,args -p "$pp" --ppid "$pp"
say "on the server: coordctl node list"
coordctl node list
say "done; everything is taken down again"
