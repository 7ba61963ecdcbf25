"""Target of a job: what LLVM serves, and which flags act."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.domains.compile.parse.sources import BuildOptions
from search.domains.compile.parse.target import check_served, decide_target, flavour_of
from search.types import InvalidInput
from solvers.llvm.types import Target
from trimtab.specs.compile import CompileSpec, Language, Objective, Run

NO_OPTIONS = BuildOptions(flags=(), include=())


def test_a_target_without_a_code_generator_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"target\.triple: expected .* got 'banana'"):
        check_served(Target(triple="banana"))
    check_served(Target())


def test_the_flavour_is_the_level_of_the_comparison() -> None:
    assert flavour_of(CompileSpec(source_text="int x;")) == "Oz"
    timed = CompileSpec(source_text="int x;", objective=Objective.RUN_TIME, runs=(Run(),))
    assert flavour_of(timed) == "O2"


def test_the_driver_decides_what_the_job_leaves_open(tmp_path: Path) -> None:
    driver = decide_target({Language.C}, NO_OPTIONS, Target(pic=None), tmp_path)
    assert driver.target.cpu
    assert driver.target.pic is not None
    assert "Oz" in driver.levels


def test_flags_that_contradict_the_target_are_refused(tmp_path: Path) -> None:
    flags = BuildOptions(flags=("-fPIC",), include=())
    with pytest.raises(
        InvalidInput, match=r"expected flags that go with target\.pic false"
    ):
        decide_target({Language.C}, flags, Target(pic=False), tmp_path)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (BuildOptions(flags=("-Wall",), include=()), "acts where sources become IR"),
        (BuildOptions(flags=(), include=(Path(),)), "headers are for sources"),
    ],
)
def test_ir_takes_no_options_for_sources(
    tmp_path: Path, build: BuildOptions, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        decide_target({Language.IR}, build, Target(), tmp_path)
