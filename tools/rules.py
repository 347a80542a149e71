# SPDX-License-Identifier: ISC
"""The rules of VM entry, read from svm_rules.def and vmx_rules.def.

The C preprocessor resolves their macros and keeps the comments; RULE is left
as it stands.
"""
import pathlib
import re
import subprocess
from dataclasses import dataclass

SRC = pathlib.Path(__file__).resolve().parents[1] / "src/vmm"
ROW = re.compile(r"((?:/\*.*?\*/\s*)*)\bRULE\(", re.S)
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[(),]|[^"(),]+')
REMARK = re.compile(r"(TCG|Bochs|TCG, Bochs): (.*)$", re.S)


@dataclass
class Rule:
    """A row: RULE()'s arguments, strings as the compiler has them."""
    id: str
    section: str
    part: str               # CTL, HOST or GUEST
    field: str
    allowed: str
    emulators: tuple        # that do not enforce it: "TCG", "Bochs"
    remark: str             # why we believe the manual all the same


def text(arg):
    """A string literal, maybe in pieces; else what stands there."""
    pieces = re.findall(r'"((?:[^"\\]|\\.)*)"', arg)
    return re.sub(r"\\(.)", r"\1", "".join(pieces)) if pieces else arg


def arguments(source, at):
    """Of the call whose parenthesis is open at `at`."""
    args, depth = [""], 1
    for m in TOKEN.finditer(source, at):
        depth += {"(": 1, ")": -1}.get(m[0], 0)
        if depth == 0:
            return [a.strip() for a in args]
        if m[0] == "," and depth == 1:
            args.append("")
        else:
            args[-1] += m[0]
    raise ValueError("a RULE( that does not end")


def rules(vendor):
    """[Rule] of "svm" or "vmx", in order."""
    source = subprocess.run(
        ["gcc", "-E", "-C", "-P", "-undef", "-nostdinc", "-x", "c",
         SRC / f"{vendor}_rules.def"],
        capture_output=True, text=True, check=True).stdout
    found = []
    for m in ROW.finditer(source):
        args = arguments(source, m.end())
        section, part, name, field = args[:4]
        comments = re.findall(r"/\*(.*?)\*/", m[1], re.S)
        said = " ".join(re.sub(r"^\s*\* ?", "", line).strip() for line in
                        (comments or [""])[-1].strip().splitlines())
        remark = REMARK.match(said)
        found.append(Rule(
            text(name), text(section), part, text(field), text(args[-1]),
            tuple(remark[1].split(", ")) if remark else (),
            remark[2] if remark else ""))
    return found
