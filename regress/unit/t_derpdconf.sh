#!/bin/sh
# derpd.conf(5): see conf.sh.
set -u

D=$(cd "$(dirname "$0")" && pwd)
CONF_DIR=$D/derpdconf CONF_OPTS=""
CONF_DAEMON=${DERPD:-$D/../../derpd/derpd}
# shellcheck disable=SC1091
. "$D/conf.sh"
