#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What vmm costs beside KVM, from the logs of boots.

    bench.py [--svm LOG] [--vmx LOG] [--guest LOG] [--json OUT]

A log is the serial line of a boot in which `bench` ran, on a CPU of either
vendor, or what a guest ran for. Prints tables of medians; --json keeps all
figures. Whether the aim is met is told, and is no failure; a log without
figures of vmm, or of another vendor, is.
"""
import argparse
import json
import pathlib
import re
import statistics
import sys

AIM = 0.5               # of what KVM needs, or less
MARK = "bench-json: "
SIDES = ("vmm", "kvm")
# Of a guest: what the log calls it, what it is, and its unit. The first is
# better if less, the others if more; a tick is taken for a nanosecond.
GUEST_ROWS = {
    "init": ("boot to the first program", "million ticks"),
    "seq-read": ("disk, 64 KiB in order, read", "MB/s"),
    "seq-write": ("disk, 64 KiB in order, written", "MB/s"),
    "rnd-read": ("disk, 4 KiB at random, read", "IO/s"),
    "rnd-write": ("disk, 4 KiB at random, written", "IO/s"),
    "net-read": ("network, from the host", "MB/s"),
    "net-write": ("network, to the host", "MB/s"),
    "net-ping": ("network, one byte there and back", "a second"),
}
GUEST_AIM = 1.0         # of what QEMU and KVM have


def read_log(path, vendor):
    """The last result in a log. Raises ValueError if there is none."""
    text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    _, found, rest = text.rpartition(MARK)
    if not found:
        raise ValueError(f"{path}: no line with \"{MARK.strip()}\"")
    try:
        result = json.loads(rest.splitlines()[0])
        rows = {row["name"]: row for row in result["rows"]}
        for row in rows.values():
            for side in SIDES:
                if row[side] is not None:
                    float(row[side]["median"])
    except (IndexError, KeyError, TypeError, ValueError) as e:
        raise ValueError(f"{path}: the line is damaged ({e})") from e
    if result["vendor"] != vendor:
        raise ValueError(f"{path}: of a CPU with {result['vendor']}, "
                         f"not {vendor}")
    if not any(row["vmm"] for row in rows.values()):
        raise ValueError(f"{path}: no figures of vmm: /dev/vmm was missing")
    for row in rows.values():
        row["ratio"] = ratio(row)
        row["met"] = None if row["ratio"] is None else row["ratio"] <= AIM
    return {**result, "aim": AIM, "rows": rows}


def ratio(row):
    """vmm / KVM by their medians, None where one is missing."""
    if not (row["vmm"] and row["kvm"] and row["kvm"]["median"]):
        return None
    return row["vmm"]["median"] / row["kvm"]["median"]


def figures(row):
    """The four columns of one vendor: vmm, KVM, ratio, aim."""
    cells = [f"{row[side]['median']:,}" if row and row[side] else "-"
             for side in SIDES]
    if row and row["ratio"] is not None:
        cells += [f"{row['ratio']:.2f}", "met" if row["met"] else "NOT MET"]
    else:
        cells += ["-", "-"]
    return "{:>9} {:>10} {:>6} {:>8}".format(*cells)


def table(results):
    """Lines: a block for each vendor, since two do not fit side by side."""
    for vendor, result in results.items():
        yield (f"{vendor.upper()}, {result['unit']:<38}"
               f" {'vmm':>9} {'KVM':>10} {'ratio':>6} {'aim':>8}")
        for row in result["rows"].values():
            yield f"  {row['what']:<41} {figures(row)}"
        yield ""
    judged = [row["met"] for result in results.values()
              for row in result["rows"].values() if row["met"] is not None]
    yield (f"aim: {AIM} of KVM or less; met by {sum(judged)} of "
           f"{len(judged)} figures" if judged else
           f"aim: {AIM} of KVM or less; there is no KVM to compare with")


def read_runs(path):
    """The runs in a log of a guest: (side, figures, counts of exits, status).
    A figure is in the unit of its row."""
    runs = []
    text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    for m in re.finditer(r"^guest: (\w+) (said|exits|ended) (.*)$", text, re.M):
        side, verb, rest = m[1], m[2], m[3].split()
        if not runs or runs[-1]["side"] != side or "ended" in runs[-1]:
            runs.append({"side": side, "figures": {}, "exits": {}})
        run = runs[-1]
        if verb == "ended":
            run["ended"] = int(rest[0])
        elif verb == "exits":
            run["exits"].setdefault(rest[0], {})[rest[1]] = int(rest[2])
        elif rest[1] == "init":
            run["figures"]["init"] = int(rest[0]) / 1e6
        elif len(rest) == 5:
            ticks, ops, size = (int(n) for n in rest[2:])
            unit = GUEST_ROWS[rest[1]][1]
            run["figures"][rest[1]] = 1e9 * ops / ticks * \
                (size / 1e6 if unit == "MB/s" else 1)
    return runs


def read_guest(path):
    """Medians of the runs that came to their end, side by side. Raises
    ValueError if there is none of vmm."""
    runs = read_runs(path)
    whole = [r for r in runs if set(r["figures"]) == set(GUEST_ROWS)]
    sides = {r["side"]: [w for w in whole if w["side"] == r["side"]]
             for r in runs}
    if not sides.get("vmm"):
        raise ValueError(f"{path}: no whole run of a guest under vmm")
    rows = {}
    for name in GUEST_ROWS:
        rows[name] = {s: statistics.median(r["figures"][name] for r in rs)
                      for s, rs in sides.items() if rs}
        rows[name]["ratio"] = rows[name]["vmm"] / rows[name]["kvm"] \
            if "kvm" in rows[name] else None
    return {"aim": GUEST_AIM, "rows": rows, "runs": runs,
            "whole": {s: [len(rs), sum(r["side"] == s for r in runs)]
                      for s, rs in sides.items()}}


def guest_table(result):
    """Lines: the figures, then exits until init."""
    yield f"{'a Linux guest':<54} vmm  QEMU+KVM  ratio      aim"
    for name, (text, unit) in GUEST_ROWS.items():
        row = result["rows"][name]
        cells = f"{row['vmm']:>8,.0f}"
        if row["ratio"] is not None:
            met = row["ratio"] <= GUEST_AIM if name == "init" \
                else row["ratio"] >= GUEST_AIM
            cells += (f" {row['kvm']:>9,.0f} {row['ratio']:>6.2f}"
                      f" {'met' if met else 'NOT MET':>8}")
        yield f"  {text + ', ' + unit:<47} {cells}"
    yield "runs: " + ", ".join(f"{s} {n} of {of}" for s, (n, of)
                               in result["whole"].items())
    first = {}
    for run in result["runs"]:
        first.setdefault(run["side"], run["exits"].get("init", {}))
    for side, counts in first.items():
        yield f"exits until init, {side}: " + ", ".join(
            f"{k} {n:,}" for k, n in counts.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for vendor in ("svm", "vmx"):
        parser.add_argument(f"--{vendor}", metavar="LOG")
    parser.add_argument("--guest", metavar="LOG")
    parser.add_argument("--json", metavar="OUT")
    args = parser.parse_args()
    logs = {v: p for v, p in (("svm", args.svm), ("vmx", args.vmx)) if p}
    if not logs and not args.guest:
        parser.error("say --svm LOG, --vmx LOG or --guest LOG")
    try:
        results = {v: read_log(p, v) for v, p in logs.items()}
        if logs:
            print("\n".join(table(results)))
        if args.guest:
            results["guest"] = read_guest(args.guest)
            print("\n".join(guest_table(results["guest"])))
        if args.json:
            pathlib.Path(args.json).write_text(
                json.dumps(results, indent=1) + "\n", encoding="utf-8")
    except (OSError, ValueError) as e:
        print(f"bench.py: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
