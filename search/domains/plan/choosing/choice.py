"""The one reader of goals that a plan uses: rules and a learned model side by side.

Where both say the same, that is the reading. Where they differ, the one that is right more often
on goals like this is taken (`weights.toml`, fitted on authors that the model had not seen); where
that is too rarely, one closed question shows the readings in words. Without weights of the learned
reader the rules alone serve.
"""

from __future__ import annotations

import functools
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from search.domains.plan.choosing.features import NAMES, features
from search.domains.plan.choosing.forms import Comparison, compared
from search.domains.plan.choosing.graphs import shipped_graphs
from search.domains.plan.choosing.merge import with_values
from search.domains.plan.choosing.question import ABOUT, chosen, question_of
from search.domains.plan.choosing.quoted import masked, unmasked
from search.domains.plan.reading.graphs.types import ReadGraph
from search.domains.plan.reading.joint.both import learned_reading
from search.domains.plan.reading.read import read_goal as read_by_rules
from search.domains.plan.types import FileFacts, Reading
from trimtab.specs.common import Spec

WEIGHTS = Path(__file__).with_name("weights.toml")
MODEL, RULES, MERGED, SECOND = "model", "rules", "merged", "second"
SORTS = (MODEL, RULES, MERGED, SECOND)
"""The model's likeliest graph, the rules' reading, both together, the model's second graph."""
ReadGraphs = Callable[[str, Sequence[str]], Sequence[ReadGraph]]
_MARKUP = re.compile(r"<.*>", re.DOTALL)
_MOST_CHARACTERS = 4_000  # longer goals are the rules' alone


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Logistic regressions over `features.NAMES`, one for each sort of reading, and thresholds."""

    of: Mapping[str, tuple[float, ...]]
    # Least probability at which a reading is taken without a question: where the rules are silent,
    # underline words, or ask by themselves.
    accept: float
    accept_marked: float
    accept_asked: float
    offer: float  # least probability of a reading that is worth showing

    def probability(self, sort: str, row: Sequence[float]) -> float:
        """Return how probably a reading of this sort is right."""
        score = sum(w * x for w, x in zip(self.of[sort], row, strict=True))
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, score))))

    def least(self, *, asks: bool, marks: bool) -> float:
        """Return the threshold for a goal on which the rules ask, or underline words."""
        return self.accept_asked if asks else self.accept_marked if marks else self.accept


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Readings of a goal with what was chosen, for the bench and the fit."""

    # by sort; a sort that says what another says is left out
    readings: Mapping[str, Reading]
    row: tuple[float, ...]
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A goal with the answers so far, and what the rules read in it without them."""

    goal: str
    files: Sequence[FileFacts]
    answers: Mapping[str, str]
    specs: Mapping[str, type[Spec]]
    rules: Reading

    def by_rules(self) -> Reading:
        """Return what the rules read after the answers to their own questions."""
        others = {about: text for about, text in self.answers.items() if about != ABOUT}
        if not others:
            return self.rules
        return read_by_rules(self.goal, self.files, answers=others, specs=self.specs)

    def usable(self, graphs: Sequence[ReadGraph]) -> Iterator[tuple[ReadGraph, Reading]]:
        """Yield the graphs that are readings, with their readings after the answers."""
        for graph in graphs:
            reading = learned_reading(
                graph, self.goal, self.files, self.rules, self.answers, self.specs
            )
            if not isinstance(reading, str):
                yield graph, reading


@functools.cache
def weights() -> Weights:
    """Return the shipped weights of the choice."""
    document = tomllib.loads(WEIGHTS.read_text(encoding="utf-8"))
    return Weights(
        of={sort: tuple(float(document[sort][name]) for name in NAMES) for sort in SORTS},
        accept=float(document["accept"]),
        accept_marked=float(document["accept_marked"]),
        accept_asked=float(document["accept_asked"]),
        offer=float(document["offer"]),
    )


def read_goal(
    goal: str,
    files: Sequence[FileFacts],
    *,
    answers: Mapping[str, str] | None = None,
    specs: Mapping[str, type[Spec]],
    read_graphs: ReadGraphs | None = None,
    by: Weights | None = None,
) -> Reading:
    """Return what a goal says, by the reader that is to be believed on it.

    Pure and deterministic like both readers. read_graphs, by: other than the shipped ones.
    """
    rules = read_by_rules(goal, files, specs=specs)
    asked = _Asked(
        goal=goal, files=files, answers=dict(answers or {}), specs=specs, rules=rules
    )
    graphs = graphs_for(goal, files, rules, read_graphs)
    choice = choice_of(graphs, goal, files, rules, specs)
    if choice is None:
        return asked.by_rules()
    decided = decide(choice, by or weights())
    if isinstance(decided, str):
        sort = decided
    else:
        index = chosen(asked.answers.get(ABOUT, ""), len(decided))
        if index is None:
            shown = [choice.readings[sort] for sort in decided]
            return replace(
                shown[0],
                questions=(question_of(shown, specs),),
                reader="not decided: the readers differ",
            )
        sort = decided[index]
    return _answered(sort, choice, graphs, asked)


def choice_of(
    graphs: Sequence[ReadGraph],
    goal: str,
    files: Sequence[FileFacts],
    rules: Reading,
    specs: Mapping[str, type[Spec]],
) -> Choice | None:
    """Return the readings of a goal; None where none of the model's graphs is a reading.

    graphs: of the model, the likeliest first. The first two that are readings count.
    """
    asked = _Asked(goal=goal, files=files, answers={}, specs=specs, rules=rules)
    usable = list(asked.usable(graphs))
    if not usable:
        return None
    graph, learned = usable[0]
    comparison = compared(learned, rules, specs)
    readings = {MODEL: learned}
    if not comparison.same:
        readings[RULES] = rules
        merged = with_values(learned, rules, comparison, specs)
        if merged is not None and not compared(merged, rules, specs).same_graph:
            readings[MERGED] = merged
        for _, second in usable[1:2]:
            if not any(
                compared(second, each, specs).same_graph for each in readings.values()
            ):
                readings[SECOND] = second
    return Choice(
        readings=readings,
        row=features(graph, learned, rules, comparison),
        comparison=comparison,
    )


def decide(choice: Choice, by: Weights) -> str | tuple[str, ...]:
    """Return the sort of reading to take; or those to ask about, the likeliest first."""
    if len(choice.readings) == 1:
        return next(iter(choice.readings))
    ranked = sorted(choice.readings, key=lambda sort: -by.probability(sort, choice.row))
    best = by.probability(ranked[0], choice.row)
    offered = tuple(s for s in ranked if by.probability(s, choice.row) >= by.offer)
    rules = choice.readings[RULES]
    least = by.least(asks=bool(rules.questions), marks=bool(rules.not_understood))
    if best >= least or len(offered) < 2:
        return ranked[0]
    return offered


def graphs_for(
    goal: str, files: Sequence[FileFacts], rules: Reading, read_graphs: ReadGraphs | None
) -> Sequence[ReadGraph]:
    """Return the model's graphs of a goal that it may see; quotations are kept from it."""
    if rules.refused is not None or len(goal) > _MOST_CHARACTERS:
        return ()
    text, places = masked(goal)
    shown = {_plain(file.name, number): file.name for number, file in enumerate(files)}
    if len(shown) < len(files):
        return ()
    found = (read_graphs or shipped_graphs)(text, list(shown))
    return [_renamed(unmasked(graph, places), shown) for graph in found]


def _plain(name: str, number: int) -> str:
    """Return a file's name as the model sees it: markup in it is one X."""
    return _MARKUP.sub("X" if number == 0 else f"X{number}", name)


def _renamed(graph: ReadGraph, names: Mapping[str, str]) -> ReadGraph:
    """Return a graph with the files' own names."""
    jobs = (
        replace(
            job, files={field: names.get(name, name) for field, name in job.files.items()}
        )
        for job in graph.jobs
    )
    return replace(graph, jobs=tuple(jobs))


def _answered(
    sort: str, choice: Choice, graphs: Sequence[ReadGraph], asked: _Asked
) -> Reading:
    """Return the chosen reading after the other questions were answered."""
    who = _who(sort, choice)
    if sort == RULES:
        return replace(asked.by_rules(), reader=who)
    if not asked.answers:
        return replace(choice.readings[sort], reader=who)
    usable = [graph for graph, _ in replace(asked, answers={}).usable(graphs)]
    graph = usable[1] if sort == SECOND else usable[0]
    answered = list(asked.usable([graph]))
    if not answered:
        return replace(asked.by_rules(), reader=who)
    learned = answered[0][1]
    if sort == MERGED:
        comparison = compared(learned, asked.rules, asked.specs)
        learned = with_values(learned, asked.rules, comparison, asked.specs) or learned
    return replace(learned, reader=who)


def _who(sort: str, choice: Choice) -> str:
    if len(choice.readings) == 1:
        return "rules and learned reader agree"
    return {
        RULES: "rules; the learned reader differs",
        MODEL: "learned reader; the rules differ",
        MERGED: "learned reader, with values that only the rules read",
        SECOND: "learned reader, its second reading",
    }[sort]
