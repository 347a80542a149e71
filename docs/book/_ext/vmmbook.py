# SPDX-License-Identifier: ISC
"""What the book takes from the tree, so that it cannot say something else.

Directive `quote NAME`: the lines of a source between `book: NAME` and
`book: end`, each in a comment of its own line. Every marker is quoted once or
more; a marker nobody quotes, and a quote without marker, fail the build.

Directive `cut FILE`: from the line that its option `from` begins, to the one
that `to` begins behind it, of a file of any kind. Each has to be there; the
first, once.

Role tests: the conformance clauses, and the unit tests, of a row of the
differences. A row without any fails the build.
"""
import pathlib
import re
import sys

from docutils import nodes
from docutils.parsers.rst import Directive
from pygments.lexers import GasLexer
from pygments.token import Name
from sphinx.util import logging

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tools"))
import claims  # noqa: E402  (found by the line above)

PLACES = ["include", "src", "guests"]
MARK = re.compile(r"^\s*(?:/\*|#|//) book: (\S+?)(?: \*/)?\s*$")
LANGUAGE = {".c": "c", ".h": "c", ".def": "c", ".S": "gas", ".mk": "make",
            "": "make", ".conf": "sh"}
log = logging.getLogger(__name__)


class Assembly(GasLexer):
    """GNU's assembly with its local labels, which Pygments does not know."""
    tokens = {**GasLexer.tokens,
              "root": [(r"\d+:", Name.Label), *GasLexer.tokens["root"]]}


def markers():
    """{name: (path, first line, text)} of all markers, checked."""
    found = {}
    for place in PLACES:
        for path in sorted((TOP / place).rglob("*.[chS]")):
            open_at = []
            for n, line in enumerate(path.read_text().splitlines(), 1):
                m = MARK.match(line)
                where = f"{path.relative_to(TOP)}:{n}"
                if not m:
                    for _, _, lines in open_at:
                        lines.append(line)
                elif m[1] != "end":
                    if m[1] in found or m[1] in [o[0] for o in open_at]:
                        log.warning("%s: marker %s stands twice", where, m[1])
                    open_at.append((m[1], n + 1, []))
                elif not open_at:
                    log.warning("%s: end without a marker", where)
                else:
                    name, first, lines = open_at.pop()
                    found[name] = (path, first, "\n".join(lines).strip("\n"))
            for name, first, _ in open_at:
                log.warning("%s: marker %s has no end",
                            path.relative_to(TOP), name)
    return found


def boxed(path, text):
    """Lines of a source, with its name over them."""
    language = "text" if text.startswith(" *") else LANGUAGE[path.suffix]
    block = nodes.literal_block(text, text, language=language)
    return nodes.container("", nodes.caption("", f"{path.relative_to(TOP)}"),
                           block, literal_block=True,
                           classes=["literal-block-wrapper"])


class Quote(Directive):
    required_arguments = 1

    def run(self):
        env = self.state.document.settings.env
        name = self.arguments[0]
        if name not in env.vmm_markers:
            return [self.state.document.reporter.warning(
                f"no marker named {name} in the sources", line=self.lineno)]
        env.vmm_quoted.setdefault(env.docname, set()).add(name)
        path, first, text = env.vmm_markers[name]
        env.note_dependency(str(path))
        return [boxed(path, text)]


class Cut(Directive):
    required_arguments = 1
    option_spec = {"from": str, "to": str}

    def run(self):
        path = TOP / self.arguments[0]
        lines = path.read_text().splitlines()
        first, last = self.options["from"], self.options["to"]
        begin = [i for i, line in enumerate(lines) if line.startswith(first)]
        end = [i for i, line in enumerate(lines)
               if begin and i >= begin[0] and line.strip().startswith(last)]
        if len(begin) != 1 or not end:
            return [self.state.document.reporter.warning(
                f"{self.arguments[0]}: not once from \"{first}\" to \"{last}\"",
                line=self.lineno)]
        self.state.document.settings.env.note_dependency(str(path))
        return [boxed(path, "\n".join(lines[begin[0]:end[0] + 1]))]


def tests_role(name, raw, row, lineno, inliner, options=None, content=None):
    ids = claims.tests_of(row)
    if not ids:
        return [], [inliner.reporter.warning(f"{row}: no test cites it",
                                             line=lineno)]
    out = []
    for i in ids:
        out += [nodes.literal(i, i), nodes.Text(" ")]
    return out[:-1], []


def begin(app, env, docnames):
    """Reads the sources anew, and every page with them: they may differ."""
    env.vmm_markers = markers()
    env.vmm_quoted = {}
    docnames[:] = sorted(env.found_docs)


def check(app, env):
    quoted = set().union(*env.vmm_quoted.values())
    for name in sorted(set(env.vmm_markers) - quoted):
        path, first, _ = env.vmm_markers[name]
        log.warning("%s:%d: marker %s is quoted nowhere",
                    path.relative_to(TOP), first, name)


# Debian's Furo (2022.12) has lost the rule by which the colours of a page, and
# not only those of code, follow the reader's system.
AUTO_THEME = """\
addEventListener("DOMContentLoaded", () => {
    const body = document.body;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const choose = () => {
        if (body.dataset.theme === "auto")
            body.dataset.theme = dark.matches ? "dark" : "light";
    };
    new MutationObserver(choose).observe(
        body, {attributes: true, attributeFilter: ["data-theme"]});
    choose();
});
"""


def setup(app):
    app.add_js_file(None, body=AUTO_THEME)
    app.add_lexer("gas", Assembly)
    app.add_directive("quote", Quote)
    app.add_directive("cut", Cut)
    app.add_role("tests", tests_role)
    app.connect("env-before-read-docs", begin)
    app.connect("env-updated", check)
    return {"parallel_read_safe": False}
