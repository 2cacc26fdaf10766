#!/bin/sh
# A login without a key: shoalctl shows a URL, the administrator approves it.
. "$(dirname "$0")/lib.sh"

has_url()
{
	# jq -e calls no input at all a success.
	[ "$(ctl a status --json |
	    jq -r '.AuthURL | startswith("http")')" = true ]
}

lab_init interactive
lab_host coord 1
lab_host a 2
coord_start || exit 1
coordctl user create u >/dev/null
node_start a
on_bg a "$LAB/a/up.log" "$SHOALCTL" -s "$LAB/a/shoald.sock" up
up=$BGPID
check "a URL is offered" wait_for 10 has_url
url=$(ctl a status --json | jq -r .AuthURL)
check "shoalctl up shows it" wait_for 5 grep -qF "$url" "$LAB/a/up.log"
check "the page is there" sh -c "ip netns exec $P-a curl -sf '$url' |
    grep -q 'coordctl node approve'"
id=${url##*/}
check "an unknown id is refused" sh -c \
    "! $COORDCTL -s $LAB/coord/coordd.sock node approve nonsense --user u"
check "approve" coordctl node approve "$id" --user u
check "the node is up" node_wait_up a
gone()
{
	! kill -0 "$up"
}
check "shoalctl up ends" wait_for 5 gone
wait "$up"
check "with success" [ $? -eq 0 ]
check "down" ctl a down
stopped()
{
	[ "$(ctl a status --json | jq -r .BackendState)" = Stopped ]
}
check "it is stopped" wait_for 5 stopped
check "up again needs no login" ctl a up
check "it is up" node_wait_up a
check "down is kept over a restart" sh -c "
    $SHOALCTL -s $LAB/a/shoald.sock down"
node_stop a
node_run a 2
check "still stopped" wait_for 5 stopped
