#!/bin/sh
# Clients of every version that coordd serves: register, map with and without
# Stream, what their version says itself and what it is told. Around each step
# of the protocol one before it and one after. Source: control.md 4.1, 7.
. "$(dirname "$0")/lib.sh"

: "${CC:=cc}"

key_of()	# machine: a node key of its own
{
	printf '%s' "$1" | sha256sum | sed 's/^\(.*\)  -$/nodekey:\1/'
}

# cli version machine flags... method path body: the answer is in $LAB/out.
cli()
{
	_v=$1 _m=$2
	shift 2
	on coord timeout 20 "$LAB/noisecli" -v "$_v" -k "$_m" 10.77.0.1 8080 \
	    "$@" >"$LAB/out" 2>&1
}

# frame version machine json: the first message of a poll
frame()
{
	on coord timeout 20 "$LAB/noisecli" -v "$1" -k "$2" -f 1 10.77.0.1 \
	    8080 POST /machine/map "$3" >"$LAB/out" 2>&1
	json
}

json()	# of the last answer
{
	sed -n '/^{/,$p' "$LAB/out" | head -n 1 >"$LAB/json"
}

is()	# jq-filter, of the last message
{
	jq -e "$1" "$LAB/json"
}

lab_init oldversions
lab_host coord 1
# shellcheck disable=SC2086
$CC -std=c11 -O1 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
    -I"$TOP/proto" -o "$LAB/noisecli" "$TOP/regress/e2e/noisecli.c" \
    ${NOISECLI_FLAGS:-} "$BUILD/proto/libproto.a" -lnghttp2 -ljansson -lzstd \
    -lsodium -lcrypto -lbsd || exit 1
{
	coord_conf "policy allow all"
	echo "derp map file \"$LAB/map.json\""
} >"$LAB/coord/coordd.conf"
cat >"$LAB/map.json" <<X
{"Regions":{"900":{"RegionID":900,"RegionCode":"x","RegionName":"X",
"NoMeasureNoHome":true,"Nodes":[{"Name":"a","RegionID":900,
"HostName":"192.0.2.1"}]}}}
X
coord_run || exit 1
coordctl user create alice >/dev/null
key=$(key_create --user alice --reusable)
PEER=$(key_of peer)
INFO='"OS":"linux","NetInfo":{"PreferredDERP":900}'
D=discokey:$(printf '%064d' 3)
cli 145 peer POST /machine/register "{\"Version\":145,\"NodeKey\":\"$PEER\",\
\"Auth\":{\"AuthKey\":\"$key\"},\"Hostinfo\":{\"Hostname\":\"peer\"}}"
cli 145 peer POST /machine/map "{\"Version\":145,\"NodeKey\":\"$PEER\",\
\"OmitPeers\":true,\"DiscoKey\":\"$D\",\"Hostinfo\":{\"Hostname\":\"peer\",$INFO}}"

for v in 60 67 68 73 74 80 81 110 111 114 115 145; do
	n=$(key_of v$v)
	N="\"Version\":$v,\"NodeKey\":\"$n\""
	cli $v v$v POST /machine/register "{$N,\"OldNodeKey\":\
\"nodekey:$(printf '%064d' 0)\",\"Expiry\":\"0001-01-01T00:00:00Z\",\
\"Followup\":\"\",\"Auth\":{\"Provider\":\"\",\"LoginName\":\"\",\
\"AuthKey\":\"$key\"},\"Hostinfo\":{\"Hostname\":\"v$v\",$INFO}}"
	check "$v: registers" grep -q '"MachineAuthorized":true' "$LAB/out"
	# A poll with all that older ones say in it.
	frame $v v$v "{$N,\"Stream\":true,\"KeepAlive\":true,\"DiscoKey\":\
\"$D\",\"Endpoints\":[\"192.0.2.$v:$v\"],\"Hostinfo\":{\"Hostname\":\"v$v\",\
$INFO}}"
	check "$v: a poll: itself and the peer" is "
	    .Node.Name == \"v$v.tail.test.\" and .Node.MachineAuthorized and
	    ([.Peers[].Name] | index(\"peer.tail.test.\")) != null and
	    .DERPMap.Regions[\"900\"].Nodes[0].HostName == \"192.0.2.1\" and
	    (.UserProfiles | length) > 0 and .Domain == \"tail.test\""
	[ $v -ge 74 ] && w='.Node.CapMap != null' ||
	    w='.Node.CapMap == null and (.Node.Capabilities | length) > 0'
	check "$v: capabilities in its form" is "$w"
	[ $v -ge 81 ] && w='.PacketFilter == null and
	    (.PacketFilters.base | length) > 0' || w='.PacketFilters == null and
	    (.PacketFilter | length) > 0'
	check "$v: the filter in its form" is "$w"
	p='(.Peers[] | select(.Name == "peer.tail.test."))'
	[ $v -ge 111 ] && w="$p.HomeDERP == 900" ||
	    w="$p.DERP == \"127.3.3.40:900\""
	check "$v: the peer's home in its form" is "$w"
	[ $v -ge 115 ] && w='.NoMeasureNoHome' || w='.Avoid'
	check "$v: a region that is no home" is ".DERPMap.Regions[\"900\"]|$w"
	check "$v: addresses are said" is "$p | .AllowedIPs == .Addresses and
	    (.Addresses | length) == 2 and .Hostinfo != null"
	# What it said of itself is kept where polls still say it.
	cli 145 peer POST /machine/map "{\"Version\":145,\"NodeKey\":\"$PEER\"}"
	json
	m="(.Peers[] | select(.Name == \"v$v.tail.test.\"))"
	if [ $v -lt 68 ]; then
		check "$v: what its poll says is kept" is \
		    "$m.Endpoints == [\"192.0.2.$v:$v\"] and
		    $m.DiscoKey == \"$D\" and $m.Cap == $v"
	else
		check "$v: what its poll says is not kept" is \
		    "$m.Endpoints == null"
	fi
	cli $v v$v POST /machine/map "{$N,\"OmitPeers\":true,\"DiscoKey\":\
\"$D\",\"Endpoints\":[\"192.0.2.200:$v\"],\"EndpointTypes\":[1]}"
	check "$v: an update" grep -qx 200 "$LAB/out"
	cli $v v$v POST /machine/map "{$N,\"ReadOnly\":true,\
\"Endpoints\":[\"192.0.2.201:$v\"]}"
	json
	check "$v: one answer without Stream" is \
	    ".Node.Name == \"v$v.tail.test.\" and (.Peers | length) > 0"
	cli 145 peer POST /machine/map "{\"Version\":145,\"NodeKey\":\"$PEER\"}"
	json
	check "$v: the update is kept, what is only to be read is not" is \
	    "$m.Endpoints == [\"192.0.2.200:$v\"] and $m.Cap == $v"
done
cli 59 v59 POST /machine/register '{"Version":59}'
check "59 is told that it is too old" grep -q '400\|unsupported' "$LAB/out"
cli 60 v59 POST /machine/register "{\"Version\":59,\"NodeKey\":\"$(key_of v)\"}"
check "also if its handshake says otherwise" sh -c \
    "head -n 1 '$LAB/out' | grep -qx 400 && grep -q unsupported '$LAB/out'"
