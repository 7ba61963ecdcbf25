"""Folder of the goals, and the files that are attached to them."""

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
    module_spec = importlib.util.spec_from_file_location("goal_files", path)
    if module_spec is None or module_spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return getattr(module, name)
