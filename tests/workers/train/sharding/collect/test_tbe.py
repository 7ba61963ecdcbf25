"""Fused look-up: order, resumption, real FBGEMM on the CPU, and pure parts of the CUDA path."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
# It warns of each experimental op that its build for the CPU does not have.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("fbgemm_gpu.split_table_batched_embeddings_ops_training")

from workers.train.sharding.cli import main  # noqa: E402
from workers.train.sharding.collect import tbe  # noqa: E402
from workers.train.sharding.collect.errors import CollectError  # noqa: E402
from workers.train.sharding.collect.random_sets import (  # noqa: E402
    DrawLimits,
    Lookups,
    TableConfig,
    draw_lookups,
    draw_pool,
)
from workers.train.sharding.collect.stopwatch import CpuStopwatch, flush_bytes  # noqa: E402

LIMITS = DrawLimits(seed=1, batch=32, pool=6, max_rows=2_000, max_pooling=4, max_gib=0.1)
PROTOCOL = tbe.Protocol(
    device="cpu",
    threads=1,
    warm_ups=1,
    repeats=3,
    rebuilds=2,
    noise_rebuilds=3,
    interleave=4,
)
AMOUNTS = tbe.Amounts(sets=5, singles=2, noise=1)


def _quiet(text: str) -> None:
    del text


def test_the_op_pools_sums_and_updates_by_sgd() -> None:
    tables = [
        TableConfig(rows=1_000, dim=4, pooling=3, alpha=1, active_rows=20),
        TableConfig(rows=1_500, dim=8, pooling=2, alpha=0, active_rows=1_500),
    ]
    lookups = draw_lookups(tables, [0, 1], LIMITS)
    op = tbe.build(tables, torch.device("cpu"))
    out = op(torch.from_numpy(lookups.indices), torch.from_numpy(lookups.offsets))
    lengths = np.diff(lookups.offsets).reshape(2, 32)
    pooled = (
        np.hstack(
            [np.repeat(lengths[[k]].T, t.dim, axis=1) for k, t in enumerate(tables)]
        )
        * tbe.WEIGHT
    )
    np.testing.assert_allclose(out.detach().numpy(), pooled, rtol=1e-5)
    out.backward(torch.full_like(out, tbe.GRADIENT))
    looked_up = np.bincount(lookups.indices[: lookups.counts[0]], minlength=1_000)
    after = op.split_embedding_weights()[0].numpy()
    np.testing.assert_allclose(
        after,
        np.repeat(
            (tbe.WEIGHT - tbe.LEARNING_RATE * tbe.GRADIENT * looked_up)[:, None],
            4,
            axis=1,
        ),
        rtol=1e-5,
    )


class CountingWatch:
    """Says 1 ms more for each measurement."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.flush_bytes = 0
        self.log: list[str] = []

    def flush(self) -> None:
        self.log.append("flush")

    def time_ms(self, work: Callable[[], Any]) -> tuple[float, Any]:
        self.log.append("time")
        return float(self.log.count("time")), work()


def test_each_measurement_is_flushed_and_warm_ups_do_not_count() -> None:
    tables = [TableConfig(rows=1_000, dim=4, pooling=3, alpha=1, active_rows=20)]
    watch = CountingWatch()
    got = tbe.time_one_build(
        tables, draw_lookups(tables, [0], LIMITS), 32, PROTOCOL, watch
    )
    # (1 warm-up + 3 repeats) x forward and backward
    assert watch.log == ["flush", "time"] * 8
    assert got == (5.0, 6.0)  # medians of 3, 5, 7 and 4, 6, 8


def test_a_file_has_what_a_repetition_needs(tmp_path: Path) -> None:
    out = tmp_path / "costs.jsonl"
    assert tbe.collect(out, LIMITS, PROTOCOL, AMOUNTS, _quiet) == 8
    header, *lines = map(json.loads, out.read_text().splitlines())
    pool = draw_pool(LIMITS)
    assert [TableConfig.of_row(row) for row in header["pool"]] == pool
    assert DrawLimits(**header["draw"]) == LIMITS
    assert header["protocol"]["flush_bytes"] == 0
    assert header["versions"]["torch"] == torch.__version__
    assert sorted((line["kind"], line["index"]) for line in lines) == sorted(
        [("single", i) for i in range(2)]
        + [("set", i) for i in range(5)]
        + [("noise", 0)]
    )
    for line in lines:
        places = [row[0] for row in line["tables"]]
        batch = draw_lookups([pool[i] for i in places], places, LIMITS)
        assert [row[1:] for row in line["tables"]] == [
            list(r) for r in zip(batch.counts, batch.unique, strict=True)
        ]
        builds = 3 if line["kind"] == "noise" else 2
        assert len(line["forward_ms"]) == len(line["backward_ms"]) == builds
        assert min(line["forward_ms"] + line["backward_ms"]) > 0
    first, repeated = (
        next(li for li in lines if (li["kind"], li["index"]) == (k, 0))
        for k in ("set", "noise")
    )
    assert first["tables"] == repeated["tables"]


def test_a_killed_run_resumes_and_measures_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "costs.jsonl"
    tbe.collect(out, LIMITS, PROTOCOL, AMOUNTS, _quiet)
    whole = out.read_bytes()
    out.write_bytes(whole[: whole.index(b"\n", len(whole) // 2) - 7])
    complete = out.read_bytes().rsplit(b"\n", 1)[0].splitlines()
    built = []

    def time_one_build(
        tables: list[TableConfig], lookups: Lookups, *rest: object
    ) -> tuple[float, float]:
        built.append(tables)
        return 1.0, 2.0

    monkeypatch.setattr(tbe, "time_one_build", time_one_build)
    added = tbe.collect(out, LIMITS, PROTOCOL, AMOUNTS, _quiet)
    lines = out.read_bytes().splitlines()
    assert lines[: len(complete)] == complete
    assert added == len(lines) - len(complete) > 0
    names = [(line["kind"], line["index"]) for line in map(json.loads, lines[1:])]
    assert len(set(names)) == len(names) == 8
    assert tbe.collect(out, LIMITS, PROTOCOL, AMOUNTS, _quiet) == 0
    assert tbe.collect(out, LIMITS, PROTOCOL, replace(AMOUNTS, sets=6), _quiet) == 1


def test_a_longer_run_begins_as_the_shorter_one() -> None:
    few, many = (
        tbe.work(tbe.Amounts(sets=n, singles=3, noise=2), seed=0) for n in (10, 100)
    )
    assert [i for i in many if i in set(few)] == few
    assert {i.kind for i in few[-2:]} == {"noise"}
    assert [i.index for i in few if i.kind == "set"] != list(range(10))


def test_rebuilds_of_several_samples_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []

    def time_one_build(
        tables: list[TableConfig], lookups: Lookups, *rest: object
    ) -> tuple[float, float]:
        built.append(len(lookups.indices))
        return 1.0, 1.0

    monkeypatch.setattr(tbe, "time_one_build", time_one_build)
    tbe.collect(
        tmp_path / "costs.jsonl",
        LIMITS,
        PROTOCOL,
        tbe.Amounts(sets=4, singles=0, noise=0),
        _quiet,
    )
    assert len(built) == 8
    assert sorted(built[:4]) == sorted(built[4:])
    assert len(set(built[:4])) == 4


@pytest.mark.skipif(
    torch.cuda.is_available(), reason="says what is missing where there is no GPU"
)
def test_without_a_gpu_the_command_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = [
        "--device",
        "cuda",
        "--samples",
        "1",
        "--out",
        str(tmp_path / "costs.jsonl"),
    ]
    assert main(["collect-tbe", *common]) == 2
    assert "sees no GPU here" in capsys.readouterr().err
    assert main(["collect-all-to-all", *common]) == 2
    assert "sees no GPU here" in capsys.readouterr().err
    assert not (tmp_path / "costs.jsonl").exists()


def test_the_flushed_buffer_is_larger_than_any_l2() -> None:
    assert flush_bytes(SimpleNamespace(L2_cache_size=50 * 2**20)) == 256 * 2**20
    assert flush_bytes(SimpleNamespace(L2_cache_size=256 * 2**20)) == 2**30
    assert flush_bytes(SimpleNamespace()) == 256 * 2**20


def test_the_cpu_watch_gives_the_result_and_a_time() -> None:
    took, result = CpuStopwatch().time_ms(lambda: sum(range(100_000)))
    assert result == 4_999_950_000
    assert 0 < took < 10_000


@pytest.mark.parametrize(
    "bad", [{"repeats": 0}, {"threads": 0}, {"noise_rebuilds": 1}, {"interleave": 1_000}]
)
def test_absurd_protocols_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(CollectError, match="expected a number from"):
        replace(PROTOCOL, **bad)  # type: ignore[arg-type]


def test_noise_without_its_sets_is_refused() -> None:
    with pytest.raises(CollectError, match="at most the 2 of --samples, got 3"):
        tbe.Amounts(sets=2, singles=0, noise=3)
