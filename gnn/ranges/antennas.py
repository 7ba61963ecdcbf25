"""Relations of a pixel antenna: neighbours by direction, resonant distances, feed and ground."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gnn.ranges.grids import DIRECTIONS, steps
from gnn.ranges.relations import Builder, Range, Relations, nearest


def antenna_relations(
    metal: NDArray[np.bool_],
    feeds: Sequence[int],
    *,
    pixel_m: tuple[float, float],
    guided_wavelength_m: float,
    ring: int = 8,
    k: int = 8,
) -> Relations:
    """Return the relations of the pixels of a board, one node each, numbered row by row.

    Short: metal pixels that touch, by direction, and pixels of unlike material that touch (the
    edges of the metal). Medium: metal pixels about a quarter and half of a guided wavelength apart,
    at most `ring` of each for a pixel, the closest to the distance; and the k pixels with the most
    similar surroundings. Long: each feed pixel and all metal pixels, a virtual node for the board
    (its ground plane).

    Args:
        metal: (rows, columns).
        feeds: numbers of the feed pixels.
        pixel_m: height and width of a pixel.
        guided_wavelength_m: at the frequency of interest.
    """
    if guided_wavelength_m <= 0 or min(pixel_m) <= 0:
        raise ValueError(
            "pixel_m, guided_wavelength_m: expected positive lengths, "
            f"got {pixel_m} and {guided_wavelength_m}"
        )
    height, width = metal.shape
    flat = metal.ravel()
    builder = Builder(flat.size)
    rims = []
    for name, step in DIRECTIONS.items():
        source, target = steps(height, width, step)
        both = flat[source] & flat[target]
        builder.add(name, Range.SHORT, source[both], target[both])
        rim = flat[source] != flat[target]
        rims.append(np.stack([source[rim], target[rim]]))
    builder.add("edge of metal", Range.SHORT, *np.concatenate(rims, axis=1))
    pixels = np.flatnonzero(flat)
    place = np.stack(np.divmod(pixels, width), axis=1) * np.asarray(pixel_m)
    for name, part in (("quarter wave", 0.25), ("half wave", 0.5)):
        pairs = _at_distance(place, part * guided_wavelength_m, min(pixel_m), ring)
        builder.add(name, Range.MEDIUM, *pixels[pairs])
    similar = nearest(_surroundings(metal)[pixels], min(k, max(0, len(pixels) - 1)))
    builder.add("similar", Range.MEDIUM, *pixels[similar])
    feed = np.asarray(feeds, np.int64)
    if len(feed) and not ((feed >= 0) & (feed < flat.size)).all():
        raise ValueError(
            f"feeds: expected numbers from 0 to {flat.size - 1}, got {list(feeds)}"
        )
    builder.add_both(
        "feed", Range.LONG, np.repeat(feed, len(pixels)), np.tile(pixels, len(feed))
    )
    builder.add_virtual("ground", np.zeros(flat.size))
    return builder.build()


def _at_distance(
    place: NDArray[np.float64], distance_m: float, tolerance_m: float, most: int
) -> NDArray[np.int64]:
    """Return edges (2, e) to each place from at most `most` others about a distance away."""
    apart = np.linalg.norm(place[:, None] - place[None], axis=2)  # (P, P)
    off = np.abs(apart - distance_m)
    off[off > tolerance_m / 2] = np.inf
    np.fill_diagonal(off, np.inf)
    order = np.argsort(off, axis=1, kind="stable")[:, :most]
    allowed = np.isfinite(np.take_along_axis(off, order, axis=1))
    return np.stack(
        [order[allowed], np.repeat(np.arange(len(place)), allowed.sum(axis=1))]
    ).astype(np.int64)


def _surroundings(metal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the 5 × 5 pixels around each pixel, (pixels, 25); outside there is no metal."""
    padded = np.pad(metal.astype(float), 2)
    view = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    return view.reshape(-1, 25)
