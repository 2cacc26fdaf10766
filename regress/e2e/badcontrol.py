#!/usr/bin/env python3
# A control server that misbehaves in one way. Usage: badcontrol.py how
# address port. Ends by itself after 60 s.

import os
import socket
import sys
import threading
import time

KEY = (b'{"legacyPublicKey":"mkey:' + b'0' * 64 +
       b'","publicKey":"mkey:' + b'ab' * 32 + b'"}')


def head(body, status=b'200 OK', kind=b'application/json', more=b''):
    return (b'HTTP/1.1 ' + status + b'\r\nContent-Type: ' + kind + more +
            b'\r\nContent-Length: %d\r\n\r\n' % len(body) + body)


def endless(c, first, piece):
    c.sendall(first)
    end = time.time() + 20
    while time.time() < end:
        c.sendall(piece)


def serve(c, how):
    c.settimeout(20)
    try:
        if how == 'silence':
            time.sleep(20)
            return
        if how == 'close':
            return
        if how == 'endless-head':
            c.recv(4096)
            return endless(c, b'HTTP/1.1 200 OK\r\n', b'X-A: ' + b'b' * 999)
        if how == 'garbage':
            c.recv(4096)
            return c.sendall(os.urandom(20000))
        req = c.recv(4096)
        if how == 'status500':
            return c.sendall(head(b'no', b'500 Internal Server Error'))
        if how == 'portal':
            where = b'http://u:p@login.hotel.test:8000/?from=' + b'x' * 900
            return c.sendall(head(b'', b'302 Found',
                                  more=b'\r\nLocation: ' + where))
        if how == 'html':
            return c.sendall(head(b'<html>hotel</html>', kind=b'text/html'))
        if how == 'endless-body':
            return endless(c, b'HTTP/1.1 200 OK\r\n\r\n', b'{' * 4096)
        if req.startswith(b'GET /key'):
            c.sendall(head(KEY))
            req = c.recv(4096)
            if not req:
                return
        up = (b'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n'
              b'Upgrade: tailscale-control-protocol\r\n\r\n')
        if how == 'half':
            return c.sendall(up + b'\x02\x00\x30' + b'x' * 20)
        c.sendall(up + b'\x02\xff\xff')
        endless(c, b'', os.urandom(4096))
    except OSError:
        pass
    finally:
        c.close()


def main():
    how, addr, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((addr, port))
    s.listen(64)
    print('listening', flush=True)
    s.settimeout(60)
    while True:
        c, _ = s.accept()
        threading.Thread(target=serve, args=(c, how), daemon=True).start()


main()
