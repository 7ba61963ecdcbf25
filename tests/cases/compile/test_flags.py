"""Every accepted flag takes effect: the object is clang's with it, and differs from without."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.types import InvalidInput
from solvers.llvm import flags as listed
from solvers.llvm.driver import decide
from solvers.llvm.frontend import SourceError
from solvers.llvm.types import Target
from tests.cases.compile.flag_sources import CASES, FIRST, Case
from tests.cases.compile.jobs import by_clang, by_engine, job

# Accepted for targets that not every LLVM has; refused by name for others.
_ELSEWHERE = {
    "-mrelax",
    "-mno-relax",
    "-mcmodel=medany",
    "-mno-arm",
    "-fno-stack-protector-all",
    "-fno-stack-protector-strong",
}
_ELSEWHERE |= {"-fno-freestanding", "-mno-thumb"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}")
def test_the_object_depends_on_the_flag(case: Case, tmp_path: Path, scale: float) -> None:
    source = tmp_path / ("a.cpp" if case.cxx else "a.c")
    source.write_text(case.source)
    target = Target(triple=case.triple, pic=None)
    quiet = not any(flag.startswith(("-W", "-pedantic")) for flag in case.flags)
    with_flag, without = (
        by_clang(
            source,
            target,
            tmp_path / f"{name}.o",
            flags=flags,
            level=case.level,
            quiet=quiet,
        )
        for name, flags in (("with", case.flags), ("without", case.opposite))
    )
    assert with_flag != without
    if with_flag is None:
        with pytest.raises(SourceError):
            by_engine(source, target, tmp_path, flags=case.flags, level=case.level)
    elif scale >= 1 or case in FIRST:  # of two polarities, one on a small scale
        assert (
            by_engine(source, target, tmp_path, flags=case.flags, level=case.level)
            == with_flag
        )


def test_every_accepted_flag_has_a_case() -> None:
    words = [f"-f{no}{word}" for word in listed.FEATURES.split() for no in ("", "no-")]
    words += [f"-m{no}{word}" for word in listed.MACHINE.split() for no in ("", "no-")]
    tested = {flag for case in CASES for flag in (*case.flags, *case.opposite)}
    assert set(words) - tested == _ELSEWHERE & set(words)


@pytest.mark.parametrize("flag", sorted(_ELSEWHERE))
def test_flags_that_a_target_does_not_take_are_refused_by_name(
    flag: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=flag):
        decide(Target(pic=None), flags=[flag], levels=("Oz",), workdir=tmp_path)


@pytest.mark.parametrize(
    "flag", ["-mfloat-abi=hard", "-mthumb", "-mfpu=neon", "-munaligned-access"]
)
def test_a_flag_of_another_architecture_is_refused_by_name(
    flag: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=flag.split("=")[0]):
        job("int f(void) { return 1; }", tmp_path, build={"flags": [flag]})


def test_a_flag_that_contradicts_the_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"target\.pic"):
        job(
            "int f(void) { return 1; }",
            tmp_path,
            build={"flags": ["-fPIC"]},
            target={"pic": False},
        )


def test_a_flag_for_sources_is_refused_with_ir(tmp_path: Path) -> None:
    module = "define i32 @f() { ret i32 1 }\n"
    with pytest.raises(InvalidInput, match="-fwrapv"):
        job(module, tmp_path, language="llvm-ir", build={"flags": ["-fwrapv"]})
    assert (
        b".text.f"
        in job(
            module, tmp_path, language="llvm-ir", build={"flags": ["-ffunction-sections"]}
        ).files["optimised.o"]
    )


def test_requested_warnings_become_notes(tmp_path: Path) -> None:
    source = "int f(void) { int unused; return 1; }"
    warned = job(source, tmp_path, build={"flags": ["-Wall"]})
    assert any("unused variable" in note for note in warned.result.summary["notes"])
    assert not any(
        "unused" in note for note in job(source, tmp_path).result.summary["notes"]
    )
    with pytest.raises(InvalidInput, match="unused variable"):
        job(source, tmp_path, build={"flags": ["-Wall", "-Werror"]})
