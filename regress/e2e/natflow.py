# A numbered flow between two nodes, and the path it takes meanwhile.
#   natflow.py echo                     answers datagrams
#   natflow.py run addr name seconds after command...
#       sends a number every 20 ms to addr, and asks "command... status
#       --json" for the path to the peer called name; ends `after` seconds
#       after the path is direct, or at `seconds`. One line of JSON: ms to
#       the first answer, ms to the direct path, how many were sent, lost,
#       lost after the first answer, and the longest gap between answers.
#   natflow.py stream addr log
#       sends a number every 20 ms for ever; the log has a line for each
#       answer: its number and the time, ms since 1970
#   natflow.py gap log from to
#       the longest time without an answer in that part of the log, ms
#   natflow.py settled log since
#       have answers come for a second, at least one in 0.3 s, after since?
import json
import select
import socket
import subprocess
import sys
import time

PORT = 7799
STEP = 0.02


def echo():
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(('::', PORT))
    print('ready', flush=True)
    while True:
        data, peer = s.recvfrom(2000)
        try:
            s.sendto(data, peer)
        except OSError:
            pass


def path(text, name):
    """direct, relay or none."""
    try:
        st = json.loads(text)
    except ValueError:
        return 'none'
    for p in (st.get('Peer') or {}).values():
        if p.get('HostName') == name:
            if p.get('CurAddr'):
                return 'direct'
            if p.get('PeerRelay'):
                return 'peer-relay'
            if p.get('Relay'):
                return 'relay'
    return 'none'


class Flow:
    def __init__(self, addr):
        self.s = socket.socket(
            socket.AF_INET6 if ':' in addr else socket.AF_INET,
            socket.SOCK_DGRAM)
        self.s.setblocking(False)
        self.dest = (addr, PORT)
        self.sent = []
        self.back = {}
        self.unsent = 0

    def send(self):
        n = len(self.sent)
        self.sent.append(time.monotonic())
        try:
            self.s.sendto(n.to_bytes(4, 'big') + bytes(60), self.dest)
        except OSError:
            self.unsent += 1

    def recv(self):
        while True:
            try:
                n = int.from_bytes(self.s.recv(2000)[:4], 'big')
            except (BlockingIOError, ConnectionRefusedError):
                return
            except OSError:
                return
            self.back.setdefault(n, time.monotonic())

    def result(self, t0):
        r = {'sent': len(self.sent), 'lost': len(self.sent) - len(self.back),
             'first': None, 'lost_after_first': 0, 'longest_gap': None}
        if self.back:
            times = sorted(self.back.values())
            first = min(self.back)
            r['first'] = round((times[0] - t0) * 1000)
            r['lost_after_first'] = sum(
                i not in self.back for i in range(first, len(self.sent)))
            r['longest_gap'] = round(1000 * max(
                [b - a for a, b in zip(times, times[1:])] or [0]))
        return r


def run(addr, name, seconds, after, cmd):
    f = Flow(addr)
    t0 = time.monotonic()
    end = t0 + seconds
    nextsend, nextask, ask, direct, last = t0, t0, None, None, 'none'
    while (now := time.monotonic()) < end:
        if now >= nextsend:
            f.send()
            nextsend += STEP
        if ask is None and now >= nextask:
            ask = subprocess.Popen(cmd + ['status', '--json'],
                                   stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
            text = b''
        fds = [f.s] + ([ask.stdout] if ask else [])
        for r in select.select(fds, [], [],
                               max(0, nextsend - time.monotonic()))[0]:
            if r is f.s:
                f.recv()
                continue
            b = r.read1(1 << 16)
            text += b
            if b:
                continue
            ask.wait()
            ask, nextask = None, time.monotonic() + 0.1
            last = path(text, name)
            if last == 'direct' and direct is None:
                direct = time.monotonic()
                end = min(end, direct + after)
    stop = time.monotonic() + 1         # what is still on its way
    while len(f.back) < len(f.sent) and time.monotonic() < stop:
        select.select([f.s], [], [], 0.1)
        f.recv()
    res = f.result(t0)
    res['path'] = last if f.back else 'none'
    res['direct'] = direct and round((direct - t0) * 1000)
    print(json.dumps(res), flush=True)


def wall():
    return int(time.time() * 1000)


def stream(addr, log):
    f = Flow(addr)
    n = 0
    t = time.monotonic()
    with open(log, 'w', buffering=1) as out:
        while True:
            t += STEP
            while (left := t - time.monotonic()) > 0:
                if select.select([f.s], [], [], left)[0]:
                    try:
                        b = f.s.recv(2000)
                    except OSError:
                        continue
                    i = int.from_bytes(b[:4], 'big')
                    print(i, wall(), file=out)
            try:
                f.s.sendto(n.to_bytes(4, 'big') + bytes(60), f.dest)
            except OSError:
                pass
            n += 1


def times(log, start, end):
    with open(log) as f:
        ts = [int(x.split()[1]) for x in f if x.endswith('\n')]
    return [start] + [t for t in ts if start <= t <= end] + [end]


def gap(log, start, end):
    ts = times(log, start, end)
    return max(b - a for a, b in zip(ts, ts[1:]))


def settled(log, since):
    return wall() - 1000 >= since and gap(log, wall() - 1000, wall()) < 300


if sys.argv[1] == 'echo':
    echo()
elif sys.argv[1] == 'stream':
    stream(sys.argv[2], sys.argv[3])
elif sys.argv[1] == 'gap':
    print(gap(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
elif sys.argv[1] == 'settled':
    sys.exit(0 if settled(sys.argv[2], int(sys.argv[3])) else 1)
else:
    run(sys.argv[2], sys.argv[3], float(sys.argv[4]), float(sys.argv[5]),
        sys.argv[6:])
