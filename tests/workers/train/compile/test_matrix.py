"""The reward matrix on a small corpus, resumed, and the coreset published from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from search.domains.compile.candidates import candidate_space
from search.domains.compile.coreset import load_coreset
from tests.workers.corpus import toy
from workers.corpus import build
from workers.train.compile import matrix
from workers.train.compile.coreset import publish_coreset


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    toy.unpacked(tmp_path, monkeypatch, {"a.c": toy.functions(6)}, pattern=r"\w+\.c")
    build.build(tmp_path, packages=("toy",), per_package=5, say=lambda text: None)
    short = candidate_space
    monkeypatch.setattr(matrix, "candidate_space", lambda defaults: short(defaults)[:12])
    return tmp_path


def test_every_candidate_is_measured_once_and_the_coreset_published(corpus: Path, tmp_path: Path) -> None:
    matrix.measure(corpus, splits=("train",), say=lambda text: None)
    rows = matrix.rows(corpus)
    assert len(rows) == 13, "twelve candidates and -Oz"
    assert {row["outcome"] for row in rows} == {"ok"}
    matrix.measure(corpus, splits=("train",), say=lambda text: None)
    assert len(matrix.rows(corpus)) == 13, "nothing is measured twice"
    # A candidate that made it smaller, so that there is something to choose; and one that crashed, which has no column.
    oz = next(row for row in rows if row["name"] == "Oz")
    best, bad = rows[1], rows[2]
    best["loadable"] = int(str(oz["loadable"])) // 2
    bad["outcome"], bad["loadable"] = "crashed", None
    (corpus / "matrix.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    reward, packages, digests, _ = matrix.reward(corpus, splits=("train",))
    assert packages == ["toy"]
    assert bad["candidate"] not in digests
    assert reward[0, digests.index(str(best["candidate"]))] == pytest.approx(0.5, abs=0.01)
    assert (reward >= 0).all()
    assert np.isfinite(reward).all()
    out = tmp_path / "weights"
    chosen = publish_coreset(corpus, count=3, out=out, command="python -m x", say=lambda text: None)
    assert chosen[0].digest == best["candidate"]
    assert load_coreset(out) == tuple(chosen)
    (out / "compile-coreset.json").write_text("{}")
    with pytest.raises(ValueError, match=r"MANIFEST\.toml"):
        load_coreset(out)
