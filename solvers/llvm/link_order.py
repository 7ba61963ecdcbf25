"""Words shared by the client and the server of links: places of a line, and overflowing regions."""

from __future__ import annotations

import re

INPUTS, OUT = "@inputs", "@out"  # in a line: the objects, and the program
OVERFLOW = re.compile(
    r"section '[^']*' will not fit in region '(?P<region>[^']*)': overflowed by (?P<bytes>\d+)"
)


def overflow(message: str) -> int:
    """Return how many bytes a program exceeds its regions by, summed over regions; 0 if none."""
    beyond: dict[str, int] = {}
    for match in OVERFLOW.finditer(message):
        name = match["region"]
        beyond[name] = max(beyond.get(name, 0), int(match["bytes"]))
    return sum(beyond.values())
