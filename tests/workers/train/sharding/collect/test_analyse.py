"""Analysis of measured costs: synthetic costs with known errors, and the stored profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workers.train.sharding.cli import main
from workers.train.sharding.collect import analyse, journal
from workers.train.sharding.collect.errors import CollectError
from workers.train.sharding.collect.random_sets import (
    DrawLimits,
    TableConfig,
    draw_pool,
    draw_set,
)

LIMITS = DrawLimits(seed=1, batch=512, pool=12, max_rows=10_000, max_pooling=9, max_gib=4)
STORED = (
    Path(__file__).parents[5] / "deploy/docs/measured/results/2026-11-23-tbe-cpu.jsonl"
)


def _file(noise: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return costs that are exactly linear in the four amounts, times noise.

    They are additive, except for 0.3 ms once per op.
    """
    rng = np.random.default_rng(0)
    pool = draw_pool(LIMITS)
    header: dict[str, Any] = {
        "kind": "run",
        "format": analyse.FORMAT,
        "pool": [t.as_row() for t in pool],
        "draw": {"batch": LIMITS.batch},
    }

    def line(kind: str, index: int, places: list[int], builds: int) -> dict[str, Any]:
        rows = [[i, int(512 * pool[i].pooling), 40 + i] for i in places]
        exact = 0.3
        for i, lookups, unique in rows:
            exact += (
                1e-6 * 4 * pool[i].dim * (lookups + 2 * unique)
                + 1e-4 * lookups
                + 1e-6 * 512 * pool[i].dim
            )
        times = exact * (1 + noise * rng.standard_normal((2, builds)))
        return {
            "kind": kind,
            "index": index,
            "tables": rows,
            "forward_ms": times[0].tolist(),
            "backward_ms": (2 * times[1]).tolist(),
        }

    sets = [draw_set(pool, i, LIMITS) for i in range(100)]
    lines = [line("set", i, places, 3) for i, places in enumerate(sets)]
    lines += [line("single", i, [i], 3) for i in range(12)]
    return header, lines + [line("noise", i, sets[i], 60) for i in range(20)]


def _parts(header: dict[str, Any], lines: list[dict[str, Any]]) -> dict[str, list[float]]:
    rows = analyse.report(header, lines, seed=0).splitlines()[2:]
    return {
        row[:44].strip(): [float(v.rstrip("%")) for v in row[44:].split()] for row in rows
    }


def test_exact_costs_have_no_noise_and_no_error() -> None:
    parts = _parts(*_file(0))
    assert parts["noise: CV of one build (20 samples)"] == [0, 0, 0]
    assert parts["noise: set against its repetition"] == [0, 0, 0]
    assert parts["MAPE: linear in four amounts"] == [0, 0, 0]
    # The 0.3 ms of the op are counted for each table.
    assert min(parts["MAPE: sum of measured singles"]) > 1
    assert min(parts["MAPE: a constant"]) > 30


def test_a_slow_stretch_is_detected() -> None:
    header, lines = _file(0)
    assert _parts(header, lines)["drift: slowest 20 sets in a row"] == [0, 0, 0]
    slow = [
        li | {"forward_ms": [3 * t for t in li["forward_ms"]]}
        if li["kind"] == "set" and 40 <= li["index"] < 60
        else li
        for li in lines
    ]
    forward, backward, total = _parts(header, slow)["drift: slowest 20 sets in a row"]
    assert forward == pytest.approx(200, rel=0.35)
    assert backward == 0
    assert 0 < total < forward


def test_noise_is_estimated_correctly() -> None:
    parts = _parts(*_file(0.1))
    one, median = (
        parts["noise: CV of one build (20 samples)"],
        parts["noise: CV of a median of 3 builds"],
    )
    assert one[0] == pytest.approx(10, abs=1)
    assert median[0] == pytest.approx(6.7, abs=1)  # a median of three normals
    # Forward and twice that backward, independent.
    assert one[2] == pytest.approx(10 * 5**0.5 / 3, abs=1)
    assert parts["MAPE: linear in four amounts"][0] == pytest.approx(6, abs=2.5)


def test_the_stored_profile_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    header, lines = journal.read(STORED)
    kinds = [line["kind"] for line in lines]
    assert (kinds.count("set"), kinds.count("single"), kinds.count("noise")) == (
        166,
        40,
        10,
    )
    assert draw_pool(DrawLimits(**header["draw"])) == [
        TableConfig.of_row(row) for row in header["pool"]
    ]
    assert main(["analyse", str(STORED)]) == 0
    output = capsys.readouterr().out
    for model in ("sum of measured singles", "linear in four amounts", "CV of one build"):
        assert model in output


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tables": []}, "expected tables"),
        ({"tables": [[99, 1, 1]]}, "in the pool"),
        ({"forward_ms": [1.0, -1.0, 1.0]}, "positive times"),
        ({"backward_ms": [1.0]}, "not a file of collect-tbe"),
        ({"index": None}, "not a file of collect-tbe"),
    ],
)
def test_broken_samples_are_refused(change: dict[str, Any], says: str) -> None:
    header, lines = _file(0)
    with pytest.raises(CollectError, match=says):
        analyse.report(header, [lines[0] | change, *lines[1:]], seed=0)


def test_other_files_and_few_sets_are_refused() -> None:
    header, lines = _file(0)
    with pytest.raises(CollectError, match="format: expected"):
        analyse.report(header | {"format": "other"}, lines, seed=0)
    with pytest.raises(CollectError, match="at least 20 sets, got 5"):
        analyse.report(header, lines[:5], seed=0)
