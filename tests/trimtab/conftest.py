"""A real server for the SDK and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.bench.service.harness import Server, running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("server") / "data"
    with running_server(folder, sandbox="rlimit") as running:
        yield running
