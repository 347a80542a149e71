#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Debugger sessions that are replayed: what the book shows of GDB and Bochs.

    transcripts.py [--build DIR] [NAME]...    records those that differ

tests/integration/transcripts has a script and what it prints, of each:

    NAME.gdb    for GDB, after what `make gdb` loads has stopped
    NAME.rc     for Bochs's debugger, after `make bochs` has stopped
    NAME.txt    each command behind its prompt, and what it printed

A script is one command a line, as a person types them. Comments at its top
may say what else the session needs:

    # client: vmctl exec ...    the host's client, else vmctl tour
    # debug: yes                the driver of `make DEBUG=1`

NAME.txt is what was printed, unmasked. For a comparison MASKS hide, on both
sides, what another compiler or a change of the host would alter; all that is
the guest's counts, to the last digit.
"""
import argparse
import difflib
import pathlib
import re
import sys
from dataclasses import dataclass

import emu

TOP = pathlib.Path(__file__).resolve().parents[1]
PLACE = TOP / "tests/integration/transcripts"
LIMIT = 60              # seconds for a session

# Fields and variables that hold an address or an amount of the host's own.
HOSTS_OWN = "HOST_(?:CR3|RSP|RIP|[FGT][SR]_BASE|GDTR_BASE|IDTR_BASE)|" \
    "MSR_BITMAP|EXIT_MSR_STORE|EXIT_MSR_LOAD|ENTRY_MSR_LOAD|EPTP|VMCS|" \
    "IOPM_BASE|MSRPM_BASE|N_CR3|VMCB"

# What is hidden, and what is shown instead. In this order.
MASKS = [
    # Addresses of the kernel's image, of its stacks and of its memory.
    (r"\b(0x)?(ffffffff_?8|ffffc9\w\w_?\w|ffff88[89a-f]\w_?\w)\w{7}\b",
     "HOST"),
    # Behind the word HPA a host-physical address: the page of it.
    (r"\bHPA 0x[0-9a-f]*?([0-9a-f]{3})\b", r"HPA PAGE+\1"),
    # A field that holds one, in a list or in an assignment.
    (rf"\b({HOSTS_OWN})\b([ =:]+)0x[0-9a-f]+( -> 0x[0-9a-f]+)?", r"\1\2HOST"),
    (r"^( +(?:\w+ptr|\w+_addr\d?|CR3|FS_BASE) = )0x(?!0$|f+$)[0-9a-f]+",
     r"\1HOST"),
    # Bochs's own: the time in instructions, a host-physical address before
    # each instruction, entries of an EPT but for their low bits.
    (r"\bt=\d+", "t=TICKS"),
    (r"^(\(\d\)\.?) ?\[\d+\]", r"\1[TICKS]"),
    (r"\[0x[0-9a-f]{12}\]", "[HPA]"),
    (r"^( *EPT .*: 0x)[0-9a-f]{13}(?=[0-9a-f]{3}\b)", r"\1PAGE+"),
    (r"(maps to physical page) 0x[0-9a-f]+", r"\1 HPA"),
    # Places in the sources and in functions of the host.
    (r"\b([\w/.-]+\.[chS]):\d+", r"\1:LINE"),
    (r"^\d+(?=\t)", "LINE"),
    (r"([<(][a-z_]\w*)\+(?!0[>)])(0x)?[0-9a-f]+(?=[>)])", r"\1+N"),
]


@dataclass
class Session:
    """A script, and the file of what it prints."""
    script: pathlib.Path

    @property
    def output(self):
        return self.script.with_suffix(".txt")

    def said(self, what, default):
        """What a comment at the top of the script says."""
        for line in self.script.read_text().splitlines():
            if not line.startswith("#"):
                break
            m = re.match(rf"# {what}: (.*)", line)
            if m:
                return m[1]
        return default

    def commands(self):
        return [line for line in self.script.read_text().splitlines()
                if line.strip() and not line.startswith("#")]

    def play(self, build):
        """What it prints now."""
        if self.said("debug", "no") == "yes":
            build = build / "debug"
        job = emu.Job(build, self.said("client", "vmctl tour").split())
        if self.script.suffix == ".gdb":
            return gdb(job, self.commands())
        return bochs(job, self.commands())


def gdb(job, commands):
    """GDB repeats no command that it does not read from a terminal: each is
    printed before it. An error ends a file of commands, but not the next
    command line option."""
    args = ["-batch"]
    for command in commands:
        shown = command.replace("\\", "\\\\")
        args += ["-ex", f"echo (gdb) {shown}\\n", "-ex", command]
    _, out = emu.gdb_session(job, args, LIMIT)
    out = re.sub(r"\[Inferior \d+ \(.*\) detached\]\n\Z", "", out)
    return tidy(out[out.find("(gdb) "):])


def bochs(job, commands):
    return tidy(emu.bochs_session(job, commands, LIMIT)[1])


def tidy(text):
    return "".join(line.rstrip() + "\n" for line in
                   text.replace("\r", "").strip("\n").split("\n"))


def sessions():
    return [Session(p) for p in sorted(PLACE.glob("*"))
            if p.suffix in (".gdb", ".rc")]


def masked(text):
    """The lines of a session, without what may differ."""
    lines = []
    for line in text.splitlines():
        for pattern, instead in MASKS:
            line = re.sub(pattern, instead, line)
        lines.append(line)
    return lines


def difference(want, have):
    """How two outputs differ that should be the same; empty: they do not."""
    return "\n".join(difflib.unified_diff(
        masked(want), masked(have), "recorded", "now", lineterm="", n=2))


def main():
    parser = argparse.ArgumentParser(prog="transcripts.py")
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    opt = parser.parse_args()
    for session in sessions():
        name = session.script.stem
        if opt.names and name not in opt.names:
            continue
        have = session.play(opt.build)
        old = session.output.read_text() if session.output.exists() else ""
        if old and not difference(old, have):
            print(f"{name}: as recorded")
            continue
        session.output.write_text(have)
        print(f"{name}: recorded anew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
