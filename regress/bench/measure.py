#!/usr/bin/env python3
# Measure tunnels that stand already, interleaved, and print a table and
# JSON. Usage: measure.py peers.json rounds seconds out.json
# Fails when shoal misses the bars; BARS=0 in the environment: only say so.

import json
import os
import platform
import statistics
import subprocess
import sys
import time

TICK = os.sysconf('SC_CLK_TCK')


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


def run(ns, *cmd, timeout=60):
    return subprocess.run(['ip', 'netns', 'exec', ns, *cmd], timeout=timeout,
                          capture_output=True, text=True).stdout


def iperf(peer, secs, *args):
    server = subprocess.Popen(
        ['ip', 'netns', 'exec', peer['b'], 'iperf3', '-s', '-1'],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        c0 = cpu(peer['pids_a']), cpu(peer['pids_b'])
        out = run(peer['a'], 'iperf3', '-J', '-c', peer['addr'], '-t',
                  str(secs), *args, timeout=secs + 20)
        c1 = cpu(peer['pids_a']), cpu(peer['pids_b'])
    finally:
        server.terminate()
        server.wait()
    end = json.loads(out)['end']
    return end, c1[0] - c0[0] + c1[1] - c0[1]


def tcp(peer, secs, *args):
    end, used = iperf(peer, secs, *args)
    r = end['sum_received']
    return r['bits_per_second'] / 1e9, used / (r['bytes'] / 1e9)


def udp(peer, secs, rate):
    end, _ = iperf(peer, secs, '-u', '-b', rate, '-l', '1200')
    s = end['sum']
    got = s['packets'] - s['lost_packets']
    return got / s['seconds'] / 1e3, s['lost_percent']


def ping(peer, n):
    out = run(peer['a'], 'ping', '-i', '0.005', '-c', str(n), peer['addr'])
    ms = sorted(float(x.split('time=')[1].split()[0])
                for x in out.splitlines() if 'time=' in x)
    if len(ms) < n / 2:
        raise RuntimeError('pings lost')
    return ms[len(ms) // 2], ms[min(len(ms) - 1, len(ms) * 99 // 100)]


def measure(peer, secs, r):
    add = lambda k, v: r.setdefault(k, []).append(v)
    a, b = ping(peer, 300)
    add('ping_p50_ms', a)
    add('ping_p99_ms', b)
    for name, args in (('tcp', ()), ('tcp_reverse', ('-R',)),
                       ('tcp_8', ('-P', '8'))):
        g, c = tcp(peer, secs, *args)
        add(name + '_gbit', g)
        if name == 'tcp':
            add('cpu_s_per_gb', c)
            add('memory_loaded_mb', pss(peer['pids_a']))
    k, lost = udp(peer, secs, '1G')
    add('udp_1g_kpps', k)
    add('udp_1g_lost_percent', lost)
    k, _ = udp(peer, secs, '0')
    add('udp_max_kpps', k)


ROWS = (
    ('tcp_gbit', 'TCP, 1 flow, Gbit/s', 2),
    ('tcp_reverse_gbit', 'TCP, 1 flow back, Gbit/s', 2),
    ('tcp_8_gbit', 'TCP, 8 flows, Gbit/s', 2),
    ('udp_1g_kpps', 'UDP 1200 B at 1 Gbit/s, kpps', 1),
    ('udp_1g_lost_percent', '  lost, %', 1),
    ('udp_max_kpps', 'UDP 1200 B unlimited, kpps', 1),
    ('ping_p50_ms', 'ping p50, ms', 3),
    ('ping_p99_ms', 'ping p99, ms', 3),
    ('cpu_s_per_gb', 'CPU s/GB, both ends', 2),
    ('memory_idle_mb', 'memory idle, MB of PSS, one end', 1),
    ('memory_loaded_mb', 'memory loaded, MB of PSS', 1),
)


def table(names, res):
    base = 'wireguard-go' if 'wireguard-go' in names else None
    print('%-34s' % '', *('%14s' % n for n in names),
          '%10s' % 'ratio' if base else '')
    for key, text, digits in ROWS:
        vals = [res[n][key] for n in names]
        line = ['%-34s' % text]
        line += ['%14.*f' % (digits, v) for v in vals]
        if base and res[base][key]:
            line.append('%10.2f' % (res['shoal'][key] / res[base][key]))
        print(*line)


def bars(res):
    bad = []
    w, s = res.get('wireguard-go'), res['shoal']
    if w:
        for k in ('tcp_gbit', 'tcp_reverse_gbit'):
            if s[k] < w[k]:
                bad.append('%s is below that of wireguard-go' % k)
    if s['memory_idle_mb'] >= 16:
        bad.append('an idle node needs 16 MB or more')
    for b in bad:
        print('bar missed:', b)
    return not bad


def main():
    text = open(sys.argv[1]).read()
    dec, peers, i = json.JSONDecoder(), [], 0
    while text[i:].strip():
        p, n = dec.raw_decode(text[i:].lstrip())
        i = len(text) - len(text[i:].lstrip()) + n
        peers.append(p)
    rounds, secs = int(sys.argv[2]), int(sys.argv[3])
    raw = {p['name']: {} for p in peers}
    for p in peers:
        raw[p['name']]['memory_idle_mb'] = [pss(p['pids_a'])]
    for r in range(rounds):
        for p in peers:
            print('# round %d of %d: %s' % (r + 1, rounds, p['name']),
                  file=sys.stderr, flush=True)
            measure(p, secs, raw[p['name']])
    res = {n: {k: statistics.median(v) for k, v in d.items()}
           for n, d in raw.items()}
    names = [p['name'] for p in peers]
    table(names, res)
    with open(sys.argv[4], 'w') as f:
        json.dump({'date': time.strftime('%Y-%m-%d'),
                   'machine': '%s, %d cores' % (platform.release(),
                                                os.cpu_count()),
                   'rounds': rounds, 'seconds': secs,
                   'median': res, 'all': raw}, f, indent=1)
    print('# JSON: %s' % os.path.relpath(sys.argv[4]))
    if not bars(res) and os.environ.get('BARS') != '0':
        sys.exit(1)


main()
