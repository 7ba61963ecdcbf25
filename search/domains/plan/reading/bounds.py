"""Text of a goal made safe to read: limited, without hidden characters, folded to one spelling."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from trimtab.plans import Span

MAX_BYTES = 65_536
MAX_SENTENCES = 200
MAX_PHRASES = 500  # that can matter: time grows with their square
_SPACES_IN_NUMBERS = "\u00a0\u2009\u202f"
_TIMES = "\u00d7\u2715\u2a2f"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
# Letters of other scripts that look like Latin ones: an engine's name written with them is shown.
_LOOKALIKES = dict(
    zip(
        "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0455\u0458\u0501\u04bb"
        "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0405\u0406"
        "\u03bf\u03b1\u03c1\u03bd\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a7",
        "aeopcxyisjdhABEKMHOPCTXSIoapvABEZHIKMNOPTX",
        strict=True,
    )
)


@dataclass(frozen=True, kw_only=True)
class Text:
    """A goal folded to one spelling, with the way back to its characters."""

    goal: str
    folded: str
    at: tuple[int, ...]  # (len(folded) + 1,) index in `goal` of each folded character
    notes: tuple[str, ...] = ()

    def span(self, start: int, end: int) -> Span:
        """Return the characters of the goal behind `folded[start:end]`."""
        if end <= start:
            return Span(start=self.at[start], end=self.at[start])
        return Span(
            start=self.at[start], end=max(self.at[end - 1] + 1, self.at[start] + 1)
        )


def hidden_characters(goal: str) -> list[tuple[int, str]]:
    """Return position and name of each character that is invisible or turns the text around."""
    return [
        (i, unicodedata.name(c, f"U+{ord(c):04X}"))
        for i, c in enumerate(goal)
        if unicodedata.category(c) in ("Cf", "Cs", "Co", "Cn")
        or (unicodedata.category(c) == "Cc" and c not in "\n\r\t")
    ]


def refusal(goal: str) -> str | None:
    """Return why a text is not read at all; None when it may be read."""
    try:
        size = len(goal.encode())
    except UnicodeEncodeError as error:
        return (
            f"goal: expected Unicode text, got a lone surrogate at character {error.start}; "
            "send the text again"
        )
    if size > MAX_BYTES:
        return (
            f"goal: expected at most {MAX_BYTES:,} bytes of text, got {size:,}; "
            "attach long texts as files"
        )
    if not goal.strip():
        return "goal: expected a goal in words, got blank text; say what is wanted"
    return None


def fold(goal: str) -> Text:
    """Return the text with one spelling of digits, dashes, spaces and lookalike letters.

    Hidden characters are left out, so that they cannot split or join words; the notes name them.
    """
    hidden = hidden_characters(goal)
    skipped = {i for i, _ in hidden}
    folded: list[str] = []
    at: list[int] = []
    lookalikes = []
    for i, character in enumerate(goal):
        if i in skipped:
            continue
        plain = _plain(goal, i, character)
        if character in _LOOKALIKES and _beside_latin(goal, i):
            plain = _LOOKALIKES[character]
            lookalikes.append(i)
        folded.extend(plain)
        at.extend([i] * len(plain))
    notes = []
    if hidden:
        i, name = hidden[0]
        notes.append(
            f"the goal has {len(hidden)} hidden characters, the first at character {i} ({name}); "
            "they were left out"
        )
    if lookalikes:
        notes.append(
            f"the goal has {len(lookalikes)} letters of another script that look Latin, the first "
            f"at character {lookalikes[0]}; they were read as Latin ones"
        )
    return Text(
        goal=goal, folded="".join(folded), at=(*at, len(goal)), notes=tuple(notes)
    )


def _plain(goal: str, i: int, character: str) -> str:
    if character in _SPACES_IN_NUMBERS:
        between = goal[i - 1 : i].isdigit() and goal[i + 1 : i + 4].isdigit()
        return "'" if between else " "
    if character in _DASHES:
        return "-"
    if character in _TIMES:
        return "x"
    if character in "\u2018\u2019\u02bc":
        return "'"
    if character in "\u201c\u201d\u201e\u00ab\u00bb":
        return '"'
    if unicodedata.category(character) == "No" and "\u2044" in unicodedata.normalize(
        "NFKC", character
    ):
        whole = " " if goal[i - 1 : i].isdigit() else ""
        return whole + unicodedata.normalize("NFKC", character).replace("\u2044", "/")
    return unicodedata.normalize("NFKC", character)


def _beside_latin(goal: str, i: int) -> bool:
    """Return whether the word around a character has Latin letters, or looks Latin as a whole."""
    start, end = i, i + 1
    while start > 0 and goal[start - 1].isalpha() and i - start < 40:
        start -= 1
    while end < len(goal) and goal[end].isalpha() and end - i < 40:
        end += 1
    word = goal[start:end]
    return any(c.isascii() for c in word) or all(c in _LOOKALIKES for c in word)
