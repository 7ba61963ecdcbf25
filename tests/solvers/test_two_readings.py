"""Both readers agree, refuse, or differ by a known rule that `load` notes."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from solvers.compare import differences
from solvers.errors import ModelError
from solvers.exact import read_exact
from solvers.read import ReadLimits, read_model
from solvers.two_readings import load
from tests.solvers.texts import COLUMNS, lp, mps

DATA = Path(__file__).parent / "data"
ALONE = ReadLimits(compared_bytes=0)  # HiGHS alone
GOOD = sorted(DATA.glob("*.*"))

AGREE = {
    "integers between markers are binary by default": mps(),
    "a lower bound makes the default upper one infinite": mps(
        bounds=" LO B y 2\n UP B z 5\n"
    ),
    "negative lower and PL": mps(bounds=" LO B y -2\n PL B z\n"),
    "MI and FR on integers": mps(bounds=" MI B y\n FR B z\n"),
    "infinite words and numbers": mps(
        bounds=" UP B y 1e30\n UP B z inf\n LO B x -1e30\n UP B w Infinity\n"
    ),
    "zero upper bound": mps(bounds=" MI B x\n UP B x 0\n UP B z 0\n FX B y 2.5\n"),
    "BV and LI on continuous ones": mps(bounds=" BV B x\n LI B w 2\n"),
    "semi-continuous": mps(bounds=" SC B x 9\n"),
    "semi-integer": mps(bounds=" SI B x 9\n"),
    "constant of the objective": mps(rhs=" RHS obj -7\n"),
    "second N row": mps(
        rows=" N obj2\n", columns=COLUMNS.replace(" x r2 1", " x r2 1 obj2 5")
    ),
    "right-hand sides without a set": mps(rhs=" r1 4 r2 1\n r3 5\n"),
    "mixed set names": mps(rhs=" RHS r1 4 r2 1\n r3 5\n"),
    "ranges on L and G": mps(rhs=" RHS r1 9 r2 1\n", ranges=" R r1 2.5 r2 3\n"),
    "negative ranges": mps(
        rhs=" RHS r1 9 r2 1\n RHS r3 4\n", ranges=" R r1 -2.5 r2 -3\n R r3 -2\n"
    ),
    "positive range on E": mps(rhs=" RHS r3 4\n", ranges=" R r3 2\n"),
    "zero range on E": mps(rhs=" RHS r3 4\n", ranges=" R r3 0\n"),
    "OBJSENSE of two lines": mps(before="OBJSENSE\n  MAXIMIZE\n"),
    "OBJSENSE in small letters": mps(before="OBJSENSE\n  max\n"),
    "OBJSENSE on one line": mps(before="OBJSENSE MAX\n"),
    "OBJSENSE after ROWS": mps().replace("COLUMNS", "OBJSENSE\n MAX\nCOLUMNS"),
    "comments and blank lines": "* hi\n\n" + mps().replace("RHS\n", "* c\nRHS\n\n"),
    "tabs and CRLF": mps().replace(" ", "\t").replace("\n", "\r\n"),
    "text after ENDATA": mps() + "anything\n",
    "Fortran exponents": mps(columns=COLUMNS.replace(" x r2 1", " x r2 1d2")),
    "a stored zero": mps(columns=COLUMNS.replace(" x r2 1", " x r2 0")),
    "a coefficient below what HiGHS keeps": mps(
        columns=COLUMNS.replace(" x r2 1", " x r2 1e-12")
    ),
    "quadratic objective": mps(after="QUADOBJ\n x x 2\n"),
    "no objective": "ROWS\n L a\nCOLUMNS\n x a 1\nENDATA\n",
    "lp": lp(),
    "lp bounds": lp(after="Bounds\n -1 <= x <= 5\n y <= 4\n z free\n"),
    "lp turned bounds": lp(after="Bounds\n x <= -5\n x >= -10\n y = 3\n 3 >= z\n"),
    "lp infinities": lp(
        after="Bounds\n x <= +inf\n y >= -infinity\n z <= 1e31\n -Inf <= w <= Infinity\n"
    ),
    "lp last bound counts": lp(after="Bounds\n x <= 5\n x <= 6\n"),
    "lp crossing bounds": lp(after="Bounds\n x <= 5\n x >= 6\n"),
    "lp types": lp(after="Bounds\n x <= 5\nGeneral\n x y\nBinary\n z\n"),
    "lp other words for types": lp(after="bin\n x\ngenerals\n y\nintegers\n z\n"),
    "lp binary before bounds": lp(after="Binary\n z\nBounds\n z <= 5\n"),
    "lp semi-continuous": lp(after="Bounds\n x <= 5\nSemi-continuous\n x\n"),
    "lp semi-integer": lp(after="Bounds\n x <= 5\nGeneral\n x\nSemis\n x\n"),
    "lp columns only in bounds or types": lp(after="Bounds\n q <= 5\nGeneral\n r\n"),
    "lp maximise": lp().replace("Minimize", "MAXIMIZE"),
    "lp other words": "max\n x + y\nst\n x + y < 3\n x >= 1\n -x - y => -9\n x =< 2\nend\n",
    "lp s.t.": lp().replace("Subject To", "s.t."),
    "lp such that": lp().replace("Subject To", "such that"),
    "lp repeated variables": lp(row="c1: x + y + x <= 10", objective="obj: x + y + x"),
    "lp constants": lp(objective="obj: x + 4 - 6"),
    "lp forms of coefficients": lp(row="c1: 2x + 3 y - 1.5e+2z + - 2 w <= 1e1"),
    "lp product sign": lp(objective="obj: 2 * x"),
    "lp names like exponents": lp(row="c1: 3 e + 2 e1 + 4e1 x + 5 e2x <= 1"),
    "lp names like sections": "min\n obj: x + free + bin\nst\n c: x + free >= 1\nend\n",
    "lp signs": lp(row="c1: - -x + y <= 3"),
    "lp without costs": "min\nst\n c1: x + y >= 1\nend\n",
    "lp label without costs": "min\n obj:\nst\n c1: x + y >= 1\nend\n",
    "lp comments and continued lines": (
        "\\ a\nmin \\ b\n obj: x \\ c\n + y\nst\n c1: x\n + y\n >= 1\nend\n"
    ),
    "lp zero coefficient": lp(row="c1: 0 x + y <= 10"),
    "lp row without variables": lp(row="c1: 0 <= 10"),
    "lp infinite side": lp(row="c1: x + y <= inf"),
    "lp quadratic objective": (
        "Minimize\n obj: x + [ x^2 + 2 x * y ] / 2\nSubject To\n c1: x + y >= 1\nEnd\n"
    ),
}

REFUSED = {
    "empty": "",
    "words": "hello world",
    "right-hand side twice": mps(rhs=" RHS r1 4\n RHS r1 5\n"),
    "two sets with the same row": mps(rhs=" RHS r1 4\n RHS2 r1 5\n"),
    "upper bound twice": mps(bounds=" UP B y 4\n UP B y 6\n"),
    "unknown type of bound": mps(bounds=" ZZ B y 4\n"),
    "bound without a number": mps(bounds=" UP B y\n"),
    "column in two places": mps(columns=COLUMNS + " x r3 5\n"),
    "entry twice": mps(columns=COLUMNS.replace(" x r2 1", " x r2 1\n x r2 5")),
    "cost twice": mps(columns=COLUMNS.replace(" x r2 1", " x r2 1\n x obj 5")),
    "unknown row": mps(columns=COLUMNS.replace("r2", "q2")),
    "row twice": mps(rows=" L r1\n"),
    "not a number": mps(columns=COLUMNS.replace(" x r2 1", " x r2 nan")),
    "infinite coefficient": mps(columns=COLUMNS.replace(" x r2 1", " x r2 inf")),
    "cut off": mps().replace("ENDATA\n", ""),
    "unknown section": mps(after="FOO\n x x 1\n"),
    "NUL bytes": mps().replace("NAME T", "NAME \0"),
    "lp without end": lp().replace("End\n", ""),
    "lp text after end": lp() + " foo\n",
    "lp product of variables": lp(row="c1: 3 x y <= 10"),
    "lp two coefficients": lp(row="c1: 2 3 x + y <= 10"),
    "lp two objectives": "min\n obj: x\n obj2: y\nst\n c: x + y >= 1\nend\n",
    "lp indicator that is not binary": lp(row="c1: z = 1 -> x + y <= 10"),
    "lp indicator of two": lp(row="c1: z = 2 -> x + y <= 10", after="Binary\n z\n"),
    "lp indicator both ways": lp(row="c1: z = 1 <-> x + y <= 10", after="Binary\n z\n"),
    "lp products of the objective without half": lp(objective="obj: [ x^2 ]"),
    "lp products of a row with half": lp(row="c1: [ x^2 ] / 2 <= 10"),
    "lp cube": lp(row="c1: [ x^3 ] <= 10"),
    "lp product that is not closed": lp(row="c1: [ x^2 <= 10"),
    "lp SOS of kind 3": lp(after="SOS\n s1: S3:: x:1 y:2\n"),
    "lp SOS with equal weights": lp(after="SOS\n s1: S1:: x:1 y:1\n"),
    "lp SOS with a variable twice": lp(after="SOS\n s1: S1:: x:1 x:2\n"),
    "lp SOS twice": lp(after="SOS\n s1: S1:: x:1 y:2\n s1: S1:: x:1 y:2\n"),
    "products of one triangle where both are wanted": mps(after="QMATRIX\n x y 2\n"),
    "products of both triangles where one is wanted": mps(
        after="QUADOBJ\n x y 2\n y x 2\n"
    ),
    "products of an unknown column": mps(after="QUADOBJ\n x q 2\n"),
    "products of an unknown row": mps(after="QCMATRIX q\n x x 2\n"),
    "products of the objective in rows": mps(after="QCMATRIX obj\n x x 2\n"),
    "products of a row in QSECTION": mps(after="QSECTION r1\n x x 2\n"),
    "two objectives of products": mps(after="QUADOBJ\n x x 2\nQMATRIX\n y y 2\n"),
    "indicator without binary": mps(after="INDICATORS\n IF r1 x 1\n"),
    "indicator of an unknown row": mps(
        bounds=" BV B x\n", after="INDICATORS\n IF q x 1\n"
    ),
    "two indicators of a row": mps(
        bounds=" BV B x\n BV B w\n", after="INDICATORS\n IF r1 x 1\n IF r1 w 1\n"
    ),
    "indicator and products": mps(
        bounds=" BV B x\n", after="QCMATRIX r1\n y y 1\nINDICATORS\n IF r1 x 1\n"
    ),
    "SOS member before its set": mps(after="SOS\n x 1\n"),
    "SOS in a section SOS1": mps(after="SOS1\n s1 x 1\n"),
    "semi-continuous up to 0": mps(bounds=" SC B x 0\n"),
    "cones": mps(after="CSECTION k 0 QUAD\n x\n"),
    "lp comparison in two words": lp(row="c1: x + y < = 10"),
}

# HiGHS reads something else than is written, or cannot read it: a rule of the exact reader decides,
# and says so.
RULED = {
    "OBJSENSE MAXIMIZE on one line (HiGHS minimises)": (
        mps(before="OBJSENSE MAXIMIZE\n"),
        "OBJSENSE MAXIMIZE",
    ),
    "RHS of a second N row (HiGHS: a constant)": (
        mps(rows=" N obj2\n", rhs=" RHS obj2 3\n"),
        "'obj2' is not the objective",
    ),
    "RANGES before RHS (HiGHS: other sides)": (
        mps().replace("RHS\n", "RANGES\n R r1 2\nRHS\n RHS r1 5\n"),
        "RANGES before RHS",
    ),
    "OBJNAME (HiGHS ignores it)": (
        mps(
            before="OBJNAME\n obj2\n",
            rows=" N obj2\n",
            columns=COLUMNS.replace(" x r2 1", " x r2 1 obj2 5"),
        ),
        "OBJNAME",
    ),
    "negative upper bound alone (HiGHS: no value)": (
        mps(bounds=" UP B y -2\n"),
        "lower bound is -infinity",
    ),
    "ranges without a set (HiGHS cannot)": (
        mps(rhs=" r1 4\n", ranges=" r1 2\n"),
        "HiGHS cannot read",
    ),
    "lp row between numbers (HiGHS cannot)": (
        lp(row="c1: 2 <= x + y <= 10"),
        "HiGHS cannot read",
    ),
    "lp constant in a row (HiGHS drops it)": (
        lp(row="c1: x + y + 3 <= 10"),
        "HiGHS cannot read",
    ),
    "lp variables on the right (HiGHS cannot)": (
        lp(row="c1: x + y <= 10 + z"),
        "HiGHS cannot read",
    ),
    "lp bounds beyond [0, 1] before Binary (HiGHS keeps them)": (
        lp(after="Bounds\n -1 <= x <= 5\nBinary\n x\n"),
        "cut to",
    ),
    "lp row twice (two rows of one name)": (
        lp(row="c2: x + y <= 10"),
        "a second row is named 'c2'",
    ),
    "lp lazy rows (HiGHS cannot)": (
        lp(after="Lazy Constraints\n l: x <= 3\n"),
        "HiGHS cannot read",
    ),
}

# Broken, and read all the same by HiGHS.
BROKEN = {
    "bound on an unknown column (HiGHS adds one)": (mps(bounds=" UP B q 4\n"), "line 17"),
    "a number with letters after it (HiGHS drops them)": (
        mps(columns=COLUMNS.replace("obj 1 ", "obj 1abc ")),
        "line 8",
    ),
    "a hexadecimal number (HiGHS takes it)": (
        mps(columns=COLUMNS.replace("obj 1 ", "obj 0x10 ")),
        "line 8",
    ),
}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / (
        "m.mps" if "ROWS" in text or text in ("", "hello world") else "m.lp"
    )
    path.write_text(text)
    return path


@pytest.mark.parametrize("what", AGREE)
def test_readers_agree(tmp_path: Path, what: str) -> None:
    path = written(tmp_path, AGREE[what])
    assert differences(read_exact(path), read_model(path, limits=ALONE)) == []


@pytest.mark.parametrize("what", REFUSED)
def test_both_refuse(tmp_path: Path, what: str) -> None:
    path = written(tmp_path, REFUSED[what])
    with pytest.raises(ModelError):
        read_exact(path)
    with pytest.raises(ModelError):
        read_model(path, limits=ALONE)


@pytest.mark.parametrize("what", RULED)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_rule_decides(tmp_path: Path, what: str, at_once: bool) -> None:
    """The exact reading is the model, small files and large, and the notes say why."""
    text, why = RULED[what]
    path = written(tmp_path, text)
    loaded = load(path)
    assert differences(loaded.exact, loaded.model) == []
    assert any(why in note for note in loaded.notes), loaded.notes
    limits = ReadLimits() if at_once else ALONE
    assert differences(loaded.exact, read_model(path, limits=limits)) == []


@pytest.mark.parametrize("what", BROKEN)
def test_broken_files_are_refused(tmp_path: Path, what: str) -> None:
    text, why = BROKEN[what]
    with pytest.raises(ModelError, match=why):
        load(written(tmp_path, text))
    with pytest.raises(ModelError, match=why):  # small files are compared here too
        read_model(written(tmp_path, text))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_own_files_are_read_by_both(tmp_path: Path, path: Path) -> None:
    loaded = load(path)
    assert loaded.model.n == loaded.exact.n > 0
    packed = tmp_path / (path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert load(packed).exact.col_names == loaded.exact.col_names


def instances() -> list[Path]:
    """Real files, when `python -m workers.bench.instances fetch` has been run."""
    base = Path(
        os.environ.get("TRIMTAB_CACHE_DIR")
        or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trimtab"
    )
    return sorted(
        path
        for path in (base / "instances").glob("*")
        if path.name.endswith((".mps", ".mps.gz", ".lp"))
    )


def test_real_files(scale: float) -> None:
    """All of them at --scale 1; by default those that are read in a blink."""
    paths = [path for path in instances() if scale >= 1 or path.stat().st_size < 60_000]
    if not paths:
        pytest.skip("no instances here: python -m workers.bench.instances fetch")
    for path in paths:
        assert differences(read_exact(path), read_model(path, limits=ALONE)) == [], (
            path.name
        )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (mps(columns=COLUMNS.replace("r2 1", "r2 1,5")), 9),
        (mps(bounds=" UP B nobody 3\n"), 17),
        (lp(row="c1: x + y <= 1 0"), 4),
        ("Minimize\n x\nSubject To\n c: x ? >= 1 2\nEnd\n", 4),
    ],
)
def test_faults_name_their_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(ModelError) as caught:
        read_exact(written(tmp_path, text))
    assert caught.value.line == line
    assert f"line {line}:" in str(caught.value)
