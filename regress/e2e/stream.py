# Send a stream and datagrams made from a seed, or receive them; prints the
# hash of what went or came, in order. Datagrams are sent slowly enough that
# none needs to be lost.
import hashlib
import random
import socket
import sys
import time

PORT = 7788
SIZE = 8 << 20
DATAGRAMS = 400


def datagrams():
    r = random.Random(5)
    size = 100
    for i in range(DATAGRAMS):
        if i % 8 == 0:          # runs of equal sizes, to be joined
            size = r.choice([1, 17, 200, 1000, 1200, 1232, 3000, 9000])
        yield i.to_bytes(4, 'big') + r.randbytes(size)


def send(addr):
    h = hashlib.sha256()
    data = random.Random(7).randbytes(SIZE)
    with socket.create_connection((addr, PORT), timeout=10) as s:
        s.sendall(data)
        h.update(data)
        s.shutdown(socket.SHUT_WR)
        s.recv(1)               # the receiver is ready for datagrams
    fam = socket.AF_INET6 if ':' in addr else socket.AF_INET
    with socket.socket(fam, socket.SOCK_DGRAM) as s:
        for i, d in enumerate(datagrams()):
            s.sendto(d, (addr, PORT))
            h.update(d)
            if i % 8 == 7:
                time.sleep(0.005)
    return h


def recv():
    h = hashlib.sha256()
    l = socket.create_server(('::', PORT), family=socket.AF_INET6,
                             dualstack_ipv6=True)
    u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    u.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    u.bind(('::', PORT))
    u.settimeout(5)
    l.settimeout(10)
    c, _ = l.accept()
    c.settimeout(20)
    while True:
        b = c.recv(1 << 16)
        if not b:
            break
        h.update(b)
    c.sendall(b'.')
    got = sorted(u.recv(65535) for _ in range(DATAGRAMS))
    for d in got:
        h.update(d)
    return h


if sys.argv[1] == 'send':
    print(send(sys.argv[2]).hexdigest())
else:
    print(recv().hexdigest())
