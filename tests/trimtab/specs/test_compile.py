"""Invalid compile specs are refused, with the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trimtab.files import LocalFile
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
    ("fields", "expected"),
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
def test_nonsense_is_refused(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        parsed(**fields)


def test_language_goes_with_text() -> None:
    with pytest.raises(ValidationError, match="decides its language"):
        CompileSpec.model_validate_json(json.dumps({"source": REF, "language": "c"}))


def test_another_triple_alone_asks_for_no_x86_processor() -> None:
    assert parsed(target={"triple": "aarch64-unknown-linux-gnu"}).target.cpu == ""
    assert parsed(target={"triple": "x86_64-unknown-linux-musl"}).target.cpu == ""
    assert (
        CompileTarget(triple="riscv64-unknown-elf", cpu="sifive-u74").cpu == "sifive-u74"
    )


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


def test_an_artifact_is_named_by_content() -> None:
    spec = CompileSpec(source=ArtifactRef(**REF))
    assert spec.artifacts()["source"].name == "a.c"
