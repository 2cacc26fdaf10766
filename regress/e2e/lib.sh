# What the end-to-end tests share: a laboratory of network namespaces on one
# bridge, a coordination server, nodes. Sourced, not run. Everything that is
# made stands under $LAB and goes with it.
#
#	lab_init name		start; lab_end is called at exit
#	lab_host name N		a namespace with 10.77.0.N and fd77::N
#	on name command...	run in that namespace
#	coord_start [file]	coordd in host "coord"; extra configuration
#	key_create args...	a pre-auth key on standard output
#	node_start name [text]	shoald in that host; extra configuration lines
#	node_wait_up name	until it is Running
#	lab_relay		derpd in host "relay", 10.77.0.9, self-signed
#	lab_relay_pin		its pin on standard output
#	lab_relay_home		coordd's line for it
#	two_nodes, two_up	the usual beginning
#	tls_ca, tls_cert, tls_proxy	https in front of coordd
#	ok text, fail text, check text command...

TOP=$(cd "$(dirname "$0")/../.." && pwd)
: "${BUILD:=$TOP}"
: "${SHOALD:=$BUILD/parent/shoald}" "${COORDD:=$BUILD/coordd/coordd}"
: "${DERPD:=$BUILD/derpd/derpd}"
: "${SHOALCTL:=$BUILD/shoalctl/shoalctl}" "${COORDCTL:=$BUILD/coordctl/coordctl}"
NOK=0
NFAIL=0

ok()
{
	NOK=$((NOK + 1))
	echo "ok $*"
}

fail()
{
	NFAIL=$((NFAIL + 1))
	echo "not ok $*"
}

check()
{
	_what=$1
	shift
	if "$@" >"$LAB/check.log" 2>&1; then
		ok "$_what"
	else
		fail "$_what"
		sed 's/^/#	/' "$LAB/check.log" | tail -n 15
	fi
}

# wait_for seconds command...: until it succeeds; polls every 50 ms.
wait_for()
{
	_end=$(($(date +%s%N) / 1000000 + $1 * 1000))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ $(($(date +%s%N) / 1000000)) -lt $_end ] || return 1
		sleep 0.05
	done
}

now_ms()
{
	echo $(($(date +%s%N) / 1000000))
}

skip_all()
{
	echo "skip: $*"
	exit 77
}

lab_init()
{
	[ "$(id -u)" -eq 0 ] || skip_all "needs root"
	[ -c /dev/net/tun ] || skip_all "needs /dev/net/tun"
	LABNAME=$1
	P="sh$$"
	LAB=$(mktemp -d "/tmp/shoal-$LABNAME.XXXXXX")
	chmod 755 "$LAB"
	LABPIDS=
	LABHOSTS=
	trap lab_end EXIT
	trap 'exit 1' INT TERM HUP
	ip netns add "$P-hub"
	ip netns exec "$P-hub" ip link add br0 type bridge
	ip netns exec "$P-hub" ip link set br0 up
	ip netns exec "$P-hub" ip link set lo up
	# A wire has no hooks of netfilter; a bridge does with br_netfilter.
	for _s in arptables ip6tables iptables; do
		ip netns exec "$P-hub" sysctl -qw \
		    "net.bridge.bridge-nf-call-$_s=0" 2>/dev/null
	done
	return 0
}

lab_host()
{
	_n=$P-$1
	LABHOSTS="$LABHOSTS $1"
	ip netns add "$_n"
	ip link add "$P$1" netns "$P-hub" type veth peer name eth0 netns "$_n"
	ip netns exec "$P-hub" ip link set "$P$1" master br0 up
	ip netns exec "$_n" sysctl -qw net.ipv6.conf.all.accept_dad=0 \
	    net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0
	ip netns exec "$_n" ip link set lo up
	ip netns exec "$_n" ip link set eth0 up
	ip netns exec "$_n" ip addr add "10.77.0.$2/24" dev eth0
	ip netns exec "$_n" ip addr add "fd77::$2/64" dev eth0 nodad
	mkdir -p "$LAB/$1"
}

on()
{
	_h=$1
	shift
	ip netns exec "$P-$_h" "$@"
}

# on_bg host log command...: in the background; its pid in $BGPID.
on_bg()
{
	_h=$1 _log=$2
	shift 2
	ip netns exec "$P-$_h" "$@" >"$_log" 2>&1 </dev/null &
	BGPID=$!
	LABPIDS="$LABPIDS $BGPID"
}

# kill_wait pid [signal]: and wait until it is gone, at most 10 s.
kill_wait()
{
	kill "-${2:-TERM}" "$1" 2>/dev/null || return 0
	_k=0
	while kill -0 "$1" 2>/dev/null; do
		_k=$((_k + 1))
		[ $_k -lt 200 ] || { kill -KILL "$1" 2>/dev/null; return 1; }
		sleep 0.05
	done
	wait "$1" 2>/dev/null
	return 0
}

lab_end()
{
	_status=$?
	trap - EXIT
	for _p in $LABPIDS; do
		kill -TERM "$_p" 2>/dev/null
	done
	for _p in $LABPIDS; do
		kill_wait "$_p"
	done
	for _h in $LABHOSTS hub; do
		for _p in $(ip netns pids "$P-$_h" 2>/dev/null); do
			kill -KILL "$_p" 2>/dev/null
		done
		ip netns del "$P-$_h" 2>/dev/null
	done
	if [ -n "${KEEP:-}" ] || [ $NFAIL -gt 0 ] && [ -n "${KEEP_FAILED:-}" ]
	then
		echo "# kept: $LAB"
	else
		if [ $NFAIL -gt 0 ]; then
			for _l in "$LAB"/*/*.log; do
				[ -e "$_l" ] || continue
				echo "# --- ${_l#"$LAB"/}"
				tail -n 25 "$_l" | sed 's/^/#	/'
			done
		fi
		rm -rf "$LAB"
	fi
	echo "# $LABNAME: $NOK ok, $NFAIL not ok"
	[ $NFAIL -eq 0 ] && [ $NOK -gt 0 ] && [ $_status -eq 0 ]
	exit $?
}

# coord_conf [policy line]: the configuration of the lab's server.
coord_conf()
{
	cat <<-EOF
	url "http://10.77.0.1:8080"
	listen on 10.77.0.1 port 8080
	dns domain "tail.test"
	state "$LAB/coord/state"
	store sqlite "$LAB/coord/store/coordd.db"
	socket "$LAB/coord/coordd.sock"
	${1-policy allow all}
	EOF
}

# Its control socket answers before it has its keys and its store.
coord_serves()	# log
{
	wait_for 10 grep -q 'coordd: serving ' "$LAB/coord/coordd.$1.log"
}

coord_run()
{
	on_bg coord "$LAB/coord/coordd.${1:-1}.log" \
	    "$COORDD" -dv -f "$LAB/coord/coordd.conf"
	COORDPID=$BGPID
	coord_serves "${1:-1}" || {
		fail "coordd starts"
		return 1
	}
}

coord_start()
{
	coord_conf "$@" >"$LAB/coord/coordd.conf"
	coord_run
}

coordctl()
{
	"$COORDCTL" -s "$LAB/coord/coordd.sock" "$@"
}

key_create()
{
	coordctl --json key create "$@" | jq -r 'if type == "array" then
	    .[0].key else .key end'
}

# node_conf name [lines]: writes the configuration of a node; LAB_MTU: not
# 1280.
node_conf()
{
	cat >"$LAB/$1/shoald.conf" <<-EOF
	control "http://10.77.0.1:8080"
	hostname "$1"
	interface "shoal0" mtu ${LAB_MTU:-1280}
	state "$LAB/$1/state"
	socket "$LAB/$1/shoald.sock"
	${2:-}
	EOF
	chmod 600 "$LAB/$1/shoald.conf"
}

node_run()
{
	on_bg "$1" "$LAB/$1/shoald.${2:-1}.log" \
	    "$SHOALD" -dv -f "$LAB/$1/shoald.conf"
	eval "NODEPID_$1=$BGPID"
}

node_start()
{
	node_conf "$@"
	node_run "$1"
}

node_stop()
{
	eval "_np=\$NODEPID_$1"
	kill_wait "$_np"
}

ctl()	# node command...
{
	_c=$1
	shift
	"$SHOALCTL" -s "$LAB/$_c/shoald.sock" "$@"
}

# json_is text jq-arguments...: does the filter hold? No text: it does not.
json_is()
{
	_j=$1
	shift
	[ -n "$_j" ] && printf '%s\n' "$_j" | jq -e "$@"
}

# ctl_is node jq-arguments...: does the filter hold of its status?
ctl_is()
{
	_c=$1
	shift
	json_is "$("$SHOALCTL" -s "$LAB/$_c/shoald.sock" status --json)" "$@"
}

# nodes_is jq-arguments...: does it hold of the server's list of nodes?
nodes_is()
{
	json_is "$(coordctl --json node list)" "$@"
}

# sees node name: does the node have a peer of that name? sees_not: has not.
sees()
{
	ctl_is "$1" --arg n "$2" '[.Peer[]?.HostName] | index($n) != null'
}

sees_not()
{
	ctl_is "$1" --arg n "$2" '[.Peer[]?.HostName] | index($n) == null'
}

# expired node name: does the node show that peer as expired?
expired()
{
	ctl_is "$1" --arg n "$2" \
	    'any(.Peer[]?; .HostName == $n and .Expired == true)'
}

node_running()
{
	ctl_is "$1" '.BackendState == "Running"'
}

node_wait_up()
{
	wait_for "${2:-10}" node_running "$1"
}

ip4()
{
	ctl "$1" ip -4
}

ip6()
{
	ctl "$1" ip -6
}

# child_pid node child: pid of netd, cryptod, ... of that node's shoald.
child_pid()
{
	eval "_pp=\$NODEPID_$1"
	pgrep -P "$_pp" -f "$2" | head -n 1
}

# two_up [lines [lines]]: coordd and nodes a, b that are up, with these lines
# in their configurations, in hosts that are there. Their keys are for one
# use, or what LAB_KEYS says.
two_up()
{
	coord_start "${1-policy allow all}" || return 1
	coordctl user create u >/dev/null
	for _t in a b; do
		node_start $_t "auth key \"$(key_create --user u ${LAB_KEYS:-})\"
${2:-}"
	done
	for _t in a b; do
		node_wait_up $_t || { fail "node $_t is up"; return 1; }
	done
}

# two_nodes [lines [lines]]: the same with the hosts; the usual beginning.
two_nodes()
{
	lab_host coord 1
	lab_host a 2
	lab_host b 3
	two_up "$@"
}

listens()	# host TCP-port
{
	on "$1" ss -Hltn "sport = :$2" | grep -q .
}

# transfer from to address: 8 MB by TCP, 400 datagrams of all sizes by UDP,
# byte for byte.
transfer()
{
	on_bg "$2" "$LAB/got" python3 "$TOP/regress/e2e/stream.py" recv
	_pid=$BGPID
	wait_for 10 listens "$2" 7788 || return 1
	on "$1" timeout 30 python3 "$TOP/regress/e2e/stream.py" send "$3" \
	    >"$LAB/sent" || return 1
	wait "$_pid"
	cat "$LAB/sent" "$LAB/got"
	[ -s "$LAB/sent" ] && cmp "$LAB/sent" "$LAB/got"
}

ping_ok()	# from address
{
	on "$1" ping -c 1 -W 1 "$2"
}

status_says()	# node pattern
{
	ctl "$1" status | grep -q "$2"
}

rx_bytes()	# node
{
	on "$1" cat /sys/class/net/shoal0/statistics/rx_bytes
}

# iperf_server host options...: BGPID; it listens when this returns.
iperf_server()
{
	_is=$1
	shift
	on_bg "$_is" "$LAB/$_is/iperf.log" iperf3 -s "$@"
	wait_for 5 listens "$_is" 5201
}

# rx_moves node: more than 50 kB come out of its tunnel in 0.3 s.
rx_moves()
{
	_b=$(rx_bytes "$1")
	sleep 0.3
	[ $(($(rx_bytes "$1") - _b)) -gt 50000 ]
}

lab_relay()
{
	[ -d "$LAB/relay" ] || lab_host relay 9
	cat >"$LAB/relay/derpd.conf" <<-EOT
	hostname "derp.test"
	listen on 10.77.0.9 port 443 tls self-signed
	stun listen on 10.77.0.9 port 3478
	state "$LAB/relay/state/key"
	EOT
	on_bg relay "$LAB/relay/derpd.log" "$DERPD" -dv \
	    -f "$LAB/relay/derpd.conf"
	wait_for 5 grep -q 'relaying for' "$LAB/relay/derpd.log"
}

lab_relay_pin()
{
	sed -n 's/.*"\(sha256-raw:[0-9a-f]*\)".*/\1/p' "$LAB/relay/derpd.log"
}

# The line of coordd's configuration that makes it the nodes' home.
lab_relay_home()
{
	echo "derp region 900 \"home\" { host \"10.77.0.9\" stun 3478" \
	    "pin \"$(lab_relay_pin)\" }"
}

# tls_ca name [organisation]: an authority; its files are in $LAB.
tls_ca()
{
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 \
	    -subj "${2:+/O=$2}/CN=$1" -keyout "$LAB/$1.key" \
	    -out "$LAB/$1.pem" 2>/dev/null
}

tls_cert()	# name ca subject-alt-name
{
	openssl req -newkey rsa:2048 -nodes -subj "/CN=x" \
	    -keyout "$LAB/$1.key" -out "$LAB/$1.csr" 2>/dev/null
	echo "subjectAltName=$3" >"$LAB/$1.ext"
	openssl x509 -req -in "$LAB/$1.csr" -CA "$LAB/$2.pem" \
	    -CAkey "$LAB/$2.key" -CAcreateserial -days 2 \
	    -extfile "$LAB/$1.ext" -out "$LAB/$1.pem" 2>/dev/null
}

# tls_proxy certificate port: in front of coordd, instead of the one before.
tls_proxy()
{
	[ -z "${PROXY:-}" ] || kill_wait "$PROXY"
	cat >"$LAB/stunnel.conf" <<-X
	foreground = yes
	pid =
	[control]
	accept = 10.77.0.1:$2
	connect = 10.77.0.1:8080
	cert = $LAB/$1.pem
	key = $LAB/$1.key
	X
	on_bg coord "$LAB/coord/stunnel.log" \
	    "$(command -v stunnel4 || command -v stunnel)" "$LAB/stunnel.conf"
	PROXY=$BGPID
	wait_for 5 on coord sh -c "ss -ltn | grep -q :$2"
}
