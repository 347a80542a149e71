# SPDX-License-Identifier: ISC
"""Every clause of conform on every back end, one test id each."""
import pytest

from conftest import BACKENDS, SLOW, list_clauses


def marks(clause):
    slow = [pytest.mark.slow] if clause in SLOW else []
    return [pytest.mark.clause(clause), *slow]


def pytest_generate_tests(metafunc):
    metafunc.parametrize(
        "backend,clause",
        [pytest.param(b.name, clause, id=f"{b.name}--{clause}",
                      marks=marks(clause))
         for b in BACKENDS for clause, title in list_clauses()])


def test_clause(boots, backend, clause):
    line, result = boots.line(backend, clause)
    if line.skip is not None:
        pytest.skip(f"{clause}: {line.skip or 'no reason given'}")
    if not line.ok:
        notes = "\n".join(line.notes) or "(no diagnostics)"
        pytest.fail(f"{backend} {clause}\n{notes}\n"
                    f"--- serial line, last lines:\n{result.tail(15)}",
                    pytrace=False)
