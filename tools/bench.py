#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What vmm costs beside KVM, on both vendors, from the logs of two boots.

    bench.py [--svm LOG] [--vmx LOG] [--json OUT]

A log is the serial line of a boot in which `bench` ran. Prints one table of
medians; --json keeps all figures. Whether the aim is met is told, and is no
failure; a log without figures of vmm, or of another vendor, is.
"""
import argparse
import json
import pathlib
import sys

AIM = 0.5               # of what KVM needs, or less
MARK = "bench-json: "
SIDES = ("vmm", "kvm")


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for vendor in ("svm", "vmx"):
        parser.add_argument(f"--{vendor}", metavar="LOG")
    parser.add_argument("--json", metavar="OUT")
    args = parser.parse_args()
    logs = {v: p for v, p in (("svm", args.svm), ("vmx", args.vmx)) if p}
    if not logs:
        parser.error("say --svm LOG, --vmx LOG, or both")
    try:
        results = {v: read_log(p, v) for v, p in logs.items()}
        print("\n".join(table(results)))
        if args.json:
            pathlib.Path(args.json).write_text(
                json.dumps(results, indent=1) + "\n", encoding="utf-8")
    except (OSError, ValueError) as e:
        print(f"bench.py: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
