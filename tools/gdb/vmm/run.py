# SPDX-License-Identifier: ISC
"""To VMRUN, into the guest, and to the next exit."""
import gdb

from . import fields, ring, session
from .guest import Guest

# VMCBs as they were at an entry or behind an exit: (what, bytes), for each
# VCPU, the newest last.
seen = {}


class Stop(gdb.Breakpoint):
    """A breakpoint of ours, for one run."""

    def __init__(self, symbol, want=None):
        super().__init__("*" + hex(session.address(symbol)) if want is None
                         else symbol, gdb.BP_HARDWARE_BREAKPOINT,
                         internal=True)
        self.silent = True
        self.want = want

    def stop(self):
        return self.want is None or self.want()


def moment(v):
    """What the CPU is about to do, or has just done."""
    kind = "entry" if session.at("svm_before_vmrun") else \
        "exit" if session.fresh_exit() else ""
    return kind and f"{kind} {int(v['traced']) + 1}"


def remember():
    """Keeps the VMCB of this moment, for vmm vmcb diff."""
    if not session.at("svm_before_vmrun") and not session.fresh_exit():
        return
    _, v, where = session.current()
    what, moments = moment(v), seen.setdefault(where, [])
    if not moments or moments[-1][0] != what:
        moments.append((what, session.vmcb_bytes(v)))
        del moments[:-4]


def entered(v, where):
    """The VMCB as it was at the entry that is next, or was last; or None."""
    number = int(v["traced"]) + (not session.at("exit_handle"))
    return dict(seen.get(where, [])).get(f"entry {number}")


def step():
    gdb.execute("stepi", to_string=True)


def continuing():
    """GDB is about to continue: off an instruction of the guest that has a
    breakpoint. QEMU compares its linear address, GDB looks for one at RIP,
    finds none if CS has a base, and would stay there."""
    if not session.running() or not session.in_guest():
        return
    rip = Guest().rip
    if rip != session.pc() and any(
            b.enabled and (b.location or "").startswith("*")
            and session.evaluate(b.location[1:]) == rip
            for b in gdb.breakpoints()):
        step()


def run_to(symbol, want=None):
    """On, until the host is there. Something else may stop it before."""
    stop = Stop(symbol, want)
    try:
        gdb.execute("continue", to_string=True)
    finally:
        stop.delete()


def tell():
    """Where the CPU is."""
    if session.in_guest():
        return "In the guest: " + Guest().next_line()
    if session.at("svm_before_vmrun"):
        return "In the host, at svm_before_vmrun: next is VMRUN."
    if session.fresh_exit():
        _, v, _ = session.current()
        vmcb = fields.values(session.vmcb_bytes(v))
        name, text = fields.exit_name(vmcb["exitcode"]), ring.exit_now(vmcb)
        # TCG puts the host's RIP into a VMCB that it refuses.
        rip = "" if name == "INVALID" else f"; RIP {vmcb['rip']:#x}"
        return f"Exit {int(v['traced']) + 1}, {name}" \
            f"{': ' + text if text else ''}{rip}."
    if session.at("exit_handle"):
        _, v, _ = session.current()
        x = gdb.parse_and_eval("*x").format_string(raw=False)
        return f"Exit {int(v['traced'])}, {x}."
    return "In the host."


def step_into():
    """To the next instruction of the guest; not beyond an exit."""
    if not session.in_guest() and not session.at("svm_before_vmrun"):
        run_to("svm_before_vmrun")
        if not session.at("svm_before_vmrun"):
            return
    remember()
    step()
    remember()


def finish():
    run_to("svm_after_vmrun")
    remember()


def until(kind):
    number = ring.kinds().index(kind)
    run_to("exit_handle", lambda: session.evaluate("x->kind") == number)
