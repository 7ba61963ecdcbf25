"""Macros, folders of headers, flags and libraries of a build."""

from __future__ import annotations

import re
from collections.abc import Iterator

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.building.statement import (
    sentence_around,
    stated,
    tokens_in,
)
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form

INCLUDE = "spec.build.include"
DEFINES = "spec.build.defines"
FLAGS = "spec.build.flags"
LIBRARIES = "spec.link.libraries"
_DEFINE_OPTION = re.compile(r"(?<![\w-])-D\s?([A-Za-z_]\w*(?:=[\w.\"-]+)?)")
_DEFINE_CUE = re.compile(
    r"\b(?:defin(?:e|es|ed|ing)|macros?|preprocessor|#define)\b", re.I
)
_MACRO = re.compile(r"\b[A-Za-z_]\w*=[\w.]+|\b[A-Z][A-Z0-9_]{2,}\b")
_NO_MACRO = vocabulary(
    "LLVM SCIP MPS ARM GPU CPU RAM ROM FPU SIMD CSV RISC NOT ONLY AND THE"
)
_INCLUDE_OPTION = re.compile(r"(?<![\w-])-I\s?([\w./-]+)")
_HEADERS = re.compile(
    r"\b(?:headers?(?: files?)?|includes?(?: (?:path|paths|dir|dirs|directory|folder|files))?"
    r"|include[- ]path)\b[^.\n;]{0,30}?(?:\b(?:in|under|inside|from|is|are in|within|at)\b|[:=])"
    r"(?: (?:the|a|its|folder|directory|dir|subfolder|subdirectory|called|named|path)\b)*"
    r"\s*[`'\"]?([A-Za-z_.][\w./-]*)",
    re.I,
)
_HEADERS_BEHIND = re.compile(
    r"[`'\"]?\b([A-Za-z_][\w./-]*)[`'\"]?/?(?: (?:folder|directory|dir))?"
    r" (?:holds|contains|has|is where)(?: the| all| our)? (?:headers|header files|includes)",
    re.I,
)
_FLAG = re.compile(
    r"(?<![\w-])-(?:std=[\w+]+|f[a-z][\w=-]+|m[a-z][\w=.-]+|W[a-z][\w=-]*)"
)
_NO_FLAG = ("-mllvm", "-mcpu", "-march", "-mattr", "-mtriple")
_LIBRARIES = {
    "m": r"-lm\b|\blibm\b|\bmath(?:s|ematics|ematical)?[ -]lib(?:rary)?\b|\blib ?math\b",
    "pthread": r"-l?pthreads?\b|\b(?:lib)?pthreads?\b"
    r"|\b(?:posix )?thread(?:s|ing)?[ -]lib(?:rary)?\b|\bposix threads\b",
    "dl": r"-ldl\b|\blibdl\b|\bdynamic[ -](?:loading|loader|linking)[ -]lib(?:rary)?\b|\bdl lib",
    "rt": r"-lrt\b|\blibrt\b|\breal[ -]?time lib(?:rary)?\b|\brt lib",
}
_LINK_LIST = re.compile(
    r"\blink(?:ed|s|ing)?(?: \w+)? (?:it )?(?:against|with|to|in)?(?: the)?(?: libraries| libs)?:?"
    r" ((?:(?:m|pthread|dl|rt)\b(?:,| and| &| )*)+)",
    re.I,
)
_LIBRARY_NAMES = re.compile(r"\b(m|pthread|dl|rt)\b", re.I)


def read_defines(scene: Scene) -> Iterator[Bound]:
    """Read macros: "-DN=4", "with NDEBUG defined"."""
    text = scene.text.folded
    values: list[str] = []
    tokens: list[int] = []
    for match in _DEFINE_OPTION.finditer(text):
        values.append(match[1])
        tokens += tokens_in(scene, match.start(), match.end())
    for cue in _DEFINE_CUE.finditer(text):
        start, end = sentence_around(scene, cue.start())
        for match in _MACRO.finditer(text, start, end):
            places = tokens_in(scene, match.start(), match.end())
            if match[0] in _NO_MACRO or any(t in tokens for t in places):
                continue
            if any(scene.tokens[t].form is Form.FILE for t in places):
                continue
            if scene.lexicon.is_value(match[0]) or match[0] in values:
                continue
            values.append(match[0])
            tokens += places
        if values:
            tokens += tokens_in(scene, cue.start(), cue.end())
    if values:
        yield from stated(DEFINES, values, tokens)


def read_header_folders(scene: Scene) -> Iterator[Bound]:
    """Read the folders of headers."""
    values: list[str] = []
    tokens: list[int] = []
    for pattern in (_INCLUDE_OPTION, _HEADERS, _HEADERS_BEHIND):
        for match in pattern.finditer(scene.text.folded):
            folder = match[1].rstrip("./") or "."
            if (
                folder.lower() in ("the", "of", "in", "it", "that", "for")
                or "." in folder[1:]
            ):
                continue
            if folder not in values:
                values.append(folder)
                tokens += tokens_in(scene, match.start(), match.end())
    if values:
        yield from stated(INCLUDE, values, tokens)


def read_flags(scene: Scene) -> Iterator[Bound]:
    """Read flags of the compiler, except those of LLVM and of the target."""
    flags = [
        m
        for m in _FLAG.finditer(scene.text.folded)
        if not m[0].lower().startswith(_NO_FLAG)
    ]
    tokens = [t for m in flags for t in tokens_in(scene, m.start(), m.end())]
    if flags:
        yield from stated(FLAGS, [m[0] for m in flags], tokens)


def read_libraries(scene: Scene) -> Iterator[Bound]:
    """Read the libraries to link."""
    text = scene.text.folded
    libraries: dict[str, list[int]] = {}
    for name, pattern in _LIBRARIES.items():
        for match in re.finditer(pattern, text, re.I):
            libraries.setdefault(name, []).extend(
                tokens_in(scene, match.start(), match.end())
            )
    for match in _LINK_LIST.finditer(text):
        for library in _LIBRARY_NAMES.finditer(text, match.start(1), match.end(1)):
            places = tokens_in(scene, library.start(), library.end())
            libraries.setdefault(library[1].lower(), []).extend(places)
    if libraries:
        names = [name for name in _LIBRARIES if name in libraries]
        tokens = [t for row in libraries.values() for t in row]
        linked = [t for t in range(len(scene.tokens)) if scene.word(t).startswith("link")]
        near = [t for t in linked if scene.sentence(t) == scene.sentence(min(tokens))]
        yield from stated(LIBRARIES, names, [*tokens, *near])
