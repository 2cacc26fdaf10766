#!/usr/bin/env python3
# Search the memory of processes for the private keys of a state file, or of
# a file in PEM. Usage: custody.py file pid...; exit 0 if they are nowhere. To
# show that the search works, it must find a public thing too: the name of
# the program.

import re
import subprocess
import sys


def pem_secrets(path):
    """The numbers of a private key of TLS: EC scalar, RSA primes."""
    text = subprocess.run(['openssl', 'pkey', '-in', path, '-noout', '-text'],
                          check=True, capture_output=True, text=True).stdout
    out = []
    for m in re.finditer(r'^(priv|prime1|prime2|privateExponent):\n'
                         r'((?: +[0-9a-f:]+\n)+)', text, re.M):
        raw = bytes.fromhex(re.sub(r'[^0-9a-f]', '', m.group(2)))
        raw = raw.lstrip(b'\0')
        out.append((m.group(1), raw))
        out.append((m.group(1), raw[::-1]))     # as a number in memory
    return out


def secrets(path):
    if '-----BEGIN' in open(path).read():
        return pem_secrets(path)
    out = []
    for line in open(path):
        m = re.search(r'(privkey|nlpriv):([0-9a-fA-F]+)', line)
        if m:
            raw = bytes.fromhex(m.group(2))
            out.append((line.split()[0], raw[:32]))
    return out


def regions(pid):
    with open('/proc/%d/maps' % pid) as maps, \
            open('/proc/%d/mem' % pid, 'rb', 0) as mem:
        for line in maps:
            f = line.split()
            lo, hi = (int(x, 16) for x in f[0].split('-'))
            if f[1][0] != 'r' or f[-1] in ('[vvar]', '[vsyscall]'):
                continue
            try:
                mem.seek(lo)
                yield mem.read(hi - lo)
            except OSError:
                pass


def clamp(k):
    b = bytearray(k)
    b[0] &= 248
    b[31] = (b[31] & 127) | 64
    return bytes(b)


def forms(raw):
    if len(raw) != 32:
        return (raw, raw.hex().encode())
    return (raw, clamp(raw), raw.hex().encode())


def main():
    keys = secrets(sys.argv[1])
    if not keys:
        sys.exit('no private key in %s' % sys.argv[1])
    print('%d keys: %s' % (len(keys), ' '.join(k for k, _ in keys)))
    bad = 0
    for pid in map(int, sys.argv[2:]):
        comm = open('/proc/%d/comm' % pid).read().strip().encode()
        seen, total = False, 0
        for data in regions(pid):
            total += len(data)
            seen = seen or comm in data
            for name, raw in keys:
                for form in forms(raw):
                    if form in data:
                        print('%s key in the memory of %s (%d)' %
                              (name, comm.decode(), pid))
                        bad = 1
        if not seen or total < 65536:
            print('the memory of %s (%d) could not be read' %
                  (comm.decode(), pid))
            bad = 1
    sys.exit(bad)


if len(sys.argv) < 3:
    sys.exit('usage: custody.py state pid...')
main()
