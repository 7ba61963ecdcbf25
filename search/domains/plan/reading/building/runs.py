"""Test runs of a program: arguments, input, and what must come out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from search.domains.plan.reading.binding.bound import HARDWARE, Bound
from search.domains.plan.reading.building.statement import stated, tokens_in
from search.domains.plan.reading.building.streams import add_streams, add_time
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form

RUNS = "spec.runs"
_ARGUMENT = re.compile(
    r"\b(?:command[ -]line )?(?:arguments?|args?|parameters?|argv|inputs?)\b", re.I
)
_RUN = re.compile(
    r"\b(?:run|runs|ran|running|test|tested|tests|testing|check|checked|validate|validated|verify"
    r"|verified|validation|launch|call|called|execute|executed|exercise|exercised|try it|once)\b",
    re.I,
)
_RUN_VALUE = re.compile(
    r"`([^`\n]{1,200})`|\"([^\"\n]{1,200})\"|(?<![\w.])(-{1,2}[A-Za-z][\w=-]*)"
    r"|(?<![\w.,-])(\d[\d,_]*(?:\.\d+)?)(?![\w%]|\.\d)"
)
_LEADS = vocabulary(
    "with on argument arguments arg args input inputs of is are for by to parameter "
    "parameters : = using use takes value values number being say"
)
_NEW_RUN = vocabulary("once then another second third ; also again next")
_SAME_RUN = vocabulary("and , the argument arguments value values")


def read_runs(scene: Scene, taken: set[int]) -> Iterator[Bound]:
    """Read the test runs of a program: arguments, input, and what must come out."""
    runs: list[dict[str, Any]] = []
    tokens: list[int] = []
    for sentence in dict.fromkeys(scene.sentence(i) for i in range(len(scene.tokens))):
        here = list(scene.in_sentence(sentence))
        _runs_of(scene, here, taken, runs, tokens)
    add_streams(scene, runs, tokens)
    add_time(scene, runs, tokens)
    if runs:
        yield from stated(RUNS, runs, tokens)


def _runs_of(
    scene: Scene,
    here: Sequence[int],
    taken: set[int],
    runs: list[dict[str, Any]],
    tokens: list[int],
) -> None:
    start, end = scene.tokens[here[0]].start, scene.tokens[here[-1]].end
    text = scene.text.folded
    argument = next((i for i in here if _ARGUMENT.fullmatch(scene.word(i))), None)
    run = next((i for i in here if _RUN.fullmatch(scene.word(i))), None)
    cue = run if argument is None else argument
    if cue is None:
        if runs and all(scene.tokens[i].form in (Form.QUOTE, Form.MARK) for i in here):
            quotes = [i for i in here if scene.tokens[i].form is Form.QUOTE]
            runs += [{"arguments": [scene.tokens[i].text[1:-1]]} for i in quotes]
            tokens += quotes
        return
    last = -1
    for match in _RUN_VALUE.finditer(text, start, end):
        places = tokens_in(scene, match.start(), match.end())
        value = match[1] or match[2] or match[3] or match[4]
        if (
            not places
            or set(places) & taken
            or not _is_argument(scene, places, match, last, named=argument is not None)
        ):
            continue
        if run is not None and argument is None and places[0] < run:
            continue
        separate = last < 0 or _is_new_run(scene, last, places[0])
        plain = value if match[4] is None else value.replace(",", "").replace("_", "")
        if separate:
            runs.append({"arguments": [plain]})
        else:
            runs[-1]["arguments"].append(plain)
        tokens += places
        last = places[-1]
    if last >= 0:
        tokens.append(cue)


def _is_argument(
    scene: Scene,
    places: Sequence[int],
    match: re.Match[str],
    last: int,
    *,
    named: bool,
) -> bool:
    """Return whether a number, an option or a quoted word is given to the program."""
    at = places[0]
    if any(scene.tokens[t].form is Form.FILE for t in places):
        return False
    if any(at in q.tokens and (q.units or q.suffix) for q in scene.quantities):
        return False
    following = scene.word(places[-1] + 1)
    if following in ("-", "bit", "bits", "x"):
        return False
    before = at - 1
    while scene.word(before) in ("the", "a", "only", "one", "just", "single", "1"):
        before -= 1
    led = scene.word(before) in _LEADS or scene.word(at - 1) in _LEADS
    joined = last >= 0 and all(
        scene.word(t) in _SAME_RUN | _NEW_RUN | _LEADS | {"once", "or", "for"}
        for t in range(last + 1, at)
    )
    trailing = following in ("as", "for") and any(
        scene.word(t).startswith(("arg", "input", "param"))
        for t in range(places[-1] + 1, min(places[-1] + 5, len(scene.tokens)))
    )
    if not (led or joined or trailing):
        return False
    # A number in front of what it counts is no argument: "with 200 evaluations".
    head = any(
        phrase.start <= places[-1] + 1 < phrase.end
        and any(
            s.role.value in ("head", "counted")
            or (s.role.value == "value" and s.path == HARDWARE)
            for s in phrase.senses
        )
        for phrase in scene.items
    )
    counts = head and not following.startswith(("arg", "run", "input"))
    if match[4] is not None and counts and following not in (",", "."):
        return False
    in_front = {
        s.path
        for phrase in scene.items
        if phrase.end in (at, at - 1)
        for s in phrase.senses
        if s.role.value == "head"
    }
    if match[4] is not None and in_front and not named:
        return False
    return not (in_front and scene.word(before).startswith(("seed", "prio")))


def _is_new_run(scene: Scene, last: int, at: int) -> bool:
    """Return whether a value begins another run, not another argument of the last one."""
    between = [scene.word(t) for t in range(last + 1, at)]
    if _NEW_RUN & set(between):
        return True
    prepositions = {"with", "on", "for", "by"} & set(between)
    return bool(prepositions) or any(w.startswith("argument") for w in between)
