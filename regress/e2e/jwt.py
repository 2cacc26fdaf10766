#!/usr/bin/env python3
# Check an ID token. Usage: jwt.py token jwks-file; prints its claims, one
# name=value a line, sorted; exit 1 if the signature is not of that key.

import base64
import json
import subprocess
import sys
import tempfile


def b64(s):
    return base64.urlsafe_b64decode(s + '=' * (-len(s) % 4))


def der_int(b):
    b = b.lstrip(b'\0') or b'\0'
    if b[0] & 0x80:
        b = b'\0' + b
    return bytes([2, len(b)]) + b


head, claims, sig = sys.argv[1].split('.')
kid = json.loads(b64(head))['kid']
key = next(k for k in json.load(open(sys.argv[2]))['keys'] if k['kid'] == kid)
assert key['alg'] == json.loads(b64(head))['alg'] == 'ES256'
raw = b64(sig)
seq = der_int(raw[:32]) + der_int(raw[32:])
spki = bytes.fromhex('3059301306072a8648ce3d020106082a8648ce3d030107034200') \
    + b'\4' + b64(key['x']) + b64(key['y'])
with tempfile.TemporaryDirectory() as d:
    for name, data in (('key', spki), ('text', (head + '.' + claims).encode()),
                       ('sig', bytes([0x30, len(seq)]) + seq)):
        open(d + '/' + name, 'wb').write(data)
    subprocess.run(['openssl', 'dgst', '-sha256', '-keyform', 'DER', '-verify',
                    d + '/key', '-signature', d + '/sig', d + '/text'],
                   check=True, stdout=subprocess.DEVNULL)
for name, value in sorted(json.loads(b64(claims)).items()):
    print('%s=%s' % (name, json.dumps(value)))
