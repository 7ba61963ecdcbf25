"""Random requests of kind `antenna`: valid ones, and ones with a known fault."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

Body = dict[str, Any]
Rng = np.random.Generator
_C0 = 299_792_458.0
# (name of the field in the message, change of a valid spec)
Fault = tuple[str, Callable[[Body, Rng], None]]


def valid(rng: Rng, *, small: bool) -> Body:
    """Return a spec that must be accepted. `small`: one that runs in a second or two."""
    eps_r = float(rng.choice([1.0, 1.07, 2.2, 4.4, 6.15, 10.2, 12.0]))
    lowest = float(10 ** rng.uniform(8.3, 10.5))
    bands, avoid = _bands(rng, lowest)
    if not bands:
        return valid(rng, small=small)
    highest = max(band["f_hi_hz"] for band in bands + avoid)
    wavelength_mm = _C0 / highest / math.sqrt(eps_r) * 1e3
    cells = int(rng.integers(6, 9 if small else 20))
    # At least 6 cells per wavelength, and a grid of at least 0.01 wavelengths.
    least = max(0.1, 0.0105 * _C0 / lowest * 1e3 / cells)
    most = min(20.0, wavelength_mm / 6.1)
    if least > most:
        return valid(rng, small=small)
    cell_mm = float(np.exp(rng.uniform(np.log(least), np.log(most))))
    size_mm = cells * cell_mm
    thickest = min(8.0, 0.24 * wavelength_mm)
    if thickest < 0.05:
        return valid(rng, small=small)
    body: Body = {
        "bands": bands,
        "avoid": avoid,
        "board": {
            "eps_r": eps_r,
            "tan_d": float(rng.choice([0.0, 0.001, 0.02, 0.1])),
            "height_mm": float(np.exp(rng.uniform(np.log(0.05), np.log(thickest)))),
            "conductivity_s_m": float(rng.choice([1e5, 5.8e7, 1e8])),
        },
        "grid": {"cells": cells, "cell_mm": cell_mm},
        "topology": str(rng.choice(["pixels", "rectangles"])),
        "max_rectangles": int(rng.integers(1, 9)),
        "max_vias": int(rng.integers(0, 5)),
        "z0_ohm": float(rng.choice([5.0, 50.0, 75.0, 500.0])),
        "min_efficiency": float(rng.choice([0.0, 0.0, 0.5, 0.95])),
        "symmetric": bool(rng.random() < 0.2),
        "connected": bool(rng.random() < 0.3),
        "margin_db": float(rng.choice([0.0, 3.0, 10.0])),
        "coarse_solves": int(rng.integers(1, 12)),
        "fine_solves": int(rng.integers(1, 3)),
        "verify_runs": 0,
    }
    if rng.random() < 0.5:
        # On the line of symmetry, where there is one: elsewhere the feed's mirror image has none.
        middle = (cells - 1) // 2 if body["symmetric"] else int(rng.integers(cells))
        body["feed"] = [int(rng.integers(cells)), middle]
    if rng.random() < 0.3 and size_mm + 2 < 1000:
        body["board"]["size_mm"] = float(
            rng.uniform(size_mm + 2, min(1000, 4 * size_mm + 4))
        )
    if rng.random() < 0.3:
        body["min_feature_mm"] = float(min(100.0, cell_mm * rng.uniform(0, cells // 2)))
    return body


def _bands(rng: Rng, lowest: float) -> tuple[list[Body], list[Body]]:
    """Return bands without overlap, at most 8 times the lowest frequency apart, in any order."""
    count = int(rng.integers(1, 9))
    span = float(rng.uniform(1.05, 7.9))
    edges = lowest * np.sort(span ** rng.random(2 * count))
    edges = np.unique(np.clip(edges, 5e7, 6e10))
    pairs = [
        (float(a), float(b))
        for a, b in zip(edges[::2], edges[1::2], strict=False)
        if a < b
    ]
    rng.shuffle(pairs)
    avoid = [
        {"f_lo_hz": a, "f_hi_hz": b, "s11_min_db": float(rng.uniform(-20, -0.1))}
        for a, b in pairs[1:5]
        if rng.random() < 0.3
    ]
    taken = {band["f_lo_hz"] for band in avoid}
    bands = [
        {"f_lo_hz": a, "f_hi_hz": b, "s11_max_db": float(rng.uniform(-40, -1))}
        for a, b in pairs
        if a not in taken
    ]
    return bands[:4], avoid


def faulty(rng: Rng) -> tuple[Body, str]:
    """Return a spec with one fault, and the field that its refusal must name."""
    body = copy.deepcopy(valid(rng, small=False))
    name, change = FAULTS[int(rng.integers(len(FAULTS)))]
    change(body, rng)
    return body, name


def _set(path: str, *values: Any) -> Callable[[Body, Rng], None]:
    """Return a change that puts one of the values at a dotted path."""

    def change(body: Body, rng: Rng) -> None:
        at: Any = body
        *parts, last = path.split(".")
        for part in parts:
            at = at[int(part) if part.isdigit() else part]
        at[last] = values[int(rng.integers(len(values)))]

    return change


def _reverse(body: Body, rng: Rng) -> None:
    band = body["bands"][0]
    band["f_lo_hz"], band["f_hi_hz"] = band["f_hi_hz"], band["f_lo_hz"]


def _overlap(body: Body, rng: Rng) -> None:
    first = body["bands"][0]
    inside = (first["f_lo_hz"] + first["f_hi_hz"]) / 2
    body["avoid"] = [{"f_lo_hz": inside, "f_hi_hz": first["f_hi_hz"] * 1.01}]


def _gigahertz(body: Body, rng: Rng) -> None:
    for band in body["bands"]:
        band["f_lo_hz"] /= 1e9
        band["f_hi_hz"] /= 1e9


def _too_many(body: Body, rng: Rng) -> None:
    body["bands"] = [
        {"f_lo_hz": 1e9 + i * 1e8, "f_hi_hz": 1e9 + i * 1e8 + 5e7} for i in range(5)
    ]


def _wide(body: Body, rng: Rng) -> None:
    body["bands"] = [{"f_lo_hz": 1e9, "f_hi_hz": 9e9}]
    body["avoid"] = []


def _coarse_cells(body: Body, rng: Rng) -> None:
    body["bands"], body["avoid"] = [{"f_lo_hz": 9e9, "f_hi_hz": 10e9}], []
    body["grid"]["cell_mm"] = 19.0
    body["board"].pop("size_mm", None)
    body["min_feature_mm"] = 0.0


def _tiny_grid(body: Body, rng: Rng) -> None:
    body["bands"], body["avoid"] = [{"f_lo_hz": 6e7, "f_hi_hz": 7e7}], []
    body["grid"] = {"cells": 6, "cell_mm": 0.2}
    body["board"].pop("size_mm", None)
    body["min_feature_mm"] = 0.0
    body.pop("feed", None)


def _thick(body: Body, rng: Rng) -> None:
    body["bands"], body["avoid"] = [{"f_lo_hz": 2.0e10, "f_hi_hz": 2.1e10}], []
    body["grid"] = {"cells": 8, "cell_mm": 0.5}
    body["board"] = {"eps_r": 10.2, "height_mm": 8.0}
    body["min_feature_mm"] = 0.0
    body.pop("feed", None)


def _feed_outside(body: Body, rng: Rng) -> None:
    body["feed"] = [0, body["grid"]["cells"]]


def _small_board(body: Body, rng: Rng) -> None:
    body["board"]["size_mm"] = body["grid"]["cells"] * body["grid"]["cell_mm"] * 0.9


def _broad_feature(body: Body, rng: Rng) -> None:
    side = body["grid"]["cells"] * body["grid"]["cell_mm"]
    body["min_feature_mm"] = min(100.0, 0.8 * side)
    if side > 120:  # the limit of 100 mm would be below half the grid
        body["grid"]["cell_mm"] = 100 / body["grid"]["cells"]
        body["bands"], body["avoid"] = [{"f_lo_hz": 5e8, "f_hi_hz": 5.1e8}], []
        body["board"].pop("size_mm", None)
        body["min_feature_mm"] = 80.0


def _rename(body: Body, rng: Rng) -> None:
    body["grid"]["cels"] = body["grid"].pop("cells")


NAN, INFINITE = float("nan"), float("inf")
FAULTS: tuple[Fault, ...] = (
    ("bands", _set("bands", [], "5 GHz", None)),
    ("bands", _too_many),
    ("bands", _reverse),
    ("bands", _wide),
    ("bands[0]", _gigahertz),
    ("avoid[0]", _overlap),
    (
        "bands.0.f_lo_hz",
        _set("bands.0.f_lo_hz", -1.0, 0.0, "2.4e9", True, NAN, INFINITE, None),
    ),
    ("bands.0.s11_max_db", _set("bands.0.s11_max_db", 0.0, 10.0, -50.0, NAN)),
    ("board.eps_r", _set("board.eps_r", 0.5, 0, -2.2, 13.0, 1e9, NAN, "2.2")),
    ("board.tan_d", _set("board.tan_d", -0.001, 0.2, NAN)),
    ("board.height_mm", _set("board.height_mm", 0.0, -1.0, 9.0, 1e-3, NAN, INFINITE)),
    ("board.height_mm", _thick),
    ("board.conductivity_s_m", _set("board.conductivity_s_m", 0.0, 58.0, 1e12)),
    ("board.size_mm", _set("board.size_mm", 0.0, -5.0, 1e6, NAN)),
    ("board.size_mm", _small_board),
    ("grid.cells", _set("grid.cells", 0, 1, 5, 20, 10**9, 8.5, "8")),
    ("grid.cell_mm", _set("grid.cell_mm", 0.0, -3.0, 21.0, 3e-3, NAN)),
    ("grid.cell_mm", _coarse_cells),
    ("grid", _tiny_grid),
    ("grid.cels", _rename),
    ("feed", _set("feed", [1], [1, 2, 3], [-1, 2], [0.5, 1], "3,6", 5)),
    ("feed", _feed_outside),
    ("topology", _set("topology", "voxels", "", None)),
    ("max_rectangles", _set("max_rectangles", 0, 9, 2.5)),
    ("max_vias", _set("max_vias", -1, 5, True)),
    ("z0_ohm", _set("z0_ohm", 0.0, -50.0, 1e4, NAN)),
    ("min_efficiency", _set("min_efficiency", -0.1, 1.0, 50.0)),
    ("min_feature_mm", _set("min_feature_mm", -1.0, 101.0)),
    ("min_feature_mm", _broad_feature),
    ("symmetric", _set("symmetric", "yes", 1)),
    ("search", _set("search", "magic", "../etc/passwd", None)),
    ("coarse_solves", _set("coarse_solves", 0, -5, 10**7, 1e3)),
    ("fine_solves", _set("fine_solves", 0, 10**5)),
    ("verify_runs", _set("verify_runs", -1, 6)),
    ("margin_db", _set("margin_db", -1.0, 11.0, NAN)),
    ("colour", _set("colour", "red")),
)
