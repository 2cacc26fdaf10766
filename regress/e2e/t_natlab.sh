#!/bin/sh
# One pair of nodes for each outcome in the NAT laboratory; "make natlab"
# runs all pairs. Where no relay answers, nodes in the open meet still.
unset NATLAB NATLAB_JSON NATLAB_NORELAY NODE_A NODE_B
sh "$(dirname "$0")/natpairs.sh"
STATUS=$?
[ $STATUS -ne 77 ] || exit 77
echo "# without relays"
NATLAB_NORELAY=yes NATLAB="open-open open-full v6-v6" \
    sh "$(dirname "$0")/natpairs.sh" && exit $STATUS
