"""Solution in a checkpoint."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.ilp.solution import from_bytes, to_bytes


def test_values_survive_to_the_last_bit() -> None:
    x = np.array([0.1, -0.0, 1e300, 5e-324])
    again = from_bytes(to_bytes(x), n=4)
    assert again.tobytes() == x.tobytes()


@pytest.mark.parametrize(
    "data", [b"", to_bytes(np.ones(3)), to_bytes(np.array([1.0, np.nan])), b"1234567"]
)
def test_other_data_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected 2 finite numbers|buffer size"):
        from_bytes(data, n=2)
