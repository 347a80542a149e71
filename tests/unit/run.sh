#!/bin/sh
# SPDX-License-Identifier: ISC
#
# run.sh DIR SUITE... - runs the suites that stand in DIR and ends with a
# total. SUITE@intel: on the fake Intel CPUs. Fails if a test failed, a program
# died, or nothing ran.
set -u

dir=$1
shift
export CK_FORK=yes CK_DEFAULT_TIMEOUT=60 UBSAN_OPTIONS=print_stacktrace=1
pass=0 fail=0 bad=

for suite; do
	log=$dir/$suite.log
	tap=$dir/$suite.$$.tap
	: >"$tap"
	case $suite in
	*@*) cpu=${suite#*@} ;;
	*) cpu=amd ;;
	esac
	UNIT_CPU=$cpu CK_TAP_LOG_FILE_NAME=$tap "$dir/${suite%@*}" \
	    >"$log" 2>&1
	status=$?
	p=$(grep -c '^ok ' "$tap")
	f=$(grep -c '^not ok ' "$tap")
	pass=$((pass + ${p:-0})) fail=$((fail + ${f:-0}))
	printf '%-20s %4d passed %4d failed\n' "$suite" "${p:-0}" "${f:-0}"
	if [ "$status" -ne 0 ] || [ "${p:-0}" -eq 0 ]; then
		bad="$bad $suite"
		grep '^not ok ' "$tap" | head -n 40
		grep -v '^tests/unit/.*:[FE]:' "$log" | tail -n 40
	fi
	rm -f "$tap"
done
printf 'unit: %d tests, %d passed, %d failed%s\n' \
    $((pass + fail)) "$pass" "$fail" "${bad:+ in$bad}"
[ -z "$bad" ] && [ "$fail" -eq 0 ] && [ "$pass" -gt 0 ]
