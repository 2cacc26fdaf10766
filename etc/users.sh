#!/bin/sh
# Make the users, the group and the empty directory that the daemons need.
# Usage: users.sh [emptydir]; needs root; does nothing that is done already.
set -eu

empty=${1:-/var/empty}
[ "$(id -u)" -eq 0 ] || { echo "users.sh: must be root" >&2; exit 1; }

getent group shoal >/dev/null || groupadd -r shoal
for u in _shoalcrypt _shoalnet _shoalctl _shoaldns _shoalmap \
    _coordfront _coordstore _coordcrypt _derprelay _derpcrypt _derpdns; do
	getent passwd "$u" >/dev/null && continue
	useradd -r -U -M -d "$empty" -s /usr/sbin/nologin -c "shoal" "$u"
done
if [ ! -d "$empty" ]; then
	mkdir -p "$empty"
	chown 0:0 "$empty"
	chmod 0755 "$empty"
fi
