"""Token authentication of Ray clusters, and the environment of the host process.

Ray's control store and raylets listen on all interfaces, even for a cluster on one machine, and
anybody who can connect to them can run code. So clusters that we start always require a token, from
a file that we create with mode 0600 (Ray's own `~/.ray/auth_token` is readable by everybody under
the usual umask).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

LOCAL = "local"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
# The host needs neither the database's password nor any other setting of the service.
_NOT_PASSED_ON = ("TRIMTAB_",)


class UnsafeCluster(ValueError):
    """The cluster or its token would be accessible to others."""


def host_environment(
    address: str | None, *, token_file: Path, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of the host process. Raises UnsafeCluster.

    Args:
        address: Address of the cluster. None: we start one, and `token_file` is created.
        token_file: The token of a cluster that we start.
        inherited: This process's environment.
    """
    environment = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(_NOT_PASSED_ON)
    }
    environment["RAY_USAGE_STATS_ENABLED"] = "0"
    if address in (None, LOCAL):
        for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN"):
            environment.pop(name, None)
        environment |= {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(make_token(token_file)),
        }
        # Ray's own 15 starves runs beside other work: a run of 0.4 s took 30 s at load 14.
        environment.setdefault("RAY_worker_niceness", "0")
        return environment
    if environment.get("RAY_AUTH_MODE") == "disabled" and not is_loopback(str(address)):
        raise UnsafeCluster(
            "RAY_AUTH_MODE: expected token, because the cluster address "
            f"{address!r} is not loopback, got disabled: anybody who reaches that port could run "
            "code there. Use RAY_AUTH_MODE=token with a token file on every node"
        )
    path = environment.get("RAY_AUTH_TOKEN_PATH")
    if path is not None:
        _require_private(Path(path))
    if path is not None or "RAY_AUTH_TOKEN" in environment:
        environment.setdefault("RAY_AUTH_MODE", "token")
    return environment


def is_loopback(address: str) -> bool:
    """Return True for a loopback address. `auto` is none: it may lead anywhere."""
    return address.removeprefix("ray://").rpartition(":")[0] in _LOOPBACK


def make_token(path: Path) -> Path:
    """Create the token file with mode 0600 unless it exists, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
    _require_private(path)
    return path


def _require_private(path: Path) -> None:
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise UnsafeCluster(
            f"the Ray token file {path} cannot be read: {error.strerror}"
        ) from error
    if mode & 0o077:
        raise UnsafeCluster(
            f"the Ray token file {path} has mode {mode:04o}: others can read it. "
            f"Run: chmod 600 {path}"
        )
