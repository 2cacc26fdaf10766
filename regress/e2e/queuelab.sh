# What tests of long queues share: nodes a and b, an iperf3 server on b, and
# links of 20 Mbit/s with room for eight seconds. Sourced after lib.sh.

# After the nodes are up: the server, the links.
slow_links()
{
	iperf_server b
	for _h in a b; do
		on $_h tc qdisc add dev eth0 root tbf rate 20mbit burst 64kb \
		    limit 20000000
	done
}

# load seconds pause iperf3-options...: p50 and p90 of 150 pings under it in
# ms, how many were lost, the flow's Mbit/s; said: all of it, for a person.
load()
{
	_secs=$1 _pause=$2
	shift 2
	on a iperf3 -J -c "$(ip4 b)" -t "$_secs" "$@" >"$LAB/i.json" &
	_load=$!
	sleep 2
	on a ping -c 150 -i "$_pause" -W 2 "$(ip4 b)" >"$LAB/ping.log"
	wait $_load
	set -- $(sed -n 's/.*time=\([0-9]*\).*/\1/p' "$LAB/ping.log" |
	    sort -n | awk '{ t[NR] = $1 }
	    END { print t[int(NR / 2)], t[int(NR * 9 / 10)], 150 - NR }')
	p50=$1 p90=$2 lost=$3
	mbit=$(jq '(.end.sum_received // .end.sum).bits_per_second / 1e6 |
	    floor' "$LAB/i.json")
	said="$mbit Mbit/s, ping $p50 ms (p90 $p90), lost $lost"
}
