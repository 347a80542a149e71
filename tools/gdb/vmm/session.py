# SPDX-License-Identifier: ISC
"""The stopped machine: its memory, its registers, and whose they are.

QEMU's stub shows GDB the registers of the CPU as they are: between VMRUN and
#VMEXIT they are the guest's. Virtual memory it reads through CR3, as if what
that holds were a host-physical address, so in the guest it is wrong. Here
memory is read by physical address, and tables are walked in walk.py.
"""
import re

import gdb

from . import walk

MASK = (1 << 64) - 1
# Linux has its GDTs there, one per CPU.
CPU_ENTRY_AREA = range(0xfffffe0000000000, 0xfffffe8000000000)


def monitor(command):
    """What QEMU's monitor answers."""
    return gdb.execute("monitor " + command, to_string=True)


def evaluate(text):
    """An expression in C, as a number."""
    return int(gdb.parse_and_eval(text)) & MASK


def register(name):
    """Of the CPU. Some have a type of flags, which is no number."""
    return int(gdb.parse_and_eval("$" + name).format_string(format="x"), 16)


def pc():
    return register("rip")


def address(symbol):
    return evaluate(f"(unsigned long)&{symbol}")


def at(symbol):
    """Is the CPU there, in the host?"""
    return pc() == address(symbol) and not in_guest()


def running():
    return gdb.selected_thread() is not None


def cpu_number():
    if not running():
        raise gdb.GdbError("The machine is gone.")
    return gdb.selected_thread().num - 1


def cpu_segments():
    """{name: (selector, base, limit, flags)} of the CPU; GDT and IDT, too."""
    n, found = cpu_number(), {}
    text = monitor("info registers -a").split("CPU#")[n + 1]
    for name, words in re.findall(
            r"^([C-GS]S|[GIL]DT|TR) *=((?: *[0-9a-f]{4,16})+)", text, re.M):
        words = [int(w, 16) for w in words.split()]
        found[name.lower()] = words if len(words) == 4 else [0, *words, 0]
    return found


def host_gdt(base):
    try:
        return base == address("gdt")           # metal's
    except gdb.error:
        return base in CPU_ENTRY_AREA


# The host's CR3, which maps the driver: seen when it stopped last.
host_cr3 = None


def in_guest():
    """Between VMRUN and #VMEXIT? Each guest has a GDT of its own."""
    return host_cr3 is not None and not host_gdt(cpu_segments()["gdt"][1])


def look(_=None):
    """At each stop: remember where the host has its memory."""
    global host_cr3
    if host_gdt(cpu_segments()["gdt"][1]):
        host_cr3 = register("cr3")


def physical(pa, size):
    """Bytes at a host-physical address."""
    gdb.execute("maint packet Qqemu.PhyMemMode:1", to_string=True)
    try:
        return gdb.selected_inferior().read_memory(pa, size).tobytes()
    except gdb.MemoryError:
        raise gdb.GdbError(f"No memory at HPA {pa:#x}.") from None
    finally:
        gdb.execute("maint packet Qqemu.PhyMemMode:0", to_string=True)


def host(va, size):
    """Bytes of the host's virtual memory, also while the guest runs."""
    if not in_guest():
        return gdb.selected_inferior().read_memory(va, size).tobytes()
    out = b""
    tables = walk.long_mode(host_cr3)
    while len(out) < size:
        pa = walk.translate(tables, va + len(out), physical).address
        out += physical(pa, min(size - len(out), 4096 - pa % 4096))
    return out


def load(pointer):
    """What a pointer of the host's points to."""
    kind = pointer.type.target()
    return gdb.Value(host(int(pointer) & MASK, kind.sizeof), kind)


def variable(name):
    return load(gdb.parse_and_eval("&" + name))


def vcpus():
    """(struct vm, struct vcpu, its address) of each VCPU there is."""
    pointer = variable("vmm_vms")
    while int(pointer) != 0:
        vm = load(pointer)
        for i in range(int(vm["ncpus"])):
            if int(vm["vcpu"][i]) != 0:
                yield vm, load(vm["vcpu"][i]), int(vm["vcpu"][i]) & MASK
        pointer = vm["next"]


def last_end(v):
    """The time of the newest record in a VCPU's trace."""
    n = int(v["traced"])
    return int(load(v["trace"] + (n - 1) % 128)["end"]) if n else 0


def current():
    """The VCPU that this CPU runs; else the one that something happened to
    last."""
    found = list(vcpus())
    if not found:
        raise gdb.GdbError("There is no VCPU yet.")
    here = [f for f in found if int(f[1]["cpu"]) == cpu_number()]
    return here[0] if here else max(found, key=lambda f: last_end(f[1]))


def svm(v):
    """The vendor's part of a VCPU, struct svm_vcpu."""
    if int(variable("hv")) & MASK != address("svm_ops"):
        raise gdb.GdbError("This CPU has VMX: its VMCS is for VMREAD alone.")
    return load(v["hv"].cast(gdb.lookup_type("struct svm_vcpu").pointer()))


def vmcb_bytes(v):
    return host(int(svm(v)["vmcb"]) & MASK, 4096)


def fresh_exit():
    """Is the CPU just out of the guest, and the driver about to look?"""
    return at("svm_after_vmrun")
