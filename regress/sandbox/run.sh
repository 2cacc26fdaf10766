#!/bin/sh
# Confinement. First each child of a REGRESS build by itself: it tries, in
# its own closed sandbox, what it must not do. Then the whole suite as it
# runs: /proc tells of every process whether it is confined as README says.
# Needs root; builds variants/regress if it is not there.
set -u

cd "$(dirname "$0")/../.."
TOP=$PWD
[ "$(id -u)" -eq 0 ] || { echo "skip: needs root"; exit 77; }
[ -d variants/regress ] || sh regress/variant.sh regress >/dev/null || exit 1
V=$TOP/variants/regress
EMPTY=/var/empty

# shellcheck disable=SC1091
. regress/e2e/lib.sh
lab_init sandbox

cc -O1 -Wall -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
    -o "$LAB/try" regress/sandbox/try.c -lbsd || exit 1

try()	# name path [root]: its lines count as ours
{
	timeout 300 "$LAB/try" "$@" >"$LAB/try.log" 2>&1
	_st=$?
	cat "$LAB/try.log"
	NOK=$((NOK + $(grep -c '^ok ' "$LAB/try.log")))
	NFAIL=$((NFAIL + $(grep -c '^not ok ' "$LAB/try.log")))
	if [ $_st -ne 0 ] && ! grep -q '^not ok ' "$LAB/try.log"; then
		fail "$1: status $_st"
	fi
}

mkdir "$LAB/store"
chown _coordstore "$LAB/store"
chmod 700 "$LAB/store"
for c in cryptod netd ctrld dnsd portmapd; do
	try $c "$V/$c/$c"
done
try frontd "$V/coordd/frontd/frontd"
try stored "$V/coordd/stored/stored" "$LAB/store"
try coordd-cryptod "$V/coordd/cryptod/cryptod"
try relay "$V/derpd/relay/relay"
try derpd-cryptod "$V/derpd/cryptod/cryptod"

# --- the suite as it runs: the release build

field()	# pid name: a line of its status
{
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

same()	# what got wanted
{
	[ "$2" = "$3" ] && return 0
	echo "$1: $2, not $3"
	return 1
}

confined()	# pid user root
{
	_r=0
	_uid=$(id -u "$2") _gid=$(id -g "$2")
	same Uid "$(field "$1" Uid | tr '\t' ' ')" \
	    "$_uid $_uid $_uid $_uid" || _r=1
	same Gid "$(field "$1" Gid | tr '\t' ' ')" \
	    "$_gid $_gid $_gid $_gid" || _r=1
	same Groups "$(field "$1" Groups | tr -d ' ')" "$_gid" || _r=1
	for _c in CapInh CapPrm CapEff CapBnd CapAmb; do
		same $_c "$(field "$1" $_c)" 0000000000000000 || _r=1
	done
	same NoNewPrivs "$(field "$1" NoNewPrivs)" 1 || _r=1
	same Seccomp "$(field "$1" Seccomp)" 2 || _r=1
	same root "$(readlink "/proc/$1/root")" "$3" || _r=1
	same cwd "$(readlink "/proc/$1/cwd")" "$3" || _r=1
	same environ "$(wc -c <"/proc/$1/environ" | tr -d ' ')" 0 || _r=1
	# Nobody but root may look inside: not dumpable.
	same owner "$(stat -c %U "/proc/$1/mem")" root || _r=1
	same core "$(awk '/^Max core/ { print $5, $6 }' "/proc/$1/limits")" \
	    "0 0" || _r=1
	same processes "$(awk '/^Max processes/ { print $3, $4 }' \
	    "/proc/$1/limits")" "0 0" || _r=1
	[ "$(awk '/^Seccomp_filters/ { print $2 }' "/proc/$1/status")" \
	    -ge 2 ] || { echo "fewer than two stages"; _r=1; }
	return $_r
}

# Each of its threads is as confined as its first: the same filters.
threads_confined()	# pid how-many
{
	_r=0 _n=0
	for _t in /proc/"$1"/task/*; do
		_n=$((_n + 1))
		for _f in CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs \
		    Seccomp Seccomp_filters Uid Gid; do
			same "$_t $_f" "$(sed -n "s/^$_f:[[:space:]]*//p" \
			    "$_t/status")" "$(field "$1" $_f)" || _r=1
		done
	done
	same threads "$_n" "$2" || _r=1
	return $_r
}

# What it has open must match the pattern, each of it.
only_open()	# pid pattern
{
	_o=$(for _f in /proc/"$1"/fd/*; do readlink "$_f"; done |
	    grep -Evx "socket:.*|pipe:.*|anon_inode:.*|/dev/null|$2")
	[ -z "$_o" ] || { echo "open: $_o"; return 1; }
}

parent_confined()	# pid
{
	_r=0
	same NoNewPrivs "$(field "$1" NoNewPrivs)" 1 || _r=1
	same Seccomp "$(field "$1" Seccomp)" 2 || _r=1
	# CAP_DAC_OVERRIDE, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_MODULE
	_bnd=$(field "$1" CapBnd)
	[ $((0x$_bnd & (1 << 1 | 1 << 21 | 1 << 19 | 1 << 16))) -eq 0 ] || {
		echo "CapBnd: $_bnd"
		_r=1
	}
	return $_r
}

child_of()	# pid name
{
	for _q in $(cat "/proc/$1/task/$1/children"); do
		[ "$(cat "/proc/$_q/comm")" = "$2" ] && echo "$_q"
	done
}

live()	# parent child user root open
{
	_pid=$(child_of "$1" "$2")
	[ -n "$_pid" ] || { fail "$2 ($3) runs"; return; }
	check "$2 ($3) is confined" confined "$_pid" "$3" "$4"
	check "$2 ($3) has nothing else open" only_open "$_pid" "$5"
}

two_nodes "policy allow all" "sender thread yes" || exit 1
on a ping -c 1 -W 5 "$(ip4 b)" >/dev/null 2>&1
P1=$NODEPID_a
check "shoald is confined" parent_confined "$P1"
live "$P1" cryptod _shoalcrypt $EMPTY "none"
live "$P1" netd _shoalnet $EMPTY "/dev/net/tun"
check "netd's threads are confined, both" threads_confined \
    "$(child_of "$P1" netd)" 2
live "$P1" ctrld _shoalctl $EMPTY "none"
live "$P1" dnsd _shoaldns $EMPTY "none"
live "$P1" portmapd _shoalmap $EMPTY "none"
P2=$COORDPID
check "coordd is confined" parent_confined "$P2"
live "$P2" cryptod _coordcrypt $EMPTY "none"
live "$P2" frontd _coordfront $EMPTY "none"
live "$P2" stored _coordstore "$LAB/coord/store" "$LAB/coord/store/.*"
exit 0
