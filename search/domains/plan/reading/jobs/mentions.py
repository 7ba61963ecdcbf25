"""Files that a goal names: in full, without suffix, by number, in an answer."""

from __future__ import annotations

from collections.abc import Mapping

from search.domains.plan.reading.numerals import ordinal_of
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import distance, vocabulary
from search.domains.plan.reading.tokens import Form
from search.domains.plan.types import FileFacts

_ONE_OF_THEM = ("file", "one", "1", "model")


def file_mentions(scene: Scene) -> list[tuple[int, str]]:
    """Return (token, file) of each mention by name, by stem, by ordinal."""
    mentions = []
    stems = _stems(scene.files)
    unattached = []
    for i, token in enumerate(scene.tokens):
        if token.form is Form.FILE:
            name = next(n for n in scene.files if n.lower() == token.word.lower())
            mentions.append((i, name))
        elif token.form is Form.QUOTE and token.text[1:-1].lower() in stems["exact"]:
            mentions.append((i, stems["exact"][token.text[1:-1].lower()]))
        elif token.form is Form.NAME:
            near = [
                n
                for n in scene.files
                if distance(n.lower(), token.word, 2) <= (2 if len(n) > 7 else 1)
            ]
            if len(near) == 1:
                mentions.append((i, near[0]))
                scene.notes.append(f"{token.text} was read as {near[0]}")
            else:
                unattached.append(i)
    taken = {i for i, _ in mentions}
    mentions += _by_stem(scene, stems["stem"], taken)
    mentions += _by_ordinal(scene)
    return sorted(mentions)


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
    mentions = []
    words = {i: token for i, token in enumerate(scene.tokens) if token.form is Form.WORD}
    inside = {i for phrase in scene.items for i in range(phrase.start, phrase.end)}
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
            mentions.append((i, name))
            scene.use(range(i, end), f"file {name}")
    return mentions


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
    mentions = []
    for i in range(len(scene.tokens)):
        word = scene.word(i)
        if word in ("former", "latter") and len(listed) == 2:
            mentions.append((i, listed[word == "latter"]))
            continue
        if word == "other" and scene.word(i - 1) == "the" and len(listed) == 2:
            earlier = [
                name
                for _, name in sorted([*_named_so_far(scene, i), *mentions])
                if name in listed
            ]
            if earlier:
                mentions.append((i, listed[1 - listed.index(earlier[-1])]))
                scene.use([i], "ordinal")
            continue
        if word in ("last", "final") and scene.word(i + 1) in _ONE_OF_THEM:
            if len(listed) >= 2:
                mentions.append((i, listed[-1]))
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
            "1",
            "model",
            "attachment",
            "program",
            "table",
            "instance",
        ) or (
            before in ("the", "this")
            and (
                noun
                in vocabulary(
                    "is , . ) ; gets for with needs should takes may can must has and"
                )
                or (
                    end < len(scene.tokens)
                    and scene.tokens[end].form is Form.NUMBER
                    and scene.tokens[end].exact
                )
            )
        ):
            mentions.append((i, listed[index]))
            counted = noun == "1" or (
                noun not in (",", ".", "") and scene.tokens[end].form is Form.WORD
            )
            scene.use(range(i, end + counted), "ordinal")
    return mentions


def _named_so_far(scene: Scene, end: int) -> list[tuple[int, str]]:
    """Return the files named in front of a token, in the order of the text."""
    mentions = []
    for i in range(end):
        by = scene.used.get(i, "")
        if scene.tokens[i].form is Form.FILE:
            word = scene.tokens[i].word.lower()
            mentions.append((i, next(n for n in scene.files if n.lower() == word)))
        elif by.startswith("file "):
            mentions.append((i, by.removeprefix("file ")))
    return mentions


def answered_files(scene: Scene, chosen: Mapping[str, str]) -> list[tuple[int, str]]:
    """Return the files that an answer to "which file" names."""
    text = chosen.get("file", "").lower()
    if not text:
        return []
    exact = [name for name in scene.files if name.lower() in text]
    if not exact:
        words = [w.strip(".,;:!?\"'") for w in text.split()]
        exact = [n for n in scene.files if n.lower().partition(".")[0] in words]
    return [(0, name) for name in exact]
