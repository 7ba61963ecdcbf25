"""Goals in German or French, put into English word by word before they are read.

No translation: word order and endings do not matter to the reader, so a table of words of the
trade serves. A word that the table lacks stays, and is shown as not understood.
"""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from search.domains.plan.reading.tokens import Form, Token

LANGUAGES = {"German": "german", "French": "french"}
_MOST_WORDS = 4


@functools.cache
def glossary(language: str) -> Mapping[str, str]:
    """Return phrase → English phrase of a language; empty for one without a table."""
    name = LANGUAGES.get(language)
    if name is None:
        return {}
    file = importlib.resources.files("search.domains.plan") / "words" / f"{name}.toml"
    table: dict[str, str] = tomllib.loads(file.read_text(encoding="utf-8"))["words"]
    return table


def in_english(tokens: Sequence[Token], language: str) -> list[Token]:
    """Return the tokens with English words; each keeps the place of the words it stands for."""
    table = glossary(language)
    result: list[Token] = []
    i = 0
    while i < len(tokens):
        if i + 1 < len(tokens) and _is_split_number(tokens[i], tokens[i + 1]):
            digits = tokens[i].text + tokens[i + 1].text
            end, number = tokens[i + 1].end, float(digits)
            result.append(
                replace(tokens[i], text=digits, word=digits, end=end, value=number)
            )
            i += 2
            continue
        for length in range(min(_MOST_WORDS, len(tokens) - i), 0, -1):
            piece = tokens[i : i + length]
            if any(token.form is not Form.WORD for token in piece):
                continue
            english = table.get(" ".join(token.word for token in piece))
            if english is not None:
                result += _put(piece, english)
                i += length
                break
        else:
            result.append(tokens[i])
            i += 1
    return _ranges(result)


def _ranges(tokens: list[Token]) -> list[Token]:
    """Return the tokens with "2,40 à 2,48 GHz" as a range: "at" between numbers is "to"."""
    result = list(tokens)
    for i, token in enumerate(tokens[1:-1], 1):
        if (
            token.word == "at"
            and tokens[i - 1].form is Form.NUMBER
            and tokens[i + 1].form is Form.NUMBER
        ):
            result[i] = replace(token, word="to", form=Form.WORD)
    return result


def _is_split_number(left: Token, right: Token) -> bool:
    """Return whether two numbers are one with a space between thousands: 32 768."""
    return (
        left.form is Form.NUMBER
        and right.form is Form.NUMBER
        and left.text.isdigit()
        and len(left.text) <= 3
        and len(right.text) == 3
        and right.text.isdigit()
        and right.start == left.end + 1
    )


def _put(piece: Sequence[Token], english: str) -> list[Token]:
    first, last = piece[0], piece[-1]
    made = []
    for i, word in enumerate(english.replace("-", " - ").split()):
        number = word.replace(".", "").isdigit()
        form = Form.NUMBER if number else Form.WORD if word[0].isalnum() else Form.MARK
        made.append(
            replace(
                first,
                form=form,
                text=word,
                word=word.lower(),
                end=last.end,
                value=float(word) if number else None,
                glued=first.glued and i == 0,
            )
        )
    return made
