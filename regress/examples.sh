#!/bin/sh
# Every literal block of the EXAMPLES sections of the configuration pages,
# and every example file, must pass `-n`.
set -u

cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0 n=0

blocks()	# page: writes its example blocks to $tmp/N
{
	awk -v d="$tmp/" '
	    /^\.Sh / { ex = $2 == "EXAMPLES" }
	    ex && /^\.Bd -literal/ { on = 1; f = d (++k); printf "" >f; next }
	    /^\.Ed/ { if (on) close(f); on = 0 }
	    on { gsub(/\\e/, "\\"); gsub(/\\&/, ""); print >f }' "$1"
}

# Files that an example names exist on other machines: stand-ins.
files()	# example
{
	mkdir -p "$tmp/root"
	grep -o '"/etc/[^"]*"' "$1" | tr -d '"' | while read -r f; do
		mkdir -p "$tmp/root/$(dirname "$f")"
		cp etc/examples/policy.hujson "$tmp/root/$f"
	done
	sed -i "s|\"/etc/|\"$tmp/root/etc/|g" "$1"
}

try()	# program file name
{
	n=$((n + 1))
	chmod 600 "$2"
	files "$2"
	"$1" -n -f "$2" >"$tmp/out" 2>&1 && return
	echo "$3: refused:"
	cat "$tmp/out"
	bad=1
}

for p in shoald coordd derpd; do
	prog=parent/shoald
	[ $p = coordd ] && prog=coordd/coordd
	[ $p = derpd ] && prog=derpd/derpd
	rm -f "$tmp"/[0-9]*
	blocks "man/$p.conf.5"
	for f in "$tmp"/[0-9]*; do
		[ -e "$f" ] && try "$prog" "$f" "$p.conf(5)"
	done
	for f in etc/examples/"$p".conf*; do
		[ -e "$f" ] || continue
		cp "$f" "$tmp/example"
		try "$prog" "$tmp/example" "$f"
	done
done
[ $n -ge 4 ] || { echo "only $n examples found"; bad=1; }
exit $bad
