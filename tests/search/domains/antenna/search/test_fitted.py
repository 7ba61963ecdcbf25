"""A registered surrogate is used where it covers the board and the search pays for it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.weights import read_learned
from search.domains.antenna.parse import parse
from search.domains.antenna.search.model import choose_fitted
from search.model_files import ModelOffer, RegisteredModel, write_model
from trimtab.specs.antenna import AntennaSpec

NAME = "mdl_" + "0" * 26


def choose(folder: Path, **fields: Any) -> tuple[bool, str]:
    """Choose for a job on the shipped surrogate's board; (fitted one used, reason)."""
    content = np.frombuffer(read_learned("antenna-duroid.safetensors"), np.uint8)
    path = folder / "model.safetensors"
    write_model(path, {"surrogate": content}, target="antenna", scope={})
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    offer = ModelOffer(models=(RegisteredModel(id=NAME, sha256=sha256, path=path),))
    body = {
        "bands": [{"f_lo_hz": 5.15e9, "f_hi_hz": 5.35e9}],
        "search": "genetic",
        **fields,
    }
    problem, choice = choose_fitted(parse(AntennaSpec(**body), {}, folder), offer)
    return problem.fitted is not None, choice.reason


def test_a_surrogate_of_the_same_board_is_used(tmp_path: Path) -> None:
    assert choose(tmp_path) == (True, "the newest that fits; its scope covers this input")


def test_another_board_and_a_faster_search_leave_it_out(tmp_path: Path) -> None:
    fitted, reason = choose(tmp_path, board={"eps_r": 4.4})
    assert not fitted
    assert "made for eps_r 2.2" in reason
    fitted, reason = choose(tmp_path, search="tabu")
    assert not fitted
    assert "faster without a surrogate" in reason
    fitted, reason = choose(tmp_path, model="none")
    assert not fitted
    assert "the spec names a surrogate" in reason
