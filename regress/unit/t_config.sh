#!/bin/sh
# shoald.conf(5): see conf.sh.
set -u

D=$(cd "$(dirname "$0")" && pwd)
CONF_DIR=$D/config CONF_OPTS="-D cmd=fromcmd"
CONF_DAEMON=${SHOALD:-$D/../../parent/shoald}
# shellcheck disable=SC1091
. "$D/conf.sh"
