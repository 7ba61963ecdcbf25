"""Goals in words with their reference graphs, read from JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.corpus.goals.references import Produced, text_of

HERE = Path(__file__).parent
DEVELOPER = HERE / "developer.jsonl"
HELD_OUT = HERE / "held_out.sealed"
OTHER_AUTHORS = tuple(
    HERE / f"{name}.jsonl" for name in ("second", "third", "fourth", "fifth")
)
"""Open sets, each by an author who saw neither reader nor other goals."""
TRAINING = tuple(
    HERE / f"{name}.jsonl"
    for name in (
        "sixth",
        "seventh",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
        "twenty-first",
        "twenty-second",
        "twenty-third",
        "twenty-fourth",
        "twenty-fifth",
        "twenty-sixth",
        "twenty-seventh",
        "twenty-eighth",
        "twenty-ninth",
        "thirtieth",
        "thirty-first",
    )
)
"""The same, in other shares of the strata; from the tenth on with `marks`."""
SECOND_HELD_OUT = HERE / "second_held_out.sealed"
THIRD_HELD_OUT = HERE / "third_held_out.sealed"
FOURTH_HELD_OUT = HERE / "fourth_held_out.sealed"
FIFTH_HELD_OUT = HERE / "fifth_held_out.sealed"

STRATA = (
    "single_leaf",
    "several_leaves",
    "order",
    "comparison",
    "units_in_words",
    "relations_corrections",
    "negation",
    "typos",
    "impossible",
    "hostile",
)


class GoalError(ValueError):
    """A goal's reference is wrong: names goal and field, expected, got."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A leaf of the reference graph: only what the goal's text says of it."""

    name: str
    """Name within the goal."""
    kind: str
    """Kind of the job."""
    files: Mapping[str, str | Produced]
    """Path of a file field below `spec` → name of an attached file, or another job's file."""
    set: Mapping[str, Any]
    """Dotted path in the request → value in the spec's unit."""
    any_of: Mapping[str, tuple[Any, ...]]
    """Dotted path → values that are equally right; None: the path may stay unset."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Jobs, and the pairs of which the first must end before the second starts."""

    jobs: tuple[Job, ...]
    order: frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Answer of the person to an allowed question, and what follows for the jobs."""

    answer: str
    """The answer in the person's words."""
    set: Mapping[str, Mapping[str, Any]]
    """Job, or `*` for all → dotted path → value."""
    files: Mapping[str, Mapping[str, str]]
    """Job → file field → name of an attached file."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal in words, its attached files, and what a plan of it must be."""

    id: str
    """Unique within both files."""
    stratum: str
    """Difficulty that the goal was written for, one of `STRATA`."""
    persona: str
    """Person in whose habits it was written."""
    goal: str
    """The text."""
    files: tuple[str, ...]
    """Names of attached files; `files.content` makes them."""
    graphs: tuple[Graph, ...]
    """Graphs that are equally right, the preferred one first."""
    not_done: Mapping[str, str]
    """Tag of each part that trimtab cannot do → the words of the goal that ask for it."""
    must_ask: frozenset[str]
    """What cannot be known without a question."""
    may_ask: frozenset[str]
    """What may be asked, and need not."""
    answers: Mapping[str, Answer]
    """The answer to each question of `must_ask` and `may_ask`."""
    marks: tuple[tuple[str, str, str], ...] = ()
    """Words that state a value, the name of the job, and the value's path."""


def load(path: Path) -> tuple[Goal, ...]:
    """Read goals. Raises GoalError for a line that is not a goal."""
    return tuple(_goal(line, path.name) for line in text_of(path).splitlines())


def _goal(line: str, source: str) -> Goal:
    record = json.loads(line)
    at = f"{source}: {record.get('id', 'a goal without id')}"
    try:
        return _from_record(dict(record))
    except (KeyError, TypeError, AttributeError) as error:
        raise GoalError(
            f"{at}: expected the fields of README.md, got {error!r}"
        ) from error
    except GoalError as error:
        raise GoalError(f"{at}: {error}") from error


def _from_record(record: dict[str, Any]) -> Goal:
    main = {"jobs": record.pop("jobs"), "order": record.pop("order")}
    others = [{"order": [], **other} for other in record.pop("alternatives", [])]
    tags, words = record.pop("not_done"), record.pop("spans")
    if sorted(tags) != sorted(words):
        raise GoalError(f"spans: expected one for each of {tags}, got {list(words)}")
    ask = record.pop("ask")
    answers = record.pop("answers")
    marks = tuple((words, job, path) for words, job, path in record.pop("marks", ()))
    if missing := [each[0] for each in marks if not _is_there(record["goal"], each[0])]:
        raise GoalError(f"marks: expected words of the goal, got {missing}")
    return Goal(
        marks=marks,
        files=tuple(record.pop("files")),
        graphs=tuple(_graph(other) for other in (main, *others)),
        not_done=words,
        must_ask=frozenset(tag for tag in ask if not tag.startswith("?")),
        may_ask=frozenset(tag[1:] for tag in ask if tag.startswith("?")),
        answers={
            tag: Answer(**{"files": {}, **fields}) for tag, fields in answers.items()
        },
        **record,
    )


def _is_there(goal: str, words: str) -> bool:
    """Return whether a goal has some words; `8@3` are the third that read 8."""
    plain, _, place = words.rpartition("@")
    if plain and place.isdigit() and words not in goal:
        return goal.count(plain) >= int(place)
    return words in goal


def _graph(record: Mapping[str, Any]) -> Graph:
    jobs = tuple(_job(job) for job in record["jobs"])
    order = {(before, after) for before, after in record["order"]}
    flow = {
        (file.job, job.name)
        for job in jobs
        for file in job.files.values()
        if isinstance(file, Produced)
    }
    return Graph(jobs=jobs, order=frozenset(order | flow))


def _job(record: Mapping[str, Any]) -> Job:
    files = {field: _file(value) for field, value in record["files"].items()}
    choices = {path: tuple(each) for path, each in record.get("any_of", {}).items()}
    return Job(**{**record, "files": files, "any_of": choices})


def _file(value: Any) -> str | Produced:
    if isinstance(value, str):
        return value
    return Produced(job=value["output_of"], output=value["output"])


def files_read(goal: Goal) -> Iterator[str]:
    """Yield the names of attached files that a job of the goal reads."""
    for graph in goal.graphs:
        for job in graph.jobs:
            yield from (file for file in job.files.values() if isinstance(file, str))
    for answer in goal.answers.values():
        for files in answer.files.values():
            yield from files.values()
