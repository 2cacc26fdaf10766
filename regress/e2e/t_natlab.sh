#!/bin/sh
# One pair of nodes for each outcome in the NAT laboratory; "make natlab"
# runs all pairs.
unset NATLAB NATLAB_JSON NODE_A NODE_B
exec sh "$(dirname "$0")/natpairs.sh"
