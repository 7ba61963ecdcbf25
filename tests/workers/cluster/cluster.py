"""Several raylets on one machine, in one process group that tests kill; tests import no Ray.

python -m tests.workers.cluster.cluster   stdin: "add", "kill", "quit"   stdout: a JSON line each
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

CPUS_A_NODE = 2
ROOT = Path(__file__).resolve().parents[3]


class LocalCluster:
    """A head without processors, and nodes that come and go."""

    def __init__(self, token_file: Path, log: Path) -> None:
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token_file),
            "RAY_USAGE_STATS_ENABLED": "0",
            # Ray's own 15 starves its workers beside other tests.
            "RAY_worker_niceness": "0",
            "PYTHONPATH": str(ROOT),
        }
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.workers.cluster.cluster"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | self.environment,
            cwd=ROOT,
            start_new_session=True,
        )
        self.address = str(self._answer()["address"])

    @property
    def group(self) -> int:
        return self._process.pid

    def add_node(self) -> None:
        """Another raylet; returns when it is registered."""
        self._ask("add")

    def kill_node(self) -> None:
        """SIGKILL to the oldest raylet and its workers: a machine that loses power."""
        self._ask("kill")

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        for pid in members(self.group):
            os.kill(pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def _ask(self, word: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(word.encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the cluster process ended with {self._process.wait()}; see {self._log.name}"
            )
        return cast("dict[str, Any]", json.loads(line))


def processes() -> dict[int, tuple[int, str]]:
    """pid → (session, command line) of all live processes; zombies are dead."""
    live = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            state, _parent, _group, session = (
                (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            )
            command = (
                (folder / "cmdline")
                .read_bytes()
                .replace(b"\0", b" ")
                .decode(errors="replace")
            )
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            live[int(folder.name)] = (int(session), command)
    return live


def members(session: int) -> list[int]:
    """Processes of a session."""
    return [pid for pid, (owner, _) in processes().items() if owner == session]


def children_of_actor(actor: int) -> list[int]:
    """The children an actor started, by their run folder: also those that outlived it."""
    return [
        pid
        for pid, (_, command) in processes().items()
        if f"/trimtab-ray-{actor}-" in command
    ]


def main() -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            "object_store_memory": 100 * 2**20,
        },
    )
    nodes: list[Any] = []

    def add() -> None:
        nodes.append(
            cluster.add_node(num_cpus=CPUS_A_NODE, object_store_memory=100 * 2**20)
        )

    add()
    add()
    cluster.wait_for_nodes()
    print(json.dumps({"address": cluster.address}), flush=True)
    for line in sys.stdin:
        match line.strip():
            case "add":
                add()
            case "kill":
                node = nodes.pop(0)
                # Not remove_node(), which waits until Ray notices: that time is tested.
                for kind in node.all_processes:
                    for started in node.all_processes[kind]:
                        started.process.kill()
                cluster.worker_nodes.remove(node)
        print(json.dumps({"nodes": len(nodes)}), flush=True)


if __name__ == "__main__":
    main()
