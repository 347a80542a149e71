# SPDX-License-Identifier: ISC
"""What `vmctl trace --json` wrote, as a picture.

Directive `trace-picture FILE`: the tracks of the one VCPU in a file beside
the page, host, driver and guest, from its first event to its last. With the
option `zoom: NR`, the time of the request that is record NR.

A file that is none, an event on no track, and a zoom on nothing fail the
build.
"""
import html
import json

from docutils import nodes

from vmmtwins import TOP, Broken, Table

WIDTH, LANE, GAP = 700, 34, 12      # of the whole; of a track; between two
LEFT, RIGHT, TOP_Y = 64, 12, 24
LETTER = 7.3                        # widest of a label, in pixels
TRACKS = ["host", "driver", "guest"]

# Furo's colours follow the reader's choice of light or dark.
STYLE = """
.trace { width: 100%; max-width: 44rem; height: auto; }
.trace .lane { fill: var(--color-background-secondary, #f8f9fb); }
.trace .slice { stroke: var(--color-background-primary, #ffffff);
  stroke-width: .6; }
.trace .host { fill: #b9c4d6; } .trace .driver { fill: #f2a65a; }
.trace .guest { fill: #4f9d69; }
.trace .grid { stroke: var(--color-foreground-secondary, #5a5c63);
  stroke-width: .5; stroke-dasharray: 2 3; }
.trace text { fill: var(--color-foreground-primary, #000000);
  font-family: var(--font-stack, sans-serif); font-size: 12px; }
.trace .in { fill: #000000; }
"""


def load(path):
    """[(track, begin, end, name, nr)] of a file, in ticks."""
    try:
        events = json.loads(path.read_text())["traceEvents"]
        tracks = {e["tid"]: e["args"]["name"].split(": ")[1] for e in events
                  if e["name"] == "thread_name"}
        found = [(tracks[e["tid"]], round(e["ts"] * 1000),
                  round((e["ts"] + e["dur"]) * 1000), e["name"],
                  e.get("args", {}).get("nr"))
                 for e in events if e["ph"] == "X"]
    except (OSError, ValueError, KeyError, IndexError) as e:
        raise Broken(f"{path.name}: {e!r}") from e
    if sorted(tracks.values()) != sorted(TRACKS) or not found:
        raise Broken(f"{path.name}: not of one VCPU that ran")
    return sorted(found, key=lambda s: s[1])


def steps(span):
    """The distance of the marks on the axis: some, at round numbers."""
    step = 1
    while span / step > 10:
        step *= 5 if str(step)[0] == "1" else 2
    return step


def svg(slices, begin, end, words):
    """The tracks between two times."""
    scale = (WIDTH - LEFT - RIGHT) / (end - begin)
    height = TOP_Y + len(TRACKS) * (LANE + GAP) + 18
    out = [f'<svg class="trace" viewBox="0 0 {WIDTH} {height}" role="img" '
           'xmlns="http://www.w3.org/2000/svg">'
           f'<title>{html.escape(words)}</title><style>{STYLE}</style>']
    for i, track in enumerate(TRACKS):
        y = TOP_Y + i * (LANE + GAP)
        out.append(f'<rect class="lane" x="{LEFT}" y="{y}" height="{LANE}" '
                   f'width="{WIDTH - LEFT - RIGHT}"/>'
                   f'<text x="{LEFT - 8}" y="{y + 21}" text-anchor="end">'
                   f'{track}</text>')
    step = steps(end - begin)
    for t in range(0, end - begin + 1, step):
        x = LEFT + t * scale
        out.append(f'<path class="grid" d="M{x:.1f} {TOP_Y - 4}V'
                   f'{height - 20}"/><text x="{x:.1f}" y="{TOP_Y - 9}" '
                   f'text-anchor="middle">{t:,}</text>')
    for track, a, b, name, _ in slices:
        a, b = max(a, begin), min(b, end)
        if a >= b:
            continue
        x, width = LEFT + (a - begin) * scale, (b - a) * scale
        y = TOP_Y + TRACKS.index(track) * (LANE + GAP)
        out.append(f'<rect class="slice {track}" x="{x:.1f}" y="{y}" '
                   f'width="{max(width, 1):.1f}" height="{LANE}"><title>'
                   f'{html.escape(name)}: {b - a:,} ticks</title></rect>')
        below = track == "guest"        # its slices are narrow
        if len(name) * LETTER < width + below * 24:
            out.append(f'<text class="{"" if below else "in"}" '
                       f'x="{x + width / 2:.1f}" '
                       f'y="{y + (LANE + 14 if below else 21)}" '
                       f'text-anchor="middle">{html.escape(name)}</text>')
    return "".join(out) + "</svg>"


class TracePicture(Table):
    required_arguments = 1
    option_spec = {"zoom": int}
    sources = []

    def make(self):
        env = self.state.document.settings.env
        path = TOP / "docs/book" / self.arguments[0]
        env.note_dependency(str(path))
        slices = load(path)
        begin, end = slices[0][1], max(s[2] for s in slices)
        words = "Host, driver and guest, one above the other, over time"
        if "zoom" in self.options:
            nr = self.options["zoom"]
            of = [s for s in slices if s[0] == "driver" and s[4] == nr]
            if not of:
                raise Broken(f"{path.name}: no request is record {nr}")
            _, begin, end, name, _ = of[0]
            words += f" of one {name}"
        return [nodes.raw("", svg(slices, begin, end, words), format="html")]


def setup(app):
    app.add_directive("trace-picture", TracePicture)
    return {"parallel_read_safe": False}
