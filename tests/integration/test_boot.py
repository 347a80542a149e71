# SPDX-License-Identifier: ISC
"""The host alone: from a disk, in little memory, and when it fails."""
import re

BANNER = re.compile(r"^vmm0 at mainbus0: (SVM/RVI|VMX/EPT)$", re.M)


def test_boot_attaches(boot):
    """The banner stands once in the log."""
    assert len(BANNER.findall(boot(["vmctl", "tour"]).log)) == 1


def test_boot_needs_no_more_than_64_mib(boot):
    boot(["vmctl", "tour"], memory=64)


def test_boot_from_disk(boot):
    """The same kernel behind its own boot sector, as a PC starts it."""
    result = boot([], disk=True, limit=120)
    assert BANNER.search(result.log), result.tail()


def test_boot_from_disk_in_bochs(boot):
    """Another emulator, another BIOS: guests run there too. Not to the end of
    the tour: Bochs interrupts no guest that was entered with IF=0, which is
    what the row of TERM is about."""
    row = b" 3 INFO "
    result = boot([], expect=None, backend="metal-svm-bochs", disk=True,
                  limit=120, until=row)
    assert BANNER.search(result.log), f"{result.why}\n{result.tail()}"
    assert row.decode() in result.log, f"{result.why}\n{result.tail()}"
    assert "FAILED" not in result.log, result.tail()


def test_boot_passes_the_exit_status(boot):
    assert boot(["vmctl", "no-such-command"], expect=2).status == 2


def test_boot_without_client_fails(boot):
    """A client that is not in the archive is an error that names it."""
    result = boot(["no-such-client"], expect=None)
    assert result.status != 0, result.tail()
    assert "no-such-client" in result.log, result.tail()
