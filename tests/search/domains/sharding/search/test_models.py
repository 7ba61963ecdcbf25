"""Models of the domain: calibrated intervals and the paper's networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cost_models.weights import WeightsRefused
from search.domains.sharding.search.models import SPREAD_FLOOR, Models, width_bin
from tests.search.domains.sharding.conftest import Ready
from trimtab.specs.sharding import Hardware


def test_bins_of_widths() -> None:
    assert [width_bin(w) for w in (4, 5, 5.1, 16, 40, 128)] == [0, 0, 1, 2, 3, 4]


def test_the_interval_widens_with_the_spread_of_the_members(models: Models) -> None:
    calibrated = replace(models, calibration=(2.0, 2.0, 2.0, 2.0, 2.0))
    agreed = calibrated.interval([1.0, 1.0, 1.0], 64)
    apart = calibrated.interval([1.0, 1.2, 0.8], 64)
    assert agreed == pytest.approx([1 - 2 * SPREAD_FLOOR, 1 + 2 * SPREAD_FLOOR])
    assert apart is not None
    assert apart[0] < agreed[0] < agreed[1] < apart[1]
    assert replace(models, calibration=None).interval([1.0], 64) is None


def test_the_papers_model_exists_for_its_device_counts(
    small: Ready, models: Models
) -> None:
    paper = models.paper(small.setup.items, small.setup.arrays, Hardware.A100, 4)
    assert paper.devices == 4
    assert np.isfinite(paper.single).all()
    with pytest.raises(WeightsRefused):
        models.paper(small.setup.items, small.setup.arrays, Hardware.A100, 5)
