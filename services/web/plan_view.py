"""The page of a plan as plain values for `plan.html`. Pure: no store, no request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from search.kinds import Kind
from services.plans.outlines import runnable
from services.store.types import JobRecord
from services.web import formatting
from services.web.goal_text import goal_parts, leaf_anchor, value_anchor
from services.web.leaf_form import Draft, field_of, fields_of_kind, request_text, text_of
from trimtab.outlines import (
    LeafValue,
    grouped,
    open_questions,
    origin_text,
    privacy_text,
    seconds_text,
    values_of,
    waits_for,
    words_of,
)
from trimtab.plans import Leaf, Outline, OutlineView
from trimtab.results import JobState

REPORT_FILES = {
    "report.html": "one page, with plots; numbers link to their jobs",
    "report.md": "Markdown",
    "report.pdf": "PDF",
    "ledger.json": "every fact of the report with job and check",
    "outline.json": "the plan as it was run",
}
_STEPS: Mapping[JobState, str] = {
    JobState.QUEUED: "Waiting for a free worker.",
    JobState.RUNNING: "Reading the goal and making the outline.",
    JobState.NEEDS_INPUT: "It needs your answer before it can go on.",
    JobState.AWAITING_APPROVAL: "Nothing runs until you approve the outline below.",
    JobState.WAITING: "Its jobs are at work.",
}


def plan_view(
    record: JobRecord,
    seen: OutlineView | None,
    jobs: Mapping[str, JobRecord],
    kinds: Mapping[str, Kind],
    *,
    draft: Draft = Draft(),  # noqa: B008 - frozen
    now_us: int,
) -> SimpleNamespace:
    """Return what the page shows of a plan beside the parts that every job has.

    `jobs` are those of the leaves, by leaf; `draft` is a refused edit.
    """
    outline = seen.outline if seen is not None else None
    started = bool(jobs)
    return SimpleNamespace(
        goal=str(record.spec.get("goal", "")),
        step=_step(record, started),
        resting=record.state.is_resting,
        # An answer makes the outline again, and would undo edits.
        editable=record.state is JobState.AWAITING_APPROVAL,
        seen=seen,
        outline=None
        if outline is None
        else _outline(outline, jobs, kinds, draft, now_us),
        progress=_progress(jobs),
        report=_report(record),
        files=_files(record),
    )


def _step(record: JobRecord, started: bool) -> str:
    if started and record.state in (JobState.QUEUED, JobState.RUNNING):
        return "Writing the report from the jobs' results."
    return _STEPS.get(record.state, "")


def _outline(
    outline: Outline,
    jobs: Mapping[str, JobRecord],
    kinds: Mapping[str, Kind],
    draft: Draft,
    now_us: int,
) -> SimpleNamespace:
    leaves = {
        name: _leaf(outline, name, jobs.get(name), kinds, draft, now_us)
        for name in outline.leaves
    }
    runs = runnable(outline)
    for name, leaf in leaves.items():
        leaf.runs = name in runs
    return SimpleNamespace(
        parts=goal_parts(outline),
        understood=outline.understood,
        reader=outline.reader,
        lost=[words_of(outline.goal, [span]) for span in outline.not_understood],
        not_done=outline.not_done,
        notes=outline.notes,
        questions=_questions(outline),
        open_questions=open_questions(outline),
        goals=[
            SimpleNamespace(
                title=outline.goals[goal].title if goal else "Further jobs",
                stages=[
                    SimpleNamespace(
                        title=outline.stages[stage].title if stage else "Further jobs",
                        leaves=[leaves[name] for name in names],
                    )
                    for stage, names in stages
                ],
            )
            for goal, stages in grouped(outline)
        ],
        leaves=len(leaves),
        to_run=len(runs),
        seconds=seconds_text(outline.seconds) if outline.seconds else "",
        basis=outline.seconds.basis if outline.seconds else "",
        privacy=privacy_text(outline),
        sends_text=outline.sends_text,
    )


def _leaf(
    outline: Outline,
    name: str,
    job: JobRecord | None,
    kinds: Mapping[str, Kind],
    draft: Draft,
    now_us: int,
) -> SimpleNamespace:
    leaf = outline.leaves[name]
    kind = kinds.get(leaf.kind)
    fields = fields_of_kind(None if kind is None else kind.spec)
    mine = draft if draft.leaf == name else Draft()
    return SimpleNamespace(
        id=name,
        anchor=leaf_anchor(name),
        title=leaf.title,
        kind=leaf.kind,
        enabled=leaf.enabled,
        job=None if job is None else _job(job, now_us),
        values=[
            _value(name, value, field_of(value, fields), mine)
            for value in values_of(outline, leaf)
        ],
        after=[
            SimpleNamespace(leaf=parent, anchor=leaf_anchor(parent), success=success)
            for parent, success in waits_for(outline, name)
        ],
        seconds=seconds_text(leaf.seconds),
        basis=leaf.seconds.basis,
        origin=origin_text(leaf.origin),
        by_model=leaf.origin.source == "model",
        rivals=[
            f"{'template' if rival.source == 'template' else 'language model'} {rival.id}: "
            f"{rival.removed_by}"
            for rival in leaf.origin.rivals
        ],
        post=leaf.post,
        repair=[repair.words for repair in leaf.repair],
        faults=mine.faults,
        request=mine.values.get("request") or request_text(_request(leaf)),
        open_json="request" in mine.values,
    )


def _request(leaf: Leaf) -> dict[str, Any]:
    return leaf.model_dump(mode="json", include={"spec", "budget", "seed"})


def _value(name: str, value: LeafValue, item: Any, draft: Draft) -> SimpleNamespace:
    shown = "" if item is None else text_of(item, value.value)
    parts = value.path.split(".")
    return SimpleNamespace(
        anchor=value_anchor(name, value.path),
        path=value.path,
        label=value_label(parts),
        text=value.text,
        words=value.words,
        words_href=f"#w-{value.spans[0].start}" if value.spans else "",
        default=value.default,
        answer=value.answer,
        field=item,
        input=draft.values.get(value.path, shown),
        id=f"in-{value_anchor(name, value.path)}",
    )


def value_label(parts: Sequence[str]) -> str:
    """Return the name of a value: `spec.devices.0.memory_gib` → `Devices 1 memory gib`."""
    named = [part for part in parts if part != "spec"]
    if parts[0] == "budget":
        named = ["budget", *parts[1:]]
    words = [str(int(part) + 1) if part.isdecimal() else part for part in named]
    return formatting.label("_".join(words))


def _job(job: JobRecord, now_us: int) -> SimpleNamespace:
    return SimpleNamespace(
        id=job.id,
        state=job.state.value,
        state_words=formatting.STATE_WORDS[job.state],
        why=formatting.termination(job.termination) if job.state.is_terminal else "",
        detail=(job.termination or {}).get("detail", ""),
        objective=(job.result or job.best or {}).get("objective"),
        bad=job.state.is_terminal and job.state is not JobState.SUCCEEDED,
    )


def _questions(outline: Outline) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(
            id=name,
            text=question.text,
            options=question.options,
            answer=outline.answers.get(name, ""),
            words=words_of(outline.goal, question.spans),
        )
        for name, question in outline.questions.items()
    ]


def _progress(jobs: Mapping[str, JobRecord]) -> str:
    if not jobs:
        return ""
    ended = sum(job.state.is_terminal for job in jobs.values())
    return f"{ended} of {len(jobs)} jobs ended"


def _report(record: JobRecord) -> str:
    """Return the path of the report for the frame; empty without one."""
    produced = (record.result or {}).get("artifacts", {})
    return f"/jobs/{record.id}/report" if "report.html" in produced else ""


def _files(record: JobRecord) -> list[SimpleNamespace]:
    """Return the files of the report, the page first."""
    produced = (record.result or {}).get("artifacts", {})
    names = [name for name in REPORT_FILES if name in produced]
    names += [name for name in produced if name not in REPORT_FILES]
    return [
        SimpleNamespace(
            name=name,
            what=REPORT_FILES.get(name, ""),
            size=formatting.size(produced[name].get("size_bytes")),
            href=f"/v1/jobs/{record.id}/artifacts/{quote(name, safe='')}",
        )
        for name in names
    ]
