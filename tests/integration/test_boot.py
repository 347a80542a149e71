# SPDX-License-Identifier: ISC
"""The host alone: from a disk, in little memory, and when it fails."""
import re

import pytest

from conftest import BACKENDS

MODE = {"svm": "SVM/RVI", "vmx": "VMX/EPT"}
BANNER = re.compile(r"^vmm0 at mainbus0: (SVM/RVI|VMX/EPT)$", re.M)


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b.host == "metal"],
                         ids=lambda b: b.name)
def test_boot_attaches(boot, backend):
    """The banner stands once in the log, and is the vendor's."""
    result = boot(["vmctl", "info"], backend=backend)
    assert BANNER.findall(result.log) == [MODE[backend.vendor]]


def test_boot_needs_no_more_than_64_mib(boot):
    boot(["vmctl", "tour"], memory=64)


def test_boot_from_disk(boot):
    """The same kernel behind its own boot sector, as a PC starts it; what no
    run has written into the image is the tour."""
    result = boot([], disk=True)
    assert "11 ioctls, 11 ok" in result.log, result.tail()


def test_boot_from_disk_in_bochs(boot):
    """Another emulator, another BIOS, the same image."""
    result = boot([], backend="metal-vmx")
    assert "11 ioctls, 11 ok" in result.log, result.tail()


@pytest.mark.parametrize("backend", ["metal-svm", "metal-vmx"])
def test_boot_passes_the_exit_status(boot, backend):
    boot(["vmctl", "no-such-command"], expect=2, backend=backend)


def test_boot_without_client_fails(boot):
    """A client that is not in the archive is an error that names it."""
    result = boot(["no-such-client"], expect=None)
    assert result.status != 0, result.tail()
    assert "no-such-client" in result.log, result.tail()
