#!/bin/sh
# The NAT laboratory itself: does each kind of NAT do what its name says? A
# probe tells mapping and filtering by asking a public side with two
# addresses of two ports, and coturn's own discovery (RFC 5780) must agree.
# A probe that called every NAT the same would fail here.
set -u
# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# shellcheck disable=SC1091
. "$(dirname "$0")/natlab.sh"

nat_is()	# name words
{
	_got=$(cat "$LAB/$1/probe")
	echo "is: $_got"
	[ "$_got" = "$2" ]
}

expect()	# kind
{
	case $1 in
	open|v6) echo "mapping=eim filtering=eif port=kept hairpin=yes" ;;
	full)	echo "mapping=eim filtering=eif port=kept hairpin=no" ;;
	addr)	echo "mapping=eim filtering=adf port=kept hairpin=no" ;;
	port|cgn) echo "mapping=eim filtering=apdf port=kept hairpin=no" ;;
	v6fw)	echo "mapping=eim filtering=apdf port=kept hairpin=yes" ;;
	blocked) echo blocked ;;
	*)	echo "mapping=apdm filtering=apdf port=random hairpin=no" ;;
	esac
}

probe()		# name kind
{
	_pa="11.0.2.1 11.0.3.1"
	case $2 in
	v6*)	_pa="2c0f:77:2::1 2c0f:77:3::1" ;;
	esac
	# shellcheck disable=SC2086
	on "$1" python3 "$NLDIR/natprobe.py" probe $_pa
}

discover()	# name: coturn's words
{
	on "$1" timeout 20 turnutils_natdiscovery -m -f 11.0.1.1 |
	    sed -n 's/.*NAT with \(.*\)!.*/\1/p' | paste -sd, -
}

one()		# name kind N
{
	site_make "$1" "$2" "$3" >"$LAB/$1.make" 2>&1
	probe "$1" "$2" >"$LAB/$1/probe" 2>&1
	case $2 in
	addr|sym) discover "$1" >"$LAB/$1/discover" 2>&1 ;;
	esac
}

serve()		# addresses
{
	on_bg core "$LAB/core/probe.$1.log" python3 "$NLDIR/natprobe.py" \
	    serve "$1" "$2"
	wait_for 5 grep -q serving "$LAB/core/probe.$1.log"
}

natlab_init natkinds
serve 11.0.2.1 11.0.3.1
serve 2c0f:77:2::1 2c0f:77:3::1
n=2 pids=
for k in $LAB_KINDS; do
	mkdir -p "$LAB/s$n"
	one "s$n" "$k" $n &
	pids="$pids $!"
	n=$((n + 1))
done
# shellcheck disable=SC2086
wait $pids
n=2
for k in $LAB_KINDS; do
	check "$k" nat_is "s$n" "$(expect "$k")"
	eval "S_$k=s$n"
	n=$((n + 1))
done
check "coturn: address restricted" [ "$(cat "$LAB/$S_addr/discover")" = \
    "Endpoint Independent Mapping,Address Dependent Filtering" ]
check "coturn: symmetric" [ "$(cat "$LAB/$S_sym/discover")" = \
    "Address and Port Dependent Mapping,Address and Port Dependent Filtering" ]

nat_tell "$S_port" 5 rebind
sleep 0.1
probe "$S_port" port >"$LAB/$S_port/probe"
check "rebinding takes other ports" nat_is "$S_port" \
    "mapping=eim filtering=apdf port=random hairpin=no"
nat_tell "$S_port" 5 "udp off"
sleep 0.1
probe "$S_port" port >"$LAB/$S_port/probe"
check "UDP is blocked" nat_is "$S_port" blocked
nat_tell "$S_port" 5 "udp on"
sleep 0.1
probe "$S_port" port >"$LAB/$S_port/probe"
check "and freed" nat_is "$S_port" \
    "mapping=eim filtering=apdf port=random hairpin=no"
