"""Scopes of negation, exception and replacement: which words a goal rules out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.quantities.quantity import Shape
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.tokens import Form

_REACH = 9
_JOIN = frozenset(("or", "nor", "and", ",", "&", "/"))
_BACK = frozenset(
    (
        "off",
        "disabled",
        "left out",
        "none",
        "not required",
        "not wanted",
        "not needed",
        "not to be used",
        "not wanted at all",
        "unwanted",
        "forbidden",
        "banned",
        "switched off",
        "turned off",
        "ruled out",
        "needn't",
        "need not",
        "not allowed",
        "prohibited",
        "omit",
        "excluded",
    )
)
_WITHIN = frozenset(("with", "the", "a", "learned", "any", "either", "on", "by", "-"))
_ALONE = frozenset(("alone", "out", "untouched", "aside", "later"))
_OPPOSITES = {"with": "without", "without": "with", "on": "off", "off": "on"}
_COUNTED_OFF = frozenset(("1", "once", "run", "vs", "versus", "/"))
_JOINED_OFF = frozenset(("and", "or", "then", ","))
_PREFERS = frozenset(("prefer", "preferred", "favour", "favor", "prefers"))
_OWN_NEGATIONS = frozenset(
    ("except", "only", "alone", "nothing", "without", "not", "just")
)
_STOPS = frozenset((";", "but", "then", "instead"))


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Words under one negation."""

    mark: Phrase
    tokens: frozenset[int]  # starts of the phrases and names that it rules out
    is_exception: bool = False  # "all but ..."


def scopes_of(scene: Scene) -> list[Scope]:
    """Return the scope of each negation of a text."""
    scopes = []
    what_if = {scene.sentence(mark.start) for mark in scene.marks("what_if")}
    for phrase in scene.marks("not", "except", "instead"):
        if phrase.mark("instead") and scene.sentence(phrase.start) in what_if:
            scene.use(range(phrase.start, phrase.end), "comparison")
            continue  # "what do we gain with H100 instead of A100" compares them
        backwards = scene.words(phrase.start, phrase.end).lower() in _BACK
        targets = _before(scene, phrase) if backwards else set()
        targets = targets or _after(scene, phrase)
        if not targets and phrase.mark("not"):
            targets = _before(scene, phrase)
        if targets:
            scopes.append(
                Scope(
                    mark=phrase,
                    tokens=frozenset(targets),
                    is_exception=phrase.mark("except"),
                )
            )
    return [*scopes, *_preferred(scene), *_left_alone(scene)]


def _preferred(scene: Scene) -> list[Scope]:
    """Return the scopes of "I prefer SCIP over HiGHS", "SCIP is to be preferred to HiGHS"."""
    scopes = []
    for i in range(len(scene.tokens)):
        before = {scene.word(t) for t in range(max(0, i - 7), i)}
        if (
            scene.word(i) in ("over", "to")
            and before & _PREFERS
            and _starts(scene, i + 1)
        ):
            mark = Phrase(start=i, end=i + 1, senses=())
            scene.use([i], "negation")
            scopes.append(Scope(mark=mark, tokens=frozenset({i + 1})))
    return scopes


def _left_alone(scene: Scene) -> list[Scope]:
    """Return scopes of "leave old.mps alone"."""
    scopes = []
    for i, token in enumerate(scene.tokens):
        if token.word not in ("leave", "keep"):
            continue
        near = range(i + 2, min(i + 8, len(scene.tokens)))
        end = next((t for t in near if scene.word(t) in _ALONE), None)
        files = [
            t for t in range(i + 1, end or i) if _is_file(scene, t) or _starts(scene, t)
        ]
        if end is not None and files:
            mark = Phrase(start=i, end=i + 1, senses=())
            scene.use([i, end], "negation")
            scopes.append(Scope(mark=mark, tokens=frozenset(files)))
    return scopes


def _starts(scene: Scene, i: int) -> bool:
    """Return whether a phrase that can be ruled out starts here."""
    return any(phrase.start == i and phrase.of(Role.VALUE) for phrase in scene.items)


def _target(scene: Scene, i: int) -> Phrase | None:
    return next(
        (
            phrase
            for phrase in scene.items
            if phrase.start <= i < phrase.end
            and (phrase.of(Role.VALUE, Role.NAMES) or _names_a_start(scene, phrase))
            and not _says_no_itself(scene, phrase)
        ),
        None,
    )


def _says_no_itself(scene: Scene, phrase: Phrase) -> bool:
    """Return whether a phrase has its own negation: "nothing but the weights"."""
    words = {scene.word(i) for i in range(phrase.start, phrase.end)}
    return phrase.end - phrase.start > 1 and bool(words & _OWN_NEGATIONS)


def _names_a_start(scene: Scene, phrase: Phrase) -> bool:
    """Return whether a phrase names a start solution: "no MIP start"."""
    words = {scene.word(i) for i in range(phrase.start, phrase.end)}
    return bool(phrase.of(Role.CONSUMER)) and bool(
        words & {"start", "hint", "starting", "warmstart"}
    )


def _is_file(scene: Scene, i: int) -> bool:
    return scene.tokens[i].form in (Form.FILE, Form.NAME) or scene.used.get(
        i, ""
    ).startswith("file ")


def _after(scene: Scene, mark: Phrase) -> set[int]:
    """Return the first phrase or file behind a negation, and those joined to it.

    Joined are further values of the same slot, or further files; a comma joins only within a list
    that ends with "and", "or" or "nor".
    """
    places: list[tuple[int, str, str]] = []  # token, slot or "file", joiner in front
    i, joiner = mark.end, ""
    while i < min(len(scene.tokens), mark.end + _REACH * (1 + len(places))):
        word = scene.word(i)
        if scene.ends_sentence(i) or word in _STOPS:
            break
        phrase = _target(scene, i)
        is_file = _is_file(scene, i) and (bool(places) or _reaches_file(scene, mark, i))
        if phrase is not None or is_file:
            slot = (
                phrase.of(Role.VALUE, Role.NAMES, Role.CONSUMER)[0].path
                if phrase
                else "file"
            )
            if places and (not joiner or slot != places[0][1]):
                break
            numbers = [q for q in scene.quantities if mark.end <= q.start < i]
            if not places and any(q.units or mark.mark("instead") for q in numbers):
                break
            places.append((phrase.start if phrase else i, slot, joiner))
            i, joiner = phrase.end if phrase else i + 1, ""
            continue
        if word in _JOIN:
            if not places and word == ",":
                break
            joiner = word if word != "," or not joiner else joiner
        elif places and word not in _WITHIN:
            break
        i += 1
    while len(places) > 1 and places[-1][2] == ",":
        places.pop()
    return {token for token, _, _ in places}


def _reaches_file(scene: Scene, mark: Phrase, i: int) -> bool:
    """Return whether a negation speaks of a file: at most two words without a colon between."""
    between = range(mark.end, i)
    return len(between) <= 2 and all(
        scene.tokens[t].form is Form.WORD and scene.word(t) not in ("with", "for", "than")
        for t in between
    )


def _before(scene: Scene, mark: Phrase) -> set[int]:
    """Return the phrase in front of a negation at its end: "experimental off", "Vias: none"."""
    for i in range(mark.start - 1, max(-1, mark.start - 5), -1):
        if scene.ends_sentence(i) or scene.word(i) in (",", "and"):
            break
        last = mark.end == len(scene.tokens) or scene.word(mark.end) in (
            ".",
            ",",
            ";",
            "\n",
            "!",
        )
        if i == mark.start - 1 and last and _is_file(scene, i):
            return {i}  # "a.mps yes, b.mps no"
        phrase = _target(scene, i)
        if phrase is not None:
            return {phrase.start}
    return set()


def negated(scene: Scene, bound: Sequence[Bound], scopes: Sequence[Scope]) -> list[Bound]:
    """Apply negations: a choice is removed, a switch turned, a number set to 0."""
    result = []
    for each in bound:
        if each.quantity is not None or each.shape is Shape.LIST:
            result.append(each)
            continue
        scope = next((s for s in scopes if each.at in s.tokens), None)
        if scope is not None:
            scene.use(range(scope.mark.start, scope.mark.end), "negation")
        kinds: dict[str, tuple[object, ...]] = {}
        removes = False
        for kind, (value,) in each.values.items():
            if isinstance(value, tuple):
                # Such a phrase states something only when it is negated: "without proof".
                if scope is not None:
                    kinds[kind] = (value[1],)
            elif scope is None:
                kinds[kind] = (value,)
            elif isinstance(value, bool):
                kinds[kind] = (not value,)
            else:
                kinds[kind] = (value,)
                removes = True
        if kinds:
            paths = {k: p for k, p in each.paths.items() if k in kinds}
            result.append(replace(each, values=kinds, paths=paths, removes=removes))
    return result


def _pair_of(scene: Scene, bound: Bound, kind: str) -> tuple[object, ...]:
    """Return the stated choice and the other one, of a slot with two."""
    slot = scene.lexicon.slots[kind][bound.paths[kind]]
    value = bound.values[kind][0]
    if len(slot.choices) != 2 or value not in slot.choices:
        return ()
    return (value, *(c for c in slot.choices if c != value))


def _against_default(scene: Scene) -> list[Phrase]:
    """Find "once as usual and once with passes only": the default against what is stated."""
    return [
        phrase
        for phrase in scene.marks("default")
        if any(
            scene.word(i) in ("once", "1")
            for i in range(max(0, phrase.start - 3), phrase.start)
        )
        and any(
            scene.word(i) in ("once", "1")
            for i in range(phrase.end, min(phrase.end + 6, len(scene.tokens)))
        )
    ]


def _both_ways(scene: Scene) -> list[Phrase]:
    """Find "one run with it, one run without it", "once with and once without"."""
    pairs = []
    for i in range(len(scene.tokens)):
        pair = _OPPOSITES.get(scene.word(i))
        if pair is None:
            continue
        for j in range(i + 1, min(i + 9, len(scene.tokens))):
            if scene.ends_sentence(j):
                break
            between = {
                scene.word(t)
                for t in range(i + 1, j)
                if scene.word(t) != "1" or not scene.tokens[t].exact
            }
            joined = between & _JOINED_OFF and j - i <= 3
            if scene.word(j) == pair and (between & _COUNTED_OFF or joined):
                pairs.append(Phrase(start=i, end=j + 1, senses=()))
                break
    return pairs


def with_and_without(scene: Scene, bound: Sequence[Bound]) -> list[Bound]:
    """Give a switch both values for "LNS {on, off}", "one run with, one without"."""
    result = list(bound)
    for mark in [
        *scene.marks("with_and_without"),
        *_both_ways(scene),
        *_against_default(scene),
    ]:
        near = [
            i
            for i, b in enumerate(result)
            if b.quantity is None
            and any(
                isinstance(v[0], bool) or _pair_of(scene, b, k)
                for k, v in b.values.items()
            )
            and abs(b.at - mark.start) <= 30
        ]
        if not near:
            continue
        i = min(near, key=lambda k: (scene.crossing(result[k].at, mark.start), k))
        scene.use(range(mark.start, mark.end), "both")
        both: dict[str, tuple[object, ...]] = {
            k: (True, False) if isinstance(v[0], bool) else _pair_of(scene, result[i], k)
            for k, v in result[i].values.items()
            if isinstance(v[0], bool) or _pair_of(scene, result[i], k)
        }
        paths = {k: p for k, p in result[i].paths.items() if k in both}
        result[i] = replace(
            result[i], values=both, paths=paths, removes=False, choice=True
        )
    return result
