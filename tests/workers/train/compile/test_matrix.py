"""Reward matrix on a small corpus, resumed, and the coreset published from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from search.domains.compile.search.candidates import candidate_space
from search.domains.compile.search.coreset import LISTS, load_coreset
from search.domains.compile.search.edits import Candidate, Edit, Op
from solvers.llvm.types import Metric
from tests.workers.corpus import toy
from workers.corpus import build
from workers.train.compile import matrix, mine
from workers.train.compile.coreset import publish_coreset


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    toy.unpacked(tmp_path, monkeypatch, {"a.c": toy.functions(6)}, pattern=r"\w+\.c")
    build.build(tmp_path, packages=("toy",), per_package=5, say=lambda text: None)
    short = candidate_space
    monkeypatch.setattr(matrix, "candidate_space", lambda defaults: short(defaults)[:12])
    monkeypatch.setattr(mine, "LISTS", {})  # twelve single changes and nothing else
    return tmp_path


def test_every_candidate_is_measured_once_and_the_coreset_published(
    corpus: Path, tmp_path: Path
) -> None:
    matrix.measure(corpus, splits=("train",), say=lambda text: None)
    rows = matrix.rows(corpus)
    assert len(rows) == 13, "twelve candidates and -Oz"
    assert {row["outcome"] for row in rows} == {"ok"}
    matrix.measure(corpus, splits=("train",), say=lambda text: None)
    assert len(matrix.rows(corpus)) == 13, "nothing is measured twice"
    # One candidate is smaller, so that there is something to choose; one crashed and has no column.
    oz = next(row for row in rows if row["name"] == "Oz")
    best, bad = rows[1], rows[2]
    best["loadable"] = int(str(oz["loadable"])) // 2
    bad["outcome"], bad["loadable"] = "crashed", None
    (corpus / "matrix.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    measured = matrix.reward(corpus, splits=("train",))
    assert measured.packages == ["toy"]
    assert bad["candidate"] not in measured.digests
    assert measured.saved[
        0, measured.digests.index(str(best["candidate"]))
    ] == pytest.approx(0.5, abs=0.01)
    assert np.isfinite(measured.saved).all()
    out = tmp_path / "weights"
    chosen = publish_coreset(
        corpus, count=3, out=out, command="python -m x", say=lambda text: None
    )
    assert chosen["loadable"][0].digest == best["candidate"]
    assert load_coreset(folder=out) == tuple(chosen["loadable"])
    assert load_coreset(Metric.IR_INSTRUCTIONS, folder=out) == tuple(chosen["ir"])
    (out / "compile-coreset.json").write_text("{}")
    with pytest.raises(ValueError, match=r"MANIFEST\.toml"):
        load_coreset(folder=out)


def test_programs_without_every_cell_do_not_count(corpus: Path) -> None:
    matrix.measure(corpus, splits=("train",), say=lambda text: None)
    rows = matrix.rows(corpus)
    # -Oz and three candidates of twelve.
    other = [row | {"sha": "f" * 64} for row in rows[:4]]
    (corpus / "matrix-1.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in other)
    )
    listed = build.read(corpus)
    more = listed[0] | {"sha": "f" * 64, "package": "half"}
    with (corpus / "modules.jsonl").open("a") as file:
        file.write(json.dumps(more) + "\n")
    everything = matrix.reward(corpus, splits=("train",), whole=False)
    assert sorted(everything.packages) == ["half", "toy"]
    assert len(everything.digests) == 12
    whole = matrix.reward(corpus, splits=("train",))
    assert len(whole.digests) == 3, "only what both programs have"
    assert len(whole.shas) == 2


def test_mined_compounds_help_their_program_and_are_measured(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mine, "EVALUATIONS", 25)
    progress: list[str] = []
    for _ in range(2):
        mine.mine(corpus, metric=Metric.LOADABLE_BYTES, say=progress.append)
    assert len(progress) == 1, "the second time there is nothing to do"
    (line,) = (
        json.loads(text)
        for text in (corpus / "mined-loadable_bytes-0.jsonl").read_text().splitlines()
    )
    compounds = mine.mined(corpus)
    matrix.measure(corpus, splits=("train",), say=progress.append)
    sizes = {row["candidate"]: row["loadable"] for row in matrix.rows(corpus)}
    oz = next(row["loadable"] for row in matrix.rows(corpus) if row["name"] == "Oz")
    if line["saved"] > 0:
        (compound,) = compounds
        assert sizes[compound.digest] == pytest.approx((1 - line["saved"]) * oz), (
            "the matrix repeats what the search measured"
        )
        assert len(compound.edits) == len(set(compound.edits))
    else:
        assert compounds == []


def test_published_compounds_stay_candidates(tmp_path: Path) -> None:
    names = {
        candidate.digest
        for metric in LISTS
        for candidate in load_coreset(metric)
        if candidate.edits
    }
    assert {candidate.digest for candidate in mine.mined(tmp_path)} == names


def test_useful_changes_are_counted_once_for_each_program(tmp_path: Path) -> None:
    space = [Candidate(name="drop", edits=(Edit(op=Op.DROP, anchor="gvn"),))]
    ends = [
        {"sha": f"{i:064x}", "candidate": space[0].as_json()}
        for i in (1 << 200, 2 << 200)
    ]
    (tmp_path / "mined-loadable_bytes-0.jsonl").write_text(
        "".join(json.dumps(end) + "\n" for end in ends)
    )
    first = mine.useful(tmp_path, Metric.LOADABLE_BYTES, space, {"other": 3}, [])
    assert first == (
        {"other": 3, space[0].digest: 2},
        sorted(str(end["sha"])[:16] for end in ends),
    )
    assert mine.useful(tmp_path, Metric.LOADABLE_BYTES, space, *first) == first


def test_packages_weigh_the_same() -> None:
    weights = mine.package_weights(["a", "a", "a", "b"])
    assert weights.tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    rows = [{"package": "a", "n": n} for n in range(9)] + [
        {"package": "b", "n": n} for n in range(2)
    ]
    chosen = mine.spread(rows, 5)
    assert [row["package"] for row in chosen] == ["a", "b", "a", "b", "a"]
