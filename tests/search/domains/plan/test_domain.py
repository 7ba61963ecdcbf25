"""Kind `plan`: the domain's contract at its report, and the way through rest to it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from search.domains.plan import PlanDomain, build
from search.domains.plan.report.render.markdown import markdown_of
from search.kinds import KINDS, Kind
from search.rest import EndedJob, Rest, Woken
from search.stop import from_budget
from search.text_model import ModelUnavailable
from search.types import InvalidInput
from tests.contracts.domain import DomainContract
from trimtab.outlines import outline_text, values_of
from trimtab.plans import Outline
from trimtab.results import Incumbent, JobState
from trimtab.specs.common import Spec
from trimtab.specs.plan import Approval, PlanSpec

LP = b"Minimize\n obj: x\nSubject To\n c: x >= 1\nEnd\n"
CSV = b"name,rows,dim\na,1000,16\nb,2000,32\n"
CONTENT = {"m.lp": LP, "t.csv": CSV}


def attached(folder: Path, *names: str) -> tuple[dict[str, Any], dict[str, Path]]:
    """References to files, and the files."""
    references, inputs = {}, {}
    for name in names:
        data = CONTENT[name]
        inputs[name] = folder / "inputs" / name / name
        inputs[name].parent.mkdir(parents=True, exist_ok=True)
        inputs[name].write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        references[name] = {"digest": f"sha256:{digest}", "name": name}
    return references, inputs


def run(
    domain: PlanDomain,
    spec: PlanSpec,
    inputs: Mapping[str, Path],
    folder: Path,
    woken: Woken | None = None,
) -> tuple[Any, list[Incumbent]]:
    """One run of a plan up to its outcome, and its progress."""
    problem = domain.parse(spec, inputs, folder)
    if woken is not None:
        problem = domain.wake(problem, woken)
    points: list[Incumbent] = []
    outcome = domain.search(
        problem,
        domain.encode(problem),
        from_budget({"seconds": 20.0}, threading.Event()),
        np.random.default_rng(0),
        lambda point, solution=None: points.append(point),
    )
    return outcome, points


def rest_of(goal: str, folder: Path, *names: str, **fields: Any) -> Rest:
    references, inputs = attached(folder, *names)
    spec = PlanSpec(goal=goal, files=references, **fields)
    outcome, _ = run(build(), spec, inputs, folder)
    assert isinstance(outcome.rest, Rest)
    return outcome.rest


def outline_in(rest: Rest) -> Outline:
    return Outline.model_validate_json(json.dumps(rest.memo["outline"]))


def ended(leaf: str, outline: Outline, **changes: Any) -> EndedJob:
    row = outline.leaves[leaf]
    job = EndedJob(
        id=f"job_{leaf}",
        fence=1,
        kind=row.kind,
        state=JobState.SUCCEEDED,
        spec=row.spec,
        budget=row.budget,
        seed=row.seed,
        termination={"reason": "feasible", "limit": "time", "detail": ""},
        result={
            "objective": 1.5,
            "gap": 0.0,
            "verification": {"status": "valid"},
            "summary": {},
        },
        seconds=3.0,
    )
    return replace(job, **changes)


class _Woken(PlanDomain):
    """The domain with a plan whose jobs have ended: the run that writes the report."""

    woken: ClassVar[Woken]

    def parse(self, spec: PlanSpec, inputs: Mapping[str, Path], workdir: Path) -> Any:
        return self.wake(super().parse(spec, inputs, workdir), self.woken)


class TestPlan(DomainContract):
    kind: ClassVar[Kind] = KINDS["plan"]
    GOAL = "Solve m.lp for 5 s"

    def good(self, folder: Path) -> tuple[Spec, Mapping[str, Path]]:
        references, inputs = attached(folder, "m.lp")
        return PlanSpec(goal=self.GOAL, files=references), inputs

    def bad(self, folder: Path) -> tuple[Spec, Mapping[str, Path]]:
        """Its memo is not ours."""
        self.memo: Mapping[str, Any] = {"outline": {"goal": 3}}
        return self.good(folder)

    def tampered(self, solution: Any) -> Any:
        facts = tuple(
            fact.model_copy(update={"value": "1.0", "shown": "1"})
            if fact.name == "objective"
            else fact
            for fact in solution.facts
        )
        return solution.model_copy(update={"facts": facts})

    def domain(self) -> Any:
        memo = getattr(self, "memo", None)
        domain = _Woken()
        if memo is None:
            outline = outline_in(self.rest)
            jobs = {"l1": ended("l1", outline)}
            _Woken.woken = Woken(memo=self.rest.memo, jobs=jobs)
        else:
            _Woken.woken = Woken(memo=memo)
        return domain

    @pytest.fixture(autouse=True)
    def _outlined(self, tmp_path: Path) -> None:
        self.rest = rest_of(self.GOAL, tmp_path, "m.lp")


def test_an_outline_rests_until_it_is_approved(tmp_path: Path) -> None:
    rest = rest_of("Solve m.lp for 5 s", tmp_path, "m.lp")
    assert rest.state is JobState.AWAITING_APPROVAL
    assert not rest.approved
    outline = outline_in(rest)
    assert list(outline.leaves) == ["l1"]
    assert outline.leaves["l1"].budget == {"seconds": 5.0}
    assert outline.seconds is not None
    assert "m.lp" in outline.understood


def test_auto_approves_only_what_leaves_nothing_open(tmp_path: Path) -> None:
    stated = rest_of("Solve m.lp for 5 s", tmp_path, "m.lp", approve="auto")
    assert stated.approved
    open_time = rest_of("Solve m.lp", tmp_path, "m.lp", approve="auto")
    assert not open_time.approved
    assert open_time.state is JobState.AWAITING_APPROVAL
    asked = rest_of("Place t.csv", tmp_path, "t.csv", approve="auto")
    assert not asked.approved


def test_an_answer_completes_the_outline(tmp_path: Path) -> None:
    goal = "Place t.csv on 4 A100 in 5 s"
    rest = rest_of(goal, tmp_path, "t.csv")
    assert rest.state is JobState.NEEDS_INPUT
    outline = outline_in(rest)
    (name, question), *more = outline.questions.items()
    assert not more
    assert question.about == "devices.memory_gib"
    answered = outline.model_copy(update={"answers": {name: "40 GiB"}})
    memo = {**rest.memo, "outline": answered.model_dump(mode="json")}
    references, inputs = attached(tmp_path, "t.csv")
    outcome, points = run(
        build(),
        PlanSpec(goal=goal, files=references),
        inputs,
        tmp_path,
        Woken(memo=memo),
    )
    assert outcome.rest.state is JobState.AWAITING_APPROVAL
    remade = outline_in(outcome.rest)
    assert remade.questions == {"q1": question}
    assert remade.answers == {"q1": "40 GiB"}
    assert outcome.rest.detail == "1 job, 0 questions" == outcome.termination.detail
    leaf = remade.leaves["l1"]
    (row,) = (v for v in values_of(remade, leaf) if v.path == "spec.devices.0.memory_gib")
    assert (row.answer, row.words, row.default) == ("40 GiB", "", "")
    assert "your answer: 40 GiB" in outline_text(remade)
    assert leaf.spec["devices"][0] == {"count": 4, "hardware": "a100", "memory_gib": 40}
    assert [point.source for point in points] == [
        "outline: 0 of 1 jobs",
        "outline: 1 of 1 jobs",
    ]
    last, _ = run(
        build(),
        PlanSpec(goal=goal, files=references),
        inputs,
        tmp_path,
        Woken(memo=outcome.rest.memo, jobs={"l1": ended("l1", remade)}, approved=True),
    )
    assert last.termination.detail == (
        "report on 1 job; every part of the plan has a result"
    )
    text = markdown_of(last.solution)
    assert question.text in text
    assert "“40 GiB”" in text
    assert not any(words in text for words in ("no question", "No question"))
    assert "Further figures" not in text.partition("## ")[2].partition("## ")[0]


def test_a_question_that_is_asked_again_stands_once(tmp_path: Path) -> None:
    goal = "Place t.csv on 4 A100 in 5 s"
    first = rest_of(goal, tmp_path, "t.csv")
    asked = outline_in(first).model_copy(update={"answers": {"q1": "plenty of it"}})
    memo = {**first.memo, "outline": asked.model_dump(mode="json")}
    references, inputs = attached(tmp_path, "t.csv")
    spec = PlanSpec(goal=goal, files=references, approve=Approval.AUTO)
    again, _ = run(build(), spec, inputs, tmp_path, Woken(memo=memo))
    assert again.rest.state is JobState.NEEDS_INPUT
    outline = outline_in(again.rest)
    assert [row.about for row in outline.questions.values()] == ["devices.memory_gib"]
    assert not outline.answers
    assert not again.rest.approved


@pytest.mark.parametrize("goal", ["hello", "optimise it"])
def test_a_goal_that_says_too_little_is_asked_about(tmp_path: Path, goal: str) -> None:
    rest = rest_of(goal, tmp_path, approve="auto")
    assert rest.state is JobState.NEEDS_INPUT
    assert not rest.approved
    assert not outline_in(rest).leaves


def test_a_goal_of_which_nothing_can_be_done_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"write me a poem: .+ are not made"):
        rest_of("write me a poem", tmp_path)


def test_an_outline_that_was_never_approved_is_shown_again(tmp_path: Path) -> None:
    """A plan that was cancelled at rest and is re-driven does not report on nothing."""
    goal = "Solve m.lp"
    rest = rest_of(goal, tmp_path, "m.lp", approve="auto")
    edited = outline_in(rest).model_copy(update={"notes": ("by its owner",)})
    memo = {"outline": edited.model_dump(mode="json")}
    references, inputs = attached(tmp_path, "m.lp")
    spec = PlanSpec(goal=goal, files=references)
    woken = Woken(memo=memo, approved=False)
    again, _ = run(build(), spec, inputs, tmp_path, woken)
    assert (again.rest.state, again.rest.approved) == ("AWAITING_APPROVAL", False)
    assert outline_in(again.rest) == edited


def test_a_failed_leaf_is_repaired_then_reported(tmp_path: Path) -> None:
    goal = "Solve m.lp"
    rest = rest_of(goal, tmp_path, "m.lp")
    outline = outline_in(rest)
    failed = ended(
        "l1",
        outline,
        state=JobState.SUCCEEDED,
        termination={"reason": "no_solution_found", "limit": "time", "detail": ""},
        result={"objective": None, "verification": {"status": "not_checked"}},
    )
    references, inputs = attached(tmp_path, "m.lp")
    spec = PlanSpec(goal=goal, files=references)
    woken = Woken(memo=rest.memo, jobs={"l1": failed})
    outcome, _ = run(build(), spec, inputs, tmp_path, woken)
    assert outcome.rest.state is JobState.WAITING
    repaired = outline_in(outcome.rest)
    assert repaired.leaves["l1.r1"].budget == {"seconds": 180.0}
    stopped, _ = run(build(), spec, inputs, tmp_path, replace(woken, stop_requested=True))
    assert stopped.rest is None
    assert stopped.solution is not None
    jobs = {"l1": failed, "l1.r1": ended("l1.r1", repaired)}
    done, _ = run(
        build(), spec, inputs, tmp_path, Woken(memo=outcome.rest.memo, jobs=jobs)
    )
    assert done.rest is None
    assert done.objective == 0.0
    assert done.summary["won"] == {"template": 1}
    assert list(done.summary["repairs"]) == ["l1.r1"]
    assert "job_l1.r1" in {fact.job for fact in done.solution.facts}


@pytest.mark.parametrize(
    "memo",
    [
        {},
        {"outline": []},
        {"outline": {"goal": "x", "leaves": {"l1": {}}}},
        {"outline": {"goal": "x", "answers": {"q1": "8"}}, "asked": True},
        {"outline": {"goal": "x"}, "asked": True, "answers": ["8"]},
    ],
)
def test_a_memo_that_is_not_ours_is_refused(tmp_path: Path, memo: Any) -> None:
    domain = build()
    problem = domain.parse(PlanSpec(goal="x"), {}, tmp_path)
    with pytest.raises(InvalidInput, match="expected"):
        domain.wake(problem, Woken(memo=memo))


def test_a_job_of_no_leaf_is_refused(tmp_path: Path) -> None:
    rest = rest_of("Solve m.lp for 5 s", tmp_path, "m.lp")
    job = ended("l1", outline_in(rest))
    domain = build()
    problem = domain.parse(PlanSpec(goal="x"), {}, tmp_path)
    with pytest.raises(InvalidInput, match="l9"):
        domain.wake(problem, Woken(memo=rest.memo, jobs={"l9": job}))


def test_goals_are_listed_in_the_order_of_their_jobs_and_an_answer_leaves_nothing_open(
    tmp_path: Path,
) -> None:
    goal = "Put the tables of t.csv on 8 GPUs in 20 s; then give m.lp ten seconds."
    references, inputs = attached(tmp_path, "t.csv", "m.lp")
    spec = PlanSpec(goal=goal, files=references, approve=Approval.AUTO)
    first, _ = run(build(), spec, inputs, tmp_path)
    asked = outline_in(first.rest)
    (question,) = asked.questions
    answered = asked.model_copy(update={"answers": {question: "80"}})
    memo = {**first.rest.memo, "outline": answered.model_dump(mode="json")}
    second, _ = run(build(), spec, inputs, tmp_path, Woken(memo=memo))
    outline = outline_in(second.rest)
    assert [leaf.kind for leaf in outline.leaves.values()] == ["sharding", "ilp"]
    first_goal = outline.stages[outline.leaves["l1"].stage].goal
    assert next(iter(outline.goals)) == first_goal
    assert not outline.notes
    assert outline.leaves["l1"].answered == {"spec.devices.0.memory_gib": "80"}
    assert second.rest.approved


class NoModel:
    """What a worker has on a server without a language model: every use of it fails."""

    @property
    def capabilities(self) -> Any:
        raise ModelUnavailable("text_model: expected a language model, got none")


def test_a_server_without_a_language_model_writes_the_report(tmp_path: Path) -> None:
    rest = rest_of("Solve m.lp in 5 s", tmp_path, "m.lp")
    references, inputs = attached(tmp_path, "m.lp")
    spec = PlanSpec(goal="Solve m.lp in 5 s", files=references)
    woken = Woken(
        memo=rest.memo, jobs={"l1": ended("l1", outline_in(rest))}, approved=True
    )
    outcome, _ = run(build(NoModel()), spec, inputs, tmp_path, woken)  # type: ignore[arg-type]
    assert outcome.rest is None
    assert outcome.solution.text_model == ""
