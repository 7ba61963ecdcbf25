"""Decisions of clang's driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers.llvm import driver
from solvers.llvm.driver import OF_DRIVER, decide
from solvers.llvm.frontend import SourceError
from solvers.llvm.types import Target


def test_everything_is_decided(tmp_path: Path) -> None:
    decided = decide(Target(cpu="", pic=None), levels=("Oz",), workdir=tmp_path)
    assert decided.target.cpu == "x86-64"
    assert decided.target.pic is True, "the driver makes hosted code position-independent"
    assert set(decided.levels) == {"Oz"}
    assert "cgscc(" in decided.levels["Oz"]
    assert all(OF_DRIVER.fullmatch(option) for option in decided.target.codegen)
    assert list(tmp_path.iterdir()) == []


def test_answers_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = decide(Target(), levels=("Oz",), workdir=tmp_path)
    monkeypatch.setattr(driver, "run_held", None)
    assert decide(Target(), levels=("Oz",), workdir=tmp_path) is first
    assert (
        decide(Target(), levels=("Oz",), flags=["-Iinclude"], workdir=tmp_path) is first
    ), "folders of headers do not change the decisions"


def test_flags_become_settings_of_the_code_generator(tmp_path: Path) -> None:
    flags = ["-ffunction-sections", "-fdata-sections"]
    target = decide(Target(), flags=flags, levels=(), workdir=tmp_path).target
    assert {"-function-sections", "-data-sections"} <= set(target.codegen)


def test_a_flag_without_effect_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"(?s)-mthumb.*leave it out") as refused:
        decide(Target(), flags=["-mthumb"], levels=(), workdir=tmp_path)
    assert str(tmp_path) not in str(refused.value)


def test_values_and_pairs_of_cc1_are_translated() -> None:
    arguments = [
        "-mfloat-abi",
        "hard",
        "-mcmodel=medium",
        "-mllvm",
        "-enable-machine-outliner",
    ]
    arguments += ["-mllvm", "-load=x.so", "-ffunction-sections", "-O2"]
    assert list(driver._codegen(arguments)) == [
        "-float-abi=hard",
        "-code-model=medium",
        "-enable-machine-outliner",
        "-function-sections",
    ]


@pytest.mark.parametrize("option", ["-load=x.so", "-float-abi=", "-o", "-addrsig=1"])
def test_other_options_are_not_the_drivers(option: str) -> None:
    assert not OF_DRIVER.fullmatch(option)
