"""Executor `inline` under the contract. It has no child, so no crash, memory limit or kill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.contracts.executor import ExecutorContract
from workers.executor import open_executor
from workers.types import Executor


class TestInline(ExecutorContract):
    kills: ClassVar[bool] = False

    @pytest.fixture(scope="class")
    @classmethod
    def executor(
        cls, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Executor]:
        made = open_executor(
            "inline", workers=1, scratch_dir=tmp_path_factory.mktemp("inline")
        )
        runner.run(made.open())
        yield made
        runner.run(made.close())


def test_unknown_executor_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(
        ValueError, match="expected one of process, ray, inline, got 'thread'"
    ):
        open_executor("thread", workers=1, scratch_dir=tmp_path_factory.mktemp("none"))
