"""Bad compile jobs are refused at the door, each with its field; files on this machine become specs by their names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trimtab.files import LocalFile
from trimtab.specs.by_file import kind_of_file, set_field, spec_of_file
from trimtab.specs.common import ArtifactRef
from trimtab.specs.compile import CompileSpec, CompileTarget, Run

REF = {"digest": "sha256:" + "0" * 64, "name": "a.c"}
GOOD: dict[str, Any] = {"source_text": "int main(void) { return 0; }"}


def parsed(**fields: Any) -> CompileSpec:
    return CompileSpec.model_validate_json(json.dumps({**GOOD, **fields}))


def test_defaults_are_the_honest_ones() -> None:
    spec = parsed()
    assert (spec.objective.value, spec.tier.value) == ("loadable_bytes", "default")
    assert spec.target.pic is None  # as clang's driver does for the triple
    assert spec.artifacts() == {}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"source": REF}, "exactly one of"),
        ({"source_text": None}, "exactly one of"),
        ({"objective": "speed"}, "objective"),
        ({"target": {"triple": "x86_64 linux"}}, "triple"),
        ({"target": {"features": "avx2"}}, "features"),
        ({"build": {"files": ["../*.c"]}}, "inside the archive"),
        ({"build": {"include": ["/usr/include"]}}, "inside the archive"),
        ({"build": {"defines": ["A B=1"]}}, "C identifier"),
        ({"runs": [{"stdin": "a", "stdin_file": REF}]}, "at most one of"),
        ({"runs": [{"timeout_seconds": 0}]}, "timeout_seconds"),
        ({"runs": [{}] * 33}, "runs"),
        ({"link": {"libraries": ["/tmp/evil.so"]}}, "libraries"),
        ({"optimise": True}, "optimise"),
        ({"source_text": "a\u0000b"}, "NUL"),
    ],
)
def test_nonsense_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        parsed(**fields)


def test_language_goes_with_text() -> None:
    with pytest.raises(ValidationError, match="decides its language"):
        CompileSpec.model_validate_json(json.dumps({"source": REF, "language": "c"}))


def test_another_triple_alone_asks_for_no_x86_processor() -> None:
    assert parsed(target={"triple": "aarch64-unknown-linux-gnu"}).target.cpu == ""
    assert parsed(target={"triple": "x86_64-unknown-linux-musl"}).target.cpu == ""
    assert CompileTarget(triple="riscv64-unknown-elf", cpu="sifive-u74").cpu == "sifive-u74"


def test_every_uploaded_file_is_an_artifact(tmp_path: Path) -> None:
    names = ("a.c", "in.bin", "main.o")
    for name in names:
        (tmp_path / name).write_text(name)
    run = Run(stdin_file=LocalFile.of(tmp_path / "in.bin"))
    spec = CompileSpec.from_file(
        tmp_path / "a.c",
        runs=(Run(arguments=("-x",)), run),
        link_objects=[str(tmp_path / "main.o")],
    )
    files = spec.artifacts()
    assert list(files) == ["source", "stdin_1", "object_0"]
    assert all(isinstance(file, LocalFile) for file in files.values()), (
        "the client uploads what is on this machine"
    )
    again = CompileSpec.model_validate_json(spec.model_dump_json())
    assert {name: ref.digest for name, ref in again.artifacts().items()} == {
        n: r.digest for n, r in files.items()
    }


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


def test_an_artifact_is_named_by_content() -> None:
    spec = CompileSpec(source=ArtifactRef(**REF))
    assert spec.artifacts()["source"].name == "a.c"
