# SPDX-License-Identifier: ISC
"""The commands. Each has its help in its first lines, as GDB wants it."""
import re
import sys
import textwrap

import gdb

from . import explain, fields, ring, run, session, walk
from .guest import GPRS, SEGMENTS, Guest

RED, GREEN, PLAIN = "\033[31m", "\033[32m", "\033[m"


def number(text):
    return session.evaluate(f"(unsigned long)({text})")


def command(name):
    """Makes a function `vmm NAME`: of the text behind it, to lines."""
    def make(function):
        def invoke(self, text, from_tty):
            try:
                for line in function(text.strip()) or []:
                    print(line)
            except gdb.error as e:
                raise gdb.GdbError(str(e)) from None
        type("Vmm", (gdb.Command,), {
            "__doc__": function.__doc__, "invoke": invoke})(
                "vmm " + name, gdb.COMMAND_DATA)
        return function
    return make


@command("step-into")
def step_into(_):
    """To the next guest instruction.
From the host across VMRUN, in the guest one on; an instruction that exits
leads back to the host, behind VMRUN."""
    run.step_into()
    return [run.tell()]


@command("finish")
def finish(_):
    """On to the next exit: to the host's instruction behind VMRUN."""
    run.finish()
    return [run.tell()]


@command("until")
def until(text):
    """On to the next exit of one kind: vmm until IO.
It stops where the driver begins to handle it, in exit_handle()."""
    names = ring.kinds()
    if text.upper() not in names:
        raise gdb.GdbError("vmm until REASON: one of " + " ".join(names))
    run.until(text.upper())
    return [run.tell()]


@command("exits")
def exits(text):
    """The last 10 exits of this VCPU, decoded; vmm exits N: the last N.
From the driver's trace; behind VMRUN the one that is not in it yet, too."""
    _, v, _ = session.current()
    vmcb = fields.values(session.vmcb_bytes(v))
    return ring.exits(v, vmcb, number(text) if text else 10)


@command("ioctls")
def ioctls(text):
    """The last 10 requests for this VCPU; vmm ioctls N: the last N.
A request comes into the trace when it ends: RUN, when it returns."""
    return ring.ioctls(session.current()[1], number(text) if text else 10)


@command("regs")
def regs(_):
    """The guest's registers by name, and its mode."""
    g, out = Guest(), []
    where = "in the CPU" if g.live else "the guest does not run"
    out.append(f"VM {int(g.vm['id'])} VCPU {int(g.v['id'])}: {g.mode}, "
               f"{g.tables.name}; {where}")
    names = GPRS[:-1] + ["cr2", "cr3", "cr8"]
    for i in range(0, len(names), 3):
        out.append("  ".join(f"{n:<6} {g.reg[n]:016x}"
                             for n in names[i:i + 3]))
    for n in ("rflags", "cr0", "cr4", "efer"):
        out.append(f"{n:<6} {g.reg[n]:016x}  "
                   + fields.meaning(n, g.reg[n]))
    for n in SEGMENTS:
        sel, base, limit, attr = g.segment[n]
        out.append(f"{n:<6} {base:016x} limit {limit:08x}" + (
            f" sel {sel:04x} attr {attr:03x}  {fields.segment(attr)}"
            if n not in ("gdtr", "idtr") else ""))
    return [line.rstrip() for line in out]


def wrapped(text):
    return textwrap.wrap(text, 79, subsequent_indent=" " * 18)


def colour(text, start):
    """Only for a person: not for a file."""
    styled = gdb.parameter("style enabled") and sys.__stdout__.isatty()
    return start + text + PLAIN if styled else text


def vmcb_diff(v, where):
    """The fields that are not as they were a moment ago."""
    now = fields.values(session.vmcb_bytes(v))
    before = [m for m in run.seen.get(where, []) if m[0] != run.moment(v)]
    if not before:
        raise gdb.GdbError("No other VMCB was seen: vmm finish")
    what, page = ([m for m in before if m[0].startswith("exit")]
                  or before)[-1]
    then = fields.values(page)
    out = [f"Since {what}:"]
    for name, value in now.items():
        if value != then[name]:
            old = fields.show(name, then[name]) if then[name] else "0x0"
            out.append(f"  {name:<15} " + colour("- " + old, RED))
            out.append(" " * 18 + colour("+ " + fields.show(name, value),
                                         GREEN))
    return out if len(out) > 1 else [f"As at {what}."]


@command("vmcb")
def vmcb(text):
    """The VMCB's fields, with the names of their bits; diff: what changed.
vmm vmcb FIELD...: only these; without, those that are not 0. In the guest:
what VMRUN loaded. vmm vmcb diff: what is not as it was at the exit before."""
    _, v, where = session.current()
    if text == "diff":
        return vmcb_diff(v, where)
    now = fields.values(session.vmcb_bytes(v))
    names = [fields.find(name) for name in text.split()]
    return [line for n, x in now.items() if (n in names if names else x)
            for line in wrapped(f"{n:<15} {fields.show(n, x)}")]


@command("vmcs")
def vmcs(_):
    """Intel's VMCS: in make bochs, since QEMU has no VMX."""
    session.svm(session.current()[1])
    raise gdb.GdbError("This CPU has SVM: vmm vmcb. For VMX: make bochs")


@command("set")
def set_field(text):
    """Writes a field of the VMCB, to break it by hand: vmm set asid 0.
Before VMRUN; at other times the driver writes over most of them."""
    m = re.fullmatch(r"(\S+)\s+=?\s*(.+)", text)
    _, v, _ = session.current()
    if not m:
        raise gdb.GdbError("vmm set FIELD VALUE")
    name = fields.find(m[1])
    if session.in_guest():
        raise gdb.GdbError("The CPU has loaded it: vmm finish")
    at, size = fields.layout()[name]
    s, value = session.svm(v), number(m[2]) & (1 << 8 * size) - 1
    memory, page = gdb.selected_inferior(), int(s["vmcb"]) & session.MASK
    memory.write_memory(page + at, value.to_bytes(size, "little"))
    # The copy that the driver takes back if VMRUN refuses the VMCB.
    save = gdb.lookup_type("struct vmcb_save").sizeof
    memory.write_memory(int(s["refused"]) & session.MASK,
                        session.host(page + 0x400, save))
    gdb.execute(f"set var ((struct svm_vcpu *){int(v['hv']):#x})->copied = 1")
    return [f"{name:<15} {fields.show(name, value)}"]


def show_steps(g, found, kind):
    """The entries of a walk. A guest's table is itself somewhere in the
    host."""
    for s in found.steps:
        table = f"{kind} {s.table + s.index * g.tables.size:#x}" \
            if kind == "GPA" else f"HPA {s.table + s.index * 8:#x}"
        to = f"{kind} {s.to:#x}  " if s.entry & 1 else ""
        yield f"  {s.level:<5}[{s.index:3}] at {table:<13} -> {to}{s.flags}"


@command("walk")
def walk_command(text):
    """Walks the guest's page tables and the nested ones, entry by entry.
vmm walk [GVA]: both, else of RIP; vmm walk gpa GPA: the nested ones."""
    g, out = Guest(), []
    if text.lower().startswith("gpa "):
        gpa = number(text[4:])
    else:
        gva = number(text) if text else g.rip
        out.append(f"GVA {gva:#x}, {g.tables.name}"
                   + (f", CR3 {g.reg['cr3']:#x}" if g.tables.levels else ""))
        try:
            found = walk.translate(g.tables, gva, g.physical)
        except ValueError as e:
            raise gdb.GdbError(f"{e}.") from None
        except gdb.GdbError as e:
            return out + [f"  A table of the guest's: {e}"]
        out += show_steps(g, found, "GPA")
        gpa = found.address
        if gpa is None:
            return out + ["No page: the guest gets #PF."]
    out.append(f"GPA {gpa:#x}, nested, N_CR3 HPA {g.vmcb['n_cr3']:#x}")
    found = walk.translate(g.nested, gpa, session.physical)
    out += show_steps(g, found, "HPA")
    if found.address is None:
        return out + ["No page: the guest exits with NPF."]
    return out + [f"HPA {found.address:#x}, in a page of "
                  f"{found.span >> 10} KiB"]


SIZES = {"b": 1, "h": 2, "w": 4, "g": 8}
FORMATS = {"x": lambda x, n: f"{x:#0{2 * n + 2}x}", "d": lambda x, n: str(
    x - (x >> 8 * n - 1 << 8 * n)), "u": lambda x, n: str(x),
    "o": lambda x, n: f"0{x:o}", "t": lambda x, n: f"{x:0{8 * n}b}",
    "c": lambda x, n: f"{x} {chr(x)!r}" if 32 <= x < 127 else str(x)}


@command("x")
def examine(text):
    """Guest memory through both walks, as GDB's x shows it: vmm x/8xb GVA.
Format x, d, u, o, t, c, s or i, size b, h, w or g. GDB's own x does not know
of nested paging."""
    m = re.fullmatch(r"(?:/(\d*)([xduotcsi]?)([bhwg]?)([xduotcsi]?))?\s*(\S.*)",
                     text)
    if not m:
        raise gdb.GdbError("vmm x/8xb GVA")
    g, at = Guest(), number(m[5])
    count, form = int(m[1] or 1), m[2] or m[4] or "x"
    if form == "i":
        return g.disassemble(at, count)
    if form == "s":
        data = g.read(at, 256, short=True).split(b"\0")[0]
        return [f'{at:#x}:\t"{data.decode("latin-1")}"']
    size = SIZES[m[3] or ("b" if form == "c" else "w")]
    data, per = g.read(at, count * size), 16 // size if size > 1 else 8
    items = [FORMATS[form](int.from_bytes(data[i:i + size], "little"), size)
             for i in range(0, len(data), size)]
    return [f"{at + i * size:#x}:\t" + "\t".join(items[i:i + per])
            for i in range(0, count, per)]


@command("dis")
def dis(text):
    """Guest instructions from RIP on, as 16, 32 or 64-bit code.
vmm dis [GVA [N]]: from GVA, N of them."""
    g, words = Guest(), text.split()
    return g.disassemble(number(words[0]) if words else g.rip,
                         number(words[1]) if len(words) > 1 else 5)


@command("explain")
def explain_command(_):
    """Why VMRUN refused the VMCB, or will: the rule, and what would keep it.
Behind any other exit: what the CPU said about it."""
    return explain.explain()


class GuestStop(gdb.Breakpoint):
    """At a linear address of the guest: the host may have code there, too."""

    def stop(self):
        return session.in_guest()


@command("break")
def break_command(text):
    """A breakpoint at a linear address of the guest: vmm break GVA.
QEMU compares linear addresses, also the host's, and writes to no memory."""
    GuestStop(f"*{number(text):#x}", gdb.BP_HARDWARE_BREAKPOINT)


@command("watch")
def watch(text):
    """Stops behind each access to guest memory: vmm watch GVA [BYTES].
GDB's watch never would: it stops if what it reads has changed, and it reads
elsewhere. The value that is shown comes from there, too; vmm x has it."""
    words = text.split()
    size = number(words[1]) if len(words) > 1 else 4
    kind = {1: "char", 2: "short", 4: "int", 8: "long"}[size]
    gdb.execute(f"awatch *(unsigned {kind} *){number(words[0]):#x}")
