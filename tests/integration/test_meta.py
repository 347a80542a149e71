# SPDX-License-Identifier: ISC
"""Nothing without a test: no ioctl, errno, exit kind, guest or difference.

What a test is about is read from its source, see tools/claims.py.
"""
import re

import pytest

import claims
from conftest import TOP

# The section of the interface that each ioctl has; clause ids begin with it.
SECTION = {"CREATE": "3.1", "RUN": "3.2", "INFO": "3.3", "TERM": "3.4",
           "RESETCPU": "3.5", "INTR": "3.6", "READREGS": "3.7",
           "WRITEREGS": "3.8", "READVMPARAMS": "3.9",
           "WRITEVMPARAMS": "3.10", "MPROTECT_EPT": "3.11"}


def ioctls():
    text = (TOP / "include/vmmvar.h").read_text()
    return re.findall(r"^#define VMM_IOC_(\w+)", text, re.M)


def kinds():
    text = (TOP / "src/vmm/hv.h").read_text()
    body = re.search(r"#define VMEXIT_KINDS.*?\n\n", text, re.S)[0]
    return ["VMEXIT_" + k for k in re.findall(r"\bK\((\w+)\)", body)
            if k != "K"]


def errnos():
    """[(ioctl, errno)] of the blocks above the ioctls in vmm.c."""
    text = (TOP / "src/vmm/vmm.c").read_text()
    found = []
    for m in re.finditer(r"/\*\n \* VMM_IOC_(\w+):((?:[^*]|\*(?!/))*)\*/",
                         text):
        returns = m[2].split("Returns:", 1)[1]
        found += [(m[1], e) for e in
                  sorted(set(re.findall(r"\bE[A-Z]{2,}\b", returns)))]
    return found


def guests():
    return sorted(p.stem for p in (TOP / "guests").glob("*.S"))


def test_every_table_was_read():
    """This file reads sources with regular expressions: not in vain."""
    assert len(ioctls()) == 11
    assert len(kinds()) > 15
    assert {i for i, _ in errnos()} == set(ioctls())
    assert len(guests()) > 20
    assert len(claims.clauses()) > 100
    assert len(claims.rows()) == 28 + 7 + 2 + 3
    assert len(claims.unit_tests()) > 100


@pytest.mark.parametrize("ioctl", ioctls())
def test_ioctl_has_a_clause(ioctl):
    section = SECTION[ioctl]
    assert [i for i, _ in claims.clauses()
            if re.match(rf"{re.escape(section)}\b(?!\d)", i)], \
        f"no clause {section}.* for {ioctl}"


@pytest.fixture(scope="module")
def errno_tests():
    return claims.errno_tests()


@pytest.mark.parametrize("ioctl,errno", errnos())
def test_errno_has_a_test(errno_tests, ioctl, errno):
    assert (ioctl, errno) in errno_tests, f"no test for {errno} of {ioctl}"


@pytest.mark.parametrize("kind", kinds())
def test_exit_kind_has_a_test(kind):
    assert claims.mentions(kind, "check_"), \
        f"no unit test makes a guest exit with {kind}"


@pytest.mark.parametrize("guest", guests())
def test_guest_has_a_clause(guest):
    assert claims.mentions(f'"{guest}"') \
        or claims.mentions(f'"/guests/{guest}.bin"') \
        or any(f" /guests/{guest}.bin " in p.read_text()
               for p in (TOP / "tests/integration").glob("test_*.py")), \
        f"no clause runs guests/{guest}.S"


@pytest.mark.parametrize("row", claims.rows())
def test_difference_has_a_test(row):
    assert claims.tests_of(row), f"no test cites {row}"
