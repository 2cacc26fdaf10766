# What many.sh and the test of it share, after e2e/lib.sh: peers by the
# hundred in host "p", one process, and the nodes that have them. Sourced.
#
#	many_build		the program
#	many_peers host N	N peers, and host "p" that they are in
#	many_route host N	a wire from that host, 10.77.0.N, to them
#	many_shoal		coordd and node "a" that has them all
#	many_wg host program N	wireguard-go in that host, 10.77.0.N, the same
#	many_ready file		until a program said so

: "${CC:=cc}"
MANY=$LAB/manypeers

many_build()
{
	$CC -O2 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
	    -I"$TOP/proto" -I"$TOP/compat" -o "$MANY" \
	    "$TOP/regress/bench/manypeers.c" "$TOP/regress/bench/mphs.c" \
	    "$TOP/regress/bench/mptraffic.c" "$BUILD/proto/libproto.a" \
	    "$BUILD/compat/libcompat.a" -lsodium -lcrypto -lbsd
}

many_peers()
{
	NPEERS=$1
	lab_host p 5
	on p ip route add local 10.88.0.0/16 dev lo
	"$MANY" keys "$NPEERS" >"$LAB/keys"
}

# Not by the lab's bridge: what the sender's processor would spend there is
# no work of the node's.
many_route()
{
	ip link add many0 netns "$P-$1" type veth peer name "many$2" \
	    netns "$P-p"
	on "$1" ip addr add "10.78.$2.1/30" dev many0
	on p ip addr add "10.78.$2.2/30" dev "many$2"
	on "$1" ip link set many0 up
	on p ip link set "many$2" up
	on "$1" ip route add 10.88.0.0/16 via "10.78.$2.2" src "10.77.0.$2"
	on p ip route add "10.77.0.$2" via "10.78.$2.1"
}

# As WireGuard-only peers: they have no disco, and say nothing by themselves.
many_add()
{
	while read -r _i _hex _b64; do
		_at=$((_i / 256)).$((_i % 256))
		coordctl node add-wireguard "p$_i" --key "nodekey:$_hex" \
		    --endpoint "10.88.$_at:51820" \
		    --allow "100.96.$_at/32" >/dev/null || return 1
	done <"$LAB/keys"
}

many_known()
{
	ctl_is a --argjson n "$NPEERS" '(.Peer | length) >= $n'
}

many_shoal()
{
	lab_host coord 1
	lab_host a 2
	coord_start || return 1
	coordctl user create u >/dev/null
	many_add || return 1
	many_route a 2
	node_start a "auth key \"$(key_create --user u)\"
listen on port 41641"
	node_wait_up a && wait_for 20 many_known || return 1
	AKEY=$(ctl a status --json | jq -r .Self.PublicKey)
	AKEY=${AKEY#nodekey:}
	AADDR=$(ip4 a)
}

# Leaves its pid in $WGPID and its key in $WGKEY.
many_wg()
{
	_if=$1m$$
	(umask 077; wg genkey >"$LAB/$1/key")
	on_bg "$1" "$LAB/$1/wg.log" "$2" -f "$_if"
	WGPID=$BGPID
	wait_for 5 on "$1" ip link show "$_if" || return 1
	{
		printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\n' \
		    "$(cat "$LAB/$1/key")"
		while read -r _i _hex _b64; do
			_at=$((_i / 256)).$((_i % 256))
			printf '[Peer]\nPublicKey = %s\nAllowedIPs = %s\n' \
			    "$_b64" "100.96.$_at/32"
			printf 'Endpoint = %s:51820\n' "10.88.$_at"
		done <"$LAB/keys"
	} >"$LAB/$1/wg.conf"
	chmod 600 "$LAB/$1/wg.conf"
	on "$1" wg setconf "$_if" "$LAB/$1/wg.conf" || return 1
	on "$1" ip addr add 100.64.0.200/10 dev "$_if"
	on "$1" ip link set "$_if" mtu 1280 up
	many_route "$1" "$3"
	WGKEY=$(wg pubkey <"$LAB/$1/key" | base64 -d | od -An -vtx1 |
	    tr -d ' \n')
}

many_ready()
{
	wait_for 30 grep -q ready "$1"
}

# many_to host node key inner-address seconds rate pids: peers to the node.
# One JSON object: delivered (to the node's program), sent, cpu.
many_to()
{
	: >"$LAB/sink.err"
	on_bg "$1" "$LAB/sink.json" sh -c "exec '$MANY' sink $5 \
	    2>'$LAB/sink.err'"
	_sink=$BGPID
	many_ready "$LAB/sink.err" || return 1
	# The pids are words.
	# shellcheck disable=SC2086
	on p timeout 120 "$MANY" to "$2" "$3" "$NPEERS" "$5" 1200 "$6" "$4" \
	    $7 >"$LAB/to.json" 2>"$LAB/to.err" || return 1
	wait "$_sink"
	jq -cs add "$LAB/to.json" "$LAB/sink.json"
}

# many_from host node key seconds burst rate pids: the node to its peers.
many_from()
{
	: >"$LAB/from.err"
	on_bg p "$LAB/from.json" sh -c "exec '$MANY' from $2 $3 $NPEERS $4 \
	    $7 2>'$LAB/from.err'"
	_from=$BGPID
	many_ready "$LAB/from.err" || return 1
	on "$1" timeout 120 "$MANY" send "$NPEERS" "$4" 1200 "$5" "$6" \
	    >"$LAB/send.json" || return 1
	wait "$_from"
	jq -cs add "$LAB/send.json" "$LAB/from.json"
}
