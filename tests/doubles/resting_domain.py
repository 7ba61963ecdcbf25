"""A throw-away kind that rests, asks, is approved, starts jobs, repairs one, and reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from search.kinds import Kind
from search.rest import Rest, Woken
from search.stop import StoppingCriterion
from search.types import InvalidInput, OnIncumbent, Produced, SearchOutcome
from trimtab.plans import LeafEdge, Outline
from trimtab.results import (
    JobState,
    Reason,
    Termination,
    Verification,
    VerificationStatus,
)
from trimtab.specs.common import Spec

Fault = Literal[
    "", "circle", "foreign", "kind", "dropped", "unapproved", "endless", "no question"
]
FOREIGN = "sha256:" + "f" * 64


class ErrandSpec(Spec):
    """Take the roots of some numbers, each by a job of kind `root`, and list them."""

    KIND: ClassVar[str] = "errand"
    SUMMARY: ClassVar[str] = "Roots of several numbers."
    OUTPUTS: ClassVar[tuple[str, ...]] = ("report.md",)

    squares: tuple[int, ...] = (16,)
    """Numbers to take the roots of. A negative one fails, and is repaired once."""
    ask: bool = False
    """Ask for one more number first."""
    chain: bool = False
    """Also take the root of the first root, from its file."""
    probes: int = 0
    """Jobs that run until they are stopped, beside those."""
    goal: str = ""
    """Words of the owner: an address that is called when a job has ended."""
    approve: Literal["manual", "auto"] = "manual"
    """When the jobs start."""
    fault: Fault = ""
    """What the run does wrong."""


@dataclass(frozen=True, kw_only=True)
class Errand:
    """A parsed errand, with what has happened since its last run."""

    spec: ErrandSpec
    woken: Woken | None = None


class RestingDomain:
    """The pipeline's stages."""

    def parse(
        self, spec: ErrandSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> Errand:
        return Errand(spec=spec)

    def wake(self, problem: Errand, woken: Woken) -> Errand:
        if "outline" not in woken.memo:
            raise InvalidInput("memo: expected an outline, got none")
        return Errand(spec=problem.spec, woken=woken)

    def encode(self, problem: Errand) -> None:
        return None

    def search(
        self,
        problem: Errand,
        encoding: None,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: Any = None,
    ) -> SearchOutcome:
        woken, spec = problem.woken, problem.spec
        if woken is None or not woken.approved:
            return _resting(_first_rest(spec, woken))
        outline = Outline.model_validate_json(json.dumps(woken.memo["outline"]))
        failed = [
            leaf
            for leaf, job in woken.jobs.items()
            if job.state is JobState.FAILED and f"{leaf}.r1" not in outline.leaves
        ]
        if (failed or spec.fault == "endless") and not woken.stop_requested:
            repaired = {
                f"{leaf}.r1": _leaf(
                    {"square": abs(outline.leaves[leaf].spec["square"])}, repairs=leaf
                )
                for leaf in failed
                if not leaf.endswith(".r1")
            }
            memo = {**woken.memo, "outline": dict(woken.memo["outline"])}
            memo["outline"]["leaves"] = {**memo["outline"]["leaves"], **repaired}
            return _resting(Rest(state=JobState.WAITING, memo=memo, detail="repairs"))
        roots = {leaf: _root(job.result) for leaf, job in sorted(woken.jobs.items())}
        return _reported(roots)

    def verify(self, problem: Errand, solution: dict[str, Any]) -> Verification:
        assert problem.woken is not None
        jobs = problem.woken.jobs
        right = solution == {leaf: _root(jobs[leaf].result) for leaf in jobs}
        return Verification(
            status=VerificationStatus.VALID if right else VerificationStatus.INVALID
        )

    def produce(
        self, problem: Errand, solution: dict[str, Any], workdir: Path
    ) -> list[Produced]:
        path = workdir / "report.md"
        path.write_text(json.dumps(solution))
        return [Produced(name="report.md", path=path, media_type="text/markdown")]

    def keep(self, problem: Errand, solution: dict[str, Any]) -> bytes:
        return json.dumps(solution).encode()

    def restore(self, problem: Errand, data: bytes) -> SearchOutcome:
        return _reported(json.loads(data))


def _first_rest(spec: ErrandSpec, woken: Woken | None) -> Rest:
    """Return the outline, or the question before it."""
    base = {
        "goal": "roots",
        "goals": {"g1": {"title": "roots"}},
        "stages": {"s1": {"title": "roots", "goal": "g1"}},
    }
    answers = {} if woken is None else woken.memo["outline"].get("answers", {})
    question = {"text": "Which number?", "about": "squares", "options": ["25", "36"]}
    if (spec.ask or spec.fault == "no question") and not answers:
        questions = {} if spec.fault == "no question" else {"q1": question}
        memo = {"outline": base | {"questions": questions}, "kept": 1}
        return Rest(state=JobState.NEEDS_INPUT, memo=memo, detail="a question")
    squares = [*spec.squares, *map(int, answers.values())]
    leaves = {f"l{n}": _leaf({"square": x}) for n, x in enumerate(squares, 1)}
    endless = {"steps": 100_000, "step_seconds": 0.02}
    leaves |= {f"p{n}": _leaf(endless, kind="probe") for n in range(spec.probes)}
    if spec.goal:
        leaves = {
            name: leaf | {"webhook": {"url": spec.goal}} for name, leaf in leaves.items()
        }
    edges: dict[str, LeafEdge] = {}
    if spec.chain:
        leaves["chain"] = _leaf({"file": {"leaf": "l1", "output": "root.txt"}})
    match spec.fault:
        case "circle":
            edges = {
                "e1": LeafEdge(parent="l1", child="l2"),
                "e2": LeafEdge(parent="l2", child="l1"),
            }
        case "foreign":
            leaves["l1"] = _leaf({"file": {"digest": FOREIGN}})
        case "kind":
            leaves["l1"] = _leaf({}, kind="errand")
        case "dropped":
            leaves = {name: leaf | {"enabled": False} for name, leaf in leaves.items()}
    outline = Outline.model_validate_json(
        json.dumps(
            base
            | {
                "leaves": leaves,
                "edges": {
                    name: edge.model_dump(mode="json") for name, edge in edges.items()
                },
            }
        )
    )
    unapproved = spec.fault == "unapproved"
    return Rest(
        state=JobState.WAITING if unapproved else JobState.AWAITING_APPROVAL,
        memo={"outline": outline.model_dump(mode="json"), "kept": 2},
        detail=f"{len(leaves)} jobs",
        approved=spec.approve == "auto",
    )


def _leaf(
    spec: dict[str, Any], *, kind: str = "root", repairs: str = ""
) -> dict[str, Any]:
    origin = {"source": "repair", "id": repairs} if repairs else {"source": "template"}
    return {
        "title": "a root",
        "stage": "s1",
        "kind": kind,
        "spec": spec,
        "budget": {"seconds": 20.0},
        "seconds": {"p50": 0.1, "p90": 1.0},
        "origin": origin,
    }


def _root(result: Any) -> Any:
    return None if result is None else result["objective"]


def _resting(rest: Rest) -> SearchOutcome:
    return SearchOutcome(
        termination=Termination(reason=Reason.COMPLETED, detail=rest.detail),
        solution=None,
        objective=None,
        bound=None,
        rest=rest,
    )


def _reported(roots: dict[str, Any]) -> SearchOutcome:
    return SearchOutcome(
        termination=Termination(reason=Reason.COMPLETED, detail="reported"),
        solution=roots,
        objective=float(sum(root is None for root in roots.values())),
        bound=0.0,
    )


def build() -> RestingDomain:
    return RestingDomain()


KIND = Kind(spec=ErrandSpec, builder="tests.doubles.resting_domain:build")
