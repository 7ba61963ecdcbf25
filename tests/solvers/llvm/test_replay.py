"""Replay of an answer from its files alone."""

import hashlib
import json
from pathlib import Path

import pytest

from solvers.llvm.engine import Engine
from solvers.llvm.replay import CannotReplay, main, read_recipe
from solvers.llvm.types import Recipe
from tests.solvers.llvm.modules import PROGRAM

RECIPE = Recipe(
    pipeline="default<Oz>",
    function_tails=(("public", "gvn"),),
    attributes=(("helper", "noinline", True),),
    late_attributes=(("caller", "minsize", False),),
)


@pytest.fixture
def answer(tmp_path: Path) -> Path:
    (tmp_path / "in.ll").write_bytes(PROGRAM)
    with Engine(PROGRAM) as engine:
        built = engine.build(RECIPE)
        target = engine.target
        whole = {
            "llvm": engine.installed.build_id,
            "target": {
                "triple": target.triple,
                "cpu": target.cpu,
                "features": target.features,
                "pic": target.pic,
            },
            "original_sha256": engine.info.source_sha256,
            "optimised_sha256": hashlib.sha256(built.bitcode).hexdigest(),
            **RECIPE.as_json(),
        }
    (tmp_path / "expected.bc").write_bytes(built.bitcode)
    (tmp_path / "expected.o").write_bytes(built.object)
    (tmp_path / "recipe.json").write_text(json.dumps(whole))
    return tmp_path


def run(folder: Path, out: str, *more: str) -> int:
    return main(
        [str(folder / "recipe.json"), str(folder / "in.ll"), str(folder / out), *more]
    )


def change(folder: Path, **new: object) -> None:
    path = folder / "recipe.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | new))


def test_bitcode_and_object_are_the_same_again(
    answer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("bc", "o"):
        assert run(answer, f"out.{kind}") == 0
        assert (answer / f"out.{kind}").read_bytes() == (
            answer / f"expected.{kind}"
        ).read_bytes()
    assert "loadable_bytes" in capsys.readouterr().out
    assert run(answer, "out.ll") == 0
    assert "@public" in (answer / "out.ll").read_text()
    change(answer, late_attributes=[])
    assert run(answer, "out.bc") == 3, "without its late attributes it is another module"


def test_another_build_is_refused_unless_asked(
    answer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(answer, llvm="llvm-21.0.0-000000000000")
    assert run(answer, "out.bc") == 1
    assert "llvm-21.0.0-000000000000" in capsys.readouterr().err
    assert run(answer, "out.bc", "--any-build") == 0


def test_a_different_result_is_reported(answer: Path) -> None:
    change(answer, optimised_sha256="0" * 64)
    assert run(answer, "out.bc") == 3


def test_another_module_is_refused(
    answer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (answer / "in.ll").write_bytes(PROGRAM + b"; changed\n")
    assert run(answer, "out.bc") == 1
    assert "is not the recipe's module" in capsys.readouterr().err


def test_a_failing_recipe_is_reported(
    answer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(answer, pipeline="no-such-pass")
    assert run(answer, "out.bc") == 1
    assert "no-such-pass" in capsys.readouterr().err
    assert run(answer, "out.exe") == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"target": {}}', b'{"target": {"triple": "a", "cpu": "b"}}'],
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(CannotReplay):
        read_recipe(data)
