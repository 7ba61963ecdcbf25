"""`python -m workers.bench plan report`: reports of random and of recorded results.

* `fuzz`: reports of plans with random results (`workers.bench.plan.results`): slots that show what
  a reading of the results by other code shows, evidence that is stated, statements that do not
  hold, digits outside slots, and what the independent check says;
* `long`: a report of the recorded plan of 11 jobs: words, processor seconds of its parts, and with
  `--model`, the sentences that the language model drafted and kept.
"""

from __future__ import annotations

import json
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from search.domains.plan.ledger import ledger_of
from search.domains.plan.report.render.html import html_of
from search.domains.plan.report.render.markdown import markdown_of
from search.domains.plan.report.render.pdf import pdf_of
from search.domains.plan.report.render.text import Facts
from search.domains.plan.report.write import write_report
from search.domains.plan.reports import Entry, Passage, Report
from search.domains.plan.verify import check_report
from search.rest import EndedJob
from search.stop import TimeLimit
from search.text_model import TextModel
from trimtab.plans import Goal, Leaf, Origin, Outline, Seconds, Stage
from trimtab.results import JobState
from workers.bench.plan.results import plan_of

Line = dict[str, Any]
GOAL_S = 600.0
RECORDED = Path("tests/search/domains/plan/recorded.json")
_ROUNDING = Fraction(
    51, 10_000
)  # of three digits: half a unit of the third, and a little


def fuzz(*, count: int, seed: int) -> Iterator[Line]:
    """Yield one line on the reports of `count` random plans."""
    total: Counter[str] = Counter()
    seconds = []
    faults: list[str] = []
    for number in range(seed, seed + count):
        outline, jobs = plan_of(number)
        began = time.process_time()
        report = _written(outline, jobs, None, number)
        seconds.append(time.process_time() - began)
        verdict = check_report(report, jobs, outline=outline)
        total["refused by the check"] += verdict.status != "valid"
        if verdict.status != "valid" and len(faults) < 5:
            faults.append(f"{number}: {verdict.detail}")
        total.update(_counts(report, jobs))
    yield {
        "figure": "fuzz",
        "plans": count,
        "jobs": total["jobs"],
        "slots": total["slots"],
        "slot_precision": 1 - total["wrong slots"] / max(1, total["slots"]),
        "evidence": total["evidence"],
        "leaf_coverage": total["stated"] / max(1, total["evidence"]),
        "contradictions": total["contradictions"],
        "digits_outside_slots": total["digits"],
        "refused_by_the_check": total["refused by the check"],
        "faults": faults,
        "cpu_s_mean": sum(seconds) / len(seconds),
        "cpu_s_worst": max(seconds),
    }


def _written(
    outline: Outline, jobs: Mapping[str, EndedJob], model: TextModel | None, seed: int
) -> Report:
    facts = ledger_of(outline, jobs)
    stop = TimeLimit(GOAL_S)
    return write_report(outline, jobs, facts, model=model, stop=stop, seed=seed)


def passages_of(report: Report) -> Iterator[Passage]:
    """Yield the passages of a report."""
    for section in report.sections:
        for part in section.parts:
            yield from part.passages


def _counts(report: Report, jobs: Mapping[str, EndedJob]) -> Counter[str]:
    """Count slots, evidence and faults with a reading of its own, apart from the check's."""
    by_id = {fact.id: fact for fact in report.facts}
    total: Counter[str] = Counter(jobs=len(jobs))
    for passage in passages_of(report):
        in_slots = set()
        for sentence in passage.sentences:
            for piece in sentence.pieces:
                if piece.fact is None:
                    total["digits"] += any(map(_numeric, piece.text))
                    continue
                in_slots.add(piece.fact)
                total["slots"] += 1
                total["wrong slots"] += not _right(by_id[piece.fact], jobs)
            texts = [by_id[one] for one in sentence.holds]
            total["contradictions"] += sum(not _true(fact, by_id) for fact in texts)
        total["evidence"] += len(passage.evidence)
        total["stated"] += len(in_slots & set(passage.evidence))
    return total


def _numeric(character: str) -> bool:
    return unicodedata.category(character).startswith("N")


def _right(fact: Entry, jobs: Mapping[str, EndedJob]) -> bool:
    """Return whether a measured figure is near what stands at its pointer."""
    if fact.job is None or fact.op:
        return True  # the check computes these again
    value: Any = {**vars(jobs[fact.leaf])}
    for key in fact.pointer.split("/")[1:]:
        value = value[int(key)] if isinstance(value, list | tuple) else value[key]
    if isinstance(value, str):
        return isinstance(fact.value, str)
    if isinstance(value, bool):
        return fact.value is value
    shown = Fraction(fact.shown.replace(",", ""))
    scale = {"%": Fraction(100), "GHz": Fraction(1, 10**9)}.get(fact.unit, Fraction(1))
    exact = Fraction(repr(value)) * scale
    return bool(abs(shown - exact) <= abs(exact) * _ROUNDING)


def _true(fact: Entry, by_id: Mapping[str, Entry]) -> bool:
    """Return whether a statement's truth agrees with the values that it is about."""
    if fact.op not in ("less", "more"):
        return isinstance(fact.value, bool)
    first, second = (float(str(by_id[one].value)) for one in fact.of)
    holds = first < second if fact.op == "less" else first > second
    return holds or fact.value is False


def recorded(path: Path) -> tuple[Outline, dict[str, EndedJob]]:
    """Return a plan of all recorded jobs of a file, with a goal for each kind."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    jobs = {
        f"l{number}": EndedJob(**{**row, "state": JobState(row["state"])})
        for number, row in enumerate(rows.values(), start=1)
    }
    kinds = dict.fromkeys(job.kind for job in jobs.values())
    leaves = {
        leaf: Leaf(
            title=f"Job {name}",
            stage=jobs[leaf].kind,
            kind=jobs[leaf].kind,
            spec={},
            seconds=Seconds(p50=1.0, p90=2.0),
            origin=Origin(source="template", id="recorded"),
        )
        for leaf, name in zip(jobs, rows, strict=True)
    }
    outline = Outline(
        goal="All recorded jobs",
        goals={kind: Goal(title=f"Jobs of kind {kind}") for kind in kinds},
        stages={kind: Stage(title="Run", goal=kind) for kind in kinds},
        leaves=leaves,
    )
    return outline, jobs


def long_report(
    plan: tuple[Outline, dict[str, EndedJob]], model: TextModel | None, *, seed: int
) -> Iterator[Line]:
    """Yield the figures of one report."""
    outline, jobs = plan
    wall, cpu = time.monotonic(), time.process_time()
    report = _written(outline, jobs, model, seed)
    written_s = (time.monotonic() - wall, time.process_time() - cpu)
    facts = Facts(report)
    words = sum(
        len(facts.plain(sentence.pieces).split())
        for passage in passages_of(report)
        for sentence in passage.sentences
    )
    parts = {}
    for name, make in (("md", markdown_of), ("html", html_of), ("pdf", pdf_of)):
        began = time.process_time()
        made = make(report)
        parts[name] = {"cpu_s": time.process_time() - began, "size": len(made)}
    began = time.process_time()
    verdict = check_report(report, jobs, outline=outline)
    yield {
        "figure": "long",
        "model": report.text_model,
        "asked_model": model is not None,
        "jobs": len(jobs),
        "words": words,
        "wall_s": written_s[0],
        "cpu_s": written_s[1],
        "drafted": report.drafted,
        "kept": report.kept,
        "files": parts,
        "check_cpu_s": time.process_time() - began,
        "check": verdict.status.value,
    }
