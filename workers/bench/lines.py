"""JSON lines of a measurement: each with suite, date, machine and seed."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workers.bench.stats import machine


def write_lines(
    lines: Iterable[Mapping[str, Any]], *, suite: str, seed: int, out: Path
) -> None:
    """Print each line as it is measured, and append it to a file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    head = {
        "suite": suite,
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "seed": seed,
    }
    for line in lines:
        text = json.dumps({**head, **line})
        print(text, flush=True)
        with out.open("a") as file:
            file.write(text + "\n")


def earlier_lines(out: Path) -> list[dict[str, Any]]:
    """Return the lines that a file has, to resume from; drop a last one that was cut off."""
    text = out.read_text() if out.is_file() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        out.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]
