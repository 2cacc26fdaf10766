#!/bin/sh
# Real nodes and ours behind NATs, each way round: TAILSCALED and TAILSCALE.
[ -x "${TAILSCALED:-}" ] && [ -x "${TAILSCALE:-}" ] || {
	echo "skip: needs TAILSCALED and TAILSCALE"
	exit 77
}
unset NATLAB_JSON NATLAB_NORELAY
export NATLAB="port-port sym-addr sym-sym blocked-open v6fw-v6fw pmp-sym"
NODE_A=tailscaled NODE_B=shoald sh "$(dirname "$0")/../e2e/natpairs.sh"
STATUS=$?
NODE_A=shoald NODE_B=tailscaled sh "$(dirname "$0")/../e2e/natpairs.sh" &&
    exit $STATUS
