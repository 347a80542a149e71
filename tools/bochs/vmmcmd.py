# SPDX-License-Identifier: ISC
"""The vmm commands of Bochs's debugger, beside its own.

A VMCS is the CPU's secret; Bochs 2.7 has it in memory, where it can be read
and written without the CPU's leave. What its fields mean: vmxfields.py.
"""
import re
import textwrap

import vmxfields as vx

NEXT = """\
Above this is the host; the next instruction runs the guest. Type next:

  vmm step-into     across VMLAUNCH, onto the guest's first instruction
  vmm regs          the guest's registers
  vmm finish        on, to the exit
  vmm exit          why it left
  vmm vmcs diff     what changed in the VMCS
  vmm walk 0x8010   an address, through page tables and EPT
  vmm help          the other commands of this kind; help: Bochs's own
  q                 the end

The host's console is in {console}.
"""
HELP = """\
vmm step-into          to the next entry, and across it
vmm finish             on, to the exit
vmm regs               the guest's registers
vmm exit               the last exit, decoded
vmm vmcs [WORD]...     the VMCS, or its fields with one of these in the name
vmm vmcs diff          the fields that changed since the last exit
vmm walk [ADDRESS]     a guest-virtual address (else RIP) through the guest's
                       page tables, and each step of that through EPT
vmm walk gpa ADDRESS   a guest-physical one, through EPT
vmm explain            the manual's rule that the coming entry breaks, or the
                       one just refused
vmm set FIELD VALUE    writes a field of the VMCS, read-only ones too
vmm help               this list

An ADDRESS or a VALUE may be a number or a field's name. Everything else you
type goes to Bochs: s, c, r, sreg, creg, x, xp, page, u, lb, show, help, q.
"""
LAUNCHED = 8                    # in the VMCS: the launch state, 1 or 0
IMAGE = 0x7fffffff              # address bits of what is in the kernel's image
NO_VMCS = 0xffffffffffffffff
ENTRIES = ("vmx_before_vmlaunch", "vmx_before_vmresume")
NO_PAGE = "No page there: an access would be an exit, EPT_VIOLATION"
PRESENT, LARGE = 1, 1 << 7
FRAME = 0xffffffffff000         # address bits of an entry of a page table
GUEST_BITS = {1: "W", 2: "U", 5: "A", 6: "D", 7: "PS", 8: "G", 63: "XD"}
GPRS = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
        *(f"r{n}" for n in range(8, 16)), "rip"]


class Wrong(Exception):
    """A command that cannot be done; the argument says why."""


def place(field):
    """Where Bochs 2.7 has a field in the VMCS: 64 slots of four bytes for
    each width and type."""
    row = (field.encoding >> 13 & 3) << 2 | field.encoding >> 10 & 3
    return 0x10 + (row * 64 + (field.encoding & 0x3ff)) * 4


def shift(field):
    """Access rights it keeps as a descriptor has them, 8 bits further left."""
    return 8 if field.name.endswith("_AR") else 0


def line(name, values, was=None):
    """A field, its value and what that means, in 80 columns."""
    value = f"{values[name]:#x}"
    if was is not None:
        value = f"{was[name]:#x} -> {value}"
    meaning = vx.decode(name, values)
    head = f"{name:22} {value}"
    if not meaning:
        return head + "\n"
    if len(head) < 40:
        head = f"{head:40}"
    return textwrap.fill(f"{head} {meaning}", 80, break_long_words=False,
                         subsequent_indent=" " * 41) + "\n"


class Vmm:
    """The commands. `ask` passes one to Bochs and returns what it prints;
    `names` has the host's symbols."""

    def __init__(self, ask, names):
        self.ask = ask
        self.names = {n: int(a, 16) for a, n in
                      re.findall(r"^(\w+) (\S+)$", names, re.M)}
        self.exits = []             # (time, {field: value}), the last two
        try:
            self.note()
        except Wrong:
            pass                    # it is too early for a VMCS

    # --- what Bochs knows ---------------------------------------------------

    def number(self, command, pattern):
        m = re.search(pattern, self.ask(command), re.M)
        if not m:
            raise Wrong(f"Bochs does not answer `{command}'")
        return int(m[1].replace("_", ""), 0 if m[1].startswith("0x") else 16)

    def registers(self):
        return {n: int(v.replace("_", ""), 16) for n, v in re.findall(
            r"^(\w+) *: (\w{8}_\w{8})$", self.ask("r"), re.M)} | {
            "rflags": self.number("r", r"^eflags (0x\w+)")}

    def memory(self, address, count, size="w"):
        """Numbers in physical memory."""
        out = self.ask(f"xp /{count}{size}x {address:#x}")
        found = [int(v, 16) for row in re.findall(r">:\t(.*)$", out, re.M)
                 for v in row.split()] if "not available" not in out else []
        if len(found) != count:
            raise Wrong(f"no memory at HPA {address:#x}")
        return found

    def where(self):
        """guest; entry: at VMLAUNCH or VMRESUME; failed: behind one that was
        refused; exit: at vmx_exit_point; or host."""
        if "in_vmx_guest = true" in self.ask('show "cpu0.VMX"'):
            return "guest"
        rip = self.registers()["rip"]
        if rip in [self.names[n] for n in ENTRIES]:
            return "entry"
        if rip == self.names["vmx_exit_point"]:
            return "exit"
        return "failed" if self.names[ENTRIES[0]] < rip \
            < self.names["vmx_exit_point"] else "host"

    def vmcs(self):
        """The address of the current VMCS."""
        address = self.number('show "cpu0.VMX"', r"vmcsptr = (0x\w+)")
        if address == NO_VMCS:
            raise Wrong("no VMCS is current; vmm step-into goes to an entry")
        return address

    def values(self):
        """{field: value} of the current VMCS."""
        words = self.memory(self.vmcs(), 1024)
        out = {}
        for f in vx.fields().values():
            at = place(f) // 4
            value = words[at] | (words[at + 1] << 32 if f.size == 8 else 0)
            out[f.name] = value >> shift(f) & (1 << f.size * 8) - 1
        return out

    def time(self):
        return self.number("ptime", r"ptime: (\d+)$")

    def note(self):
        """Remembers the VMCS at an exit, once for each."""
        now = self.time()
        if not self.exits or self.exits[-1][0] != now:
            self.exits = self.exits[-1:] + [(now, self.values())]

    def native(self, command, show=False):
        """A command of Bochs's own."""
        out = self.ask(command, show)
        if "(vmx_exit_point+0)" in out:
            self.note()
        return out

    def run_to(self, names):
        """On, to one of these places in the host, or to whatever stops it
        earlier. Our own breakpoints it does not tell of."""
        numbers = r"^ *(\d+) \wbreakpoint"
        before = re.findall(numbers, self.ask("blist"), re.M)
        for name in names:
            self.ask(f"lb {self.names[name]:#x}")
        out = self.native("c")
        for n in re.findall(numbers, self.ask("blist"), re.M):
            if n not in before:
                self.ask(f"d {n}")
                out = re.sub(rf"^\(\d\) Breakpoint {n}, .*\n", "", out)
        return out

    # --- the commands -------------------------------------------------------

    def do(self, words):
        commands = {"step-into": self.step_into, "finish": self.finish,
                    "regs": self.regs, "exit": self.exit,
                    "vmcs": self.show, "walk": self.walk,
                    "explain": self.explain, "set": self.set,
                    "help": lambda: HELP}
        name, *args = words or ["help"]
        if name not in commands:
            raise Wrong(f"no command {name}; vmm help lists them")
        try:
            return commands[name](*args)
        except TypeError as e:
            if "positional argument" not in str(e):
                raise
            raise Wrong(f"{name}: see vmm help") from e

    def value(self, word):
        """A number, or that of a field."""
        if word in vx.fields():
            return self.values()[word]
        try:
            return int(word, 0)
        except ValueError as e:
            raise Wrong(f"{word}: neither a number nor a field") from e

    def was_entered(self, v):
        return v["EXIT_REASON"] & vx.FAILED or \
            self.memory(self.vmcs() + LAUNCHED, 1)[0]

    def step_into(self):
        out, at = "", self.where()
        if at == "guest":
            raise Wrong("this is the guest; s: one instruction of it, "
                        "vmm finish: on, to the exit")
        if at != "entry":
            out = self.run_to(ENTRIES)
            if self.where() != "entry":
                return out + "Stopped before an entry.\n"
        if not self.was_entered(self.values()):
            self.note()             # what a new guest begins with
        out += self.native("s")
        at = self.where()
        if at == "guest":
            v = self.values()
            return out + f"In the guest, at {v['GUEST_RIP']:#x}.\n"
        if at == "exit":
            return out + "Refused, by an exit: " \
                f"{vx.reason(self.values()['EXIT_REASON'])}; vmm explain.\n"
        v = self.values()
        return out + f"Refused, VMfail: error {v['INSN_ERROR']}, " \
            f"{vx.decode('INSN_ERROR', v)}; vmm explain.\n"

    def finish(self):
        if self.where() != "guest":
            raise Wrong("this is the host; vmm step-into goes to the guest")
        out = self.run_to(["vmx_exit_point"])
        if self.where() != "exit":
            return out + "Stopped before an exit.\n"
        v = self.values()
        return out + f"Exit {v['EXIT_REASON']:#x}, " \
            f"{vx.reason(v['EXIT_REASON'])}, at {v['GUEST_RIP']:#x}.\n"

    def regs(self):
        """Between VMLAUNCH and vmx_exit_point the general registers are in
        the CPU, the others in the VMCS, or in the CPU as well."""
        at = self.where()
        if at in ("host", "failed"):
            raise Wrong("these are the host's; vmm vmcs GUEST: the guest's, "
                        "those that a VMCS has")
        r, v = self.registers(), self.values()
        if at == "guest":
            v |= self.control_registers()
            for dh, name in (("cs", "GUEST_CS"), ("ss", "GUEST_SS")):
                m = re.search(rf"^{dh}:0x(\w+), dh=0x(\w+),",
                              self.ask("sreg"), re.M)
                v[name + "_SEL"] = int(m[1], 16)
                v[name + "_AR"] = int(m[2], 16) >> 8 & 0xf0ff
            v["GUEST_RFLAGS"] = r["rflags"]
        else:
            r |= {"rip": v["GUEST_RIP"], "rsp": v["GUEST_RSP"]}
        out = ""
        for n, name in enumerate(GPRS):
            out += f"{name:3} {r[name]:016x}" + (
                "\n" if n % 3 == 2 or name == "rip" else "   ")
        for name in ("RFLAGS", "CR0", "CR3", "CR4", "EFER"):
            out += f"{name.lower():6} {v['GUEST_' + name]:<#12x} " \
                f"{vx.decode('GUEST_' + name, v)}".rstrip() + "\n"
        for name in ("CS", "SS"):
            out += f"{name.lower():6} {v[f'GUEST_{name}_SEL']:<#12x} " \
                f"{vx.decode(f'GUEST_{name}_AR', v)}\n"
        return out

    def control_registers(self):
        """The guest's, while it runs."""
        out = self.ask("creg")
        return {"GUEST_" + name: int(value, 16) for name, value in
                re.findall(r"^(CR[034]|EFER)=(0x\w+)", out, re.M)}

    def exit(self):
        v = self.values()
        if self.where() == "failed":
            return "No exit: the entry was refused.\n" + line("INSN_ERROR", v)
        if not self.was_entered(v):
            raise Wrong("this guest has not been entered")
        basic = v["EXIT_REASON"] & 0xffff
        show = ["EXIT_REASON", "QUALIFICATION"]
        if vx.reasons().get(basic) == "EPT_VIOLATION":
            show += ["GUEST_PHYSICAL"]
            show += ["GUEST_LINEAR"] if v["QUALIFICATION"] >> 7 & 1 else []
        if vx.reasons().get(basic) == "EPT_MISCONFIGURATION":
            show += ["GUEST_PHYSICAL"]
        show += [f for f in ("EXIT_EVENT", "LOST_EVENT") if v[f] >> 31]
        show += ["GUEST_RIP"]
        show += ["EXIT_INSN_LEN"] if basic in vx.BY_INSN else []
        return "".join(line(name, v) for name in show)

    def show(self, *words):
        v = self.values()
        if words == ("diff",):
            return self.diff(v)
        out = "In the guest: its own state here is that of the entry.\n" \
            if self.where() == "guest" else ""
        names = [n for n in v if not words
                 or any(w.upper() in n for w in words)]
        if not names:
            raise Wrong(f"no field has {' or '.join(words)} in its name")
        return out + "".join(line(name, v) for name in names)

    def diff(self, v):
        now = self.time()
        old = [was for time, was in self.exits if time != now]
        if not old or not self.was_entered(v):
            raise Wrong("this guest has not been entered")
        out = "".join(line(n, v, old[-1]) for n in v if v[n] != old[-1][n])
        return out or "No field has changed.\n"

    def set(self, name, word):
        f = vx.fields().get(name)
        if not f:
            raise Wrong(f"no field {name}; vmm vmcs lists them")
        value, at = self.value(word), self.vmcs() + place(f)
        if not 0 <= value < 1 << f.size * 8:
            raise Wrong(f"{name} has {f.size} bytes")
        value <<= shift(f)
        for n in range(0, f.size, min(f.size, 4)):
            self.ask(f"setpmem {at + n:#x} {min(f.size, 4)} "
                     f"{value >> 8 * n & (1 << 8 * min(f.size, 4)) - 1:#x}")
        return line(name, self.values())

    # --- page tables --------------------------------------------------------

    def ept(self, gpa, v, told):
        """The host-physical address of a guest-physical one, or None; each
        level goes into `told`."""
        table = v["EPTP"] & FRAME
        for level in range((v["EPTP"] >> 3 & 7), -1, -1):
            index = gpa >> 12 + 9 * level & 0x1ff
            at = table + index * 8
            entry = self.memory(at, 1, "g")[0]
            leaf = level == 0 or entry & LARGE
            what = vx.rwx(entry)
            if what and leaf:
                what += " " + vx.MEMORY.get(entry >> 3 & 7, "?")
                what += " page of " + ["4 KiB", "2 MiB", "1 GiB"][level]
            told.append(f"  EPT {['PT', 'PD', 'PDPT', 'PML4'][level]:4}"
                        f"[{index:3}]  at HPA {at:#x}: "
                        + (f"HPA {entry & FRAME:#x} {what}"
                           if what else "nothing is mapped"))
            if not what:
                return None
            table = entry & FRAME
            if leaf:
                below = (1 << 12 + 9 * level) - 1
                return table & ~below | gpa & below
        return None

    def tables(self, v):
        """(root, names of the levels, bits of an index) of the guest's paging;
        None: it has none."""
        if not v["GUEST_CR0"] >> 31 & 1:
            return None
        if v["GUEST_EFER"] >> 10 & 1:
            return v["GUEST_CR3"] & FRAME, ["PML4", "PDPT", "PD", "PT"], 9
        if v["GUEST_CR4"] >> 5 & 1:
            return v["GUEST_CR3"] & FRAME, ["PDPT", "PD", "PT"], 9
        return v["GUEST_CR3"] & 0xfffff000, ["PD", "PT"], 10

    def guest_walk(self, gva, v, told):
        """The guest-physical address of a guest-virtual one, or None."""
        paging = self.tables(v)
        if not paging:
            told.append("The guest has no paging: guest-physical "
                        f"{gva:#x}")
            return gva
        table, levels, width = paging
        told.append(f"CR3 {v['GUEST_CR3']:#x}, {len(levels)} levels")
        for n, name in enumerate(levels):
            level = len(levels) - 1 - n
            index = gva >> 12 + width * level & (1 << width) - 1
            at = table + index * (8 if width == 9 else 4)
            pdpte = len(levels) == 3 and n == 0     # the CPU keeps these
            if pdpte:
                entry = v[f"GUEST_PDPTE{index & 3}"]
            else:
                steps = [f"  {name:8}[{index:3}]  at {at:#x}; of that"]
                hpa = self.ept(at, v, steps)
                if hpa is None:
                    told += [*steps, NO_PAGE]
                    return None
                entry = self.memory(hpa, 1, "g" if width == 9 else "w")[0]
            leaf = level == 0 or entry & LARGE and not pdpte
            what = " ".join(["P"] + [s for b, s in GUEST_BITS.items()
                                     if entry >> b & 1])
            told.append(f"  {name:8}[{index:3}]  at {at:#x}"
                        + (": " if pdpte else f", HPA {hpa:#x}: ")
                        + (f"{entry & FRAME:#x} {what}" if entry & PRESENT
                           else "not present: #PF"))
            if not entry & PRESENT:
                return None
            table = entry & FRAME
            if leaf:
                below = (1 << 12 + width * level) - 1
                gpa = table & ~below | gva & below
                told.append(f"guest-physical {gpa:#x}")
                return gpa
        return None

    def walk(self, *words):
        v = self.values()
        if self.where() == "guest":
            v |= self.control_registers()
            v["GUEST_RIP"] = self.registers()["rip"]
        if words[:1] == ("gpa",) and len(words) == 2:
            told, gpa = [], self.value(words[1])
        elif len(words) > 1:
            raise Wrong("walk: see vmm help")
        else:
            gva = v["GUEST_RIP"] if not words else self.value(words[0])
            told = [f"guest-virtual {gva:#x}"]
            gpa = self.guest_walk(gva, v, told)
        if gpa is not None:
            told.append(f"EPT at HPA {v['EPTP'] & FRAME:#x}, "
                        f"{(v['EPTP'] >> 3 & 7) + 1} levels")
            hpa = self.ept(gpa, v, told)
            told.append(NO_PAGE if hpa is None
                        else f"host-physical HPA {hpa:#x}")
        return "\n".join(told) + "\n"

    # --- which rule is broken -----------------------------------------------

    def text(self, address):
        """A string in the kernel's image."""
        words = self.memory(address & IMAGE, 64)
        raw = b"".join(w.to_bytes(4, "little") for w in words)
        return raw.split(b"\0")[0].decode()

    def call(self, name, arguments, scratch):
        """Calls a function of the driver and puts the registers back, so that
        nothing has happened but what it did. It has the stack below what is
        in use, with `scratch` bytes there, whose address is its last argument,
        and returns to an address where a breakpoint is. Returns RAX, and the
        host-physical address of the scratch bytes."""
        saved, at = self.registers(), self.where()
        stack = saved["rsp"] - 0x100 - scratch & ~15
        page = self.number(f"page {stack:#x}", r"physical page (0x\w+)")
        physical = page + (stack & 0xfff)
        back = self.names[ENTRIES[0]]
        for n in range(2):
            self.ask(f"setpmem {physical - 8 + 4 * n:#x} 4 "
                     f"{back >> 32 * n & 0xffffffff:#x}")
        self.load(dict(zip(("rdi", "rsi", "rdx"), [*arguments, stack]))
                  | {"rsp": stack - 8, "rip": self.names[name]})
        self.run_to(ENTRIES[:1])
        found = self.registers()
        if at == "failed":
            # The driver is about to look at CF, that VMfailValid left clear.
            self.load({"rsi": 0, "rip": self.clears_cf()})
            self.ask("s")
        self.load({n: v for n, v in saved.items() if n != "rflags"})
        if found["rip"] != back:
            raise Wrong(f"{name} has not come back: another breakpoint?")
        return found["rax"], physical

    def load(self, registers):
        for name, value in registers.items():
            self.ask(f"set {name} = {value:#x}")

    def clears_cf(self):
        """The address of TEST SIL, SIL in vmx_enter."""
        start = self.names["vmx_enter"]
        code = self.memory(start & IMAGE, 64, "b")
        return start + bytes(code).index(b"\x40\x84\xf6")

    def explain(self):
        """Asks the driver: vmx_rules(false, &broken), of the VMCS as it is."""
        at = self.where()
        if at == "guest":
            raise Wrong("this is the guest: it has been entered")
        if at == "host":
            raise Wrong("not here; vmm step-into goes to an entry")
        error = self.values()["INSN_ERROR"]
        found, broken = self.call("vmx_rules", [0], 16)
        self.set("INSN_ERROR", str(error))      # it read what the CPU lacks
        if at == "exit":        # time has passed, and it is the same exit
            self.exits[-1] = (self.time(), self.exits[-1][1])
        if not found & 0xff:
            return "No rule that the driver knows is broken.\n"
        rule, value = self.memory(broken, 2, "g")
        name, section, field, allowed = (
            self.text(p) for p in self.memory(rule & IMAGE, 4, "g"))
        return f"rule {name}: {field} is {value:#x}\n" \
            f"  allowed: {allowed}\n  {section}\n"
