"""Rates of labelling designs and of predicting them, in CPU seconds of one thread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from cost_models.antenna.surrogate import Surrogate
from search.domains.antenna.search.layouts import Vectors
from search.domains.antenna.search.legalise import Rules
from solvers.field.tables import Tables
from workers.train.antenna.boards import DEFAULT
from workers.train.antenna.designs import FEEDS
from workers.train.antenna.labels import label

_FEED = (3, 6)


def run(*, surrogate: Surrogate, designs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield a line for each mesh with one and with twelve feeds, and one for the surrogate."""
    rng = np.random.default_rng(seed)
    spec = DEFAULT.spec(_FEED)
    vectors = Vectors(spec, Rules(spec))
    drawn = [vectors.decode(vectors.random(rng)).mask for _ in range(designs)]
    for mesh in ("coarse", "fine"):
        tables = DEFAULT.tables(fine=mesh == "fine", cache=None)
        for feeds in (1, FEEDS):
            yield {
                "mesh": mesh,
                "feeds": feeds,
                "designs": designs,
                "sweeps_a_cpu_s": designs / _labelling_s(tables, drawn, feeds, mesh, rng),
            }
    masks = np.array(drawn)
    cells = np.tile(np.array(_FEED), (designs, 1))
    for fine in (False, True):
        surrogate.predict(masks[:8], cells[:8], DEFAULT.frequencies_hz, fine=fine)
        began = time.process_time()
        surrogate.predict(masks, cells, DEFAULT.frequencies_hz, fine=fine)
        yield {
            "mesh": f"surrogate of the {'fine' if fine else 'coarse'} mesh",
            "designs": designs,
            "sweeps_a_cpu_s": designs / (time.process_time() - began),
        }


def _labelling_s(
    tables: Tables,
    masks: list[np.ndarray],
    feeds: int,
    mesh: str,
    rng: np.random.Generator,
) -> float:
    began = time.process_time()
    for mask in masks:
        others = [
            (int(i), int(j)) for i, j in np.argwhere(mask) if (int(i), int(j)) != _FEED
        ]
        rng.shuffle(others)
        label(tables, mask, [_FEED, *others[: feeds - 1]], fine=mesh == "fine")
    return time.process_time() - began
