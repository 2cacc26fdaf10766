#!/usr/bin/env python3
# What strangers may send to coordd over TCP. Prints "ok" or "not ok" lines.
# Arguments: host port pid-of-frontd; then the names of the parts to run. The
# parts "tls..." are for a port that speaks TLS, and run only by name.
import multiprocessing
import os
import random
import socket
import ssl
import sys
import time

HOST, PORT, PID = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
failed = 0


def result(good, what):
    global failed
    print(("ok " if good else "not ok ") + what, flush=True)
    if not good:
        failed = 1


def connect(timeout=15):
    s = socket.create_connection((HOST, PORT), timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_all(s):
    data = b""
    try:
        while len(data) < 1 << 20:
            got = s.recv(65536)
            if not got:
                break
            data += got
    except ConnectionResetError:
        pass
    return data


def ask(request):
    with connect() as s:
        s.sendall(request)
        return read_all(s)


def status(answer):
    try:
        return int(answer.split(b" ", 2)[1])
    except (IndexError, ValueError):
        return 0


def healthy():
    start = time.monotonic()
    answer = ask(b"GET /key?v=145 HTTP/1.1\r\nHost: x\r\n\r\n")
    return status(answer) == 200 and time.monotonic() - start < 2


def memory():
    """Private and shared memory of frontd, in kB."""
    with open(f"/proc/{PID}/smaps_rollup") as f:
        for line in f:
            if line.startswith("Rss:"):
                return int(line.split()[1])


def descriptors():
    return len(os.listdir(f"/proc/{PID}/fd"))


def part_random():
    rnd = random.Random(1)
    closed = 0
    for i in range(300):
        with connect() as s:
            s.settimeout(15)
            try:
                s.sendall(rnd.randbytes(rnd.randrange(1, 4096)) + b"\n\n")
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            answer = read_all(s)
            closed += answer == b"" or 400 <= status(answer) <= 505
    result(closed == 300, "random bytes: every connection refused")
    result(healthy(), "random bytes: still serves")


def part_requests():
    cases = [
        (b"GET /key HTTP/1.1\r\n\r\n", 400, "/key without a version"),
        (b"GET /key?v=1 HTTP/1.1\r\n\r\n", 400, "/key, version 1"),
        (b"GET /key?v=99999999999 HTTP/1.1\r\n\r\n", 400,
         "/key, version out of range"),
        (b"GET /key?v=abc HTTP/1.1\r\n\r\n", 400, "/key, version abc"),
        (b"GET /nothing HTTP/1.1\r\n\r\n", 404, "unknown path"),
        (b"DELETE / HTTP/1.1\r\n\r\n", 405, "method DELETE"),
        (b"GET /register/x HTTP/1.1\r\n\r\n", 404, "no such login"),
        (b"GET /version HTTP/1.1\r\n\r\n", 200, "/version"),
        (b"POST /verify HTTP/1.1\r\n\r\n", 400, "/verify without a body"),
        (b"POST /verify HTTP/1.1\r\nContent-Length: 99999\r\n\r\n", 413,
         "/verify with a long body"),
        (b"POST /verify HTTP/1.1\r\nContent-Length: 5\r\n\r\n[1,2]", 400,
         "/verify with another body"),
        (b"POST /verify HTTP/1.1\r\nContent-Length: 89\r\n\r\n"
         b'{"NodePublic":"nodekey:' + b"5" * 64 + b'"}', 200,
         "/verify of a stranger"),
        (b"GET /register/<b> HTTP/1.1\r\n\r\n", 404, "markup in a login"),
        (b"GET /register/$(id) HTTP/1.1\r\n\r\n", 404,
         "shell words in a login"),
        (b"GET /register/../key HTTP/1.1\r\n\r\n", 404, "dots in a login"),
        (b"POST /ts2021 HTTP/1.1\r\n\r\n", 400, "upgrade without fields"),
        (b"GET /ts2021 HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", 400,
         "upgrade to websocket"),
        (b"POST /ts2021 HTTP/1.1\r\nUpgrade: tailscale-control-protocol\r\n"
         b"X-Tailscale-Handshake: !!!!\r\n\r\n", 400, "no base64"),
        (b"POST /ts2021 HTTP/1.1\r\nUpgrade: tailscale-control-protocol\r\n"
         b"X-Tailscale-Handshake: AAAA\r\n\r\n", 400, "short handshake"),
        (b"POST /ts2021 HTTP/1.1\r\nUpgrade: tailscale-control-protocol\r\n"
         b"Content-Length: 5\r\nX-Tailscale-Handshake: AAAA\r\n\r\nAAAAA",
         400, "upgrade with a body"),
        (b"GET / HTTP/9.9\r\n\r\n", 505, "unknown HTTP version"),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414, "long target"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431,
         "many fields"),
        (b"GET / HTTP/1.1\r\na: " + b"\0" + b"\r\n\r\n", 400, "NUL"),
    ]
    for request, want, what in cases:
        got = status(ask(request))
        result(got == want, f"{what}: {got}")


def part_halfopen():
    before = descriptors()
    conns = [socket.create_connection((HOST, PORT), 15,
             (f"10.9.8.{i % 200 + 1}", 0)) for i in range(400)]
    start = time.monotonic()
    good = all(healthy() for i in range(5))
    result(good, "400 silent connections: others are served")
    for s in conns[:200]:
        s.send(b"GET ")
    for s in conns:
        s.settimeout(20)
        read_all(s)
    took = time.monotonic() - start
    result(8 < took < 20, f"silent connections end after {took:.0f} s")
    for s in conns:
        s.close()
    time.sleep(3)
    result(descriptors() <= before + 2, "their descriptors are free again")


def part_slow():
    with connect() as s:
        s.settimeout(0.5)
        start = time.monotonic()
        data = b""
        for c in b"GET /key?v=145 HTTP/1.1\r\nHost: slow.example.org\r\n":
            try:
                s.send(bytes([c]))
                data += s.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
            if data:
                break
        took = time.monotonic() - start
    result(status(data) == 408 and took < 15,
           f"slow sender: {status(data)} after {took:.0f} s")


def part_bighead():
    before = memory()
    socks = []
    for i in range(8):
        s = connect()
        sent = 0
        try:
            s.sendall(b"GET / HTTP/1.1\r\nX: ")
            while sent < 10_000_000:
                s.sendall(b"a" * 65536)
                sent += 65536
        except OSError:
            pass
        socks.append((s, sent))
    grown = memory() - before
    for s, sent in socks:
        s.close()
    result(grown < 4096, f"10 MB heads: memory grew by {grown} kB")
    answer = b""
    with connect() as s:
        try:
            s.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 20000)
        except OSError:
            pass
        answer = read_all(s)
    result(status(answer) == 431, f"a 20 kB head: {status(answer)}")
    result(healthy(), "10 MB heads: still serves")


def part_source():
    conns = []
    refused = 0
    for i in range(100):
        s = socket.create_connection((HOST, PORT), 5, ("10.9.9.2", 0))
        s.settimeout(0.2)
        conns.append(s)
    time.sleep(0.5)
    for s in conns:
        try:
            refused += s.recv(1) == b""
        except TimeoutError:
            pass
        except OSError:
            refused += 1
    result(refused == 36, f"100 connections of one address: {refused} refused")
    result(healthy(), "another address is served meanwhile")
    for s in conns:
        s.close()


def tls_context():
    ctx = ssl.create_default_context()
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    return ctx


def tls_ask(ctx):
    """One honest client: seconds that its whole request took, or None."""
    start = time.monotonic()
    try:
        with connect() as raw, ctx.wrap_socket(raw) as s:
            s.sendall(b"GET /key?v=145 HTTP/1.1\r\nHost: x\r\n\r\n")
            good = status(s.recv(65536)) == 200
    except OSError:
        return None
    return time.monotonic() - start if good else None


def tls_hello():
    """The first flight of a client, as bytes."""
    out = ssl.MemoryBIO()
    try:
        tls_context().wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def tls_flooder(seed, hello, seconds, done):
    """Each makes the server sign, and goes."""
    rnd = random.Random(seed)
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection((HOST, PORT), 5,
                    (f"10.9.8.{rnd.randrange(1, 250)}", 0)) as s:
                s.sendall(hello)
                s.recv(1)
                count += 1
        except OSError:
            pass
    done.put(count)


def percentile(list_, p):
    return sorted(list_)[min(len(list_) - 1, int(len(list_) * p))] * 1000


def honest(ctx, n):
    took = [tls_ask(ctx) for i in range(n)]
    good = [t for t in took if t is not None]
    return len(good) == n, good or [99]


def part_tlsflood():
    ctx, hello, done = tls_context(), tls_hello(), multiprocessing.Queue()
    _, calm = honest(ctx, 50)
    procs = [multiprocessing.Process(target=tls_flooder,
             args=(i, hello, 6, done)) for i in range(4)]
    for p in procs:
        p.start()
    time.sleep(0.5)
    all_good, took = honest(ctx, 100)
    total = sum(done.get() for p in procs)
    for p in procs:
        p.join()
    print(f"# flood of {total / 6:.0f} handshakes a second; an honest "
          f"request: p50 {percentile(calm, .5):.1f} -> "
          f"{percentile(took, .5):.1f} ms, p99 {percentile(calm, .99):.1f} "
          f"-> {percentile(took, .99):.1f} ms")
    result(all_good and percentile(took, .99) < 2000,
           "flood of handshakes: all honest clients are served")


def part_tlsslow():
    """Silent, and slow in the middle of the handshake."""
    before, hello = descriptors(), tls_hello()
    ctx = tls_context()
    conns = [socket.create_connection((HOST, PORT), 15,
             (f"10.9.8.{i % 200 + 1}", 0)) for i in range(300)]
    start = time.monotonic()
    for i, s in enumerate(conns):
        s.send((b"", hello[:20], hello)[i % 3])
    good, _ = honest(ctx, 5)
    result(good, "300 slow handshakes: others are served")
    for s in conns:
        s.settimeout(20)
        read_all(s)
        s.close()
    took = time.monotonic() - start
    result(8 < took < 20, f"slow handshakes end after {took:.0f} s")
    time.sleep(0.5)
    result(descriptors() <= before + 2, "their descriptors are free again")
    with connect() as s:
        s.sendall(b"GET /key?v=145 HTTP/1.1\r\n\r\n")
        result(read_all(s)[:4] != b"HTTP", "plain HTTP is not answered")
    rnd = random.Random(2)
    for i in range(100):
        with connect() as s:
            try:
                s.sendall(b"\x16\x03\x01" + rnd.randbytes(600))
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            read_all(s)
    result(tls_ask(ctx) is not None, "random handshakes: still serves")


PARTS = {
    "source": part_source,
    "random": part_random,
    "requests": part_requests,
    "halfopen": part_halfopen,
    "slow": part_slow,
    "bighead": part_bighead,
}

TLS_PARTS = {
    "tlsflood": part_tlsflood,
    "tlsslow": part_tlsslow,
}

for name in sys.argv[4:] or PARTS:
    {**PARTS, **TLS_PARTS}[name]()
sys.exit(failed)
