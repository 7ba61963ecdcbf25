"""Texts to measure on, from what every machine with Python has: prose, code, and JSON ledgers.

* prose: paragraphs of the language reference in `pydoc_data.topics` (PSF-2.0);
* code: modules of the standard library, from beyond their docstring (PSF-2.0);
* ledger: records of finished jobs, drawn here (ours).

They differ between versions of Python, so each result carries a digest of the tokens it read.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

MODULES = (
    "argparse",
    "ast",
    "bdb",
    "calendar",
    "configparser",
    "csv",
    "dataclasses",
    "difflib",
    "doctest",
    "enum",
    "fractions",
    "ftplib",
    "functools",
    "gettext",
    "imaplib",
    "inspect",
    "ipaddress",
    "locale",
    "mailbox",
    "optparse",
    "pickletools",
    "statistics",
    "tarfile",
    "textwrap",
)
"""Modules of `code`: the last four are for tuning."""
LETTERS_LEAST = 0.93
"""Share of letters, spaces and stops from which a paragraph is prose: not code, not a table."""


class TextType(StrEnum):
    """Kind of text."""

    PROSE = "prose"
    CODE = "code"
    LEDGER = "ledger"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A text of a fixed number of tokens."""

    type: TextType
    number: int
    ids: tuple[int, ...]

    @property
    def digest(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the ids."""
        return hashlib.sha256(json.dumps(self.ids).encode()).hexdigest()[:12]


TEST = range(20)
"""Segments that rules are compared on."""
TUNING = range(20, 24)
"""Segments that parameters may be chosen on."""


def segments(
    encode: Callable[[str], Sequence[int]],
    *,
    tokens: int,
    numbers: Sequence[int] = TEST,
    types: Sequence[TextType] = tuple(TextType),
) -> Iterator[Segment]:
    """Yield a segment of every type for each number, types in turn.

    Args:
        encode: text to ids.
        tokens: length of each segment.
        numbers: below `len(MODULES)`; the texts of different numbers do not overlap.
        types: kinds of text.
    """
    streams = {TextType.PROSE: encode(prose())} if TextType.PROSE in types else {}
    for number in numbers:
        for kind in types:
            if kind is TextType.PROSE:
                ids = streams[kind]
                start = number * (len(ids) // len(MODULES))
            elif kind is TextType.CODE:
                ids, start = encode(code(MODULES[number])), 0
            else:
                ids, start = encode(ledger(seed=number, entries=tokens // 40)), 0
            cut = tuple(ids[start : start + tokens])
            if len(cut) < tokens:
                raise ValueError(
                    f"{kind} {number}: expected {tokens} tokens, got {len(cut)}; "
                    "choose shorter segments"
                )
            yield Segment(type=kind, number=number, ids=cut)


def prose() -> str:
    """Return the paragraphs of the language reference, each once."""
    from pydoc_data.topics import topics

    paragraphs: dict[str, None] = {}
    for topic in sorted(topics):
        for block in topics[topic].split("\n\n"):
            text = " ".join(block.split())
            plain = sum(c.isalpha() or c in " .,;'" for c in text)
            if len(text) > 120 and plain >= LETTERS_LEAST * len(text):
                paragraphs[text] = None
    return "\n\n".join(paragraphs)


def code(module: str) -> str:
    """Return the source of a module from its first definition on."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    starts = [i for word in ("\nclass ", "\ndef ") if (i := source.find(word)) >= 0]
    return source[min(starts) + 1 :]


_KINDS = ("ilp", "sharding", "compile", "antenna")
_CLOSED = ("limit of time", "target reached", "optimal", "cancelled", "no improvement")


def ledger(*, seed: int, entries: int) -> str:
    """Return a planner's ledger in JSON: one record a line, later ones refer to earlier ones."""
    rng = random.Random(f"ledger {seed}")
    lines: list[str] = []
    jobs: list[tuple[str, float]] = []
    for number in range(max(entries, 8)):
        kind = rng.choice(_KINDS)
        job = f"{kind}-{rng.randrange(16**6):06x}"
        before, objective = rng.choice(jobs) if jobs and rng.random() < 0.6 else ("", 0.0)
        value = round(rng.uniform(10, 9000), 2)
        record: dict[str, object] = {
            "step": number,
            "job": job,
            "kind": kind,
            "seed": rng.randrange(100),
            "seconds": rng.choice((10, 20, 60, 300)),
            "objective": value,
            "bound": round(value * rng.uniform(0.8, 1.0), 2),
            "closed": rng.choice(_CLOSED),
            "artefact": f"{job}/solution.json",
        }
        if before:
            record["start_from"] = f"{before}/solution.json"
            record["compared_with"] = {"job": before, "objective": objective}
        jobs.append((job, value))
        lines.append(json.dumps(record))
    return "\n".join(lines)
