"""A reading told back in plain words, to be shown beside the goal."""

from __future__ import annotations

from typing import Any

from search.domains.plan.reading.slots import COMMON, words_of
from search.domains.plan.types import Reading, Wish


def in_words(reading: Reading) -> str:
    """Return what was understood, one line for each job, then order and what is not done."""
    if reading.refused is not None:
        return reading.refused
    lines = [f"{i}. {_job(wish)}" for i, wish in enumerate(reading.wishes, 1)]
    for wish, number in ((w, i) for i, w in enumerate(reading.wishes, 1)):
        for name, (maker, file) in wish.outputs.items():
            lines.append(f"Job {number} reads {file} of job {maker + 1} as {name}.")
    flows = {(m, i) for i, w in enumerate(reading.wishes) for m, _ in w.outputs.values()}
    lines += [
        f"Job {order.child + 1} starts after job {order.parent + 1} has ended."
        for order in reading.order
        if (order.parent, order.child) not in flows
    ]
    lines += [f"Not done: “{part.text}” ({part.reason})." for part in reading.not_done]
    if reading.not_understood:
        words = [reading.goal[s.start : s.end] for s in reading.not_understood[:10]]
        lines.append("Not understood: " + ", ".join(f"“{word}”" for word in words) + ".")
    return "\n".join(lines)


def _job(wish: Wish) -> str:
    words = words_of(wish.kind)
    verb = words.table("job").get("title", wish.kind) if words else wish.kind
    if wish.intent == "speed_up":
        verb = "speed up"
    files = " with ".join(wish.files.values())
    noun = files or (
        "an antenna" if wish.kind == "antenna" else f"a job of kind {wish.kind}"
    )
    parts = [f"{verb.capitalize()} {noun}"]
    edges = {v.path: v.value for v in wish.values if v.path.endswith("_hz")}
    for value in wish.values:
        if value.path.endswith("f_lo_hz"):
            high = edges.get(value.path.replace("f_lo_hz", "f_hi_hz"), value.value)
            name = "reject" if ".avoid." in value.path else "band"
            parts.append(f"{name} {value.value / 1e9:.6g} to {high / 1e9:.6g} GHz")
        elif not value.path.endswith("_hz"):
            parts.append(
                f"{_title(wish.kind, value.path)} {_shown(value.path, value.value)}"
            )
    parts += [f"not {entry.partition('=')[2]}" for entry in wish.removed]
    return "; ".join(parts) + "."


def _title(kind: str, path: str) -> str:
    for source in (kind, COMMON):
        words = words_of(source)
        if words is not None:
            plain = ".".join("0" if part.isdigit() else part for part in path.split("."))
            row = words.table("slots").get(path) or words.table("slots").get(plain)
            if row:
                return str(row.get("title", path))
    return path.rpartition(".")[2].replace("_", " ")


def _shown(path: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_shown(path, each) for each in value)
    if isinstance(value, int | float):
        return _number(path, value)
    return str(value)


def _number(path: str, value: float) -> str:
    if path.endswith(("gap", "efficiency")):
        return f"{value * 100:.6g} %"
    for ending, unit in (
        ("seconds", "s"),
        ("_gib", "GiB"),
        ("_mm", "mm"),
        ("_db", "dB"),
        ("_gb_s", "GB/s"),
        ("_ohm", "ohm"),
        ("_s_m", "S/m"),
    ):
        if path.endswith(ending):
            return f"{value:,.6g} {unit}"
    return f"{value:,}" if isinstance(value, int) and "seed" not in path else f"{value:g}"
