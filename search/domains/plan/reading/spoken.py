"""Dictated text: names spelt out in words, "filter dot cpp", "four a one hundreds"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from search.domains.plan.reading.numerals import NUMBER_WORDS
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.tokens import Form, Token

_SEPARATORS = vocabulary("dot point underscore dash hyphen . - _ slash /")
_SPOKEN = vocabulary("dot point underscore")
_DIGITS = {word: f"{value:.0f}" for word, value in NUMBER_WORDS.items()}
_TRIPLES = (
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabi",
    "thumbv8m.main-none-eabihf",
    "armv7-unknown-linux-gnueabihf",
    "arm-none-eabi",
    "armv7a-none-eabi",
    "aarch64-unknown-linux-gnu",
    "aarch64-none-elf",
    "riscv32-unknown-elf",
    "riscv64-unknown-elf",
    "riscv64-unknown-linux-gnu",
    "x86_64-unknown-linux-gnu",
    "i686-unknown-linux-gnu",
    "wasm32-unknown-unknown",
)
_SQUEEZED = {re.sub(r"[^a-z0-9]", "", name): name for name in _TRIPLES}
_MOST_PIECES = 12
_CARDS = ("a", "h", "v")


def written_out(tokens: Sequence[Token], files: Sequence[str]) -> list[Token]:
    """Return the tokens with spelt-out names of files, cards and targets as one token each."""
    pieces = {tuple(re.findall(r"[a-z0-9]+", name.lower())): name for name in files}
    pieces = {key: name for key, name in pieces.items() if len(key) >= 2}
    result: list[Token] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        number = (
            (_file_at(tokens, i, pieces) or _card_at(tokens, i) or _triple_at(tokens, i))
            if token.form in (Form.WORD, Form.NUMBER)
            else None
        )
        if number is None:
            result.append(token)
            i += 1
            continue
        form, word, end = number
        last = tokens[end - 1]
        text = token.text if form is Form.WORD else word
        result.append(
            replace(token, form=form, word=word, text=text, end=last.end, value=None)
        )
        i = end
    return result


def _file_at(
    tokens: Sequence[Token], i: int, files: dict[tuple[str, ...], str]
) -> tuple[Form, str, int] | None:
    for pieces, name in files.items():
        at, spoken = i, False
        for k, piece in enumerate(pieces):
            while k and at < len(tokens) and tokens[at].word in _SEPARATORS:
                spoken = spoken or tokens[at].word in _SPOKEN
                at += 1
            word = tokens[at].word if at < len(tokens) else ""
            if tokens[at].form is Form.NUMBER if at < len(tokens) else False:
                word = tokens[at].text.lower()
            if word != piece and _DIGITS.get(word) != piece:
                break
            at += 1
        else:
            # "a mps file" is no name of a.mps unless its point is spoken.
            if spoken or len(pieces[0]) > 2:
                return Form.FILE, name, at
    return None


def _card_at(tokens: Sequence[Token], i: int) -> tuple[Form, str, int] | None:
    """Read "a one hundreds", "h 100s", "the v one hundred"."""
    word = tokens[i].word
    words = [t.word for t in tokens[i + 1 : i + 4]]
    if word not in _CARDS or tokens[i].form is not Form.WORD or len(words) < 1:
        return None
    before = tokens[i - 1] if i else None
    after_number = before is not None and (
        before.form is Form.NUMBER
        or before.word in NUMBER_WORDS
        or before.word in ("the", "x")
    )
    if words[0] == "100" and not tokens[i + 1].suffix and (word != "a" or after_number):
        plural = len(words) > 1 and words[1] == "s" and tokens[i + 2].glued
        return Form.WORD, f"{word}100", i + 2 + plural
    spelt = words[0] == "one" and len(words) > 1 and words[1] in ("hundred", "hundreds")
    if spelt and (word != "a" or words[1] == "hundreds" or after_number):
        return Form.WORD, f"{word}100", i + 3
    return None


def _triple_at(tokens: Sequence[Token], i: int) -> tuple[Form, str, int] | None:
    """Read "thumb v six m none eabi"."""
    if tokens[i].word[:3] not in ("thu", "arm", "aar", "ris", "x86", "i68", "was", "a"):
        return None
    joined, at, best = "", i, None
    while at < min(len(tokens), i + _MOST_PIECES):
        token = tokens[at]
        if token.form is Form.NUMBER:
            joined += token.text
        elif token.form is Form.WORD:
            joined += _DIGITS.get(token.word) or re.sub(r"[^a-z0-9]", "", token.word)
        elif token.word not in ("-", ".", "_"):
            break
        at += 1
        if joined in _SQUEEZED and at > i + 1:
            best = (Form.TRIPLE, _SQUEEZED[joined], at)
    return best
