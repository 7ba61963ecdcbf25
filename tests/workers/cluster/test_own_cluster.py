"""Without an address the executor starts a cluster on this machine, and ends all of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workers.cluster.cluster import members
from tests.workers.cluster.test_executor import probe, until
from workers.cluster.auth import LOCAL, UnsafeCluster, host_environment, make_token
from workers.cluster.pool import RayExecutor, RayUnavailable
from workers.types import OutcomeStatus


@pytest.mark.ray
def test_cluster_of_our_own_asks_for_a_token_and_leaves_nothing(
    tmp_path: Path, scale: float
) -> None:
    if scale < 0.1:
        pytest.skip("a second cluster of its own: --scale 0.1 or more")

    async def body() -> None:
        executor = RayExecutor(
            address=None, workers=1, scratch_dir=tmp_path / "runs", sandbox="rlimit"
        )
        await executor.open()
        token = tmp_path / "ray.token"
        assert token.stat().st_mode & 0o777 == 0o600
        session = executor.describe()["host_pid"]
        execution = await executor.start(probe(steps=1))
        assert (await execution.result()).status is OutcomeStatus.RESULT
        await execution.close()
        if scale >= 1.0:  # Ray's client tries for half a minute before it gives up
            stranger = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    f"import ray; ray.init(address='{executor.describe()['address']}')",
                ],
                env={k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
                | {"RAY_AUTH_MODE": "disabled"},
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
            assert stranger.returncode != 0
            assert "auth" in stranger.stderr.lower()
        assert len(members(session)) > 1
        await executor.close()
        await until(lambda: not members(session), timeout_s=60)

    asyncio.run(body())


@pytest.mark.ray
def test_killed_service_takes_its_cluster_along(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from workers.cluster.pool import RayExecutor\n"
        "async def main():\n"
        "    folder = pathlib.Path(sys.argv[1])\n"
        "    e = RayExecutor(address=None, workers=1, scratch_dir=folder, sandbox='rlimit')\n"
        "    await e.open()\n"
        "    print(e.describe()['host_pid'], flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    service = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "runs")], stdout=subprocess.PIPE
    )
    assert service.stdout is not None
    try:
        session = int(service.stdout.readline())
        assert len(members(session)) > 1
        assert (tmp_path / "ray.token").stat().st_mode & 0o777 == 0o600
    finally:
        os.kill(service.pid, signal.SIGKILL)
        service.wait()
        service.stdout.close()
    deadline = time.monotonic() + 60
    while members(session):
        assert time.monotonic() < deadline, "a cluster was left behind"
        time.sleep(0.1)


def test_no_cluster_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.cluster.pool.READY_S", 1.0)
    monkeypatch.setattr("workers.cluster.pool.CLOSE_S", 0.1)

    async def body() -> None:
        executor = RayExecutor(
            address="127.0.0.1:9", workers=1, scratch_dir=tmp_path / "runs"
        )
        with pytest.raises(RayUnavailable, match=r"127\.0\.0\.1:9"):
            await executor.open()
        assert executor.describe()["host_pid"] is None

    asyncio.run(body())


def test_open_cluster_on_a_network_is_refused(tmp_path: Path) -> None:
    inherited = {"RAY_AUTH_MODE": "disabled"}
    for address in ("10.0.0.5:6379", "ray://10.0.0.5:10001", "auto"):
        with pytest.raises(UnsafeCluster, match="token"):
            host_environment(address, token_file=tmp_path / "t", inherited=inherited)
    assert (
        host_environment(
            "127.0.0.1:6379", token_file=tmp_path / "t", inherited=inherited
        )["RAY_AUTH_MODE"]
        == "disabled"
    )


def test_own_cluster_always_has_a_token_and_no_secret_of_ours(tmp_path: Path) -> None:
    inherited = {
        "RAY_AUTH_MODE": "disabled",
        "RAY_ADDRESS": "elsewhere:1",
        "TRIMTAB_DATABASE_URL": "postgresql://user:password@host/db",
        "PATH": "/bin",
    }
    for address in (None, LOCAL):
        environment = host_environment(
            address, token_file=tmp_path / "a" / "token", inherited=inherited
        )
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["PATH"] == "/bin"
        assert environment["RAY_worker_niceness"] == "0"
        assert not {"RAY_ADDRESS", "TRIMTAB_DATABASE_URL"} & set(environment)
        path = Path(environment["RAY_AUTH_TOKEN_PATH"])
        assert len(path.read_text()) == 64
        assert path.stat().st_mode & 0o777 == 0o600
    assert make_token(path).read_text() == path.read_text()


def test_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("secret")
    path.chmod(0o644)
    with pytest.raises(UnsafeCluster, match="chmod 600"):
        host_environment(
            "10.0.0.5:6379",
            token_file=tmp_path / "t",
            inherited={"RAY_AUTH_TOKEN_PATH": str(path)},
        )
    path.chmod(0o600)
    inherited = {"RAY_AUTH_TOKEN_PATH": str(path)}
    assert (
        host_environment("10.0.0.5:6379", token_file=path, inherited=inherited)[
            "RAY_AUTH_MODE"
        ]
        == "token"
    )
