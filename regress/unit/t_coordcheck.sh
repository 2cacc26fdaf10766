#!/bin/sh
# coordd -n reads the policy and the DERP map that a configuration names: each
# trouble with file and line (and column, where the text is no HuJSON), status
# 1; good ones, status 0. The same as root and not.
set -u

D=$(cd "$(dirname "$0")" && pwd)
COORDD=${COORDD:-$D/../../coordd/coordd}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
bad=0

cat >"$tmp/conf" <<EOF
url "http://192.0.2.1:8080"
listen on 192.0.2.1 port 8080
dns domain "tail.example.org"
policy file "$tmp/policy"
derp map file "$tmp/map"
EOF
chmod 644 "$tmp/conf"

# expect status pattern what: of the last policy and map.
expect()
{
	for as in "" nobody; do
		if [ -n "$as" ]; then
			[ "$(id -u)" -eq 0 ] || continue
			# Not every place of the tree is one for others.
			setpriv --reuid nobody --regid nogroup \
			    --clear-groups test -x "$COORDD" || continue
			setpriv --reuid nobody --regid nogroup \
			    --clear-groups "$COORDD" -n -f "$tmp/conf" \
			    >"$tmp/out" 2>"$tmp/err"
		else
			"$COORDD" -n -f "$tmp/conf" >"$tmp/out" 2>"$tmp/err"
		fi
		[ $? -eq "$1" ] && grep -Eq "$2" "$tmp/err" &&
		    [ ! -s "$tmp/out" ] && continue
		echo "$3 ${as:+(as $as)}:"
		cat "$tmp/out" "$tmp/err"
		bad=1
	done
}

good='{"acls":[{"action":"accept","src":["*"],"dst":["*:*"]}]}'
map='{"Regions":{"900":{"RegionID":900,"RegionCode":"x","RegionName":"X",
"Nodes":[{"Name":"a","RegionID":900,"HostName":"a.example"}]}}}'
echo "$map" >"$tmp/map"
echo "$good" >"$tmp/policy"
expect 0 '^configuration OK$' "both good"
printf '{\n  "acls": [,]\n}\n' >"$tmp/policy"
expect 1 "^$tmp/policy:2: column 12: ." "no HuJSON"
printf '{\n  // why\n  "groups": {},\n  "acls": [{"action":"accept",
  "src":["group:x"],"dst":["*:*"]}],\n}\n' >"$tmp/policy"
expect 1 "^$tmp/policy:5: src: group not defined: \"group:x\"" "no such group"
: >"$tmp/policy"
expect 1 "^$tmp/policy:1: ." "an empty policy"
head -c 300000 /dev/zero | tr '\0' ' ' >"$tmp/policy"
echo "$good" >>"$tmp/policy"
expect 0 '^configuration OK$' "a large one"
head -c 300000 /dev/zero | tr '\0' '[' >"$tmp/policy"
expect 1 "^$tmp/policy:1: ." "a deep one"
echo '{"grants":[]}' >"$tmp/policy"
expect 0 '^configuration OK$' "an empty list denies all"
echo '{"hosts":{}}' >"$tmp/policy"
expect 0 "^$tmp/policy:[0-9]+: warning: ." "without rules: a warning"
echo "$good" >"$tmp/policy"
echo '{"Regions":{"900":{"RegionID":901}}}' >"$tmp/map"
expect 1 "^$tmp/map: region .900.: its RegionID" "a DERP map with a slip"
printf '{"Regions":\n{"900":}}' >"$tmp/map"
expect 1 "^$tmp/map:2: ." "a DERP map that is no JSON"
[ $bad -eq 0 ] && echo "10 files"
exit $bad
