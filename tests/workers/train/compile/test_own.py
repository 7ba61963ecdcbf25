"""Coreset of one's own modules: better than the shipped on them, replayed, stopped, refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from search.domains.compile.search.coreset import load_coreset
from search.domains.compile.search.fitted import read_document
from solvers.llvm.frontend import Control, SourceTree, compile_to_bitcode
from solvers.llvm.types import Metric, Target
from workers.bench.compile.own import gain, halves
from workers.train.compile.own import (
    MiningLimits,
    MiningProgress,
    mine_own,
    read_modules,
)
from workers.train.compile.replay import MeasurementLog, OwnModule

METRIC = Metric.LOADABLE_BYTES
LIMITS = MiningLimits(evaluations=110, count=4)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> list[OwnModule]:
    """Three small programs that differ in a constant and in what they compute."""
    folder = tmp_path_factory.mktemp("own")
    made = []
    for number, body in enumerate(
        ("h = h * 31 + i", "h ^= i << (i & 7)", "h += a[i % 4]")
    ):
        source = folder / f"m{number}.c"
        source.write_text(
            f"unsigned f{number}(const unsigned *a, unsigned n) {{\n"
            f"  unsigned h = {number + 3};\n"
            "  for (unsigned i = 0; i < n; i++)\n"
            f"    if (i % 3 == 1) {body}; else h += a[i & 3];\n"
            "  return h;\n}\n"
        )
        (bitcode,) = compile_to_bitcode(
            [source],
            workdir=folder,
            target=Target(),
            tree=SourceTree(),
            control=Control(timeout_s=60.0),
        )
        made.append(OwnModule(name=source.name, bitcode=bitcode))
    return made


@pytest.fixture(scope="module")
def mined(
    modules: list[OwnModule], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, object], list[MiningProgress]]:
    """Folder of a run on the modules, its document, and its progress."""
    folder, steps = tmp_path_factory.mktemp("mined"), list[MiningProgress]()
    coreset = mine_own(
        modules, folder, metric=METRIC, seed=1, limits=LIMITS, report=steps.append
    )
    return folder, coreset.as_json(), steps


def test_no_worse_than_the_shipped_first_on_its_own_modules(
    mined: tuple[Path, dict[str, object], list[MiningProgress]],
) -> None:
    _, document, steps = mined
    saved = document["saved"]
    assert isinstance(saved, dict)
    assert saved["best_of_first"][0] >= saved["shipped_first"]
    assert saved["best_of_first"] == sorted(saved["best_of_first"])
    assert steps[0].stage == "shipped"
    assert [step.evaluations for step in steps] == sorted(s.evaluations for s in steps)
    metric, candidates = read_document(json.loads(json.dumps(document)))
    assert metric is METRIC
    assert len(candidates) <= LIMITS.count


def test_a_rerun_replays_every_size_and_ends_equal(
    modules: list[OwnModule],
    mined: tuple[Path, dict[str, object], list[MiningProgress]],
) -> None:
    folder, document, _ = mined
    known = len(MeasurementLog(folder))
    # Written half when the run was killed.
    with (folder / "measured.jsonl").open("a") as log:
        log.write('["llvm","0123')
    again = mine_own(modules[::-1], folder, metric=METRIC, seed=1, limits=LIMITS)
    assert again.as_json() == document
    assert len(MeasurementLog(folder)) == known


def test_a_stopped_run_returns_the_best_so_far(
    modules: list[OwnModule], tmp_path: Path
) -> None:
    calls = iter(range(10_000))
    limits = MiningLimits(evaluations=4000, stopped=lambda: next(calls) >= 20)
    coreset = mine_own(modules, tmp_path, metric=METRIC, seed=0, limits=limits)
    assert coreset.evaluations <= 20
    assert coreset.candidates
    shipped = {candidate.digest for candidate in load_coreset(METRIC)}
    assert {candidate.digest for candidate in coreset.candidates} <= shipped
    assert any("stopped" in note for note in coreset.notes)


def test_modules_that_cannot_be_mined_are_refused(
    modules: list[OwnModule], tmp_path: Path
) -> None:
    broken = OwnModule(name="broken.bc", bitcode=b"BC\xc0\xdenot bitcode")
    with pytest.raises(ValueError, match=r"modules: expected at least 2 .* broken\.bc"):
        mine_own([modules[0], broken], tmp_path, metric=METRIC, seed=0, limits=LIMITS)
    with pytest.raises(ValueError, match="expected a readable file"):
        read_modules([tmp_path / "missing.bc"])
    with pytest.raises(ValueError, match="evaluations: expected a positive number"):
        MiningLimits(evaluations=0)
    with pytest.raises(ValueError, match="format: expected"):
        read_document({"format": "else"})


def test_halves_share_no_module_and_keep_all() -> None:
    own = [OwnModule(name=str(i), bitcode=bytes([i])) for i in range(7)]
    fit, held_out = halves(own, seed=3)
    assert (len(fit), len(held_out)) == (4, 3)
    assert {m.name for m in fit} | {m.name for m in held_out} == {m.name for m in own}
    assert halves(own[::-1], seed=3) == (fit, held_out)


def test_gain_is_paired() -> None:
    rows = [[str(i), 0.05 * i, 0.05 * i + 0.02] for i in range(6)]
    middle, low, high = gain({"held_out": rows})
    assert np.allclose([middle, low, high], 2.0)
