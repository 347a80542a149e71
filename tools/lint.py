#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The project's own rules, where no stock tool has them. Prints one line per
breach and fails if there is any. Runs shellcheck and codespell as well."""
import difflib
import pathlib
import re
import subprocess
import sys

import size

TOP = pathlib.Path(__file__).resolve().parents[1]
CODE = {".c", ".h", ".S", ".def", ".ld"}
SCRIPT = {".py", ".sh", ".mk", ".gdb", ".ini"}
NAMED = {"Makefile", ".clang-format", ".editorconfig", "run"}

# What src/vmm may include: itself, the ABI, the host's freestanding headers.
HEADERS = {"stdbool.h", "stddef.h", "stdint.h", "stdarg.h", "limits.h",
           "hostdep.h", "errno.h", "insn.h",
           "hostasm.h", "string.h", "sys/ioctl.h"}
CITED = re.compile(r"\b(?:APM|SDM),? (?=Vol|\d|[Ss]ection|Appendix|Chapter)"
                   # an instruction's page has a name and no number
                   r"(?!Vol\. [2-4][A-D]? (?:\"|or|under))")
CITATION = re.compile(r'(?:APM|SDM) Vol\. \d[A-D]?(?:\s+(?:Appendix )?'
                      r'[A-Z]?[\d.]*\d|\s+(?:Appendix|Chapter) \w+),?\s+"')
# Where clang-format 14 has a mind of its own, or takes C for C++.
SELF_WILLED = re.compile(r"asm|enum|\\|\tcase|catch|_Generic|#define|"
                         r"struct ?\{|(^|\n)\s*\.[a-z]")
found = []


def breach(path, line, what):
    found.append(f"{path.relative_to(TOP)}:{line}: {what}")


def tracked():
    """The files of the tree, also those not committed yet."""
    out = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, text=True,
        capture_output=True, check=True).stdout
    return [TOP / p for p in sorted(set(out.splitlines()))
            if (TOP / p).is_file()]


def check_text(path, text):
    """Layout that holds for every file written by hand."""
    lines = text.splitlines()
    if not text.endswith("\n"):
        breach(path, len(lines), "no newline at the end")
    for n, line in enumerate(lines, 1):
        if line != line.rstrip():
            breach(path, n, "blanks at the end of the line")
        if "\r" in line:
            breach(path, n, "carriage return")
        table = path.suffix == ".md" and (line.startswith("|")
                                          or "](" in line)
        recorded = path.parent.name == "transcripts" and path.suffix == ".txt"
        if len(line.expandtabs(8)) > 80 and not table and not recorded:
            breach(path, n, f"{len(line.expandtabs(8))} columns, 80 allowed")
        if re.search(r"\b(TODO|FIXME|XXX)\b", line) and path.name != "lint.py":
            breach(path, n, "unfinished business")
    code = path.suffix in CODE | SCRIPT or path.name in NAMED
    if code and not any("SPDX-License-Identifier: ISC" in li
                        for li in lines[:2]):
        breach(path, 1, "no SPDX line")


def check_code(path, text):
    """Layout of C: KNF where it can be seen without a parser."""
    lines = text.splitlines()
    for n, line in enumerate(lines, 1):
        if line.startswith("        "):
            breach(path, n, "indented with blanks, not tabs")
        if re.match(r"[a-zA-Z][\w *]*[ *]\w+\([^;]*\)$", line) \
                and n < len(lines) and lines[n] == "{":
            breach(path, n, "return type not on a line of its own")
    if path.suffix != ".c":
        return
    for name, n, length in size.functions(text):
        if length > size.FUNCTION_MAX:
            breach(path, n, f"{name}() has {length} lines")
        if not path.is_relative_to(TOP / "src"):
            continue
        # Only those that stand for something outside the file; a header that
        # documents them counts as well.
        above = n - 2               # the line of the return type
        if lines[above].startswith("static") or path.parent.name != "vmm":
            continue
        while above > 0 and lines[above - 1] \
                and not lines[above - 1].endswith(("*/", "}", ";")):
            above -= 1
        if above == 0 or not lines[above - 1].endswith("*/"):
            breach(path, n, f"{name}() has no comment above it")


def layout(text):
    """C with everything out of it that a person may line up by hand: where a
    statement is continued, and the blanks between the words of a line."""
    lines, depth, more = [], 0, False
    for line in text.split("\n"):
        indent = re.match(r"\s*", line)[0]
        rest = re.sub(r"\s+", " ", line[len(indent):])
        bare = re.sub(r"/\*.*?(\*/|$)|\"(\\.|[^\"])*\"|'(\\.|[^'])+'", "q",
                      rest).strip()
        if (depth > 0 or more or bare.startswith((": ", "? ", "("))
                or rest.startswith('"')) and rest and lines:
            lines[-1] += " " + rest
        else:
            lines.append(indent + rest)
            depth = 0
        depth += bare.count("(") - bare.count(")")
        more = bare.endswith((",", "&&", "||", "=", "+", "-", "|", "?", "<<",
                              " :", "{ q")) and not re.match(r"\*( |$)", bare)
    return [re.match(r"\s*", li)[0] + re.sub(r"\s", "", li) for li in lines]


def check_format(path, text):
    """clang-format agrees on indentation, lines and braces."""
    want = subprocess.run(["clang-format", path], cwd=TOP, text=True,
                          capture_output=True, check=True).stdout
    have, want = layout(text), layout(want)
    match = difflib.SequenceMatcher(None, have, want, autojunk=False)
    for tag, i, j, k, m in match.get_opcodes():
        both = "\n".join(have[i:j] + want[k:m])
        if tag == "equal" or SELF_WILLED.search(both):
            continue
        breach(path, 1, "clang-format would write:\n\t"
               + "\n\t".join(want[k:m] or ["(nothing)"])
               + "\n    where it says:\n\t" + "\n\t".join(have[i:j]))


def check_driver(path, text):
    """src/vmm knows no OS and, but for its own two halves, no vendor."""
    for n, line in enumerate(text.splitlines(), 1):
        if re.match(r"#\s*(if|ifdef|elif)\b", line) \
                and "__ASSEMBLER__" not in line:
            breach(path, n, "conditional compilation in the driver")
        m = re.match(r"#\s*include <(.*)>", line)
        if m and m[1] not in HEADERS:
            breach(path, n, f"<{m[1]}> is not a header every host has")


def check_citations(path, text):
    """A section of a manual has its number and its title: numbers move."""
    # A string's quotes are the title's; one in two pieces is one.
    flat = re.sub(r'" \\\n\s*"', "\n", text).replace('\\"', '"')
    flat = re.sub(r"\n\s*[*#]* *", lambda m: "\n", flat)
    for m in CITED.finditer(flat):
        here = flat[m.start():m.start() + 200].replace("\n", " ")
        if not CITATION.match(here):
            breach(path, flat.count("\n", 0, m.start()) + 1,
                   f"citation without section and title: {here[:40]}")


def check_guest(path, text):
    for word in ("Exercises:", "Expected exits:", "Why:"):
        if word not in text[:3000]:
            breach(path, 1, f"no \"{word}\" in the header")


def tool(argv, files):
    done = subprocess.run([*argv, *map(str, files)], cwd=TOP, text=True,
                          capture_output=True, check=False)
    if done.returncode:
        found.extend((done.stdout + done.stderr).strip().splitlines())


def main():
    files = [f for f in tracked()
             if f.suffix != ".patch" and "corpus" not in f.parts]
    shell, words = [], []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            breach(path, 1, "not text")
            continue
        words.append(path)
        check_text(path, text)
        if path.suffix in CODE:
            check_code(path, text)
            check_citations(path, text)
        if path.suffix == ".c":
            check_format(path, text)
        if path.is_relative_to(TOP / "src/vmm"):
            check_driver(path, text)
        if path.parent == TOP / "guests" and path.suffix == ".S":
            check_guest(path, text)
        if path.suffix == ".sh" or text.startswith("#!/bin/sh"):
            shell.append(path)
        if path.suffix == ".py":
            compile(text, str(path), "exec")
    tool(["shellcheck"], shell)
    tool(["codespell", "-q", "3", "-L",
          "ans,inout,fo,fro,nd,te,ist,extint,thre"], words)
    for line in found:
        print(line)
    print(f"lint: {len(files)} files, {len(found)} breaches")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
