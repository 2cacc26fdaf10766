#!/bin/sh
# Control over https, through a TLS proxy in front of coordd: a good
# certificate is taken, one of a stranger or for another name is refused.
command -v stunnel >/dev/null || command -v stunnel4 >/dev/null ||
    { echo "skip: needs stunnel"; exit 77; }
. "$(dirname "$0")/lib.sh"

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
tls_ca ca
tls_ca stranger
tls_cert good ca IP:10.77.0.1
tls_cert alien stranger IP:10.77.0.1
tls_cert other ca DNS:other.example
chmod 644 "$LAB/ca.pem"
conf="auth key \"$key\"
ca file \"$LAB/ca.pem\""
node_conf a "$conf"
sed -i 's|http://10.77.0.1:8080|https://10.77.0.1:8443|' "$LAB/a/shoald.conf"

tls_proxy alien 8443
node_run a alien
check "a stranger's certificate is refused, and the line says so" \
    wait_for 8 log_has 'certificate'
check "nothing was registered" nodes_is 'length == 0'
node_stop a
rm -f "$LAB/a"/shoald.*.log
tls_proxy other 8443
node_run a other
check "a certificate for another name is refused" wait_for 8 \
    log_has 'certificate'
node_stop a
rm -f "$LAB/a"/shoald.*.log
tls_proxy good 8443
node_run a good
check "a good one is taken: the node is up" node_wait_up a 10
check "and nothing warns of plain http" sh -c \
    "! grep -qi 'http://' $LAB/a/shoald.good.log"
