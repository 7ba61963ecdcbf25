"""Check process: commands from a pipe, answers in order."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from search.domains.ilp import model_file
from search.domains.ilp.tagged import pack
from search.domains.ilp.verify.messages import (
    ANSWERS,
    Answer,
    Check,
    Checked,
    Command,
    Compare,
    Compared,
    ProofEnded,
    Prove,
    Refused,
)
from search.domains.ilp.verify.process import serve
from solvers.read import read_model
from solvers.types import MilpModel

TEXT = """Maximize
 o: 3 x + 2 y
Subject To
 a: x + y <= 4
General
 x y
End
"""


def answers(folder: Path, *commands: Command, **more: Any) -> list[Answer]:
    """Run the process' work here, with all commands in its pipe."""
    file = folder / "m.lp"
    file.write_text(TEXT)
    read_end, write_end = os.pipe()
    for command in commands:
        os.write(write_end, json.dumps(pack(command)).encode() + b"\n")
    os.close(write_end)
    answered: list[dict[str, Any]] = []
    searched: MilpModel | None = more.get("searched")
    serve(
        file,
        file_format="lp",
        name="m.lp",
        searched=searched,
        commands=read_end,
        say=answered.append,
    )
    return [ANSWERS.unpack(data) for data in answered]


def values(folder: Path, **by_name: float) -> str:
    path = folder / "claimed.json"
    path.write_text(json.dumps(by_name))
    return str(path)


def read(folder: Path, text: str) -> MilpModel:
    path = folder / "other.lp"
    path.write_text(text)
    return read_model(path)


def test_equal_readings_are_compared_and_the_file_is_deleted(tmp_path: Path) -> None:
    saved = tmp_path / "model.npz"
    scalars = model_file.save(read(tmp_path, TEXT), saved)
    assert answers(tmp_path, Compare(path=str(saved), scalars=scalars)) == [Compared()]
    assert not saved.exists()


def test_readings_that_differ_are_refused(tmp_path: Path) -> None:
    other = read(tmp_path, TEXT.replace("3 x", "5 x"))
    saved = tmp_path / "model.npz"
    scalars = model_file.save(other, saved)
    check = Check(path=values(tmp_path, x=4.0), claimed=12.0)
    answered = answers(tmp_path, Compare(path=str(saved), scalars=scalars), check)
    assert len(answered) == 1, "the process ends"
    assert isinstance(answered[0], Refused)
    (again,) = answers(tmp_path, check, searched=other)
    assert isinstance(again, Refused), "a second start compares at once"


def test_values_are_checked(tmp_path: Path) -> None:
    (answer,) = answers(tmp_path, Check(path=values(tmp_path, x=4.0), claimed=12.0))
    assert isinstance(answer, Checked)
    assert json.loads(answer.verification)["status"] == "valid"


def test_a_proof_brings_a_better_point(tmp_path: Path) -> None:
    path = values(tmp_path, y=1.0)
    (answer,) = answers(tmp_path, Prove(path=path, has_incumbent=True, seconds=5.0))
    assert isinstance(answer, ProofEnded)
    assert (answer.claim, answer.bound, answer.has_point) == ("optimal", 12.0, True)
    assert json.loads(Path(path).read_text()) == {"x": 4.0}
