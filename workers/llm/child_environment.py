"""Environment and limits of the processes that this package starts beside a model's own."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]  # the folder of the packages


def child_environment() -> dict[str, str]:
    """Return the environment: no secret of this process, one thread for each library."""
    inherited = os.environ.get("PYTHONPATH")
    # In a sandbox the code is reached by the inherited path alone.
    paths = [*([inherited] if inherited else []), str(_ROOT)]
    return {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "LC_ALL": "C.UTF-8",
        # transformers, which xgrammar imports, looks for caches there.
        "HOME": "/nonexistent",
    }


def lower_limits(limits: Mapping[int, int]) -> None:
    """Set limits of this process by kind (`resource.RLIMIT_AS`), none above what holds already.

    A sandbox around this process may have set lower ones.
    """
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (lowest, lowest))
