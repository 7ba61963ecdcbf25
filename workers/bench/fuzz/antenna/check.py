"""Check a random request, a random layout or a random run against peers that share no code."""

from __future__ import annotations

import io
import json
import tempfile
import threading
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from search import pipeline
from search.domains.antenna import build
from search.domains.antenna.design import Design
from search.domains.antenna.parse import parse
from search.domains.antenna.produce import manufacture
from search.domains.antenna.produce.files import layout_of
from search.domains.antenna.produce.pictures import metal_picture
from search.domains.antenna.verify.second_solver import simulation_of
from search.drawing.raster import draw_png
from search.stop import from_budget
from search.types import InvalidInput
from trimtab.faults import faults_of
from trimtab.results import Reason, VerificationStatus
from trimtab.specs.antenna import AntennaSpec
from workers.bench.fuzz.antenna import draw, readers
from workers.bench.fuzz.judging import Disagreement, judged
from workers.bench.fuzz.types import Fault, Outcome

_SECONDS = 600.0  # no case takes that long, but on a busy machine
# Shares of whole runs, and of faulty requests among the others.
_RUNS, _FAULTY = 0.08, 0.5
_ENDED = (Reason.COMPLETED, Reason.FEASIBLE)
Cells = NDArray[np.bool_]


def check(index: int, rng: np.random.Generator) -> Outcome:
    """Draw one case and judge it: a faulty request, a layout with its files, or a whole run."""
    if rng.random() < _RUNS:
        body = draw.valid(rng, small=True)
        seed = int(rng.integers(2**31))
        return judged(body, lambda: _run(body, seed))
    if rng.random() < _FAULTY:
        body, field = draw.faulty(rng)
        return judged(body, lambda: _refuse(body, field))
    body = draw.valid(rng, small=False)
    return judged(body, lambda: _export(body, rng))


def _spec(body: draw.Body) -> AntennaSpec:
    try:
        return AntennaSpec.model_validate_json(json.dumps(body))
    except ValidationError as error:
        raise Disagreement(Fault.REFUSED, str(error)[:500]) from error


def _refuse(body: draw.Body, field: str) -> str:
    """A faulty request: the message names the field, what came, and what was expected."""
    try:
        spec = AntennaSpec.model_validate_json(json.dumps(body))
        parse(spec, {}, Path())
    except ValidationError as error:
        messages = [str(fault) for fault in faults_of(error)]
    except InvalidInput as error:
        messages = [str(error)]
    else:
        raise Disagreement(Fault.WRONG, f"{field}: a faulty request was accepted")
    named = [message for message in messages if message.startswith(field)]
    if not named:
        raise Disagreement(Fault.WRONG, f"{field} is not named: {messages}")
    if not all("expected" in text and ", got " in text for text in messages):
        raise Disagreement(Fault.WRONG, f"no value or remedy: {messages}")
    return "refused"


def _export(body: draw.Body, rng: np.random.Generator) -> str:
    """Random metal, also with islands in holes: every file describes the same cells."""
    spec = _spec(body)
    try:
        problem = parse(spec, {}, Path())
    except InvalidInput as error:
        raise Disagreement(Fault.REFUSED, str(error)) from error
    design = _random_design(spec, rng)
    _check_files(spec, design)
    # 400 cells along a side or more: the model of a huge board in thin cells is not for this check.
    if spec.size_mm < 200:
        text = simulation_of(problem, design).xml()
        count, cell = spec.grid.cells, spec.grid.cell_mm
        _same(
            readers.read_simulation(text, count=count, cell_mm=cell), design.mask, "XML"
        )
    return "files agree"


def _random_design(spec: AntennaSpec, rng: np.random.Generator) -> Design:
    """Return metal of random density without contacts at a corner alone."""
    n = spec.grid.cells
    mask = rng.random((n, n)) < rng.uniform(0.05, 0.98)
    if rng.random() < 0.2:  # a ring with an island in it
        mask[:] = False
        mask[:6, :6] = True
        mask[1:5, 1:5] = False
        mask[2:4, 2:4] = True
    while True:
        a, b, c, d = mask[:-1, :-1], mask[1:, 1:], mask[1:, :-1], mask[:-1, 1:]
        touch = np.argwhere((a & b & ~c & ~d) | (c & d & ~a & ~b))
        if not len(touch):
            break
        i, j = touch[0]
        mask[i : i + 2, j : j + 2] = True
    if not mask.any():
        mask[0, 0] = True
    cells = np.argwhere(mask)
    count = min(len(cells), 1 + int(rng.integers(0, 5)))
    posts = [(int(i), int(j)) for i, j in cells[rng.permutation(len(cells))[:count]]]
    return Design(mask=mask, feed=posts[0], vias=tuple(posts[1:]))


def _check_files(spec: AntennaSpec, design: Design) -> None:
    """Read metal, drill and board again from every format."""
    count, cell = spec.grid.cells, spec.grid.cell_mm
    layout = layout_of(spec, design)
    area = float(design.mask.sum()) * cell**2
    centres = (np.array([design.feed, *design.vias]) + 0.5) * cell
    with tempfile.TemporaryDirectory() as folder:
        dxf, gds = Path(folder) / "a.dxf", Path(folder) / "a.gds"
        manufacture.write_dxf(layout, dxf)
        manufacture.write_gds(layout, gds)
        from_dxf, circles = readers.read_dxf(dxf, count=count, cell_mm=cell)
        reading = {
            "Gerber": readers.read_gerber(
                manufacture.gerber_metal(layout), count=count, cell_mm=cell
            ),
            "DXF": from_dxf,
            "GDS": readers.read_gds(gds, count=count, cell_mm=cell),
        }
    for name, read in reading.items():
        _same(read.cells, design.mask, name)
        if not np.isclose(read.area_mm2, area, rtol=1e-4):
            raise Disagreement(Fault.WRONG, f"{name}: {read.area_mm2} mm², not {area}")
    diameter, holes = readers.read_drill(manufacture.drill(layout))
    if holes.shape != centres.shape or np.abs(holes - centres).max() > 1e-3:
        raise Disagreement(Fault.WRONG, f"drill: holes at {holes.tolist()}")
    if not 0 < diameter < cell:
        raise Disagreement(
            Fault.WRONG, f"drill: a tool of {diameter} mm in a cell of {cell}"
        )
    if not np.allclose(circles[0], [*centres[0], diameter / 2], atol=1e-3):
        raise Disagreement(Fault.WRONG, f"DXF: feed at {circles.tolist()}")
    profile = readers.read_profile(manufacture.gerber_outline(layout))
    side = spec.board.size_mm or spec.size_mm + 2 * min(
        24.0, 299.792458e9 / spec.lowest_hz / 2
    )
    span = np.ptp(profile, axis=0)
    if not np.allclose(span, side, atol=1e-3):
        raise Disagreement(Fault.WRONG, f"board: {span.tolist()} mm, not {side}")
    _check_png(spec, design)


def _check_png(spec: AntennaSpec, design: Design) -> None:
    from PIL import Image

    image = Image.open(io.BytesIO(draw_png(metal_picture(spec, design)))).convert("RGB")
    n = spec.grid.cells
    side = 1000 // n
    # A sixteenth from the corner of each cell: beside the marks of feed and vias.
    at = [round((i + 1 / 16) * side) for i in range(n)]
    seen = np.array(
        [
            [
                image.getpixel((40 + x, 80 + (n - 1) * side - y + side // 8))
                for y in range(0, n * side, side)
            ]
            for x in at
        ]
    )
    _same(np.asarray((seen != 255).any(axis=2)), design.mask, "PNG")


def _same(found: Cells, mask: Cells, name: str) -> None:
    if not np.array_equal(found, mask):
        where = np.argwhere(found != mask)[:5].tolist()
        raise Disagreement(Fault.WRONG, f"{name}: other metal in cells {where}")


def _run(body: draw.Body, seed: int) -> str:
    """A whole run: its design obeys the rules, its files agree, its S11 is passive."""
    spec = _spec(body)
    with tempfile.TemporaryDirectory() as folder:
        try:
            finished = pipeline.run(
                build(),
                spec,
                inputs={},
                workdir=Path(folder),
                stop=from_budget({"seconds": _SECONDS}, threading.Event()),
                seed=seed,
            )
        except InvalidInput as error:
            raise Disagreement(Fault.REFUSED, str(error)) from error
        files = {p.name: p.path.read_bytes() for p in finished.produced}
    result = finished.result
    if result.termination.reason not in _ENDED:
        raise Disagreement(
            Fault.LOST, f"{result.termination.reason}: {result.termination.detail}"
        )
    if result.verification.status is not VerificationStatus.VALID:
        raise Disagreement(Fault.WRONG, f"not valid: {result.verification.detail}")
    if notes := result.summary.get("notes"):
        raise Disagreement(Fault.WRONG, f"files were left out: {notes}")
    described = json.loads(files["design.json"])
    design = Design.from_json(described)
    _obeys(spec, design)
    _check_files(spec, design)
    _check_response(spec, described, files["antenna.s1p"].decode())
    return "run"


def _check_response(spec: AntennaSpec, described: dict[str, Any], text: str) -> None:
    frequencies, s11 = readers.read_touchstone(text)
    if not np.isfinite(s11).all() or np.abs(s11).max() > 1.02:
        raise Disagreement(Fault.WRONG, f"|S11| reaches {np.abs(s11).max()}")
    for band, row in zip(spec.bands, described["bands"], strict=False):
        inside = (frequencies >= band.f_lo_hz) & (frequencies <= band.f_hi_hz)
        worst = 20 * np.log10(max(np.abs(s11[inside]).max(initial=0.0), 1e-6))
        # The file is sampled more coarsely than the band was judged.
        if inside.any() and worst > row["worst_db"] + 0.01:
            raise Disagreement(
                Fault.WRONG,
                f"{row['band']}: {worst} dB in the file, {row['worst_db']} claimed",
            )
    if not all(0 <= value <= 1.02 for value in described["efficiency"]):
        raise Disagreement(Fault.WRONG, f"efficiency {described['efficiency']}")


def _obeys(spec: AntennaSpec, design: Design) -> None:
    """Raise Disagreement unless the metal obeys the job's rules."""
    mask, n = design.mask, spec.grid.cells
    posts = [design.feed, *design.vias]
    faults = []
    if mask.shape != (n, n) or not all(mask[post] for post in posts):
        faults.append("a post is off the metal")
    if spec.feed is not None and spec.feed != design.feed:
        faults.append("the feed moved")
    if len(design.vias) > spec.max_vias or len(set(posts)) != len(posts):
        faults.append("vias")
    a, b, c, d = mask[:-1, :-1], mask[1:, 1:], mask[1:, :-1], mask[:-1, 1:]
    if ((a & b & ~c & ~d) | (c & d & ~a & ~b)).any():
        faults.append("cells meet at a corner alone")
    if spec.symmetric and not np.array_equal(mask, mask[:, ::-1]):
        faults.append("no symmetry")
    if spec.connected and _reached(mask, design.feed) != mask.sum():
        faults.append("more than one piece")
    width = max(1, int(np.ceil(spec.min_feature_mm / spec.grid.cell_mm - 1e-9)))
    covered = np.zeros_like(mask)
    for i in range(n - width + 1):
        for j in range(n - width + 1):
            if mask[i : i + width, j : j + width].all():
                covered[i : i + width, j : j + width] = True
    if not np.array_equal(covered, mask):
        faults.append(f"metal narrower than {width} cells")
    if faults:
        raise Disagreement(Fault.WRONG, f"{', '.join(faults)}: {design.to_json()}")


def _reached(mask: Cells, start: tuple[int, int]) -> int:
    seen, queue = {start}, deque([start])
    while queue:
        i, j = queue.popleft()
        for cell in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            inside = 0 <= cell[0] < len(mask) and 0 <= cell[1] < len(mask)
            if inside and mask[cell] and cell not in seen:
                seen.add(cell)
                queue.append(cell)
    return len(seen)
