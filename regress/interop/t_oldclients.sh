#!/bin/sh
# The same with clients of some years ago: OLD_TAILSCALED and OLD_TAILSCALE.
[ -x "${OLD_TAILSCALED:-}" ] && [ -x "${OLD_TAILSCALE:-}" ] || {
	echo "skip: needs OLD_TAILSCALED and OLD_TAILSCALE"
	exit 77
}
TAILSCALED=$OLD_TAILSCALED TAILSCALE=$OLD_TAILSCALE
export TAILSCALED TAILSCALE
here=$(dirname "$0")
sh "$here/t_tailscaled.sh"
first=$?
sh "$here/t_clients.sh" && exit $first
