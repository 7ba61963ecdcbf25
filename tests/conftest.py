"""What all tests share: the `--scale` knob, and one BLAS thread, as runs have."""

from __future__ import annotations

import os

import pytest

# Threads of small solves wait for each other: 20 times slower on a busy machine. Read when numpy is
# imported; a run's child gets the same value.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--scale",
        type=float,
        default=0.02,
        help="size of load, chaos and fuzz tests: 1.0 is that of the published figures, "
        "0.02 keeps `make test` short",
    )


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> float:
    value = float(request.config.getoption("--scale"))
    if not 0 < value <= 10:
        raise pytest.UsageError(f"--scale wants a number in (0, 10]; {value} came")
    return value
