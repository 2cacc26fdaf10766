#!/usr/bin/env python3
# What strangers may send to coordd over TCP. Prints "ok" or "not ok" lines.
# Arguments: host port pid-of-frontd; then the names of the parts to run.
import json
import os
import random
import socket
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
    return socket.create_connection((HOST, PORT), timeout)


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
        (b"GET /register/x HTTP/1.1\r\n\r\n", 200, "page of a login"),
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


PARTS = {
    "source": part_source,
    "random": part_random,
    "requests": part_requests,
    "halfopen": part_halfopen,
    "slow": part_slow,
    "bighead": part_bighead,
}

for name in sys.argv[4:] or PARTS:
    PARTS[name]()
sys.exit(failed)
