"""A kind whose run tries to reach foreign files, sockets and processes, from each of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from search import isolation
from search.stop import StoppingCriterion
from search.types import OnIncumbent, Produced, SearchOutcome
from trimtab.results import Reason, Termination, Verification, VerificationStatus
from trimtab.specs.common import Spec

PROCESSES = ("child", "fork", "subprocess")


class HostileSpec(Spec):
    KIND: ClassVar[str] = "hostile"

    process: str
    files: tuple[str, ...] = ()
    folder: str = ""
    tcp_port: int = 0
    udp_port: int = 0
    unix_socket: str = ""
    abstract_socket: str = ""
    server_pid: int = 0


def reach(spec: Mapping[str, Any]) -> list[str]:
    """Return which of the targets of the spec could be reached."""
    reached = [path for path in spec["files"] if _reads(path)]
    pid = spec["server_pid"]
    reached += [
        path
        for path in (f"/proc/{pid}/environ", f"/proc/{pid}/mem", f"/proc/{pid}/maps")
        if _reads(path)
    ]
    reached += [
        f"/proc/{pid}/root{path}"
        for path in spec["files"]
        if _reads(f"/proc/{pid}/root{path}")
    ]
    for target in (
        os.path.join(spec["folder"], "written-by-a-run"),
        os.path.join(os.environ["HOME"], "x"),
    ):
        try:
            Path(target).write_text("here")
            reached.append(f"write {target}")
        except OSError:
            pass
    with contextlib.suppress(OSError):
        reached += [f"list {name}" for name in os.listdir(spec["folder"])]
    for family, kind, address in (
        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", spec["tcp_port"])),
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", spec["udp_port"])),
        (socket.AF_UNIX, socket.SOCK_STREAM, spec["unix_socket"]),
        (socket.AF_UNIX, socket.SOCK_STREAM, "\0" + spec["abstract_socket"]),
    ):
        try:
            with socket.socket(family, kind) as client:
                client.connect(address)
                client.send(b"canary")
            reached.append(f"socket {address!r}")
        except OSError:
            pass
    try:  # a pair of datagram sockets can be pointed elsewhere
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.close(), other.close()
        reached.append("datagram pair")
    except OSError:
        pass
    try:
        os.kill(pid, 0)
        os.kill(pid, 28)  # SIGWINCH: harmless, and shows that signals arrive
        reached.append("signal")
    except OSError:
        pass
    return reached


def _reads(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


class HostileDomain:
    def parse(self, spec: HostileSpec, inputs: Mapping[str, Path], workdir: Path) -> Any:
        return spec, workdir

    def encode(self, problem: Any) -> None:
        pass

    def search(
        self,
        problem: Any,
        encoding: None,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
    ) -> SearchOutcome:
        spec, workdir = problem
        order = spec.model_dump(mode="json")
        match spec.process:
            case "child":
                reached = reach(order)
            case "fork":
                reached = isolation.call(
                    "reaching", lambda: {"reached": reach(order)}, timeout_s=20
                )["reached"]
            case _:
                command = [
                    sys.executable,
                    "-m",
                    "tests.cases.service.hostile",
                    json.dumps(order),
                ]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                reached = json.loads(done.stdout)
        one, other = socket.socketpair()  # libraries need it: it must still work
        one.send(b"x")
        assert other.recv(1) == b"x"
        (workdir / "reached.json").write_text(json.dumps(reached))
        return SearchOutcome(
            termination=Termination(reason=Reason.COMPLETED),
            solution=1.0,
            objective=1.0,
            bound=None,
        )

    def verify(self, problem: Any, solution: Any) -> Verification:
        return Verification(status=VerificationStatus.VALID)

    def produce(self, problem: Any, solution: Any, workdir: Path) -> list[Produced]:
        return [
            Produced(
                name="reached.json",
                path=workdir / "reached.json",
                media_type="application/json",
            )
        ]


def build() -> HostileDomain:
    return HostileDomain()


if __name__ == "__main__":
    print(json.dumps(reach(json.loads(sys.argv[1]))))
