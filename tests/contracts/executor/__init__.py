"""The executor's contract. A subclass defines the fixtures `executor` (opened) and `runner`.

`runner` keeps one event loop for all tests of a class, because an executor lives on its loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import ClassVar

import pytest

from tests.contracts.executor.common import (
    SECRETS,
    Run,
    behaviour,
    first,
    outcome_of,
    probe,
    running,
    whole,
)
from tests.contracts.executor.ends import Ends
from tests.contracts.executor.finishing import Finishing
from tests.contracts.executor.resting import Resting
from tests.contracts.executor.runs import Runs

__all__ = [
    "SECRETS",
    "ExecutorContract",
    "behaviour",
    "first",
    "outcome_of",
    "probe",
    "running",
    "whole",
]


class ExecutorContract(Resting, Runs, Finishing, Ends):
    """Subclass as Test…; the fixtures are `executor` (opened) and `runner`."""

    kills: ClassVar[bool] = True
    """False: runs in a thread, which can be stopped, but not killed."""

    @pytest.fixture
    def run(self, runner: asyncio.Runner) -> Run:
        def call(body: Awaitable[None]) -> None:
            async def bounded() -> None:
                async with asyncio.timeout(180):
                    await body

            runner.run(bounded())

        return call

    @pytest.fixture
    def killing(self) -> None:
        if not self.kills:
            pytest.skip("a thread cannot be killed")
