# What a wire does to numbered datagrams.
#   wireprobe.py recv seconds          waits for the first, then so long;
#                                      prints one line of JSON
#   wireprobe.py send addr n size us   n datagrams, one each us microseconds
# Both ends read one clock: delays are one-way, in ms.
import hashlib
import json
import socket
import struct
import sys
import time
import zlib

PORT = 7801
SO_RCVBUFFORCE = 33


def send(addr, n, size, us):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    start = time.monotonic_ns()
    for i in range(n):
        while (left := start + i * us * 1000 - time.monotonic_ns()) > 0:
            if left > 1000000:
                time.sleep((left - 500000) / 1e9)
        b = struct.pack('!IQ', i, time.monotonic_ns()) + bytes(size - 16)
        s.sendto(b + struct.pack('!I', zlib.crc32(b)), (addr, PORT))


def recv(seconds):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    s.bind(('0.0.0.0', PORT))
    print('ready', file=sys.stderr, flush=True)
    seen, delays, bad, dup, late, size = set(), [], 0, 0, 0, 0
    top, end, first, last = -1, None, 0, 0
    while True:
        if end:
            s.settimeout(max(0.001, end - time.monotonic()))
        try:
            b = s.recv(2000)
        except TimeoutError:
            break
        now = time.monotonic_ns()
        end = end or time.monotonic() + seconds
        if zlib.crc32(b[:-4]) != struct.unpack('!I', b[-4:])[0]:
            bad += 1
            continue
        i, t = struct.unpack('!IQ', b[:12])
        dup += i in seen
        late += i < top and i not in seen
        seen.add(i)
        top = max(top, i)
        delays.append((now - t) / 1e6)
        first, last, size = first or now, now, size + len(b) + 28
    d = sorted(delays) or [0]
    print(json.dumps({
        'got': len(seen), 'corrupt': bad, 'dup': dup, 'late': late,
        'min': d[0], 'p50': d[len(d) // 2], 'max': d[-1],
        'kbit': size * 8e6 / max(last - first, 1),
        'which': hashlib.sha256(str(sorted(seen)).encode()).hexdigest()}))


if sys.argv[1] == 'send':
    send(sys.argv[2], *map(int, sys.argv[3:6]))
else:
    recv(float(sys.argv[2]))
