"""Kind `learn` by the contract of all kinds, and its own promises, with the sharding learner."""

from __future__ import annotations

import dataclasses
import json
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from search import checkpoint, pipeline
from search.domains.learn import build
from search.domains.learn.state import LearnState
from search.domains.learn.types import Fitted, NothingFitted
from search.finish import CannotFinish, DeadRun, finish
from search.kinds import KINDS
from search.stop import from_budget
from search.types import InvalidInput
from tests.contracts.domain import DomainContract
from trimtab.cards import Card, Decision
from trimtab.results import Incumbent, Reason, Termination
from trimtab.specs.common import ArtifactRef, Spec
from trimtab.specs.learn import LearnSpec, ShardingLearnOptions, Target
from workers.bench.learn.simulated_file import write_measured
from workers.learn.sharding import ShardingLearner
from workers.learn.table import learners

OPTIONS = ShardingLearnOptions(steps=50)


def reference(name: str, digit: str = "0") -> ArtifactRef:
    return ArtifactRef(digest="sha256:" + digit * 64, name=name)


def spec_of(**fields: Any) -> LearnSpec:
    return LearnSpec(target=Target.SHARDING, sharding=OPTIONS, **fields)


def run(
    spec: LearnSpec, inputs: Mapping[str, Path], workdir: Path, **more: Any
) -> pipeline.Finished:
    workdir.mkdir(exist_ok=True)
    more.setdefault("stop", from_budget({"seconds": 60.0}, threading.Event()))
    return pipeline.run(
        build(learners()), spec, inputs=inputs, workdir=workdir, seed=1, **more
    )


class TestLearn(DomainContract):
    kind = KINDS["learn"]

    def domain(self) -> Any:
        return build(learners())

    def good(self, folder: Path) -> tuple[Spec, Mapping[str, Path]]:
        path = write_measured(folder / "slow.jsonl")
        return spec_of(instances=(reference("slow.jsonl"),)), {"instances.0": path}

    def bad(self, folder: Path) -> tuple[Spec, Mapping[str, Path]]:
        path = folder / "tables.csv"
        path.write_text("name,rows,dim\n")
        return spec_of(instances=(reference("tables.csv"),)), {"instances.0": path}

    def tampered(self, solution: Any) -> Any:
        return dataclasses.replace(
            solution, card={**solution.card, "decision": "adopted", "seed": 5}
        )

    def test_reported_solutions_outlive_their_process(self, tmp_path: Path) -> None:
        """A checkpoint without a card is continued; finished, it leaves nothing to adopt."""
        spec, inputs = self.good(tmp_path)
        _, packed = self.checkpoints(tmp_path)
        for number, data in enumerate((packed[0], packed[-1])):
            workdir = tmp_path / f"second-{number}"
            workdir.mkdir()
            dead = DeadRun(
                termination=Termination(reason=Reason.WORKER_LOST, detail="killed"),
                checkpoint=data,
                budget_s=30.0,
            )

            def finished(workdir: Path = workdir, dead: DeadRun = dead) -> Any:
                return finish(
                    self.domain(), spec, inputs=inputs, workdir=workdir, seed=1, dead=dead
                )

            if number == 0:
                with pytest.raises(CannotFinish, match="before its card was computed"):
                    finished()
            else:
                assert finished().result.summary["decision"] == "adopted"


def test_a_run_that_is_killed_while_fitting_ends_with_the_same_model(
    tmp_path: Path,
) -> None:
    path = write_measured(tmp_path / "slow.jsonl")
    spec, inputs = spec_of(instances=(reference("slow.jsonl"),)), {"instances.0": path}
    packed: list[bytes] = []
    whole = run(
        spec,
        inputs,
        tmp_path / "whole",
        callbacks=pipeline.Callbacks(on_checkpoint=lambda dump: packed.append(dump())),
    )
    first = LearnState.from_bytes(checkpoint.unpack(packed[0], kind="learn").solution)
    assert first.model is None
    assert first.files
    again = run(spec, inputs, tmp_path / "again", start=packed[0])
    cards = [
        json.loads((tmp_path / name / "card.json").read_text())
        for name in ("whole", "again")
    ]
    assert cards[0]["model_sha256"] == cards[1]["model_sha256"]
    assert cards[0]["rows"] == cards[1]["rows"]
    assert whole.result.objective == again.result.objective


def test_the_card_says_what_was_measured(tmp_path: Path) -> None:
    path = write_measured(tmp_path / "slow.jsonl")
    seen: list[Incumbent] = []
    finished = run(
        spec_of(instances=(reference("slow.jsonl"),)),
        {"instances.0": path},
        tmp_path / "run",
        callbacks=pipeline.Callbacks(on_incumbent=seen.append),
    )
    card = Card.model_validate_json((tmp_path / "run" / "card.json").read_bytes())
    assert card.decision is Decision.ADOPTED
    assert card.sizes.fit + card.sizes.held_out == card.sizes.instances
    assert card.difference.high < 0
    assert card.curve
    assert finished.result.alts["card.svg"].startswith("Mean absolute percentage error")
    assert "<svg" in (tmp_path / "run" / "card.svg").read_text()
    assert any(point.pictures for point in seen)


def test_instances_may_come_as_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for seed in (1, 2):
            part = write_measured(tmp_path / f"{seed}.jsonl", sets=25, seed=seed)
            file.write(part, part.name)
    finished = run(
        spec_of(archive=reference("all.zip")), {"archive": archive}, tmp_path / "run"
    )
    assert finished.result.summary["instances"]["instances"] == 50


def test_a_file_that_is_no_archive_is_an_instance(tmp_path: Path) -> None:
    path = write_measured(tmp_path / "slow.jsonl")
    finished = run(
        spec_of(archive=reference("slow.jsonl")), {"archive": path}, tmp_path / "run"
    )
    assert finished.result.summary["decision"] == "adopted"


def test_a_run_without_time_for_the_card_has_no_model(tmp_path: Path) -> None:
    path = write_measured(tmp_path / "slow.jsonl")
    event = threading.Event()
    event.set()
    finished = run(
        spec_of(instances=(reference("slow.jsonl"),)),
        {"instances.0": path},
        tmp_path / "run",
        stop=from_budget({"seconds": 60.0}, event),
    )
    termination = finished.result.termination
    assert termination.reason is Reason.NO_SOLUTION_FOUND
    assert "the card cannot be computed, so no model is adopted" in termination.detail
    assert not finished.produced


def test_a_learner_that_ended_too_early_has_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's stop while fitting, or a short budget, are no fault of the instances."""

    def fit(*args: object) -> Fitted:
        raise NothingFitted("0 of 7 instances were searched")

    monkeypatch.setattr(ShardingLearner, "fit", fit)
    path = write_measured(tmp_path / "slow.jsonl")
    finished = run(
        spec_of(instances=(reference("slow.jsonl"),)),
        {"instances.0": path},
        tmp_path / "run",
    )
    termination = finished.result.termination
    assert termination.reason is Reason.NO_SOLUTION_FOUND
    assert "no model is adopted: 0 of 7 instances were searched" in termination.detail
    assert not finished.produced


BAD = {
    "too few": "expected at least 40 different ones for sharding, got 12",
    "mixed devices": "b.jsonl: expected measurements of one device with one batch, got another "
    "device than in a.jsonl",
    "contradiction": "expected labels of one instance that agree, got",
    "another kind": "model.mps: .*expected JSON",
    "labels": "measured: expected none for sharding",
    "bomb": "decompression bomb",
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_ends_clearly(fault: str, tmp_path: Path) -> None:
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    fields: dict[str, Any] = {
        "instances": (reference("a.jsonl"), reference("b.jsonl", "1"))
    }
    inputs = {"instances.0": a, "instances.1": b}
    match fault:
        case "too few":
            write_measured(a, sets=12)
            b.write_text(a.read_text())
        case "mixed devices":
            write_measured(a)
            write_measured(b, machine="another")
        case "contradiction":
            write_measured(a)
            write_measured(b, factor=7.0)
        case "another kind":
            write_measured(a)
            b.write_text("NAME x\nROWS\n N obj\nENDATA\n")
            fields["instances"] = (reference("a.jsonl"), reference("model.mps", "1"))
        case "labels":
            write_measured(a)
            write_measured(b, seed=8)
            fields["measured"] = reference("labels.csv", "2")
            inputs["measured"] = a
        case "bomb":
            with zipfile.ZipFile(a, "w", zipfile.ZIP_DEFLATED) as file:
                file.writestr("zeros.jsonl", b"\0" * 40_000_000)
            fields = {"archive": reference("a.zip")}
            inputs = {"archive": a}
    with pytest.raises(InvalidInput, match=BAD[fault]):
        run(spec_of(**fields), inputs, tmp_path / "run")


def test_a_target_that_this_server_cannot_fit_is_named(tmp_path: Path) -> None:
    path = write_measured(tmp_path / "slow.jsonl")
    with pytest.raises(
        InvalidInput, match=r"expected one that this server can fit \(none\)"
    ):
        pipeline.run(
            build({}),
            spec_of(instances=(reference("slow.jsonl"),)),
            inputs={"instances.0": path},
            workdir=tmp_path,
            stop=from_budget({"seconds": 10.0}, threading.Event()),
            seed=1,
        )
