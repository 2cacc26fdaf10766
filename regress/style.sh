#!/bin/sh
# What style.md asks of the sources and can be checked by machine.
set -u

cd "$(dirname "$0")/.."
src=$(git ls-files '*.c' '*.h' '*.y')
own=$(echo "$src" | grep -v '^regress/')
bad=0

say()
{
	[ -n "$2" ] || return 0
	bad=1
	printf '%s\n%s\n' "$1" "$2"
}

say "lines over 80 columns:" "$(for f in $src; do
    expand "$f" | awk -v f="$f" 'length > 80 { print f ":" NR }'
    done | head -n 10)"
say "calls that are forbidden:" "$(grep -nE \
'\b(strcpy|strcat|sprintf|vsprintf|strncpy|strncat|atoi|atol|strtok|gets|system|popen|alloca)[[:space:]]*\(' \
    $src | head -n 10)"
say "marks of unfinished work:" "$(grep -nE 'TODO|FIXME|(^|[^X])XXX([^X]|$)' $src |
    head -n 10)"
say "files over 1500 lines:" "$(wc -l $own |
    awk '$2 != "total" && $1 > 1500')"
say "functions over 100 lines:" "$(awk '
    FNR == 1 { fn = "" }
    /^[a-z_][a-z0-9_]*\(/ { fn = $0; st = FNR }
    /^}/ { if (fn != "" && FNR - st > 100)
	print FILENAME ": " FNR - st ": " fn; fn = "" }' $own)"
say "no licence line:" "$(grep -L 'SPDX-License-Identifier: ISC' $own)"
say "comments of C++:" "$(grep -nE '(^|[[:space:];{}])//' $own | head -n 5)"
say "the system's name outside compat/:" "$(grep -nE '__(linux|OpenBSD|FreeBSD)__' \
    $own | grep -v '^compat/' | head -n 5)"
say "netd and cryptod must not include these:" "$(grep -nE \
    'include <(jansson|nghttp2|sqlite|zstd|curl)' netd/*.[ch] cryptod/*.[ch] portmapd/*.[ch])"
say "ctrld and dnsd must not include these:" "$(grep -nE \
    'include <(sqlite|libpq)' ctrld/*.[ch] dnsd/*.[ch])"
[ $bad -eq 0 ]
