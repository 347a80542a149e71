#!/bin/sh
# SPDX-License-Identifier: ISC
#
# coverage.sh DIR NAME - what the corpus of this target runs of the files that
# it is about: every line that never ran, and the share of lines. Fails below
# 90 % of a file.
set -eu

dir=$1 name=$2
files=$(sed -n 's/^ \* Fuzzes: //p' "tests/fuzz/fuzz_$name.c")
raw=$dir/$name.profraw
LLVM_PROFILE_FILE=$raw "$dir/$name" -runs=0 "tests/fuzz/corpus/$name" \
    2>"$dir/$name.log"
llvm-profdata merge -o "$dir/$name.profdata" "$raw"
for file in $files; do
	llvm-cov export -format=lcov -instr-profile "$dir/$name.profdata" \
	    "$dir/$name" "src/vmctl/dev/$file" | awk -F '[:,]' \
	    -v what="$name" -v file="src/vmctl/dev/$file" '
	/^DA:/ { n++
		if ($3 > 0)
			ran++
		else
			print file ":" $2 ": never ran" }
	END {	if (n == 0) { print "coverage: no line of " file; exit 1 }
		printf "fuzz %-8s %-28s %4d of %4d lines  %5.1f %%\n",
		    what, file, ran, n, 100 * ran / n
		exit ran / n < 0.9 }'
done
