# SPDX-License-Identifier: ISC
"""A front end of Bochs's debugger: passes its commands through, and adds ours
(vmmcmd.py). tools/emu.py starts Bochs and hands it over; it also ends it."""
import os
import re
import select
import signal
import sys
import time

import vmmcmd

PROMPT = re.compile(rb"(?:\A|\n)<bochs:\d+> $")
OURS = "<bochs> "
QUIT = ("q", "quit", "exit")
TIMEOUT, GONE = 124, 126        # exit statuses, as emu.py has them


class Gone(Exception):
    """Bochs has ended; the argument is what it still said."""


def commands(path):
    """The lines of a script, without its comments."""
    return [line for line in path.read_text().splitlines()
            if line.strip() and not line.startswith("#")]


class Front:
    """Bochs, whose debugger is on the two pipes of `process`."""

    def __init__(self, process, names, console, deadline):
        self.process = process
        self.names = names              # the host's symbols
        self.console = console          # file of the host's serial line
        self.deadline = deadline        # None: a person decides
        self.vmm = None
        self.status = 0                 # of this program, at the end

    def read(self, show=False):
        """What Bochs prints up to its prompt. With `show` also prints it,
        line by line."""
        out, shown = b"", 0
        while not PROMPT.search(out):
            left = self.deadline and self.deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(out.decode(errors="replace"))
            try:
                if not select.select([self.process.stdout], [], [], left)[0]:
                    continue
                data = os.read(self.process.stdout.fileno(), 65536)
            except KeyboardInterrupt:
                self.process.send_signal(signal.SIGINT)     # stops the guest
                continue
            if not data:
                raise Gone(out.decode(errors="replace"))
            out += data
            if show:
                # Not the echo of the command, which is the first line.
                lines = out[:out.rfind(b"\n") + 1].split(b"\n", 1)[-1]
                sys.stdout.write(lines[shown:].decode(errors="replace"))
                sys.stdout.flush()
                shown = len(lines)
        return PROMPT.sub(b"\n", out).decode(errors="replace")

    def ask(self, command, show=False):
        """What one native command prints."""
        try:
            self.process.stdin.write(command.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError as e:
            raise Gone("") from e
        out = self.read(show)
        # It echoes commands, and names our pipe in its complaints.
        out = re.sub(r"\A[^\n]*\n", "", out)
        return re.sub(r"^\S+:\d+: (?=syntax error)", "", out, flags=re.M)

    def begin(self):
        """Bochs has started. Returns what it said when it stopped."""
        said = self.read()
        self.vmm = vmmcmd.Vmm(self.ask, self.names)
        return said[max(said.find("(0) Breakpoint"), 0):]

    def do(self, line, show=False):
        """One line that was typed: returns what there is to print."""
        words = line.split()
        if words[:1] != ["vmm"]:
            return self.vmm.native(line, show)
        try:
            return self.vmm.do(words[1:])
        except vmmcmd.Wrong as e:
            return f"vmm: {e}\n"

    def play(self, lines):
        """Commands of a script: all that is typed and printed."""
        out = ""
        try:
            out += self.begin()
            for line in lines:
                out += OURS + line + "\n"
                if line.strip() in QUIT:
                    break
                out += self.do(line)
        except Gone as e:
            self.status = GONE
            out += f"{e}Bochs has ended.\n"
        except TimeoutError as e:
            self.status = TIMEOUT
            out += f"{e}\nNo end within the time limit.\n"
        return out

    def talk(self):
        """Commands of a person, until the end."""
        try:
            import readline     # noqa: F401  (input() then edits lines)
        except ImportError:
            pass
        try:
            print(self.begin() + vmmcmd.NEXT.format(console=self.console))
        except Gone as e:
            self.status = GONE
            print(f"{e}Bochs has ended.")
            return
        line = ""
        while True:
            try:
                line = input(OURS).strip() or line      # none: the same again
                if line in QUIT:
                    return
                ours = line.split()[:1] == ["vmm"]
                out = self.do(line, show=not ours) if line else ""
                print(out if ours else "", end="")
            except KeyboardInterrupt:
                print()
            except EOFError:
                print()
                return
            except Gone:
                print("Bochs has ended.")
                return
