"""The fast path through COLUMNS reads and refuses the same lines as the slow one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from solvers.errors import ModelError
from solvers.exact import ExactLimits, ExactModel
from solvers.exact.reader_mps import _Reader, read_mps
from tests.solvers.fuzz import mutate
from tests.solvers.texts import COLUMNS, mps

DATA = Path(__file__).parents[1] / "data"

ODD = {
    "as it is": COLUMNS,
    "an unknown row second": " x r1 2 r9 1\n",
    "an unknown row of a new column": COLUMNS + " v r9 1\n",
    "the same row twice on a line": " x r1 2 r1 3\n",
    "the same row on two lines": " x r1 2\n x r1 3\n",
    "the same row as the second pair": " x r1 2\n x r2 3 r1 1\n",
    "the objective twice": " x obj 1\n x obj 1\n",
    "a dropped row, again and again": " x drop 1 r1 1\n x drop 2 drop 3\n y drop 1\n",
    "a column in two places": " x r1 2\n y r1 2\n x r2 1\n",
    "zeros": " x r1 0 r2 0.0\n x r3 -0\n y r1 0 obj 0\n",
    "bad numbers": " x r1 2\n y r1 1x\n",
    "a comment": " x r1 2 $ this\n y r1 2 $that\n y r2 1\n",
    "four words": " x r1 2 r2\n",
    "comment and blank lines": "* x r1 2\n\n x r1 2\n   \n*\n y r1 1\n",
    "no indent": "x r1 2\nx r2 1 r3 4\n y r1 1\n",
    "tabs": "\tx\tr1\t2\r\n\tx r2 1\r\n",
    "markers": " x r1 2\n M 'MARKER' 'INTORG'\n x r2 1\n",
    "a column after a marker": (
        " M 'MARKER' 'INTORG'\n x r1 2\n y r1 2\n M 'MARKER' 'INTEND'\n z r1 2 r2 2\n"
    ),
    "a broken marker": " M 'MARKER' 'INTWHAT'\n",
}


def _read(text: str) -> tuple[object, ...]:
    """All that a reading can tell, or the refusal."""
    try:
        model = read_mps([text.split("\n")], ExactLimits(), fixed=False)
    except ModelError as error:
        return ("refused", str(error))
    return _parts(model)


def _parts(model: ExactModel) -> tuple[object, ...]:
    return (
        *(
            model.maximize,
            model.objective,
            model.offset,
            model.col_names,
            model.row_names,
            model.lower,
            model.upper,
        ),
        *(bytes(model.integer), model.row_lower, model.row_upper, model.semicontinuous),
        *(
            list(model.entry_row),
            list(model.entry_col),
            [model.values[value] for value in model.entry_value],
        ),
    )


def _both(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[tuple[object, ...], tuple[object, ...]]:
    short = _read(text)
    with monkeypatch.context() as patch:
        patch.setattr(_Reader, "_plain_columns", lambda self, lines, begin: 0)
        return short, _read(text)


@pytest.mark.parametrize("columns", ODD.values(), ids=ODD)
def test_odd_lines_read_the_same(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    short, long = _both(mps(rows=" N drop\n", columns=columns), monkeypatch)
    assert short == long


def test_the_fast_path_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above compare the long way with itself."""
    long_way: list[int] = []
    inner = _Reader._columns_line

    def counted(self: _Reader, text: str, line: int) -> None:
        long_way.append(line)
        inner(self, text, line)

    monkeypatch.setattr(_Reader, "_columns_line", counted)
    columns = "".join(
        f" c{number} r1 1 r2 2\n c{number} r3 1 obj 2\n" for number in range(1000)
    )
    read_mps([mps(columns=columns).split("\n")], ExactLimits(), fixed=False)
    assert len(long_way) == 1  # the numbers of the first line were not known before it


def test_mutants_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(7)
    originals = [path.read_bytes() for path in sorted(DATA.glob("*.mps"))]
    originals += [
        mps(rows=" N drop\n", columns=columns).encode()
        for columns in (ODD["as it is"], ODD["zeros"])
    ]
    read = 0
    for _ in range(600):
        _, mutant = mutate(rng.choice(originals), rng)
        short, long = _both(mutant.decode("utf-8", "replace"), monkeypatch)
        assert short == long
        read += short[0] != "refused"
    assert read > 20  # most mutants are refused, and alike
