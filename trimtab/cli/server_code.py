"""Find the server's packages on this machine, and start their modules.

They are installed either as a checkout (`pip install -e .`) or as the wheel `trimtab-server`, which
keeps them in one folder, `trimtab_server/`. Processes start with `-P`: the working directory is not
searched, so a folder `services/` or `search/` of the user's is never imported in their place.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path

DISTRIBUTION = "trimtab-server"


class NoServer(Exception):
    """The server is not installed here. The message says how to install it."""


def python(*arguments: str) -> list[str]:
    """Return the command that runs our interpreter without the working directory on its path."""
    return [sys.executable, "-P", *arguments]


def environment() -> dict[str, str]:
    """Return the environment in which `python(...)` finds the server. Raises NoServer."""
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise NoServer(
            "the server is not installed here: expected a checkout (`make setup`) or the wheel "
            f"`{DISTRIBUTION}` (`make wheels`, then pip install both wheels of dist/), got neither"
        ) from None
    packages = Path(str(distribution.locate_file("trimtab_server")))
    if not packages.is_dir():  # a checkout: its packages are on the path already
        return dict(os.environ)
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(packages), *([inherited] if inherited else [])])
    return {**os.environ, "PYTHONPATH": path}
