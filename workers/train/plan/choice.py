"""Fit of the choice between two readings of a goal: how often each sort of reading is right.

Each goal of an author whom the graph reader was not trained on is planned once by each sort of
reading, and judged. A logistic regression for each sort tells from what both readers say how
probably its reading is right; thresholds are set so that few plans are silently wrong.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from search.domains.plan import PlanDomain
from search.domains.plan.choosing.choice import (
    MODEL,
    SORTS,
    Choice,
    ReadGraphs,
    Weights,
    choice_of,
    graphs_for,
    read_goal,
)
from search.domains.plan.choosing.features import NAMES
from search.domains.plan.choosing.graphs import graphs_of
from search.domains.plan.reading.graphs.predict import weights_in
from search.domains.plan.reading.read import read_goal as read_by_rules
from search.domains.plan.types import FileFacts, Reading
from trimtab.specs.common import Spec
from workers.corpus.goals.files import Contents, contents
from workers.corpus.goals.outcomes import (
    AFTER_ONE,
    AFTER_OWN,
    AT_ONCE,
    MARKED,
    SILENT,
    judged,
)
from workers.corpus.goals.planning import Planner
from workers.corpus.goals.references import Goal, load
from workers.train.steps import Say, StepError

_RIDGE = 0.3
_MOST_SILENT = 0.025  # share of goals, of the thresholds
# Worth of a plan that is right after one question, beside one that is right at once.
_WORTH = 0.45
_COST_OF_SILENCE = 4.0
_THRESHOLDS = (0.01, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_ASKS = NAMES.index("the rules ask")
_MARKS = NAMES.index("words that the rules do not understand")


@dataclass(frozen=True, kw_only=True)
class Rated:
    """A goal with what became of each sort of reading."""

    author: str
    goal: str
    row: tuple[float, ...]  # features; empty where the graph was no reading
    outcomes: Mapping[str, str]  # sort → outcome; one alone where both readers agree
    rules: str  # outcome of the rules alone


def forced(sort: str) -> Weights:
    """Return weights that always take one sort of reading where there is one of it."""
    zeros = (0.0,) * (len(NAMES) - 1)
    return Weights(
        of={each: (9.0 if each == sort else -9.0, *zeros) for each in SORTS},
        accept=0.0,
        accept_marked=0.0,
        accept_asked=0.0,
        offer=0.0,
    )


class _Seen:
    """A reader that keeps the choice that a goal left open."""

    def __init__(self, graphs: ReadGraphs, by: Weights) -> None:
        self._graphs, self._by = graphs, by
        self.choice: Choice | None = None

    def __call__(
        self,
        goal: str,
        files: Sequence[FileFacts],
        *,
        answers: Mapping[str, str] | None = None,
        specs: Mapping[str, type[Spec]],
    ) -> Reading:
        if self.choice is None:
            rules = read_by_rules(goal, files, specs=specs)
            found = graphs_for(goal, files, rules, self._graphs)
            self.choice = choice_of(found, goal, files, rules, specs)
        return read_goal(
            goal,
            files,
            answers=answers,
            specs=specs,
            read_graphs=self._graphs,
            by=self._by,
        )


def rated(author: str, goal: Goal, content: Contents, graphs: ReadGraphs) -> Rated:
    """Return what becomes of a goal by each sort of reading."""
    known: dict[str, Any] = {}

    def once(text: str, files: Sequence[str]) -> Any:
        if text not in known:
            known[text] = graphs(text, files)
        return known[text]

    rules = judged(Planner(lambda: PlanDomain(read=read_by_rules)), goal, content).outcome
    first = _Seen(once, forced(MODEL))
    outcomes = {
        MODEL: judged(Planner(lambda: PlanDomain(read=first)), goal, content).outcome
    }
    if first.choice is None:
        return Rated(author=author, goal=goal.id, row=(), outcomes={}, rules=rules)
    for sort in first.choice.readings:
        if sort == MODEL:
            continue
        reader = _Seen(once, forced(sort))
        planner = Planner(functools.partial(PlanDomain, read=reader))
        outcomes[sort] = judged(planner, goal, content).outcome
    return Rated(
        author=author, goal=goal.id, row=first.choice.row, outcomes=outcomes, rules=rules
    )


def written(rows: Sequence[Rated], path: Path) -> None:
    """Write rated goals as JSON lines, to fit again without planning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))


def kept(path: Path) -> list[Rated]:
    """Return the rated goals of a file; none without it."""
    if not path.is_file():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [Rated(**{**line, "row": tuple(line["row"])}) for line in lines]


def fit(rows: Sequence[Rated]) -> dict[str, tuple[float, ...]]:
    """Return the weights of each sort: maximal likelihood with a ridge, where readers differ."""
    open_ = [row for row in rows if len(row.outcomes) > 1]
    found = {}
    for sort in SORTS:
        own = [row for row in open_ if sort in row.outcomes]
        x = np.array([row.row for row in own]).reshape(len(own), len(NAMES))
        y = np.array([is_right(row.outcomes[sort]) for row in own], dtype=float)
        found[sort] = (
            _logit(x, y) if len(own) >= 10 else (-2.0, *(0.0,) * (len(NAMES) - 1))
        )
    return found


def is_right(outcome: str) -> bool:
    """Return whether an outcome is right at once, or after a question that the goal allows."""
    return outcome in (AT_ONCE, AFTER_ONE)


def _logit(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, ...]:
    def cost(w: NDArray[np.float64]) -> float:
        z = x @ w
        return float((np.logaddexp(0, z) - y * z).sum() + _RIDGE * (w[1:] ** 2).sum())

    found = minimize(cost, np.zeros(x.shape[1]), method="L-BFGS-B").x
    return tuple(round(float(w), 4) for w in found)


def cross_fitted(rows: Sequence[Rated]) -> Iterator[tuple[Rated, Mapping[str, float]]]:
    """Yield each goal with the probabilities by weights fitted without its author.

    With one author alone: without its fifth of the goals.
    """
    authors = sorted({row.author for row in rows})
    parts = [[row for row in rows if row.author == author] for author in authors]
    if len(parts) == 1:
        parts = [list(rows)[k::5] for k in range(5)]
    for part in parts:
        names = {row.goal for row in part}
        weights = fit([row for row in rows if row.goal not in names])
        by = replace(forced(MODEL), of=weights)
        for row in part:
            yield (
                row,
                {sort: by.probability(sort, row.row) for sort in row.outcomes if row.row},
            )


def outcome_of(row: Rated, sure: Mapping[str, float], by: Weights) -> tuple[str, str]:
    """Return what becomes of a goal by the choice, and the sort taken; `asked` for a question."""
    if not row.outcomes:
        return row.rules, "rules alone"
    if len(row.outcomes) == 1:
        return row.outcomes[MODEL], "agree"
    ranked = sorted(sure, key=lambda sort: -sure[sort])
    offered = [sort for sort in ranked if sure[sort] >= by.offer]
    least = by.least(asks=row.row[_ASKS] > 0, marks=row.row[_MARKS] > 0)
    if sure[ranked[0]] >= least or len(offered) < 2:
        return row.outcomes[ranked[0]], ranked[0]
    right = any(row.outcomes[sort] == AT_ONCE for sort in offered)
    return (AFTER_OWN if right else MARKED), "asked"


def thresholds(pairs: Sequence[tuple[Rated, Mapping[str, float]]]) -> Weights:
    """Return weights with the thresholds of most worth at few silently wrong plans."""
    best, found = -1e9, forced(MODEL)
    for accept, marked, asked, offer in itertools.product(
        _THRESHOLDS, _THRESHOLDS, _THRESHOLDS, (0.02, 0.05, 0.1)
    ):
        by = replace(
            found, accept=accept, accept_marked=marked, accept_asked=asked, offer=offer
        )
        ends = Counter(outcome_of(row, sure, by)[0] for row, sure in pairs)
        worth = ends[AT_ONCE] + ends[AFTER_ONE] + _WORTH * ends[AFTER_OWN]
        worth -= _COST_OF_SILENCE * max(0.0, ends[SILENT] - _MOST_SILENT * len(pairs))
        if worth > best:
            best, found = worth, by
    return found


def measured(rows: Sequence[Rated], by: Weights) -> Iterator[str]:
    """Yield lines with what becomes of the goals: by rules, by the model, by the choice."""
    pairs = list(cross_fitted(rows))
    for author in ("all", *sorted({row.author for row in rows})):
        own = [pair for pair in pairs if author in ("all", pair[0].author)]
        arms = {
            "rules": Counter(row.rules for row, _ in own),
            "model": Counter(row.outcomes.get(MODEL, MARKED) for row, _ in own),
            "choice": Counter(outcome_of(row, sure, by)[0] for row, sure in own),
        }
        for arm, ends in arms.items():
            yield (
                f"{author}, {len(own)} goals, {arm}: {ends[AT_ONCE]} right at once, "
                f"{ends[AT_ONCE] + ends[AFTER_ONE]} after a listed question, "
                f"{ends[AT_ONCE] + ends[AFTER_ONE] + ends[AFTER_OWN]} after one of any kind, "
                f"{ends[SILENT]} silently wrong"
            )
        ways = Counter(outcome_of(row, sure, by)[1] for row, sure in own)
        yield f"{author}: taken {dict(ways.most_common())}"


def train(
    *,
    graphs: Path | None,
    goals: Sequence[Path],
    work: Path,
    out: Path,
    command: str,
    say: Say,
) -> None:
    """Plan the goals by each sort of reading where that is not done yet, fit, and write weights.

    graphs: folder of weights of a graph reader that has not seen these goals' authors.
    """
    file = work / "rated.jsonl"
    rows = kept(file)
    if graphs is not None:
        weights = weights_in(graphs)
        content = contents()
        done = {row.goal for row in rows}
        for path in goals:
            for goal in load(path):
                if goal.id not in done:
                    rows.append(
                        rated(
                            path.stem,
                            goal,
                            content,
                            functools.partial(graphs_of, weights=weights),
                        )
                    )
            written(rows, file)
            say(f"{path.stem}: {len(rows)} goals rated")
    if not rows:
        raise StepError(
            f"--work: expected rated goals in {file}, got none; give --graphs"
        )
    by = thresholds(list(cross_fitted(rows)))
    for line in measured(rows, by):
        say(line)
    out.write_text(document(replace(by, of=fit(rows)), command))


def document(by: Weights, command: str) -> str:
    """Return the file of the choice's weights."""
    lines = [
        "# How probably each sort of reading is right; see choice.py. Made by",
        f"# {command}",
        f"accept = {by.accept}",
        f"accept_marked = {by.accept_marked}",
        f"accept_asked = {by.accept_asked}",
        f"offer = {by.offer}",
    ]
    for sort in SORTS:
        lines += ["", f"[{sort}]"]
        lines += [f'"{name}" = {w}' for name, w in zip(NAMES, by.of[sort], strict=True)]
    return "\n".join(lines) + "\n"
