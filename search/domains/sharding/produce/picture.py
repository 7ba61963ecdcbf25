"""Picture of a plan: a bar of time and a bar of memory for each device."""

from __future__ import annotations

from search.drawing.svg import BLUE, GREEN, ORANGE, PURPLE, Drawing
from trimtab.specs.sharding import DeviceLoad, ShardingPlan

_MOST = 64  # devices drawn one by one; of more, the slowest
_ROW = 20
_LEFT, _TIME, _GAP, _MEMORY = 70, 430, 40, 180
_MEMORY_LEFT = _LEFT + _TIME + _GAP
_WIDTH = _MEMORY_LEFT + _MEMORY + 125
_TOP = 74
_COLOURS = {"compute": BLUE, "backward": PURPLE, "forward": ORANGE, "memory": GREEN}
_LEGEND = (
    ("compute", _LEFT, "compute"),
    ("backward", _LEFT + 85, "backward exchange"),
    ("forward", _LEFT + 230, "forward exchange and waiting"),
    ("memory", _MEMORY_LEFT, "memory"),
)


def draw_plan(plan: ShardingPlan) -> str:
    """Return an SVG: a stacked bar of milliseconds and a bar of memory for each device."""
    loads = list(plan.devices)
    count = len(loads)
    title = (
        f"{plan.cost_ms:.3f} ms a step: {len(plan.tables)} tables, "
        f"{len(plan.shards)} shards, {count} devices"
    )
    if count > _MOST:
        loads = sorted(loads, key=lambda d: (-d.compute_ms, d.device))[:_MOST]
    end = _TOP + _ROW * len(loads)
    drawing = Drawing(_WIDTH, end + 34, title=title, colours=_COLOURS)
    drawing.text(12, 22, title, style="title")
    if count > _MOST:
        note = f"the {_MOST} of {count} devices that compute longest"
        drawing.text(12, 40, note, style="dim")
    for colour, left, words in _LEGEND:
        drawing.key(colour, left, _TOP - 13, words)
    longest = max((_total_ms(d) for d in plan.devices), default=1.0) or 1.0
    for row, load in enumerate(loads):
        y = _TOP + _ROW * row
        drawing.text(_LEFT - 8, y + 13, f"device {load.device}", anchor="end")
        _draw_time(drawing, load, y, longest)
        _draw_memory(drawing, load, y)
    mean_ms = sum(d.compute_ms for d in plan.devices) / max(1, count)
    x = _LEFT + _TIME * mean_ms / longest
    drawing.line(x, _TOP - 4, x, end)
    drawing.text(
        x, end + 16, f"mean compute {mean_ms:.3f} ms", style="dim", anchor="middle"
    )
    return drawing.document() + "\n"


def _total_ms(load: DeviceLoad) -> float:
    return load.compute_ms + load.backward_ms + load.forward_ms


def _draw_time(drawing: Drawing, load: DeviceLoad, y: int, longest_ms: float) -> None:
    tooltip = (
        f"device {load.device}: compute {load.compute_ms:.3f} ms, "
        f"backward {load.backward_ms:.3f} ms, forward {load.forward_ms:.3f} ms, "
        f"{load.shards} shards, {load.dim} columns"
    )
    x = float(_LEFT)
    for colour, milliseconds in (
        ("compute", load.compute_ms),
        ("backward", load.backward_ms),
        ("forward", load.forward_ms),
    ):
        width = _TIME * milliseconds / longest_ms
        drawing.bar(colour, x, y + 2, width, _ROW - 5, tooltip=tooltip)
        x += width


def _draw_memory(drawing: Drawing, load: DeviceLoad, y: int) -> None:
    share = min(1.0, load.memory_bytes / max(1, load.memory_limit_bytes))
    drawing.bar("memory", _MEMORY_LEFT, y + 2, _MEMORY * share, _ROW - 5)
    drawing.frame(_MEMORY_LEFT, y + 2, _MEMORY, _ROW - 5)
    amount = (
        f"{load.memory_bytes / 2**30:.2f} / {load.memory_limit_bytes / 2**30:.1f} GiB"
    )
    drawing.text(_MEMORY_LEFT + _MEMORY + 6, y + 13, amount, style="dim")
