"""Kind `plan`: read a goal, outline its jobs, go to rest, and report what they measured.

A plan runs at least twice. The first run reads the goal and makes an outline; then it rests until
its owner answers or approves, and while its jobs run. The last run writes the report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from pydantic import ValidationError

from search.domains.plan.choosing import read_goal
from search.domains.plan.ledger import ledger_of
from search.domains.plan.outline.decide import (
    nothing_open,
    refusal,
    state_of,
    with_answered,
)
from search.domains.plan.outline.describe import counted
from search.domains.plan.outline.model import MODEL_S, ModelProposer
from search.domains.plan.outline.repair import repairs_of
from search.domains.plan.outline.summary import summary_of
from search.domains.plan.outline.tree import Material, outline_of
from search.domains.plan.problem import PlanProblem
from search.domains.plan.reading import facts_of
from search.domains.plan.report import report_files, write_report
from search.domains.plan.reports import Report
from search.domains.plan.types import FileFacts, Reading
from search.domains.plan.verify import check_report
from search.kinds import KINDS
from search.rest import Rest, Woken
from search.stop import StoppingCriterion
from search.text_model import TextModel
from search.types import Extra, InvalidInput, OnIncumbent, Produced, SearchOutcome
from trimtab.outlines import open_questions
from trimtab.plans import Outline
from trimtab.results import Incumbent, JobState, Reason, Termination, Verification
from trimtab.specs.common import Spec
from trimtab.specs.plan import Approval, PlanSpec, PlanTextModel

OFFERED: Mapping[str, type[Spec]] = MappingProxyType(
    {
        name: row.spec
        for name, row in KINDS.items()
        if not row.diagnostic and row.spec is not PlanSpec
    }
)
"""Kinds that a plan may use."""


class Read(Protocol):
    """A reader of goals: see `search.domains.plan.choosing.read_goal`."""

    def __call__(
        self,
        goal: str,
        files: Sequence[FileFacts],
        *,
        answers: Mapping[str, str] | None = None,
        specs: Mapping[str, type[Spec]],
    ) -> Reading:
        """Return what a goal says."""
        ...


class PlanDomain:
    """The pipeline's stages. `text_model` is None where no language model can be reached.

    model_s: seconds that an outline may spend on the model.
    """

    packages = ()

    def __init__(
        self,
        text_model: TextModel | None = None,
        *,
        read: Read = read_goal,
        model_s: float = MODEL_S,
    ) -> None:
        self._text_model = text_model
        self._read = read
        self._model_s = model_s

    def parse(
        self, spec: PlanSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> PlanProblem:
        """Look at the attached files. Raises InvalidInput."""
        files = tuple(
            facts_of(name, spec.files[name].digest, inputs[name]) for name in spec.files
        )
        return PlanProblem(spec=spec, files=files)

    def wake(self, problem: PlanProblem, woken: Woken) -> PlanProblem:
        """Return the problem with its approved outline and ended jobs, or with answers.

        Raises InvalidInput for a memo that is none of ours.
        """
        outline = _outline(woken.memo)
        if woken.memo.get("asked"):
            return replace(
                problem,
                answers=_answers(woken.memo, outline),
                answered=tuple(
                    (question, outline.answers[name])
                    for name, question in outline.questions.items()
                    if outline.answers.get(name, "").strip()
                ),
            )
        if unknown := sorted(set(woken.jobs) - set(outline.leaves)):
            raise InvalidInput(f"jobs: expected leaves of the outline, got {unknown[:5]}")
        if not woken.approved:
            return replace(problem, shown=outline)
        return replace(
            problem,
            approved=outline,
            jobs=dict(woken.jobs),
            stop_requested=woken.stop_requested,
            site=woken.site,
        )

    def encode(self, problem: PlanProblem) -> Reading | None:
        """Read the goal; None when it was read before. Raises InvalidInput."""
        if problem.approved is not None or problem.shown is not None:
            return None
        reading = self._read(
            problem.spec.goal, problem.files, answers=problem.answers, specs=OFFERED
        )
        if reading.refused is not None:
            raise InvalidInput(reading.refused)
        return reading

    def search(
        self,
        problem: PlanProblem,
        encoding: Reading | None,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: Report | None = None,
    ) -> SearchOutcome:
        """Make the outline, repair leaves, or write the report; only the last is a solution.

        Raises InvalidInput when nothing that the goal asks for can be done.
        """
        if problem.shown is not None:
            memo = {"outline": _json(problem.shown)}
            detail = f"{counted(len(problem.shown.leaves), 'job')}, shown again"
            return _resting(
                Rest(state=JobState.AWAITING_APPROVAL, memo=memo, detail=detail)
            )
        if problem.approved is None:
            if encoding is None:
                raise ValueError("encoding: expected the reading of the goal, got None")
            return self._outlined(problem, encoding, stop, rng, on_incumbent)
        outline = problem.approved
        if not problem.stop_requested and stop.limit is None:
            repairs = repairs_of(outline, problem.jobs, specs=OFFERED)
            if repairs.leaves:
                names = ", ".join(repairs.leaves)
                memo = {"outline": _json(repairs.added_to(outline))}
                return _resting(
                    Rest(state=JobState.WAITING, memo=memo, detail=f"repairs: {names}")
                )
        return self._reported(problem, stop, rng, on_incumbent)

    def _outlined(
        self,
        problem: PlanProblem,
        reading: Reading,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
    ) -> SearchOutcome:
        def on_leaf(done: int, count: int) -> None:
            on_incumbent(_progress(f"outline: {done} of {count} jobs"))

        proposer = self._proposer(problem, reading, stop, rng)
        outline = outline_of(
            Material(
                reading=reading,
                files=problem.files,
                specs=OFFERED,
                answers=problem.answers,
                propose=proposer,
                on_leaf=on_leaf,
            )
        )
        if proposer is not None:
            outline = proposer.noted(outline)
        outline = with_answered(outline, problem.answered)
        state = state_of(outline)
        if state is None:
            raise InvalidInput(f"goal: {refusal(outline)}")
        memo: dict[str, Any] = {"outline": _json(outline)}
        if state is JobState.NEEDS_INPUT:
            memo |= {"asked": True, "answers": dict(problem.answers)}
        approved = problem.spec.approve is Approval.AUTO and nothing_open(outline)
        return _resting(
            Rest(
                state=state,
                memo=memo,
                detail=f"{counted(len(outline.leaves), 'job')}, "
                f"{counted(len(open_questions(outline)), 'question')}",
                approved=approved and state is JobState.AWAITING_APPROVAL,
            )
        )

    def _proposer(
        self,
        problem: PlanProblem,
        reading: Reading,
        stop: StoppingCriterion,
        rng: np.random.Generator,
    ) -> ModelProposer | None:
        if self._text_model is None or problem.spec.text_model is PlanTextModel.NONE:
            return None
        return ModelProposer(
            self._text_model,
            wishes=len(reading.wishes),
            stop=stop,
            seed=int(rng.integers(2**31)),
            limit_s=self._model_s,
        )

    def _reported(
        self,
        problem: PlanProblem,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
    ) -> SearchOutcome:
        outline = problem.approved
        if outline is None:
            raise ValueError("outline: expected the approved one, got None")
        report = write_report(
            outline,
            problem.jobs,
            ledger_of(outline, problem.jobs),
            model=None
            if problem.spec.text_model is PlanTextModel.NONE
            else self._text_model,
            stop=stop,
            seed=int(rng.integers(2**31)),
            on_passage=lambda done, count: on_incumbent(
                _progress(f"report: {done} of {count} passages")
            ),
        ).model_copy(update={"site": problem.site})
        on_incumbent(
            Incumbent(
                elapsed_s=0.0, objective=report.without_result, bound=0.0, source="report"
            ),
            lambda: report,
        )
        return _outcome(report, problem)

    def verify(self, problem: PlanProblem, solution: Report) -> Verification:
        """Check figures and sentences of the report against the jobs' own results."""
        if problem.approved is None:
            raise ValueError("outline: expected the approved one, got None")
        return check_report(solution, problem.jobs, outline=problem.approved)

    def produce(
        self, problem: PlanProblem, solution: Report, workdir: Path
    ) -> Sequence[Produced | Extra]:
        """Write the report, its ledger and the outline that was approved."""
        if problem.approved is None:
            raise ValueError("outline: expected the approved one, got None")
        return report_files(solution, workdir, outline=problem.approved)

    def keep(self, problem: PlanProblem, solution: Report) -> bytes:
        """Serialise a report as JSON."""
        return solution.model_dump_json().encode()

    def restore(self, problem: PlanProblem, data: bytes) -> SearchOutcome:
        """Rebuild a serialised report. Raises ValueError, KeyError or TypeError."""
        return _outcome(Report.model_validate_json(data), problem)


def _outline(memo: Mapping[str, Any]) -> Outline:
    try:
        return Outline.model_validate_json(json.dumps(memo["outline"]))
    except (KeyError, TypeError, ValidationError) as error:
        raise InvalidInput(
            f"memo: expected the outline of this plan, got {type(error).__name__}: {error}"[
                :1000
            ]
        ) from None


def _answers(memo: Mapping[str, Any], outline: Outline) -> dict[str, str]:
    """Return all answers so far, by what they are about."""
    earlier = memo.get("answers", {})
    if not isinstance(earlier, Mapping):
        raise InvalidInput("memo.answers: expected an object, got something else")
    answers = {str(about): str(text) for about, text in earlier.items()}
    for name, text in outline.answers.items():
        if name not in outline.questions:
            labels = ", ".join(outline.questions) or "(none)"
            raise InvalidInput(
                f"answers: expected one of the questions {labels}, got {name!r}"
            )
        answers[outline.questions[name].about] = text
    return answers


def _json(outline: Outline) -> dict[str, Any]:
    document: dict[str, Any] = outline.model_dump(mode="json")
    return document


def _progress(source: str) -> Incumbent:
    return Incumbent(elapsed_s=0.0, source=source)


def _resting(rest: Rest) -> SearchOutcome:
    return SearchOutcome(
        termination=Termination(reason=Reason.COMPLETED, detail=rest.detail),
        solution=None,
        objective=None,
        bound=None,
        rest=rest,
    )


def _outcome(report: Report, problem: PlanProblem) -> SearchOutcome:
    outline = problem.approved
    without = round(report.without_result)
    detail = f"report on {counted(len(problem.jobs), 'job')}; " + (
        f"{counted(without, 'part')} of the plan without a result"
        if without
        else "every part of the plan has a result"
    )
    return SearchOutcome(
        termination=Termination(reason=Reason.COMPLETED, detail=detail),
        solution=report,
        objective=report.without_result,
        bound=0.0,
        summary={} if outline is None else summary_of(outline, problem.jobs),
    )


def build(text_model: TextModel | None = None) -> PlanDomain:
    """Return the domain, for KINDS."""
    return PlanDomain(text_model)
