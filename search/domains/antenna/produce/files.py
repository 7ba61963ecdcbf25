"""Result files of an antenna job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.parse import AntennaProblem
from search.domains.antenna.produce import manufacture
from search.domains.antenna.produce.outlines import outlines
from search.domains.antenna.produce.pictures import metal_picture, s11_picture
from search.domains.antenna.produce.plots import draw_pattern, draw_smith
from search.domains.antenna.verify.fine import FineSolve
from search.domains.antenna.verify.second_solver import (
    NOT_CHECKED,
    SecondOpinion,
    simulation_of,
)
from search.domains.antenna.verify.verdicts import judge
from search.drawing.pictures import draw_picture
from search.drawing.raster import draw_png
from search.types import Extra, Produced
from solvers.field.board import MU0
from trimtab.specs.antenna import AntennaSpec

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
_FINE = "method of moments"
_POINTS = 401  # of antenna.s1p and the plots
_SQUARE_RADIUS = 0.59  # equivalent radius of a square post over its side
_SVG = "image/svg+xml"
_MEDIA = {
    ".json": "application/json",
    ".s1p": "text/plain",
    ".gbr": "application/vnd.gerber",
    ".drl": "text/plain",
    ".csv": "text/csv",
}


def produce(
    problem: AntennaProblem,
    design: Design,
    fine: FineSolve,
    opinion: SecondOpinion | None,
    workdir: Path,
) -> list[Produced | Extra]:
    """Write description, response and files for manufacture; name pictures and models.

    The former are the result; the latter need further libraries and may be left out.

    fine: the design's fine solve; opinion: that of the second solver, None without any.
    """
    frequencies = np.linspace(*problem.range_hz, _POINTS)
    curves = {_FINE: (frequencies, fine.response(frequencies))}
    if (
        opinion is not None
        and opinion.s11 is not None
        and opinion.frequencies_hz is not None
    ):
        curves["openEMS"] = (opinion.frequencies_hz, opinion.s11)
    layout = layout_of(problem.spec, design)
    written = {
        "design.json": json.dumps(
            _described(problem, design, fine, opinion, layout), indent=1
        ),
        "antenna.s1p": _touchstone(problem, design, *curves[_FINE]),
        "antenna-metal.gbr": manufacture.gerber_metal(layout),
        "antenna-outline.gbr": manufacture.gerber_outline(layout),
        "antenna.drl": manufacture.drill(layout),
        "poles-zeros.csv": _poles_and_zeros(fine),
    }
    for name, text in written.items():
        (workdir / name).write_text(text)
    return [
        *(
            Produced(name=name, path=workdir / name, media_type=_MEDIA[Path(name).suffix])
            for name in written
        ),
        *_drawn(problem, design, fine, curves),
        Extra(
            name="antenna-openems.xml",
            write=lambda path: path.write_bytes(simulation_of(problem, design).xml()),
            media_type="application/xml",
        ),
        Extra(
            name="antenna.dxf",
            write=lambda path: manufacture.write_dxf(layout, path),
            media_type="image/vnd.dxf",
        ),
        Extra(name="antenna.gds", write=lambda path: manufacture.write_gds(layout, path)),
    ]


def _drawn(
    problem: AntennaProblem,
    design: Design,
    fine: FineSolve,
    curves: Mapping[str, tuple[Real, Complex]],
) -> list[Extra]:
    """Name the pictures."""
    spec = problem.spec
    metal, reflection = metal_picture(spec, design), s11_picture(spec, curves)
    return [
        Extra(
            name="antenna.svg",
            write=lambda path: path.write_text(draw_picture(metal)),
            media_type=_SVG,
            alt=metal.alt,
        ),
        Extra(
            name="s11.svg",
            write=lambda path: path.write_text(draw_picture(reflection)),
            media_type=_SVG,
            alt=reflection.alt,
        ),
        Extra(
            name="smith.svg",
            write=lambda path: path.write_text(draw_smith(spec, curves)),
            media_type=_SVG,
            alt="Smith chart of S11; antenna.s1p has its values",
        ),
        Extra(
            name="pattern.svg",
            write=lambda path: path.write_text(_pattern(problem, fine)),
            media_type=_SVG,
            alt="Directivity over the angle from the zenith in two planes; design.json has "
            "its peak",
        ),
        Extra(
            name="antenna.png",
            write=lambda path: path.write_bytes(draw_png(metal)),
            media_type="image/png",
        ),
    ]


def layout_of(spec: AntennaSpec, design: Design) -> manufacture.Layout:
    """Return metal, posts and board of a design, in millimetres."""
    return manufacture.Layout(
        outlines=outlines(design.mask),
        cell_mm=spec.grid.cell_mm,
        size_mm=spec.size_mm,
        margin_mm=spec.margin_mm,
        posts=(design.feed, *design.vias),
    )


def _described(
    problem: AntennaProblem,
    design: Design,
    fine: FineSolve,
    opinion: SecondOpinion | None,
    layout: manufacture.Layout,
) -> dict[str, Any]:
    spec = problem.spec
    fields = [fine.far_field_at((b.f_lo_hz + b.f_hi_hz) / 2) for b in spec.bands]
    highest = float(fine.frequencies_hz.max())
    poles, zeros = fine.swept.model.poles_and_zeros()
    post, pin = _SQUARE_RADIUS * spec.grid.cell_mm, layout.drill_mm / 2
    inductance = MU0 * problem.board.height_m / (2 * np.pi) * np.log(post / pin)
    second = (
        {"verdict": NOT_CHECKED, "detail": "the check did not get that far"}
        if opinion is None
        else opinion.to_json()
    )
    return {
        **design.to_json(),
        "cell_mm": spec.grid.cell_mm,
        "board": spec.board.model_dump(mode="json"),
        "z0_ohm": spec.z0_ohm,
        "bands": [row.to_json() for row in judge(spec, fine.response)],
        "efficiency": [round(field.efficiency, 4) for field in fields],
        "peak_directivity_dbi": [
            round(10 * float(np.log10(field.directivity.max())), 2) for field in fields
        ],
        "poles_hz": _complex_pairs(poles * highest),
        "zeros_hz": _complex_pairs(zeros * highest),
        "solved_frequencies_hz": [
            float(fine.frequencies_hz[index]) for index in fine.swept.solved
        ],
        "second_solver": second,
        "drill_mm": layout.drill_mm,
        # A thinner pin than the solvers' square post adds this in series.
        "pin_inductance_nh": round(float(inductance) * 1e9, 4),
    }


def _complex_pairs(values: NDArray[np.complex128]) -> list[list[float]]:
    ordered = sorted(values.tolist(), key=lambda z: (z.real, z.imag))
    return [[float(z.real), float(z.imag)] for z in ordered]


def _poles_and_zeros(fine: FineSolve) -> str:
    """Return poles and zeros of S11 as CSV, complex frequencies in hertz.

    Fields vary as e^{jωt}: a pole with a positive imaginary part decays, and its quality factor is
    re / (2 im).
    """
    highest = float(fine.frequencies_hz.max())
    poles, zeros = fine.swept.model.poles_and_zeros()
    lines = ["kind,re_hz,im_hz,quality"]
    for kind, values in (("pole", poles), ("zero", zeros)):
        for re, im in _complex_pairs(values * highest):
            quality = f"{re / (2 * im):.6g}" if im > 0 else ""
            lines.append(f"{kind},{re:.9e},{im:.9e},{quality}")
    return "\n".join(lines) + "\n"


def _touchstone(
    problem: AntennaProblem,
    design: Design,
    frequencies: NDArray[np.float64],
    s11: NDArray[np.complex128],
) -> str:
    """Return S11 as Touchstone 1.1 in real and imaginary parts."""
    digest = hashlib.sha256(design.key).hexdigest()[:16]
    lines = [
        f"! trimtab antenna, method of moments, design {digest}",
        "! port: a square post of one cell; a thinner pin adds pin_inductance_nh of design.json",
        f"# Hz S RI R {problem.spec.z0_ohm:g}",
    ]
    lines += [
        f"{f:.6e} {z.real:+.8e} {z.imag:+.8e}"
        for f, z in zip(frequencies, s11, strict=True)
    ]
    return "\n".join(lines) + "\n"


def _pattern(problem: AntennaProblem, fine: FineSolve) -> str:
    centres = [(band.f_lo_hz + band.f_hi_hz) / 2 for band in problem.spec.bands]
    return draw_pattern([fine.far_field_at(f, thetas=24, phis=36) for f in centres[:2]])
