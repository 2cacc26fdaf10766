#!/bin/sh
# Control over https, through a TLS proxy in front of coordd: a good
# certificate is taken, one of a stranger or for another name is refused.
command -v stunnel >/dev/null || command -v stunnel4 >/dev/null ||
    { echo "skip: needs stunnel"; exit 77; }
. "$(dirname "$0")/lib.sh"

# cert name ca-name subject-alt-name
mkca()
{
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" \
	    -keyout "$LAB/$1.key" -out "$LAB/$1.pem" 2>/dev/null
}

cert()
{
	openssl req -newkey rsa:2048 -nodes -subj "/CN=x" \
	    -keyout "$LAB/$1.key" -out "$LAB/$1.csr" 2>/dev/null
	printf 'subjectAltName=%s\n' "$3" >"$LAB/$1.ext"
	openssl x509 -req -in "$LAB/$1.csr" -CA "$LAB/$2.pem" \
	    -CAkey "$LAB/$2.key" -CAcreateserial -days 2 \
	    -extfile "$LAB/$1.ext" -out "$LAB/$1.pem" 2>/dev/null
}

proxy()	# certificate name
{
	[ -z "${PROXY:-}" ] || kill_wait "$PROXY"
	cat >"$LAB/stunnel.conf" <<-X
	foreground = yes
	pid =
	[control]
	accept = 10.77.0.1:8443
	connect = 10.77.0.1:8080
	cert = $LAB/$1.pem
	key = $LAB/$1.key
	X
	on_bg coord "$LAB/coord/stunnel.log" \
	    "$(command -v stunnel4 || command -v stunnel)" "$LAB/stunnel.conf"
	PROXY=$BGPID
	wait_for 5 on coord sh -c "ss -ltn | grep -q :8443"
}

log_has()
{
	grep -qiE "$1" "$LAB"/a/shoald.*.log
}

lab_init tlsproxy
lab_host coord 1
lab_host a 2
coord_start || exit 1
coordctl user create u >/dev/null
key=$(key_create --user u --reusable)
mkca ca
mkca stranger
cert good ca IP:10.77.0.1
cert alien stranger IP:10.77.0.1
cert other ca DNS:other.example
chmod 644 "$LAB/ca.pem"
conf="auth key \"$key\"
ca file \"$LAB/ca.pem\""
node_conf a "$conf"
sed -i 's|http://10.77.0.1:8080|https://10.77.0.1:8443|' "$LAB/a/shoald.conf"

proxy alien
node_run a alien
check "a stranger's certificate is refused, and the line says so" \
    wait_for 8 log_has 'certificate'
check "nothing was registered" nodes_is 'length == 0'
node_stop a
rm -f "$LAB/a"/shoald.*.log
proxy other
node_run a other
check "a certificate for another name is refused" wait_for 8 \
    log_has 'certificate'
node_stop a
rm -f "$LAB/a"/shoald.*.log
proxy good
node_run a good
check "a good one is taken: the node is up" node_wait_up a 10
check "and nothing warns of plain http" sh -c \
    "! grep -qi 'http://' $LAB/a/shoald.good.log"
