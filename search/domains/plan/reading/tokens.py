"""Words, numbers, names and marks of a goal, each with its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from search.domains.plan.reading.bounds import Text


class Form(Enum):
    """Form of a token."""

    WORD = auto()
    NUMBER = auto()
    MARK = auto()  # punctuation
    FILE = auto()  # name of an attached file
    NAME = auto()  # something that looks like a file name, and is not attached
    TRIPLE = auto()  # LLVM target triple
    QUOTE = auto()  # quoted text: data, never read
    ID = auto()  # job id, digest, e-mail address, URL or path


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token."""

    form: Form
    text: str  # as written, after folding
    word: str  # lower case
    start: int  # in the folded text
    end: int
    value: float | None = None  # of a number
    exact: bool = True  # False: written in words, and may be no number ("one of them")
    glued: bool = False  # no space to the token before
    suffix: str = ""  # k, ki, m, mi, g, gi written at the number: 64k


_ARCH = (
    r"(?:x86_64|i[3-6]86|aarch64|arm64|armv?[4-9]\w*|thumbv?[4-9]\w*(?:\.\w+)?|riscv(?:32|64)|mips\w*|"
    r"powerpc\w*|ppc64le|s390x|wasm(?:32|64)|avr|msp430|xtensa|hexagon|sparc\w*)"
)
_TRIPLE = re.compile(_ARCH + r"(?:-[A-Za-z0-9_]+){1,3}\b", re.I)
_ID = re.compile(
    r"https?://[^\s<>\"')]+|(?:file|ftp|s3|ssh)://\S+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|\bsha256:[0-9a-f]{6,64}\b|\bjob_[0-9A-Za-z]{4,26}\b|\b01[0-9A-HJKMNP-TV-Z]{4,24}\b"
    r"|(?:~|\.\.?)?/[A-Za-z_.][\w.-]*(?:/[\w.-]+)*"
)
_QUOTE = re.compile(r'"[^"\n]{0,2000}"|`[^`\n]{0,2000}`|(?<!\w)\'[^\'\n]{2,2000}\'(?!\w)')
# Quoted mail, fenced blocks and lone rows with bars are data, as quoted words are; a table with a
# header is read row by row (`grids.py`).
_BLOCK = re.compile(r"```[^`]{0,20000}(?:```|\Z)|^[ \t]*[>|][^\n]*", re.M)
_SUFFIXES = (
    r"(?:mps|lp|mst|sol|csv|tsv|json|parquet|zip|tgz|tar|gz|bz2|xz|cc|cpp|cxx|hpp|ll|bc|rs|py"
    r"|png|jpe?g|svg|pdf|txt|md|docx?|xlsx?|pptx?|npz?|pt|onnx|safetensors|s1p|dxf|gds|o|c|h)"
)
_NAME = re.compile(
    r"(?<![\w.])[\w-]*[A-Za-z0-9_][\w-]*(?:\.[\w-]+)*\." + _SUFFIXES + r"\b", re.I
)
_NUMBER = re.compile(
    r"(?:\d{1,3}(?:[,'_]\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?![A-Za-z\d]))?"
)
_COMMA_DECIMAL = re.compile(r"\d+,\d+(?!\d|,\d)")
_COMMA_NUMBER = re.compile(_COMMA_DECIMAL.pattern + "|" + _NUMBER.pattern)
# A comma is the decimal point of a text that says so, or that has 2,4 GHz and no 2.4.
_DECIMAL_COMMA = re.compile(
    r"(?<![\d,.])\d+,\d{1,2}(?!\d|,\d)\s?(?:[kMG]?Hz|mm|cm|dB|GB|GiB|%|ohms?\b|[sh]\b|min)"
)
_SAYS_COMMA = re.compile(
    r"decimal comma|comma (?:as |is )?(?:our |the |a )?decimal", re.I
)
_DECIMAL_POINT = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])")
_SUFFIX = re.compile(r"(?:[kKMG]i?)(?![A-Za-z\d])")
_WORD = re.compile(r"[^\W\d_](?:[^\W_]|(?<=\w)'(?=\w))*")
_LETTERS = re.compile(r"[^\W\d_]+")
_TIMES = re.compile(r"\s*(?:\d|[A-Za-z]\d|\s)")
_OPTION = re.compile(r"[a-zA-Z](?=\d)")  # -j12
MAX_DIGITS = 40
_ROW = 2_000  # characters of a row of a table


@dataclass(frozen=True, kw_only=True)
class _Mask:
    start: int
    end: int
    form: Form
    name: str


def tokens_of(text: Text, files: Sequence[str]) -> list[Token]:
    """Return the tokens of a text; names of attached files are one token each."""
    masks = _masks(text.folded, files)
    number = _COMMA_NUMBER if _has_decimal_commas(text.folded) else _NUMBER
    tokens: list[Token] = []
    at = 0
    for mask in [*masks, None]:
        stop = mask.start if mask else len(text.folded)
        _plain(text.folded, at, stop, tokens, number)
        if mask:
            piece = text.folded[mask.start : mask.end]
            tokens.append(
                Token(
                    form=mask.form,
                    text=piece,
                    word=mask.name or piece.lower(),
                    start=mask.start,
                    end=mask.end,
                )
            )
            at = mask.end
    return tokens


def _masks(text: str, files: Sequence[str]) -> list[_Mask]:
    """Return the pieces that are one token each: the earliest first, then the longest."""
    candidates = []
    low = text.lower()
    for name in files:
        folded = name.lower()
        at = low.find(folded) if folded else -1
        while at >= 0:
            end = at + len(folded)
            if not _inside_word(low, at, end):
                candidates.append(_Mask(start=at, end=end, form=Form.FILE, name=name))
            at = low.find(folded, end)
    for pattern, form in (
        (_BLOCK, Form.QUOTE),
        (_QUOTE, Form.QUOTE),
        (_ID, Form.ID),
        (_TRIPLE, Form.TRIPLE),
        (_NAME, Form.NAME),
    ):
        candidates += [
            _Mask(start=m.start(), end=m.end(), form=form, name="")
            for m in pattern.finditer(text)
            if not (
                form is Form.ID
                and m[0][0] == "/"
                and text[m.start() - 1 : m.start()].isalnum()
            )
            and not (pattern is _BLOCK and _is_row(text, m))
        ]
    priority = {Form.FILE: 1, Form.QUOTE: 0}
    candidates.sort(key=lambda m: (priority.get(m.form, 2), m.start, -m.end))
    disjoint: list[_Mask] = []
    taken = bytearray(len(text))
    for mask in candidates:
        quoted_file = mask.form is Form.QUOTE and text[
            mask.start + 1 : mask.end - 1
        ].lower() in {name.lower() for name in files}
        if quoted_file or taken[mask.start] or taken[mask.end - 1]:
            continue
        taken[mask.start : mask.end] = b"\1" * (mask.end - mask.start)
        disjoint.append(mask)
    return sorted(disjoint, key=lambda m: m.start)


def _is_row(text: str, match: re.Match[str]) -> bool:
    """Return whether a line with bars has a neighbour with as many: both are rows of a table."""
    if not match[0].lstrip().startswith("|"):
        return False
    before = (
        text[max(0, match.start() - _ROW) : match.start()]
        .rstrip("\n")
        .rpartition("\n")[2]
    )
    behind = text[match.end() : match.end() + _ROW].lstrip("\n").partition("\n")[0]
    bars = match[0].count("|")
    return bars > 1 and bars in (before.count("|"), behind.count("|"))


def _inside_word(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    longer = after in (".", "-") and text[end + 1 : end + 2].isalnum()
    return (
        before.isalnum()
        or before in ("_", "-")
        or after.isalnum()
        or after == "_"
        or longer
    )


def _has_decimal_commas(text: str) -> bool:
    points = _DECIMAL_POINT.search(text) is not None
    says = _SAYS_COMMA.search(text) is not None
    return says or (not points and _DECIMAL_COMMA.search(text) is not None)


def _plain(
    text: str, at: int, stop: int, found: list[Token], number: re.Pattern[str]
) -> None:
    while at < stop:
        character = text[at]
        if character.isspace():
            at += 1
            if character == "\n":
                _add(found, Form.MARK, "\n", at - 1, at)
            continue
        match = (
            number.match(text, at, stop)
            if character.isdigit() or (character == "." and not _is_dots(text, at))
            else None
        )
        if match is not None:
            at = _number(text, match, stop, found, decimal_comma=number is _COMMA_NUMBER)
            continue
        after_number = bool(found) and found[-1].form is Form.NUMBER
        glued = after_number and found[-1].end == at
        if character in "xX*" and after_number and _TIMES.match(text, at + 1, stop):
            _add(found, Form.MARK, "x", at, at + 1)
            at += 1
            continue
        dash = bool(found) and found[-1].word == "-" and not found[-1].glued
        option = _OPTION.match(text, at, stop) if dash and found[-1].end == at else None
        if option is not None:
            _add(found, Form.WORD, option[0], at, option.end())
            at = option.end()
            continue
        match = (_LETTERS if glued else _WORD).match(text, at, stop)
        if match is not None:
            _add(found, Form.WORD, match[0], at, match.end())
            at = match.end()
            continue
        if character != "_":
            _add(found, Form.MARK, character, at, at + 1)
        at += 1


def _is_dots(text: str, at: int) -> bool:
    """Return whether a point is one of several: 5.725..5.875."""
    return text[at + 1 : at + 2] == "." or text[at - 1 : at] == "."


def _number(
    text: str,
    match: re.Match[str],
    stop: int,
    found: list[Token],
    *,
    decimal_comma: bool,
) -> int:
    digits, end = match[0], match.end()
    if digits.endswith("."):
        digits, end = digits[:-1], end - 1
    if decimal_comma and _COMMA_DECIMAL.fullmatch(digits):
        digits = digits.replace(",", ".")
    plain = digits.replace(",", "").replace("'", "").replace("_", "")
    value = float(plain) if len(plain) <= MAX_DIGITS else float("nan")
    suffix = _SUFFIX.match(text, end, stop)
    word = suffix[0].lower() if suffix else ""
    # A single m or M at a number is a unit, decided later.
    if suffix and word not in ("m", "g"):
        end = suffix.end()
    else:
        word = ""
    found.append(
        Token(
            form=Form.NUMBER,
            text=text[match.start() : end],
            word=plain,
            start=match.start(),
            end=end,
            value=value,
            glued=bool(found) and found[-1].end == match.start(),
            suffix=word,
        )
    )
    return end


def _add(found: list[Token], form: Form, text: str, start: int, end: int) -> None:
    glued = bool(found) and found[-1].end == start
    found.append(
        Token(form=form, text=text, word=text.lower(), start=start, end=end, glued=glued)
    )
