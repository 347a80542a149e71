#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Counts lines of code against the budgets. Fails when one is over.

A line counts unless it is blank or begins a comment or stands inside one.
"""
import pathlib
import re
import statistics
import sys

# The 6,800 lines of src/vmm in shares: the portable part has the larger one
# because what both vendors need it does once (operands of register accesses,
# events, debug registers, the ring of the trace, the views), and each vendor's
# file is smaller for it. The manuals' rules about entries are data, a row each:
# they have a share of their own, beside the 6,800, which the code that judges
# by them does not get.
#
# What, the files of it, the files left out, lines allowed.
RULES = "*_rules.def"
BUDGETS = [
    ("src/vmm, all", ["src/vmm/*"], [RULES], 6800),
    ("src/vmm, portable", ["src/vmm/*"], ["svm*", "vmx*", "vmcs*"], 4250),
    ("src/vmm, SVM", ["src/vmm/svm*"], [RULES], 930),
    ("src/vmm, VMX", ["src/vmm/vmx*", "src/vmm/vmcs*"], [RULES], 1640),
    ("src/vmm, entry rules (tables)", ["src/vmm/" + RULES], [], 360),
    ("src/host/metal", ["src/host/metal/**/*"], [], 3000),
    ("src/host/linux", ["src/host/linux/**/*"], [], 1000),
]
FILE_MAX = 900
FUNCTION_MAX = 80
SOURCES = {".c", ".h", ".S", ".def", ".ld"}


def count(text, assembly=False):
    """(code lines, comment lines) of a source text."""
    code = comment = 0
    inside = False
    for line in text.splitlines():
        line = line.strip()
        if inside:
            comment += 1
            inside = "*/" not in line
        elif not line:
            continue
        elif line.startswith(("/*", "//")) or assembly and \
                re.match(r"#(?!\s*(define|include|if|ifdef|ifndef|el|end|"
                         r"error|undef))", line):
            comment += 1
            inside = line.startswith("/*") and "*/" not in line
        else:
            code += 1
            last = line.rfind("/*")
            inside = last >= 0 and "*/" not in line[last:]
    return code, comment


FUNCTION = re.compile(r"^([A-Za-z_]\w*)\(", re.M)


def functions(text):
    """[(name, first line, lines)] of the C functions in KNF: the name starts
    a line, the body's braces stand alone in column one."""
    lines = text.splitlines()
    found = []
    for i, line in enumerate(lines):
        m = FUNCTION.match(line)
        if not m:
            continue
        j = i
        while j < len(lines) and lines[j] != "{" and lines[j] \
                and not lines[j].endswith(";"):
            j += 1
        if j == len(lines) or lines[j] != "{":
            continue
        end = next((k for k in range(j, len(lines)) if lines[k] == "}"), j)
        found.append((m[1], i + 1, end - j + 1))
    return found


def sources(top, patterns, without=()):
    files = set()
    for pattern in patterns:
        files |= {p for p in top.glob(pattern) if p.suffix in SOURCES}
    return sorted(p for p in files
                  if not any(p.match(w) for w in without))


def main():
    top = pathlib.Path(__file__).resolve().parents[1]
    over = []
    print(f"{'code':>6} {'of':>6} {'comment':>8} {'ratio':>6}")
    for what, patterns, without, limit in BUDGETS:
        files = sources(top, patterns, without)
        if not files:
            continue
        code = comment = 0
        for f in files:
            c, n = count(f.read_text(), f.suffix == ".S")
            code, comment = code + c, comment + n
        print(f"{code:6} {limit:6} {comment:8} {comment / max(code, 1):6.2f}"
              f"  {what}")
        if code > limit:
            over.append(f"{what}: {code} lines, {limit} allowed")
    lengths = []
    for f in sources(top, ["src/**/*"]):
        name = f.relative_to(top)
        code, comment = count(f.read_text(), f.suffix == ".S")
        if code > FILE_MAX:
            over.append(f"{name}: {code} lines, {FILE_MAX} allowed")
        if f.suffix == ".c":
            for function, line, length in functions(f.read_text()):
                lengths.append(length)
                if length > FUNCTION_MAX:
                    over.append(f"{name}:{line}: {function}() has {length} "
                                f"lines, {FUNCTION_MAX} allowed")
    print("files of src/vmm:")
    for f in sources(top, ["src/vmm/*"]):
        code, comment = count(f.read_text(), f.suffix == ".S")
        print(f"{code:6} {FILE_MAX:6} {comment:8} "
              f"{comment / max(code, 1):6.2f}  {f.name}")
    if lengths:
        print(f"{len(lengths)} functions, median "
              f"{statistics.median(lengths):.0f} lines, longest "
              f"{max(lengths)}")
    for line in over:
        print(f"OVER: {line}")
    print("size: over budget" if over else "size: within the budgets")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
