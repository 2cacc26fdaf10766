#!/bin/sh
# Nodes come and go: a third joins, logs out, is deleted, is ephemeral,
# rotates its key, expires; keys are one-shot, expired, revoked.
. "$(dirname "$0")/lib.sh"

nodekey()
{
	ctl "$1" status --json | jq -r .Self.PublicKey
}

state_is()
{
	[ "$(ctl "$1" status --json | jq -r .BackendState)" = "$2" ]
}

log_has()
{
	grep -qE "$2" "$LAB/$1"/shoald.*.log
}

# refused name words...: the command ends with 1 and the server's reason.
refused()
{
	_n=$1
	shift
	timeout 8 "$SHOALCTL" -s "$LAB/$_n/shoald.sock" "$@" \
	    >"$LAB/refused" 2>&1
	[ $? -eq 1 ] && grep -q 'already used' "$LAB/refused"
}

lab_init members
two_nodes || exit 1
lab_host c 4
lab_host d 5
one=$(key_create --user u)
node_start c "auth key \"$one\""
check "a third node joins" node_wait_up c
check "the others see it" wait_for 5 sees a c
check "and reach it" wait_for 5 ping_ok a "$(ip4 c)"

node_start d "auth key \"$one\""
check "a used one-shot key is refused" wait_for 5 log_has d 'already used'
for verb in up login "up --force-reauth" "login --force-reauth"; do
	# Words.
	# shellcheck disable=SC2086
	check "$verb: refused, and it ends" refused d $verb
done
node_stop d
rm -rf "$LAB/d"/state*

old=$(nodekey c)
addr=$(ip4 c)
check "a new node key with a used key is refused, at once" \
    refused c login --force-reauth
check "and it is said what to do" grep -q 'another .auth key' "$LAB/refused"
check "and what holds meanwhile" grep -q 'keeps the key' "$LAB/refused"
check "the old key goes on to serve" sh -c \
    "[ '$old' = '$(nodekey c)' ] && ip netns exec $P-a ping -c 1 -W 1 $addr"
check "and the state says Running" state_is c Running
node_conf c "auth key \"$(key_create --user u --reusable)\""
node_stop c
node_run c 2
node_wait_up c
check "a restart keeps key and address" [ "$old $addr" = \
    "$(nodekey c) $(ip4 c)" ]
check "key rotation is asked for" ctl c login --force-reauth
rotated()
{
	[ "$(nodekey c)" != "$old" ] && state_is c Running
}
check "the node has a new key" wait_for 10 rotated
check "and its old address" [ "$addr" = "$(ip4 c)" ]
check "the others reach it with the new key" wait_for 10 ping_ok a "$addr"

check "c logs out" ctl c logout
check "the others see it expired" wait_for 15 expired a c
check "and reach it no longer" sh -c \
    "! ip netns exec $P-a ping -c 1 -W 1 $addr"
check "its state says so" wait_for 5 state_is c NeedsLogin
node_stop c

eph=$(key_create --user u --ephemeral)
node_start d "auth key \"$eph\""
check "an ephemeral node joins" node_wait_up d
check "and is seen" wait_for 5 sees a d
check "it logs out" ctl d logout
gone()
{
	nodes_is 'map(.name) | index("d") == null'
}
check "and is deleted" wait_for 15 gone
node_stop d
rm -rf "$LAB/d"/state*

id=$(coordctl --json node list |
    jq -r '.[] | select(.name == "b") | .id')
check "expire b" coordctl node expire "$id"
check "b says that it needs a login" wait_for 5 state_is b NeedsLogin
check "up with a used key tells why not" refused b up
check "and what to do" grep -q 'another .auth key' "$LAB/refused"
check "a no longer reaches b" sh -c "sleep 1
    ! ip netns exec $P-a ping -c 1 -W 1 $(ip4 b 2>/dev/null || echo 100.64.0.2)"
check "delete b" coordctl node delete "$id"
check "a loses b" wait_for 10 sees_not a b
rev=$(key_create --user u)
kid=$(coordctl --json key list | jq -r 'max_by(.id) | .id')
check "revoke a key" coordctl key revoke "$kid"
node_start d "auth key \"$rev\""
check "a revoked key is refused" wait_for 5 log_has d \
    'revoked|invalid|authkey'
node_stop d
rm -rf "$LAB/d"/state*
sec=$(key_create --user u --expiry 1s)
sleep 1.2
node_start d "auth key \"$sec\""
check "an expired key is refused" wait_for 5 log_has d 'expired'
