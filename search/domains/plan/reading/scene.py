"""The goal under reading: tokens with their phrases and quantities, and who accounts for what."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from search.domains.plan.reading.bounds import Text
from search.domains.plan.reading.glossary import in_english
from search.domains.plan.reading.grids import read_by_row
from search.domains.plan.reading.lexicon import Lexicon, Phrase, Role
from search.domains.plan.reading.numerals import with_numerals
from search.domains.plan.reading.quantities.find import quantities_of
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.spoken import written_out
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form, Token, tokens_of
from search.domains.plan.reading.units import UNITS, Dimension
from search.domains.plan.types import FileFacts
from trimtab.plans import Span

_ENDS = (".", "!", "?", "\n", ";")
_ABBREVIATIONS = vocabulary("e i g eg ie vs etc resp incl nos pcs dr mr mrs ms prof")
_BEFORE_NUMBERS = vocabulary("max min approx ca no nr")
_WEIGHTS = {
    ";": 5.0,
    ",": 1.0,
    ":": 0.3,
    "(": 0.2,
    ")": 0.2,
    "and": 0.5,
    "but": 4.6,
    "&": 0.5,
}
_IS = ("=", ":", "of", "is")
_GREETINGS = vocabulary(
    "regards kind best cheers sincerely yours yrs greetings warm warmest thanks thx br "
    "respectfully many love faithfully cordially with saludos bye ciao rgds"
)
_CLOSINGS = vocabulary(
    "regards best cheers sincerely yours yrs greetings thanks thx br faithfully love wishes bye"
)
_HEARD = {"ate": 8.0, "won": 1.0}
_SENTENCE = 6.0
_THEN = 5.0
_TOKEN = 0.05


@dataclass
class Scene:
    """Working state of one reading."""

    text: Text
    tokens: Sequence[Token]
    items: Sequence[Phrase]
    quantities: Sequence[Quantity]
    files: Mapping[str, FileFacts]
    lexicon: Lexicon
    used: dict[int, str] = field(default_factory=dict)  # token → what accounts for it
    notes: list[str] = field(default_factory=list)
    # Values out of range: their tokens, and why
    beyond: list[tuple[tuple[int, ...], str]] = field(default_factory=list)
    # First token of a number → slot → probability, by the learned model
    roles: dict[int, dict[str, float]] = field(default_factory=dict)
    _crossed: list[float] = field(default_factory=list)
    _sentence: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        starts = {
            phrase.start
            for phrase in self.items
            if phrase.mark("then", "fails") or phrase.mark("instead")
        }
        total, sentence = 0.0, 0
        self._crossed, self._sentence = [0.0], []
        for i, token in enumerate(self.tokens):
            weight = _TOKEN
            if i in starts:
                weight += _THEN
            if self.ends_sentence(i):
                weight += _SENTENCE
            elif token.form in (Form.MARK, Form.WORD):
                weight += _WEIGHTS.get(token.word, 0.0)
            self._sentence.append(sentence)
            sentence += self.ends_sentence(i)
            total += weight
            self._crossed.append(total)

    def ends_sentence(self, i: int) -> bool:
        """Return whether a token ends a sentence."""
        token = self.tokens[i]
        if token.form is not Form.MARK or token.word not in _ENDS:
            return False
        if token.word != ".":
            return True
        if self.word(i - 1) == "." or self.word(i + 1) == ".":
            following = next(
                (t for t in self.tokens[i + 1 :] if t.word not in (".", "\n")), None
            )
            return following is None or following.text[:1].isupper()
        if i + 1 < len(self.tokens) and self.tokens[i + 1].glued and not token.glued:
            return False  # ".sol" names a suffix
        if i == 0 or i + 1 == len(self.tokens) or not token.glued:
            return True
        before, following = self.tokens[i - 1].word, self.tokens[i + 1]
        if before in _ABBREVIATIONS:
            return not (following.text[0].islower() or following.glued)
        return not (before in _BEFORE_NUMBERS and following.form is Form.NUMBER)

    def sentence(self, i: int) -> int:
        """Return the number of a token's sentence."""
        return self._sentence[min(i, len(self._sentence) - 1)] if self._sentence else 0

    def in_sentence(self, number: int) -> range:
        """Return the tokens of a sentence, by its number."""
        numbers = self._sentence
        return range(bisect_left(numbers, number), bisect_right(numbers, number))

    def sentence_start(self, i: int) -> int:
        """Return the first token of a token's sentence."""
        while i > 0 and not self.ends_sentence(i - 1):
            i -= 1
        return i

    def crossing(self, left: int, right: int) -> float:
        """Return the weight of the boundaries between two tokens, in any order."""
        if left > right:
            left, right = right, left
        return self._crossed[right] - self._crossed[min(left + 1, right)]

    def word(self, i: int) -> str:
        """Return the word of a token; empty outside the text."""
        return self.tokens[i].word if 0 <= i < len(self.tokens) else ""

    def use(self, tokens: Iterable[int], by: str) -> None:
        """Account for tokens."""
        for i in tokens:
            self.used.setdefault(i, by)

    def span(self, start: int, end: int) -> Span:
        """Return the characters of tokens [start, end)."""
        return self.text.span(self.tokens[start].start, self.tokens[end - 1].end)

    def spans(self, tokens: Iterable[int]) -> tuple[Span, ...]:
        """Return the characters of some tokens; runs of neighbours are one span."""
        merged: list[Span] = []
        last = None
        start = 0
        for i in sorted(set(tokens)):
            if last is not None and i == last + 1:
                merged[-1] = self.span(start, i + 1)
            else:
                start = i
                merged.append(self.span(i, i + 1))
            last = i
        return tuple(merged)

    def words(self, start: int, end: int) -> str:
        """Return the goal's own words of tokens [start, end)."""
        span = self.span(start, end)
        return self.text.goal[span.start : span.end]

    def marks(self, *names: str) -> list[Phrase]:
        """Return the phrases that can be one of these marks."""
        return [phrase for phrase in self.items if phrase.mark(*names)]

    def with_role(self, *roles: Role) -> list[Phrase]:
        """Return the phrases with a sense of these roles."""
        return [phrase for phrase in self.items if phrase.of(*roles)]


def scene_of(
    text: Text, files: Sequence[FileFacts], lexicon: Lexicon, language: str | None = None
) -> Scene:
    """Return the scene of a goal: tokens, typing errors undone, phrases and quantities found."""

    def is_title(cell: Sequence[Token]) -> bool:
        names = cell[-1].word in ("from", "to")
        return names or any(p.of(Role.HEAD) for p in lexicon.find(cell))

    rows = read_by_row(tokens_of(text, [file.name for file in files]), is_title)
    raw = _with_quoted_choices(rows, lexicon)
    if language is not None:
        raw = in_english(raw, language)
    raw = _homophones(_with_suffixes(written_out(raw, [file.name for file in files])))
    tokens = _told_once(with_numerals([lexicon.correct(token) for token in raw]))
    items = _with_outputs(tokens, lexicon.find(tokens), lexicon)
    unitless = {
        path
        for slots in lexicon.slots.values()
        for path, slot in slots.items()
        if slot.dimension in (Dimension.COUNT, Dimension.RATIO)
    }
    heads = frozenset(
        phrase.end + (phrase.end < len(tokens) and tokens[phrase.end].word in _IS)
        for phrase in items
        if any(sense.path in unitless for sense in phrase.of(Role.HEAD))
    )
    named = {i for phrase in items for i in range(phrase.start, phrase.end)}
    quantities = quantities_of(
        [
            replace(token, form=Form.WORD, value=None)
            if i in named and token.form is Form.NUMBER
            else token
            for i, token in enumerate(tokens)
        ],
        headed=heads,
        before_heads=frozenset(phrase.start for phrase in items if phrase.of(Role.HEAD)),
    )
    below = _signature(tokens)
    quantities = [
        q
        for q in quantities
        if q.start not in below
        and not _numbers_a_line(tokens, q)
        and not _is_ratio(tokens, q)
    ]
    inside = {i for quantity in quantities for i in range(quantity.start, quantity.end)}
    return Scene(
        text=text,
        tokens=tokens,
        items=[
            phrase
            for phrase in items
            if not (inside | below) & set(range(phrase.start, phrase.end))
        ],
        quantities=quantities,
        used=dict.fromkeys(below, "signature"),
        files={file.name: file for file in files},
        lexicon=lexicon,
    )


def _numbers_a_line(tokens: Sequence[Token], quantity: Quantity) -> bool:
    """Return whether a number only counts lines: "(1) …", "2. …", "3) …"."""
    if quantity.units or len(quantity.numbers) > 1 or not 1 <= quantity.numbers[0] <= 30:
        return False
    before = [token.word for token in tokens[max(0, quantity.start - 2) : quantity.start]]
    following = tokens[quantity.end] if quantity.end < len(tokens) else None
    opens = before[-1:] in ([], ["\n"]) or before in (["\n", "("], ["("])
    return (
        opens
        and following is not None
        and following.word in (")", ".", ":")
        and following.glued
    )


def _is_ratio(tokens: Sequence[Token], quantity: Quantity) -> bool:
    """Return whether numbers state a proportion: "in the ratio 1:1:3" is no time of day."""
    before = {token.word for token in tokens[max(0, quantity.start - 7) : quantity.start]}
    following = (
        tokens[quantity.start + 1].word if quantity.start + 1 < len(tokens) else ""
    )
    return bool(before & {"ratio", "proportion"}) and (
        not quantity.units or following == ":"
    )


def _signature(tokens: Sequence[Token]) -> set[int]:
    """Return the tokens of a letter's end: from its greeting to a postscript or the end.

    A part that names a file is no signature.
    """
    signed: set[int] = set()
    for i, token in enumerate(tokens):
        starts = i > 0 and tokens[i - 1].word == "\n"
        if not starts or i in signed or token.word not in _GREETINGS:
            continue
        end = i + 1
        while end < len(tokens) and tokens[end].word != "\n" and end - i <= 6:
            end += 1
        words = {t.word for t in tokens[i:end]}
        if end >= len(tokens) or tokens[end].word != "\n" or not words & _CLOSINGS:
            continue
        stop = end
        while stop < len(tokens) and not _is_postscript(tokens, stop):
            stop += 1
        if not any(t.form in (Form.FILE, Form.NAME) for t in tokens[i:stop]):
            signed |= set(range(i, stop))
    return signed


def _is_postscript(tokens: Sequence[Token], i: int) -> bool:
    return tokens[i].word in ("ps", "nb") or (
        tokens[i].word in ("p", "n")
        and [t.word for t in tokens[i + 1 : i + 3]]
        in (
            [".", "s"],
            [".", "b"],
        )
    )


def _homophones(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens with dictated numbers as meant: "ate a100s", "won minute"."""
    result = list(tokens)
    for i, (token, following) in enumerate(itertools.pairwise(tokens)):
        counted = following.word in ("a100", "h100", "v100", "gpus", "cards", *UNITS)
        if token.form is Form.WORD and token.word in _HEARD and counted:
            value = _HEARD[token.word]
            result[i] = replace(token, form=Form.NUMBER, word=f"{value:g}", value=value)
    return result


def _with_suffixes(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens with "64 Ki" as one number, like 64Ki."""
    result: list[Token] = []
    for token in tokens:
        last = result[-1] if result else None
        if (
            token.form is Form.WORD
            and token.text in ("Ki", "ki", "Mi")
            and last is not None
            and last.form is Form.NUMBER
            and not last.suffix
        ):
            result[-1] = replace(last, suffix=token.word, end=token.end)
        else:
            result.append(token)
    return result


def _told_once(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens with "two (2)" as one number."""
    result: list[Token] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        again = [t.word for t in tokens[i + 1 : i + 4]]
        inner = tokens[i + 2] if i + 3 < len(tokens) else token
        twice = (
            token.form is Form.NUMBER
            and len(again) == 3
            and (again[0], again[2]) == ("(", ")")
            and inner.form is Form.NUMBER
            and inner.value == token.value
        )
        result.append(
            replace(token, end=tokens[i + 3].end, exact=True) if twice else token
        )
        i += 4 if twice else 1
    return result


def _with_quoted_choices(tokens: Sequence[Token], lexicon: Lexicon) -> list[Token]:
    """Return the tokens with quoted names of choices as words: the `paper` mode."""
    result: list[Token] = []
    for token in tokens:
        inner = token.text[1:-1]
        if token.form is Form.QUOTE and len(inner) <= 30 and lexicon.is_value(inner):
            at = token.start + 1
            for word in inner.replace("-", " ").replace("_", " ").split(" "):
                start = token.start + token.text.find(word, at - token.start)
                at = start + len(word)
                result.append(
                    Token(
                        form=Form.WORD, text=word, word=word.lower(), start=start, end=at
                    )
                )
        else:
            result.append(token)
    return result


def _with_outputs(
    tokens: Sequence[Token], items: list[Phrase], lexicon: Lexicon
) -> list[Phrase]:
    """Add the names of files that jobs leave, such as solution.sol, as phrases."""
    outputs = lexicon.outputs()
    named = [
        Phrase(start=i, end=i + 1, senses=outputs[token.word])
        for i, token in enumerate(tokens)
        if token.form is Form.NAME and token.word in outputs
    ]
    return sorted([*items, *named], key=lambda phrase: phrase.start)
