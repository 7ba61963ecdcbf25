"""The native library and its tiers, and one thread for torch.

Threads of small tensors wait for each other: ten times slower.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from cuda.kernels.native.library import Library, library

TIERS = ("generic", "avx2", "avx512")


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def native() -> Library:
    built = library()
    if built is None:
        pytest.skip("no C++ compiler here")
    return built


@pytest.fixture(params=range(len(TIERS)), ids=TIERS)
def tier(request: pytest.FixtureRequest, native: Library) -> Iterator[str]:
    before = TIERS.index(native.tier)
    if not native.choose_tier(request.param):
        pytest.skip(f"this CPU has no {TIERS[request.param]}")
    yield native.tier
    native.choose_tier(before)
