"""Response files (`@file`) of compilers, by the rules of clang for GNU command lines."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as the name of `typing`, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_DEPTH = 20
_BYTES = 64 * 2**20


def expanded(words: Sequence[str], depth: int = 0) -> list[str]:
    """Replace `@file` by the words in the file; a word whose file is missing stays."""
    every: list[str] = []
    for word in words:
        if (
            len(word) > 1
            and word[0] == "@"
            and depth < _MOST_DEPTH
            and os.path.isfile(word[1:])
        ):
            with open(word[1:], encoding="utf-8", errors="surrogateescape") as file:
                every += expanded(split_words(file.read(_BYTES)), depth + 1)
        else:
            every.append(word)
    return every


def split_words(text: str) -> list[str]:
    """Split a response file: white space separates, quotes group, a backslash quotes one character.

    Unlike in a shell, a backslash quotes inside single quotes too, and `#` begins no comment.
    """
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    i = 0
    while i < len(text):
        character = text[i]
        if character == "\\" and i + 1 < len(text):
            i += 1
            word = [*(word or ()), text[i]]
        elif quote:
            if character == quote:
                quote = ""
            elif word is not None:
                word.append(character)
        elif character in "'\"":
            quote, word = character, word or []
        elif character.isspace():
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            word = word or []
            word.append(character)
        i += 1
    return [*words, "".join(word)] if word is not None else words
