# coordd's own TLS: nodes over it, the key in cryptod alone, reloads, floods.
. "$(dirname "$0")/lib.sh"

# cert name [rsa]: a certificate of the lab's authority.
cert()
{
	if [ "${2:-}" = rsa ]; then
		openssl genrsa -out "$LAB/tls/$1.key" 2048 2>/dev/null
	else
		openssl ecparam -genkey -name prime256v1 -noout \
		    -out "$LAB/tls/$1.key" 2>/dev/null
	fi
	openssl req -new -key "$LAB/tls/$1.key" -subj "/CN=$1" \
	    -out "$LAB/tls/$1.csr" 2>/dev/null
	printf 'subjectAltName=IP:10.77.0.1\n' >"$LAB/tls/ext"
	openssl x509 -req -in "$LAB/tls/$1.csr" -CA "$LAB/tls/ca.pem" \
	    -CAkey "$LAB/tls/ca.key" -CAcreateserial -days 2 \
	    -extfile "$LAB/tls/ext" -out "$LAB/tls/$1.pem" 2>/dev/null
	cat "$LAB/tls/ca.pem" >>"$LAB/tls/$1.pem"
}

use()	# certificate key: what the server's files hold
{
	cp "$LAB/tls/$1.pem" "$LAB/tls/now.pem"
	cp "$LAB/tls/$2.key" "$LAB/tls/now.key"
}

# served port name [curl arguments]: does it show that certificate?
served()
{
	on a curl -sv -m 5 --cacert "$LAB/tls/ca.pem" ${3:+"$3" "$4"} \
	    "https://10.77.0.1:$1/health" 2>&1 | grep -q "subject: CN=$2\$"
}

log_has()
{
	tail -n "+$LINES" "$LAB/coord/coordd.1.log" | grep -q "$1"
}

reload()	# text of the log
{
	LINES=$(($(wc -l <"$LAB/coord/coordd.1.log") + 1))
	kill -HUP "$COORDPID"
	wait_for 5 log_has "$1"
}

frontd()
{
	pgrep -P "$COORDPID" frontd
}

others()	# processes of coordd that may not have keys
{
	echo "$COORDPID" $(pgrep -P "$COORDPID" -d ' ' 'frontd|stored')
}

lab_init coordtls
lab_host coord 1
lab_host a 2
lab_host b 3
mkdir "$LAB/tls"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=ca" \
    -keyout "$LAB/tls/ca.key" -out "$LAB/tls/ca.pem" 2>/dev/null
cert one
cert two
cert three rsa
use one one
{
	coord_conf | sed 's|^url.*|url "https://10.77.0.1"|'
	cat <<-X
	listen on 10.77.0.1 port 443 tls certificate "$LAB/tls/now.pem" \\
	    key "$LAB/tls/now.key"
	listen on 10.77.0.1 port 8443 tls certificate "$LAB/tls/three.pem" \\
	    key "$LAB/tls/three.key"
	X
} >"$LAB/coord/coordd.conf"
coord_run || exit 1
coordctl user create u >/dev/null
for t in a b; do
	node_conf $t "auth key \"$(key_create --user u)\"
	ca file \"$LAB/tls/ca.pem\""
	sed -i 's|http://10.77.0.1:8080|https://10.77.0.1|' \
	    "$LAB/$t/shoald.conf"
	node_run $t
done
for t in a b; do
	check "node $t is up over TLS" node_wait_up $t
done
check "they talk" wait_for 5 on a ping -c 1 -W 1 "$(ip4 b)"
check "TLS 1.2 is spoken" served 443 one --tls-max 1.2
check "TLS 1.1 is not" sh -c "! ip netns exec $P-a curl -sk -m 5 \
    --ciphers DEFAULT@SECLEVEL=0 --tls-max 1.1 https://10.77.0.1/health"
check "another port shows another certificate, RSA" served 8443 three
check "the same over TLS 1.2" served 8443 three --tls-max 1.2
for k in now three; do
	check "the key of $k is in no process but cryptod" \
	    python3 "$TOP/regress/e2e/custody.py" "$LAB/tls/$k.key" $(others)
done
check "and that search would find it there" sh -c \
    "! python3 '$TOP/regress/e2e/custody.py' '$LAB/tls/now.key' \
    $(pgrep -P "$COORDPID" cryptod)"

# --- reload ---
use two two
check "a new certificate: reloaded" reload "configuration reloaded"
check "it is served" served 443 two
use one two
check "a key of another certificate is refused" reload \
    "now.key: not the key of the certificate"
check "that changes nothing" reload "reload refused: nothing has changed"
check "the one before is served" served 443 two
echo nonsense >"$LAB/tls/now.pem"
check "no certificate is refused" reload "now.pem: no certificate is in it"
check "the one before is served still" served 443 two
use one one
check "a good one is taken again" reload "configuration reloaded"
check "and served" served 443 one
old=$(pgrep -P "$COORDPID" cryptod)
kill -9 "$old"
check "a killed cryptod is replaced" wait_for 8 sh -c \
    "pgrep -P $COORDPID cryptod | grep -qv '^$old\$'"
check "and signs" wait_for 5 served 443 one
check "nothing of that touched the nodes" nodes_is 'all(.online)'

# --- abuse ---
for i in $(seq 1 250); do
	echo "addr add 10.9.8.$i/32 dev eth0"
done | on a ip -batch -
on coord ip route add 10.9.8.0/24 via 10.77.0.2
on a python3 "$TOP/regress/e2e/abuse.py" 10.77.0.1 443 "$(frontd)" \
    tlsflood tlsslow >"$LAB/abuse.out" 2>&1
while read -r line; do
	case $line in
	"ok "*) ok "${line#ok }" ;;
	"not ok "*) fail "${line#not ok }" ;;
	*) echo "$line" ;;
	esac
done <"$LAB/abuse.out"
RSS=$(awk '/^VmHWM/ { print $2 }' "/proc/$(frontd)/status")
check "frontd never held more than $RSS kB" [ "$RSS" -lt 64000 ]
check "the nodes stayed" nodes_is 'all(.online)'
check "no process was lost but the one killed here" sh -c \
    "'$COORDCTL' -s '$LAB/coord/coordd.sock' status | grep -q '^replaced *1\$'"
