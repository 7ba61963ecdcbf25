"""The plan as a picture: time and memory of each device. Plain SVG without scripts; light and dark."""

from __future__ import annotations

from html import escape

from trimtab.specs.sharding import DeviceLoad, ShardingPlan

_MOST = 64  # devices drawn one by one; of more, the slowest
_ROW = 20
_LEFT, _TIME, _GAP, _MEMORY = 70, 430, 40, 180
_TOP = 74
_STYLE = """
svg{font:12px system-ui,sans-serif;background:#fff;color:#1b1f24}
text{fill:currentColor}.dim{opacity:.65}.title{font-size:15px;font-weight:600}
.compute{fill:#2f6fde}.backward{fill:#8a63d2}.forward{fill:#e08a1e}.memory{fill:#3a9d6e}
.frame{fill:none;stroke:currentColor;opacity:.35}
.mean{stroke:currentColor;stroke-dasharray:4 3;opacity:.7}
@media (prefers-color-scheme:dark){svg{background:#14181d;color:#e6e9ec}
.compute{fill:#6ea0ff}.backward{fill:#b195f0}.forward{fill:#f0aa50}.memory{fill:#62c497}}
"""


def draw_plan(plan: ShardingPlan) -> str:
    """An SVG document: a stacked bar of milliseconds and a bar of memory for each device."""
    loads = list(plan.devices)
    note = ""
    if len(loads) > _MOST:
        loads = sorted(loads, key=lambda d: (-d.compute_ms, d.device))[:_MOST]
        note = f"the {_MOST} of {len(plan.devices)} devices that compute longest"
    longest = max((_total(d) for d in plan.devices), default=1.0) or 1.0
    mean = sum(d.compute_ms for d in plan.devices) / max(1, len(plan.devices))
    height = _TOP + _ROW * len(loads) + 34
    width = _LEFT + _TIME + _GAP + _MEMORY + 125
    title = f"{plan.cost_ms:.3f} ms a step: {len(plan.tables)} tables, {len(plan.shards)} shards, {len(plan.devices)} devices"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title, quote=True)}">',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="12" y="22">{escape(title)}</text>',
        f'<text class="dim" x="12" y="40">{escape(note)}</text>' if note else "",
        *_legend(),
    ]
    for row, load in enumerate(loads):
        parts += _device(load, _TOP + _ROW * row, longest)
    end = _TOP + _ROW * len(loads)
    x = _LEFT + _TIME * mean / longest
    parts.append(
        f'<line class="mean" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 4}" y2="{end}"/>'
    )
    parts.append(
        f'<text class="dim" x="{x:.1f}" y="{end + 16}" text-anchor="middle">mean compute {mean:.3f} ms</text>'
    )
    parts.append("</svg>")
    return "\n".join(p for p in parts if p) + "\n"


def _total(load: DeviceLoad) -> float:
    return load.compute_ms + load.backward_ms + load.forward_ms


def _legend() -> list[str]:
    names = [
        ("compute", "compute"),
        ("backward", "backward exchange"),
        ("forward", "forward exchange and waiting"),
        ("memory", "memory"),
    ]
    parts = []
    for (kind, name), x in zip(
        names, (_LEFT, _LEFT + 85, _LEFT + 230, _LEFT + _TIME + _GAP), strict=True
    ):
        parts.append(
            f'<rect class="{kind}" x="{x}" y="{_TOP - 22}" width="10" height="10"/>'
        )
        parts.append(f'<text x="{x + 15}" y="{_TOP - 13}">{name}</text>')
    return parts


def _device(load: DeviceLoad, y: int, longest: float) -> list[str]:
    parts = [
        f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">device {load.device}</text>'
    ]
    at = float(_LEFT)
    told = (
        f"device {load.device}: compute {load.compute_ms:.3f} ms, backward {load.backward_ms:.3f} ms, "
        f"forward {load.forward_ms:.3f} ms, {load.shards} shards, {load.dim} columns"
    )
    for kind, value in (
        ("compute", load.compute_ms),
        ("backward", load.backward_ms),
        ("forward", load.forward_ms),
    ):
        size = _TIME * value / longest
        parts.append(
            f'<rect class="{kind}" x="{at:.1f}" y="{y + 2}" width="{size:.1f}" height="{_ROW - 5}"><title>{told}</title></rect>'
        )
        at += size
    left = _LEFT + _TIME + _GAP
    share = min(1.0, load.memory_bytes / max(1, load.memory_limit_bytes))
    parts.append(
        f'<rect class="memory" x="{left}" y="{y + 2}" width="{_MEMORY * share:.1f}" height="{_ROW - 5}"/>'
    )
    parts.append(
        f'<rect class="frame" x="{left}" y="{y + 2}" width="{_MEMORY}" height="{_ROW - 5}"/>'
    )
    amount = f"{load.memory_bytes / 2**30:.2f} / {load.memory_limit_bytes / 2**30:.1f} GiB"
    parts.append(f'<text class="dim" x="{left + _MEMORY + 6}" y="{y + 13}">{amount}</text>')
    return parts
