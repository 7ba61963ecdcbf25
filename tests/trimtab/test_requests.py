"""Options reach the request unchanged, or are refused with a remedy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trimtab import _submission
from trimtab.cli.app import app
from trimtab.errors import SpecError
from trimtab.specs.common import Budget, JobRequest
from trimtab.specs.probe import ProbeSpec


def test_a_request_goes_as_it_is_and_takes_no_options() -> None:
    request = JobRequest(
        kind="probe", spec=ProbeSpec(steps=3), budget=Budget(seconds=5.0), seed=4
    )
    body = _submission.request_body(request)
    assert (body["seed"], body["budget"]["seconds"], body["spec"]["steps"]) == (4, 5.0, 3)
    for option in (
        {"seconds": 9.0},
        {"seed": 1},
        {"labels": {"a": "b"}},
        {"webhook": "https://x"},
    ):
        with pytest.raises(TypeError, match="carries its own"):
            _submission.request_body(request, **option)


def test_a_mapping_that_is_a_whole_request_is_told_so() -> None:
    with pytest.raises(TypeError, match="this is a whole request"):
        _submission.request_body({"kind": "probe", "spec": {"steps": 1}})


def test_the_command_line_refuses_unknown_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TRIMTAB_API_KEY", "tt_x_y")
    file = tmp_path / "job.json"
    file.write_text(json.dumps({"kind": "probe", "spec": {}, "prioritty": 3}))
    result = CliRunner().invoke(app, ["submit", str(file)])
    assert result.exit_code == 2
    assert "prioritty" in result.output


def test_scalars_of_numpy_are_numbers() -> None:
    body = _submission.request_body(
        ProbeSpec(),
        seconds=np.float32(2),
        seed=np.int64(3),
        evaluations=np.array(4),
    )
    assert (body["seed"], body["budget"]["seconds"]) == (3, 2.0)
    assert body["budget"]["evaluations"] == 4


def test_seconds_that_are_no_number_are_refused_by_name() -> None:
    with pytest.raises(SpecError, match="seconds: expected a number, got 'ten'"):
        _submission.request_body(ProbeSpec(), seconds="ten")
