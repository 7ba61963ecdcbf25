"""Parse stage: formats, warm starts, and the choice of an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.ilp.parse import parse
from search.domains.ilp.problem import IlpProblem
from search.types import InvalidInput
from trimtab.specs.common import ArtifactRef
from trimtab.specs.ilp import Engine, IlpSpec

LINEAR = "Minimize\n o: x + y\nSubject To\n a: x + y >= 1\nBinary\n x y\nEnd\n"
QUADRATIC = LINEAR.replace("x + y\nSub", "x + [ 2 y ^ 2 ] / 2\nSub")
MPS = "NAME t\nROWS\n N o\n G a\nCOLUMNS\n x o 1 a 1\nRHS\n RHS a 1\nENDATA\n"


def parsed(
    text: str, folder: Path, start: str | None = None, **options: Any
) -> IlpProblem:
    inputs = {}
    if start is not None:
        inputs["warm_start"] = folder / "s.sol"
        inputs["warm_start"].write_text(start)
        options["warm_start"] = ArtifactRef(digest="sha256:" + "0" * 64, name="s.sol")
    problem = parse(IlpSpec(model_text=text, **options), inputs, folder)
    problem.checker.close()
    return problem


@pytest.mark.parametrize(("text", "columns"), [(LINEAR, 2), (MPS, 1)])
def test_the_format_is_detected(text: str, columns: int, tmp_path: Path) -> None:
    assert parsed(text, tmp_path).model.n == columns


@pytest.mark.parametrize("text", ["no model", ""])
def test_files_in_no_format_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        parsed(text, tmp_path)


def test_a_partial_warm_start_has_gaps(tmp_path: Path) -> None:
    problem = parsed(LINEAR, tmp_path, start="y 1\n")
    assert problem.warm_start is not None
    np.testing.assert_array_equal(problem.warm_start, [np.nan, 1.0])


def test_a_warm_start_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'z'"):
        parsed(LINEAR, tmp_path, start="z 1\n")


def test_models_beyond_linear_rows_get_an_engine_that_takes_them(tmp_path: Path) -> None:
    problem = parsed(QUADRATIC, tmp_path)
    assert problem.spec.engine is Engine.SCIP
    assert "quadratic objective" in problem.notes[-2]
    assert "scip was taken instead" in problem.notes[-1]


def test_an_engine_that_takes_no_such_model_is_refused(tmp_path: Path) -> None:
    continuous = LINEAR.replace("Binary\n x y\n", "")
    with pytest.raises(InvalidInput, match="engine cp-sat cannot take this model"):
        parsed(continuous, tmp_path, engine=Engine.CP_SAT)
