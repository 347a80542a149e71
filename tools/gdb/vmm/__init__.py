# SPDX-License-Identifier: ISC
"""The commands `vmm ...` of GDB."""
import gdb

from . import session


class Vmm(gdb.Command):
    """The guest, and the driver, of the machine that QEMU runs.
step-into and finish go from the host into the guest and back; regs, x, dis,
walk show the guest; exits, vmcb, explain what the CPU said."""

    def __init__(self):
        super().__init__("vmm", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class InGuest(gdb.Function):
    """$vmm_guest(): whether the CPU is in a guest now."""

    def __init__(self):
        super().__init__("vmm_guest")

    def invoke(self):
        return session.in_guest()


Vmm()
InGuest()
from . import commands, printers, run  # noqa: E402  (they need `vmm`)

printers.register()


def stopped(event):
    session.look()
    run.remember()


gdb.events.stop.connect(stopped)
look, continuing = session.look, run.continuing
