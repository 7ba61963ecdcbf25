"""Target `ilp` of the kind `learn`: what it reads, refuses, fits and measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from search.domains.learn.parse import parse  # noqa: E402
from search.domains.learn.types import Instance, Point, Source  # noqa: E402
from search.model_files import parse_model  # noqa: E402
from search.types import InvalidInput  # noqa: E402
from trimtab.specs.common import ArtifactRef  # noqa: E402
from trimtab.specs.learn import LearnSpec, Target  # noqa: E402
from workers.corpus.mixed_programs import generate  # noqa: E402
from workers.corpus.mps import write_mps  # noqa: E402
from workers.learn.ilp import IlpLearner  # noqa: E402
from workers.learn.table import learners  # noqa: E402


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


def test_it_fits_to_files_and_measures_both_models(tmp_path: Path) -> None:
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

    with pytest.raises(InvalidInput, match=r"instances: broken\.mps: "):
        read(broken)
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
