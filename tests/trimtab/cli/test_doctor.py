"""The doctor's report on programs that are not Python packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.cli.doctor import openems_check


def test_openems_is_found_or_its_absence_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "openEMS"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("TRIMTAB_OPENEMS", str(program))
    found = openems_check()
    assert (found.ok, found.found) == (True, str(program))
    monkeypatch.setenv("TRIMTAB_OPENEMS", str(tmp_path / "nowhere"))
    missing = openems_check()
    assert not missing.ok
    assert not missing.needed
    assert "not checked by a second solver" in missing.found
    assert "apt-get install openems" in missing.fix
