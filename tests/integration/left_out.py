# SPDX-License-Identifier: ISC
"""The clauses that a back end does not run, each with the bug in the way.

Bochs runs SVM as a check of what QEMU does not emulate: next RIP, the address
size of I/O, #BP. What follows are faults of its SVM (Bochs 2.7). Each clause
here runs on metal-svm and on metal-vmx.
"""
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import claims  # noqa: E402  (found by the line above)

LEFT_OUT = {"metal-svm-bochs": [
    ("no interrupt ends a guest that was entered with RFLAGS.IF=0, so its "
     "loop goes on for ever: Bochs masks interrupts by IF before it knows "
     "that it is in a guest", [
         "3.3.states", "F4.dying", "3.5.ebusy", "F8.running", "3.10.state",
         "3.11.ebusy", "3.0.enoent-vcpu", "L1.running", "3.2.ebusy",
         "3.4.running-cli", "3.2.other-vm", "3.2.signal-cli", "C7.restart",
         "3.2.signal-blocked", "3.6.states", "3.4.once", "B1.vcpus-spin",
         "3.2.at-once", "C7.signal", "F12.null", "3.2.term", "F8.spinning",
         "3.2.spin", "3.6.masked", "6.live", "F20.running", "B1.term"]),
    ("V_IRQ is not looked at when the guest is entered with IF=1: no window "
     "exit behind a shadow", [
         "F19.sti", "F19.mov-ss", "F25.writeregs", "F19.rip"]),
    ("a triple fault of the guest ends Bochs", [
         "3.5.reboot", "3.2.triple", "F11.odd"]),
    ("a single step of the guest over an instruction that exits is a #DB in "
     "the host", [
         "F5.exception", "F18.beside", "F5.stepped", "F1.step-more",
         "4.decode", "4.decode-real", "F1.step-user"]),
    ("a #DB exit leaves DR6 as it was and DR7.GD set: Bochs changes them "
     "when it delivers the exception, which is later", [
         "F1.step", "4.1.dr", "F17.dr-leak", "4.1.breaks"]),
    ("an exit in the delivery of INT n has the vector of an older exception "
     "in EXITINTINFO: Bochs stores that of exceptions only", [
         "6.delivery", "F20.delivery", "F20.delivery-real"]),
    ("an exit from virtual-8086 mode ends Bochs: \"VM is set in long mode\"", [
         "3.5.moving", "F9.v86", "F11.states"]),
    ("VMRUN does not load CR2, so that of a page fault in the host is the "
     "guest's", [
         "F11.host-owned"]),
    ("SYSENTER works in long mode, where an AMD CPU has #UD", [
         "4.4.syscall"]),
]}


# The clauses of these files want processes, users, CPUs or an LDT, which metal
# does not have. They run on Linux, on both vendors' CPUs.
LINUX_ONLY = ["ioctl_users.c", "ioctl_memory.c", "ioctl_cpus.c",
              "ioctl_thread.c"]


def linux_only():
    """The clauses that metal cannot run."""
    return [clause for name in LINUX_ONLY
            for clause, title in claims.clauses(name)]


def left_out(backend):
    """{clause: why} of a back end."""
    out = {clause: bug for bug, clauses in LEFT_OUT.get(backend, [])
           for clause in clauses}
    if backend.startswith("metal"):
        out |= {clause: "metal has one process" for clause in linux_only()}
    return out
