# What a NAT does, by RFC 4787's words.
#   natprobe.py serve addr1 addr2      the public side, ports 5001 and 5002
#   natprobe.py probe addr1 addr2      from inside: one line, for example
#       mapping=apdm filtering=apdf port=random hairpin=no
import select
import socket
import sys

PORTS = (5001, 5002)


def sock(addr, port):
    s = socket.socket(socket.AF_INET6 if ':' in addr else socket.AF_INET,
                      socket.SOCK_DGRAM)
    s.bind((addr, port))
    return s


def serve(addrs):
    socks = [sock(a, p) for a in addrs for p in PORTS]
    print('serving', flush=True)
    while True:
        for s in select.select(socks, [], [])[0]:
            data, peer = s.recvfrom(100)
            # the letters say which of the four sockets answer
            for c in data.decode():
                socks[int(c)].sendto(
                    f'{c} {peer[0]} {peer[1]}'.encode(), peer[:2])


def ask(s, dest, which, wait=2.0):
    """Answers by number of the socket they came from."""
    got = {}
    s.sendto(which.encode(), dest)
    s.settimeout(wait)
    try:
        while len(got) < len(which):
            c, addr, port = s.recv(100).decode().split()
            got[c] = (addr, int(port))
            s.settimeout(0.4)
    except TimeoutError:
        pass
    return got


def mapping(s, dests):
    seen = []
    for i, d in enumerate(dests):
        got = ask(s, d, str(i))
        if str(i) not in got:
            return None, None
        seen.append(got[str(i)])
    if len(set(seen)) == 1:
        kind = 'eim'
    elif seen[0] == seen[1] and seen[2] == seen[3]:
        kind = 'adm'
    else:
        kind = 'apdm'
    return kind, seen


def filtering(s, dest):
    got = ask(s, dest, '0123')
    return {'0123': 'eif', '01': 'adf', '0': 'apdf'}.get(
        ''.join(sorted(got)), 'odd:' + ''.join(sorted(got)))


def hairpin(s, mapped, any_addr):
    with sock(any_addr, 0) as t:
        t.sendto(b'hair', mapped)
        s.settimeout(0.4)
        try:
            return 'yes' if s.recv(100) == b'hair' else 'no'
        except TimeoutError:
            return 'no'


def probe(addrs):
    dests = [(a, p) for a in addrs for p in PORTS]
    any_addr = '::' if ':' in addrs[0] else '0.0.0.0'
    with sock(any_addr, 0) as s:
        kind, seen = mapping(s, dests)
        if kind is None:
            print('blocked')
            return
        own = s.getsockname()[1]
        keeps = all(p == own for _, p in seen)
        pin = hairpin(s, seen[0], any_addr)
    with sock(any_addr, 0) as s:
        filt = filtering(s, dests[0])
    print(f'mapping={kind} filtering={filt} '
          f'port={"kept" if keeps else "random"} hairpin={pin}')


{'serve': serve, 'probe': probe}[sys.argv[1]](sys.argv[2:4])
