#!/usr/bin/env python3
# Make a tailnet large: copies of a node in coordd's store, which must not be
# running. Usage: clone_nodes.py store.db label count. Each copy has keys, a
# name and addresses of its own; all else is as the original has it.

import os
import sqlite3
import sys


def main():
    path, label, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row
    row = db.execute('SELECT * FROM node WHERE label = ?',
                     (label,)).fetchone()
    if row is None:
        sys.exit('no node ' + label)
    cols = [c for c in row.keys() if c != 'id']
    ins = 'INSERT INTO node (%s) VALUES (%s)' % (
        ', '.join(cols), ', '.join('?' for _ in cols))
    rows = []
    for i in range(count):
        n = dict(row)
        for c in ('machine', 'key', 'disco'):
            n[c] = os.urandom(32)
        n['nl'] = None
        n['label'] = n['hostname'] = 'many-%d' % i
        n['addr4'] = (0x64500000 + i).to_bytes(4, 'big')
        n['addr6'] = row['addr6'][:12] + (0x64500000 + i).to_bytes(4, 'big')
        rows.append([n[c] for c in cols])
    with db:
        db.executemany(ins, rows)
    db.close()


main()
