# The NAT laboratory: a public network in one namespace, and nodes behind
# translators of every kind. Sourced after lib.sh by natpairs.sh and others.
#
#	natlab_init name	the public side: coordd, two derpd (regions 901,
#				902) and coturn as a STUN server
#	site_make name kind N	a host of that name, N in 2..250, behind a NAT of
#				that kind
#	site_twins a b kind N	two hosts behind one NAT (N and N + 1 are theirs)
#	site_node name program user	a node there (shoald or tailscaled)
#	site_end name		and away with it
#	wire_make name if N [line]	a wire from the core to an interface there
#	wire_tell N line	changes it; see wire.c
#
# With DERP_WIRED=yes the relays stand behind wires 1 and 2 (ab: towards the
# core), and coturn is not in their map.
#
# Kinds:
#	open	public addresses of both families
#	full	endpoint independent mapping and filtering
#	addr	endpoint independent mapping, address dependent filtering
#	port	endpoint independent mapping, address and port dependent
#		filtering
#	sym	address and port dependent mapping and filtering, random ports
#	cgn	a NAT of kind port behind another of its kind
#	blocked	no UDP
#	v6	IPv6 alone
#	v6fw	IPv6 alone, behind a firewall for flows from inside
#	upnp pmp pcp	a symmetric NAT of nftables with miniupnpd, which
#			answers that protocol alone
#
# Kinds of twins:
#	lan	on one network behind a symmetric NAT
#	hair	each behind a NAT of kind port, both behind a carrier's one
#		that hairpins
#	isp	the same, and it does not
#
# Addresses: 11.1.N.1 and 2c0f:77:1:N::2 are N's public ones, 192.168.N.2 its
# own. Nothing leaves the namespaces.

NLDIR=$TOP/regress/e2e
LAB_TWINS="lan hair isp"
LAB_KINDS="open full addr port sym cgn blocked v6 v6fw upnp pmp pcp"

natlab_tools()
{
	_cc="${CC:-cc} -std=c11 -O2 -D_GNU_SOURCE -Wall -Wextra -Wshadow"
	for _t in "$@"; do
		$_cc -o "$LAB/$_t" "$NLDIR/$_t.c" "$NLDIR/tunns.c" ||
		    exit 1
	done
}

# ns_make name: a namespace that forwards and takes packets as they come.
ns_make()
{
	LABHOSTS="$LABHOSTS $1"
	mkdir -p "$LAB/$1"
	ip netns add "$P-$1"
	ip netns exec "$P-$1" sysctl -qw net.ipv4.ip_forward=1 \
	    net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 \
	    net.ipv4.conf.default.rp_filter=0 \
	    net.ipv6.conf.default.accept_dad=0 \
	    net.ipv4.conf.default.accept_local=1
	ip -n "$P-$1" link set lo up
}

# ips name: lines of ip(8) from standard input.
ips()
{
	ip -n "$P-$1" -batch -
}

core_make()
{
	ns_make core
	ips core <<-X
	addr add 11.0.0.1/32 dev lo
	addr add 11.0.1.1/32 dev lo
	addr add 11.0.1.2/32 dev lo
	addr add 2c0f:77::1/128 dev lo nodad
	addr add 2c0f:77::11/128 dev lo nodad
	route add unreachable 10.0.0.0/8
	route add unreachable 100.64.0.0/10
	route add unreachable 172.16.0.0/12
	route add unreachable 192.168.0.0/16
	X
}

turn_start()
{
	command -v turnserver >/dev/null || skip_all "needs coturn"
	mkdir -p "$LAB/turn"
	on_bg core "$LAB/core/turn.log" turnserver -n -c /dev/null -S \
	    --no-tls --no-dtls --no-tcp --no-cli -m 1 -p 3478 \
	    -L 11.0.1.1 -L 11.0.1.2 -L 2c0f:77::11 \
	    --log-file stdout --simple-log --pidfile "$LAB/turn/pid" \
	    --userdb "$LAB/turn/db"
}

derp_up()
{
	grep -q 'relaying for' "$LAB/core/derpd.$1.log"
}

# wire_make name interface N [line]: packets for it must be routed to wN in
# the core.
wire_make()
{
	tun_make "$1" "$2"
	tun_make core "w$3"
	"$LAB/wire" -c "$LAB/wire.$3" -x "${4:-both delay 0}" -a "$P-$1:$2" \
	    -b "$P-core:w$3" >"$LAB/core/wire.$3.log" 2>&1 </dev/null &
	LABPIDS="$LABPIDS $!"
	ip -n "$P-core" link set "w$3" txqueuelen 5000
	ip -n "$P-$1" link set "$2" txqueuelen 5000
}

wire_tell()	# N line
{
	echo "$2" >"$LAB/wire.$1"
}

# derp_host N: where the relay of that region runs.
derp_host()
{
	_n=$(($1 + 1)) _dev=lo _host=core
	if [ -n "${DERP_WIRED:-}" ]; then
		_dev=eth0 _host=derp$1
		ns_make "derp$1"
		wire_make "derp$1" eth0 "$1"
		ip -n "$P-core" route add "11.0.$_n.1" dev "w$1"
		ip -n "$P-core" route add "2c0f:77:$_n::1" dev "w$1"
	fi
	ip -n "$P-$_host" addr add "11.0.$_n.1/32" dev $_dev
	ip -n "$P-$_host" addr add "2c0f:77:$_n::1/128" dev $_dev nodad
	[ $_dev = lo ] || ips "$_host" <<-X
	route add default dev eth0
	route add ::/0 dev eth0
	X
	eval "DERPHOST_$1=$_host"
}

# derp_start N: region 90N on 11.0.(N+1).1.
derp_start()
{
	_n=$(($1 + 1))
	cat >"$LAB/core/derpd.$1.conf" <<-X
	hostname "derp$1.test"
	listen on 11.0.$_n.1 port 80
	listen on 11.0.$_n.1 port 443 tls self-signed
	listen on "2c0f:77:$_n::1" port 80
	listen on "2c0f:77:$_n::1" port 443 tls self-signed
	stun listen on 11.0.$_n.1 port 3478
	stun listen on "2c0f:77:$_n::1" port 3478
	state "$LAB/core/derp$1/key"
	X
	mkdir -p "$LAB/core/derp$1"
	eval "_host=\$DERPHOST_$1"
	on_bg "$_host" "$LAB/core/derpd.$1.log" "$DERPD" -dv \
	    -f "$LAB/core/derpd.$1.conf"
	eval "DERPPID_$1=$BGPID"
	wait_for 5 derp_up "$1"
}

derp_pin()
{
	sed -n 's/.*"\(sha256-raw:[0-9a-f]*\)".*/\1/p' \
	    "$LAB/core/derpd.$1.log" | head -n 1
}

# In region 902 the first node is coturn, for STUN only.
derp_map()
{
	_stun='{"Name": "902s", "RegionID": 902, "STUNOnly": true,
	   "HostName": "stun.test", "IPv4": "11.0.1.1",
	   "IPv6": "2c0f:77::11"},'
	[ -z "${DERP_WIRED:-}" ] || _stun=
	cat <<-X
	{"Regions": {
	 "901": {"RegionID": 901, "RegionCode": "one", "RegionName": "One",
	  "Nodes": [{"Name": "901a", "RegionID": 901, "CanPort80": true,
	   "HostName": "derp1.test", "CertName": "$(derp_pin 1)",
	   "IPv4": "11.0.2.1", "IPv6": "2c0f:77:2::1"}]},
	 "902": {"RegionID": 902, "RegionCode": "two", "RegionName": "Two",
	  "Nodes": [$_stun
	   {"Name": "902a", "RegionID": 902, "CanPort80": true,
	   "HostName": "derp2.test", "CertName": "$(derp_pin 2)",
	   "IPv4": "11.0.3.1", "IPv6": "2c0f:77:3::1"}]}}}
	X
}

natlab_coord()
{
	mkdir -p "$LAB/coord"
	derp_map >"$LAB/coord/derpmap.json"
	cat >"$LAB/coord/policy.hujson" <<-X
	{"acls": [{"action": "accept", "src": ["autogroup:member"],
	 "dst": ["autogroup:self:*"]}]}
	X
	cat >"$LAB/coord/coordd.conf" <<-X
	url "http://11.0.0.1:8080"
	listen on 11.0.0.1 port 8080
	listen on "2c0f:77::1" port 8080
	dns domain "tail.test"
	state "$LAB/coord/state"
	store sqlite "$LAB/coord/store/coordd.db"
	socket "$LAB/coord/coordd.sock"
	policy file "$LAB/coord/policy.hujson"
	derp map file "$LAB/coord/derpmap.json"
	X
	on_bg core "$LAB/coord/coordd.1.log" "$COORDD" -dv \
	    -f "$LAB/coord/coordd.conf"
	COORDPID=$BGPID
	coord_serves 1
}

# All that runs in namespaces of ours, whoever started it.
natlab_end()
{
	_nlstatus=$?
	trap - EXIT
	for _n in $(ip netns list | sed -n "s/^$P-\([^ ]*\).*/\1/p"); do
		case $_n in
		core|hub) ;;
		*)	site_end "$_n" ;;
		esac
	done
	(exit $_nlstatus)
	lab_end
}

natlab_init()
{
	lab_init "$1"
	trap natlab_end EXIT
	natlab_tools nat wire
	core_make
	turn_start
	derp_host 1
	derp_host 2
	derp_start 1 && derp_start 2 && natlab_coord && return
	fail "the public side starts"
	exit 1
}

# veth_make nsA ifA nsB ifB
veth_make()
{
	ip link add "$2" netns "$P-$1" type veth peer name "$4" netns "$P-$3"
	ip -n "$P-$1" link set "$2" up
	ip -n "$P-$3" link set "$4" up
}

tun_make()
{
	ip -n "$P-$1" tuntap add "$2" mode tun
	ip -n "$P-$1" link set "$2" up
}

# nat_start name inner outer arguments...: devices are host:interface.
nat_start()
{
	_name=$1 _i=$2 _o=$3
	shift 3
	ip netns exec "$P-$_name" "$LAB/nat" \
	    -c "$LAB/$_name/ctl.${_o##*:}" -i "$P-$_i" -o "$P-$_o" "$@" \
	    >"$LAB/$_name/nat.${_o##*:}.log" 2>&1 </dev/null &
	LABPIDS="$LABPIDS $!"
}

# nat_tell name N line: a command for its (outer) NAT.
nat_tell()
{
	echo "$3" >"$LAB/$1/ctl.t$2"
}

# nat_make name N interface arguments of nat...: a NAT at that interface.
nat_make()
{
	_s=$1 _sn=$2 _if=$3
	shift 3
	tun_make "$_s" "$_if"
	tun_make core "t$_sn"
	ip -n "$P-core" route add "11.1.$_sn.1" dev "t$_sn"
	ip -n "$P-$_s" addr add "192.168.$_sn.2/24" dev "$_if"
	nat_start "$_s" "$_s:$_if" "core:t$_sn" -e "11.1.$_sn.1" "$@"
}

site_nat()	# name N arguments of nat...
{
	_sa=$1 _sb=$2
	shift 2
	nat_make "$_sa" "$_sb" eth0 "$@"
	ip -n "$P-$_sa" route add default via "192.168.$_sb.1"
}

site_cgn()	# name N
{
	ns_make "$1c"
	tun_make "$1" eth0
	tun_make "$1c" home
	tun_make "$1c" isp
	tun_make core "t$2"
	ip -n "$P-core" route add "11.1.$2.1" dev "t$2"
	ip -n "$P-$1" addr add "192.168.$2.2/24" dev eth0
	ip -n "$P-$1c" route add "100.64.$2.2" dev home
	nat_start "$1" "$1:eth0" "$1c:home" -e "100.64.$2.2" -f apdf
	nat_start "$1" "$1c:isp" "core:t$2" -e "11.1.$2.1" -f apdf -H
	ip -n "$P-$1c" route add default dev isp
	ip -n "$P-$1" route add default via "192.168.$2.1"
}

# The router's side of their network is a bridge; the NAT is behind it.
twins_lan()	# a b N
{
	ns_make "$1r"
	ip -n "$P-$1r" link add lan type bridge
	_s=1
	for _h in "$1" "$2"; do
		_s=$((_s + 1))
		veth_make "$_h" eth0 "$1r" "lan$_s"
		ip -n "$P-$1r" link set "lan$_s" master lan
		ip -n "$P-$_h" addr add "192.168.$3.$_s/24" dev eth0
		ip -n "$P-$_h" route add default via "192.168.$3.1"
	done
	tun_make "$1r" wan
	tun_make core "t$3"
	ip -n "$P-core" route add "11.1.$3.1" dev "t$3"
	ips "$1r" <<-X
	link set lan up
	addr add 192.168.$3.1/24 dev lan
	route add default dev wan
	X
	nat_start "$1" "$1r:wan" "core:t$3" -e "11.1.$3.1" -m apdm -f apdf -r
}

twins_home()	# host carrier N
{
	tun_make "$1" eth0
	tun_make "$2" "home$3"
	ip -n "$P-$1" addr add "192.168.$3.2/24" dev eth0
	ip -n "$P-$1" route add default via "192.168.$3.1"
	ip -n "$P-$2" route add "100.64.$3.2" dev "home$3"
	nat_start "$1" "$1:eth0" "$2:home$3" -e "100.64.$3.2" -f apdf
}

twins_isp()	# a b N [flag of nat]
{
	ns_make "$1c"
	twins_home "$1" "$1c" "$3"
	twins_home "$2" "$1c" $(($3 + 1))
	tun_make "$1c" isp
	tun_make core "t$3"
	ip -n "$P-core" route add "11.1.$3.1" dev "t$3"
	ip -n "$P-$1c" route add default dev isp
	# shellcheck disable=SC2086
	nat_start "$1" "$1c:isp" "core:t$3" -e "11.1.$3.1" -f apdf ${4:-}
}

site_open()	# name N
{
	veth_make "$1" eth0 core "t$2"
	ips core <<-X
	addr add 11.1.$2.254/24 dev t$2
	addr add 2c0f:77:1:$2::1/64 dev t$2 nodad
	X
	ips "$1" <<-X
	addr add 11.1.$2.1/24 dev eth0
	addr add 2c0f:77:1:$2::2/64 dev eth0 nodad
	route add default via 11.1.$2.254
	route add default via 2c0f:77:1:$2::1
	X
}

site_v6()	# name N mode
{
	tun_make "$1" eth0
	tun_make core "t$2"
	ip -n "$P-core" route add "2c0f:77:1:$2::/64" dev "t$2"
	ip -n "$P-$1" addr add "2c0f:77:1:$2::2/64" dev eth0 nodad
	nat_start "$1" "$1:eth0" "core:t$2" -6 "$3"
	ip -n "$P-$1" route add default via "2c0f:77:1:$2::1"
}

# The router's NAT is symmetric: what comes through is the mapping's doing.
# miniupnpd answers PMP and PCP on one port; nftables tells them apart.
site_router()	# name N protocol
{
	command -v miniupnpd >/dev/null || skip_all "needs miniupnpd"
	ns_make "$1r"
	veth_make "$1" eth0 "$1r" lan
	veth_make "$1r" wan core "t$2"
	ips core <<-X
	addr add 11.1.$2.254/24 dev t$2
	X
	ips "$1r" <<-X
	addr add 11.1.$2.1/24 dev wan
	addr add 192.168.$2.1/24 dev lan
	route add default via 11.1.$2.254
	X
	ips "$1" <<-X
	addr add 192.168.$2.2/24 dev eth0
	route add default via 192.168.$2.1
	X
	router_rules "$3" | ip netns exec "$P-$1r" nft -f -
	router_conf "$1" "$2" "$3" >"$LAB/$1r/miniupnpd.conf"
	on_bg "$1r" "$LAB/$1/miniupnpd.log" miniupnpd -d \
	    -f "$LAB/$1r/miniupnpd.conf" -P "$LAB/$1r/pid"
	wait_for 5 router_listens "$1r"
}

router_listens()
{
	on "$1" ss -Hlun | grep -q -e ':1900 ' -e ':5351 '
}

router_rules()	# protocol
{
	case $1 in
	pmp)	_drop='udp dport 5351 @th,64,8 2 drop' ;;
	pcp)	_drop='udp dport 5351 @th,64,8 0 drop' ;;
	*)	_drop='udp dport 5351 drop' ;;
	esac
	cat <<-X
	table inet filter {
	 chain in {
	  type filter hook input priority -10
	  $_drop
	 }
	 chain forward {
	  type filter hook forward priority 0; policy drop
	  ct state established,related accept
	  iifname "lan" accept
	  jump miniupnpd
	 }
	 chain miniupnpd { }
	 chain prerouting {
	  type nat hook prerouting priority -100
	  jump prerouting_miniupnpd
	 }
	 chain postrouting {
	  type nat hook postrouting priority 100
	  jump postrouting_miniupnpd
	  meta nfproto ipv4 oifname "wan" masquerade fully-random
	 }
	 chain prerouting_miniupnpd { }
	 chain postrouting_miniupnpd { }
	}
	X
}

router_conf()	# name N protocol
{
	_pmp=no _upnp=no
	[ "$3" = upnp ] && _upnp=yes || _pmp=yes
	cat <<-X
	ext_ifname=wan
	listening_ip=lan
	http_port=5555
	enable_natpmp=$_pmp
	enable_upnp=$_upnp
	secure_mode=yes
	system_uptime=yes
	min_lifetime=60
	max_lifetime=86400
	uuid=6f0a9c8e-0000-4000-8000-0000000000$(printf '%02x' "$2")
	lease_file=$LAB/$1r/leases
	upnp_table_name=filter
	upnp_nat_table_name=filter
	upnp_forward_chain=miniupnpd
	upnp_nat_chain=prerouting_miniupnpd
	upnp_nat_postrouting_chain=postrouting_miniupnpd
	allow 1024-65535 0.0.0.0/0 1024-65535
	X
}

site_make()	# name kind N
{
	ns_make "$1"
	case $2 in
	open)	site_open "$1" "$3" ;;
	full)	site_nat "$1" "$3" -m eim -f eif ;;
	addr)	site_nat "$1" "$3" -m eim -f adf ;;
	port)	site_nat "$1" "$3" -m eim -f apdf ;;
	sym)	site_nat "$1" "$3" -m apdm -f apdf -r ;;
	cgn)	site_cgn "$1" "$3" ;;
	blocked) site_nat "$1" "$3" -m eim -f apdf -U ;;
	v6)	site_v6 "$1" "$3" open ;;
	v6fw)	site_v6 "$1" "$3" stateful ;;
	upnp|pmp|pcp) site_router "$1" "$3" "$2" ;;
	*)	fail "no such kind of NAT: $2"
		return 1 ;;
	esac
	case $2 in
	v6*)	echo "http://[2c0f:77::1]:8080" ;;
	*)	echo "http://11.0.0.1:8080" ;;
	esac >"$LAB/$1/control"
}

site_twins()	# a b kind N
{
	ns_make "$1"
	ns_make "$2"
	case $3 in
	lan)	twins_lan "$1" "$2" "$4" ;;
	hair)	twins_isp "$1" "$2" "$4" -H ;;
	isp)	twins_isp "$1" "$2" "$4" ;;
	*)	fail "no such kind of twins: $3"
		return 1 ;;
	esac
	echo "http://11.0.0.1:8080" | tee "$LAB/$1/control" >"$LAB/$2/control"
}

# site_end name: what runs in its namespaces, and these.
site_end()
{
	for _n in "$1" "$1c" "$1r"; do
		[ -e "/run/netns/$P-$_n" ] || continue
		for _p in $(ip netns pids "$P-$_n"); do
			kill "-${2:-KILL}" "$_p" 2>/dev/null
		done
	done
	for _n in "$1" "$1c" "$1r"; do
		[ ! -e "/run/netns/$P-$_n" ] || ip netns del "$P-$_n"
	done
}

site_shoald()	# name key
{
	cat >"$LAB/$1/shoald.conf" <<-X
	control "$(cat "$LAB/$1/control")"
	hostname "$1"
	interface "shoal0" mtu 1280
	state "$LAB/$1/state"
	socket "$LAB/$1/sock"
	auth key "$2"
	${NODE_LINES:-}
	X
	chmod 600 "$LAB/$1/shoald.conf"
	on_bg "$1" "$LAB/$1/node.log" "$SHOALD" -dv -f "$LAB/$1/shoald.conf"
	echo "$SHOALCTL -s $LAB/$1/sock" >"$LAB/$1/cmd"
}

site_tailscaled()	# name key
{
	on_bg "$1" "$LAB/$1/node.log" env TS_NO_LOGS_NO_SUPPORT=true \
	    "$TAILSCALED" --no-logs-no-support --statedir="$LAB/$1" \
	    --socket="$LAB/$1/sock" --tun=shoal0
	echo "$TAILSCALE --socket=$LAB/$1/sock" >"$LAB/$1/cmd"
	wait_for 10 [ -S "$LAB/$1/sock" ]
	on "$1" timeout 40 "$TAILSCALE" --socket="$LAB/$1/sock" up \
	    --accept-dns=false --login-server="$(cat "$LAB/$1/control")" \
	    --hostname="$1" --auth-key="$2"
}

# site_node name program user
site_node()
{
	_key=$(key_create --user "$3") || return 1
	case $2 in
	tailscaled) site_tailscaled "$1" "$_key" >"$LAB/$1/up.log" 2>&1 ;;
	*)	site_shoald "$1" "$_key" ;;
	esac
	NODEPID=$BGPID
}

# site_ctl name arguments...: shoalctl or tailscale, for that node.
site_ctl()
{
	_sc=$1
	shift
	# shellcheck disable=SC2046
	on "$_sc" $(cat "$LAB/$_sc/cmd") "$@"
}

# site_path a b: direct, relay or none.
site_path()
{
	site_ctl "$1" status --json | jq -r --arg n "$2" '.Peer[]? |
	    select(.HostName == $n) | if (.CurAddr // "") != "" then "direct"
	    elif (.Relay // "") != "" then "relay" else "none" end'
}

# site_ready a b: is a running, and does it see b?
site_ready()
{
	json_is "$(site_ctl "$1" status --json)" --arg n "$2" \
	    '.BackendState == "Running" and
	    any(.Peer[]?; .HostName == $n)'
}
