#!/bin/sh
# SPDX-License-Identifier: ISC
#
# run.sh DIR NAME RUNS LEN - so many executions of a target, with inputs up to
# LEN bytes, from its corpus on. FUZZ_SEED=n: the same ones each time. An input
# that ends the program is left in DIR/NAME-crash-*; give it to the program as
# its argument to see it again.
set -eu

dir=$1 name=$2 runs=$3 len=$4
new=$dir/new/$name
log=$dir/$name.log
mkdir -p "$new"
UBSAN_OPTIONS=print_stacktrace=1 "$dir/$name" -runs="$runs" \
    -max_len="$len" -seed="${FUZZ_SEED:-0}" -entropic=0 -timeout=20 \
    -print_final_stats=1 \
    -artifact_prefix="$dir/$name-" "$new" "tests/fuzz/corpus/$name" \
    >"$log" 2>&1 || {
	tail -n 40 "$log"
	echo "fuzz: $name failed; see $log"
	exit 1
}
awk -v what="$name" '
	/ cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
	/^Done / { secs = $5 }
	/number_of_executed_units/ { n = $2 }
	END {	printf "fuzz %-8s %d executions in %d s, %d edges\n", what, n,
		    secs, cov
		exit n == 0 }' "$log"
