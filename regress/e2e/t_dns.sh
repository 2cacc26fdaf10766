#!/bin/sh
# MagicDNS on 100.100.100.100 and its IPv6 sister: A, AAAA, PTR, UDP and TCP,
# what does not exist, and who may not ask.
. "$(dirname "$0")/lib.sh"

q()	# dig arguments; what is asked of a
{
	on a dig +time=2 +tries=1 "$@"
}

short()
{
	q +short "$@"
}

status()
{
	q "$@" | sed -n 's/.*status: \([A-Z]*\),.*/\1/p'
}

lab_init dns
two_nodes || exit 1
B=$(ip4 b) B6=$(ip6 b)
S=@100.100.100.100 S6=@fd7a:115c:a1e0::53
check "A over UDP" [ "$(wait_for 5 short $S b.tail.test
    short $S b.tail.test)" = "$B" ]
check "A over TCP" [ "$(short $S +tcp b.tail.test)" = "$B" ]
check "AAAA" [ "$(short $S b.tail.test AAAA)" = "$B6" ]
check "the IPv6 service address answers" [ "$(short $S6 b.tail.test)" = "$B" ]
check "the own name" [ "$(short $S a.tail.test)" = "$(ip4 a)" ]
check "PTR of IPv4" [ "$(short $S -x "$B")" = b.tail.test. ]
check "PTR of IPv6" [ "$(short $S -x "$B6")" = b.tail.test. ]
check "names are compared without regard to case" [ "$(short $S B.Tail.TEST)" = "$B" ]
check "NXDOMAIN for an unknown node" [ "$(status $S c.tail.test)" = NXDOMAIN ]
check "an empty answer for another type" \
    [ "$(status $S b.tail.test MX)$(short $S b.tail.test MX)" = NOERROR ]
lab_host c 4
on c ip route add 100.100.100.100/32 via 10.77.0.2
on c ip route add fd7a:115c:a1e0::53/128 via fd77::2
asks()	# does the resolver of a answer this stranger?
{
	on c dig +time=1 +tries=1 +short "$1" a.tail.test "$2" | grep -qE "^(100\.|fd7a)"
}
asks_not()
{
	! asks "$@"
}
check "a stranger on the network gets no answer over IPv4" asks_not $S
check "nor over IPv6" asks_not $S6
check "nor over TCP" asks_not $S +tcp
n=$(coordctl --json node list | jq -r '.[] |
    select(.name == "b") | .id')
coordctl node rename "$n" web >/dev/null
renamed()
{
	[ "$(short $S web.tail.test)" = "$B" ]
}
check "a renamed node answers to its new name" wait_for 5 renamed
check "and not to the old" [ "$(status $S b.tail.test)" = NXDOMAIN ]
head -c 200 /dev/urandom >"$LAB/junk"
check "garbage does no harm" sh -c "
    for i in 1 2 3 4 5; do
	ip netns exec $P-a socat -t0.1 - UDP:100.100.100.100:53 <$LAB/junk
    done
    [ \$(ip netns exec $P-a dig +short +time=2 +tries=1 $S web.tail.test) = $B ]"
