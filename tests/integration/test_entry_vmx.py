# SPDX-License-Identifier: ISC
"""The rules of vmx_rules.def against a CPU that enforces them: Bochs's.

A debug build judges every entry. Bochs's debugger stops it where the VMCS is
loaded and nobody has judged it yet, and breaks one rule in memory. Then the
driver has to name that rule, and the CPU to refuse. Each rule has a VM of its
own, and between them are VMs that are entered as they are.
"""
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import emu
from conftest import BUILD, JOBS, TOP
from test_dump import KERNBASE, PROMPT, encodings, place

DEBUG = BUILD / "debug"
SHELL = re.compile(rb"\nvm(m|\d+\.0)> $")
RULES = TOP / "src/vmm/vmx_rules.def"
FIELDS = encodings()
BATCH = 10


# --- The table --------------------------------------------------------------

@dataclass
class Rule:
    """A row."""
    id: str
    section: str
    part: str
    field: str
    allowed: str
    enforced: bool          # by Bochs


def table():
    """The rows in order, as the preprocessor finds them. What stands behind a
    comment that begins with "Bochs:", up to the next line that begins anew, is
    marked: it is not enforced."""
    text = re.sub(r"/\*(?: |\n \* )Bochs:(?:.|\n)*?\*/\n(\S.*\n(?:[ \t].*\n)*)",
                  r"OPEN\n\1SHUT\n", RULES.read_text())
    text = "#define RULE(section, part, id, field, ok, allowed) " \
        "ROW (section, #part, id, #field, allowed) END\n" + text
    out = subprocess.run(["gcc", "-E", "-P", "-x", "c", "-"], input=text,
                         text=True, capture_output=True, check=True).stdout
    rules, enforced = [], True
    for m in re.finditer(r"\b(?:(OPEN)|(SHUT)|ROW (\(.*?\)) END)", out, re.S):
        if m[3]:
            row = [eval(f"({part})") for part in arguments(m[3][1:-1])]
            rules.append(Rule(row[2], row[0], row[1], row[3], row[4],
                              enforced))
        else:
            enforced = bool(m[2])
    return rules


def arguments(text):
    """The arguments of a call, which are strings, some in pieces."""
    string = r'"(?:\\.|[^"\\])*"'
    return re.findall(rf"{string}(?:\s*{string})*", text)


TABLE = table()


# --- How to break each of them ----------------------------------------------

@dataclass
class Case:
    """What makes a state that breaks one rule. `good` is what the mode needs
    first, so that the rule is about it; each is (field, how)."""
    how: object             # to the field of the rule
    mode: str = "real"
    good: tuple = ()
    field: str = ""         # another field than the rule names


def on(*bits):
    return lambda x: x | sum(1 << bit for bit in bits)


def off(*bits):
    return lambda x: x & ~sum(1 << bit for bit in bits)


def be(value):
    return lambda x: value


def low(bits, value):
    """The lowest bits are that."""
    return lambda x: x >> bits << bits | value


SEGS = ["cs", "ss", "ds", "es", "fs", "gs"]
WIDTH = 40                  # physical addresses of Bochs
FAR = be(1 << 47)           # not canonical
BEYOND = on(51)             # not physical
LDT = (("GUEST_LDTR_AR", be(0x82)), ("GUEST_LDTR_LIMIT", be(0x67)),
       ("GUEST_LDTR_SEL", be(0x60)), ("GUEST_LDTR_BASE", be(0)))
STI = (("GUEST_RFLAGS", on(9)), ("GUEST_INTERRUPTIBILITY", be(1)))


def event(value):
    return (("ENTRY_EVENT", be(0x80000000 | value)),)


# Whatever comes ends the guest: it has no handlers and would go astray.
NO_IDT = ("GUEST_IDTR_LIMIT", be(0))
INTR = (*event(0x020), ("GUEST_RFLAGS", on(9)))
NMI = event(0x202)

CASES = {
    "pin-controls": Case(off(1)),
    "proc-controls": Case(off(1)),
    "proc2-controls": Case(on(31)),
    "cr3-targets": Case(be(5)),
    "msr-bitmap": Case(on(0)),
    "virtual-nmis": Case(off(3)),
    "vpid": Case(be(0)),
    "eptp-type": Case(low(3, 1)),
    "eptp-levels": Case(off(3)),
    "eptp-reserved": Case(on(11)),
    "unrestricted": Case(off(1)),
    "exit-controls": Case(off(0)),
    "entry-controls": Case(off(0)),
    "event-type": Case(be(0x80000120)),
    "event-nmi": Case(be(0x80000203)),
    "event-exception": Case(be(0x80000320)),
    "event-error-type": Case(on(11), "prot", INTR),
    "event-error-real": Case(on(11), good=event(0x30d)),
    "event-error-vector": Case(on(11), "prot", event(0x306)),
    "event-error-missing": Case(off(11), "prot", event(0xb0d)),
    "event-reserved": Case(on(12), good=event(0x306)),
    "event-error": Case(on(31), "prot", event(0xb0d)),
    "event-length": Case(be(16), good=(*event(0x420),
                                       ("ENTRY_INSN_LEN", be(2)))),
    "host-cr0": Case(off(5)),
    "host-cr4": Case(off(13)),
    "host-cr3": Case(BEYOND),
    "host-pat": Case(low(8, 2)),
    "host-efer": Case(on(1)),
    "host-efer-lma": Case(off(10)),
    "host-cs-0": Case(be(0)),
    "host-tr-0": Case(be(0)),
    # Without "load IA32_EFER", or HOST_EFER would be wrong before it.
    "host-64": Case(off(9, 21)),
    "host-pae": Case(off(5)),
    "cr0": Case(off(5)),
    "cr0-pg": Case(on(31)),
    "cr4": Case(off(13)),
    "debugctl": Case(on(3)),
    "long-pg": Case(off(31), "long"),
    "long-pae": Case(off(5), "long"),
    "pcide": Case(on(17), "prot"),
    "cr3": Case(BEYOND),
    "dr7": Case(on(32)),
    "pat": Case(low(8, 2)),
    "efer": Case(on(1)),
    "efer-lma": Case(on(10)),
    "efer-lme": Case(on(8), "pae"),
    "tr-ti": Case(on(2)),
    "ldtr-ti": Case(on(2), good=LDT),
    "ldtr-base": Case(FAR, good=LDT),
    "cs-type": Case(low(4, 2)),
    "ss-type": Case(low(4, 1)),
    "cs-dpl-data": Case(on(5), good=(("GUEST_CS_AR", low(4, 3)),)),
    "cs-dpl": Case(on(5), "prot"),
    "cs-dpl-conforming": Case(on(5), "prot",
                              (("GUEST_CS_AR", low(4, 15)),)),
    "ss-dpl": Case(on(5), good=(("GUEST_CS_AR", low(4, 3)),)),
    "cs-l-db": Case(on(14), "long"),
    "tr-type": Case(low(4, 2)),
    "ldtr-type": Case(low(4, 3), good=LDT),
    "gdtr-limit": Case(on(16)),
    "idtr-limit": Case(on(16)),
    "rip-32": Case(on(32)),
    "rip": Case(on(48), "long"),
    "rflags": Case(on(3)),
    "rflags-1": Case(off(1)),
    # Of a guest whose segments are those of virtual-8086 mode.
    "rflags-vm": Case(off(0), "v86", field="GUEST_CR0"),
    "rflags-if": Case(off(9), good=INTR),
    "activity": Case(be(4)),
    "blocked": Case(on(5)),
    "blocked-both": Case(on(1), good=STI),
    "blocked-sti": Case(on(0)),
    "blocked-intr": Case(on(1), good=INTR),
    "blocked-nmi-mov-ss": Case(on(1), good=NMI),
    "blocked-smi": Case(on(2)),
    "blocked-nmi": Case(on(3), good=NMI),
    "pending-debug": Case(on(4)),
    "pending-bs": Case(off(14), good=(
        ("GUEST_RFLAGS", on(8, 9)), STI[1], ("PENDING_DEBUG", on(14)))),
    "pending-no-bs": Case(on(14), good=STI),
    "link-pointer": Case(be(0)),
}
for name in ["exit-msr-store", "exit-msr-load", "entry-msr-load"]:
    CASES[name] = Case(on(0))
    CASES[name + "-end"] = Case(be((1 << WIDTH) - 16),
                                field=name.replace("-", "_").upper())
for name in ["sysenter-esp", "sysenter-eip", "fs-base", "gs-base", "gdtr-base",
             "idtr-base", "tr-base", "rip"]:
    CASES["host-" + name] = Case(FAR)
    CASES.setdefault(name, Case(FAR))
for name in SEGS:
    CASES[name + "-v86-base"] = Case(on(4, 5, 6), "v86")
    CASES[name + "-v86-limit"] = Case(on(16), "v86")
    CASES[name + "-v86-rights"] = Case(off(5), "v86")
    CASES.setdefault(name + "-base", Case(on(32)))
    CASES.setdefault(name + "-type", Case(off(0)))
for name in ["es", "cs", "ss", "ds", "fs", "gs", "tr"]:
    CASES["host-" + name] = Case(on(2))
for name in [*SEGS, "tr", "ldtr"]:
    system = name.endswith("tr")
    good = LDT if name == "ldtr" else ()
    CASES[name + "-s"] = Case((on if system else off)(4), good=good)
    CASES[name + "-p"] = Case(off(7), good=good)
    CASES[name + "-reserved"] = Case(on(8), good=good)
    CASES[name + "-g"] = Case((on if system else off)(15), "prot", good)
for name in "0123":
    CASES["pdpte" + name] = Case(on(1), "pae")
CASES["tr-unusable"] = Case(on(16))


# --- Bochs, its debugger, and the shell of vmctl on the serial line ---------

class Session:
    """A shell in Bochs, typed to between the stops of the debugger."""

    def __init__(self, limit):
        self.tmp = Path(tempfile.mkdtemp(prefix="vmm."))
        self.serial = emu.Serial(True)
        self.log, self.out, self.vms = b"", "", 0
        self.deadline = time.monotonic() + emu.time_limit(limit)
        names = subprocess.run(["nm", DEBUG / "metal/vmm.elf"], text=True,
                               capture_output=True, check=True).stdout
        stops = [int(re.search(rf"^(\w+) T {name}$", names, re.M)[1], 16)
                 - KERNBASE for name in ("vcpu_run", "vmx_rules")]
        job = emu.Job(DEBUG, ["vmctl", "shell"], tmp=self.tmp)
        self.process = subprocess.Popen(
            emu.dies_with_parent(emu.bochs_argv(
                emu.BACKENDS["metal-vmx"], job, self.serial.option,
                "pb {:#x}\npb {:#x}\nbpd 2\n".format(*stops))),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
            pass_fds=(self.serial.far,), env={**os.environ, "TERM": "xterm"})
        self.serial.connect()
        self.read()

    def read(self, typed=False):
        """What the debugger prints up to its prompt, or to its end; or until
        the shell waits to be typed to, if that comes first."""
        fds = [self.process.stdout.fileno(), self.serial.fd]
        self.out = ""
        while not PROMPT.search(self.out.encode()):
            if typed and SHELL.search(self.log):
                return None
            left = self.deadline - time.monotonic()
            ready = select.select(fds, [], [], max(left, 0))[0]
            if not ready:
                raise TimeoutError
            data = os.read(ready[0], 65536)
            if ready[0] == self.serial.fd:
                self.log += data
            elif not data:
                break
            self.out += data.decode(errors="replace") \
                if ready[0] != self.serial.fd else ""
        return self.out

    def send(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, command):
        self.send(command)
        return self.read()

    def go_to_shell(self):
        """On to where the shell waits. An interrupt before the instruction
        that a breakpoint is at lets it be met once more."""
        self.send("c")
        while self.read(typed=True) is not None:
            self.send("c")

    def go_to_run(self, *line):
        """On to that line's RUN."""
        os.write(self.serial.fd, " ; ".join(line).encode() + b"\r")
        self.log += b"\n"
        self.read()

    def make_vm(self, mode):
        """On to where an entry of that mode is judged. One in virtual-8086
        mode is the first of the guest's second RUN."""
        new = ["create 1", "load v86" if mode == "v86" else "load out",
               "reset" if mode == "v86" else f"reset {mode}", "step 1"]
        self.go_to_shell()
        self.go_to_run(*(["term"] if self.vms else []), *new)
        self.vms += 1
        if mode == "v86":
            self.go_to_shell()
            self.go_to_run("step 1")
        self.ask("bpe 2")
        while "Breakpoint 2," not in self.ask("c"):
            continue
        self.ask("bpd 2")

    def vmcs(self):
        return int(re.search(r"vmcsptr = (0x[0-9a-f]+)",
                             self.ask('show "cpu0.VMX"'))[1], 16)

    def change(self, vmcs, field, how):
        """A field of the VMCS in memory. Of a segment's rights Bochs has the
        bits eight places further left."""
        encoding, size = FIELDS[field]
        size = {"h": 2, "w": 4, "g": 8}[size]
        shift = 8 if field.endswith("_AR") else 0
        at = vmcs + place(encoding)
        out = self.ask(f"xp /{size}bx {at:#x}")
        old = bytes(int(b, 16) for b in re.findall(r"\t0x(\w\w)", out))
        assert len(old) == size, out
        value = how(int.from_bytes(old, "little") >> shift) << shift
        for i in range(0, size, 4):
            part = value >> 8 * i & (1 << 8 * min(size, 4)) - 1
            self.ask(f"setpmem {at + i:#x} {min(size, 4)} {part:#x}")

    def text(self):
        return self.log.decode(errors="replace").replace("\r", "")

    def close(self):
        emu.end(self.process)
        self.serial.close()
        shutil.rmtree(self.tmp, ignore_errors=True)


@pytest.fixture(scope="session")
def debug_build():
    """The same sources, each entry judged."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(
        ["make", "-s", "DEBUG=1", f"BUILD={DEBUG}", f"{DEBUG}/metal/vmm.img",
         f"{DEBUG}/metal/vmm.elf"], cwd=TOP, env=env, text=True,
        capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def jobs():
    """(rule or None, mode, changes) of each VM: between the rules, each good
    state that they begin with."""
    seen, found = set(), []
    for rule in TABLE:
        case = CASES.get(rule.id)
        if case is None:
            continue
        good = (case.mode, tuple(field for field, _ in case.good))
        if good not in seen:
            seen.add(good)
            found.append((None, case.mode, case.good))
        found.append((rule, case.mode, (
            *case.good, (case.field or rule.field, case.how))))
    return found


def play(todo):
    """What the serial line says of some of the VMs. Only some in one boot: the
    display that nobody reads is full after some hundred commands."""
    session = Session(limit=100)
    try:
        for _, mode, changes in todo:
            session.make_vm(mode)
            vmcs = session.vmcs()
            for field, how in (NO_IDT, *changes):
                session.change(vmcs, field, how)
        session.go_to_shell()
    except (AssertionError, TimeoutError, TypeError, BrokenPipeError) as e:
        pytest.fail(f"{e!r}\n--- debugger:\n{session.out[-2000:]}\n"
                    f"--- serial line:\n{session.text()[-4000:]}",
                    pytrace=False)
    finally:
        session.close()
    return session.text()


@pytest.fixture(scope="module")
def played(debug_build):
    """Every VM: (its rule or None, its number, the serial line)."""
    todo = jobs()
    parts = [todo[i:i + BATCH] for i in range(0, len(todo), BATCH)]
    with ThreadPoolExecutor(JOBS) as pool:
        logs = list(pool.map(play, parts))
    return [(rule, n, log) for part, log in zip(parts, logs)
            for n, (rule, _, _) in enumerate(part, 1)]


def refusals(n, log):
    """[(rule, field, value, allowed, section)] that the driver named, and the
    exit, of VM n."""
    named = re.findall(
        rf"vm {n} vcpu 0: entry refused by rule (\S+): (\w+) is (\w+)\n"
        r".*?  allowed: (.*)\n.*?  (SDM .*)\n", log)
    ends = re.findall(rf"vm {n} vcpu 0 ends with error 22: exit (\w+) info "
                      r"(\w+)", log)
    return named, ends


# What the CPU says, by the part of the VMCS. For two rules a failed entry has
# a qualification. SDM Vol. 3C 26.8 "VM-Entry Failures During or After Loading
# Guest State"
SAYS = {"CTL": ("0x80000000", "0x7"), "HOST": ("0x80000000", "0x8"),
        "GUEST": ("0x80000021", "0x0")}
QUALIFICATION = {"link-pointer": "0x4", "pdpte0": "0x2", "pdpte1": "0x2",
                 "pdpte2": "0x2", "pdpte3": "0x2"}


def test_entry_every_rule_has_a_case():
    assert [rule.id for rule in TABLE if rule.id not in CASES] == []
    assert set(CASES) == {rule.id for rule in TABLE}
    assert len(TABLE) == len(CASES), "two rules of one name"


def test_entry_rules_name_fields():
    assert {rule.field for rule in TABLE} <= set(FIELDS)


def test_entry_good_states_enter(played):
    good = [(n, log) for rule, n, log in played if rule is None]
    assert len(good) > 5
    for n, log in good:
        assert f"vm {n} vcpu 0: ent" not in log, f"VM {n}\n{log}"
        assert f"vm {n} vcpu 0 ends with error 22" not in log, f"VM {n}\n{log}"


def test_entry_the_driver_names_what_the_cpu_refuses(played):
    """With the field, its value, what it may be and the manual's section."""
    wrong = []
    for rule, n, log in played:
        if rule is None or not rule.enforced:
            continue
        named, ends = refusals(n, log)
        code, info = SAYS[rule.part]
        if [(m[0], m[1], m[3], m[4]) for m in named] != [
                (rule.id, rule.field, rule.allowed, rule.section)] \
                or ends != [(code, QUALIFICATION.get(rule.id, info))]:
            wrong.append((rule.id, named, ends))
    assert wrong == []


def test_entry_bochs_enters_against_the_rest(played):
    """What the comments before these rules say. A Bochs that enforces one of
    them is reason to be glad, and to delete its comment."""
    wrong = []
    for rule, n, log in played:
        if rule is None or rule.enforced:
            continue
        if f"vm {n} vcpu 0: entered against rule {rule.id}\n" not in log \
                or refusals(n, log) != ([], []):
            wrong.append((rule.id, *refusals(n, log)))
    assert wrong == []
