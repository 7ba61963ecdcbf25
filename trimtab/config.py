"""Address and key of the server: from arguments, the environment, or this machine's server."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from trimtab.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server and its API key."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    """None for a server with `auth=off`."""


def default_data_dir() -> Path:
    """Return the data folder of a server when TRIMTAB_DATA_DIR is not set."""
    return Path.home() / ".local" / "share" / "trimtab"


def data_dir() -> Path:
    """Return the data folder of this machine's server: TRIMTAB_DATA_DIR or the default."""
    configured = os.environ.get("TRIMTAB_DATA_DIR")
    return Path(configured) if configured else default_data_dir()


def find(url: str | None = None, api_key: str | None = None) -> Endpoint:
    """Return the server to use. Raises ConfigError.

    The local admin key is sent only to the local server: a URL from an argument or TRIMTAB_URL gets
    it only if it equals the one in server.json. A typo in a URL must not send an admin key across
    the network.
    """
    folder = data_dir()
    local = _local_url(folder)
    chosen = (url or os.environ.get("TRIMTAB_URL") or local or "").rstrip("/")
    if not chosen:
        raise ConfigError(
            f"no server configured: no url argument, no TRIMTAB_URL, no {folder / 'server.json'}; "
            "start one with `trimtab serve` or set TRIMTAB_URL and TRIMTAB_API_KEY"
        )
    if urlsplit(chosen).scheme not in ("http", "https") or not urlsplit(chosen).netloc:
        raise ConfigError(
            f"url: expected a URL such as http://127.0.0.1:8642, got {chosen!r}"
        )
    key = api_key or os.environ.get("TRIMTAB_API_KEY")
    if key is None and local is not None and chosen == local.rstrip("/"):
        key = _local_key(folder / "admin.key")
    return Endpoint(url=chosen, api_key=key)


def _local_url(folder: Path) -> str | None:
    path = folder / "server.json"
    try:
        # The owner of this file decides where our admin key goes.
        if path.stat().st_uid != os.getuid():
            raise ConfigError(
                f"{path}: expected a file of this user, got another user's; set TRIMTAB_URL and "
                "TRIMTAB_API_KEY instead"
            )
        return str(json.loads(path.read_text())["url"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"cannot read {path}: {error}; delete it and start the server again"
        ) from error


def _local_key(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"cannot read the key file {path}: {error}") from error
    with os.fdopen(descriptor) as file:
        # Checked on the open file, so that it cannot be swapped between check and read.
        status = os.fstat(file.fileno())
        if status.st_uid != os.getuid():
            raise ConfigError(
                f"key file {path}: expected a file of this user, got one of user "
                f"{status.st_uid}; it is not used"
            )
        if stat.S_IMODE(status.st_mode) & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise ConfigError(
                f"key file {path} has mode {mode:04o}: others can read it; "
                f"run `chmod 600 {path}`"
            )
        return file.read().strip() or None
