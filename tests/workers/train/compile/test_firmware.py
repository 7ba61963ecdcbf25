"""Lists mined on firmware: what is measured, and in which order it is published."""

import json
import shutil
from pathlib import Path

import pytest

from cost_models.weights import FOLDER
from search.domains.compile.search.coreset import load_firmware
from solvers.llvm.options import of_functions
from workers.corpus.firmware import PROGRAMS
from workers.corpus.packages import PACKAGES
from workers.corpus.training_firmware import TRAINING
from workers.train.compile.firmware import (
    ARCHITECTURES,
    MEASURED,
    code_order,
    option_sets,
    pipelines,
    publish_firmware,
)


def test_nothing_is_mined_on_programs_of_the_benchmark() -> None:
    mined = {program.package for program in TRAINING.values()}
    measured = {program.package for program in PROGRAMS.values()}
    held_out = {name for name, one in PACKAGES.items() if one.split == "heldout"}
    assert not mined & (measured | held_out)


def test_the_sets_are_of_code_generation_and_begin_with_none() -> None:
    sets = option_sets()
    assert sets[0] == ()
    assert len(set(sets)) == len(sets)
    assert not [words for words in sets if of_functions(words)]
    for words in sets:
        names = [word.partition("=")[0] for word in words]
        assert len(set(names)) == len(names)


def row(program: str, candidate: str, **functions: int) -> dict[str, object]:
    return {"program": program, "candidate": candidate, "functions": functions or None}


def test_sets_are_ordered_by_what_single_functions_gain() -> None:
    table = [
        row("p", "", f=100, g=100),
        row("p", "-a", f=60, g=90),  # best for the whole
        row("p", "-b", f=95, g=85),  # a little more for g
        row("p", "-c", f=60, g=90),  # nothing more
        row("p", "-d"),  # failed
    ]
    keys, shares = code_order(table)
    assert keys == ["-a", "-b"]
    assert shares == pytest.approx([0.25, 0.275])


def test_both_orders_are_published_for_each_architecture(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "MANIFEST.toml", tmp_path)
    oz, first, second = (candidate.digest for candidate in pipelines()[:3])
    rows = []
    for machine in ARCHITECTURES:
        about = {"machine": machine, "program": "p"}
        for digest, flash in ((oz, 100), (first, 95), (second, 90)):
            rows.append(
                {**about, "table": "pipelines", "candidate": digest, "flash": flash}
            )
        for key, size in (("", 50), ("-disable-lsr", 40), ("-unknown", 1)):
            code = {"candidate": key, "flash": 9, "functions": {"f": size}}
            rows.append({**about, "table": "code", **code})
    (tmp_path / MEASURED).write_text("".join(json.dumps(one) + "\n" for one in rows))
    said: list[str] = []
    publish_firmware(tmp_path, out=tmp_path, command="c", say=said.append)
    for architecture in ARCHITECTURES.values():
        candidates, sets = load_firmware(architecture, tmp_path)
        assert [one.digest for one in candidates] == [second]
        assert sets == (("-disable-lsr",),)
    assert load_firmware("riscv64", tmp_path) == ((), ())
    assert any("10.00% of flash" in line for line in said)
