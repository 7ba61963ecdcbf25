"""Words of a goal with their places, and the pieces that the encoder reads (WordPiece).

Numbers and names of attached files are one piece each, told apart by signs (size of the number,
which file, of which sort), so that a reader learned from some numbers and names reads others.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from search.domains.plan.reading.stems import listed

MAX_WORDS = 320
MAX_PIECES = 480
MAX_FILES = 8
_PIECES_A_WORD = 12
_STEM_PIECES = 5
_NUMBER_WORDS = frozenset(
    listed(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy "
        "eighty ninety hundred thousand million billion half quarter third dozen couple twice "
        "double"
    )
)
_UNITS = {
    word: number
    for number, words in enumerate(
        (
            "s sec secs second seconds",
            "min mins minute minutes mn",
            "h hr hrs hour hours day days week weeks night overnight",
            "ms millisecond milliseconds us ns",
            "hz khz mhz ghz gigahertz megahertz kilohertz hertz gig gigs meg megs",
            "mm millimetre millimetres millimeter millimeters cm mil mils inch inches um micron",
            "gb gib gbytes gigabyte gigabytes mb mib tb tib kb kib byte bytes",
            "db decibel decibels dbi dbm",
            "percent pct permille",
            "ohm ohms",
            "core cores thread threads cpu cpus gpu gpus card cards device devices",
            "v100 a100 h100 v100s a100s h100s",
        ),
        1,
    )
    for word in listed(words)
}
_WORD = re.compile(
    r"(?P<number>\d+(?:[.,']\d+)*(?:[eE][-+]?\d{1,3}(?![\w]))?)"
    r"|(?P<word>[^\W\d_][^\W_]*(?:_[^\W_]+)*)|(?P<line>\n)|(?P<mark>[^\s])"
)


class Sort(IntEnum):
    """Sort of a word."""

    WORD = 0
    NUMBER = 1
    FILE = 2
    MARK = 3
    LINE = 4


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word, number, sign or attached file's name: `text[start:end]`."""

    sort: Sort
    text: str
    start: int
    end: int
    file: int = -1  # index of the attached file whose name, or stem, this is


@dataclass(frozen=True, kw_only=True)
class Coded:
    """A goal as the encoder takes it: pieces with signs, first those of the words, then the files.

    Shapes: all of `ids` and `signs` are [pieces]; `at` [words + files] is the place of each word's
    first piece, then that of each file's entry.
    """

    words: tuple[Word, ...]
    files: tuple[str, ...]
    ids: tuple[int, ...]
    signs: tuple[tuple[int, int, int, int], ...]
    at: tuple[int, ...]


PAD, LINE, NUMBER, FILE, UNKNOWN, START, END = 0, 1, 2, 3, 100, 101, 102
SIZES = (96, MAX_FILES + 2, 16, 512)
"""How many values each sign has: form or size, file, sort of file or unit, hash of a number."""
_SUFFIXES = (
    (".mps", ".mps.gz"),
    (".lp", ".lp.gz"),
    (".sol", ".mst", ".sol.gz", ".mst.gz"),
    (".csv",),
    (".json",),
    (".c", ".cc", ".cpp", ".cxx"),
    (".ll", ".bc"),
    (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz"),
    (".o", ".a"),
    (".safetensors",),
    (".txt", ".in", ".dat", ".md"),
)


def words_of(text: str, files: Sequence[str]) -> list[Word]:
    """Return the words of a text in order; names of attached files are one word each."""
    named = sorted(enumerate(files[:MAX_FILES]), key=lambda row: -len(row[1]))
    names = {name.lower(): k for k, name in reversed(named)}
    stems = {stem_of(name).lower(): k for k, name in reversed(named)}
    found: list[Word] = []
    pattern = None
    if names:
        joined = "|".join(re.escape(name) for _, name in named)
        pattern = re.compile(rf"(?<![\w.]){'(?:' + joined + ')'}(?![\w])", re.I)
    at = 0
    for match in pattern.finditer(text) if pattern else ():
        found += _plain(text, at, match.start(), stems)
        k = names.get(match[0].lower(), -1)
        found.append(
            Word(
                sort=Sort.FILE,
                text=match[0],
                start=match.start(),
                end=match.end(),
                file=k,
            )
        )
        at = match.end()
    return found + _plain(text, at, len(text), stems)


def stem_of(name: str) -> str:
    """Return a file's name without its suffixes."""
    return name.split(".", 1)[0]


def _plain(text: str, at: int, end: int, stems: Mapping[str, int]) -> list[Word]:
    sorts = {
        "number": Sort.NUMBER,
        "word": Sort.WORD,
        "line": Sort.LINE,
        "mark": Sort.MARK,
    }
    return [
        Word(
            sort=sorts[str(match.lastgroup)],
            text=match[0],
            start=match.start(),
            end=match.end(),
            file=stems.get(match[0].lower(), -1) if match.lastgroup == "word" else -1,
        )
        for match in _WORD.finditer(text, at, end)
    ]


class Pieces:
    """WordPiece (Schuster and Nakajima 2012), longest piece first, lower case, without accents."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        """Take the vocabulary: piece → id; pieces inside a word begin with `##`."""
        self._ids = vocabulary

    def of(self, word: str) -> list[int]:
        """Return the ids of a word's pieces, at most a dozen."""
        plain = unicodedata.normalize("NFD", word.lower()[:100])
        plain = "".join(c for c in plain if unicodedata.category(c) != "Mn")
        ids: list[int] = []
        for part in plain.split("_"):
            ids += self._part(part) if part else []
        return ids[:_PIECES_A_WORD] or [UNKNOWN]

    def _part(self, part: str) -> list[int]:
        ids, at = [], 0
        while at < len(part):
            for end in range(len(part), at, -1):
                piece = part[at:end] if at == 0 else f"##{part[at:end]}"
                if piece in self._ids:
                    ids.append(self._ids[piece])
                    at = end
                    break
            else:
                return [UNKNOWN]
        return ids


def coded(text: str, files: Sequence[str], pieces: Pieces) -> Coded | None:
    """Return a goal as the encoder takes it; None if it is too long or has no word."""
    if len(text) > MAX_PIECES * 40:
        return None
    words = words_of(text, files)
    if all(word.sort is Sort.LINE for word in words) or len(words) > MAX_WORDS:
        return None
    ids, signs, at = [START], [(0, 0, 0, 0)], []
    for word in words:
        at.append(len(ids))
        row = _ids(word, pieces)
        ids += row
        sign = _signs(word, files)
        signs += [sign] + [(0, sign[1], 0, 0)] * (len(row) - 1)
    for k, name in enumerate(files[:MAX_FILES]):
        ids += [END, FILE]
        signs += [(0, 0, 0, 0), (1, k + 1, suffix_sort(name), 0)]
        at.append(len(ids) - 1)
        row = pieces.of(re.sub(r"[^A-Za-z]+", "_", stem_of(name)))[:_STEM_PIECES]
        ids += row
        signs += [(0, k + 1, 0, 0)] * len(row)
    ids.append(END)
    signs.append((0, 0, 0, 0))
    if len(ids) > MAX_PIECES:
        return None
    return Coded(
        words=tuple(words),
        files=tuple(files[:MAX_FILES]),
        ids=tuple(ids),
        signs=tuple(signs),
        at=tuple(at),
    )


def suffix_sort(name: str) -> int:
    """Return the number of a file's sort by its suffix, from 1; 0 for others."""
    low = name.lower()
    for number, suffixes in enumerate(_SUFFIXES, 1):
        if any(low.endswith(suffix) for suffix in suffixes):
            return number
    return 0


def _ids(word: Word, pieces: Pieces) -> list[int]:
    match word.sort:
        case Sort.NUMBER:
            return [NUMBER]
        case Sort.FILE:
            return [FILE]
        case Sort.LINE:
            return [LINE]
    return pieces.of(word.text)


def _signs(word: Word, files: Sequence[str]) -> tuple[int, int, int, int]:
    """Return form or size, file, sort of file or unit, and the hash of a number."""
    if word.sort is Sort.NUMBER:
        return (_size(word.text), 0, 0, 1 + zlib.crc32(word.text.encode()) % 511)
    if word.sort is Sort.FILE:
        return (2, word.file + 1, suffix_sort(files[word.file]), 0)
    if word.sort is not Sort.WORD:
        return (3, 0, 0, 0)
    low = word.text.lower()
    if low in _NUMBER_WORDS:
        form = 4
    elif any(c.isdigit() for c in low) or "_" in low:
        form = 5
    elif word.text.isupper():
        form = 6
    elif word.text[0].isupper():
        form = 7
    else:
        form = 8
    unit = _UNITS.get(low, 0)
    return (form, word.file + 1, unit, 0)


def _size(text: str) -> int:
    """Return 10 + the class of a number: small whole ones each, then half decades, by form."""
    plain = text.replace("'", "")
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+", plain):
        plain = plain.replace(",", "")
    plain = plain.replace(",", ".")
    try:
        value = float(plain)
    except ValueError:
        return 10
    if not math.isfinite(value):
        return 10
    if value == int(value) and value <= 20 and "." not in plain:
        return 11 + int(value)
    if value <= 0:
        return 11
    if value != int(value) or "." in plain:
        return 32 + min(max(int(2 * math.log10(value)) + 12, 0), 23)
    whole = min(int(2 * math.log10(value)) - 2, 15)
    return (56 if int(value) & (int(value) - 1) else 76) + max(whole, 0)
