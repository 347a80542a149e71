# SPDX-License-Identifier: ISC
"""What `print` says of the driver's structures; print/r shows their fields."""
import gdb
import gdb.printing

from . import fields, ring

STATES = "STOPPED RUNNING REQTERM TERMINATED".split()


class Printer:
    """Of one value; a subclass says it in a line."""

    def __init__(self, value):
        self.value = value


class Vm(Printer):
    def to_string(self):
        v = self.value
        return f"VM {int(v['id'])} \"{v['name'].string()}\": " \
            f"{int(v['pages']) >> 8} MiB, VCPUs {int(v['ncpus'])}, " \
            f"{int(v['npt']['pages'])} pages mapped"


class Vcpu(Printer):
    def to_string(self):
        v = self.value
        return f"VCPU {int(v['id'])}: {STATES[int(v['state'])]}, " \
            f"RIP {int(v['gpr'][16]):#x}, {int(v['traced'])} traced"


class Vmexit(Printer):
    def to_string(self):
        v = self.value
        code, info = int(v["code"]), [int(v["info"][i]) for i in (0, 1)]
        text = fields.exit_text(code, *info)
        kind = ring.kinds()[int(v["kind"])]
        return f"{kind} {code:#x}{': ' + text if text else ''}"


class Vmcb(Printer):
    def to_string(self):
        v = self.value
        return f"VMCB of ASID {int(v['asid'])}: RIP " \
            f"{int(v['save']['rip']):#x}, last exit " \
            f"{fields.exit_name(int(v['exitcode']))}"


def register():
    found = gdb.printing.RegexpCollectionPrettyPrinter("vmm")
    for name, printer in (("vm", Vm), ("vcpu", Vcpu), ("vmexit", Vmexit),
                          ("vmcb", Vmcb)):
        found.add_printer(name, f"^{name}$", printer)
    gdb.printing.register_pretty_printer(None, found, replace=True)
