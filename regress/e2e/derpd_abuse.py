# What strangers do to a relay: derpd_abuse.py address port what seconds
# It prints what came of it, and exits 1 if that is not as it should be.
import errno, os, select, socket, ssl, struct, sys, time, zlib

HOST, PORT = sys.argv[1], int(sys.argv[2])
WHAT, SECONDS = sys.argv[3], float(sys.argv[4])
END = time.time() + SECONDS


def connect():
    s = socket.socket()
    s.settimeout(5)
    s.connect((HOST, PORT))
    return s


def connects():
    """Connect and stay, as fast as it goes: past its share, each is reset."""
    made, reset, other = 0, 0, 0
    poll = select.poll()
    fds = {}
    while True:
        if time.time() < END:
            s = socket.socket()
            try:
                s.connect((HOST, PORT))
            except OSError:
                other += 1
                s.close()
                continue
            made += 1
            s.setblocking(False)
            fds[s.fileno()] = s
            poll.register(s, select.POLLIN | select.POLLHUP | select.POLLERR)
            if made % 16:
                continue
        ready = poll.poll(0 if time.time() < END else 500)
        # What the relay has not got to yet is still open.
        if not ready and time.time() >= END and \
           (len(fds) <= 300 or time.time() >= END + 5):
            break
        for fd, _ in ready:
            try:
                fds[fd].recv(1)
                other += 1
            except ConnectionResetError:
                reset += 1
            except OSError:
                other += 1
            poll.unregister(fd)
            fds.pop(fd).close()
    print('%.0f connects a second from one address, %d reset, %d open' %
          (made / SECONDS, reset, len(fds)))
    return reset > 0 and len(fds) <= 300


def handshakes():
    """Whole TLS handshakes, one after another."""
    ctx = ssl._create_unverified_context()
    n = 0
    while time.time() < END:
        try:
            s = ctx.wrap_socket(connect())
            s.close()
            n += 1
        except OSError:
            pass
    print('%.0f TLS handshakes a second' % (n / SECONDS))
    return n > 0


def slow():
    """A TLS handshake of a byte a second: ended after a time."""
    hello = bytes.fromhex('16030100c8010000c40303') + os.urandom(200)
    socks = []
    for _ in range(200):
        try:
            socks.append(connect())
        except OSError:
            pass
    t0, closed, last = time.time(), 0, 0
    for i in range(int(SECONDS)):
        for s in list(socks):
            try:
                s.send(hello[i:i + 1])
            except OSError:
                socks.remove(s)
                closed += 1
                last = time.time() - t0
        time.sleep(1)
    print('%d slow handshakes ended, the last after %.0f s; %d are left' %
          (closed, last, len(socks)))
    return closed > 0 and not socks


def heads():
    """HTTP heads without an end, and of other kinds than there are."""
    ctx = ssl._create_unverified_context()
    bad = 0
    for head in (b'GET / HTTP/1.1\r\nX: ' + b'x' * 20000,
                 b'GET /derp HTTP/1.1\r\n' + b'A: b\r\n' * 3000,
                 b'\0' * 10000, b'POST\r\n\r\n', b'GET / HTTP/0.9\r\n\r\n',
                 b'GET /derp HTTP/1.1\r\nUpgrade: derp\r\n\r\n' +
                 b'\2\xff\xff\xff\xff' + b'x' * 30000,
                 b'GET /derp HTTP/1.1\r\nUpgrade: derp\r\n\r\n' +
                 b'\4\0\0\0\x40' + b'x' * 64):
        try:
            s = ctx.wrap_socket(connect())
            s.sendall(head)
            while s.recv(4096):
                pass
        except socket.timeout:
            print('not ended: %r' % head[:30])
            bad += 1
        except OSError:
            pass
    print('%d bad heads are not ended' % bad)
    return bad == 0


def stun():
    """Questions as fast as it goes: so many are answered."""
    p = struct.pack('!HHI', 1, 20, 0x2112a442) + os.urandom(12)
    p += struct.pack('!HH', 0x8022, 8) + b'tailnode'
    p += struct.pack('!HHI', 0x8028, 4, zlib.crc32(p) ^ 0x5354554e)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((HOST, PORT))
    s.setblocking(False)
    asked = answered = 0
    while time.time() < END:
        s.send(p)
        asked += 1
        try:
            s.recv(100)
            answered += 1
        except OSError:
            pass
    time.sleep(0.2)
    try:
        while s.recv(100):
            answered += 1
    except OSError:
        pass
    print('%.0f STUN questions a second, %d answered' %
          (asked / SECONDS, answered))
    return 0 < answered <= 400 + 200 * (SECONDS + 1)


import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (8000, 8000))
sys.exit(0 if globals()[WHAT]() else 1)
