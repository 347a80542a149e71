# SPDX-License-Identifier: ISC
# From `nm -n` to the table that print_symbol() of trap.c searches.
BEGIN {
	print "#include \"metal.h\""
	place = " __attribute__((section(\".ksyms\"))) = "
	print "const struct ksym ksyms[]" place "{"
}
$2 ~ /^[tT]$/ && $1 ~ /^ffffffff/ {
	printf "\t{ 0x%s, \"%s\" },\n", $1, $3
	n++
}
END {
	print "\t{ 0, 0 }\n};"
	print "const unsigned int nksyms" place n + 0 ";"
}
