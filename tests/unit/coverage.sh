#!/bin/sh
# SPDX-License-Identifier: ISC
#
# coverage.sh OBJDIR OUTDIR - what the unit tests ran of src/vmm: a report in
# OUTDIR/index.html, every line that never ran, and the share of lines.
set -eu

obj=$1 out=$2
mkdir -p "$out"
lcov --quiet --capture --directory "$obj" --base-directory "$PWD" \
    --output-file "$out/all.info" 2>/dev/null
lcov --quiet --extract "$out/all.info" "$PWD/src/vmm/*" \
    --output-file "$out/vmm.info" 2>/dev/null
genhtml --quiet --prefix "$PWD" --output-directory "$out" \
    "$out/vmm.info" >/dev/null
awk -F '[:,]' '
	/^SF:/ { sub(".*/src/", "src/", $2); file = $2 }
	/^DA:/ { n++; file_n[file]++
		if ($3 > 0) { ran++; file_ran[file]++ } else
			print file ":" $2 ": never ran" }
	END {	if (n == 0) { print "coverage: no line found"; exit 1 }
		for (f in file_n)
			printf "%-20s %4d of %4d lines  %5.1f %%\n", f,
			    file_ran[f], file_n[f],
			    100 * file_ran[f] / file_n[f] | "sort"
		close("sort")
		printf "coverage: %d of %d lines of src/vmm, %.1f %%\n",
		    ran, n, 100 * ran / n
		exit ran / n < 0.95 }' "$out/vmm.info"
