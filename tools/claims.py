# SPDX-License-Identifier: ISC
"""What the tests claim to test, read from their sources: for the book, which
prints it, and for the meta-test, which misses what is not there."""
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[1]
CONFORM = TOP / "tests/integration/conform"
UNIT = TOP / "tests/unit"


def clauses(files="*.c"):
    """[(id, title)] of the conformance clauses, from their tables."""
    found = []
    for path in sorted(CONFORM.glob(files)):
        found += re.findall(r'[{(]\s*"([\w.-]+)",\s*"((?:[^"]|"\s*")*)",\s*'
                            r'(?:LAYER_|MATCH|FIX|BEYOND)', path.read_text())
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


def sources():
    """[(path, text)] of all tests' C sources."""
    paths = [*CONFORM.glob("*.[ch]"), *UNIT.glob("*.[ch]"),
             *(TOP / "src/vmctl").glob("client.c")]
    return [(p, p.read_text()) for p in sorted(paths)]


IOCTL = re.compile(r"\bVMM_IOC_(\w+)|\bclient_ioc_(\w+)|"
                   r"\b(CREATE|RUN|INFO|TERM|RESETCPU|INTR|READREGS|WRITEREGS|"
                   r"READVMPARAMS|WRITEVMPARAMS|MPROTECT_EPT)\b")


def ioctls_in(text):
    found = {(a or b or c).upper() for a, b, c in IOCTL.findall(text)}
    return {"MPROTECT_EPT" if i == "MPROTECT" else i for i in found}


def errno_tests():
    """{(ioctl, errno)}: pairs that meet in the tests.

    They meet where a statement names the errno, and it, one of the eight
    statements before it, or a helper or table that these use, names the
    ioctl.
    """
    defined = {}        # (file, name) of a function or table: its text
    pieces = []         # (file, text), one statement or table row each
    for path, text in sources():
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        for m in re.finditer(r"^(?:START_TEST\()?(\w+)\(.*?^\}|"
                             r"\b(\w+)\[\w*\] = \{$.*?^\};",
                             text, re.M | re.S):
            defined.setdefault(m[1] or m[2], []).append((path, m[0]))
        pieces += [(path, p) for p in re.split(r";|\},|\),\n|^\}", text,
                                               flags=re.M)]

    def reach(path, text, depth):
        found = ioctls_in(text)
        if depth:
            for name in set(re.findall(r"\b[a-z_]\w+\b", text)):
                for where, body in defined.get(name, []):
                    if where == path or where.stem in ("unit", "client") \
                            or where.stem.endswith("_util"):
                        found |= reach(where, body, depth - 1)
        return found

    pairs = set()
    for i, (path, text) in enumerate(pieces):
        errnos = set(re.findall(r"\bE[A-Z]{2,}\b", text))
        if not errnos:
            continue
        window = " ".join(t for p, t in pieces[max(i - 8, 0):i + 1]
                          if p == path)
        for ioctl in reach(path, window, 3):
            pairs |= {(ioctl, e) for e in errnos}
    return pairs


def mentions(word, where=""):
    """Does a test's source, of files that begin with `where`, use it?"""
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)
               for path, text in sources() if path.name.startswith(where))
