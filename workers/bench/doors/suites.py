"""Solver test suites of PuLP, Pyomo and cvxpy, pointed at a solver of ours or at HiGHS.

The suites ship inside the packages and are run from there; none is copied. Pyomo's chooses its
solvers by lists in its source, so the source is read, the lists are replaced, and it is executed.
"""

from __future__ import annotations

import importlib
import re
import types
import unittest
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SuiteOf = Callable[[str], unittest.TestSuite]
SOLVERS = ("trimtab", "highs")


def pulp_suite(solver: str) -> unittest.TestSuite:
    """Return PuLP 3's tests of one solver."""
    import pulp
    from pulp.tests.test_pulp import BaseSolverTest

    pulp.set_v4_migration_warnings(False)
    chosen = _named("trimtab.pulp:Trimtab" if solver == "trimtab" else "pulp:HiGHS")
    case = type("PuLP", (BaseSolverTest.PuLPTest,), {"solveInst": chosen})
    return unittest.defaultTestLoader.loadTestsFromTestCase(case)


# Lists of test_solvers.py in which a solver stands for what it can do.
_CAN = {
    "trimtab": ("all", "mip", "dual", "qcp", "miqcqp", "sos"),
    "highs": ("all", "mip", "dual"),
}
_LISTS = ("all", "mip", "nlp", "qcp", "miqcqp", "dual", "sos")


def pyomo_suite(solver: str) -> unittest.TestSuite:
    """Return Pyomo's tests of the interface of one solver, without those of other solvers."""
    theirs = "pyomo.contrib.solver.solvers.highs:Highs"
    chosen_class = _named("trimtab.pyomo:Trimtab" if solver == "trimtab" else theirs)
    source = _source("pyomo.contrib.solver.tests.solvers.test_solvers")
    row = f"[({solver!r}, Chosen)]"
    for name in _LISTS:
        chosen = row if name in _CAN[solver] else "[]"
        source = re.sub(
            rf"(?ms)^{name}_solvers = \[.*?^\]", f"{name}_solvers = {chosen}", source
        )
    source = re.sub(r"(?m)^nl_solvers = .*$", "nl_solvers = []", source)
    source = re.sub(r"(?m)^qp_solvers = .*$", f"qp_solvers = {row}", source)
    source = source.replace('_load_tests([("highs", Highs)])', "_load_tests([])")
    source = re.sub(
        r"expand\(input=(\S+)\)", r"expand(input=\1, skip_on_empty=True)", source
    )
    module = types.ModuleType("pyomo_solver_tests")
    module.__dict__.update(Chosen=chosen_class, __file__="pyomo_solver_tests.py")
    exec(compile(source, "pyomo_solver_tests.py", "exec"), module.__dict__)  # noqa: S102
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def cvxpy_suite(solver: str) -> unittest.TestSuite:
    """Return cvxpy's standard linear and mixed-integer programs as tests, with duals for LPs."""
    from cvxpy.tests import solver_test_helpers as helpers

    if solver == "trimtab":
        from trimtab.cvxpy import Trimtab

        chosen: Any = Trimtab()
    else:
        chosen = "HIGHS"

    def case(tests: Any, name: str) -> Callable[[unittest.TestCase], None]:
        return lambda self: getattr(tests, name)(solver=chosen) and None

    tests = helpers.StandardTestLPs
    body = {name: case(tests, name) for name in dir(tests) if name.startswith("test_")}
    suite = type("Cvxpy", (unittest.TestCase,), body)
    return unittest.defaultTestLoader.loadTestsFromTestCase(suite)


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _source(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{module}: expected it inside the installed package")
    return Path(spec.origin).read_text()


SUITES: Mapping[str, SuiteOf] = {
    "pulp": pulp_suite,
    "pyomo": pyomo_suite,
    "cvxpy": cvxpy_suite,
}


class Outcomes(unittest.TestResult):
    """Result that keeps the name of every test, and the last line of each fault."""

    def __init__(self, report: Callable[[str, str, str], None]) -> None:
        super().__init__()
        self._report = report

    def addSuccess(self, test: unittest.TestCase) -> None:
        """Report a test that passed."""
        self._report(test.id(), "passed", "")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """Report a test that does not apply."""
        self._report(test.id(), "skipped", reason)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        """Report a failed test."""
        self._report(test.id(), "failed", f"{err[0].__name__}: {err[1]}"[:300])

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        """Report a test that raised."""
        self.addFailure(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: Any, err: Any) -> None:
        """Report a failed part of a test."""
        if err is not None:
            self.addFailure(subtest, err)
