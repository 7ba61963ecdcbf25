"""Corner cases of both formats in small files, and refusals with their line."""

from __future__ import annotations

import gzip
from fractions import Fraction as F
from pathlib import Path

import pytest

from solvers.compare import differences
from solvers.errors import ModelError
from solvers.exact import ExactModel, read_exact
from solvers.read import ReadLimits, read_model
from tests.solvers.exact.programs import as_program

DATA = Path(__file__).parent / "data"


def bounds_of(model: ExactModel) -> dict[str, tuple[F | None, F | None, bool]]:
    whole = (bool(each) for each in model.integer)
    return dict(
        zip(
            model.col_names,
            zip(model.lower, model.upper, whole, strict=True),
            strict=True,
        )
    )


def rows_of(model: ExactModel) -> dict[str, tuple[F | None, dict[str, F], F | None]]:
    return {
        name: (
            low,
            {model.col_names[column]: value for column, value in terms.items()},
            high,
        )
        for name, (terms, low, high) in zip(
            model.row_names, as_program(model).rows, strict=True
        )
    }


def costs_of(model: ExactModel) -> dict[str, F]:
    return {model.col_names[column]: cost for column, cost in model.objective.items()}


def test_gzip_and_format_argument(tmp_path: Path) -> None:
    for name, form in (("weird.mps", "mps"), ("weird.lp", "lp"), ("fixed.mps", "mps")):
        path = tmp_path / f"blob-{form}"
        path.write_bytes(gzip.compress((DATA / name).read_bytes()))
        assert as_program(read_exact(path, format=form)) == as_program(
            read_exact(DATA / name)
        )


@pytest.mark.parametrize("name", ["weird.mps", "fixed.mps"])
def test_readings_equal_those_of_highs(tmp_path: Path, name: str) -> None:
    # weird.mps as HiGHS takes it: it knows no MAXIMISE, and makes a constant of a second N row's
    # right-hand side.
    text = (
        (DATA / name)
        .read_text()
        .replace("MAXIMISE", "MAX")
        .replace(" RHS dropped 4\n", "")
    )
    assert apart(tmp_path, name, text) == []


def apart(tmp_path: Path, name: str, text: str) -> list[str]:
    """Where the two readers differ."""
    path = tmp_path / name
    path.write_text(text)
    return differences(
        read_exact(path), read_model(path, limits=ReadLimits(compared_bytes=0))
    )


MPS = (
    "NAME\nROWS\n N c\n L r\nCOLUMNS\n x c 1 r 2\n y c 3 r 4\nRHS\n"
    " R r 5\nBOUNDS\n UP B x 4\nENDATA\n"
)
LP = "min\n c: x + y\nst\n r: x + y >= 1\nbounds\n x <= 4\ngeneral\n x\nend\n"
REFUSED = {
    "column beyond the second pair": (MPS.replace("r 2", "r 2 r"), "line 6: .*words"),
    "two numbers": (MPS.replace(" x c 1 r 2", " x c 1 2 r"), "line 6: row '2'"),
    "row of an unknown type": (
        MPS.replace(" L r", " Q r"),
        "line 4: expected a row's type",
    ),
    "bound of an unknown type": (
        MPS.replace(" UP B", " XX B"),
        "line 11: expected a bound of a type",
    ),
    "bound on an unknown column": (MPS.replace("B x 4", "B q 4"), "line 11: column 'q'"),
    "an infinite upper bound below": (
        MPS.replace("B x 4", "B x -1e30"),
        "line 11: .*no value",
    ),
    "second section": (
        MPS.replace("BOUNDS", "RHS"),
        "line 10: expected one section RHS, got a second",
    ),
    "no ENDATA": (MPS.replace("ENDATA", ""), "cut off"),
    "rows missing": ("NAME\nCOLUMNS\n x c 1\nENDATA\n", "line 3: row 'c'"),
    "a marker of another kind": (
        MPS.replace(" x c", " M 'MARKER' 'SOSORG'\n x c"),
        "line 6: expected a marker",
    ),
    "sense of another kind": (
        MPS.replace("ROWS", "OBJSENSE\n BEST\nROWS"),
        "line 3: OBJSENSE: expected MAX or MIN",
    ),
    "only a comment in place of a pair": (
        MPS.replace("x c 1 r 2", "x $ c 1"),
        "line 6: ",
    ),
    "larger than any double": (MPS.replace("x c 1", "x c 1e309"), "line 6: .*double"),
    "ten thousand digits": (
        MPS.replace("x c 1", "x c " + "1" * 10_000),
        "line 6: expected a number",
    ),
    "an endless exponent": (
        MPS.replace("x c 1", "x c 1e" + "9" * 50),
        "line 6: expected a number",
    ),
    "Arabic digits": (MPS.replace("x c 1", "x c ١"), "line 6: expected a number"),
    "lp without a sense": (LP.replace("min\n", ""), "line 1: expected Minimize"),
    "lp cut off": (LP.replace("end\n", ""), "cut off"),
    "lp side beyond doubles": (LP.replace(">= 1", ">= 1e20"), "line 4: .*infinity"),
    "lp two comparisons that disagree": (
        LP.replace("x <= 4", "1 <= x >= 4"),
        "line 6: .*same comparison",
    ),
    "lp three comparisons": (
        LP.replace("r: x", "r: 1 <= x").replace(">= 1", "<= 2 <= 3"),
        "line [45]: ",
    ),
    "lp product": (LP.replace("r: x", "r: x * y"), "line 4: expected products"),
    "lp unknown character": (LP.replace("r: x", "r: x \x01"), "line 4: "),
    "lp number as a variable": (
        LP.replace("general\n x", "general\n 3"),
        "line 8: expected a variable",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_its_line(tmp_path: Path, what: str) -> None:
    text, why = REFUSED[what]
    path = tmp_path / ("m.lp" if what.startswith("lp") else "m.mps")
    path.write_text(text)
    with pytest.raises(ModelError, match=why):
        read_exact(path)


def test_the_texts_above_are_good(tmp_path: Path) -> None:
    assert apart(tmp_path, "m.mps", MPS) == []
    assert apart(tmp_path, "m.lp", LP) == []
