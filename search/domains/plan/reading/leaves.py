"""Jobs that a goal is about: from the files it names, the kinds of its words, and its ordinals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from search.domains.plan.reading.designs import cuts_of, mentions_of
from search.domains.plan.reading.lexicon import Item, Role
from search.domains.plan.reading.numerals import ordinal_of
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import words_of
from search.domains.plan.reading.stems import distance, vocabulary
from search.domains.plan.reading.tokens import Form
from search.domains.plan.types import FileFacts, FileRole

_DEFINITE = frozenset(("the", "this", "that", "our", "my", "said"))
_NEAR = 2  # tokens between "not" and the file that it leaves out


@dataclass
class Leaf:
    """A job to be, before its values are known."""

    kind: str
    files: dict[str, str] = field(default_factory=dict)  # field of the spec → file
    mentions: list[int] = field(default_factory=list)  # tokens
    named: bool = True  # False: taken because it is the only attached file that fits
    base: int | None = None  # the job that this one repeats
    takes: str = ""  # output of that job that is the main file of this one


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A question to be: what is asked, with the likeliest answers first."""

    about: str
    text: str
    options: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()
    rank: int = 5  # lower is asked first


@dataclass
class Found:
    """Jobs of a goal, and what is unclear about them."""

    leaves: list[Leaf] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # files that the goal excludes
    unusable: dict[str, list[int]] = field(default_factory=dict)  # file → mentions


def _is_irrelevant(scene: Scene, token: int) -> bool:
    """Return whether a file is said to be of no use: "the first is only documentation"."""
    for mark in scene.marks("irrelevant"):
        if 0 < mark.start - token <= 6 and scene.crossing(token, mark.start) < 1.0:
            scene.use(range(mark.start, mark.end), "left out")
            return True
    return False


def roles_of_kinds(kinds: Iterable[str]) -> dict[FileRole, tuple[str, str]]:
    """Return role → (kind, field) of the files that make a job of their own."""
    found = {}
    for kind in kinds:
        words = words_of(kind)
        assert words is not None
        for name, role in words.table("files").items():
            found[FileRole(role)] = (kind, name)
    return found


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
    mentions = _file_mentions(scene)
    mentions += _answered(scene, chosen)
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
    _unnamed(scene, found, by_role, named, excluded, parts)
    _without_files(scene, found)
    _not_offered(scene, found)
    no_start = any(
        item.start in excluded for item in scene.with_role(Role.CONSUMER)
    ) or any(scene.marks("cold"))
    found.leaves.sort(key=lambda leaf: min(leaf.mentions, default=0))
    _spoken_of(scene, found)
    for name, tokens, (kind, place_of) in auxiliary:
        if no_start:
            found.left_out.append(name)
            scene.use(tokens, f"left out: {name}")
            continue
        _give_start(scene, found, name, tokens, kind, place_of)
    return found


def _not_offered(scene: Scene, found: Found) -> None:
    """Drop programs for a processor that no code is made for."""
    targets = [
        item
        for item in scene.with_role(Role.OUTSIDE)
        if item.of(Role.OUTSIDE)[0].path == "target"
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
        for item in scene.items:
            definite = {
                scene.word(i) for i in (item.start - 1, item.start - 2)
            } & _DEFINITE
            if definite and any(
                s.kind == leaf.kind and s.role in (Role.FILE_NOUN, Role.NOUN)
                for s in item.senses
            ):
                leaf.mentions.append(item.start)
        leaf.mentions.sort()


def _file_mentions(scene: Scene) -> list[tuple[int, str]]:
    """Return (token, file) of each mention by name, by stem, by ordinal."""
    found = []
    stems = _stems(scene.files)
    unattached = []
    for i, token in enumerate(scene.tokens):
        if token.form is Form.FILE:
            name = next(n for n in scene.files if n.lower() == token.word.lower())
            found.append((i, name))
        elif token.form is Form.QUOTE and token.text[1:-1].lower() in stems["exact"]:
            found.append((i, stems["exact"][token.text[1:-1].lower()]))
        elif token.form is Form.NAME:
            near = [
                n
                for n in scene.files
                if distance(n.lower(), token.word, 2) <= (2 if len(n) > 7 else 1)
            ]
            if len(near) == 1:
                found.append((i, near[0]))
                scene.notes.append(f"{token.text} was read as {near[0]}")
            else:
                unattached.append(i)
    taken = {i for i, _ in found}
    found += _by_stem(scene, stems["stem"], taken)
    found += _by_ordinal(scene)
    return sorted(found)


def _stems(files: Mapping[str, FileFacts]) -> dict[str, dict[str, str]]:
    exact = {name.lower(): name for name in files}
    stems: dict[str, list[str]] = {}
    for name in files:
        stems.setdefault(name.lower().partition(".")[0], []).append(name)
    unique = {stem: names[0] for stem, names in stems.items() if len(names) == 1}
    return {"exact": exact, "stem": unique}


def _by_stem(
    scene: Scene, stems: Mapping[str, str], taken: set[int]
) -> list[tuple[int, str]]:
    """Find "Alpha" for alpha.mps; a single letter only where a file of several is meant."""
    found = []
    words = {i: token for i, token in enumerate(scene.tokens) if token.form is Form.WORD}
    inside = {i for item in scene.items for i in range(item.start, item.end)}
    for name_stem, name in stems.items():
        parts = [p for p in name_stem.replace("-", "_").split("_") if p]
        for i, token in words.items():
            if i in taken or token.text.lower() != (parts[0] if parts else ""):
                continue
            end = i + 1
            for part in parts[1:]:
                end += scene.word(end) == "-"
                if scene.word(end) != part:
                    end = -1
                    break
                end += 1
            if end < 0:
                continue
            if len(parts) == 1 and not _is_name(scene, i, name_stem, inside):
                continue
            found.append((i, name))
            scene.use(range(i, end), f"file {name}")
    return found


def _is_name(scene: Scene, i: int, name_stem: str, inside: set[int]) -> bool:
    """Return whether a word that is a file's stem means the file."""
    if i in inside and not scene.tokens[i].text[0].isupper():
        return False
    following, before = scene.word(i + 1), scene.word(i - 1)
    if len(name_stem) == 1:
        return following in ("for", "gets", ":", "needs", "with") and before in (
            ",",
            "and",
            ".",
            ";",
            "\n",
            "",
        )
    if scene.lexicon.knows(name_stem):
        # An English word is a file's name where it is treated as one.
        return (
            before in ("for", "to", "on", "of", "and", ",", ".", "")
            and following
            in (
                "gets",
                "for",
                ":",
                "needs",
                "with",
                "takes",
                ",",
                ".",
                "",
                "and",
                "should",
            )
            and before not in ("of", "to")
        )
    return True


def _by_ordinal(scene: Scene) -> list[tuple[int, str]]:
    """Find "the second file", "the former", "the last one"."""
    names = list(scene.files)
    in_text = []
    for token in scene.tokens:
        if token.form is Form.FILE:
            name = next(n for n in scene.files if n.lower() == token.word.lower())
            if name not in in_text:
                in_text.append(name)
    listed = in_text if len(in_text) >= 2 else names
    found = []
    for i in range(len(scene.tokens)):
        word = scene.word(i)
        if word in ("former", "latter") and len(listed) == 2:
            found.append((i, listed[word == "latter"]))
            continue
        if word == "other" and scene.word(i - 1) == "the" and len(listed) == 2:
            earlier = [name for _, name in _named_so_far(scene, i) if name in listed]
            if earlier:
                found.append((i, listed[1 - listed.index(earlier[-1])]))
                scene.use([i], "ordinal")
            continue
        if word in ("last", "final") and scene.word(i + 1) in ("file", "one", "model"):
            if len(listed) >= 2:
                found.append((i, listed[-1]))
                scene.use([i, i + 1], "ordinal")
            continue
        ordinal = ordinal_of(scene.tokens, i)
        if ordinal is None or len(listed) < 2 or ordinal[0] >= len(listed):
            continue
        index, end = ordinal
        noun = scene.word(end)
        before = scene.word(i - 1)
        if noun in (
            "file",
            "one",
            "model",
            "attachment",
            "program",
            "table",
            "instance",
        ) or (
            before in ("the", "this")
            and noun in vocabulary("is , . gets for with needs should")
        ):
            found.append((i, listed[index]))
            scene.use(range(i, end + (noun not in (",", ".", ""))), "ordinal")
    return found


def _named_so_far(scene: Scene, end: int) -> list[tuple[int, str]]:
    """Return the files named in front of a token, in the order of the text."""
    found = []
    for i in range(end):
        by = scene.used.get(i, "")
        if scene.tokens[i].form is Form.FILE:
            word = scene.tokens[i].word.lower()
            found.append((i, next(n for n in scene.files if n.lower() == word)))
        elif by.startswith("file "):
            found.append((i, by.removeprefix("file ")))
    return found


def _answered(scene: Scene, chosen: Mapping[str, str]) -> list[tuple[int, str]]:
    text = chosen.get("file", "").lower()
    if not text:
        return []
    exact = [name for name in scene.files if name.lower() in text]
    if not exact:
        words = [w.strip(".,;:!?\"'") for w in text.split()]
        exact = [n for n in scene.files if n.lower().partition(".")[0] in words]
    return [(0, name) for name in exact]


def _unnamed(
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
        nouns = [item for item in cues if item.of(Role.FILE_NOUN, Role.NOUN)]
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
            tokens = [item.start for item in (cues or everything)]
            for name in names:
                found.leaves.append(
                    Leaf(
                        kind=kind,
                        files={field_name: name},
                        mentions=list(tokens),
                        named=False,
                    )
                )
            for item in everything:
                scene.use(range(item.start, item.end), "all files")
        else:
            best = _likely(scene, names)
            options = tuple([*best, *(n for n in names if n not in best)][:5])
            asked = tuple(i for item in cues[:2] for i in range(item.start, item.end))
            found.leaves.append(
                Leaf(kind=kind, mentions=[i.start for i in cues], named=False)
            )
            found.doubts.append(
                Doubt(
                    about="file",
                    text=f"Which file is meant: {', '.join(options[:-1])} or {options[-1]}?",
                    options=options,
                    tokens=asked,
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
) -> list[Item]:
    """Return phrases that speak of a kind, but not those whose object no job does."""
    taken = (
        excluded | {t for part in parts for t in part} | {min(part) - 1 for part in parts}
    )
    return [
        item
        for item in scene.items
        if not taken & set(range(item.start, item.end))
        and any(
            s.kind == kind and s.role in (Role.NOUN, Role.VERB, Role.FILE_NOUN)
            for s in item.senses
        )
    ]


def _counted(scene: Scene, nouns: Iterable[Item], count: int) -> bool:
    """Return whether "both models", "three files" count exactly the files there are."""
    for item in nouns:
        before = scene.word(item.start - 1)
        token = scene.tokens[item.start - 1] if item.start else None
        if before in ("both", "all", "every", "each"):
            return True
        if token is not None and token.value == count:
            scene.use([item.start - 1], "number of files")
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


def _without_files(scene: Scene, found: Found) -> None:
    """Add jobs of kinds that need no file: one for each separate mention with a quantity."""
    for kind in scene.lexicon.kinds:
        words = words_of(kind)
        assert words is not None
        if not words.table("job").get("no_file"):
            continue
        nouns = [
            item
            for item in scene.items
            if any(s.kind == kind and s.role is Role.NOUN for s in item.senses)
        ]
        strong = bool(nouns) or (
            not found.leaves
            and any(
                "Hz" in {u.dimension.value for u in q.units} for q in scene.quantities
            )
        )
        if strong:
            found.leaves += _separate(scene, kind, nouns)


def _separate(scene: Scene, kind: str, nouns: list[Item]) -> list[Leaf]:
    """Return one job, or as many as "two antennas: one for ..., one for ..." says."""
    for item in nouns:
        token = scene.tokens[item.start - 1] if item.start else None
        count = int(token.value) if token and token.value and token.value <= 8 else 1
        bands = [
            q for q in scene.quantities if "Hz" in {u.dimension.value for u in q.units}
        ]
        if count > 1 and len(bands) == count and item.start < bands[0].start:
            scene.use([item.start - 1], "number of jobs")
            return [Leaf(kind=kind, mentions=[max(0, band.start - 1)]) for band in bands]
    mentions = [item.start for item in nouns]
    labels = _without_file(scene, _labels(scene))
    if len(labels) > 1:
        return [Leaf(kind=kind, mentions=[i, *_uses(scene, i)]) for i in labels]
    cuts = cuts_of(scene)
    if not cuts:
        return [Leaf(kind=kind, mentions=mentions or [0])]
    return [Leaf(kind=kind, mentions=m) for m in mentions_of(scene, cuts, mentions)]


def _without_file(scene: Scene, labels: list[int]) -> list[int]:
    """Return the labels whose part names no file: such a part is a job of another kind."""
    ends = [*labels[1:], len(scene.tokens)]
    return [
        label
        for label, end in zip(labels, ends, strict=False)
        if not any(scene.tokens[i].form is Form.FILE for i in range(label, end))
    ]


def _labels(scene: Scene) -> list[int]:
    """Return the places of labels at the start of a line or sentence: "Sample A:", "Run 2:"."""
    found = []
    for i in range(len(scene.tokens) - 2):
        starts = i == 0 or scene.ends_sentence(i - 1)
        name = scene.tokens[i + 1]
        short = (len(name.text) == 1 and name.text.isupper()) or name.form is Form.NUMBER
        if (
            starts
            and scene.tokens[i].form is Form.WORD
            and short
            and scene.word(i + 2) in (":", ")")
        ):
            scene.use([i, i + 1], "label")
            found.append(i + 1)
    return found


def _uses(scene: Scene, label: int) -> list[int]:
    """Return the later places of a label: "as A", "like sample A"."""
    text = scene.tokens[label].text
    found = [
        i
        for i, token in enumerate(scene.tokens)
        if token.text == text
        and scene.word(i - 1) in ("as", "like", "sample", "run", "than", "of")
        and i != label
    ]
    scene.use(found, "label")
    return found


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
