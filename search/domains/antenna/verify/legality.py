"""Check of a design's metal against the rules of its job, without the search's repair."""

from __future__ import annotations

from collections import deque

from search.domains.antenna.design import Design
from solvers.field.board import Cell
from trimtab.specs.antenna import AntennaSpec


def broken_rules(spec: AntennaSpec, design: Design) -> list[str]:
    """Return one sentence for each rule that the design breaks."""
    cells = spec.grid.cells
    if design.mask.shape != (cells, cells):
        return [f"metal: expected {cells} x {cells} cells, got {design.mask.shape}"]
    broken = [
        f"{name}: expected a cell of the metal, got {list(post)}"
        for name, post in [("feed", design.feed), *(("vias", via) for via in design.vias)]
        if not (0 <= post[0] < cells and 0 <= post[1] < cells and design.mask[post])
    ]
    if spec.feed is not None and design.feed != spec.feed:
        broken.append(f"feed: expected {list(spec.feed)}, got {list(design.feed)}")
    if len(design.vias) > spec.max_vias:
        broken.append(f"vias: expected at most {spec.max_vias}, got {len(design.vias)}")
    if len({design.feed, *design.vias}) != 1 + len(design.vias):
        broken.append("vias: expected cells of their own, got one twice or the feed's")
    metal = {(int(i), int(j)) for i, j in zip(*design.mask.nonzero(), strict=True)}
    broken += _corners(metal)
    if spec.symmetric and any((i, cells - 1 - j) not in metal for i, j in metal):
        broken.append(
            "metal: expected mirror symmetry about the centre line along x, got none"
        )
    if spec.feature_cells > 1:
        broken += _narrow(metal, spec.feature_cells)
    if not broken and spec.connected and len(_piece(metal, design.feed)) != len(metal):
        broken.append("metal: expected one piece, got islands")
    return broken


def _corners(metal: set[Cell]) -> list[str]:
    for i, j in sorted(metal):
        for side in (-1, 1):
            apart = (i, j + side) not in metal and (i + 1, j) not in metal
            if (i + 1, j + side) in metal and apart:
                return [
                    "metal: expected cells that touch along edges, got two that meet at a corner "
                    f"alone, ({i}, {j}) and ({i + 1}, {j + side})"
                ]
    return []


def _narrow(metal: set[Cell], width: int) -> list[str]:
    covered: set[Cell] = set()
    for i, j in metal:
        block = {(i + a, j + b) for a in range(width) for b in range(width)}
        if block <= metal:
            covered |= block
    if covered == metal:
        return []
    return [
        f"metal: expected every part at least {width} cells wide, got {min(metal - covered)}"
    ]


def _piece(metal: set[Cell], start: Cell) -> set[Cell]:
    reached, queue = {start}, deque([start])
    while queue:
        i, j = queue.popleft()
        for cell in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            if cell in metal and cell not in reached:
                reached.add(cell)
                queue.append(cell)
    return reached
