"""Fixtures of the executors' tests: an event loop for each class."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="class")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made
