"""All-to-all: drawn placements, matching sizes, and a real exchange over gloo on two ranks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from workers.train.sharding.collect import all_to_all  # noqa: E402
from workers.train.sharding.collect.errors import CollectError  # noqa: E402
from workers.train.sharding.collect.progress import Progress, to_stderr  # noqa: E402
from workers.train.sharding.collect.random_sets import DIMS  # noqa: E402

OPTIONS = all_to_all.Options(
    device="cpu", ranks=2, samples=2, batch=64, seed=0, threads=1, warm_ups=1, repeats=2
)


def test_placements_cover_balance_and_imbalance() -> None:
    drawn = [all_to_all.draw_placement(i, 4, 0) for i in range(400)]
    assert (
        drawn[7]
        == all_to_all.draw_placement(7, 4, 0)
        != all_to_all.draw_placement(7, 4, 1)
    )
    assert {p.tables for p in drawn} == set(range(10, 60))
    assert all(min(p.start_ms) == 0 and max(p.start_ms) <= 18 for p in drawn)
    assert all(10 * DIMS[0] <= sum(p.dims) <= p.tables * DIMS[-1] for p in drawn)
    skew = [max(p.dims) * 4 / sum(p.dims) for p in drawn]
    assert min(skew) < 1.05
    assert max(skew) > 1.8


def test_what_one_rank_sends_another_receives() -> None:
    dims, batch = (64, 8, 0, 24), 4_096
    splits = [all_to_all.forward_splits(r, dims, batch) for r in range(4)]
    for sender in range(4):
        for receiver in range(4):
            assert (
                splits[sender][0][receiver]
                == splits[receiver][1][sender]
                == batch // 4 * dims[sender]
            )
    assert sum(splits[0][1]) == batch // 4 * sum(dims)  # its samples, all columns


def test_two_ranks_exchange_and_the_early_one_waits(tmp_path: Path) -> None:
    out = tmp_path / "exchange.jsonl"
    assert all_to_all.collect(out, OPTIONS, to_stderr) == 2
    assert all_to_all.collect(out, replace(OPTIONS, samples=1), to_stderr) == 0
    header, *lines = map(json.loads, out.read_text().splitlines())
    assert header["protocol"]["backend"] == "gloo"
    assert [line["index"] for line in lines] == [0, 1]
    for line in lines:
        drawn = all_to_all.draw_placement(line["index"], 2, 0)
        assert (line["dims"], line["start_ms"]) == (
            list(drawn.dims),
            list(drawn.start_ms),
        )
        assert min(line["forward_ms"] + line["backward_ms"]) > 0
        late = max(line["start_ms"])
        early = line["start_ms"].index(0)
        # It cannot end before the late rank has begun.
        assert line["forward_ms"][early] > late * 0.5


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"ranks": 1}, "--ranks: expected"),
        ({"ranks": 3}, "multiple of the 3 ranks, got 64"),
        ({"repeats": 0}, "--repeats: expected"),
        ({"device": "tpu"}, "expected cpu or cuda, got 'tpu'"),
    ],
)
def test_absurd_options_are_refused(bad: dict[str, int], says: str) -> None:
    with pytest.raises(CollectError, match=says):
        replace(OPTIONS, **bad)  # type: ignore[arg-type]


def test_progress_reports_every_two_seconds_only() -> None:
    now, reports = [0.0], list[str]()
    progress = Progress(total=10, done=2, say=reports.append, clock=lambda: now[0])
    for now[0] in (0.5, 1.9, 2.0, 2.1, 4.1):
        progress.tick("set 3")
        progress.done += 1
    assert reports == [
        "4/10 samples, 2 s, about 6 s left; set 3",
        "6/10 samples, 4 s, about 4 s left; set 3",
    ]
