#!/bin/sh
# derpd.conf(5): derpdconf/*.in printed by -nv is derpdconf/*.ok, and that
# parses and prints the same again; in derpdconf/*.bad exactly the lines
# marked "# error" are refused, with exit status 1.
set -u

cd "$(dirname "$0")/derpdconf" || exit 1
: "${DERPD:=../../../derpd/derpd}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0 n=0

place()
{
	rm -rf "$tmp/c"
	cp -R . "$tmp/c"
	sed "s|@DIR@|$tmp/c|g" "$1" >"$tmp/c/$1"
}

say()
{
	echo "$1"
	bad=1
}

for f in *.in; do
	n=$((n + 1))
	place "$f"
	if ! "$DERPD" -nv -f "$tmp/c/$f" >"$tmp/out" 2>"$tmp/err"; then
		say "$f: refused"
		cat "$tmp/err"
		continue
	fi
	"$DERPD" -nv -f "$tmp/out" >"$tmp/again" 2>&1 ||
	    say "$f: what is printed does not parse"
	cmp -s "$tmp/out" "$tmp/again" || say "$f: printed twice, two results"
	sed "s|$tmp/c|@DIR@|g" "$tmp/out" | diff -u "${f%.in}.ok" - ||
	    say "$f: not as in ${f%.in}.ok"
done

for f in *.bad; do
	n=$((n + 1))
	place "$f"
	"$DERPD" -nv -f "$tmp/c/$f" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 1 ] || say "$f: exit status is not 1"
	[ ! -s "$tmp/out" ] || say "$f: prints a configuration"
	grep -n '# error' "$f" | cut -d : -f 1 | sort -u >"$tmp/want"
	sed -n "s|^$tmp/c/$f:\([0-9]*\): .*|\1|p" "$tmp/err" | sort -u \
	    >"$tmp/got"
	cmp -s "$tmp/want" "$tmp/got" || {
		say "$f: errors on other lines than marked"
		cat "$tmp/err"
	}
	grep -v "^$tmp/c/[a-z.]*:[0-9]*: ." "$tmp/err" &&
	    say "$f: a line that is not file:line: what"
done

"$DERPD" -nv -D "port=8181" -f /nonexistent >/dev/null 2>"$tmp/err" &&
    say "a missing file is good"
grep -q "^/nonexistent: " "$tmp/err" || say "a missing file is not named"
[ $n -gt 0 ] || say "no files"
[ $bad -eq 0 ] && echo "$n files"
exit $bad
