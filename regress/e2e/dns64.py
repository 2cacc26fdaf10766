#!/usr/bin/env python3
"""A resolver of a network of IPv6 alone: dns64.py address name=IPv4...

Whatever has an IPv4 address gets one with the prefix 64:ff9b::/96 before it
(RFC 6147); ipv4only.arpa tells the prefix (RFC 7050)."""

import ipaddress
import socket
import struct
import sys

NAMES = {"ipv4only.arpa": "192.0.0.170"}


def answer(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    at += 1
    kind = struct.unpack(">H", query[at:at + 2])[0]
    v4 = NAMES.get(".".join(labels).lower())
    data = None
    if v4 and kind == 1:
        data = ipaddress.ip_address(v4).packed
    elif v4 and kind == 28:
        data = bytes.fromhex("0064ff9b") + bytes(8) + \
            ipaddress.ip_address(v4).packed
    head = query[:2] + struct.pack(">HHHHH", 0x8180 if v4 else 0x8183, 1,
                                   1 if data else 0, 0, 0)
    reply = head + query[12:at + 4]
    if data:
        reply += struct.pack(">HHHIH", 0xc00c, kind, 1, 60,
                             len(data)) + data
    return reply


NAMES.update(word.split("=") for word in sys.argv[2:])
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 53))
print("serving", flush=True)
while True:
    text, peer = sock.recvfrom(4096)
    try:
        sock.sendto(answer(text), peer)
    except (IndexError, UnicodeDecodeError, struct.error):
        pass
