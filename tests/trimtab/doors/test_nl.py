"""Reader of .nl: every segment, every refusal, and damaged files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.trimtab.doors.conftest import NL
from trimtab.doors.answer import DoorError
from trimtab.doors.nl import NlModel, read_nl


def read(folder: Path, text: str, objective: int = 1) -> NlModel:
    path = folder / "m.nl"
    path.write_text(text)
    return read_nl(path, objective=objective)


def test_every_segment_of_a_linear_model(tmp_path: Path) -> None:
    model = read(tmp_path, NL)
    draft = model.draft
    assert model.options == [3, 1, 1, 0]
    bounds = [(c.lower, c.upper, c.integer) for c in draft.columns]
    assert bounds == [
        (0, 3, False),
        (0, None, False),
        (0, 1, True),
        (-2, 5, True),
    ]
    sides = [(row.lower, row.upper) for row in draft.rows]
    assert sides == [(None, 4), (-3.5, 3.5), (2, 2)], "a constant moves both sides"
    assert [row.terms for row in draft.rows] == [{0: 1, 1: 1}, {1: 1, 2: 3}, {0: 1, 3: 1}]
    assert draft.maximize
    assert (draft.objective, draft.offset) == ({0: 3, 1: 2, 3: 0.5}, 7)
    assert draft.start == {0: 1.5}


def test_objno_zero_leaves_out_the_objective(tmp_path: Path) -> None:
    draft = read(tmp_path, NL, objective=0).draft
    assert (draft.objective, draft.offset, draft.maximize) == ({}, 0, False)
    with pytest.raises(DoorError, match="objno: expected 0 to 1, got 2"):
        read(tmp_path, NL, objective=2)


def test_sos_suffixes_become_sets(tmp_path: Path) -> None:
    text = NL + "S0 3 sosno\n0 1\n1 1\n2 -2\nS4 2 ref\n0 5\n1 3\nS1 1 note\n0 1\n"
    sets = read(tmp_path, text).draft.sets
    assert [(one.kind, one.columns, one.weights) for one in sets] == [
        (1, [0, 1], [5, 3]),
        (2, [2], [0.0]),
    ]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (" 0 0 0 0	# nonlinear", " 2 0 0 0	# nonlinear", "2 nonlinear constraints"),
        (" 0 0 0 0	# nonlinear", " 0 1 0 0	# nonlinear", "a nonlinear objective"),
        (" 0 0 0 0	# nonlinear", " 0 0 1 0	# nonlinear", "complementarity"),
        (" 0 0	# network", " 0 1	# network", "network constraints"),
        (" 0 0 0 1	# linear", " 0 1 0 1	# linear", "imported functions"),
        (" 0 0 0 0 0	# common", " 1 0 0 0 0	# common", "defined variables"),
        (" 1 1 0 0 0	#", " 1 1 0 1 0	#", "nonlinear discrete variables"),
        ("C1\nn2.5", "C1\no2\nv0\nv1", "a nonlinear expression"),
        ("4 2\nb", "5 1 1\nb", "a complementarity condition"),
        ("C0\n", "F0 1 -1 f\nC0\n", "imported functions"),
        ("C0\n", "V4 0 0\nC0\n", "defined variables"),
        ("C0\n", "L0\nC0\n", "logical constraints"),
    ],
)
def test_what_is_not_linear_is_refused_by_name(
    tmp_path: Path, old: str, new: str, named: str
) -> None:
    assert old in NL
    with pytest.raises(
        DoorError, match=rf"m\.nl:\d+: expected a linear .* got .*{named}"
    ):
        read(tmp_path, NL.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("g3", "b3", "got the binary one; write it with"),
        ("g3", "x3", "begins with g"),
        (" 4 3 1 1 1", " 4 three 1", "ten lines of counts"),
        (" 4 3 1 1 1", " 4000000000 3 1 1 1", "counts from 0"),
        (" 1 1 0 0 0	#", " 3 2 0 0 0	#", "at most as many discrete"),
        ("J0 2", "J9 2", "an index from 0 to 2, got 9"),
        ("0 1\n1 1\nJ1", "0 1\n7 1\nJ1", "an index from 0 to 3, got 7"),
        ("J0 2", "J0", "the count of the segment's lines"),
        ("n7.0", "nx", "n and a number"),
        ("0 -1 6", "0 -1", "a code from 0 to 4"),
        ("0 1.5", "0 one", "an index and a number"),
        ("k3", "Q3", "a segment"),
    ],
)
def test_a_damaged_file_names_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(DoorError, match=message):
        read(tmp_path, NL.replace(old, new, 1))


def test_a_file_cut_anywhere_is_refused_or_loses_only_its_tail(tmp_path: Path) -> None:
    lines = NL.splitlines(keepends=True)
    complete = lines.index("k3\n")
    for count in range(1, complete):
        with pytest.raises(DoorError):
            read(tmp_path, "".join(lines[:count]))


def test_infinite_bounds_are_absent(tmp_path: Path) -> None:
    draft = read(tmp_path, NL.replace("0 0 3\n2 0", "1 1e30\n2 -1e25")).draft
    assert (draft.columns[0].lower, draft.columns[0].upper) == (None, None)
    assert draft.columns[1].lower is None
    assert math.isfinite(draft.rows[0].upper or math.inf)
