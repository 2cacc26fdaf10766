#!/bin/sh
# coordd.conf(5): see conf.sh.
set -u

D=$(cd "$(dirname "$0")" && pwd)
CONF_DIR=$D/coordconf CONF_OPTS=""
CONF_DAEMON=${COORDD:-$D/../../coordd/coordd}
# shellcheck disable=SC1091
. "$D/conf.sh"
