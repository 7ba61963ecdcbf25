"""Arrays of a fitted coreset: written, read back, refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from search.domains.compile.search.coreset import load_coreset
from search.domains.compile.search.fitted import (
    FittedCoreset,
    Ranker,
    complete,
    read_fitted,
)
from solvers.llvm.types import Metric

CANDIDATES = load_coreset()[:3]
RANKER = Ranker(
    weight=np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]),
    bias=np.zeros(3),
    mean=np.zeros(2),
    std=np.ones(2),
)
FITTED = FittedCoreset(metric=Metric.LOADABLE_BYTES, candidates=CANDIDATES, ranker=RANKER)


def test_arrays_are_read_back() -> None:
    again = read_fitted(FITTED.arrays())
    assert again.candidates == CANDIDATES
    assert again.metric is Metric.LOADABLE_BYTES
    assert again.order(np.array([2.0, 1.0])) == [1, 2, 0]
    assert again.order(None) == [0, 1, 2]
    plain = FittedCoreset(metric=Metric.CODE_BYTES, candidates=CANDIDATES)
    assert set(plain.arrays()) == {"coreset"}
    assert read_fitted(plain.arrays()).order(np.array([2.0, 1.0])) == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coreset": np.zeros(3, np.float32)}, "coreset: expected an array of bytes"),
        ({"coreset": np.frombuffer(b"{", np.uint8)}, "coreset: expected JSON"),
        ({"coreset": np.frombuffer(b"[]", np.uint8)}, "format: expected"),
        ({"ranker.weight": np.ones((2, 2))}, "a row for each of 3 pipelines"),
        ({"ranker.std": np.ones(5)}, "ranker.std: expected shape"),
    ],
)
def test_other_arrays_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_fitted(FITTED.arrays() | change)


def test_bad_pipelines_are_refused() -> None:
    document = json.loads(FITTED.arrays()["coreset"].tobytes())
    document["candidates"][0]["edits"] = [["reboot", "", 0, ""]]
    text = np.frombuffer(json.dumps(document).encode(), np.uint8)
    with pytest.raises(ValueError, match="candidates: expected rows of a coreset"):
        read_fitted({"coreset": text})
    arrays = FITTED.arrays()
    del arrays["ranker.bias"]
    with pytest.raises(ValueError, match=r"ranker\.bias is missing"):
        read_fitted(arrays)


def test_shipped_pipelines_follow_the_fitted_ones() -> None:
    shipped = load_coreset()
    joined = complete(CANDIDATES[::-1], shipped)
    assert joined[:3] == list(CANDIDATES[::-1])
    assert {c.digest for c in joined} == {c.digest for c in shipped}
    assert len(joined) == len(shipped)
