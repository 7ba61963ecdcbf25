"""Words for outlines: titles of leaves, and the plan read back to its owner."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from search.domains.plan.outline.paths import MISSING, get, leaves
from trimtab.plans import LEAF_FILE, Leaf, Outline
from trimtab.specs.common import MODEL_AUTO

_SLOT = re.compile(r"\{([a-z_][\w.]*)\}")
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "highs": "HiGHS",
        "scip": "SCIP",
        "cp-sat": "CP-SAT",
        "v100": "V100",
        "a100": "A100",
        "h100": "H100",
        "rowwise_adagrad": "row-wise Adagrad",
        "run_time": "run time",
    }
)
_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "budget.seconds": "at most",
        "budget.evaluations": "evaluations at most",
        "budget.target_gap": "until the gap is",
        "spec.devices": "devices",
        "spec.lns.enabled": "neighbourhood search",
    }
)
_SHARES = ("budget.target_gap", "spec.min_efficiency")
_UNSAID = ("digest", "name", LEAF_FILE, "output")
_MOST_TITLE = 200


def title(pattern: str, context: Mapping[str, Any]) -> str:
    """Fill `{path}` in a pattern with the context's values, in words."""
    text = _SLOT.sub(lambda slot: _said(slot[1], context), pattern)
    return text if len(text) <= _MOST_TITLE else text[: _MOST_TITLE - 1] + "…"


def _said(path: str, context: Mapping[str, Any]) -> str:
    value = get(context, path)
    return "…" if value is MISSING else words(path, value)


def words(path: str, value: Any) -> str:
    """Return a value in words; its path gives the unit."""
    last = path.rpartition(".")[2]
    if isinstance(value, Mapping):
        if LEAF_FILE in value:
            return f"{value.get('output', 'the file')} of {value[LEAF_FILE]}"
        if "digest" in value:
            return str(value.get("name") or "the file")
        if "f_lo_hz" in value and "f_hi_hz" in value:
            low, high = (_gigahertz(value[name]) for name in ("f_lo_hz", "f_hi_hz"))
            return f"{low} to {high} GHz"
        if "count" in value:
            memory = value.get("memory_gib")
            each = "" if memory is None else f" of {_number(memory)} GiB"
            hardware = words("hardware", value.get("hardware", "devices"))
            return f"{_number(value['count'])} {hardware}{each}"
        return ", ".join(f"{name} {words(name, part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return listed([words(path, part) for part in value])
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if path in _SHARES:
            return f"{_number(100 * value)} %"
        if last.endswith("_hz"):
            return f"{_gigahertz(value)} GHz"
        return duration(value) if path == "budget.seconds" else _number(value)
    return _NAMES.get(str(value), str(value))


def listed(parts: Sequence[str]) -> str:
    """Return `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def counted(count: int, noun: str) -> str:
    """Return `1 job`, `2 jobs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return seconds in words, in the largest unit that is exact: `90 s`, `2 min`, `1 h`."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{_number(seconds / size)} {unit}"
    return f"{_number(seconds)} s"


def read_back(outline: Outline) -> str:
    """Return the jobs of a plan in words, one line for each.

    Questions and parts that are left out stand beside it in the outline.
    """
    lines = []
    before: dict[str, list[str]] = {}
    for edge in outline.edges.values():
        before.setdefault(edge.child, []).append(edge.parent)
    for name, leaf in outline.leaves.items():
        lines.append(f"{name}: {_sentence(leaf, before.get(name, []))}")
    return "\n".join(lines)


def _sentence(leaf: Leaf, parents: Sequence[str]) -> str:
    """Return what a leaf does with every value that is set, and what it waits for."""
    request = {"spec": leaf.spec, "budget": leaf.budget, "seed": leaf.seed}
    sentence = leaf.title
    details = []
    for path, value in _stated(request):
        shown = words(path, value)
        if (
            path not in leaf.defaults
            and shown
            and not re.search(rf"(?<!\w){re.escape(shown)}(?!\w)", sentence)
        ):
            details.append(f"{_label(path)} {shown}")
    details += [f"{_label(path)} {why}" for path, why in leaf.defaults.items()]
    details += _envelope(leaf)
    after = f"; after {listed(list(parents))}" if parents else ""
    return sentence + (f" ({', '.join(details)})" if details else "") + f"{after}."


def _envelope(leaf: Leaf) -> list[str]:
    """Return what is set of a job's envelope, in words."""
    said = {
        f"priority {leaf.priority}": leaf.priority != 0,
        f"called “{leaf.name}”": bool(leaf.name),
        f"attempts at most {leaf.max_attempts}": leaf.max_attempts is not None,
        f"fitted model {leaf.model}": leaf.model != MODEL_AUTO,
    }
    labels = [f"label {name}={value}" for name, value in leaf.labels.items()]
    url = [] if leaf.webhook is None else [f"calls {leaf.webhook.url} at its end"]
    return [*(text for text, is_set in said.items() if is_set), *labels, *url]


def _stated(request: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the values of a request, files and devices as one each."""
    values: dict[str, Any] = {}
    for path, value in leaves(request):
        way, _, last = path.rpartition(".")
        if value in ({}, []) or (path == "seed" and value == 0):
            continue
        whole = way if last in _UNSAID or last.isdecimal() else path
        if not last.isdecimal() and way.rpartition(".")[2].isdecimal():
            whole = way.rpartition(".")[0]
        values.setdefault(whole, get(request, whole))
    return list(values.items())


def _label(path: str) -> str:
    if path in _LABELS:
        return _LABELS[path]
    way = [word for word in path.split(".")[1:] if not word.isdecimal()]
    return (" ".join(way) or path).replace("_", " ")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.12g}"


def _gigahertz(value: Any) -> str:
    return _number(float(value) / 1e9)
