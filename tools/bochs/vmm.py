# SPDX-License-Identifier: ISC
"""The vmm commands of Bochs's debugger."""

NEXT = """\
Bochs stops before the first VMLAUNCH. Type next:

  s                 across VMLAUNCH, onto the guest's first instruction
                    (no page is mapped yet, so Bochs cannot show it)
  r, sreg, creg     now they are the guest's registers
  c                 on, to the exit: Caught VMEXIT, at vmx_exit_point
  show "cpu0.VMX"   controls, shadows and host state in the VMCS; vmcsptr
  xp /1wx ADDRESS   of that + 0x918: exit reason, 0xd10: qualification,
                    0x940: instruction length, 0xe88: the guest's RIP
  vmexitbp          stop at exits no more; again: stop
  lb 0x8013         stop behind the first instruction; then c, r, and:
  x /8bx 0x8010     the guest's memory, through its page tables and EPT
  page 0x8010       that walk, EPT first
  u 0x8010 0x8020   the same, disassembled
  q                 the end

The host's console is in {console}.
"""


class Wrong(Exception):
    """A command that cannot be done; the argument says why."""


class Vmm:
    def __init__(self, ask, build, console):
        self.ask = ask

    def do(self, words):
        raise Wrong("no such command")
