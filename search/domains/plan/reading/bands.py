"""Frequency bands of an antenna: edges, centres with bandwidths, bands to reject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.jobs.leaf import Doubt
from search.domains.plan.reading.lexicon import Role
from search.domains.plan.reading.quantities.quantity import Shape, scaled
from search.domains.plan.reading.scene import Scene

_LOW, _HIGH = "spec.bands.0.f_lo_hz", "spec.bands.0.f_hi_hz"
_AVOID = "spec.avoid.0.f_lo_hz"
_SHARE = 0.02  # bandwidth of a band whose centre alone is known
Row = tuple[Any, tuple[int, ...], str]


@dataclass(frozen=True, kw_only=True)
class Frequencies:
    """Frequencies of the goal, as they were bound."""

    path: str
    bound: Bound
    values: tuple[float, ...]


@dataclass
class _Band:
    low: float
    high: float
    tokens: tuple[int, ...]
    note: str = ""
    avoid: bool = False


def bands_of(
    scene: Scene, found: Sequence[Frequencies]
) -> tuple[dict[str, Row], list[Doubt]]:
    """Return path → (hertz, tokens, note) of every edge, in the order of the text."""
    bands: list[_Band] = []
    edges: list[tuple[str, float, tuple[int, ...]]] = []
    width: tuple[float, tuple[int, ...]] | None = None
    for each in found:
        shape, values, tokens = each.bound.shape, each.values, each.bound.tokens
        edge = _edge(scene, each)
        if each.path == "_bandwidth":
            width = (values[0], tokens)
        elif edge is not None and shape is Shape.SINGLE:
            edges.append((edge, values[0], tokens))
        elif shape is Shape.RANGE:
            bands.append(_Band(values[0], values[1], tokens, avoid=each.path == _AVOID))
        elif shape is Shape.AROUND:
            low, high = values[0] - abs(values[1]), values[0] + abs(values[1])
            bands.append(
                _Band(scaled(low, 1), scaled(high, 1), tokens, avoid=each.path == _AVOID)
            )
        else:
            bands += [_Band(v, v, tokens, avoid=each.path == _AVOID) for v in values]
    doubts = _with_edges(bands, edges)
    bands = _named_once(bands)
    for band in bands:
        if band.low == band.high and width is None and not band.avoid:
            doubts.append(_how_wide(band))
        _widen(band, width)
    return _rows(bands), doubts


def _edge(scene: Scene, each: Frequencies) -> str | None:
    """Return `low` or `high` when the text names an edge right at the frequency."""
    if each.path == _HIGH:
        return "high"
    for item in scene.with_role(Role.HEAD):
        if 0 <= each.bound.at - item.end <= 6 and scene.sentence(
            item.start
        ) == scene.sentence(each.bound.at):
            phrase = scene.words(item.start, item.end).lower()
            if phrase == "lower edge":
                return "low"
            if phrase == "upper edge":
                return "high"
    return None


def _with_edges(
    bands: list[_Band], edges: Sequence[tuple[str, float, tuple[int, ...]]]
) -> list[Doubt]:
    """Correct one edge of the last band, or make a band of two edges."""
    pending: dict[str, tuple[float, tuple[int, ...]]] = {}
    for which, value, tokens in edges:
        if bands:
            band = bands[-1]
            band.low, band.high = (
                (value, band.high) if which == "low" else (band.low, value)
            )
            band.tokens = (*band.tokens, *tokens)
        else:
            pending[which] = (value, tokens)
    if set(pending) == {"low", "high"}:
        (low, a), (high, b) = pending["low"], pending["high"]
        bands.append(_Band(low, high, (*a, *b)))
    return []


def _named_once(bands: Sequence[_Band]) -> list[_Band]:
    """Drop a frequency that only names a band stated by its edges: "28 GHz (27.5 to 28.35)"."""
    ranges = [band for band in bands if band.low < band.high]
    kept: list[_Band] = []
    for band in bands:
        around = next(
            (
                each
                for each in ranges
                if band.low == band.high
                and each.avoid == band.avoid
                and each.low <= band.low <= each.high
            ),
            None,
        )
        if around is None:
            kept.append(band)
        else:
            around.tokens = (*around.tokens, *band.tokens)
    return kept


def _widen(band: _Band, width: tuple[float, tuple[int, ...]] | None) -> None:
    """Give a centre frequency its bandwidth: the stated one, or 2 %."""
    if band.low != band.high:
        return
    centre = band.low
    if width is not None:
        half = width[0] / 2
        band.tokens = (*band.tokens, *width[1])
        band.note = "band around the stated centre with the stated bandwidth"
    else:
        half = centre * _SHARE / 2
        band.note = "only the centre is stated: a band of 2 % around it"
    band.low, band.high = scaled(centre - half, 1), scaled(centre + half, 1)


def _how_wide(band: _Band) -> Doubt:
    """Ask for the edges of a band of which the goal names one frequency."""
    ghz = band.low / 1e9
    narrow, wide = (
        f"{ghz * (1 - share / 2):.4g} to {ghz * (1 + share / 2):.4g} GHz"
        for share in (_SHARE, 5 * _SHARE)
    )
    return Doubt(
        about="bands.f_lo_hz",
        text=f"Which band around {ghz:.4g} GHz must be matched?",
        options=(narrow, wide),
        tokens=band.tokens[:1],
        rank=1,
    )


def _rows(bands: Sequence[_Band]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    counts = {"bands": 0, "avoid": 0}
    for band in bands:
        name = "avoid" if band.avoid else "bands"
        i = counts[name]
        counts[name] += 1
        rows[f"spec.{name}.{i}.f_lo_hz"] = (_whole(band.low), band.tokens, band.note)
        rows[f"spec.{name}.{i}.f_hi_hz"] = (_whole(band.high), band.tokens, band.note)
    return rows


def _whole(value: float) -> float:
    return float(f"{value:.12g}")
