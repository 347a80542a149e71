#!/bin/sh
# SPDX-License-Identifier: ISC
#
# merge.sh DIR NAME - the corpus of this target in the tree anew: as few inputs
# as reach every edge that it and what was found since (DIR/new/NAME) reach.
set -eu

dir=$1 name=$2
corpus=tests/fuzz/corpus/$name
mkdir -p "$dir/new/$name" "$corpus"
rm -rf "$dir/merged"
mkdir "$dir/merged"
"$dir/$name" -set_cover_merge=1 -use_counters=0 "$dir/merged" "$corpus" \
    "$dir/new/$name" >"$dir/$name.log" 2>&1
rm -rf "$corpus"
mv "$dir/merged" "$corpus"
find "$corpus" -type f | awk -v what="$name" \
    'END { printf "fuzz %-8s %d inputs\n", what, NR }'
