"""Sources inside an archive, and those that are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.building.statement import stated, tokens_in
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form

FILES = "spec.build.files"
EXCLUDE = "spec.build.exclude"
_PATH = r"(?<![\w./-])(?:[\w.*-]+/)*[\w.*-]+"
_SOURCE = re.compile(_PATH + r"\.(?:c|cc|cpp|cxx)\b(?!/)", re.I)
_FOLDER_PATTERN = re.compile(r"(?<![\w./*-])(?:[\w.-]+/)+\*{1,2}(?![\w.])")
_OUT = vocabulary(
    "out exclude excluded excluding skip except without omit omitted ignore leave leaving not "
    "excludes drop minus besides don't dont"
)
_FOLDER_WORDS = vocabulary("folder directory dir subfolder folders")
_FOLDERS_LEFT_OUT = vocabulary(
    "tests test examples example docs doc bench benchmarks demo demos"
)


def read_sources(scene: Scene) -> Iterator[Bound]:
    """Read sources inside an archive, and those to leave out."""
    attached = {name.lower() for name in scene.files}
    chosen: list[str] = []
    out: list[str] = []
    tokens: dict[bool, list[int]] = {True: [], False: []}
    for pattern in (_SOURCE, _FOLDER_PATTERN):
        for match in pattern.finditer(scene.text.folded):
            if match[0].lower() in attached or not _has_archive(scene):
                continue
            if pattern is _SOURCE and not _inside_archive(scene, match[0]):
                continue
            places = tokens_in(scene, match.start(), match.end())
            left_out = bool(places) and _is_left_out(scene, places)
            (out if left_out else chosen).append(match[0])
            tokens[left_out] += places
    out += list(_named_folders(scene, out, tokens[True]))
    if chosen:
        yield from stated(FILES, list(dict.fromkeys(chosen)), tokens[False])
    if out:
        yield from stated(EXCLUDE, list(dict.fromkeys(out)), tokens[True])


def _has_archive(scene: Scene) -> bool:
    return any(
        "members" in file.facts
        or file.name.lower().endswith((".zip", ".tgz", ".tar", ".gz"))
        for file in scene.files.values()
    )


def _inside_archive(scene: Scene, path: str) -> bool:
    """Return whether a source is one in an archive: a path, or the only sort of file there is."""
    return (
        "/" in path
        or "*" in path
        or all("members" in f.facts for f in scene.files.values())
    )


def _is_left_out(scene: Scene, places: Sequence[int]) -> bool:
    sentence = scene.sentence(places[0])
    return any(
        scene.word(i) in _OUT
        and scene.sentence(i) == sentence
        and scene.crossing(i, places[0]) < 3
        for i in range(max(0, places[0] - 11), min(len(scene.tokens), places[-1] + 6))
    )


def _named_folders(scene: Scene, have: Sequence[str], tokens: list[int]) -> Iterator[str]:
    """Read "leave out the tests", "without the examples folder"."""
    for i, token in enumerate(scene.tokens):
        named = scene.word(i) in _FOLDERS_LEFT_OUT
        folder = scene.word(i + 1) in _FOLDER_WORDS and token.form is Form.WORD
        if folder and scene.word(i) in ("the", "a", "that", "this"):
            continue
        named = named or (scene.word(i - 1) in _FOLDER_WORDS and token.form is Form.WORD)
        glob = f"{token.text}/*"
        if token.form is not Form.WORD or i in tokens or not (named or folder):
            continue
        if scene.word(i + 1) == "/" or glob in have or not _is_left_out(scene, [i]):
            continue
        before = {scene.word(t) for t in range(max(0, i - 10), i)} | {
            scene.word(t)
            for t in range(i + 1, i + 5)
            if scene.word(t) in ("out", "excluded")
        }
        if before & _OUT and _has_archive(scene):
            tokens.append(i)
            yield glob
