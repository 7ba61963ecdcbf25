"""Input, output, exit code and time of test runs."""

from __future__ import annotations

import re
from typing import Any

from search.domains.plan.reading.building.statement import sentence_around, tokens_in
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.units import Dimension

_EXIT = re.compile(
    r"\b(?:(?:exit|return)(?:s|ed)?(?: |-)(?:code|status|value)|exits?(?: with)?|"
    r"returns?(?=\s+\d))\b[^.\n;\d]{0,40}?(\d{1,3})\b",
    re.I,
)
_STDIN = re.compile(
    r"\b(?:standard[ -]input|stdin|std ?in|piped? in|pipes?|feed(?: it)?|fed|typed? in)\b",
    re.I,
)
_STDIN_WORD = re.compile(
    r"\b(?:the )?(?:word|text|line|string|letters?|input)\s+[\"'`]?([\w-]{1,60})[\"'`]?",
    re.I,
)
_STDOUT = re.compile(
    r"\b(?:must|should|has to|have to|expected?|expects|needs to|shall|supposed to)\b[^.\n;]{0,40}?"
    r"\b(?:prints?|outputs?|stdout|write|answer|say)\b",
    re.I,
)
_KILLED = vocabulary("kill killed kills abort aborted terminate terminated timeout hangs")


def add_streams(scene: Scene, runs: list[dict[str, Any]], tokens: list[int]) -> None:
    """Add exit code, standard input and expected output to the runs."""
    text = scene.text.folded
    row: dict[str, Any] = {}
    places: list[int] = []
    if (match := _EXIT.search(text)) is not None:
        row["expected_exit"] = int(match[1])
        places += tokens_in(scene, match.start(), match.end())
    if (match := _STDIN.search(text)) is not None:
        start, end = sentence_around(scene, match.start())
        word = _quoted(text, start, end) or _STDIN_WORD.search(text, start, end)
        if word is not None:
            row["stdin"] = next(g for g in word.groups() if g)
            places += tokens_in(scene, match.start(), match.end())
            places += tokens_in(scene, word.start(), word.end())
    if (match := _STDOUT.search(text)) is not None:
        start, end = sentence_around(scene, match.start())
        printed = _quoted(text, match.end(), end)
        if printed is not None:
            row["expected_stdout"] = next(g for g in printed.groups() if g)
            places += tokens_in(scene, match.start(), match.end())
            places += tokens_in(scene, printed.start(), printed.end())
    if not row:
        return
    value = str(row.get("expected_exit", ""))
    for run in runs:
        if (
            value
            and run.get("arguments", [None])[-1] == value
            and len(run["arguments"]) > 1
        ):
            run["arguments"].pop()
    runs[:] = [r for r in runs if r.get("arguments") != [value] or not value]
    stdin = row.get("stdin")
    runs[:] = [r for r in runs if r.get("arguments") != [stdin] or not stdin]
    if not runs:
        runs.append({})
    for run in runs:
        run.update(row)
    tokens += places


def add_time(scene: Scene, runs: list[dict[str, Any]], tokens: list[int]) -> None:
    """Read "kill a run that needs more than 2 s", which limits no search."""
    for quantity in scene.quantities:
        seconds = quantity.reading(Dimension.TIME)
        if seconds is None or not quantity.units:
            continue
        here = [
            i
            for i in range(
                max(0, quantity.start - 14), min(len(scene.tokens), quantity.end + 8)
            )
            if scene.sentence(i) == scene.sentence(quantity.start)
            and (i < quantity.start or i >= quantity.end)
        ]
        words = [scene.word(i) for i in here]
        one_run = any(
            words[k]
            in (
                "a",
                "each",
                "every",
                "per",
                "that",
                "one",
                "any",
                "single",
                "the",
                "test",
            )
            and words[k + 1] in ("run", "test", "execution")
            for k in range(len(words) - 1)
        )
        if _KILLED & set(words) and (one_run or runs):
            for run in runs or [{}]:
                run["timeout_seconds"] = seconds[0]
                if run not in runs:
                    runs.append(run)
            tokens += range(quantity.start, quantity.end)
            tokens += [i for i in here if scene.word(i) in _KILLED]


def _quoted(text: str, start: int, end: int) -> re.Match[str] | None:
    return re.compile(r"\"([^\"\n]{1,500})\"|`([^`\n]{1,500})`|'([^'\n]{1,500})'").search(
        text, start, end
    )
