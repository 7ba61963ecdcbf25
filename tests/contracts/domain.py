"""Contract of a kind of job. Subclass it with a small example (deploy/docs/changing.md)."""

from __future__ import annotations

import importlib
import random
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from search import checkpoint, pipeline
from search.finish import DeadRun, finish
from search.kinds import Kind
from search.pipeline import Finished
from search.stop import from_budget
from search.types import InvalidInput
from trimtab.results import (
    Incumbent,
    Limit,
    Reason,
    RunResult,
    Termination,
    VerificationStatus,
)
from trimtab.specs.common import Spec, request_model


class DomainContract:
    """Give `kind`, `good()` and `bad()`; the rest is checked for you."""

    kind: ClassVar[Kind]
    budget: ClassVar[Mapping[str, Any]] = {"seconds": 20.0}

    def good(self, folder: Path) -> tuple[Spec, Mapping[str, Path]]:
        """A small spec that has a solution, and its input files."""
        raise NotImplementedError

    def bad(self, folder: Path) -> tuple[Spec, Mapping[str, Path]]:
        """A spec that passes its model but makes no sense."""
        raise NotImplementedError

    def tampered(self, solution: Any) -> Any:
        """The solution, changed so that it is no longer one."""
        raise NotImplementedError

    def domain(self) -> Any:
        module, _, function = self.kind.builder.partition(":")
        return getattr(importlib.import_module(module), function)()

    def run(
        self, tmp_path: Path, seed: int = 1
    ) -> tuple[Finished, list[Incumbent], list[str]]:
        spec, inputs = self.good(tmp_path)
        incumbents: list[Incumbent] = []
        phases: list[str] = []
        workdir = tmp_path / f"run-{seed}-{len(list(tmp_path.iterdir()))}"
        workdir.mkdir()
        finished = pipeline.run(
            self.domain(),
            spec,
            inputs=inputs,
            workdir=workdir,
            stop=from_budget(self.budget, threading.Event()),
            seed=seed,
            callbacks=pipeline.Callbacks(
                on_incumbent=incumbents.append,
                on_phase=lambda phase, detail: None if detail else phases.append(phase),
            ),
        )
        return finished, incumbents, phases

    def test_request_round_trips_and_has_a_schema(self, tmp_path: Path) -> None:
        spec, _ = self.good(tmp_path)
        model = request_model(self.kind.spec)
        request = model.model_validate_json(
            model(kind=self.kind.name, spec=spec).model_dump_json()
        )
        assert request.spec == spec
        schema = model.model_json_schema()
        assert schema["properties"]["kind"]["const"] == self.kind.name

    def test_a_good_run_is_verified_and_leaves_files(self, tmp_path: Path) -> None:
        finished, incumbents, phases = self.run(tmp_path)
        result = finished.result
        assert result.termination.reason in (
            Reason.OPTIMAL,
            Reason.FEASIBLE,
            Reason.COMPLETED,
        )
        assert result.verification.status is VerificationStatus.VALID
        assert result.verification.objective == pytest.approx(result.objective)
        assert phases == ["parse", "encode", "search", "verify", "produce"]
        assert incumbents, "progress was told"
        assert incumbents[-1].objective == pytest.approx(result.objective)
        assert set(result.timings_s) == set(phases)
        assert all(
            p.path.is_file() and p.path.stat().st_size > 0 for p in finished.produced
        )
        assert all("/" not in p.name for p in finished.produced)
        declared = set(self.kind.spec.OUTPUTS)
        assert {p.name for p in finished.produced} <= declared, (
            "name every file in OUTPUTS of the spec: jobs refer to it before it exists"
        )
        assert RunResult.model_validate_json(result.model_dump_json()) == result

    def test_time_goes_forward_and_the_best_gets_no_worse(self, tmp_path: Path) -> None:
        finished, incumbents, _ = self.run(tmp_path)
        sign = -1.0 if finished.result.sense == "maximize" else 1.0
        times = [point.elapsed_s for point in incumbents]
        values = [sign * p.objective for p in incumbents if p.objective is not None]
        assert times == sorted(times)
        assert values == sorted(values, reverse=True)

    def test_nonsense_is_invalid_input(self, tmp_path: Path) -> None:
        spec, inputs = self.bad(tmp_path)
        with pytest.raises(InvalidInput, match=r"."):
            pipeline.run(
                self.domain(),
                spec,
                inputs=inputs,
                workdir=tmp_path,
                stop=from_budget(self.budget, threading.Event()),
                seed=0,
            )

    def test_stop_before_the_beginning_ends_at_once(self, tmp_path: Path) -> None:
        spec, inputs = self.good(tmp_path)
        event = threading.Event()
        event.set()
        result = pipeline.run(
            self.domain(),
            spec,
            inputs=inputs,
            workdir=tmp_path,
            stop=from_budget(self.budget, event),
            seed=0,
        ).result
        assert sum(result.timings_s.values()) < 10
        assert result.termination.reason is not Reason.INTERNAL_ERROR

    def checkpoints(self, tmp_path: Path) -> tuple[Finished, list[bytes]]:
        """A run, and a checkpoint of each incumbent and of the answer."""
        spec, inputs = self.good(tmp_path)
        workdir = tmp_path / "first"
        workdir.mkdir()
        packed: list[bytes] = []
        finished = pipeline.run(
            self.domain(),
            spec,
            inputs=inputs,
            workdir=workdir,
            stop=from_budget(self.budget, threading.Event()),
            seed=1,
            callbacks=pipeline.Callbacks(
                on_checkpoint=lambda dump: packed.append(dump())
            ),
        )
        return finished, packed

    def test_reported_solutions_outlive_their_process(self, tmp_path: Path) -> None:
        first, packed = self.checkpoints(tmp_path)
        assert packed
        spec, inputs = self.good(tmp_path)
        for number, data in enumerate((packed[0], packed[-1])):
            workdir = tmp_path / f"second-{number}"
            workdir.mkdir()
            finished = finish(
                self.domain(),
                spec,
                inputs=inputs,
                workdir=workdir,
                seed=1,
                dead=DeadRun(
                    termination=Termination(
                        reason=Reason.WORKER_LOST, detail="killed in a test"
                    ),
                    checkpoint=data,
                    budget_s=30.0,
                ),
            )
            result = finished.result
            assert result.verification.status is VerificationStatus.VALID
            assert result.verification.objective == pytest.approx(result.objective)
            # A proof outlives the run that made it.
            proved = number == 1 and first.result.termination.reason is Reason.OPTIMAL
            ends = {(Reason.FEASIBLE, Limit.OTHER)}
            ends |= {(Reason.OPTIMAL, None)} if proved else set()
            assert (result.termination.reason, result.termination.limit) in ends
            assert "killed in a test" in result.termination.detail
            assert result.sense == first.result.sense
            assert result.trace
            assert all(
                p.path.is_file() and p.path.is_relative_to(workdir)
                for p in finished.produced
            )
            assert RunResult.model_validate_json(result.model_dump_json()) == result
        assert result.objective == pytest.approx(first.result.objective)

    def test_the_next_attempt_starts_from_a_reported_solution(
        self, tmp_path: Path
    ) -> None:
        first, packed = self.checkpoints(tmp_path)
        spec, inputs = self.good(tmp_path)
        workdir = tmp_path / "second"
        workdir.mkdir()
        stopped = threading.Event()
        stopped.set()  # no time at all: the start is the answer
        result = pipeline.run(
            self.domain(),
            spec,
            inputs=inputs,
            workdir=workdir,
            stop=from_budget(self.budget, stopped),
            seed=2,
            start=packed[-1],
        ).result
        assert result.verification.status is VerificationStatus.VALID
        assert result.objective is not None
        assert first.result.objective is not None
        sign = -1.0 if result.sense == "maximize" else 1.0
        assert sign * result.objective <= sign * first.result.objective + 1e-9 * abs(
            first.result.objective
        )
        assert "earlier attempt" in str(result.summary["started_from"])

    def test_a_damaged_checkpoint_makes_no_wrong_answer(self, tmp_path: Path) -> None:
        _, packed = self.checkpoints(tmp_path)
        spec, inputs = self.good(tmp_path)
        whole = checkpoint.unpack(packed[-1], kind=spec.KIND).solution
        rng = random.Random(5)
        damaged = [b"", whole[: len(whole) // 2], whole + b"x", b"null", b"[]", b"{}"]
        for _number in range(6):
            place = rng.randrange(len(whole))
            damaged.append(
                whole[:place]
                + bytes([whole[place] ^ (1 << rng.randrange(8))])
                + whole[place + 1 :]
            )
        domain = self.domain()
        problem = domain.parse(spec, inputs, tmp_path)
        for data in damaged:
            try:
                outcome = domain.restore(problem, data)
            except (ValueError, KeyError, TypeError):
                continue
            assert (
                domain.verify(problem, outcome.solution).status
                is not VerificationStatus.NOT_CHECKED
            )

    def test_a_tampered_solution_is_refused(self, tmp_path: Path) -> None:
        domain = self.domain()
        verified: list[Any] = []
        verify = domain.verify

        def tampering(problem: Any, solution: Any) -> Any:
            verified.append(solution)
            return verify(problem, self.tampered(solution))

        domain.verify = tampering
        spec, inputs = self.good(tmp_path)
        finished = pipeline.run(
            domain,
            spec,
            inputs=inputs,
            workdir=tmp_path,
            stop=from_budget(self.budget, threading.Event()),
            seed=1,
        )
        assert verified
        assert finished.result.verification.status is VerificationStatus.INVALID
        assert finished.result.termination.reason is Reason.VERIFICATION_FAILED
        assert finished.result.objective is None, (
            "what was refused is not shown as an answer"
        )
        assert finished.produced == ()
