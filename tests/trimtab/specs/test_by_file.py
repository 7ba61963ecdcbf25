"""Files on this machine become specs by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import typer

from trimtab.cli.submitting import _submit_json
from trimtab.errors import SpecError
from trimtab.files import LocalFile
from trimtab.specs.by_file import kind_of_file, set_field, spec_of_file, suffixes
from trimtab.specs.compile import CompileSpec
from trimtab.specs.learn import LearnSpec


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("main.c", "compile"),
        ("A.CPP", "compile"),
        ("zlib-1.3.tar.gz", "compile"),
        ("x.ll", "compile"),
        ("air05.mps.gz", "ilp"),
        ("model", "ilp"),
        ("tables.csv", "sharding"),
    ],
)
def test_kind_by_name(name: str, kind: str) -> None:
    assert kind_of_file(name) == kind


def test_a_file_with_fields(tmp_path: Path) -> None:
    file = tmp_path / "main.c"
    file.write_text("int main(void) { return 0; }")
    fields: dict[str, Any] = {}
    for text in (
        "objective=code_bytes",
        "target.triple=aarch64-unknown-linux-gnu",
        'runs=[{"arguments": ["1"]}]',
    ):
        set_field(fields, text)
    spec = spec_of_file(file, fields=fields)
    assert isinstance(spec, CompileSpec)
    assert isinstance(spec.source, LocalFile)
    assert (spec.objective.value, spec.target.triple, spec.runs[0].arguments) == (
        "code_bytes",
        "aarch64-unknown-linux-gnu",
        ("1",),
    )


def test_an_archive_of_instances_needs_its_kind(tmp_path: Path) -> None:
    file = tmp_path / "mine.tar.gz"
    file.write_bytes(b"x")
    assert "learn" not in suffixes()
    fields = {"target": "sharding", "sharding": {"steps": 50}}
    spec = spec_of_file(file, kind="learn", fields=fields)
    assert isinstance(spec, LearnSpec)
    assert isinstance(spec.archive, LocalFile)
    assert spec.sharding is not None
    assert (spec.target.value, spec.sharding.steps) == ("sharding", 50)
    with pytest.raises(ValueError, match="target"):
        spec_of_file(file, kind="learn")


def test_files_that_no_kind_takes(tmp_path: Path) -> None:
    file = tmp_path / "main.c"
    file.write_text("")
    with pytest.raises(ValueError, match="takes no file"):
        spec_of_file(file, kind="probe")
    with pytest.raises(ValueError, match="takes no warm_start"):
        spec_of_file(file, warm_start=file)
    with pytest.raises(ValueError, match="objective"):
        spec_of_file(file, fields={"objective": "small"})
    for text in ("objective", "=x", "a..b=1"):
        with pytest.raises(ValueError, match="expected FIELD=VALUE"):
            set_field({}, text)
    with pytest.raises(ValueError, match="already has the value"):
        set_field({"target": 1}, "target.pic=true")


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("a.csv", {}, 'devices: expected a value, got nothing; e.g. [{"count": 8,'),
        ("a.csv", {"devices": 4}, 'devices: expected a list, got 4; e.g. [{"count": 8,'),
        ("a.lp", {"engin": "scip"}, "engin: expected no such field, got 'scip'; did you"),
        (
            "a.lp",
            {"lns": {"enable": 1}},
            "lns.enable: expected no such field, got 1; did",
        ),
        ("a.lp", {"threads": "two"}, "threads: expected an integer, got 'two'"),
    ],
)
def test_refused_fields_are_named(
    tmp_path: Path, name: str, fields: dict[str, Any], expected: str
) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(SpecError) as caught:
        spec_of_file(tmp_path / name, fields=fields)
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "a.json: expected JSON, got: Expecting"),
        ("[1]", "expected an object with a request or a spec, got a list of 1"),
        ('{"bands": []}', "expected a kind, got a spec alone; add --kind"),
        ('{"kind": "ilp", "spec": {}, "budget": 5}', "budget: expected an object, got 5"),
        (
            '{"kind": "ilp", "spec": {}, "budget": {"second": 5}}',
            "did you mean 'seconds'?",
        ),
        (
            '{"kind": "ilp", "spec": {}, "webhook": "http://a"}',
            "webhook: expected an object",
        ),
    ],
)
def test_json_files_that_are_no_request(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises((typer.BadParameter, SpecError)) as caught:
        _submit_json(cast("Any", None), file, {})
    assert expected in str(caught.value)
