"""Where the goals lie, and the files that are attached to them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path("tests/search/domains/plan/goals")
Contents = Callable[[str], bytes]


def contents(folder: Path = FOLDER, name: str = "content") -> Any:
    """Return a maker of attached files that lies beside the goals: name → bytes."""
    path = folder / "files.py"
    found = importlib.util.spec_from_file_location("goal_files", path)
    if found is None or found.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return getattr(module, name)
