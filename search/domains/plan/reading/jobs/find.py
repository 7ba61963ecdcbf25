"""Search for the jobs of a goal."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from search.domains.plan.reading.jobs.leaf import Found, Leaf
from search.domains.plan.reading.jobs.mentions import answered_files, file_mentions
from search.domains.plan.reading.jobs.unnamed import add_unnamed
from search.domains.plan.reading.jobs.without_files import add_without_files
from search.domains.plan.reading.lexicon import Role
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import words_of
from search.domains.plan.reading.tokens import Form
from search.domains.plan.types import FileRole

_DEFINITE = frozenset(("the", "this", "that", "our", "my", "said"))


def find_leaves(
    scene: Scene,
    *,
    excluded: set[int],
    chosen: Mapping[str, str],
    elsewhere: set[int],
    parts: Sequence[frozenset[int]],
) -> Found:
    """Return the jobs that a goal asks for.

    `excluded` are tokens in the scope of a negation; `chosen` are answers to earlier questions;
    `elsewhere` are names of files that a part is about which no job does; `parts` are the
    tokens of those parts.
    """
    found = Found()
    mentions = file_mentions(scene)
    mentions += answered_files(scene, chosen)
    by_role = roles_of_kinds(scene.lexicon.kinds)
    named: dict[str, list[int]] = {}
    for token, name in mentions:
        if token in elsewhere or _is_irrelevant(scene, token):
            found.left_out.append(name)
        elif token in excluded:
            found.left_out.append(name)
            scene.use([token], f"left out: {name}")
        else:
            named.setdefault(name, []).append(token)
    auxiliary = []
    for name in _taken_back(scene, named, excluded):
        found.left_out.append(name)
        scene.use(named.pop(name), f"left out: {name}")
    for name, tokens in named.items():
        facts = scene.files[name]
        place = next((by_role[role] for role in facts.roles if role in by_role), None)
        if place is None or FileRole.UNKNOWN in facts.roles[:1]:
            found.unusable[name] = tokens
        elif place[1] == "warm_start":
            auxiliary.append((name, tokens, place))
        else:
            scene.use(tokens, f"file {name}")
            found.leaves.append(
                Leaf(kind=place[0], files={place[1]: name}, mentions=tokens)
            )
    _split_by_lines(scene, found)
    add_unnamed(scene, found, by_role, named, excluded, parts)
    add_without_files(scene, found)
    _not_offered(scene, found)
    no_start = any(
        phrase.start in excluded for phrase in scene.with_role(Role.CONSUMER)
    ) or any(scene.marks("cold"))
    found.leaves.sort(key=lambda leaf: min(leaf.mentions, default=0))
    _spoken_of(scene, found)
    _by_place(scene, found)
    for name, tokens, (kind, place_of) in auxiliary:
        if no_start:
            found.left_out.append(name)
            scene.use(tokens, f"left out: {name}")
            continue
        _give_start(scene, found, name, tokens, kind, place_of)
    return found


_LEAVE = ("leave", "forget", "drop", "skip", "ignore", "omit", "scratch", "cancel")
_OTHER_FILE = 9  # tokens between the wrong file and the right one


def _taken_back(
    scene: Scene, named: Mapping[str, Sequence[int]], excluded: set[int]
) -> list[str]:
    """Return files that the goal names first and takes back later.

    "a.mps, no, I meant b.mps" and "PS: leave out a.mps after all".
    """
    names: list[str] = []
    places = sorted((t, name) for name, tokens in named.items() for t in tokens)
    for (left, name), (right, other) in itertools.pairwise(places):
        between = range(left + 1, right)
        corrects = any(
            mark.start in between and scene.word(mark.start) not in ("make", "rather")
            for mark in scene.marks("correct")
        )
        values = any(q.start in between for q in scene.quantities)
        first = name != other and not any(t < left for t in named[other])
        if first and corrects and not values and len(between) <= _OTHER_FILE:
            names.append(name)
    for place, name in places:
        before = {scene.word(t) for t in range(max(0, place - 3), place)}
        starts = scene.sentence_start(place)
        again = any(t < starts for t in named[name])
        if again and before & set(_LEAVE) and len(named) > 1:
            names.append(name)
    return list(dict.fromkeys(n for n in names if len(named) > 1))


def _split_by_lines(scene: Scene, found: Found) -> None:
    """Make one job of each numbered line that names the same file as another line."""
    for leaf in list(found.leaves):
        lines: dict[int, list[int]] = {}
        for mention in leaf.mentions:
            if (start := _numbered_line(scene, mention)) is not None:
                lines.setdefault(start, []).append(mention)
        if len(lines) < 2 or sum(map(len, lines.values())) < len(leaf.mentions):
            continue
        found.leaves.remove(leaf)
        found.leaves += [replace(leaf, mentions=own) for own in lines.values()]


def _numbered_line(scene: Scene, at: int) -> int | None:
    """Return the first token of the numbered line around a token: "2. grid.lp …"."""
    start = at
    while start > 0 and scene.word(start - 1) != "\n":
        start -= 1
    token = scene.tokens[start]
    numbered = token.form is Form.NUMBER and scene.word(start + 1) in (".", ")", ":")
    return start if numbered and at - start <= 6 else None


def _is_irrelevant(scene: Scene, token: int) -> bool:
    """Return whether a file is said to be of no use: "the first is only documentation"."""
    for mark in scene.marks("irrelevant"):
        if 0 < mark.start - token <= 6 and scene.crossing(token, mark.start) < 1.0:
            scene.use(range(mark.start, mark.end), "left out")
            return True
    return False


def roles_of_kinds(kinds: Iterable[str]) -> dict[FileRole, tuple[str, str]]:
    """Return role → (kind, field) of the files that make a job of their own."""
    fields = {}
    for kind in kinds:
        words = words_of(kind)
        assert words is not None
        for name, role in words.table("files").items():
            fields[FileRole(role)] = (kind, name)
    return fields


def _not_offered(scene: Scene, found: Found) -> None:
    """Drop programs for a processor that no code is made for."""
    targets = [
        phrase
        for phrase in scene.with_role(Role.OUTSIDE)
        if phrase.of(Role.OUTSIDE)[0].path == "target"
    ]
    if targets and not any(token.form is Form.TRIPLE for token in scene.tokens):
        found.leaves = [leaf for leaf in found.leaves if leaf.kind != "compile"]


def _spoken_of(scene: Scene, found: Found) -> None:
    """Add the places where the only job of a kind is called by its noun: "for the program two"."""
    for leaf in found.leaves:
        if not leaf.named or sum(o.kind == leaf.kind for o in found.leaves) != 1:
            continue
        if len(found.leaves) < 2:
            continue
        for phrase in scene.items:
            definite = {
                scene.word(i) for i in (phrase.start - 1, phrase.start - 2)
            } & _DEFINITE
            if definite and any(
                s.kind == leaf.kind and s.role in (Role.FILE_NOUN, Role.NOUN)
                for s in phrase.senses
            ):
                leaf.mentions.append(phrase.start)
        leaf.mentions.sort()


_PLACES = {"former": 0, "latter": 1, "first": 0, "second": 1}


def _by_place(scene: Scene, found: Found) -> None:
    """Add "the former", "the second" as places where one of two designs is spoken of."""
    if len(found.leaves) != 2 or any(leaf.files for leaf in found.leaves):
        return
    spoken = sorted(found.leaves, key=lambda leaf: min(leaf.mentions, default=0))
    begun = max(min(leaf.mentions, default=0) for leaf in found.leaves)
    for i, token in enumerate(scene.tokens):
        place = _PLACES.get(token.word)
        if place is not None and i > begun + 2 and scene.word(i - 1) == "the":
            spoken[place].mentions.append(i)
            scene.use([i], "ordinal")
    for leaf in found.leaves:
        leaf.mentions.sort()


def _give_start(
    scene: Scene, found: Found, name: str, tokens: list[int], kind: str, place: str
) -> None:
    """Give a start file to the job of its kind that is nearest in the text."""
    candidates = [leaf for leaf in found.leaves if leaf.kind == kind]
    if not candidates:
        found.unusable[name] = tokens
        return
    scene.use(tokens, f"file {name}")
    nearest = min(
        candidates,
        key=lambda leaf: min(
            (
                scene.crossing(m, t) + (0.5 if m > t else 0.0)
                for m in leaf.mentions
                for t in tokens
            ),
            default=0.0,
        ),
    )
    nearest.files[place] = name
