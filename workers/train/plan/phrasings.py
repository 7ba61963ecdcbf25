"""Made-up goals with the role of each number known by construction.

A goal is an opening of a kind, some sentences with values, and some with numbers that no job has,
in any order. Numbers are digits or words. The phrasings are in `phrasings.toml`.
"""

from __future__ import annotations

import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.plan.reading import facts_of, read_goal
from search.domains.plan.reading.stems import listed
from search.domains.plan.types import FileFacts
from trimtab.specs.common import Spec
from workers.corpus.goals.files import Contents
from workers.train.plan.roles import Example, Recorder, example

_HOLE = re.compile(r"\{([\w.]*):(\d+)\.\.(\d+)\}")
_WORDS = listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_IN_WORDS, _LOWER, _NO_STOP = 0.2, 0.15, 0.1


@dataclass(frozen=True, kw_only=True)
class MadeUp:
    """A text, and the role of the number at each of its places; "" for none."""

    text: str
    roles: Mapping[int, str]
    file: str | None


def phrasings() -> Mapping[str, Any]:
    """Return the phrasings by kind, and those of the story around the jobs."""
    return tomllib.loads(Path(__file__).with_name("phrasings.toml").read_text())


def made_up(rng: np.random.Generator, table: Mapping[str, Any]) -> MadeUp:
    """Return one goal."""
    kind = str(rng.choice([name for name in table if name != "story"]))
    rows = table[kind]
    file = str(rng.choice(rows["files"])) if rows["files"] else None
    opening = str(rng.choice(rows["openings"])).replace("$F", file or "")
    count, asides = int(rng.integers(1, 4)), int(rng.integers(0, 3))
    values = [str(v) for v in rng.choice(rows["values"], size=count, replace=False)]
    seen: set[str] = set()
    parts = []
    for value in values:
        paths = set(_HOLE.findall(value)[0][:1])
        if not paths & seen:
            seen |= paths
            parts.append(value)
    story = [str(s) for s in rng.choice(table["story"]["sentences"], size=asides)]
    rest = [*parts, *story]
    order = rng.permutation(len(rest))
    before = int(rng.integers(0, 2)) if rng.random() < 0.3 else 0
    sentences = [rest[i] for i in order]
    sentences.insert(min(before, len(sentences)), opening)
    return _filled(sentences, rng, file)


def _filled(
    sentences: Sequence[str], rng: np.random.Generator, file: str | None
) -> MadeUp:
    text, roles = "", {}
    for sentence in sentences:
        if rng.random() < _LOWER and not sentence.startswith("$"):
            sentence = sentence[:1].lower() + sentence[1:]
        if rng.random() < _NO_STOP:
            sentence = sentence.rstrip(".") + ","
        text += " " if text else ""
        at = 0
        for hole in _HOLE.finditer(sentence):
            text += sentence[at : hole.start()]
            at = hole.end()
            roles[len(text)] = hole[1]
            number = int(rng.integers(int(hole[2]), int(hole[3]) + 1))
            words = number < len(_WORDS) and rng.random() < _IN_WORDS
            text += _WORDS[number] if words else str(number)
        text += sentence[at:]
    return MadeUp(text=text, roles=roles, file=file)


def examples(
    count: int, content: Contents, specs: Mapping[str, type[Spec]], *, seed: int
) -> Iterator[Example]:
    """Yield the numbers of made-up goals, read by the grammar."""
    rng, table = np.random.default_rng(seed), phrasings()
    files = _facts(table, content)
    for number in range(count):
        goal = made_up(rng, table)
        recorder = Recorder()
        read_goal(
            goal.text,
            [files[goal.file]] if goal.file else [],
            specs=specs,
            roles=recorder,
        )
        for scene, quantity, candidates in recorder.asked:
            at = scene.tokens[quantity.tokens[0]].start
            if at in goal.roles:
                yield from example(
                    "made up",
                    f"made-up-{number}",
                    scene,
                    quantity,
                    candidates,
                    {goal.roles[at]},
                )


def _facts(table: Mapping[str, Any], content: Contents) -> dict[str, FileFacts]:
    names = {name for rows in table.values() for name in rows.get("files", ())}
    facts = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in sorted(names):
            path = Path(folder) / name
            path.write_bytes(content(name))
            facts[name] = facts_of(name, f"sha256:{'0' * 64}", path)
    return facts
