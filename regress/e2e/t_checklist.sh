#!/bin/sh
# What real clients need of coordd, point by point, as it looks on the wire:
# the key, the upgrade, the session, registration's branches, the calls that
# are not there, and the pages that people see. Source: control.md 9.
. "$(dirname "$0")/lib.sh"

: "${CC:=cc}"
U=http://10.77.0.1:8080
ZERO=nodekey:$(printf '%064d' 0)

cli()	# machine flags... method path body: the answer is in $LAB/out
{
	_m=$1
	shift
	on coord timeout 20 "$LAB/noisecli" -k "$_m" 10.77.0.1 8080 "$@" \
	    >"$LAB/out" 2>&1
}

# reg machine number fields pattern text: what a registration is told
reg()
{
	cli "$1" POST /machine/register "{\"Version\":145,\"NodeKey\":\
\"nodekey:$(printf '%064d' "$2")\"$3}"
	check "$5" sh -c "head -n 1 '$LAB/out' | grep -qx 200 &&
	    tail -n 1 '$LAB/out' | jq -e '$4'"
}

# web status what curl-arguments...: head and body are in $LAB/head, $LAB/body
web()
{
	_s=$1 _t=$2
	shift 2
	on coord curl -s -m 10 -D "$LAB/head" -o "$LAB/body" "$@"
	check "$_t: $_s" grep -q "^HTTP/1.1 $_s " "$LAB/head"
}

lab_init checklist
lab_host coord 1
# shellcheck disable=SC2086
$CC -std=c11 -O1 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
    -I"$TOP/proto" -o "$LAB/noisecli" "$TOP/regress/e2e/noisecli.c" \
    ${NOISECLI_FLAGS:-} "$BUILD/proto/libproto.a" -lnghttp2 -ljansson -lzstd \
    -lsodium -lcrypto -lbsd || exit 1
coord_conf "policy allow all" >"$LAB/coord/coordd.conf"
coord_run || exit 1
coordctl user create alice >/dev/null

# --- the key ---
web 200 "the key" "$U/key?v=145"
check "it is JSON, with a public key" jq -e \
    '.publicKey | test("^mkey:[0-9a-f]{64}$")' "$LAB/body"
check "and says so" grep -qi '^content-type: application/json' "$LAB/head"
web 400 "the key without a version" "$U/key"
web 400 "for a version that is none" "$U/key?v=x"
web 400 "for a version that is too old" "$U/key?v=39"

# --- the upgrade ---
web 400 "no Upgrade" -X POST "$U/ts2021"
web 400 "another Upgrade" -X POST -H 'Connection: upgrade' \
    -H 'Upgrade: h2c' "$U/ts2021"
web 400 "no handshake" -X POST -H 'Connection: upgrade' \
    -H 'Upgrade: Tailscale-Control-Protocol' "$U/ts2021"
check "the token counts in any case" grep -q Handshake "$LAB/body"
web 400 "a handshake that is none" -X POST -H 'Connection: upgrade' \
    -H 'Upgrade: tailscale-control-protocol' \
    -H 'X-Tailscale-Handshake: AAAA' "$U/ts2021"
web 405 "another method" -X PUT "$U/ts2021"
web 400 "WebSocket without our protocol" -H 'Connection: Upgrade' \
    -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
    -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' \
    "$U/ts2021?X-Tailscale-Handshake=AAAA"

# --- the session ---
cli one -s GET /machine/whoami ''
check "it begins with a challenge" grep -q \
    '^early {"nodeKeyChallenge":"chalpub:[0-9a-f]\{64\}"}' "$LAB/out"
check "100 requests at a time, at least" sh -c "
    [ \$(sed -n 's/^streams //p' '$LAB/out') -ge 100 ]"
cli one -w -s GET /machine/whoami ''
check "over WebSocket too, there without a challenge" sh -c "
    grep -qx 200 '$LAB/out' && ! grep -q '^early' '$LAB/out'"
for c in 'GET /machine/tka/bootstrap' 'GET /machine/tka/sync/offer' \
    'POST /machine/webclient/init/1/to/2' 'POST /machine/nonsense' \
    'GET /machine/ssh/action/1/to/2'; do
	# shellcheck disable=SC2086
	cli one $c "{\"Version\":145,\"NodeKey\":\"$ZERO\"}"
	check "not there: $c" grep -qx 501 "$LAB/out"
done
cli one GET / ''
check "nothing else is inside" sh -c "head -n 1 '$LAB/out' | grep -q '^[45]'"
cli one POST /machine/map "{\"Version\":145,\"NodeKey\":\"$ZERO\"}"
check "a map of no node" sh -c "head -n 1 '$LAB/out' | grep -qx 400"
cli one POST /machine/map "{\"Version\":145,\"Stream\":true,\"NodeKey\":\
\"nodekey:$(printf '%064d' 99)\"}"
check "a map of an unknown node" sh -c "head -n 1 '$LAB/out' | grep -qx 404"

# --- registration ---
once=$(coordctl key create --user alice)
key=$(key_create --user alice --reusable)
H=',"Hostinfo":{"Hostname":"one"}'
reg one 1 "$H" '.AuthURL | startswith("http://10.77.0.1:8080/register/")' \
    "nothing said: a URL"
u1=$(tail -n 1 "$LAB/out" | jq -r .AuthURL)
reg one 1 "$H,\"Followup\":\"$U/register/nothing\"" \
    ".AuthURL | startswith(\"$U/register/\")" "a URL that is gone: another"
reg one 1 "$H,\"Auth\":{\"AuthKey\":\"wrong\"}" '.Error | test("invalid")' \
    "a key that is none"
reg one 1 "$H,\"Auth\":{\"AuthKey\":\"$once\"}" \
    '.MachineAuthorized and .Error == "" and .Login.LoginName == "alice" and
    .User.ID > 0 and .AuthURL == ""' "a key: it is let in"
reg one 1 "$H,\"Auth\":{\"AuthKey\":\"$once\"}" \
    '.MachineAuthorized and .Error == ""' "the same again, as containers do"
reg two 2 "$H,\"Auth\":{\"AuthKey\":\"$once\"}" '.Error | test("used")' \
    "not another machine by it"
reg two 1 "$H,\"Auth\":{\"AuthKey\":\"$key\"}" \
    '.Error | test("different machine")' "nor with the node key of one"
before=$(coordctl --json node show one | jq -r .expiry)
reg one 1 ',"Expiry":"0001-01-01T00:00:00Z"' \
    '.MachineAuthorized and (.NodeKeyExpired | not)' "a restart"
check "it changes nothing" [ "$before" = \
    "$(coordctl --json node show one | jq -r .expiry)" ]
reg one 1 ',"Expiry":"2199-01-01T00:00:00Z"' '.Error | test("extending")' \
    "a key is not made longer"
reg one 3 "$H,\"OldNodeKey\":\"nodekey:$(printf '%064d' 1)\",\"Auth\":\
{\"AuthKey\":\"$key\"}" '.MachineAuthorized and .Error == ""' "a new key"
check "it is the same node" sh -c "'$COORDCTL' -s '$LAB/coord/coordd.sock' \
    --json node list | jq -e 'length == 1 and .[0].id == 1'"
reg one 3 ",\"Auth\":{\"AuthKey\":\"$key\"},\"Expiry\":\
\"1970-01-01T00:02:03Z\"" '.Error == ""' "logout, in spite of a key"
check "it counts from now" sh -c "'$COORDCTL' -s '$LAB/coord/coordd.sock' \
    --json node show one | jq -e '.expired and (.expiry > \"2024\")'"
reg one 3 "$H" '.NodeKeyExpired' "then its key has expired"
cli one POST /machine/register '{"Version":145}'
check "no node key: 400" sh -c "head -n 1 '$LAB/out' | grep -qx 400"
cli one POST /machine/register 'x'
check "no JSON: 400" sh -c "head -n 1 '$LAB/out' | grep -qx 400"

# --- pages ---
web 200 "health" "$U/health"
check "it is well" jq -e '.status == "pass"' "$LAB/body"
web 200 "version" "$U/version"
web 200 "robots.txt" "$U/robots.txt"
check "nothing is for robots" grep -q '^Disallow: /$' "$LAB/body"
web 404 "what is not there" "$U/nothing"
web 405 "a method that is none of ours" -X DELETE "$U/"
page()	# text: what holds of each page
{
	check "$1: loads nothing and runs nothing" sh -c "! grep -Eqi \
	    '<script|<link|<img|<iframe|<form|url\(|@import| on[a-z]+=|src=|href=' \
	    '$LAB/body'"
	check "$1: fits a small screen" grep -q \
	    'name="viewport" content="width=device-width' "$LAB/body"
	check "$1: says its language and set of characters" sh -c "grep -q \
	    '<html lang=\"en\">' '$LAB/body' && grep -q 'charset=\"utf-8\"' \
	    '$LAB/body'"
	for f in "Content-Security-Policy: default-src 'none'; style-src" \
	    "X-Frame-Options: DENY" "Referrer-Policy: no-referrer" \
	    "X-Content-Type-Options: nosniff" "Cache-Control: no-store"; do
		check "$1: $f" grep -q "^$f" "$LAB/head"
	done
}
web 200 "the first page" "$U/"
page "first page"
web 404 "a login that is none" "$U/register/abc"
page "no login"
web 404 "a login with another alphabet" --path-as-is "$U/register/../x"
web 404 "one that is too long" "$U/register/$(printf '%0200d' 1)"
web 200 "a login" "$u1"
page "login"
check "login: names the machine" grep -q '<td>one</td>' "$LAB/body"
check "login: lines wrap, nothing is wider than the screen" sh -c "
    grep -q 'word-break:break-' '$LAB/body' &&
    grep -q 'max-width:42em' '$LAB/body'"

# --- the relays, for everybody ---
web 200 "the DERP map" "$U/derpmap/default"
check "there are no relays" jq -e '.Regions == {}' "$LAB/body"
web 200 "addresses of relays" "$U/bootstrap-dns?q=x"
check "none" jq -e '. == {}' "$LAB/body"
cat >>"$LAB/coord/coordd.conf" <<'X'
derp region 900 "home" { node "a" host "a.example" ipv4 "192.0.2.1" ipv6 "2001:db8::1"
    node "b" host "b.example" ipv4 "192.0.2.2" ipv6 "none" port 8443 node "c" host "c.example" }
X
kill -HUP "$COORDPID"
published()
{
	on coord curl -s -m 10 -o "$LAB/body" "$U/$1" && jq -e "$2" "$LAB/body"
}
check "after a reload there are" wait_for 5 published derpmap/default \
    '.Regions["900"].Nodes | length == 3 and .[1].DERPPort == 8443'
check "with the addresses that are named" published bootstrap-dns \
    '. == {"a.example": ["192.0.2.1", "2001:db8::1"],
    "b.example": ["192.0.2.2"]}'
old=$(pgrep -P "$COORDPID" stored)
kill -9 "$old"
check "a new stored tells them too" wait_for 8 sh -c "
    n=\$(pgrep -P '$COORDPID' stored) && [ \"\$n\" != '$old' ]"
check "they are known still" published derpmap/default '.Regions["900"]'
