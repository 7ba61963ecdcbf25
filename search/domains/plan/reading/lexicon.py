"""The closed vocabulary: phrases with their senses, from the files of words."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from search.domains.plan.reading.numerals import NUMBER_WORDS, NUMERALS, ORDINALS
from search.domains.plan.reading.slots import COMMON, Slot, slots_of, words_of
from search.domains.plan.reading.stems import Speller, stem, vocabulary
from search.domains.plan.reading.tokens import Form, Token
from search.domains.plan.reading.units import UNITS
from trimtab.specs.common import Spec


class Role(StrEnum):
    """Role of a phrase in a goal."""

    NOUN = "noun"  # names the problem of a kind
    VERB = "verb"  # asks for a job of a kind
    FILE_NOUN = "file noun"  # "the CSV"
    HEAD = "head"  # names a slot
    VALUE = "value"  # states a slot's value: a choice, or true or false
    NAMES = "names"  # a slot that takes names from the text
    COUNTED = "counted"  # a number before it describes the input
    MARK = "mark"  # order, negation, correction, ...
    RELATION = "relation"
    OUTSIDE = "outside"
    OUTPUT = "output"  # a file that a job makes
    CONSUMER = "consumer"  # a field that takes such a file
    BAND = "band"  # a named frequency band
    PLAIN = "plain"


@dataclass(frozen=True, kw_only=True)
class Sense:
    """A meaning of a phrase."""

    role: Role
    kind: str = COMMON
    path: str = ""  # slot, file field, mark or tag
    value: Any = None
    strong: bool = False  # outranks the same slot's other heads


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """A phrase found in the text: tokens [start, end)."""

    start: int
    end: int
    senses: tuple[Sense, ...]

    def of(self, *roles: Role) -> tuple[Sense, ...]:
        """Return the senses of these roles."""
        return tuple(sense for sense in self.senses if sense.role in roles)

    def mark(self, *names: str) -> bool:
        """Return whether the phrase can be one of these marks."""
        return any(s.role is Role.MARK and s.path in names for s in self.senses)


@dataclass
class _Node:
    following: dict[str, _Node] = field(default_factory=dict)
    senses: list[Sense] = field(default_factory=list)


class Lexicon:
    """Phrases of some kinds, found longest first; words are compared by stem."""

    def __init__(self, specs: Mapping[str, type[Spec]]) -> None:
        """Take the kinds that have words; others cannot be asked for in words."""
        self.kinds = tuple(kind for kind in specs if words_of(kind) is not None)
        self.slots: dict[str, dict[str, Slot]] = {
            kind: {slot.path: slot for slot in slots_of(specs[kind])}
            for kind in self.kinds
        }
        self.fitted = tuple(kind for kind in self.kinds if specs[kind].MODELS)
        self._root = _Node()
        self._vocabulary: set[str] = set()
        self._corrected: set[str] = set()  # words that a typing error may stand for
        self.plain: set[str] = set()
        self._marks()
        for kind in (COMMON, *self.kinds):
            self._slots(kind)
        for kind in self.kinds:
            self._job(kind)
        self._speller = Speller(
            {
                w
                for w in _inflected(self._corrected, UNITS)
                if len(w) >= 4 and w.isalpha()
            },
            right={
                *self.plain,
                *self._spelt,
                *self._vocabulary,
                *UNITS,
                *ORDINALS,
                *NUMERALS,
            },
            others={*self._vocabulary, *self.plain, *NUMERALS},
        )

    def correct(self, token: Token) -> Token:
        """Return a word with its typing error undone; the token as it is, if it has none."""
        if token.form is not Form.WORD or any(c.isdigit() for c in token.word):
            return token
        if token.word not in UNITS and stem(token.word) in _UNIT_STEMS:
            return replace(token, word=_UNIT_STEMS[stem(token.word)])
        if stem(token.word) in self._stems and token.word not in self._aliases:
            return token
        word = self._aliases.get(token.word) or self._speller.correct(token.word)
        return token if word is None else replace(token, word=word)

    @functools.cached_property
    def _stems(self) -> frozenset[str]:
        words = self._vocabulary | self.plain | set(UNITS) | set(ORDINALS) | NUMERALS
        return frozenset(stem(word) for word in words)

    def is_value(self, text: str) -> bool:
        """Return whether a text is exactly the name of a choice, such as a quoted "weights"."""
        choice = text.lower().replace(" ", "_")
        if any(choice in s.choices for own in self.slots.values() for s in own.values()):
            return True
        node = self._root
        for word in _split(text):
            following = node.following.get(stem(word))
            if following is None:
                return False
            node = following
        return any(s.role is Role.VALUE for s in node.senses)

    def outputs(self) -> dict[str, tuple[Sense, ...]]:
        """Return name of a file → senses, for the files that jobs leave for others."""
        senses: dict[str, tuple[Sense, ...]] = {}
        for kind in self.kinds:
            words = words_of(kind)
            assert words is not None
            for name in words.table("outputs"):
                senses[name] = (Sense(role=Role.OUTPUT, kind=kind, path=name),)
        return senses

    def knows(self, word: str) -> bool:
        """Return whether a word occurs in any phrase, or is a plain English one."""
        return stem(word) in self._stems

    def find(self, tokens: Sequence[Token]) -> list[Phrase]:
        """Return the phrases in the text, longest first at each place, without overlaps."""
        phrases = []
        i = 0
        while i < len(tokens):
            item = self._longest(tokens, i)
            if item is None:
                i += 1
                continue
            phrases.append(item)
            i = item.end
        return phrases

    def _longest(self, tokens: Sequence[Token], i: int) -> Phrase | None:
        node, at, best = self._root, i, None
        while at < len(tokens):
            token = tokens[at]
            # A hyphen inside a phrase, an apostrophe or a plus sign is part of the spelling.
            if token.word == "-" and at > i and token.glued and node is not self._root:
                at += 1
                continue
            if token.form not in (Form.WORD, Form.NUMBER, Form.MARK):
                break
            key = stem(token.word) if token.form is Form.WORD else token.word
            following = node.following.get(key)
            if following is None:
                break
            node, at = following, at + 1
            if node.senses:
                best = Phrase(start=i, end=at, senses=tuple(node.senses))
        return best

    def _add(self, phrases: Iterable[str], sense: Sense) -> None:
        for phrase in _without_apostrophes(phrases):
            node = self._root
            for word in _split(phrase):
                self._vocabulary.add(word)
                if sense.role not in (
                    Role.OUTSIDE,
                    Role.MARK,
                    Role.OUTPUT,
                    Role.CONSUMER,
                ):
                    self._corrected.add(word)
                node = node.following.setdefault(stem(word), _Node())
            if sense not in node.senses:
                node.senses.append(sense)

    def _marks(self) -> None:
        common = words_of(COMMON)
        assert common is not None
        for name, phrases in common.table("marks").items():
            self._add(phrases, Sense(role=Role.MARK, path=name))
        for factor, phrases in common.table("relations").items():
            self._add(phrases, Sense(role=Role.RELATION, value=float(factor)))
        for tag, row in common.table("outside").items():
            for name, strong in (("phrases", False), ("things", True)):
                sense = Sense(
                    role=Role.OUTSIDE, path=tag, value=row["reason"], strong=strong
                )
                self._add(row.get(name, ()), sense)
        self.plain = set(common.table("plain")["words"].split())
        self._spelt = set(common.table("spelt")["words"].split())
        self._aliases: dict[str, str] = common.table("aliases")

    def _slots(self, kind: str) -> None:
        words = words_of(kind)
        assert words is not None
        for path, row in words.table("slots").items():

            def sense(
                role: Role, value: Any = None, *, strong: bool = False, p: str = path
            ) -> Sense:
                return Sense(role=role, kind=kind, path=p, value=value, strong=strong)

            self._add(row.get("heads", ()), sense(Role.HEAD))
            self._add(row.get("strong", ()), sense(Role.HEAD, strong=True))
            self._add(row.get("names", ()), sense(Role.NAMES))
            for choice in self._choices(kind, path):
                self._add([choice], sense(Role.VALUE, choice))
            numeric = (
                slot := self.slots.get(kind, {}).get(path)
            ) and slot.dimension is not None
            for choice, phrases in row.get("values", {}).items():
                value = int(choice) if numeric else {} if choice == "{}" else choice
                self._add(phrases, sense(Role.VALUE, value))
            for truth in (True, False):
                self._add(row.get(str(truth).lower(), ()), sense(Role.VALUE, truth))
            # Said with a negation, these set a value: "without proof", "no surrogate".
            self._add(row.get("zero", ()), sense(Role.VALUE, ("unless", 0)))
            for choice, phrases in row.get("opposed", {}).items():
                self._add(phrases, sense(Role.VALUE, ("unless", choice)))

    def _choices(self, kind: str, path: str) -> tuple[str, ...]:
        if "sub_mip" in path:
            return ()  # an engine's name alone means the engine of the whole problem
        slot = self.slots.get(kind, {}).get(path)
        # Words as common as these need a phrase of their own: "fast", "none", "c".
        return (
            tuple(c for c in slot.choices if len(c) > 3 and c not in _TOO_COMMON)
            if slot
            else ()
        )

    def _job(self, kind: str) -> None:
        words = words_of(kind)
        assert words is not None
        job = words.table("job")
        self._add(job.get("nouns", ()), Sense(role=Role.NOUN, kind=kind))
        self._add(job.get("verbs", ()), Sense(role=Role.VERB, kind=kind))
        self._add(job.get("file_nouns", ()), Sense(role=Role.FILE_NOUN, kind=kind))
        self._add(
            words.table("counted").get("words", ()), Sense(role=Role.COUNTED, kind=kind)
        )
        for word in words.table("from_names").get("words", ()):
            self._vocabulary.add(word)
            self._corrected.add(word)
        for name, phrases in words.table("outputs").items():
            self._add(phrases, Sense(role=Role.OUTPUT, kind=kind, path=name))
        for name, phrases in words.table("consumers").items():
            self._add(phrases, Sense(role=Role.CONSUMER, kind=kind, path=name))
        for name, edges in words.table("bands").items():
            self._add([name], Sense(role=Role.BAND, kind=kind, value=tuple(edges)))


_UNIT_STEMS = {stem(word): word for word in UNITS if len(word) >= 5 and word.isalpha()}
_TOO_COMMON = vocabulary(
    "default product auto tree random training weights gradient placement "
    "rectangles pixels"
)


def _inflected(*sources: Iterable[str]) -> Iterator[str]:
    """Yield words with their regular endings, so that "sloving" is near "solving"."""
    for words in sources:
        for word in words:
            yield word
            if len(word) >= 4 and word.isalpha():
                base = word.removesuffix("e")
                yield from (f"{base}ing", f"{base}ed", f"{word}s")[
                    : 3 if word[-1] != "s" else 0
                ]
    yield from NUMBER_WORDS


def _without_apostrophes(phrases: Iterable[str]) -> Iterator[str]:
    """Yield each phrase, and as it is typed in haste: "dont"."""
    for phrase in phrases:
        yield phrase
        if "n't" in phrase:
            yield phrase.replace("'", "")


def _split(phrase: str) -> list[str]:
    option = phrase.startswith("-")
    spaced = (
        phrase.lower()
        .replace("-", " ")
        .replace("_", " ")
        .replace("+", " + ")
        .replace("/", " / ")
    )
    words = _tokens_of_phrase(spaced)
    return ["-", *words] if option else words


def _tokens_of_phrase(phrase: str) -> list[str]:
    words = []
    for word in phrase.split():
        if word in NUMBER_WORDS:
            words.append(f"{NUMBER_WORDS[word]:g}")
        elif word[0].isdigit() and not word.replace(".", "").isdigit():
            digits = len(word) - len(word.lstrip("0123456789."))
            words += [word[:digits], word[digits:]]
        else:
            words.append(word)
    return words


@functools.lru_cache(maxsize=8)
def lexicon_of(specs: tuple[tuple[str, type[Spec]], ...]) -> Lexicon:
    """Return the lexicon of some kinds, built once."""
    return Lexicon(dict(specs))
