#!/usr/bin/env python3
# An HTTP proxy that knows CONNECT, for t_dial.sh: address port log, and
# "plain" if it is to connect to port 80 too, "user:password" if it wants them.
import base64
import socket
import sys
import threading


def pump(a, b):
    try:
        while True:
            d = a.recv(65536)
            if not d:
                break
            b.sendall(d)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(c, log):
    head = b""
    while b"\r\n\r\n" not in head:
        d = c.recv(4096)
        if not d:
            return
        head += d
    line = head.split(b"\r\n")[0].decode()
    log.write(line + "\n")
    log.flush()
    word, where, _ = line.split(" ")
    host, port = where.rsplit(":", 1)
    if want and want not in head:
        c.sendall(b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic "
                  b"realm=\"x\"\r\nContent-Length: 0\r\n\r\n")
        c.close()
        return
    # As many do: not to the plain port.
    if word != "CONNECT" or (port == "80" and "plain" not in sys.argv):
        c.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        c.close()
        return
    if host == "coord.test":
        host = "10.77.0.1"
    s = socket.create_connection((host, int(port)))
    c.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    threading.Thread(target=pump, args=(s, c), daemon=True).start()
    pump(c, s)


want = b""
for word in sys.argv[4:]:
    if ":" in word:
        want = b"\r\nProxy-Authorization: Basic " + \
            base64.b64encode(word.encode()) + b"\r\n"
log = open(sys.argv[3], "a")
lsock = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    conn, _ = lsock.accept()
    threading.Thread(target=serve, args=(conn, log), daemon=True).start()
