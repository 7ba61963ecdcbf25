"""Rules about single tables: where they may lie, which stay together, which stay whole.

Each phrase that states a rule takes the tables nearest to it. Tables that are listed together
("campaign and ad_id") go together. Names come from the attached lists of tables, and from words
that look like identifiers; a name of one common word counts only beside such a phrase.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import distance, stem, vocabulary
from search.domains.plan.reading.tokens import Form

PIN, TOGETHER = "spec.constraints.pin", "spec.constraints.together"
NO_SPLIT = "spec.constraints.no_split"
_KIND = "sharding"
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+")
_DEVICES = vocabulary(
    "device devices gpu gpus card cards accelerator accelerators rank ranks chip chips"
)
_DEVICE_LINKS = vocabulary("number no nr # index with the")
_LISTS = vocabulary("and or , & nor + / both with as well the table tables")
_COSTLY = vocabulary(", and but while whereas ; - whilst also")
_ORDINALS = ("first", "second", "third", "fourth")
_JOINED_ON = vocabulary("same one single")
_NOT_SPLIT = vocabulary(
    "split cut divide break sever slice chop shard separate fragment tear partition"
)
_STEMS_NOT_SPLIT = frozenset(stem(w) for w in _NOT_SPLIT) | {"broken", "torn", "splitt"}
_WHOLE = vocabulary(
    "whole entire entirely intact undivided unsplit uncut unbroken complete"
)
_ONE_PIECE = ("in one piece", "in a piece", "in 1 piece", "as one", "as a whole", "as 1")
_NOT = vocabulary(
    "not never don't dont no without nor cannot can't mustn't shouldn't forbidden "
    "prohibited avoid neither unsplit forbid won't isn't refrain nt"
)
_APART = frozenset(
    ("apart", "separated", "separate", "different", "separately", "elsewhere", "distinct")
)
_TOGETHER = vocabulary(
    "together colocated collocated co-located colocate collocate co-locate grouped "
    "inseparable adjacent"
)
_NEXT_TO = (
    "next to each other",
    "side by side",
    "next to one another",
    "beside each other",
)
_CO = ("co - locate", "co - located", "co located", "co locate")
_STAY = vocabulary(
    "pin pinned fix fixed lock locked tie tied bind bound stay stays sit sits live lives "
    "go goes belong belongs keep kept put place placed hold remain remains must reside "
    "resides nail nailed assign assigned restricted only has to nowhere else on"
)


@dataclass
class _Cue:
    """A phrase that states a rule."""

    path: str
    start: int
    end: int
    devices: tuple[int, ...] = ()
    tables: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Mention:
    name: str
    start: int
    end: int
    sure: bool  # False: a common word that is a table's name


def constraints_of(scene: Scene, kinds: Sequence[str]) -> list[Bound]:
    """Return the rules of the goal, each value with all the words that state it."""
    if _KIND not in kinds:
        return []
    mentions = _mentions(scene)
    holding: list[_Cue] = []
    for sentence in sorted({scene.sentence(m.start) for m in mentions}):
        here = [m for m in mentions if scene.sentence(m.start) == sentence]
        cues = _cues(scene, sentence)
        if cues:
            _assign(scene, here, cues)
            holding += [cue for cue in cues if _holds(cue)]
    return list(_bounds(scene, holding))


def _holds(cue: _Cue) -> bool:
    return len(cue.tables) >= (2 if cue.path == TOGETHER else 1)


def _bounds(scene: Scene, cues: Sequence[_Cue]) -> Iterator[Bound]:
    for path in (PIN, TOGETHER, NO_SPLIT):
        rows = [cue for cue in cues if cue.path == path]
        if not rows:
            continue
        value: list[Any] = []
        for cue in rows:
            if path == PIN:
                value += [
                    {"table": name, "devices": list(cue.devices)} for name in cue.tables
                ]
            elif path == TOGETHER:
                value.append(cue.tables)
            else:
                value += [name for name in cue.tables if name not in value]
        tokens = sorted(
            {t for cue in rows for t in (*range(cue.start, cue.end), *cue.tokens)}
        )
        first = min(rows[0].start, *rows[0].tokens)
        rest = tuple(t for t in tokens if t != first)
        yield Bound(paths={_KIND: path}, values={_KIND: (value,)}, tokens=(first, *rest))
        for cue in rows:
            _account(scene, cue)


def _account(scene: Scene, cue: _Cue) -> None:
    """Account for the small words of a rule: "nowhere else", "must not", "keep"."""
    low, high = min(cue.start, *cue.tokens), max(cue.end, *(t + 1 for t in cue.tokens))
    for i in range(max(0, low - 4), min(len(scene.tokens), high + 3)):
        if scene.sentence(i) == scene.sentence(cue.start) and (
            scene.word(i) in _STAY or scene.word(i) in _NOT
        ):
            scene.use([i], cue.path)


def _mentions(scene: Scene) -> list[_Mention]:
    """Return the tables named in the text, in its order; none overlaps another."""
    names = {name.lower(): name for file in scene.files.values() for name in file.names}
    pieces = {tuple(_pieces(name)): name for name in names.values()}
    longest = max((len(p) for p in pieces), default=0)
    mentions: list[_Mention] = []
    i = 0
    while i < len(scene.tokens):
        mention = _mention_at(scene, i, names, pieces, longest)
        if mention is None:
            i += 1
            continue
        mentions.append(mention)
        i = mention.end
    return mentions


def _pieces(name: str) -> list[str]:
    return [p for p in re.split(r"[^A-Za-z0-9]+", name.lower()) if p]


def _mention_at(
    scene: Scene,
    i: int,
    known: dict[str, str],
    pieces: dict[tuple[str, ...], str],
    longest: int,
) -> _Mention | None:
    token = scene.tokens[i]
    if token.form is Form.QUOTE:
        text = token.text[1:-1]
        if text.lower() in known or re.fullmatch(r"[A-Za-z][\w.-]{0,63}", text):
            return _Mention(known.get(text.lower(), text), i, i + 1, sure=True)
        return None
    if token.form is not Form.WORD or scene.used.get(i, "").startswith("file"):
        return None
    for length in range(longest, 0, -1):
        end = _end_of(scene, i, length)
        if end is None:
            continue
        words = tuple(
            scene.tokens[t].text.lower()
            for t in range(i, end)
            if scene.tokens[t].form is not Form.MARK
        )
        if words in pieces:
            return _Mention(pieces[words], i, end, sure=length > 1)
    match = _IDENTIFIER.match(scene.text.folded, token.start)
    if match is not None:
        end = i
        while end < len(scene.tokens) and scene.tokens[end].start < match.end():
            end += 1
        return _Mention(_nearest(match[0], known) or match[0], i, end, sure=True)
    if len(token.text) >= 5 and (near := _nearest(token.text, known)):
        return _Mention(near, i, i + 1, sure=False)
    return None


def _end_of(scene: Scene, i: int, length: int) -> int | None:
    """Return the end of so many words from a place, over hyphens between them."""
    end, words = i, 0
    while end < len(scene.tokens) and words < length:
        token = scene.tokens[end]
        if token.form is Form.MARK and token.word == "-" and words:
            end += 1
            continue
        if token.form not in (Form.WORD, Form.NUMBER):
            return None
        end, words = end + 1, words + 1
    return end if words == length else None


def _nearest(word: str, known: dict[str, str]) -> str | None:
    low = word.lower()
    if low in known:
        return known[low]
    near = [
        name for key, name in known.items() if len(key) > 4 and distance(low, key, 1) == 1
    ]
    return near[0] if len(near) == 1 else None


def _cues(scene: Scene, sentence: int) -> list[_Cue]:
    here = list(scene.in_sentence(sentence))
    cues: list[_Cue] = []
    for i in here:
        if cues and i < cues[-1].end:
            continue
        cue = (
            _pin_at(scene, i) or _together_at(scene, i, here) or _whole_at(scene, i, here)
        )
        if cue is not None:
            cues.append(cue)
    return cues


def _pin_at(scene: Scene, i: int) -> _Cue | None:
    """Read "device 0", "GPUs 2 and 3", "card 0 or card 1", "the first two devices"."""
    if scene.word(i) in _ORDINALS:
        at, count = i + 1, 1
        if at < len(scene.tokens) and scene.tokens[at].form is Form.NUMBER:
            count, at = int(scene.tokens[at].value or 1), at + 1
        first = _ORDINALS.index(scene.word(i))
        if scene.word(at) in _DEVICES and first + count <= 64:
            return _Cue(PIN, i, at + 1, devices=tuple(range(first, first + count)))
        return None
    if scene.word(i) not in _DEVICES:
        return None
    devices: list[int] = []
    at, end = i + 1, i + 1
    span = False
    while at < len(scene.tokens):
        token = scene.tokens[at]
        if token.form is Form.NUMBER and token.value is not None and not token.suffix:
            if token.value != int(token.value) or any(
                q.units for q in scene.quantities if at in q.tokens
            ):
                break
            number = int(token.value)
            low = devices[-1] + 1 if span and devices else number
            devices += range(low, number + 1) if number - low < 4096 else ()
            at, end, span = at + 1, at + 1, False
            continue
        if token.word in ("to", "-", "through") and devices:
            span, at = True, at + 1
            continue
        more = (
            token.word in ("and", "or", ",", "/", *_DEVICE_LINKS)
            or token.word in _DEVICES
        )
        if not more or (not devices and token.word in ("and", "or", ",")):
            break
        at += 1
    return _Cue(PIN, i, end, devices=tuple(dict.fromkeys(devices))) if devices else None


def _together_at(scene: Scene, i: int, here: Sequence[int]) -> _Cue | None:
    word = scene.word(i)
    text = " ".join(scene.word(t) for t in range(i, min(i + 4, len(scene.tokens))))
    length = next((len(p.split()) for p in (*_NEXT_TO, *_CO) if text.startswith(p)), 0)
    if length:
        return _Cue(TOGETHER, i, i + length)
    negated = any(
        scene.word(t) in _NOT and scene.crossing(t, i) < 3
        for t in here
        if -8 <= t - i < 0
    )
    if word in _APART:
        return (
            _Cue(TOGETHER, i, i + 1 + (scene.word(i + 1) in _DEVICES))
            if negated
            else None
        )
    if negated:
        return None
    if word in _TOGETHER:
        return _Cue(TOGETHER, i, i + 1)
    one = word in _JOINED_ON or scene.tokens[i].value == 1 or word in ("a", "an")
    shares = (
        scene.word(i - 1) in ("share", "shares", "sharing")
        if word in ("a", "an")
        else one
    )
    if shares and scene.word(i + 1) in _DEVICES:
        return _Cue(TOGETHER, i, i + 2)
    return None


def _whole_at(scene: Scene, i: int, here: Sequence[int]) -> _Cue | None:
    word = scene.word(i)
    if word in _WHOLE:
        return _Cue(NO_SPLIT, i, i + 1)
    text = " ".join(scene.word(t) for t in range(i, min(i + 4, len(scene.tokens))))
    length = next((len(p.split()) for p in _ONE_PIECE if text.startswith(p)), 0)
    if length:
        return _Cue(NO_SPLIT, i, i + length)
    if stem(word) in _STEMS_NOT_SPLIT and any(
        scene.word(t) in _NOT and scene.crossing(t, i) < 3
        for t in here
        if abs(t - i) <= 9
    ):
        return _Cue(NO_SPLIT, i, i + 1)
    return None


def _assign(scene: Scene, mentions: Sequence[_Mention], cues: Sequence[_Cue]) -> None:
    """Give each list of tables to the phrase nearest to it."""
    groups: list[list[_Mention]] = []
    for mention in mentions:
        between = range(groups[-1][-1].end, mention.start) if groups else range(0)
        joined = bool(groups) and all(scene.word(t) in _LISTS for t in between)
        joined = joined and (
            {*map(scene.word, between)} != {","} or _goes_on(scene, mention)
        )
        if joined and not any(c.start in between for c in cues):
            groups[-1].append(mention)
        else:
            groups.append([mention])
    for group in groups:
        cue = min(cues, key=lambda c: _distance(scene, group, c))
        if not any(m.sure for m in group) and _distance(scene, group, cue) > 12:
            continue
        for mention in group:
            if mention.name not in cue.tables:
                cue.tables.append(mention.name)
            cue.tokens += range(mention.start, mention.end)


def _goes_on(scene: Scene, mention: _Mention) -> bool:
    """Return whether a list that a comma joins ends with "and": "campaign, site and country"."""
    return any(
        scene.word(i) in ("and", "or", "&", "nor")
        for i in range(mention.end, mention.end + 5)
    )


def _distance(scene: Scene, group: Sequence[_Mention], cue: _Cue) -> float:
    low, high = group[0].start, group[-1].end
    between = range(high, cue.start) if cue.start >= high else range(cue.end, low)
    costly = sum(scene.word(t) in _COSTLY for t in between)
    return len(between) + 2.5 * costly - 0.1 * (cue.start >= high)
