# SPDX-License-Identifier: ISC
"""States and locks, drawn and listed from the driver's own tables.

Directive `vcpu-states`: the states of a VCPU, from vcpu_steps[] in vcpu.c: a
drawing, and the same as a table. A line of its body is

    STATE: TEXT                 what a VCPU in that state is

for each state of vmmvar.h; one that no step reaches is left out of the
drawing, and has to be described all the same. A step whose state or event the
headers do not know, a state without a line, a line without a state: each fails
the build.

Directive `vm-life`: the same for a VM, whose states are not in a variable. Its
body has lines `STATE: TEXT`, in the order of a square, and the steps,

    STATE -> STATE: TEXT (FUNCTION)

where FUNCTION takes the step and must be one of vmm.c or vm.c; the first step
begins at `*`.

Directive `ioctl-locks`: who holds what, from vmm_requests[] in vmm.c. A line
of its body is

    IOCTL: TEXT                 what it takes besides

for each ioctl.
"""
import html
import re
import textwrap

from docutils import nodes

from vmmtwins import SRC, TOP, Broken, Table, code, table

ABI = TOP / "include/vmmvar.h"


# --- The drawing. ---

WIDTH, HEIGHT = 700, 286        # of the whole
BOX_W, BOX_H = 206, 70
LEFT, TOP_Y = 66, 20            # of the first box
STEP_X, STEP_Y = 410, 172       # from one box to the next
APART = 11                      # of two arrows between the same boxes, half

# Furo's colours follow the reader's choice of light or dark.
STYLE = """
.states { width: 100%; max-width: 44rem; height: auto; }
.states .box { fill: var(--color-background-secondary, #f8f9fb);
  stroke: var(--color-foreground-secondary, #5a5c63); stroke-width: 1.3; }
.states .end { stroke-width: 3; }
.states .line { fill: none; stroke-width: 1.5;
  stroke: var(--color-foreground-primary, #000000); }
.states .head { fill: var(--color-foreground-primary, #000000); }
.states text { fill: var(--color-foreground-primary, #000000);
  font-family: var(--font-stack, sans-serif); font-size: 13px; }
.states .name { font-weight: 600; font-size: 15px; }
.states .name, .states .event {
  font-family: var(--font-stack--monospace, monospace); }
.states .said { fill: var(--color-foreground-secondary, #5a5c63); }
"""


def wrap(text, width):
    """Lines of at most `width` characters, as few as it takes and then as
    even as can be."""
    lines = textwrap.wrap(text, width, break_long_words=False)
    while len(textwrap.wrap(text, width - 1, break_long_words=False)) == \
            len(lines) and width > max(map(len, text.split())):
        width -= 1
    return textwrap.wrap(text, width, break_long_words=False)


def text(x, y, lines, kind, anchor="middle", height=16):
    """Lines of text, the first with its base line at y."""
    return "".join(
        f'<text class="{kind}" x="{x:.1f}" y="{y + i * height:.1f}" '
        f'text-anchor="{anchor}">{html.escape(line)}</text>'
        for i, line in enumerate(lines))


def leaves(point, way, centre):
    """How far along `way`, a unit vector, the box around `centre` ends for
    who starts at `point` inside of it."""
    far = []
    for p, w, c, half in zip(point, way, centre, (BOX_W / 2, BOX_H / 2)):
        if abs(w) > 1e-9:
            far.append(((c + half if w > 0 else c - half) - p) / w)
    return min(far)


class Drawing:
    """Boxes at the corners of a square, and labelled arrows."""

    def __init__(self, what):
        self.what, self.place, self.said, self.arrows = what, {}, {}, []

    def box(self, name, column, row, said):
        if (column, row) in self.place.values() or column > 1 or row > 1:
            raise Broken(f"{self.what}: there is no room for {name}")
        self.place[name], self.said[name] = (column, row), said

    def arrow(self, a, b, label, kind="event"):
        self.arrows.append((a, b, label, kind))

    def centre(self, name):
        column, row = self.place[name]
        return (LEFT + column * STEP_X + BOX_W / 2,
                TOP_Y + row * STEP_Y + BOX_H / 2)

    def line(self, a, b, label, kind):
        (ax, ay), (bx, by) = self.centre(a), self.centre(b)
        length = ((bx - ax) ** 2 + (by - ay) ** 2) ** .5
        way = ((bx - ax) / length, (by - ay) / length)
        side = (way[1], -way[0])            # to the left of who walks it
        if any((x, y) == (b, a) for x, y, *_ in self.arrows):
            ax, ay = ax + side[0] * APART, ay + side[1] * APART
            bx, by = bx + side[0] * APART, by + side[1] * APART
        t = leaves((ax, ay), way, self.centre(a))
        u = leaves((bx, by), (-way[0], -way[1]), self.centre(b)) + 2
        ax, ay = ax + way[0] * t, ay + way[1] * t
        bx, by = bx - way[0] * u, by - way[1] * u
        x, y = (ax + bx) / 2 + side[0] * 9, (ay + by) / 2 + side[1] * 9
        beside = abs(side[0]) > .3
        label = wrap(label, 16 if beside else 26)
        if not beside:                      # above or below it
            anchor = "middle"
            y += 11 if side[1] > 0 else -16 * (len(label) - 1)
        else:
            anchor = "start" if side[0] > 0 else "end"
            y += 4.5 - 8 * (len(label) - 1)
        return (f'<path class="line" marker-end="url(#{self.what}-head)" '
                f'd="M{ax:.1f} {ay:.1f}L{bx:.1f} {by:.1f}"/>'
                + text(x, y, label, kind, anchor))

    def start(self, name, label):
        x, y = self.centre(name)
        x -= BOX_W / 2
        return (f'<circle class="head" cx="{x - 52:.1f}" cy="{y}" r="4"/>'
                f'<path class="line" marker-end="url(#{self.what}-head)" '
                f'd="M{x - 52:.1f} {y}L{x - 2:.1f} {y}"/>'
                + text(x - 57, y - 12, [label], "event", "start"))

    def svg(self, title, words, first, label):
        ends = set(self.place) - {a for a, *_ in self.arrows}
        out = [f'<svg class="states" viewBox="0 0 {WIDTH} {HEIGHT}" '
               f'role="img" aria-labelledby="{self.what}-t {self.what}-d" '
               'xmlns="http://www.w3.org/2000/svg">',
               f'<title id="{self.what}-t">{html.escape(title)}</title>',
               f'<desc id="{self.what}-d">{html.escape(words)}</desc>',
               f'<style>{STYLE}</style>',
               f'<defs><marker id="{self.what}-head" viewBox="0 0 10 10" '
               'refX="8" refY="5" markerWidth="8" markerHeight="8" '
               'orient="auto"><path class="head" d="M0 1L9 5L0 9z"/>'
               '</marker></defs>']
        out += [self.line(*a) for a in self.arrows]
        out.append(self.start(first, label))
        for name in self.place:
            x, y = self.centre(name)
            lines = wrap(self.said[name], 30)
            top = y - 8 * len(lines) + 4
            out += [f'<rect class="box{" end" * (name in ends)}" rx="6" '
                    f'x="{x - BOX_W / 2}" y="{y - BOX_H / 2}" '
                    f'width="{BOX_W}" height="{BOX_H}"/>',
                    text(x, top, [name], "name"),
                    text(x, top + 18, lines, "said", height=15)]
        return nodes.raw("", "".join(out) + "</svg>", format="html")


# --- The sources. ---

def enum(path, pattern):
    """{name: the comment behind it} of constants that match `pattern`."""
    found = dict(re.findall(rf"^\t({pattern}),?(?:\t+/\* (.*?) \*/)?$",
                            path.read_text(), re.M))
    if len(found) < 4:
        raise Broken(f"{path.name}: nothing like {pattern}")
    return found


def steps():
    """[(event, from, to)] of vcpu_steps[]."""
    body = re.search(r"^\} vcpu_steps\[\] = \{\n(.*?)^\};",
                     (SRC / "vcpu.c").read_text(), re.M | re.S)
    if not body:
        raise Broken("vcpu.c has no vcpu_steps[]")
    states = enum(ABI, r"VCPU_STATE_\w+")
    events = enum(SRC / "vmm.h", r"VCPU_EVENT_\w+")
    found = []
    for line in filter(None, map(str.strip, body[1].splitlines())):
        m = re.fullmatch(r"\{ (\w+),\s*(\w+),\s*(\w+) \},", line)
        if not m:
            raise Broken(f"vcpu_steps[]: what does this say: {line}")
        if m[1] not in events or m[2] not in states or m[3] not in states:
            raise Broken(f"vcpu_steps[]: nobody knows a name of {line}")
        found.append(m.groups())
    if not found:
        raise Broken("vcpu_steps[] is empty")
    return found


def reach(edges, start):
    """The states that can come after `start`."""
    seen, todo = set(), [start]
    while todo:
        at = todo.pop()
        new = {b for a, b in edges if a == at} - seen
        seen |= new
        todo += new
    return seen


def layout(edges, start):
    """{state: (column, row)}: the states that lead back to the first in the
    upper row, in the order in which they come; the others below the first
    that leads to them."""
    order = [start]
    for name in order:
        order += [b for a, b in edges if a == name and b not in order]
    above = [n for n in order if start in reach(edges, n) or n == start]
    place = {n: (i, 0) for i, n in enumerate(above)}
    for name in [n for n in order if n not in place]:
        columns = [place[a][0] for a, b in edges if b == name and a in place]
        column = min(columns)
        while (column, 1) in place.values():
            column += 1
        place[name] = column, 1
    return place


def said(body, what):
    """{name: text} of the lines `NAME: TEXT`, and the other lines."""
    body = re.sub(r"\n[ \t]+(?=\S)", " ", "\n".join(body))
    found, rest = {}, []
    for line in filter(None, body.splitlines()):
        if m := re.fullmatch(r"(\w+): (.+)", line):
            found[m[1]] = m[2]
        else:
            rest.append(line)
    if not found:
        raise Broken(f"{what}: nothing is said")
    return found, rest


def short(name):
    return name.split("_", 2)[2]


class VcpuStates(Table):
    has_content = True
    sources = ["vcpu.c", "vmm.h"]

    def make(self):
        self.state.document.settings.env.note_dependency(str(ABI))
        texts, rest = said(self.content, "vcpu-states")
        every = {short(s) for s in enum(ABI, r"VCPU_STATE_\w+")}
        if rest or set(texts) != every:
            raise Broken("vcpu-states: describe each of "
                         + ", ".join(sorted(every)) + ", and no other")
        why = enum(SRC / "vmm.h", r"VCPU_EVENT_\w+")
        first = re.findall(r"^\tv->state = VCPU_STATE_(\w+);",
                           (SRC / "vcpu.c").read_text(), re.M)
        if len(first) != 1:
            raise Broken("vcpu.c: in which state does a VCPU begin?")
        taken = [(short(e), short(a), short(b)) for e, a, b in steps()]
        edges = {}
        for event, a, b in taken:
            edges.setdefault((a, b), []).append(event)
        drawing = Drawing("vcpu-states")
        for name, (column, row) in layout(edges, first[0]).items():
            drawing.box(name, column, row, texts[name])
        for (a, b), events in edges.items():
            drawing.arrow(a, b, ", ".join(events))
        lost = {s for e, *ab in taken for s in ab} - set(drawing.place)
        if lost:
            raise Broken(f"vcpu_steps[]: nothing leads to {lost.pop()}")
        words = f"A VCPU begins as {first[0]}. " + " ".join(
            f"{e} makes {a} into {b}." for e, a, b in taken)
        rows = [(code(a), code(e), code(b), why[f"VCPU_EVENT_{e}"])
                for e, a, b in taken]
        out = [drawing.svg("The states of a VCPU", words, first[0], "CREATE"),
               table((22, 16, 22, 40), ("state", "event", "state after",
                                        "what happened"), rows)]
        for name in sorted(every - set(drawing.place)):
            out.append(code(name))
            out[-1] += nodes.Text(f": {texts[name]}.")
        return out


class VmLife(Table):
    has_content = True
    sources = ["vmm.c", "vm.c"]

    def make(self):
        texts, lines = said(self.content, "vm-life")
        known = set()
        for name in self.sources:
            known |= set(re.findall(r"^(\w+)\(", (SRC / name).read_text(),
                                    re.M))
        drawing, rows, first, words = Drawing("vm-life"), [], None, []
        corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
        if len(texts) != len(corners):
            raise Broken("vm-life: a square has four corners")
        for (name, what), place in zip(texts.items(), corners):
            drawing.box(name, *place, what)
        for line in lines:
            m = re.fullmatch(r"(\w+|\*) -> (\w+): (.+) \((\w+)\)", line)
            if not m or {m[1], m[2]} - {"*"} - set(texts):
                raise Broken(f"vm-life: what does this say: {line}")
            a, b, what, function = m.groups()
            if function not in known:
                raise Broken(f"vm-life: {function} is not in "
                             + " or ".join(self.sources))
            rows.append((code(a) if a != "*" else "", code(b), what,
                         code(function)))
            words.append(f"{a if a != '*' else 'nothing'} becomes {b}: "
                         f"{what}.")
            if a == "*":
                first = b
            else:
                drawing.arrow(a, b, what, "said")
        if first is None or reach({(a, b) for a, b, *_ in drawing.arrows},
                                  first) | {first} != set(texts):
            raise Broken("vm-life: some state is never reached")
        return [drawing.svg("The life of a VM", " ".join(words), first,
                            "CREATE"),
                table((14, 14, 44, 28), ("from", "to", "when", "in"), rows)]


# What vmm_call() and vmm_call_vcpu() do first, for each enum vmm_need.
NEEDS = {
    "NOTHING": ("", "nothing"),
    "VM": ("", "a reference of the VM"),
    "VCPU": ("any state", "a reference"),
    "LOCKED": ("any state", "a reference, vcpu.lock"),
    "IDLE": ("STOPPED, TERMINATED", "a reference, vcpu.lock"),
    "STOPPED": ("STOPPED", "a reference, vcpu.lock"),
}


class IoctlLocks(Table):
    has_content = True
    sources = ["vmm.c"]

    def make(self):
        source = (SRC / "vmm.c").read_text()
        needs = re.search(r"^enum vmm_need \{ (.*?) \};", source, re.M)
        if not needs or needs[1].split(", ") != list(NEEDS):
            raise Broken("vmm.c: enum vmm_need is not what it was")
        body = re.search(r"vmm_requests\[\] = \{\n(.*?)^\};", source,
                         re.M | re.S)
        found = re.findall(r"^\t\[(\d+)\] = \w+\(\w+, (\w+), \w+\),$",
                           body[1] if body else "", re.M)
        names = {n: name for name, n in re.findall(
            r"^#define VMM_IOC_(\w+)\s+_IO\w*\('V', (\d+),",
            ABI.read_text(), re.M)}
        texts, rest = said(self.content, "ioctl-locks")
        if [n for n, _ in found] != list(names) or not names:
            raise Broken("vmm.c, vmmvar.h: the ioctls are not what they were")
        if rest or list(texts) != list(names.values()):
            raise Broken("ioctl-locks: one line each, in order: "
                         + ", ".join(names.values()))
        rows = []
        for n, need in found:
            state, held = NEEDS[need]
            rows.append((code(names[n]), state, held,
                         self.words(texts[names[n]])))
        return [table((18, 18, 22, 42), ("ioctl", "the VCPU has to be",
                                         "held meanwhile", "and besides"),
                      rows)]

    def words(self, what):
        """A paragraph in which `this` is code, and **this** is bold."""
        paragraph = nodes.paragraph()
        for piece in re.split(r"(`.*?`|\*\*.*?\*\*)", what):
            bare = piece.strip("`*")
            paragraph += nodes.literal(bare, bare) if piece[:1] == "`" else \
                nodes.strong("", bare) if piece[:1] == "*" else \
                nodes.Text(piece)
        return paragraph


def setup(app):
    app.add_directive("vcpu-states", VcpuStates)
    app.add_directive("vm-life", VmLife)
    app.add_directive("ioctl-locks", IoctlLocks)
    return {"parallel_read_safe": False}
