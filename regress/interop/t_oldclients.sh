#!/bin/sh
# The same with clients of some years ago: OLD_TAILSCALED and OLD_TAILSCALE.
[ -x "${OLD_TAILSCALED:-}" ] && [ -x "${OLD_TAILSCALE:-}" ] || {
	echo "skip: needs OLD_TAILSCALED and OLD_TAILSCALE"
	exit 77
}
TAILSCALED=$OLD_TAILSCALED TAILSCALE=$OLD_TAILSCALE
export TAILSCALED TAILSCALE
exec sh "$(dirname "$0")/t_tailscaled.sh"
