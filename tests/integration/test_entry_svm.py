# SPDX-License-Identifier: ISC
"""Every rule of svm_rules.def, broken alone in a VMCB that entered before: the
driver names it, and the emulator refuses it, or the rule says that it does
not.

The debug build calls svm_rules() before each entry. A debugger stops there
and writes into the VMCB.
"""
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import emu
import rules
from conftest import TOP

RULES = rules.rules("svm")
# How to break each rule in a guest in long mode: where in the VMCB, bytes
# there, and what becomes of them.
CASES = {
    "efer-svme": (0x4d0, 8, lambda x: x & ~(1 << 12)),
    "cr0-nw": (0x558, 8, lambda x: x | 1 << 29),
    "cr0-high": (0x558, 8, lambda x: x | 1 << 32),
    "cr3-mbz": (0x550, 8, lambda x: x | 1 << 52),
    "cr4-mbz": (0x548, 8, lambda x: x | 1 << 31),
    "dr6-high": (0x568, 8, lambda x: x | 1 << 32),
    "dr7-high": (0x560, 8, lambda x: x | 1 << 63),
    "efer-mbz": (0x4d0, 8, lambda x: x | 1 << 1),
    "lme-pae": (0x548, 8, lambda x: x & ~(1 << 5)),
    "lme-pe": (0x558, 8, lambda x: x & ~1),
    "cs-l-d": (0x412, 2, lambda x: x | 1 << 10),
    "vmrun-intercept": (0x010, 4, lambda x: x & ~1),
    "msrpm-pa": (0x048, 8, lambda x: 0xffffffffff000),
    "iopm-pa": (0x040, 8, lambda x: 0xffffffffff000),
    "event-type": (0x0a8, 8, lambda x: 0x80000121),
    "event-nmi": (0x0a8, 8, lambda x: 0x80000302),
    "event-vector": (0x0a8, 8, lambda x: 0x80000340),
    "asid-0": (0x058, 4, lambda x: 0),
    "tlb-control": (0x05c, 4, lambda x: 2),
    "n-cr3-mbz": (0x0b0, 8, lambda x: x | 1 << 52),
    "g-pat": (0x668, 8, lambda x: x & ~0xff | 2),
}
RIP = 0x578
GUEST_BEGIN = 0x8010            # where `long` begins
ENTERED = r"^ +1 +7b IO"        # what `step` shows of its guests' OUT
PROMPT = re.compile(rb"vm(m|\d+\.\d+)> $")


class Host:
    """The metal host at the prompt of vmctl, and a debugger that breaks what
    it is asked to in the VMCB of a guest beyond its first exit."""
    LIMIT = 60

    def __init__(self, build):
        self.elf = build / "metal/vmm.elf"
        self.tmp = Path(tempfile.mkdtemp(prefix="vmm."))
        self.job = emu.Job(build, ["vmctl", "shell"], tmp=self.tmp)
        self.deadline = time.monotonic() + emu.time_limit(self.LIMIT)
        self.process = self.case = self.undo = self.value = None
        self.log = self.held = b""      # of the serial line, the debugger

    def symbol(self, name):
        out = subprocess.run(["nm", self.elf], capture_output=True,
                             text=True, check=True).stdout
        return int(re.search(rf"^(\w+) T {name}$", out, re.M)[1], 16)

    def wait(self, *fds):
        """Those of the descriptors that can be read."""
        left = self.deadline - time.monotonic()
        ready = left > 0 and select.select(fds, [], [], left)[0]
        if not ready:
            raise TimeoutError(self.log.decode(errors="replace")[-2000:])
        return ready

    def read(self, fd):
        data = os.read(fd, 65536)
        if not data:
            raise EOFError(self.last_words())
        return data

    def ask(self, command):
        """What the debugger says to it."""
        self.send(command)
        while (said := self.receive()) is None:
            self.wait(self.debugger)
        return said

    def line(self, text):
        """Types a line; what is said up to the next prompt."""
        begin = len(self.log)
        os.write(self.serial_in, text.encode() + b"\r")
        self.prompt(begin + len(text) + 1)
        return self.log[begin:].decode(errors="replace").replace("\r", "")

    def prompt(self, begin=0):
        """Lets the host run to a prompt."""
        while not PROMPT.search(self.log[begin:]):
            ready = self.wait(self.serial_out, self.debugger)
            if self.serial_out in ready:
                self.log += self.read(self.serial_out)
            if self.debugger in ready:
                self.stopped()

    def judged(self, vmcb):
        """An entry is about to be judged: break it, or make it whole."""
        if self.undo:
            place, size, value = self.undo
            self.poke(vmcb + place, size, value)
            self.undo = None
        elif self.case and self.peek(vmcb + RIP, 8) != GUEST_BEGIN:
            place, size, change = self.case
            value = self.peek(vmcb + place, size)
            self.value = change(value)
            self.poke(vmcb + place, size, self.value)
            self.undo, self.case = (place, size, value), None

    def broken(self, case):
        """What a guest that entered says when it has one field broken:
        (the field's value, lines)."""
        self.undo = self.value = None
        good = self.line("create 1 ; load long ; reset ; step 1")
        assert re.search(ENTERED, good, re.M) and "rule" not in good, good
        self.case = case
        said = self.line("step 1")
        self.undo = None
        assert self.case is None, f"nothing was broken\n{said}"
        self.line("term")
        return self.value, said

    def close(self):
        if self.process:
            emu.end(self.process)
        shutil.rmtree(self.tmp, ignore_errors=True)


class Qemu(Host):
    """By QEMU's gdbstub, on a socket of its own."""
    name = "TCG"

    def __init__(self, build):
        super().__init__(build)
        path = self.tmp / "gdb"
        self.job.extra = ["-gdb", f"unix:{path},server=on,wait=off", "-S"]
        self.process = emu.start(
            emu.qemu_argv(self.job, emu.BACKENDS["metal-svm"]),
            subprocess.DEVNULL, stdin=subprocess.PIPE)
        self.serial_in = self.process.stdin.fileno()
        self.serial_out = self.process.stdout.fileno()
        self.socket = socket.socket(socket.AF_UNIX)
        while self.socket.connect_ex(str(path)):
            assert self.process.poll() is None and \
                time.monotonic() < self.deadline, "QEMU did not start"
            time.sleep(.01)
        self.debugger = self.socket.fileno()
        self.stop = f"1,{self.symbol('svm_rules'):x},1"
        self.ask("Z" + self.stop)
        self.send("c")
        self.prompt()

    def last_words(self):
        return "QEMU ended"

    def send(self, packet):
        data = packet.encode()
        self.socket.sendall(b"$%s#%02x" % (data, sum(data) % 256))

    def receive(self):
        """A packet, or None: not all of it is here. What stands before it
        acknowledges ours."""
        self.held += self.read(self.debugger)
        m = re.search(rb"\$([^#]*)#..", self.held)
        if m:
            self.held = self.held[m.end():]
            self.socket.sendall(b"+")
        return m and m[1].decode()

    def stopped(self):
        if self.receive() is None:
            return
        regs = bytes.fromhex(self.ask("g"))
        rsi, rdi = (int.from_bytes(regs[i * 8:i * 8 + 8], "little")
                    for i in (4, 5))
        if not rsi & 1:         # RESETCPU asks only about the guest's part
            self.judged(rdi)
        for packet in ("z" + self.stop, "s", "Z" + self.stop):
            self.ask(packet)
        self.send("c")

    def peek(self, address, size):
        data = bytes.fromhex(self.ask(f"m{address:x},{size:x}"))
        return int.from_bytes(data, "little")

    def poke(self, address, size, value):
        data = value.to_bytes(size, "little").hex()
        assert self.ask(f"M{address:x},{size:x}:{data}") == "OK"

    def close(self):
        super().close()
        self.socket.close()


class Bochs(Host):
    """By the debugger of Bochs, to which addresses are physical."""
    name = "Bochs"
    KERNBASE = 0xffffffff80000000
    DIRECT = 0xffff888000000000

    def __init__(self, build):
        super().__init__(build)
        self.serial = emu.Serial(True)
        stop = self.symbol("svm_rules") - self.KERNBASE
        self.process = emu.start(
            emu.bochs_argv(emu.BACKENDS["metal-svm-bochs"], self.job,
                           self.serial.option, f"pb {stop:#x}\nc\n"),
            subprocess.DEVNULL, stdin=subprocess.PIPE)
        self.serial.connect()
        self.serial_in = self.serial_out = self.serial.fd
        self.debugger = self.process.stdout.fileno()
        self.prompt()

    def last_words(self):
        return "\n".join(re.findall(
            r">>PANIC<< .*", (self.tmp / "bochs.log").read_text()))

    def send(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def receive(self):
        """What it said up to a prompt, or None: there is none yet."""
        self.held += self.read(self.debugger)
        if not re.search(rb"<bochs:\d+> $", self.held):
            return None
        said, self.held = self.held, b""
        return said.decode(errors="replace")

    def stopped(self):
        if self.receive() is None:
            return
        regs = self.ask("r")
        rsi, rdi = (int(re.search(rf"{name}: (\w+)", regs)[1], 16)
                    for name in ("rsi", "rdi"))
        if not rsi & 1:
            self.judged(rdi - self.DIRECT)
        self.send("c")

    def peek(self, address, size):
        data = [re.search(r">:\s+0x(\w+)", self.ask(f"xp /1bx {a:#x}"))[1]
                for a in range(address, address + size)]
        return int.from_bytes(bytes.fromhex("".join(data)), "little")

    def poke(self, address, size, value):
        for i, byte in enumerate(value.to_bytes(size, "little")):
            self.ask(f"setpmem {address + i:#x} 1 {byte}")

    def close(self):
        super().close()
        self.serial.close()


# Where an emulator does not refuse, but ends.
ENDS = {("Bochs", "lme-pe"): "EFER.LMA is set when CR0.PE=0"}


def break_all(kind, build):
    """{rule: (the field's value, what was said)}."""
    found, host = {}, None
    try:
        for rule, case in CASES.items():
            host = host or kind(build)
            try:
                found[rule] = host.broken(case)
            except EOFError as e:
                found[rule] = host.value, str(e)
                host.close()
                host = None
    finally:
        if host:
            host.close()
    return found


@pytest.fixture(scope="module", params=[Qemu, Bochs], ids=lambda k: k.name)
def broken(request, debug_build):
    """(the emulator, all that was said)."""
    return request.param.name, break_all(request.param, debug_build)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.id)
def test_entry_svm_rule(broken, rule):
    """The driver names the rule, and the emulator agrees or is known not
    to."""
    emulator, found = broken
    assert rule.id in found, "no case breaks this rule: add one to CASES"
    value, said = found[rule.id]
    if emulator in rule.emulators:
        assert ENDS.get((emulator, rule.id),
                        f"entered against rule {rule.id}\n") in said, said
        assert "refused" not in said, said
        return
    want = f"entry refused by rule {rule.id}: {rule.field} is {value:#x}\n" \
        f"vmm0:   allowed: {rule.allowed}\nvmm0:   {rule.section}\n"
    assert want in said, said
    assert re.search(r"exit 0x(f{8}){1,2} ", said), said


def test_entry_svm_cases_are_rules():
    assert [r.id for r in RULES] == list(CASES)


@pytest.mark.parametrize("backend", ["metal-svm", "metal-svm-bochs"])
def test_entry_svm_named_by_any_build(boot, backend):
    """Also one that looks for the rule only when the entry was refused, and
    the emulator has overwritten the VMCB."""
    log = boot("vmctl exec create ; load long ; reset ; step 1 ; "
               "setreg cr4 0 ; step 1".split(), expect=1,
               backend=backend).log
    assert "entry refused by rule lme-pae: CR4 is 0x40\n" in log, log


# Clauses with guests in every mode, events, and registers of every kind.
GOOD = ["3.5.*", "3.8.*", "4.[1-6].*", "4.mode.*", "4.fpu.*", "6.delivery*",
        "F1.*", "F9.*", "F11.*", "F14.*", "F18.*", "F19.*", "F22.*", "F28.*"]


def test_entry_svm_good_states_break_none(boot, debug_build):
    """No rule is stricter than what guests and clients do all the time. What
    is refused is what F11.entry is about."""
    args = [word for glob in GOOD for word in ("--only", glob)]
    log = boot(["conform", "--nonce", "1", *args], build=debug_build).log
    assert "\nok 100 - " in log, log
    assert re.findall(r"entered .* rule|entry refused by rule [\w-]+", log) \
        == ["entry refused by rule lme-pae"]
    assert "RESETCPU refused by rule lme-pae: " in log, log


# --- The book ---------------------------------------------------------------

SHOWN = re.findall(r"^% (\S+)\n\n```\n# (.*)\n((?:.*\n)+?)```$",
                   (TOP / "docs/book/entry.md").read_text(), re.M)


@pytest.mark.parametrize("backend, command, lines", SHOWN,
                         ids=[b for b, *_ in SHOWN])
def test_entry_book_shows_what_happens(boot, backend, command, lines):
    """What "When entry fails" shows is what is said, line by line."""
    log = boot(command.split(), expect=1, backend=backend).log
    for line in lines.splitlines():
        assert line == "..." or line + "\n" in log, f"{line}\n{log}"


def test_entry_book_shows_something():
    assert SHOWN
