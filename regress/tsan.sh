#!/bin/sh
# The tests that have threads, with the thread sanitizer: no report at all.
set -u

cd "$(dirname "$0")/../variants/tsan/regress/unit" || exit 1
# The sanitizer of this compiler cannot cope with all of today's address
# space randomisation.
run="setarch $(uname -m) -R"
$run true 2>/dev/null || run=
TSAN_OPTIONS="exitcode=66 halt_on_error=0"
export TSAN_OPTIONS
bad=0
for t in t_netd_threads t_netd_lock; do
	rm -f "bin/$t"
	make -s WERROR=-Werror OPT="-O1 -g" HARDEN=-fPIE \
	    SAN="-fsanitize=thread" TESTS="$t" some || exit 1
	if $run "./bin/$t" >"$t.out" 2>&1; then
		echo "ok $t"
	else
		grep -v '^ok' "$t.out" | head -n 60 | sed 's/^/#	/'
		echo "not ok $t"
		bad=1
	fi
done
exit $bad
