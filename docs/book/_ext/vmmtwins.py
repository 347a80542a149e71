# SPDX-License-Identifier: ISC
"""Tables that the book takes from the two halves of the driver.

Directive `twins`: the functions of svm.c beside those of vmx.c. Twins have
the same name but for the vendor's; they must stand in the same order in both
files, in the same section of it, and every function of struct hv_ops must be
among them or be excused, or the build fails. A line of the directive's body
is one of

    NAME: TEXT                  in words, for a pair (NAME without its vendor)
    svm_NAME = vmx_NAME         twins all the same
    svm_NAME: TEXT              why it has no twin; * matches

which goes on where the next one is indented, and must be about a function
that exists. Where nothing is said, the first sentence over the function, or
in hv.h, is printed; there has to be one.

Directive `vendor-files`: the files of each vendor, with lines of code and what
their first comment says of them.

Directive `vmcs-fields`: the fields of vmcs.def with their encodings, computed
as in vmx.h and held against its assertions.

Directive `vendor-clauses`: the clauses of conform that know an answer for each
vendor, and what their tables say of it.

Directive `left-out`: the clauses that a back end does not run, and why.

Role `line`: FILE: TEXT, a piece of a line of src/vmm/FILE, which has it.
"""
import fnmatch
import pathlib
import re
import sys

from docutils import nodes
from docutils.parsers.rst import Directive

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(TOP / "tools"), str(TOP / "tests/integration")]
import claims  # noqa: E402  (found by the line above)
import left_out  # noqa: E402
import size  # noqa: E402

SRC = TOP / "src/vmm"
VENDORS = ("svm", "vmx")
SECTION = re.compile(r"^ \* --- (.*?)\.? ---$")


class Broken(Exception):
    """The sources are not what a page says they are."""


def first_sentence(text):
    """The first sentence of a comment's text, "" if it is not about what the
    function does: a citation, or an emulator's oddity."""
    text = re.split(r"\b(?:SDM|APM) Vol\.", text)[0]
    text = " ".join(re.sub(r"^\s*\*", "", li).strip()
                    for li in text.splitlines()).strip()
    m = re.match(r"(.+?[.?])(?:\s|$)", text)
    if not m or re.match(r"(TCG|Bochs)\b", text):
        return ""
    return m[1].replace("`", "")


def comment_above(lines, i):
    """The comment that ends on the line over lines[i], the return type."""
    i -= 1
    if i < 0 or not lines[i].endswith("*/") or "/* book:" in lines[i]:
        return ""
    end = i
    while not lines[i].startswith("/*"):
        i -= 1
    return "\n".join(lines[i:end + 1])[2:-2]


def functions(vendor):
    """{name without vendor: (section, lines, first sentence)}, in order."""
    text = (SRC / f"{vendor}.c").read_text()
    lines = text.splitlines()
    found, section, n = {}, "", 0
    for name, line, length in size.functions(text):
        while n < line:
            m = SECTION.match(lines[n])
            section = m[1] if m else section
            n += 1
        said = first_sentence(comment_above(lines, line - 2))
        found[name.removeprefix(f"{vendor}_")] = (section, length, said)
    return found


def ops():
    """{member of struct hv_ops that is a function: what hv.h says of it}."""
    body = re.search(r"^struct hv_ops \{(.*?)^\};",
                     (SRC / "hv.h").read_text(), re.M | re.S)[1]
    names = re.findall(r"^\t[\w \t*]+\(\*(\w+)\)\(", body, re.M)
    said = {}
    for comment in re.findall(r"/\*(.*?)\*/", body, re.S):
        for m in re.finditer(r"^\s*\* ([\w/]+): (.*?)(?=^\s*\* [\w/]+: |\Z)",
                             comment, re.M | re.S):
            first, *more = m[1].split("/")
            for name in [first] + [first[:first.rfind("_") + 1] + o
                                   for o in more]:
                said[name] = first_sentence(m[2])
    return {name: said.get(name, "") for name in names}


def ordered(pairs, other):
    """Raises unless the second names stand in `other` as they stand here."""
    place = {name: i for i, name in enumerate(other)}
    last = ""
    for a, b in pairs:
        if last and place[b] < place[last]:
            raise Broken(f"svm_{a} has its twin vmx_{b} before vmx_{last}: "
                         "twins stand in the same order in both files")
        last = b


class Pairing:
    """Who belongs to whom, and what is said of it."""

    def __init__(self, body):
        self.svm, self.vmx = (functions(v) for v in VENDORS)
        self.said, self.names = {}, {}
        body = re.sub(r"\n[ \t]+(?=\S)", " ", "\n".join(body))
        for line in filter(None, body.splitlines()):
            if m := re.match(r"svm_(\w+) = vmx_(\w+)$", line):
                self.names[m[1]] = m[2]
            elif m := re.match(r"([\w*]+): (.+)$", line):
                self.said[m[1]] = m[2]
            else:
                raise Broken(f"what does this say: {line}")
        self.pairs = [(a, b) for a in self.svm
                      if (b := self.names.get(a, a)) in self.vmx]
        self.check()

    def excuse(self, vendor, name):
        """Why a function has no twin, by the directive's body."""
        for pattern, text in self.said.items():
            if fnmatch.fnmatchcase(f"{vendor}_{name}", pattern):
                return text
        return ""

    def alone(self, vendor):
        """[(name, lines, why)] of those without a twin."""
        mine = getattr(self, vendor)
        paired = {p[VENDORS.index(vendor)] for p in self.pairs}
        return [(f"{vendor}_{name}", length,
                 self.excuse(vendor, name) or said)
                for name, (_, length, said) in mine.items()
                if name not in paired]

    def gloss(self, a, b, ops_say):
        return (self.said.get(a) or ops_say.get(a) or self.svm[a][2]
                or self.vmx[b][2]).rstrip(".")

    def check(self):
        every = [f"{v}_{n}" for v in VENDORS for n in getattr(self, v)]
        paired = {a for a, _ in self.pairs}
        for pattern in self.said:
            if pattern not in paired and not fnmatch.filter(every, pattern):
                raise Broken(f"no function, and no pair, is named {pattern}")
        for a, b in self.names.items():
            if (a, b) not in self.pairs:
                raise Broken(f"there are no svm_{a} and vmx_{b}")
        for name in ops():
            if name not in paired and not any(
                    self.excuse(v, name) for v in VENDORS):
                raise Broken(f"hv_ops.{name} is not in both files")
        ordered(self.pairs, self.vmx)
        for a, b in self.pairs:
            if self.svm[a][0] != self.vmx[b][0]:
                raise Broken(f"svm_{a} stands under \"{self.svm[a][0]}\", "
                             f"vmx_{b} under \"{self.vmx[b][0]}\"")
        say = ops()
        for a, b in self.pairs:
            if not self.gloss(a, b, say):
                raise Broken(f"nothing is said of {a}")
        for vendor in VENDORS:
            for name, _, why in self.alone(vendor):
                if not why:
                    raise Broken(f"{name} has no twin, and nobody says why")


def cell(content):
    entry = nodes.entry()
    entry += content if isinstance(content, nodes.Node) \
        else nodes.paragraph("", str(content))
    return entry


def code(*names):
    paragraph = nodes.paragraph()
    for i, name in enumerate(names):
        if i:
            paragraph += nodes.Text(", ")
        paragraph += nodes.literal(name, name)
    return paragraph


def table(widths, head, rows):
    group = nodes.tgroup(cols=len(widths))
    group += [nodes.colspec(colwidth=w) for w in widths]
    for part, content in ((nodes.thead(), [head]), (nodes.tbody(), rows)):
        for row in content:
            part += nodes.row("", *[cell(c) for c in row])
        group += part
    return nodes.table("", group)


class Table(Directive):
    """A directive whose tables may turn out to be impossible."""

    def run(self):
        env = self.state.document.settings.env
        for name in self.sources:
            env.note_dependency(str(SRC / name))
        try:
            return self.make()
        except Broken as e:
            return [self.state.document.reporter.warning(
                str(e), line=self.lineno)]


class Twins(Table):
    has_content = True
    sources = ["svm.c", "vmx.c", "hv.h"]

    def make(self):
        pairing, out, section, rows = Pairing(self.content), [], "", []
        say = ops()
        for a, b in pairing.pairs:
            where, mine, _ = pairing.svm[a]
            if where != section:
                section, rows = where, []
                out += [nodes.rubric("", section), rows]
            name = nodes.paragraph()
            name += [nodes.strong("", "", nodes.literal(a, a))
                     if a in say else nodes.literal(a, a)]
            if a != b:
                name += [nodes.Text(" / "), nodes.literal(b, b)]
            rows.append((name, mine, pairing.vmx[b][1],
                         pairing.gloss(a, b, say)))
        head = ("function", "SVM", "VMX", "what")
        out = [table((24, 6, 6, 64), head, o) if isinstance(o, list) else o
               for o in out]
        for vendor in VENDORS:
            out += [nodes.rubric("", f"Only in {vendor}.c"),
                    table((24, 6, 70), ("function", "lines", "why"),
                          [(code(name), length, why) for name, length, why
                           in pairing.alone(vendor)])]
        return out


class VendorFiles(Table):
    sources = []

    def make(self):
        rows = []
        for path in sorted(p for v in VENDORS + ("vmcs",)
                           for p in SRC.glob(f"{v}*")):
            text = path.read_text()
            m = re.search(r"^ \* \S+ - (.*?)\*/", text, re.M | re.S)
            if not m:
                raise Broken(f"{path.name} does not say what it is")
            lines, _ = size.count(text, path.suffix == ".S")
            what = first_sentence(m[1].split("\n *\n")[0] + " ")
            rows.append((code(path.name), lines, what.rstrip(".")))
        return [table((20, 10, 70), ("file", "code", "what"), rows)]


FIELD = re.compile(r"^VMCS\((\w+),\s*(\w+),\s*(\w+),\s*(\d+),\s*\"(.*)\"\)$")


def fields():
    """[(title, [(encoding, name, width, text)])] of vmcs.def."""
    header = (SRC / "vmx.h").read_text()
    number = {kind: {k: int(v) for k, v in re.findall(
        rf"#define VMCS_{kind}_(\w+)\s+(\d+)U$", header, re.M)}
        for kind in ("WIDTH", "TYPE")}
    m = re.search(r"VMCS_WIDTH_##width << (\d+) \| "
                  r"VMCS_TYPE_##type << (\d+) \| \(index\) << (\d+)", header)
    if not m:
        raise Broken("vmx.h: VMCS_ENCODE is not what it was")
    groups, encoding = [], {}
    for line in (SRC / "vmcs.def").read_text().splitlines():
        if title := re.match(r"/\* (.+?)\.? \*/$", line):
            groups.append((title[1], []))
        elif f := FIELD.match(line):
            name, width, kind, index, text = f.groups()
            encoding[name] = (number["WIDTH"][width] << int(m[1])
                              | number["TYPE"][kind] << int(m[2])
                              | int(index) << int(m[3]))
            groups[-1][1].append((f"{encoding[name]:04x}", name, width, text))
        elif line.startswith("VMCS("):
            raise Broken(f"vmcs.def: {line}")
    asserted = re.findall(r"VMCS_IS\((\w+), (0x\w+)\)", header)
    for name, value in asserted:
        if encoding.get(name) != int(value, 16):
            raise Broken(f"vmx.h says that VMCS_{name} is {value}")
    if len(encoding) < 50 or len(asserted) < 10:
        raise Broken("vmcs.def, vmx.h: nothing to read")
    return [g for g in groups if g[1]]


class VmcsFields(Table):
    sources = ["vmcs.def", "vmx.h"]

    def make(self):
        out = []
        for title, rows in fields():
            out += [nodes.rubric("", title),
                    table((12, 34, 10, 44), ("encoding", "name", "bits",
                                             "the manual's name"),
                          [(code(e), code(n), "64 (natural)" if w == "NAT"
                            else w, t) for e, n, w, t in rows])]
        return out


CLAUSE = re.compile(r'[{(]\s*"([\w.-]+)",\s*((?:"[^"]*"\s*)+),'
                    r'\s*[^{}"]*?,\s*((?:"[^"]*"\s*)+)[})]')


class VendorClauses(Table):
    sources = []

    def make(self):
        rows = []
        for path in sorted(claims.CONFORM.glob("*.c")):
            for m in CLAUSE.finditer(path.read_text()):
                title, note = ("".join(re.findall('"([^"]*)"', s))
                               for s in m.groups()[1:])
                rows.append((code(m[1]), title, note))
        if len(rows) < 10:
            raise Broken("conform's tables are not what they were")
        return [table((18, 42, 40), ("clause", "what it asks", "answers"),
                      sorted(rows, key=lambda r: r[0].astext()))]


class LeftOut(Table):
    sources = []

    def make(self):
        rows = [(bug, code(*clauses)) for bugs in left_out.LEFT_OUT.values()
                for bug, clauses in bugs]
        return [table((50, 50), ("Bochs 2.7, SVM", "clauses"), rows)]


def line_role(name, raw, text, lineno, inliner, options=None, content=None):
    path, _, piece = text.partition(": ")
    if piece not in " ".join((SRC / path).read_text().split()):
        return [], [inliner.reporter.warning(
            f"src/vmm/{path} has no line with: {piece}", line=lineno)]
    return [nodes.literal(piece, piece), nodes.Text(" ("),
            nodes.literal(path, path), nodes.Text(")")], []


def setup(app):
    app.add_directive("twins", Twins)
    app.add_directive("vendor-files", VendorFiles)
    app.add_directive("vmcs-fields", VmcsFields)
    app.add_directive("vendor-clauses", VendorClauses)
    app.add_directive("left-out", LeftOut)
    app.add_role("line", line_role)
    return {"parallel_read_safe": False}
