#!/bin/sh
# Install the Debian packages that building and testing need and that are
# not there yet.
set -eu

build="gcc make byacc libc6-dev libevent-dev libsodium-dev libssl-dev \
libbsd-dev libjansson-dev libnghttp2-dev libzstd-dev libseccomp-dev \
libmnl-dev libsqlite3-dev libexpat1-dev"
tests="bmake clang llvm libclang-rt-14-dev mandoc iproute2 iputils-ping \
nftables iperf3 wireguard-tools wireguard-go jq curl python3 procps rsync \
openssl sqlite3 bind9-dnsutils valgrind socat stunnel4 ethtool gdb git \
miniupnpd miniupnpd-nftables coturn"

missing=
for p in $build $tests; do
	s=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
	[ "$s" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps: these packages are missing, install them as root:$missing" >&2
	exit 1
fi
echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
