"""One cluster for all tests here, and one event loop that its executor lives on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.cluster.cluster import LocalCluster
from workers.cluster.auth import make_token
from workers.cluster.pool import RayExecutor


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = tmp_path_factory.mktemp("cluster")
    made = LocalCluster(make_token(folder / "token"), folder / "log")
    before = dict(os.environ)
    os.environ.update(made.environment)  # what an operator would set for the service
    try:
        yield made
    finally:
        os.environ.clear()
        os.environ.update(before)
        made.close()


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="session")
def executor(
    cluster: LocalCluster,
    runner: asyncio.Runner,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RayExecutor]:
    made = make_executor(cluster, tmp_path_factory.mktemp("ray"))
    runner.run(made.open())
    yield made
    runner.run(made.close())


def make_executor(cluster: LocalCluster, folder: Path) -> RayExecutor:
    """Return an executor of two slots on the cluster, not opened."""
    return RayExecutor(
        address=cluster.address,
        workers=2,
        scratch_dir=folder / "runs",
        sandbox="rlimit",
        silence_s=4.0,
    )
