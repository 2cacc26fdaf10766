#!/bin/sh
# The packet path with and without each offload, in a REGRESS build: what
# arrives is byte for byte what was sent, between all kinds of nodes.
BUILD=$(cd "$(dirname "$0")/../.." && pwd)/variants/regress
[ -x "$BUILD/parent/shoald" ] || { echo "skip: no REGRESS build"; exit 77; }
. "$(dirname "$0")/lib.sh"

# force node mask: that node again, with FORCE_* of imsg/msgnode.h
force()
{
	node_stop "$1"
	export SHOAL_FORCE_PATH="$2"
	node_run "$1"
	node_wait_up "$1"
}

both()	# what
{
	wait_for 10 on a ping -c 1 -W 1 "$B4" || { fail "$1: ping"; return; }
	check "$1: a to b" transfer a b "$B4"
	check "$1: b to a over IPv6" transfer b a "$A6"
}

lab_init offload
two_nodes || exit 1
A6=$(ip6 a) B4=$(ip4 b)
both "all offloads"
force a 31
both "a has none"
force b 31
both "nobody has any"
force a 0
both "b has none"
force b 2
both "b sends one by one"
force b 4
both "b receives one by one"
force b 16
both "b has no multi-packet cipher"
force b 8
both "b has no UDP segmentation on its tunnel"
check "debug path tells so" sh -c \
    "\"$SHOALCTL\" -s $LAB/b/shoald.sock debug path | grep -q 'tso\$'"
