#!/bin/sh
# Show a tailnet: a coordination server and two nodes in network namespaces,
# their addresses, and packets through the tunnel. Needs root; cleans up.
set -u

cd "$(dirname "$0")/.."
sh etc/users.sh
exec sh regress/e2e/demo.sh
