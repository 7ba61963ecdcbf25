"""Coreset of linked programs: greedy order over measured programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cost_models.weights import FOLDER, manifest
from search.domains.compile.search.coreset import NAME, load_linked
from search.domains.compile.search.edits import Candidate
from workers.train.compile.linked import MEASURED, candidates, order, publish_linked

OZ = Candidate(name="Oz").digest


def rows(program: str, **flash: int | None) -> list[dict[str, object]]:
    names = {"oz": OZ}
    return [
        {"program": program, "candidate": names.get(name, name), "flash": value}
        for name, value in flash.items()
    ]


def test_the_order_is_greedy_over_programs() -> None:
    measured = [
        *rows("one", oz=100, a=90, b=95, c=99, d=None),
        *rows("two", oz=100, a=100, b=94, c=80, d=50),
        *rows("part", oz=100, a=1),
    ]
    digests, means = order(measured)
    assert digests == ["c", "a"], "b gains nothing then; d failed; part is not whole"
    assert means == pytest.approx([0.105, 0.15])
    assert order([]) == ([], [])


def test_nothing_is_published_without_measurements(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected measured programs"):
        publish_linked(tmp_path, out=tmp_path, command="", say=print)
    (tmp_path / MEASURED).write_text(
        json.dumps({"program": "a", "candidate": "x", "flash": 1})
    )
    with pytest.raises(ValueError, match="expected measured programs"):
        publish_linked(tmp_path, out=tmp_path, command="", say=print)


def test_candidates_are_oz_and_the_published_ones() -> None:
    digests = [candidate.digest for candidate in candidates()]
    assert digests[0] == OZ
    assert len(set(digests)) == len(digests) > 20


def test_the_lists_of_objects_keep_their_row(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "weights")
    chosen = candidates()[3]
    measured = rows("one", oz=100, **{chosen.digest: 90})
    (tmp_path / MEASURED).write_text("".join(json.dumps(row) + "\n" for row in measured))
    before = manifest(tmp_path / "weights")[NAME]
    for _ in range(2):
        publish_linked(tmp_path, out=tmp_path / "weights", command="again", say=str)
    assert load_linked(tmp_path / "weights") == (chosen,)
    after = manifest(tmp_path / "weights")[NAME]
    for key, between in (("command", " && "), ("metric", "; then ")):
        first, _, linked = str(after[key]).partition(between)
        assert first == str(before[key]).partition(between)[0]
        assert linked.startswith(("again", "linked programs: mean flash saved"))
