#!/usr/bin/env python3
# Measure tunnels that stand already, by turns, and print a table, JSON and
# an SVG chart. Usage: measure.py peers.json rounds seconds outdir
# Each peer: name, a, b (namespaces), addr (of b), pids_a, pids_b; rounds, if
# there are to be fewer. The one named "bare" is the link without a tunnel.
# What many.sh, pair.sh and the others left in outdir/part.*.json goes into the
# table and is judged with the rest. Fails when shoal misses a bar; BARS=0 in
# the environment: only say so.

import glob
import html
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time

TICK = os.sysconf('SC_CLK_TCK')
# Where the system places processes decides a lot, and differs from flow to
# flow and from ping to ping: so many of them make a figure of a round.
FLOWS = 3
TCP_FLOWS = 4


def cpu(pids):
    n = 0
    for p in pids:
        f = open('/proc/%d/stat' % p).read().rsplit(')', 1)[1].split()
        n += int(f[11]) + int(f[12])
    return n / TICK


def pss(pids):
    n = 0
    for p in pids:
        for line in open('/proc/%d/smaps_rollup' % p):
            if line.startswith('Pss:'):
                n += int(line.split()[1])
    return n / 1024


def largest(pids):
    return max((pss([p]) for p in pids), default=0)


# Of each process: its name, CPU seconds so far, MB.
def processes(pids):
    return {p: (open('/proc/%d/comm' % p).read().strip(), cpu([p]), pss([p]))
            for p in pids}


def run(ns, *cmd, timeout=60):
    return subprocess.run(['ip', 'netns', 'exec', ns, *cmd], timeout=timeout,
                          capture_output=True, text=True).stdout


def iperf(peer, secs, *args, during=lambda: None):
    server = subprocess.Popen(
        ['ip', 'netns', 'exec', peer['b'], 'iperf3', '-s', '-1'],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        c0 = cpu(peer['pids_a']), cpu(peer['pids_b'])
        client = subprocess.Popen(
            ['ip', 'netns', 'exec', peer['a'], 'iperf3', '-J', '-c',
             peer['addr'], '-t', str(secs), *args],
            stdout=subprocess.PIPE, text=True)
        extra = during()
        out = client.communicate(timeout=secs + 30)[0]
        c1 = cpu(peer['pids_a']), cpu(peer['pids_b'])
    finally:
        server.terminate()
        server.wait()
    return json.loads(out)['end'], (c1[0] - c0[0], c1[1] - c0[1]), extra


# Round trips in milliseconds; none if most of them were lost. ping does not
# sleep for less than 10 ms, and keeps a processor awake meanwhile.
def ping(peer, n, gap='0.005'):
    out = run(peer['a'], 'ping', '-i', gap, '-c', str(n), peer['addr'])
    ms = [float(x.split('time=')[1].split()[0])
          for x in out.splitlines() if 'time=' in x]
    return ms if len(ms) >= n / 2 else []


def ping_idle(peer):
    return [ms for _ in range(FLOWS) for ms in ping(peer, 300 // FLOWS)]


# Median and 99th percentile. Of fewer than some hundreds this is the worst.
def percentiles(ms):
    ms = sorted(ms)
    if not ms:
        return None, None
    return ms[len(ms) // 2], ms[min(len(ms) - 1, len(ms) * 99 // 100)]


# Of all threads in this namespace: where they may run.
def pin(ns, cpus):
    for pid in run(ns, 'ip', 'netns', 'pids', ns).split():
        for task in glob.glob('/proc/%s/task/*' % pid):
            try:
                os.sched_setaffinity(int(os.path.basename(task)), cpus)
            except ProcessLookupError:
                pass                    # it has ended meanwhile


# Round trips while a flow runs.
def ping_loaded(peer):
    time.sleep(0.3)
    return ping(peer, 300)


# The same with each end, and the pings, on a processor of its own.
def ping_pinned(peer):
    cpus = os.sched_getaffinity(0)
    one, other = sorted(cpus)[:2]
    time.sleep(0.3)
    try:
        pin(peer['a'], {one})
        pin(peer['b'], {other})
        os.sched_setaffinity(0, {one})
        return ping(peer, 300)
    finally:
        os.sched_setaffinity(0, cpus)
        pin(peer['a'], cpus)
        pin(peer['b'], cpus)


def gbit(end):
    return end['sum_received']['bits_per_second'] / 1e9


# Some flows, one after another: Gbit/s of them all, bytes, CPU of each end.
def flows(peer, secs, *args):
    rate, got, used = 0, 0, [0, 0]
    for _ in range(TCP_FLOWS):
        end, u, _ = iperf(peer, (secs + 1) // 2, *args)
        rate += gbit(end) / TCP_FLOWS
        got += end['sum_received']['bytes']
        if 'sum_received_bidir_reverse' in end:
            back = end['sum_received_bidir_reverse']
            rate += back['bits_per_second'] / 1e9 / TCP_FLOWS
            got += back['bytes']
        used = [x + y for x, y in zip(used, u)]
    return rate, got, used


def udp(peer, secs, rate):
    end, _, _ = iperf(peer, secs, '-u', '-b', rate, '-l', '1200')
    s = end['sum']
    got = s['packets'] - s['lost_packets']
    return got / s['seconds'] / 1e3, s['lost_percent']


def add_trips(add, row, ms):
    p50, p99 = percentiles(ms)
    add(row + '_p50_ms', p50)
    add(row + '_p99_ms', p99)


# What is measured, each of one peer, adds to rows by their keys.
def measure_idle(peer, secs, add):
    add_trips(add, 'ping', ping_idle(peer))


def measure_asleep(peer, secs, add):
    add_trips(add, 'asleep', ping(peer, 100, '0.02'))


def measure_loaded(peer, secs, add):
    def loaded():
        p = ping_loaded(peer)
        return p, pss(peer['pids_a']), largest(peer['pids_a'])
    before = processes(peer['pids_a'])
    got, trips = 0, []
    for _ in range(FLOWS):
        end, _, (p, total, one) = iperf(peer, 3, during=loaded)
        got += end['sum_received']['bytes']
        trips += p
    for pid, (name, secs_used, mb) in processes(peer['pids_a']).items():
        peer['processes'].setdefault(name, []).append(
            ((secs_used - before[pid][1]) / got * 1e9, mb))
    add_trips(add, 'loaded', trips)
    add('memory_loaded_mb', total)
    add('memory_largest_mb', one)


# Where the system puts processes is part of the above, not of this.
def measure_pinned(peer, secs, add):
    if len(os.sched_getaffinity(0)) > 1:
        _, _, p = iperf(peer, 3, during=lambda: ping_pinned(peer))
        add_trips(add, 'pinned', p)


def measure_tcp(peer, secs, add):
    rate, got, used = flows(peer, secs)
    add('tcp_gbit', rate)
    if peer['pids_a']:
        add('cpu_send_s_per_gb', used[0] / got * 1e9)
        add('cpu_recv_s_per_gb', used[1] / got * 1e9)
        add('cpu_s_per_gb', sum(used) / got * 1e9)


def measure_back(peer, secs, add):
    add('tcp_reverse_gbit', flows(peer, secs, '-R')[0])


def measure_eight(peer, secs, add):
    add('tcp_8_gbit', flows(peer, secs, '-P', '8')[0])


def measure_both(peer, secs, add):
    add('tcp_both_gbit', flows(peer, secs, '--bidir')[0])


def measure_udp(peer, secs, add):
    k, lost = udp(peer, secs, '1G')
    add('udp_1g_kpps', k)
    add('udp_1g_lost_percent', lost)


def measure_udp_max(peer, secs, add):
    add('udp_max_kpps', udp(peer, secs, '0')[0])


# In this order, one peer after the other: what is compared is of the same
# minute. Of the link without a tunnel, what others are held against.
STEPS = (
    ('round trip idle', measure_idle),
    ('round trip, sleeping between', measure_asleep),
    ('round trip under a flow', measure_loaded),
    ('the same, each end on a processor', measure_pinned),
    ('TCP', measure_tcp),
    ('TCP back', measure_back),
    ('TCP, 8 flows', measure_eight),
    ('TCP both ways', measure_both),
    ('UDP at 1 Gbit/s', measure_udp),
    ('UDP unlimited', measure_udp_max),
)
BARE = (measure_idle, measure_asleep, measure_tcp, measure_udp)


def measure(peers, secs, r, rounds, raw):
    for text, step in STEPS:
        print('# round %d of %d: %s' % (r + 1, rounds, text),
              file=sys.stderr, flush=True)
        for p in peers if r % 2 == 0 else reversed(peers):
            if r >= p.get('rounds', rounds) or \
                    (p['name'] == 'bare' and step not in BARE):
                continue

            def add(k, v):
                if v is not None:
                    raw[p['name']].setdefault(k, []).append(v)
            step(p, secs, add)


ROWS = (
    ('tcp_gbit', 'TCP, 1 flow, Gbit/s', 2),
    ('tcp_reverse_gbit', 'TCP, 1 flow back, Gbit/s', 2),
    ('tcp_8_gbit', 'TCP, 8 flows, Gbit/s', 2),
    ('tcp_both_gbit', 'TCP, both ways, sum, Gbit/s', 2),
    ('udp_max_kpps', 'UDP 1200 B unlimited, kpps', 1),
    ('udp_1g_kpps', 'UDP 1200 B at 1 Gbit/s, kpps', 1),
    ('udp_1g_lost_percent', '  lost, %', 1),
    ('cpu_s_per_gb', 'CPU s/GB, both ends', 2),
    ('cpu_send_s_per_gb', '  sender', 2),
    ('cpu_recv_s_per_gb', '  receiver', 2),
    ('ping_p50_ms', 'round trip idle, p50, ms', 3),
    ('ping_p99_ms', '  p99', 3),
    ('asleep_p50_ms', '  20 ms apart, p50', 3),
    ('asleep_p99_ms', '  p99', 3),
    ('loaded_p50_ms', 'under a TCP flow, p50, ms', 2),
    ('loaded_p99_ms', '  p99', 2),
    ('pinned_p50_ms', '  each end on a processor, p50', 2),
    ('pinned_p99_ms', '  p99', 2),
    ('memory_idle_mb', 'memory idle, MB of PSS, one end', 1),
    ('memory_loaded_mb', 'memory loaded', 1),
    ('memory_largest_mb', '  its largest process', 1),
    ('relay_mbit', 'by a relay, 1 flow, Mbit/s', 0),
    ('relay_cpu', '  CPU s/GB of the relay', 2),
    ('many_in_kpps', '1000 peers to it, kpps', 1),
    ('many_in_us', '  CPU us a packet', 2),
    ('many_out1_kpps', 'to 1000 peers by turns, kpps', 1),
    ('many_out1_us', '  CPU us a packet', 2),
    ('many_out1_segments', '  packets a send', 1),
    ('many_out16_kpps', 'to 1000 peers, 16 each, kpps', 1),
    ('many_out16_us', '  CPU us a packet', 2),
    ('many_out16_segments', '  packets a send', 1),
    ('hs_rate', 'handshakes a second', 0),
    ('hs_us', '  CPU us each', 0),
    ('flood_mac_p99_ms', 'honest one, p99 ms: bad mac1', 2),
    ('flood_static_p99_ms', '  forged with a good mac1', 2),
    ('flood_both_p99_ms', '  both', 2),
    ('peers_netd_mb', '10000 peers, netd: MB more', 1),
    ('peers_node_mb', '  the whole node, MB', 1),
    ('delta_ms', '  a change of one applied, ms', 3),
    ('cipher_own', 'sealing 64 x 1280 B, GB/s', 2),
    ('cipher_evp', '  by OpenSSL', 2),
    ('cipher_imb', '  by libipsec-mb', 2),
    ('instr', 'own instructions a packet', 0),
    ('filter_percent', '  more with 500 rules, %, worst', 2),
    ('idle_cpu_percent', 'idle: CPU, %', 3),
    ('idle_wakeups', '  wake-ups a second', 2),
)


def avx512():
    return ' avx512ifma' in open('/proc/cpuinfo').read()


# What to reach: key, factor of the others' best (over: at least; under: at
# most), peers that it is held against.
def bars():
    tcp1, tcp8, both, cpu_ = (2.0, 2.2, 2.0, 0.5) if avx512() else \
        (1.6, 1.6, 1.6, 0.65)
    wg = ('wireguard-go', 'wireguard-go-new')
    all_ = wg + ('tailscaled',)
    return (
        ('tcp_gbit', tcp1, 'over', all_),
        ('tcp_reverse_gbit', tcp1, 'over', all_),
        ('tcp_8_gbit', tcp8, 'over', all_),
        ('tcp_both_gbit', both, 'over', all_),
        ('udp_max_kpps', 3.0, 'over', all_),
        ('cpu_s_per_gb', cpu_, 'under', all_),
        ('ping_p50_ms', 0.5, 'under', wg),
        ('loaded_p99_ms', 0.5, 'under', wg),
        ('relay_mbit', 1.5, 'over', ('tailscaled',)),
        ('many_in_us', 0.5, 'under', wg),  # making the load is the limit
        ('many_out1_kpps', 2.0, 'over', wg),
        ('many_out16_kpps', 2.0, 'over', wg),
    )


# Bars that no peer is needed for.
LIMITS = (
    ('memory_largest_mb', 8.0, 'under'),
    ('memory_idle_mb', 8.0, 'under'),
    ('hs_rate', 5000.0, 'over'),
    ('flood_mac_p99_ms', 20.0, 'under'),
    ('flood_static_p99_ms', 20.0, 'under'),
    ('flood_both_p99_ms', 20.0, 'under'),
    ('peers_netd_mb', 10.0, 'under'),
    ('delta_ms', 1.0, 'under'),
    ('filter_percent', 5.0, 'under'),
    ('idle_cpu_percent', 0.1, 'under'),
    ('idle_wakeups', 1.0, 'under'),
)
# Rows that stand under another: what they are called alone.
ALONE = {
    'memory_loaded_mb': 'memory under a TCP flow, MB of PSS',
    'memory_largest_mb': 'largest process loaded, MB',
    'memory_idle_mb': 'whole node idle, MB',
    'flood_mac_p99_ms': 'honest handshake, forged mac1, p99 ms',
    'flood_static_p99_ms': 'honest handshake, good mac1 forged, p99 ms',
    'flood_both_p99_ms': 'honest handshake, both forged, p99 ms',
    'delta_ms': 'a change of one of 10000 peers, ms',
    'filter_percent': 'instructions more with 500 rules, %',
    'idle_wakeups': 'idle: wake-ups a second',
    'many_in_us': '1000 peers to it, CPU time a packet',
    'loaded_p99_ms': 'round trip under a TCP flow, p99, ms',
}


# Row by its key, as it is called without the rows above it.
def names_alone():
    text = {k: t.strip() for k, t, _ in ROWS}
    text.update(ALONE)
    return text


# Ours to theirs. The machine is faster in one round than in the next: each
# is compared with the same round of the other's, where both had them all.
def times(ours, theirs):
    if len(ours) != len(theirs):
        ours, theirs = [statistics.median(ours)], [statistics.median(theirs)]
    return statistics.median(x / y if y else math.inf
                             for x, y in zip(ours, theirs))


def judge(res, raw):
    out = []
    s = res['shoal']
    text = names_alone()
    for key, factor, way, against in bars():
        if key not in s:
            continue
        vals = [(times(raw['shoal'][key], raw[n][key]), n) for n in against
                if key in raw.get(n, {})]
        if not vals:
            continue
        ratio, name = min(vals) if way == 'over' else max(vals)
        good = ratio >= factor if way == 'over' else ratio <= factor
        out.append(('%s, times %s' % (text[key], name), ratio, factor, way,
                    good))
    if 'udp_1g_lost_percent' in res.get('bare', {}):
        more = s['udp_1g_lost_percent'] - res['bare']['udp_1g_lost_percent']
        out.append(('UDP at 1 Gbit/s, lost beyond the bare link, points',
                    more, 2.0, 'under', more <= 2))
    for key, bar, way in LIMITS:
        if key in s:
            good = s[key] >= bar if way == 'over' else s[key] <= bar
            out.append((text[key], s[key], bar, way, good))
    return out


def table(names, res, raw):
    print('%-32s' % 'median [least, most]', *('%21s' % n for n in names))
    for key, text, digits in ROWS:
        if not any(key in res[n] for n in names):
            continue
        line = ['%-32s' % text]
        for n in names:
            if key in res[n]:
                v = raw[n][key]
                line.append('%21s' % ('%.*f [%.*f, %.*f]' % (
                    digits, res[n][key], digits, min(v), digits, max(v))))
            else:
                line.append('%21s' % '-')
        print(*line)


def print_processes(procs):
    print('# processes of the sender under a TCP flow: CPU s/GB, MB of PSS')
    for name, d in procs.items():
        print('# %s: %s' % (name, ', '.join('%s %.2f, %.1f' % (c, *v)
                                            for c, v in d.items())))


def verdicts(out):
    for text, v, bar, way, good in out:
        print('%s %s: %.2f, bar %s %.2f' % (
            'met   ' if good else 'MISSED', text, v,
            'at least' if way == 'over' else 'at most', bar))
    return all(x[4] for x in out)


CHART = ('tcp_gbit', 'tcp_8_gbit', 'tcp_both_gbit', 'udp_max_kpps',
         'cpu_s_per_gb', 'loaded_p99_ms', 'memory_loaded_mb', 'many_in_kpps',
         'many_out1_kpps', 'hs_rate', 'relay_mbit')
COLOURS = ('#0b6e4f', '#8d99ae', '#c08552', '#5c677d', '#b56576')


# Bars of each row as long as their share of the row's largest.
def svg(names, res, head, versions, path):
    names = [n for n in names if n != 'bare']
    text = names_alone()
    digits = {k: d for k, _, d in ROWS}
    y, body = 44, []
    for key in CHART:
        vals = [res[n].get(key) for n in names]
        top = max((v for v in vals if v), default=0)
        if not top:
            continue
        body.append('<text x="10" y="%d" font-weight="bold">%s</text>' % (
            y + 10, text[key]))
        y += 16
        for i, (n, v) in enumerate(zip(names, vals)):
            if v is None:
                continue
            body.append('<rect x="130" y="%d" width="%.1f" height="11" '
                        'fill="%s"/><text x="124" y="%d" text-anchor="end">'
                        '%s</text><text x="%.1f" y="%d">%.*f</text>' % (
                            y, 400 * v / top, COLOURS[i % 5], y + 10, n,
                            136 + 400 * v / top, y + 10, digits[key], v))
            y += 14
        y += 8
    for n, v in versions.items():
        if v:
            body.append('<text x="10" y="%d" fill="#555555">%s: %s</text>' % (
                y + 10, n, html.escape(v)))
            y += 14
    y += 8
    with open(path, 'w') as f:
        f.write('<svg xmlns="http://www.w3.org/2000/svg" width="620" '
                'height="%d" font-family="sans-serif" font-size="11">'
                '<rect width="100%%" height="100%%" fill="#ffffff"/>'
                '<text x="10" y="18" font-size="13">Both ends on one machine,'
                ' MTU 1280</text><text x="10" y="34" fill="#555555">%s'
                '</text>%s</svg>\n' % (y, head, ''.join(body)))


def cpu_name():
    for line in open('/proc/cpuinfo'):
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return platform.machine()


def read_peers(path):
    text = open(path).read()
    dec, peers = json.JSONDecoder(), []
    while text.strip():
        p, n = dec.raw_decode(text.lstrip())
        text = text.lstrip()[n:]
        peers.append(p)
    return peers


# Values that other scripts of this run have measured.
def read_parts(outdir, raw):
    for path in sorted(glob.glob(os.path.join(outdir, 'part.*.json'))):
        for name, rows in json.load(open(path)).items():
            for key, values in rows.items():
                values = [v for v in values if v is not None]
                if values:
                    raw.setdefault(name, {}).setdefault(key, values)


def main():
    peers = read_peers(sys.argv[1])
    rounds, secs, outdir = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    raw = {p['name']: {} for p in peers}
    for p in peers:
        if p['pids_a']:
            raw[p['name']]['memory_idle_mb'] = [pss(p['pids_a'])]
        p['processes'] = {}
        run(p['a'], 'ping', '-c', '20', '-i', '0.01', p['addr'])
    for r in range(rounds):
        measure(peers, secs, r, rounds, raw)
    read_parts(outdir, raw)
    res = {n: {k: statistics.median(v) for k, v in d.items()}
           for n, d in raw.items()}
    names = [p['name'] for p in peers]
    names += [n for n in raw if n not in names]
    out = judge(res, raw)
    head = '%s, %s, %d cores, Linux %s, median of %d' % (
        time.strftime('%Y-%m-%d'), cpu_name(), os.cpu_count(),
        platform.release(), rounds)
    print('# ' + head)
    for p in peers:
        if p.get('version'):
            print('# %s: %s' % (p['name'], p['version']))
    table(names, res, raw)
    procs = {p['name']: {c: [statistics.median(x) for x in zip(*v)]
                         for c, v in p['processes'].items()}
             for p in peers if p['processes']}
    print_processes(procs)
    good = verdicts(out)
    versions = {p['name']: p.get('version') for p in peers}
    with open(os.path.join(outdir, 'bench.json'), 'w') as f:
        json.dump({'head': head, 'rounds': rounds, 'seconds': secs,
                   'versions': versions,
                   'median': res, 'all': raw, 'processes': procs,
                   'bars': [dict(zip(('what', 'value', 'bar', 'way', 'met'),
                                     x)) for x in out]}, f, indent=1)
    svg(names, res, head, versions, os.path.join(outdir, 'bench.svg'))
    print('# JSON and chart: %s/bench.{json,svg}' % os.path.relpath(outdir))
    if not good and os.environ.get('BARS') != '0':
        sys.exit(1)


main()
