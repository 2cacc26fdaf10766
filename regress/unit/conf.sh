# What the tests of configuration files share. Sourced with the daemon and the
# folder in CONF_DAEMON and CONF_DIR, and options for good files in CONF_OPTS:
# FOLDER/*.in printed by -nv is FOLDER/*.ok, and that parses and prints the
# same again; in FOLDER/*.bad exactly the lines marked "# error" are refused,
# with exit status 1.

cd "$CONF_DIR" || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0 n=0

# A file that holds a secret must be its owner's alone.
place()
{
	rm -rf "$tmp/c"
	cp -R . "$tmp/c"
	chmod -R go-rwx "$tmp/c"
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
	# shellcheck disable=SC2086
	if ! "$CONF_DAEMON" -nv $CONF_OPTS -f "$tmp/c/$f" >"$tmp/out" \
	    2>"$tmp/err"; then
		say "$f: refused"
		cat "$tmp/err"
		continue
	fi
	chmod 600 "$tmp/out"
	"$CONF_DAEMON" -nv -f "$tmp/out" >"$tmp/again" 2>&1 ||
	    say "$f: what is printed does not parse"
	cmp -s "$tmp/out" "$tmp/again" || say "$f: printed twice, two results"
	sed "s|$tmp/c|@DIR@|g" "$tmp/out" | diff -u "${f%.in}.ok" - ||
	    say "$f: not as in ${f%.in}.ok"
done

for f in *.bad; do
	n=$((n + 1))
	place "$f"
	"$CONF_DAEMON" -nv -f "$tmp/c/$f" >"$tmp/out" 2>"$tmp/err"
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

"$CONF_DAEMON" -nv -D "port=8181" -f /nonexistent >/dev/null 2>"$tmp/err" &&
    say "a missing file is good"
grep -q "^/nonexistent: " "$tmp/err" || say "a missing file is not named"
[ $n -ge 6 ] || say "only $n files found"
[ $bad -eq 0 ] && echo "$n files"
exit $bad
