#!/bin/sh
# Who may use a relay, and relays that work together: admission by a server
# that allows, refuses, is slow, is wrong, is down; by a file that changes.
# A mesh of two relays: packets both ways, one killed and back, a wrong key,
# a wrong pin. With DERPER set: a mesh with the real one.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
lab_init derpdpeers
lab_host r1 9
lab_host r2 10
lab_host cli 5

cc -O1 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
    -I"$TOP/proto" -I"$TOP/compat" -I"$TOP/imsg" -o "$LAB/derpcli" \
    "$TOP/regress/e2e/derpcli.c" "$TOP/regress/e2e/dcli.c" \
    "$TOP/proto/libproto.a" "$TOP/compat/libcompat.a" \
    -lsodium -lssl -lcrypto -ljansson -lbsd || exit 1

relay_conf()	# name address lines
{
	cat >"$LAB/$1/derpd.conf" <<-EOF
	hostname "$2"
	listen on $2 port 80
	listen on $2 port 443 tls self-signed
	state "$LAB/$1/state/key"
	$3
	EOF
}

relay_start()	# name
{
	on_bg "$1" "$LAB/$1/derpd.log" "$DERPD" -dv -f "$LAB/$1/derpd.conf"
	eval "RELAY_$1=$BGPID"
	wait_for 5 grep -q 'relaying for' "$LAB/$1/derpd.log"
}

relay_stop()	# name
{
	eval "kill_wait \$RELAY_$1"
}

reloaded()	# name, times
{
	[ "$(grep -c 'configuration reloaded' "$LAB/$1/derpd.log")" -eq "$2" ]
}

relay_reload()	# name
{
	_n=$(grep -c 'configuration reloaded' "$LAB/$1/derpd.log")
	eval "kill -HUP \$RELAY_$1"
	wait_for 3 reloaded "$1" $((_n + 1))
}

pin()
{
	sed -n 's/.*"\(sha256-raw:[0-9a-f]*\)".*/\1/p' "$LAB/$1/derpd.log"
}

cli()
{
	on cli timeout 30 "$LAB/derpcli" "$@"
}

not()
{
	! "$@"
}

# --- admission: a server ---
KEY1=$(printf '%064d' 7)
KEY2=$(printf '%064d' 8)
relay_conf r1 10.77.0.9 'verify clients "http://127.0.0.1:8080/verify"'
check "derpd starts" relay_start r1
check "admission server down: refused" not cli 10.77.0.9 80 login
echo allow >"$LAB/how"
on_bg r1 "$LAB/adm.log" python3 "$TOP/regress/e2e/admission.py" 127.0.0.1 \
    8080 "$LAB/how"
ADM=$BGPID
wait_for 5 on r1 sh -c 'ss -ltn | grep -q 127.0.0.1:8080'
check "it allows: in" cli 10.77.0.9 80 login "$KEY1"
check "it was asked by key and address" \
    grep -q '^nodekey:[0-9a-f]\{64\} 10.77.0.5$' "$LAB/adm.log"
check "two clients talk" cli -t 10.77.0.9 443 pair
echo refuse >"$LAB/how"
check "it refuses: out" not cli 10.77.0.9 80 login
check "who was in a moment ago is in still" cli 10.77.0.9 80 login "$KEY1"
for how in error garbage; do
	echo $how >"$LAB/how"
	check "its answer is $how: out" not cli 10.77.0.9 80 login
done
echo slow >"$LAB/how"
t0=$(now_ms)
check "it is slow: out" not cli 10.77.0.9 80 login
t=$(($(now_ms) - t0))
check "after 5 s ($t ms)" [ $t -gt 4500 ] && [ $t -lt 6500 ]
kill_wait "$ADM"
check "it is gone: out" not cli 10.77.0.9 80 login

# --- admission: a server with TLS ---
echo allow >"$LAB/how"
on r1 openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -days 30 -subj /CN=adm -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$LAB/adm.pem" -out "$LAB/adm.crt" 2>/dev/null
cat "$LAB/adm.crt" >>"$LAB/adm.pem"
on_bg r1 "$LAB/adm2.log" python3 "$TOP/regress/e2e/admission.py" 127.0.0.1 \
    8443 "$LAB/how" "$LAB/adm.pem"
ADM=$BGPID
relay_conf r1 10.77.0.9 'verify clients "https://127.0.0.1:8443/verify"'
relay_stop r1
check "with an admission server by https" relay_start r1
wait_for 5 on r1 sh -c 'ss -ltn | grep -q 127.0.0.1:8443'
check "whose certificate does not verify: out" not cli 10.77.0.9 80 login
relay_conf r1 10.77.0.9 "verify clients \"https://127.0.0.1:8443/verify\"
ca file \"$LAB/adm.crt\""
relay_stop r1
relay_start r1
check "it verifies and allows: in" cli 10.77.0.9 80 login
kill_wait "$ADM"
relay_stop r1

# --- admission: a file ---
pub()	# private key: what the file wants
{
	python3 -c '
import sys
from ctypes import *
s = CDLL("libsodium.so.23")
o = create_string_buffer(32)
s.crypto_scalarmult_base(o, bytes.fromhex(sys.argv[1]))
print("nodekey:" + o.raw.hex())' "$1"
}
{
	echo "# those who may"
	pub "$KEY1"
} >"$LAB/r1/allow"
relay_conf r1 10.77.0.9 ""
relay_start r1
relay_conf r1 10.77.0.9 "verify clients file \"$LAB/r1/allow\""
check "a list comes by a reload" relay_reload r1
check "a key of the file: in" cli 10.77.0.9 80 login "$KEY1"
check "another one: out" not cli 10.77.0.9 80 login "$KEY2"
pub "$KEY2" >"$LAB/r1/allow.new"
mv "$LAB/r1/allow.new" "$LAB/r1/allow"
check "the file has changed: in" wait_for 6 cli 10.77.0.9 80 login "$KEY2"
check "and the other is out" not cli 10.77.0.9 80 login "$KEY1"
echo nonsense >>"$LAB/r1/allow"
check "a bad file is named" wait_for 6 grep -q 'line 2 of the file' \
    "$LAB/r1/derpd.log"
check "and the old list stays" cli 10.77.0.9 80 login "$KEY2"
relay_stop r1

# --- mesh ---
MESH=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
for r in r1 r2; do
	echo "$MESH" >"$LAB/$r/mesh"
	chmod 600 "$LAB/$r/mesh"
done
relay_conf r1 10.77.0.9 ''
relay_conf r2 10.77.0.10 ''
relay_start r1
relay_start r2
P1=$(pin r1) P2=$(pin r2)
check "no mesh: not found" not on cli timeout 2 \
    "$LAB/derpcli" 10.77.0.9 80 mesh 10.77.0.10 80
check "no mesh key: a mesh client is a stranger" \
    not cli -m "$MESH" 10.77.0.9 80 watch
relay_stop r1
relay_stop r2
relay_conf r1 10.77.0.9 "mesh key file \"$LAB/r1/mesh\"
mesh with { \"10.77.0.10\" pin \"$P2\", \"10.77.0.9\" pin \"$P1\" }"
relay_conf r2 10.77.0.10 "mesh key file \"$LAB/r2/mesh\"
mesh with { \"10.77.0.9\" pin \"$P1\" }"
check "a relay of a mesh starts" relay_start r1
check "another one" relay_start r2
check "it knows itself" wait_for 5 grep -q 'that is this relay' \
    "$LAB/r1/derpd.log"
check "packets pass from relay to relay" \
    cli 10.77.0.9 80 mesh 10.77.0.10 80
check "over TLS" cli -t 10.77.0.9 443 mesh 10.77.0.10 443
check "a mesh client watches and closes" \
    cli -m "$MESH" 10.77.0.9 80 watch
check "another mesh key: a stranger" \
    not cli -m "$(echo "$MESH" | tr 0-9a-f 1-9a-f0)" 10.77.0.9 80 watch
relay_stop r2
sleep 0.2
check "one is killed and back" relay_start r2
check "packets pass again" cli 10.77.0.9 80 mesh 10.77.0.10 80
relay_stop r2
echo "$MESH" | tr 0-9a-f 1-9a-f0 >"$LAB/r2/mesh"
relay_start r2
check "one with another key is not of the mesh" wait_for 10 \
    grep -q '10.77.0.10 port 443: .*mesh key' "$LAB/r1/derpd.log"
relay_stop r2
relay_conf r2 10.77.0.10 "mesh key file \"$LAB/r1/mesh\"
mesh with { \"10.77.0.9\" pin \"$P2\" }"
relay_start r2
check "another pin is refused" wait_for 10 grep -q 'port 443: .*pin' \
    "$LAB/r2/derpd.log"
relay_conf r2 10.77.0.10 "mesh key file \"$LAB/r1/mesh\"
mesh with { \"10.77.0.9\" }"
relay_reload r2
check "without a pin, its certificate must verify" wait_for 10 \
    grep -q 'self-signed certificate' "$LAB/r2/derpd.log"
relay_stop r2

if [ ! -x "${DERPER:-}" ]; then
	echo "skip mesh with the real derper: DERPER is not set"
	exit 0
fi

# --- the real derper: names, certificates of a CA ---
relay_stop r1
HOSTS="10.77.0.9 r1.test
10.77.0.10 r2.test"
for h in r1 r2; do
	mkdir -p "/etc/netns/$P-$h"
	printf '127.0.0.1 localhost\n%s\n' "$HOSTS" >"/etc/netns/$P-$h/hosts"
done
trap 'rm -rf "/etc/netns/$P-r1" "/etc/netns/$P-r2"; lab_end' EXIT
ca()
{
	on cli openssl req "$@" 2>/dev/null
}
ca -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
    -subj /CN=ca.test -keyout "$LAB/ca.key" -out "$LAB/ca.pem"
for h in r1 r2; do
	ca -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$h.test \
	    -x509 -days 30 -CA "$LAB/ca.pem" -CAkey "$LAB/ca.key" \
	    -addext "subjectAltName=DNS:$h.test" \
	    -addext basicConstraints=critical,CA:FALSE \
	    -keyout "$LAB/$h.test.key" -out "$LAB/$h.test.crt"
done
echo "$MESH" >"$LAB/r2/mesh"
cat >"$LAB/r1/derpd.conf" <<EOF
hostname "r1.test"
listen on 10.77.0.9 port 80
listen on 10.77.0.9 port 443 tls certificate "$LAB/r1.test.crt" \
    key "$LAB/r1.test.key"
state "$LAB/r1/state2/key"
ca file "$LAB/ca.pem"
mesh key file "$LAB/r1/mesh"
mesh with { "r2.test" }
EOF
check "derpd in a mesh of names" relay_start r1
on_bg r2 "$LAB/r2/derper.log" env SSL_CERT_FILE="$LAB/ca.pem" "$DERPER" \
    -hostname r2.test -certmode manual -certdir "$LAB" -a 10.77.0.10:443 \
    -http-port 80 -stun=false -c "$LAB/r2/derper.json" \
    -mesh-psk-file "$LAB/r2/mesh" -mesh-with r1.test
check "meshes with the real one" wait_for 15 grep -q \
    'mesh with r2.test port 443: connected' "$LAB/r1/derpd.log"
check "packets pass between it and ours" \
    cli -t -n r1.test 10.77.0.9 443 mesh 10.77.0.10 443 r2.test
