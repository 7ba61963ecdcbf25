"""Who may talk to a Ray cluster: token authentication, and the environment that the host process gets.

Ray's control store and raylets listen on all interfaces even when the cluster is meant for one machine, and whoever may talk
to them may run code. So our own clusters always ask for a token, from a file that we make with mode 0600 (Ray's own
`~/.ray/auth_token` is readable by everybody under the usual umask).
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
    """The cluster would be open to others, or the token is."""


def host_environment(
    address: str | None, *, token_file: Path, given: Mapping[str, str]
) -> dict[str, str]:
    """The environment of the process that speaks to Ray. Makes `token_file` for a cluster of our own. Raises UnsafeCluster."""
    environment = {k: v for k, v in given.items() if not k.startswith(_NOT_PASSED_ON)}
    environment["RAY_USAGE_STATS_ENABLED"] = "0"
    if address in (None, LOCAL):
        for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN"):
            environment.pop(name, None)
        environment |= {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(make_token(token_file)),
        }
        return environment
    if environment.get("RAY_AUTH_MODE") == "disabled" and not is_loopback(str(address)):
        raise UnsafeCluster(
            f"RAY_AUTH_MODE=disabled came with the cluster address {address!r}, which is not loopback: anybody who reaches "
            "that port could run code there. Use RAY_AUTH_MODE=token with a token file on every node"
        )
    path = environment.get("RAY_AUTH_TOKEN_PATH")
    if path is not None:
        _require_private(Path(path))
    if path is not None or "RAY_AUTH_TOKEN" in environment:
        environment.setdefault("RAY_AUTH_MODE", "token")
    return environment


def is_loopback(address: str) -> bool:
    """True for an address of this machine alone. `auto` is not: it may lead anywhere."""
    return address.removeprefix("ray://").rpartition(":")[0] in _LOOPBACK


def make_token(path: Path) -> Path:
    """The token file, made once with mode 0600."""
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
            f"the Ray token file {path} has mode {mode:04o}: others can read it. Run: chmod 600 {path}"
        )
