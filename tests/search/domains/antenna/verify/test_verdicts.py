"""Verdicts on responses with known dips."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.antenna.verify.verdicts import Response, Verdict, judge, margins_db
from tests.search.domains.antenna.jobs import job


def dip(centre_hz: float, half_width_hz: float = 1.2e8) -> Response:
    """|S11| of -20 dB within half_width of the centre, -1 dB elsewhere."""

    def response(frequencies_hz: np.ndarray) -> np.ndarray:
        inside = np.abs(frequencies_hz - centre_hz) <= half_width_hz
        return 10 ** (np.where(inside, -20.0, -1.0) / 20) + 0j

    return response


def test_exact_shifted_and_missed() -> None:
    spec = job()  # 6.0 to 6.2 GHz
    (exact,) = judge(spec, dip(6.1e9))
    assert (exact.verdict, exact.shift) == (Verdict.PASS, 0.0)
    (low,) = judge(spec, dip(6.04e9))  # must move up by about 1 %
    assert low.verdict is Verdict.SHIFTED
    assert low.shift == pytest.approx(0.007, abs=0.002)
    assert low.worst_db == pytest.approx(-1.0)
    (far,) = judge(spec, dip(5.5e9))
    assert (far.verdict, far.shift) == (Verdict.FAIL, None)
    assert margins_db(spec, [far]) == pytest.approx([-9.0])


def test_a_band_to_avoid_is_judged_the_other_way() -> None:
    spec = job(avoid=[{"f_lo_hz": 5.5e9, "f_hi_hz": 5.6e9}])
    rows = judge(spec, dip(6.1e9))
    assert [row.verdict for row in rows] == [Verdict.PASS, Verdict.PASS]
    assert margins_db(spec, rows) == pytest.approx([10.0, 2.0])
    rows = judge(spec, dip(5.55e9))
    assert [row.verdict for row in rows] == [Verdict.FAIL, Verdict.FAIL]
