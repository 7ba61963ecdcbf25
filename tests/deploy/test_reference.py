"""The reference pages are what the code generates."""

from __future__ import annotations

import subprocess
import sys

from search.domains import KINDS
from tests.deploy.markdown import DOCS, ROOT

TOOL = ROOT / "deploy" / "tools" / "reference.py"


def test_pages_are_current() -> None:
    run = subprocess.run(
        [sys.executable, str(TOOL), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_kind_has_a_page() -> None:
    for name, kind in KINDS.items():
        page = (DOCS / "reference" / f"kind-{name}.md").read_text(encoding="utf-8")
        missing = [
            field for field in kind.spec.model_fields if f"| `{field}` |" not in page
        ]
        assert not missing, f"{name}: {missing}"
