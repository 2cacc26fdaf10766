#!/bin/sh
# Who may talk: nobody without a policy; a file decides; a change reaches
# connected nodes without a reconnect.
. "$(dirname "$0")/lib.sh"

policy()	# writes the file and makes coordd read it
{
	cat >"$LAB/coord/policy.hujson"
	kill -HUP "$COORDPID"
}

tcp_ok()	# from address port
{
	on "$1" timeout 2 sh -c "echo x | socat -t1 - TCP:$2:$3"
}

tcp_no()
{
	! tcp_ok "$@"
}

lab_init policy
two_nodes "" || exit 1
check "no policy: peers do not see each other" sees_not a b
coordctl user create v >/dev/null
A=$(ip4 a) B=$(ip4 b)
on_bg b "$LAB/b/s1.log" socat TCP-LISTEN:81,fork,reuseaddr SYSTEM:cat
on_bg b "$LAB/b/s2.log" socat TCP-LISTEN:82,fork,reuseaddr SYSTEM:cat

cat >"$LAB/coord/policy.hujson" <<-X
{ "acls": [] }
X
coord_conf "policy file \"$LAB/coord/policy.hujson\"" \
    >"$LAB/coord/coordd.conf"
kill -HUP "$COORDPID"
sleep 0.5
check "empty policy: still nobody" sees_not a b

policy <<X
{
	// only port 81, only from a to b
	"hosts": { "a": "$A", "b": "$B" },
	"acls": [ { "action": "accept", "src": ["a"], "dst": ["b:81"] } ],
}
X
check "allow a to b:81: a sees b" wait_for 5 sees a b
check "port 81 is open" wait_for 5 tcp_ok a "$B" 81
check "port 82 is not" tcp_no a "$B" 82
check "b may not open to a" sh -c "! ip netns exec $P-b ping -c 1 -W 1 $A"

policy <<X
{ "acls": [ { "action": "accept", "src": ["*"], "dst": ["*:*"] } ] }
X
check "allow all: port 82 opens" wait_for 5 tcp_ok a "$B" 82
check "and b pings a" wait_for 5 ping_ok b "$A"

policy <<X
{ "acls": [ { "action": "accept", "src": ["u@"], "dst": ["b@:1"] } ]
X
sleep 0.5
check "a broken policy changes nothing" tcp_ok a "$B" 82
check "and is named with its line" grep -qE 'policy.hujson:[0-9]+' \
    "$LAB/coord/coordd.1.log"

policy <<X
{ "acls": [] }
X
check "deny again: the peer goes" wait_for 5 sees_not a b
check "and nothing passes" sh -c "! ip netns exec $P-b ping -c 1 -W 1 $A"
check "coordctl policy check takes a good file" sh -c "
    echo '{\"acls\":[]}' >$LAB/p.hujson
    $COORDCTL -s $LAB/coord/coordd.sock policy check $LAB/p.hujson"
check "and refuses a bad one with its line" sh -c "
    printf '{\n\"acls\": [ {\"action\": \"deny\"} ] }' >$LAB/p.hujson
    ! $COORDCTL -s $LAB/coord/coordd.sock policy check $LAB/p.hujson >$LAB/e 2>&1
    grep -q ':2' $LAB/e"
