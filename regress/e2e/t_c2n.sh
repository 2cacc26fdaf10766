#!/bin/sh
# What the control server asks of a node: pings, and requests to it. The node
# answers what it may read, and says no to the rest.
. "$(dirname "$0")/lib.sh"

c2n()	# pattern words...: coordctl node c2n a ...
{
	_p=$1
	shift
	coordctl node c2n a "$@" 2>&1 | grep -q -- "$_p"
}

lab_init c2n
two_nodes || exit 1
check "the node answers a ping" coordctl node ping a
check "echo" c2n hello /echo --post --body hello
check "preferences" c2n '"ControlURL":"http://10.77.0.1:8080"' /debug/prefs
check "and no secret in them" sh -c \
    "! '$COORDCTL' -s '$LAB/coord/coordd.sock' node c2n a /debug/prefs |
    grep -qi 'key'"
check "the map, as the node has it" c2n '"Name":"b.tail.test."' /debug/netmap
check "and no private key in that" sh -c \
    "! '$COORDCTL' -s '$LAB/coord/coordd.sock' node c2n a /debug/netmap |
    grep -q privkey"
check "health" c2n '"Warnings":{}' /debug/health
check "metrics" c2n '^shoal_peers 1$' /debug/metrics
check "updates are not its business" c2n '"Supported":false' /update
check "logs: none are uploaded" c2n 'uploads no logs' /logtail/flush --post
check "the local interface stays local" c2n 'not offered' \
    /remoteapi/localapi/v0/status
check "what it does not know it says" c2n 'unknown c2n path' /nothing
check "traffic flows on" on a ping -c 1 -W 1 "$(ip4 b)"
