#!/bin/sh
# Sealing of batches: OpenSSL, our own way, and libipsec-mb where its header
# is (Debian: libipsec-mb-dev). The table, and JSON for measure.py in
# regress/out/part.cipher.json.
set -u
TOP=$(cd "$(dirname "$0")/../.." && pwd)
: "${CC:=cc}"
mkdir -p "$TOP/regress/out" "$TOP/regress/bench/bin"
echo "# sealing batches of packets, GB/s" >&2
mb=
[ ! -e /usr/include/intel-ipsec-mb.h ] || mb="-DIPSEC_MB -lIPSec_MB"
# shellcheck disable=SC2086
$CC -O2 -D_GNU_SOURCE -DLIBBSD_OVERLAY -isystem /usr/include/bsd \
    -I"$TOP/proto" -o "$TOP/regress/bench/bin/cipher" \
    "$TOP/regress/bench/cipher.c" "$TOP/proto/libproto.a" \
    -lcrypto -lsodium -lbsd $mb || exit 1
"$TOP/regress/bench/bin/cipher" >"$TOP/regress/out/cipher" || exit 1
sed 's/^/# /' "$TOP/regress/out/cipher" | column -t >&2
awk '$1 == 1280 && $2 == 64 {
	printf "{\"shoal\": {\"cipher_evp\": [%s]", $3
	if ($4 != "-")
		printf ", \"cipher_own\": [%s]", $4
	if ($5 != "-")
		printf ", \"cipher_imb\": [%s]", $5
	print "}}"
}' "$TOP/regress/out/cipher" >"$TOP/regress/out/part.cipher.json"
