# What nodes ask coordd besides registration and maps; what others ask it.
. "$(dirname "$0")/lib.sh"

: "${CC:=cc}"
NODE=nodekey:d5678e492b2b338eaaa1285a8343fcc793d1a0f3cb6aa3cec71c0cf2d7eb081a
N="\"Version\":145,\"NodeKey\":\"$NODE\""

# call key method path body: the answer is in $LAB/out.
call()
{
	_k=$1
	shift
	on coord timeout 20 "$LAB/noisecli" -k "$_k" 10.77.0.1 8080 "$@" \
	    >"$LAB/out" 2>&1
}

# says status pattern text: of the last answer.
says()
{
	check "$3" sh -c "head -n 1 '$LAB/out' | grep -qx '$1' &&
	    tail -n +2 '$LAB/out' | grep -q -- '$2' || { cat '$LAB/out'; false; }"
}

lab_init calls
lab_host coord 1
# shellcheck disable=SC2086
$CC -std=c11 -O1 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
    -I"$TOP/proto" -o "$LAB/noisecli" "$TOP/regress/e2e/noisecli.c" \
    ${NOISECLI_FLAGS:-} "$BUILD/proto/libproto.a" -lnghttp2 -ljansson -lzstd \
    -lsodium -lcrypto -lbsd || exit 1
touch "$LAB/records"
chmod 666 "$LAB/records"
cat >"$LAB/hook" <<X
#!/bin/sh
case \$2 in *.bad.*) exit 1 ;; esac
echo "\$(id -un) \$# \$1 \$2 \$3 \$(env | grep -cv '^PATH=\|^PWD=\|^_=\|^SHLVL=')" \
    >>"$LAB/records"
X
chmod 755 "$LAB/hook"
coord_conf "policy allow all
dns update script \"$LAB/hook\"" >"$LAB/coord/coordd.conf"
coord_run || exit 1
coordctl user create alice >/dev/null
key=$(key_create --user alice --reusable)
call one POST /machine/register "{$N,\"Auth\":{\"AuthKey\":\"$key\"},\
\"Hostinfo\":{\"Hostname\":\"one\"}}"
says 200 '"MachineAuthorized":true' "a node registers"

call one GET /machine/whoami ''
says 200 '^one.tail.test alice$' "whoami"
call two GET /machine/whoami ''
says 200 'no node' "whoami of a machine without a node"
call one POST /machine/whoami ''
says 405 method "a wrong method is refused"
call one PATCH /machine/set-device-attr "{$N,\"Update\":{\"custom:a\":5,\
\"custom:b\":\"x\",\"custom:c\":true}}"
says 200 '{}' "attributes"
call one PATCH /machine/set-device-attr "{$N,\"Update\":{\"custom:a\":null}}"
says 200 '{}' "one is taken back"
check "the others are kept" sh -c "'$COORDCTL' -s '$LAB/coord/coordd.sock' \
    node show one | grep '^attributes *custom:b=\"x\",custom:c=true\$'"
call one PATCH /machine/set-device-attr "{$N,\"Update\":{\"node:os\":\"x\"}}"
says 400 custom "those of other kinds are not a node's to set"
call one PATCH /machine/set-device-attr \
    "{$N,\"Update\":{$(seq -s , -f '"custom:a%.0f":1' 1 64)}}"
says 500 kept "66 are too many"
call one POST /machine/update-health \
    "{$N,\"Subsys\":\"dns\",\"Error\":\"bad\\nthing\"}"
check "health: 204" grep -qx 204 "$LAB/out"
check "it is logged, on one line" grep -q "one: health: dns: bad?thing" \
    "$LAB/coord/coordd.1.log"
call one POST /machine/audit-log \
    "{$N,\"Action\":\"DISCONNECT_NODE\",\"Details\":\"lunch\"}"
says 200 '{}' "an entry for the audit log"
call one POST /machine/audit-log "{$N,\"Action\":\"rm -rf\"}"
says 400 Action "nonsense for it is refused"
call one POST /machine/feature/query "{$N,\"Feature\":\"serve\"}"
says 200 '{"Complete":true}' "feature: serve"
call one POST /machine/feature/query "{$N,\"Feature\":\"funnel\"}"
says 200 'does not offer' "feature: funnel"
call one POST /machine/webclient/init/1/to/1 ''
says 501 . "what is not there: 501"

# --- somebody else's node ---
for c in "PATCH set-device-attr \"Update\":{\"custom:a\":1}" \
    "POST update-health \"Error\":\"x\"" \
    "POST audit-log \"Action\":\"DISCONNECT_NODE\"" \
    "POST id-token \"Audience\":\"x\"" \
    "POST set-dns \"Type\":\"TXT\",\"Name\":\"_acme-challenge.one.tail.test\",\
\"Value\":\"x\""; do
	# shellcheck disable=SC2086
	set -- $c
	call two "$1" "/machine/$2" "{$N,$3}"
	says 404 'node not found' "$2: not with another machine key"
done

# --- records ---
acme()	# name value
{
	call one POST /machine/set-dns \
	    "{$N,\"Type\":\"TXT\",\"Name\":\"$1\",\"Value\":\"$2\"}"
}
acme _acme-challenge.one.tail.test abc-DEF_123
says 200 '{}' "set-dns"
check "the script ran as nobody, with an empty environment" grep -qx \
    'nobody 3 set _acme-challenge.one.tail.test abc-DEF_123 0' "$LAB/records"
acme _acme-challenge.two.tail.test abc
says 403 'node itself' "not for another node"
acme one.tail.test abc
says 403 'node itself' "nor another name"
acme _acme-challenge.one.tail.test '$(id)'
says 403 'node itself' "nor words for a shell"
check "the script saw none of those" [ "$(wc -l <"$LAB/records")" -eq 1 ]
coordctl node rename one bad >/dev/null
acme _acme-challenge.bad.tail.test abc
says 500 'could not be made' "a script that fails"
call one POST /machine/map "{$N}"
says 200 '"CertDomains":\["bad.tail.test"\]' "nodes hear that they may have a \
certificate"

# --- tokens ---
call one POST /machine/id-token \
    "{\"CapVersion\":145,\"NodeKey\":\"$NODE\",\"Audience\":\"sts.example\"}"
says 200 id_token "an ID token"
on coord curl -s http://10.77.0.1:8080/.well-known/jwks.json >"$LAB/jwks"
check "its signature is good" sh -c "python3 '$TOP/regress/e2e/jwt.py' \
    '$(tail -n 1 "$LAB/out" | jq -r .id_token)' '$LAB/jwks' >'$LAB/claims'"
for c in 'aud="sts.example"' 'iss="http://10.77.0.1:8080"' 'user="alice"' \
    'sub="bad.tail.test"' 'nid=1'; do
	check "it says $c" grep -qx "$c" "$LAB/claims"
done
check "discovery names the keys" sh -c "ip netns exec $P-coord curl -s \
    http://10.77.0.1:8080/.well-known/openid-configuration |
    jq -e '.jwks_uri == \"http://10.77.0.1:8080/.well-known/jwks.json\"'"
check "its key is in no process but cryptod" \
    python3 "$TOP/regress/e2e/custody.py" "$LAB/coord/state" "$COORDPID" \
    $(pgrep -P "$COORDPID" -d ' ' 'frontd|stored')

# --- relays and people ---
web()	# path curl arguments...: the answer is in $LAB/out, its head in $LAB/head
{
	_p=$1
	shift
	on coord curl -s -m 10 -D "$LAB/head" "$@" "http://10.77.0.1:8080$_p" \
	    >"$LAB/out"
}

web /verify -d "{\"NodePublic\":\"$NODE\",\"Source\":\"192.0.2.1\"}"
check "a relay may serve the node" grep -qx '{"Allow":true}' "$LAB/out"
web /verify -d "{\"NodePublic\":\"nodekey:$(printf '%064d' 7)\"}"
check "and not another" grep -qx '{"Allow":false}' "$LAB/out"
web /version
check "the version" sh -c "jq -e '.version | length > 0' '$LAB/out'"
NEW=nodekey:$(printf '%064d' 8)
call three POST /machine/register "{\"Version\":145,\"NodeKey\":\"$NEW\",\
\"Hostinfo\":{\"Hostname\":\"<b>three\",\"OS\":\"linux\",\"OSVersion\":\"6.1\",\
\"IPNVersion\":\"1.80\"}}"
id=$(tail -n 1 "$LAB/out" | jq -r .AuthURL | sed 's|.*/||')
web "/register/$id"
check "the page of a login names the machine" grep -q '&lt;b&gt;three' \
    "$LAB/out"
check "its system" grep -q 'linux 6.1' "$LAB/out"
check "its key" grep -q "$NEW" "$LAB/out"
check "and what to type" grep -q "coordctl node approve $id --user NAME" \
    "$LAB/out"
check "it runs nothing" sh -c "! grep -qi '<script\|<b>' '$LAB/out' && grep -q \
    \"^Content-Security-Policy: default-src 'none'; style-src 'sha256-\" \
    '$LAB/head'"
hash=$(python3 -c "import sys, re, base64, hashlib
t = re.search('<style>(.*)</style>', open(sys.argv[1]).read(), re.S).group(1)
print(base64.b64encode(hashlib.sha256(t.encode()).digest()).decode())" \
    "$LAB/out")
check "its style is the one that the head allows" grep -qF "'sha256-$hash'" \
    "$LAB/head"
check "what it says works" coordctl node approve "$id" --user alice
web "/register/$id"
check "then it says that no login waits" sh -c "head -n 1 '$LAB/head' |
    grep -q 404 && grep -q 'No login waits' '$LAB/out'"
web /verify -d "{\"NodePublic\":\"$NEW\"}"
check "and a relay may serve it" grep -qx '{"Allow":true}' "$LAB/out"
coordctl node expire 1 >/dev/null
call one POST /machine/id-token "{$N,\"Audience\":\"x\"}"
says 403 right "no token for a node that has expired"
web /verify -d "{\"NodePublic\":\"$NODE\"}"
check "and no relay" grep -qx '{"Allow":false}' "$LAB/out"
check "no process was lost" sh -c "'$COORDCTL' -s '$LAB/coord/coordd.sock' \
    status | grep -q '^replaced *0\$'"
