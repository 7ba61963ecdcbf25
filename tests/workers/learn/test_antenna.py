"""Target `antenna` of kind `learn`, end to end on a board of another substrate."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from search import pipeline
from search.domains.learn import build
from search.model_files import parse_model
from search.stop import from_budget
from search.types import InvalidInput
from trimtab.cards import Card
from trimtab.specs.common import ArtifactRef
from trimtab.specs.learn import AntennaLearnOptions, LearnSpec, Target
from workers.learn.antenna import surrogate_of
from workers.learn.table import learners

OPTIONS = AntennaLearnOptions(designs=70, epochs=2)


def run(document: Any, workdir: Path, **fields: Any) -> pipeline.Finished:
    workdir.mkdir(exist_ok=True)
    board = workdir / "board.json"
    board.write_text(json.dumps(document))
    reference = ArtifactRef(digest="sha256:" + "0" * 64, name="board.json")
    fields.setdefault("instances", (reference,))
    return pipeline.run(
        build(learners()),
        LearnSpec(target=Target.ANTENNA, antenna=OPTIONS, **fields),
        inputs={f"instances.{n}": board for n in range(len(fields["instances"]))},
        workdir=workdir,
        stop=from_budget({"seconds": 600.0}, threading.Event()),
        seed=1,
    )


def test_a_board_gets_a_card_and_a_surrogate(tmp_path: Path) -> None:
    run({"board": {"eps_r": 3.5}}, tmp_path)
    card = Card.model_validate_json((tmp_path / "card.json").read_bytes())
    assert card.metric.unit == "dB"
    assert card.sizes.instances >= 40
    assert all(0 < row.fitted < 26 and 0 < row.shipped < 26 for row in card.rows)
    assert {point.stage for point in card.curve} == {"solve", "fit"}
    model = parse_model(
        (tmp_path / "model.safetensors").read_bytes(), id_="m", target="antenna"
    )
    assert model.scope["eps_r"] == 3.5
    assert surrogate_of(model.arrays).facts.board.eps_r == 3.5


def test_bad_boards_end_clearly(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"instances: board: .*expected the keys"):
        run({"substrate": 3.5}, tmp_path)
    two = tuple(
        ArtifactRef(digest="sha256:" + digit * 64, name=f"{digit}.json") for digit in "01"
    )
    with pytest.raises(InvalidInput, match="expected one file, the board as JSON, got 2"):
        run({}, tmp_path, instances=two)
