"""Names that a linked program takes from the text: entry, symbols to keep, linker script."""

from __future__ import annotations

import re
from collections.abc import Iterator

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.building.statement import (
    KIND,
    sentence_around,
    stated,
    tokens_in,
)
from search.domains.plan.reading.scene import Scene

ENTRY = "spec.image.entry"
KEEP = "spec.image.keep"
SCRIPT = "spec.image.script"
COMMANDS = "spec.build.compile_commands"
FEATURES = "spec.target.features"
_SYMBOL = r"[`'\"]?([A-Za-z_$][\w$.]*[\w$])[`'\"]?"
_LINK = r"(?:\s+(?:is|at|called|named|the|of|symbol|point|=)\b|\s*[:=])*\s*"
_ENTRY = re.compile(
    r"\b(?:entry(?:[ -]?(?:point|symbol|function))?|start(?:ing)?[ -]symbol|starts? at symbol)"
    + _LINK
    + _SYMBOL,
    re.I,
)
_SCRIPT = re.compile(r"(?<![\w./-])((?:[\w.-]+/)*[\w.-]+\.(?:ld|lds|x|icf))\b", re.I)
_COMMANDS = re.compile(r"(?<![\w./-])((?:[\w.-]+/)*compile_commands\.json)\b")
_KEEP_CUE = re.compile(
    r"\b(?:keep(?:s|ing)?|kept|retain(?:s|ed|ing)?|preserve[sd]?|stay(?:s)?|survives?|alive"
    r"|must not be (?:removed|stripped|dropped)|must remain)\b",
    re.I,
)
_KEPT = re.compile(
    r"(?<![\w/.-])([A-Za-z_$][\w$]*(?:_[\w$]*)?\*|[A-Za-z_$]+_[\w$]+)(?![\w/]|\.\w)"
)
_NEAR = 60  # characters between "keep" and a name
_PREFIX = re.compile(
    r"\bbegin(?:s|ning)?(?: with)?\s+[`'\"]?([A-Za-z_]\w*_)[`'\"]?", re.I
)
_FEATURE = re.compile(r"(?<![\w+-])([+-][a-z][\w.]*(?:,\s?[+-][a-z][\w.]*)*)")
_FEATURE_CUE = re.compile(r"\b(?:features?|mattr|processor features)\b", re.I)


def read_image(scene: Scene) -> Iterator[Bound]:
    """Read entry symbol, kept symbols and linker script of a linked program."""
    text = scene.text.folded
    entry = _ENTRY.search(text)
    if entry is not None and entry[1].lower() not in ("and", "or", "with", "point", "in"):
        yield from stated(ENTRY, entry[1], tokens_in(scene, entry.start(), entry.end()))
    script = _SCRIPT.search(text)
    if script is not None and script[1].lower() not in {n.lower() for n in scene.files}:
        start, _ = sentence_around(scene, script.start())
        cue = re.search(r"\b(?:linker )?script\b", text[start : script.start()], re.I)
        tokens = tokens_in(scene, script.start(), script.end())
        if cue is not None:
            tokens += tokens_in(scene, start + cue.start(), start + cue.end())
        yield from stated(SCRIPT, script[1], tokens)
    commands = _COMMANDS.search(text)
    if commands is not None:
        places = [
            t
            for match in _COMMANDS.finditer(text)
            for t in tokens_in(scene, match.start(), match.end())
        ]
        yield from stated(COMMANDS, commands[1], places)
    yield from _kept(scene)
    yield from _features(scene)


def _kept(scene: Scene) -> Iterator[Bound]:
    text = scene.text.folded
    names: list[str] = []
    tokens: list[int] = []
    for cue in _KEEP_CUE.finditer(text):
        start, end = sentence_around(scene, cue.start())
        stop = min(end, cue.end() + _NEAR)
        behind = [
            m for m in _KEPT.finditer(text, cue.end(), stop) if not _is_key(text, m)
        ]
        first = max(start, cue.start() - _NEAR)
        before = [
            m for m in _KEPT.finditer(text, first, cue.start()) if not _is_key(text, m)
        ]
        for match in behind or before[-1:]:
            places = tokens_in(scene, match.start(), match.end())
            if match[1] not in names and not any(t in tokens for t in places):
                names.append(match[1])
                tokens += places
        for match in _PREFIX.finditer(text, start, end):
            if f"{match[1]}*" not in names:
                names = [name for name in names if name != match[1]] + [f"{match[1]}*"]
                tokens += tokens_in(scene, match.start(), match.end())
        if names:
            tokens += tokens_in(scene, cue.start(), cue.end())
    if names:
        yield from stated(KEEP, names, tokens)


def _is_key(text: str, match: re.Match[str]) -> bool:
    """Return whether a name is one side of "icf=all"."""
    return "=" in (
        text[match.start() - 1 : match.start()],
        text[match.end() : match.end() + 1],
    )


def _features(scene: Scene) -> Iterator[Bound]:
    """Read "features +avx2,-sse4.2" and "with the feature +neon"."""
    text = scene.text.folded
    for cue in _FEATURE_CUE.finditer(text):
        match = _FEATURE.search(text, cue.end(), cue.end() + 60)
        if match is not None:
            value = match[1].replace(" ", "")
            row = [
                *tokens_in(scene, match.start(), match.end()),
                *tokens_in(scene, cue.start(), cue.end()),
            ]
            yield Bound(
                paths={KIND: FEATURES},
                values={KIND: (value,)},
                tokens=tuple(dict.fromkeys(sorted(row))),
            )
