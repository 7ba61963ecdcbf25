"""Files that a goal means without a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from search.domains.plan.reading.jobs.leaf import Doubt, Found, Leaf
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.tokens import Form
from search.domains.plan.types import FileRole


def add_unnamed(
    scene: Scene,
    found: Found,
    by_role: Mapping[FileRole, tuple[str, str]],
    named: Mapping[str, list[int]],
    excluded: set[int],
    parts: Sequence[frozenset[int]],
) -> None:
    """Take attached files that the goal means without naming them."""
    left = [n for n in scene.files if n not in named and n not in found.left_out]
    usable: dict[str, list[str]] = {}
    for name in left:
        role = scene.files[name].roles[0]
        place = by_role.get(role)
        if place is not None and place[1] != "warm_start":
            usable.setdefault(place[0], []).append(name)
    everything = scene.marks("everything")
    for kind, names in usable.items():
        cues = _cues(scene, kind, excluded, parts)
        nouns = [phrase for phrase in cues if phrase.of(Role.FILE_NOUN, Role.NOUN)]
        have = any(leaf.kind == kind for leaf in found.leaves)
        field_name = next(
            place for k, place in by_role.values() if k == kind and place != "warm_start"
        )
        anything = (
            _asks_for_something(scene)
            and not (found.leaves or found.unusable or parts)
            and len(usable) == 1
        )
        if have and not everything:
            continue
        if not (cues or everything or anything):
            continue
        selects = scene.marks("selects")
        one = bool(selects) or _one_of_them(scene)
        if (
            len(names) == 1
            or (everything and not one)
            or (not one and _counted(scene, nouns, len(names)))
        ):
            tokens = [phrase.start for phrase in (cues or everything)]
            for name in names:
                found.leaves.append(
                    Leaf(
                        kind=kind,
                        files={field_name: name},
                        mentions=list(tokens),
                        named=False,
                    )
                )
            for phrase in everything:
                scene.use(range(phrase.start, phrase.end), "all files")
        else:
            best = _likely(scene, names)
            options = tuple([*best, *(n for n in names if n not in best)][:5])
            cue_tokens = tuple(
                i for phrase in cues[:2] for i in range(phrase.start, phrase.end)
            )
            found.leaves.append(
                Leaf(kind=kind, mentions=[i.start for i in cues], named=False)
            )
            found.doubts.append(
                Doubt(
                    about="file",
                    text=f"Which file is meant: {', '.join(options[:-1])} or {options[-1]}?",
                    options=options,
                    tokens=cue_tokens,
                    rank=0,
                )
            )


def _one_of_them(scene: Scene) -> bool:
    """Return whether the goal is about one of several files: "only one of them", "the other"."""
    return any(
        scene.tokens[i].word == "1"
        and scene.word(i + 1) == "of"
        and scene.word(i + 2) in ("them", "these", "those", "the")
        for i in range(len(scene.tokens))
    )


def _asks_for_something(scene: Scene) -> bool:
    """Return whether a goal that names neither kind nor file still asks for a run."""
    verbs = scene.marks("generic") or scene.with_role(Role.VERB, Role.VALUE)
    return bool(verbs or any(q.units for q in scene.quantities))


def _cues(
    scene: Scene, kind: str, excluded: set[int], parts: Sequence[frozenset[int]]
) -> list[Phrase]:
    """Return phrases that speak of a kind, but not those whose object no job does."""
    taken = (
        excluded | {t for part in parts for t in part} | {min(part) - 1 for part in parts}
    )
    return [
        phrase
        for phrase in scene.items
        if not taken & set(range(phrase.start, phrase.end))
        and any(
            s.kind == kind and s.role in (Role.NOUN, Role.VERB, Role.FILE_NOUN)
            for s in phrase.senses
        )
    ]


def _counted(scene: Scene, nouns: Iterable[Phrase], count: int) -> bool:
    """Return whether "both models", "three files" count exactly the files there are."""
    for phrase in nouns:
        before = scene.word(phrase.start - 1)
        token = scene.tokens[phrase.start - 1] if phrase.start else None
        if before in ("both", "all", "every", "each"):
            return True
        if token is not None and token.value == count:
            scene.use([phrase.start - 1], "number of files")
            return True
    return False


def _likely(scene: Scene, names: list[str]) -> list[str]:
    """Return files of whose names a part stands in the text, most parts first."""
    words = {token.word for token in scene.tokens if token.form is Form.WORD}
    scores = {
        name: len(
            words & set(name.lower().replace(".", "_").replace("-", "_").split("_"))
        )
        for name in names
    }
    return [name for name in sorted(names, key=lambda n: -scores[n]) if scores[name]]
