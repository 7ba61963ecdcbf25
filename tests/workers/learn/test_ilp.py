"""Target `ilp` of the kind `learn`: what it reads, refuses, fits and measures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from search.domains.learn.parse import parse  # noqa: E402
from search.domains.learn.types import (  # noqa: E402
    Instance,
    NothingFitted,
    Point,
    Source,
)
from search.model_files import parse_model  # noqa: E402
from search.types import InvalidInput  # noqa: E402
from trimtab.specs.common import ArtifactRef  # noqa: E402
from trimtab.specs.learn import LearnSpec, Target  # noqa: E402
from workers.corpus.mixed_programs import generate  # noqa: E402
from workers.corpus.mps import write_mps  # noqa: E402
from workers.learn.ilp import IlpLearner  # noqa: E402
from workers.learn.table import learners  # noqa: E402
from workers.train.ilp import fitting  # noqa: E402


@dataclass(kw_only=True)
class Run:
    """A `FitRun` without a kind around it."""

    folder: Path
    workdir: Path
    seconds: float
    seed: int = 0
    points: list[Point] = field(default_factory=list)
    saved: int = 0
    ends: Callable[[], bool] = lambda: False

    def stop(self) -> bool:
        return self.ends()

    def remaining_s(self) -> float:
        return self.seconds

    def report(self, point: Point) -> None:
        self.points.append(point)

    def save(self) -> None:
        self.saved += 1


def run_of(folder: Path, seconds: float) -> Run:
    for name in ("state", "work"):
        (folder / name).mkdir()
    return Run(folder=folder / "state", workdir=folder / "work", seconds=seconds)


def sources(folder: Path, count: int) -> list[Source]:
    listed = []
    for seed in range(1, count + 1):
        path = folder / f"night-{seed}.mps"
        write_mps(generate("lot-sizing", seed, size="tiny", regime="recurring"), path)
        listed.append(Source(name=path.name, path=path))
    return listed


def test_it_fits_to_files_and_measures_both_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine without company: the clock goes as fast as the processor.
    quiet = SimpleNamespace(process_time=time.process_time, monotonic=time.process_time)
    monkeypatch.setattr(fitting, "time", quiet)
    learner = IlpLearner()
    listed = learner.prepare(sources(tmp_path, 4), None, tmp_path)
    assert len({instance.key for instance in listed}) == 4
    run = run_of(tmp_path, 6.0)
    fitted = learner.fit(listed[:3], run, None)
    assert run.saved == 3
    assert run.points
    assert "recall" in fitted.notes[0]
    model = parse_model(fitted.path.read_bytes(), id_="mdl", target="ilp")
    assert model.scope["columns"] == [152, 152]
    values = [
        learner.evaluate(listed[3], chosen, seed=0, limit_s=1.5)
        for chosen in (None, model)
    ]
    assert all(0 < value <= 1 for value in values)


def test_bad_files_end_clearly(tmp_path: Path) -> None:
    learner = IlpLearner()
    broken, small = tmp_path / "broken.mps", tmp_path / "small.lp"
    broken.write_text("ROWS\n N cost\nCOLUMNS\n x0 cost one\n")
    small.write_text("Minimize\n x + y\nSubject To\n x + y >= 1\nBinaries\n x y\nEnd\n")

    def read(path: Path) -> list[Instance]:
        source = Source(name=path.name, path=path)
        return learner.prepare([source], None, tmp_path)

    with pytest.raises(InvalidInput, match=r"instances: broken\.mps: line 4: "):
        read(broken)
    tables = tmp_path / "tables.csv"
    tables.write_text("name,rows,dim\n")
    with pytest.raises(
        InvalidInput,
        match=r"tables\.csv: expected model files alone \(\.mps.*leave it out",
    ):
        read(tables)
    with pytest.raises(
        InvalidInput,
        match=r"instances: small\.lp: expected at least 20 integer variables",
    ):
        read(small)
    reference = ArtifactRef(digest="sha256:" + "0" * 64, name="small.lp")
    spec = LearnSpec(target=Target.ILP, instances=(reference,), measured=reference)
    with pytest.raises(InvalidInput, match="measured: expected none for ilp"):
        parse(spec, {"instances.0": small, "measured": small}, tmp_path, learners())


def test_instances_without_improvements_end_clearly(tmp_path: Path) -> None:
    learner = IlpLearner()
    listed = learner.prepare(sources(tmp_path, 1), None, tmp_path)
    with pytest.raises(InvalidInput, match="give more time or harder instances"):
        learner.fit(listed, run_of(tmp_path, 2.0), None)


def test_a_fit_that_ended_too_early_blames_the_time_and_not_the_instances(
    tmp_path: Path,
) -> None:
    learner = IlpLearner()
    listed = learner.prepare(sources(tmp_path, 3), None, tmp_path)
    run = run_of(tmp_path, 2.0)
    run.ends = lambda: True
    with pytest.raises(NothingFitted, match="0 of 3 instances to fit were searched"):
        learner.fit(listed, run, None)


def test_beside_other_work_every_instance_is_searched_and_time_to_train_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used_s, least_s, given = 0.0, 0.0, []

    def collect(model: object, seconds: float, **_: object) -> list[object]:
        nonlocal used_s
        used_s += seconds
        given.append(seconds)
        return [] if seconds < least_s else [None]

    # The clock goes four times as fast as the processor.
    busy = SimpleNamespace(process_time=lambda: used_s, monotonic=lambda: 4 * used_s)
    monkeypatch.setattr(fitting, "time", busy)
    monkeypatch.setattr(fitting, "collect", collect)
    monkeypatch.setattr(fitting, "save", lambda states, path: None)
    models = [generate("lot-sizing", seed, size="tiny") for seed in range(8)]

    def fit(**more: float) -> list[float]:
        given.clear()
        with pytest.raises(fitting.CannotFit):
            fitting.fit(
                models,
                seconds=200.0,
                folder=tmp_path,
                progress=lambda at: None,
                **{"seed": 0, **more},
            )
        return given

    assert fit() == pytest.approx([200 * 0.7 / 8] * 8)
    shares = fit(clock_s=200.0)
    assert len(shares) == 8
    assert 4 * sum(shares) == pytest.approx(0.7 * 200)
    assert max(shares) / min(shares) < 2.5

    # Where that is too short to find anything, fewer instances get more each.
    least_s = 30.0
    assert [seconds >= least_s for seconds in fit(seed=1)] == [
        *(False, True, True, True),
        False,  # what was left
    ]
