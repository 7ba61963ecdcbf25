"""Table of the arms, and a throw-away arm made by the recipe in deploy/docs/changing.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cost_models.weights import load_weights
from search.lns.arms import ARMS, ArmParts, make_arms
from search.lns.guide import Guide
from search.lns.sub_mip import Slicer
from tests.search.models import milp, random_cover
from trimtab.specs.ilp import Neighbourhood

ROOT = Path(__file__).parents[3]
SPEC = Path("trimtab/specs/ilp.py")
TABLE = Path("search/lns/arms.py")
CLASS = Path("search/lns/first_columns.py")

# The recipe: a word, a class, a row.
WORD = '''    FIRST_COLUMNS = "first-columns"
    """The first columns."""
'''
HEURISTIC = '''"""Throw-away arm: the first columns that may move."""

import numpy as np

from search.lns.neighbourhoods import DestroyBase
from solvers.types import Bools, Floats


class FirstColumnsNeighbourhood(DestroyBase):
    """The first `count` integer variables that may move."""

    def choose(
        self, x: Floats, count: int, rng: np.random.Generator, movable: Bools
    ) -> Bools:
        """Return the first columns."""
        return self._free(self._candidates(movable)[:count])
'''
ROW = """    Arm(
        word=Neighbourhood.FIRST_COLUMNS,
        make=lambda parts: FirstColumnsNeighbourhood(parts.model),
    ),
"""
IMPORT = "from search.lns.first_columns import FirstColumnsNeighbourhood\n"

JOB = """
import json, sys, threading
from pathlib import Path

import numpy as np

from search import pipeline
from search.domains.ilp import build
from search.lns.arms import ArmParts, make_arms
from search.lns.deadline import Deadline
from search.lns.guide import Guide
from search.lns.loop import LnsLoop, LnsParams
from search.lns.observer import LnsObserver
from search.lns.sub_mip import Slicer
from search.stop import from_budget
from solvers.highs import HighsSolver
from solvers.read import read_model
from trimtab.specs.ilp import IlpSpec, LnsOptions

workdir = Path(sys.argv[1])
lns = LnsOptions(neighbourhoods=("first-columns",))


def a_cover():
    columns = range(60)
    rows = [(i, (7 * i + 3) % 60, (11 * i + 5) % 60) for i in columns]
    lines = [f" r{i}: " + " + ".join(f"x{j}" for j in set(row)) + " >= 1"
             for i, row in enumerate(rows)]
    costs = " + ".join(f"{1 + j % 9} x{j}" for j in columns)
    names = " ".join(f"x{j}" for j in columns)
    return "\\n".join(["Minimize", f" o: {costs}", "Subject To", *lines,
                       "Binary", f" {names}", "End", ""])


def status_of_a_job(text):
    spec = IlpSpec(model_text=text, format="lp", lns=lns)
    stop = from_budget({"seconds": 20.0}, threading.Event())
    run = pipeline.run(build(), spec, inputs={}, workdir=workdir, stop=stop, seed=0)
    return run.result.verification.status.value


class Turns(LnsObserver):
    count = 0

    def on_iteration(self):
        self.count += 1


def three_turns(text):
    file = workdir / "cover.lp"
    file.write_text(text)
    model, turns = read_model(file), Turns()
    slicer = Slicer(model)
    guide = Guide(model, deadline=Deadline(stop=lambda: turns.count >= 3))
    loop = LnsLoop(
        guide,
        slicer=slicer,
        solver=HighsSolver(),
        arms=make_arms(lns.neighbourhoods, ArmParts(guide=guide, slicer=slicer)),
        params=LnsParams(),
        rng=np.random.default_rng(0),
        observer=turns,
    )
    loop.run(np.ones(model.n))
    return loop.statistics["first-columns"].calls, loop.objective < model.c.sum()


text = a_cover()
calls, improved = three_turns(text)
print(json.dumps({"status": status_of_a_job(text), "calls": calls, "improved": bool(improved)}))
"""


def copy_of_the_tree(folder: Path) -> None:
    """Link every package, but copy the folders of the files that the recipe touches."""
    copied = {Path("trimtab"), Path("trimtab/specs"), Path("search"), Path("search/lns")}
    for name in ("trimtab", "search", "solvers", "cost_models", "gnn"):
        _copy(Path(name), folder, copied)


def _copy(path: Path, folder: Path, copied: set[Path]) -> None:
    if path not in copied:
        (folder / path).symlink_to(ROOT / path)
        return
    (folder / path).mkdir()
    for child in (ROOT / path).iterdir():
        if child.name != "__pycache__":
            _copy(path / child.name, folder, copied)


def insert_before(path: Path, marker: str, text: str) -> None:
    content = path.read_text()
    assert content.count(marker) == 1, f"{path}: expected one {marker!r}"
    path.unlink()  # the link, not the file of the tree
    path.write_text(content.replace(marker, text + marker))


def test_a_new_arm_is_a_word_a_class_and_a_row(tmp_path: Path) -> None:
    """Three places in a copy of the tree, and a job runs the arm."""
    tree, workdir = tmp_path / "tree", tmp_path / "work"
    tree.mkdir()
    workdir.mkdir()
    copy_of_the_tree(tree)
    insert_before(tree / SPEC, '    ONE_SWAP = "one-swap"\n', WORD)
    (tree / CLASS).write_text(HEURISTIC)
    insert_before(tree / TABLE, "    Arm(\n        word=Neighbourhood.RINS,\n", ROW)
    insert_before(
        tree / TABLE.with_name("arms.py"), "from search.lns.guide import", IMPORT
    )
    written = {
        path.relative_to(tree)
        for path in tree.rglob("*.py")
        if path.is_file() and not path.is_symlink()
    }
    assert written == {SPEC, CLASS, TABLE}, "nothing else is touched"
    run = subprocess.run(
        [sys.executable, "-c", JOB, str(workdir)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["status"] == "valid"
    assert report["calls"] >= 3
    assert report["improved"]


def test_every_word_has_one_row_but_the_intensifier() -> None:
    words = [row.word for row in ARMS]
    assert len(set(words)) == len(words)
    assert set(Neighbourhood) - set(words) == {Neighbourhood.ONE_SWAP}
    assert all(0 < row.first_share <= 1 and row.expected_s > 0 for row in ARMS)


def parts_of(rows: int) -> ArmParts:
    model = random_cover(rows, 20, 1) if rows else milp([1.0, 2.0], [])
    return ArmParts(guide=Guide(model), slicer=Slicer(model))


def test_arms_come_in_the_order_of_the_words() -> None:
    words = (Neighbourhood.RINS, Neighbourhood.RANDOM, Neighbourhood.RINS)
    assert [arm.name for arm in make_arms(words, parts_of(8))] == ["rins", "random"]


@pytest.mark.parametrize(
    "words",
    [(Neighbourhood.ONE_SWAP,), (Neighbourhood.VARIABLE_GRAPH,), ()],
)
def test_the_random_arm_stands_in_when_none_applies(
    words: tuple[Neighbourhood, ...],
) -> None:
    assert [arm.name for arm in make_arms(words, parts_of(0))] == ["random"]


def test_a_fitted_policy_has_the_share_of_any_arm() -> None:
    parts = parts_of(8)
    (shipped,) = make_arms((Neighbourhood.CL_LNS,), parts)
    (fitted,) = make_arms(
        (Neighbourhood.CL_LNS,), replace(parts, policy=load_weights("cl-lns"))
    )
    assert shipped.row.weight > 1
    assert fitted.row.weight == 1


def test_a_row_says_if_it_applies() -> None:
    without_rows = milp([1.0, 2.0], [])
    by_word = {row.word: row for row in ARMS}
    assert not by_word[Neighbourhood.VARIABLE_GRAPH].applies(without_rows)
    assert by_word[Neighbourhood.RANDOM].applies(without_rows)
    assert by_word[Neighbourhood.CL_LNS].applies(without_rows), "its weights are shipped"
    free = by_word[Neighbourhood.RANDOM].make(parts_of(8))
    assert (
        free.choose(
            np.ones(20), 5, np.random.default_rng(0), np.ones(20, dtype=bool)
        ).sum()
        == 5
    )
