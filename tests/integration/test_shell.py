# SPDX-License-Identifier: ISC
"""`make shell`: a session typed on the serial line, of either emulator."""
import re

import pytest

PROMPT = b"vmm> "


@pytest.fixture(params=["metal-svm", "metal-vmx"])
def session(request, boot):
    """session(lines...): what the serial line said."""
    def go(*lines):
        return boot(["vmctl", "shell"], backend=request.param, prompt=PROMPT,
                    stdin=("\r".join(lines) + "\r").encode()).log
    return go


def test_shell_session(session):
    """A VM from create to term, by hand."""
    log = session("create 8 1 mine", "load out", "reset real", "info",
                  "step 1", "regs gpr", "term", "info", "quit")
    assert re.search(r"\bmine\b", log), log
    assert re.search(r"(?i)\brip\b", log), log


def test_shell_names_the_remedy(session):
    """A wrong word is answered with the right one."""
    log = session("frobnicate", "load out", "quit")
    assert "frobnicate" in log and "help" in log, log
    assert "create" in log, log


def test_shell_help_lists_every_ioctl(session):
    log = session("help", "quit")
    for ioctl in ["CREATE", "RUN", "INFO", "TERM", "RESETCPU", "INTR",
                  "READREGS", "WRITEREGS", "READVMPARAMS", "WRITEVMPARAMS",
                  "MPROTECT_EPT"]:
        assert re.search(rf"\b{ioctl}\b", log), f"{ioctl}\n{log}"


def test_shell_ends_at_control_d(boot):
    log = boot(["vmctl", "shell"], prompt=PROMPT, stdin=b"info\r\x04").log
    assert "info" in log


def test_usage_error_is_2(boot):
    log = boot(["vmctl", "frobnicate"], expect=2).log
    assert "frobnicate" in log
