# SPDX-License-Identifier: ISC
"""Every clause of conform on every back end, one test id each."""
import pytest

from conftest import BACKENDS, SLOW, list_clauses
from left_out import LEFT_OUT, left_out, linux_only


def marks(backend, clause):
    slow = backend.name in LEFT_OUT or clause in SLOW[backend.emulator] \
        or backend.host == "linux"
    return [pytest.mark.clause(clause)] + [pytest.mark.slow] * slow


def pytest_generate_tests(metafunc):
    if "clause" not in metafunc.fixturenames:
        return
    metafunc.parametrize(
        "backend,clause",
        [pytest.param(b.name, clause, id=f"{b.name}--{clause}",
                      marks=marks(b, clause))
         for b in BACKENDS for clause, title in list_clauses()
         if clause not in left_out(b.name)])


def test_clause(boots, backend, clause):
    line, result = boots.line(backend, clause)
    if line.skip is not None:
        pytest.skip(f"{clause}: {line.skip or 'no reason given'}")
    if not line.ok:
        notes = "\n".join(line.notes) or "(no diagnostics)"
        pytest.fail(f"{backend} {clause}\n{notes}\n"
                    f"--- serial line, last lines:\n{result.tail(15)}",
                    pytrace=False)


def test_left_out_clauses_exist():
    """No name in the table is of a clause that is gone, and none is twice."""
    clauses = {clause for clause, title in list_clauses()}
    for backend, table in LEFT_OUT.items():
        assert backend in {b.name for b in BACKENDS}
        named = [clause for bug, some in table for clause in some]
        assert set(named) <= clauses, set(named) - clauses
        assert len(named) == len(set(named))


def test_both_vendors_run_everything():
    """Only the cross-check may leave clauses out, and metal what it lacks."""
    assert set(LEFT_OUT) == {"metal-svm-bochs"}
    clauses = {clause for clause, title in list_clauses()}
    assert len(linux_only()) > 2 and set(linux_only()) <= clauses
    for name in ("linux-svm", "linux-vmx"):
        assert not left_out(name)
