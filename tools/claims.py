# SPDX-License-Identifier: ISC
"""What the tests claim to test, read from their sources: for the book, which
prints it, and for the meta-test, which misses what is not there."""
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[1]
CONFORM = TOP / "tests/integration/conform"
UNIT = TOP / "tests/unit"


def clauses():
    """[(id, title)] of the conformance clauses, from their tables."""
    found = []
    for path in sorted(CONFORM.glob("*.c")):
        found += re.findall(r'\{\s*"([\w.-]+)",\s*"((?:[^"]|"\s*")*)",\s*'
                            r'LAYER_', path.read_text())
    return found


def unit_tests():
    """[(suite/test, comment above it and body)] of the Check tests."""
    found = []
    for path in sorted(UNIT.glob("check_*.c")):
        text = path.read_text()
        for m in re.finditer(r"((?:/\*(?:[^*]|\*(?!/))*\*/\s*)?)"
                             r"^START_TEST\((\w+)\)(.*?)^END_TEST|"
                             r"((?:/\*(?:[^*]|\*(?!/))*\*/\s*)?)"
                             r"^START_TEST\((\w+)\)(.*?)^\}",
                             text, re.M | re.S):
            found.append((f"{path.stem}/{m[2] or m[5]}",
                          (m[1] or m[4] or "") + (m[3] or m[6] or "")))
    return found


def tests_of(row):
    """The clauses and unit tests that cite a row of the differences."""
    found = [i for i, _ in clauses()
             if re.fullmatch(rf"{row}(\W.*)?", i)]
    for name, text in unit_tests():
        if re.search(rf"\b{row}\b", text) or \
                re.match(rf"{row.lower()}(_|$)", name.split("/")[1]):
            found.append(name)
    return found


def rows():
    """The ids of the rows of "Differences from OpenBSD"."""
    text = (TOP / "docs/book/differences.md").read_text()
    return re.findall(r"^\| ([A-Z]\d+) \|", text, re.M)


def chunks():
    """[(where, text)] of the top-level pieces of all tests' C sources."""
    found = []
    for path in [*sorted(CONFORM.glob("*.c")), *sorted(UNIT.glob("*.c"))]:
        for text in re.split(r"(?<=\n\})(?:;|\nEND_TEST)?\n",
                             path.read_text()):
            found.append((path.name, text))
    return found
